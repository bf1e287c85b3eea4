//! The refresh grant (RFC 6749 §6) and rotation (RFC 9700 §4.14.2).

use serde_json::{Value, json};

use crate::support::{Answer, Database, Server, assert_refused, both, jwt, text};

async fn refresh_with(server: &Server, token: &str, scope: &str) -> Answer {
    server.token(&[("grant_type", "refresh_token"), ("refresh_token", token), ("scope", scope)]).await
}

/// Fails unless every access and refresh token in these answers is dead.
async fn assert_ended(server: &Server, answers: &[&Value]) {
    for tokens in answers {
        assert!(!server.is_active(text(tokens, "access_token")).await, "{tokens}");
        assert!(!server.is_active(text(tokens, "refresh_token")).await, "{tokens}");
        assert_eq!(server.refresh(text(tokens, "refresh_token")).await.1["error"], "invalid_grant");
    }
}

fn flow(settings: &Value) -> Value {
    json!({"auth": {"authorization_code": settings}})
}

both!(
    async fn a_refresh_rotates_and_within_grace_a_retry_gets_the_same_successor(server: Server) {
        server.alice().await;
        for format in [json!(null), json!("jwt")] {
            server.web_app(flow(&json!({"token_format": format}))).await;
            let first = server.tokens("openid email").await;
            let second = server.refreshed(text(&first, "refresh_token")).await;
            for member in ["access_token", "refresh_token"] {
                assert_ne!(first[member], second[member]);
            }
            assert_eq!(second["scope"], "openid email");
            assert!(!server.is_active(text(&first, "refresh_token")).await, "it is spent");
            server.wait(5);
            for _ in 0..3 {
                let again = server.refreshed(text(&first, "refresh_token")).await;
                assert_eq!(
                    [&again["access_token"], &again["refresh_token"]],
                    [&second["access_token"], &second["refresh_token"]]
                );
                assert!(again["expires_in"].as_i64().unwrap() <= 3595, "{again}");
            }
            // An access token lives on until it expires.
            assert!(server.is_active(text(&first, "access_token")).await);
            assert!(server.is_active(text(&second, "access_token")).await);
            assert_eq!(server.refresh(text(&second, "refresh_token")).await.0, 200);
        }
    }
);

both!(
    async fn grace_ends_as_soon_as_the_successor_is_used_and_a_reuse_then_ends_the_family(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        let bystander = server.tokens("openid").await;
        let first = server.tokens("openid").await;
        let second = server.refreshed(text(&first, "refresh_token")).await;
        let third = server.refreshed(text(&second, "refresh_token")).await;
        assert_refused(&server.refresh(text(&first, "refresh_token")).await, 400, "invalid_grant", "used before");
        assert_ended(&server, &[&first, &second, &third]).await;
        assert_eq!(server.refresh(text(&bystander, "refresh_token")).await.0, 200);
    }
);

both!(
    async fn a_reuse_after_grace_ends_the_family(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        for days in [0, 80] {
            let first = server.tokens("openid").await;
            let second = server.refreshed(text(&first, "refresh_token")).await;
            server.wait(11 + days * 86_400);
            while server.instance.store.sweep(server.instance.clock.now(), 500).await.unwrap() > 0 {}
            assert_refused(&server.refresh(text(&first, "refresh_token")).await, 400, "invalid_grant", "used before");
            assert_ended(&server, &[&first, &second]).await;
        }
    }
);

both!(
    async fn a_client_may_set_its_own_grace_and_zero_is_strict(server: Server) {
        server.alice().await;
        server.web_app(flow(&json!({"refresh_grace": 100}))).await;
        let first = server.tokens("openid").await;
        let second = server.refreshed(text(&first, "refresh_token")).await;
        server.wait(90);
        let again = server.refreshed(text(&first, "refresh_token")).await;
        assert_eq!(again["refresh_token"], second["refresh_token"]);

        server.web_app(flow(&json!({"refresh_grace": 0}))).await;
        for skew in [0, -1, -3600] {
            let first = server.tokens("openid").await;
            let second = server.refreshed(text(&first, "refresh_token")).await;
            // On a node whose clock is behind, or with a request that was read a second earlier, strict is strict.
            server.wait(skew);
            assert_refused(&server.refresh(text(&first, "refresh_token")).await, 400, "invalid_grant", "used before");
            assert_ended(&server, &[&first, &second]).await;
            server.wait(-skew);
        }
    }
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operator_sets_grace_and_the_longest_life() {
    let server = Server::start_with(Database::Sqlite, |settings| {
        settings.refresh_grace = 0;
        settings.max_refresh_token_expiration = Some(1_000);
    })
    .await;
    server.alice().await;
    for idle in [json!(null), json!(600), json!(5_000)] {
        server.web_app(flow(&json!({"refresh_token_expiration": idle}))).await;
        let mut token = server.tokens("openid").await;
        for _ in 0..2 {
            server.wait(450);
            token = server.refreshed(text(&token, "refresh_token")).await;
        }
        server.wait(101);
        assert_refused(&server.refresh(text(&token, "refresh_token")).await, 400, "invalid_grant", "expired");
    }
    let first = server.tokens("openid").await;
    server.refreshed(text(&first, "refresh_token")).await;
    assert_refused(&server.refresh(text(&first, "refresh_token")).await, 400, "invalid_grant", "used before");
}

both!(
    async fn expiry_slides_from_the_last_use(server: Server) {
        server.web_app(flow(&json!({"refresh_token_expiration": 100}))).await;
        server.alice().await;
        let mut token = server.tokens("openid").await;
        for _ in 0..5 {
            server.wait(90);
            token = server.refreshed(text(&token, "refresh_token")).await;
        }
        server.wait(101);
        assert_refused(&server.refresh(text(&token, "refresh_token")).await, 400, "invalid_grant", "expired");
        assert_eq!(server.introspect(text(&token, "refresh_token")).await, json!({"active": false}));
    }
);

both!(
    async fn without_a_setting_it_does_not_expire(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        let mut token = server.tokens("openid").await;
        for _ in 0..2 {
            server.wait(10 * 365 * 86_400);
            while server.instance.store.sweep(server.instance.clock.now(), 500).await.unwrap() > 0 {}
            token = server.refreshed(text(&token, "refresh_token")).await;
        }
    }
);

both!(
    async fn another_client_neither_spends_it_nor_ends_its_family(server: Server) {
        server.web_app(json!({})).await;
        server.spa(json!({})).await;
        server.put("/Client/other", json!({"secret": "other-secret", "grant_types": ["code"]})).await;
        server.alice().await;
        let first = server.tokens("openid").await;
        let form = [("grant_type", "refresh_token"), ("refresh_token", text(&first, "refresh_token"))];
        let public = [form[0], form[1], ("client_id", "spa")];
        for spent in [false, true] {
            for scope in [None, Some(("scope", "openid"))] {
                let form: Vec<_> = form.iter().copied().chain(scope).collect();
                let answer = server.post_form("/oauth2/token", Some(("other", "other-secret")), &form).await;
                assert_refused(&answer, 400, "invalid_grant", "no such refresh token");
            }
            let answer = server.post_form("/oauth2/token", None, &public).await;
            assert_refused(&answer, 400, "invalid_grant", "no such refresh token");
            if !spent {
                server.refreshed(text(&first, "refresh_token")).await;
                server.wait(20);
            }
        }
        assert!(server.is_active(text(&first, "access_token")).await);
    }
);

both!(
    async fn what_only_looks_like_a_refresh_token_is_none(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        let code = server.code("openid").await;
        let first = server.tokens("openid").await;
        let token = text(&first, "refresh_token");
        let flipped = if token.ends_with('A') { "E" } else { "A" };
        let guesses = [
            "x".to_owned(),
            text(&first, "access_token").to_owned(),
            text(&first, "access_token").replace("cs_at_", "cs_rt_"),
            text(&first, "id_token").to_owned(),
            code.replace("cs_ac_", "cs_rt_"),
            token[..token.len() - 1].to_owned(),
            format!("{}{flipped}", &token[..token.len() - 1]),
            format!("{token} "),
        ];
        for guess in &guesses {
            assert_refused(&server.refresh(guess).await, 400, "invalid_grant", "no such refresh token");
            assert_refused(
                &refresh_with(&server, guess, "openid").await,
                400,
                "invalid_grant",
                "no such refresh token",
            );
        }
        assert_refused(&server.refresh("").await, 400, "invalid_request", "refresh_token is missing");
        assert_eq!(server.refresh(token).await.0, 200);
    }
);

// RFC 6749 §6: not more than was granted, and the new refresh token has the scope of the old one.
both!(
    async fn a_narrower_scope_is_honoured_and_a_wider_one_refused(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        let first = server.tokens("openid email phone").await;
        // What she consented to another time does not count.
        server.tokens("openid email phone profile").await;
        for wider in ["openid email phone profile", "profile", "openid address", "Email"] {
            let answer = refresh_with(&server, text(&first, "refresh_token"), wider).await;
            assert_refused(&answer, 400, "invalid_scope", "beyond those granted");
        }
        let (status, narrow) = refresh_with(&server, text(&first, "refresh_token"), "email openid").await;
        assert_eq!((status.as_u16(), &narrow["scope"]), (200, &json!("email openid")));
        assert_eq!(server.introspect(text(&narrow, "access_token")).await["scope"], "email openid");
        assert!(server.userinfo(text(&narrow, "access_token")).await.1.get("email").is_some());
        let full = server.refreshed(text(&narrow, "refresh_token")).await;
        assert_eq!(full["scope"], "openid email phone");
    }
);

both!(
    async fn a_wider_scope_needs_the_switch_and_the_users_consent_for_this_client(server: Server) {
        let switched = flow(&json!({"refresh_scope_from_grant": true}));
        server.web_app(switched.clone()).await;
        server.put("/Client/other", json!({"secret": "x", "grant_types": ["code"]})).await;
        server.alice().await;
        let grant = |user: &str, client: &str| {
            json!({"user": {"resourceType": "User", "id": user}, "client": {"resourceType": "Client", "id": client},
                   "provided-scope": ["openid", "mail.read"]})
        };
        server.put("/Grant/foreign-client", grant("alice", "other")).await;
        server.put("/Grant/foreign-user", grant("bob", "web-app")).await;
        let first = server.tokens("openid").await;
        let answer = refresh_with(&server, text(&first, "refresh_token"), "mail.read").await;
        assert_refused(&answer, 400, "invalid_scope", "not consented");
        server.put("/Grant/own", grant("alice", "web-app")).await;
        server.web_app(json!({})).await;
        let answer = refresh_with(&server, text(&first, "refresh_token"), "mail.read").await;
        assert_refused(&answer, 400, "invalid_scope", "beyond those granted");
        server.web_app(switched).await;
        let (status, wide) = refresh_with(&server, text(&first, "refresh_token"), "mail.read").await;
        assert_eq!((status.as_u16(), &wide["scope"]), (200, &json!("mail.read")), "{wide}");
        assert_eq!(server.introspect(text(&wide, "access_token")).await["scope"], "mail.read");
        // The document's own list binds all the same.
        server.patch("/Client/web-app", json!({"scope": ["openid"]})).await;
        let answer = refresh_with(&server, text(&wide, "refresh_token"), "mail.read").await;
        assert_refused(&answer, 400, "invalid_scope", "may not ask for the scope mail.read");
    }
);

// Core §12.2
both!(
    async fn the_id_token_of_a_refresh_is_about_the_same_sign_in(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        let query = [("response_type", "code"), ("client_id", "web-app"), ("scope", "openid"), ("nonce", "n-1")];
        let code = server.sign_in_and_consent(&server.browser(), &query).await.expect("code");
        let (_, first) = server.redeem(&code).await;
        server.wait(100);
        let second = server.refreshed(text(&first, "refresh_token")).await;
        let (before, after) = (jwt(text(&first, "id_token")).1, jwt(text(&second, "id_token")).1);
        for claim in ["iss", "sub", "aud", "auth_time"] {
            assert_eq!(before[claim], after[claim], "{claim}");
        }
        assert!(after["iat"].as_i64() >= before["iat"].as_i64().map(|iat| iat + 100));
        assert!(after.get("nonce").is_none(), "{after}");
        assert_ne!(before["at_hash"], after["at_hash"]);
    }
);

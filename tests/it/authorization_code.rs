//! The code flow (RFC 6749 §4.1).

use serde_json::json;

use crate::support::{Answer, CHALLENGE, Database, Server, VERIFIER, assert_refused, both, text};

both!(
    async fn a_person_signs_in_and_the_application_gets_its_tokens(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        let browser = server.browser();
        let query = [
            ("response_type", "code"),
            ("client_id", "web-app"),
            ("redirect_uri", "http://localhost:4200/cb"),
            ("scope", "openid email"),
            ("state", "a b+/=&%"),
            ("nonce", "n-1"),
        ];

        let page = server.authorize(&browser, &query).await;
        assert_eq!(page.status, 200);
        let page = browser.sign_in(&page, "ALICE@example.com", "correct-horse-battery").await;
        assert_eq!(page.status, 303);
        let page = browser.follow(page).await;
        let returned = browser.consent(&page, "approve").await.returned();
        assert_eq!(returned.uri, "http://localhost:4200/cb");
        assert_eq!(returned.get("state"), Some("a b+/=&%"));
        assert_eq!(returned.get("iss"), Some(server.issuer()));

        let code = returned.expect("code");
        assert!(code.starts_with("cs_ac_"));
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", "http://localhost:4200/cb"),
        ];
        let (status, tokens) = server.token(&form).await;
        assert_eq!(status, 200, "{tokens}");
        assert_eq!(tokens["token_type"], "Bearer");
        assert_eq!(tokens["expires_in"], 3600);
        assert_eq!(tokens["scope"], "openid email");
        assert!(tokens["id_token"].is_string() && tokens["refresh_token"].is_string());
        assert!(tokens.as_object().unwrap().values().all(|value| !value.is_null()));

        let claims: serde_json::Value = server
            .http
            .get(server.url("/oauth2/userinfo"))
            .bearer_auth(tokens["access_token"].as_str().unwrap())
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        assert_eq!(claims, json!({"sub": "alice", "email": "alice@example.com", "email_verified": false}));
    }
);

/// Parameters of an authorization request of `web-app`, beyond `response_type` and `client_id`.
async fn code_with(server: &Server, more: &[(&str, &str)]) -> String {
    let query: Vec<_> = [("response_type", "code"), ("client_id", "web-app")].iter().chain(more).copied().collect();
    server.sign_in_and_consent(&server.browser(), &query).await.expect("code")
}

async fn redeem_with(server: &Server, code: &str, more: &[(&str, &str)]) -> Answer {
    let form: Vec<_> = [("grant_type", "authorization_code"), ("code", code)].iter().chain(more).copied().collect();
    server.token(&form).await
}

const PKCE: [(&str, &str); 2] = [("code_challenge", CHALLENGE), ("code_challenge_method", "S256")];

both!(
    async fn a_code_lives_sixty_seconds(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        let (early, late) = (server.code("openid").await, server.code("openid").await);
        server.wait(50);
        assert_eq!(server.redeem(&early).await.0, 200);
        server.wait(11);
        assert_refused(&server.redeem(&late).await, 400, "invalid_grant", "expired");
    }
);

// RFC 6749 §4.1.2, §10.5
both!(
    async fn a_replayed_code_revokes_everything_that_came_from_it_and_nothing_else(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        let bystander = server.tokens("openid").await;
        let code = server.code("openid").await;
        let (_, first) = server.redeem(&code).await;
        let second = server.refreshed(text(&first, "refresh_token")).await;
        server.wait(300);
        assert_refused(&server.redeem(&code).await, 400, "invalid_grant", "used before");
        for tokens in [&first, &second] {
            assert!(!server.is_active(text(tokens, "access_token")).await);
            assert!(!server.is_active(text(tokens, "refresh_token")).await);
        }
        assert_refused(&server.refresh(text(&second, "refresh_token")).await, 400, "invalid_grant", "ended");
        assert!(server.is_active(text(&bystander, "access_token")).await);
        assert_eq!(server.refresh(text(&bystander, "refresh_token")).await.0, 200);
    }
);

both!(
    async fn another_client_neither_redeems_nor_burns_nor_revokes(server: Server) {
        server.web_app(json!({})).await;
        server.spa(json!({})).await;
        server.put("/Client/other", json!({"secret": "other-secret", "grant_types": ["code"]})).await;
        server.alice().await;
        let code = server.code("openid").await;
        let form = [("grant_type", "authorization_code"), ("code", code.as_str())];
        let public = [("client_id", "spa"), ("code_verifier", VERIFIER)];
        let public: Vec<_> = form.iter().chain(&public).copied().collect();
        let unknown = format!("cs_ac_{}", "A".repeat(64));
        let nothing = server.redeem(&unknown).await;
        assert_refused(&nothing, 400, "invalid_grant", "no such code");
        let mut tokens = json!({});
        for redeemed in [false, true] {
            let other = Some(("other", "other-secret"));
            assert_eq!(server.post_form("/oauth2/token", other, &form).await, nothing);
            assert_eq!(server.post_form("/oauth2/token", None, &public).await, nothing);
            if !redeemed {
                tokens = server.redeem(&code).await.1;
            }
            assert!(server.is_active(text(&tokens, "access_token")).await, "{redeemed}: {tokens}");
        }
    }
);

// RFC 7636 §4.6, RFC 6749 §4.1.3; RFC 9700 §2.1.1
both!(
    async fn a_wrong_verifier_or_redirect_uri_neither_burns_nor_revokes(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        let redirect = ("redirect_uri", "http://localhost:4200/cb");
        let code = code_with(&server, &[PKCE[0], PKCE[1], redirect]).await;
        let right = [("code_verifier", VERIFIER), redirect];
        let (long, other) = ("a".repeat(129), "b".repeat(43));
        let wrong: &[(&[(&str, &str)], &str)] = &[
            (&[redirect], "code_verifier is missing"),
            (&[redirect, ("code_verifier", "")], "code_verifier is missing"),
            (&[redirect, ("code_verifier", &other)], "does not fit"),
            // What the method `plain` would accept.
            (&[redirect, ("code_verifier", CHALLENGE)], "does not fit"),
            (&[redirect, ("code_verifier", &VERIFIER[..42])], "43 to 128"),
            (&[redirect, ("code_verifier", &long)], "43 to 128"),
            (&[redirect, ("code_verifier", "dBjftJeZ4CVP+mB92K27uhbUJU1p1r/wW1gFWFOEjXk")], "43 to 128"),
            (&[right[0], ("redirect_uri", "http://localhost:4200/cb/")], "redirect_uri is not"),
            (&[right[0], ("redirect_uri", "http://LOCALHOST:4200/cb")], "redirect_uri is not"),
        ];
        for (form, words) in wrong {
            assert_refused(&redeem_with(&server, &code, form).await, 400, "invalid_grant", words);
        }
        let (status, tokens) = redeem_with(&server, &code, &right).await;
        assert_eq!(status, 200, "{tokens}");
        for (form, words) in wrong {
            assert_refused(&redeem_with(&server, &code, form).await, 400, "invalid_grant", words);
        }
        assert!(server.is_active(text(&tokens, "access_token")).await);
    }
);

// RFC 9700 §4.8.2: a challenge that an attacker took away shows by the verifier that is left.
both!(
    async fn a_verifier_without_a_challenge_is_refused(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        let code = server.code("openid").await;
        let answer = redeem_with(&server, &code, &[("code_verifier", VERIFIER)]).await;
        assert_refused(&answer, 400, "invalid_grant", "no code_challenge");
        assert_eq!(server.redeem(&code).await.0, 200);
    }
);

// RFC 6749 §4.1.3; where a verifier binds the code, or outside OpenID Connect, it may be left out, as Aidbox's examples do.
both!(
    async fn a_redirect_uri_that_was_sent_is_repeated(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        let redirect = ("redirect_uri", "http://localhost:4200/cb");
        let code = code_with(&server, &[redirect, ("scope", "openid")]).await;
        for form in [&[][..], &[("redirect_uri", "")]] {
            assert_refused(&redeem_with(&server, &code, form).await, 400, "invalid_grant", "redirect_uri is missing");
        }
        assert_eq!(redeem_with(&server, &code, &[redirect]).await.0, 200);
    }
);

both!(
    async fn a_redirect_uri_that_was_not_sent_need_not_be_repeated(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        let code = server.code("openid").await;
        let other = [("redirect_uri", "http://localhost:4200/other")];
        assert_refused(&redeem_with(&server, &code, &other).await, 400, "invalid_grant", "redirect_uri is not");
        assert_eq!(server.redeem(&code).await.0, 200);
        let code = server.code("openid").await;
        assert_eq!(redeem_with(&server, &code, &[("redirect_uri", "http://localhost:4200/cb")]).await.0, 200);
    }
);

both!(
    async fn what_only_looks_like_a_code_is_none(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        let tokens = server.tokens("openid").await;
        let code = server.code("openid").await;
        let flipped = if code.ends_with('A') { "E" } else { "A" };
        let guesses = [
            "x".to_owned(),
            code[..code.len() - 1].to_owned(),
            format!("{}{flipped}", &code[..code.len() - 1]),
            format!("{code}A"),
            format!("{code}="),
            format!(" {code}"),
            code.replace("cs_ac_", "cs_at_"),
            code.to_uppercase(),
            text(&tokens, "access_token").to_owned(),
            text(&tokens, "access_token").replace("cs_at_", "cs_ac_"),
            text(&tokens, "refresh_token").replace("cs_rt_", "cs_ac_"),
        ];
        for guess in &guesses {
            assert_refused(&server.redeem(guess).await, 400, "invalid_grant", "no such code");
        }
        assert_refused(&server.redeem("").await, 400, "invalid_request", "code is missing");
        assert_eq!(server.redeem(&code).await.0, 200);
        assert!(server.is_active(text(&tokens, "access_token")).await);
    }
);

both!(
    async fn a_code_is_worth_nothing_once_user_or_client_are_off(server: Server) {
        server.web_app(json!({})).await;
        let alice = server.alice().await;
        let code = server.code("openid").await;
        server.patch("/User/alice", json!({"inactive": true})).await;
        assert_refused(&server.redeem(&code).await, 400, "invalid_grant", "User is inactive");
        server.patch("/User/alice", json!({"inactive": null})).await;
        assert_eq!(server.redeem(&code).await.0, 400, "a refused code stays refused");

        let code = server.code("openid").await;
        server.patch("/User/alice", json!({"password": "another password"})).await;
        assert_eq!(server.redeem(&code).await.1["error"], "invalid_grant", "a changed password");
        server.patch("/User/alice", json!({"password": "correct-horse-battery"})).await;

        let code = server.code("openid").await;
        server.patch("/Client/web-app", json!({"active": false})).await;
        assert_refused(&server.redeem(&code).await, 401, "invalid_client", "unknown client");
        server.patch("/Client/web-app", json!({"active": true, "grant_types": ["password"]})).await;
        assert_refused(&server.redeem(&code).await, 400, "unauthorized_client", "authorization_code");
        server.patch("/Client/web-app", json!({"grant_types": ["code"]})).await;
        server.delete("/User/alice").await;
        assert_eq!(server.redeem(&code).await.1["error"], "invalid_grant", "a deleted user: {alice}");
    }
);

both!(
    async fn a_new_client_of_an_old_name_does_not_inherit_codes(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        let code = server.code("openid").await;
        server.delete("/Client/web-app").await;
        assert_refused(&server.redeem(&code).await, 401, "invalid_client", "unknown client");
        server.web_app(json!({})).await;
        assert_refused(&server.redeem(&code).await, 400, "invalid_grant", "no such code");
    }
);

both!(
    async fn the_document_says_whether_there_is_a_refresh_token(server: Server) {
        server.alice().await;
        let cases = [
            (json!(true), "openid", true),
            (json!(false), "openid offline_access", false),
            (json!(null), "openid", false),
            (json!(null), "openid offline_access", true),
            (json!(null), "openid offline-access offline", false),
            (json!(null), "openid OFFLINE_ACCESS", false),
        ];
        for (setting, scope, expected) in cases {
            server.web_app(json!({"auth": {"authorization_code": {"refresh_token": setting}}})).await;
            let tokens = server.tokens(scope).await;
            assert_eq!(tokens.get("refresh_token").is_some(), expected, "{setting} {scope}");
        }
    }
);

both!(
    async fn a_public_client_redeems_with_its_verifier_alone(server: Server) {
        server.spa(json!({})).await;
        server.alice().await;
        let query = [("response_type", "code"), ("client_id", "spa"), ("scope", "openid"), PKCE[0], PKCE[1]];
        let code = server.sign_in_and_consent(&server.browser(), &query).await.expect("code");
        let form = [("grant_type", "authorization_code"), ("code", &code), ("client_id", "spa")];
        let answer = server.post_form("/oauth2/token", None, &form).await;
        assert_refused(&answer, 400, "invalid_grant", "code_verifier is missing");
        let form: Vec<_> = form.iter().copied().chain([("code_verifier", VERIFIER)]).collect();
        let (status, tokens) = server.post_form("/oauth2/token", None, &form).await;
        assert_eq!(status, 200, "{tokens}");
        let form = [("grant_type", "refresh_token"), ("client_id", "spa")];
        let form: Vec<_> = form.into_iter().chain([("refresh_token", text(&tokens, "refresh_token"))]).collect();
        assert_eq!(server.post_form("/oauth2/token", None, &form).await.0, 200);
    }
);

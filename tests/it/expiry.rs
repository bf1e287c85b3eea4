//! Rows that have expired go away by themselves, in small batches, and nothing else does.

use serde_json::{Value, json};

use crate::support::{Database, Server, assert_refused, both, text};

/// Removes all that has expired and answers how many rows went.
async fn sweep(server: &Server) -> u64 {
    let mut all = 0;
    loop {
        let removed = server.instance.store.sweep(server.instance.clock.now(), 500).await.unwrap();
        all += removed;
        if removed == 0 {
            return all;
        }
    }
}

/// How many sessions there are, logins among them.
async fn sessions(server: &Server) -> u64 {
    let found: Value = server.admin("GET", "/Session").send().await.unwrap().json().await.unwrap();
    found["total"].as_u64().unwrap_or_else(|| panic!("{found}"))
}

fn flow(settings: &Value) -> Value {
    json!({"auth": {"authorization_code": settings}})
}

both!(
    async fn a_token_goes_when_it_has_expired_and_not_before(server: Server) {
        server.web_app(json!({"auth": {"client_credentials": {"access_token_expiration": 100}}})).await;
        let early = server.client_tokens(&[]).await;
        server.wait(60);
        let late = server.client_tokens(&[]).await;
        assert_eq!((sweep(&server).await, sessions(&server).await), (0, 2));
        assert!(server.is_active(text(&early, "access_token")).await);
        server.wait(50);
        assert_eq!((sweep(&server).await, sessions(&server).await), (1, 1));
        assert!(!server.is_active(text(&early, "access_token")).await);
        assert!(server.is_active(text(&late, "access_token")).await);
        server.wait(60);
        assert_eq!((sweep(&server).await, sessions(&server).await), (1, 0));
    }
);

// The access token that came beside a code is the root of the family of that code's tokens.
both!(
    async fn a_token_of_the_browser_that_has_expired_stays_for_those_of_its_code(server: Server) {
        let server = server.allowing_implicit().await;
        server
            .web_app(
                json!({"first_party": true, "grant_types": ["code", "implicit"], "response_types": ["code token"]}),
            )
            .await;
        server.alice().await;
        let browser = server.signed_in().await;
        let query = [("response_type", "code token"), ("client_id", "web-app"), ("scope", "openid")];
        let returned = server.authorize(&browser, &query).await.returned();
        let tokens = server.redeemed(&returned.expect("code")).await;
        server.wait(86_400);
        sweep(&server).await;
        assert!(!server.is_active(&returned.expect("access_token")).await);
        server.refreshed(text(&tokens, "refresh_token")).await;
    }
);

both!(
    async fn a_batch_is_as_small_as_asked_and_the_rest_goes_with_the_next(server: Server) {
        server.web_app(json!({"auth": {"client_credentials": {"access_token_expiration": 100}}})).await;
        for _ in 0..5 {
            server.client_tokens(&[]).await;
        }
        server.wait(101);
        let now = server.instance.clock.now();
        for left in [3, 1, 0, 0] {
            server.instance.store.sweep(now, 2).await.unwrap();
            assert_eq!(sessions(&server).await, left);
        }
    }
);

// The root says whether the family has ended: without it nothing would be live, or nothing could be ended.
both!(
    async fn the_root_of_a_living_family_stays(server: Server) {
        server.web_app(flow(&json!({"access_token_expiration": 50, "refresh_token_expiration": 100}))).await;
        server.alice().await;
        let first = server.tokens("openid").await;
        let mut tokens = first.clone();
        for _ in 0..6 {
            server.wait(90);
            tokens = server.refreshed(text(&tokens, "refresh_token")).await;
            sweep(&server).await;
            assert!(server.is_active(text(&tokens, "access_token")).await);
        }
        // And the family can still be ended as a whole.
        let basic = Some(("web-app", "client-secret"));
        server.post_form("/oauth2/revoke", basic, &[("token", text(&tokens, "refresh_token"))]).await;
        assert!(!server.is_active(text(&tokens, "access_token")).await);
        sweep(&server).await;
        assert!(!server.is_active(text(&tokens, "access_token")).await);
        assert_refused(&server.refresh(text(&tokens, "refresh_token")).await, 400, "invalid_grant", "");
        // Once the last of it has expired, all of it goes; the login lives on.
        server.wait(101);
        sweep(&server).await;
        assert_eq!(sessions(&server).await, 1);
    }
);

both!(
    async fn many_expired_roots_of_living_families_do_not_keep_others_from_going(server: Server) {
        server.web_app(flow(&json!({"access_token_expiration": 50, "refresh_token_expiration": 100}))).await;
        server.alice().await;
        let mut living = Vec::new();
        for _ in 0..3 {
            living.push(server.tokens("openid").await);
        }
        server.client_tokens(&[]).await;
        server.wait(90);
        for tokens in &mut living {
            *tokens = server.refreshed(text(tokens, "refresh_token")).await;
        }
        let before = sessions(&server).await;
        server.wait(60);
        let now = server.instance.clock.now();
        for _ in 0..10 {
            server.instance.store.sweep(now, 1).await.unwrap();
        }
        assert!(sessions(&server).await <= before, "{before}");
        for tokens in &living {
            server.refreshed(text(tokens, "refresh_token")).await;
        }
    }
);

// First party: the tokens share the browser's login, and end with it, but not because it was idle and swept away.
both!(
    async fn the_login_that_first_party_tokens_share_stays(server: Server) {
        server.web_app(json!({"first_party": true})).await;
        server.alice().await;
        let tokens = server.tokens("openid").await;
        server.wait(365 * 86_400);
        sweep(&server).await;
        let tokens = server.refreshed(text(&tokens, "refresh_token")).await;
        assert!(server.is_active(text(&tokens, "access_token")).await);
    }
);

// Ten minutes are the longest that a code may live (RFC 6749 §4.1.2), and as long is its replay recognised.
both!(
    async fn a_spent_code_is_remembered_for_ten_minutes(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        let code = server.code("openid").await;
        let (_, tokens) = server.redeem(&code).await;
        server.code("openid").await;
        server.wait(600);
        assert_eq!(sweep(&server).await, 0);
        assert_refused(&server.redeem(&code).await, 400, "invalid_grant", "used before");
        assert!(!server.is_active(text(&tokens, "access_token")).await);
        server.wait(61);
        assert_eq!(sweep(&server).await, 2, "the spent one and the one that was never redeemed");
        assert_refused(&server.redeem(&code).await, 400, "invalid_grant", "no such code");
    }
);

both!(
    async fn a_revoked_jwt_stays_revoked_until_it_expires(server: Server) {
        let settings = json!({"token_format": "jwt", "access_token_expiration": 100});
        server.web_app(json!({"auth": {"client_credentials": settings}})).await;
        let tokens = server.client_tokens(&[]).await;
        let basic = Some(("web-app", "client-secret"));
        server.post_form("/oauth2/revoke", basic, &[("token", text(&tokens, "access_token"))]).await;
        server.wait(80);
        assert_eq!(sweep(&server).await, 0);
        assert!(!server.is_active(text(&tokens, "access_token")).await);
        server.wait(25);
        assert_eq!(sweep(&server).await, 1);
        assert!(!server.is_active(text(&tokens, "access_token")).await);
    }
);

// The reuse of a spent refresh token must be recognised; for ninety days, then it is simply unknown.
both!(
    async fn a_spent_refresh_token_is_remembered_for_ninety_days(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        for (days, words) in [(89, "used before"), (91, "")] {
            let first = server.tokens("openid").await;
            let middle = server.refreshed(text(&first, "refresh_token")).await;
            let last = server.refreshed(text(&middle, "refresh_token")).await;
            server.wait(days * 86_400);
            sweep(&server).await;
            let answer = server.refresh(text(&middle, "refresh_token")).await;
            assert_refused(&answer, 400, "invalid_grant", words);
            assert_eq!(server.refresh(text(&last, "refresh_token")).await.0 == 200, days > 90, "{days}");
        }
    }
);

both!(
    async fn failed_sign_ins_are_forgotten_in_time_and_not_before(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        let form = |password| [("grant_type", "password"), ("username", "alice"), ("password", password)];
        for _ in 0..10 {
            server.wait(17);
            assert_refused(&server.token(&form("wrong")).await, 400, "invalid_grant", "wrong");
        }
        assert_eq!(sweep(&server).await, 0);
        let answer = server.token(&form("correct-horse-battery")).await;
        assert_refused(&answer, 400, "invalid_grant", "too many");
        server.wait(3_700);
        assert!(sweep(&server).await >= 3);
        assert_eq!(server.token(&form("correct-horse-battery")).await.0, 200);
    }
);

both!(
    async fn documents_keys_and_what_does_not_expire_stay(server: Server) {
        server.web_app(json!({"auth": {"client_credentials": {"token_format": "jwt"}}})).await;
        server.alice().await;
        let tokens = server.tokens("openid").await;
        let code = server.code("openid").await;
        let keys = async || -> Value {
            server.http.get(server.url("/.well-known/jwks.json")).send().await.unwrap().json().await.unwrap()
        };
        let before = keys().await;
        server.wait(20 * 365 * 86_400);
        assert!(sweep(&server).await > 0);
        assert_eq!(keys().await, before);
        for path in ["/Client/web-app", "/User/alice"] {
            assert_eq!(server.admin("GET", path).send().await.unwrap().status(), 200);
        }
        let grants: Value = server.admin("GET", "/Grant").send().await.unwrap().json().await.unwrap();
        assert_eq!(grants["total"], 1);
        let own = server.client_tokens(&[]).await;
        assert!(server.is_active(text(&own, "access_token")).await);
        server.refreshed(text(&tokens, "refresh_token")).await;
        assert_refused(&server.redeem(&code).await, 400, "invalid_grant", "no such code");
    }
);

//! What a refresh looks at anew each time: user, client, grant, scope (RFC 9700 §4.14.2).

use serde_json::{Value, json};

use crate::support::{Database, Server, assert_refused, both, text};

both!(
    async fn a_refresh_ends_with_its_user(server: Server) {
        server.web_app(json!({})).await;
        for change in [json!({"inactive": true}), json!({"password": "another password"}), Value::Null] {
            server.alice().await;
            let tokens = server.tokens("openid").await;
            if change.is_null() {
                server.delete("/User/alice").await;
            } else {
                server.patch("/User/alice", change.clone()).await;
            }
            assert_refused(&server.refresh(text(&tokens, "refresh_token")).await, 400, "invalid_grant", "ended");
            assert!(!server.is_active(text(&tokens, "access_token")).await, "{change}");
            assert_eq!(server.userinfo(text(&tokens, "access_token")).await.0, 401, "{change}");
        }
        server.alice().await;
        let tokens = server.tokens("openid").await;
        server.delete("/User/alice").await;
        server.alice().await;
        let answer = server.refresh(text(&tokens, "refresh_token")).await;
        assert_refused(&answer, 400, "invalid_grant", "ended");
    }
);

both!(
    async fn a_refresh_ends_with_its_client(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        let tokens = server.tokens("openid").await;
        server.patch("/Client/web-app", json!({"active": false})).await;
        assert_refused(&server.refresh(text(&tokens, "refresh_token")).await, 401, "invalid_client", "unknown client");
        for token in ["access_token", "refresh_token"] {
            assert!(!server.is_active(text(&tokens, token)).await, "{token}");
        }
        server.delete("/Client/web-app").await;
        server.web_app(json!({})).await;
        let answer = server.refresh(text(&tokens, "refresh_token")).await;
        assert_refused(&answer, 400, "invalid_grant", "no such refresh token");
        assert!(!server.is_active(text(&tokens, "access_token")).await);
    }
);

both!(
    async fn a_refresh_ends_with_the_grant_type(server: Server) {
        server.web_app(json!({"auth": {"password": {"refresh_token": true}}})).await;
        server.alice().await;
        let by_code = server.tokens("openid").await;
        let form = [("grant_type", "password"), ("username", "alice"), ("password", "correct-horse-battery")];
        let (_, by_password) = server.token(&form).await;
        server.patch("/Client/web-app", json!({"grant_types": ["password"]})).await;
        let refused = server.refresh(text(&by_code, "refresh_token")).await;
        assert_refused(&refused, 400, "unauthorized_client", "authorization_code");
        let by_password = server.refreshed(text(&by_password, "refresh_token")).await;
        server.patch("/Client/web-app", json!({"grant_types": ["code"]})).await;
        let refused = server.refresh(text(&by_password, "refresh_token")).await;
        assert_refused(&refused, 400, "unauthorized_client", "password");
        server.patch("/Client/web-app", json!({"grant_types": ["client_credentials"]})).await;
        for tokens in [&by_code, &by_password] {
            let refused = server.refresh(text(tokens, "refresh_token")).await;
            assert_refused(&refused, 400, "unauthorized_client", "grant_types");
        }
        // Nothing was spent by it.
        server.patch("/Client/web-app", json!({"grant_types": ["code", "password"]})).await;
        for tokens in [&by_code, &by_password] {
            server.refreshed(text(tokens, "refresh_token")).await;
        }
    }
);

both!(
    async fn a_scope_that_the_document_no_longer_lists_is_gone_with_the_next_refresh(server: Server) {
        server.web_app(json!({"scope": ["openid", "email", "phone"]})).await;
        server.alice().await;
        let first = server.tokens("openid email phone offline_access").await;
        server.patch("/Client/web-app", json!({"scope": ["openid", "phone"]})).await;
        let second = server.refreshed(text(&first, "refresh_token")).await;
        let again = server.refreshed(text(&first, "refresh_token")).await;
        for tokens in [&second, &again] {
            assert_eq!(tokens["scope"], "openid phone offline_access");
            let seen = server.introspect(text(tokens, "access_token")).await;
            assert_eq!(seen["scope"], "openid phone offline_access");
            assert!(server.userinfo(text(tokens, "access_token")).await.1.get("email").is_none());
        }
    }
);

both!(
    async fn administration_is_gone_when_the_person_is_no_administrator_any_more(server: Server) {
        server.web_app(json!({"scope": ["openid", "admin"]})).await;
        server.alice().await;
        server.patch("/User/alice", json!({"roles": [{"value": "admin"}]})).await;
        let first = server.tokens("openid admin").await;
        assert_eq!(first["scope"], "openid admin");
        server.patch("/User/alice", json!({"roles": []})).await;
        let second = server.refreshed(text(&first, "refresh_token")).await;
        assert_eq!(second["scope"], "openid");
        assert_eq!(server.introspect(text(&second, "access_token")).await["scope"], "openid");
        for tokens in [&first, &second] {
            let request = server.http.get(server.url("/Client/web-app")).bearer_auth(text(tokens, "access_token"));
            assert_eq!(request.send().await.unwrap().status(), 403);
        }
        let asked = [("grant_type", "refresh_token"), ("refresh_token", text(&second, "refresh_token"))];
        let (status, third) = server.token(&[asked[0], asked[1], ("scope", "admin")]).await;
        assert!(status == 400 || third.get("scope").is_none(), "{third}");
    }
);

// Core §12.2
both!(
    async fn a_refresh_without_openid_has_no_id_token(server: Server) {
        server.web_app(json!({"scope": ["openid", "profile"], "first_party": false})).await;
        server.alice().await;
        let tokens = server.tokens("openid profile").await;
        let narrowed = |token: String| {
            let server = &server;
            async move {
                let form = [("grant_type", "refresh_token"), ("refresh_token", &token), ("scope", "profile")];
                server.token(&form).await
            }
        };
        let (status, less) = narrowed(text(&tokens, "refresh_token").to_owned()).await;
        assert_eq!((status.as_u16(), &less["scope"], less.get("id_token")), (200, &json!("profile"), None));
        assert_eq!(server.userinfo(text(&less, "access_token")).await.0, 403, "it lacks the scope openid");
        // The grant has it still.
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", text(&less, "refresh_token")),
            ("scope", "openid profile"),
        ];
        let (_, whole) = server.token(&form).await;
        assert!(whole["id_token"].is_string(), "{whole}");
        // A client that has lost the scope meanwhile gets none either, from a code or a refresh.
        let code = server.code("openid profile").await;
        server.patch("/Client/web-app", json!({"scope": ["profile"]})).await;
        assert_eq!(server.redeemed(&code).await.get("id_token"), None);
        assert_eq!(server.refreshed(text(&whole, "refresh_token")).await.get("id_token"), None);
    }
);

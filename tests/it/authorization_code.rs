//! The code flow (RFC 6749 §4.1).

use serde_json::json;

use crate::support::{Database, Server, both};

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

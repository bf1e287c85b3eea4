//! The client credentials grant (RFC 6749 §4.4).

use serde_json::{Value, json};

use crate::support::{Database, Server, assert_refused, both, jwt, text};

fn flow(settings: &Value) -> Value {
    json!({"auth": {"client_credentials": settings}})
}

both!(
    async fn a_client_gets_a_token_for_itself(server: Server) {
        server.web_app(flow(&json!({"access_token_expiration": 360}))).await;
        let tokens = server.client_tokens(&[("scope", "system/*.read")]).await;
        assert!(text(&tokens, "access_token").starts_with("cs_at_"));
        assert_eq!((&tokens["expires_in"], &tokens["scope"]), (&json!(360), &json!("system/*.read")));
        let seen = server.introspect(text(&tokens, "access_token")).await;
        assert_eq!([text(&seen, "sub"), text(&seen, "client_id")], ["web-app", "web-app"]);
        assert_eq!(seen["aud"], server.issuer());
        assert!(seen.get("username").is_none() && seen.get("auth_time").is_none(), "{seen}");
    }
);

// RFC 9068 §2.2, §2.2.1
both!(
    async fn its_jwt_names_the_client_and_no_sign_in(server: Server) {
        server.web_app(flow(&json!({"token_format": "jwt"}))).await;
        let tokens = server.client_tokens(&[("scope", "a"), ("audience", "https://api.example")]).await;
        let (header, claims) = jwt(text(&tokens, "access_token"));
        assert_eq!((&header["typ"], &header["alg"]), (&json!("at+jwt"), &json!("RS256")));
        assert_eq!(
            [text(&claims, "sub"), text(&claims, "client_id"), text(&claims, "scope")],
            ["web-app", "web-app", "a"]
        );
        assert_eq!([text(&claims, "iss"), text(&claims, "aud")], [server.issuer(), "https://api.example"]);
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);
        assert!(claims["jti"].is_string() && claims.get("auth_time").is_none(), "{claims}");
        let seen = server.introspect(text(&tokens, "access_token")).await;
        for claim in ["sub", "client_id", "scope", "iss", "aud", "exp", "iat", "jti"] {
            assert_eq!(seen[claim], claims[claim], "{claim}");
        }
    }
);

both!(
    async fn the_audience_is_one_that_the_document_names(server: Server) {
        let audience = async |requested: Option<&str>| {
            let form: Vec<_> = requested.iter().map(|audience| ("audience", *audience)).collect();
            let tokens = server.client_tokens(&form).await;
            server.introspect(text(&tokens, "access_token")).await["aud"].clone()
        };
        for format in [json!(null), json!("jwt")] {
            server.web_app(flow(&json!({"token_format": format}))).await;
            assert_eq!(audience(None).await, server.issuer());
            assert_eq!(audience(Some("https://any.example")).await, "https://any.example");
            server
                .web_app(flow(&json!({"token_format": format, "audience": ["https://a.example", "https://b.example"]})))
                .await;
            assert_eq!(audience(None).await, json!(["https://a.example", "https://b.example"]));
            assert_eq!(audience(Some("https://b.example")).await, "https://b.example");
            for wrong in
                ["https://c.example", "https://a.example/", "https://a.example https://b.example", server.issuer()]
            {
                let answer = server.token(&[("grant_type", "client_credentials"), ("audience", wrong)]).await;
                assert_refused(&answer, 400, "invalid_target", "audience");
            }
        }
    }
);

// RFC 6749 §4.4.3: a refresh token should not be included. It is nobody's sign-in, so there is no ID token either.
both!(
    async fn there_is_no_refresh_token_no_id_token_and_no_userinfo(server: Server) {
        let change = json!({"first_party": true, "auth": {"client_credentials": {"refresh_token": true}}});
        server.web_app(change).await;
        let tokens = server.client_tokens(&[("scope", "openid offline_access profile")]).await;
        for member in ["refresh_token", "id_token", "userinfo"] {
            assert!(tokens.get(member).is_none(), "{tokens}");
        }
        let answer = server.userinfo(text(&tokens, "access_token")).await;
        assert_refused(&answer, 403, "insufficient_scope", "not for a person");
    }
);

both!(
    async fn only_clients_that_list_the_grant_have_it(server: Server) {
        server.web_app(json!({"grant_types": ["code", "password", "basic"]})).await;
        let answer = server.token(&[("grant_type", "client_credentials")]).await;
        assert_refused(&answer, 400, "unauthorized_client", "client_credentials");
        // A document of 2018 lists none and means those of its day.
        server.web_app(json!({"grant_types": null})).await;
        server.client_tokens(&[]).await;
        server.web_app(json!({"grant_types": []})).await;
        assert_refused(&server.token(&[("grant_type", "client_credentials")]).await, 400, "unauthorized_client", "");
    }
);

both!(
    async fn a_token_ends_by_expiry_by_revocation_and_with_its_client(server: Server) {
        for format in [json!(null), json!("jwt")] {
            let document = flow(&json!({"token_format": format, "access_token_expiration": 100}));
            server.web_app(document.clone()).await;
            let issue = async || text(&server.client_tokens(&[]).await, "access_token").to_owned();
            let (expiring, revoked, other) = (issue().await, issue().await, issue().await);
            let basic = Some(("web-app", "client-secret"));
            assert_eq!(server.post_form("/oauth2/revoke", basic, &[("token", &revoked)]).await.0, 200);
            assert!(
                !server.is_active(&revoked).await
                    && server.is_active(&other).await
                    && server.is_active(&expiring).await
            );
            server.wait(101);
            assert!(!server.is_active(&expiring).await && !server.is_active(&other).await);

            let token = issue().await;
            server.patch("/Client/web-app", json!({"active": false})).await;
            assert!(!server.is_active(&token).await, "{format}: the client is off");
            server.patch("/Client/web-app", json!({"active": true})).await;
            let token = issue().await;
            server.delete("/Client/web-app").await;
            assert!(!server.is_active(&token).await, "{format}: the client is gone");
            server.web_app(document).await;
            assert!(!server.is_active(&token).await, "{format}: another client of the same name");
        }
    }
);

both!(
    async fn administration_must_stand_in_the_document(server: Server) {
        for format in [json!(null), json!("jwt")] {
            let mut document = flow(&json!({"token_format": format}));
            document["scope"] = json!(["admin"]);
            server.web_app(document).await;
            let tokens = server.client_tokens(&[("scope", "admin")]).await;
            let plain = server.client_tokens(&[]).await;
            let read = async |tokens: &Value| {
                let request = server.http.get(server.url("/Client/web-app")).bearer_auth(text(tokens, "access_token"));
                request.send().await.unwrap().status().as_u16()
            };
            assert_eq!((read(&tokens).await, read(&plain).await), (200, 403));
            server.patch("/Client/web-app", json!({"scope": ["other"]})).await;
            assert_eq!(read(&tokens).await, 403);
        }
    }
);

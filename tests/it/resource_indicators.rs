//! Resource indicators for OAuth 2.0: RFC 8707.

use serde_json::{Value, json};

use crate::support::{Answer, Database, Server, assert_refused, both, jwt, request, text};

const A: &str = "https://a.example/mcp";
const B: &str = "https://b.example/";

async fn code(server: &Server, resources: &[&str]) -> crate::support::Query {
    let query: Vec<(&str, &str)> =
        [("scope", "openid")].into_iter().chain(resources.iter().map(|one| ("resource", *one))).collect();
    let browser = server.signed_in().await;
    server.sign_in_and_consent(&browser, &request(&query)).await
}

async fn redeem(server: &Server, code: &str, resources: &[&str]) -> Answer {
    let form: Vec<(&str, &str)> = [("grant_type", "authorization_code"), ("code", code)]
        .into_iter()
        .chain(resources.iter().map(|one| ("resource", *one)))
        .collect();
    server.token(&form).await
}

async fn refresh(server: &Server, tokens: &Value, resources: &[&str]) -> Answer {
    let form = [("grant_type", "refresh_token"), ("refresh_token", text(tokens, "refresh_token"))];
    let form: Vec<(&str, &str)> = form.into_iter().chain(resources.iter().map(|one| ("resource", *one))).collect();
    server.token(&form).await
}

both!(
    // §2.1, §2.2
    async fn the_resources_of_the_request_are_the_audience_of_the_token(server: Server) {
        server.alice().await;
        server.web_app(json!({"auth": {"authorization_code": {"token_format": "jwt"}}})).await;
        let audience = |tokens: &Value| jwt(text(tokens, "access_token")).1["aud"].clone();
        let one = redeem(&server, &code(&server, &[A]).await.expect("code"), &[]).await.1;
        assert_eq!(audience(&one), A);
        assert_eq!(audience(&refresh(&server, &one, &[A]).await.1), A);
        let two = redeem(&server, &code(&server, &[B, A]).await.expect("code"), &[]).await.1;
        assert_eq!(audience(&two), json!([A, B]));
        let narrowed = redeem(&server, &code(&server, &[A, B]).await.expect("code"), &[B]).await.1;
        assert_eq!(audience(&narrowed), B);
        let two = refresh(&server, &two, &[B]).await.1;
        assert_eq!(audience(&two), B);
        assert_eq!(audience(&refresh(&server, &two, &[]).await.1), B, "from then on");
        assert_eq!(server.introspect(text(&two, "access_token")).await["aud"], B);
        let none = redeem(&server, &code(&server, &[]).await.expect("code"), &[]).await.1;
        assert_eq!(audience(&none), server.issuer());
        // The ID token is for the client, whatever the access token is for.
        assert_eq!(jwt(text(&one, "id_token")).1["aud"], "web-app");
        let own = server.client_tokens(&[("resource", A), ("resource", B)]).await;
        assert_eq!(server.introspect(text(&own, "access_token")).await["aud"], json!([A, B]));
    }
);

both!(
    // §2: invalid_target
    async fn what_is_no_resource_or_was_not_granted_is_refused(server: Server) {
        server.alice().await;
        server.web_app(json!({})).await;
        for wrong in ["relative/path", "https://a.example/#fragment", "https://a.example/ space", "nonsense"] {
            assert_eq!(code(&server, &[wrong]).await.expect("error"), "invalid_target", "{wrong}");
        }
        let granted = code(&server, &[A]).await.expect("code");
        assert_refused(&redeem(&server, &granted, &[B]).await, 400, "invalid_target", "not granted");
        let (status, tokens) = redeem(&server, &granted, &[A]).await;
        assert_eq!(status, 200, "the code was not burnt: {tokens}");
        assert_refused(&refresh(&server, &tokens, &[B]).await, 400, "invalid_target", "not granted");
        assert_eq!(refresh(&server, &tokens, &[A]).await.0, 200);
        // Other parameters must still occur once.
        let twice = [("grant_type", "client_credentials"), ("scope", "a"), ("scope", "a")];
        assert_refused(&server.token(&twice).await, 400, "invalid_request", "scope");
    }
);

both!(
    async fn a_client_whose_document_names_audiences_may_name_those(server: Server) {
        server.alice().await;
        server.web_app(json!({"audience": [A]})).await;
        assert!(code(&server, &[A]).await.get("code").is_some());
        assert_eq!(code(&server, &[B]).await.expect("error"), "invalid_target");
        let form = [("grant_type", "client_credentials"), ("resource", B)];
        assert_refused(&server.token(&form).await, 400, "invalid_target", "audiences");
    }
);

both!(
    async fn the_person_sees_for_what_the_access_is(server: Server) {
        server.alice().await;
        server.web_app(json!({})).await;
        let browser = server.signed_in().await;
        let page = server.authorize(&browser, &request(&[("scope", "openid"), ("resource", A)])).await;
        assert!(page.is_consent() && page.text("#resources").contains("a.example"), "{page:?}");
    }
);

both!(
    // §3: the person is asked for what the access is
    async fn consent_to_one_resource_is_none_to_another(server: Server) {
        server.alice().await;
        server.web_app(json!({})).await;
        let browser = server.signed_in().await;
        let asked = async |resources: &[&str]| {
            let query: Vec<(&str, &str)> =
                [("scope", "openid")].into_iter().chain(resources.iter().map(|one| ("resource", *one))).collect();
            server.authorize(&browser, &request(&query)).await
        };
        browser.consent(&asked(&[A]).await, "approve").await.returned().expect("code");
        asked(&[A]).await.returned().expect("code");
        for resources in [&[B][..], &[A, B]] {
            assert!(asked(resources).await.is_consent(), "{resources:?}");
        }
        let silent = request(&[("scope", "openid"), ("resource", B), ("prompt", "none")]);
        assert_eq!(server.authorize(&browser, &silent).await.returned().expect("error"), "consent_required");
        browser.consent(&asked(&[B]).await, "approve").await.returned().expect("code");
        asked(&[A, B]).await.returned().expect("code");
        // Those of the client's document are the administrator's word.
        server.web_app(json!({"audience": ["https://c.example/"]})).await;
        asked(&["https://c.example/"]).await.returned().expect("code");
    }
);

both!(
    // §2.2
    async fn a_code_for_no_resource_becomes_no_token_for_one(server: Server) {
        server.alice().await;
        server.web_app(json!({})).await;
        let granted = code(&server, &[]).await.expect("code");
        assert_refused(&redeem(&server, &granted, &[A]).await, 400, "invalid_target", "not granted");
        let (status, tokens) = redeem(&server, &granted, &[]).await;
        assert_eq!(status, 200, "{tokens}");
        assert_refused(&refresh(&server, &tokens, &[A]).await, 400, "invalid_target", "not granted");
    }
);

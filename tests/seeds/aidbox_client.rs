//! Aidbox's documentation page "Authorization Code Grant", as it stands today: a client `webapp` in YAML with its comments, for
//! JWT access tokens of six minutes and refresh tokens of 24 hours, and the meaning of each of its settings.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{Browser, Database, Server, both};

/// "The first step is to configure Client": the body of `PUT /Client/webapp`, to the byte.
const CLIENT: &str = "secret: verysecret
first_party: true
grant_types:
  - code
auth:
  authorization_code:
    redirect_uri: 'http://myapp.app'
    access_token_expiration: 360 # 6 minutes
    token_format: jwt
    secret_required: true
    refresh_token: true
    refresh_token_expiration: 86400 # 24 hours
";

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const YEAR: i64 = 365 * 24 * HOUR;
const WEBAPP: Option<(&str, &str)> = Some(("webapp", "verysecret"));
const REQUEST: [(&str, &str); 2] = [("response_type", "code"), ("client_id", "webapp")];

/// `PUT /Client/webapp` with the headers of the page.
async fn put(server: &Server, yaml: &'static str) -> reqwest::Response {
    let request = server.admin("PUT", "/Client/webapp").header("Accept", "text/yaml");
    request.header("Content-Type", "text/yaml").body(yaml).send().await.unwrap()
}

async fn configure(server: &Server, yaml: &'static str) {
    server.alice().await;
    let response = put(server, yaml).await;
    assert!(response.status().is_success(), "{}", response.text().await.unwrap());
}

async fn code(server: &Server, browser: &Browser) -> String {
    server.sign_in_and_consent(browser, &REQUEST).await.expect("code")
}

async fn redeem(server: &Server, basic: Option<(&str, &str)>, code: &str) -> (StatusCode, Value) {
    server.post_form("/oauth2/token", basic, &[("grant_type", "authorization_code"), ("code", code)]).await
}

async fn tokens(server: &Server) -> Value {
    let (status, tokens) = redeem(server, WEBAPP, &code(server, &server.browser()).await).await;
    assert_eq!(status, 200, "{tokens}");
    tokens
}

/// Refreshes, and answers the token of the next refresh.
async fn refresh(server: &Server, token: &str) -> Result<String, Value> {
    let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
    match server.post_form("/oauth2/token", WEBAPP, &form).await {
        (StatusCode::OK, tokens) => Ok(tokens["refresh_token"].as_str().unwrap().to_owned()),
        (_, refused) => Err(refused),
    }
}

fn text<'a>(tokens: &'a Value, name: &str) -> &'a str {
    tokens[name].as_str().unwrap_or_else(|| panic!("no {name}: {tokens}"))
}

both!(
    async fn the_document_is_taken_as_it_is_written_and_shown_in_yaml(server: Server) {
        for status in [201, 200] {
            let response = put(&server, CLIENT).await;
            assert_eq!(response.status(), status);
            assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/yaml"));
            let answer = response.text().await.unwrap();
            let mut shown: Value = serde_saphyr::from_str(&answer).unwrap();
            assert_eq!(shown["resourceType"], "Client");
            assert_eq!(shown["id"], "webapp");
            let mut written: Value = serde_saphyr::from_str(CLIENT).unwrap();
            written["secret"] = "********".into();
            for name in ["resourceType", "id", "meta"] {
                shown.as_object_mut().unwrap().remove(name);
            }
            assert_eq!(shown, written, "{answer}");
        }
    }
);

both!(
    async fn a_first_party_application_gets_its_code_without_consent_and_a_jwt_for_six_minutes(server: Server) {
        configure(&server, CLIENT).await;
        let browser = server.browser();
        let page = server.authorize(&browser, &REQUEST).await;
        let page = browser.sign_in(&page, "Alice", "correct-horse-battery").await;
        let returned = browser.follow(page).await.returned();
        assert_eq!(returned.uri, "http://myapp.app");
        let (status, tokens) = redeem(&server, WEBAPP, &returned.expect("code")).await;
        assert_eq!(status, 200, "{tokens}");
        assert_eq!(tokens["expires_in"], 360);
        assert_eq!(tokens["userinfo"]["id"], "alice");

        let access = text(&tokens, "access_token");
        let part = |index: usize| -> Value {
            serde_json::from_slice(&B64.decode(access.split('.').nth(index).expect("a JWT")).unwrap()).unwrap()
        };
        assert_eq!(part(0)["typ"], "at+jwt");
        let claims = part(1);
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 360);
        assert_eq!((&claims["sub"], &claims["client_id"]), (&json!("alice"), &json!("webapp")));

        let userinfo = |token: String| server.http.get(server.url("/oauth2/userinfo")).bearer_auth(token).send();
        server.wait(6 * MINUTE - 10);
        assert!(server.is_active(access).await);
        assert_ne!(userinfo(access.to_owned()).await.unwrap().status(), 401);
        server.wait(10);
        assert!(!server.is_active(access).await);
        assert_eq!(userinfo(access.to_owned()).await.unwrap().status(), 401);
    }
);

both!(
    async fn the_code_is_short_lived_and_works_once(server: Server) {
        configure(&server, CLIENT).await;
        let browser = server.browser();
        let spent = code(&server, &browser).await;
        assert_eq!(redeem(&server, WEBAPP, &spent).await.0, 200);
        let old = code(&server, &browser).await;
        server.wait(MINUTE);
        for code in [spent, old] {
            let (status, refused) = redeem(&server, WEBAPP, &code).await;
            assert_eq!((status.as_u16(), &refused["error"]), (400, &json!("invalid_grant")), "{refused}");
        }
    }
);

both!(
    async fn the_secret_is_required(server: Server) {
        configure(&server, CLIENT).await;
        let code = code(&server, &server.browser()).await;
        let form = [("grant_type", "authorization_code"), ("code", &code), ("client_id", "webapp")];
        for (basic, form) in [(None, &form[..]), (Some(("webapp", "wrong")), &form[..2])] {
            let (status, refused) = server.post_form("/oauth2/token", basic, form).await;
            assert_eq!((status.as_u16(), &refused["error"]), (401, &json!("invalid_client")), "{refused}");
        }
        assert_eq!(redeem(&server, WEBAPP, &code).await.0, 200);
    }
);

both!(
    async fn a_refresh_token_lives_24_hours_from_issue_or_last_use(server: Server) {
        configure(&server, CLIENT).await;
        let tokens = tokens(&server).await;
        let mut token = text(&tokens, "refresh_token").to_owned();
        for _ in 0..3 {
            server.wait(24 * HOUR - MINUTE);
            token = refresh(&server, &token).await.unwrap();
        }
        server.wait(24 * HOUR);
        assert_eq!(refresh(&server, &token).await.unwrap_err()["error"], "invalid_grant");
    }
);

both!(
    async fn without_an_expiration_a_refresh_token_is_expireless(server: Server) {
        let expireless = CLIENT.strip_suffix("    refresh_token_expiration: 86400 # 24 hours\n").unwrap();
        configure(&server, expireless).await;
        let token = text(&tokens(&server).await, "refresh_token").to_owned();
        server.wait(30 * YEAR);
        refresh(&server, &token).await.unwrap();
    }
);

both!(
    async fn an_application_that_cannot_keep_a_secret_uses_pkce(server: Server) {
        let public = CLIENT.strip_prefix("secret: verysecret\n").unwrap().replace("    secret_required: true\n", "");
        configure(&server, String::leak(public)).await;
        let without = server.authorize(&server.browser(), &REQUEST).await.returned();
        assert_eq!(without.get("error"), Some("invalid_request"));
        // RFC 7636, appendix B.
        let challenge =
            [("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"), ("code_challenge_method", "S256")];
        let request = [&REQUEST[..], &challenge].concat();
        let code = server.sign_in_and_consent(&server.browser(), &request).await.expect("code");
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", "webapp"),
            ("code", code.as_str()),
            ("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
        ];
        assert_eq!(server.post_form("/oauth2/token", None, &form[..3]).await.1["error"], "invalid_grant");
        let (status, tokens) = server.post_form("/oauth2/token", None, &form).await;
        assert_eq!((status.as_u16(), &tokens["expires_in"]), (200, &json!(360)), "{tokens}");
    }
);

//! A student's notes on the authorization code grant: what the browser and the application send, step by step, to a server
//! whose endpoints are `/authorization`, `/token` and `/userinfo`.

use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::support::{Browser, Database, Page, Query, Server, both};

/// "1. Authorization request".
const AUTHORIZATION: &str = "/authorization?client_id=12345&redirect_uri=https://client-app.com/callback\
    &response_type=code&scope=openid%20profile&state=ae13d489bd00e3c24";
const STATE: Option<&str> = Some("ae13d489bd00e3c24");

/// "4. Access token request", with the code of the notes.
const TOKEN: &str = "client_id=12345&client_secret=SECRET&redirect_uri=https://client-app.com/callback\
    &grant_type=authorization_code&code=a1b2c3d4e5f6g7h8";

async fn register(server: &Server) {
    server.alice().await;
    let client = json!({
        "secret": "SECRET", "grant_types": ["code"],
        "auth": {"authorization_code": {"redirect_uri": "https://client-app.com/callback"}},
    });
    server.put("/Client/12345", client).await;
}

async fn authorization(server: &Server, browser: &Browser) -> Page {
    browser.get(&server.url(AUTHORIZATION)).await
}

/// "2. User login and consent": the person's decision, and "3. Authorization code grant", the request to `/callback`.
async fn callback(server: &Server, browser: &Browser, decision: &str) -> Query {
    let login = authorization(server, browser).await;
    let page = browser.sign_in(&login, "Alice", "correct-horse-battery").await;
    let page = browser.follow(page).await;
    browser.consent(&page, decision).await.returned()
}

async fn token(server: &Server, body: String) -> (StatusCode, Value) {
    let request = server.http.post(server.url("/token")).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    let response = request.body(body).send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

both!(
    async fn the_user_data_arrives_at_the_application(server: Server) {
        register(&server).await;
        let returned = callback(&server, &server.browser(), "approve").await;
        assert_eq!(returned.uri, "https://client-app.com/callback");
        assert_eq!(returned.get("state"), STATE);

        let body = TOKEN.replace("a1b2c3d4e5f6g7h8", &returned.expect("code"));
        let (status, tokens) = token(&server, body.clone()).await;
        assert_eq!(status, 200, "{tokens}");
        assert_eq!(tokens["scope"], "openid profile");
        let access = tokens["access_token"].as_str().unwrap();

        // "6. API call" and "7. Resource grant": the user data that the scope shows, for the token in `Authorization: Bearer`.
        let userinfo = |token: &str| server.http.get(server.url("/userinfo")).bearer_auth(token).send();
        let data: Value = userinfo(access).await.unwrap().json().await.unwrap();
        assert_eq!(data["sub"], "alice");
        assert_eq!((&data["given_name"], &data["family_name"]), (&json!("Alice"), &json!("Liddell")));
        assert_eq!(data.get("email"), None, "it is not of the scope: {data}");
        assert_eq!(userinfo("a1b2c3d4e5f6g7h8").await.unwrap().status(), 401);

        // The code is spent, and using it again ends what came from it.
        assert_eq!(token(&server, body).await.1["error"], "invalid_grant");
        assert_eq!(userinfo(access).await.unwrap().status(), 401);
    }
);

both!(
    async fn the_user_has_the_choice_to_consent_or_not(server: Server) {
        register(&server).await;
        let returned = callback(&server, &server.browser(), "deny").await;
        assert_eq!(returned.uri, "https://client-app.com/callback");
        assert_eq!((returned.get("error"), returned.get("code")), (Some("access_denied"), None));
        assert_eq!(returned.get("state"), STATE);
    }
);

both!(
    async fn with_a_valid_session_nothing_is_asked_again(server: Server) {
        register(&server).await;
        let browser = server.browser();
        let first = callback(&server, &browser, "approve").await;
        let again = authorization(&server, &browser).await.returned();
        assert_eq!((again.uri.as_str(), again.get("state")), ("https://client-app.com/callback", STATE));
        assert_ne!(again.expect("code"), first.expect("code"));
        assert!(authorization(&server, &server.browser()).await.is_login(), "another browser has no session");
    }
);

both!(
    async fn the_validations_of_the_token_request(server: Server) {
        register(&server).await;
        let body =
            TOKEN.replace("a1b2c3d4e5f6g7h8", &callback(&server, &server.browser(), "approve").await.expect("code"));
        for (right, wrong, error) in [
            ("SECRET", "secret", "invalid_client"),
            ("12345", "54321", "invalid_client"),
            ("/callback", "/callback/", "invalid_grant"),
            ("redirect_uri=https://client-app.com/callback&", "", "invalid_grant"),
            ("code=cs_ac_", "code=cs_ac_0", "invalid_grant"),
            ("authorization_code", "code", "unsupported_grant_type"),
        ] {
            assert!(body.contains(right));
            let (status, refused) = token(&server, body.replace(right, wrong)).await;
            assert!(status.is_client_error() && refused["error"] == error, "{right}: {status} {refused}");
        }
        assert_eq!(token(&server, body).await.0, 200);
    }
);

both!(
    async fn a_redirect_uri_that_is_not_registered_is_told_to_the_person_alone(server: Server) {
        register(&server).await;
        let wrong = AUTHORIZATION.replace("client-app.com", "client-app.com.evil.example");
        let page = server.browser().get(&server.url(&wrong)).await;
        assert_eq!((page.status.as_u16(), page.location.as_deref()), (400, None));
        assert_eq!(page.text("#error"), "invalid_request");
    }
);

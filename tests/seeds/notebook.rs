//! A Microsoft-style notebook, "Auth Code Grant Flow": permissions as scopes that are addresses, a refresh token for those who
//! ask for `offline_access`, the secret in the body of each request, and a refresh with a scope that the request did not have.

use countersign::config::Mode;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{Database, Query, Server, both, jwt};

// The variables of the notebook; it leaves the client to its reader.
const SCOPE: &str = "offline_access https://graph.microsoft.com/.default";
const WITH_OPENID: &str = "openid email profile offline_access https://graph.microsoft.com/.default";
const OTHER_SCOPE: &str = "https://vault.azure.net/user_impersonation";
const STATE: &str = "A1B2C3D4E5F6";
const CLIENT_ID: &str = "6731de76-14a6-49ae-97bc-6eba6914391e";
const CLIENT_SECRET: &str = "qWgdYAmab0YSkuL1qKv5bPX";
const REDIRECT_URI: &str = "http://localhost/myapp/";

async fn register(server: &Server, refresh_scope_from_grant: bool) {
    server.alice().await;
    let flow = json!({"redirect_uri": REDIRECT_URI, "refresh_scope_from_grant": refresh_scope_from_grant});
    let client = json!({"secret": CLIENT_SECRET, "grant_types": ["code"], "auth": {"authorization_code": flow}});
    server.put(&format!("/Client/{CLIENT_ID}"), client).await;
}

/// "The user must then sign-in with there identity and grant the permission to the scope."
async fn auth_code_flow(server: &Server, scope: &str) -> Query {
    let request = [
        ("client_id", CLIENT_ID),
        ("response_type", "code"),
        ("redirect_uri", REDIRECT_URI),
        ("response_mode", "query"),
        ("scope", scope),
        ("state", STATE),
    ];
    server.sign_in_and_consent(&server.browser(), &request).await
}

async fn request_access_token(server: &Server, scope: &str) -> Value {
    let code = auth_code_flow(server, scope).await.expect("code");
    let form = [
        ("client_id", CLIENT_ID),
        ("scope", scope),
        ("code", code.as_str()),
        ("redirect_uri", REDIRECT_URI),
        ("grant_type", "authorization_code"),
        ("client_secret", CLIENT_SECRET),
    ];
    let (status, tokens) = server.post_form("/oauth2/token", None, &form).await;
    assert_eq!(status, 200, "{tokens}");
    tokens
}

async fn refresh_token(server: &Server, token: &Value, scope: Option<&str>) -> (StatusCode, Value) {
    let mut form = vec![
        ("client_id", CLIENT_ID),
        ("grant_type", "refresh_token"),
        ("refresh_token", token.as_str().expect("a refresh token")),
        ("client_secret", CLIENT_SECRET),
    ];
    form.extend(scope.map(|scope| ("scope", scope)));
    server.post_form("/oauth2/token", None, &form).await
}

both!(
    async fn the_code_comes_in_the_query_and_becomes_tokens_that_can_be_refreshed(server: Server) {
        register(&server, false).await;
        let returned = auth_code_flow(&server, SCOPE).await;
        assert_eq!((returned.uri.as_str(), returned.get("state")), (REDIRECT_URI, Some(STATE)));

        let tokens = request_access_token(&server, SCOPE).await;
        assert_eq!(tokens["scope"], SCOPE);
        assert_eq!(tokens.get("id_token"), None, "it is not returned in the regular flow: {tokens}");
        let (status, refreshed) = refresh_token(&server, &tokens["refresh_token"], None).await;
        assert_eq!(status, 200, "{refreshed}");
        assert_ne!(refreshed["access_token"], tokens["access_token"]);
        assert_ne!(refreshed["refresh_token"], tokens["refresh_token"]);
        assert_eq!((&refreshed["scope"], refreshed.get("id_token")), (&json!(SCOPE), None));
        assert!(server.is_active(refreshed["access_token"].as_str().unwrap()).await);
    }
);

both!(
    async fn an_id_token_comes_with_openid_alone(server: Server) {
        register(&server, false).await;
        let tokens = request_access_token(&server, WITH_OPENID).await;
        assert!(tokens["id_token"].is_string() && tokens["refresh_token"].is_string(), "{tokens}");
        assert!(refresh_token(&server, &tokens["refresh_token"], None).await.1["id_token"].is_string());
    }
);

both!(
    async fn offline_access_is_required_for_a_refresh_token(server: Server) {
        register(&server, false).await;
        let tokens = request_access_token(&server, "https://graph.microsoft.com/.default").await;
        assert_eq!(tokens.get("refresh_token"), None, "{tokens}");
    }
);

both!(
    async fn a_refresh_with_another_scope_is_refused_and_spends_nothing(server: Server) {
        register(&server, false).await;
        // Consent alone is not enough: the client's document has to say so (RFC 6749 §6).
        auth_code_flow(&server, OTHER_SCOPE).await.expect("code");
        let tokens = request_access_token(&server, SCOPE).await;
        let (status, refused) = refresh_token(&server, &tokens["refresh_token"], Some(OTHER_SCOPE)).await;
        assert_eq!((status.as_u16(), &refused["error"]), (400, &json!("invalid_scope")), "{refused}");
        assert_eq!(refresh_token(&server, &tokens["refresh_token"], None).await.0, 200);
    }
);

both!(
    async fn the_user_must_have_consented_to_the_other_scope_at_some_point(server: Server) {
        register(&server, true).await;
        let tokens = request_access_token(&server, SCOPE).await;
        let (status, refused) = refresh_token(&server, &tokens["refresh_token"], Some(OTHER_SCOPE)).await;
        assert_eq!((status.as_u16(), &refused["error"]), (400, &json!("invalid_scope")), "{refused}");

        auth_code_flow(&server, OTHER_SCOPE).await.expect("code");
        let (status, refreshed) = refresh_token(&server, &tokens["refresh_token"], Some(OTHER_SCOPE)).await;
        assert_eq!((status.as_u16(), &refreshed["scope"]), (200, &json!(OTHER_SCOPE)), "{refreshed}");
        let shown = server.introspect(refreshed["access_token"].as_str().unwrap()).await;
        assert_eq!(shown["scope"], OTHER_SCOPE);
        // The new refresh token is good for the scope of the beginning as well.
        let (status, back) = refresh_token(&server, &refreshed["refresh_token"], Some(SCOPE)).await;
        assert_eq!((status.as_u16(), &back["scope"]), (200, &json!(SCOPE)), "{back}");
    }
);

/// The paths of the notebook's helper, for a tenant: `/{tenant_id}/oauth2/v2.0/authorize` and `/{tenant_id}/oauth2/v2.0/token`.
const TENANT_ID: &str = "contoso.onmicrosoft.com";

/// The whole notebook where Entra ID's place is taken, with the tenant in its paths. Nothing is said of refresh tokens in the client's
/// document.
async fn as_entra(database: Database) {
    let server = Server::start_with(database, |settings| {
        settings.mode = Mode::Dev;
        settings.dialect = Some("entra".to_owned());
    })
    .await;
    register(&server, false).await;
    let (authorize, token) = (format!("/{TENANT_ID}/oauth2/v2.0/authorize"), format!("/{TENANT_ID}/oauth2/v2.0/token"));
    let auth_code = async |scope: &str| {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("client_id", CLIENT_ID), ("response_type", "code"), ("redirect_uri", REDIRECT_URI)])
            .extend_pairs([("response_mode", "query"), ("scope", scope), ("state", STATE)])
            .finish();
        let browser = server.browser();
        let page = browser.get(&server.url(&format!("{authorize}?{query}"))).await;
        let returned = browser.as_alice(page).await.returned();
        assert_eq!((returned.uri.as_str(), returned.get("state")), (REDIRECT_URI, Some(STATE)));
        returned.expect("code")
    };
    let code = auth_code(SCOPE).await;
    let secret = ("client_secret", CLIENT_SECRET);
    let form = [
        ("client_id", CLIENT_ID),
        ("scope", SCOPE),
        ("code", &code),
        ("redirect_uri", REDIRECT_URI),
        ("grant_type", "authorization_code"),
        secret,
    ];
    let (status, tokens) = server.post_form(&token, None, &form).await;
    assert_eq!((status.as_u16(), &tokens["scope"], tokens.get("id_token")), (200, &json!(SCOPE), None), "{tokens}");
    assert_eq!(tokens["ext_expires_in"], tokens["expires_in"]);
    let claims = jwt(tokens["access_token"].as_str().unwrap()).1;
    assert_eq!((&claims["aud"], &claims["ver"]), (&json!("https://graph.microsoft.com"), &json!("2.0")), "{claims}");

    let refresh = async |token_text: &Value, scope: Option<&str>| {
        let mut form = vec![
            ("client_id", CLIENT_ID),
            ("grant_type", "refresh_token"),
            ("refresh_token", token_text.as_str().expect("a refresh token")),
            secret,
        ];
        form.extend(scope.map(|scope| ("scope", scope)));
        server.post_form(&token, None, &form).await
    };
    let (status, refreshed) = refresh(&tokens["refresh_token"], None).await;
    assert_eq!(status, 200, "{refreshed}");
    let (status, refused) = refresh(&refreshed["refresh_token"], Some(OTHER_SCOPE)).await;
    assert_eq!(
        (status.as_u16(), &refused["error"], &refused["error_codes"]),
        (400, &json!("invalid_scope"), &json!([70_011])),
        "{refused}"
    );
    // "The user must have consented to the additional scope to the application at some point."
    auth_code(OTHER_SCOPE).await;
    let (status, other) = refresh(&refreshed["refresh_token"], Some(OTHER_SCOPE)).await;
    assert_eq!(status, 200, "{other}");
    let claims = jwt(other["access_token"].as_str().unwrap()).1;
    assert_eq!(
        (&claims["aud"], &claims["scp"]),
        (&json!("https://vault.azure.net"), &json!("user_impersonation")),
        "{claims}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tenant_path_is_unchanged_where_entra_is_stood_in_for_on_sqlite() {
    as_entra(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tenant_path_is_unchanged_where_entra_is_stood_in_for_on_postgres() {
    as_entra(Database::Postgres).await;
}

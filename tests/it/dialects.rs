//! Dialects of providers: each as the provider's own libraries would find it, from discovery to an error.

use countersign::config::Mode;
use serde_json::{Value, json};

use crate::support::{ClientKey, Database, Folder, Page, Server, both, both_folders, jwt, read};

async fn speaking(database: Database, dialect: &str) -> Server {
    Server::start_with(database, |settings| {
        (settings.mode, settings.dev_api) = (Mode::Dev, true);
        settings.dialect = Some(dialect.to_owned());
    })
    .await
}

/// What differs between dialects, as their users see it; `{}` is the server.
struct Expected {
    dialect: &'static str,
    issuer: &'static str,
    discovery: &'static str,
    authorize: &'static str,
    token: &'static str,
    userinfo: &'static str,
    keys: &'static str,
    logout: Option<&'static str>,
    scope: &'static str,
    /// Members that must be so, and those that must not be there (null).
    metadata: Value,
    answer: Value,
    id_token: Value,
    access_token: Option<Value>,
    claims: Value,
    client_token: Option<Value>,
    wrong_secret: (u16, Value),
    wrong_code: (u16, Value),
}

fn base(server: &Server, value: &Value) -> Value {
    serde_json::from_str(&value.to_string().replace("{}", server.issuer())).unwrap()
}

/// `"*"` is anything, null is nothing.
fn assert_like(what: &str, found: &Value, expected: &Value) {
    for (name, value) in expected.as_object().unwrap() {
        let found = found.get(name);
        let fits = match (value, found) {
            (Value::Null, found) => found.is_none(),
            (Value::String(any), found) if any == "*" => found.is_some_and(|found| !found.is_null()),
            (value, found) => found == Some(value),
        };
        assert!(fits, "{what}: {name} is {found:?}, not {value}");
    }
}

/// Discovery and keys, as a library begins.
async fn discover(server: &Server, e: &Expected) {
    let metadata = read(server.http.get(server.url(e.discovery)).send().await.unwrap()).await.1;
    assert_eq!(metadata["issuer"], e.issuer.replace("{}", server.issuer()), "{metadata}");
    for (name, path) in [
        ("authorization_endpoint", e.authorize),
        ("token_endpoint", e.token),
        ("userinfo_endpoint", e.userinfo),
        ("jwks_uri", e.keys),
    ] {
        assert_eq!(metadata[name], server.instance.issuer.clone() + path, "{}: {name}", e.dialect);
    }
    assert_like("discovery", &metadata, &base(server, &e.metadata));
    let keys = read(server.http.get(server.url(e.keys)).send().await.unwrap()).await.1;
    assert!(!keys["keys"].as_array().unwrap().is_empty());
}

async fn check(database: Database, e: Expected) {
    let server = speaking(database, e.dialect).await;
    let said = |text: &str| text.replace("{}", server.issuer());
    server
        .put("/User/alice", json!({
            "userName": "alice", "email": "alice@example.com", "password": "correct-horse-battery",
            "name": {"givenName": "Alice", "familyName": "Liddell"}, "roles": [{"value": "reader"}], "data": {"hd": "example.com"},
        }))
        .await;
    server.web_app(json!({"post_logout_redirect_uris": ["http://localhost:4200/out"], "auth": {"authorization_code": {"refresh_token": null}}})).await;

    discover(&server, &e).await;

    // The code flow at the provider's paths.
    let browser = server.browser();
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([
            ("response_type", "code"),
            ("client_id", "web-app"),
            ("redirect_uri", "http://localhost:4200/cb"),
            ("scope", e.scope),
            ("state", "s"),
            ("nonce", "n"),
        ])
        .finish();
    let page = browser.get(&server.url(&format!("{}?{query}", e.authorize))).await;
    let returned = browser.as_alice(page).await.returned();
    assert_eq!((returned.get("state"), returned.get("iss")), (Some("s"), Some(said(e.issuer).as_str())));
    let code = returned.expect("code");
    let secret = ("client_secret", "client-secret");
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", "http://localhost:4200/cb"),
        ("client_id", "web-app"),
        secret,
    ];
    let (status, answer) = server.post_form(e.token, None, &form).await;
    assert_eq!(status, 200, "{answer}");
    assert_like("the answer", &answer, &base(&server, &e.answer));

    let id_token = jwt(answer["id_token"].as_str().unwrap()).1;
    assert_eq!(
        (&id_token["iss"], &id_token["aud"], &id_token["nonce"]),
        (&json!(said(e.issuer)), &json!("web-app"), &json!("n"))
    );
    assert_like("the ID token", &id_token, &base(&server, &e.id_token));
    let access = answer["access_token"].as_str().unwrap();
    match &e.access_token {
        None => assert_eq!(access.split('.').count(), 1, "an opaque token: {access}"),
        Some(expected) => {
            let (header, claims) = jwt(access);
            assert_eq!(header["typ"], "JWT");
            assert_eq!(claims["iss"], said(e.issuer));
            assert_like("the access token", &claims, &base(&server, expected));
        }
    }
    // What others see of the token is what it would be without a dialect.
    let seen = server.introspect(access).await;
    assert_eq!(
        (&seen["active"], &seen["client_id"], &seen["scope"]),
        (&json!(true), &json!("web-app"), &json!(e.scope)),
        "{seen}"
    );
    // An ID token is none.
    assert!(!server.is_active(answer["id_token"].as_str().unwrap()).await);

    let claims = read(server.http.get(server.url(e.userinfo)).bearer_auth(access).send().await.unwrap()).await.1;
    assert_eq!(claims["sub"], id_token["sub"], "Core §5.3.2: {claims}");
    assert_like("userinfo", &claims, &base(&server, &e.claims));
    let (_, seen) = server.control("GET", "/dev/journal?endpoint=userinfo", Value::Null).await;
    assert_eq!((&seen[0]["user"], &seen[0]["client_id"]), (&json!("alice"), &json!("web-app")), "{seen}");

    // A refresh, where there is one.
    if let Some(refresh) = answer["refresh_token"].as_str() {
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh), ("client_id", "web-app"), secret];
        let (status, again) = server.post_form(e.token, None, &form).await;
        assert_eq!(status, 200, "{again}");
        assert_like("the refreshed answer", &again, &base(&server, &e.answer));
    }

    // An application of its own.
    if let Some(expected) = &e.client_token {
        let form =
            [("grant_type", "client_credentials"), ("client_id", "web-app"), secret, ("scope", "api://x/.default")];
        let (status, answer) = server.post_form(e.token, None, &form).await;
        assert_eq!(status, 200, "{answer}");
        let token = answer["access_token"].as_str().unwrap();
        assert_like("the client's token", &jwt(token).1, &base(&server, expected));
        assert!(server.is_active(token).await);
    }

    // Errors.
    let wrong = [("grant_type", "client_credentials"), ("client_id", "web-app"), ("client_secret", "wrong")];
    for (form, (status, body)) in [(&wrong[..], &e.wrong_secret), (&form[..], &e.wrong_code)] {
        let (found, error) = server.post_form(e.token, None, form).await;
        assert_eq!(found.as_u16(), *status, "{}: {error}", e.dialect);
        assert_like("the error", &error, body);
    }

    // Sign-out.
    if let Some(logout) = e.logout {
        let hint = answer["id_token"].as_str().unwrap();
        let page: Page =
            browser.get(&server.url(&format!("{logout}={}&id_token_hint={hint}", "http://localhost:4200/out"))).await;
        assert_eq!(page.location.as_deref(), Some("http://localhost:4200/out"), "{page:?}");
        assert!(!server.is_signed_in(&browser).await);
    }
    // Our own paths stay.
    assert_eq!(server.token(&[("grant_type", "client_credentials")]).await.0, 200);
}

macro_rules! dialect {
    ($name:ident, $expected:expr) => {
        mod $name {
            use super::*;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                check(Database::Sqlite, $expected).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                check(Database::Postgres, $expected).await;
            }
        }
    };
}

const TENANT: &str = "8d6f0c3a-5a3e-4f39-9f0b-6f2f6c1d7b11";

dialect!(
    entra,
    Expected {
        dialect: "entra",
        issuer: "{}/8d6f0c3a-5a3e-4f39-9f0b-6f2f6c1d7b11/v2.0",
        discovery: "/common/v2.0/.well-known/openid-configuration",
        authorize: "/8d6f0c3a-5a3e-4f39-9f0b-6f2f6c1d7b11/oauth2/v2.0/authorize",
        token: "/8d6f0c3a-5a3e-4f39-9f0b-6f2f6c1d7b11/oauth2/v2.0/token",
        userinfo: "/oidc/userinfo",
        keys: "/8d6f0c3a-5a3e-4f39-9f0b-6f2f6c1d7b11/discovery/v2.0/keys",
        logout: Some("/common/oauth2/v2.0/logout?post_logout_redirect_uri"),
        scope: "openid profile email offline_access api://orders/Orders.Read",
        metadata: json!({"code_challenge_methods_supported": null, "introspection_endpoint": null, "tenant_region_scope": "NA"}),
        answer: json!({"token_type": "Bearer", "ext_expires_in": 3600, "refresh_token": "*", "userinfo": null}),
        id_token: json!({
            "tid": TENANT, "oid": "*", "ver": "2.0", "name": "Alice Liddell", "preferred_username": "alice@example.com",
            "email": "alice@example.com", "roles": ["reader"], "auth_time": null,
        }),
        access_token: Some(json!({
            "aud": "api://orders", "tid": TENANT, "azp": "web-app", "scp": "openid profile email Orders.Read", "ver": "2.0", "scope": null,
            "client_id": null, "jti": null, "nbf": "*",
        })),
        claims: json!({"name": "Alice Liddell", "email": "alice@example.com", "preferred_username": null}),
        client_token: Some(json!({"aud": "api://x", "idtyp": "app", "azp": "web-app", "scp": null, "sub": "*"})),
        wrong_secret: (
            401,
            json!({"error": "invalid_client", "error_codes": [7_000_215], "trace_id": "*", "correlation_id": "*", "timestamp": "*"})
        ),
        wrong_code: (400, json!({"error": "invalid_grant", "error_codes": [70_000]})),
    }
);

dialect!(
    google,
    Expected {
        dialect: "google",
        issuer: "{}",
        discovery: "/.well-known/openid-configuration",
        authorize: "/o/oauth2/v2/auth",
        token: "/token",
        userinfo: "/v1/userinfo",
        keys: "/oauth2/v3/certs",
        logout: None,
        scope: "openid email profile",
        metadata: json!({"revocation_endpoint": "{}/revoke", "end_session_endpoint": null, "introspection_endpoint": null}),
        answer: json!({"token_type": "Bearer", "scope": "openid email profile", "refresh_token": "*"}),
        id_token: json!({"azp": "web-app", "hd": "example.com", "email": "alice@example.com", "email_verified": false, "sid": null, "name": "Alice Liddell"}),
        access_token: None,
        claims: json!({"hd": "example.com", "email": "alice@example.com", "given_name": "Alice"}),
        client_token: None,
        wrong_secret: (401, json!({"error": "invalid_client", "error_description": "*"})),
        wrong_code: (400, json!({"error": "invalid_grant"})),
    }
);

dialect!(
    okta,
    Expected {
        dialect: "okta",
        issuer: "{}/oauth2/default",
        discovery: "/oauth2/default/.well-known/openid-configuration",
        authorize: "/oauth2/default/v1/authorize",
        token: "/oauth2/default/v1/token",
        userinfo: "/oauth2/default/v1/userinfo",
        keys: "/oauth2/default/v1/keys",
        logout: Some("/oauth2/default/v1/logout?post_logout_redirect_uri"),
        scope: "openid profile email groups offline_access",
        metadata: json!({"introspection_endpoint": "{}/oauth2/default/v1/introspect"}),
        answer: json!({"token_type": "Bearer", "refresh_token": "*"}),
        id_token: json!({"ver": 1, "amr": ["pwd"], "preferred_username": "alice", "groups": ["reader"], "sub": "alice"}),
        access_token: Some(json!({
            "aud": "api://default", "cid": "web-app", "uid": "alice", "sub": "alice",
            "scp": ["openid", "profile", "email", "groups", "offline_access"], "groups": ["reader"], "scope": null, "client_id": null,
        })),
        claims: json!({"preferred_username": "alice", "groups": ["reader"]}),
        client_token: Some(
            json!({"aud": "api://default", "cid": "web-app", "sub": "web-app", "uid": null, "scp": ["api://x/.default"]})
        ),
        wrong_secret: (401, json!({"error": "invalid_client"})),
        wrong_code: (400, json!({"error": "invalid_grant"})),
    }
);

dialect!(
    keycloak,
    Expected {
        dialect: "keycloak",
        issuer: "{}/realms/demo",
        discovery: "/realms/demo/.well-known/openid-configuration",
        authorize: "/realms/demo/protocol/openid-connect/auth",
        token: "/realms/demo/protocol/openid-connect/token",
        userinfo: "/realms/demo/protocol/openid-connect/userinfo",
        keys: "/realms/demo/protocol/openid-connect/certs",
        logout: Some("/realms/demo/protocol/openid-connect/logout?post_logout_redirect_uri"),
        scope: "openid profile email",
        metadata: json!({"introspection_endpoint": "{}/realms/demo/protocol/openid-connect/token/introspect"}),
        answer: json!({"expires_in": 300, "refresh_expires_in": 1800, "not-before-policy": 0, "session_state": "*", "refresh_token": "*"}),
        id_token: json!({"typ": "ID", "azp": "web-app", "sid": "*", "email": "alice@example.com", "preferred_username": "alice"}),
        access_token: Some(json!({
            "typ": "Bearer", "aud": "account", "azp": "web-app", "sid": "*", "realm_access": {"roles": ["reader"]}, "scope": "openid profile email",
            "preferred_username": "alice", "email": "alice@example.com", "client_id": null,
        })),
        claims: json!({"preferred_username": "alice", "email": "alice@example.com"}),
        client_token: Some(
            json!({"preferred_username": "service-account-web-app", "azp": "web-app", "client_id": "web-app"})
        ),
        wrong_secret: (
            401,
            json!({"error": "unauthorized_client", "error_description": "Invalid client or Invalid client credentials"})
        ),
        wrong_code: (400, json!({"error": "invalid_grant"})),
    }
);

dialect!(
    cognito,
    Expected {
        dialect: "cognito",
        issuer: "{}/eu-central-1_Example1",
        discovery: "/eu-central-1_Example1/.well-known/openid-configuration",
        authorize: "/oauth2/authorize",
        token: "/oauth2/token",
        userinfo: "/oauth2/userInfo",
        keys: "/eu-central-1_Example1/.well-known/jwks.json",
        logout: Some("/logout?client_id=web-app&logout_uri"),
        scope: "openid email",
        metadata: json!({"introspection_endpoint": null, "end_session_endpoint": "{}/logout"}),
        answer: json!({"scope": null, "refresh_token": "*"}),
        id_token: json!({"token_use": "id", "cognito:username": "alice", "cognito:groups": ["reader"], "email": "alice@example.com", "sid": null}),
        access_token: Some(json!({
            "token_use": "access", "version": 2, "username": "alice", "client_id": "web-app", "aud": null, "cognito:groups": ["reader"],
            "scope": "openid email",
        })),
        claims: json!({"username": "alice", "email": "alice@example.com", "email_verified": "false"}),
        client_token: Some(
            json!({"token_use": "access", "version": 2, "sub": "web-app", "username": null, "scope": "api://x/.default"})
        ),
        wrong_secret: (401, json!({"error": "invalid_client", "error_description": null})),
        wrong_code: (400, json!({"error": "invalid_grant", "error_description": null})),
    }
);

dialect!(
    auth0,
    Expected {
        dialect: "auth0",
        issuer: "{}/",
        discovery: "/.well-known/openid-configuration",
        authorize: "/authorize",
        token: "/oauth/token",
        userinfo: "/userinfo",
        keys: "/.well-known/jwks.json",
        logout: Some("/v2/logout?client_id=web-app&returnTo"),
        scope: "openid profile email offline_access",
        metadata: json!({"end_session_endpoint": "{}/oidc/logout", "introspection_endpoint": null}),
        answer: json!({"expires_in": 86_400, "refresh_token": "*"}),
        id_token: json!({"sub": "auth0|alice", "nickname": "alice", "updated_at": "*", "email": "alice@example.com", "preferred_username": null}),
        access_token: Some(
            json!({"sub": "auth0|alice", "aud": ["{}/userinfo"], "azp": "web-app", "client_id": null, "jti": null})
        ),
        claims: json!({"sub": "auth0|alice", "nickname": "alice", "name": "Alice Liddell"}),
        client_token: Some(json!({"sub": "web-app@clients", "gty": "client-credentials", "azp": "web-app"})),
        wrong_secret: (401, json!({"error": "access_denied", "error_description": "Unauthorized"})),
        wrong_code: (403, json!({"error": "invalid_grant"})),
    }
);

dialect!(
    aidbox,
    Expected {
        dialect: "aidbox",
        issuer: "{}",
        discovery: "/fhir/.well-known/openid-configuration",
        authorize: "/auth/authorize",
        token: "/auth/token",
        userinfo: "/auth/userinfo",
        keys: "/.well-known/jwks.json",
        logout: None,
        scope: "openid email",
        metadata: json!({"introspection_endpoint": "{}/auth/introspect", "revocation_endpoint": null, "end_session_endpoint": null}),
        answer: json!({"token_type": "Bearer", "userinfo": "*", "refresh_token": null}),
        id_token: json!({"sub": "alice"}),
        access_token: None,
        claims: json!({"sub": "alice", "email": "alice@example.com"}),
        client_token: None,
        wrong_secret: (401, json!({"error": "invalid_client"})),
        wrong_code: (400, json!({"error": "invalid_grant"})),
    }
);

both!(
    async fn an_audience_of_auth0_is_whom_the_token_is_for(server: Server) {
        let server = server
            .another_with(|settings| {
                settings.mode = Mode::Dev;
                settings.dialect = Some("auth0".to_owned());
            })
            .await;
        server.alice().await;
        server.web_app(json!({})).await;
        let browser = server.browser();
        let query = "response_type=code&client_id=web-app&scope=openid&audience=https%3A%2F%2Fapi.example%2F";
        let page = browser.get(&server.url(&format!("/authorize?{query}"))).await;
        let code = browser.as_alice(page).await.returned().expect("code");
        let tokens = server.token(&[("grant_type", "authorization_code"), ("code", &code)]).await.1;
        let claims = jwt(tokens["access_token"].as_str().unwrap()).1;
        assert_eq!(claims["aud"], json!(["https://api.example/", format!("{}/userinfo", server.issuer())]), "{claims}");
    }
);

both!(
    async fn a_variable_may_be_chosen_and_realms_speak_the_dialect_too(server: Server) {
        let server = server
            .another_with(|settings| {
                (settings.mode, settings.dev_api) = (Mode::Dev, true);
                settings.dialect = Some("entra,tenant=contoso.example".to_owned());
            })
            .await;
        assert_eq!(server.metadata().await["issuer"], format!("{}/contoso.example/v2.0", server.issuer()));
        // What a realm tells is what its application is given.
        let (status, realm) = server.control("POST", "/dev/realms?name=r", Value::Null).await;
        assert_eq!((status, &realm["control"]), (201, &json!(server.url("/realms/r/dev"))), "{realm}");
        let url = server.url("/realms/r/contoso.example/v2.0/.well-known/openid-configuration");
        assert_eq!(realm["discovery"], url.as_str());
        let metadata = read(server.http.get(url).send().await.unwrap()).await.1;
        assert_eq!(metadata["issuer"], format!("{}/realms/r/contoso.example/v2.0", server.issuer()));
        assert_eq!(realm["issuer"], metadata["issuer"]);
        assert_eq!(
            metadata["token_endpoint"],
            format!("{}/realms/r/contoso.example/oauth2/v2.0/token", server.issuer())
        );
    }
);

/// The file of the documentation.
fn acme() -> String {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/dialects.md")).unwrap();
    text.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap().to_owned()
}

both!(
    async fn faults_and_journal_know_the_endpoints_of_a_dialect(server: Server) {
        let server = server
            .another_with(|settings| {
                (settings.mode, settings.dev_api) = (Mode::Dev, true);
                settings.dialect = Some("okta".to_owned());
            })
            .await;
        let rule = json!({"endpoint": "token", "times": 1, "status": 503, "error": "temporarily_unavailable"});
        assert_eq!(server.control("POST", "/dev/faults", rule).await.0, 201);
        let ask = async || {
            let basic = Some(("web-app", "client-secret"));
            server.post_form("/oauth2/default/v1/token", basic, &[("grant_type", "client_credentials")]).await.0
        };
        assert_eq!((ask().await.as_u16(), ask().await.as_u16()), (503, 200));
        let (_, journal) = server.control("GET", "/dev/journal?endpoint=token", Value::Null).await;
        assert_eq!(journal.as_array().unwrap().len(), 2, "{journal}");
    }
);

both!(
    async fn an_assertion_may_name_the_token_endpoint_of_a_dialect(server: Server) {
        let server = server
            .another_with(|settings| {
                settings.mode = Mode::Dev;
                settings.dialect = Some("entra".to_owned());
            })
            .await;
        let key = ClientKey::new("RS256", "k");
        let client = json!({
            "grant_types": ["client_credentials"], "token_endpoint_auth_method": "private_key_jwt", "jwks": key.jwks(),
        });
        server.put("/Client/signer", client).await;
        let now = server.instance.clock.now().0;
        let token = format!("/{TENANT}/oauth2/v2.0/token");
        for (aud, status) in [
            (format!("{}{token}", server.issuer()), 200),
            (format!("{}/{TENANT}/v2.0", server.issuer()), 200),
            (format!("{}/{TENANT}/oauth2/v2.0/authorize", server.issuer()), 401),
            (format!("http://elsewhere.example{token}"), 401),
        ] {
            let jti = uuid::Uuid::new_v4().to_string();
            let claims = json!({"iss": "signer", "sub": "signer", "aud": aud, "exp": now + 60, "jti": jti});
            let form = [
                ("grant_type", "client_credentials"),
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                ("client_assertion", &key.sign(&claims)),
            ];
            let (found, answer) = server.post_form(&token, None, &form).await;
            assert_eq!(found.as_u16(), status, "{aud}: {answer}");
        }
    }
);

both_folders!(
    async fn a_file_of_ones_own_is_a_dialect_as_the_documentation_has_it(folder: Folder) {
        folder.write("acme.yaml", &acme());
        let path = folder.path.join("acme.yaml").to_str().unwrap().to_owned();
        let server = speaking(folder.database, &path).await;
        server.alice().await;
        server.web_app(json!({"auth": {"authorization_code": {"refresh_token": null}}})).await;
        let metadata =
            read(server.http.get(server.url("/acme/.well-known/openid-configuration")).send().await.unwrap()).await.1;
        assert_eq!(metadata["issuer"], format!("{}/acme", server.issuer()));
        let browser = server.browser();
        let page =
            browser.get(&server.url("/acme/login?response_type=code&client_id=web-app&scope=openid%20email")).await;
        let code = browser.as_alice(page).await.returned().expect("code");
        let form = [("grant_type", "authorization_code"), ("code", code.as_str())];
        let basic = Some(("web-app", "client-secret"));
        let (status, tokens) = server.post_form("/acme/token", basic, &form).await;
        assert!(status == 200 && tokens["issued_at"].is_i64() && tokens["refresh_token"].is_string(), "{tokens}");
        let (header, claims) = jwt(tokens["access_token"].as_str().unwrap());
        assert_eq!(header["typ"], "JWT");
        assert_like(
            "the access token",
            &claims,
            &json!({
                "iss": format!("{}/acme", server.issuer()), "sub": "acme:alice", "aud": format!("{}/api", server.issuer()), "app": "web-app",
                "permissions": ["openid", "email"], "department": "none", "email": "alice@example.com", "scope": null,
            }),
        );
        let me = server.http.get(server.url("/acme/me")).bearer_auth(tokens["access_token"].as_str().unwrap());
        assert_eq!(read(me.send().await.unwrap()).await.1["sub"], "acme:alice");
        let (status, error) = server.post_form("/acme/token", basic, &form).await;
        assert_eq!(
            (status.as_u16(), &error["error"], error["message"].is_string()),
            (422, &json!("invalid_grant"), true),
            "{error}"
        );
        assert_eq!(error.get("error_description"), None);
    }
);

both_folders!(
    async fn serve_takes_no_dialect_and_dev_tells_whose_it_is(folder: Folder) {
        for command in ["serve", "check"] {
            let refused = folder.run(&[command, "--dialect", "entra"]);
            let said = refused.stderr.contains("--dialect") && refused.stderr.contains("`countersign dev` alone");
            assert!(refused.code != 0 && said, "{refused:?}");
        }
        folder.write("broken.yaml", "title: Broken\npaths:\n  token_endpont: /t\n");
        for (name, said) in
            [("keyclaok", "did you mean keycloak?"), ("broken.yaml", "line 3"), ("none.yaml", "none.yaml")]
        {
            let refused = folder.run(&["dev", "--listen", "127.0.0.1:0", "--dialect", name]);
            assert!(
                refused.code != 0 && refused.stderr.contains("--dialect") && refused.stderr.contains(said),
                "{refused:?}"
            );
        }
        let process = folder.start(&["dev", "--listen", "127.0.0.1:0", "--dialect", "keycloak"]);
        assert!(process.says("Stands in for").contains("Keycloak"));
        assert!(process.says("Issuer").ends_with("/realms/demo"));
        let help = folder.ok(&["dev", "--help"]);
        assert!(countersign::dialect::BUILT_IN.iter().all(|(name, _)| help.contains(name)), "{help}");
    }
);

// A dialect that comes by another way than the command line has no effect on `serve` either.
both!(
    async fn a_server_for_real_use_speaks_plainly(server: Server) {
        let server = server.another_with(|settings| settings.dialect = Some("keycloak".to_owned())).await;
        assert_eq!(server.metadata().await["issuer"], server.issuer());
        let path = "/realms/demo/protocol/openid-connect/certs";
        assert_eq!(server.http.get(server.url(path)).send().await.unwrap().status(), 404);
    }
);

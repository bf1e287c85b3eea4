//! Where everything is found: the canonical paths, the aliases that must behave the same, and the paths of an issuer that has
//! one itself (OpenID Connect Discovery 1.0 §4; RFC 8414 §3.1).

use countersign::config::Issuer;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::{Browser, Database, Server, both, request, text};

/// A canonical path and its aliases.
const PATHS: [&[&str]; 8] = [
    &["/oauth2/authorize", "/auth/authorize", "/auth/authorize/", "/authorization"],
    &["/oauth2/token", "/auth/token", "/token"],
    &["/oauth2/userinfo", "/auth/userinfo", "/userinfo"],
    &["/oauth2/introspect", "/auth/introspect"],
    &["/oauth2/logout", "/auth/logout"],
    &["/login", "/auth/login"],
    &["/consent", "/auth/grant"],
    &["/healthz", "/health"],
];

/// What is the same of an answer however often one asks.
async fn answer(browser: &Browser, request: RequestBuilder) -> Value {
    let page = browser.send(request.header("accept", "text/html")).await;
    let body: Value = serde_json::from_str(&page.html).unwrap_or_default();
    let names: Vec<_> = body.as_object().into_iter().flat_map(|body| body.keys().cloned()).collect();
    json!({
        "status": page.status.as_u16(), "location": page.location, "type": page.header("content-type"), "allow": page.header("allow"),
        "challenge": page.header("www-authenticate"), "caching": page.header("cache-control"), "policy": page.header("content-security-policy"),
        "cors": page.header("access-control-allow-origin"), "members": names, "error": body["error"], "scope": body["scope"], "active": body["active"],
        "heading": page.text("h1"), "page_error": page.text("#error"), "sub": body["sub"],
    })
}

both!(
    async fn an_alias_answers_whatever_the_canonical_path_does(server: Server) {
        server.web_app(json!({"introspect": "any"})).await;
        server.alice().await;
        let (_, tokens) = server
            .token(&[
                ("grant_type", "password"),
                ("username", "alice"),
                ("password", "correct-horse-battery"),
                ("scope", "openid email"),
            ])
            .await;
        let token = text(&tokens, "access_token");
        let browser = server.browser();
        let client = |request: RequestBuilder| request.basic_auth("web-app", Some("client-secret"));
        for paths in PATHS {
            let mut all = Vec::new();
            for path in paths {
                let to = |method: Method, query: &str| {
                    server
                        .http
                        .request(method, server.url(&format!("{path}{query}")))
                        .header("origin", "http://localhost:4200")
                };
                let (get, post) = (|query: &str| to(Method::GET, query), || to(Method::POST, ""));
                let requests = [
                    get(""),
                    get("?client_id=nobody&response_type=code"),
                    get("?client_id=web-app&response_type=code&prompt=none&state=s"),
                    get("?client_id=web-app&response_type=code&scope=openid"),
                    get("").bearer_auth(token),
                    post(),
                    post().form(&[("client_id", "web-app"), ("response_type", "code")]),
                    post().json(&json!({"client_id": "web-app", "response_type": "code", "prompt": "none"})),
                    post().form(&[("access_token", token)]),
                    client(post()).form(&[("grant_type", "client_credentials"), ("scope", "a b")]),
                    client(post()).body("grant_type: client_credentials").header("content-type", "text/yaml"),
                    client(post()).form(&[("grant_type", "nonsense")]),
                    client(post()).form(&[("token", token)]),
                    post().form(&[("csrf", "x"), ("username", "alice"), ("password", "correct-horse-battery")]),
                    to(Method::OPTIONS, ""),
                    to(Method::DELETE, ""),
                    to(Method::HEAD, ""),
                ];
                let mut answers = Vec::new();
                for request in requests {
                    answers.push(answer(&browser, request).await);
                }
                assert!(answers.iter().all(|answer| answer["status"] != 404), "{path}");
                all.push((path, answers));
            }
            for (path, answers) in &all[1..] {
                for (number, (found, canonical)) in answers.iter().zip(&all[0].1).enumerate() {
                    assert_eq!(found, canonical, "{path}, request {number}");
                }
            }
        }
    }
);

both!(
    async fn the_whole_flow_runs_on_aliases(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        let browser = server.browser();
        let query = "response_type=code&client_id=web-app&scope=openid&state=s";
        let page = browser.get(&server.url(&format!("/auth/login?{query}"))).await;
        let page = browser.sign_in(&page, "alice", "correct-horse-battery").await;
        let page = browser.follow(page).await;
        assert!(page.is_consent(), "{page:?}");
        let page = browser.get(&server.url(&format!("/auth/grant?{query}"))).await;
        let page = browser.follow(page).await;
        browser.consent(&page, "approve").await.returned().expect("code");
        let code = browser.get(&server.url(&format!("/auth/authorize/?{query}"))).await.returned().expect("code");
        let form = [("grant_type", "authorization_code"), ("code", code.as_str())];
        let (status, tokens) = server.post_form("/auth/token", Some(("web-app", "client-secret")), &form).await;
        assert_eq!(status, 200, "{tokens}");
        let page = browser.get(&server.url(&format!("/auth/logout?id_token_hint={}", text(&tokens, "id_token")))).await;
        assert_eq!(page.text("h1"), "Signed out");
        assert!(!server.is_signed_in(&browser).await);
    }
);

both!(
    async fn documents_have_two_mounts(server: Server) {
        server.alice().await;
        for kind in ["Client", "User", "Grant", "Session", "SigningKey"] {
            let mut totals = Vec::new();
            for mount in ["", "/fhir"] {
                let anonymous = server.http.get(server.url(&format!("{mount}/{kind}"))).send().await.unwrap();
                assert_eq!(anonymous.status(), 401, "{mount}/{kind}");
                let bundle: Value =
                    server.admin("GET", &format!("{mount}/{kind}")).send().await.unwrap().json().await.unwrap();
                assert_eq!(bundle["type"], "searchset");
                totals.push(bundle["total"].clone());
            }
            assert_eq!(totals[0], totals[1], "{kind}");
        }
        for path in ["/User/alice", "/fhir/User/alice"] {
            let user: Value = server.admin("GET", path).send().await.unwrap().json().await.unwrap();
            assert_eq!((&user["id"], &user["resourceType"]), (&json!("alice"), &json!("User")));
        }
        assert!(
            server.authorize(&server.browser(), &request(&[])).await.error().is_some(),
            "and no client has come of it"
        );
    }
);

#[tokio::test]
async fn an_issuer_with_a_path_is_found_where_each_specification_says() {
    let server = Server::start_with(Database::Sqlite, |settings| {
        settings.issuer = Some(Issuer::parse("http://localhost/tenant/one").unwrap());
    })
    .await;
    let get = async |path: &str| server.http.get(server.url(path)).header("accept", "text/html").send().await.unwrap();
    // Discovery §4 appends to the path of the issuer, RFC 8414 §3.1 inserts before it.
    for path in ["/tenant/one/.well-known/openid-configuration", "/.well-known/oauth-authorization-server/tenant/one"] {
        let response = get(path).await;
        assert_eq!(response.status(), 200, "{path}");
        let metadata: Value = response.json().await.unwrap();
        assert_eq!(metadata["issuer"], "http://localhost/tenant/one");
        for name in [
            "authorization_endpoint",
            "token_endpoint",
            "userinfo_endpoint",
            "introspection_endpoint",
            "revocation_endpoint",
            "end_session_endpoint",
            "jwks_uri",
        ] {
            let path = text(&metadata, name).strip_prefix("http://localhost").unwrap().to_owned();
            assert!(path.starts_with("/tenant/one/") && get(&path).await.status() != 404, "{path}");
        }
    }
    // Nothing of another tenant's, and nothing at the root.
    for path in [
        "/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server",
        "/.well-known/oauth-authorization-server/tenant",
        "/.well-known/jwks.json",
        "/oauth2/token",
        "/login",
        "/tenant/two/login",
        "/tenant/login",
    ] {
        assert_eq!(get(path).await.status(), 404, "{path}");
    }
    // A person can sign in below the path.
    let put = server
        .admin("PUT", "/tenant/one/User/alice")
        .json(&json!({"userName": "alice", "password": "correct-horse-battery"}));
    assert_eq!(put.send().await.unwrap().status(), 201);
    let browser = server.browser();
    let page = browser.get(&server.url("/tenant/one/login")).await;
    assert!(
        page.form().0.starts_with("/tenant/one/")
            && page.attribute("link[rel=stylesheet]", "href").unwrap().starts_with("/tenant/one/")
    );
    let page = browser.sign_in(&page, "alice", "correct-horse-battery").await;
    assert_eq!(page.location.as_deref(), Some("/tenant/one/login"));
    assert!(browser.follow(page).await.text("main").contains("You are signed in as"));
    for path in ["/healthz", "/readyz", "/tenant/one/healthz"] {
        assert_eq!(get(path).await.status(), 200, "{path}");
    }
}

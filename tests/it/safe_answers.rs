//! Every answer, good or bad, against framing, caching, leaks and strange host names (RFC 9700 §4.12, §4.13, §4.16; RFC 9110 §9.3.2,
//! §15.5.20).

use countersign::config::Issuer;
use reqwest::{Method, RequestBuilder};
use serde_json::json;

use crate::support::{Database, Server, both, request};

/// Requests that are answered by every kind of handler, good and bad.
fn every_kind(server: &Server) -> Vec<(RequestBuilder, u16)> {
    let to = |method: Method, path: &str| server.http.request(method, server.url(path)).header("accept", "text/html");
    let (get, post) = (|path: &str| to(Method::GET, path), |path: &str| to(Method::POST, path));
    vec![
        (get("/"), 200),
        (get("/login"), 200),
        (get("/oauth2/authorize?response_type=code&client_id=web-app"), 200),
        (get("/oauth2/authorize?response_type=token&client_id=web-app"), 303),
        (get("/oauth2/authorize?client_id=nobody"), 400),
        (get("/oauth2/logout"), 200),
        (get("/oauth2/logout?id_token_hint=x"), 400),
        (get("/consent"), 303),
        (get("/no/such/page/here"), 404),
        (get("/oauth2/token"), 405),
        (to(Method::DELETE, "/login"), 405),
        (post("/login").form(&[("username", "alice")]), 400),
        (post("/login").body("x"), 400),
        (post("/login").form(&[("csrf", "x".repeat(70_000))]), 413),
        (get("/login").header("host", "evil.example"), 421),
        (post("/oauth2/token").form(&[("grant_type", "x")]), 400),
        (
            post("/oauth2/token").form(&[
                ("grant_type", "client_credentials"),
                ("client_id", "web-app"),
                ("client_secret", "x"),
            ]),
            401,
        ),
        (
            post("/oauth2/token")
                .basic_auth("web-app", Some("client-secret"))
                .form(&[("grant_type", "client_credentials")]),
            200,
        ),
        (get("/oauth2/userinfo"), 401),
        (post("/oauth2/introspect").form(&[("token", "x")]), 401),
        (get("/Client"), 401),
        (get("/Client/web-app").basic_auth("root", Some("secret")), 200),
        (get("/healthz"), 200),
        (get("/readyz"), 200),
        (get("/.well-known/jwks.json"), 200),
        (get("/.well-known/openid-configuration"), 200),
        (to(Method::OPTIONS, "/oauth2/token"), 204),
    ]
}

both!(
    async fn every_answer_carries_the_headers_that_keep_it_safe(server: Server) {
        server.web_app(json!({})).await;
        let browser = server.browser();
        let mut ids = std::collections::BTreeSet::new();
        for (request, status) in every_kind(&server) {
            let page = browser.send(request.header("x-request-id", "<b>mine</b>")).await;
            assert_eq!(page.status, status, "{page:?}");
            let policy = page.header("content-security-policy");
            for rule in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"] {
                assert!(policy.contains(rule), "{rule}: {page:?}");
            }
            assert!(!policy.contains("unsafe") && !policy.contains("script-src") && !policy.contains('*'), "{page:?}");
            assert_eq!(
                (page.header("x-frame-options"), page.header("x-content-type-options")),
                ("DENY", "nosniff"),
                "{page:?}"
            );
            assert!(matches!(page.header("referrer-policy"), "same-origin" | "no-referrer"), "{page:?}");
            let public = page.url.path().starts_with("/.well-known/") && page.status == 200;
            assert_eq!(page.header("cache-control") == "no-store", !public, "{page:?}");
            assert_eq!(page.header("pragma") == "no-cache", !public, "{page:?}");
            assert!(page.header("strict-transport-security").is_empty(), "not on plain http: {page:?}");
            assert!(page.headers.get("server").is_none() && page.headers.get("x-powered-by").is_none());
            assert_eq!(page.headers.get("access-control-allow-origin").is_some(), public, "{page:?}");
            let id = page.header("x-request-id").to_owned();
            assert!(id.len() >= 16 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'), "{id}");
            assert!(page.error().is_none() || page.text("main").contains(&id), "the page repeats it: {page:?}");
            assert!(ids.insert(id), "an id of its own");
        }
    }
);

both!(
    async fn pages_are_not_for_scripts_of_other_origins(server: Server) {
        server.web_app(json!({"allowed_origins": ["https://app.example"], "auth": {"authorization_code": {"redirect_uri": "https://app.example/cb"}}})).await;
        let browser = server.browser();
        for path in [
            "/",
            "/login",
            "/oauth2/authorize?response_type=code&client_id=web-app",
            "/oauth2/logout",
            "/Client",
            "/oauth2/introspect",
        ] {
            for method in [Method::GET, Method::OPTIONS, Method::POST] {
                let page = browser
                    .send(
                        browser.http.request(method.clone(), server.url(path)).header("origin", "https://app.example"),
                    )
                    .await;
                let cors: Vec<_> =
                    page.headers.keys().filter(|name| name.as_str().starts_with("access-control-")).collect();
                assert!(cors.is_empty(), "{method} {path} {cors:?}");
            }
        }
    }
);

both!(
    async fn health_says_only_whether(server: Server) {
        for path in ["/healthz", "/health", "/readyz"] {
            let response = server.http.get(server.url(path)).send().await.unwrap();
            assert_eq!(
                (response.status().as_u16(), response.text().await.unwrap().as_str()),
                (200, "{\"status\":\"ok\"}"),
                "{path}"
            );
        }
        // With the database away the process lives on, not ready, and says no more than that.
        server.instance.store.close().await;
        for (path, status) in [("/healthz", 200), ("/readyz", 503)] {
            let response = server.http.get(server.url(path)).send().await.unwrap();
            let body = response.text().await.unwrap();
            assert!(
                body == "{\"status\":\"ok\"}" || (status == 503 && body == "{\"status\":\"unavailable\"}"),
                "{path} {body}"
            );
            assert_eq!(body.contains("unavailable"), status == 503, "{path}");
        }
        // A page then is an error page with the request's id, and a retry is due.
        let page = server.browser().get(&server.url("/oauth2/authorize?response_type=code&client_id=web-app")).await;
        assert_eq!(
            (page.status.as_u16(), page.error().as_deref(), page.header("retry-after")),
            (503, Some("temporarily_unavailable"), "1")
        );
        assert!(
            page.text("main").contains(page.header("x-request-id")) && page.header("cache-control") == "no-store",
            "{page:?}"
        );
    }
);

both!(
    async fn an_unknown_host_name_is_misdirected(server: Server) {
        let port = server.instance.address.port();
        let cases = [
            (format!("localhost:{port}"), 200),
            ("localhost".into(), 200),
            (format!("LOCALHOST:{port}"), 200),
            (format!("127.0.0.1:{port}"), 200),
            ("[::1]".into(), 200),
            ("evil.example".into(), 421),
            (format!("localhost.evil.example:{port}"), 421),
            ("countersign".into(), 421),
            (format!("evil.localhost:{port}"), 421),
            ("169.254.169.254".into(), 421),
            ("localhost@evil.example".into(), 421),
            (String::new(), 421),
        ];
        for (host, status) in cases {
            for (path, proxied) in [
                ("/login", "localhost"),
                ("/.well-known/openid-configuration", "evil.example"),
                ("/oauth2/token", "localhost"),
            ] {
                let request = server
                    .http
                    .get(server.url(path))
                    .header("host", &host)
                    .header("x-forwarded-host", proxied)
                    .header("forwarded", format!("host={proxied}"));
                let response = request.send().await.unwrap();
                let expected = if status == 200 && path == "/oauth2/token" { 405 } else { status };
                assert!(
                    response.status() == expected || (host.is_empty() && response.status() == 400),
                    "{host} {path} {response:?}"
                );
                let body = response.text().await.unwrap();
                assert!(!body.contains("evil.example"), "{host} {body}");
            }
        }
        // A probe of a load balancer does not know the name.
        let probe = server.http.get(server.url("/healthz")).header("host", "10.0.0.7:8080").send().await.unwrap();
        assert_eq!(probe.status(), 200);
    }
);

#[tokio::test]
async fn listed_host_names_are_answered_and_links_stay_the_issuers() {
    let server = Server::start_with(Database::Sqlite, |settings| {
        settings.issuer = Some(Issuer::parse("https://id.example.com").unwrap());
        settings.allowed_hosts = vec!["inner.example".into()];
    })
    .await;
    for (host, status) in [
        ("id.example.com", 200),
        ("ID.example.com:443", 200),
        ("inner.example", 200),
        ("inner.example:8080", 200),
        ("localhost", 421),
        ("id.example.com.evil.example", 421),
        ("example.com", 421),
    ] {
        let url = server.url("/.well-known/openid-configuration");
        let response = server.http.get(url).header("host", host).send().await.unwrap();
        assert_eq!(response.status(), status, "{host}");
        assert_eq!(response.headers()["strict-transport-security"], "max-age=31536000; includeSubDomains");
        if status == 200 {
            let metadata: serde_json::Value = response.json().await.unwrap();
            assert_eq!(
                (&metadata["issuer"], &metadata["token_endpoint"]),
                (&json!("https://id.example.com"), &json!("https://id.example.com/oauth2/token"))
            );
        }
    }
}

both!(
    async fn head_and_method_overrides_change_nothing(server: Server) {
        server.web_app(json!({"first_party": true, "post_logout_redirect_uris": ["https://app.example/done"]})).await;
        server.alice().await;
        let browser = server.signed_in().await;
        let code = server.authorize(&browser, &request(&[("scope", "openid")])).await.returned().expect("code");
        let tokens = server.redeemed(&code).await;
        let hint = tokens["id_token"].as_str().unwrap();
        for path in [
            "/oauth2/authorize?response_type=code&client_id=web-app",
            &format!("/oauth2/logout?id_token_hint={hint}"),
            "/login",
            "/Session",
        ] {
            let head = browser.http.head(server.url(path)).bearer_auth(tokens["access_token"].as_str().unwrap());
            let page = browser.send(head).await;
            assert!(page.location.is_none() && page.cookie("login").is_none() && page.html.is_empty(), "{page:?}");
            let get = browser.http.get(server.url("/Session")).bearer_auth(tokens["access_token"].as_str().unwrap());
            browser.send(get.header("x-http-method-override", "DELETE").header("x-http-method", "DELETE")).await;
        }
        assert!(server.is_signed_in(&browser).await);
        assert!(server.is_active(tokens["access_token"].as_str().unwrap()).await);
    }
);

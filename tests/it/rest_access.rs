//! Who may use the REST surface (interface §4, baseline 31 and 60): the bootstrap admin client, an admin client's document by
//! Basic, Bearer tokens with the `admin` scope; everybody else 401 or 403, on every type, method and alias.

use base64::{Engine, engine::general_purpose::STANDARD as B64};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Database, Server, both, read};

const KINDS: [&str; 5] = ["Client", "User", "Grant", "Session", "SigningKey"];

/// Every operation there is.
fn operations() -> Vec<(&'static str, String)> {
    let mut all = vec![("PUT", "/".into()), ("POST", "/".into()), ("PUT", "/fhir".into()), ("POST", "/fhir".into())];
    for kind in KINDS {
        for mount in ["", "/fhir"] {
            let path = format!("{mount}/{kind}");
            all.extend(["GET", "HEAD", "POST", "PUT", "PATCH"].map(|method| (method, path.clone())));
            all.extend(["GET", "HEAD", "PUT", "PATCH", "DELETE"].map(|method| (method, format!("{path}/web-app"))));
            all.push(("GET", format!("{path}/web-app/_history/1")));
        }
    }
    all
}

/// What an operation writes, where it writes: another user, who would be an administrator.
fn body(method: &str, path: &str) -> Value {
    let evil = json!({"resourceType": "User", "id": "web-app", "userName": "evil", "roles": [{"value": "admin"}]});
    match (method, path) {
        ("PUT", "/" | "/fhir") => json!([evil]),
        ("POST", "/" | "/fhir") => json!({"resourceType": "Bundle", "type": "batch", "entry": [{"resource": evil}]}),
        _ if path.contains("/User") => evil,
        _ => json!({"name": "evil"}),
    }
}

/// None of the operations works with these credentials, and nothing is another one afterwards.
async fn refused(server: &Server, who: &str, expected: u16, credentials: impl Fn(RequestBuilder) -> RequestBuilder) {
    for (method, path) in operations() {
        let request = server.http.request(method.parse().unwrap(), server.url(&path)).json(&body(method, &path));
        let response = credentials(request).send().await.unwrap();
        let (status, challenge) = (response.status(), response.headers().contains_key("www-authenticate"));
        assert_eq!(status, expected, "{who}: {method} {path}");
        assert_eq!(challenge, expected == 401, "{who}: {method} {path}");
        let text = response.text().await.unwrap();
        if method != "HEAD" {
            let body: Value = serde_json::from_str(&text).unwrap_or_default();
            assert_eq!(body["resourceType"], "OperationOutcome", "{who}: {method} {path}: {text}");
        }
    }
    let (_, client) = read(server.admin("GET", "/Client/web-app").send().await.unwrap()).await;
    assert!(client["name"].is_null(), "{who}: {client}");
    assert_eq!(server.admin("GET", "/User/web-app").send().await.unwrap().status(), 404, "{who}");
}

async fn token(server: &Server, client: (&str, &str), form: &[(&str, &str)]) -> String {
    let (status, tokens) = server.post_form("/oauth2/token", Some(client), form).await;
    assert_eq!(status, 200, "{tokens}");
    tokens["access_token"].as_str().unwrap().to_owned()
}

/// A client that may administer by Basic, by client credentials and for its users.
async fn admin_client(server: &Server, id: &str, change: Value) {
    let mut document = json!({
        "secret": "client-secret",
        "grant_types": ["basic", "client_credentials", "password"],
        "scope": ["admin", "read"],
    });
    crate::support::merge(&mut document, &change);
    server.put(&format!("/Client/{id}"), document).await;
}

async fn may_administer(server: &Server, credentials: impl Fn(RequestBuilder) -> RequestBuilder) -> bool {
    let response = credentials(server.http.get(server.url("/Client?_count=1"))).send().await.unwrap();
    match response.status().as_u16() {
        200 => true,
        401 | 403 => false,
        other => panic!("{other}"),
    }
}

both!(
    async fn without_credentials_everything_is_401(server: Server) {
        server.web_app(json!({})).await;
        refused(&server, "nobody", 401, |request| request).await;
        refused(&server, "a token in the URL (RFC 6750 §2.3)", 401, |request| {
            request.query(&[("access_token", "x"), ("client_id", "root"), ("client_secret", "secret")])
        })
        .await;
        // The one operation for everybody who holds a token (interface §4).
        let response = server.http.delete(server.url("/Session")).send().await.unwrap();
        assert_eq!((response.status().as_u16(), response.headers().contains_key("www-authenticate")), (401, true));
    }
);

both!(
    async fn wrong_credentials_are_401_whatever_is_wrong_with_them(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        admin_client(&server, "off", json!({"active": false})).await;
        admin_client(&server, "gone", json!({})).await;
        server.admin("DELETE", "/Client/gone").send().await.unwrap();
        for (id, secret) in [
            ("root", "wrong"),
            ("root", ""),
            ("nobody", "secret"),
            ("off", "client-secret"),
            ("gone", "client-secret"),
            ("alice", "correct-horse-battery"),
        ] {
            refused(&server, id, 401, |request| request.basic_auth(id, Some(secret))).await;
        }
        for bearer in ["", "x", "cs_at_AAAA", "secret", "eyJhbGciOiJub25lIn0.eyJzY29wZSI6ImFkbWluIn0."] {
            assert!(!may_administer(&server, |request| request.bearer_auth(bearer)).await, "{bearer}");
        }
        // Two headers: which of the two would count?
        let two = |request: RequestBuilder| request.basic_auth("nobody", Some("x")).basic_auth("root", Some("secret"));
        assert!(!may_administer(&server, two).await);
    }
);

both!(
    async fn credentials_without_the_right_are_403(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        // An absent scope list is not "everything" (baseline 31); the right without Basic is none by Basic; nor the reverse.
        admin_client(&server, "no-scope", json!({"scope": null})).await;
        admin_client(&server, "other-scope", json!({"scope": ["administrator", "Admin", "admin:read"]})).await;
        admin_client(&server, "no-basic", json!({"grant_types": ["client_credentials"]})).await;
        for id in ["web-app", "no-scope", "other-scope", "no-basic"] {
            refused(&server, id, 403, |request| request.basic_auth(id, Some("client-secret"))).await;
        }
        let plain = token(&server, ("web-app", "client-secret"), &[("grant_type", "client_credentials")]).await;
        refused(&server, "a token without the scope", 403, |request| request.bearer_auth(&plain)).await;
        admin_client(&server, "admin-client", json!({})).await;
        let form = [("grant_type", "client_credentials"), ("scope", "read")];
        let narrow = token(&server, ("admin-client", "client-secret"), &form).await;
        assert!(!may_administer(&server, |request| request.bearer_auth(&narrow)).await);
        // A public client has no credentials that Basic could carry.
        admin_client(&server, "public", json!({"secret": null})).await;
        assert!(!may_administer(&server, |request| request.basic_auth("public", Some(""))).await);
        assert!(!may_administer(&server, |request| request.basic_auth("public", None::<&str>)).await);
    }
);

both!(
    async fn the_admin_scope_is_never_implied(server: Server) {
        admin_client(&server, "no-scope", json!({"scope": null})).await;
        let user = json!({"userName": "carol", "password": "correct-horse-battery"});
        server.put("/User/carol", user).await;
        let client_credentials = [("grant_type", "client_credentials"), ("scope", "admin")];
        let password = [
            ("grant_type", "password"),
            ("username", "carol"),
            ("password", "correct-horse-battery"),
            ("scope", "admin"),
        ];
        for form in [&client_credentials[..], &password[..]] {
            let (status, body) = server.post_form("/oauth2/token", Some(("no-scope", "client-secret")), form).await;
            assert!(status == 400 || body["scope"] != "admin", "{body}");
            if let Some(token) = body["access_token"].as_str() {
                assert!(!may_administer(&server, |request| request.bearer_auth(token)).await, "{body}");
            }
        }
        // The client may have it, the user has not the role.
        admin_client(&server, "admin-client", json!({})).await;
        let (_, body) = server.post_form("/oauth2/token", Some(("admin-client", "client-secret")), &password).await;
        if let Some(token) = body["access_token"].as_str() {
            assert!(!may_administer(&server, |request| request.bearer_auth(token)).await, "{body}");
            assert_ne!(body["scope"], "admin");
        }
    }
);

both!(
    async fn an_administrator_comes_by_basic_or_by_token(server: Server) {
        assert!(may_administer(&server, |request| request.basic_auth("root", Some("secret"))).await);
        admin_client(&server, "opaque", json!({})).await;
        admin_client(&server, "jwt", json!({"auth": {"client_credentials": {"token_format": "jwt"}}})).await;
        for id in ["opaque", "jwt"] {
            assert!(may_administer(&server, |request| request.basic_auth(id, Some("client-secret"))).await);
            let form = [("grant_type", "client_credentials"), ("scope", "admin")];
            let token = token(&server, (id, "client-secret"), &form).await;
            assert!(may_administer(&server, |request| request.bearer_auth(&token)).await, "{id}");
            let document = json!({"grant_types": ["code"]});
            let put = server.http.put(server.url(&format!("/fhir/Client/by-{id}"))).bearer_auth(&token).json(&document);
            assert_eq!(put.send().await.unwrap().status(), 201);
            // The scope must still stand in the document, at once.
            admin_client(&server, id, json!({"scope": ["read"]})).await;
            assert!(!may_administer(&server, |request| request.bearer_auth(&token)).await, "{id}");
            assert!(!may_administer(&server, |request| request.basic_auth(id, Some("client-secret"))).await, "{id}");
        }
    }
);

both!(
    async fn a_persons_token_administers_while_the_person_has_the_role(server: Server) {
        admin_client(&server, "console", json!({"auth": {"password": {"refresh_token": true}}})).await;
        let carol = json!({"userName": "carol", "password": "correct-horse-battery", "roles": [{"value": "admin"}]});
        server.put("/User/carol", carol.clone()).await;
        let form = [
            ("grant_type", "password"),
            ("username", "carol"),
            ("password", "correct-horse-battery"),
            ("scope", "admin"),
        ];
        let (status, tokens) = server.post_form("/oauth2/token", Some(("console", "client-secret")), &form).await;
        assert_eq!(status, 200, "{tokens}");
        let access = tokens["access_token"].as_str().unwrap();
        assert!(may_administer(&server, |request| request.bearer_auth(access)).await);
        // A refresh token is none for access (baseline 27).
        let refresh = tokens["refresh_token"].as_str().unwrap();
        refused_token(&server, refresh).await;
        // A role of another name, or the name in another place, is not it.
        for change in [json!({"roles": [{"value": "Admin"}, {"type": "admin"}]}), json!({"data": {"roles": ["admin"]}})]
        {
            let mut document = carol.clone();
            document.as_object_mut().unwrap().remove("roles");
            crate::support::merge(&mut document, &change);
            server.put("/User/carol", document).await;
            assert!(!may_administer(&server, |request| request.bearer_auth(access)).await, "{change}");
        }
        server.put("/User/carol", carol.clone()).await;
        assert!(may_administer(&server, |request| request.bearer_auth(access)).await);
        let mut inactive = carol;
        inactive["inactive"] = json!(true);
        server.put("/User/carol", inactive).await;
        refused_token(&server, access).await;
    }
);

async fn refused_token(server: &Server, token: &str) {
    let response = server.http.get(server.url("/Client")).bearer_auth(token).send().await.unwrap();
    assert_eq!(response.status(), 401);
}

both!(
    async fn a_browsers_login_is_no_right_to_administer(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        let patch = json!({"roles": [{"value": "admin"}]});
        server.admin("PATCH", "/User/alice").json(&patch).send().await.unwrap();
        let browser = server.browser();
        server.sign_in_and_consent(&browser, &[("response_type", "code"), ("client_id", "web-app")]).await;
        for (method, path) in [("GET", "/Client"), ("PUT", "/Client/evil"), ("DELETE", "/Client/web-app")] {
            let request = browser.http.request(method.parse().unwrap(), server.url(path)).json(&json!({}));
            assert_eq!(request.send().await.unwrap().status(), 401, "{method} {path}");
        }
    }
);

both!(
    async fn a_password_that_a_browser_remembers_is_no_consent_to_what_another_site_asks(server: Server) {
        let own = server.issuer().to_owned();
        let create = |headers: &[(&str, &str)]| {
            // What a page can send without being asked first: no content type, and the password the browser was told.
            let request = server.admin("POST", "/User").body(json!({"id": "eve"}).to_string());
            headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send()
        };
        for header in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("origin", "https://evil.example"),
            ("origin", "null"),
        ] {
            assert_eq!(create(&[header]).await.unwrap().status(), 403, "{header:?}");
        }
        assert_eq!(server.admin("GET", "/User/eve").send().await.unwrap().status(), 404);
        let linked = server.admin("GET", "/User").header("sec-fetch-site", "cross-site").send().await.unwrap();
        assert_eq!(linked.status(), 200, "a link changes nothing");
        let status = create(&[("origin", &own), ("sec-fetch-site", "same-origin")]).await.unwrap().status();
        assert_eq!(status, 201);
    }
);

both!(
    async fn our_own_origin_is_known_where_the_host_stands_in_the_target(server: Server) {
        // As in HTTP/2, where there is no Host header (RFC 9113 §8.3.1); in HTTP/1.1 the target overrules it (RFC 9112 §3.2.2).
        let issuer = server.issuer().to_owned();
        let ask = async |target: &str, host: &str, origin: &str| {
            let mut stream = TcpStream::connect(server.instance.address).await.unwrap();
            let basic = B64.encode("root:secret");
            let head = format!(
                "PUT {target}/User/a HTTP/1.1\r\n{host}Origin: {origin}\r\nAuthorization: Basic {basic}\r\nConnection: close\r\n\
                 Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}"
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer.split(' ').nth(1).unwrap().to_owned()
        };
        assert_eq!(ask(&issuer, "", "null").await, "403");
        assert_eq!(ask(&issuer, "", "https://evil.example").await, "403");
        assert_eq!(ask(&issuer, "", &issuer).await, "201");
        assert_eq!(ask(&issuer, "Host: evil.example\r\n", &issuer).await, "200");
        assert_eq!(ask("http://evil.example", "Host: localhost\r\n", "http://evil.example").await, "421");
        assert_eq!(ask("", "Host: localhost\r\nHost: evil.example\r\n", "http://evil.example").await, "400");
    }
);

both!(
    async fn a_mistyped_address_is_404_and_asks_nobody_for_a_password(server: Server) {
        for path in ["/oauth2/par", "/Clientt/a", "/fhir/Nothing", "/fhirClient", "/a/b/_history/1"] {
            for accept in ["text/html", "*/*"] {
                let response = server.http.get(server.url(path)).header("accept", accept).send().await.unwrap();
                assert_eq!(response.status(), 404, "{path}");
                assert!(!response.headers().contains_key("www-authenticate"), "{path}");
                let is_html = response.headers()["content-type"].to_str().unwrap().starts_with("text/html");
                assert_eq!(is_html, accept == "text/html", "{path}");
            }
        }
        let (status, outcome) = read(server.admin("GET", "/Clientt/a").send().await.unwrap()).await;
        assert_eq!((status.as_u16(), &outcome["resourceType"]), (404, &json!("OperationOutcome")));
    }
);

#[tokio::test]
async fn there_is_no_bootstrap_administrator_without_its_secret() {
    let none = Server::start_with(Database::Sqlite, |set| set.admin_client_secret = None).await;
    for secret in ["secret", "", "root"] {
        assert!(!may_administer(&none, |request| request.basic_auth("root", Some(secret))).await, "{secret}");
    }
    let other = Server::start_with(Database::Sqlite, |set| set.admin_client_id = "boss".into()).await;
    assert!(!may_administer(&other, |request| request.basic_auth("root", Some("secret"))).await);
    assert!(may_administer(&other, |request| request.basic_auth("boss", Some("secret"))).await);
}

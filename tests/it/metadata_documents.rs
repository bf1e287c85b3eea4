//! Client ID metadata documents: draft-ietf-oauth-client-id-metadata-document; and what is shown of a client's own pages and logo.

use std::path::PathBuf;

use countersign::config::DatabaseUrl;
use serde_json::{Value, json};

use crate::support::{CHALLENGE, ClientKey, Database, Elsewhere, Page, Server, VERIFIER, read, text};

/// A server that reaches another one on this machine, over TLS.
async fn servers(database: Database) -> (Server, Elsewhere) {
    let elsewhere = Elsewhere::start_tls().await;
    let ca: Option<PathBuf> = elsewhere.ca.clone();
    let server = Server::start_with(database, |settings| settings.outbound_ca = ca).await;
    server.alice().await;
    (server, elsewhere)
}

/// Puts a document of a client at a path, and says its URL.
fn describe(elsewhere: &Elsewhere, path: &str, change: &Value) -> String {
    let url = elsewhere.url(path);
    let mut document = json!({
        "client_id": url, "client_name": "Described", "redirect_uris": [elsewhere.url("/cb")], "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"], "client_uri": elsewhere.url("/"),
    });
    crate::support::merge(&mut document, change);
    elsewhere.put_with(
        path,
        200,
        &[("content-type", "application/json"), ("cache-control", "max-age=600")],
        document.to_string(),
    )
}

async fn begin(server: &Server, url: &str, redirect: &str) -> Page {
    let query = [
        ("response_type", "code"),
        ("client_id", url),
        ("redirect_uri", redirect),
        ("scope", "openid"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    server.authorize(&server.signed_in().await, &query).await
}

macro_rules! described {
    (async fn $name:ident($server:ident, $elsewhere:ident) $body:block) => {
        mod $name {
            use super::*;

            async fn check(($server, $elsewhere): (Server, Elsewhere)) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                check(servers(Database::Sqlite).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                check(servers(Database::Postgres).await).await;
            }
        }
    };
}

described!(
    async fn a_url_is_a_client_and_its_host_is_shown(server, elsewhere) {
        let url = describe(&elsewhere, "/client.json", &json!({}));
        let redirect = elsewhere.url("/cb");
        let query = [
            ("response_type", "code"), ("client_id", url.as_str()), ("redirect_uri", &redirect), ("scope", "openid profile"),
            ("code_challenge", CHALLENGE), ("code_challenge_method", "S256"), ("resource", "https://mcp.example/"),
        ];
        let browser = server.signed_in().await;
        let page = server.authorize(&browser, &query).await;
        assert!(page.is_consent() && page.has("#unverified"), "{page:?}");
        assert_eq!(page.text("#described_at"), format!("localhost:{}", elsewhere.address.port()));
        let code = browser.consent(&page, "approve").await.returned().expect("code");
        let form = [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", &redirect), ("client_id", &url), ("code_verifier", VERIFIER)];
        let (status, tokens) = server.post_form("/oauth2/token", None, &form).await;
        assert_eq!(status, 200, "{tokens}");
        let claims = crate::support::jwt(text(&tokens, "access_token")).1;
        assert_eq!((&claims["client_id"], &claims["aud"]), (&json!(url), &json!("https://mcp.example/")));
        let form = [("grant_type", "refresh_token"), ("refresh_token", text(&tokens, "refresh_token")), ("client_id", &url)];
        assert_eq!(server.post_form("/oauth2/token", None, &form).await.0, 200);
        assert_eq!(elsewhere.hits("/client.json"), 1, "it is remembered as long as its headers say");
        // Consent was given for this URL, and https leads to nobody else.
        assert!(server.authorize(&browser, &query).await.returned().get("code").is_some());

        if !matches!(server.settings.database_url, DatabaseUrl::Postgres(_)) {
            return;
        }
        // Another node, or this one after a restart, knows the client while its site is away; for who begins it must be there.
        let node = server.another_node().await;
        elsewhere.put_with("/client.json", 503, &[], "");
        assert!(node.is_active(text(&tokens, "access_token")).await);
        assert_eq!(begin(&node, &url, &redirect).await.error().as_deref(), Some("invalid_client"));
        // A document that is gone is no client, whatever was issued to it.
        let last = server.another_node().await;
        elsewhere.put_with("/client.json", 404, &[], "");
        assert_eq!(begin(&last, &url, &redirect).await.error().as_deref(), Some("invalid_client"));
        assert!(!last.is_active(text(&tokens, "access_token")).await);
    }
);

described!(
    async fn a_described_client_may_prove_itself_with_its_key(server, elsewhere) {
        let key = ClientKey::new("ES256", "k");
        let change = json!({"token_endpoint_auth_method": "private_key_jwt", "jwks": key.jwks()});
        let url = describe(&elsewhere, "/client.json", &change);
        let redirect = elsewhere.url("/cb");
        let query = [("response_type", "code"), ("client_id", url.as_str()), ("redirect_uri", &redirect), ("scope", "openid")];
        let code = server.sign_in_and_consent(&server.browser(), &query).await.expect("code");
        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        let form = [("grant_type", "authorization_code"), ("code", code.as_str()), ("redirect_uri", &redirect)];
        let without: Vec<_> = form.iter().copied().chain([("client_id", url.as_str())]).collect();
        assert_eq!(server.post_form("/oauth2/token", None, &without).await.0, 401);
        let assertion = key.sign(&crate::registration::assertion(&server, &url));
        let with: Vec<_> = form.iter().copied().chain([("client_assertion_type", kind), ("client_assertion", &assertion)]).collect();
        let (status, tokens) = server.post_form("/oauth2/token", None, &with).await;
        assert_eq!(status, 200, "{tokens}");
    }
);

described!(
    async fn a_document_that_is_not_as_it_should_be_is_no_client(server, elsewhere) {
        let redirect = elsewhere.url("/cb");
        let loopback = describe(&elsewhere, "/native.json", &json!({"redirect_uris": ["http://127.0.0.1/cb"]}));
        assert!(begin(&server, &loopback, "http://127.0.0.1:41234/cb").await.is_consent());
        for (index, change) in [
            json!({"client_id": "https://other.example/client.json"}),
            json!({"client_secret": "x"}),
            json!({"client_secret_expires_at": 0}),
            json!({"token_endpoint_auth_method": "client_secret_basic"}),
            json!({"redirect_uris": null}),
            json!({"redirect_uris": ["https://other.example/cb"]}),
            json!({"redirect_uris": ["http://other.example/cb"]}),
            json!({"grant_types": ["client_credentials"]}),
            json!({"scope": "admin"}),
            json!({"jwks": {"keys": [{"kty": "RSA", "d": "x"}]}}),
        ].into_iter().enumerate() {
            let url = describe(&elsewhere, &format!("/wrong/{index}.json"), &change);
            assert_eq!(begin(&server, &url, &redirect).await.error().as_deref(), Some("invalid_client"), "{change}");
        }
        let body = || json!({"client_id": elsewhere.url("/x.json"), "redirect_uris": [redirect]}).to_string();
        for (status, kind) in [(200, "text/html"), (201, "application/json"), (302, "application/json"), (404, "application/json")] {
            let url = elsewhere.put_with("/x.json", status, &[("content-type", kind)], body());
            assert!(begin(&server, &url, &redirect).await.error().is_some(), "{status} {kind}");
        }
        elsewhere.put_with("/x.json", 200, &[("content-type", "application/client+json")], body());
        assert!(begin(&server, &elsewhere.url("/x.json"), &redirect).await.is_consent(), "a failure is not remembered");
    }
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_address_of_a_document_is_not_fetched() {
    let (server, elsewhere) = servers(Database::Sqlite).await;
    let good = describe(&elsewhere, "/a/client.json", &json!({}));
    for url in [
        good.replace("https", "http"),
        good.replace("/a/", "/b/../a/"),
        good.replace("/a/", "/./a/"),
        format!("{good}#fragment"),
        good.replace("https://", "https://user@"),
        good.replace("localhost", "LOCALHOST"),
        elsewhere.url("/"),
        elsewhere.url(""),
        "https://169.254.169.254/latest".to_owned(),
        "https://10.0.0.1/client.json".to_owned(),
    ] {
        assert!(begin(&server, &url, "https://a.example/").await.error().is_some(), "{url}");
    }
    assert_eq!(elsewhere.hits("/a/client.json"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_says_which_hosts_are_believed() {
    let (server, elsewhere) = servers(Database::Sqlite).await;
    let url = describe(&elsewhere, "/client.json", &json!({}));
    let discovery = async |server: &Server| {
        let answer = server.http.get(server.url("/.well-known/oauth-authorization-server")).send().await.unwrap();
        read(answer).await.1["client_id_metadata_document_supported"].clone()
    };
    assert_eq!(discovery(&server).await, true);
    for (hosts, supported, known) in
        [(vec!["none"], false, false), (vec!["other.example"], true, false), (vec!["localhost"], true, true)]
    {
        let ca = elsewhere.ca.clone();
        let hosts: Vec<String> = hosts.into_iter().map(str::to_owned).collect();
        let other = Server::start_with(Database::Sqlite, |settings| {
            settings.outbound_ca = ca;
            settings.metadata_documents = hosts;
        })
        .await;
        other.alice().await;
        assert_eq!(discovery(&other).await, supported);
        assert_eq!(begin(&other, &url, &elsewhere.url("/cb")).await.is_consent(), known);
    }
}

fn png() -> Vec<u8> {
    let mut bytes = Vec::new();
    let picture = image::DynamicImage::new_rgb8(300, 300);
    picture.write_to(&mut std::io::Cursor::new(&mut bytes), image::ImageFormat::Png).unwrap();
    bytes
}

described!(
    async fn a_logo_is_fetched_once_made_anew_and_served_from_here(server, elsewhere) {
        let original = png();
        let logo = elsewhere.put("/logo.png", original.clone());
        server.web_app(json!({"logo_uri": logo, "client_uri": "https://app.example/", "tos_uri": "https://app.example/tos"})).await;
        let browser = server.signed_in().await;
        let page = server.authorize(&browser, &crate::support::request(&[("scope", "openid")])).await;
        let source = page.attribute("img.logo", "src").unwrap();
        assert!(source.starts_with("/client-logo?") && !page.html.contains(&logo), "{source}");
        for link in ["https://app.example/", "https://app.example/tos"] {
            assert!(page.has(&format!("a[href='{link}'][rel~=noreferrer]")), "{link}");
        }
        let answer = server.http.get(server.url(&source)).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), &answer.headers()["content-type"]), (200, &"image/png".parse().unwrap()));
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
        let tag = answer.headers()["etag"].clone();
        let bytes = answer.bytes().await.unwrap();
        assert!(bytes.starts_with(b"\x89PNG") && bytes != original);
        let again = server.http.get(server.url(&source)).header("if-none-match", tag).send().await.unwrap();
        assert_eq!((again.status().as_u16(), elsewhere.hits("/logo.png")), (304, 1));
        // Another node has it from the database.
        if matches!(server.settings.database_url, DatabaseUrl::Postgres(_)) {
            let node = server.another_node().await;
            assert_eq!(node.http.get(node.url(&source)).send().await.unwrap().status(), 200);
            assert_eq!(elsewhere.hits("/logo.png"), 1);
        }
        // Nothing is fetched that no document names, and what is no picture is nothing.
        for wrong in ["/client-logo?client_id=web-app&v=x", "/client-logo?client_id=none&v=x", "/client-logo"] {
            assert_eq!(server.http.get(server.url(wrong)).send().await.unwrap().status(), 404);
        }
        let svg = elsewhere.put("/logo.svg", "<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>");
        server.web_app(json!({"logo_uri": svg})).await;
        let page = server.authorize(&browser, &crate::support::request(&[("scope", "openid")])).await;
        let source = page.attribute("img.logo", "src").unwrap();
        for _ in 0..2 {
            let empty = server.http.get(server.url(&source)).send().await.unwrap();
            assert_eq!(empty.headers()["content-type"], "image/gif");
            assert!(empty.bytes().await.unwrap().len() < 50);
        }
        assert_eq!(elsewhere.hits("/logo.svg"), 1, "nor asked for again at once");
        let page = server.authorize(&browser, &crate::support::request(&[("scope", "openid")])).await;
        assert!(!page.has("img.logo"), "nor shown");
    }
);

described!(
    // Core §8.1; RP-Initiated Logout §3.1
    async fn a_document_speaks_for_its_own_host_alone(server, elsewhere) {
        let foreign = "https://app.example/bye";
        let (redirect, own) = (elsewhere.url("/cb"), elsewhere.url("/bye"));
        let change = json!({
            "subject_type": "pairwise", "sector_identifier_uri": "https://app.example/sector.json",
            "post_logout_redirect_uris": [foreign, own], "frontchannel_logout_uri": "https://app.example/front",
            "backchannel_logout_uri": "https://app.example/back", "logo_uri": "HTTPS://app.example/logo.png",
        });
        let url = describe(&elsewhere, "/client.json", &change);
        server.web_app(json!({"subject_type": "pairwise", "sector_identifier_uri": "https://app.example/sector.json"})).await;
        let browser = server.browser();
        let code = server.sign_in_and_consent(&browser, &crate::support::request(&[("scope", "openid")])).await.expect("code");
        let of_the_app = server.redeemed(&code).await;
        let query = [
            ("response_type", "code"), ("client_id", url.as_str()), ("redirect_uri", &redirect), ("scope", "openid"),
            ("code_challenge", CHALLENGE), ("code_challenge_method", "S256"),
        ];
        let page = server.authorize(&browser, &query).await;
        assert_eq!(page.attribute("main img", "src"), None, "{page:?}");
        let code = browser.consent(&page, "approve").await.returned().expect("code");
        let form = [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", &redirect), ("client_id", &url), ("code_verifier", VERIFIER)];
        let (status, tokens) = server.post_form("/oauth2/token", None, &form).await;
        assert_eq!(status, 200, "{tokens}");
        let sub = |tokens: &Value| crate::support::jwt(text(tokens, "id_token")).1["sub"].clone();
        assert_ne!(sub(&tokens), sub(&of_the_app), "another sector is another's to name");
        let logout = async |uri: &str| {
            let query = [("client_id", url.as_str()), ("post_logout_redirect_uri", uri)];
            server.browser().send(server.http.get(server.url("/oauth2/logout")).header("accept", "text/html").query(&query)).await
        };
        assert_eq!(logout(foreign).await.error().as_deref(), Some("invalid_request"));
        assert_eq!(logout(&own).await.error(), None);
        let hint = [("id_token_hint", text(&tokens, "id_token"))];
        let page = browser.send(browser.http.get(server.url("/oauth2/logout")).header("accept", "text/html").query(&hint)).await;
        assert_eq!((page.status.as_u16(), page.attribute("iframe", "src")), (200, None), "{page:?}");
        let other = describe(&elsewhere, "/other.json", &json!({"redirect_uris": ["HTTPS://app.example/cb"]}));
        assert_eq!(begin(&server, &other, "HTTPS://app.example/cb").await.error().as_deref(), Some("invalid_client"));
    }
);

described!(
    async fn what_a_database_cannot_hold_is_no_failure_of_ours(server, elsewhere) {
        let url = describe(&elsewhere, "/client.json", &json!({"x": {"a\u{0}": ["\u{0}"]}, "client_name": "Odd"}));
        let redirect = elsewhere.url("/cb");
        assert_eq!(begin(&server, &url, &redirect).await.error().as_deref(), Some("invalid_client"));
    }
);

described!(
    async fn no_more_logos_are_kept_than_the_latest(server, _elsewhere) {
        let (store, now) = (&server.instance.store, server.instance.clock.now());
        let address = |index: i64| countersign::domain::secret::Digest::of(&index.to_be_bytes());
        for index in 0..1_010 {
            store.keep_logo(address(index), b"png", now.plus(index)).await.unwrap();
        }
        server.instance.sweep().await.unwrap();
        for (index, kept) in [(0, false), (9, false), (10, true), (1_009, true)] {
            assert_eq!(store.logo(address(index)).await.unwrap().is_some(), kept, "{index}");
        }
    }
);

//! The developer's server: demo resources, a start page and a code flow to look at; and that none of it exists elsewhere.

use countersign::config::Mode;
use serde_json::json;

use crate::support::{Browser, CHALLENGE, Database, Page, Server, both, request};

const PASSWORD: &str = "correct-horse-battery";
const BOTH: [Database; 2] = [Database::Sqlite, Database::Postgres];

async fn dev(database: Database) -> Server {
    Server::start_with(database, |settings| settings.mode = Mode::Dev).await
}

/// From the start page to the consent page.
async fn to_consent(server: &Server, browser: &Browser) -> Page {
    let home = browser.get(&server.url("/")).await;
    let start = home.attribute("main a.primary", "href").unwrap();
    let page = browser.get(&server.url(&start)).await;
    let page = browser.follow(page).await;
    let page = browser.sign_in(&page, "alice", PASSWORD).await;
    browser.follow(page).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_start_page_shows_what_runs_and_credentials_that_work() {
    for database in BOTH {
        let server = dev(database).await;
        let page = server.browser().get(&server.url("/")).await;
        let shown = page.text("main");
        let database = if database == Database::Sqlite { "SQLite" } else { "PostgreSQL" };
        for word in [
            server.issuer(),
            database,
            "web-app",
            "client-secret",
            "spa",
            "alice",
            "bob",
            PASSWORD,
            "root",
            "secret",
            "http://localhost:4200",
        ] {
            assert!(shown.contains(word), "{word}: {shown}");
        }
        assert!(!shown.contains("postgres://") && !page.has("script"), "{shown}");
        // The line works when pasted.
        let line = page.text("section[aria-labelledby=curl] pre");
        assert_eq!(
            line,
            format!(
                "curl -s -u web-app:client-secret -d grant_type=client_credentials {}/oauth2/token",
                server.issuer()
            )
        );
        let (status, tokens) = server.token(&[("grant_type", "client_credentials")]).await;
        assert!(status == 200 && tokens["access_token"].is_string(), "{tokens}");
        for name in ["alice", "bob", "bob@example.com"] {
            let browser = server.browser();
            let page = browser.get(&server.url("/login")).await;
            assert_eq!(browser.sign_in(&page, name, PASSWORD).await.status, 303);
        }
        assert_eq!(server.admin("GET", "/Client").send().await.unwrap().status(), 200);
        let demo =
            server.http.get(server.url("/Client")).basic_auth("web-app", Some("client-secret")).send().await.unwrap();
        assert_eq!(demo.status(), 403, "the demo client is no administrator");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_code_flow_ends_on_a_page_with_everything_it_brought() {
    for database in BOTH {
        let server = dev(database).await;
        let browser = server.browser();
        let page = to_consent(&server, &browser).await;
        let page = browser.consent(&page, "approve").await;
        let page = browser.follow(page).await;
        assert_eq!((page.status.as_u16(), page.text("h1").as_str()), (200, "The code flow worked"), "{page:?}");
        let shown = page.text("main");
        for word in [
            "cs_ac_",
            "refresh_token",
            "alice",
            "\"scope\": \"openid profile email offline_access\"",
            "Signed with RS256 by our key",
            "Carries the nonce that was sent",
            server.issuer(),
        ] {
            assert!(shown.contains(word), "{word}: {shown}");
        }
        assert!(server.is_active(&page.text("#access_token")).await);
        // Opened again, the state is spent: the code is not sent a second time, which would end what came of it (RFC 6749 §4.1.2).
        let token = page.text("#access_token");
        let page = browser.get(page.url.as_str()).await;
        assert!(page.start_again().is_some(), "{page:?}");
        assert!(server.is_active(&token).await);
    }
}

#[tokio::test]
async fn the_callback_page_tells_errors_and_believes_only_its_own_state() {
    let server = dev(Database::Sqlite).await;
    let browser = server.browser();
    let page = to_consent(&server, &browser).await;
    let denied = browser.consent(&page, "deny").await;
    let denied = browser.follow(denied).await;
    assert_eq!(denied.text("#error"), "access_denied");

    let page = browser.get(&server.url("/dev/start")).await;
    let page = browser.follow(page).await;
    let page = browser.consent(&page, "approve").await;
    let callback = page.url.join(page.location.as_ref().unwrap()).unwrap();
    // A code that is slipped in under another state, or into another browser, is not redeemed.
    let state = page.returned().expect("state");
    for (url, visitor) in [
        (callback.as_str().replace(&state, "another"), &browser),
        (callback.as_str().replace("state=", "x="), &browser),
        (callback.to_string(), &server.browser()),
    ] {
        let page = visitor.get(&url).await;
        assert!(page.start_again().is_some() && !page.html.contains("cs_at_"), "{page:?}");
    }
    // HEAD redeems nothing either.
    let head = browser.send(browser.http.head(callback.as_str())).await;
    assert!(head.html.is_empty());
    assert_eq!(browser.get(callback.as_str()).await.text("h1"), "The code flow worked");
    let begun = browser.get(&server.url("/dev/start")).await.returned().expect("state");
    let error = format!("/sandbox/callback?error=%3Cscript%3E&error_description=%3Cimg%20src=x%3E&state={begun}");
    let script = browser.get(&server.url(&error)).await;
    assert!(script.text("#error") == "<script>" && !script.has("script") && !script.has("img"), "{script:?}");
}

#[tokio::test]
async fn the_clients_of_the_demo_are_good_for_what_they_say_and_no_more() {
    let server = dev(Database::Sqlite).await;
    let browser = server.signed_in().await;
    for uri in [
        "http://localhost:4200",
        "http://localhost:3000/callback",
        "http://localhost:5173",
        "http://127.0.0.1:51234/callback",
    ] {
        for client in ["web-app", "spa"] {
            let query = [
                ("response_type", "code"),
                ("client_id", client),
                ("redirect_uri", uri),
                ("code_challenge", CHALLENGE),
                ("code_challenge_method", "S256"),
            ];
            let page = server.authorize(&browser, &query).await;
            assert!(page.is_consent() || page.location.is_some_and(|to| to.starts_with(uri)), "{client} {uri}");
        }
    }
    let query = [("response_type", "code"), ("client_id", "spa"), ("redirect_uri", "http://localhost:4200")];
    assert_eq!(
        server.authorize(&browser, &query).await.returned().get("error"),
        Some("invalid_request"),
        "PKCE is required"
    );
    let query =
        [("response_type", "code"), ("client_id", "countersign-dev"), ("redirect_uri", "http://localhost:4200")];
    assert_eq!(server.authorize(&browser, &query).await.error().as_deref(), Some("invalid_request"));
    // `admin` is in no demo client's list, though Alice is an administrator.
    let page =
        server.authorize(&browser, &request(&[("scope", "admin"), ("redirect_uri", "http://localhost:4200")])).await;
    assert_eq!(page.returned().get("error"), Some("invalid_scope"));
}

#[tokio::test]
async fn only_local_names_are_answered_in_development() {
    let server = Server::start_with(Database::Sqlite, |settings| {
        settings.mode = Mode::Dev;
        settings.allowed_hosts = vec!["dev.example".into()];
    })
    .await;
    for (host, status) in [
        ("localhost:8080", 200),
        ("127.0.0.1:8080", 200),
        ("[::1]:8080", 200),
        ("app.localhost", 200),
        ("countersign:8080", 200),
        ("dev.example", 200),
        // DNS rebinding: a public name, or an address that is not this machine.
        ("rebind.evil.example:8080", 421),
        ("192.168.1.7", 421),
        ("[fe80::1]", 421),
        ("localhost.", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.nip.io", 421),
    ] {
        let response = server.http.get(server.url("/")).header("host", host).send().await.unwrap();
        assert_eq!(response.status(), status, "{host}");
        assert_eq!(response.text().await.unwrap().contains("client-secret"), status == 200, "{host}");
    }
}

both!(
    async fn none_of_it_exists_in_serve(server: Server) {
        server.web_app(json!({})).await;
        let browser = server.browser();
        let page = browser.get(&server.url("/")).await;
        assert_eq!(page.status, 200);
        for word in ["secret", PASSWORD, "alice", "web-app", "/dev/", "SQLite", "PostgreSQL"] {
            assert!(!page.html.contains(word), "{word}");
        }
        for path in ["/dev/start", "/dev"] {
            let page = browser.get(&server.url(path)).await;
            assert!(matches!(page.status.as_u16(), 401 | 404) && page.location.is_none(), "{path} {page:?}");
            assert!(page.headers.get("set-cookie").is_none(), "{path}");
        }
        for id in ["spa", "countersign-dev"] {
            assert_eq!(server.admin("GET", &format!("/Client/{id}")).send().await.unwrap().status(), 404);
        }
        let page = browser.get(&server.url("/login")).await;
        assert_eq!(browser.sign_in(&page, "alice", PASSWORD).await.status, 403);
        // Without the setting there is no administrator, under no well-known secret.
        let server = Server::start_with(Database::Sqlite, |settings| settings.admin_client_secret = None).await;
        for secret in ["secret", "", "root"] {
            let response =
                server.http.get(server.url("/Client")).basic_auth("root", Some(secret)).send().await.unwrap();
            assert_eq!(response.status(), 401, "{secret}");
        }
    }
);

/// A server of real use on a database, and then a developer's on the same one.
async fn on_a_used_database(database: Database) -> (Server, Server) {
    let server = match database {
        Database::Sqlite => Server::on_a_file().await,
        Database::Postgres => Server::start(database).await,
    };
    server.put("/Client/shop", json!({"secret": "a-secret-of-the-shop", "grant_types": ["client_credentials"]})).await;
    let dev = server.another_with(|settings| settings.mode = Mode::Dev).await;
    (server, dev)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_holds_others_gets_no_demo() {
    for database in BOTH {
        let (server, dev) = on_a_used_database(database).await;
        for path in ["/Client/web-app", "/Client/spa", "/User/alice", "/User/bob"] {
            assert_eq!(server.admin("GET", path).send().await.unwrap().status(), 404, "{path}");
        }
        let page = dev.browser().get(&dev.url("/")).await;
        assert!(
            page.status == 200 && !page.html.contains("client-secret") && !page.html.contains(PASSWORD),
            "{page:?}"
        );
        let (status, _) = dev.token(&[("grant_type", "client_credentials")]).await;
        assert_eq!(status, 401);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_start_keeps_what_was_changed_since_the_first() {
    for database in BOTH {
        let real = match database {
            // An empty database of `serve` is as good as a new one.
            Database::Sqlite => Server::on_a_file().await,
            Database::Postgres => Server::start(database).await,
        };
        let first = real.another_with(|settings| settings.mode = Mode::Dev).await;
        first.patch("/User/alice", json!({"password": "a-password-of-my-own"})).await;
        first.patch("/Client/web-app", json!({"secret": "a-secret-of-my-own"})).await;
        let again = first.another_with(|_| ()).await;
        let (status, body) = again.token(&[("grant_type", "client_credentials")]).await;
        assert_eq!(status, 401, "a known secret is back: {body}");
        let browser = again.browser();
        let page = browser.get(&again.url("/login")).await;
        assert_eq!(browser.sign_in(&page, "alice", PASSWORD).await.status, 403);
        let page = browser.get(&again.url("/login")).await;
        assert_eq!(browser.sign_in(&page, "alice", "a-password-of-my-own").await.status, 303);
        // The client of the callback page follows the address, and is in no database.
        let page = browser.get(&again.url("/dev/start")).await;
        assert!(browser.follow(page).await.is_consent());
        assert_eq!(again.admin("GET", "/Client/countersign-dev").send().await.unwrap().status(), 404);
    }
}

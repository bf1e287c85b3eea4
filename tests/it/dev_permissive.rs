//! `--permissive`: clients and users that are there as soon as somebody names them, any loopback address to come back to; and what stays
//! refused all the same.

use std::collections::BTreeSet;

use countersign::config::{Consent, Mode};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{Browser, CHALLENGE, Database, Page, Server, VERIFIER, jwt, read, text};

const BACK: &str = "http://127.0.0.1:51004/cb";

/// A developer's server as these three flags have it.
async fn start(database: Database) -> Server {
    Server::start_with(database, |settings| {
        (settings.mode, settings.dev_api, settings.permissive) = (Mode::Dev, true, true);
        (settings.auto_login, settings.auto_consent) = (true, Consent::Approve);
    })
    .await
}

macro_rules! both_permissive {
    ($(async fn $name:ident($server:ident: Server) $body:block)*) => {$(
        mod $name {
            use super::*;

            async fn check($server: Server) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                check(start(Database::Sqlite).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                check(start(Database::Postgres).await).await;
            }
        }
    )*};
}

/// An authorization request of a client that nobody has heard of.
fn asked<'a>(client_id: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let ours = [("response_type", "code"), ("client_id", client_id), ("scope", "openid email profile")];
    ours.into_iter().chain(more.iter().copied()).collect()
}

/// Sends a browser there, hands free, until it leaves.
async fn sent(server: &Server, browser: &Browser, query: &[(&str, &str)]) -> Page {
    let page = server.authorize(browser, query).await;
    match &page.location {
        Some(location) if location.starts_with('/') => browser.follow(page).await,
        _ => page,
    }
}

async fn token(server: &Server, basic: Option<(&str, &str)>, form: &[(&str, &str)]) -> (u16, Value) {
    let (status, body) = server.post_form("/oauth2/token", basic, form).await;
    (status.as_u16(), body)
}

/// How to mend the newest refusal, as the journal has it.
async fn fix(server: &Server) -> String {
    let (_, entries) = server.control("GET", "/dev/journal?limit=1", Value::Null).await;
    let fix = &entries[0]["why"]["explanation"]["fix"];
    fix.as_str().unwrap_or_else(|| panic!("{entries}")).to_owned()
}

async fn document(server: &Server, path: &str) -> (u16, Value) {
    let (status, body) = read(server.admin("GET", path).send().await.unwrap()).await;
    (status.as_u16(), body)
}

async fn ids(server: &Server, kind: &str) -> BTreeSet<String> {
    let (status, found) = document(server, &format!("/{kind}?_count=100")).await;
    assert_eq!(status, 200, "{found}");
    let entries = found["entry"].as_array().unwrap().iter();
    entries.map(|entry| entry["resource"]["id"].as_str().unwrap().to_owned()).collect()
}

both_permissive! {
    async fn any_client_any_loopback_address_and_any_name_will_do(server: Server) {
        let query = asked("app-1", &[("redirect_uri", BACK), ("login_hint", "carol")]);
        let page = sent(&server, &server.browser(), &query).await;
        let back = page.returned();
        assert_eq!(back.uri, BACK);
        let form = [("grant_type", "authorization_code"), ("code", &*back.expect("code")), ("redirect_uri", BACK)];
        let (status, tokens) = token(&server, Some(("app-1", "s3cret")), &form).await;
        assert_eq!(status, 200, "{tokens}");
        let claims = jwt(text(&tokens, "id_token")).1;
        assert_eq!((&claims["sub"], &claims["aud"]), (&json!("carol"), &json!("app-1")));
        assert_eq!(jwt(text(&tokens, "access_token")).1["sub"], "carol");
        let (_, userinfo) = server.userinfo(text(&tokens, "access_token")).await;
        assert_eq!(
            (&userinfo["email"], &userinfo["email_verified"], &userinfo["name"], &userinfo["preferred_username"]),
            (&json!("carol@example.com"), &json!(true), &json!("carol"), &json!("carol"))
        );
        let form = [("grant_type", "refresh_token"), ("refresh_token", text(&tokens, "refresh_token"))];
        assert_eq!(token(&server, Some(("app-1", "s3cret")), &form).await.0, 200);

        // Both are documents as others are, and none of it is a secret's plain text.
        let (status, client) = document(&server, "/Client/app-1").await;
        assert_eq!((status, &client["registration"]), (200, &json!("on_demand")), "{client}");
        assert_eq!(client["auth"]["authorization_code"]["redirect_uris"], json!([BACK]));
        assert_eq!(client["secret"], "********", "{client}");
        assert_eq!(document(&server, "/User/carol").await.1["userName"], "carol");
        let (_, entries) = server.control("GET", "/dev/journal?client_id=app-1&endpoint=token", Value::Null).await;
        assert_eq!(entries.as_array().unwrap().len(), 2, "{entries}");
        // What is read can be put back.
        let put = server.admin("PUT", "/Client/app-1").json(&client).send().await.unwrap();
        assert_eq!(put.status(), 200);

        // Another address, which no document lists.
        let query = asked("app-1", &[("redirect_uri", "http://localhost:7/elsewhere?x=1"), ("login_hint", "carol")]);
        let back = sent(&server, &server.browser(), &query).await.returned();
        assert!(back.uri == "http://localhost:7/elsewhere" && back.get("x") == Some("1"), "{back:?}");
    }

    async fn a_client_without_a_secret_uses_pkce(server: Server) {
        let pkce = [("code_challenge", CHALLENGE), ("code_challenge_method", "S256")];
        let query = [asked("spa-1", &[("redirect_uri", BACK), ("login_hint", "carol")]), pkce.to_vec()].concat();
        let code = sent(&server, &server.browser(), &query).await.returned().expect("code");
        let form = [
            ("grant_type", "authorization_code"), ("code", &*code), ("redirect_uri", BACK), ("client_id", "spa-1"),
            ("code_verifier", VERIFIER),
        ];
        let (status, tokens) = token(&server, None, &form).await;
        assert_eq!(status, 200, "{tokens}");
        assert!(document(&server, "/Client/spa-1").await.1.get("secret").is_none());

        // A server for real use would have said so at the authorization endpoint.
        let query = asked("spa-2", &[("redirect_uri", BACK), ("login_hint", "carol")]);
        let code = sent(&server, &server.browser(), &query).await.returned().expect("code");
        let form = [
            ("grant_type", "authorization_code"), ("code", &*code), ("redirect_uri", BACK), ("client_id", "spa-2"),
        ];
        let (status, refused) = token(&server, None, &form).await;
        assert_eq!((status, &refused["error"]), (400, &json!("invalid_grant")), "{refused}");
        assert!(text(&refused, "error_description").contains("PKCE") && fix(&server).await.contains("client_secret"));
        let (status, tokens) = token(&server, Some(("spa-2", "so-it-has-one")), &form).await;
        assert_eq!(status, 200, "the code was not spent: {tokens}");
        // A client of the bundle is asked at once, as ever.
        let query = asked("spa", &[("redirect_uri", BACK), ("login_hint", "carol")]);
        let back = sent(&server, &server.browser(), &query).await.returned();
        assert_eq!(back.get("error"), Some("invalid_request"), "{back:?}");
    }

    async fn the_first_secret_that_a_client_shows_is_its_own(server: Server) {
        let own = [("grant_type", "client_credentials")];
        let (status, tokens) = token(&server, Some(("service", "one")), &own).await;
        assert_eq!(status, 200, "{tokens}");
        let claims = jwt(text(&tokens, "access_token")).1;
        assert_eq!(claims["client_id"], "service");
        assert_eq!(token(&server, Some(("service", "one")), &own).await.0, 200);
        for basic in [Some(("service", "two")), None] {
            let body = [own.to_vec(), vec![("client_id", "service")]].concat();
            let (status, refused) = token(&server, basic, &body).await;
            assert_eq!((status, &refused["error"]), (401, &json!("invalid_client")), "{refused}");
            assert!(fix(&server).await.contains("first secret that it showed"));
        }
        // Deleted, it begins anew; what was issued before stays dead.
        server.delete("/Client/service").await;
        assert!(!server.is_active(text(&tokens, "access_token")).await);
        assert_eq!(document(&server, "/Client/service").await.0, 410, "to look at a token makes nobody");
        assert_eq!(token(&server, Some(("service", "two")), &own).await.0, 200);
        assert!(!server.is_active(text(&tokens, "access_token")).await);
        // Switched off it stays refused, and the clients of the bundle keep their secrets and what they may.
        server.patch("/Client/service", json!({"active": false})).await;
        assert_eq!(token(&server, Some(("service", "two")), &own).await.0, 401);
        assert_eq!(token(&server, Some(("web-app", "two")), &own).await.0, 401);
        assert!(fix(&server).await.contains("countersign client secret"));
        assert_eq!(token(&server, Some(("spa", "two")), &own).await.0, 401);
        let nameless = token(&server, None, &[own.to_vec(), vec![("client_id", "public")]].concat()).await;
        assert_eq!((nameless.0, &nameless.1["error"]), (400, &json!("unauthorized_client")), "{nameless:?}");
        // A resource server that nobody has heard of may ask about tokens.
        let (_, tokens) = token(&server, Some(("caller", "x")), &own).await;
        let form = [("token", text(&tokens, "access_token"))];
        let (_, told) = server.post_form("/oauth2/introspect", Some(("api", "y")), &form).await;
        assert_eq!(told["active"], true, "{told}");
    }

    async fn of_many_first_requests_at_once_none_fails(server: Server) {
        let own = [("grant_type", "client_credentials")];
        let ask = |secret: &'static str| token(&server, Some(("crowd", secret)), &own);
        let same = futures_util::future::join_all((0..24).map(|_| ask("one"))).await;
        assert!(same.iter().all(|(status, _)| *status == 200), "{same:?}");
        // Of two secrets one is first.
        let ask = |secret: &'static str| token(&server, Some(("rivals", secret)), &own);
        let (one, two) = tokio::join!(ask("one"), ask("two"));
        assert_eq!(BTreeSet::from([one.0, two.0]), BTreeSet::from([200, 401]), "{one:?} {two:?}");

        let people = ["dora", "Dora", "DORA ", "dora@example.com"].map(|name| {
            let server = &server;
            async move {
                let form = [("grant_type", "password"), ("username", name), ("password", "x"), ("scope", "openid")];
                token(server, Some(("crowd", "one")), &form).await
            }
        });
        let answers = futures_util::future::join_all(people).await;
        assert!(answers.iter().all(|(status, _)| *status == 200), "{answers:?}");
        let (a, b) = (ids(&server, "Client").await, ids(&server, "User").await);
        assert!(a.contains("crowd") && a.contains("rivals") && b.iter().any(|id| id.eq_ignore_ascii_case("dora")), "{a:?} {b:?}");
    }

    async fn no_browser_is_sent_beyond_its_machine(server: Server) {
        for client in ["web-app", "nobody-yet"] {
            for uri in [
                "https://evil.example/cb", "http://localhost.evil.example/", "http://localhost@evil.example/",
                "http://localhost\\@evil.example/", "http://evil.example\\@localhost/", "//evil.example/", "myapp://localhost/",
                "javascript:alert(1)", "http://10.0.0.1/cb", "http://localhost/#x", "http://0x7f.1/",
            ] {
                let query = asked(client, &[("redirect_uri", uri), ("login_hint", "alice"), ("prompt", "none")]);
                let page = server.authorize(&server.browser(), &query).await;
                assert_eq!((page.status, page.error().as_deref()), (StatusCode::BAD_REQUEST, Some("invalid_request")), "{client} {uri}");
            }
        }
        assert!(fix(&server).await.contains("--permissive"));
        // Errors go to loopback addresses, as the answers do.
        let page = server.authorize(&server.browser(), &asked("nobody-yet", &[("redirect_uri", BACK), ("prompt", "x")])).await;
        assert_eq!(page.returned().get("error"), Some("invalid_request"), "{page:?}");
        // After logout the same.
        for (uri, goes) in [("http://localhost:9/bye", true), ("https://evil.example/", false)] {
            let query = [("client_id", "nobody-yet"), ("post_logout_redirect_uri", uri)];
            let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
            let page = server.browser().get(&server.url(&format!("/oauth2/logout?{query}"))).await;
            assert_eq!(page.location.as_deref() == Some(uri), goes, "{uri} {page:?}");
        }
        // A page of such an address may read the answers, and no other.
        let own = [("grant_type", "client_credentials"), ("client_id", "nobody-yet"), ("client_secret", "x")];
        for (origin, may) in [("http://localhost:5173", true), ("https://evil.example", false)] {
            let request = server.http.post(server.url("/oauth2/token")).form(&own).header("origin", origin);
            let response = request.send().await.unwrap();
            assert_eq!((response.status(), response.headers().contains_key("access-control-allow-origin")), (StatusCode::OK, may));
        }
    }

    async fn who_has_a_password_needs_it(server: Server) {
        server.control("POST", "/dev/hands-free", json!({"auto_login": false})).await;
        let browser = server.browser();
        let page = server.authorize(&browser, &asked("app-1", &[("redirect_uri", BACK), ("login_hint", "erin")])).await;
        assert!(page.is_login() && page.html.contains("Any name will do"), "{page:?}");
        assert_eq!(document(&server, "/User/erin").await.0, 404, "a hint at somebody makes nobody");
        let page = browser.sign_in(&page, "alice", "not-hers").await;
        assert_eq!(page.status, 403, "{page:?}");
        let page = browser.sign_in(&page, "Erin Ünlü", "anything").await;
        assert!(browser.follow(page).await.returned().get("code").is_some());
        // A name that is no part of a path has an id of its own, the same each time.
        let id = ids(&server, "User").await.into_iter().find(|id| id.len() == 36).unwrap();
        let form = [("grant_type", "password"), ("username", "erin ünlü"), ("password", "else"), ("scope", "openid email")];
        let (status, tokens) = token(&server, Some(("app-1", "s")), &form).await;
        assert_eq!((status, jwt(text(&tokens, "access_token")).1["sub"].as_str()), (200, Some(&*id)), "{tokens}");

        let password = async |name: &str, password: &str| {
            let form = [("grant_type", "password"), ("username", name), ("password", password)];
            token(&server, Some(("app-1", "s")), &form).await
        };
        assert_eq!(password("bob", "not-his").await.0, 400);
        assert_eq!(password("bob", "correct-horse-battery").await.0, 200);
        server.patch(&format!("/User/{id}"), json!({"password": "hers-from-now-on"})).await;
        assert_eq!((password(&id, "else").await.0, password(&id, "hers-from-now-on").await.0), (400, 200));
        server.patch(&format!("/User/{id}"), json!({"inactive": true})).await;
        assert_eq!(password(&id, "hers-from-now-on").await.0, 400);
        for name in ["x".repeat(129).as_str(), "   "] {
            let (status, refused) = password(name, "x").await;
            assert_eq!(status, 400, "{refused}");
            assert!(text(&refused, "error_description").contains("128"), "{refused}");
        }
        // The control API knows everybody too.
        assert_eq!(server.control("POST", "/dev/sign-in", json!({"user": "frank"})).await.0, 200);
        let asked = json!({"client_id": "forger", "user": "grace", "scope": "openid"});
        let (status, made) = server.control("POST", "/dev/tokens", asked).await;
        assert_eq!((status, &made["claims"]["sub"]), (200, &json!("grace")), "{made}");
    }

    async fn somebody_new_is_named_on_the_page_of_people(server: Server) {
        let browser = server.browser();
        let page = server.authorize(&browser, &asked("app-1", &[("redirect_uri", BACK)])).await;
        assert!(page.has("#person-alice") && page.has("input#person") && !page.has("#password"), "{page:?}");
        let refused = browser.submit(&page, &[("person", &"x".repeat(200))]).await;
        assert_eq!(refused.status, 400);
        assert!(refused.text("#person_error").contains("128") && refused.has("input#person"), "{refused:?}");
        let page = browser.submit(&refused, &[("person", "heidi")]).await;
        assert!(browser.follow(page).await.returned().get("code").is_some());
        let page = server.authorize(&server.browser(), &asked("app-1", &[("redirect_uri", BACK)])).await;
        assert!(page.has("#person-heidi"), "{page:?}");
        server.control("POST", "/dev/hands-free", json!({"permissive": false})).await;
        let browser = server.browser();
        let pkce = [("code_challenge", CHALLENGE), ("code_challenge_method", "S256")];
        let query = [asked("app-1", &[("redirect_uri", BACK)]), pkce.to_vec()].concat();
        let page = server.authorize(&browser, &query).await;
        assert!(page.has("#person-heidi") && !page.has("input#person"), "{page:?}");
        let page = browser.submit(&page, &[("person", "ivan")]).await;
        assert!(page.start_again().is_some(), "{page:?}");
        assert_eq!(document(&server, "/User/ivan").await.0, 404);
    }

    async fn a_request_that_allows_no_page_makes_nobody(server: Server) {
        let query = asked("app-1", &[("redirect_uri", BACK), ("login_hint", "judy"), ("prompt", "none")]);
        let back = sent(&server, &server.browser(), &query).await.returned();
        assert_eq!(back.get("error"), Some("login_required"), "{back:?}");
        assert_eq!(document(&server, "/User/judy").await.0, 404);
    }

    async fn reset_goes_back_to_the_settings_and_a_snapshot_to_what_was(server: Server) {
        let policy = async || server.control("GET", "/dev/hands-free", Value::Null).await.1;
        let begun = json!({"auto_login": true, "consent": "approve", "permissive": true});
        assert_eq!(policy().await, begun);
        let own = [("grant_type", "client_credentials")];
        assert_eq!(token(&server, Some(("app-1", "s")), &own).await.0, 200);
        server.control("POST", "/dev/sign-in", json!({"user": "carol"})).await;
        server.control("POST", "/dev/claims", json!({"user": "carol", "claims": {"tenant": "blue"}})).await;

        let changed = json!({"auto_login": false, "consent": "deny", "permissive": false});
        assert_eq!(server.control("POST", "/dev/hands-free", changed.clone()).await, (200, changed.clone()));
        assert_eq!(server.control("POST", "/dev/snapshots/strict", Value::Null).await.0, 201);
        assert_eq!(server.control("POST", "/dev/reset", Value::Null).await.0, 204);
        assert_eq!(policy().await, begun);
        assert_eq!(server.control("GET", "/dev/claims", Value::Null).await.1, json!({"users": {}, "next": []}));
        assert!(!ids(&server, "Client").await.contains("app-1") && !ids(&server, "User").await.contains("carol"));

        assert_eq!(server.control("POST", "/dev/snapshots/strict/restore", Value::Null).await.0, 204);
        assert_eq!(policy().await, changed);
        let kept = server.control("GET", "/dev/claims", Value::Null).await.1;
        assert_eq!(kept["users"], json!({"carol": {"tenant": "blue"}}));
        // Strict again: who was made stays, nobody new is.
        assert_eq!(token(&server, Some(("app-1", "s")), &own).await.0, 200);
        assert_eq!(token(&server, Some(("app-2", "s")), &own).await.0, 401);
        assert!(fix(&server).await.contains("with --permissive"));
        let page = server.authorize(&server.browser(), &asked("app-1", &[("redirect_uri", BACK)])).await;
        assert_eq!(page.error().as_deref(), Some("invalid_request"), "its address was let pass, not listed");
        assert!(fix(&server).await.contains("with --permissive any loopback address"));

        // A realm begins as the server did, and has a policy of its own.
        server.control("POST", "/dev/realms?name=r", Value::Null).await;
        let there = server.control("GET", "/realms/r/dev/hands-free", Value::Null).await.1;
        assert_eq!(there, begun);
        let (status, tokens) = server.post_form("/realms/r/oauth2/token", Some(("app-9", "s")), &own).await;
        assert_eq!(status, 200, "{tokens}");
        assert!(!ids(&server, "Client").await.contains("app-9"));
    }
}

#[tokio::test]
async fn a_server_for_real_use_is_never_permissive() {
    // Whatever the settings say, and with the control API too.
    for dev_api in [false, true] {
        let server = Server::start_with(Database::Sqlite, |settings| {
            (settings.mode, settings.dev_api, settings.permissive) = (Mode::Serve, dev_api, true);
            (settings.auto_login, settings.auto_consent) = (true, Consent::Approve);
        })
        .await;
        server.alice().await;
        server.web_app(json!({})).await;
        let own = [("grant_type", "client_credentials")];
        assert_eq!(token(&server, Some(("app-1", "s")), &own).await.0, 401);
        let page = server.authorize(&server.browser(), &asked("app-1", &[("redirect_uri", BACK)])).await;
        assert_eq!(page.error().as_deref(), Some("invalid_client"));
        let query = asked("web-app", &[("redirect_uri", BACK), ("login_hint", "alice")]);
        assert_eq!(
            server.authorize(&server.browser(), &query).await.error().as_deref(),
            Some("invalid_request"),
            "no address but those that are listed"
        );
        let query = asked("web-app", &[("redirect_uri", "http://localhost:4200/cb"), ("login_hint", "alice")]);
        let page = server.authorize(&server.browser(), &query).await;
        assert!(page.is_login() && !page.html.contains("Any name"), "{page:?}");
        let form = [("grant_type", "password"), ("username", "carol"), ("password", "x")];
        assert_eq!(server.token(&form).await.0, 400);
        // Nor is a client that says it was made so another one here.
        let document = json!({"registration": "on_demand", "auth": {"authorization_code": {"redirect_uri": "http://localhost:1/"}}});
        server.put("/Client/made", document).await;
        assert_eq!(token(&server, Some(("made", "s")), &own).await.0, 401);
        let page = server.authorize(&server.browser(), &asked("made", &[])).await;
        assert_eq!(page.returned().get("error"), Some("invalid_request"), "PKCE is missing: {page:?}");
        if dev_api {
            let (status, refused) = server.control("POST", "/dev/hands-free", json!({"permissive": true})).await;
            assert_eq!(status, 409, "{refused}");
            assert_eq!(token(&server, Some(("app-1", "s")), &own).await.0, 401);
        }
    }
}

#[tokio::test]
async fn not_even_dev_is_where_the_internet_could_come_by() {
    let server = Server::start_with(Database::Sqlite, |settings| {
        (settings.mode, settings.dev_api, settings.permissive) = (Mode::Dev, true, true);
        settings.issuer = Some(countersign::config::Issuer::parse("https://login.example.com").unwrap());
    })
    .await;
    let (status, _) = server.control("POST", "/dev/hands-free", json!({"permissive": true})).await;
    assert_eq!(status, 409);
    assert_eq!(token(&server, Some(("app-1", "s")), &[("grant_type", "client_credentials")]).await.0, 401);
}

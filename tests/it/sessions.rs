//! The login session of a browser: its cookie, how it begins and what ends it (ASVS V7; RFC 6265bis §4.1.3).

use countersign::config::Issuer;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::support::{Browser, Database, Server, both, request};

const PASSWORD: &str = "correct-horse-battery";

/// Signs Alice in and answers the `name=value` of the login cookie.
async fn login_cookie(server: &Server, browser: &Browser) -> String {
    let page = browser.get(&server.url("/login?client_id=web-app&response_type=code&prompt=login")).await;
    let page = if page.is_login() { page } else { browser.follow(page).await };
    let line = browser.sign_in(&page, "alice", PASSWORD).await.cookie("login").unwrap();
    line.split(';').next().unwrap().to_owned()
}

/// Whether a request with this `Cookie` header comes from somebody who is signed in.
async fn is_good(server: &Server, cookie: &str) -> bool {
    let page = server.http.get(server.url("/login")).header("cookie", cookie).send().await.unwrap();
    assert_eq!(page.status(), 200);
    page.text().await.unwrap().contains("You are signed in as")
}

both!(
    async fn every_sign_in_has_a_new_id_and_ends_the_one_before(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        let browser = server.browser();
        let first = login_cookie(&server, &browser).await;
        assert!(is_good(&server, &first).await);
        let second = login_cookie(&server, &browser).await;
        assert_ne!(first, second);
        assert!(is_good(&server, &second).await && !is_good(&server, &first).await);
        // An id that the browser came with is never taken over (session fixation).
        let stranger = server.browser();
        let page = stranger.get(&server.url("/login")).await;
        let (name, _) = first.split_once('=').unwrap();
        let planted = format!("{name}=cs_ls_{}", "A".repeat(64));
        let browsers = page.cookie("browser").unwrap();
        let cookies = format!("{planted}; {}", browsers.split(';').next().unwrap());
        let csrf = page.form().1["csrf"].clone();
        let form = [("csrf", csrf.as_str()), ("username", "alice"), ("password", PASSWORD)];
        let page = stranger.send(server.http.post(server.url("/login")).header("cookie", &cookies).form(&form)).await;
        assert!(page.status == 303 && !page.cookie("login").unwrap().starts_with(&planted), "{page:?}");
        assert!(!is_good(&server, &planted).await);
    }
);

both!(
    async fn only_the_whole_value_of_a_login_is_one(server: Server) {
        server.web_app(json!({"first_party": true})).await;
        server.alice().await;
        let browser = server.browser();
        let cookie = login_cookie(&server, &browser).await;
        let code = server.authorize(&browser, &request(&[("scope", "openid")])).await.returned().expect("code");
        let tokens = server.redeemed(&code).await;
        let (name, value) = cookie.split_once('=').unwrap();
        assert!(value.starts_with("cs_ls_") && is_good(&server, &cookie).await);
        let last = if value.ends_with('A') { 'B' } else { 'A' };
        let changed = format!("{}{last}", &value[..value.len() - 1]);
        let token = |name: &str| tokens[name].as_str().unwrap().to_owned();
        let as_login = token("access_token").replace("cs_at_", "cs_ls_");
        for value in [
            "",
            "alice",
            &value[..40],
            &changed,
            &format!("{value}x"),
            &value.to_lowercase(),
            &token("access_token"),
            &as_login,
            &token("refresh_token"),
            &token("id_token"),
        ] {
            assert!(!is_good(&server, &format!("{name}={value}")).await, "{value}");
        }
        assert!(!is_good(&server, &format!("other={value}")).await);
        // And a cookie is no bearer token.
        let userinfo = server.http.get(server.url("/oauth2/userinfo")).bearer_auth(value).send().await.unwrap();
        assert_eq!(userinfo.status(), 401);
        let userinfo = server.http.get(server.url("/oauth2/userinfo")).header("cookie", &cookie).send().await.unwrap();
        assert_eq!(userinfo.status(), 401);
    }
);

both!(
    async fn a_login_ends_after_five_days_without_use_and_after_thirty_in_any_case(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        let idle = login_cookie(&server, &server.browser()).await;
        server.wait(432_000 - 60);
        assert!(is_good(&server, &idle).await);
        server.wait(432_000 + 60);
        assert!(!is_good(&server, &idle).await);
        let used = login_cookie(&server, &server.browser()).await;
        for _ in 0..7 {
            server.wait(345_600);
            assert!(is_good(&server, &used).await);
        }
        server.wait(2_592_000 - 7 * 345_600 + 1);
        assert!(!is_good(&server, &used).await);
    }
);

both!(
    async fn whatever_ends_the_account_ends_its_logins(server: Server) {
        server.web_app(json!({"first_party": true})).await;
        for (method, path, body) in [
            ("PATCH", "/User/alice", json!({"inactive": true})),
            ("PATCH", "/User/alice", json!({"password": "another-horse-battery"})),
            ("DELETE", "/User/alice", json!({})),
        ] {
            server.alice().await;
            let browser = server.signed_in().await;
            server.authorize(&browser, &request(&[])).await.returned().expect("code");
            let changed = server.admin(method, path).json(&body).send().await.unwrap();
            assert!(changed.status().is_success(), "{changed:?}");
            assert!(!server.is_signed_in(&browser).await, "{method} {body}");
            assert!(server.authorize(&browser, &request(&[])).await.is_login(), "{method} {body}");
        }
    }
);

both!(
    async fn an_unrelated_change_of_the_account_ends_nothing(server: Server) {
        server.alice().await;
        let browser = server.signed_in().await;
        for patch in [json!({"name": {"givenName": "Alicia"}}), json!({"email": "new@example.com"})] {
            assert_eq!(server.admin("PATCH", "/User/alice").json(&patch).send().await.unwrap().status(), 200);
            assert!(server.is_signed_in(&browser).await, "{patch}");
        }
    }
);

both!(
    async fn an_administrator_sees_logins_without_secrets_and_closes_them(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        let browser = server.browser();
        let cookie = login_cookie(&server, &browser).await;
        let found: Value = server.admin("GET", "/Session?.user.id=alice").send().await.unwrap().json().await.unwrap();
        assert_eq!(found["total"], 1, "{found}");
        let session = &found["entry"][0]["resource"];
        assert_eq!(
            (&session["type"], &session["active"], &session["user"]["id"]),
            (&json!("login"), &json!(true), &json!("alice"))
        );
        assert!(
            !found.to_string().contains("digest") && !found.to_string().contains(cookie.split_once('=').unwrap().1)
        );
        let id = session["id"].as_str().unwrap();
        let anonymous = server.http.delete(server.url(&format!("/Session/{id}"))).send().await.unwrap();
        assert_eq!(anonymous.status(), 401);
        assert!(is_good(&server, &cookie).await);
        assert_eq!(server.admin("DELETE", &format!("/Session/{id}")).send().await.unwrap().status(), 200);
        assert!(!is_good(&server, &cookie).await);
        let closed: Value = server.admin("GET", &format!("/Session/{id}")).send().await.unwrap().json().await.unwrap();
        assert_eq!(closed["active"], json!(false), "{closed}");
    }
);

both!(
    async fn a_first_party_client_shares_one_session_with_the_login_and_others_do_not(server: Server) {
        server.alice().await;
        for first_party in [true, false] {
            server.web_app(json!({"first_party": first_party})).await;
            let browser = server.signed_in().await;
            let code = server.sign_in_and_consent(&browser, &request(&[])).await.expect("code");
            let tokens = server.redeemed(&code).await;
            let token = tokens["access_token"].as_str().unwrap();
            let closed = server.http.delete(server.url("/Session")).bearer_auth(token).send().await.unwrap();
            assert!(closed.status().is_success(), "{closed:?}");
            assert!(!server.is_active(token).await);
            let (status, body) = server
                .token(&[("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"].as_str().unwrap())])
                .await;
            assert_eq!((status.as_u16(), &body["error"]), (400, &json!("invalid_grant")));
            assert_eq!(server.is_signed_in(&browser).await, !first_party, "first_party: {first_party}");
        }
    }
);

both!(
    async fn a_code_is_worth_nothing_once_its_login_has_ended(server: Server) {
        server.alice().await;
        for first_party in [true, false] {
            server.web_app(json!({"first_party": first_party})).await;
            let browser = server.signed_in().await;
            let code = server.sign_in_and_consent(&browser, &request(&[])).await.expect("code");
            let page = browser.get(&server.url("/login")).await;
            browser.submit(&page, &[]).await;
            let (status, body) = server.token(&[("grant_type", "authorization_code"), ("code", &code)]).await;
            assert_eq!((status.as_u16(), &body["error"]), (400, &json!("invalid_grant")), "{body}");
            assert!(body["error_description"].as_str().unwrap().contains("signed out"), "{body}");
        }
    }
);

both!(
    async fn cookies_on_plain_http_have_no_prefix_and_are_kept_from_scripts_and_other_sites(server: Server) {
        server.alice().await;
        let browser = server.browser();
        let page = browser.get(&server.url("/login")).await;
        let signed_in = browser.sign_in(&page, "alice", PASSWORD).await;
        for line in [page.cookie("browser"), signed_in.cookie("login"), signed_in.cookie("known")].map(Option::unwrap) {
            let attributes: Vec<_> = line.split("; ").skip(1).filter(|one| !one.starts_with("Max-Age=")).collect();
            assert!(line.starts_with("cs-"), "{line}");
            assert_eq!(attributes, ["Path=/", "HttpOnly", "SameSite=Lax"], "{line}");
        }
        // Another server on the same host has cookies of other names.
        let other = Server::start(Database::Sqlite).await;
        let others = other.browser().get(&other.url("/login")).await.cookie("browser").unwrap();
        let name = |line: &str| line.split_once('=').unwrap().0.to_owned();
        assert_ne!(name(&others), name(&page.cookie("browser").unwrap()));
    }
);

/// The `Set-Cookie` lines of an answer.
fn lines(headers: &HeaderMap) -> Vec<String> {
    headers.get_all("set-cookie").iter().map(|line| line.to_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn cookies_on_https_are_bound_to_the_host() {
    let server = Server::start_with(Database::Sqlite, |settings| {
        settings.issuer = Some(Issuer::parse("https://id.example.com").unwrap());
    })
    .await;
    let put = server
        .admin("PUT", "/User/alice")
        .header("host", "id.example.com")
        .json(&json!({"userName": "alice", "password": PASSWORD}));
    assert_eq!(put.send().await.unwrap().status(), 201);
    let login = server.http.get(server.url("/login")).header("host", "id.example.com").send().await.unwrap();
    let set = lines(login.headers());
    let cookies: Vec<_> = set.iter().map(|line| line.split(';').next().unwrap()).collect();
    let html = login.text().await.unwrap();
    let csrf = html.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let form = [("csrf", csrf), ("username", "alice"), ("password", PASSWORD)];
    let post = server
        .http
        .post(server.url("/login"))
        .header("host", "id.example.com")
        .header("cookie", cookies.join("; "))
        .form(&form);
    let signed_in = post.send().await.unwrap();
    assert_eq!(signed_in.status(), 303);
    let all = [set, lines(signed_in.headers())].concat();
    assert_eq!(all.len(), 3, "{all:?}");
    for line in &all {
        // RFC 6265bis §4.1.3.2: Secure, Path=/, no Domain.
        assert!(line.starts_with("__Host-") && line.contains("; Secure") && line.contains("; Path=/;"), "{line}");
        assert!(line.contains("; HttpOnly") && line.contains("; SameSite=Lax") && !line.contains("Domain"), "{line}");
    }
    // The name that plain http would have is not read.
    let login = all.iter().find(|line| line.contains("-login=")).unwrap().split(';').next().unwrap();
    for (cookie, good) in [(login, true), (login.trim_start_matches("__Host-"), false)] {
        let page = server
            .http
            .get(server.url("/login"))
            .header("host", "id.example.com")
            .header("cookie", cookie)
            .send()
            .await
            .unwrap();
        assert_eq!(page.text().await.unwrap().contains("You are signed in as"), good, "{cookie}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_holds_on_every_node_and_ends_on_every_node() {
    let server = Server::start(Database::Postgres).await;
    server.web_app(json!({})).await;
    server.alice().await;
    let other = server.another_node().await;
    let browser = server.browser();
    let first = login_cookie(&server, &browser).await;
    assert!(is_good(&other, &first).await);
    let second = login_cookie(&server, &browser).await;
    assert!(is_good(&other, &second).await && !is_good(&other, &first).await);
    assert_eq!(
        server.admin("PATCH", "/User/alice").json(&json!({"inactive": true})).send().await.unwrap().status(),
        200
    );
    assert!(!is_good(&other, &second).await, "off means off, on every node");
}

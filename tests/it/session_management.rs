//! OpenID Connect Session Management 1.0: `session_state`, and the frame that compares it. The frame's script itself is run in a
//! real browser, in `tests/interop`.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use countersign::config::Issuer;
use serde_json::json;

use crate::support::{Browser, Database, Server, both, request};

/// What the script of the frame would compute (§3.2) with this cookie.
fn expected(client: &str, origin: &str, cookie: &str, session_state: &str) -> String {
    let (_, salt) = session_state.split_once('.').unwrap();
    format!("{}.{salt}", B64.encode(digest(&SHA256, format!("{client} {origin} {cookie} {salt}").as_bytes())))
}

/// Signs Alice in and answers the line of the cookie that the script reads, which comes with the first answer to a client, and its
/// value.
async fn sign_in(server: &Server, browser: &Browser) -> (String, String) {
    let page = browser.get(&server.url("/login")).await;
    browser.sign_in(&page, "alice", "correct-horse-battery").await;
    let line = server.authorize(browser, &request(&[("scope", "openid")])).await.cookie("state").unwrap();
    let value = line.split(';').next().unwrap().split_once('=').unwrap().1.to_owned();
    (line, value)
}

async fn session_state(server: &Server, browser: &Browser, scope: &str) -> Option<String> {
    server.authorize(browser, &request(&[("scope", scope)])).await.returned().get("session_state").map(str::to_owned)
}

// §3.3, §4
both!(
    async fn the_frame_is_in_discovery_and_any_page_may_embed_it_and_no_other_page_of_ours(server: Server) {
        let metadata = server.metadata().await;
        assert_eq!(metadata["check_session_iframe"], format!("{}/oauth2/check_session", server.issuer()));
        let browser = server.browser();
        let page = browser.get(&server.url("/oauth2/check_session")).await;
        assert_eq!(page.status, 200);
        let policy = page.header("content-security-policy").to_owned();
        assert!(policy.contains("frame-ancestors *") && policy.contains("script-src 'self'"), "{policy}");
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(page.header("x-frame-options"), "");
        assert!(page.cookie("state").is_none());
        // The script is ours, under a name that changes with it.
        let script = page.attribute("script", "src").unwrap();
        let script = browser.get(&server.url(&script)).await;
        assert!(script.status == 200 && script.header("content-type").starts_with("text/javascript"), "{script:?}");
        for path in ["/login", "/oauth2/logout", "/oauth2/authorize", "/"] {
            let page = browser.get(&server.url(path)).await;
            assert_eq!(page.header("x-frame-options"), "DENY", "{path}");
            assert!(page.header("content-security-policy").contains("frame-ancestors 'none'"), "{path}");
        }
    }
);

// §2, §3.2
both!(
    async fn session_state_is_a_hash_that_the_script_can_compare(server: Server) {
        server.web_app(json!({"first_party": true})).await;
        server.alice().await;
        let browser = server.browser();
        let (line, cookie) = sign_in(&server, &browser).await;
        // §3.2: readable by the script, unlike the login itself, of which it tells nothing.
        assert!(!line.contains("HttpOnly") && line.contains("Path=/") && cookie.len() >= 16, "{line}");
        let first = session_state(&server, &browser, "openid").await.unwrap();
        let second = session_state(&server, &browser, "openid").await.unwrap();
        assert_ne!(first, second, "each has its own salt");
        for state in [&first, &second] {
            assert!(!state.contains(' '));
            assert_eq!(*state, expected("web-app", "http://localhost:4200", &cookie, state));
            assert_ne!(*state, expected("other", "http://localhost:4200", &cookie, state));
            assert_ne!(*state, expected("web-app", "http://localhost:4201", &cookie, state));
            assert_ne!(*state, expected("web-app", "http://localhost:4200", "", state));
        }
        // It belongs to OpenID Connect.
        assert_eq!(session_state(&server, &browser, "email").await, None);
        // Another sign-in is another state.
        let page = server.authorize(&browser, &request(&[("scope", "openid"), ("prompt", "login")])).await;
        let line = browser.sign_in(&page, "alice", "correct-horse-battery").await.cookie("state").unwrap();
        assert!(!line.contains(&cookie), "{line}");
        // And so is a logout.
        let page = browser.get(&server.url("/oauth2/logout")).await;
        let page = browser.submit(&page, &[]).await;
        assert!(page.cookie("state").unwrap().contains("Max-Age=0"), "{page:?}");
    }
);

// §3.2, for browsers that have nothing to hash with
both!(
    async fn where_the_script_cannot_hash_the_server_compares_and_tells_no_more(server: Server) {
        server.web_app(json!({"first_party": true})).await;
        server.alice().await;
        let browser = server.browser();
        sign_in(&server, &browser).await;
        let state = session_state(&server, &browser, "openid").await.unwrap();
        let ask = async |browser: &Browser, form: &[(&str, &str)]| {
            let page = browser.send(browser.http.post(server.url("/oauth2/check_session")).form(form)).await;
            assert_eq!((page.status.as_u16(), page.header("access-control-allow-origin")), (200, ""));
            page.html
        };
        let said = format!("web-app {state}");
        let cases = [
            (said.clone(), "http://localhost:4200", "unchanged"),
            (said.clone(), "http://localhost:4201", "changed"),
            (format!("other {state}"), "http://localhost:4200", "changed"),
            (state.clone(), "http://localhost:4200", "error"),
            ("web-app nonsense".into(), "http://localhost:4200", "error"),
        ];
        for (said, origin, answer) in cases {
            assert_eq!(ask(&browser, &[("said", &said), ("origin", origin)]).await, answer, "{said} {origin}");
        }
        assert_eq!(ask(&browser, &[("said", &said)]).await, "error");
        let elsewhere = server.browser();
        assert_eq!(ask(&elsewhere, &[("said", &said), ("origin", "http://localhost:4200")]).await, "changed");
    }
);

both!(
    async fn a_login_that_has_run_out_or_is_older_than_the_cookie_is_put_right(server: Server) {
        server.web_app(json!({"first_party": true})).await;
        server.alice().await;
        let browser = server.browser();
        let page = browser.get(&server.url("/login")).await;
        let page = browser.sign_in(&page, "alice", "correct-horse-battery").await;
        let login = page.cookie("login").unwrap();
        assert!(page.cookie("state").is_none(), "{page:?}");
        let state = server.authorize(&browser, &request(&[("scope", "openid")])).await.cookie("state").unwrap();
        let pair = |line: &str| line.split(';').next().unwrap().to_owned();
        let query = request(&[("scope", "openid")]);
        let ask = async |cookie: &str| {
            let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&query).finish();
            let url = server.url(&format!("/oauth2/authorize?{query}"));
            let plain = server.browser();
            plain.send(plain.http.get(url).header("cookie", cookie)).await.cookie("state").map(|line| pair(&line))
        };
        assert_eq!(ask(&pair(&login)).await, Some(pair(&state)), "it is set where it is missing");
        assert_eq!(ask(&format!("{}; {}", pair(&login), pair(&state))).await, None, "and left alone where it is right");
        server.wait(432_001);
        let over = ask(&format!("{}; {}", pair(&login), pair(&state))).await.unwrap();
        assert!(over.ends_with("-state="), "{over}");
    }
);

#[tokio::test]
async fn on_https_the_cookie_is_sent_to_frames_on_other_sites_and_names_carry_the_issuer() {
    let server = Server::start_with(Database::Sqlite, |settings| {
        settings.issuer = Some(Issuer::parse("https://id.example").unwrap());
        settings.allowed_hosts = vec!["localhost".into()];
    })
    .await;
    server.alice().await;
    let browser = server.browser();
    let page = browser.get(&server.url("/login")).await;
    // This browser sends no `Secure` cookie over http; the server believes the proxy that is not there.
    let cookie = page.cookie("browser").unwrap();
    let csrf = page.form().1["csrf"].clone();
    let form = [("csrf", csrf.as_str()), ("username", "alice"), ("password", "correct-horse-battery")];
    let request = server.http.post(server.url("/login")).header("cookie", cookie.split(';').next().unwrap());
    let page = browser.send(request.form(&form)).await;
    let login = page.cookie("login").unwrap();
    server.web_app(json!({"first_party": true})).await;
    let query = "response_type=code&client_id=web-app&scope=openid";
    let request = server.http.get(server.url(&format!("/oauth2/authorize?{query}")));
    let state = browser.send(request.header("cookie", login.split(';').next().unwrap())).await.cookie("state").unwrap();
    assert!(state.starts_with("__Host-cs-") && state.ends_with("; SameSite=None; Secure"), "{state}");
    assert!(login.ends_with("; HttpOnly; SameSite=Lax; Secure"), "{login}");
    let names: Vec<&str> = page
        .headers
        .get_all("set-cookie")
        .iter()
        .map(|line| line.to_str().unwrap().split('=').next().unwrap())
        .collect();
    let tag = B64.encode(&digest(&SHA256, b"https://id.example").as_ref()[..6]);
    assert!(names.len() == 2 && names.iter().all(|name| name.starts_with(&format!("__Host-cs-{tag}-"))), "{names:?}");
}

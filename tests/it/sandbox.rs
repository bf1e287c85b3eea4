//! `/sandbox`: every flow on its pages, who may see them, and that no secret that is typed there is ever shown again.

use countersign::config::Mode;
use scraper::{Html, Selector};
use serde_json::json;

use crate::support::{Browser, Database, Page, Server, both};

const PASSWORD: &str = "correct-horse-battery";
const BOTH: [Database; 2] = [Database::Sqlite, Database::Postgres];

/// A server of real use with a client that comes back to the sandbox, a public one, and the administrator Alice, who is signed in.
async fn administered(server: &Server) -> Browser {
    let callback = format!("{}/sandbox/callback", server.issuer());
    let auth = json!({"authorization_code": {"redirect_uri": callback, "refresh_token": true, "token_format": "jwt"}});
    let after = json!([format!("{}/sandbox/signed_out", server.issuer())]);
    server.web_app(json!({"auth": auth.clone(), "first_party": true, "post_logout_redirect_uris": after})).await;
    server.spa(json!({"auth": auth, "first_party": true})).await;
    server.alice().await;
    server.patch("/User/alice", json!({"roles": [{"value": "admin"}]})).await;
    server.signed_in().await
}

/// What the forms of a page post to this path.
async fn send(browser: &Browser, page: &Page, path: &str, fields: &[(&str, &str)]) -> Page {
    let csrf = page.attribute("input[name=csrf]", "value").unwrap_or_else(|| panic!("no form: {page:?}"));
    let form: Vec<_> =
        [("csrf", csrf.as_str()), ("decision", "send")].into_iter().chain(fields.iter().copied()).collect();
    browser.send(browser.http.post(page.url.join(path).unwrap()).form(&form)).await
}

async fn try_out(server: &Server, browser: &Browser, flow: &str, fields: &[(&str, &str)]) -> Page {
    let path = format!("/sandbox/{flow}");
    let page = browser.get(&server.url(&path)).await;
    assert_eq!(page.status, 200, "{page:?}");
    send(browser, &page, &path, fields).await
}

fn labels(page: &Page, selector: &str) -> Vec<String> {
    let html = Html::parse_document(&page.html);
    html.select(&Selector::parse(selector).unwrap()).map(|element| element.text().collect::<String>()).collect()
}

/// From the flow's page through the authorization endpoint to the callback.
async fn come_back(server: &Server, browser: &Browser, flow: &str, fields: &[(&str, &str)]) -> Page {
    let left = try_out(server, browser, flow, fields).await;
    assert_eq!(left.status, 303, "{left:?}");
    let asked = left.returned();
    assert_eq!(asked.expect("redirect_uri"), format!("{}/sandbox/callback", server.issuer()));
    let page = browser.follow(left).await;
    browser.follow(page).await
}

both!(
    async fn a_code_is_fetched_traded_refreshed_looked_into_and_given_back(server: Server) {
        let browser = administered(&server).await;
        let page = come_back(
            &server,
            &browser,
            "authorization_code",
            &[("client_id", "web-app"), ("scope", "openid profile offline_access")],
        )
        .await;
        // The secret is asked for, and only then is the code traded; a wrong one does not spend it.
        assert_eq!(page.text("h1"), "The code is here", "{page:?}");
        assert!(page.html.contains("read -rs CLIENT_SECRET") && page.html.contains("web-app:$CLIENT_SECRET"));
        let wrong = browser.submit(&page, &[("client_secret", "quite-wrong-indeed")]).await;
        assert_eq!(
            (wrong.text("#error").as_str(), wrong.text("#status").as_str()),
            ("invalid_client", "401 Unauthorized")
        );
        let page = browser.submit(&wrong, &[("client_secret", "client-secret")]).await;
        assert_eq!(page.text("h1"), "The code flow worked", "{page:?}");
        for page in [&page, &wrong] {
            assert!(!page.html.contains("quite-wrong-indeed") && !page.html.contains("client-secret"), "{page:?}");
        }
        assert!(!page.has(".broken"), "{page:?}");
        let (access, refresh, id) = (page.text("#access_token"), page.text("#refresh_token"), page.text("#id_token"));
        assert!(server.is_active(&access).await && !refresh.is_empty());

        // What can be done next is a form away, with the token in it.
        assert_eq!(
            labels(&page, ".panel button"),
            ["Sign out with it", "Ask userinfo", "Introspect", "Revoke", "Refresh", "Introspect", "Revoke",]
        );
        let secret = ("client_secret", "client-secret");
        let client = ("client_id", "web-app");
        let refreshed = send(&browser, &page, "/sandbox/refresh", &[("refresh_token", &refresh), client, secret]).await;
        assert_eq!(refreshed.text("#status"), "200 OK", "{refreshed:?}");
        assert_ne!(refreshed.text("#refresh_token"), refresh);
        let access = refreshed.text("#access_token");
        let userinfo = send(&browser, &page, "/sandbox/userinfo", &[("access_token", &access), client]).await;
        assert!(userinfo.text("#body").contains("\"given_name\": \"Alice\""), "{userinfo:?}");
        let looked = send(&browser, &page, "/sandbox/introspection", &[("token", &access), client, secret]).await;
        assert!(looked.text("#body").contains("\"active\": true"), "{looked:?}");
        let revoked = send(&browser, &page, "/sandbox/revocation", &[("token", &access), client, secret]).await;
        assert_eq!(revoked.text("#status"), "200 OK");
        assert!(!server.is_active(&access).await);
        let gone = send(&browser, &page, "/sandbox/userinfo", &[("access_token", &access)]).await;
        assert_eq!(
            (gone.text("#status").as_str(), gone.text("#error").as_str()),
            ("401 Unauthorized", "invalid_token")
        );
        for page in [refreshed, userinfo, looked, revoked, gone] {
            assert!(!page.html.contains("client-secret"), "{page:?}");
        }

        // Signing out is the browser's own request, and the hint spares the question.
        let page = send(&browser, &page, "/sandbox/logout", &[("id_token_hint", &id), client]).await;
        let selector = Selector::parse("form[action='/oauth2/logout'] input").unwrap();
        let fields: Vec<(String, String)> = Html::parse_document(&page.html)
            .select(&selector)
            .map(|input| (input.attr("name").unwrap().to_owned(), input.attr("value").unwrap().to_owned()))
            .collect();
        let out = browser.send(browser.http.post(server.url("/oauth2/logout")).form(&fields)).await;
        let page = browser.follow(out).await;
        assert_eq!((page.status.as_u16(), page.text("h1").as_str()), (200, "Signed out"));
        assert!(!server.is_signed_in(&browser).await);
    }
);

both!(
    async fn a_public_client_needs_no_secret_and_a_program_no_browser(server: Server) {
        let browser = administered(&server).await;
        let page = come_back(&server, &browser, "pkce", &[("client_id", "spa"), ("scope", "openid")]).await;
        assert_eq!(page.text("h1"), "The code flow worked", "{page:?}");
        assert!(page.html.contains("code_verifier=") && !page.has(".broken"));

        let form = [("client_id", "web-app"), ("client_secret", "client-secret")];
        let page = try_out(&server, &browser, "client_credentials", &form).await;
        assert_eq!(page.text("#status"), "200 OK", "{page:?}");
        assert!(server.is_active(&page.text("#access_token")).await);
        let form = [&form[..], &[("auth_method", "client_secret_post")]].concat();
        let page = try_out(&server, &browser, "client_credentials", &form).await;
        assert!(page.text("#status") == "200 OK" && page.html.contains("client_secret=$CLIENT_SECRET"), "{page:?}");

        let person = [("username", "alice"), ("password", PASSWORD), ("scope", "openid")];
        let page = try_out(&server, &browser, "password", &[&form[..], &person].concat()).await;
        assert_eq!(page.text("#status"), "200 OK", "{page:?}");
        assert!(page.html.contains("password=$PASSWORD") && !page.html.contains(PASSWORD), "{page:?}");

        // Another client, and another secret, with what the answer means.
        for (form, error) in [
            (vec![("other_client_id", "nobody"), ("client_secret", "x")], "invalid_client"),
            (vec![("other_client_id", "spa"), ("auth_method", "none")], "unauthorized_client"),
            (vec![("client_id", "web-app"), ("client_secret", "client-secret"), ("scope", "\"")], "invalid_scope"),
        ] {
            let page = try_out(&server, &browser, "client_credentials", &form).await;
            assert_eq!(page.text("#error"), error, "{page:?}");
            assert!(labels(&page, ".alert p").len() == 3, "the meaning: {page:?}");
        }
        let page = try_out(&server, &browser, "userinfo", &[("access_token", "ä")]).await;
        assert!(
            page.text("#status").starts_with("401") && page.text(".alert").contains("carries no token"),
            "{page:?}"
        );
    }
);

both!(
    async fn a_client_that_does_not_come_back_is_told_what_to_add(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        server.patch("/User/alice", json!({"roles": [{"value": "admin"}]})).await;
        let browser = server.signed_in().await;
        let line = format!("- {}/sandbox/callback", server.issuer());
        let page = browser.get(&server.url("/sandbox")).await;
        assert!(page.text("main").contains("none yet") && page.text("main").contains("web-app"), "{page:?}");
        let page = browser.get(&server.url("/sandbox/authorization_code")).await;
        assert_eq!(page.text(".alert pre"), line);
        let page = try_out(&server, &browser, "authorization_code", &[("other_client_id", "web-app")]).await;
        assert!(page.status == 200 && page.text(".alert pre") == line, "{page:?}");
    }
);

both!(
    async fn the_sandbox_is_for_administrators(server: Server) {
        administered(&server).await;
        server.put("/User/bob", json!({"userName": "bob", "password": PASSWORD})).await;
        for path in ["/sandbox", "/sandbox/password", "/sandbox/callback?code=x&state=y"] {
            let browser = server.browser();
            let page = browser.get(&server.url(path)).await;
            assert!(page.status == 303 && page.location.as_deref().unwrap().starts_with("/login?"), "{page:?}");
            // Signing in comes back; whoever is no administrator is told so.
            let login = browser.follow(page).await;
            let page = browser.sign_in(&login, "bob", PASSWORD).await;
            let page = browser.follow(page).await;
            assert_eq!((page.status.as_u16(), page.error().as_deref()), (403, Some("access_denied")));
        }
        let browser = server.browser();
        let posted = browser.http.post(server.url("/sandbox/client_credentials")).form(&[("decision", "send")]);
        assert_eq!(browser.send(posted).await.status, 303);
        let page = browser.get(&server.url("/login?return_to=/sandbox/password")).await;
        let page = browser.sign_in(&page, "alice", PASSWORD).await;
        assert_eq!(page.location.as_deref(), Some("/sandbox/password"));
        // A form of somebody else is no form.
        let forged = browser.http.post(server.url("/sandbox/client_credentials")).form(&[("decision", "send")]);
        let page = browser.send(forged).await;
        assert!(page.status == 400 && page.start_again().is_some(), "{page:?}");
        // There is no way from here to anywhere else.
        for to in [
            "//evil.example",
            "https://evil.example",
            "/sandbox//evil.example/..",
            "/sandboxes",
            "/sandbox?x",
            "\\evil",
        ] {
            let browser = server.browser();
            let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("return_to", to).finish();
            let page = browser.get(&server.url(&format!("/login?{query}"))).await;
            let page = browser.sign_in(&page, "alice", PASSWORD).await;
            let location = page.location.unwrap();
            assert!(location.starts_with("/login?"), "{to}: {location}");
        }
    }
);

both!(
    async fn who_left_as_an_administrator_comes_back_as_whoever_signed_in(server: Server) {
        let browser = administered(&server).await;
        server.put("/User/bob", json!({"userName": "bob", "password": PASSWORD})).await;
        let fields = [("client_id", "spa"), ("scope", "openid"), ("prompt", "login")];
        let left = try_out(&server, &browser, "pkce", &fields).await;
        let login = browser.follow(left).await;
        let page = browser.sign_in(&login, "bob", PASSWORD).await;
        let page = browser.follow(page).await;
        let callback = page.url.join(page.location.as_ref().unwrap()).unwrap();
        // What was remembered is good for ten minutes, for this state, and in this browser.
        let other = callback.as_str().replace("state=", "state=x");
        assert_eq!(browser.get(&other).await.status, 403);
        assert_eq!(server.browser().get(callback.as_str()).await.status, 303);
        let page = browser.follow(page).await;
        assert!(page.text("h1") == "The code flow worked" && page.text("main").contains("bob"), "{page:?}");
        assert_eq!(browser.get(&server.url("/sandbox")).await.status, 403);

        let browser = server.signed_in().await;
        let left = try_out(&server, &browser, "pkce", &[("client_id", "spa"), ("scope", "openid")]).await;
        let cookie = left.cookie("sandbox").unwrap();
        assert!(cookie.contains("HttpOnly") && cookie.contains("Max-Age=600") && cookie.len() < 4_096, "{cookie}");
        let page = browser.follow(left).await;
        server.wait(601);
        let page = browser.follow(page).await;
        assert!(page.start_again().is_some(), "{page:?}");
        let long = "x".repeat(2_000);
        let page = try_out(&server, &browser, "pkce", &[("client_id", "spa"), ("login_hint", &long)]).await;
        assert!(page.text(".alert").contains("longer than"), "{page:?}");
    }
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_development_nobody_need_sign_in_and_known_secrets_need_no_typing() {
    for database in BOTH {
        let server = Server::start_with(database, |settings| settings.mode = Mode::Dev).await;
        let browser = server.browser();
        let index = browser.get(&server.url("/sandbox")).await;
        assert_eq!(labels(&index, ".tile strong").len(), 9);
        for href in Html::parse_document(&index.html).select(&Selector::parse(".tile").unwrap()) {
            let page = browser.get(&server.url(href.attr("href").unwrap())).await;
            assert!(page.status == 200 && page.has("#request pre"), "{page:?}");
            assert!(!page.has("script") && page.header("content-security-policy").contains("default-src 'none'"));
        }
        let page = try_out(&server, &browser, "client_credentials", &[("client_id", "web-app")]).await;
        assert_eq!(page.text("#status"), "200 OK", "{page:?}");
        let page = try_out(&server, &browser, "password", &[("client_id", "web-app"), ("username", "bob")]).await;
        assert_eq!(page.text("#status"), "200 OK", "{page:?}");
        // The command is one, and works when pasted.
        let page = try_out(&server, &browser, "introspection", &[("token", &page.text("#access_token"))]).await;
        assert!(page.text("#body").contains("\"active\": true"), "{page:?}");
        let command = page.text(".curl");
        assert!(command.starts_with("CLIENT_SECRET=secret\ncurl -s -K - <<END\n"), "{command}");
        let ran = tokio::task::spawn_blocking(move || {
            std::process::Command::new("sh").args(["-c", &command]).env("NO_PROXY", "*").output()
        });
        let ran = ran.await.unwrap().unwrap();
        assert!(String::from_utf8_lossy(&ran.stdout).contains("\"active\":true"), "{ran:?}");
        assert_eq!(browser.get(&server.url("/sandbox/nothing")).await.status, 404);
        // A refusal leads to its explanation.
        let form = [("client_id", "web-app"), ("client_secret", "wrong")];
        let page = try_out(&server, &browser, "client_credentials", &form).await;
        let href = page.attribute("#explanation", "href").unwrap();
        let page = browser.get(&server.url(&href)).await;
        assert!(page.status == 200 && page.text("main").contains("invalid_client"), "{page:?}");
    }
}

#[tokio::test]
async fn an_issuer_with_a_path_has_its_sandbox_there() {
    let server = Server::start_with(Database::Sqlite, |settings| {
        settings.mode = Mode::Dev;
        settings.issuer = Some(countersign::config::Issuer::parse("http://localhost:8099/tenant").unwrap());
    })
    .await;
    let browser = server.browser();
    let page = browser.get(&server.url("/tenant/sandbox/client_credentials")).await;
    let page = send(&browser, &page, "/tenant/sandbox/client_credentials", &[("client_id", "web-app")]).await;
    assert!(page.text("#status") == "200 OK" && page.html.contains("POST /tenant/oauth2/token"), "{page:?}");
    let page = browser.get(&server.url("/tenant/dev/start")).await;
    assert!(page.location.unwrap().starts_with("/tenant/oauth2/authorize?"));
}

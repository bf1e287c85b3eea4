//! The login page: what it shows, whom it lets in, and when it is shown at all (OpenID Connect Core §3.1.2.1, §3.1.2.3).

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{Database, Server, both, issues, jwt, request, send, text};

const PASSWORD: &str = "correct-horse-battery";

both!(
    async fn the_page_says_who_asks_and_where_one_returns(server: Server) {
        let document = json!({
            "name": "Ward & <b>Round</b>", "policy_uri": "https://app.example/privacy", "tos_uri": "https://app.example/terms",
            "logo_uri": format!("{}/static/logo.png", server.issuer()),
            "auth": {"authorization_code": {"redirect_uri": "https://app.example:8443/cb"}},
        });
        server.web_app(document).await;
        let page =
            server.authorize(&server.browser(), &request(&[("login_hint", "ann\"><script>alert(1)</script>")])).await;
        assert_eq!((page.text("h1").as_str(), page.text("button#login").as_str()), ("Sign in", "Sign in"));
        assert!(page.has("label[for=username]") && page.has("label[for=password]"));
        assert_eq!(page.attribute("#username", "autocomplete").as_deref(), Some("username"));
        assert_eq!(page.attribute("#password", "type").as_deref(), Some("password"));
        assert_eq!(page.attribute("#username", "value").as_deref(), Some("ann\"><script>alert(1)</script>"));
        let text = page.text("main");
        assert!(text.contains("Ward & <b>Round</b>") && text.contains("app.example:8443"), "{text}");
        assert!(page.has("a[href='https://app.example/privacy']") && page.has("a[href='https://app.example/terms']"));
        assert_eq!(page.attribute("img", "src"), Some(format!("{}/static/logo.png", server.issuer())));
        assert!(!page.has("script") && !page.has("[onclick]") && !page.has("main b"));
        assert!(page.attribute("html", "lang").is_some() && page.has("meta[name=viewport]"));
    }
);

// RFC 7591 §2.2; OpenID Connect Core §3.1.2.1
both!(
    async fn a_client_is_shown_in_the_language_of_the_person(server: Server) {
        let document = json!({
            "name": "Ward", "name#de": "Station", "name#fr-CA": "Unité", "policy_uri": "https://app.example/privacy",
            "policy_uri#DE": "https://app.example/datenschutz", "tos_uri#de": "https://app.example/agb",
            "logo_uri": "https://app.example/logo.png", "logo_uri#de": "https://app.example/zeichen.png",
        });
        server.web_app(document).await;
        server.alice().await;
        let shown = |accept: &'static str, ui_locales: &'static str| {
            let server = &server;
            async move {
                let browser = server.browser();
                let query = request(&[("scope", "openid"), ("ui_locales", ui_locales)]);
                let get =
                    browser.http.get(server.url("/oauth2/authorize")).query(&query).header("accept-language", accept);
                browser.send(get).await
            }
        };
        let plain = shown("en-GB, de;q=0.9", "").await;
        assert!(plain.text("main").contains("Ward") && plain.has("a[href='https://app.example/privacy']"), "{plain:?}");
        assert!(!plain.html.contains("agb"), "{plain:?}");
        for (accept, ui_locales) in [("de-AT, en;q=0.9", ""), ("en", "nl de-CH"), ("fr;q=0.2, de;q=0.7", "")] {
            let page = shown(accept, ui_locales).await;
            assert!(page.is_login() && page.text("main").contains("Station"), "{page:?}");
            assert!(
                page.has("a[href='https://app.example/datenschutz']") && page.has("a[href='https://app.example/agb']")
            );
            assert_ne!(page.attribute("img.logo", "src"), plain.attribute("img.logo", "src"));
        }
        assert!(shown("fr-CA", "").await.text("main").contains("Unité"));
        assert!(shown("fr", "").await.text("main").contains("Ward"));
        // The consent page as well, to which ui_locales goes on.
        let browser = server.browser();
        let page = server.authorize(&browser, &request(&[("scope", "openid"), ("ui_locales", "de")])).await;
        let page = browser.sign_in(&page, "alice", "correct-horse-battery").await;
        let page = browser.follow(page).await;
        assert!(page.is_consent() && page.text("main").contains("Station"), "{page:?}");

        let mut many = json!({"grant_types": ["code"]});
        for n in 0..31 {
            many[format!("name#x{n:02}")] = json!("Ward");
        }
        let (status, outcome) = send(&server, "PUT", "/Client/many", many).await;
        assert_eq!((status, issues(&outcome)[0].0.as_str()), (422, "Client.name"), "{outcome}");
    }
);

both!(
    async fn nothing_is_loaded_from_elsewhere(server: Server) {
        server.web_app(json!({"logo_uri": "https://tracker.example/logo.png"})).await;
        let page = server.authorize(&server.browser(), &request(&[])).await;
        assert!(page.is_login() && !page.html.contains("tracker.example"), "{page:?}");
        let style = server
            .browser()
            .get(page.url.join(&page.attribute("link[rel=stylesheet]", "href").unwrap()).unwrap().as_str())
            .await;
        assert_eq!((style.status.as_u16(), style.header("content-type")), (200, "text/css; charset=utf-8"));
        assert!(!style.html.contains("http") && !style.html.contains("@import"));
    }
);

both!(
    async fn any_spelling_of_name_mail_or_id_signs_in_and_goes_on_with_the_request(server: Server) {
        server.web_app(json!({"first_party": true})).await;
        server.alice().await;
        for name in ["alice", "Alice", "ALICE", "alice@example.com", "Alice@Example.COM", "  alice  "] {
            let browser = server.browser();
            let page = server.authorize(&browser, &request(&[("state", "s %")])).await;
            let page = browser.sign_in(&page, name, PASSWORD).await;
            // RFC 9700 §4.12: 303, so that the browser never posts the password on.
            assert_eq!(page.status, 303, "{name} {page:?}");
            assert!(page.location.as_ref().unwrap().starts_with("/oauth2/authorize?"), "{page:?}");
            let page = browser.follow(page).await;
            let returned = page.returned();
            assert_eq!((page.status.as_u16(), returned.get("state")), (303, Some("s %")));
            assert!(returned.get("code").is_some(), "{name} {returned:?}");
        }
    }
);

both!(
    async fn wrong_credentials_are_told_without_saying_which(server: Server) {
        server.alice().await;
        server.put("/User/nopassword", json!({"userName": "nopassword"})).await;
        let long = "x".repeat(5_000);
        let browser = server.browser();
        let mut answers = Vec::new();
        for (name, password) in [
            ("alice", "wrong"),
            ("nobody", PASSWORD),
            ("nopassword", ""),
            ("nopassword", PASSWORD),
            ("", ""),
            ("", PASSWORD),
            ("alice", ""),
            ("alice", "Correct-horse-battery"),
            ("alice' OR '1'='1", "' OR 1=1 --"),
            (&long, PASSWORD),
            ("bob", &long),
        ] {
            let page = browser.get(&server.url("/login")).await;
            let page = browser.sign_in(&page, name, password).await;
            assert_eq!(page.status, StatusCode::FORBIDDEN, "{name} {page:?}");
            assert!(page.is_login() && page.cookie("login").is_none() && page.cookie("known").is_none(), "{name}");
            assert_eq!(page.attribute("#username", "value").as_deref().unwrap_or_default(), name);
            assert!(!page.has("#password[value]") && (password.is_empty() || !page.html.contains(password)), "{name}");
            answers.push(page.text("#login_error"));
        }
        assert!(answers.iter().all(|text| *text == "Wrong user name or password."), "{answers:?}");
        assert!(!server.is_signed_in(&browser).await);
    }
);

both!(
    async fn a_disabled_user_is_told_so_only_with_the_right_password(server: Server) {
        server.alice().await;
        let patch = server.admin("PATCH", "/User/alice").json(&json!({"inactive": true})).send().await.unwrap();
        assert_eq!(patch.status(), 200);
        let browser = server.browser();
        for (password, told) in [("wrong", "Wrong user name or password."), (PASSWORD, "This account is switched off.")]
        {
            let page = browser.get(&server.url("/login")).await;
            let page = browser.sign_in(&page, "alice", password).await;
            assert_eq!(page.status, StatusCode::FORBIDDEN);
            assert!(page.text("#login_error").starts_with(told), "{page:?}");
            assert!(page.cookie("login").is_none() && page.cookie("known").is_none());
        }
        assert!(!server.is_signed_in(&browser).await);
    }
);

both!(
    async fn a_user_with_a_second_factor_is_not_let_in_without_it(server: Server) {
        server.put("/User/two", json!({"userName": "two", "password": PASSWORD, "twoFactor": {"enabled": true, "secretKey": "JBSWY3DPEHPK3PXP"}})).await;
        server
            .put("/User/off", json!({"userName": "off", "password": PASSWORD, "twoFactor": {"enabled": false}}))
            .await;
        let browser = server.browser();
        for (password, told) in
            [("wrong", "Wrong user name or password."), (PASSWORD, "This account asks for a second factor")]
        {
            let page = browser.get(&server.url("/login")).await;
            let page = browser.sign_in(&page, "two", password).await;
            assert_eq!(page.status, StatusCode::FORBIDDEN);
            assert!(page.text("#login_error").starts_with(told) && page.cookie("login").is_none(), "{page:?}");
        }
        assert!(!server.is_signed_in(&browser).await);
        let page = browser.get(&server.url("/login")).await;
        assert_eq!(browser.sign_in(&page, "off", PASSWORD).await.status, 303);
    }
);

both!(
    async fn without_a_client_the_page_signs_in_and_out_again(server: Server) {
        server.alice().await;
        let browser = server.signed_in().await;
        let page = browser.get(&server.url("/login")).await;
        assert!(page.text("main").contains("Alice") && page.has("#logout"), "{page:?}");
        let page = browser.submit(&page, &[]).await;
        assert_eq!((page.status.as_u16(), page.text("h1").as_str()), (200, "Signed out"));
        assert!(!server.is_signed_in(&browser).await);
    }
);

both!(
    async fn credentials_in_a_url_sign_nobody_in(server: Server) {
        server.alice().await;
        let browser = server.browser();
        let page = browser.get(&server.url("/login")).await;
        for url in [
            "/login?username=alice&password=correct-horse-battery",
            "/login?_method=POST&username=alice&password=correct-horse-battery",
        ] {
            let (_, hidden) = page.form();
            let get = browser.http.get(server.url(url)).query(&hidden).header("x-http-method-override", "POST");
            assert!(browser.send(get).await.cookie("login").is_none());
            let post = browser.http.post(server.url(url)).form(&hidden);
            let page = browser.send(post).await;
            assert!(page.status.is_client_error() && page.cookie("login").is_none(), "{page:?}");
        }
        assert!(!server.is_signed_in(&browser).await);
    }
);

both!(
    async fn the_page_leads_only_to_proven_clients(server: Server) {
        server.web_app(json!({})).await;
        let browser = server.browser();
        for (query, error) in [
            ("client_id=nobody", "invalid_client"),
            ("client_id=web-app&redirect_uri=https://evil.example/", "invalid_request"),
        ] {
            let page = browser.get(&server.url(&format!("/login?response_type=code&{query}"))).await;
            assert_eq!((page.status.as_u16(), page.error().as_deref()), (400, Some(error)), "{query}");
        }
        // Whatever else a URL may say, sign-in ends on a page of ours.
        server.alice().await;
        for query in [
            "redirect_to=https://evil.example/",
            "next=//evil.example",
            "continue=https%3A%2F%2Fevil.example&redirect_uri=https://evil.example/",
        ] {
            let browser = server.browser();
            let page = browser.get(&server.url(&format!("/login?{query}"))).await;
            let page = browser.sign_in(&page, "alice", PASSWORD).await;
            assert!(page.location.as_ref().unwrap().starts_with("/login"), "{page:?}");
            let page = browser.follow(page).await;
            assert_eq!((page.status.as_u16(), page.is_login()), (200, false), "{page:?}");
        }
    }
);

both!(
    async fn prompt_says_which_pages_may_be_shown(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        let stranger = server.browser();
        for prompt in ["none", "login", "consent", "select_account", "login consent"] {
            let page = server.authorize(&stranger, &request(&[("prompt", prompt), ("state", "s")])).await;
            assert_eq!(page.is_login(), prompt != "none", "{prompt} {page:?}");
            if prompt == "none" {
                let returned = page.returned();
                assert_eq!((returned.get("error"), returned.get("state")), (Some("login_required"), Some("s")));
            }
        }
        let browser = server.signed_in().await;
        let returned = server.authorize(&browser, &request(&[("prompt", "none")])).await.returned();
        assert_eq!(returned.get("error"), Some("consent_required"));
        server.sign_in_and_consent(&browser, &request(&[])).await.expect("code");
        server.authorize(&browser, &request(&[("prompt", "none")])).await.returned().expect("code");
        // Core §3.1.2.1: asked again though signed in, and once is enough.
        let page = server.authorize(&browser, &request(&[("prompt", "login")])).await;
        let page = browser.sign_in(&page, "alice", PASSWORD).await;
        browser.follow(page).await.returned().expect("code");
        for prompt in ["consent", "login consent"] {
            let mut page = server.authorize(&browser, &request(&[("prompt", prompt)])).await;
            if prompt.contains("login") {
                page = browser.sign_in(&page, "alice", PASSWORD).await;
                page = browser.follow(page).await;
            }
            browser.consent(&page, "approve").await.returned().expect("code");
        }
    }
);

both!(
    async fn max_age_asks_for_a_fresh_sign_in_and_one_is_enough(server: Server) {
        server.web_app(json!({"first_party": true})).await;
        server.alice().await;
        let browser = server.signed_in().await;
        let aged = |age: &'static str| request(&[("scope", "openid"), ("max_age", age)]);
        let first = server.redeemed(&server.authorize(&browser, &aged("600")).await.returned().expect("code")).await;
        server.wait(601);
        assert!(
            server.authorize(&browser, &request(&[])).await.location.is_some(),
            "without max_age the login is good"
        );
        let quiet = request(&[("max_age", "600"), ("prompt", "none")]);
        assert_eq!(server.authorize(&browser, &quiet).await.returned().get("error"), Some("login_required"));
        // `max_age=0` is the same as `prompt=login`, also in the second of the last sign-in.
        for age in ["600", "0", "0"] {
            let page = server.authorize(&browser, &aged(age)).await;
            let page = browser.sign_in(&page, "alice", PASSWORD).await;
            server.wait(3);
            let code = browser.follow(page).await.returned().expect("code");
            let tokens = server.redeemed(&code).await;
            let time = |tokens: &Value| jwt(text(tokens, "id_token")).1["auth_time"].as_i64().unwrap();
            assert!(time(&tokens) >= time(&first) + 601);
        }
        assert_eq!(
            server.authorize(&browser, &request(&[("max_age", "0"), ("prompt", "none")])).await.returned().get("error"),
            Some("login_required")
        );
    }
);

both!(
    async fn a_client_may_have_a_max_age_by_default(server: Server) {
        server.web_app(json!({"first_party": true, "default_max_age": 0})).await;
        server.alice().await;
        let browser = server.signed_in().await;
        server.wait(1);
        let page = server.authorize(&browser, &request(&[])).await;
        let page = browser.sign_in(&page, "alice", PASSWORD).await;
        server.wait(3);
        browser.follow(page).await.returned().expect("code");
        server.authorize(&browser, &request(&[("max_age", "86400")])).await.returned().expect("code");
    }
);

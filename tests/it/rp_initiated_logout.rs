//! OpenID Connect RP-Initiated Logout 1.0 as a client's tester goes through it: with each parameter, without it, and with a wrong
//! one. What a person sees is in `logout_page`.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde_json::json;

use crate::support::{Browser, Database, Page, Server, both, jwt, request};

const DONE: &str = "https://app.example/done";

/// A browser in which Alice is signed in and has consented, with her ID token for `web-app`.
async fn set_up(server: &Server) -> (Browser, String) {
    server.web_app(json!({"post_logout_redirect_uris": [DONE]})).await;
    server.alice().await;
    let browser = server.browser();
    let code = server.sign_in_and_consent(&browser, &request(&[("scope", "openid")])).await.expect("code");
    let id_token = server.redeemed(&code).await["id_token"].as_str().unwrap().to_owned();
    (browser, id_token)
}

async fn logout(server: &Server, browser: &Browser, query: &[(&str, &str)]) -> Page {
    browser.send(browser.http.get(server.url("/oauth2/logout")).header("accept", "text/html").query(query)).await
}

/// What `prompt=none` says afterwards: the session has really ended, or has not.
async fn silently(server: &Server, browser: &Browser) -> Option<String> {
    let query = request(&[("scope", "openid"), ("prompt", "none")]);
    server.authorize(browser, &query).await.returned().get("error").map(str::to_owned)
}

async fn assert_ended(server: &Server, browser: &Browser) {
    assert_eq!(silently(server, browser).await.as_deref(), Some("login_required"));
}

async fn assert_refused(server: &Server, browser: &Browser, query: &[(&str, &str)]) {
    let page = logout(server, browser, query).await;
    let found = (page.status.as_u16(), page.error());
    assert_eq!(found, (400, Some("invalid_request".into())), "{query:?} {page:?}");
    assert_eq!(silently(server, browser).await, None, "nothing has ended: {query:?}");
}

// §2.1
both!(
    async fn discovery_names_the_endpoint(server: Server) {
        let metadata = server.metadata().await;
        assert_eq!(metadata["end_session_endpoint"], format!("{}/oauth2/logout", server.issuer()));
    }
);

// §2, §3
both!(
    async fn with_hint_uri_and_state_the_session_ends_and_the_browser_returns_with_the_state(server: Server) {
        let (browser, id_token) = set_up(&server).await;
        let query = [
            ("id_token_hint", id_token.as_str()),
            ("post_logout_redirect_uri", DONE),
            ("state", "Z6_-~.x"),
            ("ui_locales", "fr-CA en"),
            ("logout_hint", "alice"),
            ("client_id", "web-app"),
            ("unknown", "ignored"),
        ];
        let page = logout(&server, &browser, &query).await;
        assert_eq!(
            (page.status.as_u16(), page.location.as_deref()),
            (303, Some("https://app.example/done?state=Z6_-%7E.x"))
        );
        assert_ended(&server, &browser).await;
    }
);

// §3
both!(
    async fn without_a_state_none_comes_back(server: Server) {
        let (browser, id_token) = set_up(&server).await;
        let query = [("id_token_hint", id_token.as_str()), ("post_logout_redirect_uri", DONE)];
        assert_eq!(logout(&server, &browser, &query).await.location.as_deref(), Some(DONE));
        assert_ended(&server, &browser).await;
    }
);

// §2: "it MAY be used for the same purpose without a post_logout_redirect_uri"
both!(
    async fn without_a_return_uri_the_person_is_told(server: Server) {
        for more in [None, Some(("state", "s"))] {
            let (browser, id_token) = set_up(&server).await;
            let query: Vec<_> = [("id_token_hint", id_token.as_str())].into_iter().chain(more).collect();
            let page = logout(&server, &browser, &query).await;
            assert_eq!((page.status.as_u16(), page.text("h1").as_str()), (200, "Signed out"));
            assert!(page.location.is_none() && !page.has("meta[http-equiv=refresh]"), "{page:?}");
            assert_ended(&server, &browser).await;
        }
    }
);

// §2: "the OP MUST ask the End-User"
both!(
    async fn without_a_hint_the_person_is_asked_and_then_told(server: Server) {
        for query in [vec![], vec![("state", "only")], vec![("client_id", "web-app")]] {
            let (browser, _) = set_up(&server).await;
            let page = logout(&server, &browser, &query).await;
            assert!(page.status == 200 && page.has("#logout"), "{page:?}");
            assert_eq!(silently(&server, &browser).await, None);
            let page = browser.submit(&page, &[]).await;
            assert_eq!((page.text("h1").as_str(), page.location.as_deref()), ("Signed out", None));
            assert_ended(&server, &browser).await;
        }
    }
);

// §3: without a proven client there is nowhere to return to
both!(
    async fn a_return_uri_without_a_hint_or_a_client_is_an_error(server: Server) {
        let (browser, _) = set_up(&server).await;
        assert_refused(&server, &browser, &[("post_logout_redirect_uri", DONE), ("state", "s")]).await;
    }
);

// §3.1: exact comparison
both!(
    async fn a_return_uri_that_is_not_registered_to_the_letter_is_an_error(server: Server) {
        let (browser, id_token) = set_up(&server).await;
        for uri in [
            "https://evil.example/done",
            "https://app.example/done?added=1",
            "https://app.example/done/",
            "https://app.example/don",
            "https://APP.example/done",
            "https://app.example/done#f",
            "",
        ] {
            let query = [("id_token_hint", id_token.as_str()), ("post_logout_redirect_uri", uri), ("state", "s")];
            if uri.is_empty() {
                // An empty parameter is none (RFC 6749 §3.1).
                continue;
            }
            assert_refused(&server, &browser, &query).await;
        }
    }
);

// §4: the signature is checked
both!(
    async fn a_hint_that_was_changed_or_is_of_somebody_else_is_an_error(server: Server) {
        let (browser, id_token) = set_up(&server).await;
        let parts: Vec<&str> = id_token.split('.').collect();
        let (_, mut claims) = jwt(&id_token);
        claims["sub"] = json!("bob");
        let modified = format!("{}.{}.{}", parts[0], B64.encode(claims.to_string()), parts[2]);
        let unsigned = format!("{}.{}.", B64.encode(r#"{"alg":"none","typ":"JWT"}"#), parts[1]);
        for hint in [modified.as_str(), &unsigned, "nonsense", &format!("{id_token}x"), &format!("{id_token}.x.y")] {
            assert_refused(&server, &browser, &[("id_token_hint", hint), ("post_logout_redirect_uri", DONE)]).await;
        }
        // §2: client_id and the client of the hint must be the same.
        server.put("/Client/other", json!({"secret": "other-secret", "post_logout_redirect_uris": [DONE]})).await;
        let query = [("id_token_hint", id_token.as_str()), ("client_id", "other"), ("post_logout_redirect_uri", DONE)];
        assert_refused(&server, &browser, &query).await;
    }
);

// §2: a session other than the hint's is suspect
both!(
    async fn a_hint_of_an_earlier_session_asks_first(server: Server) {
        let (browser, earlier) = set_up(&server).await;
        let page = server.authorize(&browser, &request(&[("scope", "openid"), ("prompt", "login")])).await;
        browser.sign_in(&page, "alice", "correct-horse-battery").await;
        let page = logout(&server, &browser, &[("id_token_hint", &earlier), ("post_logout_redirect_uri", DONE)]).await;
        assert!(page.status == 200 && page.has("#logout"), "{page:?}");
        let page = browser.submit(&page, &[]).await;
        assert_eq!(page.location.as_deref(), Some(DONE));
        assert_ended(&server, &browser).await;
    }
);

// §2: the session may have ended by itself meanwhile
both!(
    async fn a_hint_of_a_session_that_is_over_leads_straight_on(server: Server) {
        let (browser, id_token) = set_up(&server).await;
        let query = [("id_token_hint", id_token.as_str()), ("post_logout_redirect_uri", DONE), ("state", "s")];
        for _ in 0..2 {
            let page = logout(&server, &browser, &query).await;
            assert_eq!(page.location.as_deref(), Some("https://app.example/done?state=s"));
        }
    }
);

// §2: GET and POST
both!(
    async fn a_form_on_another_site_signs_out_though_browsers_send_it_without_our_cookies(server: Server) {
        let (browser, id_token) = set_up(&server).await;
        let stranger = server.browser();
        let post = async |browser: &Browser, form: &[(&str, &str)]| {
            let request = browser.http.post(server.url("/oauth2/logout")).header("origin", "https://app.example");
            browser.send(request.header("sec-fetch-site", "cross-site").form(form)).await
        };
        // Without a hint the browser comes again, with its cookies, and the person is asked.
        let form = [("client_id", "web-app"), ("post_logout_redirect_uri", DONE), ("state", "s")];
        let page = post(&stranger, &form).await;
        assert_eq!(page.status, 303);
        let page = browser.get(&server.url(page.location.as_deref().unwrap())).await;
        assert!(page.has("#logout"), "{page:?}");
        assert_eq!(silently(&server, &browser).await, None);
        // The hint ends its session.
        let form = [("id_token_hint", id_token.as_str()), ("post_logout_redirect_uri", DONE), ("state", "s")];
        let page = post(&stranger, &form).await;
        assert_eq!(page.location.as_deref(), Some("https://app.example/done?state=s"));
        assert_ended(&server, &browser).await;
        // One of a session that is over leaves it to the browser, without the token in the address.
        let page = post(&stranger, &form).await;
        let location = page.location.clone().unwrap();
        assert!(location.starts_with("/oauth2/logout?") && !location.contains("id_token_hint"), "{location}");
        let page = stranger.follow(page).await;
        assert_eq!(page.location.as_deref(), Some("https://app.example/done?state=s"));
    }
);

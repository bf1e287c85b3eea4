//! Forms of ours are taken from our own pages only, and an old one is never an error (RFC 9700 §4.7, §4.11; Fetch Metadata; CSP
//! Level 3 §6.4.1).

use serde_json::json;

use crate::support::{Browser, Database, Page, Server, both, request};

const PASSWORD: &str = "correct-horse-battery";
const CREDENTIALS: [(&str, &str); 2] = [("username", "alice"), ("password", PASSWORD)];

/// Posts the login form of this page from a browser, with this token.
async fn post(server: &Server, browser: &Browser, page: &Page, csrf: &str) -> Page {
    let form: Vec<_> = CREDENTIALS.into_iter().chain([("csrf", csrf)]).collect();
    browser.send(browser.http.post(server.url(&page.form().0)).form(&form)).await
}

both!(
    async fn a_form_is_bound_to_browser_form_login_and_request(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        let browser = server.browser();
        let page = server.authorize(&browser, &request(&[("state", "1")])).await;
        let other_request = server.authorize(&browser, &request(&[("state", "2")])).await;
        let strangers = server.authorize(&server.browser(), &request(&[("state", "1")])).await;
        let token = |page: &Page| page.form().1["csrf"].clone();
        let (issued, mac) =
            token(&page).split_once('.').map(|(issued, mac)| (issued.parse::<i64>().unwrap(), mac.to_owned())).unwrap();
        let later = format!("{}.{mac}", issued + 1);
        for csrf in ["", ".", "x", "0.", &token(&strangers), &token(&other_request), &later, &mac] {
            let answer = post(&server, &browser, &page, csrf).await;
            assert!(
                answer.status == 400 && answer.start_again().is_some() && answer.error().is_none(),
                "{csrf} {answer:?}"
            );
            assert!(answer.cookie("login").is_none(), "{csrf}");
        }
        // The cookie alone, or the token alone, is worth nothing.
        let answer = post(&server, &server.browser(), &page, &token(&page)).await;
        assert!(answer.start_again().is_some() && answer.cookie("login").is_none(), "{answer:?}");
        assert!(!server.is_signed_in(&browser).await);

        assert_eq!(post(&server, &browser, &page, &token(&page)).await.status, 303);
        // A token of the login form is none of the consent form, and one of an earlier login none of this one.
        let consent = server.authorize(&browser, &request(&[("state", "1")])).await;
        for old in [token(&page), token(&other_request)] {
            let form = [("csrf", old.as_str()), ("decision", "approve")];
            let answer = browser.send(browser.http.post(server.url(&consent.form().0)).form(&form)).await;
            assert!(answer.start_again().is_some(), "{answer:?}");
        }
        assert_eq!(post(&server, &browser, &other_request, &token(&other_request)).await.status, 303);
        assert!(browser.consent(&consent, "approve").await.start_again().is_some(), "the login has changed");
    }
);

both!(
    async fn an_expired_or_reopened_tab_starts_again_with_the_same_request(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        let query = request(&[("scope", "openid email"), ("state", "a b+&%"), ("nonce", "n")]);
        let browser = server.browser();
        let page = server.authorize(&browser, &query).await;
        server.wait(3_601);
        let expired = browser.submit(&page, &CREDENTIALS).await;
        assert_eq!(expired.text("#error"), "");
        let page = browser.get(&server.url(&expired.start_again().unwrap())).await;
        let page = browser.sign_in(&page, "alice", PASSWORD).await;
        let page = browser.follow(page).await;
        assert!(page.is_consent(), "{page:?}");
        server.wait(3_601);
        let expired = browser.consent(&page, "approve").await;
        let page = browser.get(&server.url(&expired.start_again().unwrap())).await;
        let returned = browser.consent(&page, "approve").await.returned();
        assert_eq!((returned.get("state"), returned.get("code").is_some()), (Some("a b+&%"), true));

        // A tab that is reopened after the browser forgot its cookies.
        let page = server.authorize(&server.browser(), &query).await;
        let reopened = server.browser();
        let answer = reopened.submit(&page, &CREDENTIALS).await;
        assert!(answer.cookie("login").is_none());
        assert!(answer.text("main").contains("allow them for this site"), "what to do is said: {answer:?}");
        assert!(!expired.text("main").contains("cookie"), "{expired:?}");
        assert!(reopened.get(&server.url(&answer.start_again().unwrap())).await.is_login());
        // A second tab, in which one has signed in meanwhile: the way leads on, not to another login page.
        let (first, second) = (server.authorize(&reopened, &query).await, server.authorize(&reopened, &query).await);
        reopened.sign_in(&second, "alice", PASSWORD).await;
        server.wait(3_601);
        let answer = reopened.submit(&first, &CREDENTIALS).await;
        let page = reopened.get(&server.url(&answer.start_again().unwrap())).await;
        assert!(page.returned().get("code").is_some(), "{page:?}");
        // The page without a request leads back to itself.
        let page = reopened.get(&server.url("/login")).await;
        reopened.submit(&page, &[]).await;
        let page = reopened.get(&server.url("/login")).await;
        server.wait(3_601);
        assert_eq!(reopened.submit(&page, &CREDENTIALS).await.start_again().as_deref(), Some("/login"));
    }
);

both!(
    async fn a_form_is_taken_only_from_our_own_origin(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        let own = server.url("");
        let elsewhere = [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("origin", "http://localhost"),
            ("origin", "http://localhost:1"),
            ("origin", "http://localhost.evil.example"),
        ];
        let browser = server.browser();
        for header in elsewhere {
            let page = server.authorize(&browser, &request(&[])).await;
            let answer = browser.submit_with(&page, &[header], &CREDENTIALS).await;
            assert!(answer.start_again().is_some() && answer.cookie("login").is_none(), "{header:?} {answer:?}");
        }
        for headers in [vec![("origin", own.as_str())], vec![("origin", &own), ("sec-fetch-site", "same-origin")]] {
            let page = server.browser();
            let login = page.get(&server.url("/login")).await;
            assert_eq!(page.submit_with(&login, &headers, &CREDENTIALS).await.status, 303, "{headers:?}");
        }
        let browser = server.signed_in().await;
        for header in elsewhere {
            let page = server.authorize(&browser, &request(&[])).await;
            let answer = browser.submit_with(&page, &[header], &[("decision", "approve")]).await;
            assert!(answer.start_again().is_some(), "{header:?} {answer:?}");
        }
        assert!(server.authorize(&browser, &request(&[])).await.is_consent(), "nothing was consented to");
    }
);

both!(
    async fn form_action_names_the_proven_redirect_target_and_the_origins_of_its_client_alone(server: Server) {
        let cases = [
            ("https://app.example/cb?x=1", "form-action 'self' https://app.example;"),
            ("https://app.example:8443/cb", "form-action 'self' https://app.example:8443;"),
            ("http://localhost:4200/cb", "form-action 'self' http://localhost:4200;"),
            ("com.example.app:/cb", "form-action 'self' com.example.app:;"),
            // No source of a policy can name an IPv6 address.
            ("http://[::1]:9000/cb", "form-action 'self' http:;"),
        ];
        let uris: Vec<_> = cases.iter().map(|(uri, _)| *uri).collect();
        server.web_app(json!({"auth": {"authorization_code": {"redirect_uri": null, "redirect_uris": uris}}})).await;
        server.alice().await;
        let (stranger, browser) = (server.browser(), server.signed_in().await);
        for (uri, policy) in cases {
            for page in [
                server.authorize(&stranger, &request(&[("redirect_uri", uri)])).await,
                server.authorize(&browser, &request(&[("redirect_uri", uri)])).await,
            ] {
                assert!(page.header("content-security-policy").contains(policy), "{uri} {page:?}");
            }
        }
        let onward = json!(["https://*.shop.example", "https://api.example:8443"]);
        let uri = json!({"redirect_uri": null, "redirect_uris": uris});
        server.web_app(json!({"auth": {"authorization_code": uri}, "allowed_origins": onward})).await;
        let page = server.authorize(&stranger, &request(&[("redirect_uri", "https://app.example:8443/cb")])).await;
        let named = "form-action 'self' https://*.shop.example https://api.example:8443 https://app.example:8443;";
        assert!(page.header("content-security-policy").contains(named), "{page:?}");
        let page = server.authorize(&stranger, &request(&[("redirect_uri", "https://evil.example/")])).await;
        assert!(page.error().is_some() && !page.header("content-security-policy").contains("evil.example"), "{page:?}");
    }
);

//! RP-initiated logout and its confirmation page (OpenID Connect RP-Initiated Logout 1.0 §2, §3).

use serde_json::{Value, json};

use crate::support::{Browser, Database, Page, Server, both, request};

const DONE: &str = "https://app.example/done?from=app";

/// Clients that may be returned to, and a browser in which Alice is signed in, with her ID token for `web-app`.
async fn set_up(server: &Server) -> (Browser, String) {
    server.web_app(json!({"first_party": true, "post_logout_redirect_uris": [DONE]})).await;
    server
        .put("/Client/other", json!({"secret": "other-client-secret", "grant_types": ["code"], "post_logout_redirect_uris": ["https://other.example/done"]}))
        .await;
    server.alice().await;
    let browser = server.signed_in().await;
    let code = server.authorize(&browser, &request(&[("scope", "openid")])).await.returned().expect("code");
    let id_token = server.redeemed(&code).await["id_token"].as_str().unwrap().to_owned();
    (browser, id_token)
}

async fn logout(server: &Server, browser: &Browser, query: &[(&str, &str)]) -> Page {
    browser.send(browser.http.get(server.url("/oauth2/logout")).header("accept", "text/html").query(query)).await
}

both!(
    async fn without_a_hint_the_person_has_to_confirm(server: Server) {
        let (browser, _) = set_up(&server).await;
        let page = logout(&server, &browser, &[]).await;
        assert!(page.status == 200 && page.has("#logout") && page.text("main").contains("Alice"), "{page:?}");
        assert!(server.is_signed_in(&browser).await, "asking changes nothing");
        let page = browser.submit(&page, &[]).await;
        assert_eq!((page.status.as_u16(), page.text("h1").as_str()), (200, "Signed out"));
        assert!(page.cookie("login").unwrap().contains("Max-Age=0"), "{page:?}");
        assert!(!server.is_signed_in(&browser).await);
        // Nothing to end is no error.
        let page = logout(&server, &browser, &[]).await;
        assert_eq!((page.status.as_u16(), page.text("h1").as_str()), (200, "Signed out"));
    }
);

both!(
    async fn a_hint_that_fits_the_session_needs_no_confirmation(server: Server) {
        for method in ["GET", "POST"] {
            let (browser, id_token) = set_up(&server).await;
            // §4: an expired ID token is a hint as good as a fresh one.
            server.wait(if method == "GET" { 0 } else { 7_200 });
            let query = [("id_token_hint", id_token.as_str()), ("post_logout_redirect_uri", DONE), ("state", "a b&c")];
            let page = match method {
                "GET" => logout(&server, &browser, &query).await,
                _ => browser.send(browser.http.post(server.url("/oauth2/logout")).form(&query)).await,
            };
            assert_eq!(
                (page.status.as_u16(), page.location.as_deref()),
                (303, Some("https://app.example/done?from=app&state=a+b%26c"))
            );
            assert!(page.cookie("login").unwrap().contains("Max-Age=0"));
            assert!(!server.is_signed_in(&browser).await);
        }
    }
);

both!(
    async fn a_hint_about_somebody_else_asks_first(server: Server) {
        let (_, alices) = set_up(&server).await;
        server.put("/User/bob", json!({"userName": "bob", "password": "correct-horse-battery"})).await;
        let bobs = server.browser();
        let page = bobs.get(&server.url("/login")).await;
        bobs.sign_in(&page, "bob", "correct-horse-battery").await;
        let page = logout(&server, &bobs, &[("id_token_hint", &alices), ("post_logout_redirect_uri", DONE)]).await;
        assert!(page.status == 200 && page.has("#logout") && page.text("main").contains("bob"), "{page:?}");
        assert!(server.is_signed_in(&bobs).await);
        let page = bobs.submit(&page, &[]).await;
        assert_eq!((page.status.as_u16(), page.location.as_deref()), (303, Some(DONE)));
        assert!(!server.is_signed_in(&bobs).await);
    }
);

both!(
    async fn the_confirmation_carries_the_request_on(server: Server) {
        let (browser, _) = set_up(&server).await;
        let query = [("client_id", "web-app"), ("post_logout_redirect_uri", DONE), ("state", "\"<s>&")];
        let page = logout(&server, &browser, &query).await;
        assert!(page.header("content-security-policy").contains("form-action 'self' https:;"), "{page:?}");
        let page = browser.submit(&page, &[]).await;
        assert_eq!(page.location.as_deref(), Some("https://app.example/done?from=app&state=%22%3Cs%3E%26"));
        assert!(!server.is_signed_in(&browser).await);
    }
);

both!(
    async fn only_a_return_uri_of_the_proven_client_is_followed(server: Server) {
        let (browser, id_token) = set_up(&server).await;
        let (hint, other) = (("id_token_hint", id_token.as_str()), ("client_id", "other"));
        let (head, rest) = id_token.split_at(id_token.len() - 6);
        let forged = format!("{head}{}", rest.chars().rev().collect::<String>());
        let cases: Vec<Vec<(&str, &str)>> = vec![
            vec![("post_logout_redirect_uri", DONE)],
            vec![hint, ("post_logout_redirect_uri", "https://evil.example/")],
            vec![hint, ("post_logout_redirect_uri", "https://app.example/done")],
            vec![hint, ("post_logout_redirect_uri", "https://app.example/done?from=app&x")],
            vec![hint, ("post_logout_redirect_uri", "//app.example/done?from=app")],
            vec![hint, ("post_logout_redirect_uri", "https://other.example/done")],
            // A redirect URI of the code flow is none of logout (§3.1).
            vec![hint, ("post_logout_redirect_uri", "http://localhost:4200/cb")],
            vec![hint, other],
            vec![hint, other, ("post_logout_redirect_uri", "https://other.example/done")],
            vec![other, ("post_logout_redirect_uri", DONE)],
            vec![("client_id", "nobody"), ("post_logout_redirect_uri", DONE)],
            vec![("id_token_hint", &forged), ("post_logout_redirect_uri", DONE)],
            vec![("id_token_hint", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9."), ("client_id", "web-app")],
            vec![hint, ("post_logout_redirect_uri", DONE), ("post_logout_redirect_uri", DONE)],
        ];
        for query in cases {
            let page = logout(&server, &browser, &query).await;
            assert_eq!(
                (page.status.as_u16(), page.error().as_deref()),
                (400, Some("invalid_request")),
                "{query:?} {page:?}"
            );
        }
        assert!(server.is_signed_in(&browser).await);
        let page =
            logout(&server, &browser, &[other, ("post_logout_redirect_uri", "https://other.example/done")]).await;
        assert_eq!(browser.submit(&page, &[]).await.location.as_deref(), Some("https://other.example/done"));
    }
);

both!(
    async fn an_access_token_is_no_hint(server: Server) {
        server.web_app(json!({"first_party": true, "auth": {"authorization_code": {"token_format": "jwt"}}})).await;
        server.alice().await;
        let browser = server.signed_in().await;
        let code = server.authorize(&browser, &request(&[])).await.returned().expect("code");
        let tokens = server.redeemed(&code).await;
        let page = logout(&server, &browser, &[("id_token_hint", tokens["access_token"].as_str().unwrap())]).await;
        assert_eq!(page.error().as_deref(), Some("invalid_request"));
        assert!(server.is_signed_in(&browser).await);
    }
);

both!(
    async fn a_stranger_cannot_post_the_confirmation(server: Server) {
        let (browser, _) = set_up(&server).await;
        let mine = logout(&server, &browser, &[]).await;
        let strangers = logout(&server, &server.signed_in().await, &[]).await.form().1["csrf"].clone();
        for csrf in ["", "x", "0.AAAA", &strangers] {
            let page = browser.send(browser.http.post(server.url("/oauth2/logout")).form(&[("csrf", csrf)])).await;
            assert!(page.status == 200 && page.has("#logout"), "asks again: {page:?}");
        }
        for header in
            [("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site"), ("origin", "https://evil.example")]
        {
            let page = browser.submit_with(&mine, &[header], &[]).await;
            assert!(page.status == 200 && page.has("#logout"), "{header:?} {page:?}");
        }
        assert!(server.is_signed_in(&browser).await);
        server.wait(3_601);
        let page = browser.submit(&mine, &[]).await;
        assert!(page.status == 200 && page.has("#logout"), "an old page asks again: {page:?}");
        browser.submit(&page, &[]).await;
        assert!(!server.is_signed_in(&browser).await);
    }
);

both!(
    async fn logout_ends_the_session_on_the_server_and_what_first_party_clients_share_with_it(server: Server) {
        server.web_app(json!({"first_party": true})).await;
        server.put("/Client/third", json!({"secret": "third-client-secret", "grant_types": ["code"], "auth": {"authorization_code": {"redirect_uri": "https://third.example/cb", "refresh_token": true}}})).await;
        server.alice().await;
        let browser = server.browser();
        let page = browser.get(&server.url("/login")).await;
        let cookie = browser.sign_in(&page, "alice", "correct-horse-battery").await.cookie("login").unwrap();
        let first = server.redeemed(&server.authorize(&browser, &request(&[])).await.returned().expect("code")).await;
        let page = server.authorize(&browser, &[("response_type", "code"), ("client_id", "third")]).await;
        let code = browser.consent(&page, "approve").await.returned().expect("code");
        let form = [("grant_type", "authorization_code"), ("code", code.as_str())];
        let (_, third) = server.post_form("/oauth2/token", Some(("third", "third-client-secret")), &form).await;
        let token = |tokens: &Value, name: &str| tokens[name].as_str().unwrap_or_else(|| panic!("{tokens}")).to_owned();
        assert!(
            server.is_active(&token(&first, "access_token")).await
                && server.is_active(&token(&third, "access_token")).await
        );

        let page = logout(&server, &browser, &[]).await;
        browser.submit(&page, &[]).await;
        // The cookie that a thief kept is worth nothing.
        let kept = server
            .http
            .get(server.url("/login"))
            .header("cookie", cookie.split(';').next().unwrap())
            .send()
            .await
            .unwrap();
        assert!(kept.text().await.unwrap().contains("id=\"password\""));
        assert!(!server.is_active(&token(&first, "access_token")).await);
        let (status, body) =
            server.token(&[("grant_type", "refresh_token"), ("refresh_token", &token(&first, "refresh_token"))]).await;
        assert_eq!((status.as_u16(), &body["error"]), (400, &json!("invalid_grant")));
        assert!(server.is_active(&token(&third, "access_token")).await, "another's session is its own");
    }
);

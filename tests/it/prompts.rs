//! What a request wants of the person (OpenID Connect Core §3.1.2.1): `prompt`, `max_age`, the hints, `acr_values`.

use serde_json::{Value, json};

use crate::support::{Browser, Database, Page, Server, both, jwt, merge, request, text};

const PASSWORD: &str = "correct-horse-battery";

async fn bob(server: &Server) {
    let document = json!({"userName": "bob", "email": "bob@example.com", "password": PASSWORD});
    server.put("/User/bob", document).await;
}

async fn redeemed(server: &Server, page: Page) -> Value {
    server.redeemed(&page.returned().expect("code")).await
}

fn claims(tokens: &Value) -> Value {
    jwt(text(tokens, "id_token")).1
}

fn is_selection(page: &Page) -> bool {
    page.has("#continue_as") && page.has("#another")
}

both!(
    async fn select_account_lets_the_person_go_on_or_sign_in_as_another(server: Server) {
        server.web_app(json!({"first_party": true})).await;
        server.alice().await;
        bob(&server).await;
        let query = request(&[("scope", "openid"), ("prompt", "select_account"), ("state", "s")]);
        assert!(server.authorize(&server.browser(), &query).await.is_login(), "nobody to select");
        let browser = server.signed_in().await;
        let before =
            claims(&redeemed(&server, server.authorize(&browser, &request(&[("scope", "openid")])).await).await);
        server.wait(5);
        let page = server.authorize(&browser, &query).await;
        assert!(is_selection(&page) && page.text("main").contains("Alice Liddell"), "{page:?}");
        let page = browser.submit(&page, &[("decision", "continue")]).await;
        let after = claims(&redeemed(&server, browser.follow(page).await).await);
        assert_eq!((&after["sub"], &after["auth_time"]), (&json!("alice"), &before["auth_time"]));

        let page = server.authorize(&browser, &query).await;
        let page = browser.submit(&page, &[("decision", "another")]).await;
        let page = browser.follow(page).await;
        let page = browser.sign_in(&page, "bob", PASSWORD).await;
        let page = browser.follow(page).await;
        assert_eq!(page.returned().get("state"), Some("s"));
        assert_eq!(claims(&redeemed(&server, page).await)["sub"], "bob");
        // The form is of this browser, this login and this request.
        let page = server.authorize(&browser, &query).await;
        let (action, hidden) = page.form();
        let changed = action.replace("state=s", "state=t");
        for (url, csrf) in [(changed.as_str(), hidden["csrf"].as_str()), (&action, "x"), (&action, "")] {
            let post = browser.http.post(server.url(url)).form(&[("decision", "continue"), ("csrf", csrf)]);
            assert!(browser.send(post).await.start_again().is_some(), "{url}");
        }
        let page = browser.get(&server.url("/select_account?client_id=web-app&response_type=code")).await;
        assert_eq!(page.location.as_deref(), Some("/oauth2/authorize?client_id=web-app&response_type=code"));
    }
);

both!(
    async fn several_prompts_are_fulfilled_one_after_the_other(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        let browser = server.signed_in().await;
        server.sign_in_and_consent(&browser, &request(&[])).await.expect("code");
        let page = server.authorize(&browser, &request(&[("prompt", "consent select_account")])).await;
        assert!(is_selection(&page), "{page:?}");
        let page = browser.submit(&page, &[("decision", "continue")]).await;
        let page = browser.follow(page).await;
        browser.consent(&page, "approve").await.returned().expect("code");
        let page = server.authorize(&browser, &request(&[("prompt", "select_account login consent")])).await;
        let page = browser.sign_in(&page, "alice", PASSWORD).await;
        let page = browser.follow(page).await;
        browser.consent(&page, "approve").await.returned().expect("code");
        for prompt in ["none consent", "select_account none", "none login", "create", "login create", "LOGIN"] {
            let page = server.authorize(&browser, &request(&[("prompt", prompt)])).await;
            assert_eq!(page.returned().get("error"), Some("invalid_request"), "{prompt}");
        }
    }
);

both!(
    async fn a_new_sign_in_has_a_new_auth_time_and_a_request_without_one_the_old(server: Server) {
        server.web_app(json!({"first_party": true, "require_auth_time": true})).await;
        server.alice().await;
        let browser = server.signed_in().await;
        let time = async |more: &[(&'static str, &'static str)]| {
            let query: Vec<_> = request(&[("scope", "openid")]).into_iter().chain(more.iter().copied()).collect();
            let mut page = server.authorize(&browser, &query).await;
            let asked = page.is_login();
            if asked {
                page = browser.sign_in(&page, "alice", PASSWORD).await;
                page = browser.follow(page).await;
            }
            (asked, claims(&redeemed(&server, page).await)["auth_time"].as_i64().unwrap())
        };
        let (_, first) = time(&[]).await;
        server.wait(2);
        assert_eq!(time(&[("prompt", "none")]).await, (false, first));
        assert_eq!(time(&[("max_age", "15000")]).await, (false, first));
        let (asked, second) = time(&[("prompt", "login")]).await;
        assert!(asked && second >= first + 2);
        server.wait(2);
        let (asked, third) = time(&[("max_age", "1")]).await;
        assert!(asked && third >= second + 2);
    }
);

// Core §3.1.2.1 `id_token_hint`, §3.1.2.2
both!(
    async fn an_id_token_hint_says_whom_the_request_is_about(server: Server) {
        server.web_app(json!({"first_party": true})).await;
        server.alice().await;
        bob(&server).await;
        let browser = server.signed_in().await;
        let with = |hint: &str, more: &[(&'static str, &'static str)]| {
            let mut query: Vec<(String, String)> =
                request(&[("scope", "openid profile")]).into_iter().map(|(a, b)| (a.into(), b.into())).collect();
            query.push(("id_token_hint".into(), hint.into()));
            query.extend(more.iter().map(|(name, value)| ((*name).into(), (*value).into())));
            query
        };
        let ask = async |browser: &Browser, query: Vec<(String, String)>| {
            let query: Vec<(&str, &str)> = query.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
            server.authorize(browser, &query).await
        };
        let named = ("claims", r#"{"id_token": {"preferred_username": null}}"#);
        let page = server.authorize(&browser, &request(&[("scope", "openid profile"), named])).await;
        let tokens = redeemed(&server, page).await;
        let hint = text(&tokens, "id_token");
        // Also an expired one.
        server.wait(4_000);
        for prompt in [&[("prompt", "none")][..], &[]] {
            let page = ask(&browser, with(hint, prompt)).await;
            assert_eq!(claims(&redeemed(&server, page).await)["sub"], "alice");
        }
        // Another user than the one signed in.
        let others = server.browser();
        let page = others.get(&server.url("/login")).await;
        others.sign_in(&page, "bob", PASSWORD).await;
        let page = ask(&others, with(hint, &[("prompt", "none")])).await;
        assert_eq!(page.returned().get("error"), Some("login_required"));
        let page = ask(&others, with(hint, &[])).await;
        assert_eq!(page.attribute("#username", "value").as_deref(), Some("Alice"), "the name that the hint says");
        let wrong = others.sign_in(&page, "bob", PASSWORD).await;
        assert_eq!(wrong.returned().get("error"), Some("login_required"), "signed in as the wrong one again");
        let page = ask(&others, with(hint, &[])).await;
        let page = others.sign_in(&page, "alice", PASSWORD).await;
        let page = others.follow(page).await;
        assert_eq!(claims(&redeemed(&server, page).await)["sub"], "alice");
        assert_eq!(
            ask(&server.browser(), with(hint, &[("prompt", "none")])).await.returned().get("error"),
            Some("login_required")
        );
        // Only what we issued as an ID token.
        let forged = format!("{}x", &hint[..hint.len() - 4]);
        for wrong in ["x", "e30.e30.e30", forged.as_str(), text(&tokens, "access_token")] {
            let page = ask(&browser, with(wrong, &[])).await;
            assert_eq!(page.returned().get("error"), Some("invalid_request"), "{wrong}");
        }
    }
);

both!(
    async fn a_login_hint_prefills_and_never_decides(server: Server) {
        server.web_app(json!({"first_party": true})).await;
        server.alice().await;
        let hinted = |name: &'static str, more: &[(&'static str, &'static str)]| {
            let query = request(&[("scope", "openid"), ("login_hint", name)]);
            query.into_iter().chain(more.iter().copied()).collect::<Vec<_>>()
        };
        let page = server.authorize(&server.browser(), &hinted("bob@example.com", &[])).await;
        assert_eq!(page.attribute("#username", "value").as_deref(), Some("bob@example.com"));
        let browser = server.signed_in().await;
        for name in ["alice", "ALICE@example.com", "Alice"] {
            for more in [&[][..], &[("prompt", "none")]] {
                server.authorize(&browser, &hinted(name, more)).await.returned().expect("code");
            }
        }
        let returned = server.authorize(&browser, &hinted("bob@example.com", &[("prompt", "none")])).await.returned();
        assert_eq!(returned.get("error"), Some("account_selection_required"));
        let page = server.authorize(&browser, &hinted("bob@example.com", &[])).await;
        assert!(is_selection(&page), "{page:?}");
        let another = browser.submit(&page, &[("decision", "another")]).await;
        let another = browser.follow(another).await;
        assert_eq!(another.attribute("#username", "value").as_deref(), Some("bob@example.com"));
        // Whoever then signs in, or goes on, is not asked again.
        let signed_in = browser.sign_in(&another, "alice", PASSWORD).await;
        browser.follow(signed_in).await.returned().expect("code");
        let page = server.authorize(&browser, &hinted("bob@example.com", &[])).await;
        let page = browser.submit(&page, &[("decision", "continue")]).await;
        browser.follow(page).await.returned().expect("code");
    }
);

both!(
    async fn how_a_page_should_look_is_accepted_and_changes_nothing(server: Server) {
        server.web_app(json!({"first_party": true})).await;
        server.alice().await;
        let browser = server.signed_in().await;
        for (name, value) in [
            ("display", "page"),
            ("display", "popup"),
            ("display", "touch"),
            ("display", "unknown"),
            ("ui_locales", "se fr-CA"),
            ("claims_locales", "se"),
            ("acr_values", "1 2"),
            ("extra", "foobar"),
            ("claims", ""),
            ("id_token_hint", ""),
        ] {
            server.authorize(&browser, &request(&[("scope", "openid"), (name, value)])).await.returned().expect("code");
        }
    }
);

// Core §2, §3.1.2.1, §5.5.1.1; OpenID Connect Registration §2
both!(
    async fn acr_is_told_where_it_is_asked_for(server: Server) {
        let acr = "urn:oasis:names:tc:SAML:2.0:ac:classes:Password";
        server.alice().await;
        let browser = server.signed_in().await;
        let essential = |values: &str| format!(r#"{{"id_token":{{"acr":{{"essential":true,"values":[{values}]}}}}}}"#);
        let (reached, unreached) = (essential(&format!("\"gold\",\"{acr}\"")), essential("\"gold\""));
        for (document, more, expected) in [
            (json!({}), &[][..], Ok(false)),
            (json!({}), &[("acr_values", "1 2")], Ok(true)),
            (json!({"default_acr_values": ["gold"]}), &[], Ok(true)),
            (json!({}), &[("claims", r#"{"id_token":{"acr":null}}"#)], Ok(true)),
            (json!({}), &[("claims", r#"{"id_token":{"acr":{"values":["gold"]}}}"#)], Ok(true)),
            (json!({}), &[("claims", reached.as_str())], Ok(true)),
            (json!({}), &[("claims", unreached.as_str())], Err("unmet_authentication_requirements")),
        ] {
            let mut web_app = json!({"first_party": true});
            merge(&mut web_app, &document);
            server.web_app(web_app).await;
            let query: Vec<_> = request(&[("scope", "openid")]).into_iter().chain(more.iter().copied()).collect();
            let page = server.authorize(&browser, &query).await;
            match expected {
                Err(error) => assert_eq!(page.returned().get("error"), Some(error), "{more:?}"),
                Ok(told) => {
                    let tokens = redeemed(&server, page).await;
                    assert_eq!(claims(&tokens).get("acr"), told.then_some(&json!(acr)), "{document} {more:?}");
                    let again = server.refreshed(text(&tokens, "refresh_token")).await;
                    assert_eq!(claims(&again).get("acr"), told.then_some(&json!(acr)), "{document} {more:?}");
                }
            }
        }
    }
);

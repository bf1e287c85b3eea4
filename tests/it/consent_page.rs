//! The consent page: what it shows, what is remembered of it as a `Grant`, and when it is asked again (RFC 6749 §4.1.2.1, §10.2;
//! RFC 8252 §8.6).

use serde_json::{Value, json};

use crate::support::{Browser, Database, Page, Server, both, request};

/// The authorization endpoint's answer for a browser in which somebody is signed in.
async fn asked(server: &Server, browser: &Browser, scope: &str) -> Page {
    server.authorize(browser, &request(&[("scope", scope), ("state", "s")])).await
}

/// The grants that are remembered.
async fn grants(server: &Server) -> Vec<Value> {
    let bundle: Value = server.admin("GET", "/Grant").send().await.unwrap().json().await.unwrap();
    let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
    entries.into_iter().map(|entry| entry["resource"].clone()).collect()
}

both!(
    async fn the_page_says_who_asks_for_what_and_where_it_goes(server: Server) {
        let document = json!({
            "name": "Ward <script>alert(1)</script>", "policy_uri": "https://app.example/privacy", "tos_uri": "https://app.example/terms",
            "logo_uri": "https://tracker.example/logo.png",
            "auth": {"authorization_code": {"redirect_uri": "https://app.example:8443/cb"}},
        });
        server.web_app(document).await;
        server.alice().await;
        let browser = server.signed_in().await;
        let page = asked(&server, &browser, "openid email offline_access patient/*.read <script>").await;
        assert!(page.status == 200 && page.has("button#approve") && page.has("button#deny"), "{page:?}");
        assert_eq!(page.text("h1"), "Allow Ward <script>alert(1)</script> to use your account?");
        let text = page.text("main");
        for shown in
            ["app.example:8443", "web-app", "Alice", "See your e-mail address", "Stay connected", "patient/*.read"]
        {
            assert!(text.contains(shown), "{shown}: {text}");
        }
        assert!(page.has("a[href='https://app.example/privacy']") && page.has("a[href='https://app.example/terms']"));
        assert!(!page.has("script") && !page.html.contains("tracker.example"));
        assert!(!text.contains("profile") && grants(&server).await.is_empty());
    }
);

both!(
    async fn an_applications_own_scheme_is_not_taken_for_a_host(server: Server) {
        let uris = ["myapp://accounts.bank.example/cb", "com.example.app:/cb", "http://[::1]:9000/cb"];
        server.web_app(json!({"auth": {"authorization_code": {"redirect_uri": null, "redirect_uris": uris}}})).await;
        server.alice().await;
        let browser = server.signed_in().await;
        for (uri, shown) in uris.into_iter().zip(["myapp:", "com.example.app:", "[::1]:9000"]) {
            let page = server.authorize(&browser, &request(&[("redirect_uri", uri)])).await;
            assert_eq!(page.text("dl.facts strong"), shown, "{uri}");
        }
    }
);

both!(
    async fn denying_tells_the_client_and_is_not_remembered(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        let browser = server.signed_in().await;
        for decision in ["deny", "", "Approve", "approve "] {
            let page = asked(&server, &browser, "profile").await;
            let page = browser.consent(&page, decision).await;
            let returned = page.returned();
            assert_eq!((page.status.as_u16(), returned.uri.as_str()), (303, "http://localhost:4200/cb"));
            assert_eq!(
                (returned.get("error"), returned.get("state")),
                (Some("access_denied"), Some("s")),
                "{decision}"
            );
            assert_eq!((returned.get("iss"), returned.get("code")), (Some(server.issuer()), None));
        }
        assert!(grants(&server).await.is_empty());
    }
);

both!(
    async fn allowing_is_remembered_per_user_client_and_scope(server: Server) {
        server.web_app(json!({})).await;
        server.put("/Client/other", json!({"secret": "other-client-secret", "grant_types": ["code"], "auth": {"authorization_code": {"redirect_uri": "https://other.example/cb"}}})).await;
        server.alice().await;
        server.put("/User/bob", json!({"userName": "bob", "password": "correct-horse-battery"})).await;
        let browser = server.signed_in().await;
        let page = asked(&server, &browser, "openid profile").await;
        let page = browser.consent(&page, "approve").await;
        assert_eq!(page.status, 303);
        page.returned().expect("code");
        let grant = &grants(&server).await[0];
        assert_eq!((&grant["user"]["id"], &grant["client"]["id"]), (&json!("alice"), &json!("web-app")), "{grant}");

        for scope in ["openid profile", "profile openid", "profile", ""] {
            asked(&server, &browser, scope).await.returned().expect("code");
        }
        let elsewhere = server.signed_in().await;
        asked(&server, &elsewhere, "profile").await.returned().expect("code");
        // A new scope is asked for, beside those allowed before; then all are remembered.
        let page = asked(&server, &browser, "profile email").await;
        assert!(page.is_consent(), "{page:?}");
        let lines: Vec<_> =
            page.text("ul.scopes").split("Already allowed").map(|part| part.contains("email")).collect();
        assert_eq!(lines, [false, true], "{page:?}");
        browser.consent(&page, "approve").await.returned().expect("code");
        asked(&server, &browser, "openid profile email").await.returned().expect("code");
        assert_eq!(grants(&server).await.len(), 1);

        let other = server
            .authorize(&browser, &[("response_type", "code"), ("client_id", "other"), ("scope", "profile")])
            .await;
        assert!(other.is_consent(), "another client: {other:?}");
        let bobs = server.browser();
        let page = asked(&server, &bobs, "profile").await;
        let page = bobs.sign_in(&page, "bob", "correct-horse-battery").await;
        assert!(bobs.follow(page).await.is_consent(), "another person");
    }
);

both!(
    async fn a_deleted_or_narrowed_grant_is_asked_again(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        let browser = server.signed_in().await;
        let page = asked(&server, &browser, "openid profile").await;
        browser.consent(&page, "approve").await.returned().expect("code");
        let id = grants(&server).await[0]["id"].as_str().unwrap().to_owned();
        let deleted = server.admin("DELETE", &format!("/Grant/{id}")).send().await.unwrap();
        assert_eq!(deleted.status(), 200);
        let page = asked(&server, &browser, "openid profile").await;
        assert!(page.is_consent() && !page.text("main").contains("Already allowed"), "{page:?}");
        browser.consent(&page, "approve").await.returned().expect("code");
        assert_eq!(grants(&server).await.len(), 1);
        // A Grant that an administrator writes counts as well, and no further than it says.
        let id = grants(&server).await[0]["id"].as_str().unwrap().to_owned();
        server.put(&format!("/Grant/{id}"), json!({
            "user": {"resourceType": "User", "id": "alice"}, "client": {"resourceType": "Client", "id": "web-app"},
            "requested-scope": ["openid", "profile"], "provided-scope": ["openid"],
        })).await;
        asked(&server, &browser, "openid").await.returned().expect("code");
        assert!(asked(&server, &browser, "openid profile").await.is_consent());
    }
);

both!(
    async fn first_party_clients_skip_the_page_unless_they_ask_for_it(server: Server) {
        server.web_app(json!({"first_party": true})).await;
        server.alice().await;
        let browser = server.signed_in().await;
        asked(&server, &browser, "openid profile email").await.returned().expect("code");
        let page = server.authorize(&browser, &request(&[("prompt", "consent")])).await;
        browser.consent(&page, "approve").await.returned().expect("code");
    }
);

both!(
    async fn a_public_client_that_cannot_prove_itself_is_asked_about_every_time(server: Server) {
        server.alice().await;
        let browser = server.signed_in().await;
        let challenge = [
            ("client_id", "spa"),
            ("response_type", "code"),
            ("scope", "profile"),
            ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
            ("code_challenge_method", "S256"),
        ];
        // RFC 8252 §8.6: a redirect URI that any application can claim proves nothing; https does. The issuer is http, as while
        // an application is written, and so http stands for https here.
        for (uri, skipped) in [
            ("myapp://cb", false),
            ("http://127.0.0.1:9000/cb", true),
            ("http://localhost:4200/cb", true),
            ("https://spa.example/cb", true),
        ] {
            for client in [
                json!({}),
                json!({"secret": "a-secret-in-a-browser", "auth": {"authorization_code": {"secret_required": false}}}),
            ] {
                let mut document = client.clone();
                document["auth"]["authorization_code"]["redirect_uri"] = json!(uri);
                server.spa(document).await;
                for grant in grants(&server).await {
                    server.admin("DELETE", &format!("/Grant/{}", grant["id"].as_str().unwrap())).send().await.unwrap();
                }
                let page = server.authorize(&browser, &challenge).await;
                browser.consent(&page, "approve").await.returned().expect("code");
                let page = server.authorize(&browser, &challenge).await;
                assert_eq!(page.is_consent(), !skipped, "{uri} {client}");
                let quiet: Vec<_> = challenge.into_iter().chain([("prompt", "none")]).collect();
                let returned = server.authorize(&browser, &quiet).await.returned();
                assert_eq!(returned.get("error"), (!skipped).then_some("consent_required"), "{uri} {client}");
            }
        }
    }
);

both!(
    async fn consent_is_given_to_the_very_request_that_was_shown(server: Server) {
        server.web_app(json!({"auth": {"authorization_code": {"redirect_uris": ["https://two.example/cb"]}}})).await;
        server.alice().await;
        let browser = server.signed_in().await;
        let page = asked(&server, &browser, "profile").await;
        let (action, hidden) = page.form();
        for (from, to) in [
            ("scope=profile", "scope=profile+email"),
            ("client_id=web-app", "client_id=web-app&redirect_uri=https://two.example/cb"),
            ("state=s", "state=t"),
        ] {
            let changed = action.replace(from, to);
            assert_ne!(changed, action);
            let post =
                browser.http.post(server.url(&changed)).form(&[("decision", "approve"), ("csrf", &hidden["csrf"])]);
            let page = browser.send(post).await;
            assert!(page.status == 400 && page.start_again().is_some() && page.error().is_none(), "{to} {page:?}");
        }
        assert!(grants(&server).await.is_empty());
        // And to nobody but whom it was shown to.
        let stranger = server.signed_in().await;
        let post = stranger.http.post(server.url(&action)).form(&[("decision", "approve"), ("csrf", &hidden["csrf"])]);
        assert!(stranger.send(post).await.start_again().is_some());
        assert!(grants(&server).await.is_empty());
        browser.consent(&page, "approve").await.returned().expect("code");
    }
);

both!(
    async fn the_page_of_a_login_that_ended_leads_to_the_login_page(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        let browser = server.signed_in().await;
        let page = asked(&server, &browser, "profile").await;
        server.put("/User/alice", json!({"userName": "Alice", "inactive": true})).await;
        let page = browser.consent(&page, "approve").await;
        assert_eq!(page.status, 303);
        assert!(browser.follow(page).await.is_login());
        assert!(grants(&server).await.is_empty());
        let page = server.browser().get(&server.url("/consent?response_type=code&client_id=web-app")).await;
        assert_eq!(page.location.as_deref(), Some("/oauth2/authorize?response_type=code&client_id=web-app"));
    }
);

both!(
    async fn administration_is_offered_only_to_administrators(server: Server) {
        server.web_app(json!({"scope": ["profile", "admin"]})).await;
        server.alice().await;
        let browser = server.signed_in().await;
        let page = asked(&server, &browser, "profile admin").await;
        assert!(!page.text("main").contains("Administer"), "{page:?}");
        let code = browser.consent(&page, "approve").await.returned().expect("code");
        let tokens = server.redeemed(&code).await;
        assert_eq!(tokens["scope"], "profile", "{tokens}");
        let patch = json!({"roles": [{"value": "admin"}]});
        assert_eq!(server.admin("PATCH", "/User/alice").json(&patch).send().await.unwrap().status(), 200);
        let page = asked(&server, &browser, "profile admin").await;
        assert!(page.is_consent() && page.text("main").contains("Administer this server"), "{page:?}");
    }
);

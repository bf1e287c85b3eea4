//! Claims that are asked for by name (OpenID Connect Core §5.5).

use serde_json::{Value, json};

use crate::support::{Browser, Database, Page, Server, both, jwt, merge, request, text};

const PASSWORD: &str = "correct-horse-battery";

async fn asked(server: &Server, browser: &Browser, scope: &str, claims: &Value) -> Page {
    server.authorize(browser, &request(&[("scope", scope), ("claims", &claims.to_string())])).await
}

async fn started(server: &Server, change: Value) -> Browser {
    let mut document = json!({"first_party": true});
    merge(&mut document, &change);
    server.web_app(document).await;
    server.alice().await;
    server.signed_in().await
}

both!(
    async fn a_claim_is_shown_where_it_is_asked_for_and_after_a_refresh_too(server: Server) {
        let browser = started(&server, json!({})).await;
        let claims = json!({
            "userinfo": {"given_name": {"essential": true}, "email": null, "http://example.info/claims/groups": null, "picture": null},
            "id_token": {"auth_time": {"essential": true}, "email_verified": null, "family_name": {"value": "Other"}},
            "unknown": {"x": 1},
        });
        let code = asked(&server, &browser, "openid", &claims).await.returned().expect("code");
        let mut tokens = server.redeemed(&code).await;
        for _ in 0..2 {
            let (_, id_token) = jwt(text(&tokens, "id_token"));
            assert_eq!((&id_token["email_verified"], &id_token["family_name"]), (&json!(false), &json!("Liddell")));
            assert!(id_token["auth_time"].is_number() && id_token.get("email").is_none(), "{id_token}");
            let (_, userinfo) = server.userinfo(text(&tokens, "access_token")).await;
            assert_eq!(userinfo, json!({"sub": "alice", "given_name": "Alice", "email": "alice@example.com"}));
            assert_eq!(tokens["scope"], "openid", "the token's scope is not widened");
            tokens = server.refreshed(text(&tokens, "refresh_token")).await;
        }
        // A request that asks for none gets none.
        let code = asked(&server, &browser, "openid", &json!({})).await.returned().expect("code");
        let tokens = server.redeemed(&code).await;
        assert_eq!(server.userinfo(text(&tokens, "access_token")).await.1, json!({"sub": "alice"}));
    }
);

both!(
    async fn what_is_no_claims_request_is_refused(server: Server) {
        let browser = started(&server, json!({})).await;
        let long = format!(
            r#"{{"userinfo":{{{}}}}}"#,
            (0..101).map(|n| format!("\"c{n}\":null")).collect::<Vec<_>>().join(",")
        );
        let deep = format!("{{\"userinfo\":{{\"name\":{{\"value\":{}1{}}}}}}}", "[".repeat(200), "]".repeat(200));
        for text in [
            "x",
            "[]",
            "\"name\"",
            r#"{"userinfo":["name"]}"#,
            r#"{"id_token":{"sub":"alice"}}"#,
            r#"{"userinfo":{"a":null,"a":null}}"#,
            &long,
            &deep,
        ] {
            let page = server.authorize(&browser, &request(&[("scope", "openid"), ("claims", text)])).await;
            assert_eq!(page.returned().get("error"), Some("invalid_request"), "{text}");
        }
    }
);

// §5.5.1, §3.1.2.1
both!(
    async fn a_named_subject_gets_no_answer_about_another(server: Server) {
        let browser = started(&server, json!({})).await;
        server.put("/User/bob", json!({"userName": "bob", "password": PASSWORD})).await;
        let sub = |sub: &str| json!({"id_token": {"sub": {"value": sub}}}).to_string();
        for (sub, quiet, error) in [(sub("alice"), true, None), (sub("bob"), true, Some("login_required"))] {
            let query = request(&[("scope", "openid"), ("claims", &sub), ("prompt", if quiet { "none" } else { "" })]);
            assert_eq!(server.authorize(&browser, &query).await.returned().get("error"), error, "{sub}");
        }
        let bob = sub("bob");
        let query = request(&[("scope", "openid"), ("claims", &bob)]);
        let page = server.authorize(&browser, &query).await;
        let wrong = browser.sign_in(&page, "alice", PASSWORD).await;
        assert_eq!(wrong.returned().get("error"), Some("login_required"));
        let page = server.authorize(&browser, &query).await;
        let page = browser.sign_in(&page, "bob", PASSWORD).await;
        let code = browser.follow(page).await.returned().expect("code");
        assert_eq!(jwt(text(&server.redeemed(&code).await, "id_token")).1["sub"], "bob");
    }
);

// §5.5: consent covers the claims, however they are asked for.
both!(
    async fn the_person_is_asked_about_what_the_claims_show(server: Server) {
        let browser = started(&server, json!({"first_party": false})).await;
        let claims = json!({"userinfo": {"email": null}});
        let page = asked(&server, &browser, "openid", &json!({})).await;
        assert!(!page.text("main").contains("e-mail address"), "{page:?}");
        browser.consent(&page, "approve").await.returned().expect("code");
        asked(&server, &browser, "openid", &json!({})).await.returned().expect("code");
        let page = asked(&server, &browser, "openid", &claims).await;
        assert!(page.is_consent() && page.text("main").contains("See your e-mail address"), "{page:?}");
        let code = browser.consent(&page, "approve").await.returned().expect("code");
        let tokens = server.redeemed(&code).await;
        assert_eq!(server.userinfo(text(&tokens, "access_token")).await.1["email"], "alice@example.com");
        asked(&server, &browser, "openid", &claims).await.returned().expect("code");
    }
);

both!(
    async fn a_client_gets_no_claim_of_a_scope_that_it_may_not_ask_for(server: Server) {
        let browser = started(&server, json!({"scope": ["openid", "email"]})).await;
        let claims = json!({"userinfo": {"email": null, "name": {"essential": true}, "groups": null}});
        let code = asked(&server, &browser, "openid", &claims).await.returned().expect("code");
        let tokens = server.redeemed(&code).await;
        let (_, userinfo) = server.userinfo(text(&tokens, "access_token")).await;
        assert_eq!(userinfo, json!({"sub": "alice", "email": "alice@example.com"}));
    }
);

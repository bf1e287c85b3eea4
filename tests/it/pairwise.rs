//! Pairwise subjects: OpenID Connect Core §8.

use countersign::config::DatabaseUrl;
use serde_json::{Value, json};

use crate::support::{Browser, Database, Server, both, issues, jwt, send, text};

async fn client(server: &Server, id: &str, host: &str, more: Value) {
    let mut document = json!({
        "secret": "client-secret", "grant_types": ["code"], "subject_type": "pairwise",
        "auth": {"authorization_code": {"redirect_uri": format!("https://{host}/{id}"), "refresh_token": true}},
        "post_logout_redirect_uris": [format!("https://{host}/bye")],
    });
    crate::support::merge(&mut document, &more);
    server.put(&format!("/Client/{id}"), document).await;
}

async fn tokens(server: &Server, id: &str) -> Value {
    tokens_in(server, &server.browser(), id).await
}

async fn tokens_in(server: &Server, browser: &Browser, id: &str) -> Value {
    let query = [("response_type", "code"), ("client_id", id), ("scope", "openid profile")];
    let code = server.sign_in_and_consent(browser, &query).await.expect("code");
    let redirect = server.admin("GET", &format!("/Client/{id}")).send().await.unwrap().json::<Value>().await.unwrap();
    let redirect = redirect["auth"]["authorization_code"]["redirect_uri"].as_str().unwrap().to_owned();
    let form = [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", &redirect)];
    let (status, tokens) = server.post_form("/oauth2/token", Some((id, "client-secret")), &form).await;
    assert_eq!(status, 200, "{tokens}");
    tokens
}

fn sub(tokens: &Value) -> String {
    text(&jwt(text(tokens, "id_token")).1, "sub").to_owned()
}

both!(
    async fn a_person_is_another_one_to_each_sector_and_the_same_everywhere_in_it(server: Server) {
        server.alice().await;
        client(&server, "a1", "a.example", json!({})).await;
        client(&server, "a2", "a.example", json!({"auth": {"authorization_code": {"token_format": "jwt"}}})).await;
        client(&server, "b", "b.example", json!({"sector_identifier_uri": "https://a.example/sector.json"})).await;
        client(&server, "c", "c.example", json!({})).await;
        client(&server, "plain", "p.example", json!({"subject_type": "public"})).await;
        let (a1, a2, b, c, plain) = (
            tokens(&server, "a1").await,
            tokens(&server, "a2").await,
            tokens(&server, "b").await,
            tokens(&server, "c").await,
            tokens(&server, "plain").await,
        );
        let subject = sub(&a1);
        assert_eq!(
            (sub(&a2), sub(&b), sub(&tokens(&server, "a1").await)),
            (subject.clone(), subject.clone(), subject.clone())
        );
        assert!(subject != sub(&c) && subject != "alice" && !subject.contains("alice") && subject.len() <= 255);
        assert_eq!(sub(&plain), "alice");
        // Wherever it is shown.
        assert_eq!(server.userinfo(text(&a1, "access_token")).await.1["sub"], subject);
        assert_eq!(jwt(text(&a2, "access_token")).1["sub"], subject);
        let seen = server.introspect(text(&a1, "access_token")).await;
        assert_eq!((&seen["sub"], seen.get("username")), (&json!(subject), None));
        assert_eq!(server.introspect(text(&a1, "refresh_token")).await["sub"], subject);
        let form = [("grant_type", "refresh_token"), ("refresh_token", text(&a1, "refresh_token"))];
        let again = server.post_form("/oauth2/token", Some(("a1", "client-secret")), &form).await.1;
        assert_eq!(sub(&again), subject);
        // And on another node, which shares the master key.
        if matches!(server.settings.database_url, DatabaseUrl::Postgres(_)) {
            let node = server.another_node().await;
            assert_eq!(node.userinfo(text(&again, "access_token")).await.1["sub"], subject);
        }
    }
);

both!(
    async fn a_hint_with_a_pairwise_subject_is_its_person(server: Server) {
        server.alice().await;
        client(&server, "a1", "a.example", json!({})).await;
        let browser = server.browser();
        let hint = tokens_in(&server, &browser, "a1").await;
        let silent = [("response_type", "code"), ("client_id", "a1"), ("scope", "openid profile"), ("prompt", "none")];
        let silent: Vec<_> = silent.into_iter().chain([("id_token_hint", text(&hint, "id_token"))]).collect();
        let page = server.authorize(&browser, &silent).await;
        assert!(page.location.as_deref().is_some_and(|at| at.starts_with("https://a.example/a1?code=")), "{page:?}");
        let query = format!(
            "/oauth2/logout?id_token_hint={}&post_logout_redirect_uri=https://a.example/bye",
            text(&hint, "id_token")
        );
        let page = browser.get(&server.url(&query)).await;
        assert_eq!(page.location.as_deref(), Some("https://a.example/bye"), "nothing to confirm: {page:?}");
    }
);

// Back-Channel Logout §2.1, Front-Channel Logout §2
both!(
    async fn clients_of_two_sectors_cannot_tell_by_the_sid_that_it_is_the_same_session(server: Server) {
        server.alice().await;
        let front = |id: &str, host: &str| json!({"frontchannel_logout_uri": format!("https://{host}/{id}/out")});
        for (id, host) in [("a1", "a.example"), ("a2", "a.example"), ("c", "c.example")] {
            client(&server, id, host, front(id, host)).await;
        }
        client(&server, "plain", "p.example", json!({"subject_type": "public"})).await;
        let sid = |tokens: &Value| text(&jwt(text(tokens, "id_token")).1, "sid").to_owned();
        let browser = server.browser();
        let (a1, a2) = (tokens_in(&server, &browser, "a1").await, tokens_in(&server, &browser, "a2").await);
        let (c, plain) = (tokens_in(&server, &browser, "c").await, tokens_in(&server, &browser, "plain").await);
        assert_eq!(sid(&a1), sid(&a2), "one sector, one session");
        assert!(sid(&a1) != sid(&c) && sid(&a1) != sid(&plain) && sid(&c) != sid(&plain));
        assert_ne!(sid(&tokens(&server, "a1").await), sid(&a1), "another session");
        let form = [("grant_type", "refresh_token"), ("refresh_token", text(&a1, "refresh_token"))];
        let again = server.post_form("/oauth2/token", Some(("a1", "client-secret")), &form).await.1;
        assert_eq!(sid(&again), sid(&a1));
        // A hint is about its session, also in a browser that does not show the cookie; each frame gets the sid of its client.
        let elsewhere = server.signed_in().await;
        let query = format!("/oauth2/logout?id_token_hint={}", text(&c, "id_token"));
        let page = elsewhere.get(&server.url(&query)).await;
        assert_ne!(page.text("h1"), "Signed out", "the hint is about another session: {page:?}");
        let page = browser.get(&server.url(&query)).await;
        assert_eq!(page.text("h1"), "Signed out");
        for (id, host, tokens) in [("a1", "a.example", &a1), ("a2", "a.example", &a2), ("c", "c.example", &c)] {
            let frame = format!("https://{host}/{id}/out?iss=");
            let rest = page.html.split(&frame).nth(1).unwrap_or_else(|| panic!("no frame of {id}: {}", page.html));
            let rest = &rest[..rest.find('"').unwrap()];
            assert!(rest.ends_with(&format!("sid={}", sid(tokens))), "{id}: {rest}");
        }
    }
);

both!(
    async fn several_hosts_need_a_sector(server: Server) {
        let document = json!({"grant_types": ["code"], "subject_type": "pairwise", "auth": {"authorization_code": {"redirect_uris": ["https://a.example/", "https://b.example/"]}}});
        let (status, outcome) = send(&server, "PUT", "/Client/x", document).await;
        assert_eq!((status, issues(&outcome)[0].0.as_str()), (422, "Client.sector_identifier_uri"));
        // Whatever flow they are of, and in the shape of 2018.
        for change in [
            json!({"auth": {"authorization_code": {"redirect_uri": "https://a.example/"}, "implicit": {"redirect_uri": "https://b.example/"}}}),
            json!({"redirect_uri": "https://a.example/,https://b.example/"}),
        ] {
            let mut document = json!({"grant_types": ["code", "implicit"], "subject_type": "pairwise"});
            crate::support::merge(&mut document, &change);
            let (status, outcome) = send(&server, "PUT", "/Client/x", document).await;
            assert_eq!(status, 422, "{outcome}");
            assert!(issues(&outcome).iter().any(|(path, _)| path == "Client.sector_identifier_uri"), "{outcome}");
        }
    }
);

#[tokio::test]
async fn discovery_tells_both_types() {
    let server = Server::start(Database::Sqlite).await;
    let discovery = server.metadata().await;
    assert_eq!(discovery["subject_types_supported"], json!(["public", "pairwise"]));
}

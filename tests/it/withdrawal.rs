//! Taking back what was given: a consent, an account, an application. What was issued under it ends, and does not come back.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{Database, Server, both, read, request};

async fn refresh(server: &Server, tokens: &Value) -> (StatusCode, Value) {
    let token = tokens["refresh_token"].as_str().unwrap();
    server.token(&[("grant_type", "refresh_token"), ("refresh_token", token)]).await
}

async fn ended(server: &Server, tokens: &Value) {
    assert!(!server.is_active(tokens["access_token"].as_str().unwrap()).await, "the access token lives on");
    let (status, body) = refresh(server, tokens).await;
    assert_eq!((status.as_u16(), &body["error"]), (400, &json!("invalid_grant")), "{body}");
}

/// The Grant that consenting made.
async fn grant(server: &Server) -> String {
    let found: Value =
        server.admin("GET", "/Grant?user=alice&client=web-app").send().await.unwrap().json().await.unwrap();
    assert_eq!(found["total"], 1);
    found["entry"][0]["resource"]["id"].as_str().unwrap().to_owned()
}

both!(
    async fn a_deleted_consent_ends_tokens_and_codes(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        let tokens = server.tokens("openid email").await;
        let code = server.code("openid email").await;
        let path = format!("/Grant/{}", grant(&server).await);
        assert_eq!(server.admin("DELETE", &path).send().await.unwrap().status(), 200);
        ended(&server, &tokens).await;
        let (status, body) = server.token(&[("grant_type", "authorization_code"), ("code", &code)]).await;
        assert_eq!((status.as_u16(), &body["error"]), (400, &json!("invalid_grant")));
    }
);

both!(
    async fn a_narrowed_consent_ends_tokens_and_a_widened_one_does_not(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        let tokens = server.tokens("openid email").await;
        let path = format!("/Grant/{}", grant(&server).await);
        let provide = async |scope: Value| {
            let answer = server.admin("PATCH", &path).json(&json!({ "provided-scope": scope })).send().await.unwrap();
            assert_eq!(answer.status(), 200);
        };
        provide(json!(["openid", "email", "profile"])).await;
        assert!(server.is_active(tokens["access_token"].as_str().unwrap()).await);
        provide(json!(["openid"])).await;
        ended(&server, &tokens).await;
    }
);

both!(
    async fn one_consent_does_not_end_what_another_gave(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        let tokens = server.tokens("openid email").await;
        let other = json!({
            "user": {"resourceType": "User", "id": "alice"}, "client": {"resourceType": "Client", "id": "other"},
            "provided-scope": ["openid"],
        });
        server.put("/Grant/other", other).await;
        assert_eq!(server.admin("DELETE", "/Grant/other").send().await.unwrap().status(), 200);
        assert!(server.is_active(tokens["access_token"].as_str().unwrap()).await);
    }
);

both!(
    async fn switching_a_user_or_a_client_off_and_on_again_revives_nothing(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        for (path, off, on) in [
            ("/User/alice", json!({"inactive": true}), json!({"inactive": false})),
            ("/Client/web-app", json!({"active": false}), json!({"active": true})),
        ] {
            let tokens = server.tokens("openid email").await;
            for change in [off, on] {
                assert_eq!(server.admin("PATCH", path).json(&change).send().await.unwrap().status(), 200);
            }
            ended(&server, &tokens).await;
        }
    }
);

both!(
    async fn what_is_withdrawn_while_more_is_consented_to_does_not_come_back(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        let browser = server.browser();
        server.sign_in_and_consent(&browser, &request(&[("scope", "openid email")])).await;
        let path = format!("/Grant/{}", grant(&server).await);
        let page = server.authorize(&browser, &request(&[("scope", "openid phone")])).await;
        let store = &server.instance.store;
        let mut row = store.document("Grant", &path[7..]).await.unwrap().unwrap();
        let mut withdrawal = store.begin().await.unwrap();
        let base = row.version;
        (row.version, row.deleted_at) = (base + 1, Some(row.updated_at));
        assert!(withdrawal.write_document(&row, base).await.unwrap());
        let mut consent = std::pin::pin!(browser.consent(&page, "approve"));
        let early = tokio::time::timeout(Duration::from_millis(300), &mut consent).await;
        assert!(early.is_err(), "it does not wait for the withdrawal: {early:?}");
        withdrawal.commit().await.unwrap();
        assert!(consent.await.returned().get("code").is_some());
        let (_, after) = read(server.admin("GET", &path).send().await.unwrap()).await;
        assert_eq!(after["provided-scope"], json!(["openid", "phone"]), "{after}");
    }
);

#[tokio::test]
async fn a_row_that_somebody_holds_stops_its_own_request_and_no_other_and_is_as_it_was() {
    let server = Server::start(Database::Postgres).await;
    server.web_app(json!({})).await;
    server.alice().await;
    let (held, other) = (server.tokens("openid").await, server.client_tokens(&[]).await);
    let mut holder = server.instance.store.begin().await.unwrap();
    holder.end_what_was_consented("alice", "web-app", server.instance.clock.now()).await.unwrap();
    let (waiting, seen) = tokio::join!(refresh(&server, &held), async {
        server.is_active(other["access_token"].as_str().unwrap()).await
    });
    assert_eq!((waiting.0.as_u16(), seen), (503, true), "{waiting:?}");
    drop(holder);
    // What was given up took no effect later: this is the first use, and not a reuse that ends the family.
    let (status, body) = refresh(&server, &held).await;
    assert_eq!(status, 200, "{body}");
    server.wait(60);
    assert_eq!(refresh(&server, &body).await.0, 200);
}

//! The state of a realm in a test's hands: its clock, going back to its beginning, and snapshots.

use serde_json::{Value, json};

use crate::support::{Database, Server, both};

/// A refresh token of the demo's `web-app`, of Alice.
async fn password_tokens(server: &Server) -> Value {
    let form =
        [("grant_type", "password"), ("username", "alice"), ("password", "correct-horse-battery"), ("scope", "openid")];
    let (status, tokens) = server.token(&form).await;
    assert_eq!(status, 200, "{tokens}");
    tokens
}

macro_rules! both_dev {
    ($(async fn $name:ident($server:ident: Server) $body:block)*) => {$(
        mod $name {
            use super::*;

            async fn check($server: Server) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                check(Server::dev(Database::Sqlite).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                check(Server::dev(Database::Postgres).await).await;
            }
        }
    )*};
}

both_dev! {
    async fn the_clock_is_set_frozen_advanced_and_let_go(server: Server) {
        let turn = async |body: Value| server.control("POST", "/dev/clock", body).await;
        let (status, shown) = turn(json!({"set": "2030-01-01T00:00:00Z", "freeze": true})).await;
        assert_eq!((status, &shown["now"], &shown["frozen"]), (200, &json!(1_893_456_000), &json!(true)), "{shown}");
        let (_, shown) = turn(json!({"advance": "1h 30m"})).await;
        assert_eq!(shown["time"], "2030-01-01T01:30:00Z");
        let (_, shown) = turn(json!({"advance": "-2 days"})).await;
        assert_eq!(shown["time"], "2029-12-30T01:30:00Z");
        let tokens = password_tokens(&server).await;
        let told = server.introspect(tokens["access_token"].as_str().unwrap()).await;
        assert_eq!(told["iat"], shown["now"], "{told}");
        let (_, shown) = turn(json!({"unfreeze": true})).await;
        assert_eq!(shown["frozen"], false);
        let (_, shown) = turn(json!({"reset": true})).await;
        assert!(shown["ahead"].as_i64().unwrap().abs() <= 1, "{shown}");
        // A form does as well, as `curl -d advance=60` sends it.
        let response = server.http.post(server.url("/dev/clock")).form(&[("advance", "60"), ("freeze", "true")]).send().await.unwrap();
        let shown: Value = response.json().await.unwrap();
        assert!((59..=61).contains(&shown["ahead"].as_i64().unwrap()) && shown["frozen"] == true, "{shown}");
    }

    async fn an_hour_ends_tokens_and_what_has_expired_goes(server: Server) {
        let tokens = password_tokens(&server).await;
        let access = tokens["access_token"].as_str().unwrap();
        assert!(server.is_active(access).await);
        server.control("POST", "/dev/clock", json!({"advance": 3_601})).await;
        assert!(!server.is_active(access).await);
        server.control("POST", "/dev/clock", json!({"advance": "200 days"})).await;
        assert_eq!(server.instance.sweep().await.unwrap(), 0, "what has expired is gone already");
    }

    async fn a_reset_goes_back_to_the_beginning(server: Server) {
        let keys = server.http.get(server.url("/.well-known/jwks.json")).send().await.unwrap().text().await.unwrap();
        server.put("/Client/another", json!({"secret": "s", "grant_types": ["client_credentials"]})).await;
        server.put("/User/alice", json!({"userName": "alice", "password": "other-password-of-hers"})).await;
        let (status, _) = server.post_form("/oauth2/token", Some(("another", "s")), &[("grant_type", "client_credentials")]).await;
        assert_eq!(status, 200);
        server.control("POST", "/dev/clock", json!({"advance": 86_400, "freeze": true})).await;
        let tokens = server.token(&[("grant_type", "client_credentials")]).await.1;

        let (status, answer) = server.control("POST", "/dev/reset", Value::Null).await;
        assert_eq!(status, 204, "{answer}");
        let (status, _) = server.post_form("/oauth2/token", Some(("another", "s")), &[("grant_type", "client_credentials")]).await;
        assert_eq!(status, 401, "the client is gone, at once");
        assert!(!server.is_active(tokens["access_token"].as_str().unwrap()).await);
        password_tokens(&server).await;
        let (_, clock) = server.control("GET", "/dev/clock", Value::Null).await;
        assert!(clock["frozen"] == false && clock["ahead"].as_i64().unwrap().abs() <= 1, "{clock}");
        let after = server.http.get(server.url("/.well-known/jwks.json")).send().await.unwrap().text().await.unwrap();
        assert_eq!(keys, after, "whoever keeps the key set still trusts what is signed");
        // The same again: a reset is not used up.
        server.put("/Client/another", json!({"secret": "t", "grant_types": ["client_credentials"]})).await;
        assert_eq!(server.control("POST", "/dev/reset", Value::Null).await.0, 204);
        let (status, _) = server.post_form("/oauth2/token", Some(("another", "t")), &[("grant_type", "client_credentials")]).await;
        assert_eq!(status, 401);
    }

    async fn a_snapshot_brings_back_where_a_test_was(server: Server) {
        server.control("POST", "/dev/clock", json!({"set": 2_000_000_000, "freeze": true})).await;
        let tokens = password_tokens(&server).await;
        let (access, refresh) = (tokens["access_token"].as_str().unwrap(), tokens["refresh_token"].as_str().unwrap());
        let (status, kept) = server.control("POST", "/dev/snapshots/signed%20in", Value::Null).await;
        assert_eq!((status, &kept["name"]), (201, &json!("signed in")), "{kept}");
        let spend = async || server.token(&[("grant_type", "refresh_token"), ("refresh_token", refresh)]).await.0;
        assert_eq!(spend().await, 200);
        server.control("POST", "/dev/clock", json!({"advance": 60})).await;
        assert_eq!(spend().await, 400, "it is spent");
        assert!(!server.is_active(access).await, "and its family has ended");

        let (status, _) = server.control("POST", "/dev/snapshots/signed%20in/restore", Value::Null).await;
        assert_eq!(status, 204);
        assert!(server.is_active(access).await);
        assert_eq!(server.control("GET", "/dev/clock", Value::Null).await.1["now"], 2_000_000_000);
        assert_eq!(spend().await, 200);

        let (_, all) = server.control("GET", "/dev/snapshots", Value::Null).await;
        assert!(all.as_array().unwrap().len() == 1 && all[0]["bytes"].as_u64().unwrap() > 0, "{all}");
        let (status, none) = server.control("POST", "/dev/snapshots/other/restore", Value::Null).await;
        assert!(status == 404 && none["error_description"].as_str().unwrap().contains("signed in"), "{none}");
        assert_eq!(server.control("DELETE", "/dev/snapshots/signed%20in", Value::Null).await.0, 204);
        assert_eq!(server.control("DELETE", "/dev/snapshots/signed%20in", Value::Null).await.0, 404);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_put_back_too() {
    let mut server = Server::on_a_file().await;
    let dev = server
        .another_with(|settings| (settings.mode, settings.dev_api) = (countersign::config::Mode::Dev, true))
        .await;
    std::mem::swap(&mut server.instance, &mut { dev }.instance);
    server.put("/Client/another", json!({"secret": "s", "grant_types": ["client_credentials"]})).await;
    assert_eq!(server.control("POST", "/dev/snapshots/a", Value::Null).await.0, 201);
    assert_eq!(server.admin("DELETE", "/Client/another").send().await.unwrap().status(), 200);
    assert_eq!(server.control("POST", "/dev/snapshots/a/restore", Value::Null).await.0, 204);
    assert_eq!(server.admin("GET", "/Client/another").send().await.unwrap().status(), 200);
}

both!(
    async fn the_control_api_is_not_there_by_accident(server: Server) {
        assert!(!server.settings.dev_api);
        assert_ne!(server.control("POST", "/dev/reset", Value::Null).await.0, 204);
    }
);

//! What was asked and answered.

use std::time::Duration;

use countersign::clock::monotonic_millis;

use serde_json::{Value, json};

use crate::support::{Database, Server};

const BOTH: [Database; 2] = [Database::Sqlite, Database::Postgres];
const GRANT: [(&str, &str); 1] = [("grant_type", "client_credentials")];

async fn journal(server: &Server, query: &str) -> (u16, Value) {
    server.control("GET", &format!("/dev/journal{query}"), Value::Null).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exchanges_are_found_by_what_they_were() {
    for database in BOTH {
        let server = Server::dev(database).await;
        let (_, tokens) = server.token(&GRANT).await;
        let body = [("grant_type", "client_credentials"), ("client_id", "web-app"), ("client_secret", "wr0ng-secret")];
        assert_eq!(server.post_form("/oauth2/token", None, &body).await.0, 401);
        server.introspect(tokens["access_token"].as_str().unwrap()).await;
        server.http.get(server.url("/")).send().await.unwrap();

        let (status, all) = journal(&server, "").await;
        assert_eq!((status, all.as_array().unwrap().len()), (200, 3), "pages are not the protocol: {all}");
        let first = &all[0];
        assert_eq!(
            (&first["client_id"], &first["outcome"], &first["status"]),
            (&json!("web-app"), &json!("ok"), &json!(200))
        );
        assert_eq!(first["answer"]["access_token"], tokens["access_token"]);
        assert_eq!(first["parameters"]["grant_type"], "client_credentials");
        assert!(
            first["curl"]
                .as_str()
                .unwrap()
                .contains("-u 'web-app:SECRET' --data-urlencode 'grant_type=client_credentials'")
        );
        assert!(first["request_id"].is_string());

        let (_, refused) = journal(&server, "?outcome=invalid_client").await;
        assert_eq!(refused.as_array().unwrap().len(), 1, "{refused}");
        assert!(!refused[0]["why"]["explanation"]["fix"].as_str().unwrap().is_empty(), "{refused}");
        assert!(!all.to_string().contains("wr0ng-secret") && !all.to_string().contains("client-secret"), "{all}");
        let (_, some) =
            journal(&server, "?endpoint=token&client_id=web-app&param.grant_type=client_credentials&status=200").await;
        assert_eq!(some.as_array().unwrap().len(), 1);
        let (_, since) = journal(&server, &format!("?since={}&limit=1", first["id"])).await;
        assert_eq!((since.as_array().unwrap().len(), &since[0]["endpoint"]), (1, &json!("introspect")));

        assert_eq!(journal(&server, "?endpoint=token&count=2").await.0, 200);
        let (status, conflict) = journal(&server, "?endpoint=token&count=3").await;
        assert!(status == 409 && conflict["error_description"].as_str().unwrap().contains("2 exchanges"), "{conflict}");
        assert_eq!(server.control("DELETE", "/dev/journal", Value::Null).await.0, 204);
        assert_eq!(journal(&server, "").await.1, json!([]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_is_told_at_once() {
    let server = Server::dev(Database::Sqlite).await;
    let started = monotonic_millis();
    let (waited, _) = tokio::join!(journal(&server, "?endpoint=token&wait=20s"), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        server.token(&GRANT).await
    });
    assert_eq!(waited.1.as_array().unwrap().len(), 1);
    assert!(monotonic_millis() - started < 10_000);
    let (status, none) = journal(&server, "?endpoint=revoke&wait=1").await;
    assert_eq!((status, none), (200, json!([])));
}

#[tokio::test]
async fn what_the_journal_does_not_know_is_named() {
    let server = Server::dev(Database::Sqlite).await;
    for (query, named) in
        [("?clientid=x", "client_id"), ("?endpoint=x", "token"), ("?wait=1h", "25s"), ("?count=x", "number")]
    {
        let (status, answer) = journal(&server, query).await;
        assert!(status == 400 && answer["error_description"].as_str().unwrap().contains(named), "{query}: {answer}");
    }
}

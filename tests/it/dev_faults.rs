//! Answers that go wrong on purpose.

use std::time::Duration;

use countersign::clock::monotonic_millis;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Database, Server, text};

const BOTH: [Database; 2] = [Database::Sqlite, Database::Postgres];
const GRANT: [(&str, &str); 1] = [("grant_type", "client_credentials")];

async fn fault(server: &Server, rule: Value) -> Value {
    let (status, answer) = server.control("POST", "/dev/faults", rule.clone()).await;
    assert_eq!(status, 201, "{rule}: {answer}");
    answer
}

/// All bytes that come back for a token request on a connection of its own.
async fn raw(server: &Server) -> Vec<u8> {
    let port = server.instance.address.port();
    let mut stream = TcpStream::connect(server.instance.address).await.unwrap();
    let body = "grant_type=client_credentials&client_id=web-app&client_secret=client-secret";
    let request = format!(
        "POST /oauth2/token HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut bytes)).await.unwrap();
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_with_an_error_so_often_and_for_whom() {
    for database in BOTH {
        let server = Server::dev(database).await;
        let rule = json!({"endpoint": "token", "client_id": "web-app", "nth": 2, "times": 1, "status": 503,
            "error": "temporarily_unavailable", "retry_after": 7});
        let made = fault(&server, rule).await;
        assert_eq!(server.token(&GRANT).await.0, 200, "the first goes through");
        let response =
            server.http.post(server.url("/auth/token")).basic_auth("web-app", Some("client-secret")).form(&GRANT);
        let response = response.send().await.unwrap();
        assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (503, &"7".parse().unwrap()));
        let headers = response.headers();
        assert_eq!((&headers["cache-control"], headers["x-request-id"].len()), (&"no-store".parse().unwrap(), 32));
        assert_eq!(response.json::<Value>().await.unwrap()["error"], "temporarily_unavailable");
        assert_eq!(server.token(&GRANT).await.0, 200, "once is once");
        let (_, all) = server.control("GET", "/dev/faults", Value::Null).await;
        assert_eq!((&all[0]["hits"], &all[0]["id"]), (&json!(1), &made["id"]), "{all}");
        let path = format!("/dev/faults/{}", made["id"]);
        assert_eq!(server.control("DELETE", &path, Value::Null).await.0, 204);
        assert_eq!(server.control("DELETE", &path, Value::Null).await.0, 404);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_ends_before_or_after_the_work() {
    for database in BOTH {
        let server = Server::dev(database).await;
        assert!(raw(&server).await.starts_with(b"HTTP/1.1 200"));
        let form = [
            ("grant_type", "password"),
            ("username", "alice"),
            ("password", "correct-horse-battery"),
            ("scope", "openid"),
        ];
        let refresh = server.token(&form).await.1["refresh_token"].as_str().unwrap().to_owned();
        fault(&server, json!({"endpoint": "token", "times": 1, "drop": "before"})).await;
        assert_eq!(raw(&server).await, b"", "not a byte");
        fault(&server, json!({"endpoint": "token", "times": 1, "drop": "after"})).await;
        let form = [("grant_type", "refresh_token"), ("refresh_token", &*refresh)];
        let lost =
            server.http.post(server.url("/oauth2/token")).basic_auth("web-app", Some("client-secret")).form(&form);
        assert!(lost.send().await.is_err());
        // The answer was lost, and the grace of a spent token makes up for it.
        assert_eq!(server.token(&form).await.0, 200);
        let (_, lost) = server.control("GET", "/dev/journal?outcome=dropped", Value::Null).await;
        assert_eq!((lost.as_array().unwrap().len(), &lost[1]["fault"]["drop"]), (2, &json!("after")), "{lost}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_are_cut_slow_or_not_what_they_say() {
    let server = Server::dev(Database::Sqlite).await;
    fault(&server, json!({"endpoint": "token", "times": 1, "truncate": 10})).await;
    let bytes = String::from_utf8(raw(&server).await).unwrap();
    let (head, body) = bytes.split_once("\r\n\r\n").unwrap();
    let length: usize = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    assert!(length > 10 && body.len() == 10, "{bytes}");

    fault(
        &server,
        json!({"endpoint": "token", "times": 1, "body": "<html>gateway</html>", "content_type": "text/html"}),
    )
    .await;
    let bytes = String::from_utf8(raw(&server).await).unwrap();
    assert!(bytes.contains("content-type: text/html") && bytes.ends_with("<html>gateway</html>"), "{bytes}");

    for rule in
        [json!({"times": 1, "endpoint": "token", "drip": 1}), json!({"times": 1, "endpoint": "token", "delay": 1})]
    {
        fault(&server, rule.clone()).await;
        let started = monotonic_millis();
        assert_eq!(server.token(&GRANT).await.0, 200);
        assert!(monotonic_millis() - started > 900, "{rule}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_rotate_under_a_client_and_clocks_disagree() {
    for database in BOTH {
        let server = Server::dev(database).await;
        let keys =
            async || server.http.get(server.url("/.well-known/jwks.json")).send().await.unwrap().text().await.unwrap();
        let before = keys().await;
        fault(&server, json!({"endpoint": "token", "times": 1, "rotate_keys": true})).await;
        let made = server.control("POST", "/dev/tokens", json!({"client_id": "web-app"})).await.1;
        assert_eq!(server.token(&GRANT).await.0, 200);
        let after = keys().await;
        let kid = made["header"]["kid"].as_str().unwrap();
        assert!(before.contains(kid) && !after.contains(kid), "{kid}");

        fault(&server, json!({"endpoint": "token", "times": 1, "skew": "2h"})).await;
        let (_, tokens) = server.token(&GRANT).await;
        let told = server.introspect(tokens["access_token"].as_str().unwrap()).await;
        let ahead = told["iat"].as_i64().unwrap() - server.instance.clock.now().0;
        assert!((7_195..=7_205).contains(&ahead), "{told}");
        assert!(server.instance.clock.ahead().abs() <= 1);
    }
}

#[tokio::test]
async fn a_rule_that_makes_no_sense_is_told() {
    let server = Server::dev(Database::Sqlite).await;
    for (rule, named) in [
        (json!({}), "say what happens"),
        (json!({"endpoint": "tokens", "delay": 1}), "introspect"),
        (json!({"status": 99}), "200 and 599"),
        (json!({"error": "x"}), "goes with a status"),
        (json!({"delay": "2h"}), "25 seconds"),
        (json!({"probability": 2, "delay": 1}), "between 0 and 1"),
        (json!({"nth": 0, "delay": 1}), "from 1"),
        (json!({"drop": "now"}), "before"),
        (json!({"content_type": "a\nb"}), "header"),
        (json!({"statuss": 500}), "status"),
    ] {
        let (status, answer) = server.control("POST", "/dev/faults", rule.clone()).await;
        assert!(
            status == 400 && answer["error_description"].as_str().unwrap().contains(named),
            "{rule}: {status} {answer}"
        );
    }
    assert_eq!(server.control("GET", "/dev/faults", Value::Null).await.1, json!([]));
    // A reset takes them away, and control calls are never at fault.
    fault(&server, json!({"status": 500})).await;
    assert_eq!(server.token(&GRANT).await.0, 500);
    assert_eq!(server.control("POST", "/dev/reset", Value::Null).await.0, 204);
    assert_eq!(server.token(&GRANT).await.0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_is_for_the_person_whose_code_or_token_it_is() {
    for database in BOTH {
        let server = Server::dev(database).await;
        let tokens = async |name: &'static str| {
            let form = [
                ("grant_type", "password"),
                ("username", name),
                ("password", "correct-horse-battery"),
                ("scope", "openid"),
            ];
            let (_, tokens) = server.token(&form).await;
            (text(&tokens, "refresh_token").to_owned(), text(&tokens, "access_token").to_owned())
        };
        let ((alice, of_alice), (bob, of_bob)) = (tokens("alice").await, tokens("bob").await);
        fault(&server, json!({"user": "alice", "status": 500})).await;
        let refreshed = async |token: &str| {
            server.token(&[("grant_type", "refresh_token"), ("refresh_token", token)]).await.0.as_u16()
        };
        let userinfo = async |token: &str| {
            let asked = server.http.get(server.url("/oauth2/userinfo")).bearer_auth(token);
            asked.send().await.unwrap().status().as_u16()
        };
        assert_eq!((refreshed(&bob).await, userinfo(&of_bob).await), (200, 200));
        assert_eq!((refreshed(&alice).await, userinfo(&of_alice).await), (500, 500));
        let (_, entries) = server.control("GET", "/dev/journal?endpoint=userinfo", Value::Null).await;
        assert_eq!((&entries[0]["user"], &entries[0]["client_id"]), (&json!("bob"), &json!("web-app")), "{entries}");

        server.control("DELETE", "/dev/faults", Value::Null).await;
        let browser = server.browser();
        let query = "response_type=code&client_id=web-app&redirect_uri=http://localhost:4200&scope=openid";
        let page = browser.get(&server.url(&format!("/oauth2/authorize?{query}"))).await;
        browser.as_alice(page).await;
        let entries = server.control("GET", "/dev/journal?endpoint=authorize", Value::Null).await.1;
        assert_eq!((&entries[0]["user"], &entries[1]["user"]), (&Value::Null, &json!("alice")), "{entries}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_may_read_a_made_up_answer_and_its_preflight_is_no_hit() {
    let server = Server::dev(Database::Sqlite).await;
    fault(&server, json!({"endpoint": "token", "status": 503, "error": "temporarily_unavailable", "times": 1})).await;
    let origin = "http://localhost:4200";
    let url = server.url("/oauth2/token");
    let preflight = server.http.request(reqwest::Method::OPTIONS, &url).header("origin", origin).send().await.unwrap();
    assert_eq!(preflight.status(), 204);
    let form = [("grant_type", "authorization_code"), ("client_id", "spa"), ("code", "x")];
    let answer = server.http.post(&url).header("origin", origin).form(&form).send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["access-control-allow-origin"]),
        (503, &origin.parse().unwrap())
    );
    assert_eq!(server.control("GET", "/dev/journal", Value::Null).await.1.as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_skew_is_for_its_request_alone() {
    let server = Server::dev(Database::Sqlite).await;
    fault(&server, json!({"endpoint": "token", "client_id": "web-app", "skew": "2h"})).await;
    let iat = async |tokens: Value| {
        server.introspect(text(&tokens, "access_token")).await["iat"].as_i64().unwrap() - server.instance.clock.now().0
    };
    let beside = async {
        let form = [("grant_type", "client_credentials"), ("client_id", "root"), ("client_secret", "secret")];
        server.post_form("/oauth2/token", None, &form).await
    };
    let ((_, skewed), (status, plain)) = tokio::join!(server.token(&GRANT), beside);
    assert_eq!(status, 200, "{plain}");
    assert!((7_195..=7_205).contains(&iat(skewed).await) && iat(plain).await.abs() < 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_of_the_sandbox_are_in_the_journal_and_at_fault_like_others() {
    let server = Server::dev(Database::Sqlite).await;
    fault(&server, json!({"endpoint": "token", "status": 503, "error": "temporarily_unavailable"})).await;
    let browser = server.browser();
    let page = browser.get(&server.url("/sandbox/client_credentials")).await;
    let form = [("client_id", "web-app"), ("client_secret", "client-secret"), ("decision", "send")];
    let csrf = page.attribute("input[name=csrf]", "value").unwrap();
    let form = [&form[..], &[("csrf", &csrf)]].concat();
    let page = browser.send(browser.http.post(page.url.clone()).form(&form)).await;
    assert!(page.html.contains("temporarily_unavailable"), "{}", page.html);
    let (_, entries) = server.control("GET", "/dev/journal?endpoint=token&client_id=web-app", Value::Null).await;
    assert_eq!((&entries[0]["status"], &entries[0]["fault"]["status"]), (&json!(503), &json!(503)), "{entries}");
}

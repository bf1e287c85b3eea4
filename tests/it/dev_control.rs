//! Who may use the control API, and where there is none.

use countersign::config::Mode;
use countersign::domain::secret::Secret;
use serde_json::{Value, json};

use crate::support::{Database, Server};

#[tokio::test]
async fn a_server_for_real_use_has_no_control_api() {
    let server = Server::start(Database::Sqlite).await;
    for path in ["/dev/reset", "/dev/realms", "/dev/clock"] {
        let (status, _) = server.control("POST", path, json!({})).await;
        assert!(matches!(status, 401 | 404 | 405), "{path}: {status}");
    }
    let before = server.instance.clock.ahead();
    server.control("POST", "/dev/clock", json!({"advance": 3600})).await;
    assert!((server.instance.clock.ahead() - before).abs() <= 1);
}

#[tokio::test]
async fn a_page_of_another_origin_controls_nothing() {
    let server = Server::dev(Database::Sqlite).await;
    for (name, value) in [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")] {
        let request = server.http.post(server.url("/dev/clock")).header(name, value).body("{\"advance\": 3600}");
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 403, "{name}");
        assert!(response.headers().contains_key("x-request-id") && response.headers().contains_key("x-frame-options"));
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["error"], "forbidden", "{body}");
    }
    let request = server.http.post(server.url("/dev/reset")).header("host", "evil.example");
    assert_eq!(request.send().await.unwrap().status(), 421);
    assert!(server.instance.clock.ahead() < 10);
}

#[tokio::test]
async fn a_token_of_the_settings_is_asked_for() {
    let server = Server::start_with(Database::Sqlite, |settings| {
        (settings.mode, settings.dev_api) = (Mode::Serve, true);
        settings.dev_token = Some(Secret::new("let-me"));
    })
    .await;
    let (status, body) = server.control("GET", "/dev/clock", Value::Null).await;
    assert_eq!((status, &body["error"]), (401, &json!("unauthorized")), "{body}");
    for (token, status) in [("let-me-not", 401), ("let-me", 200)] {
        let request = server.http.get(server.url("/dev/clock")).bearer_auth(token);
        assert_eq!(request.send().await.unwrap().status(), status, "{token}");
    }
}

#[tokio::test]
async fn what_a_call_does_not_know_is_named() {
    let server = Server::dev(Database::Sqlite).await;
    for (body, named) in [
        (json!({"advanse": 5}), "advance"),
        (json!({"advance": "soon"}), "1h 30m"),
        (json!({"set": "tomorrow"}), "2030-01-01T00:00:00Z"),
        (json!({"set": -5}), "2030-01-01T00:00:00Z"),
        (json!({"freeze": true, "unfreeze": true}), "exclude"),
        (json!({"advance": i64::MAX}), "9999"),
        (json!([]), "expected"),
    ] {
        let (status, answer) = server.control("POST", "/dev/clock", body.clone()).await;
        let said = answer["error_description"].as_str().unwrap_or_default();
        assert!(status == 400 && said.contains(named), "{body}: {status} {answer}");
    }
    assert!(server.instance.clock.ahead() < 10, "what was wrong changed nothing");
    let response = server.http.post(server.url("/dev/clock")).body("{").send().await.unwrap();
    assert_eq!(response.status(), 400);
    let (status, answer) = server.control("GET", "/dev/clocks", Value::Null).await;
    assert_eq!(status, 404, "{answer}");
}

/// The lines of `docs/dev-api.md` work when pasted, one after the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_line_of_the_documentation_works() {
    let server = Server::dev(Database::Sqlite).await;
    let folder = std::env::temp_dir().join(format!("countersign-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("bundle.yaml"), "- { resourceType: User, id: carol, userName: carol }\n").unwrap();
    let page = include_str!("../../docs/dev-api.md").replace("\\\n", "");
    let mut lines: Vec<String> = Vec::new();
    for block in page.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next()) {
        for line in block.lines() {
            match lines.last_mut() {
                // A quoted body goes on.
                Some(last) if line.starts_with("  ") => last.push_str(line),
                _ => lines.push(line.to_owned()),
            }
        }
    }
    let calls: Vec<_> = lines.iter().filter(|line| line.starts_with("curl ")).collect();
    assert!(calls.len() > 20, "{calls:?}");
    for line in calls {
        let here = line.replace("localhost:8080", &format!("localhost:{}", server.instance.address.port()));
        let here = here.replacen("curl -s", "curl -s --fail-with-body --noproxy '*'", 1);
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &here]).current_dir(&folder);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stdout));
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

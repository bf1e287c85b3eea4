//! `dev` and `serve` as processes (interface §1): starting, many at once, stopping, being killed, and what they print.
#![expect(clippy::disallowed_methods, reason = "a process has the real clock")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;

use crate::support::{Database, Folder, Process, Service, both_folders};

const SERVICE: &str =
    "- {resourceType: Client, id: service, secret: service-secret, grant_types: [client_credentials]}\n";

/// A folder whose server has an administrator and a client for client credentials.
fn with_client(folder: Folder) -> Folder {
    folder.write("clients.yaml", SERVICE);
    folder.env("COUNTERSIGN_ADMIN_CLIENT_SECRET", "secret").env("COUNTERSIGN_BUNDLE", "clients.yaml")
}

async fn token(service: &Service) -> Option<String> {
    let request = service.http.post(service.url("/oauth2/token")).basic_auth("service", Some("service-secret"));
    let response = request.form(&[("grant_type", "client_credentials")]).send().await.ok()?;
    let body: serde_json::Value = response.json().await.ok()?;
    body["access_token"].as_str().map(str::to_owned)
}

async fn is_active(service: &Service, token: &str) -> bool {
    service.post("/oauth2/introspect", ("root", "secret"), &[("token", token)]).await.1["active"] == true
}

both_folders!(
    async fn dev_prints_what_a_developer_needs_and_its_curl_line_works(folder: Folder) {
        // In memory where nobody says otherwise, and on the database that somebody names.
        let folder =
            if folder.database == Database::Sqlite { folder.env("COUNTERSIGN_DATABASE_URL", "") } else { folder };
        let process = folder.start(&["dev", "--listen", "127.0.0.1:0"]);
        let ready = process.says("ready in ");
        let [stdout, _] = process.output();
        assert_eq!(stdout.lines().last(), Some(ready.as_str()), "{stdout}");
        let millis = ready.strip_prefix("ready in ").and_then(|rest| rest.strip_suffix(" ms")).map(str::parse::<u32>);
        assert!(millis.is_some_and(|millis| millis.is_ok_and(|millis| millis < 20_000)), "{ready}");
        let issuer = process.says("Issuer").split_whitespace().last().unwrap().to_owned();
        assert!(issuer.starts_with("http://localhost:"), "{issuer}");
        for line in [&format!("{issuer}/"), "web-app / client-secret", "alice / correct-horse-battery", "root / secret"]
        {
            assert!(stdout.lines().any(|found| found.ends_with(line)), "{line}: {stdout}");
        }
        let curl = process.says("curl ");
        let ended = folder.sh(curl.trim());
        let tokens: serde_json::Value =
            serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{curl}: {ended:?}"));
        assert!(tokens["access_token"].is_string() && tokens["token_type"] == "Bearer", "{tokens}");
        let page =
            reqwest::Client::builder().no_proxy().build().unwrap().get(format!("{issuer}/")).send().await.unwrap();
        assert_eq!(page.status(), 200);
        let health = folder.run(&["health", "--url", &issuer]);
        assert_eq!((health.code, health.stdout.as_str()), (0, "ready\n"), "{health:?}");
    }
);

/// A test that is killed takes its server along.
#[tokio::test]
async fn dev_stops_with_its_standard_input_where_it_is_told_to() {
    let folder = Folder::new(Database::Sqlite).await;
    let arguments = ["dev", "--listen", "127.0.0.1:0", "--stop-with-stdin"];
    let ended = folder.run(&arguments);
    assert!(ended.code == 0 && ended.stdout.contains("ready in ") && ended.stderr.contains("stopping"), "{ended:?}");

    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command
        .args(arguments)
        .current_dir(&folder.path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let page = lines.find_map(|line| line.strip_prefix("  Start page    ").map(str::to_owned)).unwrap();
    assert!(lines.any(|line| line.starts_with("ready in ")));
    assert_eq!(folder.run(&["health", "--url", &page]).code, 0, "it runs while its input is open");
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

both_folders!(
    async fn dev_puts_no_known_secret_into_a_database_that_holds_others(folder: Folder) {
        let folder = with_client(folder);
        drop(folder.serve(&[]));
        let process = folder.start(&["dev", "--listen", "127.0.0.1:0"]);
        process.says("ready in ");
        let exported = folder.ok(&["export"]);
        assert!(
            exported.contains("id: service") && !exported.contains("id: web-app") && !exported.contains("id: alice"),
            "{exported}"
        );
        let [stdout, _] = process.output();
        assert!(!stdout.contains("client-secret") && !stdout.contains("service-secret"), "{stdout}");
    }
);

both_folders!(
    async fn serve_prints_its_free_port_and_stops_at_sigterm_with_0(folder: Folder) {
        let folder = with_client(folder);
        for signal in ["TERM", "INT"] {
            let (process, service) = folder.serve(&[]);
            let token = token(&service).await.unwrap();
            assert!(is_active(&service, &token).await);
            let health = folder.run(&["health", "--url", &service.url("/")]);
            assert_eq!(health.code, 0, "{health:?}");
            process.signal(signal);
            let ended = process.ended();
            assert_eq!((ended.code, ended.stdout.trim()), (0, service.address.to_string().as_str()), "{ended:?}");
            assert!(service.http.get(service.url("/healthz")).send().await.is_err());
            let health = folder.run(&["health", "--url", &service.url("/")]);
            assert_eq!((health.code, health.stdout.as_str()), (1, ""), "{health:?}");
        }
    }
);

both_folders!(
    async fn a_request_in_flight_is_answered_before_the_stop(folder: Folder) {
        let folder = with_client(folder);
        let (process, service) = folder.serve(&[]);
        let body = "grant_type=client_credentials&client_id=service&client_secret=service-secret";
        let (first, second) = body.split_at(30);
        let mut stream = TcpStream::connect(service.address).unwrap();
        let head = format!(
            "POST /oauth2/token HTTP/1.1\r\nHost: localhost:{}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{first}",
            service.address.port(),
            body.len(),
        );
        stream.write_all(head.as_bytes()).unwrap();
        // The server has the request's head when it answers somebody who came later.
        assert!(token(&service).await.is_some());
        process.signal("TERM");
        process.logs("stopping");
        // No new connections, and the one with a request goes on.
        while TcpStream::connect(service.address).is_ok() {
            tokio::task::yield_now().await;
        }
        stream.write_all(second.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("access_token"), "{answer}");
        assert_eq!(process.ended().code, 0);
    }
);

#[tokio::test]
async fn a_connection_that_asks_for_nothing_is_closed() {
    let (_process, service) = Folder::new(Database::Sqlite).await.serve(&[]);
    let open = |text: &str| {
        let mut stream = TcpStream::connect(service.address).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        stream.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
        stream
    };
    // The last two are the beginning and the whole of the preface of HTTP/2 (RFC 9113 §3.4).
    let said = ["", "G", "GET / HTTP/1.1\r\nHost: ", "PRI * HTTP/2.0\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"];
    for (mut stream, said) in said.map(|said| (open(said), said)) {
        stream.read_to_end(&mut Vec::new()).unwrap_or_else(|error| panic!("{said:?} is still open: {error}"));
    }
}

both_folders!(
    async fn a_request_that_does_not_end_holds_the_stop_for_the_grace_only(folder: Folder) {
        let (process, service) = folder.serve(&["--shutdown-grace", "1"]);
        let mut stream = TcpStream::connect(service.address).unwrap();
        let head = format!(
            "POST /oauth2/token HTTP/1.1\r\nHost: localhost:{}\r\nContent-Length: 10\r\n\r\n",
            service.address.port()
        );
        stream.write_all(head.as_bytes()).unwrap();
        assert_eq!(service.http.get(service.url("/healthz")).send().await.unwrap().status(), 200);
        let asked = std::time::Instant::now();
        process.signal("TERM");
        assert_eq!(process.ended().code, 0);
        assert!(asked.elapsed().as_secs() < 8, "{:?}", asked.elapsed());
    }
);

both_folders!(
    async fn kill_9_loses_nothing_that_was_acknowledged(folder: Folder) {
        let folder = with_client(folder);
        let mut tokens: Vec<String> = Vec::new();
        for _ in 0..2 {
            let (mut process, service) = folder.serve(&[]);
            for token in &tokens {
                assert!(is_active(&service, token).await, "of {}", tokens.len());
            }
            // Killed in the midst of it: whoever got an answer keeps the token.
            let service = std::sync::Arc::new(service);
            let (sender, mut answered) = tokio::sync::mpsc::unbounded_channel();
            let many = (0..8).map(|_| {
                let (service, sender) = (service.clone(), sender.clone());
                tokio::spawn(async move {
                    while let Some(token) = token(&service).await {
                        let _ = sender.send(token);
                    }
                })
            });
            let many: Vec<_> = many.collect();
            drop(sender);
            for _ in 0..60 {
                tokens.push(answered.recv().await.unwrap());
            }
            process.kill();
            for one in many {
                one.await.unwrap();
            }
            while let Some(token) = answered.recv().await {
                tokens.push(token);
            }
        }
        let (_process, service) = folder.serve(&[]);
        for token in &tokens {
            assert!(is_active(&service, token).await, "of {}", tokens.len());
        }
        let put = service.http.put(service.url("/Client/after")).basic_auth("root", Some("secret")).json(&json!({}));
        assert_eq!(put.send().await.unwrap().status(), 201);
    }
);

both_folders!(
    async fn many_may_start_at_once_on_an_empty_database(folder: Folder) {
        let folder = with_client(folder);
        let processes: Vec<Process> = (0..4).map(|_| folder.start(&["serve", "--listen", "127.0.0.1:0"])).collect();
        let services: Vec<Service> = processes.iter().map(Process::service).collect();
        // One schema, one set of keys, one client: a token of each is good at all.
        let mut sets = Vec::new();
        for service in &services {
            let response = service.http.get(service.url("/.well-known/jwks.json")).send().await.unwrap();
            sets.push(response.json::<serde_json::Value>().await.unwrap());
            let token = token(service).await.unwrap();
            for other in &services {
                assert!(is_active(other, &token).await);
            }
        }
        assert_eq!(sets[0]["keys"].as_array().unwrap().len(), 5);
        assert!(sets.iter().all(|set| *set == sets[0]), "{sets:?}");
        assert_eq!(folder.ok(&["keys", "list"]).lines().count(), 6);
    }
);

both_folders!(
    async fn no_secret_reaches_stdout_stderr_or_a_log_line(folder: Folder) {
        let url = folder.url();
        let folder = with_client(folder).env("RUST_LOG", "trace");
        folder.write("users.yaml", "- {resourceType: User, id: u, password: hunter2-password, email: u@x.example}\n");
        for format in ["text", "json"] {
            let args = [
                "--bundle",
                "clients.yaml",
                "--bundle",
                "users.yaml",
                "--allow-grant",
                "password",
                "--log-format",
                format,
            ];
            let (process, service) = folder.serve(&args);
            let put = service.http.put(service.url("/Client/p")).basic_auth("root", Some("secret"));
            let document = json!({"secret": "hunter2-client", "grant_types": ["password"],
                "auth": {"password": {"refresh_token": true, "access_token_expiration": 60}}});
            assert!(put.json(&document).send().await.unwrap().status().is_success());
            let mut secrets: Vec<String> = ["hunter2", "service-secret"].map(str::to_owned).to_vec();
            let form = [("grant_type", "password"), ("username", "u"), ("password", "hunter2-password")];
            let (status, tokens) = service.post("/oauth2/token", ("p", "hunter2-client"), &form).await;
            assert_eq!(status, 200, "{tokens}");
            let wrong = [("grant_type", "password"), ("username", "u"), ("password", "hunter2-wrong")];
            assert_eq!(service.post("/oauth2/token", ("p", "hunter2-client"), &wrong).await.0, 400);
            let in_body =
                [("grant_type", "client_credentials"), ("client_id", "p"), ("client_secret", "hunter2-wrong")];
            service.http.post(service.url("/oauth2/token")).form(&in_body).send().await.unwrap();
            service.post("/oauth2/token", ("p", "hunter2-wrong"), &form).await;
            let refresh = tokens["refresh_token"].as_str().unwrap();
            let renew = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
            let (_, renewed) = service.post("/oauth2/token", ("p", "hunter2-client"), &renew).await;
            for tokens in [&tokens, &renewed] {
                for name in ["access_token", "refresh_token"] {
                    let token = tokens[name].as_str().unwrap();
                    secrets.push(token.to_owned());
                    assert!(is_active(&service, token).await || name == "refresh_token");
                    service.http.get(service.url("/oauth2/userinfo")).bearer_auth(token).send().await.unwrap();
                    service
                        .http
                        .get(service.url(&format!("/oauth2/authorize?code={token}&x=hunter2")))
                        .send()
                        .await
                        .unwrap();
                }
            }
            service.get("/Client?.secret=hunter2").await;
            service.get("/Session?user=u").await;
            let basic = |pair: &str| STANDARD.encode(pair);
            secrets.extend([basic("p:hunter2-client"), basic("root:secret"), basic("service:service-secret")]);
            let key = std::fs::read_to_string(folder.path.join("it.db.master-key"));
            secrets.push(
                key.map_or_else(|_| "aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMmh1bnQ".into(), |key| key.trim().to_owned()),
            );
            if let Some(password) = url
                .strip_prefix("postgres://")
                .and_then(|url| url.split_once('@'))
                .and_then(|(user, _)| user.split_once(':'))
            {
                secrets.push(password.1.to_owned());
            }
            process.signal("TERM");
            let ended = process.ended();
            let all = format!("{}{}", ended.stdout, ended.stderr);
            assert!(
                ended.stderr.contains("answered") && ended.stderr.contains("DEBUG"),
                "tracing is on: {}",
                ended.stderr
            );
            for secret in &secrets {
                let line = all.lines().find(|line| line.contains(secret.as_str()));
                assert!(line.is_none(), "{secret} in {line:?}");
            }
            assert!(!all.contains("$argon2id$"), "a hash");
        }
    }
);

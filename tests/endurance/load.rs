//! Clients under way: a fleet's worth of requests, and what came of each.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::Value;

use crate::support::{Browser, Folder, Service};

const RESOURCES: &str = "
- {resourceType: Client, id: service, secret: service-secret, grant_types: [client_credentials]}
- resourceType: Client
  id: app
  secret: app-secret
  first_party: true
  grant_types: [code]
  auth: {authorization_code: {redirect_uri: 'http://localhost:4200/cb', refresh_token: true, refresh_grace: 0}}
- resourceType: Client
  id: lenient
  secret: app-secret
  first_party: true
  grant_types: [code]
  auth: {authorization_code: {redirect_uri: 'http://localhost:4200/cb', refresh_token: true}}
- {resourceType: User, id: alice, userName: alice, password: correct-horse-battery}
";

/// A folder whose servers have an administrator, clients and Alice, all of the same issuer.
pub(crate) fn furnished(folder: Folder) -> Folder {
    folder.write("resources.yaml", RESOURCES);
    folder
        .env("COUNTERSIGN_ADMIN_CLIENT_SECRET", "secret")
        .env("COUNTERSIGN_BUNDLE", "resources.yaml")
        .env("COUNTERSIGN_ISSUER", "http://localhost:8080")
        .env("RUST_LOG", "countersign=warn,sqlx=error")
}

/// A folder on this PostgreSQL database.
pub(crate) async fn furnished_on(url: &str) -> Folder {
    let folder = Folder::new(crate::support::Database::Sqlite).await;
    furnished(folder)
        .env("COUNTERSIGN_DATABASE_URL", url)
        .env("COUNTERSIGN_MASTER_KEY", "aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMmh1bnQ=")
}

/// What came of a request.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) what: &'static str,
    pub(crate) took: Duration,
    /// 0 where the connection failed.
    pub(crate) status: u16,
    pub(crate) retry_after: bool,
    pub(crate) body: Value,
}

impl Outcome {
    pub(crate) fn text(&self, name: &str) -> String {
        self.body[name].as_str().unwrap_or_else(|| panic!("no {name}: {self:?}")).to_owned()
    }
}

/// Asks, and measures.
pub(crate) async fn ask(what: &'static str, request: reqwest::RequestBuilder) -> Outcome {
    let asked = Instant::now();
    let failed =
        |asked: Instant| Outcome { what, took: asked.elapsed(), status: 0, retry_after: false, body: Value::Null };
    let Ok(response) = request.send().await else { return failed(asked) };
    let (status, retry_after) = (response.status().as_u16(), response.headers().contains_key("retry-after"));
    // An answer that breaks off has not been received.
    let Ok(text) = response.text().await else { return failed(asked) };
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Outcome { what, took: asked.elapsed(), status, retry_after, body }
}

fn url(address: SocketAddr, path: &str) -> String {
    format!("http://localhost:{}{path}", address.port())
}

/// A token request of one of the clients.
pub(crate) async fn token(http: &Client, at: SocketAddr, client: &str, form: &[(&str, &str)]) -> Outcome {
    let secret = if client == "service" { "service-secret" } else { "app-secret" };
    ask("token", http.post(url(at, "/oauth2/token")).basic_auth(client, Some(secret)).form(form)).await
}

/// A token of the service's own.
pub(crate) async fn own_token(http: &Client, at: SocketAddr) -> Outcome {
    token(http, at, "service", &[("grant_type", "client_credentials")]).await
}

pub(crate) async fn refresh(http: &Client, at: SocketAddr, client: &str, token_value: &str) -> Outcome {
    token(http, at, client, &[("grant_type", "refresh_token"), ("refresh_token", token_value)]).await
}

pub(crate) async fn redeem(http: &Client, at: SocketAddr, client: &str, code: &str) -> Outcome {
    token(http, at, client, &[("grant_type", "authorization_code"), ("code", code)]).await
}

pub(crate) async fn introspect(http: &Client, at: SocketAddr, token: &str) -> Outcome {
    let request = http.post(url(at, "/oauth2/introspect")).basic_auth("root", Some("secret"));
    ask("introspect", request.form(&[("token", token)])).await
}

pub(crate) async fn get(http: &Client, at: SocketAddr, path: &'static str) -> Outcome {
    ask(path, http.get(url(at, path))).await
}

/// Every one of these tokens is active.
pub(crate) async fn assert_all_active(service: &Service, tokens: &[String]) {
    let mut checks = tokio::task::JoinSet::new();
    for chunk in tokens.chunks(tokens.len().div_ceil(8).max(1)) {
        let (chunk, http, at) = (chunk.to_vec(), service.http.clone(), service.address);
        checks.spawn(async move {
            for token in &chunk {
                let outcome = introspect(&http, at, token).await;
                assert!(
                    outcome.status == 200 && outcome.body["active"] == true,
                    "an acknowledged token is lost: {outcome:?}"
                );
            }
        });
    }
    while let Some(check) = checks.join_next().await {
        check.unwrap();
    }
}

/// A browser in which Alice is signed in.
pub(crate) async fn signed_in(at: SocketAddr) -> Browser {
    let browser = Browser::new(at);
    let page = browser.get(&url(at, "/login")).await;
    let page = browser.sign_in(&page, "alice", "correct-horse-battery").await;
    assert_eq!(page.status, 303, "{page:?}");
    browser
}

/// A code for a first-party client; `None` where the server is gone or does not answer well.
pub(crate) async fn code(browser: &Browser, at: SocketAddr, client: &str) -> Option<String> {
    let address = url(at, &format!("/oauth2/authorize?response_type=code&client_id={client}&scope=openid"));
    let response = browser.http.get(address).send().await.ok()?;
    let location = response.headers().get("location")?.to_str().ok()?.to_owned();
    let query = location.split_once('?')?.1;
    url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "code").map(|(_, code)| code.into_owned())
}

/// Clients that go on until they are told to stop: token requests and introspections, one after another.
pub(crate) struct Load {
    going: Arc<AtomicBool>,
    outcomes: Arc<Mutex<Vec<Outcome>>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    pub(crate) fn start(service: &Service, clients: usize) -> Self {
        let going = Arc::new(AtomicBool::new(true));
        let outcomes = Arc::new(Mutex::new(Vec::new()));
        let tasks = (0..clients).map(|_| {
            let (going, outcomes) = (Arc::clone(&going), Arc::clone(&outcomes));
            let (http, at) = (service.http.clone(), service.address);
            tokio::spawn(async move {
                let mut last = None;
                while going.load(Ordering::Relaxed) {
                    let made = own_token(&http, at).await;
                    if made.status == 200 {
                        last = Some(made.text("access_token"));
                    }
                    outcomes.lock().unwrap().push(made);
                    if let Some(token) = &last {
                        let found = introspect(&http, at, token).await;
                        outcomes.lock().unwrap().push(found);
                    }
                }
            })
        });
        let tasks = tasks.collect();
        Self { going, outcomes, tasks }
    }

    /// What has come until now, and not before.
    pub(crate) fn take(&self) -> Vec<Outcome> {
        std::mem::take(&mut self.outcomes.lock().unwrap())
    }

    /// Ends it, and answers what came since the last time.
    pub(crate) async fn stop(self) -> Vec<Outcome> {
        self.going.store(false, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        std::mem::take(&mut self.outcomes.lock().unwrap())
    }
}

/// The tokens that were acknowledged.
pub(crate) fn acknowledged(outcomes: &[Outcome]) -> Vec<String> {
    let made = outcomes.iter().filter(|outcome| outcome.what == "token" && outcome.status == 200);
    made.map(|outcome| outcome.text("access_token")).collect()
}

/// Asks until it is so.
pub(crate) async fn within(limit: Duration, what: &str, is_so: impl AsyncFn() -> bool) {
    let until = Instant::now() + limit;
    while !is_so().await {
        assert!(Instant::now() < until, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The slowest but a hundredth.
pub(crate) fn p99(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get((times.len() * 99 / 100).min(times.len().saturating_sub(1))).copied().unwrap_or_default()
}

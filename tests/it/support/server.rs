//! Starting servers, and talking to them as a program does.

use std::net::SocketAddr;
use std::path::PathBuf;

use countersign::clock::Clock;
use countersign::config::{AllowGrants, DatabaseUrl, Mode, Registration, Settings};
use countersign::domain::secret::{MasterKey, Secret};
use countersign::server::Instance;
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use super::{Browser, Page, Query, described};

/// Which database a test runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Database {
    Sqlite,
    Postgres,
}

/// A running server with a database of its own.
pub(crate) struct Server {
    pub(crate) instance: Instance,
    pub(crate) settings: Settings,
    pub(crate) http: Client,
    schema: Option<String>,
    file: Option<PathBuf>,
}

impl Server {
    /// With an empty database.
    pub(crate) async fn start(database: Database) -> Self {
        Self::start_with(database, |_| ()).await
    }

    /// With other settings.
    pub(crate) async fn start_with(database: Database, change: impl FnOnce(&mut Settings)) -> Self {
        let mut schema = None;
        let mut settings = Settings::dev_defaults();
        settings.mode = Mode::Serve;
        settings.dev_api = false;
        settings.listen = "127.0.0.1:0".parse().unwrap();
        settings.issuer = None;
        settings.admin_client_secret = Some(Secret::new("secret"));
        settings.registration = Registration::Closed;
        settings.allow_http_redirects = true;
        settings.allow_grants = AllowGrants { implicit: false, password: true };
        settings.master_key = Some(MasterKey::generate());
        settings.database_url = match database {
            Database::Sqlite => DatabaseUrl::SqliteMemory,
            Database::Postgres => {
                let (name, url) = new_schema().await;
                schema = Some(name);
                DatabaseUrl::Postgres(url)
            }
        };
        change(&mut settings);
        let instance = Instance::start(settings.clone(), Clock::default())
            .await
            .unwrap_or_else(|error| panic!("the server does not start: {error}"));
        let http = client(instance.address);
        Self { instance, settings, http, schema, file: None }
    }

    /// As `countersign dev` has it, with the control API.
    pub(crate) async fn dev(database: Database) -> Self {
        Self::start_with(database, |settings| (settings.mode, settings.dev_api) = (Mode::Dev, true)).await
    }

    /// A call of the control API: status and answer.
    pub(crate) async fn control(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let request = self.http.request(method.parse().unwrap(), self.url(path));
        let request = if body.is_null() { request } else { request.json(&body) };
        let (status, answer) = self.read(method, path, request.send().await.unwrap()).await;
        (status.as_u16(), answer)
    }

    /// Status and answer, which must be as the OpenAPI document says; a dialect has its own ways, and not every server has the
    /// control API.
    async fn read(&self, method: &str, path: &str, response: Response) -> (StatusCode, Value) {
        let content_type = response.headers().get("content-type").map(|value| value.to_str().unwrap().to_owned());
        let (status, answer) = read(response).await;
        if self.settings.dialect.is_none() && (self.settings.dev_api || !path.contains("/dev/")) {
            described::check(method, path, status.as_u16(), content_type.as_deref().unwrap_or_default(), &answer);
        }
        (status, answer)
    }

    /// Another node on the same database, with the same keys and the same issuer.
    pub(crate) async fn another_node(&self) -> Self {
        let issuer = countersign::config::Issuer::parse(&self.instance.issuer).unwrap();
        self.another_with(|settings| settings.issuer = Some(issuer)).await
    }

    /// Another server on the same database, with other settings.
    pub(crate) async fn another_with(&self, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = self.settings.clone();
        change(&mut settings);
        let instance = Instance::start(settings.clone(), self.instance.clock.clone())
            .await
            .unwrap_or_else(|error| panic!("the node does not start: {error}"));
        let address = instance.address;
        Self { instance, settings, http: client(address), schema: None, file: None }
    }

    /// The same where the implicit grant is on.
    pub(crate) async fn allowing_implicit(&self) -> Self {
        self.another_with(|settings| settings.allow_grants.implicit = true).await
    }

    /// A server on a SQLite file that goes with it.
    pub(crate) async fn on_a_file() -> Self {
        let file = std::env::temp_dir().join(format!("countersign-{}.db", uuid::Uuid::new_v4()));
        let path = file.clone();
        let mut server =
            Self::start_with(Database::Sqlite, |settings| settings.database_url = DatabaseUrl::SqliteFile(path)).await;
        server.file = Some(file);
        server
    }

    /// The address of a path. A node of many answers at its own address, whatever the issuer is.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.instance.address.port())
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.instance.issuer
    }

    /// Moves the server's clock.
    pub(crate) fn wait(&self, seconds: i64) {
        self.instance.clock.advance(seconds);
    }

    /// A browser without cookies.
    pub(crate) fn browser(&self) -> Browser {
        Browser::new(self.instance.address)
    }

    /// A request of the administrator.
    pub(crate) fn admin(&self, method: &str, path: &str) -> RequestBuilder {
        self.http.request(method.parse().unwrap(), self.url(path)).basic_auth("root", Some("secret"))
    }

    /// Puts a document, which must be accepted.
    pub(crate) async fn put(&self, path: &str, document: Value) -> Value {
        let response = self.admin("PUT", path).json(&document).send().await.unwrap();
        let (status, body) = self.read("PUT", path, response).await;
        assert!(status.is_success(), "PUT {path}: {status} {body}");
        body
    }

    /// A confidential client `web-app` / `client-secret`, changed as the test needs (a merge patch).
    pub(crate) async fn web_app(&self, change: Value) -> Value {
        let mut document = json!({
            "secret": "client-secret",
            "grant_types": ["code", "password", "client_credentials"],
            "auth": {"authorization_code": {"redirect_uri": "http://localhost:4200/cb", "refresh_token": true}},
        });
        merge(&mut document, &change);
        self.put("/Client/web-app", document).await
    }

    /// A public client `spa`.
    pub(crate) async fn spa(&self, change: Value) -> Value {
        let mut document = json!({
            "grant_types": ["code"],
            "auth": {"authorization_code": {"redirect_uri": "http://localhost:4200/cb", "refresh_token": true}},
        });
        merge(&mut document, &change);
        self.put("/Client/spa", document).await
    }

    /// The user `alice` / `correct-horse-battery`.
    pub(crate) async fn alice(&self) -> Value {
        let document = json!({
            "userName": "Alice", "email": "alice@example.com", "password": "correct-horse-battery",
            "name": {"givenName": "Alice", "familyName": "Liddell"},
        });
        self.put("/User/alice", document).await
    }

    /// A form POST, with the client by HTTP Basic where there is one.
    pub(crate) async fn post_form(
        &self,
        path: &str,
        basic: Option<(&str, &str)>,
        form: &[(&str, &str)],
    ) -> (StatusCode, Value) {
        let mut request = self.http.post(self.url(path)).form(form);
        if let Some((id, secret)) = basic {
            request = request.basic_auth(id, Some(secret));
        }
        self.read("POST", path, request.send().await.unwrap()).await
    }

    /// A token request of `web-app`.
    pub(crate) async fn token(&self, form: &[(&str, &str)]) -> (StatusCode, Value) {
        self.post_form("/oauth2/token", Some(("web-app", "client-secret")), form).await
    }

    /// What introspection says of a token to the administrator.
    pub(crate) async fn introspect(&self, token: &str) -> Value {
        let (status, body) = self.post_form("/oauth2/introspect", Some(("root", "secret")), &[("token", token)]).await;
        assert_eq!(status, 200, "{body}");
        body
    }

    pub(crate) async fn is_active(&self, token: &str) -> bool {
        self.introspect(token).await["active"] == true
    }

    /// What the server says of itself.
    pub(crate) async fn metadata(&self) -> Value {
        let response = self.http.get(self.url("/.well-known/openid-configuration")).send().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["content-type"]),
            (200, &"application/json".parse().unwrap())
        );
        response.json().await.unwrap()
    }

    /// Signs Alice in, consents, and answers the parameters that come back to the client.
    pub(crate) async fn sign_in_and_consent(&self, browser: &Browser, query: &[(&str, &str)]) -> Query {
        let page = self.authorize(browser, query).await;
        browser.as_alice(page).await.returned()
    }

    /// Sends the browser to the authorization endpoint.
    pub(crate) async fn authorize(&self, browser: &Browser, query: &[(&str, &str)]) -> Page {
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        browser.get(&self.url(&format!("/oauth2/authorize?{query}"))).await
    }

    /// A code for `web-app` with this scope, in a browser of its own.
    pub(crate) async fn code(&self, scope: &str) -> String {
        let query = [("response_type", "code"), ("client_id", "web-app"), ("scope", scope)];
        self.sign_in_and_consent(&self.browser(), &query).await.expect("code")
    }

    /// Tokens of `web-app` by the code flow.
    pub(crate) async fn tokens(&self, scope: &str) -> Value {
        self.redeemed(&self.code(scope).await).await
    }

    /// A browser in which Alice is signed in.
    pub(crate) async fn signed_in(&self) -> Browser {
        let browser = self.browser();
        let page = browser.get(&self.url("/login")).await;
        let page = browser.sign_in(&page, "alice", "correct-horse-battery").await;
        assert_eq!(page.status, 303, "{page:?}");
        browser
    }

    /// Whether somebody is signed in in this browser.
    pub(crate) async fn is_signed_in(&self, browser: &Browser) -> bool {
        let page = browser.get(&self.url("/login")).await;
        assert_eq!(page.status, 200, "{page:?}");
        !page.is_login()
    }
}

/// An authorization request of `web-app` with more parameters.
pub(crate) fn request<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [("response_type", "code"), ("client_id", "web-app")].into_iter().chain(more.iter().copied()).collect()
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            for ending in ["", "-wal", "-shm"] {
                let _ = std::fs::remove_file(format!("{}{ending}", file.display()));
            }
        }
        if let Some(schema) = self.schema.take() {
            // A destructor cannot wait, and a runtime cannot be left within another one: on a thread of its own.
            let dropped = std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(drop_schema(&schema));
            });
            let _ = dropped.join();
        }
    }
}

impl Server {
    /// Empties its database (PostgreSQL), for others to start on.
    pub(crate) async fn empty_database(&self) {
        let name = self.schema.as_deref().expect("a schema of its own");
        drop_schema(name).await;
        let pool = sqlx::PgPool::connect(&std::env::var("TEST_DATABASE_URL").unwrap()).await.unwrap();
        sqlx::query(sqlx::AssertSqlSafe(format!("CREATE SCHEMA {name}"))).execute(&pool).await.unwrap();
        pool.close().await;
    }
}

async fn drop_schema(name: &str) {
    use sqlx::Connection;
    let url = std::env::var("TEST_DATABASE_URL").unwrap_or_default();
    if let Ok(mut connection) = sqlx::PgConnection::connect(&url).await {
        // Tables that a server still works on are left alone rather than waited for.
        let text = format!("SET lock_timeout = '2s'; DROP SCHEMA {name} CASCADE");
        let _ = sqlx::raw_sql(sqlx::AssertSqlSafe(text)).execute(&mut connection).await;
    }
}

/// A request of the administrator with a JSON body: status and answer.
pub(crate) async fn send(server: &Server, method: &str, path: &str, body: impl serde::Serialize) -> (u16, Value) {
    let response = server.admin(method, path).json(&body).send().await.unwrap();
    let (status, answer) = server.read(method, path, response).await;
    (status.as_u16(), answer)
}

/// Paths and texts of the issues of an `OperationOutcome`.
pub(crate) fn issues(outcome: &Value) -> Vec<(String, String)> {
    assert_eq!(outcome["resourceType"], "OperationOutcome", "{outcome}");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let issues = outcome["issue"].as_array().unwrap().iter();
    issues.map(|issue| (text(&issue["expression"][0]), text(&issue["diagnostics"]))).collect()
}

/// Status and JSON body; text where it is none.
pub(crate) async fn read(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let text = response.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    (status, body)
}

pub(crate) fn client(address: SocketAddr) -> Client {
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .resolve("localhost", address)
        .build()
        .unwrap()
}

pub(crate) fn merge(document: &mut Value, change: &Value) {
    match (document, change) {
        (Value::Object(members), Value::Object(changes)) => {
            for (name, value) in changes {
                if value.is_null() {
                    members.remove(name);
                } else {
                    merge(members.entry(name).or_insert(Value::Null), value);
                }
            }
        }
        (document, change) => *document = change.clone(),
    }
}

/// A schema of its own on the server that `TEST_DATABASE_URL` names. Without one the test fails: a database is never skipped.
pub(crate) async fn new_schema() -> (String, String) {
    let url = std::env::var("TEST_DATABASE_URL").expect(
        "TEST_DATABASE_URL is not set: run scripts/test, which starts a PostgreSQL of its own, or name a server",
    );
    let name = format!("t_{}", uuid::Uuid::new_v4().simple());
    let pool = sqlx::PgPool::connect(&url).await.expect("TEST_DATABASE_URL does not answer");
    sqlx::query(sqlx::AssertSqlSafe(format!("CREATE SCHEMA {name}"))).execute(&pool).await.unwrap();
    pool.close().await;
    let separator = if url.contains('?') { '&' } else { '?' };
    (name.clone(), format!("{url}{separator}options[search_path]={name}"))
}

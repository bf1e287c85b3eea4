//! `dev --seed`: keys, ids, codes and tokens are the same in each run; and neither the seed nor its keys are of use anywhere else.

use countersign::clock::Clock;
use countersign::config::{Mode, Settings};
use countersign::domain::secret::MasterKey;
use countersign::domain::time::Timestamp;
use countersign::server::Instance;
use serde_json::{Value, json};

use crate::support::{Browser, Database, Folder, Page, Process, Server, both, read, text};

/// A port that the issuer has, wherever the server listens: it is in tokens.
const ISSUER: &str = "http://localhost:8080";
const TIME: &str = "2030-01-01T00:00:00Z";
const BOTH: [Database; 2] = [Database::Sqlite, Database::Postgres];

/// `dev` on a database of its own, at a free port.
struct Run {
    _folder: Folder,
    _process: Process,
    http: reqwest::Client,
    browser: Browser,
    base: String,
}

impl Run {
    async fn start(database: Database, args: &[&str]) -> Self {
        let folder = Folder::new(database).await;
        let process = folder.start(&[&["dev", "--listen", "127.0.0.1:0", "--issuer", ISSUER], args].concat());
        process.says("ready in");
        let line = process.logs("listening");
        let address = line.split("address=").nth(1).unwrap().split(' ').next().unwrap();
        let address: std::net::SocketAddr = address.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
        let browser = Browser::new(address);
        let base = format!("http://localhost:{}", address.port());
        Self { _folder: folder, _process: process, http: browser.http.clone(), browser, base }
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> (Value, String) {
        let request = self.http.post(format!("{}{path}", self.base)).basic_auth("web-app", Some("client-secret"));
        let response = request.form(form).send().await.unwrap();
        let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        let (status, body) = read(response).await;
        assert!(status.is_success(), "{path}: {body}");
        (body, id)
    }

    /// Everything that one sequence of requests brings, by name.
    async fn everything(&self) -> Vec<(&'static str, Value)> {
        let mut seen = Vec::new();
        let keys = self.http.get(format!("{}/.well-known/jwks.json", self.base)).send().await.unwrap();
        seen.push(("keys", keys.json::<Value>().await.unwrap()));
        for alg in ["EdDSA", "RS256", "ES256"] {
            let document = json!({
                "secret": "client-secret", "grant_types": ["code", "client_credentials"], "first_party": true,
                "id_token_signed_response_alg": alg,
                "auth": {"authorization_code": {"redirect_uri": "http://localhost:4200", "refresh_token": true}},
            });
            let url = format!("{}/Client/web-app", self.base);
            let put = self.http.put(url).basic_auth("root", Some("secret")).json(&document);
            assert!(put.send().await.unwrap().status().is_success());
            let query = "response_type=code&client_id=web-app&redirect_uri=http://localhost:4200&scope=openid";
            let page = self.browser.get(&format!("{}/oauth2/authorize?{query}", self.base)).await;
            let page: Page = self.browser.as_alice(page).await;
            let page = if page.location.as_deref().is_some_and(|to| to.starts_with('/')) {
                self.browser.follow(page).await
            } else {
                page
            };
            let code = page.returned().expect("code");
            let form =
                [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", "http://localhost:4200")];
            let (mut tokens, id) = self.post("/oauth2/token", &form).await;
            let refresh = text(&tokens, "refresh_token").to_owned();
            let form = [("grant_type", "refresh_token"), ("refresh_token", &refresh)];
            let (mut refreshed, _) = self.post("/oauth2/token", &form).await;
            if alg == "ES256" {
                // ECDSA signs with a random number of its own: what is signed is the same, the signature is not.
                for answer in [&mut tokens, &mut refreshed] {
                    let unsigned =
                        answer["id_token"].as_str().and_then(|jwt| jwt.rsplit_once('.')).unwrap().0.to_owned();
                    answer["id_token"] = json!(unsigned);
                }
            }
            seen.extend([
                ("code", json!(code)),
                ("session_state", json!(page.returned().get("session_state"))),
                ("tokens", tokens),
                ("request", json!(id)),
                ("refreshed", refreshed),
            ]);
        }
        let body = json!({"redirect_uris": ["http://localhost:4200/cb"]});
        let registered = self.http.post(format!("{}/oauth2/register", self.base)).json(&body).send().await.unwrap();
        seen.push(("client", registered.json().await.unwrap()));
        let made = self.http.post(format!("{}/User", self.base)).basic_auth("root", Some("secret"));
        let (_, user) = read(made.json(&json!({"userName": "carol"})).send().await.unwrap()).await;
        seen.push(("document", user));
        seen
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seed_gives_the_same_keys_ids_codes_and_tokens_in_each_run() {
    for database in BOTH {
        let args = ["--seed", "7", "--clock", TIME];
        let first = Run::start(database, &args).await.everything().await;
        let second = Run::start(database, &args).await.everything().await;
        assert_eq!(first.len(), 18);
        for (one, two) in first.iter().zip(&second) {
            assert_eq!(one, two);
        }
        let other = Run::start(database, &["--seed", "8", "--clock", TIME]).await.everything().await;
        for (one, other) in first.iter().zip(&other) {
            assert_ne!(one.1, other.1, "{}", one.0);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_seed_every_run_is_its_own() {
    for database in BOTH {
        let first = Run::start(database, &["--clock", TIME]).await.everything().await;
        let second = Run::start(database, &["--clock", TIME]).await.everything().await;
        for (one, two) in first.iter().zip(&second) {
            assert_ne!(one.1, two.1, "{}", one.0);
        }
    }
}

/// What starts `dev` with this seed on the database of these settings.
async fn seeded(settings: &Settings, seed: u64) -> Result<Instance, String> {
    let mut settings = settings.clone();
    (settings.mode, settings.seed) = (Mode::Dev, Some(seed));
    Instance::start(settings, Clock::frozen_at(Timestamp(1_893_456_000))).await.map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seed_wants_an_empty_database_and_what_it_made_is_of_no_use_elsewhere() {
    for database in BOTH {
        // A schema, or a file, that a server without a seed used.
        let used = match database {
            Database::Sqlite => Server::on_a_file().await,
            Database::Postgres => Server::start(database).await,
        };
        let why = seeded(&used.settings, 1).await.unwrap_err();
        assert!(why.contains("--seed") && why.contains("in use already"), "{why}");

        let folder = Folder::new(database).await;
        let mut settings = used.settings.clone();
        settings.database_url = match database {
            Database::Sqlite => countersign::config::DatabaseUrl::SqliteFile(folder.path.join("seeded.db")),
            Database::Postgres => countersign::config::DatabaseUrl::Postgres(folder.url()),
        };
        let first = seeded(&settings, 1).await.unwrap();
        first.stop().await;
        settings.master_key = Some(MasterKey::generate());
        for mode in [Mode::Serve, Mode::Dev] {
            (settings.mode, settings.seed) = (mode, None);
            let why = Instance::start(settings.clone(), Clock::default()).await.unwrap_err().to_string();
            assert!(why.contains("does not open with this master key"), "{why}");
        }
        assert!(
            seeded(&settings, 1).await.unwrap_err().contains("in use already"),
            "a second run is not like the first"
        );
    }
}

both!(
    async fn serve_takes_neither_seed_nor_clock(server: Server) {
        let database = if server.settings.database_url == countersign::config::DatabaseUrl::SqliteMemory {
            Database::Sqlite
        } else {
            Database::Postgres
        };
        let folder = Folder::new(database).await;
        for flag in [["--seed", "1"], ["--clock", TIME]] {
            for command in ["serve", "check"] {
                let refused = folder.run(&[&[command], &flag[..]].concat());
                let said = refused.stderr.contains(flag[0]) && refused.stderr.contains("`countersign dev` alone");
                assert!(refused.code != 0 && said, "{refused:?}");
            }
        }
        for (flag, value) in
            [("--seed", "-1"), ("--seed", "x"), ("--clock", "tomorrow"), ("--clock", "1969-01-01T00:00:00Z")]
        {
            let refused = folder.run(&["dev", &format!("{flag}={value}")]);
            assert!(refused.code != 0 && refused.stderr.contains(value), "{refused:?}");
        }
        // A seed that comes by another way than the command line has no effect either.
        let with_seed = server.another_with(|settings| settings.seed = Some(1)).await;
        assert_eq!(with_seed.metadata().await["issuer"], with_seed.issuer());
    }
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_realm_has_what_follows_from_the_seed_and_its_path() {
    let of_a_run = async || {
        let run = Run::start(Database::Sqlite, &["--seed", "7", "--clock", TIME]).await;
        let mut keys = Vec::new();
        for realm in ["", "/realms/a", "/realms/b"] {
            if let Some(name) = realm.strip_prefix("/realms/") {
                let made = run.http.post(format!("{}/dev/realms?name={name}", run.base)).send().await.unwrap();
                assert_eq!(made.status(), 201);
            }
            let read = async |path: &str| -> Value {
                run.http.get(format!("{}{realm}{path}", run.base)).send().await.unwrap().json().await.unwrap()
            };
            assert_eq!(read("/dev/clock").await["time"], TIME);
            keys.push(read("/.well-known/jwks.json").await);
        }
        keys
    };
    let first = of_a_run().await;
    let kids = |keys: &Value| keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].clone()).collect::<Vec<_>>();
    for (one, other) in [(0, 1), (0, 2), (1, 2)] {
        assert!(kids(&first[one]).iter().all(|kid| !kids(&first[other]).contains(kid)), "{first:?}");
    }
    assert_eq!(first[1..], of_a_run().await[1..]);
}

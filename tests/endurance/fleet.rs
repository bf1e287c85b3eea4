//! Three nodes on one PostgreSQL: restarted one after the other and their keys rotated, under load, without a client noticing that
//! retries once; and what changes on one holds on all within a second.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Client;
use serde_json::json;

use crate::load::{
    Outcome, ask, code, furnished, furnished_on, get, introspect, own_token, redeem, refresh, signed_in,
};
use crate::postgres::Postgres;
use crate::support::{Database, Folder, Process, Service, within_a_second};
use crate::{alone, rounds};

/// What a load balancer knows: addresses, some of which may have gone.
#[derive(Default)]
struct Balancer {
    nodes: Mutex<Vec<SocketAddr>>,
    turn: AtomicUsize,
    /// Requests, and how many of them had to be asked again.
    asked: AtomicUsize,
    retried: AtomicUsize,
}

type Asked<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

impl Balancer {
    /// The next in turn, but not this one.
    fn next(&self, but: Option<SocketAddr>) -> SocketAddr {
        let nodes = self.nodes.lock().unwrap();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let node = nodes[turn % nodes.len()];
        if but == Some(node) { nodes[(turn + 1) % nodes.len()] } else { node }
    }

    /// Asks a node, and another one where that is gone or says so.
    async fn asks<'a>(&self, request: impl Fn(SocketAddr) -> Asked<'a> + Send) -> Outcome {
        let served = |outcome: &Outcome| outcome.status != 0 && outcome.status < 500;
        self.asked.fetch_add(1, Ordering::Relaxed);
        let node = self.next(None);
        let first = request(node).await;
        if served(&first) {
            return first;
        }
        self.retried.fetch_add(1, Ordering::Relaxed);
        let second = request(self.next(Some(node))).await;
        assert!(served(&second), "failed twice: {first:?}, then {second:?}");
        second
    }
}

fn client() -> Client {
    Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap()
}

/// Gets a token and looks at it, refreshes and reads the keys, over and over.
async fn customer(balancer: Arc<Balancer>, first: String, going: Arc<AtomicBool>) {
    let http = client();
    let mut token = first;
    while going.load(Ordering::Relaxed) {
        let own = balancer.asks(|at| Box::pin(own_token(&http, at))).await;
        let own = own.text("access_token");
        let found = balancer.asks(|at| Box::pin(introspect(&http, at, &own))).await;
        assert_eq!(found.body["active"], true, "{found:?}");
        // Refreshed once more where the answer was lost: the grace returns the same successor.
        let next = balancer.asks(|at| Box::pin(refresh(&http, at, "lenient", &token))).await;
        assert_eq!(next.status, 200, "{next:?}");
        token = next.text("refresh_token");
        let hers = next.text("access_token");
        let found = balancer.asks(|at| Box::pin(introspect(&http, at, &hers))).await;
        assert_eq!(found.body["active"], true, "{found:?}");
        let keys = balancer.asks(|at| Box::pin(get(&http, at, "/.well-known/jwks.json"))).await;
        assert!(keys.body["keys"].as_array().is_some_and(|keys| keys.len() >= 3), "{keys:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_with_new_keys_goes_unnoticed() {
    let _alone = alone().await;
    let postgres = Postgres::start();
    let folder = furnished_on(&postgres.url()).await;
    let mut nodes: Vec<(Process, Service)> = (0..3).map(|_| folder.serve(&[])).collect();
    let balancer = Arc::new(Balancer::default());
    *balancer.nodes.lock().unwrap() = nodes.iter().map(|(_, service)| service.address).collect();
    let at = nodes[0].1.address;
    let browser = signed_in(at).await;
    let http = client();
    // The RSA keys come a little later than the first start.
    crate::load::within(Duration::from_secs(20), "five keys", async || {
        get(&http, at, "/.well-known/jwks.json").await.body["keys"].as_array().is_some_and(|keys| keys.len() == 5)
    })
    .await;
    let going = Arc::new(AtomicBool::new(true));
    let mut customers = Vec::new();
    for _ in 0..4 {
        let code = code(&browser, at, "lenient").await.unwrap();
        let tokens = redeem(&http, at, "lenient", &code).await;
        customers.push(tokio::spawn(customer(Arc::clone(&balancer), tokens.text("refresh_token"), Arc::clone(&going))));
    }
    for round in 0..rounds(1) {
        for (node, place) in nodes.iter_mut().enumerate() {
            // The new one is there before the old one goes, as orchestrators do.
            let (process, service) = tokio::task::block_in_place(|| folder.serve(&[]));
            balancer.nodes.lock().unwrap()[node] = service.address;
            let (old, _) = std::mem::replace(place, (process, service));
            old.signal("TERM");
            let ended = tokio::task::block_in_place(|| old.ended());
            assert_eq!(ended.code, 0, "{ended:?}");
            if node == 1 {
                tokio::task::block_in_place(|| folder.ok(&["keys", "rotate"]));
            }
        }
        // And one that goes without a word, while it is still in the balancer's list.
        let node = round as usize % nodes.len();
        nodes[node].0.signal("TERM");
        tokio::time::sleep(Duration::from_millis(200)).await;
        let (process, service) = tokio::task::block_in_place(|| folder.serve(&[]));
        balancer.nodes.lock().unwrap()[node] = service.address;
        nodes[node] = (process, service);
    }
    going.store(false, Ordering::Relaxed);
    for customer in customers {
        customer.await.unwrap();
    }
    let [asked, retried] = [&balancer.asked, &balancer.retried].map(|count| count.load(Ordering::Relaxed));
    assert!(asked > 200 && retried * 2 < asked, "{retried} of {asked} were asked again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_on_one_node_holds_on_all_within_a_second() {
    let _alone = alone().await;
    let postgres = Postgres::start();
    let folder = furnished_on(&postgres.url()).await;
    let nodes: Vec<(Process, Service)> = (0..3).map(|_| folder.serve(&[])).collect();
    let services: Vec<&Service> = nodes.iter().map(|(_, service)| service).collect();
    let http = &services[0].http;
    let url = |node: usize, path: &str| services[node].url(path);
    let patch = async |node: usize, path: &str, change: serde_json::Value| {
        let request = services[node].http.patch(url(node, path)).basic_auth("root", Some("secret"));
        let request = request.header("content-type", "application/merge-patch+json").body(change.to_string());
        let outcome = ask("patch", request).await;
        assert_eq!(outcome.status, 200, "{outcome:?}");
    };
    let on_all = async |token: &str, expected: bool| {
        let mut all = true;
        for service in &services {
            all &= introspect(&service.http, service.address, token).await.body["active"] == expected;
        }
        all
    };
    let serve = async |expected: u16| {
        let mut all = true;
        for service in &services {
            all &= own_token(&service.http, service.address).await.status == expected;
        }
        all
    };
    // Each hashes the secret once, which takes its time.
    assert!(serve(200).await);
    for _ in 0..rounds(2) {
        for node in 0..services.len() {
            let own = own_token(http, services[0].address).await.text("access_token");
            assert!(on_all(&own, true).await);
            let revoke = services[node].http.post(url(node, "/oauth2/revoke"));
            let revoke = revoke.basic_auth("service", Some("service-secret")).form(&[("token", &own)]);
            assert_eq!(ask("revoke", revoke).await.status, 200);
            assert!(on_all(&own, false).await, "a revocation holds at once");

            // The client is switched off on one, and on again.
            patch(node, "/Client/service", json!({"active": false})).await;
            within_a_second(async || serve(401).await).await;
            patch(node, "/Client/service", json!({"active": true})).await;
            within_a_second(async || serve(200).await).await;
        }
    }
    for node in 0..services.len() {
        // Alice is switched off on one: her tokens end on all, and so does her login.
        let browser = signed_in(services[0].address).await;
        let code = code(&browser, services[0].address, "app").await.unwrap();
        let hers = redeem(http, services[0].address, "app", &code).await.text("access_token");
        assert!(on_all(&hers, true).await);
        patch(node, "/User/alice", json!({"inactive": true})).await;
        within_a_second(async || on_all(&hers, false).await).await;
        patch(node, "/User/alice", json!({"inactive": false})).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_starts_on_a_database_that_a_newer_version_has_migrated() {
    let _alone = alone().await;
    let postgres = Postgres::start();
    let on_postgres = furnished_on(&postgres.url()).await;
    let on_sqlite = furnished(Folder::new(Database::Sqlite).await);
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9999, 'of later', TRUE, $1, 0)";
    for folder in [&on_postgres, &on_sqlite] {
        folder.ok(&["migrate"]);
    }
    sqlx::query(newer).bind(vec![0_u8; 48]).execute(&mut postgres.connect().await).await.unwrap();
    let file = sqlx::sqlite::SqliteConnectOptions::new().filename(on_sqlite.path.join("it.db"));
    let mut connection = <sqlx::SqliteConnection as sqlx::Connection>::connect_with(&file).await.unwrap();
    sqlx::query(newer).bind(vec![0_u8; 48]).execute(&mut connection).await.unwrap();
    sqlx::Connection::close(connection).await.unwrap();
    for folder in [&on_postgres, &on_sqlite] {
        let (_process, service) = folder.serve(&[]);
        assert_eq!(own_token(&service.http, service.address).await.status, 200);
    }
}

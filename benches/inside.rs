//! What the inside costs: secrets, signatures, parsers, and the verbs of the store on both databases.
//!
//!     cargo bench --bench inside
//!     TEST_DATABASE_URL=postgres://… cargo bench --bench inside       PostgreSQL's verbs too
//!
//! The whole server under load is measured by `bench/`.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]

use std::hint::black_box;

use countersign::clock::{Clock, new_row_id};
use countersign::domain::bearer::{Bearer, Kind};
use countersign::domain::password;
use countersign::domain::redirect_uri::RedirectUri;
use countersign::domain::scope::Scope;
use countersign::domain::secret::{MacKey, MasterKey, Secret};
use countersign::oauth::Params;
use countersign::oauth::client_authentication::Basic;
use countersign::oauth::keys::{ALGORITHMS, Keys};
use countersign::oauth::registry::Registry;
use countersign::randomness::Randomness;
use countersign::store::rotation::Rotation;
use countersign::store::sessions::Session;
use countersign::store::{Location, Store};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;

fn secrets(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("client secret");
    let secret = Secret::generate();
    let fast = password::fast_form(&secret);
    group
        .bench_function("made by the server: SHA-256", |b| b.iter(|| password::verify_fast(black_box(&secret), &fast)));
    let key = MacKey::ephemeral();
    let parts = ["client-id", "$argon2id$v=19$…", secret.expose()].map(str::as_bytes);
    group.bench_function("chosen, seen before: keyed hash", |b| b.iter(|| key.tag(black_box(&parts))));
    group.sample_size(10);
    let mut memory = password::Memory::default();
    let slow = password::hash(&secret, [0; 16], &mut memory);
    group.bench_function("chosen, new: argon2id", |b| {
        b.iter(|| password::verify(black_box(&secret), &slow, &mut memory));
    });
}

fn parsers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    let form = b"grant_type=authorization_code&code=cs_ac_AaIP6XUAcuWesSJiYvVZTKHD4zdRIoIQnxxxQLVurtNGuEeP7Vdv1QnuG-hr4Hrk&redirect_uri=http%3A%2F%2Flocalhost%3A4200%2Fcb&code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    group.throughput(Throughput::Bytes(form.len() as u64));
    group.bench_function("form", |b| b.iter(|| Params::from_form(black_box(form)).unwrap()));
    let basic = b"Basic d2ViLWFwcDpjbGllbnQtc2VjcmV0";
    group.bench_function("Basic header", |b| b.iter(|| Basic::parse(black_box(basic)).unwrap().unwrap()));
    group.bench_function("scope", |b| {
        b.iter(|| Scope::parse(black_box("openid profile email offline_access")).unwrap());
    });
    let token = Bearer::generate(Kind::AccessToken, new_row_id()).reveal();
    group.bench_function("access token", |b| {
        b.iter(|| Bearer::parse(Kind::AccessToken, black_box(&token)).unwrap().digest());
    });
    let uri = RedirectUri::stored("https://app.example.com/callback");
    group.bench_function("redirect URI, equal", |b| {
        b.iter(|| uri.matches(black_box("https://app.example.com/callback")));
    });
    let loopback = RedirectUri::stored("http://127.0.0.1/callback");
    group.bench_function("redirect URI, another loopback port", |b| {
        b.iter(|| loopback.matches(black_box("http://127.0.0.1:51004/callback")));
    });
}

fn signatures(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let ring = runtime.block_on(async {
        let store = Store::open(&Location::SqliteMemory).await.unwrap();
        store.migrate().await.unwrap();
        let master = MasterKey::generate();
        Keys::new(store.clone(), &master, Randomness::default())
            .ensure(&ALGORITHMS, Clock::default().now())
            .await
            .unwrap();
        Registry::new(store, &master, Vec::new(), None, None, Randomness::default())
            .await
            .unwrap()
            .key_ring()
            .await
            .unwrap()
    });
    let Value::Object(claims) = json!({
        "iss": "https://id.example.com", "sub": "alice", "aud": "web-app", "exp": 1_800_003_600, "iat": 1_800_000_000,
        "auth_time": 1_800_000_000, "nonce": "n-0S6_WzA2Mj", "at_hash": "77QmUPtjPfzWtF2AnpK9RQ", "email": "alice@example.com",
    }) else {
        return;
    };
    let mut group = criterion.benchmark_group("sign a JWT");
    for alg in ALGORITHMS {
        let key = ring.signing(alg, Clock::default().now()).unwrap();
        group.bench_function(alg, |b| {
            b.to_async(&runtime)
                .iter(|| async { key.sign("JWT", black_box::<&Map<String, Value>>(&claims)).await.unwrap() });
        });
    }
}

/// A session of a client for itself, as `client_credentials` makes it, with a refresh token to rotate.
fn session(access: &Bearer, refresh: &Bearer) -> Session {
    let now = Clock::default().now();
    Session {
        client_id: Some("web-app".into()),
        client_epoch: Some(0),
        scope: "openid profile".into(),
        granted_scope: "openid profile".into(),
        audience: "https://api.example.com".into(),
        token_digest: Some(access.digest().as_bytes().into()),
        refresh_digest: Some(refresh.digest().as_bytes().into()),
        ..Session::new(access.id(), "authorization_code", now.plus(3_600), now)
    }
}

async fn insert(store: &Store) -> Bearer {
    let id = new_row_id();
    let refresh = Bearer::generate(Kind::RefreshToken, id);
    store.insert_session(session(&Bearer::generate(Kind::AccessToken, id), &refresh)).await.unwrap();
    refresh
}

fn rotation(refresh: &Bearer, next: &Bearer) -> Rotation {
    let now = Clock::default().now();
    Rotation {
        id: refresh.id(),
        digest: refresh.digest(),
        client_id: "web-app".into(),
        client_epoch: 0,
        kind: "authorization_code",
        scope: None,
        successor: next.id(),
        token_digest: None,
        refresh_digest: next.digest(),
        token_expires_at: now.plus(3_600),
        refresh_expires_at: None,
        now,
    }
}

/// Callers that wait at the same moment share a statement and a commit: alone, and thirty-two together.
fn verbs(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let folder = std::env::temp_dir().join(format!("countersign-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut stores = vec![("SQLite file", Location::SqliteFile(folder.join("bench.db")))];
    match std::env::var("TEST_DATABASE_URL") {
        Ok(url) => stores.push(("PostgreSQL", Location::Postgres(url))),
        Err(_) => eprintln!("PostgreSQL is left out: name a server, TEST_DATABASE_URL=postgres://…"),
    }
    for (name, location) in stores {
        let store = runtime.block_on(async {
            let store = Store::open(&location).await.unwrap();
            store.migrate().await.unwrap();
            store
        });
        let known = runtime.block_on(insert(&store)).id();
        let mut group = criterion.benchmark_group(name);
        for together in [1_u64, 32] {
            group.throughput(Throughput::Elements(together));
            let all = |verb: &str| format!("{verb}, {together} at once");
            group.bench_function(all("insert a session"), |b| {
                b.to_async(&runtime).iter(|| at_once(together, || insert(&store)));
            });
            group.bench_function(all("find a session"), |b| {
                b.to_async(&runtime).iter(|| at_once(together, async || store.session(known).await.unwrap().unwrap()));
            });
            group.bench_function(all("insert a session and rotate its token"), |b| {
                b.to_async(&runtime).iter(|| {
                    at_once(together, async || {
                        let refresh = insert(&store).await;
                        let next = Bearer::generate(Kind::RefreshToken, new_row_id());
                        store.rotate(rotation(&refresh, &next)).await.unwrap().unwrap()
                    })
                });
            });
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

async fn at_once<F: Future>(number: u64, verb: impl Fn() -> F) {
    futures_util::future::join_all((0..number).map(|_| verb())).await;
}

criterion_group!(benches, secrets, parsers, signatures, verbs);
criterion_main!(benches);

//! What several targets need.

use std::future::Future;

use countersign::randomness::Randomness;
use countersign::domain::client::Client;
use countersign::domain::secret::MasterKey;
use countersign::domain::time::Timestamp;
use countersign::identity::hashing::Hashing;
use countersign::oauth::keys::{ALGORITHMS, Keys};
use countersign::oauth::{Provider, Rules};
use countersign::outbound::Outbound;
use countersign::store::{Location, Store};
use serde_json::Value;
use tokio::runtime::Runtime;

/// The issuer of [`Server`].
pub const ISSUER: &str = "https://login.example.com";

/// A provider over an empty database in memory, with a thread to run on.
pub struct Server {
    /// The provider.
    pub provider: Provider,
    runtime: Runtime,
}

impl Server {
    /// Makes keys, and takes these clients as its own.
    pub fn new(clients: Vec<Client>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let rules = Rules {
            issuer: ISSUER.to_owned(),
            dialect: None,
            access_token_expiration: 3_600,
            max_refresh_token_expiration: None,
            refresh_grace: 10,
            internal_url: None,
            password_grant: true,
            implicit_grant: true,
            registration: false,
            metadata_documents: countersign::oauth::metadata_document::Hosts::Only(Vec::new()),
            leeway: None,
        };
        let provider = runtime.block_on(async {
            let store = Store::open(&Location::SqliteMemory).await.expect("a database");
            store.migrate().await.expect("its tables");
            let master = MasterKey::generate();
            Keys::new(store.clone(), &master, Randomness::default()).ensure(&ALGORITHMS, Timestamp(0)).await.expect("keys");
            let outbound = Outbound::new(Vec::new(), false, None).expect("a way to nowhere");
            Provider::new(rules, store, &master, clients, Hashing::default(), outbound, Randomness::default()).await.expect("a provider")
        });
        Self { provider, runtime }
    }

    /// Runs to the end.
    pub fn run<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }
}

/// How deep a value nests.
pub fn depth(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Whether two values are the same. Readers of decimal fractions may differ in the last bit, and in the sign of nothing.
pub fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, value)| other.get(name).is_some_and(|other| same(value, other)))
        }
        (Value::Number(one), Value::Number(other)) if one.is_f64() && other.is_f64() => {
            let (one, other) = (one.as_f64().unwrap_or_default(), other.as_f64().unwrap_or_default());
            (one - other).abs() <= one.abs() * 1e-15
        }
        (Value::Number(one), Value::Number(other)) => {
            one == other || [one, other].iter().all(|n| n.as_f64() == Some(0.0))
        }
        _ => one == other,
    }
}

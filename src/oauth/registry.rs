//! What a node remembers of clients and signing keys, and how it learns that they changed.
//!
//! A single number in the database is raised with every change. Whoever needs a client or a key compares it first, at most
//! twice a second; so a change made on another node holds here within half a second, and an idle node asks nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use moka::future::Cache;
use tokio::sync::{Mutex, watch};

use super::keys::{ALGORITHMS, KeyRing, Keys};
use super::metadata_document::MetadataDocuments;
use crate::clock::monotonic_millis;
use crate::domain::client::{Client, Defaults};
use crate::domain::internal::Internal;
use crate::domain::late::{Late, late};
use crate::domain::secret::MasterKey;
use crate::domain::time::Timestamp;
use crate::randomness::Randomness;
use crate::store::{Error, Store};

/// How long an answer about the version is good for, in milliseconds.
const TRUSTED_FOR: u64 = 500;
/// Between two tries to make the first keys.
const RETRY: Duration = Duration::from_secs(1);
/// How long a comparison may take, waiting for somebody else's included.
const PATIENCE: Duration = Duration::from_millis(1_700);
/// How many clients are remembered at the most.
const CLIENTS: u64 = 20_000;

/// Clients and keys, remembered. Clones share it.
#[derive(Clone, Debug)]
pub struct Registry(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    keys: Keys,
    own: Vec<Arc<Client>>,
    documents: Option<MetadataDocuments>,
    defaults: Option<Defaults>,
    clients: Late<Cache<String, Arc<Client>>>,
    ring: ArcSwap<KeyRing>,
    version: AtomicI64,
    checked_at: AtomicU64,
    expiries: AtomicU64,
    failed_at: AtomicU64,
    checking: Mutex<()>,
    complete: watch::Sender<bool>,
    on_demand: AtomicBool,
}

impl Registry {
    /// The keys and clients of a store for a command, without those of settings and dialects.
    pub async fn of_store(store: Store, master: &MasterKey) -> Result<Self, Internal> {
        Self::new(store, master, Vec::new(), None, None, Randomness::default()).await
    }

    /// Reads the keys, which are there. `own` are clients that go with the settings and are no documents; `defaults` hold for all.
    pub async fn new(
        store: Store,
        master: &MasterKey,
        own: Vec<Client>,
        documents: Option<MetadataDocuments>,
        defaults: Option<Defaults>,
        randomness: Randomness,
    ) -> Result<Self, Internal> {
        let keys = Keys::new(store.clone(), master, randomness);
        let version = store.configuration_version().await?;
        let ring = keys.load().await?;
        Ok(Self(Arc::new(Inner {
            store,
            keys,
            own: own.into_iter().map(|client| with(defaults.as_ref(), Arc::new(client))).collect(),
            documents,
            defaults,
            clients: late(|| Cache::new(CLIENTS)),
            ring: ArcSwap::from_pointee(ring),
            version: AtomicI64::new(version),
            checked_at: AtomicU64::new(monotonic_millis()),
            expiries: AtomicU64::new(0),
            failed_at: AtomicU64::new(0),
            checking: Mutex::new(()),
            complete: watch::Sender::new(true),
            on_demand: AtomicBool::new(false),
        })))
    }

    /// The client of this id. One that is switched off is found too; the callers decide what that means.
    pub async fn client(&self, id: &str) -> Result<Option<Arc<Client>>, Internal> {
        if let Some(own) = self.0.own.iter().find(|client| client.id == id) {
            return Ok(Some(Arc::clone(own)));
        }
        if let Some(documents) = self.documents_of(id) {
            return Ok(documents.last_known(id).await?.map(|client| self.with_defaults(client)));
        }
        self.refresh().await?;
        if let Some(client) = self.0.clients.get(id).await {
            return Ok(Some(client));
        }
        let version = self.0.version.load(Ordering::Acquire);
        let Some(client) = self.0.store.client(id).await?.map(Arc::new) else { return Ok(None) };
        let client = self.with_defaults(client);
        self.0.clients.insert(id.to_owned(), Arc::clone(&client)).await;
        // A change that was noticed while the row was read: what was read may be older.
        if self.0.version.load(Ordering::Acquire) != version {
            self.0.clients.invalidate(id).await;
        }
        Ok(Some(client))
    }

    /// The clients of the settings, and the first documents by id, at most so many.
    pub async fn clients(&self, limit: i64) -> Result<Vec<Arc<Client>>, Internal> {
        let documents = self.0.store.clients(limit).await?;
        let documents = documents.into_iter().map(|client| self.with_defaults(Arc::new(client)));
        Ok(self.0.own.iter().cloned().chain(documents).collect())
    }

    fn with_defaults(&self, client: Arc<Client>) -> Arc<Client> {
        with(self.0.defaults.as_ref(), client)
    }

    /// The client of this id as it is now, for one who begins: a metadata document that is not fresh is fetched anew.
    pub async fn current_client(&self, id: &str) -> Result<Option<Arc<Client>>, Internal> {
        match self.documents_of(id) {
            Some(documents) => Ok(documents.current(id).await?.map(|client| self.with_defaults(client))),
            None => self.client(id).await,
        }
    }

    /// Keeps the metadata document of a client that somebody has consented to.
    pub async fn keep_document(&self, id: &str, now: Timestamp) -> Result<(), Internal> {
        match self.documents_of(id) {
            Some(documents) => documents.keep(id, now).await,
            None => Ok(()),
        }
    }

    fn documents_of(&self, id: &str) -> Option<&MetadataDocuments> {
        self.0.documents.as_ref().filter(|documents| documents.is_one(id))
    }

    /// The signing keys.
    pub async fn key_ring(&self) -> Result<Arc<KeyRing>, Internal> {
        self.refresh().await?;
        Ok(self.0.ring.load_full())
    }

    /// The signing keys, once there is one for every algorithm.
    pub async fn whole_key_ring(&self) -> Result<Arc<KeyRing>, Internal> {
        // The sender lives as long as this registry.
        let _ = self.0.complete.subscribe().wait_for(|complete| *complete).await;
        self.key_ring().await
    }

    /// The signing keys, once there is one for this algorithm.
    pub async fn key_ring_with(&self, alg: &str, now: Timestamp) -> Result<Arc<KeyRing>, Internal> {
        let mut ring = self.key_ring().await?;
        if !ring.has(alg) && self.0.on_demand.load(Ordering::Acquire) && ALGORITHMS.contains(&alg) {
            self.keys().ensure(&[alg], now).await?;
            self.expire();
            return self.key_ring().await;
        }
        if !ring.has(alg) {
            let mut complete = self.0.complete.subscribe();
            while !*complete.borrow_and_update() && !ring.has(alg) {
                let _ = complete.changed().await;
                ring = self.key_ring().await?;
            }
        }
        Ok(ring)
    }

    /// Makes the keys that are missing, in the background: the very first start need not wait for them.
    pub fn complete_keys(&self, now: Timestamp) {
        if self.0.ring.load().is_complete() {
            return;
        }
        self.0.complete.send_replace(false);
        let registry = self.clone();
        tokio::spawn(async move {
            for alg in ALGORITHMS {
                while let Err(error) = registry.keys().ensure(&[alg], now).await {
                    tracing::error!(%error, alg, "the first signing key could not be made; trying again");
                    tokio::time::sleep(RETRY).await;
                }
                registry.expire();
                registry.0.complete.send_replace(alg == ALGORITHMS[ALGORITHMS.len() - 1]);
            }
        });
    }

    /// Whether there is a key for every algorithm.
    pub fn has_all_keys(&self) -> bool {
        self.0.ring.load().is_complete()
    }

    /// Makes the keys that are missing when they are first to sign: a realm that lives for one test need not have an RSA key.
    pub fn make_keys_on_demand(&self) {
        self.0.on_demand.store(true, Ordering::Release);
    }

    /// The verbs that change keys.
    pub fn keys(&self) -> &Keys {
        &self.0.keys
    }

    /// Forgets that the version was compared lately: a change was just made here and must hold at once.
    pub fn expire(&self) {
        self.0.expiries.fetch_add(1, Ordering::SeqCst);
        self.0.checked_at.store(0, Ordering::SeqCst);
    }

    async fn refresh(&self) -> Result<(), Internal> {
        let inner = &*self.0;
        let is_fresh = || {
            let checked = inner.checked_at.load(Ordering::Acquire);
            checked != 0 && monotonic_millis().saturating_sub(checked) < TRUSTED_FOR
        };
        if is_fresh() {
            return Ok(());
        }
        // While the database is away nobody waits for the tries of all who came before as well.
        tokio::time::timeout(PATIENCE, self.compare(is_fresh)).await.unwrap_or(Err(Error::PoolTimedOut.into()))
    }

    async fn compare(&self, is_fresh: impl Fn() -> bool) -> Result<(), Internal> {
        let inner = &*self.0;
        let waiting_since = monotonic_millis();
        let _one = inner.checking.lock().await;
        if is_fresh() {
            return Ok(());
        }
        // Whoever waited while the database was tried in vain need not try it in turn, one after the other.
        if inner.failed_at.load(Ordering::Acquire) > waiting_since {
            return Err(Error::PoolTimedOut.into());
        }
        let expiries = inner.expiries.load(Ordering::SeqCst);
        let asked_at = monotonic_millis().max(1);
        let version = inner.store.configuration_version().await.inspect_err(|_| {
            inner.failed_at.store(monotonic_millis(), Ordering::Release);
        })?;
        if inner.version.load(Ordering::Acquire) != version {
            inner.ring.store(Arc::new(inner.keys.load().await?));
            inner.version.store(version, Ordering::Release);
            inner.clients.invalidate_all();
        }
        inner.checked_at.store(asked_at, Ordering::SeqCst);
        // A change that was made here while the version was on its way: the answer may be older.
        if inner.expiries.load(Ordering::SeqCst) != expiries {
            inner.checked_at.store(0, Ordering::SeqCst);
        }
        Ok(())
    }
}

/// The client, with the defaults where there are some.
fn with(defaults: Option<&Defaults>, client: Arc<Client>) -> Arc<Client> {
    match defaults {
        None => client,
        Some(defaults) => Arc::new(Client::clone(&client).with(defaults)),
    }
}

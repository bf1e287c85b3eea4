//! The keys of clients: `jwks` from the document itself, or what is at its `jwks_uri` (RFC 7591 §2), fetched and kept for a while.
//!
//! A set is fetched when it is first needed and when it has had its time, by one request at a time; and, because clients change
//! their keys, when a signature names a key that it lacks. While the client's server is away, the last good set serves on.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use moka::future::Cache;
use tokio::sync::{Mutex, Semaphore};

use super::Provider;
use super::jws::Jws;
use crate::domain::client::Client;
use crate::domain::jwk::{KeySet, PublicKey, SIGNING_ALGORITHMS};
use crate::domain::late::{Late, late};
use crate::domain::time::Timestamp;
use crate::outbound::Outbound;

/// Seconds for which a set is kept where its server says nothing, and the bounds of what it may say.
const UNSAID: i64 = 300;
const LEAST: i64 = 60;
const MOST: i64 = 3_600;
/// Seconds beyond that for which it serves on while no other can be fetched.
const SERVES_ON: i64 = 3_600;
/// Seconds between two tries for keys that are missing, where the first found none.
const PAUSE: i64 = 10;
/// So many requests wait for a set that is being fetched; the others are answered at once.
const WAITING: usize = 32;
/// How many sets are kept, and for how long those that nobody asks for.
const SETS: u64 = 2_000;
const UNUSED: Duration = Duration::from_hours(3);

/// The sets that were fetched. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct ClientKeys {
    outbound: Outbound,
    sets: Late<Cache<String, Arc<Remote>>>,
}

/// What is at a URI.
#[derive(Debug)]
struct Remote {
    current: ArcSwapOption<Current>,
    fetching: Mutex<Tried>,
    waiting: Semaphore,
}

#[derive(Debug)]
struct Current {
    keys: Arc<KeySet>,
    fetched_at: Timestamp,
    fresh_until: Timestamp,
}

/// When a fetch last failed, and when missing keys were last looked for in vain.
#[derive(Debug, Default)]
struct Tried {
    failed_at: Option<Timestamp>,
    sought_at: Option<Timestamp>,
}

/// Why a text is not believed to be of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unverified {
    #[error("its algorithm is not one that may be used here")]
    Algorithm,
    #[error("the client has registered neither jwks nor jwks_uri")]
    NoKeys,
    #[error("the keys at the client's jwks_uri cannot be fetched")]
    Unavailable,
    #[error("no registered key of the client fits its kid and algorithm")]
    NoFittingKey,
    #[error("its signature is of none of the client's keys")]
    Signature,
}

impl Provider {
    /// The registered keys of a client.
    pub(super) async fn keys_of(&self, client: &Client, now: Timestamp) -> Result<Arc<KeySet>, Unverified> {
        if let Some(value) = &client.document.jwks {
            return KeySet::parse(value).map(Arc::new).map_err(|_| Unverified::NoKeys);
        }
        let uri = client.document.jwks_uri.as_deref().ok_or(Unverified::NoKeys)?;
        self.client_keys.at(uri, now).await.ok_or(Unverified::Unavailable)
    }

    /// A registered key of a client that does; where none of them does, others are looked for.
    pub(super) async fn key_of(
        &self,
        client: &Client,
        does: impl Fn(&PublicKey) -> bool,
        now: Timestamp,
    ) -> Result<PublicKey, Unverified> {
        let keys = self.keys_of(client, now).await?;
        let among = |keys: &KeySet| keys.keys().iter().find(|key| does(key)).cloned();
        if let Some(key) = among(&keys) {
            return Ok(key);
        }
        let uri = client.document.jwks_uri.as_deref().filter(|_| client.document.jwks.is_none());
        let newer = match uri {
            Some(uri) => self.client_keys.newer(uri, &keys, now).await,
            None => None,
        };
        newer.and_then(|keys| among(&keys)).ok_or(Unverified::NoFittingKey)
    }

    /// Whether a JWS is of this client: signed with one of [`SIGNING_ALGORITHMS`] and a registered key that says it is for that.
    pub(super) async fn verify_of_client(
        &self,
        client: &Client,
        jws: &Jws<'_>,
        now: Timestamp,
    ) -> Result<(), Unverified> {
        if !SIGNING_ALGORITHMS.contains(&jws.alg.as_str()) {
            return Err(Unverified::Algorithm);
        }
        let keys = self.keys_of(client, now).await?;
        let verified = verify(&keys, jws);
        let Some(uri) = client.document.jwks_uri.as_deref().filter(|_| client.document.jwks.is_none()) else {
            return verified;
        };
        // A new key has a new name, or none.
        if verified.is_ok() || jws.kid.as_deref().is_some_and(|kid| keys.has(kid)) {
            return verified;
        }
        match self.client_keys.newer(uri, &keys, now).await {
            Some(newer) => verify(&newer, jws),
            None => verified,
        }
    }
}

fn verify(keys: &KeySet, jws: &Jws<'_>) -> Result<(), Unverified> {
    let mut outcome = Err(Unverified::NoFittingKey);
    for key in keys.fitting(&jws.alg, jws.kid.as_deref()) {
        if jws.is_signed_by(key) {
            return Ok(());
        }
        outcome = Err(Unverified::Signature);
    }
    outcome
}

impl ClientKeys {
    pub(super) fn new(outbound: Outbound) -> Self {
        Self { outbound, sets: late(|| Cache::builder().max_capacity(SETS).time_to_idle(UNUSED).build()) }
    }

    /// The keys at a URI; `None` where they cannot be had.
    async fn at(&self, uri: &str, now: Timestamp) -> Option<Arc<KeySet>> {
        let remote = self.remote(uri).await;
        if let Some(keys) = remote.fresh(now) {
            return Some(keys);
        }
        if let Ok(_waits) = remote.waiting.try_acquire() {
            let mut tried = remote.fetching.lock().await;
            if let Some(keys) = remote.fresh(now) {
                return Some(keys);
            }
            if !is_recent(tried.failed_at, now) {
                self.fetch(uri, &remote, &mut tried, now).await;
            }
        }
        let current = remote.current.load();
        let serves = |current: &Arc<Current>| is_between(current.fetched_at, now, current.fresh_until.plus(SERVES_ON));
        current.as_ref().filter(|current| serves(current)).map(|current| Arc::clone(&current.keys))
    }

    /// Looks whether there are other keys than these by now.
    async fn newer(&self, uri: &str, than: &Arc<KeySet>, now: Timestamp) -> Option<Arc<KeySet>> {
        let remote = self.remote(uri).await;
        let _waits = remote.waiting.try_acquire().ok()?;
        let mut tried = remote.fetching.lock().await;
        let other =
            || remote.current.load().as_ref().map(|current| Arc::clone(&current.keys)).filter(|keys| keys != than);
        if let Some(keys) = other() {
            return Some(keys);
        }
        if is_recent(tried.sought_at, now) || is_recent(tried.failed_at, now) {
            return None;
        }
        self.fetch(uri, &remote, &mut tried, now).await;
        let found = other();
        if found.is_none() {
            tried.sought_at = Some(now);
        }
        found
    }

    async fn remote(&self, uri: &str) -> Arc<Remote> {
        match self.sets.get(uri).await {
            Some(remote) => remote,
            None => self.sets.get_with(uri.to_owned(), async { Arc::new(Remote::new()) }).await,
        }
    }

    async fn fetch(&self, uri: &str, remote: &Remote, tried: &mut Tried, now: Timestamp) {
        let read = async {
            let fetched = self.outbound.get(uri).await.map_err(|error| error.to_string())?;
            let value =
                serde_json::from_slice(&fetched.body).map_err(|error| format!("{uri}: is no JSON ({error})"))?;
            let keys = KeySet::read(&value).map_err(|why| format!("{uri}: {why}"))?;
            Ok::<_, String>((keys, fetched.fresh_for(LEAST..=MOST, UNSAID)))
        };
        match read.await {
            Ok((keys, fresh_for)) => {
                let current = Current { keys: Arc::new(keys), fetched_at: now, fresh_until: now.plus(fresh_for) };
                remote.current.store(Some(Arc::new(current)));
                tried.failed_at = None;
            }
            Err(error) => {
                tracing::warn!(event = "client_keys_unavailable", %error);
                tried.failed_at = Some(now);
            }
        }
    }
}

impl Remote {
    fn new() -> Self {
        Self { current: ArcSwapOption::empty(), fetching: Mutex::default(), waiting: Semaphore::new(WAITING) }
    }

    fn fresh(&self, now: Timestamp) -> Option<Arc<KeySet>> {
        let current = self.current.load();
        let current = current.as_ref()?;
        is_between(current.fetched_at, now, current.fresh_until).then(|| Arc::clone(&current.keys))
    }
}

/// Whether it is `now` from the one to the other; a clock that was set back is believed no more than one that was ahead.
fn is_between(from: Timestamp, now: Timestamp, until: Timestamp) -> bool {
    from <= now && now < until
}

fn is_recent(at: Option<Timestamp>, now: Timestamp) -> bool {
    at.is_some_and(|at| is_between(at, now, at.plus(PAUSE)))
}

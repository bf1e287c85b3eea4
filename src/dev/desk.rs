//! A realm with what the control API knows of it: its site, the state it began with, and the snapshots taken since.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::faults::Faults;
use super::journal::Journal;
use crate::clock::{Clock, monotonic_millis};
use crate::domain::leeway::{self, Leeway};
use crate::domain::time::Timestamp;
use crate::realm::{Common, Error, Realm, Working};
use crate::store::keys::SigningKey;
use crate::store::snapshot::Snapshot;
use crate::web::Site;
use crate::web::hands_free::Policy;

/// How many snapshots a realm keeps, and how many bytes they may have together.
const SNAPSHOTS: usize = 64;
const BYTES: usize = 256 * 1_024 * 1_024;

/// How long a realm stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stay {
    /// As long as the process.
    Always,
    /// Until nobody has used it for so long.
    WhileUsed(Duration),
}

/// A realm and what is done to it. See the module.
pub(super) struct Desk {
    common: Common,
    current: ArcSwap<Current>,
    /// How it was founded; none where that is too large to keep.
    founding: Option<Kept>,
    snapshots: Mutex<BTreeMap<String, Kept>>,
    /// What was asked and answered.
    pub(super) journal: Journal,
    /// What is to go wrong.
    pub(super) faults: Faults,
    /// The keys that were made after the realm was founded, in the background.
    late_keys: OnceLock<Vec<SigningKey>>,
    /// Held by whoever puts a state back.
    changing: tokio::sync::Mutex<()>,
    stay: Stay,
    used_at: AtomicU64,
    working: Mutex<Option<Working>>,
}

struct Current {
    realm: Realm,
    site: Site,
}

/// A state to come back to: what the store held, what the clock showed, and what was done for people and said of them.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    policy: Policy,
    leeway: leeway::State,
    snapshot: Snapshot,
    taken_at: Timestamp,
    ahead: i64,
    frozen: bool,
}

/// Why a snapshot is not kept.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotKept {
    #[error("{SNAPSHOTS} snapshots are kept already; delete one first")]
    TooMany,
    #[error("the snapshots would take more than {} MiB; delete one first, or take a smaller database", BYTES / 1_048_576)]
    TooLarge,
    #[error(transparent)]
    Database(#[from] crate::store::Error),
}

impl Kept {
    /// Takes it, where the store is not larger than this: nobody waits for a database of millions to be read.
    async fn take(realm: &Realm, room: usize) -> Result<Self, NotKept> {
        if realm.store.size().await? > room {
            return Err(NotKept::TooLarge);
        }
        let snapshot = Box::pin(realm.store.snapshot()).await?;
        let clock = &realm.clock;
        Ok(Self {
            policy: realm.app.policy(),
            leeway: realm.provider.leeway().map(Leeway::kept).unwrap_or_default(),
            snapshot,
            taken_at: clock.now(),
            ahead: clock.ahead(),
            frozen: clock.is_frozen(),
        })
    }

    /// How large it is, in bytes.
    pub(super) fn size(&self) -> usize {
        self.snapshot.size()
    }

    /// What the clock showed.
    pub(super) const fn taken_at(&self) -> Timestamp {
        self.taken_at
    }

    /// Has done for people, and said of them, what was.
    fn conduct(&self, realm: &Realm) {
        if let Some(hands_free) = &realm.app.hands_free {
            hands_free.set(self.policy);
        }
        if let Some(leeway) = realm.provider.leeway() {
            leeway.put_back(self.leeway.clone());
        }
    }

    fn turn_back(&self, clock: &Clock) {
        clock.reset();
        if self.frozen {
            clock.freeze();
            clock.set(self.taken_at);
        } else {
            clock.advance(self.ahead);
        }
    }
}

impl Desk {
    /// Around a realm as it was founded.
    pub(super) async fn open(common: Common, realm: Realm, stay: Stay) -> Result<Self, Error> {
        let founding = match Kept::take(&realm, BYTES).await {
            Ok(kept) => Some(kept),
            Err(NotKept::Database(error)) => return Err(error.into()),
            Err(NotKept::TooMany | NotKept::TooLarge) => None,
        };
        let (site, working) = (Site::new(realm.app.clone()), Mutex::new(Some(realm.work())));
        Ok(Self {
            common,
            current: ArcSwap::from_pointee(Current { realm, site }),
            founding,
            snapshots: Mutex::default(),
            journal: Journal::default(),
            faults: Faults::default(),
            late_keys: OnceLock::new(),
            changing: tokio::sync::Mutex::default(),
            stay,
            used_at: AtomicU64::new(monotonic_millis()),
            working,
        })
    }

    /// The realm as it is now.
    pub(super) fn realm(&self) -> Realm {
        self.current.load().realm.clone()
    }

    /// What answers for it now.
    pub(super) fn site(&self) -> Site {
        self.current.load().site.clone()
    }

    /// The path of its issuer.
    pub(super) fn path(&self) -> String {
        self.current.load().realm.issuer.path().to_owned()
    }

    /// The settings of the process and what goes with them.
    pub(super) const fn common(&self) -> &Common {
        &self.common
    }

    /// Notes that somebody uses it.
    pub(super) fn touch(&self) {
        self.used_at.store(monotonic_millis(), Ordering::Relaxed);
    }

    /// Whether it has gone unused for longer than it stays.
    pub(super) fn is_idle(&self) -> bool {
        let unused = Duration::from_millis(monotonic_millis().saturating_sub(self.used_at.load(Ordering::Relaxed)));
        matches!(self.stay, Stay::WhileUsed(limit) if unused > limit)
    }

    /// Ends its background work and closes its store.
    pub(super) async fn end(&self) {
        self.end_work().await;
        self.realm().store.close().await;
    }

    /// Ends its background work.
    pub(super) async fn end_work(&self) {
        let working = self.working.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(working) = working {
            working.end().await;
        }
    }

    /// Keeps the present state under a name; what was kept under it goes.
    pub(super) async fn keep(&self, name: &str) -> Result<Kept, NotKept> {
        let _one = self.changing.lock().await;
        let mut sizes = self.kept();
        sizes.remove(name);
        if sizes.len() >= SNAPSHOTS {
            return Err(NotKept::TooMany);
        }
        let taken = sizes.values().map(Kept::size).sum();
        let kept = Kept::take(&self.realm(), BYTES.saturating_sub(taken)).await?;
        let mut snapshots = self.snapshots.lock().unwrap_or_else(PoisonError::into_inner);
        snapshots.insert(name.to_owned(), kept.clone());
        Ok(kept)
    }

    /// What is kept, by name.
    pub(super) fn kept(&self) -> BTreeMap<String, Kept> {
        self.snapshots.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps it no longer; `false` where there is none of this name.
    pub(super) fn forget(&self, name: &str) -> bool {
        self.snapshots.lock().unwrap_or_else(PoisonError::into_inner).remove(name).is_some()
    }

    /// Goes back to how the realm was founded; `false` where that is not known.
    pub(super) async fn reset(&self) -> Result<bool, Error> {
        let Some(founding) = &self.founding else { return Ok(false) };
        self.put_back(founding).await?;
        self.journal.clear();
        self.faults.clear();
        Ok(true)
    }

    /// Goes back to this state. Nothing that the process remembers of the realm outlives it.
    pub(super) async fn put_back(&self, kept: &Kept) -> Result<(), Error> {
        let _one = self.changing.lock().await;
        let realm = self.realm();
        if self.late_keys.get().is_none() && realm.provider.registry().has_all_keys() {
            let _ = self.late_keys.set(realm.store.signing_keys().await?);
        }
        Box::pin(realm.store.restore(&kept.snapshot)).await?;
        kept.turn_back(&realm.clock);
        if let Some(keys) = self.late_keys.get() {
            // Whoever holds the key set of the start still trusts what is signed.
            let mut tx = realm.store.begin().await?;
            let present = tx.signing_keys().await?;
            for key in keys.iter().filter(|key| !present.iter().any(|other| other.alg == key.alg)) {
                tx.insert_signing_key(key).await?;
            }
            tx.commit().await?;
        }
        let realm = Box::pin(realm.anew(&self.common)).await?;
        kept.conduct(&realm);
        self.end_work().await;
        *self.working.lock().unwrap_or_else(PoisonError::into_inner) = Some(realm.work());
        let site = Site::new(realm.app.clone());
        self.current.store(Arc::new(Current { realm, site }));
        Ok(())
    }
}

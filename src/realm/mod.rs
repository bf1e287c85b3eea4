//! One issuer, wired together: its store and clock, keys, documents, provider, and the site that answers for it.
//!
//! A [`Realm`] holds no global state, so a process can have many, which share what [`Common`] holds. [`mod@rules`] is what
//! the settings say of it, [`contents`] what it begins with, and [`demo`] what `dev` fills an empty store with; [`sweeper`],
//! [`messenger`], [`recorder`] and [`watching`] work for it in the background. [`crate::server`] is next door and
//! listens.

mod contents;
pub mod demo;
mod messenger;
mod recorder;
mod rules;
mod sweeper;
mod watching;

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use self::contents::{Contents, begin};
use self::contents::{apply, fill, is_new};
pub use self::demo::Demo;
use self::rules::{bootstrap, hands_free, randomness, reach, rules};
pub use self::rules::{documents, location, outbound, registration};
use self::watching::{Applied, Watching};
use crate::clock::Clock;
use crate::config::{Issuer, Mode, Settings};
use crate::dialect::{self, Dialect};
use crate::domain::internal::Internal;
use crate::domain::secret::MasterKey;
use crate::identity::hashing::Hashing;
use crate::oauth::Provider;
use crate::oauth::explanations::Explanations;
use crate::oauth::keys::{Keys, QUICK_ALGORITHMS};
use crate::outbound::Outbound;
use crate::randomness::Randomness;
use crate::registration::{self, Registration};
use crate::resources::Documents;
use crate::resources::apply::ApplyError;
use crate::resources::bundle::Item;
use crate::store::{Store, is_passing};
use crate::web;

/// Why a realm cannot be founded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database cannot be used.
    #[error("the database: {0}")]
    Database(#[from] crate::store::Error),
    /// There is no master key.
    #[error(transparent)]
    MasterKey(#[from] crate::config::MasterKeyError),
    /// The file of certificate authorities cannot be used.
    #[error("--outbound-ca: {0}")]
    OutboundCa(String),
    /// The keys of an issuer of software statements cannot be used.
    #[error("--software-statement-issuer: {0}")]
    StatementIssuer(String),
    /// The dialect cannot be read.
    #[error("--dialect: {0}")]
    Dialect(String),
    /// The database is not as empty as it is at the beginning of each other run.
    #[error(
        "--seed: the database is in use already, so that this run would not be like the first; take sqlite::memory: or an empty one"
    )]
    Seed,
    /// A bundle cannot be applied: a line for each of its faults.
    #[error("{}", .0.join("\n"))]
    Bundle(Vec<String>),
    /// Anything else, such as a master key that does not open the signing keys.
    #[error("{0}")]
    Internal(Internal),
}

impl Error {
    /// Whether another try may succeed in a moment.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Database(error) => is_passing(error),
            Self::Internal(Internal::Failed(error)) => error.downcast_ref().is_some_and(is_passing),
            _ => false,
        }
    }
}

impl From<Internal> for Error {
    fn from(internal: Internal) -> Self {
        Self::Internal(internal)
    }
}

impl From<ApplyError> for Error {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Invalid(lines) => Self::Bundle(lines),
            ApplyError::Internal(internal) => Self::Internal(internal),
        }
    }
}

/// What the realms of a process share. Clones share it too.
#[derive(Clone, Debug)]
pub struct Common {
    settings: Arc<Settings>,
    master: MasterKey,
    hashing: Hashing,
    outbound: Outbound,
    registration: Option<registration::Rules>,
    dialect: Option<Arc<Dialect>>,
}

impl Common {
    /// Reads the files that the settings name.
    pub fn new(settings: Settings, issuer: &Issuer, clock: &Clock) -> Result<Self, Error> {
        let outbound = outbound(&settings, issuer).map_err(Error::OutboundCa)?;
        let registration = registration(&settings).map_err(Error::StatementIssuer)?;
        let dialect = settings.dialect.as_deref().filter(|_| settings.mode == Mode::Dev).map(dialect::load);
        let dialect = dialect.transpose().map_err(Error::Dialect)?.map(Arc::new);
        let randomness = randomness(&settings, issuer, clock);
        let master = match randomness.is_seeded() {
            // Another one would give other tokens; and no other opens what this one has sealed.
            true => MasterKey::new(randomness.stable("master key")),
            false => settings.obtain_master_key()?,
        };
        Ok(Self { settings: Arc::new(settings), master, hashing: Hashing::default(), outbound, registration, dialect })
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The documents of a store, under the rules of the settings.
    pub fn documents(&self, store: Store, randomness: Randomness) -> Documents {
        documents(&self.settings, store, &self.master, self.hashing.clone(), randomness)
    }

    /// Where the chance of this issuer's realm comes from: with a seed, from the beginning.
    pub fn randomness(&self, issuer: &Issuer, clock: &Clock) -> Randomness {
        randomness(&self.settings, issuer, clock)
    }
}

/// When the keys are made that are slow to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlowKeys {
    /// In the background, at once.
    Ahead,
    /// When they are first to sign.
    OnDemand,
}

/// An issuer that is ready to answer. Clones are the same realm.
#[derive(Clone)]
pub struct Realm(Arc<Parts>);

/// What a realm is made of.
pub struct Parts {
    /// The issuer identifier.
    pub issuer: Issuer,
    /// Its clock.
    pub clock: Clock,
    /// Its store.
    pub store: Store,
    /// The protocol.
    pub provider: Provider,
    /// What administrators PUT.
    pub documents: Documents,
    /// Everything a handler needs.
    pub app: web::App,
    /// What `dev` shows, in `dev`.
    pub demo: Option<Demo>,
    slow_keys: SlowKeys,
    bundles: Option<Applied>,
}

impl std::ops::Deref for Realm {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl std::fmt::Debug for Realm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Realm").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl Realm {
    /// Makes the keys that an open, migrated store lacks, puts the contents in, and wires all together.
    pub async fn found(
        common: &Common,
        issuer: Issuer,
        clock: Clock,
        store: Store,
        contents: Contents<'_>,
        slow_keys: SlowKeys,
    ) -> Result<Self, Error> {
        let settings = common.settings();
        let randomness = common.randomness(&issuer, &clock);
        if randomness.is_seeded() && matches!(contents, Contents::Own) && !is_new(&store).await? {
            return Err(Error::Seed);
        }
        let documents = common.documents(store.clone(), randomness.clone());
        Keys::new(store.clone(), &common.master, randomness.clone()).ensure(&QUICK_ALGORITHMS, clock.now()).await?;
        let (demo, bundles) = fill(settings, &documents, &issuer, contents, clock.now()).await?;
        let own =
            bootstrap(settings).into_iter().chain(demo.as_ref().and_then(|_| demo::own_client(&issuer))).collect();
        let provider = Provider::new(
            rules(settings, &issuer, common.dialect.clone()),
            store.clone(),
            &common.master,
            own,
            common.hashing.clone(),
            common.outbound.clone(),
            randomness,
        )
        .await?;
        match slow_keys {
            SlowKeys::Ahead => provider.registry().complete_keys(clock.now()),
            SlowKeys::OnDemand => provider.registry().make_keys_on_demand(),
        }
        let registration =
            common.registration.clone().map(|rules| Registration::new(provider.clone(), documents.clone(), rules));
        let app = web::App::new(
            provider.clone(),
            documents.clone(),
            registration,
            clock.clone(),
            reach(settings, &issuer),
            (demo.as_ref().map(|demo| demo.page.clone()), hands_free(settings)),
            &common.master,
        );
        Ok(Self(Arc::new(Parts { issuer, clock, store, provider, documents, app, demo, slow_keys, bundles })))
    }

    /// The same realm without anything that this process remembers of it: its store holds something else now.
    pub async fn anew(&self, common: &Common) -> Result<Self, Error> {
        let (issuer, clock, store) = (self.issuer.clone(), self.clock.clone(), self.store.clone());
        Self::found(common, issuer, clock, store, Contents::StoredWith(&self.0), self.slow_keys).await
    }

    /// Puts resources in besides what is there; all or nothing.
    pub async fn apply(&self, items: &[Item]) -> Result<(), Error> {
        apply(&self.documents, items, self.clock.now()).await?;
        self.provider.registry().expire();
        Ok(())
    }

    /// Removes a batch of what has expired, as happens by itself every minute; answers how many rows.
    pub async fn sweep(&self) -> crate::store::Result<u64> {
        sweeper::once(&self.store, &self.clock).await
    }

    /// Works in the background until that is ended.
    pub fn work(&self) -> Working {
        let (stop, stopped) = watch::channel(false);
        let (store, clock, explanations) =
            (self.store.clone(), self.clock.clone(), self.provider.explanations().clone());
        let tasks = [
            tokio::spawn(sweeper::run(store.clone(), clock.clone(), stopped.clone())),
            tokio::spawn(messenger::run(self.provider.clone(), store, clock, stopped.clone())),
            tokio::spawn(recorder::run(explanations.clone(), stopped.clone())),
        ];
        let watching = self.bundles.clone().map(|bundles| Watching { app: self.app.clone(), bundles });
        let watching = watching.map(|watching| tokio::spawn(watching.run(stopped)));
        let tasks = tasks.into_iter().chain(watching).collect();
        Working { stop, tasks, explanations }
    }
}

/// What goes on for a realm in the background.
#[derive(Debug)]
pub struct Working {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    explanations: Explanations,
}

impl Working {
    /// Ends it; what it was to write is written.
    pub async fn end(self) {
        self.stop.send_replace(true);
        for task in self.tasks {
            let _ = task.await;
        }
        Box::pin(self.explanations.write_rest()).await;
    }
}

/// Waits to be told to stop.
async fn told(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}

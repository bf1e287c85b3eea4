//! Everything is wired here, once: settings, store, keys, provider, documents, routes, listener.
//!
//! An [`Instance`] holds no global state, so one process can run many, side by side: that is how tests work and how isolated
//! issuers do. [`listen`] drives connections with limits of our own, [`demo`] is what `dev` fills an empty store with.

mod container;
mod demo;
mod listen;
mod messenger;
mod sweeper;
mod watching;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::config::{self, DatabaseUrl, Issuer, Mode, Settings};
use crate::domain::client::Client;
use crate::domain::internal::Internal;
use crate::domain::password;
use crate::domain::scope::ADMIN;
use crate::domain::secret::{MasterKey, SealingKey};
use crate::domain::time::Timestamp;
use crate::identity::hashing::Hashing;
use crate::oauth::keys::{Keys, QUICK_ALGORITHMS};
use crate::oauth::metadata_document::Hosts;
use crate::oauth::{Provider, Rules};
use crate::outbound::Outbound;
use crate::randomness::Randomness;
use crate::registration::{self, Registration};
use crate::resources::apply::{ApplyError, Options};
use crate::resources::{DocumentKind, Documents, Effect, Keeper, bundle};
use crate::store::{Location, Store, is_passing};
use crate::web;

pub use demo::Demo;

/// How often a step of the start is tried, and what lies between.
const TRIES: usize = 5;
const PAUSE: Duration = Duration::from_millis(300);

/// Tries again what may pass: nodes that start together hold locks for longer than a request would wait.
macro_rules! patiently {
    ($attempt:expr) => {{
        let mut tries = 1;
        loop {
            match $attempt.map_err(StartError::from) {
                Err(error) if tries < TRIES && error.is_passing() => {
                    tracing::warn!(%error, "the start has to wait");
                    tokio::time::sleep(PAUSE).await;
                    tries += 1;
                }
                done => break done?,
            }
        }
    }};
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// The database cannot be opened, or its schema not brought up to date.
    #[error("the database: {0}")]
    Database(#[from] crate::store::Error),
    /// There is no master key.
    #[error(transparent)]
    MasterKey(#[from] crate::config::MasterKeyError),
    /// The certificate or its key cannot be used.
    #[error("TLS: {0}")]
    Tls(String),
    /// The file of certificate authorities cannot be used.
    #[error("--outbound-ca: {0}")]
    OutboundCa(String),
    /// The keys of an issuer of software statements cannot be used.
    #[error("--software-statement-issuer: {0}")]
    StatementIssuer(String),
    /// The database is not as empty as it is at the beginning of each other run.
    #[error(
        "--seed: the database is in use already, so that this run would not be like the first; take sqlite::memory: or an empty one"
    )]
    Seed,
    /// A bundle cannot be applied.
    #[error("{0}")]
    Bundle(String),
    /// Anything else, such as a master key that does not open the signing keys.
    #[error("{0}")]
    Internal(Internal),
}

impl From<Internal> for StartError {
    fn from(internal: Internal) -> Self {
        Self::Internal(internal)
    }
}

/// A running server. Dropped, it goes on; [`Instance::stop`] ends it.
#[derive(Debug)]
pub struct Instance {
    /// The address it listens on.
    pub address: SocketAddr,
    /// The issuer identifier.
    pub issuer: String,
    /// Where containers reach it, if not at the issuer.
    pub internal_url: Option<String>,
    /// Its clock, which tests move.
    pub clock: Clock,
    /// Its store.
    pub store: Store,
    /// What `dev` shows, in `dev`.
    pub demo: Option<Demo>,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
    sweeping: JoinHandle<()>,
    telling: JoinHandle<()>,
    watching: Option<JoinHandle<()>>,
}

/// The database of the settings.
pub fn location(settings: &Settings) -> Location {
    match &settings.database_url {
        DatabaseUrl::SqliteMemory => Location::SqliteMemory,
        DatabaseUrl::SqliteFile(path) => Location::SqliteFile(path.clone()),
        DatabaseUrl::Postgres(url) => Location::Postgres(url.clone()),
    }
}

/// The documents of a store, under the rules of the settings.
pub fn documents(
    settings: &Settings,
    store: Store,
    master: &MasterKey,
    hashing: Hashing,
    randomness: Randomness,
) -> Documents {
    let sealing = Arc::new(SealingKey::for_documents(master));
    let bootstrap = settings.admin_client_secret.as_ref().map(|_| settings.admin_client_id.clone());
    Documents::new(store, settings.allow_http_redirects, bootstrap, Keeper { hashing, sealing, randomness })
}

impl Instance {
    /// Starts a server: opens and migrates the database, makes keys on the first start, applies bundles, then listens.
    pub async fn start(settings: Settings, clock: Clock) -> Result<Self, StartError> {
        let tls = listen::tls(settings.tls.as_ref()).map_err(StartError::Tls)?;
        let listener = listen::bind(settings.listen).map_err(|error| StartError::Listen(settings.listen, error))?;
        let address = listener.local_addr().map_err(|error| StartError::Listen(settings.listen, error))?;
        let issuer = settings.issuer_at(address.port());
        let outbound = outbound(&settings, &issuer).map_err(StartError::OutboundCa)?;
        let registration = registration(&settings).map_err(StartError::StatementIssuer)?;
        let randomness = randomness(&settings, &clock);
        let master = match randomness.is_seeded() {
            // Another one would give other tokens; and no other opens what this one has sealed.
            true => MasterKey::new(randomness.stable("master key")),
            false => settings.obtain_master_key()?,
        };

        let store = patiently!(Store::open(&location(&settings)).await);
        patiently!(store.migrate().await);
        if randomness.is_seeded() && !is_new(&store).await? {
            return Err(StartError::Seed);
        }
        let hashing = Hashing::default();
        let documents = documents(&settings, store.clone(), &master, hashing.clone(), randomness.clone());
        let keys = Keys::new(store.clone(), &master, randomness.clone());
        patiently!(keys.ensure(&QUICK_ALGORITHMS, clock.now()).await);
        let look = bundle::look(&settings.bundles);
        let (demo, made) = patiently!(fill(&settings, &documents, &store, &issuer, clock.now()).await);
        let own =
            bootstrap(&settings).into_iter().chain(demo.as_ref().and_then(|_| demo::own_client(&issuer))).collect();
        let rules = rules(&settings, &issuer);
        let provider = Provider::new(rules, store.clone(), &master, own, hashing, outbound, randomness).await?;
        provider.registry().complete_keys(clock.now());
        let reach = reach(&settings, &issuer);
        let registration = registration.map(|rules| Registration::new(provider.clone(), documents.clone(), rules));
        let app = web::App::new(
            provider.clone(),
            documents,
            registration,
            clock.clone(),
            reach,
            demo.as_ref().map(|demo| demo.page.clone()),
            &master,
        );

        for hint in container::hints(&settings, &issuer, address, Path::new("/")) {
            app.advice.tell(hint);
        }

        let (stop, stopped) = watch::channel(false);
        let paths = Some(settings.bundles).filter(|paths| settings.watch && !paths.is_empty());
        let watching = paths.map(|paths| {
            let watching = watching::Watching { app: app.clone(), paths, applied: look, made };
            tokio::spawn(watching.run(stopped.clone()))
        });
        let serving =
            tokio::spawn(listen::serve(listener, tls, web::Site::new(app), stopped.clone(), settings.shutdown_grace));
        let sweeping = tokio::spawn(sweeper::run(store.clone(), clock.clone(), stopped.clone()));
        let telling = tokio::spawn(messenger::run(provider, store.clone(), clock.clone(), stopped));
        let internal_url = settings.internal_url.map(|url| url.as_str().to_owned());
        let issuer = issuer.as_str().to_owned();
        Ok(Self { address, issuer, internal_url, clock, store, demo, stop, serving, sweeping, telling, watching })
    }

    /// Removes a batch of what has expired, as happens by itself every minute; answers how many rows.
    pub async fn sweep(&self) -> crate::store::Result<u64> {
        sweeper::once(&self.store, &self.clock).await
    }

    /// Takes no new connections, lets requests in flight finish within the grace, and closes the database.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        let _ = self.serving.await;
        let _ = self.sweeping.await;
        let _ = self.telling.await;
        if let Some(watching) = self.watching {
            let _ = watching.await;
        }
        self.store.close().await;
    }
}

impl StartError {
    fn is_passing(&self) -> bool {
        match self {
            Self::Database(error) => is_passing(error),
            Self::Internal(Internal::Failed(error)) => error.downcast_ref().is_some_and(is_passing),
            _ => false,
        }
    }
}

/// Where chance comes from: a seed is for `dev` alone.
fn randomness(settings: &Settings, clock: &Clock) -> Randomness {
    let seed = settings.seed.filter(|_| settings.mode == Mode::Dev);
    seed.map_or_else(Randomness::default, |seed| Randomness::seeded(seed, clock.clone()))
}

/// Whether nothing was ever kept in a store.
async fn is_new(store: &Store) -> Result<bool, StartError> {
    let keyless = store.signing_keys().await?.is_empty();
    Ok(keyless && !store.begin().await?.has_documents().await?)
}

/// The demo resources of `dev`, and the bundles of the settings; answers what those hold.
async fn fill(
    settings: &Settings,
    documents: &Documents,
    store: &Store,
    issuer: &Issuer,
    now: Timestamp,
) -> Result<(Option<Demo>, Vec<(DocumentKind, String)>), StartError> {
    let demo = match settings.mode {
        Mode::Dev => Some(demo::prepare(settings, documents, store, issuer, now).await?),
        Mode::Serve => None,
    };
    let made = match settings.bundles.is_empty() {
        true => Vec::new(),
        false => apply_bundles(documents, &settings.bundles, now).await?,
    };
    Ok((demo, made))
}

/// Applies the bundles of the settings: everything that is wrong with them stops the start, and nothing is half applied.
async fn apply_bundles(
    documents: &Documents,
    bundles: &[std::path::PathBuf],
    now: Timestamp,
) -> Result<Vec<(DocumentKind, String)>, StartError> {
    let items = bundle::read(bundles, &|name| std::env::var(name).ok())
        .map_err(|problems| StartError::Bundle(problems.join("\n")))?;
    let differences = documents.apply(&items, Options::default(), now).await.map_err(|error| match error {
        ApplyError::Invalid(lines) => StartError::Bundle(lines.join("\n")),
        ApplyError::Internal(internal) => StartError::Internal(internal),
    })?;
    for difference in &differences {
        for warning in &difference.warnings {
            tracing::warn!("{}/{}: {warning}", difference.kind, difference.id);
        }
    }
    let changed = differences.iter().filter(|difference| difference.effect != Effect::Unchanged).count();
    tracing::info!(resources = differences.len(), changed, "bundles are applied");
    Ok(items.into_iter().map(|item| (item.kind, item.id)).collect())
}

/// The way to other servers, under the rules of the settings.
pub fn outbound(settings: &Settings, issuer: &Issuer) -> Result<Outbound, String> {
    Outbound::new(settings.outbound_networks.clone(), !issuer.is_https(), settings.outbound_ca.as_deref())
}

/// The rules of registration, unless it is closed.
pub fn registration(settings: &Settings) -> Result<Option<registration::Rules>, String> {
    let mut statements = registration::statement::Issuers::default();
    for (issuer, file) in &settings.software_statement_issuers {
        let said = |error: String| format!("{}: {error}", file.display());
        let jwks = std::fs::read_to_string(file).map_err(|error| said(error.to_string()))?;
        statements.add(issuer, &jwks).map_err(said)?;
    }
    let open = match settings.registration {
        config::Registration::Closed => return Ok(None),
        config::Registration::Token => false,
        config::Registration::Open => true,
    };
    Ok(Some(registration::Rules {
        open,
        per_hour: settings.registration_rate,
        unused_expiration: settings.registration_unused_expiration.into(),
        statements,
    }))
}

/// The hosts whose metadata documents are clients; `none` beside others means those others.
fn metadata_documents(hosts: &[String]) -> Hosts {
    match hosts.iter().any(|host| host == "any") {
        true => Hosts::Any,
        false => Hosts::Only(hosts.iter().filter(|host| *host != "none").cloned().collect()),
    }
}

fn rules(settings: &Settings, issuer: &Issuer) -> Rules {
    Rules {
        issuer: issuer.as_str().to_owned(),
        internal_url: settings.internal_url.as_ref().map(|url| url.as_str().to_owned()),
        access_token_expiration: settings.access_token_expiration.into(),
        max_refresh_token_expiration: settings.max_refresh_token_expiration.map(Into::into),
        refresh_grace: settings.refresh_grace.into(),
        password_grant: settings.allow_grants.password,
        implicit_grant: settings.allow_grants.implicit,
        registration: settings.registration != config::Registration::Closed,
        metadata_documents: metadata_documents(&settings.metadata_documents),
    }
}

/// The administrator's client that settings name. It is not a document: it goes with its setting.
fn bootstrap(settings: &Settings) -> Option<Client> {
    let secret = settings.admin_client_secret.as_ref()?;
    let body =
        serde_json::json!({ "grant_types": ["basic", "client_credentials"], "scope": [ADMIN], "introspect": "any" });
    // A setting is read once and kept in memory only, so that its fast form is never at rest.
    Client::from_document(&settings.admin_client_id, 0, true, Some(password::fast_form(secret)), body).ok()
}

fn reach(settings: &Settings, issuer: &Issuer) -> web::Reach {
    let mut hosts = vec![issuer.authority().to_ascii_lowercase(), issuer.host().to_ascii_lowercase()];
    hosts.extend(settings.allowed_hosts.iter().map(|host| host.to_ascii_lowercase()));
    let internal = settings.internal_url.as_ref().filter(|url| url.as_str() != issuer.as_str());
    hosts.extend(internal.iter().flat_map(|url| [url.authority(), url.host()]).map(str::to_ascii_lowercase));
    if issuer.is_loopback() {
        hosts.extend(["localhost", "127.0.0.1", "[::1]"].map(str::to_owned));
    }
    web::Reach {
        base_path: issuer.path().to_owned(),
        https: issuer.is_https(),
        scheme: if settings.tls.is_some() { "https" } else { "http" },
        authority: issuer.authority().to_owned(),
        internal: internal
            .map(|url| web::Internal { url: url.as_str().to_owned(), authority: url.authority().to_owned() }),
        hosts,
        any_local_host: settings.mode == Mode::Dev,
        trusted_proxies: settings.trusted_proxies.clone(),
    }
}

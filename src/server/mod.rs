//! Starts and stops a server: opens its database, founds its realm, listens.
//!
//! What an issuer is made of is next door in [`crate::realm`], what developers get besides in [`crate::dev`]; [`listen`] drives
//! connections with limits of our own. An [`Instance`] holds no global state, so one process can run many, side by side: that is
//! how tests work.

mod container;
mod listen;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::config::Settings;
use crate::dev;
use crate::realm::{self, Common, Contents, Demo, Realm, SlowKeys, Working};
use crate::resources::bundle::Item;
use crate::store::Store;
use crate::web;

/// How often a step of the start is tried, and what lies between.
const TRIES: usize = 5;
const PAUSE: Duration = Duration::from_millis(300);

/// Tries again what may pass: nodes that start together hold locks for longer than a request would wait.
macro_rules! patiently {
    ($attempt:expr) => {{
        let mut tries = 1;
        loop {
            match $attempt.map_err(realm::Error::from) {
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
    /// The certificate or its key cannot be used.
    #[error("TLS: {0}")]
    Tls(String),
    /// Its realm cannot be founded.
    #[error(transparent)]
    Realm(#[from] realm::Error),
}

/// A running server. Dropped, it goes on; [`Instance::stop`] ends it.
#[derive(Debug)]
pub struct Instance {
    /// The address it listens on.
    pub address: SocketAddr,
    /// The issuer identifier.
    pub issuer: String,
    /// Where containers reach it, if not there.
    pub internal_url: Option<String>,
    /// Its clock, which tests move.
    pub clock: Clock,
    /// Its store.
    pub store: Store,
    /// What `dev` shows, in `dev`.
    pub demo: Option<Demo>,
    realm: Realm,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
    background: Background,
}

/// What answers requests: the site of the realm, with what developers get around it where they get it.
#[derive(Clone)]
enum Front {
    Plain(web::Site),
    Dev(dev::Desks),
}

/// What goes on besides answering, and ends before the store is closed.
#[derive(Debug)]
enum Background {
    Realm(Working),
    Dev(dev::Desks),
}

impl Instance {
    /// Whose stand-in it is, and the issuer identifier of that, where a dialect makes it one.
    pub fn dialect(&self) -> Option<(&str, &str)> {
        let provider = &self.realm.provider;
        provider.dialect().map(|dialect| (dialect.title.as_str(), provider.iss()))
    }

    /// Whether whoever is named is accepted.
    pub fn is_permissive(&self) -> bool {
        self.realm.provider.sign_in().is_permissive()
    }

    /// Starts a server: opens and migrates the database, makes keys on the first start, applies bundles, then listens.
    pub async fn start(settings: Settings, clock: Clock) -> Result<Self, StartError> {
        let tls = listen::tls(settings.tls.as_ref()).map_err(StartError::Tls)?;
        let listener = listen::bind(settings.listen).map_err(|error| StartError::Listen(settings.listen, error))?;
        let address = listener.local_addr().map_err(|error| StartError::Listen(settings.listen, error))?;
        let issuer = settings.issuer_at(address.port());
        let grace = settings.shutdown_grace;
        let common = Common::new(settings, &issuer, &clock)?;

        let store = patiently!(Store::open(&realm::location(common.settings())).await);
        patiently!(store.migrate().await);
        let found =
            || Realm::found(&common, issuer.clone(), clock.clone(), store.clone(), Contents::Own, SlowKeys::Ahead);
        let realm = patiently!(found().await);

        for hint in container::hints(common.settings(), &issuer, address, Path::new("/")) {
            realm.app.advice.tell(hint);
        }

        let (stop, stopped) = watch::channel(false);
        let internal_url = common.settings().internal_url.as_ref().map(|url| url.as_str().to_owned());
        let (front, background) = if common.settings().dev_api {
            let desks = dev::Desks::open(common, realm.clone()).await?;
            (Front::Dev(desks.clone()), Background::Dev(desks))
        } else {
            (Front::Plain(web::Site::new(realm.app.clone())), Background::Realm(realm.work()))
        };
        let serving = tokio::spawn(listen::serve(listener, tls, front, stopped, grace));
        let (issuer, demo) = (issuer.as_str().to_owned(), realm.demo.clone());
        Ok(Self { address, issuer, internal_url, clock, store, demo, realm, stop, serving, background })
    }

    /// Removes a batch of what has expired, as happens by itself every minute; answers how many rows.
    pub async fn sweep(&self) -> crate::store::Result<u64> {
        self.realm.sweep().await
    }

    /// Puts resources in besides what is there.
    pub async fn apply(&self, items: &[Item]) -> Result<(), realm::Error> {
        self.realm.apply(items).await
    }

    /// Takes no new connections, lets requests in flight finish within the grace, and closes the database.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        let _ = self.serving.await;
        match self.background {
            Background::Realm(working) => working.end().await,
            Background::Dev(desks) => desks.end().await,
        }
        self.store.close().await;
    }
}

impl Front {
    async fn answer(self, request: axum::extract::Request) -> axum::response::Response {
        match self {
            Self::Plain(site) => site.answer(request).await,
            Self::Dev(desks) => desks.answer(request).await,
        }
    }
}

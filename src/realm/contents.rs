//! What a realm begins with: the demo and the bundles of the settings, resources that somebody brings, or what its store holds.

use super::demo::{self, Demo};
use super::watching::Applied;
use super::{Error, Parts};
use crate::config::{Issuer, Mode, Settings};
use crate::domain::time::Timestamp;
use crate::resources::apply::Options;
use crate::resources::bundle::Item;
use crate::resources::{Documents, Effect, bundle};
use crate::store::Store;

/// What a new realm holds.
#[derive(Clone, Copy)]
pub enum Contents<'a> {
    /// The demo, in `dev`, and the bundles of the settings.
    Own,
    /// These resources.
    Items(&'a [Item]),
    /// What is in its store already.
    Stored,
    /// The same, and what was applied there is what this realm applied.
    StoredWith(&'a Parts),
}

/// Whether nothing was ever kept in a store.
pub(super) async fn is_new(store: &Store) -> Result<bool, Error> {
    let keyless = store.signing_keys().await?.is_empty();
    Ok(keyless && !store.begin().await?.has_documents().await?)
}

/// Puts contents into a store; answers what `dev` shows of them, in `dev`, and the bundles that are to be watched.
pub(super) async fn fill(
    settings: &Settings,
    documents: &Documents,
    issuer: &Issuer,
    contents: Contents<'_>,
    now: Timestamp,
) -> Result<(Option<Demo>, Option<Applied>), Error> {
    let bundles = match contents {
        Contents::Own => own(settings, documents, issuer, now).await?,
        Contents::Items(items) => {
            apply(documents, items, now).await?;
            None
        }
        Contents::Stored => None,
        Contents::StoredWith(realm) => realm.bundles.clone(),
    };
    let demo = match settings.mode {
        Mode::Dev => Some(demo::shown(settings, documents, issuer).await),
        Mode::Serve => None,
    };
    Ok((demo, bundles))
}

/// Puts in what the server begins with.
pub async fn begin(settings: &Settings, documents: &Documents, issuer: &Issuer, now: Timestamp) -> Result<(), Error> {
    own(settings, documents, issuer, now).await.map(drop)
}

async fn own(
    settings: &Settings,
    documents: &Documents,
    issuer: &Issuer,
    now: Timestamp,
) -> Result<Option<Applied>, Error> {
    if settings.mode == Mode::Dev {
        demo::prepare(documents, issuer, now).await?;
    }
    let paths = &settings.bundles;
    if paths.is_empty() {
        return Ok(None);
    }
    let look = bundle::look(paths);
    let items = bundle::read(paths, &|name| std::env::var(name).ok()).map_err(Error::Bundle)?;
    apply(documents, &items, now).await?;
    let made = items.into_iter().map(|item| (item.kind, item.id)).collect();
    Ok(settings.watch.then(|| Applied { paths: paths.clone(), look, made }))
}

/// Applies resources: everything that is wrong with them is an error, and nothing is half applied.
pub(super) async fn apply(documents: &Documents, items: &[Item], now: Timestamp) -> Result<(), Error> {
    let differences = documents.apply(items, Options::default(), now).await?;
    for difference in &differences {
        for warning in &difference.warnings {
            tracing::warn!("{}/{}: {warning}", difference.kind, difference.id);
        }
    }
    let changed = differences.iter().filter(|difference| difference.effect != Effect::Unchanged).count();
    tracing::info!(resources = differences.len(), changed, "bundles are applied");
    Ok(())
}

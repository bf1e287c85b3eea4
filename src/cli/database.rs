//! The database of a command, opened; a schema that is not up to date is refused with what to do about it.

use super::Failure;
use crate::config::{DatabaseUrl, Settings};
use crate::realm::location;
use crate::store::Store;

/// Opens the database whatever its schema.
pub(super) async fn open(settings: &Settings) -> Result<Store, Failure> {
    Store::open(&location(settings))
        .await
        .map_err(|error| Failure::new(format!("cannot open {}: {error}", settings.database_url)))
}

/// Works on a database whose schema is this version's, and closes it, so that SQLite leaves one whole file behind.
pub(super) async fn with<T>(
    settings: &Settings,
    work: impl AsyncFnOnce(&Store) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let store = open_current(settings).await?;
    let result = work(&store).await;
    store.close().await;
    result
}

/// Opens a database that is there and whose schema is this version's.
async fn open_current(settings: &Settings) -> Result<Store, Failure> {
    if let DatabaseUrl::SqliteFile(path) = &settings.database_url
        && !path.exists()
    {
        let missing = format!(
            "there is no database {}; name another with --database-url, or run `countersign migrate`",
            path.display()
        );
        return Err(Failure::new(missing));
    }
    let store = open(settings).await?;
    match store.pending_migrations().await? {
        Some(0) => Ok(store),
        Some(n) => {
            Err(Failure::new(format!("{} lacks {n} migrations; run `countersign migrate`", settings.database_url)))
        }
        None => Err(Failure::new(format!("{} is empty; run `countersign migrate`", settings.database_url))),
    }
}

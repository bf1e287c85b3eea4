//! `countersign keys`: the signing keys of a database.

use super::Failure;
use super::args::KeysCommand;
use super::database;
use super::output::{answer, answer_table};
use crate::clock::Clock;
use crate::config::{Purpose, Settings};
use crate::domain::time::Timestamp;
use crate::oauth::keys::ALGORITHMS;
use crate::oauth::registry::Registry;
use crate::store::Store;
use crate::store::keys::SigningKey;

pub(super) async fn run(command: KeysCommand) -> Result<(), Failure> {
    let purpose = if matches!(command, KeysCommand::List(_)) { Purpose::Store } else { Purpose::Keys };
    let settings = super::settings(purpose, command.settings())?;
    database::with(&settings, async |store| match &command {
        KeysCommand::List(_) => list(store).await,
        KeysCommand::Rotate { algorithms, .. } => rotate(algorithms, &settings, store).await,
        KeysCommand::Retire { kid, .. } => retire(kid, &settings, store).await,
    })
    .await
}

async fn list(store: &Store) -> Result<(), Failure> {
    let now = Clock::default().now();
    let rows: Vec<_> = store.signing_keys().await?.into_iter().map(|key| row(key, now)).collect();
    answer_table(["KID", "ALG", "CREATED", "SIGNS FROM", "VERIFIES UNTIL"], &rows);
    Ok(())
}

fn row(key: SigningKey, now: Timestamp) -> [String; 5] {
    let until = match key.verifies_until {
        None => "–".to_owned(),
        Some(until) if until <= now => format!("{} (over)", until.rfc3339()),
        Some(until) => until.rfc3339(),
    };
    [key.kid, key.alg, key.created_at.rfc3339(), key.signs_from.rfc3339(), until]
}

async fn rotate(algorithms: &[String], settings: &Settings, store: &Store) -> Result<(), Failure> {
    let now = Clock::default().now();
    let registry = registry(settings, store).await?;
    // A database that never had keys needs no overlap.
    if store.signing_keys().await?.is_empty() {
        registry.keys().ensure(&ALGORITHMS, now).await?;
    } else {
        let chosen = |alg: &&str| algorithms.is_empty() || algorithms.iter().any(|named| named == alg);
        let chosen: Vec<&str> = ALGORITHMS.into_iter().filter(chosen).collect();
        registry.keys().rotate(&chosen, settings.access_token_expiration.into(), now).await?;
    }
    list(store).await
}

async fn retire(kid: &str, settings: &Settings, store: &Store) -> Result<(), Failure> {
    if registry(settings, store).await?.keys().retire(kid, Clock::default().now()).await? {
        answer(format!("{kid} is withdrawn: what it signed is no longer valid"));
        Ok(())
    } else {
        Err(Failure::new(format!("there is no key {kid}; `countersign keys list` shows them")))
    }
}

async fn registry(settings: &Settings, store: &Store) -> Result<Registry, Failure> {
    Ok(Registry::of_store(store.clone(), &settings.obtain_master_key()?).await?)
}

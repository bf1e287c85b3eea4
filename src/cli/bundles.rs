//! `countersign migrate`, `apply` and `export`: the schema of a database, and its resources as bundles.

use std::path::PathBuf;

use super::args::{ApplyArgs, StoreArgs};
use super::documents::Documents;
use super::output::{answer, answer_text};
use super::{Failure, database};
use crate::config::Purpose;
use crate::resources::apply::{ApplyError, Difference, Options};
use crate::resources::{Effect, bundle, format};

pub(super) async fn migrate(args: StoreArgs) -> Result<(), Failure> {
    let settings = super::settings(Purpose::Store, &args.settings.0)?;
    let store = database::open(&settings).await?;
    let result = store.migrate().await;
    store.close().await;
    result?;
    answer(format!("{} is up to date", settings.database_url));
    Ok(())
}

pub(super) async fn apply(args: ApplyArgs) -> Result<(), Failure> {
    let settings = super::settings(Purpose::Keys, &args.settings.0)?;
    let items = read(&args.files)?;
    let options = Options { prune: args.prune, dry_run: args.dry_run };
    let differences = Documents::with(&settings, async |documents| {
        Ok(documents.verbs().apply(&items, options, documents.clock().now()).await?)
    })
    .await?;
    report(&differences, args.dry_run);
    Ok(())
}

pub(super) async fn export(args: StoreArgs) -> Result<(), Failure> {
    let settings = super::settings(Purpose::Keys, &args.settings.0)?;
    let bundle = Documents::with(&settings, async |documents| Ok(documents.verbs().export().await?)).await?;
    answer_text(&format::to_yaml(&bundle));
    Ok(())
}

/// The resources of bundle files, filled from the environment of this process.
pub(super) fn read(paths: &[PathBuf]) -> Result<Vec<bundle::Item>, Failure> {
    let env = |name: &str| std::env::var(name).ok();
    bundle::read(paths, &env).map_err(invalid)
}

impl From<ApplyError> for Failure {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Invalid(problems) => invalid(problems),
            ApplyError::Internal(internal) => internal.into(),
        }
    }
}

fn invalid(problems: Vec<String>) -> Failure {
    Failure::list("nothing was applied:", problems)
}

/// One line for each resource that is, or would be, another one now, and a count of all.
pub(super) fn report(differences: &[Difference], dry_run: bool) {
    for difference in differences {
        let name = format!("{}/{}", difference.kind, difference.id);
        match difference.effect {
            Effect::Created => answer(format!("+ {name}")),
            Effect::Updated => answer(format!("~ {name}: {}", difference.paths.join(", "))),
            Effect::Deleted => answer(format!("- {name}")),
            Effect::Unchanged => {}
        }
        for warning in &difference.warnings {
            tracing::warn!("{name}: {warning}");
        }
    }
    let count = |effect| differences.iter().filter(|difference| difference.effect == effect).count();
    answer(format!(
        "{} created, {} updated, {} deleted, {} unchanged{}",
        count(Effect::Created),
        count(Effect::Updated),
        count(Effect::Deleted),
        count(Effect::Unchanged),
        if dry_run { " (dry run: nothing was written)" } else { "" }
    ));
}

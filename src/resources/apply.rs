//! Making a database equal to bundles, and writing it out as one.

use serde_json::Value;

use super::bundle::Item;
use super::kind::{DocumentKind, KINDS};
use super::outcome::{Outcome, Problem};
use super::write::{Effect, Prepared, TRIES, Written, Wrote};
use super::{Change, Documents, Precondition, render};
use crate::domain::time::Timestamp;

/// The mark of documents that bundles made.
const ORIGIN: &str = "bundle";

/// How bundles are applied.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Whether to remove what an earlier bundle made and these lack.
    pub prune: bool,
    /// Whether only to tell what would happen.
    pub dry_run: bool,
}

/// What applying bundles did, or would do, to one resource.
#[derive(Clone, Debug)]
pub struct Difference {
    /// Its type.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// What happened.
    pub effect: Effect,
    /// The paths that differ, where it was there before.
    pub paths: Vec<String>,
    /// What was accepted and still looks wrong.
    pub warnings: Vec<String>,
}

/// Why bundles cannot be applied.
#[derive(Debug)]
pub enum ApplyError {
    /// What is wrong with them, a line each, with its place.
    Invalid(Vec<String>),
    /// Our own fault.
    Internal(crate::domain::internal::Internal),
}

impl Documents {
    /// Applies items in one transaction: all or nothing. Every problem is told, each with file and line.
    pub async fn apply(&self, items: &[Item], options: Options, now: Timestamp) -> Result<Vec<Difference>, ApplyError> {
        let mut changes = puts(items);
        if options.prune {
            changes.extend(self.removals(items, |_, _| true).await?);
        }
        self.apply_changes(&changes, items, options.dry_run, now).await
    }

    /// Applies items in the place of their version before: what that `made` and these lack is removed, and nothing else.
    pub async fn apply_instead(
        &self,
        made: &[(DocumentKind, String)],
        items: &[Item],
        now: Timestamp,
    ) -> Result<Vec<Difference>, ApplyError> {
        let mut changes = puts(items);
        let before = |kind: DocumentKind, id: &str| made.iter().any(|(other, made)| *other == kind && made == id);
        changes.extend(self.removals(items, before).await?);
        self.apply_changes(&changes, items, false, now).await
    }

    /// The deletion of each document that a bundle made, these items lack, and `which` is about.
    async fn removals(
        &self,
        items: &[Item],
        which: impl Fn(DocumentKind, &str) -> bool,
    ) -> Result<Vec<(Change, Precondition)>, ApplyError> {
        let made = self.store().documents_of_bundles().await.map_err(|error| ApplyError::Internal(error.into()))?;
        let kept = |kind: DocumentKind, id: &str| items.iter().any(|item| item.kind == kind && item.id == id);
        let known = made.into_iter().filter_map(|(kind, id)| Some((DocumentKind::named(&kind)?, id)));
        let gone = known.filter(|(kind, id)| which(*kind, id) && !kept(*kind, id));
        Ok(gone.map(|(kind, id)| (Change::Delete(kind, id), Precondition::default())).collect())
    }

    /// Every configuration resource, as a list that `apply` takes back unchanged: clients and users with the stored forms of
    /// their secrets, and consents.
    pub async fn export(&self) -> Result<Value, Problem> {
        let mut all = Vec::new();
        for kind in KINDS {
            all.extend(self.store().all_documents(kind.name()).await?.iter().map(render::exported));
        }
        Ok(Value::Array(all))
    }

    /// Prepares everything, so that all problems are told and not only the first; then writes over exactly what was read.
    async fn apply_changes(
        &self,
        changes: &[(Change, Precondition)],
        items: &[Item],
        dry_run: bool,
        now: Timestamp,
    ) -> Result<Vec<Difference>, ApplyError> {
        let internal = ApplyError::Internal;
        for _ in 0..TRIES {
            let (prepared, refused) = self.prepare_each(changes, ORIGIN, now).await.map_err(internal)?;
            if !refused.is_empty() {
                let line = |(index, line): (usize, String)| match items.get(index) {
                    None => line,
                    Some(item) => format!("{}: {line}", item.place),
                };
                let lines = |(index, outcome): &(usize, Outcome)| {
                    outcome.lines().into_iter().map(|line| (*index, line)).collect::<Vec<_>>()
                };
                return Err(ApplyError::Invalid(refused.iter().flat_map(lines).map(line).collect()));
            }
            let wrote = if dry_run { Ok(Wrote::All) } else { self.write(&prepared, now).await };
            match wrote {
                Ok(Wrote::All) => return Ok(prepared.into_iter().map(difference).collect()),
                Ok(Wrote::Overtaken) => {}
                Ok(Wrote::NameTaken { user, outcome }) => {
                    let item = items.iter().find(|item| item.kind == DocumentKind::User && item.id == user);
                    let place = item.map_or_else(|| format!("User/{user}"), |item| item.place.clone());
                    let lines = outcome.lines().into_iter().map(|line| format!("{place}: {line}"));
                    return Err(ApplyError::Invalid(lines.collect()));
                }
                Err(Problem::Outcome(outcome)) => return Err(ApplyError::Invalid(outcome.lines())),
                Err(Problem::Internal(error)) => return Err(internal(error)),
            }
        }
        Err(ApplyError::Invalid(vec!["others keep changing the same resources; try again".into()]))
    }
}

fn puts(items: &[Item]) -> Vec<(Change, Precondition)> {
    let put = |item: &Item| (Change::Put(item.kind, item.id.clone(), item.document.clone()), Precondition::default());
    items.iter().map(put).collect()
}

fn difference(prepared: Prepared) -> Difference {
    let Prepared { before, new_secret, written: Written { row, effect, warnings }, .. } = prepared;
    let mut paths = Vec::new();
    if let (Effect::Updated, Some(before)) = (effect, before) {
        compare(&row.kind, &before, &row.body.0, &mut paths);
        if new_secret {
            paths.push(format!("{}.{}", row.kind, if row.kind == "User" { "password" } else { "secret" }));
        }
    }
    // A document that a bundle only takes over is what it was.
    let effect = if effect == Effect::Updated && paths.is_empty() { Effect::Unchanged } else { effect };
    Difference { kind: row.kind, id: row.id, effect, paths, warnings }
}

fn compare(path: &str, before: &Value, after: &Value, paths: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            let names = old.keys().chain(new.keys().filter(|name| !old.contains_key(*name)));
            for name in names {
                let member = |object: &serde_json::Map<String, Value>| object.get(name).cloned().unwrap_or_default();
                compare(&format!("{path}.{name}"), &member(old), &member(new), paths);
            }
        }
        _ if before == after => {}
        _ => paths.push(path.to_owned()),
    }
}

//! Making a database equal to bundles, and writing it out as one.

use serde_json::Value;

use super::bundle::Item;
use super::kind::{DocumentKind, KINDS};
use super::outcome::Problem;
use super::write::{Effect, Written};
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
        let mut before = Vec::new();
        let mut problems = Vec::new();
        let mut changes = Vec::new();
        for item in items {
            // Each by itself first, so that all problems are told and not only the first.
            match self.check(item, now).await {
                Ok(present) => before.push(present),
                Err(Problem::Outcome(outcome)) => problems.extend(outcome.lines().into_iter().map(|line| format!("{}: {line}", item.place))),
                Err(Problem::Internal(internal)) => return Err(ApplyError::Internal(internal)),
            }
            changes.push((Change::Put(item.kind, item.id.clone(), item.document.clone()), Precondition::default()));
        }
        if !problems.is_empty() {
            return Err(ApplyError::Invalid(problems));
        }
        if options.prune {
            for (kind, id) in self.store().documents_of_bundles().await.map_err(|error| ApplyError::Internal(error.into()))? {
                let kept = items.iter().any(|item| item.kind.name() == kind && item.id == id);
                if let Some(kind) = DocumentKind::named(&kind).filter(|_| !kept) {
                    changes.push((Change::Delete(kind, id), Precondition::default()));
                    before.push(None);
                }
            }
        }
        let written = match options.dry_run {
            true => self.rehearse(changes, ORIGIN, now).await,
            false => self.change_all(changes, Some(ORIGIN), now).await,
        };
        match written {
            Ok(written) => Ok(written.into_iter().zip(before).map(|(written, before)| difference(written, before.as_ref())).collect()),
            Err(Problem::Outcome(outcome)) => Err(ApplyError::Invalid(outcome.lines())),
            Err(Problem::Internal(internal)) => Err(ApplyError::Internal(internal)),
        }
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

    /// The body that an item would replace, once the item itself is found sound.
    async fn check(&self, item: &Item, now: Timestamp) -> Result<Option<Value>, Problem> {
        let change = Change::Put(item.kind, item.id.clone(), item.document.clone());
        self.rehearse(vec![(change, Precondition::default())], ORIGIN, now).await?;
        let present = self.store().document(item.kind.name(), &item.id).await?;
        Ok(present.filter(|row| row.deleted_at.is_none()).map(|row| row.body.0))
    }
}

fn difference(written: Written, before: Option<&Value>) -> Difference {
    let Written { row, effect, warnings } = written;
    let mut paths = Vec::new();
    if let (Effect::Updated, Some(before)) = (effect, before) {
        compare(&row.kind, before, &row.body.0, &mut paths);
        if paths.is_empty() {
            paths.push(format!("{}.{}", row.kind, if row.kind == "User" { "password" } else { "secret" }));
        }
    }
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

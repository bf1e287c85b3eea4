//! Writing documents, one or many, in one transaction.
//!
//! Everything slow (hashing a secret) and everything that can be wrong comes first, against the rows as they are; the
//! transaction then writes over exactly those versions. Where somebody was faster, all of it is done again.

use std::collections::HashMap;

use crate::store::Json;
use serde_json::{Map, Value};

use super::kind::DocumentKind;
use super::outcome::{Issue, Outcome, Problem};
use super::secret_fields;
use super::{Change, Documents, Precondition, absent, is_id, object, one_form, patch, stored};
use crate::domain::internal::Internal;
use crate::domain::time::Timestamp;
use crate::store::documents::Row;
use crate::store::users::Consented;
use crate::store::was_rolled_back;

/// How often somebody else may be faster before we say so.
pub(super) const TRIES: usize = 5;
/// More changes than this are not made together.
const MAX_CHANGES: usize = 10_000;

/// What came of a change.
#[derive(Clone, Debug)]
pub struct Written {
    /// The document as it is now; as it was, where it was deleted.
    pub row: Row,
    /// What happened.
    pub effect: Effect,
    /// What was accepted and still looks wrong.
    pub warnings: Vec<String>,
}

/// What happened to a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It is new.
    Created,
    /// It is another one now.
    Updated,
    /// It was like that already; nothing was written.
    Unchanged,
    /// It is gone.
    Deleted,
}

/// A change worked out, to be written over version `base`.
pub(super) struct Prepared {
    kind: DocumentKind,
    pub(super) base: i64,
    /// The body as it was.
    pub(super) before: Option<Value>,
    /// Whether a secret is another one now.
    pub(super) new_secret: bool,
    /// Whether everything issued under the document ends.
    ends: bool,
    pub(super) written: Written,
}

impl Prepared {
    /// The user and the client of a Grant that is taken back, in whole or in part: what was issued under it ends.
    fn withdrawn_consent(&self) -> Option<(&str, &str)> {
        let after = &self.written.row.body.0;
        let (before, still) = match self.written.effect {
            Effect::Deleted => (after, None),
            _ => (self.before.as_ref()?, Some(after)),
        };
        let covered = still.is_some_and(|after| {
            parties(after) == parties(before) && Consented::of(after).covers(&Consented::of(before))
        });
        parties(before).filter(|_| !covered)
    }
}

/// How writing what was prepared went.
pub(super) enum Wrote {
    /// Everything is written.
    All,
    /// Nothing is: a row is not the one it was prepared over.
    Overtaken,
    /// Nothing is: this user would sign in with a name that leads to another one.
    NameTaken {
        /// The user's id.
        user: String,
        /// The refusal.
        outcome: Outcome,
    },
}

impl Documents {
    /// Makes changes together or not at all. `origin` marks documents as made by a bundle.
    pub async fn change_all(
        &self,
        changes: Vec<(Change, Precondition)>,
        origin: Option<&str>,
        now: Timestamp,
    ) -> Result<Vec<Written>, Problem> {
        if changes.len() > MAX_CHANGES {
            return Err(
                Outcome::new(413, "too-long", format!("at most {MAX_CHANGES} resources are written together")).into()
            );
        }
        for _ in 0..TRIES {
            let prepared = self.prepare_all(&changes, origin, now).await?;
            match self.write(&prepared, now).await? {
                Wrote::All => return Ok(prepared.into_iter().map(|one| one.written).collect()),
                Wrote::NameTaken { outcome, .. } => return Err(outcome.into()),
                Wrote::Overtaken => {}
            }
        }
        Err(Outcome::new(409, "conflict", "others keep changing the same resources; try again").into())
    }

    /// Works every change out by itself, and answers those that are refused with their place in the list.
    pub(super) async fn prepare_each(
        &self,
        changes: &[(Change, Precondition)],
        origin: &str,
        now: Timestamp,
    ) -> Result<(Vec<Prepared>, Vec<(usize, Outcome)>), Internal> {
        let (mut prepared, mut refused) = (Vec::new(), Vec::new());
        for (index, (change, expected)) in changes.iter().enumerate() {
            match self.prepare(change.clone(), expected, Some(origin), now, &HashMap::new()).await {
                Ok(one) => prepared.push(one),
                Err(Problem::Outcome(outcome)) => refused.push((index, outcome)),
                Err(Problem::Internal(internal)) => return Err(internal),
            }
        }
        Ok((prepared, refused))
    }

    async fn prepare_all(
        &self,
        changes: &[(Change, Precondition)],
        origin: Option<&str>,
        now: Timestamp,
    ) -> Result<Vec<Prepared>, Problem> {
        let mut prepared: Vec<Prepared> = Vec::with_capacity(changes.len());
        let mut latest: HashMap<(DocumentKind, String), Written> = HashMap::new();
        for (change, expected) in changes {
            let one = self.prepare(change.clone(), expected, origin, now, &latest).await?;
            latest.insert((one.kind, one.written.row.id.clone()), one.written.clone());
            prepared.push(one);
        }
        Ok(prepared)
    }

    async fn prepare(
        &self,
        change: Change,
        expected: &Precondition,
        origin: Option<&str>,
        now: Timestamp,
        earlier: &HashMap<(DocumentKind, String), Written>,
    ) -> Result<Prepared, Problem> {
        let (kind, id, is_post) = match &change {
            Change::Put(kind, id, _) | Change::Patch(kind, id, ..) | Change::Delete(kind, id) => {
                (*kind, id.clone(), false)
            }
            Change::Post(kind, document) => {
                (*kind, own_id(*kind, document, || self.keeper.randomness.row_id("documents"))?, true)
            }
        };
        if !is_id(&id) {
            return Err(Outcome::invalid(vec![Issue::invalid(
                format!("{}.id", kind.name()),
                "must be 1 to 128 of A-Z a-z 0-9 - . _ ~ @ + :",
            )])
            .into());
        }
        let present = match earlier.get(&(kind, id.clone())) {
            Some(written) if written.effect == Effect::Deleted => {
                return Err(Outcome::new(
                    409,
                    "conflict",
                    format!("{}/{id} is deleted by an earlier entry of this request", kind.name()),
                )
                .into());
            }
            Some(written) => Some(written.row.clone()),
            None => self.store().document(kind.name(), &id).await?,
        };
        let living = present.as_ref().filter(|row| row.deleted_at.is_none());
        expect(kind, &id, living, expected)?;
        if is_post && living.is_some() {
            return Err(
                Outcome::new(409, "conflict", format!("{}/{id} exists already; PUT replaces it", kind.name())).into()
            );
        }
        let document = match change {
            Change::Put(_, _, document) | Change::Post(_, document) => document,
            Change::Delete(..) => {
                let row = living.ok_or_else(|| absent(kind, &id, present.as_ref()))?;
                return Ok(prepare_delete(kind, row, now));
            }
            Change::Patch(_, _, method, change) => {
                let row = living.ok_or_else(|| absent(kind, &id, present.as_ref()))?;
                patch::apply(kind, Self::as_read(row), method, change)?
            }
        };
        self.prepare_put(kind, id, document, present.as_ref(), origin, now).await
    }

    pub(super) async fn prepare_put(
        &self,
        kind: DocumentKind,
        id: String,
        mut document: Value,
        present: Option<&Row>,
        origin: Option<&str>,
        now: Timestamp,
    ) -> Result<Prepared, Problem> {
        if !document.is_object() {
            return Err(Outcome::new(400, "invalid", "the body must be an object").into());
        }
        document.as_object_mut().into_iter().for_each(drop_nulls);
        one_form(&mut document);
        let mut body = object(document);
        if let Some(name) = body.remove("resourceType").filter(|name| *name != kind.name()) {
            return Err(Outcome::invalid(vec![Issue::invalid(
                format!("{}.resourceType", kind.name()),
                format!("is {name}, but the path says {}", kind.name()),
            )])
            .into());
        }
        body.remove("id");
        body.remove("meta");
        let issues = kind.problems(&body, self.http_redirects);
        if !issues.is_empty() {
            return Err(Outcome::invalid(issues).into());
        }
        let mut warnings = kind.warnings(&body);
        if kind == DocumentKind::Client && self.bootstrap.as_deref() == Some(&id) {
            warnings.push(format!("Client/{id} has no effect: the bootstrap admin client of the settings has this id"));
        }
        let living = present.filter(|row| row.deleted_at.is_none());
        let before = living.map(stored).unwrap_or_default();
        let given = secret_fields::take(kind, &mut body);
        let secrets = self.keeper.store(kind, &id, given, kind.sealed(&body), &before).await?;

        let body = Value::Object(body);
        let same = living.is_some_and(|row| row.body.0 == body) && secrets == before;
        if let Some(row) = living.filter(|_| same) {
            let adopted = origin.is_some() && row.origin.as_deref() != origin;
            if !adopted {
                return Ok(Prepared {
                    kind,
                    base: row.version,
                    before: None,
                    new_secret: false,
                    ends: false,
                    written: Written { row: row.clone(), effect: Effect::Unchanged, warnings },
                });
            }
        }
        let reference = |name: &str| {
            (kind == DocumentKind::Grant)
                .then(|| body.pointer(&format!("/{name}/id")).and_then(Value::as_str).map(str::to_owned))
                .flatten()
        };
        let base = present.map_or(0, |row| row.version);
        let active = kind.is_active(body.as_object().unwrap_or(&Map::new()));
        // A changed password ends whatever was issued under the old one; switching off ends it for good, not until switched on again.
        let ends = living.is_some_and(|row| {
            row.active && !active || kind == DocumentKind::User && secrets.get("password") != before.get("password")
        });
        let row = Row {
            kind: kind.name().into(),
            version: base + 1,
            active,
            epoch: present.map_or(0, |row| row.epoch) + i64::from(ends),
            user_id: reference("user"),
            client_id: reference("client"),
            origin: origin.map(str::to_owned).or_else(|| living.and_then(|row| row.origin.clone())),
            created_at: living.map_or(now, |row| row.created_at),
            updated_at: now,
            deleted_at: None,
            body: Json(body),
            secrets: Json(serde_json::to_value(&secrets)?),
            id,
        };
        let effect = if living.is_some() { Effect::Updated } else { Effect::Created };
        let new_secret = secrets != before;
        let before = living.map(|row| row.body.0.clone());
        Ok(Prepared { kind, base, before, new_secret, ends, written: Written { row, effect, warnings } })
    }

    /// Writes what was prepared.
    pub(super) async fn write(&self, prepared: &[Prepared], now: Timestamp) -> Result<Wrote, Problem> {
        match self.write_once(prepared, now).await {
            Err(Internal::Failed(error)) if error.downcast_ref().is_some_and(was_rolled_back) => Ok(Wrote::Overtaken),
            wrote => Ok(wrote?),
        }
    }

    async fn write_once(&self, prepared: &[Prepared], now: Timestamp) -> Result<Wrote, Internal> {
        // In one order on every node, so that two batches wait for each other rather than deadlock.
        let mut order: Vec<&Prepared> = prepared.iter().filter(|one| one.written.effect != Effect::Unchanged).collect();
        if order.is_empty() {
            return Ok(Wrote::All);
        }
        order.sort_by(|a, b| (a.kind, &a.written.row.id, a.base).cmp(&(b.kind, &b.written.row.id, b.base)));
        let mut tx = self.store().begin_patiently().await?;
        let mut signed_out = Vec::new();
        for one in &order {
            let Written { row, effect, .. } = &one.written;
            if !tx.write_document(row, one.base).await? {
                return Ok(Wrote::Overtaken);
            }
            let deleted = *effect == Effect::Deleted;
            match one.kind {
                DocumentKind::User => {
                    // Given up first, so that users may exchange their names.
                    tx.set_login_names(&row.id, &[]).await?;
                    if one.ends {
                        signed_out.push((&row.id, tx.tell_clients_of(&row.id, now).await?));
                    }
                    if deleted {
                        tx.delete_grants_of(Some(&row.id), None, now).await?;
                    }
                }
                DocumentKind::Client if deleted => tx.delete_grants_of(None, Some(&row.id), now).await?,
                DocumentKind::Client => {}
                DocumentKind::Grant => {
                    if let Some((user_id, client_id)) = one.withdrawn_consent() {
                        tx.end_what_was_consented(user_id, client_id, now).await?;
                    }
                }
            }
        }
        let kept = |one: &&&Prepared| one.kind == DocumentKind::User && one.written.effect != Effect::Deleted;
        for row in order.iter().filter(kept).map(|one| &one.written.row) {
            if let Some(taken) = tx.set_login_names(&row.id, &login_names(row)).await? {
                return Ok(Wrote::NameTaken { user: row.id.clone(), outcome: taken_name(row, &taken) });
            }
        }
        // A client that is new is remembered nowhere yet.
        let is_known = |one: &&Prepared| one.kind == DocumentKind::Client && one.written.effect != Effect::Created;
        if order.iter().any(is_known) {
            tx.touch_configuration().await?;
        }
        tx.commit().await?;
        for one in &order {
            let Written { row, effect, .. } = &one.written;
            tracing::info!(event = "document_changed", kind = row.kind, id = row.id, version = row.version, ?effect);
        }
        for (user, told) in signed_out {
            tracing::info!(event = "logins_ended", user, ?told);
            self.store().logouts_are_due();
        }
        Ok(Wrote::All)
    }
}

/// The user and the client of a Grant.
fn parties(grant: &Value) -> Option<(&str, &str)> {
    let id = |name: &str| grant.pointer(&format!("/{name}/id")).and_then(Value::as_str);
    id("user").zip(id("client"))
}

fn prepare_delete(kind: DocumentKind, living: &Row, now: Timestamp) -> Prepared {
    let mut row = living.clone();
    let base = row.version;
    row.version += 1;
    row.epoch += 1;
    row.updated_at = now;
    row.deleted_at = Some(now);
    Prepared {
        kind,
        base,
        before: None,
        new_secret: false,
        ends: true,
        written: Written { row, effect: Effect::Deleted, warnings: Vec::new() },
    }
}

fn own_id(kind: DocumentKind, document: &Value, new: impl FnOnce() -> uuid::Uuid) -> Result<String, Problem> {
    match document.get("id") {
        None => Ok(new().to_string()),
        Some(Value::String(id)) => Ok(id.clone()),
        Some(_) => Err(Outcome::invalid(vec![Issue::invalid(format!("{}.id", kind.name()), "expected text")]).into()),
    }
}

fn expect(kind: DocumentKind, id: &str, living: Option<&Row>, expected: &Precondition) -> Result<(), Outcome> {
    let conflict = |text: &str| Err(Outcome::new(412, "conflict", format!("{text}: {}/{id}", kind.name())));
    match (&expected.if_match, living) {
        (Some(_), None) => return conflict("If-Match on a resource that is not there"),
        (Some(version), Some(row)) if version != "*" && *version != row.version.to_string() => {
            return conflict("Version Id mismatch");
        }
        _ => {}
    }
    if expected.if_none_match_any && living.is_some() {
        return conflict("If-None-Match: * on a resource that is there");
    }
    Ok(())
}

/// Null is absence, as in a merge patch.
fn drop_nulls(members: &mut Map<String, Value>) {
    members.retain(|_, value| !value.is_null());
    members.values_mut().filter_map(Value::as_object_mut).for_each(drop_nulls);
}

/// The names a user may sign in with: user name, e-mail and id, in lower case, each once.
fn login_names(row: &Row) -> Vec<String> {
    let text = |name: &str| row.body.get(name).and_then(Value::as_str).map(|text| text.trim().to_lowercase());
    let mut names: Vec<String> =
        [Some(row.id.to_lowercase()), text("userName"), text("email")].into_iter().flatten().collect();
    names.sort();
    names.dedup();
    names
}

fn taken_name(row: &Row, taken: &str) -> Outcome {
    let is =
        |name: &str| row.body.get(name).and_then(Value::as_str).is_some_and(|text| text.trim().to_lowercase() == taken);
    let field = ["userName", "email"].into_iter().find(|name| is(name)).unwrap_or("id");
    let issue = Issue {
        code: "conflict",
        expression: Some(format!("User.{field}")),
        diagnostics: format!(
            "another user signs in with {taken} already; ids, user names and e-mail addresses lead to one user each"
        ),
    };
    Outcome { status: 409, issues: vec![issue] }
}

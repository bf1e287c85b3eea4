//! The documents that administrators PUT: read, checked, changed, kept and shown.
//!
//! [`mod@format`] reads JSON and YAML, [`kind`] knows the types and their rules, with their [`fields`] as data for [`schema`] and [`described`];
//! [`secret_fields`] takes secrets out before anything else sees them. [`Documents`] has a verb per operation of the REST
//! surface, whose HTTP is in [`crate::web`]; [`bundle`] reads files of them, [`apply`] makes a database equal to them.

use serde_json::{Map, Value, json};

pub mod apply;
pub mod bundle;
mod client;
pub mod described;
mod enrol;
pub mod fields;
pub mod format;
pub mod keys;
pub mod kind;
pub mod outcome;
pub mod patch;
pub mod render;
pub mod schema;
pub mod search;
pub mod secret_fields;
pub mod sessions;
mod write;

pub use kind::DocumentKind;
pub use outcome::{Issue, Outcome, Problem};
pub use render::Mount;
pub use secret_fields::Keeper;
pub use write::{Effect, Written};

pub use crate::domain::document_id::is_id;
use crate::domain::internal::Internal;
use crate::domain::password;
use crate::domain::secret::{Digest, Secret};
use crate::domain::time::Timestamp;
use crate::store::Store;
pub use crate::store::documents::Row;

/// The verbs on documents. Clones share everything.
#[derive(Clone, Debug)]
pub struct Documents {
    store: Store,
    http_redirects: bool,
    bootstrap: Option<String>,
    keeper: Keeper,
}

/// What a request says about the version it expects (RFC 9110 §13.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Precondition {
    /// `If-Match`: this version, or any where it is `*`.
    pub if_match: Option<String>,
    /// `If-None-Match: *`: none yet.
    pub if_none_match_any: bool,
}

impl Precondition {
    /// Reads `If-Match` and `If-None-Match`; a version may be written bare, or as a strong or weak tag.
    pub fn read(if_match: Option<&str>, if_none_match: Option<&str>) -> Self {
        let version = |tag: &str| tag.trim().trim_start_matches("W/").trim_matches('"').to_owned();
        Self { if_match: if_match.map(version), if_none_match_any: if_none_match.is_some_and(|tag| tag.trim() == "*") }
    }
}

/// A change to one document, of many that are made together.
#[derive(Clone, Debug)]
pub enum Change {
    /// Create or replace.
    Put(DocumentKind, String, Value),
    /// Create; the id is the document's own, or a new one.
    Post(DocumentKind, Value),
    /// Change in place.
    Patch(DocumentKind, String, patch::Method, Value),
    /// Delete.
    Delete(DocumentKind, String),
}

impl Documents {
    /// The documents of a store. `http_redirects` permits plain-http redirect URIs beyond loopback; `bootstrap` is the id of the
    /// settings' own client, which stands before a document of that id; `keeper` makes the stored forms of secrets.
    pub fn new(store: Store, http_redirects: bool, bootstrap: Option<String>, keeper: Keeper) -> Self {
        Self { store, http_redirects, bootstrap, keeper }
    }

    /// The store underneath.
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// The logo that came from an address, as PNG.
    pub async fn logo(&self, address: Digest) -> Result<Option<Vec<u8>>, Internal> {
        Ok(self.store.logo(address).await?)
    }

    /// Keeps the logo that came from an address.
    pub async fn keep_logo(&self, address: Digest, png: &[u8], now: Timestamp) -> Result<(), Internal> {
        Ok(self.store.keep_logo(address, png, now).await?)
    }

    /// The document; 404 where there never was one, 410 where it was deleted.
    pub async fn read(&self, kind: DocumentKind, id: &str) -> Result<Row, Problem> {
        if !is_id(id) {
            return Err(Outcome::not_found(kind.name(), id).into());
        }
        match self.store.document(kind.name(), id).await? {
            Some(row) if row.deleted_at.is_none() => Ok(row),
            row => Err(absent(kind, id, row.as_ref()).into()),
        }
    }

    /// A page of documents, and how many match.
    pub async fn search(&self, kind: DocumentKind, search: &search::Search) -> Result<(Vec<Row>, i64), Problem> {
        Ok(self.store.documents(kind.name(), &search.query).await?)
    }

    /// Makes one change.
    pub async fn change(&self, change: Change, expected: &Precondition, now: Timestamp) -> Result<Written, Problem> {
        let mut written = self.change_all(vec![(change, expected.clone())], None, now).await?;
        written.pop().ok_or_else(|| Outcome::new(500, "exception", "nothing was written").into())
    }

    /// Whether this is the secret that a document keeps in this form, of those that the server made.
    pub fn is_secret(&self, kind: DocumentKind, id: &str, form: &str, plain: &Secret) -> bool {
        let context = format!("{}/{id}/secret", kind.name());
        let of = |secret: &Secret| Digest::of(secret.expose().as_bytes());
        match self.keeper.sealing.open_text(&context, form) {
            Some(kept) => of(plain).matches(of(&kept).as_bytes()),
            None => password::verify_fast(plain, form) == Some(true),
        }
    }

    /// The document as a reader sees it, for a change in place.
    fn as_read(row: &Row) -> Value {
        let mut body = object(row.body.0.clone());
        secret_fields::mask(&mut body, &stored(row));
        Value::Object(body)
    }
}

/// 410 where there was a document, 404 where there never was one.
fn absent(kind: DocumentKind, id: &str, tombstone: Option<&Row>) -> Outcome {
    match tombstone {
        Some(_) => Outcome::new(410, "deleted", format!("Resource {}/{id} was deleted", kind.name())),
        None => Outcome::not_found(kind.name(), id),
    }
}

/// The members of a document's body.
fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// The stored secrets of a row.
fn stored(row: &Row) -> secret_fields::Stored {
    serde_json::from_value(row.secrets.0.clone()).unwrap_or_default()
}

/// References in one form: `{reference: "User/a"}` becomes `{resourceType: "User", id: "a"}`.
fn one_form(value: &mut Value) {
    match value {
        Value::Object(members) => {
            let reference = members.get("reference").and_then(Value::as_str).and_then(|text| text.split_once('/'));
            if let Some((kind, id)) = reference.map(|(kind, id)| (kind.to_owned(), id.to_owned())) {
                members.remove("reference");
                members.insert("resourceType".into(), json!(kind));
                members.insert("id".into(), json!(id));
            }
            members.values_mut().for_each(one_form);
        }
        Value::Array(items) => items.iter_mut().for_each(one_form),
        _ => {}
    }
}

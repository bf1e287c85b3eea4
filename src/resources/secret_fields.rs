//! Secret fields: taken out of a document before anything else sees it, and shown as a mask.
//!
//! They live apart from the body, so that no search, sort, patch test or history can reach them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::kind::DocumentKind;
use super::outcome::{Issue, Outcome, Problem};
use crate::domain::password::{self, Verified};
use crate::domain::secret::{SealingKey, Secret, is_sealed};
use crate::identity::hashing::Hashing;
use crate::randomness::Randomness;

/// What is shown in the place of a secret. Sent back, it means "as it is".
pub const MASK: &str = "********";

/// Stored forms by path.
pub type Stored = BTreeMap<String, String>;

/// Takes the secrets out of a document: path and value.
pub fn take(kind: DocumentKind, body: &mut Map<String, Value>) -> Vec<(&'static str, Value)> {
    kind.secrets().iter().filter_map(|path| Some((*path, remove(body, path)?))).collect()
}

/// Puts the mask where there is a secret.
pub fn mask(body: &mut Map<String, Value>, stored: &Stored) {
    for path in stored.keys() {
        put(body, path, Value::from(MASK));
    }
}

/// Puts the stored forms themselves in, for an export that `apply` takes back. What is sealed with the master key stays behind a
/// prefix of its own.
pub fn reveal_forms(body: &mut Map<String, Value>, stored: &Stored) {
    for (path, form) in stored {
        put(body, path, Value::from(form.as_str()));
    }
}

/// How secrets become their stored forms.
#[derive(Clone, Debug)]
pub struct Keeper {
    /// Slow hashes run here.
    pub hashing: Hashing,
    /// Seals what cannot be hashed.
    pub sealing: std::sync::Arc<SealingKey>,
    /// Gives salts, and ids to documents that have none.
    pub randomness: Randomness,
}

impl Keeper {
    /// The stored forms of a document's secrets; those in `sealed` are kept as they are, sealed, because they are needed in the
    /// clear. A mask, and a value that the present form verifies, leave that form as it is, so that applying a bundle twice changes
    /// nothing.
    pub async fn store(
        &self,
        kind: DocumentKind,
        id: &str,
        given: Vec<(&'static str, Value)>,
        sealed: &[&str],
        present: &Stored,
    ) -> Result<Stored, Problem> {
        let mut stored = Stored::new();
        for (path, value) in given {
            let full = || format!("{}.{path}", kind.name());
            let refuse = |why: &str| Err(Problem::from(Outcome::invalid(vec![Issue::invalid(full(), why)])));
            let Value::String(text) = value else { return refuse("expected text") };
            let present = present.get(path);
            let text = match present {
                Some(form) if text == MASK => form.clone(),
                None if text == MASK => {
                    return refuse("this is the mask of a secret, and there is none to keep; give the secret itself");
                }
                _ => text,
            };
            let context = format!("{}/{id}/{path}", kind.name());
            let opened = self.sealing.open_text(&context, &text);
            if is_sealed(&text) && opened.is_none() {
                return refuse(
                    "this is sealed, but not with this server's master key, or not for this resource; give the secret itself",
                );
            }
            let form = match (sealed.contains(&path), opened) {
                (true, Some(_)) => text,
                (false, None) if present == Some(&text) => text,
                (true, None) if present == Some(&text) || password::stored_form(&text).is_some() => {
                    return refuse(
                        "only a hash of the secret is here, and what this document asks for needs the secret itself; give it anew",
                    );
                }
                (true, None) => self.seal(&context, &Secret::new(text), present)?,
                (false, opened) => self.hash(opened.unwrap_or_else(|| Secret::new(text)), present).await?,
            };
            stored.insert(path.to_owned(), form);
        }
        Ok(stored)
    }

    async fn hash(&self, plain: Secret, present: Option<&String>) -> Result<String, Problem> {
        if let Some(form) = password::stored_form(plain.expose()) {
            return Ok(form.to_owned());
        }
        let present = present.cloned();
        let salt = self.randomness.bytes("salts");
        let hashed = self.hashing.run(move |memory| match present {
            Some(form) if password::verify(&plain, &form, memory) != Verified::No => form,
            _ => password::hash(&plain, salt, memory),
        });
        Ok(hashed.await?)
    }

    fn seal(&self, context: &str, plain: &Secret, present: Option<&String>) -> Result<String, Problem> {
        if let Some(form) = present.filter(|form| self.sealing.open_text(context, form).as_ref() == Some(plain)) {
            return Ok(form.clone());
        }
        let sealed = self.sealing.seal_text(context, plain);
        sealed.ok_or_else(|| Outcome::new(500, "exception", "a secret could not be sealed").into())
    }
}

/// Whether a path of a patch or a search touches a secret.
pub fn is_secret(kind: DocumentKind, path: &[&str]) -> bool {
    kind.secrets().iter().any(|secret| {
        let secret: Vec<&str> = secret.split('.').collect();
        path.starts_with(&secret) || secret.starts_with(path)
    })
}

fn remove(body: &mut Map<String, Value>, path: &str) -> Option<Value> {
    match path.split_once('.') {
        None => body.remove(path),
        Some((first, rest)) => remove(body.get_mut(first)?.as_object_mut()?, rest),
    }
}

fn put(body: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => drop(body.insert(path.to_owned(), value)),
        Some((first, rest)) => {
            let inner = body.entry(first).or_insert_with(|| Value::Object(Map::new()));
            if let Some(inner) = inner.as_object_mut() {
                put(inner, rest, value);
            }
        }
    }
}

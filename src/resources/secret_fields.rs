//! Secret fields: taken out of a document before anything else sees it, and shown as a mask.
//!
//! They live apart from the body, so that no search, sort, patch test or history can reach them.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD as B64};
use serde_json::{Map, Value};

use super::kind::DocumentKind;
use super::outcome::{Issue, Outcome, Problem};
use crate::domain::password::{self, Verified};
use crate::domain::secret::{SealingKey, Secret};
use crate::identity::hashing::Hashing;

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

/// What is sealed rather than hashed, because it is needed in the clear.
const SEALED: &str = "__sealed:";

/// How secrets become their stored forms.
#[derive(Clone, Debug)]
pub struct Keeper {
    /// Slow hashes run here.
    pub hashing: Hashing,
    /// Seals what cannot be hashed.
    pub sealing: std::sync::Arc<SealingKey>,
}

impl Keeper {
    /// The stored forms of a document's secrets. A mask, and a value that the present form verifies, leave that form as it is,
    /// so that applying a bundle twice changes nothing.
    pub async fn store(
        &self,
        kind: DocumentKind,
        id: &str,
        given: Vec<(&'static str, Value)>,
        present: &Stored,
    ) -> Result<Stored, Problem> {
        let mut stored = Stored::new();
        for (path, value) in given {
            let full = || format!("{}.{path}", kind.name());
            let Value::String(text) = value else {
                return Err(Outcome::invalid(vec![Issue::invalid(full(), "expected text")]).into());
            };
            let form = match present.get(path) {
                Some(form) if text == MASK || text == *form => form.clone(),
                None if text == MASK => {
                    let why = "this is the mask of a secret, and there is none to keep; give the secret itself";
                    return Err(Outcome::invalid(vec![Issue::invalid(full(), why)]).into());
                }
                form if path.starts_with("twoFactor") => {
                    self.seal(&format!("{}/{id}/{path}", kind.name()), &text, form)?
                }
                form => self.hash(Secret::new(text), form).await?,
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
        let hashed = self.hashing.run(move |memory| match present {
            Some(form) if password::verify(&plain, &form, memory) != Verified::No => form,
            _ => password::hash(&plain, memory),
        });
        Ok(hashed.await?)
    }

    fn seal(&self, context: &str, plain: &str, present: Option<&String>) -> Result<String, Problem> {
        if plain.starts_with(SEALED) && self.open(context, plain).is_some() {
            return Ok(plain.to_owned());
        }
        if let Some(form) = present.filter(|form| self.open(context, form).as_deref() == Some(plain)) {
            return Ok(form.clone());
        }
        let sealed = self
            .sealing
            .seal(context, plain.as_bytes())
            .ok_or_else(|| Outcome::new(500, "exception", "a secret could not be sealed"))?;
        Ok(format!("{SEALED}{}", B64.encode(sealed)))
    }

    fn open(&self, context: &str, form: &str) -> Option<String> {
        let sealed = B64.decode(form.strip_prefix(SEALED)?).ok()?;
        String::from_utf8(self.sealing.open(context, &sealed)?).ok()
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

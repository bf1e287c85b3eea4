//! The keys as a node knows them: which signs now, which verifies a token, and the set to publish.

use std::collections::HashMap;
use std::sync::Arc;

use jsonwebtoken::Validation;
use serde_json::{Map, Value, json};

use super::algorithm::{ALGORITHMS, verifying};
use super::key::Key;
use crate::domain::time::Timestamp;

/// The keys as they are now.
#[derive(Debug)]
pub struct KeyRing {
    keys: Vec<Arc<Key>>,
    by_kid: HashMap<String, Arc<Key>>,
    jwks: Value,
}

impl KeyRing {
    /// These keys, and their public halves as they are published.
    pub(super) fn new(keys: Vec<Arc<Key>>, published: &[Value]) -> Self {
        let by_kid = keys.iter().map(|key| (key.kid.clone(), Arc::clone(key))).collect();
        Self { keys, by_kid, jwks: json!({ "keys": published }) }
    }

    /// Whether there is a key for every algorithm.
    pub fn is_complete(&self) -> bool {
        ALGORITHMS.iter().all(|alg| self.has(alg))
    }

    /// Whether there is a key for this one.
    pub fn has(&self, alg: &str) -> bool {
        self.keys.iter().any(|key| key.alg == alg)
    }

    /// The key set to publish (RFC 7517 §5).
    pub const fn jwks(&self) -> &Value {
        &self.jwks
    }

    /// The key that signs with `alg` now: the newest whose time has come.
    pub fn signing(&self, alg: &str, now: Timestamp) -> Option<Arc<Key>> {
        let of_alg = || self.keys.iter().filter(|key| key.alg == alg);
        let due = of_alg().filter(|key| key.signs_from <= now);
        due.max_by_key(|key| key.signs_from).or_else(|| of_alg().min_by_key(|key| key.signs_from)).cloned()
    }

    /// The claims of a JWT of ours of the given `typ`; `None` for any other text. The key is found by `kid` and decides the
    /// algorithm; nothing inside the token does (RFC 8725 §3.1). Expiry is the caller's to compare.
    pub fn verify(&self, typ: &str, issuer: &str, text: &str) -> Option<Map<String, Value>> {
        let header = jsonwebtoken::decode_header(text).ok()?;
        let key = self.by_kid.get(header.kid.as_deref()?)?;
        if !header.typ.as_deref().is_some_and(|found| found.eq_ignore_ascii_case(typ)) {
            return None;
        }
        let mut validation = Validation::new(verifying(&key.alg)?);
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.set_issuer(&[issuer]);
        validation.set_required_spec_claims(&["iss", "exp"]);
        jsonwebtoken::decode::<Map<String, Value>>(text, &key.verifier, &validation).ok().map(|token| token.claims)
    }
}

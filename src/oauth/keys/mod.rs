//! Signing keys: made once, sealed at rest, the same on every node, rotated with overlap.
//!
//! A key is published as soon as it is made and signs a little later, when every cache of the key set has seen it. Keys stay
//! published until the last token they signed has expired. Here are the verbs that make, read and change keys; [`algorithm`]
//! has the table of algorithms, [`key`] what one key does, [`ring`] what a node knows of all of them, `well_known` what
//! follows from a seed.
//!
//! Each algorithm has a key of its own, RS256 and PS256 too, though one RSA key could serve both: `kid` then decides the
//! algorithm (RFC 8725 §3.1), the `alg` that is published beside it is true, and libraries that compare the two are content.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde_json::{Value, json};

use crate::domain::internal::Internal;
use crate::domain::secret::{Digest, MasterKey, SealingKey};
use crate::domain::time::Timestamp;
use crate::randomness::Randomness;
use crate::store::keys::SigningKey;
use crate::store::{Json, Store};

mod algorithm;
mod key;
mod ring;
mod well_known;

pub use algorithm::{ALGORITHMS, QUICK_ALGORITHMS, left_half};
pub use key::Key;
pub use ring::KeyRing;

/// Seconds between publishing a key and signing with it: longer than the key set may be cached (`max-age` of the JWKS answer).
pub const PUBLISHED_BEFORE_USE: i64 = 900;
/// ID tokens live this long, in seconds; also the least time that a superseded key stays published.
pub const ID_TOKEN_LIFE: i64 = 3_600;

/// The keys that the master key does not open.
#[derive(Debug, thiserror::Error)]
#[error(
    "the signing key {0} does not open with this master key: COUNTERSIGN_MASTER_KEY is not the one this database was made with"
)]
pub struct WrongMasterKey(String);

#[derive(Debug, thiserror::Error)]
#[error(
    "the signing key {0} is public knowledge: `countersign dev --seed` made this database, which is for nothing else"
)]
struct WellKnown(String);

#[derive(Debug, thiserror::Error)]
#[error("the cryptography library refuses a key: {0}")]
struct BadKey(&'static str);

/// The verbs that make, read and change keys.
#[derive(Debug)]
pub struct Keys {
    store: Store,
    sealing: SealingKey,
    randomness: Randomness,
}

impl Keys {
    /// The keys of a store, sealed with this master key.
    pub fn new(store: Store, master: &MasterKey, randomness: Randomness) -> Self {
        Self { store, sealing: SealingKey::new(master, "signing keys"), randomness }
    }

    /// Makes the first key of each of these algorithms that has none. Safe to call on many nodes at once: one makes them.
    pub async fn ensure(&self, algorithms: &[&str], now: Timestamp) -> Result<(), Internal> {
        let missing = |present: &[SigningKey], alg: &str| !present.iter().any(|key| key.alg == alg);
        let present = self.store.signing_keys().await?;
        let mut made = Vec::new();
        for alg in algorithms.iter().filter(|alg| missing(&present, alg)) {
            made.push(self.generate(alg, now, now).await?);
        }
        if made.is_empty() {
            return Ok(());
        }
        let mut tx = self.store.begin_patiently().await?;
        tx.lock_configuration().await?;
        let present = tx.signing_keys().await?;
        for key in made.iter().filter(|key| missing(&present, &key.alg)) {
            tx.insert_signing_key(key).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Makes a new key per algorithm. It is published now and signs from `PUBLISHED_BEFORE_USE` later; those before it verify
    /// until whatever they may still sign has expired. Answers the new keys' ids.
    pub async fn rotate(
        &self,
        algorithms: &[&str],
        longest_token: i64,
        now: Timestamp,
    ) -> Result<Vec<String>, Internal> {
        let signs_from = now.plus(PUBLISHED_BEFORE_USE);
        let mut made = Vec::new();
        for alg in algorithms {
            made.push(self.generate(alg, now, signs_from).await?);
        }
        let mut tx = self.store.begin_patiently().await?;
        tx.lock_configuration().await?;
        let longest = tx.longest_access_token().await?.max(longest_token).max(ID_TOKEN_LIFE);
        for key in &made {
            tx.insert_signing_key(key).await?;
            tx.supersede_signing_keys(&key.alg, &key.kid, signs_from.plus(longest).plus(60)).await?;
        }
        tx.commit().await?;
        Ok(made.into_iter().map(|key| key.kid).collect())
    }

    /// Removes a key at once: what it signed no longer verifies. `false` where there is none of this id. The last key of an
    /// algorithm is replaced by a new one that signs at once.
    pub async fn retire(&self, kid: &str, now: Timestamp) -> Result<bool, Internal> {
        let replacements: Vec<SigningKey> = match self.store.signing_keys().await?.iter().find(|key| key.kid == kid) {
            None => return Ok(false),
            Some(key) => vec![self.generate(&key.alg, now, now).await?],
        };
        let mut tx = self.store.begin_patiently().await?;
        tx.lock_configuration().await?;
        let deleted = tx.delete_signing_key(kid).await?;
        let rest = tx.signing_keys().await?;
        for key in replacements {
            // The newest that is left takes over again, for good; where there is none that signs now, a new one does.
            let due = rest.iter().filter(|other| other.alg == key.alg && other.signs_from <= now);
            let newest = due.max_by_key(|other| other.signs_from);
            match newest {
                Some(newest) if !rest.iter().any(|other| other.alg == key.alg && other.verifies_until.is_none()) => {
                    tx.reinstate_signing_key(&newest.kid).await?;
                }
                Some(_) => {}
                None => tx.insert_signing_key(&key).await?,
            }
        }
        tx.commit().await?;
        Ok(deleted)
    }

    pub(super) async fn load(&self) -> Result<KeyRing, Internal> {
        let rows = self.store.signing_keys().await?;
        let mut keys = Vec::new();
        let mut published = Vec::new();
        for row in rows {
            let private =
                self.sealing.open(&row.kid, &row.private_key).ok_or_else(|| WrongMasterKey(row.kid.clone()))?;
            if !self.randomness.is_seeded() && well_known::is_well_known(&private) {
                return Err(WellKnown(row.kid).into());
            }
            published.push(row.public_jwk.0.clone());
            keys.push(Arc::new(Key::parse(row, &private)?));
        }
        Ok(KeyRing::new(keys, &published))
    }

    /// A key that nobody else will hear of.
    pub async fn unpublished(&self, alg: &str, now: Timestamp) -> Result<Arc<Key>, Internal> {
        let row = self.generate(alg, now, now).await?;
        let private = self.sealing.open(&row.kid, &row.private_key).ok_or_else(|| WrongMasterKey(row.kid.clone()))?;
        Ok(Arc::new(Key::parse(row, &private)?))
    }

    async fn generate(&self, alg: &str, now: Timestamp, signs_from: Timestamp) -> Result<SigningKey, Internal> {
        let (name, randomness) = (alg.to_owned(), self.randomness.clone());
        let (private, mut jwk) = tokio::task::spawn_blocking(move || key::generate(&name, &randomness)).await??;
        // RFC 7638 §3: the required members in lexicographic order, without spaces.
        let kid = B64.encode(Digest::of(Value::Object(jwk.clone()).to_string().as_bytes()).as_bytes());
        jwk.insert("kid".into(), json!(kid));
        jwk.insert("use".into(), json!("sig"));
        jwk.insert("alg".into(), json!(alg));
        let sealed = self.sealing.seal(&kid, &private).ok_or(BadKey("it cannot be sealed"))?;
        Ok(SigningKey {
            kid,
            alg: alg.into(),
            public_jwk: Json(Value::Object(jwk)),
            private_key: sealed,
            created_at: now,
            signs_from,
            verifies_until: None,
        })
    }
}

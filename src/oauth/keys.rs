//! Signing keys: made once, sealed at rest, the same on every node, rotated with overlap.
//!
//! A key is published as soon as it is made and signs a little later, when every cache of the key set has seen it. Keys stay
//! published until the last token they signed has expired. Private keys are parsed once and held by the cryptography library;
//! a JWS is then a prepared header, a payload and one signature (RFC 7515 §3.1).

use std::collections::HashMap;
use std::sync::Arc;

use crate::store::Json;
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Map, Value, json};

use crate::domain::internal::Internal;
use crate::domain::secret::{Digest, MasterKey, SealingKey};
use crate::domain::time::Timestamp;
use crate::store::Store;
use crate::store::keys::SigningKey;

/// The algorithms that tokens are signed with (RFC 7518 §3.1, RFC 8037 §3.1).
pub const ALGORITHMS: [&str; 3] = ["RS256", "ES256", "EdDSA"];
/// Those whose keys are made in no time; an RSA key takes a tenth of a second or so to find.
pub const QUICK_ALGORITHMS: [&str; 2] = ["ES256", "EdDSA"];
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
#[error("the cryptography library refuses a key: {0}")]
struct BadKey(&'static str);

/// The verbs that make, read and change keys.
#[derive(Debug)]
pub struct Keys {
    store: Store,
    sealing: SealingKey,
}

/// The keys as they are now.
#[derive(Debug)]
pub struct KeyRing {
    keys: Vec<Arc<Key>>,
    by_kid: HashMap<String, Arc<Key>>,
    jwks: Value,
}

/// One key, parsed.
pub struct Key {
    /// RFC 7638 thumbprint of the public part.
    pub kid: String,
    /// `RS256`, `ES256` or `EdDSA`.
    pub alg: String,
    signs_from: Timestamp,
    signer: Signer,
    verifier: DecodingKey,
}

enum Signer {
    Rsa(Arc<RsaKeyPair>),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({} {})", self.alg, self.kid)
    }
}

impl Keys {
    /// The keys of a store, sealed with this master key.
    pub fn new(store: Store, master: &MasterKey) -> Self {
        Self { store, sealing: SealingKey::new(master, "signing keys") }
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
            published.push(row.public_jwk.0.clone());
            keys.push(Arc::new(Key::parse(row, &private)?));
        }
        let by_kid = keys.iter().map(|key| (key.kid.clone(), Arc::clone(key))).collect();
        Ok(KeyRing { keys, by_kid, jwks: json!({ "keys": published }) })
    }

    async fn generate(&self, alg: &str, now: Timestamp, signs_from: Timestamp) -> Result<SigningKey, Internal> {
        let name = alg.to_owned();
        let (private, mut jwk) = tokio::task::spawn_blocking(move || generate(&name)).await??;
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

impl KeyRing {
    /// Whether there is a key for every algorithm.
    pub fn is_complete(&self) -> bool {
        ALGORITHMS.iter().all(|alg| self.keys.iter().any(|key| key.alg == *alg))
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
        let mut validation = Validation::new(algorithm(&key.alg)?);
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.set_issuer(&[issuer]);
        validation.set_required_spec_claims(&["iss", "exp"]);
        jsonwebtoken::decode::<Map<String, Value>>(text, &key.verifier, &validation).ok().map(|token| token.claims)
    }
}

impl Key {
    fn parse(row: SigningKey, private: &[u8]) -> Result<Self, Internal> {
        let signer = match row.alg.as_str() {
            "RS256" => Signer::Rsa(Arc::new(RsaKeyPair::from_pkcs8(private)?)),
            "ES256" => Signer::Ec(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, private)?),
            "EdDSA" => Signer::Ed(Ed25519KeyPair::from_pkcs8(private)?),
            _ => return Err(BadKey("its algorithm is none of ours").into()),
        };
        let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(row.public_jwk.0)?;
        Ok(Self {
            verifier: DecodingKey::from_jwk(&jwk)?,
            kid: row.kid,
            alg: row.alg,
            signs_from: row.signs_from,
            signer,
        })
    }

    /// A signed JWT. RSA, ten times slower than the rest, runs on a thread of its own.
    pub async fn sign(self: &Arc<Self>, typ: &str, claims: &Map<String, Value>) -> Result<String, Internal> {
        let header = json!({ "typ": typ, "alg": self.alg, "kid": self.kid });
        let mut jws = format!("{}.{}", B64.encode(header.to_string()), B64.encode(serde_json::to_vec(claims)?));
        let signature = match &self.signer {
            Signer::Ed(pair) => pair.sign(jws.as_bytes()).as_ref().to_vec(),
            Signer::Ec(pair) => pair.sign(&SystemRandom::new(), jws.as_bytes())?.as_ref().to_vec(),
            Signer::Rsa(pair) => {
                let (pair, message) = (Arc::clone(pair), jws.clone());
                tokio::task::spawn_blocking(move || {
                    let mut signature = vec![0; pair.public_modulus_len()];
                    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature)
                        .map(|()| signature)
                })
                .await??
            }
        };
        jws.push('.');
        B64.encode_string(signature, &mut jws);
        Ok(jws)
    }
}

fn algorithm(name: &str) -> Option<Algorithm> {
    match name {
        "RS256" => Some(Algorithm::RS256),
        "ES256" => Some(Algorithm::ES256),
        "EdDSA" => Some(Algorithm::EdDSA),
        _ => None,
    }
}

/// A new key: PKCS#8, and the required members of its JWK in lexicographic order (RFC 7518 §6, RFC 8037 §2).
fn generate(alg: &str) -> Result<(Vec<u8>, Map<String, Value>), Internal> {
    let (private, members) = match alg {
        "RS256" => {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048)?;
            let public = pair.public_key();
            let n = B64.encode(public.modulus().big_endian_without_leading_zero());
            let e = B64.encode(public.exponent().big_endian_without_leading_zero());
            (
                AsDer::<aws_lc_rs::encoding::Pkcs8V1Der>::as_der(&pair)?.as_ref().to_vec(),
                json!({ "e": e, "kty": "RSA", "n": n }),
            )
        }
        "ES256" => {
            let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
            // An uncompressed point: 0x04, then x and y of 32 bytes each.
            let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
            let members = json!({ "crv": "P-256", "kty": "EC", "x": B64.encode(x), "y": B64.encode(y) });
            (pair.to_pkcs8v1()?.as_ref().to_vec(), members)
        }
        _ => {
            let pair = Ed25519KeyPair::generate()?;
            (
                pair.to_pkcs8()?.as_ref().to_vec(),
                json!({ "crv": "Ed25519", "kty": "OKP", "x": B64.encode(pair.public_key()) }),
            )
        }
    };
    let Value::Object(members) = members else { return Err(BadKey("it has no public part").into()) };
    Ok((private, members))
}

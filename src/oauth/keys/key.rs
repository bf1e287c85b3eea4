//! One key: parsed once and held by the cryptography library. A JWS is a prepared header, a payload and one signature
//! (RFC 7515 §3.1).

use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use jsonwebtoken::DecodingKey;
use serde_json::{Map, Value, json};

use super::{BadKey, well_known};
use crate::domain::internal::Internal;
use crate::domain::time::Timestamp;
use crate::randomness::Randomness;
use crate::store::keys::SigningKey;

/// One key, parsed.
pub struct Key {
    /// RFC 7638 thumbprint of the public part.
    pub kid: String,
    /// One of [`super::ALGORITHMS`].
    pub alg: String,
    pub(super) signs_from: Timestamp,
    signer: Signer,
    pub(super) verifier: DecodingKey,
}

enum Signer {
    Rsa(Arc<RsaKeyPair>, &'static dyn RsaEncoding),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({} {})", self.alg, self.kid)
    }
}

impl Key {
    pub(super) fn parse(row: SigningKey, private: &[u8]) -> Result<Self, Internal> {
        let signer = match row.alg.as_str() {
            "RS256" => Signer::Rsa(Arc::new(RsaKeyPair::from_pkcs8(private)?), &RSA_PKCS1_SHA256),
            "PS256" => Signer::Rsa(Arc::new(RsaKeyPair::from_pkcs8(private)?), &RSA_PSS_SHA256),
            "ES256" => Signer::Ec(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, private)?),
            "ES384" => Signer::Ec(EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, private)?),
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
        self.sign_with(&json!({ "typ": typ, "alg": self.alg, "kid": self.kid }), claims).await
    }

    /// What is signed of a JWT: its header and its claims.
    pub fn unsigned(header: &Value, claims: &Map<String, Value>) -> Result<String, Internal> {
        Ok(format!("{}.{}", B64.encode(header.to_string()), B64.encode(serde_json::to_vec(claims)?)))
    }

    /// The public key as `SubjectPublicKeyInfo` (RFC 5280 §4.1.2.7).
    pub fn public_der(&self) -> Result<Vec<u8>, Internal> {
        let der: PublicKeyX509Der<'_> = match &self.signer {
            Signer::Rsa(pair, _) => pair.public_key().as_der()?,
            Signer::Ec(pair) => pair.public_key().as_der()?,
            Signer::Ed(pair) => pair.public_key().as_der()?,
        };
        Ok(der.as_ref().to_vec())
    }

    /// The same with another header, which may say what is not true.
    pub async fn sign_with(self: &Arc<Self>, header: &Value, claims: &Map<String, Value>) -> Result<String, Internal> {
        let mut jws = Self::unsigned(header, claims)?;
        let signature = match &self.signer {
            Signer::Ed(pair) => pair.sign(jws.as_bytes()).as_ref().to_vec(),
            Signer::Ec(pair) => pair.sign(&SystemRandom::new(), jws.as_bytes())?.as_ref().to_vec(),
            Signer::Rsa(pair, padding) => {
                let (pair, padding, message) = (Arc::clone(pair), *padding, jws.clone());
                tokio::task::spawn_blocking(move || {
                    let mut signature = vec![0; pair.public_modulus_len()];
                    pair.sign(padding, &SystemRandom::new(), message.as_bytes(), &mut signature).map(|()| signature)
                })
                .await??
            }
        };
        jws.push('.');
        B64.encode_string(signature, &mut jws);
        Ok(jws)
    }
}

/// A new key, from the system's generator or the seed: PKCS#8, and the required members of its JWK in lexicographic order (RFC 7518 §6, RFC 8037 §2).
pub(super) fn generate(alg: &str, randomness: &Randomness) -> Result<(Vec<u8>, Map<String, Value>), Internal> {
    let (private, members) = match alg {
        "RS256" | "PS256" => {
            let pair = match randomness.is_seeded() {
                true => RsaKeyPair::from_pkcs8(&well_known::rsa(
                    if alg == "PS256" { "PS256" } else { "RS256" },
                    randomness,
                )?)?,
                false => RsaKeyPair::generate(KeySize::Rsa2048)?,
            };
            let public = pair.public_key();
            let n = B64.encode(public.modulus().big_endian_without_leading_zero());
            let e = B64.encode(public.exponent().big_endian_without_leading_zero());
            (AsDer::<Pkcs8V1Der>::as_der(&pair)?.as_ref().to_vec(), json!({ "e": e, "kty": "RSA", "n": n }))
        }
        "ES256" => elliptic("ES256", &ECDSA_P256_SHA256_FIXED_SIGNING, "P-256", randomness)?,
        "ES384" => elliptic("ES384", &ECDSA_P384_SHA384_FIXED_SIGNING, "P-384", randomness)?,
        _ => {
            let pair = match randomness.is_seeded() {
                true => well_known::ed25519(randomness)?,
                false => Ed25519KeyPair::generate()?,
            };
            (
                pair.to_pkcs8()?.as_ref().to_vec(),
                json!({ "crv": "Ed25519", "kty": "OKP", "x": B64.encode(pair.public_key()) }),
            )
        }
    };
    let Value::Object(members) = members else { return Err(BadKey("it has no public part").into()) };
    Ok((private, members))
}

fn elliptic(
    alg: &'static str,
    algorithm: &'static EcdsaSigningAlgorithm,
    curve: &str,
    randomness: &Randomness,
) -> Result<(Vec<u8>, Value), Internal> {
    let pair = match randomness.is_seeded() {
        true => well_known::elliptic(alg, algorithm, randomness)?,
        false => EcdsaKeyPair::generate(algorithm)?,
    };
    // An uncompressed point: 0x04, then x and y, of one length.
    let point = &pair.public_key().as_ref()[1..];
    let (x, y) = point.split_at(point.len() / 2);
    let members = json!({ "crv": curve, "kty": "EC", "x": B64.encode(x), "y": B64.encode(y) });
    Ok((pair.to_pkcs8v1()?.as_ref().to_vec(), members))
}

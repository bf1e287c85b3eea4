//! Keys of clients, and what they sign.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair,
    Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384,
    RSA_PSS_SHA512, RsaKeyPair,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde_json::{Value, json};

/// A key pair with its public JWK.
pub(crate) struct ClientKey {
    pub(crate) alg: String,
    pub(crate) jwk: Value,
    pair: Pair,
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl ClientKey {
    /// A new one for an algorithm, named `kid`.
    pub(crate) fn new(alg: &str, kid: &str) -> Self {
        let (pair, mut jwk) = match alg {
            "EdDSA" | "Ed25519" => {
                let pair = Ed25519KeyPair::generate().unwrap();
                let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": B64.encode(pair.public_key())});
                (Pair::Ed(pair), jwk)
            }
            "ES256" => ec(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256"),
            "ES384" => ec(&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384"),
            "ES512" => ec(&ECDSA_P521_SHA512_FIXED_SIGNING, "P-521"),
            _ => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
                let n = B64.encode(pair.public_key().modulus().big_endian_without_leading_zero());
                let e = B64.encode(pair.public_key().exponent().big_endian_without_leading_zero());
                (Pair::Rsa(Box::new(pair)), json!({"kty": "RSA", "n": n, "e": e}))
            }
        };
        jwk["kid"] = json!(kid);
        Self { alg: alg.to_owned(), jwk, pair }
    }

    /// The set that holds this key alone.
    pub(crate) fn jwks(&self) -> Value {
        json!({"keys": [self.jwk]})
    }

    /// A JWT with these claims.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.sign_with(&json!({"alg": self.alg, "kid": self.jwk["kid"]}), claims)
    }

    /// The same with another header.
    pub(crate) fn sign_with(&self, header: &Value, claims: &Value) -> String {
        let message = message(header, claims);
        let random = SystemRandom::new();
        let signature = match &self.pair {
            Pair::Ed(pair) => pair.sign(message.as_bytes()).as_ref().to_vec(),
            Pair::Ec(pair) => pair.sign(&random, message.as_bytes()).unwrap().as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let alg: &dyn aws_lc_rs::signature::RsaEncoding = match self.alg.as_str() {
                    "RS256" => &RSA_PKCS1_SHA256,
                    "RS384" => &RSA_PKCS1_SHA384,
                    "RS512" => &RSA_PKCS1_SHA512,
                    "PS256" => &RSA_PSS_SHA256,
                    "PS384" => &RSA_PSS_SHA384,
                    _ => &RSA_PSS_SHA512,
                };
                pair.sign(alg, &random, message.as_bytes(), &mut signature).unwrap();
                signature
            }
        };
        format!("{message}.{}", B64.encode(signature))
    }
}

fn ec(alg: &'static aws_lc_rs::signature::EcdsaSigningAlgorithm, crv: &str) -> (Pair, Value) {
    let pair = EcdsaKeyPair::generate(alg).unwrap();
    let point = &pair.public_key().as_ref()[1..];
    let (x, y) = point.split_at(point.len() / 2);
    let jwk = json!({"kty": "EC", "crv": crv, "x": B64.encode(x), "y": B64.encode(y)});
    (Pair::Ec(pair), jwk)
}

fn message(header: &Value, claims: &Value) -> String {
    format!("{}.{}", B64.encode(header.to_string()), B64.encode(claims.to_string()))
}

/// A JWT that is signed with a secret.
pub(crate) fn sign_with_secret(alg: &str, secret: &str, claims: &Value) -> String {
    let algorithm = match alg {
        "HS256" => aws_lc_rs::hmac::HMAC_SHA256,
        "HS384" => aws_lc_rs::hmac::HMAC_SHA384,
        _ => aws_lc_rs::hmac::HMAC_SHA512,
    };
    let message = message(&json!({"alg": alg}), claims);
    let tag = aws_lc_rs::hmac::sign(&aws_lc_rs::hmac::Key::new(algorithm, secret.as_bytes()), message.as_bytes());
    format!("{message}.{}", B64.encode(tag))
}

/// A JWT that is not signed.
pub(crate) fn unsigned(claims: &Value) -> String {
    format!("{}.", message(&json!({"alg": "none"}), claims))
}

//! Signed texts of others (RFC 7515, compact form): taken apart here, and verified with a key that is known beforehand. Which key
//! that may be is for those to say who read them ([`super::client_keys`], software statements); nothing inside the text names one (RFC 8725 §3.1).

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384,
    RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde_json::{Map, Value};

use crate::domain::jwk::{Material, PublicKey};
use crate::domain::secret::Secret;

/// A signed text, taken apart and not yet believed.
#[derive(Debug)]
pub(crate) struct Jws<'a> {
    /// The algorithm that it claims.
    pub(crate) alg: String,
    /// The key that it claims.
    pub(crate) kid: Option<String>,
    /// The media type that it claims, in lower case and without `application/`.
    pub(crate) typ: Option<String>,
    /// What it says.
    pub(crate) claims: Map<String, Value>,
    message: &'a str,
    signature: Vec<u8>,
}

impl<'a> Jws<'a> {
    /// Takes a text apart; `None` where it is none, or has a header that must be understood and is not (RFC 7515 §4.1.11).
    pub(crate) fn read(text: &'a str) -> Option<Self> {
        let (message, signature) = text.rsplit_once('.')?;
        let (header, payload) = message.split_once('.')?;
        let object = |part: &str| serde_json::from_slice::<Map<String, Value>>(&B64.decode(part).ok()?).ok();
        let header = object(header)?;
        let text = |name: &str| match header.get(name) {
            None => Some(None),
            Some(Value::String(text)) => Some(Some(text.clone())),
            Some(_) => None,
        };
        if header.contains_key("crit") {
            return None;
        }
        let typ = text("typ")?.map(|typ| typ.to_ascii_lowercase());
        Some(Self {
            alg: text("alg")??,
            kid: text("kid")?,
            typ: typ.map(|typ| typ.strip_prefix("application/").map(str::to_owned).unwrap_or(typ)),
            claims: object(payload)?,
            message,
            signature: B64.decode(signature).ok()?,
        })
    }

    /// Whether there is no signature at all, as with `alg` `none` (RFC 7518 §3.6).
    pub(crate) fn is_unsigned(&self) -> bool {
        self.alg == "none" && self.signature.is_empty()
    }

    /// Whether the signature is of this key.
    pub(crate) fn is_signed_by(&self, key: &PublicKey) -> bool {
        let (message, signature) = (self.message.as_bytes(), self.signature.as_slice());
        let of = |alg: &'static dyn VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(alg, key).verify(message, signature).is_ok()
        };
        match (&key.material, self.alg.as_str()) {
            (Material::Rsa { n, e }, alg) => {
                rsa(alg).is_some_and(|alg| RsaPublicKeyComponents { n, e }.verify(alg, message, signature).is_ok())
            }
            (Material::Ec { crv: "P-256", point }, "ES256") => of(&ECDSA_P256_SHA256_FIXED, point),
            (Material::Ec { crv: "P-384", point }, "ES384") => of(&ECDSA_P384_SHA384_FIXED, point),
            (Material::Ec { crv: "P-521", point }, "ES512") => of(&ECDSA_P521_SHA512_FIXED, point),
            (Material::Ed25519 { x }, "EdDSA" | "Ed25519") => of(&ED25519, x),
            _ => false,
        }
    }

    /// Whether the signature is of this secret, which must be as long as the hash (RFC 7518 §3.2).
    pub(crate) fn is_signed_with(&self, secret: &Secret) -> bool {
        let algorithm = match self.alg.as_str() {
            "HS256" => hmac::HMAC_SHA256,
            "HS384" => hmac::HMAC_SHA384,
            "HS512" => hmac::HMAC_SHA512,
            _ => return false,
        };
        let secret = secret.expose().as_bytes();
        secret.len() >= algorithm.digest_algorithm().output_len()
            && hmac::verify(&hmac::Key::new(algorithm, secret), self.message.as_bytes(), &self.signature).is_ok()
    }
}

fn rsa(alg: &str) -> Option<&'static RsaParameters> {
    Some(match alg {
        "RS256" => &RSA_PKCS1_2048_8192_SHA256,
        "RS384" => &RSA_PKCS1_2048_8192_SHA384,
        "RS512" => &RSA_PKCS1_2048_8192_SHA512,
        "PS256" => &RSA_PSS_2048_8192_SHA256,
        "PS384" => &RSA_PSS_2048_8192_SHA384,
        "PS512" => &RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

/// A claim that is a time in seconds (RFC 7519 §2, `NumericDate`); `Err` where it is anything else.
pub(crate) fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<i64>, ()> {
    match claims.get(name) {
        None => Ok(None),
        #[expect(clippy::cast_possible_truncation, reason = "a cast of a float stops at the ends")]
        Some(value) => value.as_i64().or_else(|| value.as_f64().map(|time| time as i64)).map(Some).ok_or(()),
    }
}

/// The audiences of a JWT, one or a list (RFC 7519 §4.1.3); empty where there are none or the claim is anything else.
pub(crate) fn audiences(claims: &Map<String, Value>) -> Vec<&str> {
    match claims.get("aud") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().map(|one| one.as_str().unwrap_or_default()).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_jws_does_not_read() {
        let jws = |header: &str| format!("{}.{}.", B64.encode(header), B64.encode("{}"));
        assert!(Jws::read(&jws(r#"{"alg":"none"}"#)).unwrap().is_unsigned());
        assert_eq!(Jws::read(&jws(r#"{"alg":"x","typ":"Application/JWT"}"#)).unwrap().typ.as_deref(), Some("jwt"));
        for header in ["", "{}", r#"{"alg":1}"#, r#"{"alg":"x","kid":1}"#, r#"{"alg":"x","crit":["b64"]}"#, "[]"] {
            assert!(Jws::read(&jws(header)).is_none(), "{header}");
        }
        for text in ["", ".", "..", "a.b.c", "e30.e30", "e30.e30.e30.e30", "e30.e30.e30.e30.e30"] {
            assert!(Jws::read(text).is_none(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = Jws::read(&text);
        }
    }
}

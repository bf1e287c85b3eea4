//! The keys of a client (RFC 7517): a set of public ones, read and checked. What is private or symmetric is none of ours to keep.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde_json::{Map, Value};

/// The algorithms that clients may sign with (RFC 7518 §3.1, RFC 8037 §3.1; `Ed25519` is the name of RFC 9864 §2.2 for what was
/// `EdDSA`, and many libraries know just one of the two). `none` is not among them.
pub const SIGNING_ALGORITHMS: &[&str] =
    &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"];
/// Those that we sign with.
pub const SERVED_ALGORITHMS: [&str; 5] = ["RS256", "ES256", "EdDSA", "ES384", "PS256"];
/// Those that the client's secret is the key of.
pub const SECRET_ALGORITHMS: &[&str] = &["HS256", "HS384", "HS512"];

/// How a client may have us make a content key known to it (RFC 7518 §4.3, §4.6), and what content is encrypted with (§5.3).
pub const ENCRYPTION_ALGORITHMS: &[&str] = &["RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW"];
/// The latter.
pub const CONTENT_ALGORITHMS: &[&str] = &["A128GCM", "A256GCM"];

/// A set has no more keys than this, and is no longer, in bytes of JSON.
const MAX_KEYS: usize = 50;
const MAX_SIZE: usize = 64 * 1_024;
/// Bytes of an RSA modulus: 2,048 to 8,192 bits.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=1_024;
/// The members of private keys (RFC 7518 §6.2.2, §6.3.2, §6.4.1, RFC 8037 §2).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// Public keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySet(Vec<PublicKey>);

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// Its name in the set.
    pub kid: Option<String>,
    /// What signatures are verified with.
    pub material: Material,
    /// Its members, for uses beyond signatures.
    pub members: Map<String, Value>,
}

/// What signatures are verified with.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of RFC 7518 §6 and RFC 8037 §2")]
pub enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// The uncompressed point.
    Ec {
        crv: &'static str,
        point: Vec<u8>,
    },
    Ed25519 {
        x: Vec<u8>,
    },
    /// A key of another type, such as one for encryption alone.
    Other,
}

impl KeySet {
    /// Reads a set that somebody registers, `{"keys": […]}` or, as Aidbox writes it, the list alone. The error says which key is
    /// wrong and why.
    pub fn parse(value: &Value) -> Result<Self, String> {
        let listed = listed(value)?.iter().enumerate();
        let keys = listed.map(|(index, key)| key_of(key).map_err(|why| format!("key {index} {why}")));
        keys.collect::<Result<_, _>>().map(Self)
    }

    /// Reads a set from elsewhere; keys that do not read are left out (RFC 7517 §5).
    pub fn read(value: &Value) -> Result<Self, String> {
        Ok(Self(listed(value)?.iter().filter_map(|key| key_of(key).ok()).collect()))
    }

    /// Whether there is a key of this name.
    pub fn has(&self, kid: &str) -> bool {
        self.0.iter().any(|key| key.kid.as_deref() == Some(kid))
    }

    /// Every key.
    pub fn keys(&self) -> &[PublicKey] {
        &self.0
    }

    /// The keys that a signature of this algorithm may be of: those named `kid`, where one is given, and those without a name.
    pub fn fitting<'a>(&'a self, alg: &'a str, kid: Option<&'a str>) -> impl Iterator<Item = &'a PublicKey> {
        let named = move |key: &&PublicKey| kid.is_none() || key.kid.is_none() || key.kid.as_deref() == kid;
        self.0.iter().filter(named).filter(move |key| key.verifies(alg))
    }
}

impl PublicKey {
    /// Whether content may be encrypted for its holder by an algorithm: its type fits, and so do `alg`, `use` and `key_ops`.
    pub fn encrypts(&self, alg: &str) -> bool {
        match &self.material {
            Material::Rsa { .. } => alg == "RSA-OAEP-256" && self.is_for(alg, "enc", &["wrapKey", "encrypt"]),
            // Web Crypto lists no operation for the public half.
            Material::Ec { .. } => alg.starts_with("ECDH-ES") && self.is_for(alg, "enc", &[]),
            _ => false,
        }
    }

    /// Whether it may verify signatures of an algorithm: its type fits, and so do `alg`, `use` and `key_ops`.
    fn verifies(&self, alg: &str) -> bool {
        let fits = match (&self.material, alg) {
            (Material::Rsa { .. }, alg) => alg.starts_with("RS") || alg.starts_with("PS"),
            (Material::Ec { crv, .. }, alg) => {
                matches!((*crv, alg), ("P-256", "ES256") | ("P-384", "ES384") | ("P-521", "ES512"))
            }
            (Material::Ed25519 { .. }, alg) => matches!(alg, "EdDSA" | "Ed25519"),
            (Material::Other, _) => false,
        };
        fits && self.is_for(alg, "sig", &["verify"])
    }

    /// What it says of itself (RFC 7517 §4.2–4.4), as far as it says anything.
    fn is_for(&self, alg: &str, purpose: &str, operations: &[&str]) -> bool {
        let says = |name: &str, value: &str| self.members.get(name).is_none_or(|said| said == value);
        let listed = self.members.get("key_ops").and_then(Value::as_array).filter(|_| !operations.is_empty());
        says("alg", alg)
            && says("use", purpose)
            && listed.is_none_or(|said| said.iter().any(|one| operations.iter().any(|operation| one == operation)))
    }
}

fn listed(value: &Value) -> Result<&Vec<Value>, String> {
    let keys = value.as_array().or_else(|| value.get("keys")?.as_array());
    let keys = keys.ok_or("is no JWK Set: an object with the array keys (RFC 7517 section 5)")?;
    if keys.len() > MAX_KEYS || value.to_string().len() > MAX_SIZE {
        return Err(format!("is larger than {MAX_KEYS} keys or {} kB", MAX_SIZE / 1_024));
    }
    Ok(keys)
}

fn key_of(value: &Value) -> Result<PublicKey, String> {
    let members = value.as_object().ok_or("is no object")?;
    if let Some(name) = PRIVATE.iter().find(|name| members.contains_key(**name)) {
        return Err(format!("is private: it has the member {name}; give the public key alone"));
    }
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    let bytes =
        |name: &str| text(name).and_then(|text| B64.decode(text).ok()).ok_or(format!("has no {name} in base64url"));
    let kty = text("kty").ok_or("has no kty")?;
    let kid = match members.get("kid") {
        None => None,
        Some(Value::String(kid)) if (1..=256).contains(&kid.len()) => Some(kid.clone()),
        Some(_) => return Err("has a kid that is no text of 1 to 256 characters".into()),
    };
    let material = match (kty, text("crv")) {
        ("oct", _) => return Err("is symmetric; give a public key".into()),
        ("RSA", _) => {
            let (n, e) = (bytes("n")?, bytes("e")?);
            if !MODULUS.contains(&n.len()) || e.is_empty() || e.len() > 8 {
                return Err("is no RSA key of 2,048 to 8,192 bits".into());
            }
            Material::Rsa { n, e }
        }
        ("EC", Some("P-256")) => point("P-256", 32, &bytes("x")?, &bytes("y")?)?,
        ("EC", Some("P-384")) => point("P-384", 48, &bytes("x")?, &bytes("y")?)?,
        ("EC", Some("P-521")) => point("P-521", 66, &bytes("x")?, &bytes("y")?)?,
        ("OKP", Some("Ed25519")) => match bytes("x")? {
            x if x.len() == 32 => Material::Ed25519 { x },
            _ => return Err("has an x that is not of 32 bytes".into()),
        },
        _ => Material::Other,
    };
    // Certificates are long, and of no use here.
    let members = members.iter().filter(|(name, _)| !name.starts_with("x5"));
    Ok(PublicKey { kid, material, members: members.map(|(name, value)| (name.clone(), value.clone())).collect() })
}

fn point(crv: &'static str, length: usize, x: &[u8], y: &[u8]) -> Result<Material, String> {
    if x.len() != length || y.len() != length {
        return Err(format!("has an x or y that is not of {length} bytes, as {crv} has it"));
    }
    Ok(Material::Ec { crv, point: [&[4], x, y].concat() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rsa() -> Value {
        json!({"kty": "RSA", "n": B64.encode([0xff; 256]), "e": "AQAB", "kid": "a"})
    }

    fn with(mut key: Value, name: &str, value: Value) -> Value {
        key[name] = value;
        key
    }

    #[test]
    fn a_set_of_public_keys_is_read_in_both_forms() {
        let ed = json!({"kty": "OKP", "crv": "Ed25519", "x": B64.encode([1; 32])});
        let future = json!({"kty": "AKP", "alg": "ML-DSA-65", "pub": "x"});
        let set = KeySet::parse(&json!({"keys": [rsa(), ed, future]})).unwrap();
        assert_eq!(set, KeySet::parse(&json!([rsa(), ed, future])).unwrap());
        assert!(set.has("a") && !set.has("b"));
        assert_eq!(set.fitting("RS256", Some("a")).count(), 1);
        assert_eq!(set.fitting("RS256", Some("b")).count(), 0);
        assert_eq!((set.fitting("EdDSA", Some("b")).count(), set.fitting("EdDSA", None).count()), (1, 1));
    }

    #[test]
    fn what_is_private_symmetric_or_malformed_is_refused_and_elsewhere_left_out() {
        for (key, words) in [
            (with(rsa(), "d", json!("x")), "private"),
            (json!({"kty": "oct", "k": "x"}), "private"),
            (json!({"kty": "oct"}), "symmetric"),
            (json!({"kty": "RSA", "n": "AQAB", "e": "AQAB"}), "2,048"),
            (json!({"kty": "RSA", "e": "AQAB"}), "no n"),
            (json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}), "32 bytes"),
            (json!({"kty": "EC", "crv": "P-521", "x": "=", "y": "AA"}), "no x"),
            (json!({"kty": "OKP", "crv": "Ed25519", "x": "AA"}), "32 bytes"),
            (with(rsa(), "kid", json!("")), "kid"),
            (with(rsa(), "kid", json!(1)), "kid"),
            (json!({}), "kty"),
            (json!("x"), "object"),
        ] {
            let error = KeySet::parse(&json!([rsa(), key])).unwrap_err();
            assert!(error.starts_with("key 1 ") && error.contains(words), "{key}: {error}");
            assert_eq!(KeySet::read(&json!({"keys": [rsa(), key]})).unwrap().keys().len(), 1, "{key}");
        }
        for value in [json!({}), json!("x"), json!({"keys": {}}), Value::Array(vec![rsa(); 51])] {
            assert!(KeySet::parse(&value).is_err() && KeySet::read(&value).is_err());
        }
    }

    #[test]
    fn a_key_is_used_for_what_it_says() {
        let verifies = |key: Value, alg: &str| KeySet::parse(&json!([key])).unwrap().fitting(alg, None).count() == 1;
        assert!(verifies(rsa(), "PS512") && !verifies(rsa(), "ES256") && !verifies(rsa(), "HS256"));
        assert!(verifies(with(rsa(), "alg", json!("RS384")), "RS384"));
        assert!(!verifies(with(rsa(), "alg", json!("RS384")), "RS256"));
        assert!(
            verifies(with(rsa(), "use", json!("sig")), "RS256") && !verifies(with(rsa(), "use", json!("enc")), "RS256")
        );
        assert!(verifies(with(rsa(), "key_ops", json!(["verify"])), "RS256"));
        assert!(!verifies(with(rsa(), "key_ops", json!(["encrypt"])), "RS256"));

        let encrypts = |key: Value, alg: &str| KeySet::parse(&json!([key])).unwrap().keys()[0].encrypts(alg);
        let coordinate = B64.encode([1; 32]);
        let ec = json!({"kty": "EC", "crv": "P-256", "x": coordinate, "y": coordinate, "key_ops": []});
        assert!(encrypts(ec.clone(), "ECDH-ES+A128KW") && !encrypts(ec, "RSA-OAEP-256"));
        assert!(encrypts(rsa(), "RSA-OAEP-256") && !encrypts(rsa(), "ECDH-ES"));
        assert!(encrypts(with(rsa(), "use", json!("enc")), "RSA-OAEP-256"));
        assert!(!encrypts(with(rsa(), "use", json!("sig")), "RSA-OAEP-256"));
        assert!(!encrypts(with(rsa(), "alg", json!("RSA-OAEP")), "RSA-OAEP-256"));
        assert!(!encrypts(with(rsa(), "key_ops", json!(["verify"])), "RSA-OAEP-256"));
    }
}

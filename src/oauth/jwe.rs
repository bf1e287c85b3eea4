//! JSON Web Encryption (RFC 7516) for clients that registered a key: the compact form, made of the cryptography library's parts.
//!
//! `alg` says how the content key reaches the recipient: encrypted with the recipient's RSA key (RFC 7518 §4.3), or agreed upon with an
//! elliptic-curve key of the moment (§4.6), which then wraps it or is it. `enc` is AES in Galois/Counter mode (§5.3). We encrypt, and
//! have nothing to decrypt.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, Algorithm, RandomizedNonceKey};
use aws_lc_rs::agreement::{self, ECDH_P256, ECDH_P384, ECDH_P521, EphemeralPrivateKey, UnparsedPublicKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::kdf::{SskdfDigestAlgorithmId, get_sskdf_digest_algorithm, sskdf_digest};
use aws_lc_rs::key_wrap::{AES_128, AES_256, AesKek, KeyWrap};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey, PublicKeyComponents};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::domain::jwk::{Material, PublicKey};
use crate::domain::secret::random;

/// How to encrypt, and to whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Encryption<'a> {
    /// How the content key is made known: one of [`crate::domain::jwk::ENCRYPTION_ALGORITHMS`].
    pub(super) alg: &'a str,
    /// How the content is encrypted: one of [`crate::domain::jwk::CONTENT_ALGORITHMS`].
    pub(super) enc: &'a str,
    /// The recipient's key, which is for `alg`.
    pub(super) key: &'a PublicKey,
}

impl Encryption<'_> {
    /// The text, encrypted (RFC 7516 §5.1, §7.1). `cty` is the type of what is inside: `JWT` where that is one (RFC 7519 §5.2). A key that
    /// does not do for the algorithm is an error.
    pub(super) fn encrypt(&self, text: &str, cty: Option<&str>) -> Result<String, Unspecified> {
        let content = match self.enc {
            "A128GCM" => &AES_128_GCM,
            "A256GCM" => &AES_256_GCM,
            _ => return Err(Unspecified),
        };
        let mut header = json!({ "alg": self.alg, "enc": self.enc });
        for (name, value) in [("kid", self.key.kid.as_deref()), ("cty", cty)] {
            if let Some(value) = value {
                header[name] = value.into();
            }
        }
        let (key, encrypted_key) = match (&self.key.material, self.alg) {
            (Material::Rsa { n, e }, "RSA-OAEP-256") => to_rsa(n, e, content)?,
            (Material::Ec { crv, point }, _) => {
                let agreed = agree(crv, point)?;
                header["epk"] = agreed.epk;
                self.by_agreement(&agreed.secret, content)?
            }
            _ => return Err(Unspecified),
        };
        let header = B64.encode(header.to_string());
        let mut sealed = text.as_bytes().to_vec();
        let key = RandomizedNonceKey::new(content, &key)?;
        let (nonce, tag) = key.seal_in_place_separate_tag(Aad::from(header.as_bytes()), &mut sealed)?;
        let parts = [encrypted_key.as_slice(), nonce.as_ref(), &sealed, tag.as_ref()].map(|part| B64.encode(part));
        Ok(format!("{header}.{}", parts.join(".")))
    }

    /// RFC 7518 §4.6: the agreed secret gives the content key itself, or one that wraps it (RFC 3394).
    fn by_agreement(&self, secret: &[u8], content: &Algorithm) -> Result<(Zeroizing<Vec<u8>>, Vec<u8>), Unspecified> {
        let cipher = match self.alg {
            "ECDH-ES" => return Ok((concat_kdf(secret, self.enc, ["", ""], content.key_len())?, Vec::new())),
            "ECDH-ES+A128KW" => &AES_128,
            "ECDH-ES+A256KW" => &AES_256,
            _ => return Err(Unspecified),
        };
        let wrapping = concat_kdf(secret, self.alg, ["", ""], if self.alg == "ECDH-ES+A128KW" { 16 } else { 32 })?;
        let key = content_key(content);
        let mut wrapped = vec![0; key.len() + 8];
        let length = AesKek::new(cipher, &wrapping)?.wrap(&key, &mut wrapped)?.len();
        wrapped.truncate(length);
        Ok((key, wrapped))
    }
}

/// A new content key, and the same encrypted.
fn to_rsa(n: &[u8], e: &[u8], content: &Algorithm) -> Result<(Zeroizing<Vec<u8>>, Vec<u8>), Unspecified> {
    let public: PublicEncryptingKey = PublicKeyComponents { n, e }.try_into()?;
    let public = OaepPublicEncryptingKey::new(public)?;
    let key = content_key(content);
    let mut encrypted = vec![0; public.ciphertext_size()];
    let length = public.encrypt(&OAEP_SHA256_MGF1SHA256, &key, &mut encrypted, None)?.len();
    encrypted.truncate(length);
    Ok((key, encrypted))
}

fn content_key(content: &Algorithm) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(random::<32>()[..content.key_len()].to_vec())
}

struct Agreed {
    secret: Zeroizing<Vec<u8>>,
    /// Our half, for the recipient (RFC 7518 §4.6.1.1).
    epk: Value,
}

fn agree(crv: &str, point: &[u8]) -> Result<Agreed, Unspecified> {
    let algorithm = match crv {
        "P-256" => &ECDH_P256,
        "P-384" => &ECDH_P384,
        "P-521" => &ECDH_P521,
        _ => return Err(Unspecified),
    };
    let ours = EphemeralPrivateKey::generate(algorithm, &SystemRandom::new())?;
    let public = ours.compute_public_key()?;
    // An uncompressed point: 0x04, then x and y.
    let half = public.as_ref().get(1..).ok_or(Unspecified)?;
    let (x, y) = half.split_at(half.len() / 2);
    let epk = json!({ "kty": "EC", "crv": crv, "x": B64.encode(x), "y": B64.encode(y) });
    let theirs = UnparsedPublicKey::new(algorithm, point);
    let secret = agreement::agree_ephemeral(ours, theirs, Unspecified, |secret| Ok(Zeroizing::new(secret.to_vec())))?;
    Ok(Agreed { secret, epk })
}

/// RFC 7518 §4.6.2: the Concat KDF, which is the single-step KDF of SP 800-56A, over these parties' names.
fn concat_kdf(
    secret: &[u8],
    algorithm: &str,
    parties: [&str; 2],
    length: usize,
) -> Result<Zeroizing<Vec<u8>>, Unspecified> {
    let mut info = Vec::new();
    for text in [algorithm, parties[0], parties[1]] {
        info.extend(u32::try_from(text.len()).map_err(|_| Unspecified)?.to_be_bytes());
        info.extend(text.as_bytes());
    }
    info.extend(u32::try_from(length * 8).map_err(|_| Unspecified)?.to_be_bytes());
    let hash = get_sskdf_digest_algorithm(SskdfDigestAlgorithmId::Sha256).ok_or(Unspecified)?;
    let mut key = Zeroizing::new(vec![0; length]);
    sskdf_digest(hash, secret, &info, &mut key)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::jwk::{CONTENT_ALGORITHMS, ENCRYPTION_ALGORITHMS};
    use aws_lc_rs::aead::{LessSafeKey, Nonce, UnboundKey};
    use aws_lc_rs::rsa::{KeySize, OaepPrivateDecryptingKey, PrivateDecryptingKey};

    #[test]
    fn the_agreed_key_is_that_of_rfc_7518_appendix_c() {
        let secret = [
            158, 86, 217, 29, 129, 113, 53, 211, 114, 131, 66, 131, 191, 132, 38, 156, 251, 49, 110, 163, 218, 128,
            106, 72, 246, 218, 167, 121, 140, 254, 144, 196,
        ];
        let key = concat_kdf(&secret, "A128GCM", ["Alice", "Bob"], 16).unwrap();
        assert_eq!(B64.encode(&*key), "VqqN6vgjbSBcIijNcacQGg");
    }

    fn key(material: Material, kid: Option<&str>) -> PublicKey {
        PublicKey { kid: kid.map(str::to_owned), material, members: serde_json::Map::new() }
    }

    fn open(jwe: &str, enc: &str, key: &[u8]) -> String {
        let parts: Vec<Vec<u8>> = jwe.split('.').map(|part| B64.decode(part).unwrap()).collect();
        let content = if enc == "A128GCM" { &AES_128_GCM } else { &AES_256_GCM };
        let key = LessSafeKey::new(UnboundKey::new(content, key).unwrap());
        let nonce = Nonce::try_assume_unique_for_key(&parts[2]).unwrap();
        let mut sealed = [parts[3].clone(), parts[4].clone()].concat();
        let header = jwe.split('.').next().unwrap();
        let text = key.open_in_place(nonce, Aad::from(header.as_bytes()), &mut sealed).unwrap();
        String::from_utf8(text.to_vec()).unwrap()
    }

    fn header(jwe: &str) -> Value {
        serde_json::from_slice(&B64.decode(jwe.split('.').next().unwrap()).unwrap()).unwrap()
    }

    #[test]
    fn the_holder_of_an_rsa_key_reads_it() {
        let private = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
        let public =
            aws_lc_rs::encoding::AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(&private.public_key());
        let der = public.unwrap();
        // SubjectPublicKeyInfo of 2,048 bits: the modulus of 256 bytes, then the exponent 65537.
        let bytes = der.as_ref();
        let n = &bytes[bytes.len() - 261..bytes.len() - 5];
        let recipient = key(Material::Rsa { n: n.into(), e: vec![1, 0, 1] }, Some("k"));
        for enc in CONTENT_ALGORITHMS {
            let encryption = Encryption { alg: "RSA-OAEP-256", enc, key: &recipient };
            let jwe = encryption.encrypt("a.b.c", Some("JWT")).unwrap();
            assert_eq!(header(&jwe), json!({"alg": "RSA-OAEP-256", "enc": enc, "kid": "k", "cty": "JWT"}));
            let wrapped = B64.decode(jwe.split('.').nth(1).unwrap()).unwrap();
            let private = OaepPrivateDecryptingKey::new(private.clone()).unwrap();
            let mut key = vec![0; private.min_output_size()];
            let key = private.decrypt(&OAEP_SHA256_MGF1SHA256, &wrapped, &mut key, None).unwrap();
            assert_eq!(open(&jwe, enc, key), "a.b.c");
            assert_ne!(jwe, encryption.encrypt("a.b.c", Some("JWT")).unwrap());
        }
    }

    #[test]
    fn the_holder_of_an_elliptic_curve_key_reads_it() {
        let curves = [("P-256", &ECDH_P256, 32), ("P-384", &ECDH_P384, 48), ("P-521", &ECDH_P521, 66)];
        for (crv, algorithm, length) in curves {
            let private = agreement::PrivateKey::generate(algorithm).unwrap();
            let public = private.compute_public_key().unwrap();
            for alg in &ENCRYPTION_ALGORITHMS[1..] {
                for enc in CONTENT_ALGORITHMS {
                    let recipient = key(Material::Ec { crv, point: public.as_ref().into() }, None);
                    let jwe = Encryption { alg, enc, key: &recipient }.encrypt("{}", None).unwrap();
                    let header = header(&jwe);
                    assert!(header.get("kid").is_none() && header.get("cty").is_none());
                    let coordinate = |name: &str| B64.decode(header["epk"][name].as_str().unwrap()).unwrap();
                    let point = [vec![4], coordinate("x"), coordinate("y")].concat();
                    assert_eq!(point.len(), 1 + 2 * length);
                    let theirs = UnparsedPublicKey::new(algorithm, point);
                    let bits = if *enc == "A128GCM" { 16 } else { 32 };
                    let key = agreement::agree(&private, theirs, Unspecified, |secret| {
                        let (name, cipher, size) = match *alg {
                            "ECDH-ES" => return concat_kdf(secret, enc, ["", ""], bits),
                            "ECDH-ES+A128KW" => (*alg, &AES_128, 16),
                            _ => (*alg, &AES_256, 32),
                        };
                        let wrapping = concat_kdf(secret, name, ["", ""], size)?;
                        let wrapped = B64.decode(jwe.split('.').nth(1).unwrap()).unwrap();
                        let mut key = vec![0; wrapped.len()];
                        Ok(Zeroizing::new(AesKek::new(cipher, &wrapping)?.unwrap(&wrapped, &mut key)?.to_vec()))
                    });
                    assert_eq!(open(&jwe, enc, &key.unwrap()), "{}");
                }
            }
        }
    }

    #[test]
    fn a_key_that_does_not_do_is_refused() {
        let rsa = || Material::Rsa { n: vec![0xff; 256], e: vec![1, 0, 1] };
        let off = || Material::Ec { crv: "P-256", point: vec![4; 65] };
        for (alg, enc, material) in [
            ("ECDH-ES", "A128GCM", rsa()),
            ("RSA-OAEP-256", "A128GCM", off()),
            ("ECDH-ES", "A128GCM", off()),
            ("RSA-OAEP-256", "A128CBC-HS256", rsa()),
            ("RSA-OAEP", "A128GCM", rsa()),
            ("RSA-OAEP-256", "A128GCM", Material::Rsa { n: Vec::new(), e: Vec::new() }),
            ("RSA-OAEP-256", "A128GCM", Material::Other),
        ] {
            assert!(Encryption { alg, enc, key: &key(material, None) }.encrypt("x", None).is_err(), "{alg} {enc}");
        }
    }
}

//! Signing with keys that are parsed once: header ready in base64, claims as text, thirty lines.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::Result;

/// A key of each kind.
#[derive(Debug)]
pub(super) struct Keys {
    es256: EcdsaKeyPair,
    eddsa: Ed25519KeyPair,
    rs256: RsaKeyPair,
    random: SystemRandom,
}

/// Which one signs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Alg {
    Es256,
    Eddsa,
    Rs256,
}

impl Alg {
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "es256" => Some(Self::Es256),
            "eddsa" => Some(Self::Eddsa),
            "rs256" => Some(Self::Rs256),
            _ => None,
        }
    }

    /// `{"typ":"at+jwt","alg":…,"kid":…}`, of the length that a real one has.
    fn header(self) -> String {
        let name = match self {
            Self::Es256 => "ES256",
            Self::Eddsa => "EdDSA",
            Self::Rs256 => "RS256",
        };
        let header =
            format!(r#"{{"typ":"at+jwt","alg":"{name}","kid":"5vZGFSp4U8BskBqQ6h9Fl6KdU3YdNXDC9Rh0Kbx8E2c"}}"#);
        URL_SAFE_NO_PAD.encode(header)
    }
}

impl Keys {
    pub(super) fn generate() -> Result<Self> {
        Ok(Self {
            es256: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| "no key")?,
            eddsa: Ed25519KeyPair::generate().map_err(|_| "no key")?,
            rs256: RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| "no key")?,
            random: SystemRandom::new(),
        })
    }

    /// A JWS in compact form.
    pub(super) fn sign(&self, alg: Alg, header: &str, claims: &str) -> Result<String> {
        let mut jws = String::with_capacity(header.len() + claims.len() * 4 / 3 + 350);
        jws.push_str(header);
        jws.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut jws);
        let failed = |_| "signing failed";
        let mut rsa = [0; 256];
        let signature = match alg {
            Alg::Es256 => &self.es256.sign(&self.random, jws.as_bytes()).map_err(failed)?,
            Alg::Eddsa => &self.eddsa.sign(jws.as_bytes()),
            Alg::Rs256 => {
                self.rs256.sign(&RSA_PKCS1_SHA256, &self.random, jws.as_bytes(), &mut rsa).map_err(failed)?;
                jws.push('.');
                URL_SAFE_NO_PAD.encode_string(rsa, &mut jws);
                return Ok(jws);
            }
        };
        jws.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut jws);
        Ok(jws)
    }
}

/// The headers, ready.
#[derive(Debug)]
pub(super) struct Headers([String; 3]);

impl Headers {
    pub(super) fn new() -> Self {
        Self([Alg::Es256, Alg::Eddsa, Alg::Rs256].map(Alg::header))
    }

    pub(super) fn of(&self, alg: Alg) -> &str {
        let [es256, eddsa, rs256] = &self.0;
        match alg {
            Alg::Es256 => es256,
            Alg::Eddsa => eddsa,
            Alg::Rs256 => rs256,
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED, ED25519, KeyPair, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
    };

    use super::*;

    #[test]
    fn what_is_signed_verifies() {
        let (keys, headers) = (Keys::generate().unwrap(), Headers::new());
        for alg in [Alg::Es256, Alg::Eddsa, Alg::Rs256] {
            let jws = keys.sign(alg, headers.of(alg), r#"{"sub":"x"}"#).unwrap();
            let (signed, signature) = jws.rsplit_once('.').unwrap();
            let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
            let verified = match alg {
                Alg::Es256 => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, keys.es256.public_key().as_ref())
                    .verify(signed.as_bytes(), &signature),
                Alg::Eddsa => UnparsedPublicKey::new(&ED25519, keys.eddsa.public_key().as_ref())
                    .verify(signed.as_bytes(), &signature),
                Alg::Rs256 => UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, keys.rs256.public_key().as_ref())
                    .verify(signed.as_bytes(), &signature),
            };
            assert!(verified.is_ok(), "{alg:?}");
        }
    }
}

//! Signing keys that follow from a seed, for `dev --seed`: the same each run, and so no secret.
//!
//! Keys on curves are made from the seed's bytes. RSA keys cannot be, with the library's means: theirs are a few that stand in
//! this repository, public knowledge for ever, which the seed chooses from. A server without a seed refuses to sign with them.

use aws_lc_rs::agreement::{self, ECDH_P256, ECDH_P384};
use aws_lc_rs::encoding::{AsDer, EcPrivateKeyRfc5915Der};
use aws_lc_rs::signature::{EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair};
use base64::{Engine, engine::general_purpose::STANDARD};

use super::BadKey;
use crate::domain::internal::Internal;
use crate::randomness::Randomness;

/// PKCS#8 in base64, a key a line.
const RSA: &str = include_str!("well_known.txt");
/// How many of them are for each of the two algorithms, which must not have the same key: `kid` tells them apart.
const EACH: u64 = 4;

/// The next RSA key for `alg`, in PKCS#8; none where all were given out.
pub(super) fn rsa(alg: &'static str, randomness: &Randomness) -> Result<Vec<u8>, Internal> {
    let used_up = BadKey("a server with a seed has four RSA keys for each algorithm, and all were given out");
    let [first] = randomness.stable(alg);
    let place = randomness.place(alg).filter(|place| *place < EACH).ok_or(used_up)?;
    let own = if alg == "PS256" { EACH } else { 0 };
    let at = own + (u64::from(first) + place) % EACH;
    let line = usize::try_from(at).ok().and_then(|at| RSA.lines().nth(at)).unwrap_or_default();
    Ok(STANDARD.decode(line)?)
}

/// The next key on a curve for `alg`.
pub(super) fn elliptic(
    alg: &'static str,
    algorithm: &'static EcdsaSigningAlgorithm,
    randomness: &Randomness,
) -> Result<EcdsaKeyPair, Internal> {
    loop {
        // A number above the order of the curve is no key; that is as likely as 1 in 2³².
        let private = match alg {
            "ES384" => agreement::PrivateKey::from_private_key(&ECDH_P384, &randomness.bytes::<48>(alg)),
            _ => agreement::PrivateKey::from_private_key(&ECDH_P256, &randomness.bytes::<32>(alg)),
        };
        let Ok(private) = private else { continue };
        let der = AsDer::<EcPrivateKeyRfc5915Der>::as_der(&private)?;
        return Ok(EcdsaKeyPair::from_private_key_der(algorithm, der.as_ref())?);
    }
}

/// The next Ed25519 key.
pub(super) fn ed25519(randomness: &Randomness) -> Result<Ed25519KeyPair, Internal> {
    Ok(Ed25519KeyPair::from_seed_unchecked(&randomness.bytes::<32>("EdDSA"))?)
}

/// Whether a private key is one of those that everybody knows.
pub(super) fn is_well_known(pkcs8: &[u8]) -> bool {
    RSA.lines().any(|line| STANDARD.decode(line).is_ok_and(|known| known == pkcs8))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::Pkcs8V1Der;
    use aws_lc_rs::signature::RsaKeyPair;

    use super::*;
    use crate::clock::Clock;

    #[test]
    fn the_keys_that_everybody_knows_are_recognised_and_none_is_given_out_twice() {
        let seeded = Randomness::seeded(1, "", Clock::default());
        let mut given = Vec::new();
        for alg in ["RS256", "PS256"] {
            for _ in 0..EACH {
                let pair = RsaKeyPair::from_pkcs8(&rsa(alg, &seeded).unwrap()).unwrap();
                let der = AsDer::<Pkcs8V1Der>::as_der(&pair).unwrap().as_ref().to_vec();
                assert!(is_well_known(&der));
                given.push(der);
            }
            assert!(rsa(alg, &seeded).is_err(), "{alg}");
        }
        given.sort();
        given.dedup();
        assert_eq!(given.len(), RSA.lines().count());
        assert!(!is_well_known(b"another"));
    }
}

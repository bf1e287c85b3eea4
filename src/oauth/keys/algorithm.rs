//! The algorithms that tokens are signed with, and the hash that goes with each.

use aws_lc_rs::digest::{SHA256, SHA384, SHA512, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use jsonwebtoken::Algorithm;

/// RFC 7518 §3.1, RFC 8037 §3.1. Keys that are missing are made in this order: what most clients use comes first.
pub use crate::domain::jwk::SERVED_ALGORITHMS as ALGORITHMS;
/// Those that the first start waits for: made in no time, whereas an RSA key takes a tenth of a second or so to find.
pub const QUICK_ALGORITHMS: [&str; 2] = ["ES256", "EdDSA"];

/// The same for the library that verifies.
pub(super) fn verifying(name: &str) -> Option<Algorithm> {
    match name {
        "RS256" => Some(Algorithm::RS256),
        "PS256" => Some(Algorithm::PS256),
        "ES256" => Some(Algorithm::ES256),
        "ES384" => Some(Algorithm::ES384),
        "EdDSA" => Some(Algorithm::EdDSA),
        _ => None,
    }
}

/// `at_hash` and `c_hash` of an ID token that is signed with `alg` (Core §3.1.3.6, §3.3.2.11): the left half of the hash that
/// the algorithm uses. Of `EdDSA` the specification says nothing; Ed25519 uses SHA-512, and so do the libraries of the field.
pub fn left_half(alg: &str, text: &str) -> String {
    let hash = match alg {
        "EdDSA" | "Ed25519" => &SHA512,
        alg if alg.ends_with("512") => &SHA512,
        alg if alg.ends_with("384") => &SHA384,
        _ => &SHA256,
    };
    let hash = digest(hash, text.as_bytes());
    let bytes = hash.as_ref();
    B64.encode(&bytes[..bytes.len() / 2])
}

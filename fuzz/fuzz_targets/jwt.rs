//! JWTs of ours: what the key ring verifies is a token that it signed, byte for byte, with this type and this issuer.
#![no_main]

use std::sync::LazyLock;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use countersign::domain::time::Timestamp;
use countersign::oauth::keys::ALGORITHMS;
use countersign::resources::format;
use countersign_fuzz::{ISSUER, Server};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};

const TYP: &str = "at+jwt";

static SERVER: LazyLock<Server> = LazyLock::new(|| Server::new(Vec::new()));

/// A token per algorithm.
static TOKENS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let claims = json!({ "iss": ISSUER, "exp": 2_000_000_000, "sub": "alice" });
    ALGORITHMS.iter().map(|alg| signed(alg, TYP, claims.as_object().expect("an object"))).collect()
});

fuzz_target!(|bytes: &[u8]| {
    edited(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let text = with_kids(text);
    assert_eq!(verify(&text), None, "{text}");
    for token in &*TOKENS {
        // Another header, or other claims, under a true signature.
        let parts: Vec<&str> = token.split('.').collect();
        let encoded = B64.encode(&text);
        for forged in [format!("{encoded}.{}.{}", parts[1], parts[2]), format!("{}.{encoded}.{}", parts[0], parts[2])] {
            assert!(forged == *token || verify(&forged).is_none(), "{forged}");
        }
    }
    // Any claims, truly signed: they come back as they were, with our issuer and an expiry.
    let Ok(Value::Object(claims)) = format::json(&text) else { return };
    if let Some(verified) = verify(&signed("EdDSA", TYP, &claims)) {
        assert!(countersign_fuzz::same(&Value::Object(verified), &Value::Object(claims.clone())));
        assert!(is_ours(&claims["iss"]) && claims["exp"].is_number(), "{claims:?}");
    }
    assert_eq!(verify(&signed("EdDSA", "JWT", &claims)), None, "an ID token is no access token");
});

/// Pairs of bytes are a place in a token and what is put there.
fn edited(bytes: &[u8]) {
    for token in &*TOKENS {
        let mut other = token.clone().into_bytes();
        for pair in bytes.chunks_exact(3) {
            let place = usize::from(u16::from_be_bytes([pair[0], pair[1]])) % other.len();
            other[place] = pair[2] & 0x7f;
        }
        let other = String::from_utf8(other).expect("ASCII");
        assert_eq!(verify(&other).is_some(), other == *token, "{other}");
    }
}

fn is_ours(issuer: &Value) -> bool {
    *issuer == ISSUER || issuer.as_array().is_some_and(|names| names.iter().any(|name| name == ISSUER))
}

fn verify(text: &str) -> Option<Map<String, Value>> {
    let ring = SERVER.run(SERVER.provider.registry().key_ring()).expect("keys");
    ring.verify(TYP, ISSUER, text)
}

fn signed(alg: &str, typ: &str, claims: &Map<String, Value>) -> String {
    SERVER.run(async {
        let ring = SERVER.provider.registry().key_ring().await.expect("keys");
        ring.signing(alg, Timestamp(0)).expect("a key").sign(typ, claims).await.expect("a token")
    })
}

/// With the id of the key in the place of `<ES256>` and its like, which no seed can know.
fn with_kids(text: &str) -> String {
    let ring = SERVER.run(SERVER.provider.registry().key_ring()).expect("keys");
    ALGORITHMS.iter().fold(text.to_owned(), |text, alg| {
        text.replace(&format!("<{alg}>"), &ring.signing(alg, Timestamp(0)).expect("a key").kid)
    })
}

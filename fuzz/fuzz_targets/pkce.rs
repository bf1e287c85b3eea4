//! PKCE (RFC 7636): verifiers and challenges obey their grammar, and every verifier has a challenge that reads.
#![no_main]

use countersign::domain::pkce::{CodeChallenge, CodeVerifier};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let is_verifier = (43..=128).contains(&text.chars().count()) && text.bytes().all(unreserved);
    let verifier = CodeVerifier::parse(text);
    assert_eq!(verifier.is_some(), is_verifier, "{text:?}");
    if let Some(verifier) = verifier {
        assert_eq!(verifier.as_str(), text);
        let challenge = verifier.challenge();
        assert_eq!(CodeChallenge::parse(challenge.as_str()), Some(challenge));
    }
    if let Some(challenge) = CodeChallenge::parse(text) {
        assert_eq!(challenge.as_str(), text);
        assert!(text.len() == 43 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)), "{text:?}");
    }
});

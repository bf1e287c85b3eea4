//! `Authorization: Basic`: both readings of the header are told apart, and each reads back as itself (RFC 6749 §2.3.1).
#![no_main]

use base64::{Engine, engine::general_purpose::STANDARD};
use countersign::oauth::client_authentication::Basic;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|header: &[u8]| {
    let parsed = Basic::parse(header);
    let is_basic = header.len() >= 6 && header[..6].eq_ignore_ascii_case(b"basic ");
    assert_eq!(parsed.is_some(), is_basic);
    check(parsed.and_then(Result::ok));
    // The same as the text behind the base64, so that it need not be guessed.
    if let Ok(text) = std::str::from_utf8(header) {
        let parsed = Basic::parse(&encoded(text)).expect("the scheme is Basic");
        let sound = text.contains(':') && text.len() <= 4_096 && !text.chars().any(char::is_control);
        assert_eq!(parsed.is_ok(), sound, "{text:?}");
        check(parsed.ok());
    }
});

fn check(basic: Option<Basic>) {
    let Some(basic) = basic else { return };
    let readings: Vec<(&str, &str)> = basic.readings().map(|(id, secret)| (id, secret.expose())).collect();
    assert!((1..=2).contains(&readings.len()), "{readings:?}");
    let (raw_id, raw_secret) = readings[readings.len() - 1];
    assert!(!raw_id.contains(':'), "{raw_id}");
    // Percent-encoded as the section says, the first reading is what was encoded.
    let form = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let text = format!("{}:{}", form(raw_id), form(raw_secret));
    if text.len() <= 4_096 {
        let again = Basic::parse(&encoded(&text)).expect("the scheme is Basic").expect("it is sound");
        let (id, secret) = again.readings().next().expect("a reading");
        assert_eq!((id, secret.expose()), (raw_id, raw_secret));
    }
}

fn encoded(text: &str) -> Vec<u8> {
    format!("Basic {}", STANDARD.encode(text)).into_bytes()
}

//! Forms and query strings: what is read can be written, and reads back as itself.
#![no_main]

use countersign::oauth::Params;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(params) = Params::from_form(bytes) else { return };
    let written = params.to_query();
    let again = Params::from_form(written.as_bytes()).expect("what was written reads");
    assert_eq!(again.to_query(), written);
    if params.refuse_repeated().is_ok() {
        assert_eq!(again, params);
    }
    // A lenient reader sees the same value, or there is none (RFC 6749 §3.1: an empty one counts as absent).
    for (name, value) in url::form_urlencoded::parse(written.as_bytes()) {
        assert_eq!(params.text(&name).unwrap_or_default(), value);
        assert!(!name.chars().chain(value.chars()).any(char::is_control));
        assert_eq!(params.clone().with(&name, "x").text(&name), Some("x"));
        assert_eq!(params.clone().without(&name).text(&name), None);
    }
});

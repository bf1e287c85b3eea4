//! JSON documents: a strict subset of JSON, of bounded depth, that reads back as itself; and the same value as YAML, where it is that.
#![no_main]

use countersign::resources::format;
use countersign_fuzz::{depth, same};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|text: &str| {
    let Ok(value) = format::json(text) else { return };
    assert!(depth(&value) <= 33, "{value}");
    assert!(same(&value, &serde_json::from_str(text).expect("JSON")), "{value}");
    assert!(same(&format::json(&value.to_string()).expect("what was written reads"), &value), "{value}");
    if let Ok(yaml) = format::yaml(text) {
        assert!(same(&yaml, &value), "{yaml} {value}");
    }
    if let Value::Object(members) = &value {
        assert!(format::json(&format!("{{\"a\":{value},\"a\":{value}}}")).is_err(), "{members:?}");
    }
});

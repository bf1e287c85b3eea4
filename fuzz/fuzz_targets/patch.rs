//! Changes to a document (RFC 7396, RFC 6902): a merge patch does what its section says, and no change can learn a secret. The first
//! line is the document, the rest the change.
#![no_main]

use countersign::resources::kind::KINDS;
use countersign::resources::patch::{Method, apply};
use countersign::resources::secret_fields::{Stored, reveal_forms, take};
use countersign::resources::{DocumentKind, format};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};

fuzz_target!(|text: &str| {
    let Some((document, change)) = text.split_once('\n') else { return };
    let (Ok(Value::Object(document)), Ok(change)) = (format::json(document), format::json(change)) else { return };
    let method = Method::of("", None, &change).expect("a method");
    for kind in KINDS {
        let changed = apply(kind, Value::Object(document.clone()), method, change.clone());
        if method == Method::Merge && change.is_object() {
            let changed = changed.expect("a merge patch always applies");
            assert_eq!(changed, merged(Value::Object(document.clone()), &change));
            let again = apply(kind, changed.clone(), method, change.clone());
            assert_eq!(again.expect("twice is once"), changed);
        }
        assert_eq!(
            public_part(kind, &document, method, &change, "one"),
            public_part(kind, &document, method, &change, "two")
        );
    }
});

/// What is left beside the secrets, or the refusal, where each secret is `secret`.
fn public_part(
    kind: DocumentKind,
    document: &Map<String, Value>,
    method: Method,
    change: &Value,
    secret: &str,
) -> Result<Value, Vec<String>> {
    let mut document = document.clone();
    let secrets: Stored = kind.secrets().iter().map(|path| ((*path).to_owned(), secret.to_owned())).collect();
    reveal_forms(&mut document, &secrets);
    let changed = apply(kind, Value::Object(document), method, change.clone());
    changed.map_err(|refused| refused.lines()).map(|mut changed| {
        changed.as_object_mut().map(|members| take(kind, members));
        changed
    })
}

/// `MergePatch` of RFC 7396 §2.
fn merged(target: Value, patch: &Value) -> Value {
    let Value::Object(changes) = patch else { return patch.clone() };
    let mut members = match target {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    for (name, value) in changes {
        if value.is_null() {
            members.remove(name);
        } else {
            let before = members.get(name).cloned().unwrap_or_default();
            members.insert(name.clone(), merged(before, value));
        }
    }
    Value::Object(members)
}

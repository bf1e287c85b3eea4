//! Changes to a document: JSON merge patch (RFC 7396) and JSON Patch (RFC 6902).
//!
//! Both see the document as a reader does, with masks for secrets: a secret can be replaced or removed, but not tested, copied
//! or moved.

use serde_json::Value;

use super::format::MAX_DEPTH;
use super::kind::DocumentKind;
use super::outcome::Outcome;
use super::secret_fields::is_secret;

/// How a change is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// RFC 7396
    Merge,
    /// RFC 6902
    Json,
}

impl Method {
    /// As the request says, else as the change looks.
    pub fn of(media_type: &str, method: Option<&str>, change: &Value) -> Result<Self, Outcome> {
        match (method, media_type) {
            (Some("merge-patch" | "merge"), _) | (None, "application/merge-patch+json") => Ok(Self::Merge),
            (Some("json-patch" | "json"), _) | (None, "application/json-patch+json") => Ok(Self::Json),
            (Some(other), _) => {
                Err(Outcome::new(400, "invalid", format!("_method={other} is unknown; use merge-patch or json-patch")))
            }
            (None, _) if change.is_array() => Ok(Self::Json),
            (None, _) => Ok(Self::Merge),
        }
    }
}

/// The document after the change.
pub fn apply(kind: DocumentKind, mut document: Value, method: Method, change: Value) -> Result<Value, Outcome> {
    match method {
        Method::Merge if change.is_object() => json_patch::merge(&mut document, &change),
        Method::Merge => return Err(Outcome::new(400, "invalid", "a merge patch must be an object")),
        Method::Json => {
            if !change.is_array() {
                return Err(Outcome::new(400, "invalid", "a JSON Patch must be an array of operations"));
            }
            refuse_secrets(kind, &change)?;
            let patch: json_patch::Patch = serde_json::from_value(change)
                .map_err(|error| Outcome::new(400, "invalid", format!("this is no JSON Patch: {error}")))?;
            // One by one: a few copies of copies would otherwise fill the memory.
            for operation in &patch.0 {
                let one = json_patch::Patch(vec![operation.clone()]);
                json_patch::patch(&mut document, &one)
                    .map_err(|error| Outcome::new(422, "invalid", format!("the patch does not apply: {error}")))?;
                // What nests deeper than what can be sent could be kept, but not be read again.
                if depth(&document) > MAX_DEPTH || size(&document) > MAX_SIZE {
                    return Err(Outcome::new(
                        422,
                        "too-long",
                        format!("the patch makes a document of more than {MAX_DEPTH} levels or {MAX_SIZE} bytes"),
                    ));
                }
            }
        }
    }
    Ok(document)
}

/// No document is larger than this after a patch, about as large as one can be sent.
const MAX_SIZE: usize = 4 * 1_024 * 1_024;

/// About as many bytes as it takes to write the value.
fn size(value: &Value) -> usize {
    match value {
        Value::Array(items) => 2 + items.iter().map(|item| 1 + size(item)).sum::<usize>(),
        Value::Object(members) => 2 + members.iter().map(|(name, value)| name.len() + 4 + size(value)).sum::<usize>(),
        Value::String(text) => 2 + text.len(),
        _ => 4,
    }
}

/// How deep the value nests. The steps of a patch are checked one by one, so that this cannot go far.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(|item| 1 + depth(item)).max().unwrap_or(0),
        Value::Object(members) => members.values().map(|member| 1 + depth(member)).max().unwrap_or(0),
        _ => 0,
    }
}

fn refuse_secrets(kind: DocumentKind, change: &Value) -> Result<(), Outcome> {
    for operation in change.as_array().into_iter().flatten() {
        let text = |name: &str| operation.get(name).and_then(Value::as_str);
        let touched = match text("op") {
            Some("test") => text("path"),
            Some("copy" | "move") => text("from"),
            _ => None,
        };
        let Some(pointer) = touched else { continue };
        let unescaped: Vec<String> =
            pointer.split('/').skip(1).map(|segment| segment.replace("~1", "/").replace("~0", "~")).collect();
        let segments: Vec<&str> = unescaped.iter().map(String::as_str).collect();
        if is_secret(kind, &segments) {
            return Err(Outcome::new(
                422,
                "forbidden",
                format!("{pointer} is secret and cannot be tested, copied or moved"),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_kinds_of_patch_change_a_document() {
        let document = json!({"name": "a", "grant_types": ["code"], "secret": "********"});
        let merged =
            apply(DocumentKind::Client, document.clone(), Method::Merge, json!({"name": null, "active": false}))
                .unwrap();
        assert_eq!(merged, json!({"grant_types": ["code"], "secret": "********", "active": false}));
        let patched = apply(
            DocumentKind::Client,
            document,
            Method::Json,
            json!([{"op": "add", "path": "/grant_types/-", "value": "basic"}]),
        )
        .unwrap();
        assert_eq!(patched["grant_types"], json!(["code", "basic"]));
    }

    #[test]
    fn a_secret_cannot_be_asked_about() {
        for op in [
            json!({"op": "test", "path": "/secret", "value": "x"}),
            json!({"op": "copy", "from": "/secret", "path": "/name"}),
            json!({"op": "move", "from": "/secret", "path": "/name"}),
            json!({"op": "test", "path": "", "value": {}}),
        ] {
            assert!(
                apply(DocumentKind::Client, json!({"secret": "********"}), Method::Json, json!([op])).is_err(),
                "{op}"
            );
        }
    }
}

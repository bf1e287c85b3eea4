//! The same tables as JSON Schema: what the OpenAPI document says of documents.

use serde_json::{Map, Value, json};

use super::kind::DocumentKind;
use super::outcome::Issue;
use super::schema::{Field, Kind, LOCALIZED};
use super::secret_fields::MASK;

/// What an id looks like, which [`super::is_id`] decides.
const ID: &str = "^[A-Za-z0-9._~@+:-]{1,128}$";

/// A type of document, as it is sent and as it is shown.
pub fn schema(kind: DocumentKind) -> Value {
    let mut schema = object(kind.fields(), kind.name(), kind.secrets());
    schema["properties"] = framed(kind.name(), schema["properties"].take());
    if kind == DocumentKind::Client {
        let languages = format!("^({})#[A-Za-z0-9-]{{2,35}}$", LOCALIZED.join("|"));
        schema["patternProperties"] =
            json!({ languages: { "type": "string", "description": "In this language (RFC 7591 §2.2)." } });
    }
    schema
}

/// What makes members a resource: its type and id in front, and behind them what the server fills in.
pub fn framed(kind: &str, members: Value) -> Value {
    let mut properties = Map::from_iter([
        ("resourceType".to_owned(), json!({ "const": kind })),
        ("id".to_owned(), json!({ "type": "string", "pattern": ID })),
    ]);
    if let Value::Object(members) = members {
        properties.extend(members);
    }
    properties.insert("meta".into(), meta());
    properties.into()
}

fn meta() -> Value {
    json!({
        "type": "object",
        "readOnly": true,
        "description": "What the server fills in.",
        "properties": {
            "versionId": { "type": "string" },
            "lastUpdated": { "type": "string", "format": "date-time" },
            "createdAt": { "type": "string", "format": "date-time" },
            "extension": { "type": "array", "description": "In FHIR's format: the same as createdAt." },
        },
    })
}

/// `OperationOutcome`, with FHIR's issue types.
pub fn outcome() -> Value {
    let issue = json!({
        "type": "object",
        "properties": {
            "severity": { "const": "fatal" },
            "code": { "type": "string", "enum": Issue::CODES },
            "diagnostics": { "type": "string", "description": "What is wrong, in words." },
            "expression": { "type": "array", "items": { "type": "string" }, "description": "Where, as a path from the resource." },
        },
        "required": ["severity", "code", "diagnostics"],
        "additionalProperties": false,
    });
    json!({
        "type": "object",
        "properties": {
            "resourceType": { "const": "OperationOutcome" },
            "id": { "type": "string", "enum": Issue::CODES },
            "text": { "type": "object", "properties": { "status": { "const": "generated" }, "div": { "type": "string" } } },
            "issue": { "type": "array", "items": issue, "minItems": 1 },
        },
        "required": ["resourceType", "id", "text", "issue"],
        "additionalProperties": false,
    })
}

/// An object of these fields. `path` is where it is, `secrets` the paths of secrets from the document.
fn object(fields: &[Field], path: &str, secrets: &[&str]) -> Value {
    let property = |field: &Field| {
        let path = format!("{path}.{}", field.name);
        let mut schema = value(&field.kind, &path, secrets);
        if path.split_once('.').is_some_and(|(_, below)| secrets.contains(&below)) {
            schema["description"] =
                json!(format!("Never shown: reads answer `{MASK}`, and a document put back with that keeps it."));
        }
        (field.name.to_owned(), schema)
    };
    let properties: Map<String, Value> = fields.iter().map(property).collect();
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

fn value(kind: &Kind, path: &str, secrets: &[&str]) -> Value {
    let texts = || json!({ "type": "array", "items": { "type": "string" } });
    let list = |items: Value| json!({ "type": "array", "items": items });
    match kind {
        Kind::Text => json!({ "type": "string" }),
        Kind::OneOf(words) => json!({ "type": "string", "enum": words }),
        Kind::Url => json!({ "type": "string", "format": "uri" }),
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::Integer => json!({ "type": "integer" }),
        Kind::Seconds => json!({ "type": "integer", "minimum": 1, "description": "Seconds." }),
        Kind::SecondsOrNone => json!({ "type": "integer", "minimum": 0, "description": "Seconds." }),
        Kind::Texts => texts(),
        Kind::TextOrTexts => json!({ "anyOf": [{ "type": "string" }, texts()] }),
        Kind::SomeOf(words) => list(json!({ "type": "string", "enum": words })),
        Kind::Reference => reference(),
        Kind::References => list(reference()),
        Kind::Object(fields) => object(fields, path, secrets),
        Kind::Objects(fields) => {
            let one = object(fields, path, secrets);
            json!({ "anyOf": [one, list(one.clone())] })
        }
        Kind::Open => json!({}),
    }
}

/// A reference to another resource, in Aidbox's form or in FHIR's.
pub fn reference() -> Value {
    let text = json!({ "type": "string", "minLength": 1 });
    json!({
        "type": "object",
        "properties": { "resourceType": text, "id": text, "reference": text },
        "anyOf": [{ "required": ["resourceType", "id"] }, { "required": ["reference"] }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::is_id;

    /// The pattern is written for other programs' engines; this keeps it equal to what is accepted.
    #[test]
    fn the_pattern_of_ids_has_their_alphabet() {
        let class = &ID[2..ID.len() - 9];
        let said = |c: char| c.is_ascii_alphanumeric() || class[9..].contains(c);
        for c in (0..=127).map(char::from) {
            assert_eq!(said(c), is_id(&c.to_string()), "{c:?}");
        }
        assert!(ID.ends_with("]{1,128}$") && is_id(&"a".repeat(128)) && !is_id(&"a".repeat(129)) && !is_id(""));
    }
}

//! Answers held against the OpenAPI document: the status is described, the media type too, and the body is what its schema says.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use jsonschema::Validator;
use serde_json::{Value, json};

/// The document that is printed.
pub(crate) static DOCUMENT: LazyLock<Value> = LazyLock::new(|| countersign::dev::openapi::document("/"));

static VALIDATORS: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);

/// What any request may be answered with: the document says so once.
const ANYWHERE: [u16; 3] = [405, 408, 421];

/// The path of the document, and its item, that a request's path falls under, below the path of a realm too.
pub(crate) fn item(path: &str) -> Option<(&'static str, &'static Value)> {
    let path = path.split('?').next().unwrap_or_default();
    let below = match path.strip_prefix("/realms/") {
        Some(rest) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => path,
    };
    let fits = |template: &str| {
        let mut parts = below.split('/');
        let fits = template
            .split('/')
            .all(|part| parts.next().is_some_and(|found| part == found || part.starts_with('{') && !found.is_empty()));
        fits && parts.next().is_none()
    };
    let aliases = |item: &'static Value| item["x-aliases"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let items = || DOCUMENT["paths"].as_object().into_iter().flatten();
    // What is spelt out stands before what is a template.
    let exact = items().find(|(path, item)| *path == below || aliases(item).any(|alias| alias == below));
    let found = exact.or_else(|| items().find(|(path, item)| fits(path) || aliases(item).any(fits)));
    found.map(|(path, item)| (path.as_str(), item))
}

/// Fails where an answer is not as its operation says. Paths that are not in the document are none of its business.
pub(crate) fn check(method: &str, path: &str, status: u16, content_type: &str, body: &Value) {
    let Some((template, item)) = item(path) else { return };
    let operation = &item[method.to_ascii_lowercase()];
    if operation.is_null() || ANYWHERE.contains(&status) {
        assert!(
            !operation.is_null() || status >= 400,
            "{method} {path} is not described, and answered {status}: {body}"
        );
        return;
    }
    let place = format!("{method} {template} ({status})");
    let answer = &operation["responses"][status.to_string()];
    assert!(!answer.is_null(), "{place} is not described: {body}");
    let media = content_type.split(';').next().unwrap_or_default();
    let content = answer["content"].as_object();
    if media.is_empty() || body == "" {
        assert!(content.is_none() || body == "", "{place} has a body, by its description");
        return;
    }
    // Below /fhir the same is said of FHIR's media type.
    let known = if media == "application/fhir+json" { "application/json" } else { media };
    let Some(schema) = content.and_then(|content| content.get(known)) else {
        panic!("{place}: {media} is not described: {body}")
    };
    if known == "application/json" {
        hold(&place, &schema["schema"], body);
    }
}

/// Fails where a value is not as a schema of the document says.
fn hold(place: &str, schema: &Value, value: &Value) {
    let wrong = problems(schema, value);
    assert!(wrong.is_empty(), "{place} is not as its schema says: {wrong:#?}\n{value:#}");
}

/// What about a value is not as a schema of the document says.
pub(crate) fn problems(schema: &Value, value: &Value) -> Vec<String> {
    let validator = {
        let make =
            || Arc::new(jsonschema::validator_for(&whole(schema)).unwrap_or_else(|error| panic!("{schema}: {error}")));
        Arc::clone(VALIDATORS.lock().unwrap().entry(schema.to_string()).or_insert_with(make))
    };
    validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// A schema with what it refers to.
fn whole(schema: &Value) -> Value {
    let mut whole = json!({ "$schema": "https://json-schema.org/draft/2020-12/schema", "allOf": [schema] });
    whole["components"] = DOCUMENT["components"].clone();
    whole
}

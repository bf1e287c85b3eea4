//! Documents described as data, and checked against it: every problem at once, each with its path and the nearest known name.

use serde_json::{Map, Value};

use super::outcome::Issue;
use crate::domain::client_metadata::is_tag;
use crate::domain::nearest::nearest;

/// A field of a document.
#[derive(Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
}

/// What a field holds.
#[derive(Debug)]
pub enum Kind {
    /// Text.
    Text,
    /// Text out of a list.
    OneOf(&'static [&'static str]),
    /// Text that is a URL with a scheme.
    Url,
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Integer,
    /// A number of seconds, above zero.
    Seconds,
    /// A number of seconds, zero or more.
    SecondsOrNone,
    /// A list of text.
    Texts,
    /// Text or a list of it.
    TextOrTexts,
    /// A list of words out of a list.
    SomeOf(&'static [&'static str]),
    /// A reference to another resource, in either of Aidbox's forms.
    Reference,
    /// A list of references.
    References,
    /// An object with these fields.
    Object(&'static [Field]),
    /// A list of such objects.
    Objects(&'static [Field]),
    /// Anything.
    Open,
}

/// Shorthand for the tables.
pub const fn field(name: &'static str, kind: Kind) -> Field {
    Field { name, kind }
}

/// Every problem of a document.
pub fn problems(resource: &str, fields: &[Field], document: &Map<String, Value>) -> Vec<Issue> {
    let mut issues = Vec::new();
    object(resource, fields, document, &mut issues);
    issues
}

fn object(path: &str, fields: &[Field], members: &Map<String, Value>, issues: &mut Vec<Issue>) {
    for (name, value) in members {
        let path = format!("{path}.{name}");
        match fields.iter().find(|field| field.name == unlocalized(name)) {
            Some(field) => check(&path, &field.kind, value, issues),
            None => issues.push(Issue::invalid(path, unknown(name, fields))),
        }
    }
}

/// Fields that may be said in several languages, as `name#tag` (RFC 7591 §2.2).
pub(super) const LOCALIZED: [&str; 5] = ["name", "client_uri", "logo_uri", "policy_uri", "tos_uri"];

/// The name of a field without its language.
fn unlocalized(name: &str) -> &str {
    match name.split_once('#') {
        Some((field, tag)) if LOCALIZED.contains(&field) && is_tag(tag) => field,
        _ => name,
    }
}

fn unknown(name: &str, fields: &[Field]) -> String {
    match nearest(name, fields.iter().map(|field| field.name)) {
        Some(known) => format!("unknown field; did you mean {known}?"),
        None => "unknown field".to_owned(),
    }
}

fn check(path: &str, kind: &Kind, value: &Value, issues: &mut Vec<Issue>) {
    let mut expected = |what: &str| issues.push(Issue::invalid(path, format!("expected {what}")));
    match (kind, value) {
        (Kind::Open, _) | (Kind::Text, Value::String(_)) | (Kind::Boolean, Value::Bool(_)) => {}
        (Kind::OneOf(words), Value::String(word)) if words.contains(&word.as_str()) => {}
        (Kind::OneOf(words), _) => expected(&format!("one of {}", words.join(", "))),
        (Kind::Url, Value::String(text)) if url::Url::parse(text).is_ok() => {}
        (Kind::Url, _) => expected("a URL with its scheme"),
        (Kind::Integer, value) if value.as_i64().is_some() => {}
        (Kind::Seconds, value) if value.as_i64().is_some_and(|seconds| seconds > 0) => {}
        (Kind::Seconds, _) => expected("a number of seconds above 0"),
        (Kind::SecondsOrNone, value) if value.as_i64().is_some_and(|seconds| seconds >= 0) => {}
        (Kind::SecondsOrNone, _) => expected("a number of seconds, 0 or more"),
        (Kind::Texts | Kind::TextOrTexts, Value::Array(items)) => items_of(path, &Kind::Text, items, issues),
        (Kind::TextOrTexts, Value::String(_)) => {}
        (Kind::SomeOf(words), Value::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                let known = item.as_str().is_some_and(|word| words.contains(&word));
                if !known {
                    let near = item.as_str().and_then(|word| nearest(word, words.iter().copied()));
                    let hint = near
                        .map_or_else(|| format!("one of {}", words.join(", ")), |near| format!("did you mean {near}?"));
                    issues.push(Issue::invalid(format!("{path}[{index}]"), format!("unknown value; {hint}")));
                }
            }
        }
        (Kind::Reference, Value::Object(reference)) if is_reference(reference) => {}
        (Kind::Reference, _) => expected("a reference: {resourceType, id} or {reference: Type/id}"),
        (Kind::References, Value::Array(items)) => items_of(path, &Kind::Reference, items, issues),
        (Kind::Object(fields), Value::Object(members)) => object(path, fields, members, issues),
        (Kind::Objects(_), Value::Array(items)) => items_of(path, kind, items, issues),
        (Kind::Objects(fields), Value::Object(members)) => object(path, fields, members, issues),
        (Kind::Text, _) => expected("text"),
        (Kind::Boolean, _) => expected("true or false"),
        (Kind::Integer, _) => expected("a whole number"),
        (Kind::Texts | Kind::SomeOf(_) | Kind::References | Kind::Objects(_), _) => expected("array"),
        (Kind::TextOrTexts, _) => expected("text or an array of text"),
        (Kind::Object(_), _) => expected("object"),
    }
}

fn items_of(path: &str, kind: &Kind, items: &[Value], issues: &mut Vec<Issue>) {
    for (index, item) in items.iter().enumerate() {
        let path = format!("{path}[{index}]");
        match (kind, item) {
            (Kind::Objects(fields), Value::Object(members)) => object(&path, fields, members, issues),
            (Kind::Objects(_), _) => issues.push(Issue::invalid(path, "expected object")),
            _ => check(&path, kind, item, issues),
        }
    }
}

fn is_reference(members: &Map<String, Value>) -> bool {
    let text = |name: &str| members.get(name).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    text("reference") || (text("resourceType") && text("id"))
}

//! A row as a resource: `resourceType`, `id`, the body with masks for secrets, `meta`; in Aidbox's or in FHIR's format.

use serde_json::{Map, Value, json};

use super::{object, secret_fields, stored};
use crate::domain::time::Timestamp;
use crate::store::documents::Row;

/// Under which prefix a resource is shown, and so in which format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mount {
    /// `/Client/a`: references are `{resourceType, id}`.
    Aidbox,
    /// `/fhir/Client/a`: references are `{reference}`.
    Fhir,
}

/// The extension in which FHIR's format says when a resource was made.
const CREATED_AT: &str = "https://aidbox.app/ex/createdAt";

impl Mount {
    /// The prefix of its paths.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Aidbox => "",
            Self::Fhir => "/fhir",
        }
    }
}

/// The resource, secrets masked.
pub fn document(row: &Row, mount: Mount) -> Value {
    let mut body = object(row.body.0.clone());
    secret_fields::mask(&mut body, &stored(row));
    resource(&row.kind, &row.id, body, &meta(&row.version.to_string(), row.created_at, row.updated_at, mount), mount)
}

/// The resource as `export` writes it: with hashes, without what a server fills in.
pub fn exported(row: &Row) -> Value {
    let mut body = object(row.body.0.clone());
    secret_fields::reveal_forms(&mut body, &stored(row));
    let mut members = Map::from_iter([("resourceType".to_owned(), json!(row.kind)), ("id".to_owned(), json!(row.id))]);
    members.extend(body);
    members.values_mut().for_each(escape);
    Value::Object(members)
}

/// A text that looks like a place to fill is written so that `apply` does not fill it.
fn escape(value: &mut Value) {
    match value {
        Value::String(text) if text.contains("${") => *text = text.replace("${", "$${"),
        Value::Array(items) => items.iter_mut().for_each(escape),
        Value::Object(members) => members.values_mut().for_each(escape),
        _ => {}
    }
}

/// Any resource from its parts.
pub fn resource(kind: &str, id: &str, mut body: Map<String, Value>, meta: &Value, mount: Mount) -> Value {
    if mount == Mount::Fhir {
        body.values_mut().for_each(fhir_references);
    }
    let mut members = Map::from_iter([("resourceType".to_owned(), json!(kind)), ("id".to_owned(), json!(id))]);
    members.extend(body);
    members.insert("meta".into(), meta.clone());
    Value::Object(members)
}

/// `meta` of a resource.
pub fn meta(version: &str, created_at: Timestamp, updated_at: Timestamp, mount: Mount) -> Value {
    let mut meta = json!({ "versionId": version, "lastUpdated": updated_at.rfc3339() });
    match mount {
        Mount::Aidbox => meta["createdAt"] = json!(created_at.rfc3339()),
        Mount::Fhir => meta["extension"] = json!([{ "url": CREATED_AT, "valueInstant": created_at.rfc3339() }]),
    }
    meta
}

fn fhir_references(value: &mut Value) {
    match value {
        Value::Object(members) => {
            let text = |name: &str| members.get(name).and_then(Value::as_str).map(str::to_owned);
            if let (Some(kind), Some(id)) = (text("resourceType"), text("id")) {
                members.remove("resourceType");
                members.remove("id");
                members.insert("reference".into(), json!(format!("{kind}/{id}")));
            }
            members.values_mut().for_each(fhir_references);
        }
        Value::Array(items) => items.iter_mut().for_each(fhir_references),
        _ => {}
    }
}

//! What a value is: JSON Schema 2020-12, which is what OpenAPI 3.1 has (§4.8.24).
//!
//! Types that derive `JsonSchema` describe themselves, their comments being the descriptions; what has no type of its own (the
//! parameters of the protocol, documents) is put together of the functions here.

use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

/// The schemas that have a name. A type that is taken and answered may look different in the two.
#[derive(Debug)]
pub struct Schemas {
    taken: SchemaGenerator,
    answered: SchemaGenerator,
    named: BTreeMap<String, Value>,
}

impl Default for Schemas {
    fn default() -> Self {
        let mut settings = SchemaSettings::draft2020_12();
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
        let answered = settings.clone().for_serialize().into_generator();
        Self { taken: settings.into_generator(), answered, named: BTreeMap::new() }
    }
}

impl Schemas {
    /// A type as it is read from a request.
    pub fn taken<T: JsonSchema>(&mut self) -> Value {
        self.taken.subschema_for::<T>().to_value()
    }

    /// A type as it is written into an answer.
    pub fn answered<T: JsonSchema>(&mut self) -> Value {
        self.answered.subschema_for::<T>().to_value()
    }

    /// A type whose members are the parameters of a query, where what is absent is not sent as null.
    pub fn members<T: JsonSchema>(&mut self) -> Vec<Member> {
        let mut schema = T::json_schema(&mut self.taken).to_value();
        let required = schema["required"].take();
        let is_required = |name: &String| required.as_array().is_some_and(|names| names.iter().any(|one| one == name));
        let members = schema["properties"].as_object_mut().map(std::mem::take).unwrap_or_default();
        members
            .into_iter()
            .map(|(name, mut schema)| {
                if let Some(kinds) = schema["type"].as_array_mut() {
                    kinds.retain(|kind| kind != "null");
                }
                if schema.get("default").is_some_and(Value::is_null) {
                    schema.as_object_mut().and_then(|schema| schema.shift_remove("default"));
                }
                Member { required: is_required(&name), name, schema }
            })
            .collect()
    }

    /// A schema under a name.
    pub fn named(&mut self, name: &str, make: impl FnOnce() -> Value) -> Value {
        self.named.entry(name.to_owned()).or_insert_with(make);
        json!({ "$ref": format!("#/components/schemas/{name}") })
    }

    /// All that have a name, by name.
    pub(super) fn finish(mut self) -> BTreeMap<String, Value> {
        let mut all = self.named;
        for derived in [self.taken.take_definitions(true), self.answered.take_definitions(true)] {
            for (name, schema) in derived {
                let known = all.entry(name).or_insert_with(|| schema.clone());
                debug_assert_eq!(*known, schema, "two schemas have one name");
            }
        }
        all
    }
}

/// A member of an object, or a parameter.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// What it is.
    pub schema: Value,
    /// Whether it must be there.
    pub required: bool,
}

/// A member that must be there.
pub fn required(name: &str, schema: Value) -> Member {
    Member { name: name.to_owned(), schema, required: true }
}

/// A member that may be absent.
pub fn optional(name: &str, schema: Value) -> Member {
    Member { name: name.to_owned(), schema, required: false }
}

/// Text.
pub fn text(about: &str) -> Value {
    json!({ "type": "string", "description": about })
}

/// A URL.
pub fn uri(about: &str) -> Value {
    json!({ "type": "string", "format": "uri", "description": about })
}

/// A point in time, as RFC 3339 writes it.
pub fn time(about: &str) -> Value {
    json!({ "type": "string", "format": "date-time", "description": about })
}

/// A word out of a list.
pub fn word(list: &[&str], about: &str) -> Value {
    json!({ "type": "string", "enum": list, "description": about })
}

/// A whole number.
pub fn whole(about: &str) -> Value {
    json!({ "type": "integer", "description": about })
}

/// `true` or `false`.
pub fn flag(about: &str) -> Value {
    json!({ "type": "boolean", "description": about })
}

/// A list.
#[expect(clippy::needless_pass_by_value, reason = "schemas are put into each other")]
pub fn list(of: Value, about: &str) -> Value {
    json!({ "type": "array", "items": of, "description": about })
}

/// An object with these members, and others.
pub fn object(members: impl IntoIterator<Item = Member>) -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for member in members {
        if member.required {
            required.push(member.name.clone());
        }
        properties.insert(member.name, member.schema);
    }
    let mut schema = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

/// An object with these members, and no others.
pub fn closed(members: impl IntoIterator<Item = Member>) -> Value {
    let mut schema = object(members);
    schema["additionalProperties"] = json!(false);
    schema
}

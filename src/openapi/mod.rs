//! OpenAPI 3.1: the words in which the server describes what it serves. It knows none of the routes.
//!
//! [`operation`] describes one request and its answers, [`schema`] what a value is. A [`Document`] puts operations together; the
//! maps of URLs that give it its operations are in [`crate::web`] and [`crate::dev`], which has the whole.

pub mod operation;
pub mod schema;

use serde_json::{Map, Value, json};

pub use operation::{Describe, Operation, Place};
use schema::Schemas;

/// A document in the making. Equal maps of URLs make equal documents, to the byte.
#[derive(Debug, Default)]
pub struct Document {
    paths: Map<String, Value>,
    schemas: Schemas,
}

/// What a document says beside its paths.
#[derive(Debug)]
pub struct About<'a> {
    /// What all of it is about.
    pub description: &'a str,
    /// The address that the paths are below.
    pub server: &'a str,
    /// The groups of operations, in order, and what each is about.
    pub tags: &'a [(&'a str, &'a str)],
    /// How requests prove themselves, by name (OpenAPI §4.8.27).
    pub security: Value,
}

impl Document {
    /// Adds an operation. `aliases` are other paths at which it is the same.
    pub fn add(&mut self, path: &str, aliases: &[String], method: &str, describe: Describe) {
        let operation = describe(Operation::new(path, &mut self.schemas)).finish();
        let item = self.paths.entry(path).or_insert_with(|| json!({}));
        if !aliases.is_empty() {
            item["x-aliases"] = json!(aliases);
        }
        item[method] = operation;
    }

    /// The document.
    pub fn finish(self, about: &About<'_>) -> Value {
        let tag = |(name, description): &(&str, &str)| json!({ "name": name, "description": description });
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": "Countersign",
                "version": env!("CARGO_PKG_VERSION"),
                "description": about.description,
                "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
            },
            "servers": [{ "url": about.server }],
            "tags": about.tags.iter().map(tag).collect::<Vec<_>>(),
            "paths": self.paths,
            "components": { "schemas": self.schemas.finish(), "securitySchemes": about.security },
        })
    }
}

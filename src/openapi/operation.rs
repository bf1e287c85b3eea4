//! One request and its answers (OpenAPI §4.8.10).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use super::schema::{Member, Schemas};

/// Describes an operation. It stands beside a route, and is called when the document is asked for.
pub type Describe = fn(Operation<'_>) -> Operation<'_>;

/// The media type of most bodies.
pub const JSON: &str = "application/json";

/// Where a parameter stands.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// `{name}` in the path.
    Path,
    /// The query.
    Query,
    /// A header.
    Header,
}

/// An operation in the making.
#[derive(Debug)]
pub struct Operation<'a> {
    path: String,
    schemas: &'a mut Schemas,
    members: Map<String, Value>,
    parameters: Vec<Value>,
    answers: BTreeMap<u16, Value>,
}

impl<'a> Operation<'a> {
    pub(super) fn new(path: &str, schemas: &'a mut Schemas) -> Self {
        let (members, parameters, answers) = (Map::new(), Vec::new(), BTreeMap::new());
        Self { path: path.to_owned(), schemas, members, parameters, answers }
    }

    pub(super) fn finish(mut self) -> Value {
        if !self.parameters.is_empty() {
            self.members.insert("parameters".into(), self.parameters.into());
        }
        let answers = self.answers.into_iter().map(|(status, answer)| (status.to_string(), answer));
        self.members.insert("responses".into(), Value::Object(answers.collect()));
        self.members.into()
    }

    /// The path that is described.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The schemas that have a name.
    pub const fn schemas(&mut self) -> &mut Schemas {
        self.schemas
    }

    /// Its group, its name for programs, and what it does.
    #[must_use]
    pub fn named(mut self, tag: &str, id: &str, summary: &str) -> Self {
        self.members.insert("tags".into(), json!([tag]));
        self.members.insert("operationId".into(), json!(id));
        self.members.insert("summary".into(), json!(summary));
        self
    }

    /// Its rules.
    #[must_use]
    pub fn explained(mut self, description: &str) -> Self {
        self.members.insert("description".into(), json!(description));
        self
    }

    /// How the request proves itself: by any one of these schemes, each with the scopes it needs; by none where the name is empty.
    #[must_use]
    pub fn proven_by(mut self, schemes: &[(&str, &[&str])]) -> Self {
        let one = |(name, scopes): &(&str, &[&str])| match name.is_empty() {
            true => json!({}),
            false => json!({ *name: scopes }),
        };
        self.members.insert("security".into(), schemes.iter().map(one).collect());
        self
    }

    /// A parameter.
    #[must_use]
    pub fn parameter(mut self, place: Place, member: Member) -> Self {
        let place = match place {
            Place::Path => "path",
            Place::Query => "query",
            Place::Header => "header",
        };
        let Member { name, mut schema, required } = member;
        let description = schema.as_object_mut().and_then(|schema| schema.shift_remove("description"));
        let mut parameter = json!({ "name": name, "in": place, "required": required, "schema": schema });
        if let Some(description) = description {
            parameter["description"] = description;
        }
        self.parameters.push(parameter);
        self
    }

    /// Parameters of the query.
    #[must_use]
    pub fn query(self, members: impl IntoIterator<Item = Member>) -> Self {
        members.into_iter().fold(self, |operation, member| operation.parameter(Place::Query, member))
    }

    /// The members of a type as parameters of the query.
    #[must_use]
    pub fn query_of<T: JsonSchema>(self) -> Self {
        let members = self.schemas.members::<T>();
        self.query(members)
    }

    /// Its body, in any of these media types.
    #[must_use]
    pub fn body(mut self, media: &[&str], schema: &Value, required: bool) -> Self {
        let content: Map<_, _> = media.iter().map(|media| ((*media).to_owned(), json!({ "schema": schema }))).collect();
        self.members.insert("requestBody".into(), json!({ "required": required, "content": content }));
        self
    }

    /// An answer without a body.
    #[must_use]
    pub fn answers(mut self, status: u16, description: &str) -> Self {
        let answer = self.answers.entry(status).or_insert_with(|| json!({}));
        if answer.get("description").is_none() {
            answer["description"] = json!(description);
        }
        self
    }

    /// An answer with a body of a media type; the same status may have several.
    #[must_use]
    pub fn answers_with(self, status: u16, description: &str, media: &str, schema: &Value) -> Self {
        let mut operation = self.answers(status, description);
        if let Some(answer) = operation.answers.get_mut(&status) {
            if answer.get("content").is_none() {
                answer["content"] = json!({});
            }
            answer["content"][media] = json!({ "schema": schema });
        }
        operation
    }

    /// An answer in JSON that is this type.
    #[must_use]
    pub fn answers_of<T: JsonSchema>(self, status: u16, description: &str) -> Self {
        let schema = self.schemas.answered::<T>();
        self.answers_with(status, description, JSON, &schema)
    }

    /// A header of an answer that was described before.
    #[must_use]
    pub fn with_header(mut self, status: u16, name: &str, mut schema: Value) -> Self {
        let description = schema.as_object_mut().and_then(|schema| schema.shift_remove("description"));
        if let Some(answer) = self.answers.get_mut(&status) {
            if answer.get("headers").is_none() {
                answer["headers"] = json!({});
            }
            answer["headers"][name] = json!({ "schema": schema });
            if let Some(description) = description {
                answer["headers"][name]["description"] = description;
            }
        }
        self
    }
}

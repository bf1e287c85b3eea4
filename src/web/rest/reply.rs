//! Answers of the REST surface, in JSON or YAML.

use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, LAST_MODIFIED, LOCATION};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use crate::resources::{Mount, Outcome, Problem, Row, format, render};
use crate::web::protocol_error;

/// What to answer.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) body: Option<Value>,
    pub(super) location: Option<String>,
    pub(super) warnings: Vec<String>,
    version: Option<(String, String)>,
}

/// In which format.
#[derive(Clone, Copy, Debug)]
pub(super) enum Encoding {
    Json { pretty: bool },
    Yaml,
}

impl Reply {
    pub(super) const fn new(status: StatusCode, body: Value) -> Self {
        Self { status, body: Some(body), location: None, warnings: Vec::new(), version: None }
    }

    pub(super) const fn empty() -> Self {
        Self { status: StatusCode::NO_CONTENT, body: None, location: None, warnings: Vec::new(), version: None }
    }

    pub(super) fn document(status: StatusCode, row: &Row, mount: Mount) -> Self {
        let version = Some((format!("W/\"{}\"", row.version), row.updated_at.http_date()));
        Self { version, ..Self::new(status, render::document(row, mount)) }
    }
}

impl Encoding {
    /// `_format` wins over `Accept`.
    pub(super) fn asked(accept: &str, parameter: Option<&str>) -> Self {
        if parameter.unwrap_or(accept).contains("yaml") { Self::Yaml } else { Self::Json { pretty: false } }
    }

    pub(super) const fn pretty(self, wanted: bool) -> Self {
        match self {
            Self::Json { .. } => Self::Json { pretty: wanted },
            Self::Yaml => Self::Yaml,
        }
    }

    fn write(self, value: &Value, mount: Mount) -> (&'static str, String) {
        match self {
            Self::Yaml => ("text/yaml; charset=utf-8", format::to_yaml(value)),
            Self::Json { pretty } => {
                let text = if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
                (
                    if mount == Mount::Fhir { "application/fhir+json" } else { "application/json" },
                    text.unwrap_or_default(),
                )
            }
        }
    }
}

/// The answer to a request.
pub(super) fn respond(answered: Result<Reply, Problem>, encoding: Encoding, mount: Mount) -> Response {
    let reply = match answered {
        Ok(reply) => reply,
        Err(Problem::Outcome(outcome)) => {
            tracing::info!(problems = ?outcome.lines(), "refused");
            let status = StatusCode::from_u16(outcome.status).unwrap_or(StatusCode::BAD_REQUEST);
            Reply::new(status, outcome.to_json())
        }
        Err(Problem::Internal(internal)) => {
            let (status, headers) = protocol_error::unavailable(&internal);
            let outcome = Outcome::new(status.as_u16(), "exception", "the server could not answer; see its log");
            return (headers, respond(Err(outcome.into()), encoding, mount)).into_response();
        }
    };
    let mut headers = HeaderMap::new();
    let mut put = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.append(name, value);
        }
    };
    if let Some((tag, modified)) = &reply.version {
        put(ETAG, tag);
        put(LAST_MODIFIED, modified);
    }
    if let Some(location) = &reply.location {
        put(LOCATION, location);
    }
    for warning in &reply.warnings {
        tracing::warn!(warning, "document accepted");
        put(HeaderName::from_static("warning"), &format!("299 countersign \"{}\"", warning.replace('"', "'")));
    }
    let Some(body) = &reply.body else { return (reply.status, headers).into_response() };
    let (content_type, text) = encoding.write(body, mount);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    (reply.status, headers, text).into_response()
}

/// A refusal outside any request that says how it wants its answers.
pub(crate) fn outcome(outcome: &Outcome) -> Response {
    respond(Err(outcome.clone().into()), Encoding::Json { pretty: false }, Mount::Aidbox)
}

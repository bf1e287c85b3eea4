//! What a request to the REST surface asks for, read once.

use axum::extract::{FromRequest, FromRequestParts, OriginalUri, RawPathParams, Request};
use axum::http::header::{ACCEPT, IF_MATCH, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use bytes::Bytes;
use serde_json::Value;

use super::reply::{self, Encoding, Reply};
use super::{ResourceType, resource_type};
use crate::oauth::Params;
use crate::resources::{Mount, Outcome, Precondition, Problem, format};
use crate::web::body::{DOCUMENT_BODY, media_type, whole};
use crate::web::place::Place;
use crate::web::{App, error_page, near_miss};

/// A request, read.
pub(crate) struct Asked {
    pub(super) method: Method,
    pub(super) path: Path,
    pub(super) mount: Mount,
    pub(super) parameters: Vec<(String, String)>,
    pub(super) precondition: Precondition,
    pub(super) media_type: String,
    /// Whether what is to be created is to be searched first (`If-None-Exist`, or search parameters).
    pub(super) is_conditional: bool,
    encoding: Encoding,
    body: Bytes,
}

/// The resource type that the path names. It stands before the question of rights: who mistypes an address is told so, rather than
/// asked for a password.
pub(crate) struct Known(pub(super) ResourceType);

impl FromRequestParts<App> for Known {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let path = Path::of(parts, app).await;
        match resource_type(&path.kind) {
            Ok(known) => Ok(Self(known)),
            Err(_) if error_page::wants_page(&parts.headers) => Err(error_page::not_found(app, parts)),
            Err(why) => Err(near_miss::explained(app, parts, reply::outcome(&why))),
        }
    }
}

/// `/{kind}/{id}/_history/{version}`; what a path lacks is empty.
#[derive(Default)]
pub(super) struct Path {
    pub(super) kind: String,
    pub(super) id: String,
    pub(super) version: String,
}

impl Path {
    async fn of<S: Send + Sync>(parts: &mut Parts, state: &S) -> Self {
        let mut path = Self::default();
        if let Ok(params) = RawPathParams::from_request_parts(parts, state).await {
            for (name, value) in &params {
                match name {
                    "kind" => value.clone_into(&mut path.kind),
                    "id" => value.clone_into(&mut path.id),
                    "version" => value.clone_into(&mut path.version),
                    _ => {}
                }
            }
        }
        path
    }
}

impl<S: Send + Sync> FromRequest<S> for Asked {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let path = Path::of(&mut parts, state).await;
        let uri =
            parts.extensions.get::<OriginalUri>().map_or_else(|| parts.uri.clone(), |original| original.0.clone());
        let mount = if uri.path().split('/').any(|segment| segment == "fhir") { Mount::Fhir } else { Mount::Aidbox };
        let refuse = |status, text: String| reply::outcome(&Outcome::new(status, "invalid", text));
        let parameters = pairs(parts.uri.query().unwrap_or_default()).map_err(|why| refuse(400, why))?;
        let headers = parts.headers.clone();
        let encoding = Encoding::asked(
            accept(&headers),
            parameters.iter().find(|(name, _)| name == "_format").map(|(_, value)| value.as_str()),
        )
        .pretty(parameters.iter().any(|(name, value)| name == "_pretty" && value == "true"));
        let method = parts.method.clone();
        let request = Request::from_parts(parts, body);
        let place = Place::of(&request);
        let body = whole(request, DOCUMENT_BODY)
            .await
            .map_err(|status| refuse(status.as_u16(), "the body is too large or could not be read".into()))?;
        place.as_ref().map_or(Ok(()), Place::take)?;
        let controls = |name: &String| matches!(name.as_str(), "_format" | "_pretty");
        let is_conditional =
            headers.contains_key("if-none-exist") || !parameters.iter().all(|(name, _)| controls(name));
        Ok(Self {
            method,
            is_conditional,
            path,
            mount,
            parameters,
            precondition: precondition(&headers),
            media_type: media_type(&headers),
            encoding,
            body,
        })
    }
}

impl Asked {
    /// The value of a query parameter.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The body, read.
    pub(super) fn document(&self) -> Result<Value, Outcome> {
        let unreadable = |text: String| Outcome::new(400, "invalid", text);
        let text = std::str::from_utf8(&self.body).map_err(|_| unreadable("the body is not UTF-8".into()))?;
        match self.media_type.as_str() {
            "text/yaml" | "application/yaml" | "application/x-yaml" | "text/x-yaml" => {
                format::yaml(text).map_err(|error| unreadable(format!("the body is not YAML: {error}")))
            }
            ""
            | "application/json"
            | "application/fhir+json"
            | "application/merge-patch+json"
            | "application/json-patch+json" => {
                format::json(text).map_err(|error| unreadable(format!("the body is not JSON: {error}")))
            }
            other => Err(Outcome::new(
                415,
                "not-supported",
                format!("Content-Type {other} is not supported; use application/json or text/yaml"),
            )),
        }
    }

    /// The answer, in the format that was asked for.
    pub(super) fn reply(&self, answered: Result<Reply, Problem>) -> Response {
        reply::respond(answered, self.encoding, self.mount)
    }
}

fn pairs(query: &str) -> Result<Vec<(String, String)>, String> {
    // Params checks encoding and limits; the pairs keep their order and repetition.
    Params::from_form(query.as_bytes()).map_err(|why| why.description)?;
    Ok(url::form_urlencoded::parse(query.as_bytes()).into_owned().collect())
}

fn accept(headers: &HeaderMap) -> &str {
    headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn precondition(headers: &HeaderMap) -> Precondition {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    Precondition::read(text(IF_MATCH), text(IF_NONE_MATCH))
}

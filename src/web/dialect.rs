//! Requests as a provider's clients send them, and errors as they get them, where this server stands in for one.
//!
//! A path of the dialect is another name for one of ours, and so is a parameter in an address; behind this everything is as ever.

use axum::Json;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::uri::PathAndQuery;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use super::{App, Site};
use crate::dialect::{CONFIGURATION, Dialect, Facts, REGISTRATION};
use crate::oauth::discovery::{REGISTRATION_PATH, paths};

/// Our errors are smaller.
const ERROR: usize = 64 * 1_024;

/// Answers a request in the dialect.
pub(super) async fn answer(site: Site, mut request: Request) -> Response {
    let app = site.app.clone();
    let Some(dialect) = app.provider.dialect() else { return site.answer_plainly(request).await };
    if let Some(uri) = ours(&app, dialect, request.uri()) {
        *request.uri_mut() = uri;
    }
    let response = site.answer_plainly(request).await;
    let is_json = response.headers().get(CONTENT_TYPE).is_some_and(|content_type| content_type == "application/json");
    if response.status().is_client_error() && is_json { error(&app, dialect, response).await } else { response }
}

/// Our path for one of the dialect, where it is one.
pub(crate) fn path(dialect: &Dialect, theirs: &str) -> Option<&'static str> {
    canonical(dialect.endpoint(theirs)?)
}

fn canonical(endpoint: &str) -> Option<&'static str> {
    match endpoint {
        CONFIGURATION => Some("/.well-known/openid-configuration"),
        REGISTRATION => Some(REGISTRATION_PATH),
        endpoint => paths(endpoint).next(),
    }
}

/// What we call what the dialect calls so.
fn ours(app: &App, dialect: &Dialect, theirs: &Uri) -> Option<Uri> {
    let base = app.reach.base_path.as_str();
    let endpoint = dialect.endpoint(theirs.path().strip_prefix(base)?)?;
    let path = canonical(endpoint)?;
    let renamed = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        format!("{}={value}", dialect.parameter(endpoint, name))
    };
    let query = theirs.query().map(|query| query.split('&').map(renamed).collect::<Vec<_>>().join("&"));
    let text = match query {
        None => format!("{base}{path}"),
        Some(query) => format!("{base}{path}?{query}"),
    };
    let mut parts = theirs.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(text).ok()?);
    Uri::from_parts(parts).ok()
}

/// The error as the dialect has it. An `OperationOutcome`, say, is none of the protocol's and stays.
async fn error(app: &App, dialect: &Dialect, response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let bytes = to_bytes(body, ERROR).await.unwrap_or_default();
    let plain = serde_json::from_slice::<Map<String, Value>>(&bytes).ok();
    let Some(plain) = plain.filter(|plain| plain.get("error").is_some_and(Value::is_string)) else {
        return (parts, bytes).into_response();
    };
    let facts = Facts {
        request: parts.headers.get("x-request-id").and_then(|id| id.to_str().ok()).unwrap_or_default(),
        now: app.clock.now().0,
        issuer: app.provider.iss(),
        base: app.provider.issuer(),
        ..Facts::default()
    };
    let (shaped, status) = dialect.error(&plain, &facts);
    parts.status = status.and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or(parts.status);
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.remove(CONTENT_TYPE);
    (parts, Json(shaped)).into_response()
}

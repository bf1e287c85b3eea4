//! What a request to a protocol endpoint is about, as the journal tells it and as faults pick it.

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH};
use axum::http::{HeaderMap, Method};
use base64::{Engine, engine::general_purpose::STANDARD, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use http_body_util::BodyExt;
use serde_json::Value;

use crate::dialect::Dialect;
use crate::web::body::{media_type, whole};
use crate::web::dialect;

/// Larger bodies are served, and not looked into.
const BODY: usize = 256 * 1_024;

/// Which paths are which endpoint.
const ENDPOINTS: [(&str, &[&str]); 10] = [
    ("authorize", &["/oauth2/authorize", "/auth/authorize"]),
    ("token", &["/oauth2/token", "/auth/token"]),
    ("userinfo", &["/oauth2/userinfo", "/auth/userinfo", "/userinfo"]),
    ("introspect", &["/oauth2/introspect", "/auth/introspect"]),
    ("revoke", &["/oauth2/revoke"]),
    ("logout", &["/oauth2/logout", "/auth/logout"]),
    ("register", &["/oauth2/register"]),
    ("jwks", &["/.well-known/jwks.json"]),
    ("discovery", &["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"]),
    ("login", &["/login", "/auth/login"]),
];

/// The parameters that only their owner should see.
const SECRETS: [&str; 3] = ["client_secret", "password", "client_assertion"];
const MASK: &str = "***";

/// A request to a protocol endpoint.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) endpoint: &'static str,
    pub(super) method: Method,
    /// Path and query.
    pub(super) target: String,
    pub(super) client_id: Option<String>,
    pub(super) user: Option<String>,
    /// The parameters of query and body, secrets masked.
    pub(super) params: Vec<(String, String)>,
    /// `Basic` or `Bearer …`, without the secret of the former.
    pub(super) authorization: Option<String>,
    /// Those of the body alone, secrets masked.
    pub(super) body: Vec<(String, String)>,
}

/// The names of the endpoints.
pub(super) fn endpoints() -> impl Iterator<Item = &'static str> {
    ENDPOINTS.iter().map(|(name, _)| *name)
}

/// Reads a request to a protocol endpoint below `base`, in the dialect that is spoken there, and gives it back whole.
pub(super) async fn read(base: &str, spoken: Option<&Dialect>, request: Request) -> (Option<Asked>, Request) {
    let path = request.uri().path().strip_prefix(base);
    let ours = |theirs| spoken.and_then(|dialect| dialect::path(dialect, theirs)).unwrap_or(theirs);
    let Some(endpoint) = path.map(ours).and_then(endpoint) else { return (None, request) };
    let (request, bytes) = buffered(request).await;
    let headers = request.headers();
    let mut query = pairs(request.uri().query().unwrap_or_default().as_bytes());
    let body = body(headers, &bytes);
    let find = |name: &str| query.iter().chain(&body).find(|(found, _)| found == name).map(|(_, value)| value.clone());
    let client_id = basic(headers)
        .or_else(|| find("client_id"))
        .or_else(|| find("client_assertion").and_then(|assertion| subject(&assertion)));
    let user = find("username").or_else(|| find("login_hint"));
    let body: Vec<_> = body.into_iter().map(masked).collect();
    let asked = Asked {
        endpoint,
        method: request.method().clone(),
        target: target(&request, &query),
        client_id,
        user,
        authorization: authorization(headers),
        params: query.drain(..).map(masked).chain(body.iter().cloned()).collect(),
        body,
    };
    (Some(asked), request)
}

/// Path and query; the latter without what only its owner should see.
fn target(request: &Request, query: &[(String, String)]) -> String {
    let path = request.uri().path();
    if query.is_empty() {
        return path.to_owned();
    }
    let shown = query.iter().cloned().map(masked);
    format!("{path}?{}", url::form_urlencoded::Serializer::new(String::new()).extend_pairs(shown).finish())
}

fn endpoint(path: &str) -> Option<&'static str> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let is_it = |paths: &[&str]| paths.iter().any(|known| path == *known || path.starts_with(&format!("{known}/")));
    ENDPOINTS.iter().find(|(_, paths)| is_it(paths)).map(|(name, _)| *name)
}

async fn buffered(request: Request) -> (Request, Vec<u8>) {
    let length = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if length.is_none_or(|length| length == 0 || length > BODY) {
        return (request, Vec::new());
    }
    let (parts, body) = request.into_parts();
    let collected = whole(Request::new(body), BODY).await.unwrap_or_default();
    let bytes = collected.to_vec();
    (Request::from_parts(parts, Body::new(http_body_util::Full::new(collected).map_err(|never| match never {}))), bytes)
}

fn body(headers: &HeaderMap, bytes: &[u8]) -> Vec<(String, String)> {
    match &*media_type(headers) {
        "application/x-www-form-urlencoded" => pairs(bytes),
        "application/json" => match serde_json::from_slice(bytes) {
            Ok(Value::Object(members)) => members.into_iter().map(|(name, value)| (name, text(value))).collect(),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

fn pairs(form: &[u8]) -> Vec<(String, String)> {
    url::form_urlencoded::parse(form).into_owned().collect()
}

fn masked((name, value): (String, String)) -> (String, String) {
    let value = if SECRETS.contains(&&*name) { MASK.to_owned() } else { value };
    (name, value)
}

fn header(headers: &HeaderMap) -> Option<&str> {
    headers.get(AUTHORIZATION)?.to_str().ok()
}

/// The client that HTTP Basic names (RFC 6749 §2.3.1).
fn basic(headers: &HeaderMap) -> Option<String> {
    let encoded = header(headers)?.strip_prefix("Basic ")?;
    let credentials = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let name = credentials.split_once(':')?.0;
    Some(percent_encoding::percent_decode_str(&name.replace('+', " ")).decode_utf8_lossy().into_owned())
}

fn authorization(headers: &HeaderMap) -> Option<String> {
    let value = header(headers)?;
    Some(if value.starts_with("Bearer ") { value.to_owned() } else { format!("Basic {MASK}") })
}

/// `sub` of an assertion, which is the client (RFC 7523 §3).
fn subject(assertion: &str) -> Option<String> {
    let claims: Value = serde_json::from_slice(&B64.decode(assertion.split('.').nth(1)?).ok()?).ok()?;
    claims.get("sub")?.as_str().map(str::to_owned)
}

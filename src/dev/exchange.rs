//! What a request to a protocol endpoint is about, as the journal tells it and as faults pick it.

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH};
use axum::http::{HeaderMap, Method};
use http_body_util::BodyExt;
use serde_json::Value;

use super::control::Wrong;
use crate::dialect::Dialect;
use crate::oauth::discovery::paths;
use crate::oauth::jws::Jws;
use crate::web::body::{basic, media_type, whole};
use crate::web::dialect;

/// Larger bodies are served, and not looked into.
const BODY: usize = 256 * 1_024;

/// The endpoints, and what discovery calls them.
const ENDPOINTS: [(&str, &str); 7] = [
    ("authorize", "authorization_endpoint"),
    ("token", "token_endpoint"),
    ("userinfo", "userinfo_endpoint"),
    ("introspect", "introspection_endpoint"),
    ("revoke", "revocation_endpoint"),
    ("logout", "end_session_endpoint"),
    ("jwks", "jwks_uri"),
];
/// What belongs to the protocol besides, with what is below.
const OTHERS: [(&str, &[&str]); 3] = [
    ("register", &["/oauth2/register"]),
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

/// Refuses what is no endpoint.
pub(super) fn known(endpoint: &str) -> Result<(), Wrong> {
    match endpoints().any(|known| known == endpoint) {
        true => Ok(()),
        false => Err(Wrong::request(format!("endpoint is one of {}", endpoints().collect::<Vec<_>>().join(", ")))),
    }
}

/// The endpoints by their names.
pub(super) fn endpoints() -> impl Iterator<Item = &'static str> {
    ENDPOINTS.iter().map(|(name, _)| *name).chain(OTHERS.iter().map(|(name, _)| *name))
}

impl Asked {
    /// How large it is, more or less, in bytes.
    pub(super) fn size(&self) -> usize {
        let pairs = self.params.iter().chain(&self.body).map(|(name, value)| name.len() + value.len());
        self.target.len() + self.authorization.as_ref().map_or(0, String::len) + pairs.sum::<usize>()
    }

    /// Whether it is to this endpoint and of this client, where they are named.
    pub(super) fn is(&self, endpoint: Option<&str>, client_id: Option<&str>) -> bool {
        endpoint.is_none_or(|endpoint| endpoint == self.endpoint)
            && client_id.is_none_or(|client_id| self.client_id.as_deref() == Some(client_id))
    }
}

/// Reads a request to a protocol endpoint below `base`, in the dialect that is spoken there, and gives it back whole. A preflight of a
/// browser is none.
pub(super) async fn read(base: &str, spoken: Option<&Dialect>, request: Request) -> (Option<Asked>, Request) {
    let path = request.uri().path().strip_prefix(base).filter(|_| request.method() != Method::OPTIONS);
    let ours = |theirs| spoken.and_then(|dialect| dialect::path(dialect, theirs)).unwrap_or(theirs);
    let Some(endpoint) = path.map(ours).and_then(endpoint) else { return (None, request) };
    let (request, bytes) = buffered(request).await;
    let headers = request.headers();
    let mut query = pairs(request.uri().query().unwrap_or_default().as_bytes());
    let body = body(headers, &bytes);
    let find = |name: &str| query.iter().chain(&body).find(|(found, _)| found == name).map(|(_, value)| value.clone());
    let client_id = named_by_basic(headers)
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
    let is_below =
        |known: &&str| path.strip_prefix(*known).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let endpoint = ENDPOINTS.iter().find(|(_, name)| paths(name).any(|known| known == path)).map(|(name, _)| *name);
    endpoint.or_else(|| OTHERS.iter().find(|(_, known)| known.iter().any(is_below)).map(|(name, _)| *name))
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

/// The client that HTTP Basic names (RFC 6749 §2.3.1).
fn named_by_basic(headers: &HeaderMap) -> Option<String> {
    let basic = basic(headers).ok()??;
    basic.readings().next().map(|(id, _)| id.to_owned())
}

fn authorization(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    Some(if value.starts_with("Bearer ") { value.to_owned() } else { format!("Basic {MASK}") })
}

/// `sub` of an assertion, which is the client (RFC 7523 §3).
fn subject(assertion: &str) -> Option<String> {
    Jws::read(assertion)?.claims.get("sub")?.as_str().map(str::to_owned)
}

//! The discovery documents and the key set: public, cacheable, answered from prepared bytes.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH,
};
use axum::response::{IntoResponse, Response};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use bytes::Bytes;

use super::{App, Reach, protocol_error};
use crate::domain::secret::Digest;
use crate::oauth::Provider;
use crate::oauth::keys::KeyRing;

/// How long a key set may be cached, in seconds; a new key is published for longer than this before it signs.
const KEYS_MAX_AGE: &str = "public, max-age=300, stale-while-revalidate=300";
const METADATA_MAX_AGE: &str = "public, max-age=3600";

/// Answers that do not change from request to request.
pub(crate) struct Prebuilt {
    metadata: Document,
    /// The same for those who came by the internal URL.
    internal: Option<Document>,
    keys: ArcSwapOption<(Arc<KeyRing>, Document)>,
}

struct Document {
    body: Bytes,
    etag: HeaderValue,
}

impl Prebuilt {
    pub(crate) fn new(provider: &Provider, reach: &Reach) -> Self {
        let internal = reach.internal.as_ref().map(|internal| provider.discovery_at(&internal.url));
        Self {
            metadata: Document::new(&provider.discovery()),
            internal: internal.as_ref().map(Document::new),
            keys: ArcSwapOption::empty(),
        }
    }
}

impl Document {
    fn new(value: &serde_json::Value) -> Self {
        let text = value.to_string();
        Self { etag: etag(text.as_bytes()), body: Bytes::from(text) }
    }

    fn answer(&self, headers: &HeaderMap, caching: &'static str) -> Response {
        let common = [
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (CACHE_CONTROL, HeaderValue::from_static(caching)),
            (ETAG, self.etag.clone()),
            (ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
        ];
        if headers.get(IF_NONE_MATCH) == Some(&self.etag) {
            return (StatusCode::NOT_MODIFIED, common).into_response();
        }
        (common, self.body.clone()).into_response()
    }
}

/// A strong validator of what is served (RFC 9110 §8.8.3).
pub(crate) fn etag(body: &[u8]) -> HeaderValue {
    let tag = format!("\"{}\"", B64.encode(&Digest::of(body).as_bytes()[..12]));
    HeaderValue::from_str(&tag).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

/// `GET /.well-known/openid-configuration` and `/.well-known/oauth-authorization-server`
pub(crate) async fn metadata(State(app): State<App>, headers: HeaderMap) -> Response {
    let internal = app.discovery.internal.as_ref().filter(|_| app.base(&headers) != app.provider.issuer());
    app.note_name(&headers);
    internal.unwrap_or(&app.discovery.metadata).answer(&headers, METADATA_MAX_AGE)
}

/// `GET /.well-known/jwks.json`
pub(crate) async fn jwks(State(app): State<App>, headers: HeaderMap) -> Response {
    let ring = match app.provider.registry().whole_key_ring().await {
        Ok(ring) => ring,
        Err(internal) => return protocol_error::internal_error(&internal),
    };
    if let Some(built) = app.discovery.keys.load_full().filter(|built| Arc::ptr_eq(&built.0, &ring)) {
        return built.1.answer(&headers, KEYS_MAX_AGE);
    }
    let built = Arc::new((Arc::clone(&ring), Document::new(ring.jwks())));
    app.discovery.keys.store(Some(Arc::clone(&built)));
    built.1.answer(&headers, KEYS_MAX_AGE)
}

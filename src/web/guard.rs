//! What stands around every request: host names, a request id, one log line, and the headers that keep pages safe.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::HttpBody;
use axum::extract::Request;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderName, HeaderValue, PRAGMA, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{Extensions, HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use tower::Service;
use tracing::Instrument;

use super::horizon::misdirected;
use super::{App, explained};
use crate::clock::monotonic_millis;

/// The id of a request: in its answer, on its error page and in its log lines.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(pub(crate) String);

/// As many headers are added here.
const HEADERS: usize = 8;

/// A request, its body included, takes no longer.
const PATIENCE: Duration = Duration::from_secs(30);

impl RequestId {
    /// The one that [`guard`] gave to a request.
    pub(crate) fn of(extensions: &Extensions) -> Self {
        extensions.get().cloned().unwrap_or_else(|| Self(String::new()))
    }
}

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What stands around `inner`.
pub(crate) async fn guard<S>(app: &App, mut inner: S, mut request: Request) -> Response
where
    S: Service<Request, Response: IntoResponse, Error = Infallible>,
{
    let id = RequestId(app.provider.randomness().row_id("requests").simple().to_string());
    let (method, uri, started) = (request.method().clone(), request.uri().clone(), monotonic_millis());
    let path = uri.path();
    request.extensions_mut().insert(id.clone());
    let span = tracing::info_span!("request", id = %id.0);
    let mut response = async {
        // HTTP/2 says it elsewhere, and so does the absolute form, which overrules the header (RFC 9112 §3.2.2).
        let authority = request.uri().authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
        if let Some(host) = authority {
            request.headers_mut().insert(HOST, host);
        }
        let host = request.headers().get(HOST).and_then(|value| value.to_str().ok());
        let known = host.is_some_and(|host| app.reach.answers_to(host));
        let probe = matches!(path, "/healthz" | "/readyz" | "/health");
        let place = app.places.place();
        // What has no body has arrived. Probes are answered however busy the server is.
        let refused = if probe || !request.body().is_end_stream() { None } else { place.take().err() };
        request.extensions_mut().insert(place.clone());
        let response = if let Some(refused) = refused {
            refused.into()
        } else if request.headers().get_all(HOST).iter().nth(1).is_some() {
            // RFC 9112 §3.2: which of the two would count?
            StatusCode::BAD_REQUEST.into_response()
        } else if known || probe {
            match tokio::time::timeout(PATIENCE, inner.call(request)).await {
                Ok(Ok(response)) => response.into_response(),
                Err(_) => StatusCode::REQUEST_TIMEOUT.into_response(),
            }
        } else {
            misdirected(app, request.headers())
        };
        // The query may hold codes and hints: only the path is logged. What went well is not news.
        let (status, millis) = (response.status().as_u16(), monotonic_millis() - started);
        if status < 400 {
            tracing::debug!(%method, path, status, millis, "answered");
        } else {
            tracing::info!(%method, path, status, millis, "answered");
        }
        explained::keep(app, &id.0, method.as_str(), path, &response);
        response
    }
    .instrument(span)
    .await;
    explained::link(app, &id.0, &mut response);
    response.headers_mut().reserve(HEADERS);
    secure(app, response.headers_mut());
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    response
}

/// Fills in what a handler did not choose itself: error answers get the same headers as good ones.
fn secure(app: &App, headers: &mut HeaderMap) {
    // It has no word for "anyone": the one page that others may frame goes without.
    let policy = headers.get(CONTENT_SECURITY_POLICY).and_then(|policy| policy.to_str().ok());
    let framed = policy.is_some_and(|policy| policy.contains("frame-ancestors *"));
    let mut default = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    default(CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'");
    if !framed {
        default(X_FRAME_OPTIONS, "DENY");
    }
    default(X_CONTENT_TYPE_OPTIONS, "nosniff");
    default(REFERRER_POLICY, "same-origin");
    default(CACHE_CONTROL, "no-store");
    if app.reach.https {
        default(STRICT_TRANSPORT_SECURITY, "max-age=31536000; includeSubDomains");
    }
    if headers.get(CACHE_CONTROL).is_some_and(|value| value == "no-store") {
        headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    }
}

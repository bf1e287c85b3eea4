//! Failures told to programs: RFC 6749 §5.2 bodies.

use std::any::Any;

use axum::Json;
use axum::http::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tower_http::catch_panic::ResponseForPanic;

use super::Explained;
use crate::domain::internal::Internal;
use crate::oauth::{ErrorCode, Failure, Refused};

/// The status that goes with a code.
pub(super) const fn status(code: ErrorCode) -> StatusCode {
    match code {
        // RFC 6749 §5.2: 401 where the client did not prove itself.
        ErrorCode::InvalidClient | ErrorCode::InvalidToken => StatusCode::UNAUTHORIZED,
        ErrorCode::InsufficientScope => StatusCode::FORBIDDEN,
        ErrorCode::TemporarilyUnavailable => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::BAD_REQUEST,
    }
}

/// The answer to a refusal.
pub(crate) fn refused(why: &Refused) -> Response {
    let status = status(why.code);
    tracing::info!(error = why.code.as_str(), description = why.description, "refused");
    let body = json!({ "error": why.code.as_str(), "error_description": why.description });
    let mut response = Explained::from(why).on((status, Json(body)).into_response());
    if let Some(seconds) = why.retry_after {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// The answer of an endpoint that clients authenticate at. RFC 6749 §5.2: a challenge where the `Authorization` header was tried.
/// Elsewhere it would have browsers ask the person for a password when a script's request fails.
pub(crate) fn failed(headers: &HeaderMap, failure: Failure) -> Response {
    match failure {
        Failure::Refused(why) => {
            let mut response = refused(&why);
            if why.code == ErrorCode::InvalidClient && headers.contains_key(AUTHORIZATION) {
                response
                    .headers_mut()
                    .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"countersign\""));
            }
            response
        }
        Failure::Internal(internal) => internal_error(&internal),
    }
}

/// Our own fault: logged once, here, and told without detail. Where a retry may help it is 503 and says when.
pub(crate) fn internal_error(internal: &Internal) -> Response {
    let (status, headers) = unavailable(internal);
    let code = if status == StatusCode::SERVICE_UNAVAILABLE { "temporarily_unavailable" } else { "server_error" };
    (status, headers, Json(json!({ "error": code, "error_description": "the server could not answer; see its log" })))
        .into_response()
}

/// More requests than can be worked on. Nothing is wrong, and there are many of these: the log has the line of the request alone.
pub(crate) fn busy() -> Response {
    let body =
        json!({ "error": "temporarily_unavailable", "error_description": "the server is busy; try again in a moment" });
    (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")], Json(body)).into_response()
}

/// Logs a fault and tells which status and headers it is answered with.
pub(crate) fn unavailable(internal: &Internal) -> (StatusCode, HeaderMap) {
    let mut headers = HeaderMap::new();
    let passing = match internal {
        Internal::Busy => true,
        Internal::Failed(error) => {
            error.downcast_ref::<crate::oauth::StoreError>().is_some_and(crate::oauth::is_passing)
        }
    };
    tracing::error!(error = %internal, passing, "internal error");
    if passing {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        (StatusCode::SERVICE_UNAVAILABLE, headers)
    } else {
        (StatusCode::INTERNAL_SERVER_ERROR, headers)
    }
}

/// A panic in a handler ends its request, not the server. Its message goes to the log of the panic hook only.
#[derive(Clone, Copy)]
pub(crate) struct Panicked;

impl ResponseForPanic for Panicked {
    type ResponseBody = axum::body::Body;

    fn response_for_panic(&mut self, _: Box<dyn Any + Send>) -> Response {
        tracing::error!("a handler panicked");
        let body = json!({ "error": "server_error", "error_description": "the server could not answer; see its log" });
        (StatusCode::INTERNAL_SERVER_ERROR, Json(body)).into_response()
    }
}

/// RFC 6750 §3: the challenge of a request without a token, or with one that will not do.
pub(crate) fn bearer_challenge(why: Option<&Refused>) -> Response {
    let Some(why) = why else {
        let challenge = [(WWW_AUTHENTICATE, "Bearer realm=\"countersign\"")];
        let why = Refused::new(ErrorCode::InvalidToken, "a bearer token is needed")
            .compared("the Authorization header", "Bearer and a token", "none of that kind")
            .fix("Send Authorization: Bearer and the access token; for registration the token of `countersign client initial-token`, or start the server with --registration open.");
        return Explained::from(&why).on((StatusCode::UNAUTHORIZED, challenge).into_response());
    };
    let mut response = refused(why);
    let challenge = format!(
        "Bearer realm=\"countersign\", error=\"{}\", error_description=\"{}\"",
        why.code.as_str(),
        why.description
    );
    if let Ok(value) = HeaderValue::from_str(&challenge) {
        response.headers_mut().insert(WWW_AUTHENTICATE, value);
    }
    response
}

//! `POST /oauth2/introspect` (RFC 7662)

use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};

use super::body::{Body, ClientBasic};
use super::client_address::ClientAddress;
use super::{App, protocol_error};
use crate::oauth::client_authentication::named;

/// Answers an introspection request.
pub(crate) async fn post(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    ClientBasic(basic): ClientBasic,
    headers: HeaderMap,
    Body(params): Body,
) -> Response {
    match app.provider.introspect(basic.as_ref(), &params, address, app.clock.now()).await {
        Ok(answer) => ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], answer).into_response(),
        Err(failure) => protocol_error::failed(&headers, failure.of_client(named(basic.as_ref(), &params))),
    }
}

//! `POST /oauth2/revoke` (RFC 7009)

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::body::{Body, ClientBasic};
use super::client_address::ClientAddress;
use super::{App, cors, protocol_error};
use crate::oauth::client_authentication::named;

/// Answers a revocation request; 200 without a body, whatever there was to revoke.
pub(crate) async fn post(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    ClientBasic(basic): ClientBasic,
    headers: HeaderMap,
    Body(params): Body,
) -> Response {
    let response = match app.provider.revoke(basic.as_ref(), &params, address, app.clock.now()).await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(failure) => protocol_error::failed(&headers, failure.of_client(named(basic.as_ref(), &params))),
    };
    cors::for_client(&app, &headers, params.text("client_id"), response).await
}

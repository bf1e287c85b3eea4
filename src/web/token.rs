//! `POST /oauth2/token`

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};

use super::body::{Body, ClientBasic};
use super::client_address::ClientAddress;
use super::{App, cors, protocol_error};
use crate::oauth::client_authentication::named;
use crate::oauth::token::TokenRequest;

/// Answers a token request.
pub(crate) async fn post(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    ClientBasic(basic): ClientBasic,
    headers: HeaderMap,
    Body(params): Body,
) -> Response {
    let request = TokenRequest { basic: basic.as_ref(), params: &params, address, now: app.clock.now() };
    let response = match app.provider.token(&request).await {
        // RFC 6749 §5.1 wants no-store and no-cache, which every answer of ours has that does not say otherwise.
        Ok(answer) => Json(answer.0).into_response(),
        Err(failure) => protocol_error::failed(&headers, failure.of_client(named(basic.as_ref(), &params))),
    };
    cors::for_client(&app, &headers, params.text("client_id"), response).await
}

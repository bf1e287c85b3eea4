//! `DELETE /Session` with a Bearer token: closes that token's session, as Aidbox does.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::body::bearer;
use super::{App, protocol_error};
use crate::oauth::Refused;

/// Answers `DELETE /Session`.
pub(crate) async fn close(State(app): State<App>, headers: HeaderMap) -> Response {
    let now = app.clock.now();
    let Some(text) = bearer(&headers) else { return protocol_error::bearer_challenge(None) };
    let token = match app.provider.access_token(text, now).await {
        Ok(Some(token)) => token,
        Ok(None) => {
            return protocol_error::bearer_challenge(Some(&Refused::dead_token()));
        }
        Err(internal) => return protocol_error::internal_error(&internal),
    };
    match app.provider.close_session(&token, now).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(internal) => protocol_error::internal_error(&internal),
    }
}

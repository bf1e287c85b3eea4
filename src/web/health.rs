//! `/healthz`: the process lives. `/readyz`: database and keys answer. Neither says more than that.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::App;

/// `GET /healthz`
pub(crate) async fn live() -> Response {
    Json(json!({ "status": "ok" })).into_response()
}

/// `GET /readyz`
pub(crate) async fn ready(State(app): State<App>) -> Response {
    match tokio::time::timeout(std::time::Duration::from_secs(2), app.provider.ready()).await {
        Ok(Ok(())) => Json(json!({ "status": "ok" })).into_response(),
        _ => (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")], Json(json!({ "status": "unavailable" })))
            .into_response(),
    }
}

//! The style sheet, under a name that changes with its content and so may be kept for ever.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

/// Where pages link it; the build script hashes the sheet.
pub(crate) const PATH: &str = concat!("/static/style-", env!("STYLE_HASH"), ".css");

const CSS: &str = include_str!("style.css");

/// `GET /static/{file}`
pub(crate) async fn get(Path(file): Path<String>) -> Response {
    if PATH.strip_prefix("/static/") != Some(&file) {
        return StatusCode::NOT_FOUND.into_response();
    }
    ([(CONTENT_TYPE, "text/css; charset=utf-8"), (CACHE_CONTROL, "public, max-age=31536000, immutable")], CSS)
        .into_response()
}

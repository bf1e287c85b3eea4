//! The style sheet, the icon and the two scripts, under names that change with their content and so may be kept for ever.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

/// Where pages link the style sheet; the build script hashes what is linked.
pub(crate) const STYLE: &str = concat!("/static/style-", env!("STYLE_HASH"), ".css");
/// Where they link the icon.
pub(crate) const ICON: &str = concat!("/static/icon-", env!("ICON_HASH"), ".svg");
/// The script of the session frame.
pub(crate) const CHECK_SESSION: &str = concat!("/static/check-session-", env!("CHECK_SESSION_HASH"), ".js");
/// Where the page of an answer by `form_post` finds what posts it at once.
pub(crate) const FORM_POST: &str = concat!("/static/form_post-", env!("FORM_POST_HASH"), ".js");

const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// `GET /static/{file}`
pub(crate) async fn get(Path(file): Path<String>) -> Response {
    let is = |path: &str| path.strip_prefix("/static/") == Some(&file);
    let (media_type, content) = if is(STYLE) {
        ("text/css; charset=utf-8", include_str!("style.css"))
    } else if is(ICON) {
        ("image/svg+xml", include_str!("icon.svg"))
    } else if is(FORM_POST) {
        ("text/javascript; charset=utf-8", include_str!("form_post.js"))
    } else if is(CHECK_SESSION) {
        ("text/javascript; charset=utf-8", include_str!("check_session.js"))
    } else {
        return StatusCode::NOT_FOUND.into_response();
    };
    ([(CONTENT_TYPE, media_type), (CACHE_CONTROL, FOR_EVER)], content).into_response()
}

/// `GET /favicon.ico`, which browsers ask for beside answers that are no pages.
pub(crate) async fn favicon() -> Response {
    ([(CONTENT_TYPE, "image/svg+xml"), (CACHE_CONTROL, "public, max-age=86400")], include_str!("icon.svg"))
        .into_response()
}

//! `/oauth2/check_session`: the frame by which a client's page notices that the browser's session changed (OpenID Connect Session
//! Management 1.0 §3.2), and the cookie that its script reads.

use askama::Template;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, SET_COOKIE};
use axum::response::{Html, IntoResponse, Response};

use super::body::Body;
use super::cookies::Cookie;
use super::pages::CheckSession;
use super::{App, assets};
use crate::identity::login::SignedIn;
use crate::oauth::browser_session::is_session_state;

/// The one page of ours that others may frame. It shows nothing, takes no input, and tells a page only what that page's own
/// `session_state` says.
const POLICY: &str =
    "default-src 'none'; script-src 'self'; connect-src 'self'; frame-ancestors *; base-uri 'none'; form-action 'none'";

/// Answers with the frame, which is the same for everybody.
pub(crate) async fn get(State(app): State<App>) -> Response {
    let view = CheckSession { script_href: app.href(assets::CHECK_SESSION), cookie: Cookie::State.name(&app) };
    let headers = [(CONTENT_SECURITY_POLICY, POLICY), (CACHE_CONTROL, "public, max-age=3600")];
    match view.render() {
        Ok(html) => (headers, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page does not render");
            axum::http::StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Compares for the script, in browsers that have nothing to hash with.
pub(crate) async fn post(State(app): State<App>, headers: HeaderMap, Body(params): Body) -> Response {
    let state = Cookie::State.read(&app, &headers).unwrap_or_default();
    let answer = match (params.text("said"), params.text("origin")) {
        (Some(said), Some(origin)) => match is_session_state(said, origin, &state) {
            Some(true) => "unchanged",
            Some(false) => "changed",
            None => "error",
        },
        _ => "error",
    };
    answer.into_response()
}

/// Sees to it that the cookie says what is so: it begins with the first answer to a client, and a login may have ended since.
pub(crate) fn keep_state(app: &App, headers: &HeaderMap, login: Option<&SignedIn>, response: &mut Response) {
    let state = login.map(|login| app.provider.browser_state(login.id));
    if Cookie::State.read(app, headers) != state {
        let cookie = state.map_or_else(|| Cookie::State.clear(app), |state| Cookie::State.set(app, &state));
        response.headers_mut().append(SET_COOKIE, cookie);
    }
}

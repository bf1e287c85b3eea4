//! Failures told to people.

use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, RETRY_AFTER};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::cookies::Cookie;
use super::guard::RequestId;
use super::page::{Page, layout};
use super::pages::{ErrorPage, StartAgain};
use super::{App, Explained, near_miss, protocol_error};
use crate::domain::internal::Internal;
use crate::oauth::{Failure, Refused};

/// The page for a refusal.
pub(crate) fn refused(app: &App, id: &RequestId, why: &Refused) -> Response {
    tracing::info!(error = why.code.as_str(), description = why.description, "refused");
    let explanation = app.dev.is_some().then(|| (*why.why).clone());
    let fix = explanation.as_ref().and_then(|explanation| explanation.fix.as_deref()).map(str::to_owned);
    let view = ErrorPage {
        layout: layout(app, None),
        title: None,
        error: why.code.as_str().to_owned(),
        description: why.description.clone(),
        request_id: id.0.clone(),
        hint: Some(fix.unwrap_or_else(|| "This is a problem between the application you came from and this server. Its developer needs the text above.".into())),
        explanation,
    };
    Explained::from(why).on(Page::new(view).status(StatusCode::BAD_REQUEST).into_response())
}

/// The page for a failure of any kind.
pub(crate) fn failed(app: &App, id: &RequestId, failure: Failure) -> Response {
    match failure {
        Failure::Refused(why) => refused(app, id, &why),
        Failure::Internal(internal) => internal_error(app, id, &internal),
    }
}

/// The page for our own fault.
pub(crate) fn internal_error(app: &App, id: &RequestId, internal: &Internal) -> Response {
    let (status, headers) = protocol_error::unavailable(internal);
    let passing = headers.contains_key(RETRY_AFTER);
    let view = ErrorPage {
        layout: layout(app, None),
        title: None,
        error: if passing { "temporarily_unavailable" } else { "server_error" }.into(),
        description: "The server could not answer this request.".into(),
        request_id: id.0.clone(),
        hint: Some("Try again in a moment. If it stays so, tell whoever runs this server the request id below.".into()),
        explanation: None,
    };
    (headers, Page::new(view).status(status)).into_response()
}

/// A form that is too old, was opened before something changed, or was not ours. Never an error to the person: a link starts anew.
pub(crate) fn start_again(app: &App, headers: &HeaderMap, href: String) -> Response {
    let reason = match Cookie::Browser.read(app, headers) {
        Some(_) => "This page was open for a long time, or in more than one tab.",
        None => {
            "Your browser did not send back the cookie that it was given with this page. If it blocks cookies, allow them for this site, then start again."
        }
    };
    let view = StartAgain { layout: layout(app, None), reason: reason.into(), href };
    let why = Refused::invalid_request("the form is too old, or is not the one that this browser was shown")
        .compared("the form's token", "the one of this browser, this page and the last hour", "missing, old, or another")
        .fix("Begin anew. If it stays so: the browser must keep this server's cookies, its pages must not be cached, and the issuer's scheme and host must be those of the address bar.");
    Explained::from(&why).on(Page::new(view).status(StatusCode::BAD_REQUEST).into_response())
}

/// What no route answers.
pub(crate) async fn no_route(State(app): State<App>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    if wants_page(&parts.headers) {
        return not_found(&app, &parts);
    }
    let body = serde_json::json!({ "error": "not_found", "error_description": "there is nothing at this path" });
    near_miss::explained(&app, &parts, (StatusCode::NOT_FOUND, axum::Json(body)).into_response())
}

/// Whether it is a person who asks.
pub(crate) fn wants_page(headers: &HeaderMap) -> bool {
    headers.get(ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|accept| accept.contains("text/html"))
}

/// The page for an address where nothing is.
pub(crate) fn not_found(app: &App, parts: &Parts) -> Response {
    let miss = near_miss::explanation(app, parts).filter(|_| app.dev.is_some());
    let view = ErrorPage {
        layout: layout(app, Some("/")),
        title: None,
        error: "not_found".into(),
        description: "There is nothing at this address.".into(),
        request_id: RequestId::of(&parts.extensions).0,
        hint: miss.as_ref().and_then(|explanation| explanation.fix.as_deref()).map(str::to_owned),
        explanation: miss,
    };
    near_miss::explained(app, parts, Page::new(view).status(StatusCode::NOT_FOUND).into_response())
}

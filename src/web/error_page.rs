//! Failures told to people.

use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, RETRY_AFTER};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::guard::RequestId;
use super::page::{Page, layout};
use super::pages::{ErrorPage, StartAgain};
use super::{App, Explained, protocol_error};
use crate::domain::internal::Internal;
use crate::oauth::discovery::ENDPOINTS;
use crate::oauth::explanation::{Explanation, Told};
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
pub(crate) fn start_again(app: &App, href: String) -> Response {
    let view = StartAgain {
        layout: layout(app, None),
        reason: "This page was open for a long time, or in more than one tab.".into(),
        href,
    };
    let why = Refused::invalid_request("the form is too old, or is not the one that this browser was shown")
        .compared("the form's token", "the one of this browser, this page and the last hour", "missing, old, or another")
        .fix("Begin anew. If it stays so: the browser must keep this server's cookies, its pages must not be cached, and the issuer's scheme and host must be those of the address bar.");
    Explained::from(&why).on(Page::new(view).status(StatusCode::BAD_REQUEST).into_response())
}

/// What no route answers.
pub(crate) async fn no_route(State(app): State<App>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let response = if wants_page(&parts.headers) {
        not_found(&app, &parts)
    } else {
        let body = serde_json::json!({ "error": "not_found", "error_description": "there is nothing at this path" });
        (StatusCode::NOT_FOUND, axum::Json(body)).into_response()
    };
    match near_miss(app.provider.issuer(), parts.uri.path()) {
        Some(explanation) => explained_miss(explanation).on(response),
        None => response,
    }
}

/// What was likely meant by a path at which nothing is: that of an endpoint, by its last word. Others are nobody's mistake, but a
/// scan, and not worth keeping.
fn near_miss(issuer: &str, path: &str) -> Option<Explanation> {
    let word = path.trim_end_matches('/').rsplit('/').next()?.to_ascii_lowercase();
    let word = match word.as_str() {
        "authorization" | "auth" => "authorize",
        "tokens" => "token",
        "user_info" | "me" => "userinfo",
        "introspection" => "introspect",
        "revocation" => "revoke",
        "end_session" | "endsession" | "signout" => "logout",
        "registration" => "register",
        "jwks" | "certs" | "keys" => "jwks.json",
        word => word,
    };
    let (_, meant) = ENDPOINTS.iter().find(|(_, path)| path.rsplit('/').next() == Some(word))?;
    let meant = Told::public(&format!("{issuer}{meant}"));
    Some(Explanation::of_path(meant, Told::public(path)))
}

fn explained_miss(explanation: Explanation) -> Explained {
    Explained { error: Some("not_found"), description: "there is nothing at this path".into(), explanation }
}

/// Whether it is a person who asks.
pub(crate) fn wants_page(headers: &HeaderMap) -> bool {
    headers.get(ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|accept| accept.contains("text/html"))
}

/// The page for an address where nothing is.
pub(crate) fn not_found(app: &App, parts: &Parts) -> Response {
    let view = ErrorPage {
        layout: layout(app, Some("/")),
        title: None,
        error: "not_found".into(),
        description: "There is nothing at this address.".into(),
        request_id: RequestId::of(&parts.extensions).0,
        hint: None,
        explanation: None,
    };
    Page::new(view).status(StatusCode::NOT_FOUND).into_response()
}

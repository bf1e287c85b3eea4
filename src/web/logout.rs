//! `/oauth2/logout`: RP-initiated logout, and the confirmation page it may need.

use axum::Extension;
use axum::extract::State;
use axum::http::header::{HeaderMap, SET_COOKIE};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};

use super::authorize::signed_in;
use super::body::{PageBody, PageQuery};
use super::cookies::Cookie;
use super::csrf::{self, Form};
use super::guard::RequestId;
use super::page::{Page, layout, see_other};
use super::pages::{LogoutConfirm, SignedOut};
use super::{App, error_page};
use crate::oauth::Params;

/// The name of the confirmation form.
pub(crate) const FORM: &str = "logout";

/// The parameters of the request that the confirmation carries on.
const CARRIED: [&str; 4] = ["id_token_hint", "client_id", "post_logout_redirect_uri", "state"];

/// `GET /oauth2/logout`
pub(crate) async fn get(
    State(app): State<App>,
    Extension(id): Extension<RequestId>,
    method: Method,
    headers: HeaderMap,
    PageQuery(params): PageQuery,
) -> Response {
    if method == Method::HEAD {
        return StatusCode::OK.into_response();
    }
    answer(&app, &id, &headers, &params).await
}

/// `POST /oauth2/logout`: a client's request, or our own form.
pub(crate) async fn post(
    State(app): State<App>,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
    PageBody(params): PageBody,
) -> Response {
    answer(&app, &id, &headers, &params).await
}

async fn answer(app: &App, id: &RequestId, headers: &HeaderMap, params: &Params) -> Response {
    let now = app.clock.now();
    let request = match app.provider.logout_request(params).await {
        Ok(request) => request,
        Err(failure) => return error_page::failed(app, id, failure),
    };
    let login = match signed_in(app, headers).await {
        Ok(login) => login,
        Err(internal) => return error_page::internal_error(app, id, &internal),
    };
    if let Some(login) = login {
        let form = Form { name: FORM, login: &login.id.to_string(), subject: "" };
        let confirmed = params.text("csrf").is_some_and(|token| csrf::verify(app, headers, form, token, now));
        if !confirmed && app.provider.logout_needs_confirmation(&request, &login.user.id) {
            let (csrf, cookie) = csrf::issue(app, headers, form, now);
            let carried = |name: &str| params.text(name).map(|value| (name.to_owned(), value.to_owned()));
            let view = LogoutConfirm {
                layout: layout(app, None),
                action: app.href("/oauth2/logout"),
                csrf,
                user_label: login.user.label(),
                params: CARRIED.iter().filter_map(|name| carried(name)).collect(),
                cancel: app.href("/login"),
            };
            let mut page = Page::new(view).cookie(cookie);
            if let Some(uri) = &request.return_to {
                page = page.form_target(uri);
            }
            return page.into_response();
        }
        if let Err(internal) = app.provider.logins().end(login.id, now).await {
            return error_page::internal_error(app, id, &internal);
        }
        tracing::info!(event = "logout", user = %login.user.id, session = %login.id);
    }
    let mut response = match &request.return_to {
        Some(uri) => see_other(uri),
        None => Page::new(SignedOut { layout: layout(app, Some("/")), continue_to: None }).into_response(),
    };
    response.headers_mut().append(SET_COOKIE, Cookie::Login.clear(app));
    response
}

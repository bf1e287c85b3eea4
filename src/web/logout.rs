//! `/oauth2/logout`: RP-initiated logout, and the confirmation page it may need.

use axum::Extension;
use axum::extract::State;
use axum::http::header::{HeaderMap, SET_COOKIE};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};

use super::authorize::signed_in;
use super::body::{PageBody, PageQuery};
use super::check_session::keep_state;
use super::cookies::Cookie;
use super::csrf::{self, Form};
use super::guard::RequestId;
use super::login::with_query;
use super::page::{Page, host, layout, see_other};
use super::pages::{LogoutConfirm, SignedOut};
use super::{App, error_page};
use crate::oauth::Params;
use crate::oauth::logout::LogoutRequest;

/// The name of the confirmation form.
pub(crate) const FORM: &str = "logout";

/// The parameters of the request that the confirmation carries on.
const CARRIED: [&str; 6] =
    ["id_token_hint", "client_id", "post_logout_redirect_uri", "state", "logout_hint", "ui_locales"];

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
    answer(&app, &id, &headers, &params, Came::Openly).await
}

/// `POST /oauth2/logout`: a client's request, or our own form.
pub(crate) async fn post(
    State(app): State<App>,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
    PageBody(params): PageBody,
) -> Response {
    let came = if csrf::from_our_pages(&headers) { Came::Openly } else { Came::FromElsewhere };
    answer(&app, &id, &headers, &params, came).await
}

/// How a request got here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Came {
    /// With whatever cookies the browser has.
    Openly,
    /// By a form on another site: browsers keep our cookies to themselves (`SameSite=Lax`), though somebody may be signed in.
    FromElsewhere,
}

/// Has the browser ask again by GET, with its cookies. The hint, which has done what it could, stays out of the address.
fn once_more(app: &App, params: &Params, request: &LogoutRequest) -> Response {
    let mut params = params.clone().without("id_token_hint").without("csrf");
    if let Some(client_id) = &request.client_id {
        params = params.with("client_id", client_id);
    }
    see_other(&app.href(&with_query("/oauth2/logout", &params.to_query())))
}

async fn answer(app: &App, id: &RequestId, headers: &HeaderMap, params: &Params, came: Came) -> Response {
    let now = app.clock.now();
    let request = match app.provider.logout_request(params).await {
        Ok(request) => request,
        Err(failure) => return error_page::failed(app, id, failure),
    };
    let seen = async {
        match signed_in(app, headers).await? {
            None if came == Came::FromElsewhere => app.provider.hinted_login(&request, now).await,
            login => Ok(login),
        }
    };
    let login = match seen.await {
        Ok(None) if came == Came::FromElsewhere => return once_more(app, params, &request),
        Ok(login) => login,
        Err(internal) => return error_page::internal_error(app, id, &internal),
    };
    let leads_back = app.provider.logout_leads_back(&request, login.as_ref());
    let mut frames = Vec::new();
    if let Some(login) = login {
        let form = Form { name: FORM, login: &login.id.to_string(), subject: "" };
        let confirmed = params.text("csrf").is_some_and(|token| csrf::verify(app, headers, form, token, now));
        if !confirmed && app.provider.logout_needs_confirmation(&request, &login) {
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
        frames = match app.provider.sign_out(&login, now).await {
            Ok(frames) => frames,
            Err(internal) => return error_page::internal_error(app, id, &internal),
        };
    }
    let mut response = match request.return_to {
        Some(uri) if frames.is_empty() && leads_back => see_other(&uri),
        return_to => {
            let home = return_to.is_none().then_some("/");
            let continue_to = return_to.map(|uri| {
                // Whoever vouches for itself is named by where it is.
                let name = request.client_name.clone().filter(|_| leads_back).unwrap_or_else(|| host(&uri));
                (uri, format!("Continue to {name}"))
            });
            let view = SignedOut { layout: layout(app, home), frames: frames.clone(), continue_to, leads_back };
            let page = Page::new(view);
            page.frames(&frames).into_response()
        }
    };
    response.headers_mut().append(SET_COOKIE, Cookie::Login.clear(app));
    keep_state(app, headers, None, &mut response);
    response
}

//! The account selection page, `/select_account`. Like the login page it is drawn by the authorization endpoint, and leads back
//! there.

use axum::Extension;
use axum::extract::State;
use axum::http::header::HeaderMap;
use axum::response::{IntoResponse, Response};

use super::App;
use super::about_client::AboutClient;
use super::authorize::posted_by;
use super::body::PageForm;
use super::csrf::{self, Form};
use super::guard::RequestId;
use super::login::with_query;
use super::page::{Page, host, layout, see_other};
use super::pages::SelectAccount;
use crate::identity::login::SignedIn;
use crate::oauth::Params;
use crate::oauth::authorize::AuthorizationRequest;

const FORM: &str = "select_account";

/// The page.
pub(crate) fn page(
    app: &App,
    headers: &HeaderMap,
    params: &Params,
    request: &AuthorizationRequest,
    login: &SignedIn,
) -> Response {
    let query = params.to_query();
    let form = Form { name: FORM, login: &login.id.to_string(), subject: &query };
    let (csrf, cookie) = csrf::issue(app, headers, form, app.clock.now());
    let redirect_uri = &request.return_to.redirect_uri;
    let user_label = login.user.label();
    let about = AboutClient::of(app, headers, request);
    let view = SelectAccount {
        layout: layout(app, None),
        action: app.href(&with_query("/select_account", &query)),
        csrf,
        client_name: about.name,
        client_host: host(redirect_uri),
        user_name: login.user.sign_in_name().filter(|name| *name != user_label).map(str::to_owned),
        user_label,
        client_uri: about.client_uri,
        logo_uri: about.logo_uri,
        policy_uri: about.policy_uri,
        tos_uri: about.tos_uri,
    };
    Page::new(view).cookie(cookie).form_target(redirect_uri).onward(&request.client).into_response()
}

/// `POST /select_account`
pub(crate) async fn post(
    State(app): State<App>,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
    form: PageForm,
) -> Response {
    if let Err(response) = posted_by(&app, &id, &headers, FORM, &form).await {
        return response;
    }
    let params = match form.fields.text("decision") {
        Some("continue") => AuthorizationRequest::after_selection(&form.query),
        _ => AuthorizationRequest::for_somebody_else(&form.query),
    };
    see_other(&app.href(&with_query("/oauth2/authorize", &params.to_query())))
}

//! The consent page, `/consent`. Like the login page it is drawn by the authorization endpoint.

use axum::Extension;
use axum::extract::State;
use axum::http::header::HeaderMap;
use axum::response::{IntoResponse, Response};

use super::about_client::AboutClient;
use super::authorize::{draw, posted_by, sound_request};
use super::body::PageForm;
use super::csrf::{self, Form};
use super::guard::RequestId;
use super::login::with_query;
use super::page::{Page, host, layout};
use super::pages::{Consent, ScopeLine};
use super::respond::respond;
use super::{App, error_page};
use crate::domain::client::Registered;
use crate::domain::scope::{ADMIN, OFFLINE_ACCESS, OPENID, Scope};
use crate::identity::login::SignedIn;
use crate::oauth::Params;
use crate::oauth::authorize::{AuthorizationRequest, Given};

const FORM: &str = "consent";

/// The page. `before` is what the person has consented to already.
pub(crate) fn page(
    app: &App,
    headers: &HeaderMap,
    params: &Params,
    request: &AuthorizationRequest,
    login: &SignedIn,
    before: &Scope,
) -> Response {
    let query = params.to_query();
    let form = Form { name: FORM, login: &login.id.to_string(), subject: &query };
    let (csrf, cookie) = csrf::issue(app, headers, form, app.clock.now());
    let document = &request.client.document;
    let about = AboutClient::of(app, headers, request);
    let view = Consent {
        layout: layout(app, None),
        action: app.href(&with_query("/consent", &query)),
        csrf,
        client_name: about.name,
        client_id: request.client.id.clone(),
        redirect_host: host(&request.return_to.redirect_uri),
        user_label: login.user.label(),
        scopes: request.asked_of(&login.user).scope.words().map(|word| line(word, before)).collect(),
        logo_uri: about.logo_uri,
        policy_uri: about.policy_uri,
        tos_uri: about.tos_uri,
        client_uri: about.client_uri,
        unverified: request.client.is_unverified(),
        described_at: (document.registration == Some(Registered::MetadataDocument)).then(|| host(&request.client.id)),
        resource_hosts: request.resources.iter().flatten().map(|resource| host(resource)).collect(),
    };
    Page::new(view).cookie(cookie).form_target(&request.return_to.redirect_uri).onward(&request.client).into_response()
}

/// `POST /consent`
pub(crate) async fn post(
    State(app): State<App>,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
    form: PageForm,
) -> Response {
    let login = match posted_by(&app, &id, &headers, FORM, &form).await {
        Ok(login) => login,
        Err(response) => return response,
    };
    let PageForm { query: params, fields } = form;
    let request = match sound_request(&app, &id, &headers, &params).await {
        Ok(request) => request,
        Err(response) => return response,
    };
    if fields.text("decision") != Some("approve") {
        tracing::info!(event = "consent_denied", client = %request.client.id, user = %login.user.id);
        return respond(&app, app.provider.denied(&request));
    }
    match app.provider.next_step(&request, Some(&login), Given::Consent, app.clock.now()).await {
        Ok(step) => draw(&app, &headers, &params, &request, Some(&login), step),
        Err(internal) => error_page::internal_error(&app, &id, &internal),
    }
}

/// A scope in words.
fn line(word: &str, before: &Scope) -> ScopeLine {
    let description = match word {
        OPENID => "Know who you are on this server",
        "profile" => "See your name, picture and other profile details",
        "email" => "See your e-mail address",
        "phone" => "See your phone number",
        "address" => "See your postal address",
        "groups" => "See which groups and roles you have",
        OFFLINE_ACCESS => "Stay connected when you are not using the application",
        ADMIN => "Administer this server in your name",
        _ => "",
    };
    ScopeLine { name: word.to_owned(), description: description.to_owned(), already_granted: before.contains(word) }
}

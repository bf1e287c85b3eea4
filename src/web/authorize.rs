//! `GET` and `POST /oauth2/authorize`: draws the next step that the protocol decides on.

use std::net::IpAddr;

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};

use super::body::{PageBody, PageForm, PageQuery};
use super::check_session::keep_state;
use super::client_address::ClientAddress;
use super::csrf::{self, Form};
use super::guard::RequestId;
use super::page::see_other;
use super::respond::respond;
use super::{App, consent, error_page, hands_free, login, select_account};
use crate::domain::internal::Internal;
use crate::identity::login::SignedIn;
use crate::oauth::Params;
use crate::oauth::authorize::{AuthorizationRequest, Given, Rejected, Step};

use super::cookies::Cookie;

/// `GET /oauth2/authorize`
pub(crate) async fn get(
    State(app): State<App>,
    Extension(id): Extension<RequestId>,
    method: Method,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    PageQuery(params): PageQuery,
) -> Response {
    if method == Method::HEAD {
        // HEAD must not issue a code.
        return StatusCode::OK.into_response();
    }
    authorize(&app, &id, &headers, &params, address).await
}

/// `POST /oauth2/authorize` (Core §3.1.2.1)
pub(crate) async fn post(
    State(app): State<App>,
    Extension(id): Extension<RequestId>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    PageBody(params): PageBody,
) -> Response {
    // A browser keeps its login cookie to itself where another site's page posts; to a GET that follows it goes along.
    let from_elsewhere = headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site");
    if from_elsewhere && params.refuse_repeated().is_ok() && Cookie::Login.read(&app, &headers).is_none() {
        return see_other(&app.href(&login::with_query("/oauth2/authorize", &params.to_query())));
    }
    authorize(&app, &id, &headers, &params, address).await
}

async fn authorize(app: &App, id: &RequestId, headers: &HeaderMap, params: &Params, address: IpAddr) -> Response {
    let now = app.clock.now();
    let request = match sound_request(app, id, headers, params).await {
        Ok(request) => request,
        Err(response) => return response,
    };
    let login = match signed_in(app, headers).await {
        Ok(login) => login,
        Err(internal) => return error_page::internal_error(app, id, &internal),
    };
    match app.provider.next_step(&request, login.as_ref(), Given::Nothing, now).await {
        Ok(step) => {
            let answered = hands_free::answer(app, headers, address, &request, login.as_ref(), &step).await;
            let mut response = match answered {
                Ok(Some(response)) => return response,
                Ok(None) => draw(app, headers, &request.params, &request, login.as_ref(), step),
                Err(failure) => return error_page::failed(app, id, failure),
            };
            keep_state(app, headers, login.as_ref(), &mut response);
            response
        }
        Err(internal) => error_page::internal_error(app, id, &internal),
    }
}

/// The request, proven; or the answer that says why it is not sound, to whoever may be told.
pub(crate) async fn sound_request(
    app: &App,
    id: &RequestId,
    headers: &HeaderMap,
    params: &Params,
) -> Result<AuthorizationRequest, Response> {
    let rejected = match app.provider.authorization_request(params, app.clock.now()).await {
        Ok(request) => {
            app.note_redirect(&request.return_to.redirect_uri);
            return Ok(request);
        }
        Err(rejected) => rejected,
    };
    Err(match rejected {
        Rejected::Page(why) => error_page::refused(app, id, &why),
        Rejected::Client(response) => respond(app, response),
        Rejected::SignInFirst(response) => match signed_in(app, headers).await {
            Ok(Some(_)) => respond(app, response),
            Ok(None) => {
                let return_to = Some(response.redirect_uri.as_str());
                login::page(app, headers, params, None, return_to, login::Told::default())
            }
            Err(internal) => error_page::internal_error(app, id, &internal),
        },
        Rejected::Internal(internal) => error_page::internal_error(app, id, &internal),
    })
}

/// The request that somebody signs in for, none where the client is only to be told, once they have, that it is not sound; and the
/// redirect URI that they return to either way.
pub(crate) async fn behind_login(
    app: &App,
    id: &RequestId,
    headers: &HeaderMap,
    params: &Params,
) -> Result<(Option<AuthorizationRequest>, String), Response> {
    if let Err(Rejected::SignInFirst(response)) = app.provider.authorization_request(params, app.clock.now()).await {
        return Ok((None, response.redirect_uri));
    }
    let request = sound_request(app, id, headers, params).await?;
    let return_to = request.return_to.redirect_uri.clone();
    Ok((Some(request), return_to))
}

/// Draws a step.
pub(crate) fn draw(
    app: &App,
    headers: &HeaderMap,
    params: &Params,
    request: &AuthorizationRequest,
    login: Option<&SignedIn>,
    step: Step,
) -> Response {
    match (step, login) {
        (Step::Respond(response), _) => respond(app, response),
        (Step::SelectAccount, Some(login)) => select_account::page(app, headers, params, request, login),
        (Step::Consent(before), Some(login)) => consent::page(app, headers, params, request, login, &before),
        (Step::SignIn | Step::SelectAccount | Step::Consent(_), _) => {
            let return_to = Some(request.return_to.redirect_uri.as_str());
            login::page(app, headers, params, Some(request), return_to, login::Told::default())
        }
    }
}

/// `GET` of a page that belongs to an authorization request: it begins there.
pub(crate) async fn begin(State(app): State<App>, RawQuery(query): RawQuery) -> Response {
    see_other(&app.href(&login::with_query("/oauth2/authorize", &query.unwrap_or_default())))
}

/// Who posted a form of ours that is about an authorization request, from the page that this browser was shown. Otherwise the
/// answer leads back to the request: signing in comes back to the page.
pub(crate) async fn posted_by(
    app: &App,
    id: &RequestId,
    headers: &HeaderMap,
    name: &'static str,
    PageForm { query: params, fields }: &PageForm,
) -> Result<SignedIn, Response> {
    let query = params.to_query();
    let again = || app.href(&login::with_query("/oauth2/authorize", &query));
    let login = match signed_in(app, headers).await {
        Ok(Some(login)) => login,
        // The login ended meanwhile.
        Ok(None) => return Err(see_other(&again())),
        Err(internal) => return Err(error_page::internal_error(app, id, &internal)),
    };
    let form = Form { name, login: &login.id.to_string(), subject: &query };
    match csrf::verify(app, headers, form, fields.text("csrf").unwrap_or_default(), app.clock.now()) {
        true => Ok(login),
        false => Err(error_page::start_again(app, headers, again())),
    }
}

/// The login of the browser's cookie.
pub(crate) async fn signed_in(app: &App, headers: &HeaderMap) -> Result<Option<SignedIn>, Internal> {
    match Cookie::Login.read(app, headers) {
        Some(cookie) => app.provider.logins().find(&cookie, app.clock.now()).await,
        None => Ok(None),
    }
}

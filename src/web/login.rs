//! The login page, `/login`. It is drawn by the authorization endpoint, with the request in its form's address; after sign-in
//! the browser goes back there.

use std::net::IpAddr;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{HeaderMap, RETRY_AFTER, SET_COOKIE};
use axum::response::{IntoResponse, Response};

use super::about_client::AboutClient;
use super::authorize::signed_in;
use super::body::{PageForm, PageQuery};
use super::check_session::keep_state;
use super::client_address::ClientAddress;
use super::cookies::{self, Cookie};
use super::csrf::{self, Form};
use super::guard::RequestId;
use super::page::{Page, host, layout, see_other};
use super::pages::{Login, SignedIn};
use super::respond::respond;
use super::{App, Explained, error_page, hands_free};
use crate::domain::internal::Internal;
use crate::domain::user::User;
use crate::identity::sign_in::{Attempt, Refused};
use crate::oauth::authorize::AuthorizationRequest;
use crate::oauth::token::not_signed_in;
use crate::oauth::{Failure, Params};

/// The name of the form.
pub(crate) const FORM: &str = "login";

/// What the page says where whoever is named is accepted.
const NOTICE: &str = "Any name will do: who is not here yet is made. Only who was given a password needs it.";

/// What the page says besides asking.
#[derive(Debug, Default)]
pub(crate) struct Told<'a> {
    status: StatusCode,
    error: Option<String>,
    username: Option<&'a str>,
    wait: Option<i64>,
}

/// The page. `return_to` is the redirect URI that the person comes to in the end.
pub(crate) fn page(
    app: &App,
    headers: &HeaderMap,
    params: &Params,
    request: Option<&AuthorizationRequest>,
    return_to: Option<&str>,
    told: Told<'_>,
) -> Response {
    let query = params.to_query();
    let (csrf, cookie) = csrf::issue(app, headers, Form { name: FORM, login: "", subject: &query }, app.clock.now());
    let about = request.map(|request| AboutClient::of(app, headers, request));
    let username =
        told.username.or_else(|| request.and_then(|request| request.login_hint.as_deref())).unwrap_or_default();
    let view = Login {
        layout: layout(app, None),
        action: app.href(&with_query("/login", &query)),
        csrf,
        client_name: about.as_ref().map(|about| about.name.clone()),
        client_host: return_to.map(host),
        logo_uri: about.as_ref().and_then(|about| about.logo_uri.clone()),
        policy_uri: about.as_ref().and_then(|about| about.policy_uri.clone()),
        tos_uri: about.as_ref().and_then(|about| about.tos_uri.clone()),
        client_uri: about.and_then(|about| about.client_uri),
        username: username.to_owned(),
        error: told.error,
        notice: app.provider.sign_in().is_permissive().then(|| NOTICE.to_owned()),
    };
    let mut page = Page::new(view).status(told.status).cookie(cookie);
    if let Some(return_to) = return_to {
        page = page.form_target(return_to);
    }
    if let Some(request) = request {
        page = page.onward(&request.client);
    }
    let mut response = page.into_response();
    if let Some(seconds) = told.wait {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

/// `GET /login`: with the parameters of an authorization request, its login page; without, who is signed in.
pub(crate) async fn get(
    State(app): State<App>,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
    PageQuery(params): PageQuery,
) -> Response {
    let login = match signed_in(&app, &headers).await {
        Ok(login) => login,
        Err(internal) => return error_page::internal_error(&app, &id, &internal),
    };
    match (login, params.text("client_id")) {
        (Some(_), Some(_)) => see_other(&app.href(&with_query("/oauth2/authorize", &params.to_query()))),
        (Some(login), None) => {
            let form = Form { name: super::logout::FORM, login: &login.id.to_string(), subject: "" };
            let (csrf, cookie) = csrf::issue(&app, &headers, form, app.clock.now());
            let view = SignedIn {
                layout: layout(&app, Some("/")),
                user_label: login.user.label(),
                action: app.href("/oauth2/logout"),
                csrf,
            };
            Page::new(view).cookie(cookie).into_response()
        }
        (None, None) => page(&app, &headers, &params, None, None, Told::default()),
        (None, Some(_)) => match super::authorize::behind_login(&app, &id, &headers, &params).await {
            Ok((request, return_to)) => {
                page(&app, &headers, &params, request.as_ref(), Some(&return_to), Told::default())
            }
            Err(response) => response,
        },
    }
}

/// `POST /login`
pub(crate) async fn post(
    State(app): State<App>,
    Extension(id): Extension<RequestId>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    PageForm { query: params, fields }: PageForm,
) -> Response {
    let now = app.clock.now();
    let query = params.to_query();
    let form = Form { name: FORM, login: "", subject: &query };
    if !csrf::verify(&app, &headers, form, fields.text("csrf").unwrap_or_default(), now) {
        return error_page::start_again(&app, &headers, app.href(&start(&params)));
    }
    let (request, return_to) = match params.text("client_id") {
        None => (None, None),
        Some(_) => match super::authorize::behind_login(&app, &id, &headers, &params).await {
            Ok((request, return_to)) => (request, Some(return_to)),
            Err(response) => return response,
        },
    };
    // A click on the page of people, which only a policy of `dev` shows.
    if let Some(person) = fields.text("person").filter(|_| app.policy().auto_login) {
        let begun = async {
            let picked = app.provider.sign_in().named_or_made(person, now).await;
            match (picked.map_err(not_signed_in), request.as_ref()) {
                (Ok(Some(user)), request) => Ok(begin(&app, &headers, &params, request, &user, address).await?),
                (Err(Failure::Refused(why)), Some(request)) => {
                    hands_free::pick(&app, &headers, request, Some(why)).await
                }
                (Err(failure), _) => Err(failure),
                (Ok(None), _) => Ok(error_page::start_again(&app, &headers, app.href(&start(&params)))),
            }
        };
        return begun.await.unwrap_or_else(|failure| error_page::failed(&app, &id, failure));
    }
    let name = fields.text("username").unwrap_or_default();
    let known_user = cookies::known_user(&app, &headers);
    let attempt = Attempt {
        name,
        password: fields.secret("password").unwrap_or_else(|| crate::domain::secret::Secret::new("")),
        address,
        known_user: known_user.as_deref(),
        now,
    };
    let user = match app.provider.sign_in().with_password(attempt).await {
        Ok(user) => user,
        Err(refused) => {
            let page = page(&app, &headers, &params, request.as_ref(), return_to.as_deref(), told(&refused, name));
            let why = not_signed_in(refused);
            return match why {
                Failure::Refused(why) => Explained::from(&why.of_client(params.text("client_id"))).on(page),
                Failure::Internal(internal) => error_page::internal_error(&app, &id, &internal),
            };
        }
    };
    match begin(&app, &headers, &params, request.as_ref(), &user, address).await {
        Ok(response) => response,
        Err(internal) => error_page::internal_error(&app, &id, &internal),
    }
}

/// Signs a person in who has proved who they are, and leads on. A new id at every sign-in; the login that the browser had until now
/// ends.
pub(crate) async fn begin(
    app: &App,
    headers: &HeaderMap,
    params: &Params,
    request: Option<&AuthorizationRequest>,
    user: &User,
    address: IpAddr,
) -> Result<Response, Internal> {
    let now = app.clock.now();
    if let Some(previous) = signed_in(app, headers).await? {
        app.provider.sign_out(&previous, now).await?;
    }
    let (cookie, started) = app.provider.logins().start(user, now).await?;
    tracing::info!(event = "login", user = %user.id, session = %started.id, %address);
    let mut response = match request {
        Some(request) if !app.provider.is_about(request, user) => respond(app, app.provider.somebody_else(request)),
        Some(request) => see_other(&app.href(&start(&request.after_sign_in(params)))),
        None => see_other(&app.href(&start(params))),
    };
    response.headers_mut().append(SET_COOKIE, Cookie::Login.set(app, &cookie.reveal()));
    response.headers_mut().append(SET_COOKIE, Cookie::Known.set(app, &cookies::known(app, &user.id)));
    if Cookie::State.read(app, headers).is_some() {
        keep_state(app, headers, Some(&started), &mut response);
    }
    Ok(response)
}

fn told<'a>(refused: &Refused, username: &'a str) -> Told<'a> {
    let (status, error, wait) = match refused {
        Refused::Throttled(seconds) => (
            StatusCode::TOO_MANY_REQUESTS,
            format!("Too many failed attempts. Try again in {}.", duration(*seconds)),
            Some(*seconds),
        ),
        Refused::Inactive => {
            (StatusCode::FORBIDDEN, "This account is switched off. Ask whoever runs this server.".into(), None)
        }
        Refused::CannotBeMade(why) => (StatusCode::BAD_REQUEST, format!("Nobody is made of this name: {why}."), None),
        Refused::SecondFactor => (
            StatusCode::FORBIDDEN,
            "This account asks for a second factor, which this server cannot ask for yet.".into(),
            None,
        ),
        _ => (StatusCode::FORBIDDEN, "Wrong user name or password.".into(), None),
    };
    Told { status, error: Some(error), username: Some(username), wait }
}

fn duration(seconds: i64) -> String {
    match seconds {
        1 => "one second".into(),
        2..=90 => format!("{seconds} seconds"),
        _ => format!("{} minutes", (seconds + 59) / 60),
    }
}

/// Where the flow starts: the authorization endpoint with its request, else the page of ours that sent the browser here, else the
/// login page.
fn start(params: &Params) -> String {
    match (params.text("client_id"), params.text("return_to")) {
        (Some(_), _) => with_query("/oauth2/authorize", &params.to_query()),
        (None, Some(page)) if is_ours(page) => page.to_owned(),
        _ => with_query("/login", &params.to_query()),
    }
}

/// Whether a path is of a page that people sign in for, and of nothing else: there is no way from here to anywhere.
fn is_ours(path: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || matches!(b, b'_' | b'/');
    path.strip_prefix("/sandbox").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        && path.bytes().all(plain)
}

/// A path with a query, where there is one.
pub(crate) fn with_query(path: &str, query: &str) -> String {
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

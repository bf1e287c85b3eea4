//! Who may use the REST surface: an administrator's client by HTTP Basic, or a Bearer token with the `admin` scope.

use axum::extract::FromRequestParts;
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::request::Parts;
use axum::response::Response;

use super::body::{basic, bearer};
use super::client_address::ClientAddress;
use super::csrf::from_our_pages;
use super::{App, protocol_error, rest};
use crate::oauth::{Failure, Params};
use crate::resources::Outcome;

/// Proof that a request comes from an administrator; a handler that takes one cannot be reached by anybody else.
#[derive(Clone, Debug)]
pub(crate) struct Administrator {
    /// Who it is, for the log: a client, or a user.
    pub(crate) name: String,
}

impl FromRequestParts<App> for Administrator {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let administrator = match bearer(&parts.headers) {
            Some(token) => by_token(app, token).await,
            None => by_basic(app, parts).await,
        };
        if let Ok(administrator) = &administrator {
            tracing::info!(event = "administration", by = administrator.name, method = %parts.method, path = parts.uri.path());
        }
        administrator
    }
}

async fn by_token(app: &App, text: &str) -> Result<Administrator, Response> {
    let token = app
        .provider
        .access_token(text, app.clock.now())
        .await
        .map_err(|internal| protocol_error::internal_error(&internal))?;
    let token = token.ok_or_else(unauthorized)?;
    if !token.administers() {
        return Err(forbidden());
    }
    let name =
        token.user.as_ref().map_or_else(|| format!("Client/{}", token.client.id), |user| format!("User/{}", user.id));
    Ok(Administrator { name })
}

async fn by_basic(app: &App, parts: &mut Parts) -> Result<Administrator, Response> {
    let Ok(Some(basic)) = basic(&parts.headers) else { return Err(unauthorized()) };
    // A browser that was once told the password sends it along with whatever another site has it send.
    if !parts.method.is_safe() && !from_our_pages(&parts.headers) {
        return Err(rest::outcome(&Outcome::new(403, "forbidden", "Forbidden: the request comes from another site")));
    }
    let Ok(ClientAddress(address)) = ClientAddress::from_request_parts(parts, app).await;
    let now = app.clock.now();
    let proven = match app.provider.authenticate_client(Some(&basic), &Params::default(), address, None, now).await {
        Ok(proven) => proven,
        Err(Failure::Refused(_)) => return Err(unauthorized()),
        Err(Failure::Internal(internal)) => return Err(protocol_error::internal_error(&internal)),
    };
    let client = proven.client;
    if !(proven.authenticated && client.allows_basic() && client.may_administer()) {
        return Err(forbidden());
    }
    Ok(Administrator { name: format!("Client/{}", client.id) })
}

fn unauthorized() -> Response {
    let outcome = Outcome::new(
        401,
        "login",
        "credentials of an administrator are needed: HTTP Basic, or a Bearer token with the scope admin",
    );
    let mut response = rest::outcome(&outcome);
    response
        .headers_mut()
        .insert(WWW_AUTHENTICATE, axum::http::HeaderValue::from_static("Basic realm=\"countersign\""));
    response
}

fn forbidden() -> Response {
    rest::outcome(&Outcome::new(
        403,
        "forbidden",
        "Forbidden: these credentials do not carry the right to administer (scope admin)",
    ))
}

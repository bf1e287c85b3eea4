//! Who is at the sandbox, and who may be: in `dev` everybody, elsewhere an administrator who is signed in.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::domain::internal::Internal;
use crate::domain::scope::ADMIN;
use crate::identity::login::SignedIn;
use crate::oauth::Params;
use crate::web::authorize::signed_in;
use crate::web::client_address::ClientAddress;
use crate::web::csrf::{self, Form};
use crate::web::guard::RequestId;
use crate::web::login::with_query;
use crate::web::page::{Page, layout, see_other};
use crate::web::pages::ErrorPage;
use crate::web::{App, error_page};

/// Somebody with a browser.
pub(super) struct Visitor {
    pub(super) id: RequestId,
    pub(super) address: ClientAddress,
    pub(super) headers: HeaderMap,
    login: Option<SignedIn>,
}

/// Proof that somebody may use the sandbox; everybody else is answered before the handler.
pub(super) struct Admitted(pub(super) Visitor);

impl FromRequestParts<App> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let id = RequestId::of(&parts.extensions);
        let login = signed_in(app, &parts.headers).await;
        let login = login.map_err(|internal| error_page::internal_error(app, &id, &internal))?;
        let Ok(address) = ClientAddress::from_request_parts(parts, app).await;
        Ok(Self { id, address, headers: parts.headers.clone(), login })
    }
}

impl FromRequestParts<App> for Admitted {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let visitor = Visitor::from_request_parts(parts, app).await?;
        match visitor.refusal(app, parts.uri.path()) {
            None => Ok(Self(visitor)),
            Some(response) => Err(response),
        }
    }
}

impl Visitor {
    /// The answer to those who may not use the sandbox: they sign in first and come back to this path, or are told why not.
    pub(super) fn refusal(&self, app: &App, path: &str) -> Option<Response> {
        match &self.login {
            _ if app.dev.is_some() => None,
            Some(login) if login.user.has_role(ADMIN) => None,
            Some(login) => Some(self.forbidden(app, login)),
            None => {
                let back = Params::default().with("return_to", path.strip_prefix(&app.reach.base_path).unwrap_or(path));
                Some(see_other(&app.href(&with_query("/login", &back.to_query()))))
            }
        }
    }

    fn forbidden(&self, app: &App, login: &SignedIn) -> Response {
        let view = ErrorPage {
            layout: layout(app, Some("/login")),
            title: None,
            error: "access_denied".into(),
            description: format!("The sandbox is for administrators, and {} is none.", login.user.label()),
            request_id: self.id.0.clone(),
            explanation: None,
            hint: Some(
                "An administrator is a user whose roles contain the value admin. To come back as one, sign out first."
                    .into(),
            ),
        };
        Page::new(view).status(StatusCode::FORBIDDEN).into_response()
    }

    /// The user's id, for the log; empty where nobody is signed in.
    pub(super) fn name(&self) -> &str {
        self.login.as_ref().map_or("", |login| login.user.id.as_str())
    }

    /// The token of its forms, and the cookie that goes with it.
    pub(super) fn csrf(&self, app: &App) -> (String, Option<HeaderValue>) {
        csrf::issue(app, &self.headers, self.form().of(), app.clock.now())
    }

    /// Whether a posted form was on one of its pages.
    pub(super) fn posted(&self, app: &App, fields: &Params) -> bool {
        let token = fields.text("csrf").unwrap_or_default();
        csrf::verify(app, &self.headers, self.form().of(), token, app.clock.now())
    }

    fn form(&self) -> Login {
        Login(self.login.as_ref().map(|login| login.id.to_string()).unwrap_or_default())
    }

    /// The page for our own fault.
    pub(super) fn internal_error(&self, app: &App, internal: &Internal) -> Response {
        error_page::internal_error(app, &self.id, internal)
    }
}

/// What forms are bound to: any page of the sandbox leads to any other.
struct Login(String);

impl Login {
    fn of(&self) -> Form<'_> {
        Form { name: "sandbox", login: &self.0, subject: "" }
    }
}

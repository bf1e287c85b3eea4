//! What a person would do on the pages, done for them: in `dev`, and only while a test has asked for it.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::about_client::AboutClient;
use super::csrf::{self, Form};
use super::login::{self, with_query};
use super::page::{Page, layout};
use super::pages::{People, Person};
use super::respond::respond;
use super::{App, Explained, authorize};
use crate::identity::login::SignedIn;
use crate::oauth::authorize::{AuthorizationRequest, Given, Step};
use crate::oauth::token::not_signed_in;
use crate::oauth::{Failure, Refused};
use crate::resources::{DocumentKind, Problem, search};

/// So many people are shown to pick from.
const PEOPLE: i64 = 50;

/// What is done without asking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Policy {
    /// Whether a `login_hint` signs its person in, and a click does where there is none.
    pub auto_login: bool,
    /// What becomes of a request for consent.
    pub consent: Consent,
}

/// What becomes of a request for consent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Consent {
    /// The person is asked.
    #[default]
    Ask,
    /// It is given.
    Approve,
    /// It is denied.
    Deny,
}

/// The policy of a realm, which its control API changes.
#[derive(Debug)]
pub struct HandsFree(Mutex<Policy>);

impl HandsFree {
    /// With the policy that a realm begins with.
    pub const fn new(policy: Policy) -> Self {
        Self(Mutex::new(policy))
    }

    /// What it is now.
    pub fn policy(&self) -> Policy {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes it this.
    pub fn set(&self, policy: Policy) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = policy;
    }
}

impl App {
    /// What is done without asking: nothing, but in `dev`.
    pub fn policy(&self) -> Policy {
        self.hands_free.as_ref().map(HandsFree::policy).unwrap_or_default()
    }
}

/// The answer to a step that would ask the person, where the policy makes that needless.
pub(crate) async fn answer(
    app: &App,
    headers: &HeaderMap,
    address: IpAddr,
    request: &AuthorizationRequest,
    login: Option<&SignedIn>,
    step: &Step,
) -> Result<Option<Response>, Failure> {
    let policy = app.policy();
    match (step, login, policy.consent) {
        (Step::SignIn, _, _) if policy.auto_login => {
            let sign_in = app.provider.sign_in();
            let hinted = match (request.params.text("login_hint"), &request.login_hint) {
                (Some(name), _) => sign_in.named_or_made(name, app.clock.now()).await.map_err(not_signed_in)?,
                // The name of an `id_token_hint` makes nobody: who is not there any more is not whom it was about.
                (None, Some(name)) => sign_in.named(name).await?,
                (None, None) => None,
            };
            match hinted {
                Some(user) => {
                    Ok(Some(login::begin(app, headers, &request.params, Some(request), &user, address).await?))
                }
                None => pick(app, headers, request, None).await.map(Some),
            }
        }
        (Step::Consent(_), Some(login), Consent::Approve) => {
            let step = app.provider.next_step(request, Some(login), Given::Consent, app.clock.now()).await?;
            Ok(Some(authorize::draw(app, headers, &request.params, request, Some(login), step)))
        }
        (Step::Consent(_), Some(_), Consent::Deny) => Ok(Some(respond(app, app.provider.denied(request)))),
        _ => Ok(None),
    }
}

/// The people to pick from, one of whom is signed in by a click; and where whoever is named is accepted, a field for a name. `refused`:
/// why the last name will not do.
pub(crate) async fn pick(
    app: &App,
    headers: &HeaderMap,
    request: &AuthorizationRequest,
    refused: Option<Refused>,
) -> Result<Response, Failure> {
    let pairs = [("_count".to_owned(), PEOPLE.to_string())];
    let found = match search::read(DocumentKind::User, &pairs) {
        Ok(search) => app.documents.search(DocumentKind::User, &search).await,
        Err(outcome) => Err(Problem::Outcome(outcome)),
    };
    let people = match found {
        Ok((rows, _)) => rows.into_iter().filter(|row| row.active).map(|row| person(&row.id, &row.body.0)).collect(),
        Err(Problem::Internal(internal)) => return Err(Failure::Internal(internal)),
        Err(Problem::Outcome(_)) => Vec::new(),
    };
    let query = request.params.to_query();
    let form = Form { name: login::FORM, login: "", subject: &query };
    let (csrf, cookie) = csrf::issue(app, headers, form, app.clock.now());
    let view = People {
        layout: layout(app, None),
        action: app.href(&with_query("/login", &query)),
        password_href: app.href(&with_query("/login", &query)),
        csrf,
        client_name: AboutClient::of(app, headers, request).name,
        people,
        takes_names: app.provider.sign_in().is_permissive(),
        error: refused.as_ref().map(|why| why.description.clone()),
    };
    let status = if refused.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let page = Page::new(view).status(status).cookie(cookie).form_target(&request.return_to.redirect_uri);
    let page = page.onward(&request.client);
    Ok(match refused {
        Some(why) => Explained::from(&why.of_client(Some(&request.client.id))).on(page.into_response()),
        None => page.into_response(),
    })
}

fn person(id: &str, document: &Value) -> Person {
    let text = |path: &str| document.pointer(path).and_then(Value::as_str);
    let name = [text("/name/givenName"), text("/name/familyName")].into_iter().flatten().collect::<Vec<_>>().join(" ");
    let label = if name.is_empty() { text("/userName").unwrap_or(id).to_owned() } else { name };
    Person { id: id.to_owned(), label }
}

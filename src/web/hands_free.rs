//! What a person would do on the pages, done for them: in `dev`, and only while a test has asked for it.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use axum::http::HeaderMap;
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
use super::{App, authorize};
use crate::identity::login::SignedIn;
use crate::oauth::Failure;
use crate::oauth::authorize::{AuthorizationRequest, Given, Step};
use crate::resources::{DocumentKind, Problem, search};

/// So many people are shown to pick from.
const PEOPLE: i64 = 50;

/// What is done without asking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "HandsFree")]
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
#[derive(Debug, Default)]
pub struct HandsFree(Mutex<Policy>);

impl HandsFree {
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
    pub(crate) fn policy(&self) -> Policy {
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
            let hinted = match &request.login_hint {
                Some(hint) => app.provider.sign_in().named(hint).await?,
                None => None,
            };
            match hinted {
                Some(user) => {
                    Ok(Some(login::begin(app, headers, &request.params, Some(request), &user, address).await?))
                }
                None => pick(app, headers, request).await.map(Some),
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

/// The people to pick from, one of whom is signed in by a click.
async fn pick(app: &App, headers: &HeaderMap, request: &AuthorizationRequest) -> Result<Response, Failure> {
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
    };
    Ok(Page::new(view).cookie(cookie).form_target(&request.return_to.redirect_uri).into_response())
}

fn person(id: &str, document: &Value) -> Person {
    let text = |path: &str| document.pointer(path).and_then(Value::as_str);
    let name = [text("/name/givenName"), text("/name/familyName")].into_iter().flatten().collect::<Vec<_>>().join(" ");
    let label = if name.is_empty() { text("/userName").unwrap_or(id).to_owned() } else { name };
    Person { id: id.to_owned(), label }
}

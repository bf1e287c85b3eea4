//! `/dev/sign-in` and `/dev/hands-free`: the cookie of a person who has signed in, for browsers that tests drive, and pages that
//! answer themselves.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::control::Wrong;
use super::desk::Desk;
use super::input::{Input, Switch};
use super::openapi::Call;
use crate::domain::user::User;
use crate::oauth::token::not_signed_in;
use crate::openapi::schema::text;
use crate::realm::Realm;
use crate::web::cookies::Cookie;
use crate::web::hands_free::{Consent, Policy};
use crate::web::map::{Map, get, post};

/// Who signs in.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SignIn")]
struct Asked {
    /// An id, a user name or an e-mail address.
    user: String,
}

/// A login that was begun.
#[derive(Debug, Serialize, JsonSchema)]
struct SignedIn {
    /// The user's id.
    user: String,
    /// The login's id.
    session: String,
    /// Its cookie, which the answer sets too.
    cookie: LoginCookie,
}

/// A cookie in the members that tools for browsers take.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct LoginCookie {
    name: String,
    value: String,
    path: &'static str,
    http_only: bool,
    secure: bool,
    same_site: &'static str,
}

/// What is done without asking.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "HandsFree")]
struct Shown {
    #[serde(flatten)]
    policy: Policy,
    /// Whether clients and users that nobody knows are made.
    permissive: bool,
}

/// The calls of signing in, and of pages that answer themselves.
pub(super) fn map() -> Map {
    Map::new()
        .route(
            ["/dev/sign-in"],
            post(sign_in, |call| {
                call.control("signInWithoutPage", "Signs somebody in without the page", &[404])
                    .takes::<Asked>()
                    .answers_of::<SignedIn>(200, "The login.")
                    .with_header(200, "Set-Cookie", text("The login's cookie."))
            }),
        )
        .route(
            ["/dev/hands-free"],
            get(policy, |call| {
                call.control("handsFree", "What is done without asking the person", &[])
                    .answers_of::<Shown>(200, "The policy.")
            })
            .post(set_policy, |call| {
                call.control("setHandsFree", "Changes what is done without asking the person", &[409])
                    .takes::<Change>()
                    .answers_of::<Shown>(200, "The policy as it is now.")
            }),
        )
}

/// `POST /dev/sign-in`: sets the cookie, and says what it is for those who set it by other means.
async fn sign_in(Extension(desk): Extension<Arc<Desk>>, Input(asked): Input<Asked>) -> Result<Response, Wrong> {
    let realm = desk.realm();
    let user = person(&realm, &asked.user).await?;
    let (value, login) = realm.provider.logins().start(&user, realm.clock.now()).await?;
    let set = Cookie::Login.set(&realm.app, &value.reveal());
    let cookie = LoginCookie {
        name: Cookie::Login.name(&realm.app),
        value: value.reveal(),
        path: "/",
        http_only: true,
        secure: realm.issuer.is_https(),
        same_site: "Lax",
    };
    let answer = SignedIn { user: user.id, session: login.id.to_string(), cookie };
    Ok(([(SET_COOKIE, set)], Json(answer)).into_response())
}

/// `GET /dev/hands-free`: what is done without asking the person.
async fn policy(Extension(desk): Extension<Arc<Desk>>) -> Json<Shown> {
    Json(shown(&desk.realm()))
}

/// What is to be changed of it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "HandsFreeChange")]
struct Change {
    /// Whether a `login_hint` signs its person in, and a click does where there is none.
    auto_login: Option<Switch>,
    /// What becomes of a request for consent.
    consent: Option<Consent>,
    /// Whether clients and users that nobody knows are made.
    permissive: Option<Switch>,
}

/// `POST /dev/hands-free`
async fn set_policy(Extension(desk): Extension<Arc<Desk>>, Input(change): Input<Change>) -> Result<Json<Shown>, Wrong> {
    let realm = desk.realm();
    if let (Some(Switch(permissive)), Some(leeway)) = (change.permissive, realm.provider.leeway())
        && !leeway.set_permissive(permissive)
    {
        return Err(Wrong::new(
            StatusCode::CONFLICT,
            "only `countersign dev` can be permissive, with an issuer that the internet could not know",
        ));
    }
    if let Some(hands_free) = &realm.app.hands_free {
        let now = hands_free.policy();
        hands_free.set(Policy {
            auto_login: change.auto_login.map_or(now.auto_login, |on| on.0),
            consent: change.consent.unwrap_or(now.consent),
        });
    }
    Ok(Json(shown(&realm)))
}

fn shown(realm: &Realm) -> Shown {
    Shown { policy: realm.app.policy(), permissive: realm.provider.sign_in().is_permissive() }
}

/// The user of an id, a user name or an e-mail address; made where nobody is called so and whoever is named is accepted.
pub(super) async fn person(realm: &Realm, name: &str) -> Result<User, Wrong> {
    let found = realm.provider.sign_in().named_or_made(name, realm.clock.now()).await.map_err(not_signed_in)?;
    found.ok_or_else(|| Wrong::absent(format!("there is no active user {name}; PUT /User/{name} makes one")))
}

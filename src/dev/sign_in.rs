//! `/dev/sign-in` and `/dev/hands-free`: the cookie of a person who has signed in, for browsers that tests drive, and pages that
//! answer themselves.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};

use super::control::Wrong;
use super::desk::Desk;
use super::input::{self, Input};
use crate::domain::user::User;
use crate::oauth::token::not_signed_in;
use crate::realm::Realm;
use crate::web::cookies::Cookie;
use crate::web::hands_free::{Consent, Policy};

/// Who signs in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    user: String,
}

/// `POST /dev/sign-in`: sets the cookie, and says what it is for those who set it by other means.
pub(super) async fn sign_in(
    Extension(desk): Extension<Arc<Desk>>,
    Input(asked): Input<Asked>,
) -> Result<Response, Wrong> {
    let realm = desk.realm();
    let user = person(&realm, &asked.user).await?;
    let (value, login) = realm.provider.logins().start(&user, realm.clock.now()).await?;
    let set = Cookie::Login.set(&realm.app, &value.reveal());
    let cookie = json!({
        "name": Cookie::Login.name(&realm.app),
        "value": value.reveal(),
        "path": "/",
        "httpOnly": true,
        "secure": realm.issuer.is_https(),
        "sameSite": "Lax",
    });
    let answer = json!({ "user": user.id, "session": login.id.to_string(), "cookie": cookie });
    Ok(([(SET_COOKIE, set)], Json(answer)).into_response())
}

/// `GET /dev/hands-free`: what is done without asking the person.
pub(super) async fn policy(Extension(desk): Extension<Arc<Desk>>) -> Json<Value> {
    Json(shown(&desk.realm()))
}

/// What is to be changed of it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Change {
    #[serde(deserialize_with = "input::perhaps")]
    auto_login: Option<bool>,
    consent: Option<Consent>,
    #[serde(deserialize_with = "input::perhaps")]
    permissive: Option<bool>,
}

/// `POST /dev/hands-free`
pub(super) async fn set_policy(
    Extension(desk): Extension<Arc<Desk>>,
    Input(change): Input<Change>,
) -> Result<Json<Value>, Wrong> {
    let realm = desk.realm();
    if let (Some(permissive), Some(leeway)) = (change.permissive, realm.provider.leeway())
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
            auto_login: change.auto_login.unwrap_or(now.auto_login),
            consent: change.consent.unwrap_or(now.consent),
        });
    }
    Ok(Json(shown(&realm)))
}

fn shown(realm: &Realm) -> Value {
    let Policy { auto_login, consent } = realm.app.policy();
    json!({ "auto_login": auto_login, "consent": consent, "permissive": realm.provider.sign_in().is_permissive() })
}

/// The user of an id, a user name or an e-mail address; made where nobody is called so and whoever is named is accepted.
pub(super) async fn person(realm: &Realm, name: &str) -> Result<User, Wrong> {
    let found = realm.provider.sign_in().named_or_made(name, realm.clock.now()).await.map_err(not_signed_in)?;
    found.ok_or_else(|| Wrong::absent(format!("there is no active user {name}; PUT /User/{name} makes one")))
}

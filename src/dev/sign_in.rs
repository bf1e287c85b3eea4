//! `POST /dev/sign-in`: the cookie of a person who has signed in, for browsers that tests drive.

use std::sync::Arc;

use axum::http::header::SET_COOKIE;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::json;

use super::control::Wrong;
use super::desk::Desk;
use super::input::Input;
use crate::domain::user::User;
use crate::realm::Realm;
use crate::web::cookies::Cookie;

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

/// The user of an id, a user name or an e-mail address.
pub(super) async fn person(realm: &Realm, name: &str) -> Result<User, Wrong> {
    let by_name = realm.store.account_by_login_name(name).await?.map(|account| account.user);
    let found = match by_name {
        Some(user) => Some(user),
        None => realm.store.user(name).await?,
    };
    found.ok_or_else(|| Wrong::absent(format!("there is no user {name}; PUT /User/{name} makes one")))
}

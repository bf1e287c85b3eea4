//! `/dev/claims`: what is said of people besides what their documents say, in ID tokens, JWT access tokens, at userinfo and at
//! introspection: of a person from now on, or in all that comes of one sign-in.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::control::Wrong;
use super::desk::Desk;
use super::input::{self, Input};
use super::sign_in::person;
use crate::domain::leeway::{GivenClaims, Leeway, Next};
use crate::realm::Realm;

/// What is to be said of whom.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    user: Option<String>,
    /// Whether it is for one sign-in alone, the next.
    #[serde(default, deserialize_with = "input::switch")]
    next: bool,
    claims: Map<String, Value>,
}

/// `POST /dev/claims`
pub(super) async fn give(
    Extension(desk): Extension<Arc<Desk>>,
    Input(asked): Input<Asked>,
) -> Result<Json<Value>, Wrong> {
    let realm = desk.realm();
    let claims = GivenClaims::parse(asked.claims).map_err(Wrong::request)?;
    let user = match &asked.user {
        Some(name) => Some(person(&realm, name).await?),
        None => None,
    };
    let leeway = of(&realm)?;
    let given = match (user, asked.next) {
        (user, true) => leeway.give_next(Next { user_id: user.map(|user| user.id), claims }),
        (Some(user), false) => leeway.give(&user.id, claims),
        (None, false) => {
            return Err(Wrong::request(
                "say whose claims they are (user), or that they are for the next sign-in (next)",
            ));
        }
    };
    given.map_err(|full| Wrong::new(StatusCode::CONFLICT, full.to_string()))?;
    Ok(Json(shown(leeway)))
}

/// `GET /dev/claims`
pub(super) async fn list(Extension(desk): Extension<Arc<Desk>>) -> Result<Json<Value>, Wrong> {
    Ok(Json(shown(of(&desk.realm())?)))
}

/// `DELETE /dev/claims`
pub(super) async fn clear(Extension(desk): Extension<Arc<Desk>>) -> Result<StatusCode, Wrong> {
    of(&desk.realm())?.forget_claims();
    Ok(StatusCode::NO_CONTENT)
}

/// Every realm of the control API has it.
fn of(realm: &Realm) -> Result<&Leeway, Wrong> {
    realm.provider.leeway().ok_or_else(|| Wrong::absent("claims cannot be given here"))
}

fn shown(leeway: &Leeway) -> Value {
    let state = leeway.kept();
    let users: Map<String, Value> =
        state.people.iter().map(|(id, claims)| (id.clone(), claims.as_map().clone().into())).collect();
    let next: Vec<Value> =
        state.next.iter().map(|next| json!({ "user": next.user_id, "claims": next.claims.as_map() })).collect();
    json!({ "users": users, "next": next })
}

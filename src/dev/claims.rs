//! `/dev/claims`: what is said of people besides what their documents say, in ID tokens, JWT access tokens, at userinfo and at
//! introspection: of a person from now on, or in all that comes of one sign-in.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map as Members, Value};

use super::control::Wrong;
use super::desk::Desk;
use super::input::{Input, Switch};
use super::openapi::Call;
use super::sign_in::person;
use crate::domain::leeway::{GivenClaims, Leeway, Next};
use crate::realm::Realm;
use crate::web::map::{Map, get};

/// What is to be said of whom.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ClaimsToGive")]
struct Asked {
    /// An id, a user name or an e-mail address.
    user: Option<String>,
    /// Whether it is for one sign-in alone, the next.
    #[serde(default)]
    next: Switch,
    /// Names and values.
    claims: Members<String, Value>,
}

/// What is said besides.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "GivenClaims")]
struct Shown {
    /// From now on, by the user's id.
    users: BTreeMap<String, Members<String, Value>>,
    /// For the sign-ins to come, each once.
    next: Vec<Upcoming>,
}

/// What is said of one sign-in.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "NextClaims")]
struct Upcoming {
    /// The user's id; null is whoever comes first.
    user: Option<String>,
    claims: Members<String, Value>,
}

/// The calls of claims.
pub(super) fn map() -> Map {
    Map::new().route(
        ["/dev/claims"],
        get(list, |call| {
            call.control("claims", "What is said of people besides their documents", &[404])
                .answers_of::<Shown>(200, "The claims.")
        })
        .post(give, |call| {
            call.control("giveClaims", "Gives claims to a person, or to the next sign-in", &[404, 409])
                .takes::<Asked>()
                .answers_of::<Shown>(200, "The claims as they are now.")
        })
        .delete(clear, |call| {
            call.control("forgetClaims", "Takes all claims back", &[404]).answers(204, "They are gone.")
        }),
    )
}

/// `POST /dev/claims`
async fn give(Extension(desk): Extension<Arc<Desk>>, Input(asked): Input<Asked>) -> Result<Json<Shown>, Wrong> {
    let realm = desk.realm();
    let claims = GivenClaims::parse(asked.claims).map_err(Wrong::request)?;
    let user = match &asked.user {
        Some(name) => Some(person(&realm, name).await?),
        None => None,
    };
    let leeway = of(&realm)?;
    let given = match (user, asked.next.0) {
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
async fn list(Extension(desk): Extension<Arc<Desk>>) -> Result<Json<Shown>, Wrong> {
    Ok(Json(shown(of(&desk.realm())?)))
}

/// `DELETE /dev/claims`
async fn clear(Extension(desk): Extension<Arc<Desk>>) -> Result<StatusCode, Wrong> {
    of(&desk.realm())?.forget_claims();
    Ok(StatusCode::NO_CONTENT)
}

/// Every realm of the control API has it.
fn of(realm: &Realm) -> Result<&Leeway, Wrong> {
    realm.provider.leeway().ok_or_else(|| Wrong::absent("claims cannot be given here"))
}

fn shown(leeway: &Leeway) -> Shown {
    let state = leeway.kept();
    let upcoming = |next: &Next| Upcoming { user: next.user_id.clone(), claims: next.claims.as_map().clone() };
    Shown {
        users: state.people.iter().map(|(id, claims)| (id.clone(), claims.as_map().clone())).collect(),
        next: state.next.iter().map(upcoming).collect(),
    }
}

//! `POST /dev/tokens`: any token without a flow, sound or with one known defect: a call for each row of a resource server's tests.

use std::sync::Arc;

use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::control::Wrong;
use super::desk::Desk;
use super::input::{self, Input};
use super::sign_in::person;
use crate::domain::scope::Scope;
use crate::oauth::token::forge::{Defect, Forgery, Unforgeable};

/// No token lives longer: ten years.
const LONGEST: i64 = 315_360_000;

/// What is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    client_id: String,
    user: Option<String>,
    #[serde(default)]
    kind: Kind,
    #[serde(default)]
    format: Format,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    audience: Audience,
    #[serde(default, deserialize_with = "input::duration")]
    expires_in: Option<i64>,
    #[serde(default)]
    claims: Map<String, Value>,
    defect: Option<Defect>,
    /// With the defect `missing_claim`: which one.
    claim: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    #[default]
    AccessToken,
    IdToken,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Format {
    #[default]
    Jwt,
    Opaque,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Default for Audience {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

/// `POST /dev/tokens`
pub(super) async fn forge(
    Extension(desk): Extension<Arc<Desk>>,
    Input(asked): Input<Asked>,
) -> Result<Json<Value>, Wrong> {
    let realm = desk.realm();
    let now = realm.clock.now();
    let client = realm.provider.client_or_made(&asked.client_id, now).await?;
    let client = client.ok_or_else(|| Wrong::absent(format!("there is no client {}", asked.client_id)))?;
    let user = match &asked.user {
        Some(name) => Some(person(&realm, name).await?),
        None => None,
    };
    let scope = Scope::parse(&asked.scope).ok_or_else(|| Wrong::request("scope has a character that no scope has"))?;
    let audience = match asked.audience {
        Audience::One(one) => vec![one],
        Audience::Many(many) => many,
    };
    if audience.iter().any(|one| one.is_empty() || one.contains(char::is_whitespace)) {
        return Err(Wrong::request("an audience is a name without spaces"));
    }
    if asked.expires_in.is_some_and(|seconds| !(1..=LONGEST).contains(&seconds)) {
        return Err(Wrong::request(
            "expires_in is between a second and ten years; for the past there is the defect expired",
        ));
    }
    let forgery = Forgery {
        client: &client,
        user: user.as_ref(),
        id_token: asked.kind == Kind::IdToken,
        opaque: asked.format == Format::Opaque,
        scope: &scope,
        audience,
        expires_in: asked.expires_in,
        claims: asked.claims,
        defect: asked.defect,
        missing: asked.claim,
    };
    let made = realm.provider.forge(forgery, now).await.map_err(|why| match why {
        Unforgeable::Internal(internal) => Wrong::from(internal),
        why => Wrong::request(why.to_string()),
    })?;
    let mut answer = json!({ "token": made.token });
    if let Some((header, claims)) = made.jwt {
        answer["header"] = header;
        answer["claims"] = claims.into();
    }
    Ok(Json(answer))
}

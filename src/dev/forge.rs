//! `POST /dev/tokens`: any token without a flow, sound or with one known defect: a call for each row of a resource server's tests.

use std::sync::Arc;

use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::control::Wrong;
use super::desk::Desk;
use super::input::{Input, Seconds};
use super::openapi::Call;
use super::sign_in::person;
use crate::domain::scope::Scope;
use crate::oauth::token::forge::{Defect, Forgery, Unforgeable};
use crate::web::map::{self as web, post};

/// No token lives longer: ten years.
const LONGEST: i64 = 315_360_000;

/// What is asked for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TokenToForge")]
struct Asked {
    /// The client it is issued to.
    client_id: String,
    /// Whom it is about: an id, a user name or an e-mail address; without it, the client itself.
    user: Option<String>,
    #[serde(default)]
    kind: Kind,
    #[serde(default)]
    format: Format,
    /// What it allows.
    #[serde(default)]
    scope: String,
    /// Whom it is for; as the client's document says, where absent.
    #[serde(default)]
    audience: Audience,
    /// How long it lives; as the client's document says, where absent.
    #[schemars(range(min = 1, max = LONGEST))]
    expires_in: Option<Seconds>,
    /// Claims to add or to replace; null takes one out.
    #[serde(default)]
    claims: Map<String, Value>,
    /// What is wrong with it.
    defect: Option<Defect>,
    /// With the defect `missing_claim`: which one.
    claim: Option<String>,
}

/// What kind of token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "TokenKind")]
enum Kind {
    /// For a resource server.
    #[default]
    AccessToken,
    /// For the client.
    IdToken,
}

/// How an access token is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "TokenFormat")]
enum Format {
    /// RFC 9068
    #[default]
    Jwt,
    /// It says nothing by itself.
    Opaque,
}

/// One name or several, none with spaces.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// A token that nobody asked for.
#[derive(Debug, Serialize, JsonSchema)]
struct ForgedToken {
    /// The token.
    token: String,
    /// Its header, where it is a JWT.
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<Value>,
    /// Its claims, where it is a JWT.
    #[serde(skip_serializing_if = "Option::is_none")]
    claims: Option<Map<String, Value>>,
}

/// The call of the forge.
pub(super) fn map() -> web::Map {
    web::Map::new().route(
        ["/dev/tokens"],
        post(forge, |call| {
            call.control("forgeToken", "A token without a flow, sound or with one defect", &[404])
                .explained("Without a defect it is what a flow would give: introspection and userinfo know it.")
                .takes::<Asked>()
                .answers_of::<ForgedToken>(200, "The token.")
        }),
    )
}

impl Default for Audience {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

/// `POST /dev/tokens`
async fn forge(Extension(desk): Extension<Arc<Desk>>, Input(asked): Input<Asked>) -> Result<Json<ForgedToken>, Wrong> {
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
    if asked.expires_in.is_some_and(|seconds| !(1..=LONGEST).contains(&seconds.0)) {
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
        expires_in: asked.expires_in.map(|seconds| seconds.0),
        claims: asked.claims,
        defect: asked.defect,
        missing: asked.claim,
    };
    let made = realm.provider.forge(forgery, now).await.map_err(|why| match why {
        Unforgeable::Internal(internal) => Wrong::from(internal),
        why => Wrong::request(why.to_string()),
    })?;
    let (header, claims) = made.jwt.unzip();
    Ok(Json(ForgedToken { token: made.token, header, claims }))
}

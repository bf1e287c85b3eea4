//! `SigningKey`: the public part of the keys, to read.

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::reply::Reply;
use super::request::Asked;
use super::{Page, not_allowed, searchset};
use crate::resources::{Mount, Outcome, Problem, render};
use crate::store::keys::SigningKey;
use crate::web::App;

pub(super) async fn collection(app: &App, asked: &Asked) -> Response {
    let answered = match asked.method {
        Method::GET | Method::HEAD => all(app, asked).await,
        _ => Err(not_allowed(asked).into()),
    };
    asked.reply(answered)
}

pub(super) async fn item(app: &App, asked: &Asked, id: &str) -> Response {
    let answered = match asked.method {
        Method::GET | Method::HEAD => one(app, asked, id).await,
        _ => Err(not_allowed(asked).into()),
    };
    asked.reply(answered)
}

async fn all(app: &App, asked: &Asked) -> Result<Reply, Problem> {
    let keys = app.provider.store().signing_keys().await?;
    let resources: Vec<Value> = keys.iter().map(|key| resource(key, asked.mount)).collect();
    let total = i64::try_from(resources.len())?;
    let page = Page { number: 1, count: total.max(1), parameters: &[] };
    Ok(Reply::new(StatusCode::OK, searchset(app, "SigningKey", asked.mount, resources, total, &page)))
}

async fn one(app: &App, asked: &Asked, kid: &str) -> Result<Reply, Problem> {
    let keys = app.provider.store().signing_keys().await?;
    let key = keys.iter().find(|key| key.kid == kid).ok_or_else(|| Outcome::not_found("SigningKey", kid))?;
    Ok(Reply::new(StatusCode::OK, resource(key, asked.mount)))
}

fn resource(key: &SigningKey, mount: Mount) -> Value {
    let mut body = Map::new();
    body.insert("alg".into(), json!(key.alg));
    body.insert("jwk".into(), key.public_jwk.0.clone());
    body.insert("signsFrom".into(), json!(key.signs_from.rfc3339()));
    if let Some(until) = key.verifies_until {
        body.insert("verifiesUntil".into(), json!(until.rfc3339()));
    }
    let meta = render::meta("1", key.created_at, key.created_at, mount);
    render::resource("SigningKey", &key.kid, body, &meta, mount)
}

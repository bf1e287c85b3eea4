//! `SigningKey`: the public part of the keys, to read.

use axum::http::{Method, StatusCode};
use axum::response::Response;

use super::reply::Reply;
use super::request::Asked;
use super::{Page, not_allowed, searchset};
use crate::resources::Problem;
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
    // At the very first start one is still being made.
    app.provider.registry().whole_key_ring().await?;
    let resources = app.documents.signing_keys(asked.mount).await?;
    let total = i64::try_from(resources.len())?;
    let page = Page { number: 1, count: total.max(1), parameters: &[] };
    Ok(Reply::new(StatusCode::OK, searchset(app, "SigningKey", asked.mount, resources, total, &page)))
}

async fn one(app: &App, asked: &Asked, kid: &str) -> Result<Reply, Problem> {
    Ok(Reply::new(StatusCode::OK, app.documents.signing_key(kid, asked.mount).await?))
}

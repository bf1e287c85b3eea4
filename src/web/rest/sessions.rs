//! `Session`: logins and issued tokens, to read and to close.

use axum::extract::State;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::reply::Reply;
use super::request::Asked;
use super::{Page, not_allowed, searchset};
use crate::domain::time::Timestamp;
use crate::resources::{Mount, Outcome, Problem, render};
use crate::store::sessions::{Found, SessionFilter};
use crate::web::App;
use crate::web::admin::Administrator;

/// `GET /Session`
pub(crate) async fn search(State(app): State<App>, _: Administrator, asked: Asked) -> Response {
    collection(&app, &asked).await
}

pub(super) async fn collection(app: &App, asked: &Asked) -> Response {
    let answered = match asked.method {
        Method::GET | Method::HEAD => find(app, asked).await,
        _ => Err(not_allowed(asked).into()),
    };
    asked.reply(answered)
}

pub(super) async fn item(app: &App, asked: &Asked, id: &str) -> Response {
    asked.reply(one(app, asked, id).await)
}

async fn one(app: &App, asked: &Asked, id: &str) -> Result<Reply, Problem> {
    let not_found = || Outcome::not_found("Session", id);
    let store = app.provider.store();
    let row = Uuid::parse_str(id).map_err(|_| not_found())?;
    let found = store.session(row).await?.ok_or_else(not_found)?;
    match asked.method {
        Method::GET | Method::HEAD => Ok(Reply::new(StatusCode::OK, resource(&found, asked.mount, app.clock.now()))),
        Method::DELETE => {
            store.close_session(&found.session, app.clock.now()).await?;
            tracing::info!(event = "session_closed", session = %row, user = found.session.user_id, client = found.session.client_id);
            let closed = store.session(row).await?.ok_or_else(not_found)?;
            Ok(Reply::new(StatusCode::OK, resource(&closed, asked.mount, app.clock.now())))
        }
        _ => Err(not_allowed(asked).into()),
    }
}

async fn find(app: &App, asked: &Asked) -> Result<Reply, Problem> {
    let invalid = |text: String| Outcome::new(400, "invalid", text);
    let (mut filter, mut count, mut page, mut parameters) = (SessionFilter::default(), 100, 1, Vec::new());
    for (name, value) in &asked.parameters {
        let number = || value.parse::<i64>().ok().filter(|number| (1..=1_000_000).contains(number)).ok_or_else(|| invalid(format!("{name} must be a number above 0")));
        match name.as_str() {
            "_count" => count = number()?.min(1_000),
            "_page" => page = number()?,
            "_id" | "jti" => filter.id = Some(Uuid::parse_str(value).unwrap_or(Uuid::nil())),
            "user" | ".user.id" => filter.user_id = Some(value),
            "client" | ".client.id" => filter.client_id = Some(value),
            "active" | ".active" => filter.active = Some(value == "true"),
            "_format" | "_pretty" | "_sort" | "_total" => {}
            _ => return Err(invalid(format!("{name} is no search parameter of Session; it has user, client, jti, active, _id, _count, _page")).into()),
        }
        if name != "_page" {
            parameters.push((name.clone(), value.clone()));
        }
    }
    let now = app.clock.now();
    let (rows, total) = app.provider.store().sessions(&filter, count, (page - 1).saturating_mul(count), now).await?;
    let resources = rows.iter().map(|found| resource(found, asked.mount, now)).collect();
    let page = Page { number: page, count, parameters: &parameters };
    Ok(Reply::new(StatusCode::OK, searchset(app, "Session", asked.mount, resources, total, &page)))
}

/// The row as Aidbox shows it, without any token or hash.
fn resource(found: &Found, mount: Mount, now: Timestamp) -> Value {
    let session = &found.session;
    let usable = session.token_expires_at > now || (session.refresh_digest.is_some() && session.rotated_at.is_none());
    let active = found.live && session.ended_at.is_none() && usable;
    let mut body = Map::new();
    let mut put = |name: &str, value: Option<Value>| drop(value.map(|value| body.insert(name.to_owned(), value)));
    let reference = |kind: &str, id: &Option<String>| id.as_ref().map(|id| json!({ "resourceType": kind, "id": id }));
    put("type", Some(json!(session.kind)));
    put("active", Some(json!(active)));
    put("start", Some(json!(session.created_at.rfc3339())));
    put("end", session.ended_at.map(|at| json!(at.rfc3339())));
    put("exp", Some(json!(session.token_expires_at.0)));
    put("refresh_token_exp", session.refresh_expires_at.map(|at| json!(at.0)));
    put("jti", Some(json!(session.id.to_string())));
    put("scope", Some(session.scope.split(' ').filter(|word| !word.is_empty()).collect()));
    put("audience", Some(session.audience.split(' ').filter(|word| !word.is_empty()).collect()));
    put("user", reference("User", &session.user_id));
    put("client", reference("Client", &session.client_id));
    put("parent", reference("Session", &session.parent.map(|id| id.to_string())));
    put("family", Some(json!(session.family.to_string())));
    let meta = render::meta("1", session.created_at, session.seen_at, mount);
    render::resource("Session", &session.id.to_string(), body, &meta, mount)
}

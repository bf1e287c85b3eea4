//! `Session`: logins and issued tokens, to read and to close.

use axum::extract::State;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use uuid::Uuid;

use super::reply::Reply;
use super::request::Asked;
use super::{Page, not_allowed, searchset};
use crate::resources::sessions::SessionFilter;
use crate::resources::{Outcome, Problem};
use crate::web::App;
use crate::web::admin::Administrator;

/// `/Session`, but for `DELETE`, which is for the holder of a token
pub(crate) async fn all(State(app): State<App>, _: Administrator, mut asked: Asked) -> Response {
    asked.path.kind = "Session".into();
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
    let now = app.clock.now();
    let resource = match asked.method {
        Method::GET | Method::HEAD => app.documents.session(id, asked.mount, now).await?,
        Method::DELETE => app.documents.close_session(id, asked.mount, now).await?,
        _ => return Err(not_allowed(asked).into()),
    };
    Ok(Reply::new(StatusCode::OK, resource))
}

async fn find(app: &App, asked: &Asked) -> Result<Reply, Problem> {
    let invalid = |text: String| Outcome::new(400, "invalid", text);
    let (mut filter, mut count, mut page, mut parameters) = (SessionFilter::default(), 100, 1, Vec::new());
    for (name, value) in &asked.parameters {
        let number = || {
            value
                .parse::<i64>()
                .ok()
                .filter(|number| (1..=1_000_000).contains(number))
                .ok_or_else(|| invalid(format!("{name} must be a number above 0")))
        };
        match name.as_str() {
            "_count" => count = number()?.min(1_000),
            "_page" => page = number()?,
            "_id" | "jti" => filter.id = Some(Uuid::parse_str(value).unwrap_or(Uuid::nil())),
            "user" | ".user.id" => filter.user_id = Some(value),
            "client" | ".client.id" => filter.client_id = Some(value),
            "active" | ".active" => filter.active = Some(value == "true"),
            "_format" | "_pretty" | "_sort" | "_total" => {}
            _ => {
                return Err(invalid(format!(
                    "{name} is no search parameter of Session; it has user, client, jti, active, _id, _count, _page"
                ))
                .into());
            }
        }
        if name != "_page" {
            parameters.push((name.clone(), value.clone()));
        }
    }
    let now = app.clock.now();
    let (resources, total) = app.documents.sessions(&filter, (count, page), asked.mount, now).await?;
    let page = Page { number: page, count, parameters: &parameters };
    Ok(Reply::new(StatusCode::OK, searchset(app, "Session", asked.mount, resources, total, &page)))
}

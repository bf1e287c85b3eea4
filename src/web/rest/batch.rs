//! Many resources in one request and one transaction: `PUT /` with an array, `POST /` with a Bundle.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::reply::Reply;
use super::request::Asked;
use super::{document_kind, location};
use crate::resources::patch::Method as PatchMethod;
use crate::resources::{Change, Effect, Mount, Outcome, Precondition, Problem, Written, render};
use crate::web::App;
use crate::web::admin::Administrator;

/// `PUT /`: an array of resources, each with `resourceType` and `id`.
pub(crate) async fn put_many(State(app): State<App>, _: Administrator, asked: Asked) -> Response {
    let changes = asked.document().and_then(|document| match document {
        Value::Array(items) => items.into_iter().enumerate().map(|(index, item)| put(index, item)).collect(),
        _ => Err(Outcome::new(400, "invalid", "PUT / takes an array of resources")),
    });
    let written = write(&app, changes).await;
    let answered = written.map(|written| {
        let all: Vec<Value> = written.iter().map(|one| render::document(&one.row, asked.mount)).collect();
        Reply::new(StatusCode::OK, Value::Array(all))
    });
    asked.reply(answered)
}

/// `POST /`: a Bundle of type `transaction` or `batch`. Both are made in one transaction; a `batch` whose entries cannot all be
/// made is made entry by entry, and each says how it went.
pub(crate) async fn bundle(State(app): State<App>, _: Administrator, asked: Asked) -> Response {
    let answered = answer(&app, &asked).await;
    asked.reply(answered)
}

async fn answer(app: &App, asked: &Asked) -> Result<Reply, Problem> {
    let document = asked.document()?;
    let kind = document.get("type").and_then(Value::as_str).unwrap_or("transaction").to_owned();
    if !matches!(kind.as_str(), "transaction" | "batch") {
        return Err(Outcome::new(422, "invalid", "Bundle.type must be transaction or batch").into());
    }
    let entries = match document.get("entry") {
        None if document.is_object() => Vec::new(),
        Some(Value::Array(entries)) => entries.clone(),
        _ => return Err(Outcome::new(400, "invalid", "POST / takes a Bundle, whose entry is an array").into()),
    };
    let changes: Vec<Result<Wanted, Outcome>> =
        entries.iter().enumerate().map(|(index, entry)| read(index, entry)).collect();
    let together = write(app, changes.iter().cloned().collect::<Result<Vec<_>, _>>()).await;
    let entries = match together {
        Ok(written) => written.iter().map(|one| made(app, one, asked.mount)).collect(),
        Err(Problem::Outcome(_)) if kind == "batch" => {
            let mut answers = Vec::new();
            for change in changes {
                let written = write(app, change.map(|change| vec![change])).await;
                answers.push(match written {
                    Ok(written) => written.first().map_or(Value::Null, |one| made(app, one, asked.mount)),
                    Err(Problem::Outcome(outcome)) => {
                        json!({ "response": { "status": outcome.status.to_string(), "outcome": outcome.to_json() } })
                    }
                    Err(internal) => return Err(internal),
                });
            }
            answers
        }
        Err(why) => return Err(why),
    };
    let body = json!({ "resourceType": "Bundle", "type": format!("{kind}-response"), "entry": entries });
    Ok(Reply::new(StatusCode::OK, body))
}

/// A change, and what it expects.
type Wanted = (Change, Precondition);

async fn write(app: &App, changes: Result<Vec<Wanted>, Outcome>) -> Result<Vec<Written>, Problem> {
    let written = app.documents.change_all(changes?, None, app.clock.now()).await;
    app.provider.registry().expire();
    written
}

fn put(index: usize, item: Value) -> Result<Wanted, Outcome> {
    let text = |name: &str| item.get(name).and_then(Value::as_str).map(str::to_owned);
    let missing = |name: &str| Outcome::new(422, "required", format!("[{index}].{name}: required"));
    let kind = document_kind(&text("resourceType").ok_or_else(|| missing("resourceType"))?)?;
    Ok((Change::Put(kind, text("id").ok_or_else(|| missing("id"))?, item), Precondition::default()))
}

/// An entry of a Bundle as a change.
fn read(index: usize, entry: &Value) -> Result<Wanted, Outcome> {
    let invalid = |text: &str| Outcome::new(422, "invalid", format!("Bundle.entry[{index}]: {text}"));
    let resource = entry.get("resource").cloned().unwrap_or_default();
    let Some(request) = entry.get("request") else { return put(index, resource) };
    let text = |name: &str| request.get(name).and_then(Value::as_str).unwrap_or_default();
    let url = text("url").trim_start_matches('/').trim_start_matches("fhir/");
    let (kind, id) = url.split_once('/').map_or((url, None), |(kind, id)| (kind, Some(id.to_owned())));
    let kind = document_kind(kind)?;
    let change = match (text("method"), id) {
        ("PUT", Some(id)) => Change::Put(kind, id, resource),
        ("POST", None) => Change::Post(kind, resource),
        ("PATCH", Some(id)) => Change::Patch(kind, id, PatchMethod::of("", None, &resource)?, resource),
        ("DELETE", Some(id)) => Change::Delete(kind, id),
        _ => return Err(invalid("request.method must be PUT, POST, PATCH or DELETE, with a url that fits it")),
    };
    if request.get("ifNoneExist").is_some() {
        return Err(invalid("request.ifNoneExist is not supported; PUT with an id of your own does not create twice"));
    }
    let member = |name: &str| request.get(name).and_then(Value::as_str);
    Ok((change, Precondition::read(member("ifMatch"), member("ifNoneMatch"))))
}

/// What an entry came to.
fn made(app: &App, written: &Written, mount: Mount) -> Value {
    let row = &written.row;
    let status = if written.effect == Effect::Created { "201" } else { "200" };
    let response = json!({
        "status": status,
        "etag": row.version.to_string(),
        "lastModified": row.updated_at.rfc3339(),
        "location": location(app, &row.kind, &row.id, row.version, mount),
    });
    json!({ "resource": render::document(row, mount), "response": response })
}

//! The REST surface: documents, sessions and keys at `/X` and `/fhir/X`, in JSON and YAML.
//!
//! [`request`] reads what was asked, [`reply`] writes the answer in the format that was asked for; documents are here,
//! [`batch`] has many of them, [`sessions`] and [`keys`] what is not a document.

mod batch;
mod keys;
mod reply;
mod request;
mod sessions;

use axum::extract::State;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

use super::App;
use super::admin::Administrator;
pub(crate) use batch::{bundle, put_many};
use reply::Reply;
pub(crate) use reply::outcome;
use request::{Asked, Known, Path};
pub(crate) use sessions::all as sessions;

use crate::domain::nearest::nearest;
use crate::resources::kind::KINDS;
use crate::resources::patch::Method as PatchMethod;
use crate::resources::search::{self, Search};
use crate::resources::{Change, DocumentKind, Effect, Mount, Outcome, Problem, Written, render};

/// `/{kind}` and `/fhir/{kind}`
pub(crate) async fn collection(State(app): State<App>, Known(kind): Known, _: Administrator, asked: Asked) -> Response {
    let kind = match kind {
        ResourceType::Session => return sessions::collection(&app, &asked).await,
        ResourceType::SigningKey => return keys::collection(&app, &asked).await,
        ResourceType::Document(kind) => kind,
    };
    let answered = match asked.method {
        Method::GET | Method::HEAD => find(&app, kind, &asked).await,
        Method::POST if asked.is_conditional => Err(Outcome::new(
            400,
            "not-supported",
            "conditional create (If-None-Exist, search parameters) is not supported; give the document an id and PUT it",
        )
        .into()),
        Method::POST => match asked.document() {
            Ok(document) => change(&app, Change::Post(kind, document), &asked).await,
            Err(why) => Err(why.into()),
        },
        _ => Err(not_allowed(&asked).into()),
    };
    asked.reply(answered)
}

/// `/{kind}/{id}` and `/fhir/{kind}/{id}`
pub(crate) async fn item(State(app): State<App>, Known(kind): Known, _: Administrator, asked: Asked) -> Response {
    let id = asked.path.id.clone();
    let kind = match kind {
        ResourceType::Session => return sessions::item(&app, &asked, &id).await,
        ResourceType::SigningKey => return keys::item(&app, &asked, &id).await,
        ResourceType::Document(kind) => kind,
    };
    let answered = match asked.method {
        Method::GET | Method::HEAD => {
            app.documents.read(kind, &id).await.map(|row| Reply::document(StatusCode::OK, &row, asked.mount))
        }
        Method::PUT => match asked.document() {
            Ok(document) => change(&app, Change::Put(kind, id, document), &asked).await,
            Err(why) => Err(why.into()),
        },
        Method::PATCH => match asked.document().and_then(|document| {
            Ok((PatchMethod::of(&asked.media_type, asked.parameter("_method"), &document)?, document))
        }) {
            Ok((method, document)) => change(&app, Change::Patch(kind, id, method, document), &asked).await,
            Err(why) => Err(why.into()),
        },
        Method::DELETE => change(&app, Change::Delete(kind, id), &asked).await,
        _ => Err(not_allowed(&asked).into()),
    };
    asked.reply(answered)
}

/// `/{kind}/{id}/_history/{version}`: where `Location` points to. Only the present version is kept.
pub(crate) async fn version(State(app): State<App>, Known(kind): Known, _: Administrator, asked: Asked) -> Response {
    let Path { id, version, .. } = &asked.path;
    let ResourceType::Document(kind) = kind else { return asked.reply(Err(not_allowed(&asked).into())) };
    let answered = app.documents.read(kind, id).await.and_then(|row| {
        if row.version.to_string() == *version {
            return Ok(Reply::document(StatusCode::OK, &row, asked.mount));
        }
        let text = format!("only the present version of {}/{id} is kept, {}", kind.name(), row.version);
        Err(Outcome::new(404, "not-found", text).into())
    });
    asked.reply(answered)
}

/// `/fhir`: the same as `POST /`.
pub(crate) async fn fhir_root(state: State<App>, administrator: Administrator, asked: Asked) -> Response {
    match asked.method {
        Method::POST => bundle(state, administrator, asked).await,
        Method::PUT => put_many(state, administrator, asked).await,
        _ => {
            let why = not_allowed(&asked);
            asked.reply(Err(why.into()))
        }
    }
}

async fn change(app: &App, change: Change, asked: &Asked) -> Result<Reply, Problem> {
    let deletes = matches!(change, Change::Delete(..));
    let written = app.documents.change(change, &asked.precondition, app.clock.now()).await;
    app.provider.registry().expire();
    match written {
        Ok(_) if deletes && asked.parameter("_no-content") == Some("true") => Ok(Reply::empty()),
        // Deleting what is not there any more is done already.
        Err(Problem::Outcome(outcome))
            if deletes && matches!(outcome.status, 404 | 410) && asked.precondition.if_match.is_none() =>
        {
            match outcome.status {
                404 => Err(outcome.into()),
                _ => Ok(Reply::empty()),
            }
        }
        other => other.map(|written| written_reply(app, &written, asked.mount)),
    }
}

fn written_reply(app: &App, written: &Written, mount: Mount) -> Reply {
    let status = if written.effect == Effect::Created { StatusCode::CREATED } else { StatusCode::OK };
    let mut reply = Reply::document(status, &written.row, mount);
    if status == StatusCode::CREATED {
        reply.location = Some(location(app, &written.row.kind, &written.row.id, written.row.version, mount));
    }
    reply.warnings.clone_from(&written.warnings);
    reply
}

fn location(app: &App, kind: &str, id: &str, version: i64, mount: Mount) -> String {
    format!("{}{}/{kind}/{id}/_history/{version}", app.provider.issuer(), mount.prefix())
}

async fn find(app: &App, kind: DocumentKind, asked: &Asked) -> Result<Reply, Problem> {
    let search = search::read(kind, &asked.parameters)?;
    let (rows, total) = app.documents.search(kind, &search).await?;
    let resources = rows.iter().map(|row| elements(render::document(row, asked.mount), &search.elements)).collect();
    Ok(Reply::new(StatusCode::OK, searchset(app, kind.name(), asked.mount, resources, total, &Page::of(&search))))
}

/// Which page of a search an answer is.
struct Page<'a> {
    number: i64,
    count: i64,
    parameters: &'a [(String, String)],
}

impl<'a> Page<'a> {
    fn of(search: &'a Search) -> Self {
        Self { number: search.page, count: search.query.limit, parameters: &search.parameters }
    }
}

/// A `searchset` Bundle.
fn searchset(app: &App, kind: &str, mount: Mount, resources: Vec<Value>, total: i64, page: &Page<'_>) -> Value {
    let base = format!("{}{}/{kind}", app.provider.issuer(), mount.prefix());
    let url = |number: i64| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(page.parameters).append_pair("_page", &number.to_string());
        format!("{base}?{}", query.finish())
    };
    let last = if page.count > 0 { ((total + page.count - 1) / page.count).max(1) } else { 1 };
    let mut links = vec![("first", 1), ("self", page.number)];
    if page.number > 1 {
        links.push(("previous", page.number - 1));
    }
    if page.number < last {
        links.push(("next", page.number + 1));
    }
    links.push(("last", last));
    let entry = |resource: Value| {
        let id = resource.get("id").and_then(Value::as_str).unwrap_or_default();
        json!({ "fullUrl": format!("{base}/{id}"), "resource": resource, "search": { "mode": "match" } })
    };
    json!({
        "resourceType": "Bundle",
        "type": "searchset",
        "total": total,
        "link": links.into_iter().map(|(relation, number)| json!({ "relation": relation, "url": url(number) })).collect::<Vec<_>>(),
        "entry": resources.into_iter().map(entry).collect::<Vec<_>>(),
    })
}

/// Only the members asked for, with what makes it a resource.
fn elements(mut resource: Value, wanted: &[String]) -> Value {
    if let Some(members) = resource.as_object_mut().filter(|_| !wanted.is_empty()) {
        members.retain(|name, _| {
            matches!(name.as_str(), "resourceType" | "id" | "meta") || wanted.iter().any(|one| one == name)
        });
    }
    resource
}

/// What a path may begin with.
#[derive(Clone, Copy, Debug)]
enum ResourceType {
    Document(DocumentKind),
    Session,
    SigningKey,
}

fn resource_type(name: &str) -> Result<ResourceType, Outcome> {
    match (name, DocumentKind::named(name)) {
        (_, Some(kind)) => Ok(ResourceType::Document(kind)),
        ("Session", None) => Ok(ResourceType::Session),
        ("SigningKey", None) => Ok(ResourceType::SigningKey),
        _ => {
            let known = KINDS.iter().map(|kind| kind.name()).chain(["Session", "SigningKey"]);
            let hint = nearest(name, known).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            Err(Outcome::new(404, "not-found", format!("there is no resource type {name} here{hint}")))
        }
    }
}

/// A type that can be written.
fn document_kind(name: &str) -> Result<DocumentKind, Outcome> {
    match resource_type(name)? {
        ResourceType::Document(kind) => Ok(kind),
        _ => Err(Outcome::new(405, "not-supported", format!("{name} is made by the server and cannot be written"))),
    }
}

fn not_allowed(asked: &Asked) -> Outcome {
    Outcome::new(405, "not-supported", format!("{} is not allowed on {}", asked.method, asked.path.kind))
}

//! `/dev/reset` and `/dev/snapshots`: back to how a realm began, or to where a test was.

use std::sync::Arc;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::control::Wrong;
use super::desk::{Desk, Kept, NotKept};
use super::openapi::Call;
use crate::openapi::schema::required;
use crate::openapi::{Operation, Place};
use crate::web::map::{Map, get, post};

/// Names are for people, and parts of addresses.
const LONGEST_NAME: usize = 64;

/// A snapshot.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Snapshot")]
struct Shown {
    /// Its name.
    name: String,
    /// What the clock showed.
    time: String,
    /// How large it is.
    bytes: usize,
}

/// The calls of reset and snapshots.
pub(super) fn map() -> Map {
    Map::new()
        .route(
            ["/dev/reset"],
            post(reset, |call| {
                call.control(
                    "reset",
                    "Takes the realm back to how it began: documents, tokens, clock, journal, faults",
                    &[409],
                )
                .answers(204, "It is as it began.")
            }),
        )
        .route(
            ["/dev/snapshots"],
            get(list, |call| call.control("snapshots", "The snapshots", &[]).answers_of::<Vec<Shown>>(200, "By name.")),
        )
        .route(
            ["/dev/snapshots/{name}"],
            post(keep, |call| {
                of_name(call.control("keepSnapshot", "Keeps the present state under a name", &[400, 409]))
                    .answers_of::<Shown>(201, "It is kept; what was kept under the name before is gone.")
            })
            .delete(forget, |call| {
                of_name(call.control("forgetSnapshot", "Keeps it no longer", &[404])).answers(204, "It is gone.")
            }),
        )
        .route(
            ["/dev/snapshots/{name}/restore"],
            post(restore, |call| {
                of_name(call.control("restoreSnapshot", "Comes back to a state; nothing outlives it", &[404]))
                    .answers(204, "The realm is as it was.")
            }),
        )
}

fn of_name(call: Operation<'_>) -> Operation<'_> {
    let name = json!({ "type": "string", "maxLength": LONGEST_NAME, "description": "Its name." });
    call.parameter(Place::Path, required("name", name))
}

/// `POST /dev/reset`
async fn reset(Extension(desk): Extension<Arc<Desk>>) -> Result<StatusCode, Wrong> {
    match desk.reset().await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Wrong::new(
            StatusCode::CONFLICT,
            "the database was too large at the start to be kept beside the server; reset one of up to 256 MiB, or a realm",
        )),
    }
}

/// `GET /dev/snapshots`
async fn list(Extension(desk): Extension<Arc<Desk>>) -> Json<Vec<Shown>> {
    Json(desk.kept().iter().map(|(name, kept)| shown(name, kept)).collect())
}

/// `POST /dev/snapshots/{name}`
async fn keep(
    Extension(desk): Extension<Arc<Desk>>,
    Path(name): Path<String>,
) -> Result<(StatusCode, Json<Shown>), Wrong> {
    if name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(Wrong::request(format!(
            "a snapshot's name has at most {LONGEST_NAME} bytes, none of control characters"
        )));
    }
    let kept = desk.keep(&name).await.map_err(|error| match error {
        NotKept::Database(error) => error.into(),
        full => Wrong::new(StatusCode::CONFLICT, full.to_string()),
    })?;
    Ok((StatusCode::CREATED, Json(shown(&name, &kept))))
}

/// `POST /dev/snapshots/{name}/restore`
async fn restore(Extension(desk): Extension<Arc<Desk>>, Path(name): Path<String>) -> Result<StatusCode, Wrong> {
    let kept = desk.kept().remove(&name).ok_or_else(|| none(&desk, &name))?;
    desk.put_back(&kept).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /dev/snapshots/{name}`
async fn forget(Extension(desk): Extension<Arc<Desk>>, Path(name): Path<String>) -> Result<StatusCode, Wrong> {
    if desk.forget(&name) { Ok(StatusCode::NO_CONTENT) } else { Err(none(&desk, &name)) }
}

fn none(desk: &Desk, name: &str) -> Wrong {
    let names: Vec<_> = desk.kept().into_keys().collect();
    let there = if names.is_empty() { "none was taken".to_owned() } else { format!("there are {}", names.join(", ")) };
    Wrong::absent(format!("there is no snapshot {name}; {there}"))
}

fn shown(name: &str, kept: &Kept) -> Shown {
    Shown { name: name.to_owned(), time: kept.taken_at().rfc3339(), bytes: kept.size() }
}

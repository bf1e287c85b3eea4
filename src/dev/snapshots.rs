//! `/dev/reset` and `/dev/snapshots`: back to how a realm began, or to where a test was.

use std::sync::Arc;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde_json::{Value, json};

use super::control::Wrong;
use super::desk::{Desk, Kept, NotKept};

/// Names are for people, and parts of addresses.
const LONGEST_NAME: usize = 64;

/// `POST /dev/reset`
pub(super) async fn reset(Extension(desk): Extension<Arc<Desk>>) -> Result<StatusCode, Wrong> {
    match desk.reset().await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Wrong::new(
            StatusCode::CONFLICT,
            "the database was too large at the start to be kept beside the server; reset one of up to 256 MiB, or a realm",
        )),
    }
}

/// `GET /dev/snapshots`
pub(super) async fn list(Extension(desk): Extension<Arc<Desk>>) -> Json<Value> {
    Json(desk.kept().iter().map(|(name, kept)| shown(name, kept)).collect())
}

/// `POST /dev/snapshots/{name}`
pub(super) async fn keep(
    Extension(desk): Extension<Arc<Desk>>,
    Path(name): Path<String>,
) -> Result<(StatusCode, Json<Value>), Wrong> {
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
pub(super) async fn restore(
    Extension(desk): Extension<Arc<Desk>>,
    Path(name): Path<String>,
) -> Result<StatusCode, Wrong> {
    let kept = desk.kept().remove(&name).ok_or_else(|| none(&desk, &name))?;
    desk.put_back(&kept).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /dev/snapshots/{name}`
pub(super) async fn forget(
    Extension(desk): Extension<Arc<Desk>>,
    Path(name): Path<String>,
) -> Result<StatusCode, Wrong> {
    if desk.forget(&name) { Ok(StatusCode::NO_CONTENT) } else { Err(none(&desk, &name)) }
}

fn none(desk: &Desk, name: &str) -> Wrong {
    let names: Vec<_> = desk.kept().into_keys().collect();
    let there = if names.is_empty() { "none was taken".to_owned() } else { format!("there are {}", names.join(", ")) };
    Wrong::absent(format!("there is no snapshot {name}; {there}"))
}

fn shown(name: &str, kept: &Kept) -> Value {
    json!({ "name": name, "time": kept.taken_at().rfc3339(), "bytes": kept.size() })
}

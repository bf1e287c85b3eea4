//! `GET /dev/explanations/{id}`: why a request was refused, for developers. In `serve` it does not exist; there
//! `countersign explain` tells the operator.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};

use super::error_page::{not_found, wants_page};
use super::page::{Page, layout};
use super::pages::{DevExplanation, Refusal};
use super::{App, protocol_error};
use crate::domain::internal::Internal;
use crate::oauth::explanations::Record;

/// How many the start page lists.
const LISTED: i64 = 10;
/// They are written in the background: how often one that is not there is looked for, and what lies between.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(25);

/// Answers with a page, or with JSON for a program.
pub(crate) async fn get(State(app): State<App>, Path(id): Path<String>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let record = match find(&app, &id).await {
        Ok(record) => record,
        Err(internal) => return protocol_error::internal_error(&internal),
    };
    match (record, wants_page(&parts.headers)) {
        (Some(record), true) => Page::new(DevExplanation { layout: layout(&app, Some("/")), record }).into_response(),
        (Some(record), false) => Json(record).into_response(),
        (None, true) => not_found(&app, &parts),
        (None, false) => {
            let body =
                serde_json::json!({ "error": "not_found", "error_description": "no refusal has this request id" });
            (axum::http::StatusCode::NOT_FOUND, Json(body)).into_response()
        }
    }
}

async fn find(app: &App, id: &str) -> Result<Option<Record>, Internal> {
    for _ in 0..TRIES {
        match app.provider.explanations().find(id, 1).await? {
            None => return Ok(None),
            Some(found) if found.is_empty() => tokio::time::sleep(PAUSE).await,
            Some(mut found) => return Ok(found.pop()),
        }
    }
    Ok(None)
}

/// The last refusals, for the start page; none where they cannot be read.
pub(crate) async fn recent(app: &App) -> Vec<Refusal> {
    let records = app.provider.explanations().recent(LISTED).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "explanations of refusals could not be read");
        Vec::new()
    });
    let refusal = |record: Record| Refusal { href: href(app, &record.request_id), record };
    records.into_iter().map(refusal).collect()
}

/// Where the explanation of a request is.
pub(crate) fn href(app: &App, request_id: &str) -> String {
    app.href(&format!("/dev/explanations/{request_id}"))
}

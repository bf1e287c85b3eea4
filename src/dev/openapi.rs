//! The OpenAPI document of everything that is served, put together when it is asked for; and how calls of the control API describe
//! themselves in it.

use std::sync::Arc;

use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde_json::{Value, json};

use super::control::{self, code};
use super::desk::Desk;
use super::input::MEDIA;
use crate::openapi::operation::JSON;
use crate::openapi::schema::{closed, required, text, word};
use crate::openapi::{Document, Operation};
use crate::web;
use crate::web::described::{DEV, DEV_TOKEN, about};
use crate::web::map::{Map, get};

/// The document, for a server at this address.
pub fn document(server: &str) -> Value {
    let mut document = Document::default();
    web::describe(&mut document);
    control::map().describe(&mut document);
    document.finish(&about(server))
}

/// The call that has it.
pub(super) fn map() -> Map {
    Map::new().route(
        ["/dev/openapi.json"],
        get(show, |call| {
            call.control("openapi", "This document", &[]).answers_with(
                200,
                "OpenAPI 3.1.",
                JSON,
                &json!({ "type": "object" }),
            )
        }),
    )
}

/// `GET /dev/openapi.json`, for the name that the server was asked by.
async fn show(Extension(desk): Extension<Arc<Desk>>, headers: HeaderMap) -> Json<Value> {
    Json(document(desk.realm().app.base(&headers)))
}

/// A call of the control API.
pub(super) trait Call: Sized {
    /// Its name for programs, what it does, and with which statuses it may go wrong beyond what every call may.
    fn control(self, id: &str, summary: &str, wrong: &[u16]) -> Self;
    /// It takes these fields, in any of the formats.
    fn takes<T: JsonSchema>(self) -> Self;
    /// A way in which it goes wrong.
    fn fails(self, status: u16) -> Self;
}

impl Call for Operation<'_> {
    fn control(self, id: &str, summary: &str, wrong: &[u16]) -> Self {
        let call = self.named(DEV, id, summary).proven_by(&[("", &[]), (DEV_TOKEN, &[])]);
        wrong.iter().chain(&[401, 403, 500, 503]).fold(call, |call, status| call.fails(*status))
    }

    fn takes<T: JsonSchema>(self) -> Self {
        let mut call = self.fails(400).fails(413);
        let schema = call.schemas().taken::<T>();
        call.body(&MEDIA, &schema, false)
    }

    fn fails(self, status: u16) -> Self {
        let (what, code) = match status {
            400 => ("The request makes no sense.", code(StatusCode::BAD_REQUEST)),
            401 => ("COUNTERSIGN_DEV_TOKEN is set, and not shown.", code(StatusCode::UNAUTHORIZED)),
            403 => ("A page of another origin asks.", code(StatusCode::FORBIDDEN)),
            404 => ("What it is about is not there.", code(StatusCode::NOT_FOUND)),
            409 => ("Something is in the way.", code(StatusCode::CONFLICT)),
            413 => ("The body is too large.", code(StatusCode::PAYLOAD_TOO_LARGE)),
            422 => ("The bundle is wrong; every problem at once.", code(StatusCode::UNPROCESSABLE_ENTITY)),
            503 => ("The server is busy.", "temporarily_unavailable"),
            _ => ("The server's own fault; its log tells more.", code(StatusCode::INTERNAL_SERVER_ERROR)),
        };
        let wrong = closed([
            required("error", word(&[code], "What a program may act on.")),
            required("error_description", text("What was wrong and what would be right.")),
        ]);
        self.answers_with(status, what, JSON, &wrong)
    }
}

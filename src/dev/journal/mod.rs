//! `/dev/journal`: what was asked of the protocol endpoints of a realm, and what was answered, the newest thousand.

mod entry;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::RawQuery;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http_body_util::BodyExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Notify;

use self::entry::{Entry, Shown};
use super::control::Wrong;
use super::desk::Desk;
use super::exchange::{Asked, endpoints, known};
use super::faults::Rule;
use super::input::{self, Seconds, Whole};
use super::openapi::Call;
use crate::domain::time::Timestamp;
use crate::openapi::schema::optional;
use crate::web::Explained;
use crate::web::map::{self as web, get};

/// So many entries are kept, so many bytes of them, and so many of an answer.
const ENTRIES: usize = 1_000;
const BYTES: usize = 16 * 1_024 * 1_024;
const ANSWER: usize = 64 * 1_024;
/// So many are shown, where nobody says.
const LIMIT: usize = 100;
/// What stands before the name of a parameter that requests are picked by.
const PARAM: &str = "param.";
/// Nobody waits longer: requests end after thirty seconds.
const LONGEST_WAIT: i64 = 25;

/// The entries of a realm.
#[derive(Debug, Default)]
pub(super) struct Journal {
    entries: Mutex<Entries>,
    grown: Notify,
}

#[derive(Debug, Default)]
struct Entries {
    next: u64,
    bytes: usize,
    kept: VecDeque<Arc<Entry>>,
}

impl Journal {
    /// Notes an exchange, and gives the answer back whole.
    pub(super) async fn note(
        &self,
        issuer: &str,
        asked: Asked,
        at: Timestamp,
        fault: Option<&Rule>,
        response: Response,
    ) -> Response {
        let (parts, body) = response.into_parts();
        let header = |name| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (bytes, rest) = match body.collect().await {
            Ok(collected) => {
                let bytes = collected.to_bytes();
                (bytes.clone(), Body::from(bytes))
            }
            Err(_) => (bytes::Bytes::new(), Body::empty()),
        };
        let is_text = header(CONTENT_TYPE).is_some_and(|kind| kind.contains("json") || kind.contains("jwt"));
        let shown = if is_text && bytes.len() <= ANSWER { String::from_utf8_lossy(&bytes) } else { "".into() };
        let size = shown.len() + asked.size();
        let body = serde_json::from_str(&shown).unwrap_or_else(|_| Value::String(shown.into_owned()));
        let explained = parts.extensions.get::<Explained>();
        let refused =
            explained.and_then(|why| Some((why.error?.to_owned(), why.description.clone(), why.explanation.clone())));
        let entry = Entry {
            id: 0,
            at,
            issuer: issuer.to_owned(),
            asked,
            status: parts.status.as_u16(),
            request_id: header(axum::http::HeaderName::from_static("x-request-id")),
            location: header(LOCATION),
            body,
            refused,
            dropped: fault.is_some_and(Rule::drops),
            fault: fault.cloned(),
            size,
        };
        {
            let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
            entries.next += 1;
            let id = entries.next;
            entries.bytes += entry.size;
            entries.kept.push_back(Arc::new(Entry { id, ..entry }));
            while entries.kept.len() > ENTRIES || entries.bytes > BYTES {
                let Some(oldest) = entries.kept.pop_front() else { break };
                entries.bytes -= oldest.size;
            }
        }
        self.grown.notify_waiters();
        Response::from_parts(parts, rest)
    }

    /// Forgets all.
    pub(super) fn clear(&self) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        (entries.bytes, entries.kept) = (0, VecDeque::new());
    }

    fn matching(&self, wanted: &Wanted) -> Vec<Arc<Entry>> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.kept.iter().filter(|entry| wanted.matches(entry)).cloned().collect()
    }
}

/// Which entries somebody asks for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Wanted {
    /// Of this client.
    client_id: Option<String>,
    /// Of this endpoint.
    #[schemars(extend("enum" = endpoints().collect::<Vec<_>>()))]
    endpoint: Option<String>,
    /// `ok`, the code of an error, or `dropped`.
    outcome: Option<String>,
    /// With this status.
    status: Option<Whole>,
    /// After the entry of this number.
    since: Option<Whole>,
    /// The newest so many; a hundred, where nobody says.
    limit: Option<Whole>,
    /// So long until one matches, or as many as `count` says.
    #[schemars(range(min = 0, max = LONGEST_WAIT))]
    wait: Option<Seconds>,
    /// 409 where another number matches.
    count: Option<Whole>,
    #[serde(skip)]
    params: Vec<(String, String)>,
}

impl Wanted {
    fn parse(query: &str) -> Result<Self, Wrong> {
        let mut fields = Vec::new();
        let mut params = Vec::new();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()).into_owned() {
            match name.strip_prefix(PARAM) {
                Some(param) => params.push((param.to_owned(), value)),
                None => fields.push((name, value)),
            }
        }
        let wanted = Self { params, ..input::fields(fields)? };
        wanted.endpoint.as_deref().map_or(Ok(()), known)?;
        if wanted.wait.is_some_and(|wait| !(0..=LONGEST_WAIT).contains(&wait.0)) {
            return Err(Wrong::request("wait is a duration up to 25s, such as 5s"));
        }
        Ok(wanted)
    }

    fn matches(&self, entry: &Entry) -> bool {
        let has = |(name, value): &(String, String)| {
            entry.asked.params.iter().any(|(other, found)| other == name && found == value)
        };
        entry.id > self.since.map_or(0, |since| since.0)
            && entry.asked.is(self.endpoint.as_deref(), self.client_id.as_deref())
            && self.outcome.as_deref().is_none_or(|outcome| outcome == entry.outcome())
            && self.status.is_none_or(|status| status.0 == u64::from(entry.status))
            && self.params.iter().all(has)
    }
}

/// Another number of exchanges than was counted on.
#[derive(Debug, Serialize, JsonSchema)]
struct Miscounted {
    error: &'static str,
    error_description: String,
    /// What matches.
    entries: Vec<Shown>,
}

/// The calls of the journal.
pub(super) fn map() -> web::Map {
    web::Map::new().route(
        ["/dev/journal"],
        get(show, |call| {
            let params = json!({
                "type": "object", "propertyNames": { "pattern": format!("^{}", PARAM.replace('.', r"\.")) }, "additionalProperties": { "type": "string" },
                "description": "`param.NAME=VALUE` for parameters of the requests.",
            });
            call.control("journal", "What was asked of the protocol endpoints and what was answered, the newest thousand", &[400])
                .query_of::<Wanted>()
                .query([optional("params", params)])
                .answers_of::<Vec<Shown>>(200, "What matches, oldest first.")
                .answers_of::<Miscounted>(409, "Another number matches than count says.")
        })
        .delete(clear, |call| call.control("clearJournal", "Forgets all", &[]).answers(204, "It is empty.")),
    )
}

/// `GET /dev/journal`
async fn show(Extension(desk): Extension<Arc<Desk>>, RawQuery(query): RawQuery) -> Result<Response, Wrong> {
    let wanted = Wanted::parse(&query.unwrap_or_default())?;
    let size = |number: Whole| usize::try_from(number.0).unwrap_or(usize::MAX);
    let least = wanted.count.map_or(1, size);
    let enough = async {
        loop {
            let grown = desk.journal.grown.notified();
            let mut grown = std::pin::pin!(grown);
            // From here on nothing is missed.
            grown.as_mut().enable();
            if desk.journal.matching(&wanted).len() >= least {
                return;
            }
            grown.await;
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(wanted.wait.unwrap_or_default().0.unsigned_abs()), enough).await;
    let found = desk.journal.matching(&wanted);
    let newest = found.len().saturating_sub(wanted.limit.map_or(LIMIT, size));
    let entries: Vec<_> = found[newest..].iter().map(|entry| entry.shown()).collect();
    match wanted.count {
        Some(count) if size(count) != found.len() => {
            let error_description = format!("{} exchanges match, not {}", found.len(), count.0);
            let body = Miscounted { error: "conflict", error_description, entries };
            Ok((StatusCode::CONFLICT, Json(body)).into_response())
        }
        _ => Ok(Json(entries).into_response()),
    }
}

/// `DELETE /dev/journal`
async fn clear(Extension(desk): Extension<Arc<Desk>>) -> StatusCode {
    desk.journal.clear();
    StatusCode::NO_CONTENT
}

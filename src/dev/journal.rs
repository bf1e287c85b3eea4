//! `/dev/journal`: what was asked of the protocol endpoints of a realm, and what was answered, the newest thousand.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::RawQuery;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::control::Wrong;
use super::desk::Desk;
use super::exchange::{Asked, known};
use super::faults::Rule;
use super::input::seconds;
use crate::domain::time::Timestamp;
use crate::web::Explained;

/// So many entries are kept, so many bytes of them, and so many of an answer.
const ENTRIES: usize = 1_000;
const BYTES: usize = 16 * 1_024 * 1_024;
const ANSWER: usize = 64 * 1_024;
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

#[derive(Debug)]
struct Entry {
    id: u64,
    at: Timestamp,
    issuer: String,
    asked: Asked,
    status: u16,
    request_id: Option<String>,
    location: Option<String>,
    body: Value,
    /// The code of the refusal, and why.
    refused: Option<(String, String, Value)>,
    /// The fault that it suffered, and whether the answer was lost by it.
    fault: Option<Value>,
    dropped: bool,
    /// How large it is, more or less, in bytes.
    size: usize,
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
        let refused = explained.and_then(|why| {
            let explanation = serde_json::to_value(&why.explanation).unwrap_or_default();
            Some((why.error?.to_owned(), why.description.clone(), explanation))
        });
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
            fault: fault.map(|rule| serde_json::to_value(rule).unwrap_or_default()),
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
#[derive(Debug, Default)]
struct Wanted {
    client_id: Option<String>,
    endpoint: Option<String>,
    outcome: Option<String>,
    status: Option<u16>,
    since: u64,
    params: BTreeMap<String, String>,
    limit: usize,
    wait: i64,
    count: Option<usize>,
}

impl Wanted {
    fn parse(query: &str) -> Result<Self, Wrong> {
        let mut wanted = Self { limit: 100, ..Self::default() };
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()).into_owned() {
            let number = || value.parse::<usize>().map_err(|_| Wrong::request(format!("{name} is a number")));
            match &*name {
                "client_id" => wanted.client_id = Some(value),
                "endpoint" => {
                    known(&value)?;
                    wanted.endpoint = Some(value);
                }
                "outcome" => wanted.outcome = Some(value),
                "status" => wanted.status = Some(u16::try_from(number()?).unwrap_or_default()),
                "since" => wanted.since = number()? as u64,
                "limit" => wanted.limit = number()?,
                "count" => wanted.count = Some(number()?),
                "wait" => {
                    let wait = seconds(&value).filter(|wait| (0..=LONGEST_WAIT).contains(wait));
                    wanted.wait = wait.ok_or_else(|| Wrong::request("wait is a duration up to 25s, such as 5s"))?;
                }
                other => match other.strip_prefix("param.") {
                    Some(param) => drop(wanted.params.insert(param.to_owned(), value)),
                    None => {
                        return Err(Wrong::request(format!(
                            "unknown parameter {other}; there are client_id, endpoint, outcome, status, since, limit, count, wait, and \
                             param.NAME for each parameter of the request"
                        )));
                    }
                },
            }
        }
        Ok(wanted)
    }

    fn matches(&self, entry: &Entry) -> bool {
        let has = |(name, value): (&String, &String)| {
            entry.asked.params.iter().any(|(other, found)| other == name && found == value)
        };
        entry.id > self.since
            && entry.asked.is(self.endpoint.as_deref(), self.client_id.as_deref())
            && self.outcome.as_deref().is_none_or(|outcome| outcome == entry.outcome())
            && self.status.is_none_or(|status| status == entry.status)
            && self.params.iter().all(has)
    }
}

/// `GET /dev/journal`
pub(super) async fn show(Extension(desk): Extension<Arc<Desk>>, RawQuery(query): RawQuery) -> Result<Response, Wrong> {
    let wanted = Wanted::parse(&query.unwrap_or_default())?;
    let least = wanted.count.unwrap_or(1);
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
    let _ = tokio::time::timeout(Duration::from_secs(wanted.wait.unsigned_abs()), enough).await;
    let found = desk.journal.matching(&wanted);
    let newest = found.len().saturating_sub(wanted.limit);
    let entries: Vec<_> = found[newest..].iter().map(|entry| entry.shown()).collect();
    match wanted.count {
        Some(count) if count != found.len() => {
            let said = format!("{} exchanges match, not {count}", found.len());
            let body = json!({ "error": "conflict", "error_description": said, "entries": entries });
            Ok((StatusCode::CONFLICT, Json(body)).into_response())
        }
        _ => Ok(Json(entries).into_response()),
    }
}

/// `DELETE /dev/journal`
pub(super) async fn clear(Extension(desk): Extension<Arc<Desk>>) -> StatusCode {
    desk.journal.clear();
    StatusCode::NO_CONTENT
}

impl Entry {
    /// `ok`, the code of the error wherever it went, or `dropped` by a fault.
    fn outcome(&self) -> &str {
        if self.dropped {
            return "dropped";
        }
        if let Some((code, _, _)) = &self.refused {
            return code;
        }
        match self.body.get("error").and_then(Value::as_str) {
            Some(code) => code,
            None if self.status >= 400 => "error",
            None => "ok",
        }
    }

    fn shown(&self) -> Value {
        let Asked { endpoint, method, target, client_id, user, params, .. } = &self.asked;
        let mut request: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, value) in params {
            request.entry(name).or_default().push(value);
        }
        let request: serde_json::Map<_, _> = request
            .into_iter()
            .map(|(name, values)| (name.to_owned(), if let [one] = values[..] { json!(one) } else { json!(values) }))
            .collect();
        let mut shown = json!({
            "id": self.id,
            "time": self.at.rfc3339(),
            "endpoint": endpoint,
            "client_id": client_id,
            "user": user,
            "method": method.as_str(),
            "target": target,
            "parameters": request,
            "status": self.status,
            "outcome": self.outcome(),
            "location": self.location,
            "answer": self.body,
            "request_id": self.request_id,
            "curl": self.curl(),
        });
        if let Some(fault) = &self.fault {
            shown["fault"] = fault.clone();
        }
        if let Some((_, description, explanation)) = &self.refused {
            shown["why"] = json!({ "description": description, "explanation": explanation });
        }
        shown
    }

    /// The request as a line to paste; what is secret has to be filled in.
    fn curl(&self) -> String {
        let Asked { method, target, client_id, authorization, body, .. } = &self.asked;
        let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
        let origin = self.issuer.split('/').take(3).collect::<Vec<_>>().join("/");
        let mut line = format!("curl -i -X {method} {}", quoted(&format!("{origin}{target}")));
        match authorization {
            Some(basic) if basic.starts_with("Basic") => {
                let _ = write!(line, " -u {}", quoted(&format!("{}:SECRET", client_id.as_deref().unwrap_or_default())));
            }
            Some(bearer) => {
                let _ = write!(line, " -H {}", quoted(&format!("Authorization: {bearer}")));
            }
            None => {}
        }
        for (name, value) in body {
            let _ = write!(line, " --data-urlencode {}", quoted(&format!("{name}={value}")));
        }
        line
    }
}

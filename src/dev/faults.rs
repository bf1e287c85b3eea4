//! `/dev/faults`: answers that go wrong on purpose, as networks, proxies and other people's servers do.
//!
//! A rule says which requests it is for, how often, and what happens to them. The first rule that fits has its way.

use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Request};
use axum::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use bytes::Bytes;
use futures_util::stream;
use http_body_util::BodyExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::control::Wrong;
use super::desk::Desk;
use super::exchange::{Asked, endpoints, known};
use super::input::{Fraction, Input, Seconds, Switch, Whole};
use super::openapi::Call;
use crate::clock::ahead_by;
use crate::openapi::Place;
use crate::openapi::schema::{required, whole};
use crate::randomness::Randomness;
use crate::realm::Realm;
use crate::web::map::{Map, delete, get};
use crate::web::{Site, cors, guard};

/// So many rules at once; nobody waits longer than this, in seconds (requests end after thirty), nor is further ahead.
const RULES: usize = 100;
const LONGEST_DELAY: i64 = 25;
const STATUSES: RangeInclusive<u64> = 200..=599;
const LONGEST_SKEW: i64 = 10 * 365 * 86_400;
/// A drip is so many pieces at the most.
const DRIPS: usize = 64;

/// A rule, as it is given and shown.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "FaultRule")]
pub(super) struct Rule {
    /// Requests to this endpoint; without it, to any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = endpoints().collect::<Vec<_>>()))]
    endpoint: Option<String>,
    /// Requests of this client.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    /// Requests that name this user (`username`, `login_hint`).
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    /// The first request that fits and suffers is this one of those that fit; 1 is the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    nth: Option<Whole>,
    /// So many requests suffer; without it, all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    times: Option<Whole>,
    /// Between 0 and 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    probability: Option<Fraction>,

    /// Seconds before the work is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = LONGEST_DELAY))]
    delay: Option<Seconds>,
    /// The answer is this status, with `error` as its body where that is given; the work is not done.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = *STATUSES.start(), max = *STATUSES.end()))]
    status: Option<Whole>,
    /// The code of the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Seconds that `Retry-After` asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<Whole>,
    /// The connection ends without an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    drop: Option<Drop>,
    /// The answer is this text instead of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// The answer says that it is of this type.
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    /// The answer ends after so many bytes, though more were announced.
    #[serde(skip_serializing_if = "Option::is_none")]
    truncate: Option<Whole>,
    /// The answer takes so many seconds to arrive.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = LONGEST_DELAY))]
    drip: Option<Seconds>,
    /// Every key is replaced, at once and for good, before the work is done.
    #[serde(skip_serializing_if = "Switch::is_off")]
    rotate_keys: Switch,
    /// The realm's clock is ahead by so much for this request; behind where negative.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -LONGEST_SKEW, max = LONGEST_SKEW))]
    skew: Option<Seconds>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Drop {
    /// Before the work is done.
    Before,
    /// After it: the answer is lost.
    After,
}

/// The rules of a realm.
#[derive(Debug, Default)]
pub(super) struct Faults(Mutex<Rules>);

#[derive(Debug, Default)]
struct Rules {
    next: u64,
    all: Vec<Standing>,
}

#[derive(Debug)]
struct Standing {
    id: u64,
    rule: Rule,
    /// How many requests fitted, and how many suffered.
    fitted: u64,
    hits: u64,
}

impl Faults {
    /// What happens to a request.
    pub(super) fn of(&self, asked: &Asked, randomness: &Randomness) -> Option<Rule> {
        let mut rules = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rules.all.iter_mut().find_map(|standing| standing.strikes(asked, randomness).then(|| standing.rule.clone()))
    }

    /// Takes all rules away.
    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).all.clear();
    }
}

impl Standing {
    fn strikes(&mut self, asked: &Asked, randomness: &Randomness) -> bool {
        let user = self.rule.user.as_deref();
        let fits = asked.is(self.rule.endpoint.as_deref(), self.rule.client_id.as_deref())
            && user.is_none_or(|user| asked.user.as_deref() == Some(user));
        if !fits {
            return false;
        }
        self.fitted += 1;
        let due = self.fitted >= self.rule.nth.map_or(1, |nth| nth.0)
            && self.rule.times.is_none_or(|Whole(times)| self.hits < times)
            && self.rule.probability.is_none_or(|Fraction(probability)| fraction(randomness) < probability);
        self.hits += u64::from(due);
        due
    }

    fn shown(&self) -> Shown {
        Shown { rule: self.rule.clone(), id: self.id, hits: self.hits }
    }
}

/// A rule in force.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Fault")]
struct Shown {
    #[serde(flatten)]
    rule: Rule,
    /// Its number.
    id: u64,
    /// How many requests suffered.
    hits: u64,
}

/// The calls of faults.
pub(super) fn map() -> Map {
    Map::new()
        .route(
            ["/dev/faults"],
            get(list, |call| {
                call.control("faults", "The rules, each with its hits", &[])
                    .answers_of::<Vec<Shown>>(200, "The rules in order; the first that fits has its way.")
            })
            .post(add, |call| {
                call.control("addFault", "Has requests go wrong", &[409])
                    .explained("The fields say which requests, how often, and at least one thing that happens to them.")
                    .takes::<Rule>()
                    .answers_of::<Shown>(201, "The rule.")
            })
            .delete(clear, |call| {
                call.control("clearFaults", "Takes all rules away", &[]).answers(204, "There is none.")
            }),
        )
        .route(
            ["/dev/faults/{id}"],
            delete(remove, |call| {
                call.control("removeFault", "Takes a rule away", &[404])
                    .parameter(Place::Path, required("id", whole("Its number.")))
                    .answers(204, "It is gone.")
            }),
        )
}

impl Rule {
    fn check(&self) -> Result<(), Wrong> {
        self.endpoint.as_deref().map_or(Ok(()), known)?;
        if self.status.is_some_and(|status| !STATUSES.contains(&status.0)) {
            return Err(Wrong::request("status is between 200 and 599"));
        }
        if self.error.is_some() && self.status.is_none() {
            return Err(Wrong::request("error goes with a status"));
        }
        if self.nth == Some(Whole(0)) || self.times == Some(Whole(0)) {
            return Err(Wrong::request("nth and times count from 1"));
        }
        let waits = [self.delay, self.drip].into_iter().flatten();
        if waits.into_iter().any(|wait| !(0..=LONGEST_DELAY).contains(&wait.0)) {
            return Err(Wrong::request("delay and drip are between 0 and 25 seconds"));
        }
        if self.skew.is_some_and(|skew| !(-LONGEST_SKEW..=LONGEST_SKEW).contains(&skew.0)) {
            return Err(Wrong::request("skew is ten years at the most"));
        }
        if self.content_type.as_deref().is_some_and(|kind| HeaderValue::from_str(kind).is_err()) {
            return Err(Wrong::request("content_type cannot be sent as a header"));
        }
        let does_something = self.delay.is_some()
            || self.status.is_some()
            || self.drop.is_some()
            || self.body.is_some()
            || self.content_type.is_some()
            || self.truncate.is_some()
            || self.drip.is_some()
            || self.skew.is_some()
            || self.rotate_keys.0;
        if does_something {
            return Ok(());
        }
        Err(Wrong::request(
            "say what happens: delay, status (with error, retry_after), drop, body, content_type, truncate, drip, rotate_keys or skew",
        ))
    }

    /// The rule, where its requests get no answer.
    pub(super) const fn drops(&self) -> bool {
        self.drop.is_some()
    }

    /// What is done and answered under the rule. Its way out is [`Rule::send`].
    pub(super) async fn strike(
        &self,
        realm: &Realm,
        site: Site,
        asked: &Asked,
        request: Request,
    ) -> Result<Response, Wrong> {
        if let Some(Seconds(seconds)) = self.delay {
            tokio::time::sleep(Duration::from_secs(seconds.unsigned_abs())).await;
        }
        if self.rotate_keys.0 {
            let (keys, now) = (realm.provider.registry().keys(), realm.clock.now());
            for key in realm.store.signing_keys().await? {
                keys.retire(&key.kid, now).await?;
            }
            realm.provider.registry().expire();
        }
        if self.drop == Some(Drop::Before) {
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
        if let Some(status) = self.status {
            let headers = request.headers().clone();
            let made_up = tower::service_fn(|_| async { Ok(self.made_up(status.0)) });
            let response = guard::guard(&realm.app, made_up, request).await;
            return Ok(cors::for_client(&realm.app, &headers, asked.client_id.as_deref(), response).await);
        }
        Ok(ahead_by(self.skew.unwrap_or_default().0, site.answer(request)).await)
    }

    fn made_up(&self, status: u64) -> Response {
        let status = u16::try_from(status).ok().and_then(|status| StatusCode::from_u16(status).ok());
        let told = self.error.as_ref().map(|error| {
            Json(json!({ "error": error, "error_description": "a fault of the control API" })).into_response()
        });
        let mut response = told.unwrap_or_else(|| StatusCode::OK.into_response());
        *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if let Some(Whole(seconds)) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }

    /// Changes an answer on its way out.
    pub(super) async fn send(self, response: Response) -> Response {
        if self.drops() {
            return dropped();
        }
        let (mut parts, body) = response.into_parts();
        let own = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let bytes = self.body.map_or(own, Bytes::from);
        if let Some(kind) = self.content_type.as_deref().and_then(|kind| HeaderValue::from_str(kind).ok()) {
            parts.headers.insert(CONTENT_TYPE, kind);
        }
        announce(&mut parts.headers, bytes.len());
        let cut =
            self.truncate.and_then(|length| usize::try_from(length.0).ok()).filter(|length| *length < bytes.len());
        let shown = bytes.slice(..cut.unwrap_or(bytes.len()));
        let size = if self.drip.is_some() { shown.len().div_ceil(DRIPS) } else { shown.len() }.max(1);
        let pieces = u32::try_from(shown.len().div_ceil(size).max(1)).unwrap_or(u32::MAX);
        let pause = Duration::from_secs(self.drip.unwrap_or_default().0.unsigned_abs()) / pieces;
        let mut rest: Vec<Result<Bytes, std::io::Error>> =
            shown.chunks(size).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        if cut.is_some() {
            rest.push(Err(std::io::Error::other("cut short on purpose")));
        }
        let dripping = stream::unfold(rest.into_iter(), move |mut rest| async move {
            let piece = rest.next()?;
            tokio::time::sleep(pause).await;
            Some((piece, rest))
        });
        Response::from_parts(parts, Body::from_stream(dripping))
    }
}

fn announce(headers: &mut HeaderMap, length: usize) {
    headers.insert(axum::http::header::CONTENT_LENGTH, HeaderValue::from(length));
}

/// An answer that ends its connection before a byte of it is sent.
fn dropped() -> Response {
    let end = stream::once(async { Err::<Bytes, _>(std::io::Error::other("dropped on purpose")) });
    Response::new(Body::from_stream(end))
}

/// A number in [0, 1).
fn fraction(randomness: &Randomness) -> f64 {
    let bits = u32::from_be_bytes(randomness.bytes("faults"));
    f64::from(bits) / (f64::from(u32::MAX) + 1.0)
}

/// `POST /dev/faults`
async fn add(
    Extension(desk): Extension<Arc<Desk>>,
    Input(rule): Input<Rule>,
) -> Result<(StatusCode, Json<Shown>), Wrong> {
    rule.check()?;
    let mut rules = desk.faults.0.lock().unwrap_or_else(PoisonError::into_inner);
    if rules.all.len() >= RULES {
        return Err(Wrong::new(StatusCode::CONFLICT, format!("there are {RULES} faults already; DELETE some first")));
    }
    rules.next += 1;
    let standing = Standing { id: rules.next, rule, fitted: 0, hits: 0 };
    let shown = standing.shown();
    rules.all.push(standing);
    Ok((StatusCode::CREATED, Json(shown)))
}

/// `GET /dev/faults`
async fn list(Extension(desk): Extension<Arc<Desk>>) -> Json<Vec<Shown>> {
    let rules = desk.faults.0.lock().unwrap_or_else(PoisonError::into_inner);
    Json(rules.all.iter().map(Standing::shown).collect())
}

/// `DELETE /dev/faults`
async fn clear(Extension(desk): Extension<Arc<Desk>>) -> StatusCode {
    desk.faults.clear();
    StatusCode::NO_CONTENT
}

/// `DELETE /dev/faults/{id}`
async fn remove(Extension(desk): Extension<Arc<Desk>>, Path(id): Path<String>) -> Result<StatusCode, Wrong> {
    let mut rules = desk.faults.0.lock().unwrap_or_else(PoisonError::into_inner);
    let before = rules.all.len();
    rules.all.retain(|standing| standing.id.to_string() != id);
    match rules.all.len() < before {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Wrong::absent(format!("there is no fault {id}"))),
    }
}

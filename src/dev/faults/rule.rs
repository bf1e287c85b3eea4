//! What a rule of faults says, and how it is done to a request.

use std::ops::RangeInclusive;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http_body_util::BodyExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::clock::ahead_by;
use crate::dev::control::Wrong;
use crate::dev::exchange::{Asked, endpoints, known};
use crate::dev::input::{Fraction, Seconds, Switch, Whole};
use crate::realm::Realm;
use crate::web::{Site, cors, guard};

/// Nobody waits longer than this, in seconds (requests end after thirty), nor is further ahead.
const LONGEST_DELAY: i64 = 25;
const STATUSES: RangeInclusive<u64> = 200..=599;
const LONGEST_SKEW: i64 = 10 * 365 * 86_400;
/// A drip is so many pieces at the most.
const DRIPS: usize = 64;

/// A rule, as it is given and shown.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "FaultRule")]
pub(in crate::dev) struct Rule {
    /// Requests to this endpoint; without it, to any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = endpoints().collect::<Vec<_>>()))]
    pub(super) endpoint: Option<String>,
    /// Requests of this client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) client_id: Option<String>,
    /// Requests that name this user (`username`, `login_hint`), or show their code, token or login.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user: Option<String>,
    /// The first request that fits and suffers is this one of those that fit; 1 is the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub(super) nth: Option<Whole>,
    /// So many requests suffer; without it, all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub(super) times: Option<Whole>,
    /// Between 0 and 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) probability: Option<Fraction>,

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

impl Rule {
    /// Refuses what makes no sense.
    pub(super) fn check(&self) -> Result<(), Wrong> {
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
    pub(in crate::dev) const fn drops(&self) -> bool {
        self.drop.is_some()
    }

    /// What is done and answered under the rule. Its way out is [`Rule::send`].
    pub(in crate::dev) async fn strike(
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
    pub(in crate::dev) async fn send(self, response: Response) -> Response {
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

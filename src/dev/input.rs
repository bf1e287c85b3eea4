//! What control calls are given: JSON, YAML or a form, whatever a `curl` line sends most easily.

use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::control::Wrong;
use crate::domain::time::Timestamp;
use crate::resources::format;
use crate::web::body::{DOCUMENT_BODY, media_type, whole};

/// Seconds of the years 1970 to 9999, beyond which dates cannot be written.
const TIMES: std::ops::RangeInclusive<i64> = 0..=253_402_300_799;

/// The fields of a call, read strictly: one that is not known is an error that names those that are.
pub(super) struct Input<T>(pub(super) T);

/// The body of a call as text.
pub(super) struct Text {
    pub(super) text: String,
    /// Whether it is JSON rather than YAML.
    pub(super) json: bool,
}

impl<S: Send + Sync> FromRequest<S> for Text {
    type Rejection = Wrong;

    async fn from_request(request: Request, _: &S) -> Result<Self, Wrong> {
        let declared = media_type(request.headers()).ends_with("json");
        let bytes = whole(request, DOCUMENT_BODY).await.map_err(|status| match status {
            StatusCode::PAYLOAD_TOO_LARGE => Wrong::new(status, "the body is larger than 4 MiB"),
            status => Wrong::new(status, "the body could not be read"),
        })?;
        let text = String::from_utf8(bytes.into()).map_err(|_| Wrong::request("the body is not UTF-8"))?;
        let json = declared || text.trim_start().starts_with(['{', '[']);
        Ok(Self { text, json })
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Input<T> {
    type Rejection = Wrong;

    async fn from_request(request: Request, state: &S) -> Result<Self, Wrong> {
        let form = media_type(request.headers()) == "application/x-www-form-urlencoded";
        let Text { text, json } = Text::from_request(request, state).await?;
        let value = if text.trim().is_empty() {
            Ok(Value::Object(serde_json::Map::new()))
        } else if json {
            format::json(&text).map_err(|error| error.to_string())
        } else if form {
            Ok(from_form(&text))
        } else {
            format::yaml(&text).map_err(|error| error.to_string())
        };
        let value = value.map_err(|error| Wrong::request(format!("the body cannot be read: {error}")))?;
        if !value.is_object() {
            return Err(Wrong::request("the body is expected to have named fields"));
        }
        serde_json::from_value(value).map(Self).map_err(|error| Wrong::request(error.to_string()))
    }
}

/// The fields of a form; one that is there twice is a list.
fn from_form(text: &str) -> Value {
    let mut fields = serde_json::Map::new();
    for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
        let value = Value::from(value.into_owned());
        match fields.get_mut(&*name) {
            None => drop(fields.insert(name.into_owned(), value)),
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    Value::Object(fields)
}

/// `true`, or the same as a form has it.
pub(super) fn switch<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Bool(on) => Ok(on),
        Value::String(text) if text == "true" => Ok(true),
        Value::String(text) if text == "false" => Ok(false),
        other => Err(D::Error::custom(format!("{other} is neither true nor false"))),
    }
}

/// The same where it may be absent.
pub(super) fn perhaps<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    switch(deserializer).map(Some)
}

/// A whole number, or the same as a form has it.
pub(super) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    number.map(Some).ok_or_else(|| D::Error::custom(format!("{value} is no whole number")))
}

/// A number between 0 and 1, or the same as a form has it.
pub(super) fn fraction<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let number = value.as_f64().or_else(|| value.as_str()?.parse().ok());
    let number = number.filter(|number| (0.0..=1.0).contains(number));
    number.map(Some).ok_or_else(|| D::Error::custom(format!("{value} is no number between 0 and 1")))
}

/// Seconds, or a duration such as `90s`, `1h 30m`, `-2 days`.
pub(super) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let wrong =
        |text: String| D::Error::custom(format!("{text} is no duration: write seconds, or 90s, 1h 30m, -2 days"));
    match Value::deserialize(deserializer)? {
        Value::Number(number) => number.as_i64().map(Some).ok_or_else(|| wrong(number.to_string())),
        Value::String(text) => seconds(&text).map(Some).ok_or_else(|| wrong(text)),
        other => Err(wrong(other.to_string())),
    }
}

/// The seconds of a duration as people write it.
pub(super) fn seconds(text: &str) -> Option<i64> {
    let hours = |text: &str| text.parse::<jiff::SignedDuration>().ok().map(|span| span.as_secs());
    text.parse().ok().or_else(|| hours(text)).or_else(|| {
        // Days are always 24 hours here.
        let days = text.trim_end_matches('s').trim_end_matches("day").trim_end_matches('d').trim();
        let ends_in_days = days.len() < text.len();
        days.parse::<i64>().ok().filter(|_| ends_in_days).and_then(|days| days.checked_mul(86_400))
    })
}

/// Seconds since 1970, or a date such as `2030-01-01T00:00:00Z`.
pub(super) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let seconds = match &value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => {
            text.parse().ok().or_else(|| text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second))
        }
        _ => None,
    };
    let seconds = seconds.filter(|seconds| TIMES.contains(seconds));
    seconds.map(|seconds| Some(Timestamp(seconds))).ok_or_else(|| {
        D::Error::custom(format!("{value} is no time: write 2030-01-01T00:00:00Z, or seconds since 1970"))
    })
}

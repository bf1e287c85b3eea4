//! What control calls are given: JSON, YAML or a form, whatever a `curl` line sends most easily.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use schemars::JsonSchema;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::control::Wrong;
use crate::domain::time::Timestamp;
use crate::resources::format;
use crate::web::body::{DOCUMENT_BODY, media_type, whole};

/// Seconds of the years 1970 to 9999, beyond which dates cannot be written.
const TIMES: std::ops::RangeInclusive<i64> = 0..=253_402_300_799;

/// The fields of a call, read strictly: one that is not known is an error that names those that are.
pub(super) struct Input<T>(pub(super) T);

/// The media types of calls.
pub(super) const MEDIA: [&str; 3] = ["application/json", "application/x-www-form-urlencoded", "text/yaml"];

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
            Ok(from_pairs(url::form_urlencoded::parse(text.as_bytes()).into_owned()))
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

/// The parameters of a call's query, read as strictly.
pub(super) struct Query<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Wrong;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Wrong> {
        let pairs = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned();
        fields(pairs).map(Self)
    }
}

/// Names and values as the fields of a type.
pub(super) fn fields<T: DeserializeOwned>(pairs: impl IntoIterator<Item = (String, String)>) -> Result<T, Wrong> {
    serde_json::from_value(from_pairs(pairs)).map_err(|error| Wrong::request(error.to_string()))
}

/// The fields of a form; one that is there twice is a list.
fn from_pairs(pairs: impl IntoIterator<Item = (String, String)>) -> Value {
    let mut fields = serde_json::Map::new();
    for (name, value) in pairs {
        let value = Value::from(value);
        match fields.get_mut(&name) {
            None => drop(fields.insert(name, value)),
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    Value::Object(fields)
}

/// `true`, or the same as a form has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline, extend("type" = ["boolean", "string"], "enum" = [true, false, "true", "false"]))]
pub(super) struct Switch(pub(super) bool);

impl Switch {
    /// Whether it goes without saying.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
    pub(super) const fn is_off(&self) -> bool {
        !self.0
    }
}

impl<'de> Deserialize<'de> for Switch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Bool(on) => Ok(Self(on)),
            Value::String(text) if text == "true" => Ok(Self(true)),
            Value::String(text) if text == "false" => Ok(Self(false)),
            other => Err(D::Error::custom(format!("{other} is neither true nor false"))),
        }
    }
}

/// A whole number, or the same as a form has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline, extend("type" = ["integer", "string"], "pattern" = "^[0-9]+$"))]
pub(super) struct Whole(pub(super) u64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
        number.map(Self).ok_or_else(|| D::Error::custom(format!("{value} is no whole number")))
    }
}

/// A number between 0 and 1, or the same as a form has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline, extend("type" = ["number", "string"], "minimum" = 0, "maximum" = 1))]
pub(super) struct Fraction(pub(super) f64);

impl<'de> Deserialize<'de> for Fraction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let number = value.as_f64().or_else(|| value.as_str()?.parse().ok());
        let number = number.filter(|number| (0.0..=1.0).contains(number));
        number.map(Self).ok_or_else(|| D::Error::custom(format!("{value} is no number between 0 and 1")))
    }
}

/// Seconds, or a duration such as `90s`, `1h 30m`, `-2 days`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline, extend("type" = ["integer", "string"], "examples" = [90, "90s", "1h 30m", "-2 days"]))]
pub(super) struct Seconds(pub(super) i64);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong =
            |text: String| D::Error::custom(format!("{text} is no duration: write seconds, or 90s, 1h 30m, -2 days"));
        match Value::deserialize(deserializer)? {
            Value::Number(number) => number.as_i64().map(Self).ok_or_else(|| wrong(number.to_string())),
            Value::String(text) => Self::parse(&text).ok_or_else(|| wrong(text)),
            other => Err(wrong(other.to_string())),
        }
    }
}

impl Seconds {
    /// The seconds of a duration as people write it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let hours = |text: &str| text.parse::<jiff::SignedDuration>().ok().map(|span| span.as_secs());
        let seconds = text.parse().ok().or_else(|| hours(text)).or_else(|| {
            // Days are always 24 hours here.
            let days = text.trim_end_matches('s').trim_end_matches("day").trim_end_matches('d').trim();
            let ends_in_days = days.len() < text.len();
            days.parse::<i64>().ok().filter(|_| ends_in_days).and_then(|days| days.checked_mul(86_400))
        });
        seconds.map(Self)
    }
}

/// Seconds since 1970, or a date such as `2030-01-01T00:00:00Z`.
#[derive(Clone, Copy, Debug, JsonSchema)]
#[schemars(inline, extend("type" = ["integer", "string"], "minimum" = TIMES.start(), "maximum" = TIMES.end()))]
pub(super) struct Moment(pub(super) Timestamp);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let seconds = match &value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => {
                text.parse().ok().or_else(|| text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second))
            }
            _ => None,
        };
        seconds.filter(|seconds| TIMES.contains(seconds)).map(|seconds| Self(Timestamp(seconds))).ok_or_else(|| {
            D::Error::custom(format!("{value} is no time: write 2030-01-01T00:00:00Z, or seconds since 1970"))
        })
    }
}

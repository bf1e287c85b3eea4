//! `/dev/clock`: what a realm takes for the present. Everything that knows time asks this clock.

use std::sync::Arc;

use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};

use super::control::Wrong;
use super::desk::Desk;
use super::input::{self, Input};
use crate::clock::Clock;
use crate::domain::time::Timestamp;

/// Further than this no clock goes: 9999-12-31.
const END: Timestamp = Timestamp(253_402_300_799);

/// How many batches of expired rows are removed after a turn; the rest goes in the background.
const SWEEPS: usize = 20;

/// What to do with the clock, in this order.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Turn {
    /// Back to the system's time, running.
    #[serde(deserialize_with = "input::switch")]
    reset: bool,
    /// Show this time.
    #[serde(deserialize_with = "input::time")]
    set: Option<Timestamp>,
    /// Go forward by so much, or back.
    #[serde(deserialize_with = "input::duration")]
    advance: Option<i64>,
    /// Stand still.
    #[serde(deserialize_with = "input::switch")]
    freeze: bool,
    /// Run.
    #[serde(deserialize_with = "input::switch")]
    unfreeze: bool,
}

/// `GET /dev/clock`
pub(super) async fn show(Extension(desk): Extension<Arc<Desk>>) -> Json<Value> {
    Json(shown(&desk.realm().clock))
}

/// `POST /dev/clock`
pub(super) async fn turn(
    Extension(desk): Extension<Arc<Desk>>,
    Input(turn): Input<Turn>,
) -> Result<Json<Value>, Wrong> {
    let realm = desk.realm();
    let clock = &realm.clock;
    if turn.freeze && turn.unfreeze {
        return Err(Wrong::request("freeze and unfreeze exclude each other"));
    }
    let from = turn.set.unwrap_or_else(|| clock.now());
    let target = from.plus(turn.advance.unwrap_or_default());
    if target < Timestamp(0) || target > END {
        return Err(Wrong::request("the clock goes from 1970 to 9999"));
    }
    if turn.reset {
        clock.reset();
    }
    if let Some(time) = turn.set {
        clock.set(time);
    }
    if let Some(seconds) = turn.advance {
        clock.advance(seconds);
    }
    if turn.freeze {
        clock.freeze();
    }
    if turn.unfreeze {
        clock.unfreeze();
    }
    // What has expired by now goes at once, as it would have gone in the time between.
    for _ in 0..SWEEPS {
        if realm.sweep().await? == 0 {
            break;
        }
    }
    Ok(Json(shown(clock)))
}

fn shown(clock: &Clock) -> Value {
    let now = clock.now();
    json!({ "now": now.0, "time": now.rfc3339(), "frozen": clock.is_frozen(), "ahead": clock.ahead() })
}

//! `/dev/clock`: what a realm takes for the present. Everything that knows time asks this clock.

use std::sync::Arc;

use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::control::Wrong;
use super::desk::Desk;
use super::input::{Input, Moment, Seconds, Switch};
use super::openapi::Call;
use crate::clock::Clock;
use crate::domain::time::Timestamp;
use crate::web::map::{Map, get};

/// Further than this no clock goes: 9999-12-31.
const END: Timestamp = Timestamp(253_402_300_799);

/// How many batches of expired rows are removed after a turn; the rest goes in the background.
const SWEEPS: usize = 20;

/// What to do with the clock, in this order.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "ClockTurn")]
pub(super) struct Turn {
    /// Back to the system's time, running.
    reset: Switch,
    /// Show this time.
    set: Option<Moment>,
    /// Go forward by so much, or back.
    advance: Option<Seconds>,
    /// Stand still.
    freeze: Switch,
    /// Run.
    unfreeze: Switch,
}

/// What a realm takes for the present.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Clock")]
pub(super) struct Shown {
    /// Seconds since 1970.
    now: Timestamp,
    /// The same as a date.
    time: String,
    /// Whether it stands still.
    frozen: bool,
    /// By how many seconds it is ahead of the system's.
    ahead: i64,
}

/// The calls of the clock.
pub(super) fn map() -> Map {
    Map::new().route(
        ["/dev/clock"],
        get(show, |call| {
            call.control("clock", "What the realm takes for the present", &[]).answers_of::<Shown>(200, "The clock.")
        })
        .post(turn, |call| {
            call.control("turnClock", "Turns the clock, which everything that knows time follows", &[])
                .takes::<Turn>()
                .answers_of::<Shown>(200, "The clock as it is now.")
        }),
    )
}

/// `GET /dev/clock`
async fn show(Extension(desk): Extension<Arc<Desk>>) -> Json<Shown> {
    Json(shown(&desk.realm().clock))
}

/// `POST /dev/clock`
async fn turn(Extension(desk): Extension<Arc<Desk>>, Input(turn): Input<Turn>) -> Result<Json<Shown>, Wrong> {
    let realm = desk.realm();
    let clock = &realm.clock;
    if turn.freeze.0 && turn.unfreeze.0 {
        return Err(Wrong::request("freeze and unfreeze exclude each other"));
    }
    let from = turn.set.map_or_else(|| clock.now(), |set| set.0);
    let target = from.plus(turn.advance.unwrap_or_default().0);
    if target < Timestamp(0) || target > END {
        return Err(Wrong::request("the clock goes from 1970 to 9999"));
    }
    if turn.reset.0 {
        clock.reset();
    }
    if let Some(Moment(time)) = turn.set {
        clock.set(time);
    }
    if let Some(Seconds(seconds)) = turn.advance {
        clock.advance(seconds);
    }
    if turn.freeze.0 {
        clock.freeze();
    }
    if turn.unfreeze.0 {
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

fn shown(clock: &Clock) -> Shown {
    let now = clock.now();
    Shown { now, time: now.rfc3339(), frozen: clock.is_frozen(), ahead: clock.ahead() }
}

//! `/dev/faults`: answers that go wrong on purpose, as networks, proxies and other people's servers do.
//!
//! A [`rule`] says which requests it is for, how often, and what happens to them. The first that fits has its way.

mod rule;

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::Path;
use axum::http::StatusCode;
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::Serialize;

pub(super) use self::rule::Rule;
use super::control::Wrong;
use super::desk::Desk;
use super::exchange::Asked;
use super::input::{Fraction, Input, Whole};
use super::openapi::Call;
use crate::openapi::Place;
use crate::openapi::schema::{required, whole};
use crate::randomness::Randomness;
use crate::web::map::{Map, delete, get};

/// So many rules at once.
const RULES: usize = 100;

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

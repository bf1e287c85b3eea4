//! `/dev/realms`: isolated issuers in this process, for a test each.
//!
//! A realm has its own path, keys, clients, users, clock and store (SQLite in memory, whatever the server's own is). A new one begins
//! with an image of an empty database, or of one that holds what the server itself began with, so that it takes no time.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::OnceCell;

use super::Desks;
use super::control::Wrong;
use super::desk::{Desk, Stay};
use super::input::{Query, Seconds, Text};
use super::openapi::Call;
use crate::config::Issuer;
use crate::openapi::operation::JSON;
use crate::openapi::schema::{required, text, uri};
use crate::openapi::{Operation, Place};
use crate::randomness::Randomness;
use crate::realm::{self, Common, Contents, Error, Realm, SlowKeys};
use crate::resources::bundle;
use crate::store::snapshot::Snapshot;
use crate::store::{Location, Store};
use crate::web::map::{Map, get};

/// Where realms are, below the path of the server's own issuer.
const PREFIX: &str = "/realms/";
/// So many at once.
const MOST: usize = 4_096;
/// What they may be called, as the OpenAPI document has it.
const NAME: &str = "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$";
/// How long a realm stays that nobody uses, where nobody says; and how long it may.
const USUAL_IDLE: i64 = 1_800;
const IDLE: RangeInclusive<i64> = 1..=7 * 86_400;

/// All realms but the server's own.
#[derive(Default)]
pub(super) struct Realms {
    desks: RwLock<HashMap<String, Arc<Desk>>>,
    empty: OnceCell<Snapshot>,
    own: OnceCell<Snapshot>,
}

impl Realms {
    /// The realm that a path leads to: below `base`, the path of the server's own, or in the place of RFC 8414 §3.1.
    pub(super) fn of_path(&self, base: &str, path: &str) -> Option<Arc<Desk>> {
        let below = path.strip_prefix("/.well-known/oauth-authorization-server").unwrap_or(path);
        let name = below.strip_prefix(base)?.strip_prefix(PREFIX)?.split('/').next()?;
        self.desks.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Ends those that nobody uses.
    pub(super) async fn end_idle(&self) {
        self.end_where(Desk::is_idle).await;
    }

    /// Ends all.
    pub(super) async fn end_all(&self) {
        self.end_where(|_| true).await;
    }

    async fn end_where(&self, ends: impl Fn(&Desk) -> bool) {
        let mut ended = Vec::new();
        self.desks.write().unwrap_or_else(PoisonError::into_inner).retain(|_, desk| {
            let stays = !ends(desk);
            if !stays {
                ended.push(Arc::clone(desk));
            }
            stays
        });
        for desk in ended {
            desk.end().await;
        }
    }

    /// An empty database.
    async fn empty(&self) -> Result<&Snapshot, Error> {
        let make = async || {
            let store = Store::open(&Location::SqliteMemory).await?;
            store.migrate().await?;
            let image = store.snapshot().await?;
            store.close().await;
            Ok::<_, Error>(image)
        };
        self.empty.get_or_try_init(make).await
    }

    /// One that holds the resources that the server began with, and no keys.
    async fn own(&self, common: &Common, issuer: &Issuer) -> Result<&Snapshot, Error> {
        let make = async || {
            let store = Store::in_memory(self.empty().await?).await?;
            let clock = common.settings().starting_clock();
            let documents = common.documents(store.clone(), common.randomness(issuer, &clock));
            realm::begin(common.settings(), &documents, issuer, clock.now()).await?;
            let image = store.snapshot().await?;
            store.close().await;
            Ok(image)
        };
        self.own.get_or_try_init(make).await
    }

    fn take_name(&self, name: &str, desk: &Arc<Desk>) -> Result<(), Wrong> {
        let mut desks = self.desks.write().unwrap_or_else(PoisonError::into_inner);
        if desks.contains_key(name) {
            return Err(Wrong::new(StatusCode::CONFLICT, format!("there is a realm {name} already; DELETE it first")));
        }
        if desks.len() >= MOST {
            return Err(Wrong::new(
                StatusCode::CONFLICT,
                format!("there are {MOST} realms already; DELETE some first"),
            ));
        }
        desks.insert(name.to_owned(), Arc::clone(desk));
        Ok(())
    }

    fn find(&self, name: &str) -> Result<Arc<Desk>, Wrong> {
        let found = self.desks.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        found.ok_or_else(|| Wrong::absent(format!("there is no realm {name}; one that nobody uses goes by itself")))
    }
}

/// What a new realm is to be.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Asked {
    /// Its name, which is a part of its issuer; else one is made.
    #[schemars(regex(pattern = NAME))]
    name: Option<String>,
    /// After how long it goes that nobody uses; half an hour, where nobody says.
    #[schemars(range(min = *IDLE.start(), max = *IDLE.end()))]
    idle: Option<Seconds>,
}

/// A realm.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Realm")]
struct Shown {
    /// Its name.
    name: String,
    /// Its issuer: what applications are given.
    issuer: String,
    /// Where its metadata is.
    discovery: String,
    /// Where its own control API is.
    control: String,
}

/// The calls of realms.
pub(super) fn map() -> Map {
    Map::new()
        .route(
            ["/dev/realms"],
            get(list, |call| call.control("realms", "The realms", &[]).answers_of::<Vec<Shown>>(200, "By name.")).post(
                found,
                |call| {
                    let bundle =
                        json!({ "description": "Resources; where there are none, those that the server began with." });
                    call.control(
                        "foundRealm",
                        "Founds a realm: an issuer with its own keys, documents, clock and store",
                        &[400, 409, 413, 422],
                    )
                    .query_of::<Asked>()
                    .body(&["text/yaml", JSON], &bundle, false)
                    .answers_of::<Shown>(201, "It is there.")
                    .with_header(201, "Location", uri("Where it is shown."))
                },
            ),
        )
        .route(
            ["/dev/realms/{name}"],
            get(show, |call| of_name(call.control("realm", "A realm", &[404])).answers_of::<Shown>(200, "The realm."))
                .delete(end, |call| {
                    of_name(call.control("endRealm", "Ends a realm", &[404])).answers(204, "It is gone.")
                }),
        )
}

fn of_name(call: Operation<'_>) -> Operation<'_> {
    call.parameter(Place::Path, required("name", text("Its name.")))
}

/// `POST /dev/realms?name=…&idle=…`, with a bundle (YAML or JSON) in the body or nothing.
async fn found(Extension(desks): Extension<Desks>, Query(asked): Query<Asked>, body: Text) -> Result<Response, Wrong> {
    let inner = &*desks.0;
    let main = inner.main.realm();
    let (name, stay) = asked.name_and_stay(main.provider.randomness())?;
    let issuer = main.issuer.join(&format!("{PREFIX}{name}"));
    let (mut items, mut problems) = (Vec::new(), Vec::new());
    if !body.text.trim().is_empty() {
        bundle::parse("bundle", &body.text, body.json, &|_| None, &mut items, &mut problems);
    }
    if !problems.is_empty() {
        return Err(Error::Bundle(problems).into());
    }
    let (image, contents) = match items.is_empty() {
        true => (inner.realms.own(&inner.common, &main.issuer).await?, Contents::Stored),
        false => (inner.realms.empty().await?, Contents::Items(&items)),
    };
    let store = Store::in_memory(image).await?;
    let clock = inner.common.settings().starting_clock();
    let realm = Realm::found(&inner.common, issuer, clock, store, contents, SlowKeys::OnDemand).await?;
    let desk = Arc::new(Desk::open(inner.common.clone(), realm, stay).await?);
    if let Err(wrong) = inner.realms.take_name(&name, &desk) {
        desk.end().await;
        return Err(wrong);
    }
    let shown = shown(&name, &desk);
    let location = [(LOCATION, format!("{}/dev/realms/{name}", main.issuer))];
    Ok((StatusCode::CREATED, location, Json(shown)).into_response())
}

/// `GET /dev/realms`
async fn list(Extension(desks): Extension<Desks>) -> Json<Vec<Shown>> {
    let desks = desks.0.realms.desks.read().unwrap_or_else(PoisonError::into_inner);
    let mut all: Vec<_> = desks.iter().collect();
    all.sort_by_key(|(name, _)| *name);
    Json(all.into_iter().map(|(name, desk)| shown(name, desk)).collect())
}

/// `GET /dev/realms/{name}`
async fn show(Extension(desks): Extension<Desks>, Path(name): Path<String>) -> Result<Json<Shown>, Wrong> {
    Ok(Json(shown(&name, &*desks.0.realms.find(&name)?)))
}

/// `DELETE /dev/realms/{name}`
async fn end(Extension(desks): Extension<Desks>, Path(name): Path<String>) -> Result<StatusCode, Wrong> {
    let desk = desks.0.realms.find(&name)?;
    desks.0.realms.desks.write().unwrap_or_else(PoisonError::into_inner).remove(&name);
    desk.end().await;
    Ok(StatusCode::NO_CONTENT)
}

impl Asked {
    fn name_and_stay(self, randomness: &Randomness) -> Result<(String, Stay), Wrong> {
        let name =
            self.name.unwrap_or_else(|| format!("{:012x}", u64::from_be_bytes(randomness.bytes("realms")) >> 16));
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > 64 || !name.chars().all(is_plain) || name.starts_with('.') {
            return Err(Wrong::request(
                "a realm's name has up to 64 letters, digits, '-', '_' and '.', and no '.' in front",
            ));
        }
        let idle = self.idle.map_or(USUAL_IDLE, |idle| idle.0);
        if !IDLE.contains(&idle) {
            return Err(Wrong::request("idle is a duration up to 7 days, such as 600 or 10m"));
        }
        Ok((name, Stay::WhileUsed(Duration::from_secs(idle.unsigned_abs()))))
    }
}

/// The issuer is what applications are given: that of the dialect, where one is spoken.
fn shown(name: &str, desk: &Desk) -> Shown {
    let realm = desk.realm();
    let issuer = realm.provider.iss();
    Shown {
        name: name.to_owned(),
        issuer: issuer.to_owned(),
        discovery: format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/')),
        control: format!("{}/dev", realm.issuer),
    }
}

//! What developers and tests get around the protocol: the control API under `/dev`, and realms of their own.
//!
//! [`Desks`] finds the realm that a request is for. Behind each stands a [`desk::Desk`], which answers the control API
//! ([`control`] has its map, a file per subject, [`openapi`] its description) and hands everything else to the realm's site. A server for real use has none
//! of this: its requests go to the site at once.

mod claims;
mod clock;
mod control;
mod desk;
mod exchange;
mod faults;
mod forge;
mod input;
mod journal;
pub mod openapi;
mod realms;
mod sign_in;
mod snapshots;
mod whose;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::response::Response;
use tokio::sync::watch;

use self::desk::Desk;
use self::realms::Realms;
use crate::realm::{Common, Error, Realm};

/// How often realms that nobody uses are looked for.
const TIDYING: Duration = Duration::from_secs(5);

/// The desks of all realms of a process. Clones share them.
#[derive(Clone)]
pub struct Desks(Arc<Inner>);

struct Inner {
    common: Common,
    main: Arc<Desk>,
    realms: Realms,
    ended: watch::Sender<bool>,
}

impl std::fmt::Debug for Desks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Desks")
    }
}

impl Desks {
    /// Around the realm that a server begins with.
    pub async fn open(common: Common, main: Realm) -> Result<Self, Error> {
        let main = Arc::new(Desk::open(common.clone(), main, desk::Stay::Always).await?);
        let desks = Self(Arc::new(Inner { common, main, realms: Realms::default(), ended: watch::Sender::new(false) }));
        let tidied = desks.clone();
        let mut ended = desks.0.ended.subscribe();
        tokio::spawn(async move {
            let mut told = async || ended.wait_for(|ended| *ended).await.is_ok();
            while tokio::time::timeout(TIDYING, told()).await.is_err() {
                tidied.0.realms.end_idle().await;
            }
        });
        Ok(desks)
    }

    /// Ends all realms but the store of the one that the server began with.
    pub async fn end(&self) {
        self.0.ended.send_replace(true);
        self.0.realms.end_all().await;
        self.0.main.end_work().await;
    }

    /// Answers a request.
    pub async fn answer(self, request: Request) -> Response {
        let desk = self.0.realms.of_path(&self.0.main.path(), request.uri().path());
        let desk = desk.unwrap_or_else(|| Arc::clone(&self.0.main));
        control::answer(self, desk, request).await
    }
}

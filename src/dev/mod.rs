//! What developers and tests get around the protocol: the control API under `/dev`, and realms of their own.
//!
//! [`Desks`] finds the realm that a request is for. Behind each stands a [`desk::Desk`], which answers the control API
//! ([`control`] has its map, a file per subject) and hands everything else to the realm's site. A server for real use has none
//! of this: its requests go to the site at once.

mod clock;
mod control;
mod desk;
mod input;
mod realms;
mod snapshots;

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
}

impl Desks {
    /// Around the realm that a server begins with; ends when told to stop.
    pub async fn open(common: Common, main: Realm, mut stopped: watch::Receiver<bool>) -> Result<Self, Error> {
        let main = Arc::new(Desk::open(common.clone(), main, desk::Stay::Always).await?);
        let desks = Self(Arc::new(Inner { common, main, realms: Realms::default() }));
        let tidied = desks.clone();
        tokio::spawn(async move {
            loop {
                // Not awaited as it is: what it answers must not be held over the work below.
                let told = async { stopped.wait_for(|stop| *stop).await.is_ok() };
                if tokio::time::timeout(TIDYING, told).await.is_ok() {
                    return tidied.0.realms.end_all().await;
                }
                tidied.0.realms.end_idle().await;
            }
        });
        Ok(desks)
    }

    /// Answers a request.
    pub async fn answer(self, request: Request) -> Response {
        let desk = self.0.realms.of_path(self.0.main.path(), request.uri().path());
        let desk = desk.unwrap_or_else(|| Arc::clone(&self.0.main));
        control::answer(self, desk, request).await
    }
}

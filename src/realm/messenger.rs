//! Tells clients that logins have ended, in the background: at once where they ended on this node, and else when it looks.

use std::time::Duration;

use tokio::sync::watch;

use crate::clock::Clock;
use crate::oauth::Provider;
use crate::store::Store;

/// How often it looks for what is to be tried again, or what another process left.
const EVERY: Duration = Duration::from_secs(5);

/// Runs until told to stop.
pub(super) async fn run(provider: Provider, store: Store, clock: Clock, mut stopped: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = super::told(&mut stopped) => return,
            () = store.until_logouts_are_due() => {}
            () = clock.moved() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
        loop {
            match provider.send_logouts(clock.now()).await {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "clients could not be told of ended sessions; trying again in a moment");
                    break;
                }
            }
        }
    }
}

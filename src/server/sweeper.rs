//! Removes what has expired, in the background and in small batches.

use std::time::Duration;

use tokio::sync::watch;

use crate::clock::Clock;
use crate::store::Store;

/// How often it looks, and how many rows of a table it removes at once. Where a batch was full it goes on after a breath.
const EVERY: Duration = Duration::from_mins(1);
const BATCH: i64 = 500;
const BREATH: Duration = Duration::from_millis(20);

/// Runs until told to stop.
pub(super) async fn run(store: Store, clock: Clock, mut stopped: watch::Receiver<bool>) {
    let mut pause = EVERY;
    loop {
        tokio::select! {
            () = super::listen::told(&mut stopped) => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = match store.sweep(clock.now(), BATCH).await {
            Ok(removed) if removed >= BATCH.unsigned_abs() => BREATH,
            Ok(_) => EVERY,
            Err(error) => {
                tracing::warn!(%error, "expired rows could not be removed; trying again in a minute");
                EVERY
            }
        };
    }
}

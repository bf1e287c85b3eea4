//! Removes what has expired, in the background and in small batches.

use std::time::Duration;

use tokio::sync::watch;

use crate::clock::Clock;
use crate::store::Store;

/// How often it looks, and how many rows of a table it removes at once. Where a batch was full it goes on after a breath.
const EVERY: Duration = Duration::from_mins(1);
const BATCH: i64 = 500;
const BREATH: Duration = Duration::from_millis(20);
/// Seconds that rows are kept beyond their time: a clock that is an hour ahead for a while removes nothing that is still good.
const LATE: i64 = 3_900;

/// One batch.
pub(super) async fn once(store: &Store, clock: &Clock) -> crate::store::Result<u64> {
    store.sweep(clock.now().plus(-LATE), BATCH).await
}

/// Runs until told to stop.
pub(super) async fn run(store: Store, clock: Clock, mut stopped: watch::Receiver<bool>) {
    let mut pause = EVERY;
    loop {
        tokio::select! {
            () = super::told(&mut stopped) => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = match once(&store, &clock).await {
            Ok(removed) if removed >= BATCH.unsigned_abs() => BREATH,
            Ok(_) => EVERY,
            Err(error) => {
                tracing::warn!(%error, "expired rows could not be removed; trying again in a minute");
                EVERY
            }
        };
    }
}

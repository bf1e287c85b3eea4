//! Writes explanations of refusals, in the background.

use tokio::sync::watch;

use crate::oauth::explanations::Explanations;

/// Runs until told to stop. What waits then, and what requests in flight still bring, is written once they are done.
pub(super) async fn run(explanations: Explanations, mut stopped: watch::Receiver<bool>) {
    tokio::select! {
        () = super::told(&mut stopped) => {}
        () = explanations.write() => {}
    }
}

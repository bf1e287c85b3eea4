//! Bundles that change on disk are applied anew; what their version before made and the new one lacks is removed.
//!
//! Files are looked at a few times a second: whether they are there, how long they are and when they were written. Only what has
//! rested from one look to the next counts, since editors write in several steps, or put a new file in the place of the old.
//! What cannot be applied changes nothing and is told, in the log and on the start page of `dev`.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::watch;

use crate::resources::apply::ApplyError;
use crate::resources::bundle::{self, Look};
use crate::resources::{DocumentKind, Effect};
use crate::web::App;

/// From one look to the next.
const EVERY: Duration = Duration::from_millis(250);
/// So many looks must agree before a file that is gone counts as gone.
const GONE: usize = 5;

/// Watches the bundles of an application.
pub(super) struct Watching {
    pub(super) app: App,
    pub(super) paths: Vec<PathBuf>,
    /// How the files looked when they were applied.
    pub(super) applied: Look,
    /// What they made.
    pub(super) made: Vec<(DocumentKind, String)>,
}

impl Watching {
    /// Runs until told to stop.
    pub(super) async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        let (mut before, mut agreed) = (self.applied.clone(), 0);
        loop {
            tokio::select! {
                () = super::listen::told(&mut stopped) => return,
                () = tokio::time::sleep(EVERY) => {}
            }
            let paths = self.paths.clone();
            let Ok(look) = tokio::task::spawn_blocking(move || bundle::look(&paths)).await else { continue };
            agreed = if look == before { agreed + 1 } else { 0 };
            let needed = if look.has_all_of(&self.applied) { 1 } else { GONE };
            if look != self.applied && agreed >= needed && self.apply().await {
                self.applied = look.clone();
            }
            before = look;
        }
    }

    /// Applies what is there now. `false` where that should be tried again.
    async fn apply(&mut self) -> bool {
        let paths = self.paths.clone();
        let read = tokio::task::spawn_blocking(move || bundle::read(&paths, &|name| std::env::var(name).ok())).await;
        let items = match read {
            Ok(Ok(items)) => items,
            Ok(Err(problems)) => return self.refuse(problems),
            Err(_) => return false,
        };
        match self.app.documents.apply_instead(&self.made, &items, self.app.clock.now()).await {
            Ok(differences) => {
                self.app.provider.registry().expire();
                self.made = items.into_iter().map(|item| (item.kind, item.id)).collect();
                let changed = differences.iter().filter(|difference| difference.effect != Effect::Unchanged).count();
                tracing::info!(resources = self.made.len(), changed, "bundles have changed and are applied");
                self.app.advice.refuse_bundles(Vec::new());
                true
            }
            Err(ApplyError::Invalid(problems)) => self.refuse(problems),
            Err(ApplyError::Internal(error)) => {
                tracing::warn!(%error, "bundles have changed and could not be applied; trying again");
                false
            }
        }
    }

    fn refuse(&self, problems: Vec<String>) -> bool {
        for problem in &problems {
            tracing::error!("bundles have changed and are not applied: {problem}");
        }
        self.app.advice.refuse_bundles(problems);
        true
    }
}

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

/// Bundles as they were applied.
#[derive(Clone)]
pub(super) struct Applied {
    pub(super) paths: Vec<PathBuf>,
    /// How the files looked.
    pub(super) look: Look,
    /// What they made.
    pub(super) made: Vec<(DocumentKind, String)>,
}

/// Watches the bundles of an application.
pub(super) struct Watching {
    pub(super) app: App,
    pub(super) bundles: Applied,
}

impl Watching {
    /// Runs until told to stop.
    pub(super) async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        let (mut before, mut agreed) = (self.bundles.look.clone(), 0);
        loop {
            tokio::select! {
                () = super::told(&mut stopped) => return,
                () = tokio::time::sleep(EVERY) => {}
            }
            let paths = self.bundles.paths.clone();
            let Ok(look) = tokio::task::spawn_blocking(move || bundle::look(&paths)).await else { continue };
            agreed = if look == before { agreed + 1 } else { 0 };
            let needed = if look.has_all_of(&self.bundles.look) { 1 } else { GONE };
            if look != self.bundles.look && agreed >= needed && self.apply().await {
                self.bundles.look = look.clone();
            }
            before = look;
        }
    }

    /// Applies what is there now. `false` where that should be tried again.
    async fn apply(&mut self) -> bool {
        let paths = self.bundles.paths.clone();
        let read = tokio::task::spawn_blocking(move || bundle::read(&paths, &|name| std::env::var(name).ok())).await;
        let items = match read {
            Ok(Ok(items)) => items,
            Ok(Err(problems)) => return self.refuse(problems),
            Err(_) => return false,
        };
        match self.app.documents.apply_instead(&self.bundles.made, &items, self.app.clock.now()).await {
            Ok(differences) => {
                self.app.provider.registry().expire();
                self.bundles.made = items.into_iter().map(|item| (item.kind, item.id)).collect();
                let changed = differences.iter().filter(|difference| difference.effect != Effect::Unchanged).count();
                tracing::info!(resources = self.bundles.made.len(), changed, "bundles have changed and are applied");
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

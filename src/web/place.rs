//! How many requests are worked on at once. The next ones are refused at once, so that whoever is served does not wait long and
//! memory stays bounded. A request takes its place when its body has arrived: a slow sender occupies none.

use std::sync::{Arc, OnceLock};

use axum::extract::Request;
use axum::response::Response;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::protocol_error;

/// Places per core: a tenth of a second of work or so, and more than may wait for slow hashes.
const PER_CORE: usize = 256;

/// All places. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Places(Arc<Semaphore>);

/// The place of a request, taken once. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    all: Places,
    taken: Arc<OnceLock<OwnedSemaphorePermit>>,
}

/// There is no place left.
#[derive(Debug)]
pub(crate) struct Busy;

impl From<Busy> for Response {
    fn from(_: Busy) -> Self {
        protocol_error::busy()
    }
}

impl Default for Places {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Semaphore::new(cores * PER_CORE)))
    }
}

impl Places {
    /// A place that is not taken yet.
    pub(crate) fn place(&self) -> Place {
        Place { all: self.clone(), taken: Arc::default() }
    }
}

impl Place {
    /// The place that the outermost layer gave to a request.
    pub(crate) fn of(request: &Request) -> Option<Self> {
        request.extensions().get().cloned()
    }

    /// Takes it until the request is answered.
    pub(crate) fn take(&self) -> Result<(), Busy> {
        let permit = Arc::clone(&self.all.0).try_acquire_owned().map_err(|_| Busy)?;
        // Who has one already gives the second back.
        let _ = self.taken.set(permit);
        Ok(())
    }
}

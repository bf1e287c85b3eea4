//! Slow hashes off the async threads: as many at once as there are cores, a bounded queue behind them, and then a clear no.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use crate::domain::internal::Internal;
use crate::domain::password::Memory;

/// How many may wait for a core before the next is told to come back later: about three seconds of work a core.
const WAITING_PER_CORE: usize = 180;

/// The queue. Clones share it.
#[derive(Clone, Debug)]
pub struct Hashing {
    cores: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    limit: usize,
    /// As many as there are cores, once they were needed.
    memories: Arc<Mutex<Vec<Memory>>>,
}

impl Default for Hashing {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            cores: Arc::new(Semaphore::new(cores)),
            waiting: Arc::default(),
            limit: cores * WAITING_PER_CORE,
            memories: Arc::default(),
        }
    }
}

/// Counts a waiter for as long as it lives, also when its request is dropped meanwhile.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Hashing {
    /// Runs `work` on a blocking thread once a core is free; [`Internal::Busy`] where too many wait already.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<T, Internal> {
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        if before >= self.limit {
            return Err(Internal::Busy);
        }
        let permit = Arc::clone(&self.cores).acquire_owned().await?;
        let memories = Arc::clone(&self.memories);
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let kept = || memories.lock().unwrap_or_else(PoisonError::into_inner);
            let mut memory = kept().pop().unwrap_or_default();
            let result = work(&mut memory);
            kept().push(memory);
            result
        });
        Ok(done.await?)
    }
}

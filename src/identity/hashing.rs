//! Slow hashes on threads of their own: as many as there are cores, a bounded queue before them, and then a clear no.
//!
//! The threads give way to everything else, so that a morning of sign-ins slows no token down, and each keeps the memory that its
//! hashes fill, until nobody has asked for a while.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use tokio::sync::oneshot;

use crate::domain::internal::Internal;
use crate::domain::password::Memory;

/// How many may wait for a core before the next is told to come back later: about three seconds of work a core.
const WAITING_PER_CORE: usize = 180;
/// By how much the threads step back, in the system's steps from 0 to 19: under full load they get a tenth of a core.
const NICENESS: i32 = 10;
/// How long a thread without work keeps its memory.
const IDLE: Duration = Duration::from_secs(5);

type Job = Box<dyn FnOnce(&mut Memory) + Send>;

/// The queue. Clones share it; its threads end with the last.
#[derive(Clone)]
pub struct Hashing {
    jobs: Sender<Job>,
    waiting: Arc<AtomicUsize>,
    limit: usize,
}

impl Default for Hashing {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let (jobs, queue) = crossbeam_channel::unbounded();
        for core in 0..cores {
            let queue = queue.clone();
            let thread = std::thread::Builder::new().name(format!("hashing-{core}"));
            if let Err(error) = thread.spawn(move || work(&queue)) {
                tracing::error!(%error, "a thread for password hashing cannot be started");
            }
        }
        Self { jobs, waiting: Arc::default(), limit: cores * WAITING_PER_CORE }
    }
}

impl fmt::Debug for Hashing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hashing({} waiting)", self.waiting.load(Ordering::Relaxed))
    }
}

/// Counts a waiter for as long as it lives.
struct Waiting(Arc<AtomicUsize>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Hashing {
    /// Runs `work` once a core is free; [`Internal::Busy`] where too many wait already. Work whose request has gone meanwhile is
    /// not begun.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<T, Internal> {
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let waiting = Waiting(Arc::clone(&self.waiting));
        if before >= self.limit {
            return Err(Internal::Busy);
        }
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |memory| {
            let result = (!answer.is_closed()).then(|| work(memory));
            drop(waiting);
            let _ = result.map(|result| answer.send(result));
        });
        self.jobs.send(job).map_err(|_| Internal::Busy)?;
        Ok(answered.await?)
    }
}

fn work(queue: &Receiver<Job>) {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(NICENESS);
    let mut memory = Memory::default();
    loop {
        let job = match queue.recv_timeout(IDLE) {
            Err(RecvTimeoutError::Timeout) => {
                memory = Memory::default();
                queue.recv().ok()
            }
            next => next.ok(),
        };
        let Some(job) = job else { return };
        // A panic ends its job, not the thread.
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job(&mut memory)));
        if done.is_err() {
            tracing::error!("hashing panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_done_and_what_is_too_much_is_refused() {
        let hashing = Hashing { limit: 2, ..Hashing::default() };
        assert_eq!(hashing.run(|_| 7).await.unwrap(), 7);
        let (release, held) = crossbeam_channel::bounded::<()>(0);
        let block = |held: Receiver<()>| {
            let hashing = hashing.clone();
            tokio::spawn(async move { hashing.run(move |_| held.recv().is_ok()).await })
        };
        let jobs = [block(held.clone()), block(held)];
        while hashing.waiting.load(Ordering::Relaxed) < 2 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(hashing.run(|_| ()).await, Err(Internal::Busy)));
        drop(release);
        for job in jobs {
            job.await.unwrap().unwrap();
        }
        assert_eq!(hashing.run(|_| 8).await.unwrap(), 8);
    }
}

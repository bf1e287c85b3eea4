//! Slow hashes on threads of their own: as many as there are cores, a bounded queue before them, and then a clear no.
//!
//! The threads run when nothing else wants the core, so that a morning of sign-ins slows no token down, and each keeps the memory
//! that its hashes fill, until nobody has asked for a while. One more thread is there for the opposite case: where tokens take all
//! the cores, it works for those who have waited long, so that people still get in.

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
/// How far the one that works for those who have waited long steps back, in the system's steps from 0 to 19: under full load it gets a
/// tenth of a core.
const NICENESS: i32 = 10;
/// Who has waited so long has waited long.
const LONG: Duration = Duration::from_millis(500);
/// How long a thread without work keeps its memory.
const IDLE: Duration = Duration::from_secs(5);

type Job = Box<dyn FnOnce(&mut Memory) + Send>;

/// The queue. Clones share it; its threads end with the last.
#[derive(Clone)]
pub struct Hashing {
    jobs: Sender<Job>,
    long: Sender<()>,
    waiting: Arc<AtomicUsize>,
    limit: usize,
}

impl Default for Hashing {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let (jobs, queue) = crossbeam_channel::unbounded::<Job>();
        let (long, calls) = crossbeam_channel::unbounded();
        for core in 0..cores {
            let queue = queue.clone();
            start(format!("hashing-{core}"), move || {
                yield_always();
                work(&queue, Some);
            });
        }
        start("hashing-late".to_owned(), move || {
            step_back();
            // The one who called may have been served meanwhile, and nobody wait any more.
            work(&calls, |()| queue.try_recv().ok());
        });
        Self { jobs, long, waiting: Arc::default(), limit: cores * WAITING_PER_CORE }
    }
}

fn start(name: String, work: impl FnOnce() + Send + 'static) {
    if let Err(error) = std::thread::Builder::new().name(name).spawn(work) {
        tracing::error!(%error, "a thread for password hashing cannot be started");
    }
}

/// From now on any other thread runs first, at once.
#[cfg(target_os = "linux")]
fn yield_always() {
    use thread_priority::{NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, unix};
    let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    if unix::set_thread_priority_and_policy(unix::thread_native_id(), ThreadPriority::Min, idle).is_err() {
        step_back();
    }
}

#[cfg(target_os = "linux")]
fn step_back() {
    let _ = rustix::process::nice(NICENESS);
}

#[cfg(not(target_os = "linux"))]
fn yield_always() {}

#[cfg(not(target_os = "linux"))]
fn step_back() {}

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
        let mut answered = std::pin::pin!(answered);
        if let Ok(answered) = tokio::time::timeout(LONG, &mut answered).await {
            return Ok(answered?);
        }
        let _ = self.long.send(());
        Ok(answered.await?)
    }
}

/// Does what comes, for as long as somebody may send it.
fn work<T>(queue: &Receiver<T>, job: impl Fn(T) -> Option<Job>) {
    let mut memory = Memory::default();
    loop {
        let next = match queue.recv_timeout(IDLE) {
            Err(RecvTimeoutError::Timeout) => {
                memory = Memory::default();
                queue.recv().ok()
            }
            next => next.ok(),
        };
        let Some(next) = next else { return };
        let Some(job) = job(next) else { continue };
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

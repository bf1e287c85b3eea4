//! The one clock. Every rule takes `now` as a value; it is read once per request, here.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;

use crate::domain::time::Timestamp;

tokio::task_local! {
    /// Seconds that clocks are ahead of what they show for the work of one task.
    static AHEAD: i64;
}

/// What stands where a clock is not frozen.
const RUNNING: i64 = i64::MIN;

/// Tells the time; tests and `dev` can move it. Clones share the same hands.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Hands>);

#[derive(Debug)]
struct Hands {
    /// Seconds ahead of the system's clock.
    offset: AtomicI64,
    /// The second at which it stands, or [`RUNNING`].
    frozen: AtomicI64,
    /// Held by whoever moves it.
    moving: Mutex<()>,
    moved: Notify,
}

impl Default for Clock {
    fn default() -> Self {
        let (offset, frozen) = (AtomicI64::new(0), AtomicI64::new(RUNNING));
        Self(Arc::new(Hands { offset, frozen, moving: Mutex::default(), moved: Notify::new() }))
    }
}

impl Clock {
    /// One that stands still, and moves only when it is moved.
    pub fn frozen_at(now: Timestamp) -> Self {
        let clock = Self::default();
        clock.0.frozen.store(now.0, Ordering::Release);
        clock
    }

    /// The present second.
    pub fn now(&self) -> Timestamp {
        self.shown().plus(AHEAD.try_with(|ahead| *ahead).unwrap_or_default())
    }

    /// What it shows to everybody.
    fn shown(&self) -> Timestamp {
        match self.0.frozen.load(Ordering::Acquire) {
            RUNNING => Timestamp(system_seconds()).plus(self.0.offset.load(Ordering::Acquire)),
            frozen => Timestamp(frozen),
        }
    }

    /// Whether it stands still.
    pub fn is_frozen(&self) -> bool {
        self.0.frozen.load(Ordering::Acquire) != RUNNING
    }

    /// Seconds that it is ahead of the system's clock; behind where negative.
    pub fn ahead(&self) -> i64 {
        Timestamp(system_seconds()).until(self.shown())
    }

    /// Moves it by so many seconds, forward or back.
    pub fn advance(&self, seconds: i64) {
        self.turn(|clock| clock.point_at(clock.shown().plus(seconds)));
    }

    /// Has it show this second; one that runs goes on from there.
    pub fn set(&self, time: Timestamp) {
        self.turn(|clock| clock.point_at(time));
    }

    /// Has it stand still.
    pub fn freeze(&self) {
        self.turn(|clock| clock.0.frozen.store(clock.shown().0, Ordering::Release));
    }

    /// Has it go on from where it stands.
    pub fn unfreeze(&self) {
        self.turn(|clock| {
            let now = clock.shown();
            clock.0.offset.store(Timestamp(system_seconds()).until(now), Ordering::Release);
            clock.0.frozen.store(RUNNING, Ordering::Release);
        });
    }

    /// Has it show the system's time again.
    pub fn reset(&self) {
        self.turn(|clock| {
            clock.0.offset.store(0, Ordering::Release);
            clock.0.frozen.store(RUNNING, Ordering::Release);
        });
    }

    /// Waits until somebody moves it: what was to wait for a time may be due.
    pub async fn moved(&self) {
        self.0.moved.notified().await;
    }

    fn point_at(&self, time: Timestamp) {
        if self.is_frozen() {
            self.0.frozen.store(time.0, Ordering::Release);
        } else {
            self.0.offset.store(Timestamp(system_seconds()).until(time), Ordering::Release);
        }
    }

    fn turn(&self, change: impl FnOnce(&Self)) {
        let _one = self.0.moving.lock().unwrap_or_else(PoisonError::into_inner);
        change(self);
        self.0.moved.notify_waiters();
    }
}

/// Does this work with every clock so many seconds ahead, or behind; beside it they show what they showed.
pub async fn ahead_by<T>(seconds: i64, work: impl Future<Output = T>) -> T {
    AHEAD.scope(seconds, work).await
}

fn system_seconds() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}

/// Milliseconds of a clock that only goes forward, for measuring how old something in this process's memory is.
pub fn monotonic_millis() -> u64 {
    use std::sync::OnceLock;
    static START: OnceLock<std::time::Instant> = OnceLock::new();
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    let now = std::time::Instant::now();
    u64::try_from(now.duration_since(*START.get_or_init(|| now)).as_millis()).unwrap_or(u64::MAX)
}

/// A new time-ordered row id (`UUIDv7`, RFC 9562 §5.7).
pub fn new_row_id() -> uuid::Uuid {
    #[expect(clippy::disallowed_methods, reason = "its time serves index locality alone; no rule ever reads it")]
    uuid::Uuid::now_v7()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_clock_is_ahead_for_the_work_and_for_nothing_beside_it() {
        let clock = Clock::frozen_at(Timestamp(1_000));
        let within = ahead_by(60, async {
            let beside = clock.clone();
            let beside = tokio::spawn(async move { beside.now() }).await.unwrap();
            clock.advance(5);
            (clock.now(), clock.ahead() < 0, beside)
        });
        assert_eq!(within.await, (Timestamp(1_065), true, Timestamp(1_000)));
        assert_eq!(clock.now(), Timestamp(1_005), "moved by what moved it, and not by being ahead");
    }
}

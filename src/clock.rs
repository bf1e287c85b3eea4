//! The one clock. Every rule takes `now` as a value; it is read once per request, here.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::domain::time::Timestamp;

/// Tells the time; tests and `dev` can move it. Clones share the same hands.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// What it tells instead of the present, where it stands still.
    stands_at: Option<Timestamp>,
    offset: Arc<AtomicI64>,
}

impl Clock {
    /// One that stands still, and moves only when it is moved.
    pub fn frozen_at(now: Timestamp) -> Self {
        Self { stands_at: Some(now), ..Self::default() }
    }

    /// The present second.
    pub fn now(&self) -> Timestamp {
        self.stands_at.unwrap_or_else(present).plus(self.offset.load(Ordering::Relaxed))
    }

    /// Moves this clock by so many seconds, forward or back.
    pub fn advance(&self, seconds: i64) {
        self.offset.fetch_add(seconds, Ordering::Relaxed);
    }
}

fn present() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Timestamp(i64::try_from(now.as_secs()).unwrap_or(i64::MAX))
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

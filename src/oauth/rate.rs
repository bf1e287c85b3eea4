//! How often something may happen: so many an hour for each key, spread evenly, with a whole hour's worth at once.
//!
//! Counted in the memory of each node. What it protects is work and space, which bear a few more; what must hold exactly is
//! counted in the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use moka::sync::Cache;

use crate::domain::late::{Late, late};
use crate::domain::time::Timestamp;

const HOUR: i64 = 3_600_000;
/// How many keys are remembered at the most.
const KEYS: u64 = 50_000;

/// A limit. Clones share what was counted.
#[derive(Clone, Debug)]
pub struct Rate {
    interval: i64,
    /// When the bucket of a key will be empty again, in milliseconds.
    empty_at: Late<Cache<Vec<u8>, Arc<AtomicI64>>>,
}

impl Rate {
    /// So many an hour; at least one.
    pub fn per_hour(many: u32) -> Self {
        let empty_at = late(|| Cache::builder().max_capacity(KEYS).time_to_idle(Duration::from_hours(1)).build());
        Self { interval: HOUR / i64::from(many.max(1)), empty_at }
    }

    /// Counts one more; or the seconds to wait, and nothing is counted.
    pub fn take(&self, key: Vec<u8>, now: Timestamp) -> Result<(), i64> {
        let bucket = self.empty_at.get_with(key, Arc::default);
        let taken =
            bucket.fetch_update(Ordering::AcqRel, Ordering::Acquire, |empty_at| self.filled(empty_at, now).ok());
        taken.map(drop).or_else(|empty_at| self.filled(empty_at, now).map(drop))
    }

    /// Whether there is room for one more, which is not counted; or the seconds to wait.
    pub fn room(&self, key: &[u8], now: Timestamp) -> Result<(), i64> {
        let empty_at = self.empty_at.get(key).map_or(0, |bucket| bucket.load(Ordering::Acquire));
        self.filled(empty_at, now).map(drop)
    }

    /// When a bucket will be empty with one more in it; or the seconds to wait.
    fn filled(&self, empty_at: i64, now: Timestamp) -> Result<i64, i64> {
        let now = now.0.saturating_mul(1_000);
        // A clock that was ahead for a while does not count.
        let before = if empty_at > now + HOUR { now } else { empty_at.max(now) };
        let filled = before + self.interval;
        let wait = (filled - now - HOUR + 999) / 1_000;
        if filled <= now + HOUR { Ok(filled) } else { Err(wait.clamp(1, 3_600)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hours_worth_may_come_at_once_and_the_rest_evenly() {
        let rate = Rate::per_hour(60);
        let at = |seconds: i64| Timestamp(1_000_000 + seconds);
        for _ in 0..60 {
            assert_eq!(rate.take(b"a".to_vec(), at(0)), Ok(()));
        }
        assert_eq!(
            (rate.take(b"a".to_vec(), at(0)), rate.room(b"a", at(0)), rate.room(b"c", at(0))),
            (Err(60), Err(60), Ok(()))
        );
        assert_eq!(rate.take(b"b".to_vec(), at(0)), Ok(()));
        assert_eq!(rate.take(b"a".to_vec(), at(60)), Ok(()));
        assert!(rate.take(b"a".to_vec(), at(61)).is_err());
        assert_eq!(rate.take(b"a".to_vec(), at(-100_000)), Ok(()), "a clock that was ahead does not count");
    }
}

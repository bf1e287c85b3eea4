//! Counters of failed sign-ins, shared by all nodes and kept over restarts.

use super::{Result, Store};
use crate::domain::time::Timestamp;

/// How many failures are free, and what follows.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// So many in the window cost nothing; more than one.
    pub free: i64,
    /// Seconds after the last failure in which it is remembered.
    pub window: i64,
    /// The longest wait, in seconds.
    pub longest: i64,
}

impl Store {
    /// The latest moment until which any of these keys is blocked. What is blocked for longer than the longest wait was counted by a
    /// clock that was ahead, and is not.
    pub async fn blocked_until(&self, keys: &[[u8; 32]; 3], longest: i64, now: Timestamp) -> Result<Option<Timestamp>> {
        let row = sql!(
            self.reader(),
            fetch_one as (Option<Timestamp>,),
            "SELECT max(blocked_until) FROM throttle WHERE key IN ($1, $2, $3) AND blocked_until > $4 AND blocked_until <= $4 + $5",
            keys[0].as_slice(),
            keys[1].as_slice(),
            keys[2].as_slice(),
            now,
            longest,
        )?;
        Ok(row.0)
    }

    /// Counts a failure under a key and blocks it as its limit says, in one step. `false` where the key is blocked already: that is
    /// not counted.
    pub async fn count_failure(&self, key: &[u8; 32], limit: &Limit, now: Timestamp) -> Result<bool> {
        // After the free failures the key is blocked for one second, two, four … up to the longest wait.
        macro_rules! failures {
            () => {
                "(CASE WHEN throttle.expires_at > $2 THEN throttle.failures + 1 ELSE 1 END)"
            };
        }
        let counted = sql!(
            self.writer(),
            fetch_optional as (i64,),
            concat!(
                "INSERT INTO throttle (key, failures, blocked_until, expires_at) VALUES ($1, 1, $2, $2 + $3)
                 ON CONFLICT (key) DO UPDATE SET failures = ",
                failures!(),
                ", expires_at = $2 + $3, blocked_until = $2 + CASE
                   WHEN ",
                failures!(),
                " < $4 THEN 0
                   WHEN ",
                failures!(),
                " - $4 > 20 THEN $5
                   WHEN (CAST(1 AS BIGINT) << CAST(",
                failures!(),
                " - $4 AS INTEGER)) > $5 THEN $5
                   ELSE (CAST(1 AS BIGINT) << CAST(",
                failures!(),
                " - $4 AS INTEGER)) END
                 WHERE throttle.blocked_until <= $2 OR throttle.blocked_until > $2 + $5
                 RETURNING failures"
            ),
            key.as_slice(),
            now,
            limit.window,
            limit.free,
            limit.longest,
        )?;
        Ok(counted.is_some())
    }

    /// Forgets the failures under a key.
    pub async fn forget_failures(&self, key: &[u8; 32]) -> Result<()> {
        sql!(self.writer(), execute, "DELETE FROM throttle WHERE key = $1", key.as_slice()).map(drop)
    }
}

//! Counters of failed sign-ins, shared by all nodes and kept over restarts.

use super::{Result, Store};
use crate::domain::time::Timestamp;

impl Store {
    /// The latest moment until which any of these keys is blocked.
    pub async fn blocked_until(&self, keys: &[[u8; 32]; 3], now: Timestamp) -> Result<Option<Timestamp>> {
        let row = sql!(
            self.reader(),
            fetch_one as (Option<Timestamp>,),
            "SELECT max(blocked_until) FROM throttle WHERE key IN ($1, $2, $3) AND blocked_until > $4",
            keys[0].as_slice(),
            keys[1].as_slice(),
            keys[2].as_slice(),
            now,
        )?;
        Ok(row.0)
    }

    /// Counts a failure under a key and answers how many there were in the window of so many seconds.
    pub async fn count_failure(&self, key: &[u8; 32], window: i64, now: Timestamp) -> Result<i64> {
        let (failures,) = sql!(
            self.writer(),
            fetch_one as (i64,),
            "INSERT INTO throttle (key, failures, blocked_until, expires_at) VALUES ($1, 1, 0, $3)
             ON CONFLICT (key) DO UPDATE SET
               failures = CASE WHEN throttle.expires_at > $2 THEN throttle.failures + 1 ELSE 1 END, expires_at = $3
             RETURNING failures",
            key.as_slice(),
            now,
            now.plus(window),
        )?;
        Ok(failures)
    }

    /// Blocks a key until then.
    pub async fn block(&self, key: &[u8; 32], until: Timestamp) -> Result<()> {
        sql!(self.writer(), execute, "UPDATE throttle SET blocked_until = $2 WHERE key = $1", key.as_slice(), until)
            .map(drop)
    }

    /// Forgets the failures under a key.
    pub async fn forget_failures(&self, key: &[u8; 32]) -> Result<()> {
        sql!(self.writer(), execute, "DELETE FROM throttle WHERE key = $1", key.as_slice()).map(drop)
    }
}

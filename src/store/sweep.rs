//! Removing what has expired, a small batch at a time, so that no table grows without end and no lock is held for long.

use super::sessions::SPENT_KEPT;
use super::{Result, Store};
use crate::domain::time::Timestamp;

/// Until when the refresh token of a session is needed, as far as can be told `$1`, the present: as long as it can be used (to be
/// looked at again in `$3` seconds), spent for `$3` seconds longer so that its reuse is recognised, and as long as that once its
/// family has ended.
macro_rules! refresh_needed {
    ($session:literal) => {
        concat!(
            "CASE WHEN ",
            $session,
            ".refresh_digest IS NULL THEN 0
               WHEN EXISTS (SELECT 1 FROM session r WHERE r.id = ",
            $session,
            ".family AND r.family_ended_at <= $1 - $3) THEN 0
               WHEN ",
            $session,
            ".refresh_expires_at <= COALESCE(",
            $session,
            ".rotated_at, $1) + $3 THEN ",
            $session,
            ".refresh_expires_at
               ELSE COALESCE(",
            $session,
            ".rotated_at, $1) + $3 END"
        )
    };
}

/// Until when a session is needed, by itself or by others: a root whose family lives on, and a login that first-party tokens share,
/// say whether those have ended. Without them nothing is live, so an early removal could only end a token, never revive one.
macro_rules! needed {
    () => {
        concat!(
            "(SELECT max(u.needed) FROM (
                SELECT session.token_expires_at AS needed UNION ALL SELECT ",
            refresh_needed!("session"),
            "
                UNION ALL SELECT m.token_expires_at FROM session m WHERE m.family = session.id AND m.family <> m.id
                UNION ALL SELECT ",
            refresh_needed!("m"),
            " FROM session m WHERE m.family = session.id AND m.family <> m.id
                UNION ALL SELECT m.token_expires_at FROM session m WHERE m.shared AND m.parent = session.id
                UNION ALL SELECT ",
            refresh_needed!("m"),
            " FROM session m WHERE m.shared AND m.parent = session.id) u)"
        )
    };
}

impl Store {
    /// Removes up to `batch` expired rows of each table and answers how many went or were found to be needed longer.
    pub async fn sweep(&self, now: Timestamp, batch: i64) -> Result<u64> {
        let mut removed = sql!(
            self.patient_writer(),
            execute,
            concat!(
                "UPDATE session SET expires_at = ",
                needed!(),
                "
                 WHERE id IN (SELECT s.id FROM session s WHERE s.expires_at <= $1 ORDER BY s.expires_at LIMIT $2) AND ",
                needed!(),
                " > $1"
            ),
            now,
            batch,
            SPENT_KEPT,
        )?;
        // The batch now reaches further than the one above did: what that did not look at may be needed too.
        removed += sql!(
            self.patient_writer(),
            execute,
            concat!(
                "DELETE FROM session WHERE id IN (SELECT s.id FROM session s WHERE s.expires_at <= $1 ORDER BY s.expires_at LIMIT $2)
                   AND expires_at <= $1 AND NOT ", needed!(), " > $1"
            ),
            now,
            batch,
            SPENT_KEPT,
        )?;
        // A spent code is kept a while, so that its replay is recognised.
        let codes = now.plus(-600);
        removed += sql!(
            self.patient_writer(),
            execute,
            "DELETE FROM authorization_code WHERE id IN (SELECT c.id FROM authorization_code c WHERE c.expires_at <= $1 ORDER BY c.expires_at LIMIT $2)",
            codes,
            batch,
        )?;
        removed += sql!(
            self.patient_writer(),
            execute,
            "DELETE FROM revoked_token WHERE jti IN (SELECT r.jti FROM revoked_token r WHERE r.expires_at <= $1 ORDER BY r.expires_at LIMIT $2)",
            now,
            batch,
        )?;
        removed += sql!(
            self.patient_writer(),
            execute,
            "DELETE FROM throttle WHERE key IN (SELECT t.key FROM throttle t WHERE t.expires_at <= $1 AND t.blocked_until <= $1 ORDER BY t.expires_at LIMIT $2)",
            now,
            batch,
        )?;
        removed += self.sweep_registrations(now, batch).await? + self.sweep_fetched(now, batch).await?;
        removed += sql!(
            self.patient_writer(),
            execute,
            "DELETE FROM used_jti WHERE digest IN (SELECT u.digest FROM used_jti u WHERE u.expires_at <= $1 ORDER BY u.expires_at LIMIT $2)",
            now,
            batch,
        )?;
        removed += self.sweep_logins(now, batch).await? + self.sweep_explanations(now, batch).await?;
        Ok(removed + self.sweep_signing_keys(now).await?)
    }
}

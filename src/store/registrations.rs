//! Registrations (RFC 7591, RFC 7592): what lets a client manage itself, what lets somebody register one, and what goes unused.

use uuid::Uuid;

use super::{Result, Store, Tx};
use crate::domain::secret::Digest;
use crate::domain::time::Timestamp;

/// What is written beside the document of a client that registers.
#[derive(Clone, Debug)]
pub struct Enrolment {
    /// The digest of its registration access token.
    pub digest: Digest,
    /// When it goes, if nobody uses it.
    pub expires_at: Option<Timestamp>,
    /// The initial access token that it was let in by, its row and digest.
    pub let_in_by: Option<(Uuid, Digest)>,
}

impl Tx {
    /// Keeps a registration, and takes one use of the initial access token that it comes with; `false` where there was none left, and
    /// the transaction is not to be committed.
    pub async fn enrol(&mut self, client_id: &str, enrolment: &Enrolment, now: Timestamp) -> Result<bool> {
        if let Some((id, digest)) = enrolment.let_in_by {
            let used = sql!(
                self.conn(),
                execute,
                "UPDATE initial_access_token SET uses_left = uses_left - 1
                 WHERE id = $1 AND digest = $2 AND expires_at > $3 AND uses_left > 0",
                id,
                digest.as_bytes(),
                now,
            )?;
            if used == 0 {
                return Ok(false);
            }
        }
        sql!(
            self.conn(),
            execute,
            "INSERT INTO registration (client_id, digest, expires_at) VALUES ($1, $2, $3)",
            client_id,
            enrolment.digest.as_bytes(),
            enrolment.expires_at,
        )?;
        Ok(true)
    }
}

impl Store {
    /// Whether this is the client's registration access token, or the one before it.
    pub async fn is_registration_token(&self, client_id: &str, digest: Digest) -> Result<bool> {
        let found = sql!(
            self.reader(),
            fetch_optional as (String,),
            "SELECT client_id FROM registration WHERE client_id = $1 AND (digest = $2 OR previous_digest = $2)",
            client_id,
            digest.as_bytes(),
        )?;
        Ok(found.is_some())
    }

    /// Puts a new registration access token in the place of the one presented, which stays good until the new one is used: an
    /// answer that is lost locks no client out. `false` where it was not to be had.
    pub async fn rotate_registration_token(&self, client_id: &str, presented: Digest, new: Digest) -> Result<bool> {
        let rotated = sql!(
            self.writer(),
            execute,
            "UPDATE registration SET previous_digest = $2, digest = $3 WHERE client_id = $1 AND (digest = $2 OR previous_digest = $2)",
            client_id,
            presented.as_bytes(),
            new.as_bytes(),
        )?;
        Ok(rotated > 0)
    }

    /// Forgets a registration.
    pub async fn forget_registration(&self, client_id: &str) -> Result<()> {
        sql!(self.writer(), execute, "DELETE FROM registration WHERE client_id = $1", client_id).map(drop)
    }

    /// Somebody uses the client: it stays.
    pub async fn keep_registration(&self, client_id: &str) -> Result<()> {
        sql!(
            self.writer(),
            execute,
            "UPDATE registration SET expires_at = NULL WHERE client_id = $1 AND expires_at IS NOT NULL",
            client_id,
        )
        .map(drop)
    }

    /// Keeps the digest of an initial access token.
    pub async fn insert_initial_access_token(
        &self,
        id: Uuid,
        digest: Digest,
        uses: i64,
        expires_at: Timestamp,
    ) -> Result<()> {
        sql!(
            self.writer(),
            execute,
            "INSERT INTO initial_access_token (id, digest, uses_left, expires_at) VALUES ($1, $2, $3, $4)",
            id,
            digest.as_bytes(),
            uses,
            expires_at,
        )
        .map(drop)
    }

    /// Whether an initial access token may be used.
    pub async fn is_initial_access_token(&self, id: Uuid, digest: Digest, now: Timestamp) -> Result<bool> {
        let found = sql!(
            self.reader(),
            fetch_optional as (Timestamp,),
            "SELECT expires_at FROM initial_access_token
             WHERE id = $1 AND digest = $2 AND expires_at > $3 AND uses_left > 0",
            id,
            digest.as_bytes(),
            now,
        )?;
        Ok(found.is_some())
    }

    /// Removes initial access tokens that have expired, and clients that registered and were never used, with what they left.
    /// A client that an administrator took over, by removing the mark of its registration or by sparing it the consent that would show
    /// that it is used, stays.
    pub(super) async fn sweep_registrations(&self, now: Timestamp, batch: i64) -> Result<u64> {
        let mut removed = sql!(
            self.patient_writer(),
            execute,
            "DELETE FROM initial_access_token WHERE id IN
               (SELECT i.id FROM initial_access_token i WHERE i.expires_at <= $1 ORDER BY i.expires_at LIMIT $2)",
            now,
            batch,
        )?;
        let mut tx = self.begin_patiently().await?;
        let unused = sql!(
            tx.conn(),
            fetch_all as (String,),
            "DELETE FROM registration WHERE expires_at <= $1 AND client_id IN
               (SELECT r.client_id FROM registration r WHERE r.expires_at <= $1 ORDER BY r.expires_at LIMIT $2) RETURNING client_id",
            now,
            batch,
        )?;
        for (client_id,) in &unused {
            sql!(
                tx.conn(),
                execute,
                "UPDATE document SET deleted_at = $2, version = version + 1, epoch = epoch + 1, active = FALSE
                 WHERE kind = 'Client' AND id = $1 AND deleted_at IS NULL AND body ->> 'registration' IS NOT NULL
                   AND body ->> 'first_party' IS NULL",
                client_id,
                now,
            )?;
        }
        if !unused.is_empty() {
            tx.touch_configuration().await?;
            removed += unused.len() as u64;
        }
        tx.commit().await?;
        Ok(removed)
    }
}

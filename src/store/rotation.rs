//! Rotation: a refresh token is spent and its successor made, in one step that exactly one caller wins.

use std::collections::HashMap;
use std::sync::Arc;

use uuid::Uuid;

use super::coalesce::Queue;
use super::postgres::Loan;
use super::sessions::{Found, SPENT_KEPT, columns, insert_columns, join_person, live};
use super::{Db, Pools, Result, Store, Tx};
use crate::domain::secret::Digest;
use crate::domain::time::Timestamp;

/// A refresh token that is presented, and what it is to become.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// The row of the refresh token that was presented.
    pub id: Uuid,
    /// The digest of what was presented.
    pub digest: Digest,
    /// The client that presented it.
    pub client_id: String,
    /// That client's epoch.
    pub client_epoch: i64,
    /// The grant that the token must have come from.
    pub kind: &'static str,
    /// The scope of the new access token; the one granted where absent.
    pub scope: Option<String>,
    /// The id of the new row.
    pub successor: Uuid,
    /// The digest of the new access token, where it is opaque.
    pub token_digest: Option<Digest>,
    /// The digest of the new refresh token.
    pub refresh_digest: Digest,
    /// When the new access token expires.
    pub token_expires_at: Timestamp,
    /// When the new refresh token expires by itself; never where absent.
    pub refresh_expires_at: Option<Timestamp>,
    /// The present.
    pub now: Timestamp,
}

impl Store {
    /// Spends a refresh token and makes its successor. `None`: it was not to be had, and [`Store::session`] tells why.
    pub async fn rotate(&self, rotation: Rotation) -> Result<Option<Found>> {
        self.queues.rotations.ask(rotation).await
    }
}

/// The queue of [`Store::rotate`].
pub(super) fn rotating(db: &Pools) -> Queue<Rotation, Option<Found>> {
    let db = db.seat();
    Queue::new(move |rotations: Arc<[Rotation]>| {
        let db = db.clone();
        async move {
            match &db {
                Db::Postgres(seat) => rotate_postgres(&mut *seat.take().await?, &rotations).await,
                Db::Sqlite(sqlite) => {
                    let mut tx = sqlite.begin().await?;
                    let mut made = Vec::with_capacity(rotations.len());
                    for rotation in &*rotations {
                        made.push(rotate_sqlite(&mut tx, rotation).await?);
                    }
                    tx.commit().await?;
                    Ok(made)
                }
            }
        }
    })
}

async fn rotate_sqlite(tx: &mut Tx, r: &Rotation) -> Result<Option<Found>> {
    let spent = sql!(
        tx.conn(),
        execute,
        concat!(
            "UPDATE session AS s SET rotated_at = $1, successor = $2, expires_at = min(expires_at, $1 + $7)
             WHERE id = $3 AND refresh_digest = $4 AND client_id = $5 AND client_epoch = $6 AND kind = $8 AND rotated_at IS NULL
               AND (refresh_expires_at IS NULL OR refresh_expires_at > $1)
               AND ",
            live!()
        ),
        r.now,
        r.successor,
        r.id,
        r.digest.as_bytes(),
        &r.client_id,
        r.client_epoch,
        SPENT_KEPT,
        r.kind,
    )?;
    if spent == 0 {
        return Ok(None);
    }
    sql!(
        tx.conn(),
        execute,
        concat!(
            insert_columns!(),
            "SELECT $1, kind, family, parent, shared, user_id, user_epoch, client_id, client_epoch, COALESCE($2, granted_scope), granted_scope,
               audience, id_token, $3, $4, $5,
               CASE WHEN $6 IS NULL OR refresh_limit < $6 THEN refresh_limit ELSE $6 END, refresh_limit, auth_time, $7, $7,
               max($4, min(COALESCE($6, $7 + $8), $7 + $8))
             FROM session WHERE id = $9"
        ),
        r.successor,
        &r.scope,
        r.token_digest.as_ref().map(Digest::as_bytes),
        r.token_expires_at,
        r.refresh_digest.as_bytes(),
        r.refresh_expires_at,
        r.now,
        SPENT_KEPT,
        r.id,
    )?;
    sql!(
        tx.conn(),
        fetch_optional as Found,
        concat!(
            "SELECT ",
            columns!(),
            ", TRUE AS live, person.body AS person, person.updated_at AS person_updated_at FROM session s",
            join_person!(),
            "WHERE s.id = $1"
        ),
        r.successor,
    )
}

/// One statement for all. It goes through the ids in their order, so that the batches of several nodes wait for each other rather than
/// deadlock; of two requests for one token, in one batch or in two, one finds it unspent.
async fn rotate_postgres(loan: &mut Loan, rotations: &[Rotation]) -> Result<Vec<Option<Found>>> {
    let mut ordered: Vec<&Rotation> = rotations.iter().collect();
    ordered.sort_unstable_by_key(|r| r.id);
    let query = sqlx::query_as(concat!(
        "WITH q AS (
           SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::uuid[], $8::bytea[],
             $9::bytea[], $10::bigint[], $11::bigint[], $12::bigint[])
             AS q(id, digest, client_id, client_epoch, kind, scope, successor, token_digest, refresh_digest, token_expires_at,
               refresh_expires_at, now)),
         spent AS (
           UPDATE session AS s SET rotated_at = q.now, successor = q.successor, expires_at = LEAST(s.expires_at, q.now + $13)
           FROM q
           WHERE s.id = q.id AND s.refresh_digest = q.digest AND s.client_id = q.client_id AND s.client_epoch = q.client_epoch
             AND s.kind = q.kind AND s.rotated_at IS NULL AND (s.refresh_expires_at IS NULL OR s.refresh_expires_at > q.now)
             AND ", live!(), "
           RETURNING s.kind, s.family, s.parent, s.shared, s.user_id, s.user_epoch, s.client_id, s.client_epoch, s.granted_scope,
             s.audience, s.id_token, s.refresh_limit, s.auth_time,
             q.successor, q.scope, q.token_digest, q.token_expires_at, q.refresh_digest, q.refresh_expires_at, q.now),
         s AS (
           ", insert_columns!(), "
           SELECT successor, kind, family, parent, shared, user_id, user_epoch, client_id, client_epoch, COALESCE(scope, granted_scope),
             granted_scope, audience, id_token, token_digest, token_expires_at, refresh_digest,
             CASE WHEN refresh_expires_at IS NULL OR refresh_limit < refresh_expires_at THEN refresh_limit ELSE refresh_expires_at END,
             refresh_limit, auth_time, now, now, GREATEST(token_expires_at, LEAST(refresh_expires_at, now + $13))
           FROM spent
           RETURNING *)
         SELECT ", columns!(), ", TRUE AS live, person.body AS person, person.updated_at AS person_updated_at FROM s",
        join_person!()
    ))
    .bind(column!(ordered, r => r.id))
    .bind(column!(ordered, r => r.digest.as_bytes()))
    .bind(column!(ordered, r => r.client_id.as_str()))
    .bind(column!(ordered, r => r.client_epoch))
    .bind(column!(ordered, r => r.kind))
    .bind(column!(ordered, r => r.scope.as_deref()))
    .bind(column!(ordered, r => r.successor))
    .bind(column!(ordered, r => r.token_digest.as_ref().map(Digest::as_bytes)))
    .bind(column!(ordered, r => r.refresh_digest.as_bytes()))
    .bind(column!(ordered, r => r.token_expires_at))
    .bind(column!(ordered, r => r.refresh_expires_at))
    .bind(column!(ordered, r => r.now))
    .bind(SPENT_KEPT);
    let rows: Vec<Found> = lent!(loan, loan => query.fetch_all(loan.ask()))?;
    let mut made: HashMap<Uuid, Found> = rows.into_iter().map(|row| (row.session.id, row)).collect();
    Ok(rotations.iter().map(|r| made.remove(&r.successor)).collect())
}

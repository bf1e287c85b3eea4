//! Rotation: a refresh token is spent and its successor made, in one step that exactly one caller wins.

use std::collections::HashMap;
use std::sync::Arc;

use uuid::Uuid;

use super::coalesce::Queue;
use super::postgres::Loan;
use super::rows::{packed, unnested};
use super::sessions::{Found, SPENT_KEPT, columns, insert_columns, join_person, live};
use super::sqlite::Sqlite;
use super::{Db, Pools, Result, Store};
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
                Db::Sqlite(sqlite) => rotate_sqlite(sqlite, &rotations).await,
            }
        }
    })
}

/// The fields of what is presented, in the order in which both databases name them.
macro_rules! fields {
    ($bound:ident!($($before:tt)*)) => {
        $bound!($($before)*, r => r.id, r.digest.as_bytes(), r.client_id.as_str(), r.client_epoch, r.kind, r.scope.as_deref(),
            r.successor, r.token_digest.as_ref().map(Digest::as_bytes), r.refresh_digest.as_bytes(), r.token_expires_at,
            r.refresh_expires_at, r.now)
    };
}
macro_rules! asked_sqlite {
    () => {
        "(SELECT unhex(value ->> 0) AS id, unhex(value ->> 1) AS digest, value ->> 2 AS client_id, value ->> 3 AS client_epoch,
            value ->> 4 AS kind, value ->> 5 AS scope, unhex(value ->> 6) AS successor, unhex(value ->> 7) AS token_digest,
            unhex(value ->> 8) AS refresh_digest, value ->> 9 AS token_expires_at, value ->> 10 AS refresh_expires_at, value ->> 11 AS now
          FROM json_each($1)) AS q"
    };
}

/// Three statements for all, which go to SQLite as one text. Of two requests for one token the first statement spends it for one; whose
/// successor is written there says for which.
async fn rotate_sqlite(sqlite: &Sqlite, rotations: &[Rotation]) -> Result<Vec<Option<Found>>> {
    let query = sqlx::query_as(concat!(
        "UPDATE session AS s SET rotated_at = q.now, successor = q.successor, expires_at = min(s.expires_at, q.now + $2)
         FROM ", asked_sqlite!(), "
         WHERE s.id = q.id AND s.refresh_digest = q.digest AND s.client_id = q.client_id AND s.client_epoch = q.client_epoch
           AND s.kind = q.kind AND s.rotated_at IS NULL AND (s.refresh_expires_at IS NULL OR s.refresh_expires_at > q.now)
           AND ", live!(), ";
         ", insert_columns!(), "
         SELECT q.successor, spent.kind, family, parent, shared, user_id, user_epoch, spent.client_id, spent.client_epoch,
           COALESCE(q.scope, granted_scope), granted_scope, audience, id_token, q.token_digest, q.token_expires_at, q.refresh_digest,
           CASE WHEN q.refresh_expires_at IS NULL OR refresh_limit < q.refresh_expires_at THEN refresh_limit ELSE q.refresh_expires_at END,
           refresh_limit, auth_time, claims, q.now, q.now,
           max(q.token_expires_at, min(COALESCE(q.refresh_expires_at, q.now + $2), q.now + $2))
         FROM ", asked_sqlite!(), " CROSS JOIN session AS spent ON spent.id = q.id AND spent.successor = q.successor;
         SELECT ", columns!(), ", TRUE AS live, person.body AS person, person.updated_at AS person_updated_at
         FROM (SELECT unhex(value ->> 6) AS successor FROM json_each($1)) AS q CROSS JOIN session AS s ON s.id = q.successor",
        join_person!()
    ))
    .bind(fields!(packed!(rotations))?)
    .bind(SPENT_KEPT);
    let mut tx = sqlite.writer.begin_with("BEGIN IMMEDIATE").await?;
    let rows = query.fetch_all(&mut *tx).await?;
    tx.commit().await?;
    Ok(in_order(rotations, rows))
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
             s.audience, s.id_token, s.refresh_limit, s.auth_time, s.claims,
             q.successor, q.scope, q.token_digest, q.token_expires_at, q.refresh_digest, q.refresh_expires_at, q.now),
         s AS (
           ", insert_columns!(), "
           SELECT successor, kind, family, parent, shared, user_id, user_epoch, client_id, client_epoch, COALESCE(scope, granted_scope),
             granted_scope, audience, id_token, token_digest, token_expires_at, refresh_digest,
             CASE WHEN refresh_expires_at IS NULL OR refresh_limit < refresh_expires_at THEN refresh_limit ELSE refresh_expires_at END,
             refresh_limit, auth_time, claims, now, now, GREATEST(token_expires_at, LEAST(refresh_expires_at, now + $13))
           FROM spent
           RETURNING *)
         SELECT ", columns!(), ", TRUE AS live, person.body AS person, person.updated_at AS person_updated_at FROM s",
        join_person!()
    ));
    let query = fields!(unnested!(query, ordered)).bind(SPENT_KEPT);
    let rows = lent!(loan, loan => query.fetch_all(loan.ask()))?;
    Ok(in_order(rotations, rows))
}

/// What was made, for those it was made for.
fn in_order(rotations: &[Rotation], rows: Vec<Found>) -> Vec<Option<Found>> {
    let mut made: HashMap<Uuid, Found> = rows.into_iter().map(|row| (row.session.id, row)).collect();
    rotations.iter().map(|r| made.remove(&r.successor)).collect()
}

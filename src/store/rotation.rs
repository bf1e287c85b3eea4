//! Rotation: a refresh token is spent and its successor made, in one step that exactly one caller wins.

use std::collections::HashMap;
use std::sync::Arc;

use uuid::Uuid;

use super::coalesce::Queue;
use super::postgres::{Lender, Postgres};
use super::sessions::{FOREVER, Found, columns, insert_columns, live, live_joins};
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

/// Seconds that a spent row is kept, so that its reuse is recognised: ninety days.
const SPENT_KEPT: i64 = 7_776_000;

impl Store {
    /// Spends a refresh token and makes its successor. `None`: it was not to be had, and [`Store::session`] tells why.
    pub async fn rotate(&self, rotation: Rotation) -> Result<Option<Found>> {
        self.queues.rotations.ask(rotation).await
    }
}

/// The queue of [`Store::rotate`].
pub(super) fn rotating(db: &Pools) -> Queue<Rotation, Option<Found>> {
    let db = db.clone();
    Queue::new(move |rotations: Arc<[Rotation]>| {
        let db = db.clone();
        async move {
            match &db {
                Db::Postgres(postgres) => rotate_postgres(postgres.swift(), &rotations).await,
                Db::Sqlite(_) => {
                    let mut tx = db.begin(Postgres::swift).await?;
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
            "UPDATE session AS spent SET rotated_at = $1, successor = $2, expires_at = min(expires_at, $1 + $7)
             WHERE id = $3 AND refresh_digest = $4 AND client_id = $5 AND client_epoch = $6 AND kind = $8 AND rotated_at IS NULL
               AND (refresh_expires_at IS NULL OR refresh_expires_at > $1)
               AND EXISTS (SELECT 1 FROM session s",
            live_joins!(),
            "WHERE s.id = spent.id AND ",
            live!(),
            ")"
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
               max($4, COALESCE($6, $7 + $8))
             FROM session WHERE id = $9"
        ),
        r.successor,
        &r.scope,
        r.token_digest.as_ref().map(Digest::as_bytes),
        r.token_expires_at,
        r.refresh_digest.as_bytes(),
        r.refresh_expires_at,
        r.now,
        FOREVER,
        r.id,
    )?;
    sql!(
        tx.conn(),
        fetch_optional as Found,
        concat!(
            "SELECT ",
            columns!(),
            ", TRUE AS live, person.body AS person, person.updated_at AS person_updated_at FROM session s",
            live_joins!(),
            "WHERE s.id = $1"
        ),
        r.successor,
    )
}

/// One statement for all. Rows are locked in the order of their ids, so that the batches of several nodes wait for each other rather
/// than deadlock; of two requests for one token, in one batch or in two, one finds it unspent.
async fn rotate_postgres(lender: Lender<'_>, rotations: &[Rotation]) -> Result<Vec<Option<Found>>> {
    let query = sqlx::query_as(concat!(
        "WITH q AS (
           SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::uuid[], $8::bytea[],
             $9::bytea[], $10::bigint[], $11::bigint[], $12::bigint[])
             AS q(id, digest, client_id, client_epoch, kind, scope, successor, token_digest, refresh_digest, token_expires_at,
               refresh_expires_at, now)),
         locked AS (SELECT id FROM session WHERE id = ANY($1) ORDER BY id FOR UPDATE),
         spent AS (
           UPDATE session AS spent SET rotated_at = q.now, successor = q.successor, expires_at = LEAST(spent.expires_at, q.now + $13)
           FROM q JOIN locked ON locked.id = q.id
           WHERE spent.id = q.id AND spent.refresh_digest = q.digest AND spent.client_id = q.client_id
             AND spent.client_epoch = q.client_epoch AND spent.kind = q.kind AND spent.rotated_at IS NULL
             AND (spent.refresh_expires_at IS NULL OR spent.refresh_expires_at > q.now)
             AND EXISTS (SELECT 1 FROM session s", live_joins!(), "WHERE s.id = spent.id AND ", live!(), ")
           RETURNING spent.kind, spent.family, spent.parent, spent.shared, spent.user_id, spent.user_epoch, spent.client_id,
             spent.client_epoch, spent.granted_scope, spent.audience, spent.id_token, spent.refresh_limit, spent.auth_time,
             q.successor, q.scope, q.token_digest, q.token_expires_at, q.refresh_digest, q.refresh_expires_at, q.now),
         s AS (
           ", insert_columns!(), "
           SELECT successor, kind, family, parent, shared, user_id, user_epoch, client_id, client_epoch, COALESCE(scope, granted_scope),
             granted_scope, audience, id_token, token_digest, token_expires_at, refresh_digest,
             CASE WHEN refresh_expires_at IS NULL OR refresh_limit < refresh_expires_at THEN refresh_limit ELSE refresh_expires_at END,
             refresh_limit, auth_time, now, now, GREATEST(token_expires_at, COALESCE(refresh_expires_at, now + $14))
           FROM spent
           RETURNING *)
         SELECT ", columns!(), ", TRUE AS live, person.body AS person, person.updated_at AS person_updated_at FROM s
         LEFT JOIN document person ON person.kind = 'User' AND person.id = s.user_id AND person.deleted_at IS NULL"
    ))
    .bind(column!(rotations, r => r.id))
    .bind(column!(rotations, r => r.digest.as_bytes()))
    .bind(column!(rotations, r => r.client_id.as_str()))
    .bind(column!(rotations, r => r.client_epoch))
    .bind(column!(rotations, r => r.kind))
    .bind(column!(rotations, r => r.scope.as_deref()))
    .bind(column!(rotations, r => r.successor))
    .bind(column!(rotations, r => r.token_digest.as_ref().map(Digest::as_bytes)))
    .bind(column!(rotations, r => r.refresh_digest.as_bytes()))
    .bind(column!(rotations, r => r.token_expires_at))
    .bind(column!(rotations, r => r.refresh_expires_at))
    .bind(column!(rotations, r => r.now))
    .bind(SPENT_KEPT)
    .bind(FOREVER);
    let rows: Vec<Found> = lent!(lender, loan => query.fetch_all(loan.ask()))?;
    let mut made: HashMap<Uuid, Found> = rows.into_iter().map(|row| (row.session.id, row)).collect();
    Ok(rotations.iter().map(|r| made.remove(&r.successor)).collect())
}

//! Redemption: a code is claimed and its tokens' session made, in one step that exactly one caller wins.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::FromRow;
use sqlx::types::Json;
use uuid::Uuid;

use super::coalesce::Queue;
use super::codes::{Code, columns};
use super::postgres::Loan;
use super::rows::{packed, unnested};
use super::sessions::{SPENT_KEPT, insert_columns};
use super::sqlite::Sqlite;
use super::{Db, Pools, Result, Store};
use crate::domain::secret::Digest;
use crate::domain::time::Timestamp;

/// What a token request presents, and the tokens it is to get.
#[derive(Clone, Debug)]
pub struct Redemption {
    /// The code's row.
    pub id: Uuid,
    /// The digest of the code.
    pub digest: Digest,
    /// The client that presents it, by name and epoch.
    pub client_id: String,
    /// That client's epoch.
    pub client_epoch: i64,
    /// The `redirect_uri` of the token request.
    pub redirect_uri: Option<String>,
    /// The challenge of the `code_verifier` of the token request.
    pub code_challenge: Option<String>,
    /// The id of the session to make.
    pub session_id: Uuid,
    /// The digest of the access token, where it is opaque.
    pub token_digest: Option<Digest>,
    /// When the access token expires.
    pub token_expires_at: Timestamp,
    /// Its audience, space-delimited, where neither this request nor the code names resources.
    pub audience: String,
    /// The resources that this request names, space-delimited (RFC 8707 §2.2).
    pub resource: Option<String>,
    /// The digest of the refresh token, should there be one.
    pub refresh_digest: Digest,
    /// When that expires by itself; never where absent.
    pub refresh_expires_at: Option<Timestamp>,
    /// The server's cap on it.
    pub refresh_limit: Option<Timestamp>,
    /// Whether there is one in any case.
    pub refresh_always: bool,
    /// Whether there is one where `offline_access` was granted.
    pub refresh_if_asked: bool,
    /// The present.
    pub now: Timestamp,
}

/// A redeemed code.
#[derive(Clone, Debug, FromRow)]
pub struct Redeemed {
    /// The code's row.
    #[sqlx(flatten)]
    pub code: Code,
    /// Whether the user may still be issued tokens; if not, there is no session.
    pub person_active: bool,
    /// Whether a refresh token was made.
    pub refreshable: bool,
    /// The user's document, where there still is one.
    pub person: Option<Json<serde_json::Value>>,
    /// When it last changed.
    pub person_updated_at: Option<i64>,
}

/// What a claimed code `c` is read with.
macro_rules! joins {
    () => {
        " LEFT JOIN document d ON d.kind = 'User' AND d.id = c.user_id AND d.deleted_at IS NULL "
    };
}
macro_rules! redeemed {
    () => {
        concat!(
            columns!(),
            ", COALESCE(d.active AND d.epoch = c.user_epoch, FALSE) AS person_active,
               d.body AS person, d.updated_at AS person_updated_at"
        )
    };
}

impl Store {
    /// Claims a code and makes its session, in one step that exactly one caller wins. RFC 6749 §4.1.2: a code is used once;
    /// §4.1.3: by the client it was issued to, with the same redirect URI; RFC 7636 §4.6: with the verifier of its challenge; and
    /// not after the person has signed out. Whatever does not fit leaves it unclaimed: the answer is `None`, and [`Store::code`] tells why.
    pub async fn redeem_code(&self, redemption: Redemption) -> Result<Option<Redeemed>> {
        self.queues.redemptions.ask(redemption).await
    }
}

/// The queue of [`Store::redeem_code`].
pub(super) fn redeeming(db: &Pools) -> Queue<Redemption, Option<Redeemed>> {
    let db = db.seat();
    Queue::new(move |redemptions: Arc<[Redemption]>| {
        let db = db.clone();
        async move {
            match &db {
                Db::Postgres(seat) => redeem_postgres(&mut *seat.take().await?, &redemptions).await,
                Db::Sqlite(sqlite) => redeem_sqlite(sqlite, &redemptions).await,
            }
        }
    })
}

impl Redemption {
    /// What the access token is for: the resources of this request, else of the code, else the client's audience.
    pub fn audience<'a>(&'a self, code: &'a Code) -> &'a str {
        self.resource.as_deref().or(code.resource.as_deref()).unwrap_or(&self.audience)
    }
}

/// The fields of what is presented, in the order in which both databases name them.
macro_rules! fields {
    ($bound:ident!($($before:tt)*)) => {
        $bound!($($before)*, r => r.id, r.digest.as_bytes(), r.client_id.as_str(), r.client_epoch, r.redirect_uri.as_deref(),
            r.code_challenge.as_deref(), r.session_id, r.token_digest.as_ref().map(Digest::as_bytes), r.token_expires_at,
            r.audience.as_str(), r.refresh_digest.as_bytes(), r.refresh_expires_at, r.refresh_limit, r.refresh_always,
            r.refresh_if_asked, r.now, r.resource.as_deref())
    };
}
macro_rules! asked_sqlite {
    () => {
        "(SELECT unhex(value ->> 0) AS id, unhex(value ->> 1) AS digest, value ->> 2 AS client_id, value ->> 3 AS client_epoch,
            value ->> 4 AS redirect_uri, value ->> 5 AS code_challenge, unhex(value ->> 6) AS session_id,
            unhex(value ->> 7) AS token_digest, value ->> 8 AS token_expires_at, value ->> 9 AS audience,
            unhex(value ->> 10) AS refresh_digest, value ->> 11 AS refresh_expires_at, value ->> 12 AS refresh_limit,
            value ->> 13 AS refresh_always, value ->> 14 AS refresh_if_asked, value ->> 15 AS now, value ->> 16 AS resource
          FROM json_each($1)) AS q"
    };
}
/// The codes that were claimed for these requests, with what that takes.
macro_rules! claimed_sqlite {
    () => {
        concat!(
            "(SELECT c.*, q.token_digest, q.token_expires_at, COALESCE(q.resource, c.resource, q.audience) AS audience, q.refresh_digest,
                q.refresh_expires_at, q.refresh_limit, q.now,
                (q.refresh_always OR (q.refresh_if_asked AND instr(' ' || c.scope || ' ', ' offline_access ') > 0)) AS refreshable
              FROM ", asked_sqlite!(), " CROSS JOIN authorization_code AS c ON c.id = q.id AND c.session_id = q.session_id) AS c"
        )
    };
}

/// Three statements for all, which go to SQLite as one text. Of two requests for one code the first statement claims it for one; whose
/// session is written there says for which.
async fn redeem_sqlite(sqlite: &Sqlite, redemptions: &[Redemption]) -> Result<Vec<Option<Redeemed>>> {
    let query = sqlx::query_as(concat!(
        "UPDATE authorization_code AS c SET claimed_at = q.now, session_id = q.session_id
         FROM ", asked_sqlite!(), "
         WHERE c.id = q.id AND c.digest = q.digest AND c.client_id = q.client_id AND c.client_epoch = q.client_epoch
           AND c.claimed_at IS NULL AND c.expires_at > q.now
           AND ((c.redirect_uri = q.redirect_uri) OR (q.redirect_uri IS NULL AND NOT c.redirect_required))
           AND ((c.code_challenge = q.code_challenge) OR (q.code_challenge IS NULL AND c.code_challenge IS NULL))
           AND EXISTS (SELECT 1 FROM session login WHERE login.id = c.login_id AND login.family_ended_at IS NULL);
         ", insert_columns!(), "
         SELECT session_id, 'authorization_code', COALESCE(family, session_id), login_id, shared, c.user_id, user_epoch, c.client_id,
           client_epoch, scope, scope, audience, id_token, token_digest, token_expires_at, CASE WHEN refreshable THEN refresh_digest END,
           CASE WHEN refreshable THEN refresh_expires_at END, CASE WHEN refreshable THEN refresh_limit END, auth_time, claims, now, now,
           CASE WHEN refreshable THEN max(token_expires_at, min(COALESCE(refresh_expires_at, now + $2), now + $2)) ELSE token_expires_at END
         FROM ", claimed_sqlite!(), joins!(), "WHERE d.active AND d.epoch = c.user_epoch;
         SELECT ", redeemed!(), ", c.refreshable FROM ", claimed_sqlite!(), joins!()
    ))
    .bind(fields!(packed!(redemptions))?)
    .bind(SPENT_KEPT);
    let mut tx = sqlite.writer.begin_with("BEGIN IMMEDIATE").await?;
    let rows = query.fetch_all(&mut *tx).await?;
    tx.commit().await?;
    Ok(in_order(redemptions, rows))
}

/// One statement for all. It goes through the ids in their order, so that the batches of several nodes wait for each other rather than
/// deadlock; of two requests for one code, in one batch or in two, one finds it unclaimed.
async fn redeem_postgres(loan: &mut Loan, redemptions: &[Redemption]) -> Result<Vec<Option<Redeemed>>> {
    let mut ordered: Vec<&Redemption> = redemptions.iter().collect();
    ordered.sort_unstable_by_key(|r| r.id);
    let query = sqlx::query_as(concat!(
        "WITH q AS (
           SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::uuid[], $8::bytea[],
             $9::bigint[], $10::text[], $11::bytea[], $12::bigint[], $13::bigint[], $14::bool[], $15::bool[], $16::bigint[], $17::text[])
             AS q(id, digest, client_id, client_epoch, redirect_uri, code_challenge, session_id, token_digest, token_expires_at,
               audience, refresh_digest, refresh_expires_at, refresh_limit, refresh_always, refresh_if_asked, now, resource)),
         c AS (
           UPDATE authorization_code AS c SET claimed_at = q.now, session_id = q.session_id
           FROM q
           WHERE c.id = q.id AND c.digest = q.digest AND c.client_id = q.client_id AND c.client_epoch = q.client_epoch
             AND c.claimed_at IS NULL AND c.expires_at > q.now
             AND ((c.redirect_uri = q.redirect_uri) OR (q.redirect_uri IS NULL AND NOT c.redirect_required))
             AND ((c.code_challenge = q.code_challenge) OR (q.code_challenge IS NULL AND c.code_challenge IS NULL))
             AND EXISTS (SELECT 1 FROM session login WHERE login.id = c.login_id AND login.family_ended_at IS NULL)
           RETURNING c.*, q.token_digest, q.token_expires_at, COALESCE(q.resource, c.resource, q.audience) AS audience,
             q.refresh_digest, q.refresh_expires_at, q.refresh_limit, q.now, (q.refresh_always OR (q.refresh_if_asked AND strpos(' ' || c.scope || ' ', ' offline_access ') > 0)) AS refreshable),
         found AS (
           SELECT ", redeemed!(), ", c.refreshable, c.token_digest, c.token_expires_at, c.audience, c.refresh_digest,
             c.refresh_expires_at, c.refresh_limit, c.now
           FROM c", joins!(), "),
         made AS (", insert_columns!(), "
           SELECT session_id, 'authorization_code', COALESCE(family, session_id), login_id, shared, user_id, user_epoch, client_id, client_epoch, scope,
             scope, audience, id_token, token_digest, token_expires_at, CASE WHEN refreshable THEN refresh_digest END,
             CASE WHEN refreshable THEN refresh_expires_at END, CASE WHEN refreshable THEN refresh_limit END, auth_time, claims, now, now,
             CASE WHEN refreshable THEN GREATEST(token_expires_at, LEAST(refresh_expires_at, now + $18)) ELSE token_expires_at END
           FROM found WHERE person_active)
         SELECT * FROM found"
    ));
    let query = fields!(unnested!(query, ordered)).bind(SPENT_KEPT);
    let rows = lent!(loan, loan => query.fetch_all(loan.ask()))?;
    Ok(in_order(redemptions, rows))
}

/// What was redeemed, for those it was redeemed for.
fn in_order(redemptions: &[Redemption], rows: Vec<Redeemed>) -> Vec<Option<Redeemed>> {
    let mut redeemed: HashMap<Option<Uuid>, Redeemed> =
        rows.into_iter().map(|row| (row.code.session_id, row)).collect();
    redemptions.iter().map(|r| redeemed.remove(&Some(r.session_id))).collect()
}

//! Sessions: a row per signed-in browser and per issued access token, with its refresh token beside it.
//!
//! Rows of one authorization form a family whose root says whether it has ended, so that ending a hundred tokens is one
//! update and no token issued at the same moment slips through. Whether a row is live is decided in one place, the macro `live!`.

use sqlx::FromRow;
use sqlx::types::Json;
use uuid::Uuid;

use super::{Db, Result, Store, Tx};
use crate::domain::secret::Digest;
use crate::domain::time::Timestamp;

/// The joins and the condition under which a session `s` is live: neither its family nor (first party) its login was ended,
/// and its user is active and the one it was made for. Expiry of the token in question is the caller's to compare.
macro_rules! live {
    () => {
        "(root.id IS NOT NULL AND root.family_ended_at IS NULL
          AND (NOT s.shared OR (login.id IS NOT NULL AND login.family_ended_at IS NULL))
          AND (s.user_id IS NULL OR (person.active AND person.epoch = s.user_epoch)))"
    };
}
macro_rules! live_joins {
    () => {
        " LEFT JOIN session root ON root.id = s.family
          LEFT JOIN session login ON login.id = s.parent
          LEFT JOIN document person ON person.kind = 'User' AND person.id = s.user_id AND person.deleted_at IS NULL "
    };
}
macro_rules! columns {
    () => {
        "s.id, s.kind, s.family, s.parent, s.shared, s.user_id, s.user_epoch, s.client_id, s.client_epoch, s.scope, s.granted_scope,
         s.audience, s.id_token, s.token_digest, s.token_expires_at, s.refresh_digest, s.refresh_expires_at, s.refresh_limit,
         s.rotated_at, s.successor, s.auth_time, s.seen_at, s.created_at, s.ended_at"
    };
}
macro_rules! insert_columns {
    () => {
        "INSERT INTO session (id, kind, family, parent, shared, user_id, user_epoch, client_id, client_epoch, scope, granted_scope,
           audience, id_token, token_digest, token_expires_at, refresh_digest, refresh_expires_at, refresh_limit, auth_time,
           seen_at, created_at, expires_at) "
    };
}
macro_rules! insert_session {
    ($db:expr, $s:expr) => {
        sql!(
            $db,
            execute,
            concat!(
                insert_columns!(),
                "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)"
            ),
            $s.id, &$s.kind, $s.family, $s.parent, $s.shared, &$s.user_id, $s.user_epoch, &$s.client_id, $s.client_epoch, &$s.scope,
            &$s.granted_scope, &$s.audience, $s.id_token, &$s.token_digest, $s.token_expires_at, &$s.refresh_digest,
            $s.refresh_expires_at, $s.refresh_limit, $s.auth_time, $s.seen_at, $s.created_at, $s.row_expires_at(),
        )
        .map(drop)
    };
}
pub(super) use insert_columns;

/// A row of `session`.
#[derive(Clone, Debug, FromRow)]
#[expect(missing_docs, reason = "each column is described where the table is made, in migrations/")]
pub struct Session {
    pub id: Uuid,
    pub kind: String,
    pub family: Uuid,
    pub parent: Option<Uuid>,
    pub shared: bool,
    pub user_id: Option<String>,
    pub user_epoch: Option<i64>,
    pub client_id: Option<String>,
    pub client_epoch: Option<i64>,
    pub scope: String,
    pub granted_scope: String,
    pub audience: String,
    pub id_token: bool,
    pub token_digest: Option<Vec<u8>>,
    pub token_expires_at: Timestamp,
    pub refresh_digest: Option<Vec<u8>>,
    pub refresh_expires_at: Option<Timestamp>,
    pub refresh_limit: Option<Timestamp>,
    pub rotated_at: Option<Timestamp>,
    pub successor: Option<Uuid>,
    pub auth_time: Option<Timestamp>,
    pub seen_at: Timestamp,
    pub created_at: Timestamp,
    pub ended_at: Option<Timestamp>,
}

/// A session and what it hangs on.
#[derive(Clone, Debug, FromRow)]
pub struct Found {
    /// The row.
    #[sqlx(flatten)]
    pub session: Session,
    /// Whether family, login and user still stand.
    pub live: bool,
    /// The user's document, where there is one.
    pub person: Option<Json<serde_json::Value>>,
    /// When that document last changed.
    pub person_updated_at: Option<i64>,
}

/// What the two statements of a rotation have in common.
#[derive(Debug)]
pub struct Rotation<'a> {
    /// The row of the refresh token that was presented.
    pub id: Uuid,
    /// The digest of what was presented.
    pub digest: Digest,
    /// The client that presented it.
    pub client_id: &'a str,
    /// That client's epoch.
    pub client_epoch: i64,
    /// The grant that the token must have come from.
    pub kind: &'a str,
    /// The scope of the new access token; the one granted where absent.
    pub scope: Option<&'a str>,
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

/// Rows that can still be refreshed are kept at least this long after their last use, in seconds: a hundred years for those
/// that do not expire, and ninety days for a spent one, so that its reuse is recognised.
const FOREVER: i64 = 3_155_760_000;
const SPENT_KEPT: i64 = 7_776_000;

impl Store {
    /// Inserts a session.
    pub async fn insert_session(&self, session: &Session) -> Result<()> {
        insert_session!(self.writer(), session)
    }

    /// The session of this id, with whether it is live and its user's document.
    pub async fn session(&self, id: Uuid) -> Result<Option<Found>> {
        sql!(
            self.reader(),
            fetch_optional as Found,
            concat!(
                "SELECT ",
                columns!(),
                ", COALESCE(",
                live!(),
                ", FALSE) AS live, person.body AS person, person.updated_at AS person_updated_at
                 FROM session s",
                live_joins!(),
                "WHERE s.id = $1"
            ),
            id,
        )
    }

    /// Spends a refresh token and makes its successor, in one step that exactly one caller wins. `None`: it was not to be had,
    /// and [`Store::session`] tells why.
    pub async fn rotate(&self, r: &Rotation<'_>) -> Result<Option<Found>> {
        match self.writer() {
            Db::Postgres(pool) => rotate_postgres(pool, r).await,
            Db::Sqlite(_) => self.rotate_sqlite(r).await,
        }
    }

    async fn rotate_sqlite(&self, r: &Rotation<'_>) -> Result<Option<Found>> {
        let mut tx = self.begin().await?;
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
            r.client_id,
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
            concat!(insert_columns!(), "SELECT $1, kind, family, parent, shared, user_id, user_epoch, client_id, client_epoch, COALESCE($2, granted_scope), granted_scope,
               audience, id_token, $3, $4, $5,
               CASE WHEN $6 IS NULL OR refresh_limit < $6 THEN refresh_limit ELSE $6 END, refresh_limit, auth_time, $7, $7,
               max($4, COALESCE($6, $7 + $8))
             FROM session WHERE id = $9"),
            r.successor, r.scope, r.token_digest.as_ref().map(Digest::as_bytes), r.token_expires_at, r.refresh_digest.as_bytes(), r.refresh_expires_at, r.now, FOREVER, r.id,
        )?;
        let made = sql!(
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
        )?;
        tx.commit().await?;
        Ok(made)
    }

    /// Ends one access token; its refresh token and its family live on.
    pub async fn end_token(&self, id: Uuid, now: Timestamp) -> Result<()> {
        sql!(self.writer(), execute, "UPDATE session SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL", id, now)
            .map(drop)
    }

    /// Takes scopes from an access token that was not handed out yet.
    pub async fn narrow_token(&self, id: Uuid, scope: &str) -> Result<()> {
        sql!(self.writer(), execute, "UPDATE session SET scope = $2 WHERE id = $1", id, scope).map(drop)
    }

    /// Ends a family: every access and refresh token that came from one authorization. `true` where it was live until now.
    pub async fn end_family(&self, root: Uuid, now: Timestamp) -> Result<bool> {
        let ended = sql!(
            self.writer(),
            execute,
            "UPDATE session SET family_ended_at = $2 WHERE id = $1 AND family_ended_at IS NULL",
            root,
            now,
        )?;
        Ok(ended > 0)
    }

    /// Closes the session that a row belongs to: its family and, where it shares one with the browser's login, that too.
    pub async fn close_session(&self, session: &Session, now: Timestamp) -> Result<()> {
        self.end_family(session.family, now).await?;
        if let Some(login) = session.parent.filter(|_| session.shared) {
            self.end_family(login, now).await?;
        }
        Ok(())
    }

    /// Notes that a login was used, so that its idle limit starts anew.
    pub async fn touch_login(&self, id: Uuid, now: Timestamp) -> Result<()> {
        sql!(self.writer(), execute, "UPDATE session SET seen_at = $2 WHERE id = $1", id, now).map(drop)
    }

    /// Whether a JWT without a row was revoked.
    pub async fn is_revoked(&self, jti: Uuid) -> Result<bool> {
        let found =
            sql!(self.reader(), fetch_optional as (i64,), "SELECT expires_at FROM revoked_token WHERE jti = $1", jti)?;
        Ok(found.is_some())
    }

    /// Remembers that a JWT without a row was revoked, until it expires.
    pub async fn revoke_jwt(&self, jti: Uuid, expires_at: Timestamp) -> Result<()> {
        sql!(
            self.writer(),
            execute,
            "INSERT INTO revoked_token (jti, expires_at) VALUES ($1, $2) ON CONFLICT (jti) DO NOTHING",
            jti,
            expires_at,
        )
        .map(drop)
    }
}

async fn rotate_postgres(pool: &sqlx::PgPool, r: &Rotation<'_>) -> Result<Option<Found>> {
    sqlx::query_as(concat!(
        "WITH spent AS (
           UPDATE session AS spent SET rotated_at = $1, successor = $2, expires_at = LEAST(expires_at, $1 + $7)
           WHERE id = $3 AND refresh_digest = $4 AND client_id = $5 AND client_epoch = $6 AND kind = $14 AND rotated_at IS NULL
             AND (refresh_expires_at IS NULL OR refresh_expires_at > $1)
             AND EXISTS (SELECT 1 FROM session s", live_joins!(), "WHERE s.id = spent.id AND ", live!(), ")
           RETURNING *),
         s AS (
           ", insert_columns!(), "
           SELECT $2, kind, family, parent, shared, user_id, user_epoch, client_id, client_epoch, COALESCE($8, granted_scope), granted_scope,
             audience, id_token, $9, $10, $11,
             CASE WHEN $12::bigint IS NULL OR refresh_limit < $12 THEN refresh_limit ELSE $12 END, refresh_limit, auth_time, $1, $1,
             GREATEST($10, COALESCE($12, $1 + $13))
           FROM spent
           RETURNING *)
         SELECT ", columns!(), ", TRUE AS live, person.body AS person, person.updated_at AS person_updated_at FROM s
         LEFT JOIN document person ON person.kind = 'User' AND person.id = s.user_id AND person.deleted_at IS NULL"
    ))
    .bind(r.now)
    .bind(r.successor)
    .bind(r.id)
    .bind(r.digest.as_bytes())
    .bind(r.client_id)
    .bind(r.client_epoch)
    .bind(SPENT_KEPT)
    .bind(r.scope)
    .bind(r.token_digest.as_ref().map(Digest::as_bytes))
    .bind(r.token_expires_at)
    .bind(r.refresh_digest.as_bytes())
    .bind(r.refresh_expires_at)
    .bind(FOREVER)
    .bind(r.kind)
    .fetch_optional(pool)
    .await
}

impl Session {
    /// When the row may go: once neither of its tokens can be used any more.
    fn row_expires_at(&self) -> Timestamp {
        let refresh = match (&self.refresh_digest, self.refresh_expires_at) {
            (None, _) => self.token_expires_at,
            (Some(_), None) => self.created_at.plus(FOREVER),
            (Some(_), Some(at)) => at,
        };
        refresh.max(self.token_expires_at)
    }
}

/// Which sessions an administrator asks for.
#[derive(Debug, Default)]
pub struct SessionFilter<'a> {
    /// Of this user.
    pub user_id: Option<&'a str>,
    /// Of this client.
    pub client_id: Option<&'a str>,
    /// With this id.
    pub id: Option<Uuid>,
    /// Only live (`true`) or only ended ones (`false`).
    pub active: Option<bool>,
}

impl Store {
    /// A page of sessions, newest first, with how many there are in all (counted up to 10,000).
    pub async fn sessions(
        &self,
        filter: &SessionFilter<'_>,
        limit: i64,
        offset: i64,
        now: Timestamp,
    ) -> Result<(Vec<Found>, i64)> {
        macro_rules! matching {
            () => {
                concat!(
                    " FROM session s", live_joins!(),
                    "WHERE ($1 IS NULL OR s.user_id = $1) AND ($2 IS NULL OR s.client_id = $2) AND ($3 IS NULL OR s.id = $3)
                     AND ($4 IS NULL OR $4 = (s.ended_at IS NULL AND COALESCE(", live!(), ", FALSE) AND s.expires_at > $5))"
                )
            };
        }
        let rows = sql!(
            self.reader(),
            fetch_all as Found,
            concat!(
                "SELECT ",
                columns!(),
                ", COALESCE(",
                live!(),
                ", FALSE) AS live, person.body AS person, person.updated_at AS person_updated_at",
                matching!(),
                " ORDER BY s.id DESC LIMIT $6 OFFSET $7"
            ),
            filter.user_id,
            filter.client_id,
            filter.id,
            filter.active,
            now,
            limit,
            offset,
        )?;
        let (total,) = sql!(
            self.reader(),
            fetch_one as (i64,),
            concat!("SELECT count(*) FROM (SELECT 1 AS one", matching!(), " LIMIT 10000) AS counted"),
            filter.user_id,
            filter.client_id,
            filter.id,
            filter.active,
            now,
        )?;
        Ok((rows, total))
    }
}

impl Tx {
    /// Ends what a client got by a person's consent. Unredeemed codes go first: one that is redeemed meanwhile has its family
    /// ended by the second statement.
    pub async fn end_what_was_consented(&mut self, user_id: &str, client_id: &str, now: Timestamp) -> Result<()> {
        sql!(
            self.conn(),
            execute,
            "UPDATE authorization_code SET expires_at = $3
             WHERE user_id = $1 AND client_id = $2 AND claimed_at IS NULL AND expires_at > $3",
            user_id,
            client_id,
            now,
        )?;
        sql!(
            self.conn(),
            execute,
            "UPDATE session SET family_ended_at = $3
             WHERE user_id = $1 AND client_id = $2 AND family = id AND kind = 'authorization_code' AND family_ended_at IS NULL",
            user_id,
            client_id,
            now,
        )
        .map(drop)
    }

    /// Inserts a session inside a larger step.
    pub(super) async fn insert_session(&mut self, session: &Session) -> Result<()> {
        insert_session!(self.conn(), session)
    }
}

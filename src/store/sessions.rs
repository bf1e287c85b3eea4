//! Sessions: a row per signed-in browser and per issued access token, with its refresh token beside it.
//!
//! Rows of one authorization form a family whose root says whether it has ended, so that ending a hundred tokens is one
//! update and no token issued at the same moment slips through. Whether a row is live is decided in one place, the macro `live!`.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::FromRow;
use sqlx::types::Json;
use uuid::Uuid;

use super::coalesce::Queue;
use super::postgres::{Lender, Postgres};
use super::{Db, Pools, Result, Store, Tx};
use crate::domain::time::Timestamp;

/// The joins and the condition under which a session `s` is live: neither its family nor (first party) its login was ended,
/// and its user is active and the one it was made for. Expiry of the token in question is the caller's to compare. A `CASE` in a
/// key saves the look where there is nothing to find.
macro_rules! live {
    () => {
        "(CASE WHEN s.family = s.id THEN s.family_ended_at IS NULL ELSE root.id IS NOT NULL AND root.family_ended_at IS NULL END
          AND (NOT s.shared OR (login.id IS NOT NULL AND login.family_ended_at IS NULL))
          AND (s.user_id IS NULL OR (person.active AND person.epoch = s.user_epoch)))"
    };
}
macro_rules! live_joins {
    () => {
        " LEFT JOIN session root ON root.id = CASE WHEN s.family <> s.id THEN s.family END
          LEFT JOIN session login ON login.id = CASE WHEN s.shared THEN s.parent END
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
macro_rules! found {
    () => {
        concat!(
            columns!(),
            ", COALESCE(",
            live!(),
            ", FALSE) AS live, person.body AS person, person.updated_at AS person_updated_at"
        )
    };
}
pub(super) use {columns, insert_columns, live, live_joins};

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

/// Seconds that a row is kept whose refresh token does not expire: a hundred years.
pub(super) const FOREVER: i64 = 3_155_760_000;

impl Store {
    /// Inserts a session.
    pub async fn insert_session(&self, session: Session) -> Result<()> {
        self.queues.new_sessions.ask(session).await
    }

    /// The session of this id, with whether it is live and its user's document.
    pub async fn session(&self, id: Uuid) -> Result<Option<Found>> {
        match self.reader() {
            Db::Postgres(_) => self.queues.found_sessions.ask(id).await,
            // SQLite is in this process: nothing travels, so nothing is saved by travelling together.
            Db::Sqlite(pool) => {
                let text = concat!("SELECT ", found!(), " FROM session s", live_joins!(), "WHERE s.id = $1");
                sqlx::query_as(text).bind(id).fetch_optional(pool).await
            }
        }
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

    /// Takes resources from an access token that was not handed out yet, and from those that follow it.
    pub async fn narrow_audience(&self, id: Uuid, audience: &str) -> Result<()> {
        sql!(self.writer(), execute, "UPDATE session SET audience = $2 WHERE id = $1", id, audience).map(drop)
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

/// The queue of [`Store::session`]; PostgreSQL's alone.
pub(super) fn finding(db: &Pools) -> Queue<Uuid, Option<Found>> {
    let db = db.clone();
    Queue::new(move |ids: Arc<[Uuid]>| {
        let db = db.clone();
        async move {
            let Db::Postgres(postgres) = &db else { return Ok(vec![None; ids.len()]) };
            let text = concat!("SELECT ", found!(), " FROM session s", live_joins!(), "WHERE s.id = ANY($1)");
            let query = sqlx::query_as(text).bind(&*ids);
            let rows: Vec<Found> = lent!(postgres.swift(), loan => query.fetch_all(loan.ask()))?;
            let found: HashMap<Uuid, Found> = rows.into_iter().map(|row| (row.session.id, row)).collect();
            Ok(ids.iter().map(|id| found.get(id).cloned()).collect())
        }
    })
}

/// The queue of [`Store::insert_session`].
pub(super) fn inserting(db: &Pools) -> Queue<Session, ()> {
    let db = db.clone();
    Queue::new(move |sessions: Arc<[Session]>| {
        let db = db.clone();
        async move {
            match &db {
                Db::Postgres(postgres) => insert_postgres(postgres.swift(), &sessions).await?,
                Db::Sqlite(_) => {
                    let mut tx = db.begin(Postgres::swift).await?;
                    for session in &*sessions {
                        tx.insert_session(session).await?;
                    }
                    tx.commit().await?;
                }
            }
            Ok(vec![(); sessions.len()])
        }
    })
}

async fn insert_postgres(lender: Lender<'_>, sessions: &[Session]) -> Result<()> {
    let insert = sqlx::query(concat!(
        insert_columns!(),
        "SELECT * FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::bool[], $6::text[], $7::bigint[], $8::text[],
           $9::bigint[], $10::text[], $11::text[], $12::text[], $13::bool[], $14::bytea[], $15::bigint[], $16::bytea[],
           $17::bigint[], $18::bigint[], $19::bigint[], $20::bigint[], $21::bigint[], $22::bigint[])"
    ))
    .bind(column!(sessions, s => s.id))
    .bind(column!(sessions, s => s.kind.as_str()))
    .bind(column!(sessions, s => s.family))
    .bind(column!(sessions, s => s.parent))
    .bind(column!(sessions, s => s.shared))
    .bind(column!(sessions, s => s.user_id.as_deref()))
    .bind(column!(sessions, s => s.user_epoch))
    .bind(column!(sessions, s => s.client_id.as_deref()))
    .bind(column!(sessions, s => s.client_epoch))
    .bind(column!(sessions, s => s.scope.as_str()))
    .bind(column!(sessions, s => s.granted_scope.as_str()))
    .bind(column!(sessions, s => s.audience.as_str()))
    .bind(column!(sessions, s => s.id_token))
    .bind(column!(sessions, s => s.token_digest.as_deref()))
    .bind(column!(sessions, s => s.token_expires_at))
    .bind(column!(sessions, s => s.refresh_digest.as_deref()))
    .bind(column!(sessions, s => s.refresh_expires_at))
    .bind(column!(sessions, s => s.refresh_limit))
    .bind(column!(sessions, s => s.auth_time))
    .bind(column!(sessions, s => s.seen_at))
    .bind(column!(sessions, s => s.created_at))
    .bind(column!(sessions, s => s.row_expires_at()));
    lent!(lender, loan => insert.execute(loan.ask())).map(drop)
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
            self.patient_reader(),
            fetch_all as Found,
            concat!("SELECT ", found!(), matching!(), " ORDER BY s.id DESC LIMIT $6 OFFSET $7"),
            filter.user_id,
            filter.client_id,
            filter.id,
            filter.active,
            now,
            limit,
            offset,
        )?;
        let (total,) = sql!(
            self.patient_reader(),
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
    pub(super) async fn insert_session(&mut self, s: &Session) -> Result<()> {
        sql!(
            self.conn(),
            execute,
            concat!(
                insert_columns!(),
                "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)"
            ),
            s.id,
            &s.kind,
            s.family,
            s.parent,
            s.shared,
            &s.user_id,
            s.user_epoch,
            &s.client_id,
            s.client_epoch,
            &s.scope,
            &s.granted_scope,
            &s.audience,
            s.id_token,
            &s.token_digest,
            s.token_expires_at,
            &s.refresh_digest,
            s.refresh_expires_at,
            s.refresh_limit,
            s.auth_time,
            s.seen_at,
            s.created_at,
            s.row_expires_at(),
        )
        .map(drop)
    }
}

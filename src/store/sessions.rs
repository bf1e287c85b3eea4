//! Sessions: a row per signed-in browser and per issued access token, with its refresh token beside it.
//!
//! Rows of one authorization form a family whose root says whether it has ended, so that ending a hundred tokens is one
//! update and no token issued at the same moment slips through. Whether a row is live is decided in one place, the macro `live!`.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::FromRow;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use uuid::Uuid;

use super::coalesce::Queue;
use super::postgres::Loan;
use super::rows::{packed, unnested};
use super::sqlite::Sqlite;
use super::{Db, Pools, Result, Store, Tx};
use crate::domain::scope::{OPENID, Scope};
use crate::domain::time::Timestamp;
use crate::domain::user::User;

/// The condition under which a session `s` is live: neither its family nor (first party) its login was ended, and its user is active
/// and the one it was made for. Expiry of the token in question is the caller's to compare. Where the user's document is joined as
/// `person` it is not looked for again. Each look is a subquery for one value: of an `EXISTS` PostgreSQL may decide to read all users
/// once instead.
macro_rules! live {
    () => {
        $crate::store::sessions::live!("(SELECT person.active AND person.epoch = s.user_epoch FROM document person
           WHERE person.kind = 'User' AND person.id = s.user_id AND person.deleted_at IS NULL)")
    };
    (joined) => {
        $crate::store::sessions::live!("(person.active AND person.epoch = s.user_epoch)")
    };
    ($person:literal) => {
        concat!(
            "COALESCE((CASE WHEN s.family = s.id THEN s.family_ended_at IS NULL
              ELSE (SELECT root.family_ended_at IS NULL FROM session root WHERE root.id = s.family) END)
              AND (NOT s.shared OR (SELECT login.family_ended_at IS NULL FROM session login WHERE login.id = s.parent))
              AND (s.user_id IS NULL OR ",
            $person,
            "), FALSE)"
        )
    };
}
macro_rules! join_person {
    () => {
        " LEFT JOIN document person ON person.kind = 'User' AND person.id = s.user_id AND person.deleted_at IS NULL "
    };
}
macro_rules! columns {
    () => {
        "s.id, s.kind, s.family, s.parent, s.shared, s.user_id, s.user_epoch, s.client_id, s.client_epoch, s.scope, s.granted_scope,
         s.audience, s.id_token, s.token_digest, s.token_expires_at, s.refresh_digest, s.refresh_expires_at, s.refresh_limit,
         s.rotated_at, s.successor, s.auth_time, s.claims, s.seen_at, s.created_at, s.ended_at"
    };
}
macro_rules! insert_columns {
    () => {
        "INSERT INTO session (id, kind, family, parent, shared, user_id, user_epoch, client_id, client_epoch, scope, granted_scope,
           audience, id_token, token_digest, token_expires_at, refresh_digest, refresh_expires_at, refresh_limit, auth_time,
           claims, seen_at, created_at, expires_at) "
    };
}
macro_rules! found {
    () => {
        concat!(
            columns!(),
            ", ",
            live!(joined),
            " AS live, person.body AS person, person.updated_at AS person_updated_at, person.version AS person_version"
        )
    };
}
macro_rules! standing {
    () => {
        concat!(
            "SELECT s.id, s.ended_at IS NULL AND ",
            live!(joined),
            " AS live, person.version AS person_version FROM session s",
            join_person!()
        )
    };
}
pub(super) use {columns, found, insert_columns, join_person, live};

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
    pub claims: Option<String>,
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
    /// Its version.
    #[sqlx(default)]
    pub person_version: Option<i64>,
}

impl Found {
    /// The row, its user, and the version of that user's document. Of a live session the user is active.
    pub fn apart(self) -> (Session, Option<User>, Option<i64>) {
        let Self { session, person, person_updated_at, person_version, .. } = self;
        let user = person.zip(session.user_id.clone()).map(|(body, id)| User {
            id,
            active: true,
            epoch: session.user_epoch.unwrap_or_default(),
            updated_at: person_updated_at.unwrap_or_default(),
            body: body.0,
        });
        (session, user, person_version)
    }
}

/// What of a session may change once its token was handed out.
#[derive(Clone, Copy, Debug, FromRow)]
pub(super) struct Standing {
    id: Uuid,
    /// Whether the access token, its family, login and user still stand.
    live: bool,
    /// The version of the user's document.
    person_version: Option<i64>,
}

/// Seconds that a spent refresh token is kept, so that its reuse is recognised: ninety days.
pub(super) const SPENT_KEPT: i64 = 7_776_000;

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
                let text = concat!("SELECT ", found!(), " FROM session s", join_person!(), "WHERE s.id = $1");
                sqlx::query_as(text).bind(id).fetch_optional(pool).await
            }
        }
    }

    /// Whether the session of this id still stands, with its user's document in this version: for whom knows the rest of it already.
    pub async fn still_stands(&self, id: Uuid, person_version: Option<i64>) -> Result<bool> {
        let standing: Option<Standing> = match self.reader() {
            Db::Postgres(_) => self.queues.standings.ask(id).await?,
            Db::Sqlite(pool) => {
                let text = concat!(standing!(), "WHERE s.id = $1");
                sqlx::query_as(text).bind(id).fetch_optional(pool).await?
            }
        };
        Ok(standing.is_some_and(|standing| standing.live && standing.person_version == person_version))
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

    /// Closes the session that a row belongs to: its family and, where it shares one with the browser's login, that too. Answers the
    /// clients that are to be told.
    pub async fn close_session(&self, session: &Session, now: Timestamp) -> Result<Vec<String>> {
        if session.kind == "login" {
            return Ok(self.end_login(session.id, now).await?.unwrap_or_default());
        }
        self.end_family(session.family, now).await?;
        match (session.parent, &session.client_id) {
            (Some(login), _) if session.shared => Ok(self.end_login(login, now).await?.unwrap_or_default()),
            (Some(login), Some(client)) if self.tell_client(login, client, now).await? => Ok(vec![client.clone()]),
            _ => Ok(Vec::new()),
        }
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
    reading(db, concat!("SELECT ", found!(), " FROM session s", join_person!(), "WHERE s.id = ANY($1)"), |row| {
        row.session.id
    })
}

/// The queue of [`Store::still_stands`]; PostgreSQL's alone.
pub(super) fn standing(db: &Pools) -> Queue<Uuid, Option<Standing>> {
    reading(db, concat!(standing!(), "WHERE s.id = ANY($1)"), |row| row.id)
}

/// A queue that reads the rows of ids.
fn reading<R>(db: &Pools, text: &'static str, id: fn(&R) -> Uuid) -> Queue<Uuid, Option<R>>
where
    R: for<'r> FromRow<'r, PgRow> + Clone + Send + Unpin + 'static,
{
    let db = db.seat();
    Queue::new(move |ids: Arc<[Uuid]>| {
        let db = db.clone();
        async move {
            let Db::Postgres(seat) = &db else { return Ok(vec![None; ids.len()]) };
            let mut loan = seat.take().await?;
            let query = sqlx::query_as(text).bind(&*ids);
            let rows: Vec<R> = lent!(loan, loan => query.fetch_all(loan.ask()))?;
            let found: HashMap<Uuid, R> = rows.into_iter().map(|row| (id(&row), row)).collect();
            Ok(ids.iter().map(|id| found.get(id).cloned()).collect())
        }
    })
}

/// The queue of [`Store::insert_session`].
pub(super) fn inserting(db: &Pools) -> Queue<Session, ()> {
    let db = db.seat();
    Queue::new(move |sessions: Arc<[Session]>| {
        let db = db.clone();
        async move {
            match &db {
                Db::Postgres(seat) => insert_postgres(&mut *seat.take().await?, &sessions).await?,
                Db::Sqlite(sqlite) => insert_sqlite(sqlite, &sessions).await?,
            }
            Ok(vec![(); sessions.len()])
        }
    })
}

/// The fields of new sessions, in the order of `insert_columns!`.
macro_rules! fields {
    ($bound:ident!($($before:tt)*)) => {
        $bound!($($before)*, s => s.id, s.kind.as_str(), s.family, s.parent, s.shared, s.user_id.as_deref(), s.user_epoch,
            s.client_id.as_deref(), s.client_epoch, s.scope.as_str(), s.granted_scope.as_str(), s.audience.as_str(), s.id_token,
            s.token_digest.as_deref(), s.token_expires_at, s.refresh_digest.as_deref(), s.refresh_expires_at, s.refresh_limit,
            s.auth_time, s.claims.as_deref(), s.seen_at, s.created_at, s.row_expires_at())
    };
}

async fn insert_postgres(loan: &mut Loan, sessions: &[Session]) -> Result<()> {
    let insert = sqlx::query(concat!(
        insert_columns!(),
        "SELECT * FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::bool[], $6::text[], $7::bigint[], $8::text[],
           $9::bigint[], $10::text[], $11::text[], $12::text[], $13::bool[], $14::bytea[], $15::bigint[], $16::bytea[],
           $17::bigint[], $18::bigint[], $19::bigint[], $20::text[], $21::bigint[], $22::bigint[], $23::bigint[])"
    ));
    let insert = fields!(unnested!(insert, sessions));
    lent!(loan, loan => insert.execute(loan.ask())).map(drop)
}

async fn insert_sqlite(sqlite: &Sqlite, sessions: &[Session]) -> Result<()> {
    let insert = concat!(
        insert_columns!(),
        "SELECT unhex(value ->> 0), value ->> 1, unhex(value ->> 2), unhex(value ->> 3), value ->> 4, value ->> 5, value ->> 6,
           value ->> 7, value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12, unhex(value ->> 13), value ->> 14,
           unhex(value ->> 15), value ->> 16, value ->> 17, value ->> 18, value ->> 19, value ->> 20, value ->> 21, value ->> 22
         FROM json_each($1)"
    );
    sqlx::query(insert).bind(fields!(packed!(sessions))?).execute(&sqlite.writer).await.map(drop)
}

impl Session {
    /// One of this kind that begins now, the root of its family: of nobody, and with nothing yet but an end.
    pub fn new(id: Uuid, kind: &str, token_expires_at: Timestamp, now: Timestamp) -> Self {
        Self {
            id,
            kind: kind.to_owned(),
            family: id,
            parent: None,
            shared: false,
            user_id: None,
            user_epoch: None,
            client_id: None,
            client_epoch: None,
            scope: String::new(),
            granted_scope: String::new(),
            audience: String::new(),
            id_token: false,
            token_digest: None,
            token_expires_at,
            refresh_digest: None,
            refresh_expires_at: None,
            refresh_limit: None,
            rotated_at: None,
            successor: None,
            auth_time: None,
            claims: None,
            seen_at: now,
            created_at: now,
            ended_at: None,
        }
    }

    /// Whether an ID token goes with a token of this scope. Where `openid` was granted it must be in it still (Core §12.2); Aidbox's ID
    /// tokens, and those of `response_type: code id_token` there, never had it.
    pub fn has_id_token(&self, scope: &Scope) -> bool {
        self.id_token && (scope.contains(OPENID) || !self.granted_scope.split(' ').any(|word| word == OPENID))
    }

    /// When the sweep looks whether the row may go. With a refresh token it is no later than the token would be kept if it were spent
    /// at once: spending it then changes no index.
    fn row_expires_at(&self) -> Timestamp {
        if self.refresh_digest.is_none() {
            return self.token_expires_at;
        }
        let spent = self.created_at.plus(SPENT_KEPT);
        self.refresh_expires_at.map_or(spent, |at| at.min(spent)).max(self.token_expires_at)
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
             WHERE user_id = $1 AND client_id = $2 AND family = id AND kind IN ('authorization_code', 'implicit') AND family_ended_at IS NULL",
            user_id,
            client_id,
            now,
        )
        .map(drop)
    }
}

//! The floor's two tables and its five statements, for both databases. Keys are time-ordered. PostgreSQL takes a batch as arrays, in
//! one statement; SQLite as one transaction, in WAL mode and with a sync at each commit, as the server has it.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, PgConnection, SqliteConnection};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::batch::{Batch, Queue};
use crate::Result;

/// A digest, or another 32 bytes.
pub(super) type Digest = [u8; 32];

/// A token to store.
#[derive(Debug)]
pub(super) struct NewToken {
    pub(super) id: Uuid,
    pub(super) digest: Digest,
    pub(super) expires_at: i64,
}

/// What is stored of a token.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) digest: Vec<u8>,
    pub(super) client_id: String,
    pub(super) user_id: Option<String>,
    pub(super) scope: String,
    pub(super) expires_at: i64,
}

/// What is spent, a refresh token or a code, and what comes of it.
#[derive(Debug)]
pub(super) struct Spend {
    pub(super) id: Uuid,
    pub(super) digest: Digest,
    /// The S256 challenge of a code's verifier.
    pub(super) challenge: Digest,
    pub(super) new_id: Uuid,
    pub(super) new_digest: Digest,
    pub(super) new_refresh: Digest,
    pub(super) now: i64,
}

/// The same as a row.
type TokenRow = (Vec<u8>, String, Option<String>, String, i64);

impl From<TokenRow> for Token {
    fn from((digest, client_id, user_id, scope, expires_at): TokenRow) -> Self {
        Self { digest, client_id, user_id, scope, expires_at }
    }
}

/// A code to store.
#[derive(Debug)]
pub(super) struct NewCode {
    pub(super) id: Uuid,
    pub(super) digest: Digest,
    pub(super) challenge: Digest,
    pub(super) expires_at: i64,
}

/// Access tokens live for an hour.
pub(super) const LIFE: i64 = 3600;

/// The statements, behind their queues.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) insert: Queue<NewToken, ()>,
    pub(super) refresh: Queue<Spend, Option<String>>,
    pub(super) insert_code: Queue<NewCode, ()>,
    pub(super) redeem: Queue<Spend, Option<String>>,
    select: Select,
}

/// Reading by primary key: coalesced on PostgreSQL; on SQLite, where there is no round trip to share, each by itself.
#[derive(Debug)]
enum Select {
    Postgres(Queue<Uuid, Option<Token>>),
    Sqlite(SqlitePool),
}

impl Tables {
    /// Makes the tables anew.
    pub(super) async fn open(url: &str) -> Result<Self> {
        if url.starts_with("postgres") {
            return open_postgres(url).await;
        }
        open_sqlite(url).await
    }

    pub(super) async fn select(&self, id: Uuid) -> Result<Option<Token>> {
        match &self.select {
            Select::Postgres(queue) => queue.ask(id).await,
            Select::Sqlite(pool) => {
                let row: Option<TokenRow> = sqlx::query_as(SELECT_ONE).bind(id).fetch_optional(pool).await?;
                Ok(row.map(Token::from))
            }
        }
    }
}

const SELECT_ONE: &str = "SELECT digest, client_id, user_id, scope, expires_at FROM token WHERE id = $1";

macro_rules! tables {
    ($uuid:literal, $bytes:literal) => {
        concat!(
            "CREATE TABLE token (id ",
            $uuid,
            " NOT NULL PRIMARY KEY, digest ",
            $bytes,
            " NOT NULL, client_id TEXT NOT NULL, user_id TEXT,
               scope TEXT NOT NULL, expires_at BIGINT NOT NULL, refresh_digest ",
            $bytes,
            ", spent_at BIGINT, successor ",
            $uuid,
            ");
             CREATE TABLE code (id ",
            $uuid,
            " NOT NULL PRIMARY KEY, digest ",
            $bytes,
            " NOT NULL, challenge ",
            $bytes,
            " NOT NULL,
               client_id TEXT NOT NULL, user_id TEXT NOT NULL, scope TEXT NOT NULL, expires_at BIGINT NOT NULL,
               spent_at BIGINT, successor ",
            $uuid,
            ")"
        )
    };
}

async fn open_postgres(url: &str) -> Result<Tables> {
    let mut first = PgConnection::connect(url).await?;
    sqlx::raw_sql("DROP SCHEMA IF EXISTS countersign_floor CASCADE; CREATE SCHEMA countersign_floor")
        .execute(&mut first)
        .await?;
    sqlx::raw_sql("SET search_path = countersign_floor").execute(&mut first).await?;
    sqlx::raw_sql(tables!("UUID", "BYTEA")).execute(&mut first).await?;
    first.close().await?;
    // A new table has no statistics, and a plan that was made for an empty one reads all of it later: only by primary key, please.
    let by_key = ["enable_seqscan", "enable_hashjoin", "enable_mergejoin", "jit"].map(|name| (name, "off"));
    let options = PgConnectOptions::from_str(url)?.options([("search_path", "countersign_floor")]).options(by_key);
    // One connection and one task for each kind: two that write at once make batches smaller and both slower.
    let connect = || async { Result::Ok(Arc::new(Mutex::new(options.connect().await?))) };
    Ok(Tables {
        insert: Queue::start(Insert(Db::Postgres(connect().await?))),
        refresh: Queue::start(Refresh(Db::Postgres(connect().await?))),
        insert_code: Queue::start(InsertCode(Db::Postgres(connect().await?))),
        redeem: Queue::start(Redeem(Db::Postgres(connect().await?))),
        select: Select::Postgres(Queue::start(SelectMany(options.connect().await?))),
    })
}

async fn open_sqlite(url: &str) -> Result<Tables> {
    let options = SqliteConnectOptions::from_str(url)?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(5));
    let mut writer = options.connect().await?;
    sqlx::raw_sql("DROP TABLE IF EXISTS token; DROP TABLE IF EXISTS code").execute(&mut writer).await?;
    sqlx::raw_sql(tables!("BLOB", "BLOB")).execute(&mut writer).await?;
    let readers =
        SqlitePoolOptions::new().max_connections(2).test_before_acquire(false).connect_with(options.read_only(true));
    let db = Db::Sqlite(Arc::new(Mutex::new(writer)));
    Ok(Tables {
        insert: Queue::start(Insert(db.clone())),
        refresh: Queue::start(Refresh(db.clone())),
        insert_code: Queue::start(InsertCode(db.clone())),
        redeem: Queue::start(Redeem(db)),
        select: Select::Sqlite(readers.await?),
    })
}

/// A connection that writes. SQLite has one for all.
#[derive(Clone)]
enum Db {
    Postgres(Arc<Mutex<PgConnection>>),
    Sqlite(Arc<Mutex<SqliteConnection>>),
}

struct SelectMany(PgConnection);

impl Batch for SelectMany {
    type In = Uuid;
    type Out = Option<Token>;

    async fn run(&mut self, ids: Vec<Uuid>) -> Result<Vec<Option<Token>>> {
        type Row = (Uuid, Vec<u8>, String, Option<String>, String, i64);
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT t.id, t.digest, t.client_id, t.user_id, t.scope, t.expires_at
             FROM unnest($1::uuid[]) AS asked(id) JOIN token t ON t.id = asked.id",
        )
        .bind(&ids)
        .fetch_all(&mut self.0)
        .await?;
        // A token that two ask for at once comes twice, once for each.
        let mut found: HashMap<Uuid, Vec<Token>> = HashMap::with_capacity(rows.len());
        for (id, digest, client_id, user_id, scope, expires_at) in rows {
            found.entry(id).or_default().push((digest, client_id, user_id, scope, expires_at).into());
        }
        Ok(ids.iter().map(|id| found.get_mut(id).and_then(Vec::pop)).collect())
    }
}

struct Insert(Db);

impl Batch for Insert {
    type In = NewToken;
    type Out = ();

    async fn run(&mut self, tokens: Vec<NewToken>) -> Result<Vec<()>> {
        match &self.0 {
            Db::Postgres(db) => {
                sqlx::query(
                    "INSERT INTO token (id, digest, client_id, scope, expires_at)
                     SELECT n.id, n.digest, 'bench', '', n.expires_at
                     FROM unnest($1::uuid[], $2::bytea[], $3::bigint[]) AS n(id, digest, expires_at)",
                )
                .bind(tokens.iter().map(|one| one.id).collect::<Vec<_>>())
                .bind(tokens.iter().map(|one| one.digest.as_slice()).collect::<Vec<_>>())
                .bind(tokens.iter().map(|one| one.expires_at).collect::<Vec<_>>())
                .execute(&mut *db.lock().await)
                .await?;
            }
            Db::Sqlite(db) => {
                let mut db = db.lock().await;
                let mut tx = db.begin_with("BEGIN IMMEDIATE").await?;
                for one in &tokens {
                    sqlx::query(
                        "INSERT INTO token (id, digest, client_id, scope, expires_at) VALUES ($1, $2, 'bench', '', $3)",
                    )
                    .bind(one.id)
                    .bind(one.digest.as_slice())
                    .bind(one.expires_at)
                    .execute(&mut *tx)
                    .await?;
                }
                tx.commit().await?;
            }
        }
        Ok(tokens.iter().map(|_| ()).collect())
    }
}

struct InsertCode(Db);

impl Batch for InsertCode {
    type In = NewCode;
    type Out = ();

    async fn run(&mut self, codes: Vec<NewCode>) -> Result<Vec<()>> {
        match &self.0 {
            Db::Postgres(db) => {
                sqlx::query(
                    "INSERT INTO code (id, digest, challenge, client_id, user_id, scope, expires_at)
                     SELECT n.id, n.digest, n.challenge, 'bench', 'user', 'openid profile', n.expires_at
                     FROM unnest($1::uuid[], $2::bytea[], $3::bytea[], $4::bigint[]) AS n(id, digest, challenge, expires_at)",
                )
                .bind(codes.iter().map(|one| one.id).collect::<Vec<_>>())
                .bind(codes.iter().map(|one| one.digest.as_slice()).collect::<Vec<_>>())
                .bind(codes.iter().map(|one| one.challenge.as_slice()).collect::<Vec<_>>())
                .bind(codes.iter().map(|one| one.expires_at).collect::<Vec<_>>())
                .execute(&mut *db.lock().await)
                .await?;
            }
            Db::Sqlite(db) => {
                let mut db = db.lock().await;
                let mut tx = db.begin_with("BEGIN IMMEDIATE").await?;
                for one in &codes {
                    sqlx::query(
                        "INSERT INTO code (id, digest, challenge, client_id, user_id, scope, expires_at)
                         VALUES ($1, $2, $3, 'bench', 'user', 'openid profile', $4)",
                    )
                    .bind(one.id)
                    .bind(one.digest.as_slice())
                    .bind(one.challenge.as_slice())
                    .bind(one.expires_at)
                    .execute(&mut *tx)
                    .await?;
                }
                tx.commit().await?;
            }
        }
        Ok(codes.iter().map(|_| ()).collect())
    }
}

/// The insert that follows a guarded update, for both kinds.
macro_rules! spend_postgres {
    ($update:literal) => {
        concat!(
            "WITH asked AS (
               SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::bytea[], $4::uuid[], $5::bytea[], $6::bytea[])
               AS a(id, digest, challenge, new_id, new_digest, new_refresh)),
             spent AS (",
            $update,
            "
               RETURNING a.new_id, a.new_digest, a.new_refresh, t.client_id, t.user_id, t.scope),
             made AS (
               INSERT INTO token (id, digest, client_id, user_id, scope, expires_at, refresh_digest)
               SELECT new_id, new_digest, client_id, user_id, scope, $8, new_refresh FROM spent)
             SELECT new_id, user_id FROM spent"
        )
    };
}

const INSERT_AFTER: &str = "INSERT INTO token (id, digest, client_id, user_id, scope, expires_at, refresh_digest)
     VALUES ($1, $2, 'bench', $3, 'openid profile', $4, $5)";

struct Refresh(Db);

impl Batch for Refresh {
    type In = Spend;
    type Out = Option<String>;

    async fn run(&mut self, asked: Vec<Spend>) -> Result<Vec<Option<String>>> {
        const POSTGRES: &str = spend_postgres!(
            "UPDATE token t SET spent_at = $7, successor = a.new_id FROM asked a
             WHERE t.id = a.id AND t.refresh_digest = a.digest AND t.spent_at IS NULL"
        );
        const SQLITE: &str = "UPDATE token SET spent_at = $1, successor = $2
             WHERE id = $3 AND refresh_digest = $4 AND spent_at IS NULL RETURNING user_id";
        match &self.0 {
            Db::Postgres(db) => spend_postgres(&mut *db.lock().await, POSTGRES, &asked).await,
            Db::Sqlite(db) => {
                let mut db = db.lock().await;
                let mut tx = db.begin_with("BEGIN IMMEDIATE").await?;
                let mut users = Vec::with_capacity(asked.len());
                for one in &asked {
                    let spent = sqlx::query_scalar(SQLITE)
                        .bind(one.now)
                        .bind(one.new_id)
                        .bind(one.id)
                        .bind(one.digest.as_slice())
                        .fetch_optional(&mut *tx)
                        .await?;
                    users.push(insert_after(&mut tx, one, spent).await?);
                }
                tx.commit().await?;
                Ok(users)
            }
        }
    }
}

struct Redeem(Db);

impl Batch for Redeem {
    type In = Spend;
    type Out = Option<String>;

    async fn run(&mut self, asked: Vec<Spend>) -> Result<Vec<Option<String>>> {
        const POSTGRES: &str = spend_postgres!(
            "UPDATE code t SET spent_at = $7, successor = a.new_id FROM asked a
             WHERE t.id = a.id AND t.digest = a.digest AND t.challenge = a.challenge AND t.spent_at IS NULL AND t.expires_at > $7"
        );
        const SQLITE: &str = "UPDATE code SET spent_at = $1, successor = $2
             WHERE id = $3 AND digest = $4 AND challenge = $5 AND spent_at IS NULL AND expires_at > $1 RETURNING user_id";
        match &self.0 {
            Db::Postgres(db) => spend_postgres(&mut *db.lock().await, POSTGRES, &asked).await,
            Db::Sqlite(db) => {
                let mut db = db.lock().await;
                let mut tx = db.begin_with("BEGIN IMMEDIATE").await?;
                let mut users = Vec::with_capacity(asked.len());
                for one in &asked {
                    let spent = sqlx::query_scalar(SQLITE)
                        .bind(one.now)
                        .bind(one.new_id)
                        .bind(one.id)
                        .bind(one.digest.as_slice())
                        .bind(one.challenge.as_slice())
                        .fetch_optional(&mut *tx)
                        .await?;
                    users.push(insert_after(&mut tx, one, spent).await?);
                }
                tx.commit().await?;
                Ok(users)
            }
        }
    }
}

async fn insert_after(db: &mut SqliteConnection, one: &Spend, user: Option<String>) -> Result<Option<String>> {
    if user.is_some() {
        sqlx::query(INSERT_AFTER)
            .bind(one.new_id)
            .bind(one.new_digest.as_slice())
            .bind(&user)
            .bind(one.now + LIFE)
            .bind(one.new_refresh.as_slice())
            .execute(db)
            .await?;
    }
    Ok(user)
}

async fn spend_postgres(db: &mut PgConnection, text: &'static str, asked: &[Spend]) -> Result<Vec<Option<String>>> {
    let now = asked.first().map_or(0, |one| one.now);
    let bytes = |pick: fn(&Spend) -> &Digest| asked.iter().map(|one| pick(one).as_slice()).collect::<Vec<_>>();
    let spent: Vec<(Uuid, String)> = sqlx::query_as(text)
        .bind(asked.iter().map(|one| one.id).collect::<Vec<_>>())
        .bind(bytes(|one| &one.digest))
        .bind(bytes(|one| &one.challenge))
        .bind(asked.iter().map(|one| one.new_id).collect::<Vec<_>>())
        .bind(bytes(|one| &one.new_digest))
        .bind(bytes(|one| &one.new_refresh))
        .bind(now)
        .bind(now + LIFE)
        .fetch_all(db)
        .await?;
    let mut users: HashMap<Uuid, String> = spent.into_iter().collect();
    Ok(asked.iter().map(|one| users.remove(&one.new_id)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spend(id: Uuid) -> Spend {
        let new_id = Uuid::now_v7();
        Spend { id, digest: [1; 32], challenge: [2; 32], new_id, new_digest: [3; 32], new_refresh: [1; 32], now: 10 }
    }

    /// The rules that make it a floor: nothing is spent twice, by a wrong secret, or without a trace.
    #[tokio::test]
    async fn codes_and_refresh_tokens_are_spent_once() {
        let file = std::env::temp_dir().join(format!("countersign-floor-{}.db", std::process::id()));
        let tables = Tables::open(&format!("sqlite://{}", file.display())).await.unwrap();
        let id = Uuid::now_v7();
        tables.insert_code.ask(NewCode { id, digest: [1; 32], challenge: [2; 32], expires_at: 60 }).await.unwrap();
        assert_eq!(tables.redeem.ask(Spend { challenge: [9; 32], ..spend(id) }).await.unwrap(), None);
        let first = spend(id);
        let token = first.new_id;
        assert_eq!(tables.redeem.ask(first).await.unwrap().as_deref(), Some("user"));
        assert_eq!(tables.redeem.ask(spend(id)).await.unwrap(), None);
        assert_eq!(tables.select(token).await.unwrap().unwrap().user_id.as_deref(), Some("user"));
        assert_eq!(tables.refresh.ask(spend(token)).await.unwrap().as_deref(), Some("user"));
        assert_eq!(tables.refresh.ask(spend(token)).await.unwrap(), None);
        for ending in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{ending}", file.display()));
        }
    }
}

//! What is kept, and the only SQL of the house: PostgreSQL for many nodes, SQLite for one.
//!
//! A [`Store`] is an enum over the two native pools. The same text runs on both through the `sql!` macro; the few statements
//! that must differ stand side by side in the verb that needs them. Verbs are the domain's (`redeem_code`, `rotate`), a file per
//! subject: [`documents`] for what administrators PUT, [`sessions`], [`rotation`], [`codes`] and [`redemption`] for what is issued,
//! [`users`] for sign-in, [`logouts`], [`keys`], [`throttle`], [`used_jti`], [`registrations`], [`metadata`], [`explanations`], [`on_demand`], and
//! [`sweep`] for what has expired; [`snapshot`] has all of it at once. The verbs of every request wait in queues whose batches share a
//! statement and a commit (`coalesce`). What a value
//! means is decided next door, in [`crate::domain`] and the rooms that call these verbs.

use std::path::PathBuf;
use std::sync::Arc;

use coalesce::Queue;
use postgres::{Lender, Loan, Postgres, Seat};
use sqlite::Sqlite;
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use tokio::sync::Notify;
use uuid::Uuid;

/// Runs one statement on whichever database is open: `sql!(db, fetch_optional as Row, "text", binds…)` or
/// `sql!(db, execute, "text", binds…)`, where `db` is [`Store::reader`], [`Store::writer`] or [`Tx::conn`].
macro_rules! sql {
    ($db:expr, execute, $text:expr $(, $bind:expr)* $(,)?) => {
        match $db {
            $crate::store::Db::Postgres(db) => $crate::store::lent!(db, loan =>
                sqlx::query($text)$(.bind($bind))*.execute(loan.ask())).map(|done| done.rows_affected()),
            $crate::store::Db::Sqlite(db) => sqlx::query($text)$(.bind($bind))*.execute(db).await.map(|done| done.rows_affected()),
        }
    };
    ($db:expr, $fetch:ident as $row:ty, $text:expr $(, $bind:expr)* $(,)?) => {
        match $db {
            $crate::store::Db::Postgres(db) => $crate::store::lent!(db, loan =>
                sqlx::query_as::<_, $row>($text)$(.bind($bind))*.$fetch(loan.ask())),
            $crate::store::Db::Sqlite(db) => sqlx::query_as::<_, $row>($text)$(.bind($bind))*.$fetch(db).await,
        }
    };
}

/// Runs a statement of PostgreSQL's alone on a connection of this lender, within its limit.
macro_rules! lent {
    ($db:expr, $loan:ident => $statement:expr) => {
        match $db.lend().await {
            #[allow(unused_mut, reason = "that of a transaction is a reference already")]
            Ok(mut $loan) => {
                let done = tokio::time::timeout($loan.limit(), $statement).await;
                $loan.judge(done)
            }
            Err(error) => Err(error),
        }
    };
}
use lent;

mod coalesce;
pub mod codes;
pub mod documents;
pub mod explanations;
pub mod keys;
pub mod logouts;
pub mod metadata;
pub mod on_demand;
mod postgres;
pub mod redemption;
pub mod registrations;
pub mod rotation;
mod rows;
pub mod session_search;
pub mod sessions;
pub mod snapshot;
mod sqlite;
pub mod sweep;
pub mod throttle;
pub mod used_jti;
pub mod users;

/// One of two things, by database: pools, connections, transactions.
#[derive(Clone, Debug)]
pub enum Db<P, S> {
    /// PostgreSQL.
    Postgres(P),
    /// SQLite.
    Sqlite(S),
}

/// Which database to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// SQLite in memory, gone with the process.
    SqliteMemory,
    /// A SQLite file.
    SqliteFile(PathBuf),
    /// A PostgreSQL URL, which may hold a password.
    Postgres(String),
}

/// A JSON column.
pub use sqlx::types::Json;

/// A failure of the database.
pub type Error = sqlx::Error;
/// What every verb answers.
pub type Result<T> = std::result::Result<T, Error>;

/// Whether the same request may succeed in a moment: the database is away, restarting, or out of connections.
pub fn is_passing(error: &Error) -> bool {
    match error {
        Error::Io(_) | Error::PoolTimedOut | Error::PoolClosed | Error::WorkerCrashed => true,
        // PostgreSQL classes: 08 connection, 40 transaction rollback, 53 resources, 57 operator intervention, 58 system; a lock was
        // not to be had, and a standby that only reads. SQLite: 5 busy, 6 locked, 10 input or output, 13 full, and their extensions.
        Error::Database(error) => error.code().is_some_and(|code| match code.parse::<u32>() {
            _ if code.len() == 5 => {
                ["08", "40", "53", "57", "58"].iter().any(|class| code.starts_with(class))
                    || matches!(&*code, "55P03" | "25006")
            }
            Ok(code) => matches!(code & 0xff, 5 | 6 | 10 | 13),
            Err(_) => false,
        }),
        _ => false,
    }
}

/// Whether the database ended the transaction for the sake of another one, in a deadlock say: it had no effect and may be tried
/// again (PostgreSQL class 40).
pub fn was_rolled_back(error: &Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| code.len() == 5 && code.starts_with("40"))
}

/// The open database. Clones share their connections and queues.
#[derive(Clone, Debug)]
pub struct Store {
    db: Pools,
    queues: Queues,
    logouts: Arc<Notify>,
}

type Pools = Db<Postgres, Sqlite>;

/// The verbs of every request.
#[derive(Clone, Debug)]
struct Queues {
    found_sessions: Queue<Uuid, Option<sessions::Found>>,
    standings: Queue<Uuid, Option<sessions::Standing>>,
    new_sessions: Queue<sessions::Session, ()>,
    new_codes: Queue<codes::Code, ()>,
    redemptions: Queue<redemption::Redemption, Option<redemption::Redeemed>>,
    rotations: Queue<rotation::Rotation, Option<sessions::Found>>,
}

/// A transaction; dropped without [`Tx::commit`], it leaves no trace.
pub struct Tx(Db<Loan, sqlx::Transaction<'static, sqlx::Sqlite>>);

impl Store {
    /// Opens the database; the schema is not touched.
    pub async fn open(location: &Location) -> Result<Self> {
        let db = match location {
            Location::Postgres(url) => Db::Postgres(Postgres::open(url).await?),
            Location::SqliteFile(path) => Db::Sqlite(Sqlite::open_file(path).await?),
            Location::SqliteMemory => Db::Sqlite(Sqlite::open_memory().await?),
        };
        let queues = Queues {
            found_sessions: sessions::finding(&db),
            standings: sessions::standing(&db),
            new_sessions: sessions::inserting(&db),
            new_codes: codes::inserting(&db),
            redemptions: redemption::redeeming(&db),
            rotations: rotation::rotating(&db),
        };
        Ok(Self { db, queues, logouts: Arc::default() })
    }

    /// Brings the schema up to date. Many processes may do so at once: on PostgreSQL it happens under an advisory lock, on SQLite
    /// under the write lock, which one transaction around all migrations takes first.
    pub async fn migrate(&self) -> Result<()> {
        match &self.db {
            // `run_direct`, because the future of `run` is not known to be `Send`.
            Db::Postgres(postgres) => {
                let mut connection = postgres.unlimited().await?;
                migrator(sqlx::migrate!("migrations/postgres")).run_direct(None, &mut connection, false).await?;
                connection.close().await?;
            }
            Db::Sqlite(sqlite) => {
                let mut tx = sqlite.writer.begin_with("BEGIN IMMEDIATE").await?;
                migrator(sqlx::migrate!("migrations/sqlite")).run_direct(None, &mut *tx, false).await?;
                tx.commit().await?;
            }
        }
        Ok(())
    }

    /// How many migrations of this version the database lacks; `None` where it has none at all.
    pub async fn pending_migrations(&self) -> Result<Option<usize>> {
        let applied = sql!(self.reader(), fetch_all as (i64,), "SELECT version FROM _sqlx_migrations WHERE success");
        let Ok(applied) = applied else { return Ok(None) };
        let known = match &self.db {
            Db::Postgres(_) => sqlx::migrate!("migrations/postgres"),
            Db::Sqlite(_) => sqlx::migrate!("migrations/sqlite"),
        };
        Ok(Some(known.iter().filter(|m| !applied.contains(&(m.version,))).count()))
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<()> {
        sql!(self.reader(), fetch_one as (i64,), "SELECT version FROM configuration WHERE id = 1").map(drop)
    }

    /// The number that every change to clients and keys raises.
    pub async fn configuration_version(&self) -> Result<i64> {
        let (version,) = sql!(self.reader(), fetch_one as (i64,), "SELECT version FROM configuration WHERE id = 1")?;
        Ok(version)
    }

    /// The name of the database, for people.
    pub const fn kind(&self) -> &'static str {
        match self.db {
            Db::Postgres(_) => "PostgreSQL",
            Db::Sqlite(_) => "SQLite",
        }
    }

    /// Closes the connections once their work is done.
    pub async fn close(&self) {
        match &self.db {
            Db::Postgres(postgres) => postgres.close().await,
            Db::Sqlite(sqlite) => {
                sqlite.readers.close().await;
                sqlite.writer.close().await;
            }
        }
    }

    /// Begins a transaction that writes.
    pub async fn begin(&self) -> Result<Tx> {
        self.db.begin(Postgres::swift).await
    }

    /// The same for what may look at many rows.
    pub async fn begin_patiently(&self) -> Result<Tx> {
        self.db.begin(Postgres::patient).await
    }

    /// Where requests read.
    pub(crate) const fn reader(&self) -> Db<Lender<'_>, &SqlitePool> {
        match &self.db {
            Db::Postgres(postgres) => Db::Postgres(postgres.swift()),
            Db::Sqlite(sqlite) => Db::Sqlite(&sqlite.readers),
        }
    }

    /// Where administrators and commands read what may be much.
    pub(crate) const fn patient_reader(&self) -> Db<Lender<'_>, &SqlitePool> {
        match &self.db {
            Db::Postgres(postgres) => Db::Postgres(postgres.patient()),
            Db::Sqlite(sqlite) => Db::Sqlite(&sqlite.readers),
        }
    }

    /// Where requests write.
    pub(crate) const fn writer(&self) -> Db<Lender<'_>, &SqlitePool> {
        match &self.db {
            Db::Postgres(postgres) => Db::Postgres(postgres.swift()),
            Db::Sqlite(sqlite) => Db::Sqlite(&sqlite.writer),
        }
    }

    /// Where expired rows are removed, which must not wait for requests nor they for it.
    pub(crate) const fn patient_writer(&self) -> Db<Lender<'_>, &SqlitePool> {
        match &self.db {
            Db::Postgres(postgres) => Db::Postgres(postgres.patient()),
            Db::Sqlite(sqlite) => Db::Sqlite(&sqlite.writer),
        }
    }
}

impl Pools {
    async fn begin(&self, lender: impl FnOnce(&Postgres) -> Lender<'_>) -> Result<Tx> {
        match self {
            Self::Postgres(postgres) => Ok(Tx(Db::Postgres(lender(postgres).lend().await?.begin().await?))),
            Self::Sqlite(sqlite) => sqlite.begin().await,
        }
    }

    /// What a queue asks.
    fn seat(&self) -> Db<Seat, Sqlite> {
        match self {
            Self::Postgres(postgres) => Db::Postgres(postgres.seat()),
            Self::Sqlite(sqlite) => Db::Sqlite(sqlite.clone()),
        }
    }
}

impl Tx {
    /// The connection, for `sql!`.
    pub(crate) fn conn(&mut self) -> Db<&mut Loan, &mut SqliteConnection> {
        match &mut self.0 {
            Db::Postgres(tx) => Db::Postgres(tx),
            Db::Sqlite(tx) => Db::Sqlite(&mut **tx),
        }
    }

    /// Makes it so.
    pub async fn commit(self) -> Result<()> {
        match self.0 {
            Db::Postgres(tx) => tx.commit().await,
            Db::Sqlite(tx) => tx.commit().await,
        }
    }

    /// Raises the configuration's version, so that every node looks anew.
    pub async fn touch_configuration(&mut self) -> Result<()> {
        sql!(self.conn(), execute, "UPDATE configuration SET version = version + 1 WHERE id = 1").map(drop)
    }

    /// Waits until no other node is in a transaction that called this. SQLite's write lock serves the same.
    pub async fn lock_configuration(&mut self) -> Result<()> {
        match self.conn() {
            Db::Postgres(db) => lent!(db, loan =>
                    sqlx::query("SELECT version FROM configuration WHERE id = 1 FOR UPDATE").execute(loan.ask()))
            .map(drop),
            Db::Sqlite(_) => Ok(()),
        }
    }
}

/// A database that a newer version has migrated is served all the same: during an upgrade nodes of both versions come and go, and
/// migrations take nothing away that the version before needs.
fn migrator(mut migrator: sqlx::migrate::Migrator) -> sqlx::migrate::Migrator {
    migrator.set_ignore_missing(true);
    migrator
}

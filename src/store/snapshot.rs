//! Everything the database holds, taken out and put back: how `dev` goes back to a state it knows, and how a new realm begins with
//! one.
//!
//! On SQLite a snapshot is the image of the database, on PostgreSQL the rows of each table as JSON. Both live in this process's
//! memory, and both belong to the schema of this version.

use std::sync::Arc;

use sqlx::sqlite::{SqliteConnection, SqliteOwnedBuf};
use sqlx::{AssertSqlSafe, Connection as _};

use super::postgres::{Loan, Postgres};
use super::sqlite::Sqlite;
use super::{Db, Error, Location, Result, Store, Tx};

/// What a database held. Clones share it.
#[derive(Clone, Debug)]
pub struct Snapshot(Arc<Db<Vec<Table>, Vec<u8>>>);

#[derive(Debug)]
struct Table {
    name: String,
    /// A JSON array of its rows.
    rows: String,
}

/// In the header of a SQLite file: how it is written and read; 2 is a write-ahead log, which a database in memory cannot have.
/// <https://sqlite.org/fileformat.html#file_format_version_numbers>
const FORMAT_VERSIONS: std::ops::Range<usize> = 18..20;
const ROLLBACK_JOURNAL: u8 = 1;

impl Snapshot {
    /// How large it is, in bytes.
    pub fn size(&self) -> usize {
        match &*self.0 {
            Db::Postgres(tables) => tables.iter().map(|table| table.rows.len()).sum(),
            Db::Sqlite(image) => image.len(),
        }
    }
}

impl Store {
    /// How many bytes a snapshot would have, more or less.
    pub async fn size(&self) -> Result<usize> {
        let bytes: (i64,) = match &self.db {
            Db::Postgres(postgres) => {
                let query = sqlx::query_as(
                    "SELECT COALESCE(sum(pg_table_size(format('%I', tablename)::regclass)), 0)::bigint
                     FROM pg_tables WHERE schemaname = current_schema()",
                );
                super::lent!(postgres.patient(), loan => query.fetch_one(loan.ask()))?
            }
            Db::Sqlite(sqlite) => {
                let query = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()";
                sqlx::query_as(query).fetch_one(&sqlite.readers).await?
            }
        };
        Ok(usize::try_from(bytes.0).unwrap_or(usize::MAX))
    }

    /// Takes out everything, as of one moment.
    pub async fn snapshot(&self) -> Result<Snapshot> {
        let taken = match &self.db {
            Db::Postgres(postgres) => Db::Postgres(rows(postgres).await?),
            Db::Sqlite(sqlite) => {
                let mut connection = sqlite.writer.acquire().await?;
                let mut image = connection.serialize(None).await?.to_vec();
                image.get_mut(FORMAT_VERSIONS).into_iter().for_each(|versions| versions.fill(ROLLBACK_JOURNAL));
                Db::Sqlite(image)
            }
        };
        Ok(Snapshot(Arc::new(taken)))
    }

    /// Puts back what a snapshot of this database holds, in one transaction; what is there now goes. Whoever remembers something of
    /// it has to look anew: the configuration's version is one that no node has seen.
    pub async fn restore(&self, snapshot: &Snapshot) -> Result<()> {
        match (&self.db, &*snapshot.0) {
            (Db::Postgres(_), Db::Postgres(tables)) => {
                let mut tx = self.begin_patiently().await?;
                tx.lock_configuration().await?;
                put_rows(&mut tx, tables).await?;
                tx.commit().await
            }
            (Db::Sqlite(sqlite), Db::Sqlite(image)) => put_image(sqlite, image).await,
            _ => Err(Error::Configuration("the snapshot is of another database".into())),
        }
    }

    /// A new database in memory that holds what a snapshot of a SQLite database does.
    pub async fn in_memory(snapshot: &Snapshot) -> Result<Self> {
        let Db::Sqlite(image) = &*snapshot.0 else {
            return Err(Error::Configuration("the snapshot is not SQLite's".into()));
        };
        let store = Self::open(&Location::SqliteMemory).await?;
        if let Db::Sqlite(sqlite) = &store.db {
            let mut connection = sqlite.writer.acquire().await?;
            connection.deserialize(None, owned(image)?, false).await?;
            // It lies in memory already, and what is cached lies there twice.
            sqlx::query("PRAGMA main.cache_size = 16").execute(&mut *connection).await?;
        }
        Ok(store)
    }
}

fn owned(image: &[u8]) -> Result<SqliteOwnedBuf> {
    SqliteOwnedBuf::try_from(image).map_err(|error| Error::Configuration(error.into()))
}

async fn put_image(sqlite: &Sqlite, image: &[u8]) -> Result<()> {
    let mut connection = sqlite.writer.acquire().await?;
    sqlx::query("ATTACH ':memory:' AS kept").execute(&mut *connection).await?;
    let done = put_attached(&mut connection, image).await;
    sqlx::query("DETACH kept").execute(&mut *connection).await?;
    done
}

async fn put_attached(connection: &mut SqliteConnection, image: &[u8]) -> Result<()> {
    // Not read-only: the transaction takes the write lock of whatever is attached.
    connection.deserialize(Some("kept"), owned(image)?, false).await?;
    let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
    let tables: Vec<(String,)> = sqlx::query_as(
        "SELECT name FROM kept.sqlite_schema
         WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name <> '_sqlx_migrations'",
    )
    .fetch_all(&mut *tx)
    .await?;
    let (version,): (i64,) =
        sqlx::query_as("SELECT version FROM main.configuration WHERE id = 1").fetch_one(&mut *tx).await?;
    for (table,) in tables {
        let put = format!("DELETE FROM main.{table}; INSERT INTO main.{table} SELECT * FROM kept.{table}");
        sqlx::raw_sql(AssertSqlSafe(put)).execute(&mut *tx).await?;
    }
    sqlx::query("UPDATE main.configuration SET version = max(version, $1) + 1 WHERE id = 1")
        .bind(version)
        .execute(&mut *tx)
        .await?;
    tx.commit().await
}

async fn rows(postgres: &Postgres) -> Result<Vec<Table>> {
    let mut loan = postgres.patient().lend().await?.begin().await?;
    ask(&mut loan, sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")).await?;
    let names = sqlx::query_as::<_, (String,)>(
        "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema() AND tablename <> '_sqlx_migrations'",
    );
    let names = super::lent!(&mut loan, loan => names.fetch_all(loan.ask()))?;
    let mut tables = Vec::new();
    for (name,) in names {
        let text = format!("SELECT COALESCE(json_agg(t), '[]')::text FROM {name} t");
        let taken = sqlx::query_as::<_, (String,)>(AssertSqlSafe(text));
        let (rows,) = super::lent!(&mut loan, loan => taken.fetch_one(loan.ask()))?;
        tables.push(Table { name, rows });
    }
    loan.commit().await?;
    Ok(tables)
}

async fn put_rows(tx: &mut Tx, tables: &[Table]) -> Result<()> {
    let Db::Postgres(loan) = tx.conn() else { return Ok(()) };
    let version = sqlx::query_as::<_, (i64,)>("SELECT version FROM configuration WHERE id = 1");
    let (version,) = super::lent!(loan, loan => version.fetch_one(loan.ask()))?;
    for Table { name, rows } in tables {
        let delete = format!("DELETE FROM {name}");
        ask(loan, sqlx::query(AssertSqlSafe(delete))).await?;
        if rows != "[]" {
            let put = format!("INSERT INTO {name} SELECT * FROM json_populate_recordset(NULL::{name}, $1::json)");
            ask(loan, sqlx::query(AssertSqlSafe(put)).bind(rows)).await?;
        }
    }
    let next = "UPDATE configuration SET version = greatest(version, $1) + 1 WHERE id = 1";
    ask(loan, sqlx::query(next).bind(version)).await
}

/// One statement of a transaction, whose effect is all that is wanted.
async fn ask(
    loan: &mut Loan,
    query: sqlx::query::Query<'_, sqlx::Postgres, sqlx::postgres::PgArguments>,
) -> Result<()> {
    super::lent!(loan, loan => query.execute(loan.ask())).map(drop)
}

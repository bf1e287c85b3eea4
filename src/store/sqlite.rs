//! Connections to SQLite: a file in WAL mode, or a database in memory.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};

use super::{Db, Result, Tx};

/// How long a request waits for the connection that writes, and that for another process which holds the file's lock.
const PATIENCE: Duration = Duration::from_millis(900);

/// SQLite's pools: one connection writes, a few read.
#[derive(Clone, Debug)]
pub(super) struct Sqlite {
    pub(super) writer: SqlitePool,
    pub(super) readers: SqlitePool,
}

impl Sqlite {
    /// A file, which is made where there is none.
    pub(super) async fn open_file(path: &Path) -> Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // In WAL mode a crash of the process loses nothing with NORMAL; a power cut could lose the last commits, and what was
            // acknowledged must last.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(PATIENCE)
            // What it takes to undo a statement of many rows would be a file otherwise, made and removed for each.
            .pragma("temp_store", "MEMORY")
            .optimize_on_close(true, None);
        // Neither grows old. The task that closes what is idle counts with a number that may be below zero for an instant, and if it
        // looks then it spins for ever (sqlx 0.9): without these times there is no such task.
        let pool = |connections| {
            let pool = SqlitePoolOptions::new().max_connections(connections).idle_timeout(None).max_lifetime(None);
            pool.test_before_acquire(false).acquire_timeout(PATIENCE)
        };
        let writer = pool(1)
            // A full disk ends a transaction without sqlx knowing, which then begins no other on this connection.
            .before_acquire(|connection, _| {
                let sound = !connection.is_in_transaction();
                Box::pin(async move { Ok(sound) })
            })
            .connect_with(options.clone())
            .await?;
        // They cannot write what an optimisation finds; failing at it, they would not be closed in order, and leave files behind.
        let readers = pool(4).connect_with(options.read_only(true).optimize_on_close(false, None)).await?;
        Ok(Self { writer, readers })
    }

    /// In memory, gone with the process.
    pub(super) async fn open_memory() -> Result<Self> {
        // Every table and index has a page at least, and a process may have a thousand of these databases.
        let options = SqliteConnectOptions::from_str("sqlite::memory:")?.page_size(1_024);
        // The database is this one connection: it must neither be closed when idle nor get a sibling.
        let only = SqlitePoolOptions::new()
            .max_connections(1)
            .min_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .acquire_timeout(PATIENCE)
            .test_before_acquire(false)
            .connect_with(options)
            .await?;
        Ok(Self { writer: only.clone(), readers: only })
    }

    /// A transaction takes the write lock at once: a deferred one that reads and then writes fails under contention.
    pub(super) async fn begin(&self) -> Result<Tx> {
        Ok(Tx(Db::Sqlite(self.writer.begin_with("BEGIN IMMEDIATE").await?)))
    }
}

#[cfg(test)]
mod tests {
    use crate::store::{Location, Store};

    #[tokio::test]
    async fn writing_goes_on_after_sqlite_has_ended_a_transaction_by_itself() {
        let folder = std::env::temp_dir().join(format!("countersign-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&folder).unwrap();
        let store = Store::open(&Location::SqliteFile(folder.join("a.db"))).await.unwrap();
        store.migrate().await.unwrap();
        let mut tx = store.begin().await.unwrap();
        // What SQLite does of itself where the disk is full.
        sql!(tx.conn(), execute, "ROLLBACK").unwrap();
        assert!(tx.commit().await.is_err());
        let mut tx = store.begin().await.unwrap();
        tx.touch_configuration().await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(store.configuration_version().await.unwrap(), 2);
        store.close().await;
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

//! Connections to PostgreSQL, none of which is waited for without end.
//!
//! A database that is gone, frozen, full or locked must cost a request two seconds at the most and a connection nothing: whatever
//! takes longer than its limit is given up together with its connection, and the server is told to give up a little earlier
//! itself. A request has [`SWIFT`]; what looks at many rows runs on connections of its own with more patience, so that it
//! neither is cut short nor holds up anybody else.

use std::future::{Ready, ready};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, Error};
use tokio::sync::{MappedMutexGuard, Mutex as AsyncMutex, MutexGuard};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use super::{Result, is_passing};
use crate::clock::monotonic_millis;

/// Waiting for a connection, a new one included.
const ACQUIRE: Duration = Duration::from_millis(700);
/// A statement of a request; with [`ACQUIRE`] it stays below two seconds.
const SWIFT: Duration = Duration::from_secs(1);
/// A statement of an administrator's search or of the sweep.
const PATIENT: Duration = Duration::from_secs(25);
/// How much earlier the server gives up by itself: then the connection is still good.
const SOONER: Duration = Duration::from_millis(100);
/// Nobody waits longer for a lock.
const LOCK: Duration = Duration::from_millis(800);
/// A connection that was idle for longer is tried before use: the database may have restarted meanwhile. Under load none is, and the
/// round trip, which cost a fifth of the reads, is saved.
const FRESH: Duration = Duration::from_millis(100);
/// A connection that is older is not used again: a server's process grows with what it has seen.
const OLD: Duration = Duration::from_mins(30);

/// All that matters goes by primary keys, a few rows at a time. A plan made while a table was small would otherwise read it from end to
/// end until its statistics catch up. So there is one plan for each statement, and it is made once.
const PLANS: [&str; 6] = [
    "SET plan_cache_mode = force_generic_plan",
    "SET enable_seqscan = off",
    "SET enable_hashjoin = off",
    "SET enable_mergejoin = off",
    "SET enable_material = off",
    "SET jit = off",
];

/// Two pools of connections, and those that stay with a queue.
#[derive(Clone, Debug)]
pub(super) struct Postgres {
    swift: PgPool,
    patient: PgPool,
    seats: Arc<Mutex<Vec<Seat>>>,
}

/// The connection that a queue keeps for its batches: borrowing one for each would cost a round trip when it is given back. Clones
/// share it.
#[derive(Clone, Debug)]
pub(super) struct Seat {
    pool: PgPool,
    kept: Arc<AsyncMutex<Option<Kept>>>,
}

#[derive(Debug)]
struct Kept {
    loan: Loan,
    used_at: u64,
}

/// Where a statement gets its connection from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lender<'a> {
    pool: &'a PgPool,
    limit: Duration,
}

/// A connection for a statement or a transaction.
#[derive(Debug)]
pub(crate) struct Loan {
    /// There until it is dropped.
    connection: Option<PoolConnection<sqlx::Postgres>>,
    limit: Duration,
    /// Whether it must not be used again.
    spoilt: bool,
    /// Whether the answer to a statement is outstanding.
    asked: bool,
}

impl Postgres {
    pub(super) async fn open(url: &str) -> Result<Self> {
        let options = PgConnectOptions::from_str(url)?.application_name("countersign");
        let pool = |connections, limit: Duration| {
            let limits = [
                format!("SET statement_timeout = {}", limit.saturating_sub(SOONER).as_millis()),
                // A statement that nobody waits for any more must not take effect later, with a time that has passed.
                format!("SET lock_timeout = {}", LOCK.as_millis()),
                // A node that vanishes in the midst of a transaction does not hold its locks for long.
                "SET idle_in_transaction_session_timeout = '10s'".to_owned(),
            ];
            let session: Arc<[String]> = limits.into_iter().chain(PLANS.map(str::to_owned)).collect();
            PgPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(ACQUIRE)
                .after_connect(move |connection, _| {
                    let session = Arc::clone(&session);
                    Box::pin(async move {
                        for setting in &*session {
                            // What another database of the same protocol does not know, it does not need.
                            let _ = sqlx::raw_sql(AssertSqlSafe(setting.clone())).execute(&mut *connection).await;
                        }
                        Ok(())
                    })
                })
                // No task of the pool's looks after these: see `sqlite`. One that is old goes when it is wanted.
                .idle_timeout(None)
                .max_lifetime(None)
                .test_before_acquire(false)
                .before_acquire(|connection, idle| {
                    Box::pin(async move {
                        if idle.age > OLD {
                            return Ok(false);
                        }
                        if idle.idle_for > FRESH {
                            connection.ping().await?;
                        }
                        Ok(true)
                    })
                })
                .connect_lazy_with(options.clone())
        };
        let opened = Self { swift: pool(16, SWIFT), patient: pool(4, PATIENT), seats: Arc::default() };
        opened.swift.acquire().await?;
        Ok(opened)
    }

    pub(super) const fn swift(&self) -> Lender<'_> {
        Lender { pool: &self.swift, limit: SWIFT }
    }

    pub(super) const fn patient(&self) -> Lender<'_> {
        Lender { pool: &self.patient, limit: PATIENT }
    }

    /// A connection with neither limits nor a place in a pool, for migrations: they take the time they need.
    pub(super) async fn unlimited(&self) -> Result<PgConnection> {
        let mut connection = self.patient.acquire().await?.detach();
        sqlx::raw_sql("SET statement_timeout = 0; SET lock_timeout = 0").execute(&mut connection).await?;
        Ok(connection)
    }

    /// A connection for a queue to keep, made when it is first needed.
    pub(super) fn seat(&self) -> Seat {
        let seat = Seat { pool: self.swift.clone(), kept: Arc::default() };
        self.seats.lock().unwrap_or_else(PoisonError::into_inner).push(seat.clone());
        seat
    }

    pub(super) async fn close(&self) {
        let seats = std::mem::take(&mut *self.seats.lock().unwrap_or_else(PoisonError::into_inner));
        for seat in seats {
            seat.kept.lock().await.take();
        }
        tokio::join!(self.swift.close(), self.patient.close());
    }
}

impl Seat {
    /// The connection, or a new one where that is no good any more.
    pub(super) async fn take(&self) -> Result<MappedMutexGuard<'_, Loan>> {
        let mut kept = self.kept.lock().await;
        let now = monotonic_millis();
        let sound = match kept.as_mut() {
            Some(kept) => kept.loan.is_sound() && (is_fresh(now, kept.used_at) || kept.loan.answers().await),
            None => false,
        };
        if sound {
            if let Some(kept) = kept.as_mut() {
                kept.used_at = now;
            }
        } else {
            // The old one makes room first.
            drop(kept.take());
            let loan = Lender { pool: &self.pool, limit: SWIFT }.lend().await?;
            *kept = Some(Kept { loan, used_at: now });
        }
        MutexGuard::try_map(kept, |kept| kept.as_mut().map(|kept| &mut kept.loan)).map_err(|_| Error::PoolClosed)
    }
}

fn is_fresh(now: u64, used_at: u64) -> bool {
    Duration::from_millis(now.saturating_sub(used_at)) <= FRESH
}

impl Lender<'_> {
    pub(crate) async fn lend(self) -> Result<Loan> {
        // Where the other end hangs up during the handshake, that is no answer either, though sqlx takes it for a wrong one.
        let hung_up = |error| match error {
            Error::Protocol(text) => Error::Io(std::io::Error::other(text)),
            error => error,
        };
        let connection = Some(self.pool.acquire().await.map_err(hung_up)?);
        Ok(Loan { connection, limit: self.limit, spoilt: false, asked: false })
    }
}

impl Loan {
    /// The same, for a further statement of a transaction.
    pub(crate) fn lend(&mut self) -> Ready<Result<&mut Self>> {
        ready(Ok(self))
    }

    /// The connection, for one statement.
    #[expect(clippy::expect_used, reason = "only its end takes the connection from a loan")]
    pub(crate) fn ask(&mut self) -> &mut PgConnection {
        self.asked = true;
        self.connection.as_mut().expect("it is there until the loan ends")
    }

    /// Whether nothing is known against it.
    const fn is_sound(&self) -> bool {
        !self.spoilt && !self.asked
    }

    /// Whether the server is still there.
    async fn answers(&mut self) -> bool {
        matches!(timeout(ACQUIRE, self.ask().ping()).await, Ok(Ok(()))) && {
            self.asked = false;
            true
        }
    }

    /// How long a statement may take on it.
    pub(crate) const fn limit(&self) -> Duration {
        self.limit
    }

    /// Takes note of how a statement ended. A connection that failed, is stuck, or leads to what has become a standby is not used
    /// again.
    pub(crate) fn judge<T>(&mut self, answered: std::result::Result<Result<T>, Elapsed>) -> Result<T> {
        let answer = answered.unwrap_or(Err(Error::PoolTimedOut));
        self.asked = false;
        self.spoilt |= match &answer {
            Ok(_) => false,
            Err(Error::Database(error)) => error.code().as_deref() == Some("25006"),
            Err(error) => is_passing(error) || matches!(error, Error::Protocol(_)),
        };
        answer
    }

    /// Begins a transaction. Until it is committed the connection is good for nothing else: dropped, it is closed, and the server
    /// rolls back.
    pub(super) async fn begin(mut self) -> Result<Self> {
        self.spoilt = true;
        self.run("BEGIN").await?;
        Ok(self)
    }

    pub(super) async fn commit(mut self) -> Result<()> {
        self.run("COMMIT").await?;
        self.spoilt = false;
        Ok(())
    }

    async fn run(&mut self, text: &'static str) -> Result<()> {
        let done = timeout(SWIFT, sqlx::raw_sql(text).execute(self.ask())).await;
        self.judge(done).map(drop)
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        if self.spoilt {
            connection.close_on_drop();
        } else if self.asked {
            // Whoever asked has gone. The connection is good once it has answered, and it has not for ever.
            tokio::spawn(async move {
                if !matches!(timeout(SWIFT, connection.ping()).await, Ok(Ok(()))) {
                    connection.close_on_drop();
                }
            });
        }
    }
}

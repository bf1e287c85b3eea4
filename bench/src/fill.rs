//! Filling Countersign's table of sessions with tokens by SQL, as if they had been issued a millisecond apart: each can be
//! introspected and refreshed, so that what is measured afterwards goes all over the table.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, PgConnection, SqliteConnection};

use crate::Result;
use crate::profile::Profile;

/// The random part of every filled-in token. Real ones differ in it, but no index knows that.
const SECRET: [u8; 32] = [7; 32];
/// Rows of one statement.
const CHUNK: u64 = 100_000;
/// They live longer than any measurement takes.
const LIFE: i64 = 86_400;

/// Tokens in the table.
#[derive(Clone, Debug)]
pub(crate) struct Filled {
    /// The time of the first, in milliseconds.
    base: u64,
    pub(crate) rows: u64,
    /// The first row whose refresh token may be handed out: those before were at an earlier call's disposal.
    unused_from: u64,
    /// How many refresh tokens were handed out.
    used: Arc<AtomicU64>,
}

/// A large number without a factor in common with any number of rows that people choose, for going all over the table.
const STRIDE: u64 = 1_000_000_007;

impl Filled {
    /// The access token of a row.
    pub(crate) fn access_token(&self, row: u64) -> String {
        self.bearer("cs_at_", row)
    }

    /// A refresh token that was not handed out before.
    pub(crate) fn fresh_refresh_token(&self) -> Result<String> {
        let used = self.used.fetch_add(1, Ordering::Relaxed);
        let unused = self.rows - self.unused_from;
        if used >= unused {
            return Err(
                "all refresh tokens of the table are used up: fill in more rows, or measure for a shorter time".into(),
            );
        }
        Ok(self.bearer("cs_rt_", self.unused_from + used.wrapping_mul(STRIDE) % unused))
    }

    fn bearer(&self, prefix: &str, row: u64) -> String {
        let mut bytes = [0; 48];
        bytes[..16].copy_from_slice(&self.id(row));
        bytes[16..].copy_from_slice(&SECRET);
        format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// A `UUIDv7`: its milliseconds, and the number of the row for the random part. The statements make the same.
    fn id(&self, row: u64) -> [u8; 16] {
        let id = u128::from(self.base + row) << 80 | 0x7000_8000 << 48 | u128::from(row);
        id.to_be_bytes()
    }
}

/// A database of Countersign.
#[derive(Debug)]
pub(crate) enum Database {
    Postgres(Box<PgConnection>),
    Sqlite(Box<SqliteConnection>),
}

/// What a row is filled with. `$1`: first row; `$2`: last; `$3`: milliseconds of row 0; `$4`: digest; `$5`: client; `$6`: now;
/// `$7`: expiry; `$8`: audience; `$9`: users; `$10`: the beginning of their ids.
macro_rules! fill {
    ($id:literal, $rows:literal, $user:literal) => {
        concat!(
            "INSERT INTO session (id, kind, family, parent, shared, user_id, user_epoch, client_id, client_epoch, scope, granted_scope,
               audience, id_token, token_digest, token_expires_at, refresh_digest, refresh_expires_at, refresh_limit, auth_time,
               seen_at, created_at, expires_at)
             SELECT ", $id, ", 'authorization_code', ", $id, ", NULL, FALSE, person.id, person.epoch, client.id, client.epoch,
               'openid profile', 'openid profile', $8, TRUE, $4, $7, $4, $7, NULL, $6, $6, $6, $7
             FROM ", $rows, "
             JOIN document person ON person.kind = 'User' AND person.id = $10 || ", $user, "
             JOIN document client ON client.kind = 'Client' AND client.id = $5"
        )
    };
}

const FILL_POSTGRES: &str = fill!(
    "(lpad(to_hex($3 + n), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid",
    "generate_series($1::bigint, $2::bigint) AS row(n)",
    "(n % $9::bigint)::text"
);
const FILL_SQLITE: &str = fill!(
    "unhex(printf('%012x70008000%012x', $3 + n, n))",
    "(WITH RECURSIVE row(n) AS (SELECT $1 UNION ALL SELECT n + 1 FROM row WHERE n < $2) SELECT n FROM row)",
    "(n % $9)"
);

impl Database {
    /// Opens it, from `postgres://…` or `sqlite://PATH`.
    pub(crate) async fn open(url: &str) -> Result<Self> {
        if url.starts_with("postgres") {
            return Ok(Self::Postgres(Box::new(PgConnection::connect(url).await?)));
        }
        // What is filled in here need not survive a power cut.
        let options = SqliteConnectOptions::from_str(url)?
            .synchronous(SqliteSynchronous::Off)
            .busy_timeout(std::time::Duration::from_mins(1))
            .pragma("cache_size", "-262144");
        Ok(Self::Sqlite(Box::new(options.connect().await?)))
    }

    /// Fills in tokens of the profile's users for its client `code`, until there are so many; `before` is what an earlier call
    /// answered.
    pub(crate) async fn fill(&mut self, profile: &Profile, rows: u64, before: Option<&Filled>) -> Result<Filled> {
        let client = profile.clients.code.as_ref().ok_or("the profile has no client for code")?;
        let users = profile.users.as_ref().ok_or("the profile has no users")?;
        let prefix = users.username.strip_suffix("{n}").ok_or("users.username must end in {n}")?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let seconds = i64::try_from(now.as_secs())?;
        let base = match before {
            Some(before) => before.base,
            // In the past, for as many as there will ever be.
            None => u64::try_from(now.as_millis())? - 100_000_000,
        };
        let digest = digest(&SHA256, &SECRET);
        let audience = profile.base_url.as_str().trim_end_matches('/');
        let begun = std::time::Instant::now();
        let mut from = before.map_or(0, |before| before.rows);
        while from < rows {
            let to = (from + CHUNK).min(rows);
            macro_rules! run {
                ($db:expr, $text:expr) => {
                    sqlx::query($text)
                        .bind(i64::try_from(from)?)
                        .bind(i64::try_from(to - 1)?)
                        .bind(i64::try_from(base)?)
                        .bind(digest.as_ref())
                        .bind(&client.id)
                        .bind(seconds)
                        .bind(seconds + LIFE)
                        .bind(audience)
                        .bind(i64::from(users.count))
                        .bind(prefix)
                        .execute(&mut **$db)
                        .await?
                        .rows_affected()
                };
            }
            let made = match self {
                Self::Postgres(db) => run!(db, FILL_POSTGRES),
                Self::Sqlite(db) => run!(db, FILL_SQLITE),
            };
            if made != to - from {
                return Err("the clients and users of the profile are not in this database: run `prepare` first".into());
            }
            from = to;
            if to.is_multiple_of(10 * CHUNK) {
                crate::report::say(&format!("{to} rows after {:.0} s", begun.elapsed().as_secs_f64()));
            }
        }
        self.settle().await?;
        Ok(Filled { base, rows, unused_from: before.map_or(0, |before| before.rows), used: Arc::default() })
    }

    /// Lets the database finish what it would otherwise do while it is measured.
    async fn settle(&mut self) -> Result<()> {
        match self {
            Self::Postgres(db) => {
                sqlx::query("VACUUM (ANALYZE) session").execute(&mut **db).await?;
                // Takes a right of its own; without it, the next checkpoint comes when it comes.
                let _ = sqlx::query("CHECKPOINT").execute(&mut **db).await;
            }
            Self::Sqlite(db) => {
                sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").execute(&mut **db).await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_time_ordered_and_valid() {
        let filled = Filled { base: 1_700_000_000_000, rows: 10, unused_from: 0, used: Arc::default() };
        let ids: Vec<_> = (0..10).map(|row| uuid::Uuid::from_bytes(filled.id(row))).collect();
        assert!(ids.is_sorted());
        assert_eq!(ids[9].to_string(), "018bcfe5-6809-7000-8000-000000000009");
        assert_eq!(ids[9].get_version_num(), 7);
    }

    #[test]
    fn each_refresh_token_is_handed_out_once() {
        let filled = Filled { base: 1, rows: 1500, unused_from: 500, used: Arc::default() };
        let mut tokens: Vec<_> = (0..1000).map(|_| filled.fresh_refresh_token().unwrap()).collect();
        assert!(filled.clone().fresh_refresh_token().is_err());
        tokens.sort();
        tokens.dedup();
        assert_eq!(tokens.len(), 1000);
        assert!((0..500).all(|row| tokens.binary_search(&filled.bearer("cs_rt_", row)).is_err()));
    }

    #[tokio::test]
    async fn the_statement_makes_the_same_ids() {
        let mut db = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        let filled = Filled { base: 1_700_000_000_000, rows: 4096, unused_from: 0, used: Arc::default() };
        let id: Vec<u8> =
            sqlx::query_scalar("SELECT unhex(printf('%012x70008000%012x', ? + n, n)) FROM (SELECT ? AS n)")
                .bind(1_700_000_000_000_i64)
                .bind(4095_i64)
                .fetch_one(&mut db)
                .await
                .unwrap();
        assert_eq!(id, filled.id(4095));
    }
}

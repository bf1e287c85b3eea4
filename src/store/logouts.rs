//! How a login ends, and who is to be told: the clients that take part in it, and the messages to them that are due.
//!
//! A message is delivered at least once. Whoever is about to send it claims it by putting off its next try, in one guarded
//! statement: of many nodes one sends it, and where that one dies another tries again.

use sqlx::FromRow;
use uuid::Uuid;

use super::{Db, Result, Store, Tx};
use crate::domain::time::Timestamp;

/// A message to a client that a login has ended.
#[derive(Clone, Debug, FromRow)]
pub struct Notice {
    /// The login.
    pub login_id: Uuid,
    /// Who is to be told.
    pub client_id: String,
    /// About whom.
    pub user_id: String,
    /// When it was to be tried.
    pub due_at: Timestamp,
    /// How often it was tried.
    pub tries: i64,
}

/// The refresh tokens of a login that end with it, as far as they are not spent: those of OpenID Connect, of clients that do not
/// share it and were not granted `offline_access`. What shares the login needs no mark of its own; see `live!`.
macro_rules! online {
    () => {
        "SELECT o.id FROM session o WHERE o.user_id = $1 AND o.parent = $2 AND NOT o.shared AND o.refresh_digest IS NOT NULL
           AND o.rotated_at IS NULL AND (o.refresh_expires_at IS NULL OR o.refresh_expires_at > $3)
           AND ' ' || o.granted_scope || ' ' LIKE '% openid %'
           AND ' ' || o.granted_scope || ' ' NOT LIKE '% offline\\_access %' ESCAPE '\\' ORDER BY o.id"
    };
}
macro_rules! expire {
    () => {
        "UPDATE session SET refresh_expires_at = $3 WHERE id IN ("
    };
}

/// The login of this id, unless it has ended.
macro_rules! lasting {
    () => {
        "SELECT id FROM session WHERE id = $1 AND family_ended_at IS NULL"
    };
}
macro_rules! join {
    () => {
        "INSERT INTO login_client (login_id, client_id, user_id, tries, expires_at) SELECT id, $2, $3, 0, $4 FROM login WHERE TRUE
         ON CONFLICT (login_id, client_id) DO UPDATE SET due_at = NULL, tries = 0 WHERE login_client.due_at IS NOT NULL"
    };
}

impl Store {
    /// Notes that a client takes part in a login, to be told when that ends. One that comes back before it has heard of the end of
    /// its earlier session has begun another. `false`: the login has ended.
    ///
    /// PostgreSQL holds the login's row meanwhile: whoever ends it at the same moment waits, and then finds the client among those to
    /// be told; or has ended it, and nobody joins.
    pub async fn join_login(
        &self,
        login_id: Uuid,
        client_id: &str,
        user_id: &str,
        expires_at: Timestamp,
    ) -> Result<bool> {
        match self.writer() {
            Db::Postgres(db) => {
                let text = concat!(
                    "WITH login AS (",
                    lasting!(),
                    " FOR SHARE), joined AS (",
                    join!(),
                    ") SELECT id FROM login"
                );
                let query = sqlx::query(text).bind(login_id).bind(client_id).bind(user_id).bind(expires_at);
                Ok(lent!(db, loan => query.fetch_optional(loan.ask()))?.is_some())
            }
            Db::Sqlite(db) => {
                let query = sqlx::query(concat!("WITH login AS (", lasting!(), ") ", join!()));
                let query = query.bind(login_id).bind(client_id).bind(user_id).bind(expires_at);
                if query.execute(db).await?.rows_affected() > 0 {
                    return Ok(true);
                }
                Ok(sqlx::query(lasting!()).bind(login_id).fetch_optional(db).await?.is_some())
            }
        }
    }

    /// Ends a login for good and answers the clients that are to be told; `None` where it had ended before. Back-Channel Logout
    /// §2.7: refresh tokens without `offline_access` end with it, those with it stay.
    pub async fn end_login(&self, id: Uuid, now: Timestamp) -> Result<Option<Vec<String>>> {
        let mut tx = self.begin_patiently().await?;
        let ended = sql!(
            tx.conn(),
            fetch_optional as (Option<String>,),
            "UPDATE session SET family_ended_at = $2 WHERE id = $1 AND kind = 'login' AND family_ended_at IS NULL RETURNING user_id",
            id,
            now,
        )?;
        let Some((user_id,)) = ended else { return Ok(None) };
        let told = sql!(
            tx.conn(),
            fetch_all as (String,),
            "UPDATE login_client SET due_at = $2 WHERE login_id = $1 AND due_at IS NULL RETURNING client_id",
            id,
            now,
        )?;
        // Twice: a successor that was being made while the first looked is there for the second, which waited for it; and whoever
        // comes later finds the token expired.
        for _ in 0..2 {
            tx.expire_online(user_id.as_deref(), id, now).await?;
        }
        tx.commit().await?;
        self.logouts_are_due();
        Ok(Some(told.into_iter().map(|(client_id,)| client_id).collect()))
    }

    /// The message to one client whose session ended while the login goes on.
    pub(super) async fn tell_client(&self, login_id: Uuid, client_id: &str, now: Timestamp) -> Result<bool> {
        let told = sql!(
            self.writer(),
            execute,
            "UPDATE login_client SET due_at = $3 WHERE login_id = $1 AND client_id = $2 AND due_at IS NULL",
            login_id,
            client_id,
            now,
        )?;
        self.logouts_are_due();
        Ok(told > 0)
    }

    /// Messages whose time has come, the oldest first.
    pub async fn due_notices(&self, limit: i64, now: Timestamp) -> Result<Vec<Notice>> {
        sql!(
            self.reader(),
            fetch_all as Notice,
            "SELECT login_id, client_id, user_id, due_at, tries FROM login_client WHERE due_at <= $1 ORDER BY due_at LIMIT $2",
            now,
            limit,
        )
    }

    /// Claims a message, to be tried again at `again` unless it is settled before, and answers it as it is then. `None`: another
    /// one was faster.
    pub async fn claim_notice(&self, notice: &Notice, again: Timestamp) -> Result<Option<Notice>> {
        sql!(
            self.writer(),
            fetch_optional as Notice,
            "UPDATE login_client SET due_at = $4, tries = tries + 1
             WHERE login_id = $1 AND client_id = $2 AND due_at = $3 AND tries = $5
             RETURNING login_id, client_id, user_id, due_at, tries",
            notice.login_id,
            &notice.client_id,
            notice.due_at,
            again,
            notice.tries,
        )
    }

    /// The message has arrived, or never will. A client that has come back meanwhile still takes part.
    pub async fn settle_notice(&self, claimed: &Notice) -> Result<()> {
        sql!(
            self.writer(),
            execute,
            "DELETE FROM login_client WHERE login_id = $1 AND client_id = $2 AND due_at = $3 AND tries = $4",
            claimed.login_id,
            &claimed.client_id,
            claimed.due_at,
            claimed.tries,
        )
        .map(drop)
    }

    /// Removes up to `batch` rows of logins that ran out without anybody ending them.
    pub(super) async fn sweep_logins(&self, now: Timestamp, batch: i64) -> Result<u64> {
        sql!(
            self.patient_writer(),
            execute,
            "DELETE FROM login_client WHERE (login_id, client_id) IN (
               SELECT c.login_id, c.client_id FROM login_client c WHERE c.expires_at <= $1 AND c.due_at IS NULL
               ORDER BY c.expires_at LIMIT $2)",
            now,
            batch,
        )
    }

    /// Wakes whoever sends messages on this node.
    pub fn logouts_are_due(&self) {
        self.logouts.notify_one();
    }

    /// Waits for that.
    pub async fn until_logouts_are_due(&self) {
        self.logouts.notified().await;
    }
}

impl Tx {
    async fn expire_online(&mut self, user_id: Option<&str>, login_id: Uuid, now: Timestamp) -> Result<()> {
        match self.conn() {
            // In the order in which refreshing locks them.
            Db::Postgres(db) => {
                let query = sqlx::query(concat!(expire!(), online!(), " FOR UPDATE)")).bind(user_id);
                let query = query.bind(login_id).bind(now);
                lent!(db, loan => query.execute(loan.ask())).map(drop)
            }
            Db::Sqlite(db) => {
                let query = sqlx::query(concat!(expire!(), online!(), ")")).bind(user_id).bind(login_id).bind(now);
                query.execute(db).await.map(drop)
            }
        }
    }

    /// Notes that every login of a person has ended, which it has with the person's epoch, and answers the clients that are to be told;
    /// [`Store::logouts_are_due`] is to follow the commit.
    pub async fn tell_clients_of(&mut self, user_id: &str, now: Timestamp) -> Result<Vec<String>> {
        let told = sql!(
            self.conn(),
            fetch_all as (String,),
            "UPDATE login_client SET due_at = $2
             WHERE due_at IS NULL AND login_id IN (SELECT id FROM session WHERE user_id = $1 AND kind = 'login')
             RETURNING client_id",
            user_id,
            now,
        )?;
        Ok(told.into_iter().map(|(client_id,)| client_id).collect())
    }
}

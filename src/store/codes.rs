//! Authorization codes, as they are issued and kept. How one becomes tokens is in [`super::redemption`].

use std::sync::Arc;

use sqlx::FromRow;
use uuid::Uuid;

use super::coalesce::Queue;
use super::postgres::Loan;
use super::{Db, Pools, Result, Store, Tx};
use crate::domain::time::Timestamp;

#[derive(Clone, Debug, FromRow)]
#[expect(missing_docs, reason = "each column is described where the table is made, in migrations/")]
pub struct Code {
    pub id: Uuid,
    pub digest: Vec<u8>,
    pub client_id: String,
    pub client_epoch: i64,
    pub redirect_uri: String,
    pub redirect_required: bool,
    pub code_challenge: Option<String>,
    pub user_id: String,
    pub user_epoch: i64,
    pub login_id: Uuid,
    pub shared: bool,
    pub scope: String,
    pub resource: Option<String>,
    pub id_token: bool,
    pub nonce: Option<String>,
    pub auth_time: Timestamp,
    pub claims: Option<String>,
    pub family: Option<Uuid>,
    pub expires_at: Timestamp,
    pub claimed_at: Option<Timestamp>,
    pub session_id: Option<Uuid>,
}

macro_rules! columns {
    () => {
        "c.id, c.digest, c.client_id, c.client_epoch, c.redirect_uri, c.redirect_required, c.code_challenge, c.user_id, c.user_epoch,
         c.login_id, c.shared, c.scope, c.resource, c.id_token, c.nonce, c.auth_time, c.claims, c.family, c.expires_at, c.claimed_at,
         c.session_id"
    };
}

macro_rules! insert_code {
    () => {
        "INSERT INTO authorization_code (id, digest, client_id, client_epoch, redirect_uri, redirect_required, code_challenge, user_id,
           user_epoch, login_id, shared, scope, id_token, nonce, auth_time, claims, family, expires_at, resource) "
    };
}
pub(super) use columns;

impl Code {
    /// The root of the family that its tokens belong to, once there are any.
    pub fn root(&self) -> Option<Uuid> {
        self.family.or(self.session_id)
    }
}

impl Store {
    /// Keeps a new code.
    pub async fn insert_code(&self, code: Code) -> Result<()> {
        self.queues.new_codes.ask(code).await
    }

    /// The code of this id.
    pub async fn code(&self, id: Uuid) -> Result<Option<Code>> {
        sql!(
            self.reader(),
            fetch_optional as Code,
            concat!("SELECT ", columns!(), " FROM authorization_code c WHERE c.id = $1"),
            id
        )
    }
}

/// The queue of [`Store::insert_code`].
pub(super) fn inserting(db: &Pools) -> Queue<Code, ()> {
    let db = db.seat();
    Queue::new(move |codes: Arc<[Code]>| {
        let db = db.clone();
        async move {
            match &db {
                Db::Postgres(seat) => insert_postgres(&mut *seat.take().await?, &codes).await?,
                Db::Sqlite(sqlite) => {
                    let mut tx = sqlite.begin().await?;
                    for code in &*codes {
                        tx.insert_code(code).await?;
                    }
                    tx.commit().await?;
                }
            }
            Ok(vec![(); codes.len()])
        }
    })
}

impl Tx {
    async fn insert_code(&mut self, c: &Code) -> Result<()> {
        sql!(
            self.conn(),
            execute,
            concat!(
                insert_code!(),
                "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)"
            ),
            c.id,
            &c.digest,
            &c.client_id,
            c.client_epoch,
            &c.redirect_uri,
            c.redirect_required,
            &c.code_challenge,
            &c.user_id,
            c.user_epoch,
            c.login_id,
            c.shared,
            &c.scope,
            c.id_token,
            &c.nonce,
            c.auth_time,
            &c.claims,
            c.family,
            c.expires_at,
            &c.resource,
        )
        .map(drop)
    }
}

async fn insert_postgres(loan: &mut Loan, codes: &[Code]) -> Result<()> {
    let insert = sqlx::query(concat!(
        insert_code!(),
        "SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::text[], $4::bigint[], $5::text[], $6::bool[], $7::text[], $8::text[],
           $9::bigint[], $10::uuid[], $11::bool[], $12::text[], $13::bool[], $14::text[], $15::bigint[], $16::text[], $17::uuid[], $18::bigint[],
           $19::text[])"
    ))
    .bind(column!(codes, c => c.id))
    .bind(column!(codes, c => c.digest.as_slice()))
    .bind(column!(codes, c => c.client_id.as_str()))
    .bind(column!(codes, c => c.client_epoch))
    .bind(column!(codes, c => c.redirect_uri.as_str()))
    .bind(column!(codes, c => c.redirect_required))
    .bind(column!(codes, c => c.code_challenge.as_deref()))
    .bind(column!(codes, c => c.user_id.as_str()))
    .bind(column!(codes, c => c.user_epoch))
    .bind(column!(codes, c => c.login_id))
    .bind(column!(codes, c => c.shared))
    .bind(column!(codes, c => c.scope.as_str()))
    .bind(column!(codes, c => c.id_token))
    .bind(column!(codes, c => c.nonce.as_deref()))
    .bind(column!(codes, c => c.auth_time))
    .bind(column!(codes, c => c.claims.as_deref()))
    .bind(column!(codes, c => c.family))
    .bind(column!(codes, c => c.expires_at))
    .bind(column!(codes, c => c.resource.as_deref()));
    lent!(loan, loan => insert.execute(loan.ask())).map(drop)
}

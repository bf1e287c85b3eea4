//! Authorization codes, as they are issued and kept. How one becomes tokens is in [`super::redemption`].

use std::sync::Arc;

use sqlx::FromRow;
use uuid::Uuid;

use super::coalesce::Queue;
use super::postgres::Loan;
use super::rows::{packed, unnested};
use super::sqlite::Sqlite;
use super::{Db, Pools, Result, Store};
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
                Db::Sqlite(sqlite) => insert_sqlite(sqlite, &codes).await?,
            }
            Ok(vec![(); codes.len()])
        }
    })
}

/// The fields of new codes, in the order of `insert_code!`.
macro_rules! fields {
    ($bound:ident!($($before:tt)*)) => {
        $bound!($($before)*, c => c.id, c.digest.as_slice(), c.client_id.as_str(), c.client_epoch, c.redirect_uri.as_str(),
            c.redirect_required, c.code_challenge.as_deref(), c.user_id.as_str(), c.user_epoch, c.login_id, c.shared, c.scope.as_str(),
            c.id_token, c.nonce.as_deref(), c.auth_time, c.claims.as_deref(), c.family, c.expires_at, c.resource.as_deref())
    };
}

async fn insert_postgres(loan: &mut Loan, codes: &[Code]) -> Result<()> {
    let insert = sqlx::query(concat!(
        insert_code!(),
        "SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::text[], $4::bigint[], $5::text[], $6::bool[], $7::text[], $8::text[],
           $9::bigint[], $10::uuid[], $11::bool[], $12::text[], $13::bool[], $14::text[], $15::bigint[], $16::text[], $17::uuid[], $18::bigint[],
           $19::text[])"
    ));
    let insert = fields!(unnested!(insert, codes));
    lent!(loan, loan => insert.execute(loan.ask())).map(drop)
}

async fn insert_sqlite(sqlite: &Sqlite, codes: &[Code]) -> Result<()> {
    let insert = concat!(
        insert_code!(),
        "SELECT unhex(value ->> 0), unhex(value ->> 1), value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
           value ->> 8, unhex(value ->> 9), value ->> 10, value ->> 11, value ->> 12, value ->> 13, value ->> 14, value ->> 15,
           unhex(value ->> 16), value ->> 17, value ->> 18
         FROM json_each($1)"
    );
    sqlx::query(insert).bind(fields!(packed!(codes))?).execute(&sqlite.writer).await.map(drop)
}

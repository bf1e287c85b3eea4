//! Authorization codes: issued once, claimed once.

use sqlx::FromRow;
use sqlx::types::Json;
use uuid::Uuid;

use super::sessions::{Session, insert_columns};
use super::{Db, Result, Store};
use crate::domain::secret::Digest;
use crate::domain::time::Timestamp;

/// A row of `authorization_code`.
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
    pub id_token: bool,
    pub nonce: Option<String>,
    pub auth_time: Timestamp,
    pub expires_at: Timestamp,
    pub claimed_at: Option<Timestamp>,
    pub session_id: Option<Uuid>,
}

/// What a token request presents, and the tokens it is to get.
#[derive(Debug)]
pub struct Redemption<'a> {
    /// The code's row.
    pub id: Uuid,
    /// The digest of the code.
    pub digest: Digest,
    /// The client that presents it, by name and epoch.
    pub client_id: &'a str,
    /// That client's epoch.
    pub client_epoch: i64,
    /// The `redirect_uri` of the token request.
    pub redirect_uri: Option<&'a str>,
    /// The challenge of the `code_verifier` of the token request.
    pub code_challenge: Option<&'a str>,
    /// The id of the session to make.
    pub session_id: Uuid,
    /// The digest of the access token, where it is opaque.
    pub token_digest: Option<Digest>,
    /// When the access token expires.
    pub token_expires_at: Timestamp,
    /// Its audience, space-delimited.
    pub audience: &'a str,
    /// The digest of the refresh token, should there be one.
    pub refresh_digest: Digest,
    /// When that expires by itself; never where absent.
    pub refresh_expires_at: Option<Timestamp>,
    /// The server's cap on it.
    pub refresh_limit: Option<Timestamp>,
    /// Whether there is one in any case.
    pub refresh_always: bool,
    /// Whether there is one where `offline_access` was granted.
    pub refresh_if_asked: bool,
    /// The present.
    pub now: Timestamp,
}

/// A redeemed code.
#[derive(Clone, Debug, FromRow)]
pub struct Redeemed {
    /// The code's row.
    #[sqlx(flatten)]
    pub code: Code,
    /// Whether the user may still be issued tokens; if not, there is no session.
    pub person_active: bool,
    /// Whether a refresh token was made.
    pub refreshable: bool,
    /// The user's document, where there still is one.
    pub person: Option<Json<serde_json::Value>>,
    /// When it last changed.
    pub person_updated_at: Option<i64>,
}

macro_rules! columns {
    () => {
        "c.id, c.digest, c.client_id, c.client_epoch, c.redirect_uri, c.redirect_required, c.code_challenge, c.user_id, c.user_epoch,
         c.login_id, c.shared, c.scope, c.id_token, c.nonce, c.auth_time, c.expires_at, c.claimed_at, c.session_id"
    };
}

/// The guarded claim. RFC 6749 §4.1.2: a code is used once; §4.1.3: by the client it was issued to, with the same redirect URI;
/// RFC 7636 §4.6: with the verifier of its challenge; and not after the person has signed out. Whatever does not fit leaves it
/// unclaimed.
macro_rules! claim {
    () => {
        "UPDATE authorization_code SET claimed_at = $1, session_id = $2
         WHERE id = $3 AND digest = $4 AND client_id = $5 AND client_epoch = $6 AND claimed_at IS NULL AND expires_at > $1
           AND ((redirect_uri = $7) OR ($7 IS NULL AND NOT redirect_required))
           AND ((code_challenge = $8) OR ($8 IS NULL AND code_challenge IS NULL))
           AND EXISTS (SELECT 1 FROM session login WHERE login.id = login_id AND login.family_ended_at IS NULL)"
    };
}

impl Store {
    /// Keeps a new code.
    pub async fn insert_code(&self, c: &Code) -> Result<()> {
        sql!(
            self.writer(),
            execute,
            "INSERT INTO authorization_code (id, digest, client_id, client_epoch, redirect_uri, redirect_required, code_challenge, user_id,
               user_epoch, login_id, shared, scope, id_token, nonce, auth_time, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
            c.id, &c.digest, &c.client_id, c.client_epoch, &c.redirect_uri, c.redirect_required, &c.code_challenge, &c.user_id,
            c.user_epoch, c.login_id, c.shared, &c.scope, c.id_token, &c.nonce, c.auth_time, c.expires_at,
        )
        .map(drop)
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

    /// Claims a code and makes its session, in one step that exactly one caller wins. `None`: it was not to be had, and
    /// [`Store::code`] tells why.
    pub async fn redeem_code(&self, r: &Redemption<'_>) -> Result<Option<Redeemed>> {
        match self.writer() {
            Db::Postgres(pool) => redeem_postgres(pool, r).await,
            Db::Sqlite(_) => self.redeem_sqlite(r).await,
        }
    }

    async fn redeem_sqlite(&self, r: &Redemption<'_>) -> Result<Option<Redeemed>> {
        let mut tx = self.begin().await?;
        let claimed = sql!(
            tx.conn(),
            execute,
            claim!(),
            r.now,
            r.session_id,
            r.id,
            r.digest.as_bytes(),
            r.client_id,
            r.client_epoch,
            r.redirect_uri,
            r.code_challenge,
        )?;
        if claimed == 0 {
            return Ok(None);
        }
        let redeemed = sql!(
            tx.conn(),
            fetch_one as Redeemed,
            concat!(
                "SELECT ",
                columns!(),
                ", COALESCE(d.active AND d.epoch = c.user_epoch, FALSE) AS person_active,
                   ($2 OR ($3 AND ' ' || c.scope || ' ' LIKE '% offline_access %')) AS refreshable,
                   d.body AS person, d.updated_at AS person_updated_at
                 FROM authorization_code c
                 LEFT JOIN document d ON d.kind = 'User' AND d.id = c.user_id AND d.deleted_at IS NULL WHERE c.id = $1"
            ),
            r.id,
            r.refresh_always,
            r.refresh_if_asked,
        )?;
        if redeemed.person_active {
            tx.insert_session(&r.session(&redeemed)).await?;
        }
        tx.commit().await?;
        Ok(Some(redeemed))
    }
}

impl Redemption<'_> {
    fn session(&self, redeemed: &Redeemed) -> Session {
        let code = &redeemed.code;
        let refresh = redeemed.refreshable;
        Session {
            id: self.session_id,
            kind: "authorization_code".into(),
            family: self.session_id,
            parent: Some(code.login_id),
            shared: code.shared,
            user_id: Some(code.user_id.clone()),
            user_epoch: Some(code.user_epoch),
            client_id: Some(code.client_id.clone()),
            client_epoch: Some(code.client_epoch),
            scope: code.scope.clone(),
            granted_scope: code.scope.clone(),
            audience: self.audience.into(),
            id_token: code.id_token,
            token_digest: self.token_digest.map(|digest| digest.as_bytes().into()),
            token_expires_at: self.token_expires_at,
            refresh_digest: refresh.then(|| self.refresh_digest.as_bytes().into()),
            refresh_expires_at: self.refresh_expires_at.filter(|_| refresh),
            refresh_limit: self.refresh_limit.filter(|_| refresh),
            rotated_at: None,
            successor: None,
            auth_time: Some(code.auth_time),
            seen_at: self.now,
            created_at: self.now,
            ended_at: None,
        }
    }
}

async fn redeem_postgres(pool: &sqlx::PgPool, r: &Redemption<'_>) -> Result<Option<Redeemed>> {
    sqlx::query_as(concat!(
        "WITH c AS (", claim!(), " RETURNING *),
         found AS (
           SELECT ", columns!(), ", COALESCE(d.active AND d.epoch = c.user_epoch, FALSE) AS person_active,
             ($9 OR ($10 AND ' ' || c.scope || ' ' LIKE '% offline_access %')) AS refreshable,
             d.body AS person, d.updated_at AS person_updated_at
           FROM c LEFT JOIN document d ON d.kind = 'User' AND d.id = c.user_id AND d.deleted_at IS NULL),
         made AS (", insert_columns!(), "
           SELECT $2, 'authorization_code', $2, login_id, shared, user_id, user_epoch, client_id, client_epoch, scope, scope,
             $11, id_token, $12, $13, CASE WHEN refreshable THEN $14::bytea END,
             CASE WHEN refreshable THEN $15::bigint END, CASE WHEN refreshable THEN $16::bigint END, auth_time, $1, $1,
             CASE WHEN refreshable THEN GREATEST($13, COALESCE($15, $1 + 3155760000)) ELSE $13 END
           FROM found WHERE person_active)
         SELECT * FROM found"
    ))
    .bind(r.now)
    .bind(r.session_id)
    .bind(r.id)
    .bind(r.digest.as_bytes())
    .bind(r.client_id)
    .bind(r.client_epoch)
    .bind(r.redirect_uri)
    .bind(r.code_challenge)
    .bind(r.refresh_always)
    .bind(r.refresh_if_asked)
    .bind(r.audience)
    .bind(r.token_digest.as_ref().map(Digest::as_bytes))
    .bind(r.token_expires_at)
    .bind(r.refresh_digest.as_bytes())
    .bind(r.refresh_expires_at)
    .bind(r.refresh_limit)
    .fetch_optional(pool)
    .await
}

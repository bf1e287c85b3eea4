//! Signing keys, their private parts sealed.

use serde_json::Value;
use sqlx::FromRow;
use sqlx::types::Json;

use super::{Result, Store, Tx};
use crate::domain::time::Timestamp;

/// A row of `signing_key`.
#[derive(Clone, Debug, FromRow)]
#[expect(missing_docs, reason = "each column is described where the table is made, in migrations/")]
pub struct SigningKey {
    pub kid: String,
    pub alg: String,
    pub public_jwk: Json<Value>,
    pub private_key: Vec<u8>,
    pub created_at: Timestamp,
    pub signs_from: Timestamp,
    pub verifies_until: Option<Timestamp>,
}

const ALL: &str = "SELECT kid, alg, public_jwk, private_key, created_at, signs_from, verifies_until FROM signing_key
     UNION ALL SELECT kid, alg, public_jwk, private_key, created_at, signs_from, verifies_until FROM later_signing_key
     ORDER BY created_at, kid";

/// The algorithms whose keys every version reads. A version that knows no others refuses a key of another one, and goes on
/// running while nodes are upgraded: such keys are kept apart.
const OF_EVERY_VERSION: [&str; 3] = ["RS256", "ES256", "EdDSA"];

/// The same statement for both tables.
macro_rules! in_both {
    ($conn:expr, $before:literal, $after:literal $(, $bind:expr)* $(,)?) => {
        [
            sql!($conn, execute, concat!($before, " signing_key ", $after) $(, $bind)*)?,
            sql!($conn, execute, concat!($before, " later_signing_key ", $after) $(, $bind)*)?,
        ]
        .into_iter()
        .sum::<u64>()
    };
}

impl Store {
    /// Every key, oldest first.
    pub async fn signing_keys(&self) -> Result<Vec<SigningKey>> {
        sql!(self.reader(), fetch_all as SigningKey, ALL)
    }

    /// Removes the keys that nothing is left to verify with, and answers how many.
    pub(super) async fn sweep_signing_keys(&self, now: Timestamp) -> Result<u64> {
        let gone = in_both!(
            self.patient_writer(),
            "DELETE FROM",
            "WHERE verifies_until IS NOT NULL AND verifies_until <= $1",
            now,
        );
        if gone > 0 {
            // Every node stops publishing them.
            let mut tx = self.begin().await?;
            tx.touch_configuration().await?;
            tx.commit().await?;
        }
        Ok(gone)
    }
}

impl Tx {
    /// Every key, oldest first.
    pub async fn signing_keys(&mut self) -> Result<Vec<SigningKey>> {
        sql!(self.conn(), fetch_all as SigningKey, ALL)
    }

    /// Keeps a new key.
    pub async fn insert_signing_key(&mut self, key: &SigningKey) -> Result<()> {
        macro_rules! insert_into {
            ($table:literal) => {
                concat!(
                    "INSERT INTO ",
                    $table,
                    " (kid, alg, public_jwk, private_key, created_at, signs_from, verifies_until) VALUES ($1, $2, $3, $4, $5, $6, $7)"
                )
            };
        }
        let text = match OF_EVERY_VERSION.contains(&key.alg.as_str()) {
            true => insert_into!("signing_key"),
            false => insert_into!("later_signing_key"),
        };
        sql!(
            self.conn(),
            execute,
            text,
            &key.kid,
            &key.alg,
            &key.public_jwk,
            &key.private_key,
            key.created_at,
            key.signs_from,
            key.verifies_until,
        )?;
        self.touch_configuration().await
    }

    /// Says until when the keys of an algorithm made before `kid` are needed to verify what they signed.
    pub async fn supersede_signing_keys(&mut self, alg: &str, kid: &str, verifies_until: Timestamp) -> Result<()> {
        in_both!(
            self.conn(),
            "UPDATE",
            "SET verifies_until = $3 WHERE alg = $1 AND kid <> $2 AND verifies_until IS NULL",
            alg,
            kid,
            verifies_until,
        );
        self.touch_configuration().await
    }

    /// Lets a superseded key be the current one again.
    pub async fn reinstate_signing_key(&mut self, kid: &str) -> Result<()> {
        in_both!(self.conn(), "UPDATE", "SET verifies_until = NULL WHERE kid = $1", kid);
        self.touch_configuration().await
    }

    /// Removes a key at once; `false` where there is none of this id.
    pub async fn delete_signing_key(&mut self, kid: &str) -> Result<bool> {
        let deleted = in_both!(self.conn(), "DELETE FROM", "WHERE kid = $1", kid);
        self.touch_configuration().await?;
        Ok(deleted > 0)
    }

    /// The longest life of an access token that any client's document asks for, in seconds.
    pub async fn longest_access_token(&mut self) -> Result<i64> {
        let rows = sql!(
            self.conn(),
            fetch_all as (Json<Value>,),
            "SELECT body FROM document WHERE kind = 'Client' AND deleted_at IS NULL"
        )?;
        let flows =
            rows.iter().filter_map(|(Json(body),)| body.get("auth")?.as_object()).flat_map(serde_json::Map::values);
        Ok(flows.filter_map(|flow| flow.get("access_token_expiration")?.as_i64()).max().unwrap_or(0))
    }
}

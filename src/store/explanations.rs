//! Explanations of refusals, by the id of the request. Ids are ordered by time, so the newest are the last.

use serde_json::Value;
use uuid::Uuid;

use super::{Json, Result, Store};
use crate::domain::time::Timestamp;

/// Seconds that they are kept, and how many at the most.
const KEPT: i64 = 7 * 86_400;
const MOST: i64 = 100_000;

/// An explanation.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Row {
    /// The request.
    pub id: Uuid,
    /// When it was answered.
    pub created_at: Timestamp,
    /// What there is to tell.
    pub body: Json<Value>,
}

impl Store {
    /// Keeps some together.
    pub async fn insert_explanations(&self, rows: &[Row]) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut tx = self.begin_patiently().await?;
        for row in rows {
            sql!(
                tx.conn(),
                execute,
                "INSERT INTO explanation (id, created_at, body) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING",
                row.id,
                row.created_at,
                &row.body,
            )?;
        }
        tx.commit().await
    }

    /// The newest ones, newest first.
    pub async fn recent_explanations(&self, most: i64) -> Result<Vec<Row>> {
        sql!(
            self.patient_reader(),
            fetch_all as Row,
            "SELECT id, created_at, body FROM explanation ORDER BY id DESC LIMIT $1",
            most,
        )
    }

    /// Those whose ids are not before the first and not behind the last, newest first.
    pub async fn explanations_between(&self, first: Uuid, last: Uuid, most: i64) -> Result<Vec<Row>> {
        sql!(
            self.patient_reader(),
            fetch_all as Row,
            "SELECT id, created_at, body FROM explanation WHERE id >= $1 AND id <= $2 ORDER BY id DESC LIMIT $3",
            first,
            last,
            most,
        )
    }

    /// Removes those that are old, and the oldest where there are too many.
    pub(super) async fn sweep_explanations(&self, now: Timestamp, batch: i64) -> Result<u64> {
        let old = sql!(
            self.patient_writer(),
            execute,
            "DELETE FROM explanation WHERE id IN
               (SELECT e.id FROM explanation e WHERE e.created_at <= $1 ORDER BY e.created_at LIMIT $2)",
            now.plus(-KEPT),
            batch,
        )?;
        let surplus = sql!(
            self.patient_writer(),
            execute,
            "DELETE FROM explanation WHERE id IN (SELECT e.id FROM explanation e ORDER BY e.id DESC LIMIT $1 OFFSET $2)",
            batch,
            MOST,
        )?;
        Ok(old + surplus)
    }
}

//! What was fetched from clients' own servers and is kept: metadata documents and logos.

use serde_json::{Map, Value};
use sqlx::types::Json;

use super::{Result, Store};
use crate::domain::secret::Digest;
use crate::domain::time::Timestamp;

/// Seconds after which what was fetched goes; whoever needs it fetches it anew. Documents are kept anew with every consent.
const DOCUMENT_KEPT: i64 = 34_560_000;
const LOGO_KEPT: i64 = 2_592_000;
/// As many logos are kept, the latest: whoever describes or registers clients can have us fetch as many as they like.
const LOGOS: i64 = 1_000;

impl Store {
    /// The metadata document of a client as it was last kept.
    pub async fn metadata_document(&self, client_id: &str) -> Result<Option<Map<String, Value>>> {
        let row = sql!(
            self.reader(),
            fetch_optional as (Json<Map<String, Value>>,),
            "SELECT body FROM metadata_document WHERE client_id = $1",
            client_id,
        )?;
        Ok(row.map(|(Json(body),)| body))
    }

    /// Keeps a metadata document.
    pub async fn keep_metadata_document(
        &self,
        client_id: &str,
        body: &Map<String, Value>,
        now: Timestamp,
    ) -> Result<()> {
        sql!(
            self.writer(),
            execute,
            "INSERT INTO metadata_document (client_id, body, fetched_at) VALUES ($1, $2, $3)
             ON CONFLICT (client_id) DO UPDATE SET body = $2, fetched_at = $3",
            client_id,
            Json(body),
            now,
        )
        .map(drop)
    }

    /// Forgets a metadata document that is no more.
    pub async fn forget_metadata_document(&self, client_id: &str) -> Result<()> {
        sql!(self.writer(), execute, "DELETE FROM metadata_document WHERE client_id = $1", client_id).map(drop)
    }

    /// The logo that came from an address, as PNG.
    pub async fn logo(&self, address: Digest) -> Result<Option<Vec<u8>>> {
        let row = sql!(
            self.reader(),
            fetch_optional as (Vec<u8>,),
            "SELECT png FROM logo WHERE digest = $1",
            address.as_bytes(),
        )?;
        Ok(row.map(|(png,)| png))
    }

    /// Keeps a logo.
    pub async fn keep_logo(&self, address: Digest, png: &[u8], now: Timestamp) -> Result<()> {
        sql!(
            self.writer(),
            execute,
            "INSERT INTO logo (digest, png, fetched_at) VALUES ($1, $2, $3)
             ON CONFLICT (digest) DO UPDATE SET png = $2, fetched_at = $3",
            address.as_bytes(),
            png,
            now,
        )
        .map(drop)
    }

    /// Removes what was fetched long ago.
    pub(super) async fn sweep_fetched(&self, now: Timestamp, batch: i64) -> Result<u64> {
        let documents = sql!(
            self.patient_writer(),
            execute,
            "DELETE FROM metadata_document WHERE client_id IN
               (SELECT m.client_id FROM metadata_document m WHERE m.fetched_at <= $1 ORDER BY m.fetched_at LIMIT $2)",
            now.plus(-DOCUMENT_KEPT),
            batch,
        )?;
        let logos = sql!(
            self.patient_writer(),
            execute,
            "DELETE FROM logo WHERE digest IN (SELECT l.digest FROM logo l WHERE l.fetched_at <= $1 ORDER BY l.fetched_at LIMIT $2)",
            now.plus(-LOGO_KEPT),
            batch,
        )?;
        let too_many = sql!(
            self.patient_writer(),
            execute,
            "DELETE FROM logo WHERE digest IN (SELECT l.digest FROM logo l ORDER BY l.fetched_at DESC LIMIT $2 OFFSET $1)",
            LOGOS,
            batch,
        )?;
        Ok(documents + logos + too_many)
    }
}

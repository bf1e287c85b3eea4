//! A client that registers itself: its document, what lets it manage itself, and the use of what let it in, written together.

use serde_json::Value;

use super::outcome::{Outcome, Problem};
use super::{DocumentKind, Documents, Row};
use crate::domain::time::Timestamp;
use crate::store::registrations::Enrolment;

impl Documents {
    /// `None`: the initial access token has no use left. A document that is refused takes none.
    pub async fn enrol(
        &self,
        id: String,
        document: Value,
        enrolment: &Enrolment,
        now: Timestamp,
    ) -> Result<Option<Row>, Problem> {
        let prepared = self.prepare_put(DocumentKind::Client, id, document, None, Some("registration"), now).await?;
        let row = prepared.written.row;
        let mut tx = self.store().begin_patiently().await?;
        if !tx.enrol(&row.id, enrolment, now).await? {
            return Ok(None);
        }
        if !tx.write_document(&row, prepared.base).await? {
            return Err(Outcome::new(409, "conflict", "there is such a client already; try again").into());
        }
        tx.commit().await?;
        tracing::info!(
            event = "document_changed",
            kind = row.kind,
            id = row.id,
            version = row.version,
            effect = "Created"
        );
        Ok(Some(row))
    }
}

//! Clients and users that are made because somebody asked for them (`dev --permissive`). Of many who ask at once one makes the
//! document, and all find it.

use serde_json::Value;
use sqlx::types::Json;

use super::documents::Row;
use super::{Result, Store, Tx};
use crate::domain::time::Timestamp;

/// Who made them, as the documents say.
const ORIGIN: &str = "on_demand";

/// A document to be made.
#[derive(Debug)]
pub struct Draft<'a> {
    /// `Client` or `User`.
    pub kind: &'static str,
    /// Its id.
    pub id: &'a str,
    /// What it says.
    pub body: Value,
    /// Stored forms of its secrets.
    pub secrets: Value,
    /// What a user signs in with, in lower case.
    pub names: &'a [String],
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// It is there, from now or from before.
    There,
    /// It is not: as many as may be were made.
    Full,
    /// It is not: one of the names leads to somebody else.
    NameTaken,
}

impl Store {
    /// Makes a document where there is none of its id, or none any more. `most`: so many of a kind are made.
    pub async fn make(&self, draft: Draft<'_>, most: i64, now: Timestamp) -> Result<Made> {
        let present = self.document(draft.kind, draft.id).await?;
        if present.as_ref().is_some_and(|row| row.deleted_at.is_none()) {
            return Ok(Made::There);
        }
        let (made,) = sql!(
            self.reader(),
            fetch_one as (i64,),
            "SELECT count(*) FROM document WHERE kind = $1 AND origin = $2 AND deleted_at IS NULL",
            draft.kind,
            ORIGIN,
        )?;
        if made >= most {
            return Ok(Made::Full);
        }
        // Over a tombstone it goes on counting, so that nothing that was issued before the end comes to life.
        let (base, epoch) = present.map_or((0, 0), |row| (row.version, row.epoch));
        let row = Row {
            kind: draft.kind.to_owned(),
            id: draft.id.to_owned(),
            version: base + 1,
            body: Json(draft.body),
            secrets: Json(draft.secrets),
            active: true,
            epoch,
            user_id: None,
            client_id: None,
            origin: Some(ORIGIN.to_owned()),
            created_at: now,
            updated_at: now,
            deleted_at: None,
        };
        let mut tx = self.begin().await?;
        if !tx.write_document(&row, base).await? {
            return Ok(Made::There);
        }
        if !draft.names.is_empty() && tx.set_login_names(&row.id, draft.names).await?.is_some() {
            return Ok(Made::NameTaken);
        }
        tx.commit().await?;
        tracing::info!(event = "made_on_demand", kind = row.kind, id = row.id);
        Ok(Made::There)
    }

    /// Gives a client a secret that has none yet, in this stored form.
    pub async fn adopt_secret(&self, client_id: &str, form: &str, now: Timestamp) -> Result<()> {
        loop {
            let Some(mut row) = self.document("Client", client_id).await?.filter(|row| row.deleted_at.is_none()) else {
                return Ok(());
            };
            if row.secrets.0.get("secret").is_some() {
                return Ok(());
            }
            let base = row.version;
            if let Some(secrets) = row.secrets.0.as_object_mut() {
                secrets.insert("secret".into(), form.into());
            }
            (row.version, row.updated_at) = (base + 1, now);
            let mut tx: Tx = self.begin().await?;
            // Whoever was faster has brought it further.
            if tx.write_document(&row, base).await? {
                tx.touch_configuration().await?;
                return tx.commit().await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::store::Location;

    async fn store() -> Store {
        let store = Store::open(&Location::SqliteMemory).await.unwrap();
        store.migrate().await.unwrap();
        store
    }

    fn user<'a>(id: &'a str, names: &'a [String]) -> Draft<'a> {
        Draft { kind: "User", id, body: json!({}), secrets: json!({}), names }
    }

    #[tokio::test]
    async fn no_more_are_made_than_may_be() {
        let store = store().await;
        for id in ["a", "b", "a"] {
            assert_eq!(store.make(user(id, &[]), 2, Timestamp(1)).await.unwrap(), Made::There, "{id}");
        }
        assert_eq!(store.make(user("c", &[]), 2, Timestamp(1)).await.unwrap(), Made::Full);
        assert!(store.document("User", "c").await.unwrap().is_none());
        assert_eq!(store.make(user("a", &[]), 2, Timestamp(1)).await.unwrap(), Made::There, "who is there stays");
    }

    #[tokio::test]
    async fn a_name_leads_to_one_user() {
        let store = store().await;
        let names = ["zoe".to_owned()];
        assert_eq!(store.make(user("one", &names), 9, Timestamp(1)).await.unwrap(), Made::There);
        assert_eq!(store.make(user("two", &names), 9, Timestamp(1)).await.unwrap(), Made::NameTaken);
        assert!(store.document("User", "two").await.unwrap().is_none());
    }
}

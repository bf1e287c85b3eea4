//! Sessions as administrators look for them, a page at a time.

use uuid::Uuid;

use super::sessions::{Found, columns, found, join_person, live};
use super::{Result, Store};
use crate::domain::time::Timestamp;

/// Which sessions an administrator asks for.
#[derive(Debug, Default)]
pub struct SessionFilter<'a> {
    /// Of this user.
    pub user_id: Option<&'a str>,
    /// Of this client.
    pub client_id: Option<&'a str>,
    /// With this id.
    pub id: Option<Uuid>,
    /// Only live (`true`) or only ended ones (`false`).
    pub active: Option<bool>,
}

impl Store {
    /// A page of sessions, newest first, with how many there are in all (counted up to 10,000).
    pub async fn sessions(
        &self,
        filter: &SessionFilter<'_>,
        limit: i64,
        offset: i64,
        now: Timestamp,
    ) -> Result<(Vec<Found>, i64)> {
        macro_rules! matching {
            () => {
                concat!(
                    " FROM session s", join_person!(),
                    "WHERE ($1 IS NULL OR s.user_id = $1) AND ($2 IS NULL OR s.client_id = $2) AND ($3 IS NULL OR s.id = $3)
                     AND ($4 IS NULL OR $4 = (s.ended_at IS NULL AND ", live!(joined), " AND (s.token_expires_at > $5
                       OR (s.refresh_digest IS NOT NULL AND s.rotated_at IS NULL AND COALESCE(s.refresh_expires_at > $5, TRUE)))))"
                )
            };
        }
        let rows = sql!(
            self.patient_reader(),
            fetch_all as Found,
            concat!("SELECT ", found!(), matching!(), " ORDER BY s.id DESC LIMIT $6 OFFSET $7"),
            filter.user_id,
            filter.client_id,
            filter.id,
            filter.active,
            now,
            limit,
            offset,
        )?;
        let (total,) = sql!(
            self.patient_reader(),
            fetch_one as (i64,),
            concat!("SELECT count(*) FROM (SELECT 1 AS one", matching!(), " LIMIT 10000) AS counted"),
            filter.user_id,
            filter.client_id,
            filter.id,
            filter.active,
            now,
        )?;
        Ok((rows, total))
    }
}

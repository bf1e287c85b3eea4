//! `Session`: logins and issued tokens, shown as resources; to read and to close, never to write.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{Documents, Mount, Outcome, Problem, described, render};
use crate::domain::time::Timestamp;
use crate::store::sessions::Found;

pub use crate::store::session_search::SessionFilter;

impl Documents {
    /// A page (rows on a page, its number from 1) of sessions, newest first, and how many there are.
    pub async fn sessions(
        &self,
        filter: &SessionFilter<'_>,
        (count, page): (i64, i64),
        mount: Mount,
        now: Timestamp,
    ) -> Result<(Vec<Value>, i64), Problem> {
        let (rows, total) = self.store.sessions(filter, count, (page - 1).saturating_mul(count), now).await?;
        Ok((rows.iter().map(|found| resource(found, mount, now)).collect(), total))
    }

    /// The session of this id.
    pub async fn session(&self, id: &str, mount: Mount, now: Timestamp) -> Result<Value, Problem> {
        Ok(resource(&self.found(id).await?, mount, now))
    }

    /// Closes a session: its tokens and, where a first-party client shares it with the browser's login, that too.
    pub async fn close_session(&self, id: &str, mount: Mount, now: Timestamp) -> Result<Value, Problem> {
        let session = self.found(id).await?.session;
        let told = self.store.close_session(&session, now).await?;
        tracing::info!(
            event = "session_closed", session = %session.id, user = session.user_id, client = session.client_id, ?told
        );
        self.session(id, mount, now).await
    }

    async fn found(&self, id: &str) -> Result<Found, Problem> {
        let not_found = || Outcome::not_found("Session", id);
        let row = Uuid::parse_str(id).map_err(|_| not_found())?;
        Ok(self.store.session(row).await?.ok_or_else(not_found)?)
    }
}

/// What [`resource`] shows, as JSON Schema.
pub fn schema() -> Value {
    let times = json!({ "type": "string", "format": "date-time" });
    let seconds = json!({ "type": "integer", "description": "Seconds since 1970." });
    let words = json!({ "type": "array", "items": { "type": "string" } });
    let reference = described::reference();
    let members = json!({
        "type": { "type": "string", "description": "The grant, or that it is the login of a browser." },
        "active": { "type": "boolean" },
        "start": times,
        "end": times,
        "exp": seconds,
        "refresh_token_exp": seconds,
        "jti": { "type": "string", "format": "uuid" },
        "scope": words,
        "audience": words,
        "user": reference,
        "client": reference,
        "parent": reference,
        "family": { "type": "string", "format": "uuid" },
    });
    let properties = described::framed("Session", members);
    json!({ "type": "object", "description": "A login or an issued token.", "properties": properties, "additionalProperties": false })
}

/// The row as Aidbox shows it, without any token or hash.
fn resource(found: &Found, mount: Mount, now: Timestamp) -> Value {
    let session = &found.session;
    let usable = session.token_expires_at > now || (session.refresh_digest.is_some() && session.rotated_at.is_none());
    let active = found.live && session.ended_at.is_none() && usable;
    let mut body = Map::new();
    let mut put = |name: &str, value: Option<Value>| drop(value.map(|value| body.insert(name.to_owned(), value)));
    let reference = |kind: &str, id: &Option<String>| id.as_ref().map(|id| json!({ "resourceType": kind, "id": id }));
    put("type", Some(json!(session.kind)));
    put("active", Some(json!(active)));
    put("start", Some(json!(session.created_at.rfc3339())));
    put("end", session.ended_at.map(|at| json!(at.rfc3339())));
    put("exp", Some(json!(session.token_expires_at.0)));
    put("refresh_token_exp", session.refresh_expires_at.map(|at| json!(at.0)));
    put("jti", Some(json!(session.id.to_string())));
    put("scope", Some(session.scope.split(' ').filter(|word| !word.is_empty()).collect()));
    put("audience", Some(session.audience.split(' ').filter(|word| !word.is_empty()).collect()));
    put("user", reference("User", &session.user_id));
    put("client", reference("Client", &session.client_id));
    put("parent", reference("Session", &session.parent.map(|id| id.to_string())));
    put("family", Some(json!(session.family.to_string())));
    let meta = render::meta("1", session.created_at, session.seen_at, mount);
    render::resource("Session", &session.id.to_string(), body, &meta, mount)
}

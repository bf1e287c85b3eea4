//! `SigningKey`: the public part of the keys, shown as resources; to read.

use serde_json::{Map, Value, json};

use super::{Documents, Mount, Outcome, Problem, described, render};
use crate::store::keys::SigningKey;

impl Documents {
    /// Every key, oldest first.
    pub async fn signing_keys(&self, mount: Mount) -> Result<Vec<Value>, Problem> {
        Ok(self.store.signing_keys().await?.iter().map(|key| resource(key, mount)).collect())
    }

    /// The key of this id.
    pub async fn signing_key(&self, kid: &str, mount: Mount) -> Result<Value, Problem> {
        let keys = self.store.signing_keys().await?;
        let key = keys.iter().find(|key| key.kid == kid).ok_or_else(|| Outcome::not_found("SigningKey", kid))?;
        Ok(resource(key, mount))
    }
}

/// What [`resource`] shows, as JSON Schema.
pub fn schema() -> Value {
    let time = json!({ "type": "string", "format": "date-time" });
    let members =
        json!({ "alg": { "type": "string" }, "jwk": { "type": "object" }, "signsFrom": time, "verifiesUntil": time });
    let properties = described::framed("SigningKey", members);
    json!({ "type": "object", "description": "A signing key, without its private part.", "properties": properties, "additionalProperties": false })
}

fn resource(key: &SigningKey, mount: Mount) -> Value {
    let mut body = Map::new();
    body.insert("alg".into(), json!(key.alg));
    body.insert("jwk".into(), key.public_jwk.0.clone());
    body.insert("signsFrom".into(), json!(key.signs_from.rfc3339()));
    if let Some(until) = key.verifies_until {
        body.insert("verifiesUntil".into(), json!(until.rfc3339()));
    }
    let meta = render::meta("1", key.created_at, key.created_at, mount);
    render::resource("SigningKey", &key.kid, body, &meta, mount)
}

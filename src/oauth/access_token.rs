//! Reading an access token that somebody presents: at userinfo, introspection, revocation and the REST surface.
//!
//! There is one way to be valid. Whatever asks, the same checks answer: the token is ours, unexpired, not ended with its
//! session, family, login, user or client.

use std::sync::Arc;

use serde_json::{Map, Value};
use uuid::Uuid;

use super::Provider;
use crate::domain::bearer::{Bearer, Kind};
use crate::domain::client::Client;
use crate::domain::internal::Internal;
use crate::domain::scope::{ADMIN, Scope};
use crate::domain::time::Timestamp;
use crate::domain::user::User;
use crate::store::sessions::{Found, Session};

/// `typ` of a JWT access token (RFC 9068 §2.1).
pub const TYP: &str = "at+jwt";

/// A valid access token.
#[derive(Clone, Debug)]
pub struct AccessToken {
    /// `jti`: the row's id, or that of a JWT without one.
    pub id: Uuid,
    /// The client it was issued to.
    pub client: Arc<Client>,
    /// The person it was issued for, if any.
    pub user: Option<User>,
    /// What it allows.
    pub scope: Scope,
    /// Whom it is meant for.
    pub audience: Vec<String>,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When it expires.
    pub expires_at: Timestamp,
    /// When the person last proved who they are.
    pub auth_time: Option<Timestamp>,
    /// Its row; a JWT of `client_credentials` has none.
    pub session: Option<Session>,
}

impl AccessToken {
    /// Whether it carries the right to administer: the scope must still stand in the client's document (no list at all is not
    /// "everything") and, where the token is a person's, belong to that person.
    pub fn administers(&self) -> bool {
        let person = self.user.as_ref().is_none_or(|user| user.has_role(ADMIN));
        self.scope.contains(ADMIN) && self.client.may_administer() && person
    }
}

impl Provider {
    /// The token behind this text, if it is a valid access token now.
    pub async fn access_token(&self, text: &str, now: Timestamp) -> Result<Option<AccessToken>, Internal> {
        if let Some(bearer) = Bearer::parse(Kind::AccessToken, text) {
            let Some(found) = self.store.session(bearer.id()).await? else { return Ok(None) };
            let stored = found.session.token_digest.as_deref();
            if found.session.kind == "login" || !stored.is_some_and(|stored| bearer.digest().matches(stored)) {
                return Ok(None);
            }
            return self.live(found, now).await;
        }
        if !text.contains('.') {
            return Ok(None);
        }
        let ring = self.registry.key_ring().await?;
        let Some(claims) = ring.verify(TYP, self.issuer(), text) else { return Ok(None) };
        let Some(id) = claims.get("jti").and_then(Value::as_str).and_then(|jti| Uuid::parse_str(jti).ok()) else {
            return Ok(None);
        };
        // A token of client_credentials has no row: it names no sign-in (RFC 9068 §2.2.1), and lives with its client alone.
        if !claims.contains_key("auth_time") {
            return self.stateless(id, &claims, now).await;
        }
        match self.store.session(id).await? {
            Some(found) => self.live(found, now).await,
            None => Ok(None),
        }
    }

    async fn live(&self, found: Found, now: Timestamp) -> Result<Option<AccessToken>, Internal> {
        let session = found.session;
        if !found.live || session.ended_at.is_some() || session.token_expires_at <= now {
            return Ok(None);
        }
        let Some(client) = self.client_of(session.client_id.as_deref(), session.client_epoch).await? else {
            return Ok(None);
        };
        let user = found.person.zip(session.user_id.clone()).map(|(body, id)| User {
            id,
            active: true,
            epoch: session.user_epoch.unwrap_or_default(),
            updated_at: found.person_updated_at.unwrap_or_default(),
            body: body.0,
        });
        Ok(Some(AccessToken {
            id: session.id,
            client,
            user,
            scope: Scope::from_words(session.scope.split(' ').filter(|word| !word.is_empty())),
            audience: session.audience.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect(),
            issued_at: session.created_at,
            expires_at: session.token_expires_at,
            auth_time: session.auth_time,
            session: Some(session),
        }))
    }

    async fn stateless(
        &self,
        id: Uuid,
        claims: &Map<String, Value>,
        now: Timestamp,
    ) -> Result<Option<AccessToken>, Internal> {
        let number = |name: &str| claims.get(name).and_then(Value::as_i64).map(Timestamp);
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let (Some(issued_at), Some(expires_at), Some(client_id)) = (number("iat"), number("exp"), text("client_id"))
        else {
            return Ok(None);
        };
        if expires_at <= now || self.store.is_revoked(id).await? {
            return Ok(None);
        }
        let epoch = claims.get("cep").and_then(Value::as_i64);
        let Some(client) = self.client_of(Some(client_id), epoch).await? else { return Ok(None) };
        Ok(Some(AccessToken {
            id,
            client,
            user: None,
            scope: Scope::from_words(text("scope").unwrap_or_default().split(' ').filter(|word| !word.is_empty())),
            audience: audience(claims.get("aud")),
            issued_at,
            expires_at,
            auth_time: None,
            session: None,
        }))
    }

    /// The client, if it is still the one that a token was issued to and switched on.
    pub(super) async fn client_of(
        &self,
        id: Option<&str>,
        epoch: Option<i64>,
    ) -> Result<Option<Arc<Client>>, Internal> {
        let Some(id) = id else { return Ok(None) };
        let client = self.registry.client(id).await?;
        Ok(client.filter(|client| client.active && Some(client.epoch) == epoch))
    }
}

fn audience(claim: Option<&Value>) -> Vec<String> {
    match claim {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

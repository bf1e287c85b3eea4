//! Reading an access token that somebody presents: at userinfo, introspection, revocation and the REST surface.
//!
//! There is one way to be valid. Whatever asks, the same checks answer: the token is ours, unexpired, not ended with its
//! session, family, login, user or client.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::Provider;
use super::jws::Jws;
use crate::domain::bearer::{Bearer, Kind};
use crate::domain::claims::RequestedClaims;
use crate::domain::client::Client;
use crate::domain::internal::Internal;
use crate::domain::late::{Late, late};
use crate::domain::scope::{ADMIN, Scope};
use crate::domain::time::Timestamp;
use crate::domain::user::User;
use crate::store::sessions::{Found, Session};

/// `typ` of a JWT access token (RFC 9068 §2.1).
pub const TYP: &str = "at+jwt";

/// A valid access token.
#[derive(Clone, Debug)]
pub struct AccessToken {
    /// The client it was issued to.
    pub client: Arc<Client>,
    facts: Arc<Facts>,
}

/// What stays as it is while a token is valid.
#[derive(Debug)]
pub struct Facts {
    /// `jti`: the row's id, or that of a JWT without one.
    pub id: Uuid,
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
    /// The version of the user's document.
    person_version: Option<i64>,
}

impl std::ops::Deref for AccessToken {
    type Target = Facts;

    fn deref(&self) -> &Facts {
        &self.facts
    }
}

/// The facts of tokens that were presented before. Whether such a token still stands is asked of the database each time; the rest
/// of its row and its user's document need not travel and be read again.
#[derive(Clone, Debug)]
pub struct Known(Late<Cache<Uuid, Arc<Facts>>>);

/// How many tokens are remembered at the most, a few kB each with the user's document, and for how long after they were last presented.
const KNOWN: u64 = 4_096;
const KNOWN_FOR: Duration = Duration::from_mins(10);

impl Default for Known {
    fn default() -> Self {
        Self(late(|| Cache::builder().max_capacity(KNOWN).time_to_idle(KNOWN_FOR).build()))
    }
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
            return self.stored(bearer.id(), Some(&bearer), now).await;
        }
        if !text.contains('.') {
            return Ok(None);
        }
        // RFC 7519 §4.1.5
        let begun =
            |claims: &Map<String, Value>| claims.get("nbf").and_then(Value::as_i64).is_none_or(|nbf| nbf <= now.0);
        let Some(claims) = self.genuine_claims(text, begun).await? else { return Ok(None) };
        let Some(id) = row_of(&claims) else { return Ok(None) };
        // A token of client_credentials has no row: it names no sign-in (RFC 9068 §2.2.1), and lives with its client alone.
        if claims.contains_key("auth_time") {
            self.stored(id, None, now).await
        } else {
            self.stateless(id, &claims, now).await
        }
    }

    /// The claims of a JWT access token of ours, which may have expired, where what it says is fit.
    async fn genuine_claims(
        &self,
        text: &str,
        fit: impl Fn(&Map<String, Value>) -> bool,
    ) -> Result<Option<Map<String, Value>>, Internal> {
        let ring = self.registry.key_ring().await?;
        let typ = self.dialect().map_or(TYP, |dialect| &dialect.typ);
        let claims = ring.verify(typ, self.iss(), text).filter(fit);
        Ok(claims.and_then(|claims| self.plain(claims)))
    }

    /// The claims of an access token as this server would have them, whatever dialect it is in.
    fn plain(&self, claims: Map<String, Value>) -> Option<Map<String, Value>> {
        match self.dialect() {
            None => Some(claims),
            Some(dialect) => dialect.plain(claims),
        }
    }

    /// The row that a JWT access token says it has, be it genuine or not.
    pub(crate) fn row_named_by(&self, text: &str) -> Option<Uuid> {
        row_of(&self.plain(Jws::read(text)?.claims)?)
    }

    /// The client that a token of ours was issued to, though the token may be good no more.
    pub async fn client_behind(&self, text: &str) -> Result<Option<String>, Internal> {
        if let Some(bearer) = Bearer::parse(Kind::AccessToken, text) {
            let facts = self.store.session(bearer.id()).await?.map(Facts::of);
            let session = facts.filter(|facts| is_its_row(facts, Some(&bearer))).and_then(|facts| facts.session);
            return Ok(session.and_then(|session| session.client_id));
        }
        let claims = self.genuine_claims(text, |_| true).await?;
        Ok(claims.and_then(|claims| claims.get("client_id")?.as_str().map(str::to_owned)))
    }

    /// A token with a row; `bearer` is the token itself where it is opaque.
    async fn stored(&self, id: Uuid, bearer: Option<&Bearer>, now: Timestamp) -> Result<Option<AccessToken>, Internal> {
        if let Some(facts) = self.known_tokens.0.get(&id) {
            if !is_its_row(&facts, bearer) || facts.expires_at <= now {
                return Ok(None);
            }
            if self.store.still_stands(id, facts.person_version).await? {
                return self.with_client(facts).await;
            }
            self.known_tokens.0.invalidate(&id);
        }
        let Some(found) = self.store.session(id).await? else { return Ok(None) };
        let live = found.live && found.session.ended_at.is_none() && found.session.kind != "login";
        let facts = Arc::new(Facts::of(found));
        if !live || !is_its_row(&facts, bearer) || facts.expires_at <= now {
            return Ok(None);
        }
        self.known_tokens.0.insert(id, Arc::clone(&facts));
        self.with_client(facts).await
    }

    async fn with_client(&self, facts: Arc<Facts>) -> Result<Option<AccessToken>, Internal> {
        let Some(session) = &facts.session else { return Ok(None) };
        let client = self.client_of(session.client_id.as_deref(), session.client_epoch).await?;
        Ok(client.map(|client| AccessToken { client, facts }))
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
        let facts = Facts {
            id,
            user: None,
            scope: Scope::from_words(text("scope").unwrap_or_default().split(' ').filter(|word| !word.is_empty())),
            audience: audience(claims.get("aud")),
            issued_at,
            expires_at,
            auth_time: None,
            session: None,
            person_version: None,
        };
        Ok(Some(AccessToken { client, facts: Arc::new(facts) }))
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

impl Facts {
    /// What its authorization request asked for by name.
    pub(super) fn requested_claims(&self) -> RequestedClaims {
        RequestedClaims::stored(self.session.as_ref().and_then(|session| session.claims.as_deref()))
    }

    fn of(found: Found) -> Self {
        let (session, user, person_version) = found.apart();
        Self {
            id: session.id,
            user,
            scope: Scope::from_words(session.scope.split(' ').filter(|word| !word.is_empty())),
            audience: session.audience.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect(),
            issued_at: session.created_at,
            expires_at: session.token_expires_at,
            auth_time: session.auth_time,
            session: Some(session),
            person_version,
        }
    }
}

/// The row of a JWT access token, which is its `jti`.
fn row_of(claims: &Map<String, Value>) -> Option<Uuid> {
    Uuid::parse_str(claims.get("jti")?.as_str()?).ok()
}

/// Whether the row is that of an opaque token; of a JWT its signature says so.
fn is_its_row(facts: &Facts, bearer: Option<&Bearer>) -> bool {
    let stored = facts.session.as_ref().and_then(|session| session.token_digest.as_deref());
    bearer.is_none_or(|bearer| stored.is_some_and(|stored| bearer.digest().matches(stored)))
}

fn audience(claim: Option<&Value>) -> Vec<String> {
    match claim {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

//! Minting tokens, in one place: access tokens opaque or JWT (RFC 9068), refresh tokens, ID tokens (OpenID Connect Core §2).

use std::borrow::Cow;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::dialect::Facts;
use crate::domain::bearer::{Bearer, Kind};
use crate::domain::claims::RequestedClaims;
use crate::domain::client::{Client, Flow, GrantType};
use crate::domain::internal::Internal;
use crate::domain::scope::{OPENID, Scope};
use crate::domain::time::Timestamp;
use crate::domain::user::User;
use crate::oauth::Provider;
use crate::oauth::access_token::TYP;
use crate::oauth::encryption::Recipient;
use crate::oauth::keys::{ID_TOKEN_LIFE, left_half};
use crate::randomness::Randomness;
use crate::store::sessions::Session;

/// A token answer (RFC 6749 §5.1, OpenID Connect Core §3.1.3.3): an object without null members.
#[derive(Clone, Debug)]
pub struct TokenResponse(pub Map<String, Value>);

/// When what is issued now will expire.
#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    /// The access token.
    pub access: Timestamp,
    /// The refresh token, unless it is used before; never where absent.
    pub refresh: Option<Timestamp>,
    /// The refresh token and all its successors.
    pub refresh_limit: Option<Timestamp>,
}

/// What tokens are minted from.
#[derive(Debug)]
pub struct Minting<'a> {
    /// For whom.
    pub client: &'a Client,
    /// The grant whose settings apply.
    pub grant: GrantType,
    /// About whom.
    pub user: Option<&'a User>,
    /// The row of the access token.
    pub id: Uuid,
    /// What the access token allows.
    pub scope: &'a Scope,
    /// Whom it is meant for.
    pub audience: &'a [String],
    /// When the person proved who they are.
    pub auth_time: Option<Timestamp>,
    /// The access token's issue and expiry.
    pub issued_at: Timestamp,
    /// See `issued_at`.
    pub expires_at: Timestamp,
    /// The access token, where it is opaque; otherwise a JWT is made.
    pub opaque: Option<&'a Bearer>,
    /// The refresh token.
    pub refresh: Option<&'a Bearer>,
    /// Whether an ID token goes with it.
    pub id_token: bool,
    /// The login that it came from, which is its `sid`; none where no browser had part in it.
    pub login: Option<Uuid>,
    /// Its nonce.
    pub nonce: Option<&'a str>,
    /// The claims that the authorization request asked for by name.
    pub claims: RequestedClaims,
    /// Whom the ID token is encrypted for, where the client wants that.
    pub recipient: Option<Recipient<'a>>,
}

impl Minting<'_> {
    /// The row that makes the access token a session, and the refresh token good for one use.
    pub(in crate::oauth) fn row(&self) -> Session {
        let digest = |token: Option<&Bearer>| token.map(|token| token.digest().as_bytes().into());
        Session {
            user_id: self.user.map(|user| user.id.clone()),
            user_epoch: self.user.map(|user| user.epoch),
            client_id: Some(self.client.id.clone()),
            client_epoch: Some(self.client.epoch),
            scope: self.scope.to_string(),
            granted_scope: self.scope.to_string(),
            audience: self.audience.join(" "),
            id_token: self.id_token,
            token_digest: digest(self.opaque),
            refresh_digest: digest(self.refresh),
            auth_time: self.auth_time,
            ..Session::new(self.id, self.grant.name(), self.expires_at, self.issued_at)
        }
    }
}

impl Provider {
    /// The lifetimes that a flow's settings give to what is issued now.
    pub(in crate::oauth) fn lifetimes(&self, flow: &Flow, now: Timestamp) -> Lifetimes {
        let access =
            flow.access_token_expiration.filter(|life| *life > 0).unwrap_or(self.rules.access_token_expiration);
        let refresh_limit = self.rules.max_refresh_token_expiration.map(|cap| now.plus(cap));
        let idle = flow.refresh_token_expiration.filter(|life| *life > 0).map(|life| now.plus(life));
        let refresh = match (idle, refresh_limit) {
            (Some(idle), Some(limit)) => Some(idle.min(limit)),
            (idle, limit) => idle.or(limit),
        };
        Lifetimes { access: now.plus(access), refresh, refresh_limit }
    }

    /// The audience of an access token whose request names none: those of the client's document, else this server
    /// (RFC 9068 §3: a default resource indicator). An entry that begins with `#` is a pattern, not a name.
    pub(in crate::oauth) fn default_audience(&self, client: &Client, grant: GrantType) -> Vec<String> {
        let named: Vec<String> = client.audiences(grant).into_iter().filter(|name| !name.starts_with('#')).collect();
        if !named.is_empty() {
            return named;
        }
        let theirs = self.dialect().and_then(|dialect| dialect.audience(&self.facts(client, None, "")));
        vec![theirs.unwrap_or_else(|| self.iss().to_owned())]
    }

    /// Mints everything and puts the answer together.
    pub(super) async fn mint(&self, m: &Minting<'_>, now: Timestamp) -> Result<TokenResponse, Internal> {
        let access = self.access_token_text(m).await?;
        let mut answer = Map::new();
        if m.id_token
            && let Some(user) = m.user
        {
            // Core §5.4: beside an access token the scope's claims are got from userinfo, unless the client looks for them here. Without
            // `openid`, and for a password, it is Aidbox's ID token, which has them.
            let connect = m.grant == GrantType::AuthorizationCode && m.scope.contains(OPENID);
            let shown = if connect && !m.client.document.id_token_claims { &Scope::default() } else { m.scope };
            let claims = user.claims(&self.subject(m.client, &user.id), shown);
            let id_token = self.id_token(m, claims, &[("at_hash", &access)], now).await?;
            answer.insert("id_token".into(), id_token.into());
        }
        answer.insert("access_token".into(), access.into());
        answer.insert("token_type".into(), "Bearer".into());
        answer.insert("expires_in".into(), now.until(m.expires_at).max(0).into());
        if let Some(refresh) = m.refresh {
            answer.insert("refresh_token".into(), refresh.reveal().into());
        }
        // An empty scope has no spelling (RFC 6749 §3.3).
        if !m.scope.is_empty() {
            answer.insert("scope".into(), m.scope.to_string().into());
        }
        let userinfo =
            m.user.and_then(|user| self.userinfo_in_token_response(m.client, user, m.scope, &m.claims.given));
        if let Some(userinfo) = userinfo {
            answer.insert("userinfo".into(), userinfo);
        }
        if let Some(dialect) = self.dialect() {
            answer = dialect.token_response.of(&answer, |word| m.scope.contains(word), &self.minted(m, &text(m)));
        }
        Ok(TokenResponse(answer))
    }

    /// What a dialect fills its templates from.
    fn minted<'a>(&'a self, m: &'a Minting<'_>, (scope, session): &'a (String, String)) -> Facts<'a> {
        Facts { session, now: m.issued_at.0, ..self.facts(m.client, m.user, scope) }
    }

    /// The access token, as it is handed out.
    pub(in crate::oauth) async fn access_token_text(&self, m: &Minting<'_>) -> Result<String, Internal> {
        match m.opaque {
            Some(bearer) => Ok(bearer.reveal()),
            None => self.access_jwt(m).await,
        }
    }

    /// RFC 9068 §2.2.
    async fn access_jwt(&self, m: &Minting<'_>) -> Result<String, Internal> {
        let mut claims = Map::new();
        claims.insert("iss".into(), self.iss().into());
        let sub = m.user.map_or(Cow::Borrowed(m.client.id.as_str()), |user| self.subject(m.client, &user.id));
        claims.insert("sub".into(), (*sub).into());
        claims.insert("aud".into(), one_or_many(m.audience));
        claims.insert("exp".into(), m.expires_at.0.into());
        claims.insert("iat".into(), m.issued_at.0.into());
        claims.insert("jti".into(), m.id.to_string().into());
        claims.insert("client_id".into(), m.client.id.as_str().into());
        if !m.scope.is_empty() {
            claims.insert("scope".into(), m.scope.to_string().into());
        }
        match m.auth_time {
            Some(auth_time) => claims.insert("auth_time".into(), auth_time.0.into()),
            // Without a row, the token itself says which incarnation of the client it was issued to.
            None => claims.insert("cep".into(), m.client.epoch.into()),
        };
        let typ = match self.dialect() {
            None => TYP,
            Some(dialect) => {
                claims = dialect.access_token(&claims, m.scope, &self.minted(m, &text(m)));
                &dialect.typ
            }
        };
        self.say_given_claims(m, &mut claims);
        self.sign(m.client.access_token_alg(), typ, &claims, m.issued_at).await
    }

    fn say_given_claims(&self, m: &Minting<'_>, claims: &mut Map<String, Value>) {
        if let Some(user) = m.user {
            self.put_given_claims(&user.id, &m.claims.given, claims);
        }
    }

    /// OpenID Connect Core §2, with these claims about the person and those asked for by name. `hashed` are the values that it goes
    /// with, each under the name of its hash (`at_hash`, `c_hash`: §3.1.3.6, §3.2.2.9, §3.3.2.11).
    pub(in crate::oauth) async fn id_token(
        &self,
        m: &Minting<'_>,
        mut claims: Map<String, Value>,
        hashed: &[(&str, &str)],
        now: Timestamp,
    ) -> Result<String, Internal> {
        if let Some(user) = m.user {
            claims.extend(user.named_claims(m.claims.id_token.iter().map(String::as_str)));
        }
        claims.insert("iss".into(), self.iss().into());
        claims.insert("aud".into(), m.client.id.as_str().into());
        claims.insert("exp".into(), now.plus(ID_TOKEN_LIFE).0.into());
        claims.insert("iat".into(), now.0.into());
        if let Some(auth_time) = m.auth_time {
            claims.insert("auth_time".into(), auth_time.0.into());
        }
        // Back-Channel Logout §2.1, Front-Channel Logout §3.
        if let Some(login) = m.login {
            claims.insert("sid".into(), self.sid(m.client, login)?.into());
        }
        if let Some(nonce) = m.nonce {
            claims.insert("nonce".into(), nonce.into());
        }
        if m.claims.id_token.iter().any(|name| name == "acr") {
            claims.insert("acr".into(), self.acr().into());
        }
        let alg = m.client.id_token_alg();
        for (name, value) in hashed {
            claims.insert((*name).into(), left_half(alg, value).into());
        }
        if let Some(dialect) = self.dialect() {
            claims = dialect.id_token.of(&claims, |word| m.scope.contains(word), &self.minted(m, &text(m)));
        }
        self.say_given_claims(m, &mut claims);
        let token = self.sign(alg, "JWT", &claims, now).await?;
        match (&m.recipient, m.client.id_token_encryption()) {
            (Some(recipient), _) => Ok(recipient.encrypt(&token, Some("JWT"))?),
            (None, None) => Ok(token),
            // Never the bare text.
            (None, Some(_)) => Err(NoRecipient.into()),
        }
    }

    /// A JWT of ours, signed with the current key of this algorithm.
    pub(in crate::oauth) async fn sign(
        &self,
        alg: &str,
        typ: &str,
        claims: &Map<String, Value>,
        now: Timestamp,
    ) -> Result<String, Internal> {
        let key =
            self.registry.key_ring_with(alg, now).await?.signing(alg, now).ok_or_else(|| NoKey(alg.to_owned()))?;
        key.sign(typ, claims).await
    }
}

#[derive(Debug, thiserror::Error)]
#[error("there is no signing key for {0}")]
struct NoKey(String);

#[derive(Debug, thiserror::Error)]
#[error("an ID token is to be encrypted, and nobody has looked for the key")]
struct NoRecipient;

/// A bearer value for the access token of a flow, unless that is to be a JWT.
pub fn opaque_token(flow: &Flow, id: Uuid, randomness: &Randomness) -> Option<Bearer> {
    (!flow.is_jwt()).then(|| randomness.bearer(Kind::AccessToken, id))
}

/// Scope and session as text, for a dialect.
fn text(m: &Minting<'_>) -> (String, String) {
    (m.scope.to_string(), m.login.map(|login| login.to_string()).unwrap_or_default())
}

fn one_or_many(audience: &[String]) -> Value {
    match audience {
        [one] => json!(one),
        many => json!(many),
    }
}

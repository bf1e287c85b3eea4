//! Tokens that nobody asked for, for the tests of whoever takes tokens: as a flow would give them, or wrong in one known way. Only the
//! control API of developers calls this.

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde_json::{Map, Value, json};

use super::issue::Minting;
use crate::domain::bearer::Kind;
use crate::domain::claims::RequestedClaims;
use crate::domain::client::{Client, GrantType};
use crate::domain::internal::Internal;
use crate::domain::scope::{OPENID, Scope};
use crate::domain::time::Timestamp;
use crate::domain::user::User;
use crate::oauth::Provider;
use crate::oauth::keys::Key;
use crate::store::sessions::Session;

/// What is to be made.
#[derive(Debug)]
pub struct Forgery<'a> {
    /// For whom.
    pub client: &'a Client,
    /// About whom; the client itself where there is nobody.
    pub user: Option<&'a User>,
    /// Whether an ID token is wanted rather than an access token.
    pub id_token: bool,
    /// Whether the access token is opaque.
    pub opaque: bool,
    /// What the access token allows.
    pub scope: &'a Scope,
    /// Whom it is for; as the client's document says, where empty.
    pub audience: Vec<String>,
    /// Seconds that it lives; as the client's document says, where absent.
    pub expires_in: Option<i64>,
    /// Claims to add or to replace; null takes one out.
    pub claims: Map<String, Value>,
    /// What is wrong with it.
    pub defect: Option<Defect>,
    /// The claim that is missing, where that is what is wrong.
    pub missing: Option<String>,
}

/// What is wrong with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "TokenDefect")]
pub enum Defect {
    /// It expired an hour ago, which no allowance for clocks that differ makes up for.
    Expired,
    /// It is valid from an hour on.
    NotYetValid,
    /// It is of another issuer.
    WrongIssuer,
    /// It is for somebody else.
    WrongAudience,
    /// It is not signed, and says so (RFC 7515 appendix A.5).
    AlgNone,
    /// It is an HMAC whose key is the public key in PEM (RFC 8725 §2.1).
    HmacWithPublicKey,
    /// Its key is of somebody else, under an id that nobody knows.
    UnknownKid,
    /// One bit of its signature is wrong.
    BadSignature,
    /// A claim is not in it.
    MissingClaim,
    /// It was signed by a key that is not among the published ones.
    StaleKey,
}

/// A token, and what is in it where it is a JWT.
#[derive(Debug)]
pub struct Forged {
    /// The token.
    pub token: String,
    /// Its header and its claims.
    pub jwt: Option<(Value, Map<String, Value>)>,
}

/// Why nothing is made.
#[derive(Debug, thiserror::Error)]
pub enum Unforgeable {
    /// What is opaque says nothing.
    #[error("an opaque token has neither claims nor a signature; leave out claims and defect, or take a JWT")]
    Opaque,
    /// An ID token is about somebody.
    #[error("an ID token is about a person: name a user")]
    Nobody,
    /// Only the client can read it.
    #[error("this client's ID tokens are encrypted, so that they cannot be changed")]
    Encrypted,
    /// The audience of an ID token is no choice (Core §2).
    #[error("the audience of an ID token is its client; another one has the defect wrong_audience")]
    Audience,
    /// It is not said what is missing.
    #[error("missing_claim wants to know which: say claim, such as aud")]
    Which,
    /// It is said what is missing where nothing is.
    #[error("claim goes with the defect missing_claim")]
    NothingMissing,
    /// The test would prove nothing.
    #[error("the token has no claim {0} anyway")]
    Absent(String),
    /// Our own fault.
    #[error("{0}")]
    Internal(Internal),
}

impl From<Internal> for Unforgeable {
    fn from(internal: Internal) -> Self {
        Self::Internal(internal)
    }
}

/// Seconds until a token is valid that is not yet; so long it is valid then.
const NOT_YET: i64 = 3_600;
const ELSEWHERE: &str = "https://somebody-else.example";

impl Provider {
    /// Makes a token.
    pub async fn forge(&self, forgery: Forgery<'_>, now: Timestamp) -> Result<Forged, Unforgeable> {
        let ends_elsewhere = forgery.id_token && forgery.expires_in.is_some();
        let is_changed = !forgery.claims.is_empty() || forgery.defect.is_some() || ends_elsewhere;
        if forgery.opaque && (is_changed || forgery.id_token) {
            return Err(Unforgeable::Opaque);
        }
        if forgery.id_token && forgery.user.is_none() {
            return Err(Unforgeable::Nobody);
        }
        if forgery.id_token && forgery.client.id_token_encryption().is_some() {
            return Err(Unforgeable::Encrypted);
        }
        if forgery.id_token && !forgery.audience.is_empty() {
            return Err(Unforgeable::Audience);
        }
        match (forgery.defect, &forgery.missing) {
            (Some(Defect::MissingClaim), None) => return Err(Unforgeable::Which),
            (Some(Defect::MissingClaim), Some(_)) | (_, None) => {}
            (_, Some(_)) => return Err(Unforgeable::NothingMissing),
        }
        let token = self.sound(&forgery, now).await?;
        if forgery.opaque {
            return Ok(Forged { token, jwt: None });
        }
        let alg = match forgery.id_token {
            true => forgery.client.id_token_alg(),
            false => forgery.client.access_token_alg(),
        };
        let (header, claims) = apart(&token).ok_or(NotAJwt).map_err(Internal::from)?;
        if !is_changed {
            return Ok(Forged { token, jwt: Some((header, claims)) });
        }
        self.changed(alg, header, claims, forgery, now).await
    }

    /// The token as a flow would give it.
    async fn sound(&self, forgery: &Forgery<'_>, now: Timestamp) -> Result<String, Internal> {
        let Forgery { client, user, scope, .. } = *forgery;
        let grant = if user.is_some() { GrantType::AuthorizationCode } else { GrantType::ClientCredentials };
        let id = self.randomness.row_id("sessions");
        let expires_at = match (forgery.defect, forgery.expires_in) {
            (Some(Defect::Expired), _) => now.plus(-3_600),
            (Some(Defect::NotYetValid), _) => now.plus(2 * NOT_YET),
            (_, Some(seconds)) => now.plus(seconds),
            (_, None) => self.lifetimes(client.flow(grant), now).access,
        };
        let audience = match (forgery.defect, forgery.audience.is_empty()) {
            // Introspection tells the same.
            (Some(Defect::WrongAudience), _) => vec![ELSEWHERE.to_owned()],
            (_, true) => self.default_audience(client, grant),
            (_, false) => forgery.audience.clone(),
        };
        let opaque = forgery.opaque.then(|| self.randomness.bearer(Kind::AccessToken, id));
        let minting = Minting {
            client,
            grant,
            user,
            id,
            scope,
            audience: &audience,
            auth_time: user.map(|_| now),
            issued_at: now,
            expires_at,
            opaque: opaque.as_ref(),
            refresh: None,
            id_token: forgery.id_token,
            login: None,
            nonce: None,
            claims: RequestedClaims::default(),
            recipient: None,
        };
        // A JWT of a client's own has no row.
        if user.is_some() || opaque.is_some() {
            let id_token = user.is_some() && scope.contains(OPENID);
            self.store.insert_session(Session { id_token, ..minting.row() }).await?;
        }
        let answer = self.mint(&minting, now).await?.0;
        let name = if forgery.id_token { "id_token" } else { "access_token" };
        Ok(answer.get(name).and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    async fn changed(
        &self,
        alg: &str,
        mut header: Value,
        mut claims: Map<String, Value>,
        forgery: Forgery<'_>,
        now: Timestamp,
    ) -> Result<Forged, Unforgeable> {
        if let (true, Some(seconds)) = (forgery.id_token, forgery.expires_in) {
            claims.insert("exp".into(), now.plus(seconds).0.into());
        }
        for (name, value) in forgery.claims {
            match value {
                Value::Null => drop(claims.shift_remove(&name)),
                value => drop(claims.insert(name, value)),
            }
        }
        // Last, so that nothing makes up for it.
        match forgery.defect {
            Some(Defect::Expired) => {
                claims.insert("iat".into(), now.plus(-7_200).0.into());
                claims.insert("exp".into(), now.plus(-3_600).0.into());
            }
            Some(Defect::NotYetValid) => {
                claims.insert("nbf".into(), now.plus(NOT_YET).0.into());
                claims.insert("exp".into(), now.plus(2 * NOT_YET).0.into());
            }
            Some(Defect::WrongIssuer) => drop(claims.insert("iss".into(), ELSEWHERE.into())),
            Some(Defect::WrongAudience) => drop(claims.insert("aud".into(), ELSEWHERE.into())),
            Some(Defect::MissingClaim) => {
                let name = forgery.missing.unwrap_or_default();
                claims.shift_remove(&name).ok_or(Unforgeable::Absent(name))?;
            }
            _ => {}
        }
        let ours =
            self.registry.key_ring_with(alg, now).await?.signing(alg, now).ok_or(NotAJwt).map_err(Internal::from)?;
        let mut token = match forgery.defect {
            Some(Defect::AlgNone) => {
                header = json!({ "typ": header["typ"], "alg": "none" });
                format!("{}.", Key::unsigned(&header, &claims)?)
            }
            Some(Defect::HmacWithPublicKey) => {
                header["alg"] = "HS256".into();
                let text = Key::unsigned(&header, &claims)?;
                let key = hmac::Key::new(hmac::HMAC_SHA256, pem(&ours.public_der()?).as_bytes());
                let tag = hmac::sign(&key, text.as_bytes());
                format!("{text}.{}", B64.encode(tag.as_ref()))
            }
            Some(Defect::UnknownKid | Defect::StaleKey) => {
                let other = self.registry.keys().unpublished(alg, now).await?;
                let stale = forgery.defect == Some(Defect::StaleKey);
                header["kid"] = if stale { other.kid.clone() } else { format!("unknown-{}", &other.kid[..8]) }.into();
                other.sign_with(&header, &claims).await?
            }
            _ => ours.sign_with(&header, &claims).await?,
        };
        if forgery.defect == Some(Defect::BadSignature) {
            token = spoilt(&token);
        }
        Ok(Forged { token, jwt: Some((header, claims)) })
    }
}

#[derive(Debug, thiserror::Error)]
#[error("what was made is no JWT")]
struct NotAJwt;

/// Header and claims of a JWT.
fn apart(jwt: &str) -> Option<(Value, Map<String, Value>)> {
    let mut parts = jwt.split('.').map(|part| B64.decode(part).ok());
    let (header, claims) = (parts.next()??, parts.next()??);
    Some((serde_json::from_slice(&header).ok()?, serde_json::from_slice(&claims).ok()?))
}

/// A public key as servers have it in their files, which is what a careless library takes for the secret (RFC 7468 §13).
fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
}

/// The token with another first byte of its signature.
fn spoilt(jwt: &str) -> String {
    let Some((text, signature)) = jwt.rsplit_once('.') else { return jwt.to_owned() };
    let mut bytes = B64.decode(signature).unwrap_or_default();
    if let Some(first) = bytes.first_mut() {
        *first ^= 1;
    }
    format!("{text}.{}", B64.encode(bytes))
}

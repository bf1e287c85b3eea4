//! Token introspection (RFC 7662): what a resource server may learn of a token.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::access_token::AccessToken;
use super::client_authentication::{Basic, Proven};
use super::explanation::Told;
use super::{ErrorCode, Failure, Params, Provider, Refused};
use crate::domain::bearer::{Bearer, Kind};
use crate::domain::client::{Client, Introspect, SubjectType};
use crate::domain::internal::Internal;
use crate::domain::time::Timestamp;

/// What may be told of a token (RFC 7662 §2.2).
#[derive(Serialize, JsonSchema)]
pub struct Introspection<'a> {
    active: bool,
    iss: &'a str,
    client_id: &'a str,
    token_type: &'static str,
    scope: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<OneOrMany<'a>>,
    iat: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_time: Option<Timestamp>,
}

#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
enum OneOrMany<'a> {
    One(&'a str),
    Many(&'a [String]),
}

/// What everybody may know of a token that is not there for them.
const INACTIVE: &str = r#"{"active":false}"#;

impl Provider {
    /// Answers `POST /oauth2/introspect`. Whatever the caller may not see is `{"active": false}`, like what does not exist
    /// (RFC 7662 §2.2). The answer is JSON.
    pub async fn introspect(
        &self,
        basic: Option<&Basic>,
        params: &Params,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<String, Failure> {
        params.refuse_repeated()?;
        let Proven { client, authenticated } = self.authenticate_client(basic, params, address, None, now).await?;
        if !authenticated {
            // RFC 7662 §2.1: the endpoint must be protected; a public client has nothing to prove itself with.
            return Err(Refused::new(ErrorCode::InvalidClient, "introspection needs a client with a secret or a key")
                .passed("client_id", Told::public(&client.id))
                .compared("how the client proves itself", "with a secret or a key", "not at all: it is public")
                .fix("Ask as a client of the resource server's own, with a secret; a public client may not introspect.")
                .into());
        }
        let text = params.required("token")?;
        let answer = match self.access_token(text, now).await? {
            Some(token) if may_see(&client, &token) => Some(self.describe(&token)?),
            Some(_) => None,
            None => self.describe_refresh(&client, text, now).await?,
        };
        Ok(answer.unwrap_or_else(|| INACTIVE.to_owned()))
    }

    fn describe(&self, token: &AccessToken) -> Result<String, Internal> {
        // Whoever asks sees the subject that the token's client sees, as in a JWT; and no name beside one that tells nobody who it is.
        let user = token.user.as_ref();
        let sub = user.map(|user| self.subject(&token.client, &user.id));
        let named = user.filter(|_| token.client.document.subject_type == SubjectType::Public);
        let scope = token.scope.to_string();
        let description = Introspection {
            active: true,
            iss: self.iss(),
            client_id: &token.client.id,
            token_type: "Bearer",
            scope: &scope,
            sub: Some(sub.as_deref().unwrap_or(&token.client.id)),
            username: named.map(|user| user.body.get("userName").and_then(Value::as_str).unwrap_or(&user.id)),
            aud: Some(match token.audience.as_slice() {
                [one] => OneOrMany::One(one),
                many => OneOrMany::Many(many),
            }),
            iat: token.issued_at,
            exp: Some(token.expires_at),
            jti: Some(token.id),
            auth_time: token.auth_time,
        };
        match (user, self.rules.leeway.is_some()) {
            (Some(user), true) => {
                let mut said = serde_json::to_value(&description)?;
                if let Some(members) = said.as_object_mut() {
                    self.put_given_claims(&user.id, &token.requested_claims().given, members);
                }
                Ok(said.to_string())
            }
            _ => Ok(serde_json::to_string(&description)?),
        }
    }

    /// A client may look into its own refresh tokens.
    async fn describe_refresh(&self, client: &Client, text: &str, now: Timestamp) -> Result<Option<String>, Internal> {
        let Some(bearer) = Bearer::parse(Kind::RefreshToken, text) else { return Ok(None) };
        let Some(found) = self.store.session(bearer.id()).await? else { return Ok(None) };
        let session = found.session;
        let genuine = session.refresh_digest.as_deref().is_some_and(|stored| bearer.digest().matches(stored));
        let current =
            found.live && session.rotated_at.is_none() && session.refresh_expires_at.is_none_or(|at| at > now);
        let own = session.client_id.as_deref() == Some(&client.id);
        if !(genuine && current && (own || client.document.introspect == Introspect::Any)) {
            return Ok(None);
        }
        let Some(client) = self.client_of(session.client_id.as_deref(), session.client_epoch).await? else {
            return Ok(None);
        };
        let sub = session.user_id.as_deref().map(|id| self.subject(&client, id));
        Ok(Some(serde_json::to_string(&Introspection {
            active: true,
            iss: self.iss(),
            client_id: &client.id,
            token_type: "refresh_token",
            scope: &session.granted_scope,
            sub: sub.as_deref(),
            username: None,
            aud: None,
            iat: session.created_at,
            exp: session.refresh_expires_at,
            jti: None,
            auth_time: None,
        })?))
    }
}

/// The document's `introspect`: only its own tokens, also those that name it, or any.
fn may_see(client: &Client, token: &AccessToken) -> bool {
    let own = token.client.id == client.id;
    match client.document.introspect {
        Introspect::Own => own,
        Introspect::Audience => own || token.audience.contains(&client.id),
        Introspect::Any => true,
    }
}

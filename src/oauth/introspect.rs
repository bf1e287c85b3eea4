//! Token introspection (RFC 7662): what a resource server may learn of a token.

use std::borrow::Cow;
use std::net::IpAddr;

use serde_json::{Map, Value, json};

use super::access_token::AccessToken;
use super::client_authentication::{Basic, Proven};
use super::{ErrorCode, Failure, Params, Provider, Refused};
use crate::domain::bearer::{Bearer, Kind};
use crate::domain::client::{Client, Introspect, SubjectType};
use crate::domain::internal::Internal;
use crate::domain::time::Timestamp;

impl Provider {
    /// Answers `POST /oauth2/introspect`. Whatever the caller may not see is `{"active": false}`, like what does not exist
    /// (RFC 7662 §2.2).
    pub async fn introspect(
        &self,
        basic: Option<&Basic>,
        params: &Params,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<Map<String, Value>, Failure> {
        params.refuse_repeated()?;
        let Proven { client, authenticated } = self.authenticate_client(basic, params, address, None, now).await?;
        if !authenticated {
            // RFC 7662 §2.1: the endpoint must be protected; a public client has nothing to prove itself with.
            return Err(
                Refused::new(ErrorCode::InvalidClient, "introspection needs a client with a secret or a key").into()
            );
        }
        let text = params.required("token")?;
        let answer = match self.access_token(text, now).await? {
            Some(token) => may_see(&client, &token).then(|| self.describe(&token)),
            None => self.describe_refresh(&client, text, now).await?,
        };
        Ok(answer.unwrap_or_else(|| Map::from_iter([("active".to_owned(), json!(false))])))
    }

    fn describe(&self, token: &AccessToken) -> Map<String, Value> {
        let mut answer = Map::new();
        let mut put = |name: &str, value: Value| drop(answer.insert(name.to_owned(), value));
        put("active", json!(true));
        put("iss", json!(self.issuer()));
        put("client_id", json!(token.client.id));
        put("token_type", json!("Bearer"));
        put("scope", json!(token.scope.to_string()));
        // Whoever asks sees the subject that the token's client sees, as in a JWT; and no name beside one that tells nobody who it is.
        let sub = token.user.as_ref().map(|user| self.subject(&token.client, &user.id));
        put("sub", json!(sub.unwrap_or(Cow::Borrowed(&token.client.id))));
        if let Some(user) = token.user.as_ref().filter(|_| token.client.document.subject_type == SubjectType::Public) {
            put("username", user.body.get("userName").cloned().unwrap_or_else(|| json!(user.id)));
        }
        put("aud", if let [one] = token.audience.as_slice() { json!(one) } else { json!(token.audience) });
        put("iat", json!(token.issued_at.0));
        put("exp", json!(token.expires_at.0));
        put("jti", json!(token.id.to_string()));
        if let Some(auth_time) = token.auth_time {
            put("auth_time", json!(auth_time.0));
        }
        answer
    }

    /// A client may look into its own refresh tokens.
    async fn describe_refresh(
        &self,
        client: &Client,
        text: &str,
        now: Timestamp,
    ) -> Result<Option<Map<String, Value>>, Internal> {
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
        let of = self.client_of(session.client_id.as_deref(), session.client_epoch).await?;
        let Some(of) = of else { return Ok(None) };
        let mut answer = Map::from_iter([
            ("active".to_owned(), json!(true)),
            ("iss".to_owned(), json!(self.issuer())),
            ("client_id".to_owned(), json!(session.client_id)),
            ("token_type".to_owned(), json!("refresh_token")),
            ("scope".to_owned(), json!(session.granted_scope)),
            ("iat".to_owned(), json!(session.created_at.0)),
        ]);
        answer.extend(session.user_id.map(|id| ("sub".to_owned(), json!(self.subject(&of, &id)))));
        answer.extend(session.refresh_expires_at.map(|at| ("exp".to_owned(), json!(at.0))));
        Ok(Some(answer))
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

//! The userinfo endpoint (OpenID Connect Core §5.3), and `userinfo` in token answers, which is Aidbox's.

use serde_json::{Map, Value};

use super::access_token::AccessToken;
use super::explanation::Told;
use super::{ErrorCode, Failure, Provider, Refused};
use crate::domain::client::{Client, SubjectType};
use crate::domain::scope::{OPENID, Scope};
use crate::domain::time::Timestamp;
use crate::domain::user::User;

impl Provider {
    /// The claims that the token's scopes show (Core §5.4), and those that its authorization request asked for by name (§5.5).
    pub fn userinfo(&self, token: &AccessToken) -> Result<Map<String, Value>, Refused> {
        let user = person(token)?;
        let mut claims = user.claims(&self.subject(&token.client, &user.id), &token.scope);
        let asked = token.requested_claims();
        claims.extend(user.named_claims(asked.userinfo.iter().map(String::as_str)));
        if let Some(dialect) = self.dialect() {
            let scope = token.scope.to_string();
            let facts = self.facts(&token.client, Some(user), &scope);
            claims = dialect.userinfo.of(&claims, |word| token.scope.contains(word), &facts);
        }
        self.put_given_claims(&user.id, &asked.given, &mut claims);
        Ok(claims)
    }

    /// The claims as a JWT with issuer and audience, signed, encrypted or both, where the client asks for one (Core §5.3.2). It has no
    /// expiry, and so is never taken for an ID token.
    pub async fn signed_userinfo(
        &self,
        token: &AccessToken,
        claims: &Map<String, Value>,
        now: Timestamp,
    ) -> Result<Option<String>, Failure> {
        let client = &token.client;
        let encryption = client.userinfo_encryption();
        let signed = client.document.userinfo_signed_response_alg.as_deref();
        if signed.is_none() && encryption.is_none() {
            return Ok(None);
        }
        let recipient = self.recipient(client, encryption, now).await?;
        let mut claims = claims.clone();
        let (text, cty) = match signed {
            Some(alg) => {
                claims.insert("iss".into(), self.iss().into());
                claims.insert("aud".into(), client.id.as_str().into());
                (self.sign(alg, "JWT", &claims, now).await?, Some("JWT"))
            }
            None => (Value::Object(claims).to_string(), None),
        };
        match recipient {
            Some(recipient) => Ok(Some(recipient.encrypt(&text, cty)?)),
            None => Ok(Some(text)),
        }
    }

    /// The same in Aidbox's shape, where the client may have it: the User document without secrets.
    pub fn userinfo_document(&self, token: &AccessToken) -> Result<Value, Refused> {
        match self.userinfo_in_token_response(
            &token.client,
            person(token)?,
            &token.scope,
            &token.requested_claims().given,
        ) {
            Some(document) => Ok(document),
            None => self.userinfo(token).map(Value::Object),
        }
    }

    /// `userinfo` in a token answer: the whole User for first-party clients, as Aidbox does; for others only where their document
    /// says `token_response_userinfo`, and then only what the granted scopes show. A document has the user's id in it, which is
    /// not for clients with pairwise subjects.
    pub(super) fn userinfo_in_token_response(
        &self,
        client: &Client,
        user: &User,
        scope: &Scope,
        given: &Map<String, Value>,
    ) -> Option<Value> {
        let first_party = client.document.first_party;
        let whole = first_party && client.document.subject_type == SubjectType::Public;
        let mut userinfo = match client.document.token_response_userinfo.unwrap_or(first_party) {
            false => return None,
            true if whole => user.document(),
            true => Value::Object(user.claims(&self.subject(client, &user.id), scope)),
        };
        if let Some(members) = userinfo.as_object_mut() {
            self.put_given_claims(&user.id, given, members);
        }
        Some(userinfo)
    }
}

/// Core §5.3: the endpoint answers to tokens of a person, issued by an OpenID Connect request. Those of a first-party client
/// may do without the scope `openid`, as in Aidbox.
fn person(token: &AccessToken) -> Result<&User, Refused> {
    let insufficient = |text: &str| Refused::new(ErrorCode::InsufficientScope, text);
    let user = token.user.as_ref().ok_or_else(|| {
        insufficient("the token was issued to a client, not for a person")
            .passed("the token", "valid")
            .compared("for whom the token was issued", "a person", "the client itself")
            .fix("Use a token of the authorization code grant; client_credentials has no person to tell of.")
            .of_client(Some(&token.client.id))
    })?;
    if token.scope.contains(OPENID)
        || token.client.document.first_party
        || token.session.as_ref().is_some_and(|session| session.has_id_token(&token.scope))
    {
        Ok(user)
    } else {
        Err(insufficient("the token lacks the scope openid")
            .passed("the token", "valid, of a person")
            .compared("the scope of the token", "one with openid", Told::public(&token.scope.to_string()))
            .fix("Ask for scope=openid in the authorization request.")
            .of_client(Some(&token.client.id)))
    }
}

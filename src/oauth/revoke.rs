//! Token revocation (RFC 7009), and closing the session of a token, which is Aidbox's `DELETE /Session`.

use std::net::IpAddr;

use super::access_token::AccessToken;
use super::client_authentication::Basic;
use super::{Failure, Params, Provider};
use crate::domain::bearer::{Bearer, Kind};
use crate::domain::client::GrantType;
use crate::domain::internal::Internal;
use crate::domain::time::Timestamp;

impl Provider {
    /// Answers `POST /oauth2/revoke`. RFC 7009 §2.2: a token that is unknown, already dead or another client's changes
    /// nothing, and is no error either. A refresh token takes its whole family along; an access token goes alone (§2.1).
    pub async fn revoke(
        &self,
        basic: Option<&Basic>,
        params: &Params,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<(), Failure> {
        params.refuse_repeated()?;
        let proven = self.authenticate_client(basic, params, address, Some(GrantType::AuthorizationCode), now).await?;
        let text = params.required("token")?;
        if let Some(bearer) = Bearer::parse(Kind::RefreshToken, text) {
            if let Some(found) = self.store.session(bearer.id()).await? {
                let session = found.session;
                let genuine = session.refresh_digest.as_deref().is_some_and(|stored| bearer.digest().matches(stored));
                if genuine && session.client_id.as_deref() == Some(&proven.client.id) {
                    self.store.end_family(session.family, now).await?;
                    tracing::info!(event = "tokens_revoked", client = %proven.client.id, user = session.user_id, family = %session.family);
                }
            }
            return Ok(());
        }
        if let Some(token) = self.access_token(text, now).await?
            && token.client.id == proven.client.id
        {
            self.end(&token, now).await?;
            tracing::info!(event = "token_revoked", client = %proven.client.id, session = %token.id);
        }
        Ok(())
    }

    /// Closes the session that an access token belongs to: its refresh token, and with a first-party client the browser's
    /// login too.
    pub async fn close_session(&self, token: &AccessToken, now: Timestamp) -> Result<(), Internal> {
        let told = match &token.session {
            Some(session) => self.store.close_session(session, now).await?,
            None => self.end(token, now).await.map(|()| Vec::new())?,
        };
        tracing::info!(event = "session_closed", client = %token.client.id, session = %token.id, ?told);
        Ok(())
    }

    async fn end(&self, token: &AccessToken, now: Timestamp) -> Result<(), Internal> {
        match &token.session {
            Some(session) => self.store.end_token(session.id, now).await?,
            None => self.store.revoke_jwt(token.id, token.expires_at).await?,
        }
        Ok(())
    }
}

//! The client credentials grant (RFC 6749 §4.4): a client acts for itself.

use super::issue::{Minting, TokenResponse, opaque_token};
use super::{TokenRequest, requested_scope};
use crate::domain::claims::RequestedClaims;
use crate::domain::client::{Client, GrantType};
use crate::oauth::explanation::Told;
use crate::oauth::{ErrorCode, Failure, Provider, Refused, resource};

const GRANT: GrantType = GrantType::ClientCredentials;

impl Provider {
    pub(super) async fn client_credentials(&self, request: &TokenRequest<'_>) -> Result<TokenResponse, Failure> {
        let proven = self.client_for(request, GRANT).await?;
        if !proven.authenticated {
            // RFC 6749 §4.4: the grant is for confidential clients only.
            return Err(Refused::new(
                ErrorCode::UnauthorizedClient,
                "client_credentials needs a client with a secret or a key",
            )
            .passed("client_id", Told::public(&proven.client.id))
            .compared("how the client proves itself", "with a secret or a key", "not at all")
            .fix("Set secret in the Client document (`countersign client secret ID`) and send it.")
            .into());
        }
        let (client, now) = (&*proven.client, request.now);
        let scope = requested_scope(client, request.params.text("scope"))?;
        let audience = match resource::requested(client, GRANT, request.params)? {
            Some(resources) => resources,
            None => self.audience(client, request.params.text("audience"))?,
        };
        let flow = client.flow(GRANT);
        let id = self.randomness.row_id("sessions");
        let lifetimes = self.lifetimes(flow, now);
        let opaque = opaque_token(flow, id, &self.randomness);
        let minting = Minting {
            client,
            grant: GRANT,
            user: None,
            id,
            scope: &scope,
            audience: &audience,
            auth_time: None,
            issued_at: now,
            expires_at: lifetimes.access,
            opaque: opaque.as_ref(),
            refresh: None,
            id_token: false,
            login: None,
            nonce: None,
            claims: RequestedClaims::default(),
            recipient: None,
        };
        // A JWT of a client's own has no row: it lives by itself.
        if opaque.is_some() {
            self.store.insert_session(minting.row()).await?;
        }
        tracing::debug!(event = "tokens_issued", grant = GRANT.name(), client = %client.id, session = %id);
        Ok(self.mint(&minting, now).await?)
    }

    /// The audience a client asks for. Where its document names audiences, it must be one of them.
    fn audience(&self, client: &Client, requested: Option<&str>) -> Result<Vec<String>, Refused> {
        let allowed = client.audiences(GRANT);
        match requested {
            None => Ok(self.default_audience(client, GRANT)),
            Some(one) if one.contains(char::is_whitespace) => {
                Err(Refused::new(ErrorCode::InvalidTarget, "audience must be one name without spaces")
                    .compared("audience", "one name", Told::public(one))
                    .fix("Name one audience; several are named with resource, once each."))
            }
            // An entry that begins with `#` is a pattern of Aidbox's, which is no name.
            Some(one) if allowed.is_empty() || allowed.iter().any(|name| name == one && !one.starts_with('#')) => {
                Ok(vec![one.to_owned()])
            }
            Some(one) => Err(Refused::new(
                ErrorCode::InvalidTarget,
                format!("the audience {one} is not in auth.client_credentials.audience of the client's document"),
            )
            .compared("audience", Told::list(allowed.iter().map(|one| &**one)), Told::public(one))
            .fix("Add it to auth.client_credentials.audience of the Client document, or name one that is listed.")),
        }
    }
}

//! RP-initiated logout (OpenID Connect RP-Initiated Logout 1.0): who asks, may the browser go back there, must the person confirm?

use std::sync::Arc;

use serde_json::Value;

use super::{Failure, Params, Provider, Refused};
use crate::domain::client::Client;

/// A logout request, proven as far as it can be.
#[derive(Clone, Debug)]
pub struct LogoutRequest {
    /// Where the browser goes afterwards, registered by the client that asks.
    pub return_to: Option<String>,
    /// The client's name, where one asks.
    pub client_name: Option<String>,
    /// Whom the hint is about: the client that it was issued to, and its `sub`.
    hinted: Option<(Arc<Client>, String)>,
}

impl Provider {
    /// Whether the person has to confirm: unless the request carries an ID token that we issued for them (§2: a request
    /// without one could come from anywhere).
    pub fn logout_needs_confirmation(&self, request: &LogoutRequest, user_id: &str) -> bool {
        !request.hinted.as_ref().is_some_and(|(client, sub)| self.is_subject(client, sub, user_id))
    }

    /// Reads and proves a logout request (§2, §3). An expired hint is as good as a fresh one; one that is not ours is refused.
    pub async fn logout_request(&self, params: &Params) -> Result<LogoutRequest, Failure> {
        params.refuse_repeated()?;
        let hint = match params.text("id_token_hint") {
            None => None,
            Some(text) => Some(self.id_token_hint(text).await?),
        };
        let text = |name: &str| hint.as_ref().and_then(|claims| claims.get(name)).and_then(Value::as_str);
        let client_id = match (params.text("client_id"), text("aud")) {
            (Some(said), Some(hinted)) if said != hinted => {
                return Err(
                    Refused::invalid_request("client_id is not the client that id_token_hint was issued to").into()
                );
            }
            (said, hinted) => said.or(hinted),
        };
        let client = match client_id {
            None => None,
            Some(id) => self.registry.client(id).await?.filter(|client| client.active),
        };
        let return_to = match params.text("post_logout_redirect_uri") {
            None => None,
            Some(uri) => {
                let registered = client
                    .as_ref()
                    .is_some_and(|client| client.document.post_logout_redirect_uris.iter().any(|one| one == uri));
                if !registered {
                    let text = "post_logout_redirect_uri is not registered for the client; name the client by id_token_hint or client_id, and list the URI in post_logout_redirect_uris";
                    return Err(Refused::invalid_request(text).into());
                }
                Some(with_state(uri, params.text("state")))
            }
        };
        Ok(LogoutRequest {
            return_to,
            client_name: client.as_ref().map(|client| client.name.clone()),
            hinted: client.zip(text("sub").map(str::to_owned)),
        })
    }
}

fn with_state(uri: &str, state: Option<&str>) -> String {
    let Some(state) = state else { return uri.to_owned() };
    let separator = if uri.contains('?') { '&' } else { '?' };
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("state", state).finish();
    format!("{uri}{separator}{query}")
}

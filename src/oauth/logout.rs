//! RP-initiated logout (OpenID Connect RP-Initiated Logout 1.0): who asks, may the browser go back there, must the person confirm?

use std::sync::Arc;

use serde_json::Value;

use super::explanation::Told;
use super::{Failure, Params, Provider, Refused};
use crate::domain::client::Client;
use crate::domain::internal::Internal;
use crate::domain::time::Timestamp;
use crate::identity::login::SignedIn;

/// A logout request, proven as far as it can be.
#[derive(Clone, Debug)]
pub struct LogoutRequest {
    /// Where the browser goes afterwards, registered by the client that asks.
    pub return_to: Option<String>,
    /// The client that asks, where one does.
    pub client_id: Option<String>,
    /// Its name.
    pub client_name: Option<String>,
    /// Whether nobody vouched for the client.
    unverified: bool,
    /// What the hint is about.
    hinted: Option<Hinted>,
}

/// The client that an ID token was issued to, its `sub`, and the session.
#[derive(Clone, Debug)]
struct Hinted {
    client: Arc<Client>,
    sub: String,
    sid: Option<String>,
}

impl Provider {
    /// Whether the person has to confirm: unless the request carries an ID token that we issued for them in this session (§2: a
    /// request without one could come from anywhere, and one of another session is suspect).
    pub fn logout_needs_confirmation(&self, request: &LogoutRequest, login: &SignedIn) -> bool {
        let fits = |hinted: &Hinted| match &hinted.sid {
            Some(sid) => self.login_of(&hinted.client, sid) == Some(login.id),
            None => self.is_subject(&hinted.client, &hinted.sub, &login.user.id),
        };
        !request.hinted.as_ref().is_some_and(fits)
    }

    /// Whether the browser goes back by itself. Where it goes to somebody for whom nobody vouched, only out of a session that was
    /// begun there: otherwise anybody could send people anywhere under our name (RFC 9700 §4.11).
    pub fn logout_leads_back(&self, request: &LogoutRequest, ended: Option<&SignedIn>) -> bool {
        !request.unverified || ended.is_some_and(|login| !self.logout_needs_confirmation(request, login))
    }

    /// The session that the hint of a request is about, if it lasts.
    pub async fn hinted_login(&self, request: &LogoutRequest, now: Timestamp) -> Result<Option<SignedIn>, Internal> {
        let login = request.hinted.as_ref().and_then(|hinted| self.login_of(&hinted.client, hinted.sid.as_deref()?));
        match login {
            Some(login) => self.logins.named(login, now).await,
            None => Ok(None),
        }
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
                let refused = Refused::invalid_request("client_id is not the client that id_token_hint was issued to");
                return Err(refused
                    .compared("client_id", Told::public(hinted), params.told("client_id"))
                    .fix("Send the client_id that the ID token was issued to, or leave client_id out.")
                    .of_client(Some(said))
                    .into());
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
                let passes = client.is_some() && self.lets_pass(uri);
                if !registered && !passes {
                    let text = "post_logout_redirect_uri is not registered for the client; name the client by id_token_hint or client_id, and list the URI in post_logout_redirect_uris";
                    let listed = client.iter().flat_map(|client| client.document.post_logout_redirect_uris.iter());
                    let listed = Told::list(listed.map(String::as_str));
                    return Err(Refused::invalid_request(text)
                        .passed("the client", client_id.map_or_else(|| "(none is named)".into(), Told::public))
                        .compared("post_logout_redirect_uri", listed, params.told("post_logout_redirect_uri"))
                        .fix("List the URI in post_logout_redirect_uris of the Client document, and name the client by id_token_hint or client_id.")
                        .of_client(client_id)
                        .into());
                }
                Some(with_state(uri, params.text("state")))
            }
        };
        Ok(LogoutRequest {
            return_to,
            client_id: client.as_ref().map(|client| client.id.clone()),
            client_name: client.as_ref().map(|client| client.name.clone()),
            unverified: client.as_ref().is_some_and(|client| client.is_unverified()),
            hinted: client.zip(text("sub")).map(|(client, sub)| Hinted {
                client,
                sub: sub.to_owned(),
                sid: text("sid").map(str::to_owned),
            }),
        })
    }
}

fn with_state(uri: &str, state: Option<&str>) -> String {
    let Some(state) = state else { return uri.to_owned() };
    let separator = if uri.contains('?') { '&' } else { '?' };
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("state", state).finish();
    format!("{uri}{separator}{query}")
}

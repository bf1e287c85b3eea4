//! The end of a login in the browser, and OpenID Connect Front-Channel Logout 1.0: pages of clients that are loaded there to end
//! their own sessions.

use url::Url;

use super::Provider;
use crate::domain::client::Client;
use crate::domain::internal::Internal;
use crate::domain::time::Timestamp;
use crate::identity::login::SignedIn;

impl Provider {
    /// Ends a login for good. Answers the addresses of the clients that are told by the browser itself; the others are told by
    /// [`super::back_channel`].
    pub async fn sign_out(&self, login: &SignedIn, now: Timestamp) -> Result<Vec<String>, Internal> {
        let told = self.logins.end(login.id, now).await?;
        let mut frames = Vec::new();
        for id in &told {
            let Some(client) = self.registry.client(id).await?.filter(|client| client.active) else { continue };
            let uri = client.document.frontchannel_logout_uri.as_deref();
            frames.extend(uri.and_then(|uri| self.front_channel_uri(&client, uri, login)));
        }
        tracing::info!(
            event = "logout", user = %login.user.id, session = %login.id, ?told, front_channel = frames.len()
        );
        Ok(frames)
    }

    /// Front-Channel Logout §2: with `iss` and `sid`, beside whatever query the URI has. Both or neither are sent; a client that does not
    /// require them ignores them.
    fn front_channel_uri(&self, client: &Client, uri: &str, login: &SignedIn) -> Option<String> {
        let mut url = Url::parse(uri).ok()?;
        url.query_pairs_mut().append_pair("iss", self.iss()).append_pair("sid", &self.sid(client, login.id).ok()?);
        Some(url.into())
    }
}

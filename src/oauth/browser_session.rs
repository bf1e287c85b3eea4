//! One browser session, many clients: its `sid`, the clients that take part in it, and `session_state`, by which their pages notice
//! that it changed (OpenID Connect Session Management 1.0).
//!
//! A session is a login, and `sid` is the id of its row, or for pairwise clients comes of it (`subject`): not secret, since the cookie's other half proves the browser. The state of
//! the browser that the specification speaks of is derived from the same id, so there is nothing to keep in step.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use url::Url;
use uuid::Uuid;

use super::{ErrorCode, Provider, Refused};
use crate::domain::client::Client;
use crate::domain::internal::Internal;
use crate::domain::secret::Digest;
use crate::identity::login::{ABSOLUTE, SignedIn};

impl Provider {
    /// A client gets an ID token in this login: it is noted where it wants to hear of the end, and answered what goes into the
    /// authorization response as `session_state`. An error where the login has ended at this very moment.
    pub(super) async fn take_part(
        &self,
        client: &Client,
        redirect_uri: &str,
        login: &SignedIn,
    ) -> Result<Result<Option<String>, Refused>, Internal> {
        if client.wants_to_hear_of_logout() {
            let expires_at = login.auth_time.plus(ABSOLUTE);
            if !self.store.join_login(login.id, &client.id, &login.user.id, expires_at).await? {
                let why = Refused::new(ErrorCode::LoginRequired, "the person has just signed out")
                    .compared("the login", "one that goes on", "ended a moment ago")
                    .fix("Begin anew; the person signs in again.");
                return Ok(Err(why.of_client(Some(&client.id))));
            }
        }
        Ok(Ok(self.session_state(client, redirect_uri, login.id)))
    }

    /// Session Management §2, §3.2: a salted hash over client, origin and the state of the browser. A redirect URI of an
    /// application's own scheme has no origin, and no page behind it that could ask.
    fn session_state(&self, client: &Client, redirect_uri: &str, login: Uuid) -> Option<String> {
        let origin = Url::parse(redirect_uri).ok()?.origin();
        let salt = B64.encode(self.randomness.bytes::<12>("session states"));
        let state = self.browser_state(login);
        let origin = origin.is_tuple().then(|| origin.ascii_serialization())?;
        Some(salted(&client.id, &origin, &state, &salt))
    }

    /// What the script of the session frame reads from a cookie, for as long as this login is the browser's.
    pub fn browser_state(&self, login: Uuid) -> String {
        B64.encode(&self.browser_state_key.tag(&[login.as_bytes()])[..16])
    }
}

/// Whether what a page of this origin says, `client_id session_state`, is so while the browser has this state; `None` where it says
/// nothing of the kind (§3.2). The script of the frame does the same where the browser can hash.
pub fn is_session_state(said: &str, origin: &str, state: &str) -> Option<bool> {
    let (client, session_state) = said.rsplit_once(' ')?;
    let (_, salt) = session_state.rsplit_once('.')?;
    Some(session_state == salted(client, origin, state, salt))
}

fn salted(client: &str, origin: &str, state: &str, salt: &str) -> String {
    let digest = Digest::of(format!("{client} {origin} {state} {salt}").as_bytes());
    format!("{}.{salt}", B64.encode(digest.as_bytes()))
}

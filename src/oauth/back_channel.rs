//! OpenID Connect Back-Channel Logout 1.0: clients are told that a login has ended, by a signed token that is posted to them.
//!
//! Ending a login leaves the messages in the database, whatever ended it, and waits for nobody. Every node sends what is due; who claims a
//! message also says when it is tried again, so that a node that dies in between loses none.

use serde_json::{Map, Value, json};

use super::Provider;
use crate::domain::client::Client;
use crate::domain::internal::Internal;
use crate::domain::time::Timestamp;
use crate::store::logouts::Notice;

/// The type of a logout token (§2.4).
const TYP: &str = "logout+jwt";
/// §2.4: it lives for two minutes at the most; each try has a token of its own.
const LIFE: i64 = 120;
/// Seconds from each try to the next. After the last one a message is given up: two and a half hours after the first.
const PAUSES: [i64; 6] = [10, 60, 300, 900, 3_600, 3_600];
/// How many messages a node takes at a time.
const BATCH: i64 = 32;

impl Provider {
    /// Sends what is due, and answers how many messages that were; none are due when it is none.
    pub async fn send_logouts(&self, now: Timestamp) -> Result<usize, Internal> {
        let due = self.store.due_notices(BATCH, now).await?;
        let mut sending = tokio::task::JoinSet::new();
        for notice in &due {
            let pause = usize::try_from(notice.tries).ok().and_then(|tries| PAUSES.get(tries));
            if let Some(notice) = self.store.claim_notice(notice, now.plus(*pause.unwrap_or(&PAUSES[0]))).await? {
                let (provider, last) = (self.clone(), pause.is_none());
                sending.spawn(async move { provider.send_logout(&notice, last, now).await });
            }
        }
        let mut outcome = Ok(due.len());
        while let Some(sent) = sending.join_next().await {
            if let Err(failed) = sent.map_err(Internal::from).and_then(|sent| sent) {
                outcome = Err(failed);
            }
        }
        outcome
    }

    async fn send_logout(&self, notice: &Notice, last: bool, now: Timestamp) -> Result<(), Internal> {
        let client = self.registry.client(&notice.client_id).await?.filter(|client| client.active);
        let to = client.as_ref().and_then(|client| Some((client, client.document.backchannel_logout_uri.as_deref()?)));
        // A client that only listens in the browser, or is gone meanwhile.
        let Some((client, uri)) = to else { return Ok(self.store.settle_notice(notice).await?) };
        let token = self.logout_token(client, notice, now).await?;
        let (client, user, session) = (&client.id, &notice.user_id, notice.login_id);
        match self.outbound.post_form(uri, &[("logout_token", &token)]).await {
            // §2.8: 200, and 204 from frameworks that insist on it.
            Ok(200 | 204) => {
                tracing::info!(event = "logout_delivered", %client, %user, %session, tries = notice.tries);
                self.store.settle_notice(notice).await?;
            }
            // 400 (§2.8): it was understood and refused, and would be again.
            Ok(400) => {
                tracing::warn!(event = "logout_refused", %client, %user, %session, "the client answered 400");
                self.store.settle_notice(notice).await?;
            }
            failed => {
                let why = failed.map_or_else(|error| error.to_string(), |status| format!("{uri} answered {status}"));
                if last {
                    tracing::error!(event = "logout_given_up", %client, %user, %session, why, "it is not tried again");
                    self.store.settle_notice(notice).await?;
                } else {
                    tracing::warn!(event = "logout_not_delivered", %client, %user, %session, why, "it is tried again");
                }
            }
        }
        Ok(())
    }

    /// §2.4. `sub` and `sid` are both sent, to clients that require the latter and to others.
    async fn logout_token(&self, client: &Client, notice: &Notice, now: Timestamp) -> Result<String, Internal> {
        let mut claims = Map::new();
        let mut put = |name: &str, value: Value| drop(claims.insert(name.to_owned(), value));
        put("iss", json!(self.iss()));
        put("sub", json!(self.subject(client, &notice.user_id)));
        put("aud", json!(client.id));
        put("iat", json!(now.0));
        put("exp", json!(now.plus(LIFE).0));
        put("jti", json!(self.randomness.row_id("logout tokens")));
        put("sid", json!(self.sid(client, notice.login_id)?));
        put("events", json!({ "http://schemas.openid.net/event/backchannel-logout": {} }));
        self.sign(client.id_token_alg(), TYP, &claims, now).await
    }
}

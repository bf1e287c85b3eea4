//! What is for a client's eyes only: ID tokens and userinfo answers, encrypted with the client's key (OpenID Connect Core §10.2, §16.14).

use super::Provider;
use super::jwe::Encryption;
use crate::domain::client::Client;
use crate::domain::internal::Internal;
use crate::domain::time::Timestamp;

#[derive(Debug, thiserror::Error)]
#[error("client {0} wants its tokens encrypted by {1}, and none of its registered keys is for that; correct its jwks")]
struct NoKey(String, String);

impl Provider {
    /// The text as this client wants it: as it is where it named no algorithms (`alg`, `enc`), else encrypted. `cty` is `JWT` where the
    /// text is one. Without a key that does, nothing is handed out: never the bare text.
    pub(super) async fn encrypted(
        &self,
        client: &Client,
        algorithms: Option<(&str, &str)>,
        text: String,
        cty: Option<&str>,
        now: Timestamp,
    ) -> Result<String, Internal> {
        let Some((alg, enc)) = algorithms else { return Ok(text) };
        let keys = self.keys_of(client, now).await?;
        let key = keys.keys().iter().find(|key| key.encrypts(alg));
        let key = key.ok_or_else(|| NoKey(client.id.clone(), alg.to_owned()))?;
        Ok(Encryption { alg, enc, key }.encrypt(&text, cty)?)
    }
}

//! `id_token_hint`: an ID token of ours that comes back, to say whom a request is about (OpenID Connect Core §3.1.2.1,
//! RP-Initiated Logout §2).

use serde_json::{Map, Value};

use super::explanation::Told;
use super::{Failure, Provider, Refused};

impl Provider {
    /// The claims of a hint. An expired one is as good as a fresh one; one that is not ours is refused.
    pub(super) async fn id_token_hint(&self, text: &str) -> Result<Map<String, Value>, Failure> {
        let ring = self.registry.key_ring().await?;
        let claims = ring.verify("JWT", self.iss(), text);
        Ok(claims.ok_or_else(|| {
            Refused::invalid_request("id_token_hint is not an ID token of this server")
                .compared("the signature and the issuer of id_token_hint", Told::public(self.iss()), "not ours")
                .fix("Send the ID token that this server issued; one of another issuer or of a key that was retired will not do.")
        })?)
    }
}

//! What is for a client's eyes only: ID tokens and userinfo answers, encrypted with the client's key (OpenID Connect Core §10.2, §16.14).
//!
//! The key is looked for before anything is spent: who cannot be answered keeps the code or the refresh token.

use aws_lc_rs::error::Unspecified;

use super::jwe::Encryption;
use super::{ErrorCode, Failure, Provider, Refused};
use crate::domain::client::Client;
use crate::domain::internal::Internal;
use crate::domain::jwk::PublicKey;
use crate::domain::time::Timestamp;
use crate::oauth::client_keys::Unverified;

/// Whom something is encrypted for, and how.
#[derive(Clone, Debug)]
pub struct Recipient<'a> {
    alg: &'a str,
    enc: &'a str,
    key: PublicKey,
}

/// Why nothing can be encrypted for a client.
#[derive(Clone, Debug)]
pub(super) enum Unencryptable {
    /// None of its registered keys is for this algorithm.
    NoKey(String),
    /// Its keys cannot be fetched for the moment.
    Unavailable,
}

impl Unencryptable {
    /// The words for the developer, in an authorization response (RFC 6749 §4.1.2.1).
    pub(super) fn refused(self) -> Refused {
        match self {
            Self::NoKey(alg) => Refused::invalid_request(format!(
                "this client wants its answers encrypted by {alg}, and none of its registered keys is for that; add one with use enc to its jwks or jwks_uri"
            ))
            .compared("the client's keys", "one of use enc for this algorithm", "none")
            .fix("Add a key with use enc to jwks or jwks_uri in the Client document, or take the field ending in _encrypted_response_alg out."),
            Self::Unavailable => Refused::new(
                ErrorCode::TemporarilyUnavailable,
                "this client wants its answers encrypted, and the keys at its jwks_uri cannot be fetched",
            )
            .compared("the answer of jwks_uri", "a JSON Web Key Set", "none in time")
            .fix("See that jwks_uri answers; the log has what came instead."),
        }
    }
}

/// To programs, what passes is 503 and says when to come back.
impl From<Unencryptable> for Failure {
    fn from(why: Unencryptable) -> Self {
        match why {
            Unencryptable::NoKey(_) => Self::Refused(why.refused()),
            Unencryptable::Unavailable => Self::Internal(Internal::Busy),
        }
    }
}

impl Recipient<'_> {
    /// The text, encrypted. `cty` is `JWT` where the text is one.
    pub(super) fn encrypt(&self, text: &str, cty: Option<&str>) -> Result<String, Unspecified> {
        Encryption { alg: self.alg, enc: self.enc, key: &self.key }.encrypt(text, cty)
    }
}

impl Provider {
    /// The key to encrypt with where the client names algorithms (`alg`, `enc`); `None` where it names none.
    pub(super) async fn recipient<'a>(
        &self,
        client: &Client,
        algorithms: Option<(&'a str, &'a str)>,
        now: Timestamp,
    ) -> Result<Option<Recipient<'a>>, Unencryptable> {
        let Some((alg, enc)) = algorithms else { return Ok(None) };
        let key = self.key_of(client, |key| key.encrypts(alg), now).await.map_err(|why| match why {
            Unverified::Unavailable => Unencryptable::Unavailable,
            _ => Unencryptable::NoKey(alg.to_owned()),
        })?;
        Ok(Some(Recipient { alg, enc, key }))
    }
}

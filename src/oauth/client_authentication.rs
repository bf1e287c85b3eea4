//! How a client proves itself at the token, introspection and revocation endpoints (RFC 6749 §2.3): with its secret, here, or with
//! a signed assertion, next door in [`super::client_assertion`].

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use base64::{Engine, engine::general_purpose::STANDARD};

use super::explanation::Told;
use super::on_demand::another_secret;
use super::params::form_decode;
use super::{Failure, Params, Provider, Refused, client_assertion};
use crate::domain::client::{Client, GrantType};
use crate::domain::internal::Internal;
use crate::domain::password::{self, Verified};
use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;
use crate::identity::sign_in::network;

/// What an `Authorization: Basic` header holds. RFC 6749 §2.3.1 has both halves percent-encoded; many clients send them as they
/// are, so both readings are kept.
#[derive(Clone, Debug)]
pub struct Basic {
    raw: (String, Secret),
    decoded: Option<(String, Secret)>,
}

impl Basic {
    /// Reads the header's value; `None` where it is not of the scheme `Basic`.
    pub fn parse(header: &[u8]) -> Option<Result<Self, Refused>> {
        let rest = header.get(6..).filter(|_| header[..6].eq_ignore_ascii_case(b"basic "))?;
        let malformed = || {
            Refused::invalid_client("the Authorization header is not base64 of client_id:client_secret")
                .compared("the Authorization header", "Basic base64(client_id:client_secret)", "(there, not shown)")
                .fix("Let the HTTP library write the header from client_id and client_secret; curl does with -u.")
        };
        let read = || {
            let bytes = STANDARD.decode(rest.trim_ascii()).map_err(|_| malformed())?;
            let text = String::from_utf8(bytes).map_err(|_| malformed())?;
            let (id, secret) = text.split_once(':').ok_or_else(malformed)?;
            if text.len() > 4_096 || text.chars().any(char::is_control) {
                return Err(malformed());
            }
            let decoded =
                |half: &str| form_decode(half.as_bytes()).ok().filter(|half| !half.chars().any(char::is_control));
            let decoded = decoded(id).zip(decoded(secret)).map(|(id, secret)| (id, Secret::new(secret)));
            Ok(Self { raw: (id.to_owned(), Secret::new(secret)), decoded })
        };
        Some(read())
    }
}

impl Basic {
    /// The readings, each `client_id` and secret: the decoded one first, then the undecoded where that is another.
    pub fn readings(&self) -> impl Iterator<Item = (&str, &Secret)> {
        let raw = Some(&self.raw).filter(|raw| self.decoded.as_ref() != Some(raw));
        self.decoded.iter().chain(raw).map(|(id, secret)| (id.as_str(), secret))
    }
}

/// Wrong secrets for a client from one network in a quarter of an hour, after which it waits.
const WRONG_SECRETS: u32 = 300;

/// A client that has proven itself as far as it can.
#[derive(Clone, Debug)]
pub struct Proven {
    /// The client.
    pub client: Arc<Client>,
    /// Whether it did so with its secret or its key, rather than name itself alone.
    pub authenticated: bool,
}

enum Presented<'a> {
    Secret { method: &'static str, candidates: Vec<(&'a str, Secret)> },
    Assertion(&'a str),
}

impl Provider {
    /// Finds the client that a request comes from and has it prove itself: exactly one method, and where the client has a
    /// secret or a key, that one. `flow` names the grant whose document may do without (`secret_required: false`).
    pub async fn authenticate_client(
        &self,
        basic: Option<&Basic>,
        params: &Params,
        address: IpAddr,
        flow: Option<GrantType>,
        now: Timestamp,
    ) -> Result<Proven, Failure> {
        let (method, candidates) = match presented(basic, params)? {
            Presented::Secret { method, candidates } => (method, candidates),
            Presented::Assertion(text) => {
                return self.prove_by_assertion(text, params.text("client_id"), address, flow, now).await;
            }
        };
        let mut outcome = None;
        for (id, secret) in &candidates {
            if let Some(client) = self.registry.client(id).await? {
                let proven = self.prove(client, secret, method, address, flow, now).await;
                if proven.is_ok() {
                    return proven;
                }
                outcome = Some(proven);
            }
        }
        if outcome.is_none() {
            for (id, secret) in &candidates {
                if let Some(client) = self.make_client(id, params.text("redirect_uri"), now).await? {
                    return self.prove(client, secret, method, address, flow, now).await;
                }
            }
        }
        outcome.unwrap_or_else(|| {
            let named = candidates.first().map_or_else(|| "(none)".into(), |(id, _)| Told::public(id));
            Err(unproven()
                .compared("client_id", "a client that is registered here", named)
                .fix(self.rules.fix_of_unknown_client())
                .into())
        })
    }

    async fn prove(
        &self,
        mut client: Arc<Client>,
        secret: &Secret,
        method: &str,
        address: IpAddr,
        flow: Option<GrantType>,
        now: Timestamp,
    ) -> Result<Proven, Failure> {
        if !client.active {
            return Err(unproven()
                .passed("client_id", Told::public(&client.id))
                .compared("the client", "active", "switched off")
                .fix("Set active to true in the Client document: `countersign client enable ID`.")
                .into());
        }
        let offered = !secret.expose().is_empty();
        refuse_other_method(&client, if offered { method } else { "none" }, flow)?;
        if offered && client.stored_secret.is_none() {
            client = self.adopt_secret(client, secret, now).await?;
        }
        let Some(stored) = &client.stored_secret else {
            return if offered {
                Err(Refused::invalid_client("this client has no secret; leave client_secret out and use PKCE")
                    .passed("client_id", Told::public(&client.id))
                    .compared("the client's secret", "none: the client is public", "(sent, not shown)")
                    .fix("Leave client_secret out, or set secret in the Client document: `countersign client secret ID`.")
                    .into())
            } else {
                Ok(Proven { client, authenticated: false })
            };
        };
        if !offered {
            return match flow {
                Some(grant) if client.secret_is_optional(grant) => Ok(Proven { client, authenticated: false }),
                _ => Err(Refused::invalid_client(
                    "this client has a secret and must use it: HTTP Basic, or client_secret in the body",
                )
                .passed("client_id", Told::public(&client.id))
                .compared("the client's secret", "HTTP Basic, or client_secret in the body", "(not sent)")
                .fix(another_secret(&client).unwrap_or("Send the secret, remove secret from the Client document, or set auth.GRANT.secret_required to false in it."))
                .into()),
            };
        }
        if self.secret_verifies(&client.id, secret, stored, address).await? {
            Ok(Proven { client, authenticated: true })
        } else {
            tracing::warn!(event = "client_authentication_failed", client = %client.id, %address, "wrong client secret");
            Err(unproven()
                .passed("client_id", Told::public(&client.id))
                .passed("the method", Told::public(method))
                .compared("the client's secret", "the one of the Client document", "(another, not shown)")
                .fix(another_secret(&client).unwrap_or("Send the secret that the Client document was given, or set a new one: `countersign client secret ID`. Look for a line feed at its end."))
                .into())
        }
    }

    /// Whether the secret is the one of this stored form. It is looked into once; that it fitted is then remembered under a key that
    /// only this process knows, together with the stored form, so that a changed secret is a new question.
    async fn secret_verifies(
        &self,
        client_id: &str,
        secret: &Secret,
        stored: &str,
        address: IpAddr,
    ) -> Result<bool, Failure> {
        let tag = self.secret_cache_key.tag(&[client_id.as_bytes(), stored.as_bytes(), secret.expose().as_bytes()]);
        if self.verified_secrets.contains_key(&tag) {
            return Ok(true);
        }
        // RFC 6749 §2.3.1: guessing is slowed down. Counted on each node, for this secret as tried from one network, so that nobody
        // keeps a client from its tokens but a neighbour, and a new secret starts anew.
        let guesses = self.secret_cache_key.tag(&[client_id.as_bytes(), stored.as_bytes(), &network(address)]);
        if self.wrong_secrets.get(&guesses).is_some_and(|wrong| wrong.load(Ordering::Relaxed) >= WRONG_SECRETS) {
            let mut refused = Refused::invalid_client("too many wrong secrets for this client; try again later")
                .compared("wrong secrets from this network in 15 minutes", i64::from(WRONG_SECRETS), "more")
                .fix(
                    "Find out who sends an old secret for this client, then wait; on another network it works at once.",
                );
            refused.retry_after = Some(60);
            return Err(refused.into());
        }
        let verified = match password::verify_fast(secret, stored) {
            Some(matches) => matches,
            None => self.slow_hash_verifies(tag, secret, stored).await?,
        };
        if verified {
            self.verified_secrets.insert(tag, ()).await;
        } else {
            self.wrong_secrets.get_with(guesses, Arc::default).fetch_add(1, Ordering::Relaxed);
        }
        Ok(verified)
    }

    async fn slow_hash_verifies(&self, tag: [u8; 32], secret: &Secret, stored: &str) -> Result<bool, Internal> {
        let (plain, form) = (secret.clone(), stored.to_owned());
        let verify = async {
            match self.hashing.run(move |memory| password::verify(&plain, &form, memory)).await {
                Ok(Verified::No) => Err(None),
                Ok(Verified::Yes | Verified::Outdated) => Ok(()),
                Err(internal) => Err(Some(internal)),
            }
        };
        // Of many who come with the same secret at once, one hashes and the others wait for it.
        match self.verified_secrets.try_get_with(tag, verify).await.map_err(Arc::try_unwrap) {
            Ok(()) => Ok(true),
            Err(Ok(None)) => Ok(false),
            Err(Ok(Some(internal))) => Err(internal),
            Err(Err(shared)) => match &*shared {
                None => Ok(false),
                Some(_) => Err(Internal::Busy),
            },
        }
    }
}

/// RFC 6749 §2.3: not more than one method per request.
fn presented<'a>(basic: Option<&'a Basic>, params: &'a Params) -> Result<Presented<'a>, Refused> {
    let in_body = params.text("client_id");
    let body_secret = params.secret("client_secret");
    if let Some(assertion) = client_assertion::presented(params)? {
        return match basic.is_some() || body_secret.is_some() {
            true => Err(Refused::invalid_request(
                "the client authenticates twice, by client_assertion and by its secret; use one of them",
            )
            .compared("ways in which the client proves itself", "one", "client_assertion, and a secret")
            .fix("Send client_assertion, or the secret, not both.")),
            false => Ok(Presented::Assertion(assertion)),
        };
    }
    let Some(basic) = basic else {
        let id = in_body.ok_or_else(|| {
            Refused::invalid_client(
                "no client: send HTTP Basic credentials, or client_id (and client_secret) in the body",
            )
            .compared("client_id", "in the body, or HTTP Basic", "(not sent)")
            .fix("Send client_id in the body, or HTTP Basic credentials; some libraries need to be told which.")
        })?;
        let secret = body_secret.unwrap_or_else(|| Secret::new(""));
        return Ok(Presented::Secret { method: "client_secret_post", candidates: vec![(id, secret)] });
    };
    if body_secret.is_some() {
        return Err(Refused::invalid_request(
            "the client authenticates twice, by HTTP Basic and by client_secret in the body; use one of them",
        )
        .compared("ways in which the client proves itself", "one", "HTTP Basic, and client_secret in the body")
        .fix("Leave client_secret out of the body, or the Authorization header out of the request."));
    }
    let candidates: Vec<(&str, Secret)> = basic.readings().map(|(id, secret)| (id, secret.clone())).collect();
    if in_body.is_some_and(|id| candidates.iter().all(|(candidate, _)| *candidate != id)) {
        let named = candidates.first().map_or_else(|| "(none)".into(), |(id, _)| Told::public(id));
        return Err(Refused::invalid_request("client_id in the body is another client than the one of HTTP Basic")
            .compared("client_id", named, params.told("client_id"))
            .fix("Send the same client_id in both places, or leave it out of the body."));
    }
    Ok(Presented::Secret { method: "client_secret_basic", candidates })
}

/// RFC 7591 §2: a method that is registered is the only one.
pub(super) fn refuse_other_method(client: &Client, used: &str, flow: Option<GrantType>) -> Result<(), Refused> {
    match client.auth_method(flow).filter(|registered| *registered != used) {
        None => Ok(()),
        Some(registered) => Err(Refused::invalid_client(format!(
            "this client is registered for token_endpoint_auth_method {registered}, but the request uses {used}"
        ))
        .passed("client_id", Told::public(&client.id))
        .compared("token_endpoint_auth_method", Told::public(registered), Told::public(used))
        .fix("Have the client use the method that is registered, or change token_endpoint_auth_method (or auth_method of the grant) in the Client document.")),
    }
}

/// The client that a request names, be it proven or not.
pub fn named<'a>(basic: Option<&'a Basic>, params: &'a Params) -> Option<&'a str> {
    basic.and_then(|basic| basic.readings().next()).map(|(id, _)| id).or_else(|| params.text("client_id"))
}

/// One sentence for an unknown client, a switched-off one and a wrong secret, so that it tells nobody which.
fn unproven() -> Refused {
    Refused::invalid_client("unknown client or wrong client secret")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(text: &str) -> Option<Result<Basic, Refused>> {
        Basic::parse(format!("Basic {}", STANDARD.encode(text)).as_bytes())
    }

    #[test]
    fn both_readings_of_basic_are_kept() {
        let read = basic("my%20app:a%3Ab+c").unwrap().unwrap();
        assert_eq!(read.raw.0, "my%20app");
        let (id, secret) = read.decoded.unwrap();
        assert_eq!((id.as_str(), secret.expose()), ("my app", "a:b c"));
        assert!(basic("a:100%").unwrap().unwrap().decoded.is_none());
    }

    #[test]
    fn what_is_no_basic_header_is_refused() {
        assert!(Basic::parse(b"Bearer x").is_none());
        assert!(Basic::parse(b"Bas").is_none());
        assert!(Basic::parse(b"basic !!!").unwrap().is_err());
        assert!(basic("no-colon").unwrap().is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_header_makes_it_panic(header: Vec<u8>) {
            let _ = Basic::parse(&header);
        }
    }
}

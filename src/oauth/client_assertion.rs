//! Clients that prove themselves with a signed JWT (RFC 7521 §4.2, RFC 7523 §3, OpenID Connect Core §9): `private_key_jwt`, with a
//! key of their own, and `client_secret_jwt`, with their secret as the key.

use std::net::IpAddr;
use std::sync::Arc;

use super::client_authentication::{Proven, refuse_other_method};
use super::discovery;
use super::explanation::Told;
use super::jws::{self, Jws};
use super::{Failure, Params, Provider, Refused};
use crate::domain::client::{Client, GrantType, JWT_BEARER};
use crate::domain::jwk::SECRET_ALGORITHMS;
use crate::domain::secret::Digest;
use crate::domain::time::Timestamp;

/// Seconds that the clocks of clients may be ahead of ours.
const SKEW: i64 = 30;
/// Seconds that an assertion may live; its identifier is kept for as long.
const LONGEST: i64 = 3_600 + SKEW;
/// Whose URLs may be the audience, besides the issuer: clients name the token endpoint (Core §9), or the one they ask.
const AUDIENCES: [&str; 3] = ["token_endpoint", "introspection_endpoint", "revocation_endpoint"];

/// The assertion of a request, if it has one.
pub(super) fn presented(params: &Params) -> Result<Option<&str>, Refused> {
    match (params.text("client_assertion_type"), params.text("client_assertion")) {
        (None, None) => Ok(None),
        (Some(JWT_BEARER), Some(assertion)) => Ok(Some(assertion)),
        (Some(JWT_BEARER), None) => Err(Refused::invalid_client("client_assertion is missing")
            .compared("client_assertion", "a signed JWT", "(not sent)")
            .fix("Send the JWT in client_assertion beside client_assertion_type.")),
        (None, Some(_)) => {
            Err(Refused::invalid_client(format!("client_assertion_type is missing; it is {JWT_BEARER}"))
                .compared("client_assertion_type", JWT_BEARER, "(not sent)")
                .fix("Send client_assertion_type beside client_assertion."))
        }
        (Some(other), _) => Err(Refused::invalid_client(format!(
            "client_assertion_type {other} is not supported; it can be {JWT_BEARER}"
        ))
        .compared("client_assertion_type", JWT_BEARER, params.told("client_assertion_type"))
        .fix("Send the client_assertion_type of RFC 7523.")),
    }
}

impl Provider {
    /// Has a client prove itself with an assertion. The signature comes first, so that nobody but the client learns what else is
    /// wrong; the identifier is used up last, so that nobody but the client uses it up.
    pub(super) async fn prove_by_assertion(
        &self,
        assertion: &str,
        client_id: Option<&str>,
        address: IpAddr,
        flow: Option<GrantType>,
        now: Timestamp,
    ) -> Result<Proven, Failure> {
        let jws = Jws::read(assertion).ok_or_else(|| {
            Refused::invalid_client("client_assertion is no signed JWT")
                .compared("client_assertion", "a JWT in compact serialization", "(something else, not shown)")
                .fix("Send the JWT itself, as three parts with dots between them.")
        })?;
        let told = |name: &str| Told::claim(&jws.claims, name);
        let fine = |text: &&str| (1..=256).contains(&text.len()) && !text.chars().any(char::is_control);
        let text = |name: &str| jws.claims.get(name).and_then(serde_json::Value::as_str).filter(fine);
        // RFC 7523 §3, items 1 and 2.
        let subject = text("sub").ok_or_else(|| {
            Refused::invalid_client("client_assertion has no sub")
                .compared("sub of client_assertion", "the client_id", told("sub"))
                .fix("Put the client_id into iss and sub of the assertion (RFC 7523 section 3).")
        })?;
        if text("iss") != Some(subject) {
            return Err(Refused::invalid_client("iss and sub of client_assertion must both be the client_id")
                .compared("iss of client_assertion", told("sub"), told("iss"))
                .fix("Put the client_id into iss and sub of the assertion (RFC 7523 section 3).")
                .into());
        }
        // RFC 7521 §4.2
        if client_id.is_some_and(|id| id != subject) {
            return Err(Refused::invalid_client("client_id is another client than that of client_assertion")
                .compared("client_id", told("sub"), client_id.map_or_else(|| "(not sent)".into(), Told::public))
                .fix("Send the client_id that is in sub of the assertion, or leave client_id out.")
                .into());
        }
        let client = self.registry.client(subject).await?.filter(|client| client.active).ok_or_else(|| {
            unproven()
                .compared("sub of client_assertion", "a client that is registered here and active", told("sub"))
                .fix("Register the client, or enable it (active in the Client document), or correct sub and iss.")
        })?;
        if let Err(why) = self.is_signed_by_client(&client, &jws, flow, now).await {
            tracing::warn!(event = "client_authentication_failed", client = %client.id, %address, why = why.description);
            return Err(why.of_client(Some(&client.id)).into());
        }
        let expires_at = self.check_claims(&jws, now)?;
        let jti = text("jti").ok_or_else(|| {
            Refused::invalid_client("client_assertion has no jti of 1 to 256 characters")
                .compared("jti of client_assertion", "1 to 256 characters", told("jti"))
                .fix("Put a fresh random jti into every assertion.")
        })?;
        if !self.store.use_jti(digest(&client, jti).as_bytes(), expires_at).await? {
            return Err(Refused::invalid_client("the jti of client_assertion was used before; make a new one")
                .passed("the signature of client_assertion", "the client's")
                .compared("jti of client_assertion", "a new one", "one that was used before")
                .fix("Make a new assertion for each request; a retry needs a new one too.")
                .into());
        }
        Ok(Proven { client, authenticated: true })
    }

    async fn is_signed_by_client(
        &self,
        client: &Arc<Client>,
        jws: &Jws<'_>,
        flow: Option<GrantType>,
        now: Timestamp,
    ) -> Result<(), Refused> {
        let symmetric = SECRET_ALGORITHMS.contains(&jws.alg.as_str());
        let used = if symmetric { "client_secret_jwt" } else { "private_key_jwt" };
        refuse_other_method(client, used, flow)?;
        // Where the document leaves the choice, it says so for keys alone.
        if client.document.token_endpoint_auth_method.is_none() && (symmetric || !client.signs_in_with_key(None)) {
            return Err(Refused::invalid_client(format!(
                "this client is not registered for {used}; set token_endpoint_auth_method in its document"
            ))
            .compared("token_endpoint_auth_method of the client", Told::public(used), "(not set)")
            .fix("Set token_endpoint_auth_method in the Client document, and jwks or jwks_uri for private_key_jwt."));
        }
        if let Some(alg) = client.document.token_endpoint_auth_signing_alg.as_deref().filter(|alg| *alg != jws.alg) {
            let text = format!("this client signs its assertions with {alg} (token_endpoint_auth_signing_alg)");
            return Err(Refused::invalid_client(text)
                .compared("alg of client_assertion", Told::public(alg), Told::public(&jws.alg))
                .fix(
                    "Sign with the algorithm of token_endpoint_auth_signing_alg, or change it in the Client document.",
                ));
        }
        // RFC 8725 §3.11: what the client signed for another use is no assertion.
        if jws.typ.as_deref().is_some_and(|typ| !matches!(typ, "jwt" | "client-authentication+jwt")) {
            return Err(Refused::invalid_client("the typ of client_assertion is that of another kind of JWT")
                .compared(
                    "typ of client_assertion",
                    "JWT, client-authentication+jwt, or none",
                    Told::public(jws.typ.as_deref().unwrap_or_default()),
                )
                .fix("Sign the assertion with typ JWT, or without."));
        }
        if symmetric {
            let form = client.stored_secret.as_deref().unwrap_or_default();
            let secret = self.documents_key.open_text(&format!("Client/{}/secret", client.id), form);
            return match secret.is_some_and(|secret| jws.is_signed_with(&secret)) {
                true => Ok(()),
                false => Err(unproven()
                    .passed("the method", used)
                    .compared("the signature of client_assertion", "one made with the client's secret", "another")
                    .fix("Sign with the secret of the Client document, as text; a secret that was stored as a hash has to be set anew.")),
            };
        }
        self.verify_of_client(client, jws, now)
            .await
            .map_err(|why| {
                let kid = if jws.kid.is_some() { "a kid is named" } else { "no kid is named" };
                Refused::invalid_client(format!("client_assertion does not verify: {why}"))
                    .passed("the method", used)
                    .passed("alg of client_assertion", Told::public(&jws.alg))
                    .compared("the signature of client_assertion", "one by a key in jwks or at jwks_uri", kid)
                    .fix("Put the public key into jwks (or at jwks_uri) of the Client document, with the kid and alg that the assertion names.")
            })
    }

    /// RFC 7523 §3, items 3 to 6. Answers when it expires.
    fn check_claims(&self, jws: &Jws<'_>, now: Timestamp) -> Result<Timestamp, Refused> {
        let is_spoken = |path: &str| {
            let endpoint = self.dialect().and_then(|dialect| dialect.endpoint(path));
            endpoint.is_some_and(|endpoint| AUDIENCES.contains(&endpoint))
        };
        let below = |audience: &str, base: &str| match audience.strip_prefix(base) {
            Some("") => true,
            Some(path) => AUDIENCES.into_iter().flat_map(discovery::paths).any(|ours| ours == path) || is_spoken(path),
            None => false,
        };
        let told = |name: &str| Told::claim(&jws.claims, name);
        let ours = |audience: &&str| self.bases().any(|base| below(audience, base));
        let audiences = jws::audiences(&jws.claims);
        // One that names others besides could be used at theirs, or have come from there.
        if audiences.is_empty() || !audiences.iter().all(ours) {
            let text = format!("aud of client_assertion must be the issuer, {}, or the token endpoint", self.iss());
            return Err(Refused::invalid_client(text)
                .compared("aud of client_assertion", Told::public(self.iss()), told("aud"))
                .fix("Put the issuer, and nothing else, into aud of the assertion. Behind a proxy, --issuer has to be what clients see."));
        }
        let time = |name: &str| {
            let malformed = |()| {
                Refused::invalid_client(format!("{name} of client_assertion is no number of seconds"))
                    .compared("a time of client_assertion", "a number of seconds since 1970", told(name))
                    .fix("Write exp, nbf and iat as numbers of seconds, not as text and not in milliseconds.")
            };
            jws::time(&jws.claims, name).map_err(malformed)
        };
        let expires_at = time("exp")?.ok_or_else(|| {
            Refused::invalid_client("client_assertion has no exp")
                .compared("exp of client_assertion", "a number of seconds since 1970", "(absent)")
                .fix("Put exp into the assertion, a minute or so ahead.")
        })?;
        if expires_at <= now.0 {
            return Err(Refused::invalid_client("client_assertion has expired; compare the clocks")
                .passed("the time of this server", now.0)
                .compared("exp of client_assertion", "later than that", told("exp"))
                .fix("Make a new assertion for each request, and compare the clocks of the client and this server."));
        }
        if expires_at > now.plus(LONGEST).0 {
            return Err(Refused::invalid_client("client_assertion lives longer than an hour")
                .passed("the time of this server", now.0)
                .compared("exp of client_assertion", "an hour later at the most", told("exp"))
                .fix("Let assertions live for a minute or so."));
        }
        for name in ["nbf", "iat"] {
            if time(name)?.is_some_and(|from| from > now.plus(SKEW).0) {
                let text = format!("{name} of client_assertion is in the future; compare the clocks");
                return Err(Refused::invalid_client(text)
                    .passed("the time of this server", now.0)
                    .compared("nbf and iat of client_assertion", "no later than 30 seconds after that", told(name))
                    .fix("Compare the clocks of the client and this server."));
            }
        }
        Ok(Timestamp(expires_at))
    }
}

/// The identifier, as used for this by this client: those of others are others.
fn digest(client: &Client, jti: &str) -> Digest {
    Digest::of(format!("client_assertion {} {} {jti}", client.id.len(), client.id).as_bytes())
}

/// The same for a client that is not there, and one whose secret it is not.
fn unproven() -> Refused {
    Refused::invalid_client("unknown client, or client_assertion is not signed with its key or secret")
}

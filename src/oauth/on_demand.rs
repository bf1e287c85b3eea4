//! What a developer's realm lets pass (`dev --permissive`): clients that are there as soon as a request names them, any loopback address
//! to come back to; and the claims that a test has given. Elsewhere there is no [`Leeway`], and nothing of this happens.
//!
//! [`Leeway`]: crate::domain::leeway::Leeway

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::explanation::Told;
use super::{ErrorCode, Failure, Provider, Refused, Rules};
use crate::domain::claims::RequestedClaims;
use crate::domain::client::{Client, GrantType};
use crate::domain::document_id::is_id;
use crate::domain::internal::Internal;
use crate::domain::leeway::{self, MOST_MADE};
use crate::domain::password::fast_form;
use crate::domain::redirect_uri::stays_on_the_machine;
use crate::domain::response_type::RESPONSE_TYPES;
use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;
use crate::store::on_demand::{Draft, Made};

impl Rules {
    /// Whether whoever is named is accepted.
    pub(super) fn is_permissive(&self) -> bool {
        self.leeway.as_ref().is_some_and(|leeway| leeway.is_permissive())
    }

    /// Whether a browser may go to this address though no document lists it: one that stays on its machine.
    pub(super) fn lets_pass(&self, uri: &str) -> bool {
        self.is_permissive() && stays_on_the_machine(uri)
    }

    /// What to change where a client is not there.
    pub(super) fn fix_of_unknown_client(&self) -> &'static str {
        match &self.leeway {
            Some(leeway) if leeway.is_permissive() => {
                "Clients are made on demand here (--permissive), of ids with 1 to 128 letters, digits and - . _ ~ @ + : and no others. Correct client_id, or enable the client: one that is switched off stays so."
            }
            Some(leeway) if leeway.may_be_permissive() => {
                "Register the client (PUT /Client/ID, a bundle, `countersign client create`), enable it, or correct client_id; with --permissive clients are made on demand."
            }
            _ => {
                "Register the client (PUT /Client/ID, a bundle, `countersign client create`), enable it, or correct client_id."
            }
        }
    }

    /// What to change where a redirect URI is not registered.
    pub(super) fn fix_of_redirect_uri(&self, requested: &str) -> &'static str {
        match &self.leeway {
            Some(leeway) if leeway.is_permissive() => {
                "Without being listed, only loopback addresses may be come back to (--permissive): http or https, localhost, 127.0.0.1 or [::1], any port and path. Add this one to auth.authorization_code.redirect_uris of the Client document."
            }
            Some(leeway) if leeway.may_be_permissive() && stays_on_the_machine(requested) => {
                "Add the URI to auth.authorization_code.redirect_uris of the Client document, or send one that is listed, to the letter; with --permissive any loopback address will do."
            }
            _ => {
                "Add the URI to auth.authorization_code.redirect_uris of the Client document, or send one that is listed, to the letter: scheme, port, path and a slash at the end."
            }
        }
    }
}

impl Provider {
    /// Whether a browser, or a script's answer, may go to this address though no document lists it.
    pub fn lets_pass(&self, uri: &str) -> bool {
        self.rules.lets_pass(uri)
    }

    /// The client of this id; made where it is not there, and the realm lets that pass.
    pub async fn client_or_made(&self, id: &str, now: Timestamp) -> Result<Option<Arc<Client>>, Failure> {
        match self.registry.client(id).await? {
            None => self.make_client(id, None, now).await,
            known => Ok(known),
        }
    }

    /// Makes a client that a request names and nobody knows, where the realm lets that pass. It may do all that is served, with
    /// JWTs and refresh tokens; until it shows a secret it is a public one.
    pub(super) async fn make_client(
        &self,
        id: &str,
        redirect_uri: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<Arc<Client>>, Failure> {
        if !self.rules.is_permissive() || !is_id(id) {
            return Ok(None);
        }
        let redirect_uris: Vec<&str> = redirect_uri.into_iter().filter(|uri| stays_on_the_machine(uri)).collect();
        // A dialect says what is usual where it is; here JWTs and refresh tokens are what most applications expect.
        let (jwt, refreshed) = match self.dialect() {
            Some(_) => (json!({}), json!({})),
            None => (json!({ "token_format": "jwt" }), json!({ "token_format": "jwt", "refresh_token": true })),
        };
        let mut by_code = refreshed.clone();
        if !redirect_uris.is_empty() {
            by_code["redirect_uris"] = json!(redirect_uris);
        }
        let body = json!({
            "registration": "on_demand",
            "grant_types": GrantType::ALL.map(GrantType::name),
            "response_types": RESPONSE_TYPES,
            "introspect": "any",
            "auth": {
                "authorization_code": by_code, "password": refreshed, "client_credentials": jwt, "implicit": jwt,
            },
        });
        let draft = Draft { kind: "Client", id, body, secrets: json!({}), names: &[] };
        match self.store.make(draft, MOST_MADE, now).await? {
            Made::Full => Err(Refused::invalid_client("there are too many clients that were made on demand")
                .compared("clients that were made on demand", "10000 at the most", "as many")
                .fix("POST /dev/reset, or delete some; a test that makes up a client_id for each request soon has them all.")
                .into()),
            Made::There | Made::NameTaken => Ok(self.registry.client(id).await?),
        }
    }

    /// The client with the first secret that it shows, which is its own from now on.
    pub(super) async fn adopt_secret(
        &self,
        client: Arc<Client>,
        secret: &Secret,
        now: Timestamp,
    ) -> Result<Arc<Client>, Internal> {
        if !client.is_on_demand() || !self.rules.is_permissive() {
            return Ok(client);
        }
        self.store.adopt_secret(&client.id, &fast_form(secret), now).await?;
        self.registry.expire();
        Ok(self.registry.client(&client.id).await?.unwrap_or(client))
    }

    /// What a request asks for by name, and what a test has given to the sign-in that it is.
    pub(super) fn with_given_claims(&self, mut claims: RequestedClaims, user_id: &str) -> RequestedClaims {
        if let Some(given) = self.rules.leeway.as_ref().and_then(|leeway| leeway.take_next(user_id)) {
            claims.given = given.into_map();
        }
        claims
    }

    /// Says, among the claims about a person, what a test has given to them: to the person first, then to the sign-in.
    pub(super) fn put_given_claims(
        &self,
        user_id: &str,
        of_sign_in: &Map<String, Value>,
        claims: &mut Map<String, Value>,
    ) {
        if let Some(leeway) = &self.rules.leeway {
            leeway.put_claims(user_id, claims);
            leeway::put(of_sign_in, claims);
        }
    }
}

/// A client that was made on demand proves itself by nothing but the first secret that it showed.
pub(super) fn another_secret(client: &Client) -> Option<&'static str> {
    client.is_on_demand().then_some(
        "The client was made on demand (--permissive), and the first secret that it showed is its secret. Send that one, DELETE /Client/ID to begin anew, or POST /dev/reset.",
    )
}

/// RFC 9700 §2.1.1: a public client uses PKCE. Of one that was made on demand it is known here at the soonest that it is public.
pub(super) fn proves_nothing(client: &Client) -> Refused {
    Refused::new(ErrorCode::InvalidGrant, "a client without a secret must use PKCE")
        .passed("client_id", Told::public(&client.id))
        .compared("what the client shows", "its secret, or the code_verifier of the flow", "neither")
        .fix("Send client_secret if the application has one; else send code_challenge and code_challenge_method=S256 with the authorization request, and code_verifier here.")
}

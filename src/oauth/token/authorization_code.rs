//! The authorization code grant's second half (RFC 6749 §4.1.3): a code becomes tokens.

use super::TokenRequest;
use super::issue::{Minting, TokenResponse, opaque_token};
use crate::domain::bearer::{Bearer, Kind};
use crate::domain::claims::RequestedClaims;
use crate::domain::client::{Client, GrantType};
use crate::domain::pkce::CodeVerifier;
use crate::domain::scope::{OPENID, Scope};
use crate::domain::user::User;
use crate::oauth::explanation::Told;
use crate::oauth::on_demand::proves_nothing;
use crate::oauth::{Failure, Provider, Refused, resource};
use crate::store::codes::Code;
use crate::store::redemption::{Redeemed, Redemption};

const GRANT: GrantType = GrantType::AuthorizationCode;

impl Provider {
    pub(super) async fn authorization_code(&self, request: &TokenRequest<'_>) -> Result<TokenResponse, Failure> {
        let proven = self.client_for(request, GRANT).await?;
        let (client, params, now) = (&*proven.client, request.params, request.now);
        let code = params.required("code")?;
        let verifier = match params.text("code_verifier") {
            None => None,
            Some(text) => Some(CodeVerifier::parse(text).ok_or_else(|| {
                Refused::invalid_grant(
                    "code_verifier must be 43 to 128 letters, digits, - . _ or ~ (RFC 7636 section 4.1)",
                )
                .compared("code_verifier", "43 to 128 letters, digits, - . _ or ~", "(another text, not shown)")
                .fix("Send the code_verifier whose S256 was the code_challenge, not the challenge and not its bytes.")
            })?),
        };
        if verifier.is_none() && client.is_on_demand() && !proven.authenticated {
            return Err(proves_nothing(client).into());
        }
        let challenge = verifier.map(|verifier| verifier.challenge());
        let code = Bearer::parse(Kind::AuthorizationCode, code).ok_or_else(|| {
            no_such_code()
                .compared("code", "one that this server issued", "(another text, not shown)")
                .fix("Send the code of the redirect as it came, decoded once.")
        })?;

        let resources = resource::requested(client, GRANT, params)?;
        let flow = client.flow(GRANT);
        let id = self.randomness.row_id("sessions");
        let opaque = opaque_token(flow, id, &self.randomness);
        let refresh = self.randomness.bearer(Kind::RefreshToken, id);
        let lifetimes = self.lifetimes(flow, now);
        let audience = self.default_audience(client, GRANT).join(" ");
        if let Some(resources) = &resources
            && let Some(kept) = self.store.code(code.id()).await?
        {
            resource::within(resources, kept.resource.as_deref().unwrap_or(&audience))?;
        }
        let recipient = match self.recipient(client, client.id_token_encryption(), now).await {
            Err(why) if self.store.code(code.id()).await?.is_some_and(|kept| kept.id_token) => return Err(why.into()),
            found => found.unwrap_or_default(),
        };
        let redemption = Redemption {
            id: code.id(),
            digest: code.digest(),
            client_id: client.id.clone(),
            client_epoch: client.epoch,
            redirect_uri: params.text("redirect_uri").map(str::to_owned),
            code_challenge: challenge.map(|challenge| challenge.as_str().to_owned()),
            session_id: id,
            token_digest: opaque.as_ref().map(Bearer::digest),
            token_expires_at: lifetimes.access,
            audience,
            resource: resources.map(|resources| resources.join(" ")),
            refresh_digest: refresh.digest(),
            refresh_expires_at: lifetimes.refresh,
            refresh_limit: lifetimes.refresh_limit,
            refresh_always: flow.refresh_token == Some(true),
            refresh_if_asked: flow.refresh_token.is_none(),
            now,
        };
        let Some(redeemed) = self.store.redeem_code(redemption.clone()).await? else {
            return Err(self.why_not(&code, client, &redemption).await?.into());
        };
        let Redeemed { code, person_active: true, refreshable, person: Some(person), person_updated_at } = redeemed
        else {
            return Err(Refused::invalid_grant("User is inactive")
                .passed("code", "issued to this client, and not used before")
                .compared("the user of the code", "active", "switched off")
                .fix("Set active to true in the User document: `countersign user enable ID`.")
                .into());
        };
        let audience: Vec<String> = redemption.audience(&code).split(' ').map(str::to_owned).collect();
        let user = User {
            id: code.user_id,
            active: true,
            epoch: code.user_epoch,
            updated_at: person_updated_at.unwrap_or_default(),
            body: person.0,
        };
        let granted = Scope::from_words(code.scope.split(' ').filter(|word| !word.is_empty()));
        let scope = self.still_allowed(client, Some(&user), &granted, id).await?;
        tracing::info!(event = "tokens_issued", grant = GRANT.name(), client = %client.id, user = %user.id, session = %id);
        let minting = Minting {
            client,
            grant: GRANT,
            user: Some(&user),
            id,
            scope: &scope,
            audience: &audience,
            auth_time: Some(code.auth_time),
            issued_at: now,
            expires_at: lifetimes.access,
            opaque: opaque.as_ref(),
            refresh: refreshable.then_some(&refresh),
            id_token: code.id_token && (scope.contains(OPENID) || !granted.contains(OPENID)),
            login: Some(code.login_id),
            nonce: code.nonce.as_deref(),
            claims: RequestedClaims::stored(code.claims.as_deref()),
            recipient,
        };
        Ok(self.mint(&minting, now).await?)
    }

    /// Tells why a code was not to be had, and has the consequence of a replay committed before it is refused.
    async fn why_not(&self, presented: &Bearer, client: &Client, r: &Redemption) -> Result<Refused, Failure> {
        let Some(code) = self.store.code(presented.id()).await? else {
            return Ok(no_such_code()
                .compared("code", "one that is kept", "unknown: of another server or database, or long gone")
                .fix("Redeem the code at the server that issued it, within a minute; begin the flow anew."));
        };
        // A guess at the secret part, or another client: neither learns whether the code exists, nor burns it.
        if !presented.digest().matches(&code.digest) || code.client_id != client.id || code.client_epoch != client.epoch
        {
            let (expected, found) = if code.client_id == client.id {
                ("the code as it was issued, to this client as it is now", "altered, or the client has changed since")
            } else {
                ("one that was issued to this client", "issued to another client")
            };
            return Ok(no_such_code()
                .passed("client_id", Told::public(&client.id))
                .compared("code", expected, found)
                .fix("Redeem the code as the client_id of the authorization request, as it came; else begin the flow anew."));
        }
        if let Some(mismatch) = mismatch(&code, r) {
            return Ok(mismatch);
        }
        // RFC 6749 §4.1.2: a code used twice ends every token that came from it.
        if let (Some(_), Some(session)) = (code.claimed_at, code.root()) {
            self.store.end_family(session, r.now).await?;
            tracing::warn!(event = "code_replayed", client = %client.id, user = %code.user_id, session = %session, "its tokens are revoked");
            return Ok(Refused::invalid_grant("the code was used before; the tokens that came from it are revoked")
                .passed("code", "issued to this client")
                .compared("uses of the code", "none before", "used before")
                .fix("Redeem a code once: look for a retry, a page that is loaded twice, or two handlers of one callback."));
        }
        if code.expires_at > r.now {
            return Ok(Refused::invalid_grant("the user has signed out since the code was issued")
                .passed("code", "issued to this client, and not used before")
                .compared("the login of the code", "one that lasts", "ended, or of a user who has changed or is gone")
                .fix("Begin the flow anew."));
        }
        Ok(Refused::invalid_grant("the code has expired; it lives 60 seconds")
            .passed("code", "issued to this client, and not used before")
            .passed("the time of this server", r.now.0)
            .compared("the end of the code", "later than that", code.expires_at.0)
            .fix("Redeem the code at once; it lives 60 seconds."))
    }
}

/// What of the request does not fit the code (RFC 6749 §4.1.3, RFC 7636 §4.6).
fn mismatch(code: &Code, r: &Redemption) -> Option<Refused> {
    let refused = |text: &str| Some(Refused::invalid_grant(text).passed("code", "issued to this client"));
    match (r.redirect_uri.as_deref(), r.code_challenge.as_deref(), code.code_challenge.as_deref()) {
        (Some(uri), ..) if uri != code.redirect_uri => {
            refused("redirect_uri is not the one of the authorization request").map(|why| {
                why.compared("redirect_uri", Told::public(&code.redirect_uri), Told::public(uri))
                    .fix("Send the redirect_uri of the authorization request, to the letter.")
            })
        }
        (None, ..) if code.redirect_required => {
            refused("redirect_uri is missing; it was sent with the authorization request and must be repeated").map(
                |why| {
                    why.compared("redirect_uri", Told::public(&code.redirect_uri), "(not sent)")
                        .fix("Repeat redirect_uri in the token request (RFC 6749 section 4.1.3), or use PKCE.")
                },
            )
        }
        (_, None, Some(kept)) => {
            refused("code_verifier is missing; the authorization request had a code_challenge").map(|why| {
                why.passed("code_challenge of the authorization request", Told::public(kept))
                    .compared("code_verifier", "the one that the code_challenge was made of", "(not sent)")
                    .fix("Send code_verifier; keep it in the browser's session while the person signs in.")
            })
        }
        (_, Some(_), None) => {
            refused("code_verifier was sent, but the authorization request had no code_challenge").map(|why| {
                why.compared("code_challenge of the authorization request", "S256 of the code_verifier", "(not sent)")
                    .fix("Send code_challenge and code_challenge_method=S256 with the authorization request.")
            })
        }
        (_, Some(sent), Some(kept)) if sent != kept => {
            refused("code_verifier does not fit the code_challenge of the authorization request").map(|why| {
                why.compared("S256 of the code_verifier", Told::public(kept), Told::public(sent))
                    .fix("Send the code_verifier of the same flow, and make code_challenge as base64url(SHA-256(code_verifier)) without padding.")
            })
        }
        _ => None,
    }
}

fn no_such_code() -> Refused {
    Refused::invalid_grant("there is no such code for this client")
}

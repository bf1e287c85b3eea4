//! The refresh grant (RFC 6749 §6), with rotation (RFC 9700 §4.14.2).
//!
//! Each use spends the token and returns a successor that is derived from it. For a few seconds, and only until that successor
//! is used, the spent one returns the same successor again: a lost answer, a retry or a second tab signs nobody out, and
//! nothing readable is stored. Any later use of a spent token means that two parties hold it: the whole family ends.

use uuid::Uuid;

use super::issue::{Minting, TokenResponse};
use super::{TokenRequest, requested_scope};
use crate::domain::bearer::{Bearer, Kind};
use crate::domain::claims::RequestedClaims;
use crate::domain::client::{Client, GrantType};
use crate::domain::internal::Internal;
use crate::domain::scope::Scope;
use crate::domain::time::Timestamp;
use crate::oauth::encryption::Recipient;
use crate::oauth::explanation::Told;
use crate::oauth::{ErrorCode, Failure, Provider, Refused, resource};
use crate::store::rotation::Rotation;
use crate::store::sessions::{Found, Session};

impl Provider {
    pub(super) async fn refresh_token(&self, request: &TokenRequest<'_>) -> Result<TokenResponse, Failure> {
        let proven = self
            .authenticate_client(
                request.basic,
                request.params,
                request.address,
                Some(GrantType::AuthorizationCode),
                request.now,
            )
            .await?;
        let (client, now) = (&*proven.client, request.now);
        let presented = request.params.required("refresh_token")?;
        let presented = Bearer::parse(Kind::RefreshToken, presented).ok_or_else(|| {
            no_such_token()
                .compared("refresh_token", "one that this server issued", "(another text, not shown)")
                .fix("Send the refresh_token of the last answer as it came; an access token is none.")
        })?;
        // The settings are those of the grant that the family began with. Only a scope, or a client that may use several grants,
        // need a look at the row: the common case has no read before its one write.
        let grant = self.grant_of(&presented, client).await?;
        let scope = match request.params.text("scope") {
            None => None,
            Some(text) => Some(self.refreshed_scope(&presented, client, grant, text).await?),
        };
        // RFC 8707 §2.2: a refresh may name some of the resources that the tokens are for; from then on they are for those.
        let resources = resource::requested(client, grant, request.params)?;
        if let Some(resources) = &resources {
            let session = self.genuine(&presented, client).await?.ok_or_else(not_of_client)?;
            resource::within(resources, &session.audience)?;
        }
        let recipient = match self.recipient(client, client.id_token_encryption(), now).await {
            Err(why) if self.genuine(&presented, client).await?.is_some_and(|session| session.id_token) => {
                return Err(why.into());
            }
            found => found.unwrap_or_default(),
        };
        let successor = self.randomness.row_id("sessions");
        let lifetimes = self.lifetimes(client.flow(grant), now);
        let next = self.successor(&presented, client, grant, successor);
        let rotation = Rotation {
            id: presented.id(),
            digest: presented.digest(),
            client_id: client.id.clone(),
            client_epoch: client.epoch,
            kind: grant.name(),
            scope: scope.as_ref().map(ToString::to_string),
            successor,
            token_digest: next.access.as_ref().map(Bearer::digest),
            refresh_digest: next.refresh.digest(),
            token_expires_at: lifetimes.access,
            refresh_expires_at: lifetimes.refresh,
            now,
        };
        match self.store.rotate(rotation).await? {
            Some(mut made) => {
                if let Some(audience) =
                    resources.map(|resources| resources.join(" ")).filter(|one| *one != made.session.audience)
                {
                    self.store.narrow_audience(successor, &audience).await?;
                    made.session.audience = audience;
                }
                tracing::info!(event = "tokens_refreshed", client = %client.id, user = made.session.user_id, session = %successor);
                self.answer(client, grant, made, &next, recipient, now).await
            }
            None => self.retried(&presented, client, grant, recipient, now).await,
        }
    }

    /// A token that is spent, expired or was never ours: the same successor again, the end of the family, or a plain no.
    async fn retried(
        &self,
        presented: &Bearer,
        client: &Client,
        grant: GrantType,
        recipient: Option<Recipient<'_>>,
        now: Timestamp,
    ) -> Result<TokenResponse, Failure> {
        let Some(found) = self.store.session(presented.id()).await? else { return Err(not_of_client().into()) };
        let session = &found.session;
        let genuine = session.refresh_digest.as_deref().is_some_and(|stored| presented.digest().matches(stored));
        if !genuine || session.client_id.as_deref() != Some(&client.id) || session.client_epoch != Some(client.epoch) {
            return Err(not_of_client().into());
        }
        if session.kind != grant.name() {
            return Err(not_allowed(&session.kind).into());
        }
        if !found.live {
            return Err(Refused::invalid_grant("the session of this refresh token has ended")
                .passed("refresh_token", "issued to this client")
                .compared(
                    "its session",
                    "one that lasts",
                    "ended: signed out, revoked, or the user or client has changed",
                )
                .fix("Have the person sign in anew.")
                .into());
        }
        let (Some(rotated_at), Some(successor)) = (session.rotated_at, session.successor) else {
            return Err(Refused::invalid_grant("the refresh token has expired, or the person has signed out")
                .passed("refresh_token", "issued to this client, and not used before")
                .passed("the time of this server", now.0)
                .compared("the end of the refresh token", "later than that", session.refresh_expires_at.map_or(0, |at| at.0))
                .fix("Have the person sign in anew; auth.GRANT.refresh_token_expiration of the Client document and --max-refresh-token-expiration say how long they live.")
                .into());
        };
        let grace = client.flow(grant).refresh_grace.unwrap_or(self.rules.refresh_grace);
        // No grace is none, even on a node whose clock is behind the one that rotated.
        if grace > 0
            && rotated_at.until(now) < grace
            && let Some(made) = self.store.session(successor).await?
            && made.live
            && made.session.rotated_at.is_none()
        {
            let next = self.successor(presented, client, grant, successor);
            return self.answer(client, grant, made, &next, recipient, now).await;
        }
        // RFC 9700 §4.14.2: a spent token that comes back was stolen, or its successor was; nobody can tell which.
        self.store.end_family(session.family, now).await?;
        tracing::warn!(
            event = "refresh_token_reused", client = %client.id, user = session.user_id, session = %session.id, family = %session.family,
            "all tokens of this family are revoked"
        );
        Err(Refused::invalid_grant("the refresh token was used before; the tokens of this session are revoked")
            .passed("refresh_token", "issued to this client")
            .passed("the time of this server", now.0)
            .compared("first used at", "never, or within the grace", rotated_at.0)
            .fix("Keep the refresh_token of every answer and send the newest, once; of two workers that share one, let one refresh. --refresh-grace covers retries.")
            .into())
    }

    async fn answer(
        &self,
        client: &Client,
        grant: GrantType,
        made: Found,
        next: &Next,
        recipient: Option<Recipient<'_>>,
        now: Timestamp,
    ) -> Result<TokenResponse, Failure> {
        let (session, user, _) = made.apart();
        let scope = self.still_allowed(client, user.as_ref(), &words(&session.scope), session.id).await?;
        let audience: Vec<String> = words(&session.audience).words().map(str::to_owned).collect();
        let minting = Minting {
            client,
            grant,
            user: user.as_ref(),
            id: session.id,
            scope: &scope,
            audience: &audience,
            auth_time: session.auth_time,
            issued_at: session.created_at,
            expires_at: session.token_expires_at,
            opaque: next.access.as_ref(),
            refresh: Some(&next.refresh),
            id_token: session.has_id_token(&scope),
            login: session.parent,
            // Core §12.2: the ID token of a refresh should have no nonce.
            nonce: None,
            claims: RequestedClaims::stored(session.claims.as_deref()),
            recipient,
        };
        Ok(self.mint(&minting, now).await?)
    }

    fn successor(&self, presented: &Bearer, client: &Client, grant: GrantType, id: Uuid) -> Next {
        let derive = |kind| presented.derive(&self.refresh_key, kind, id);
        Next {
            access: (!client.flow(grant).is_jwt()).then(|| derive(Kind::AccessToken)),
            refresh: derive(Kind::RefreshToken),
        }
    }

    /// The grant that the family began with, as far as the client may still use it (RFC 9700 §4.14.2): the only one that it may
    /// use, which the rotation then insists on, or the one of the row.
    async fn grant_of(&self, presented: &Bearer, client: &Client) -> Result<GrantType, Failure> {
        let code = client.allows(GrantType::AuthorizationCode);
        let password = self.rules.password_grant && client.allows(GrantType::Password);
        match (code, password) {
            (true, false) => Ok(GrantType::AuthorizationCode),
            (false, true) => Ok(GrantType::Password),
            (true, true) => {
                let session = self.genuine(presented, client).await?.ok_or_else(not_of_client)?;
                GrantType::named(&session.kind).ok_or_else(|| not_of_client().into())
            }
            (false, false) => {
                let session = self.genuine(presented, client).await?.ok_or_else(not_of_client)?;
                Err(not_allowed(&session.kind).into())
            }
        }
    }

    /// RFC 6749 §6: a refresh may ask for less than was granted. For more only where the client's document says so, and then
    /// no more than the person has consented to for this client.
    async fn refreshed_scope(
        &self,
        presented: &Bearer,
        client: &Client,
        grant: GrantType,
        text: &str,
    ) -> Result<Scope, Failure> {
        let requested = requested_scope(client, Some(text))?;
        let Some(session) = self.genuine(presented, client).await? else { return Err(not_of_client().into()) };
        if requested.is_within(&words(&session.granted_scope)) {
            return Ok(requested);
        }
        if !client.flow(grant).refresh_scope_from_grant {
            return Err(Refused::new(
                ErrorCode::InvalidScope,
                "a refresh may ask for no scope beyond those granted (RFC 6749 section 6)",
            )
            .compared("scope", Told::public(&session.granted_scope), Told::public(text))
            .fix("Leave scope out, or ask for less; a new authorization request may ask for more.")
            .into());
        }
        let consented = match &session.user_id {
            Some(user_id) => self.store.consented(user_id, &client.id).await?.unwrap_or_default().scope,
            None => Scope::default(),
        };
        if requested.is_within(&consented.union(&words(&session.granted_scope))) {
            Ok(requested)
        } else {
            Err(Refused::new(ErrorCode::InvalidScope, "the user has not consented to this scope for this client")
                .compared(
                    "scope",
                    Told::public(&consented.union(&words(&session.granted_scope)).to_string()),
                    Told::public(text),
                )
                .fix("Have the person consent in a new authorization request.")
                .into())
        }
    }

    async fn genuine(&self, presented: &Bearer, client: &Client) -> Result<Option<Session>, Internal> {
        let found = self.store.session(presented.id()).await?.map(|found| found.session);
        Ok(found.filter(|session| {
            session.refresh_digest.as_deref().is_some_and(|stored| presented.digest().matches(stored))
                && session.client_id.as_deref() == Some(&client.id)
        }))
    }
}

/// What a refresh hands out.
struct Next {
    access: Option<Bearer>,
    refresh: Bearer,
}

fn words(text: &str) -> Scope {
    Scope::from_words(text.split(' ').filter(|word| !word.is_empty()))
}

fn not_allowed(grant: &str) -> Refused {
    let text = format!("this token came from {grant}, which is off on this server or not in the client's grant_types");
    Refused::new(ErrorCode::UnauthorizedClient, text)
        .compared("the grant of the refresh token", "one of the client's grant_types that is on", Told::public(grant))
        .fix(
            "Add the grant to grant_types of the Client document; the password grant needs --allow-grant password too.",
        )
}

fn no_such_token() -> Refused {
    Refused::invalid_grant("there is no such refresh token for this client")
}

fn not_of_client() -> Refused {
    no_such_token()
        .compared("refresh_token", "one that was issued to this client as it is now", "unknown, altered, or of another client")
        .fix("Send the refresh_token as the client that it was issued to; when the client's secret or rights were reset, sign in anew.")
}

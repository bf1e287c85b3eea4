//! The resource owner password credentials grant (RFC 6749 §4.3): for clients that list it, where the operator allows it.

use super::issue::{Minting, TokenResponse, opaque_token};
use super::{TokenRequest, requested_scope, scope_for_user};
use crate::domain::bearer::Kind;
use crate::domain::claims::RequestedClaims;
use crate::domain::client::GrantType;
use crate::domain::scope::{OFFLINE_ACCESS, OPENID};
use crate::identity::sign_in::{Attempt, Refused as NotSignedIn};
use crate::oauth::{ErrorCode, Failure, Provider, Refused, resource};
use crate::store::sessions::Session;

const GRANT: GrantType = GrantType::Password;

impl Provider {
    pub(super) async fn password(&self, request: &TokenRequest<'_>) -> Result<TokenResponse, Failure> {
        let (params, now) = (request.params, request.now);
        if !self.rules.password_grant {
            let text =
                "the password grant is off on this server; its operator can turn it on with --allow-grant password";
            return Err(Refused::new(ErrorCode::UnsupportedGrantType, text)
                .compared("--allow-grant", "password", "(not set)")
                .fix("Start the server with --allow-grant password; better, use the authorization code grant.")
                .into());
        }
        let proven = self.client_for(request, GRANT).await?;
        let client = &*proven.client;
        let requested = requested_scope(client, params.text("scope"))?;
        let attempt = Attempt {
            name: params.required("username")?,
            password: params.secret("password").ok_or_else(|| {
                Refused::invalid_request("password is missing")
                    .compared("password", "the person's password", "(not sent)")
                    .fix("Send password in the body.")
            })?,
            address: request.address,
            known_user: None,
            now,
        };
        let user = self.sign_in.with_password(attempt).await.map_err(not_signed_in)?;
        let scope = scope_for_user(&user, &requested);

        let flow = client.flow(GRANT);
        let id = self.randomness.row_id("sessions");
        let lifetimes = self.lifetimes(flow, now);
        let opaque = opaque_token(flow, id, &self.randomness);
        let refreshable = flow.refresh_token.unwrap_or_else(|| scope.contains(OFFLINE_ACCESS));
        let refresh = refreshable.then(|| self.randomness.bearer(Kind::RefreshToken, id));
        let audience =
            resource::requested(client, GRANT, params)?.unwrap_or_else(|| self.default_audience(client, GRANT));
        let id_token = scope.contains(OPENID);
        let encryption = client.id_token_encryption().filter(|_| id_token);
        let recipient = self.recipient(client, encryption, now).await?;
        let claims = self.with_given_claims(RequestedClaims::default(), &user.id);
        let minting = Minting {
            client,
            grant: GRANT,
            user: Some(&user),
            id,
            scope: &scope,
            audience: &audience,
            auth_time: Some(now),
            issued_at: now,
            expires_at: lifetimes.access,
            opaque: opaque.as_ref(),
            refresh: refresh.as_ref(),
            id_token,
            login: None,
            nonce: None,
            claims,
            recipient,
        };
        let session = Session {
            refresh_expires_at: lifetimes.refresh,
            refresh_limit: lifetimes.refresh_limit,
            claims: minting.claims.to_stored(),
            ..minting.row()
        };
        self.store.insert_session(session).await?;
        tracing::info!(event = "tokens_issued", grant = GRANT.name(), client = %client.id, user = %user.id, session = %id);
        Ok(self.mint(&minting, now).await?)
    }
}

/// RFC 6749 §5.2: whatever is wrong with the credentials is `invalid_grant`. Aidbox's own words for an inactive user.
pub fn not_signed_in(why: NotSignedIn) -> Failure {
    match why {
        NotSignedIn::WrongCredentials => Refused::invalid_grant("wrong user name or password")
            .compared(
                "username and password",
                "those of a User document",
                "no such user, or another password (not shown)",
            )
            .fix("Check both; set a password with `countersign user password NAME`.")
            .into(),
        NotSignedIn::Throttled(seconds) => {
            let mut refused =
                Refused::invalid_grant(format!("too many failed sign-ins; try again in {seconds} seconds"))
                    .compared("failed sign-ins in 15 minutes", "5 for one account, 50 from one network", "more")
                    .fix("Wait; the right password is refused until then too.");
            refused.retry_after = Some(seconds);
            refused.into()
        }
        NotSignedIn::CannotBeMade(why) => Refused::invalid_grant(why)
            .compared("username", "one that a user can be made of", "(another, not shown)")
            .fix("Users are made on demand (--permissive), of names that a page can show and up to a limit: take another name, or reset.")
            .into(),
        NotSignedIn::Inactive => Refused::invalid_grant("User is inactive")
            .passed("username and password", "right")
            .compared("the user", "active", "switched off")
            .fix("Set active to true in the User document: `countersign user enable ID`.")
            .into(),
        NotSignedIn::SecondFactor => {
            Refused::invalid_grant("this user signs in with a second factor, which the password grant cannot ask for")
                .passed("username and password", "right")
                .compared("the user's second factor", "none", "one is set")
                .fix("Use the authorization code grant, or remove the second factor from the User document.")
                .into()
        }
        NotSignedIn::Internal(internal) => Failure::Internal(internal),
    }
}

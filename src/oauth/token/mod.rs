//! The token endpoint (RFC 6749 §3.2): the client proves itself, a grant is spent, tokens are issued.
//!
//! A grant's own rules are in the file of its name; what they share is here and in [`issue`].

mod authorization_code;
mod client_credentials;
pub mod forge;
pub mod issue;
mod password;
mod refresh_token;

use std::net::IpAddr;

use uuid::Uuid;

use super::client_authentication::{Basic, Proven};
use super::explanation::Told;
use super::{ErrorCode, Failure, Params, Provider, Refused};
use crate::domain::client::{Client, GrantType};
use crate::domain::internal::Internal;
use crate::domain::scope::{ADMIN, OFFLINE_ACCESS, Scope};
use crate::domain::time::Timestamp;
use crate::domain::user::User;
pub use issue::TokenResponse;
pub use password::not_signed_in;

/// A token request, read but not yet believed.
#[derive(Debug)]
pub struct TokenRequest<'a> {
    /// The credentials of the `Authorization` header.
    pub basic: Option<&'a Basic>,
    /// The body.
    pub params: &'a Params,
    /// Where it comes from.
    pub address: IpAddr,
    /// The present.
    pub now: Timestamp,
}

impl Provider {
    /// Answers `POST /oauth2/token`.
    pub async fn token(&self, request: &TokenRequest<'_>) -> Result<TokenResponse, Failure> {
        request.params.refuse_repeated()?;
        match request.params.required("grant_type")? {
            "authorization_code" => self.authorization_code(request).await,
            "refresh_token" => self.refresh_token(request).await,
            "client_credentials" => self.client_credentials(request).await,
            "password" => self.password(request).await,
            other => Err(Refused::new(
                ErrorCode::UnsupportedGrantType,
                format!("grant_type {other} is not served here; it can be authorization_code, refresh_token, client_credentials or password"),
            )
            .compared("grant_type", "authorization_code, refresh_token, client_credentials or password", request.params.told("grant_type"))
            .fix("Send a grant_type that this server serves; discovery lists them in grant_types_supported.")
            .into()),
        }
    }

    /// What is left of a granted scope. Client or user may have less than when it was granted; whoever looks at the token must see
    /// that too.
    async fn still_allowed(
        &self,
        client: &Client,
        user: Option<&User>,
        granted: &Scope,
        session: Uuid,
    ) -> Result<Scope, Internal> {
        let allowed = allowed_scope(client, granted);
        let allowed = user.map_or_else(|| allowed.clone(), |user| scope_for_user(user, &allowed));
        if allowed != *granted {
            self.store.narrow_token(session, &allowed.to_string()).await?;
        }
        Ok(allowed)
    }

    /// The client of a request, proven, for a grant that its document lists.
    async fn client_for(&self, request: &TokenRequest<'_>, grant: GrantType) -> Result<Proven, Failure> {
        let TokenRequest { basic, params, address, now } = *request;
        let proven = self.authenticate_client(basic, params, address, Some(grant), now).await?;
        if proven.client.allows(grant) {
            return Ok(proven);
        }
        let text = format!("this client's grant_types do not list {}", grant.name());
        let listed =
            Told::list(GrantType::ALL.into_iter().filter(|one| proven.client.allows(*one)).map(GrantType::name));
        Err(Refused::new(ErrorCode::UnauthorizedClient, text)
            .passed("client_id", Told::public(&proven.client.id))
            .compared("grant_type", listed, Told::public(grant.name()))
            .fix("Add the grant to grant_types of the Client document.")
            .into())
    }
}

/// The scope of a request, as far as the client's document allows it. What the document does not list is refused rather than
/// dropped, so that nobody is surprised later; `offline_access` needs no listing, and `admin` always does.
pub fn requested_scope(client: &Client, text: Option<&str>) -> Result<Scope, Refused> {
    let invalid = |text: String| Refused::new(ErrorCode::InvalidScope, text);
    let requested = Scope::parse(text.unwrap_or_default()).ok_or_else(|| unreadable_scope(text.unwrap_or_default()))?;
    let allowed = allowed_scope(client, &requested);
    if let Some(word) = requested.words().find(|word| !allowed.contains(word)) {
        return Err(invalid(format!(
            "the client may not ask for the scope {word}; add it to the scope list of its document"
        ))
        .passed("client_id", Told::public(&client.id))
        .compared(
            "scope",
            client.allowed_scope().map_or_else(|| "any but admin".into(), |list| Told::list(list.words())),
            Told::public(word),
        )
        .fix("Add the word to scope of the Client document, or do not ask for it."));
    }
    Ok(requested)
}

/// RFC 6749 §3.3.
pub(super) fn unreadable_scope(text: &str) -> Refused {
    Refused::new(ErrorCode::InvalidScope, "scope has a character that RFC 6749 section 3.3 does not allow")
        .compared("scope", "words with one space between them, without quotes and backslashes", Told::public(text))
        .fix("Send the words of scope with a space (or + in a form) between them, not as a list.")
}

/// The part of a scope that the client's document allows.
pub fn allowed_scope(client: &Client, scope: &Scope) -> Scope {
    let list = client.allowed_scope();
    Scope::from_words(scope.words().filter(|word| match &list {
        Some(list) => list.contains(word) || *word == OFFLINE_ACCESS,
        None => *word != ADMIN,
    }))
}

/// The part of a scope that may be granted for this person: administration only to administrators.
pub fn scope_for_user(user: &User, scope: &Scope) -> Scope {
    Scope::from_words(scope.words().filter(|word| *word != ADMIN || user.has_role(ADMIN)))
}

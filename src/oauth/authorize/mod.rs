//! The authorization endpoint (RFC 6749 §3.1, OpenID Connect Core §3.1.2): is the request sound, and what happens next?
//!
//! [`Provider::authorization_request`] proves client and redirect URI first: until then an error is a page, from then on it is
//! a redirect ([`Rejected`]). [`Provider::next_step`] then decides between signing in, asking for consent and done; the web
//! room only draws what it answers. The request itself travels in the URL and is proven anew at every step, so nothing is
//! kept of a login that is never finished.
//!
//! What a request says is read in [`request`]; every answer to a client is written in `respond`.

mod request;
mod respond;

use super::token::scope_for_user;
use super::{ErrorCode, Params, Provider, Refused};
use crate::domain::internal::Internal;
use crate::domain::scope::Scope;
use crate::domain::time::Timestamp;
use crate::identity::login::SignedIn;
pub use request::AuthorizationRequest;
pub use respond::CODE_LIFE;

/// Why an authorization request goes no further, and who is told.
#[derive(Debug)]
pub enum Rejected {
    /// Client or redirect URI is not proven: only the person may be told (RFC 6749 §4.1.2.1).
    Page(Refused),
    /// The client is told, at its redirect URI.
    Redirect(String),
    /// Our own fault.
    Internal(Internal),
}

impl<E: Into<Internal>> From<E> for Rejected {
    fn from(error: E) -> Self {
        Self::Internal(error.into())
    }
}

/// What happens next with an authorization request.
#[derive(Debug)]
pub enum Step {
    /// The person has to sign in.
    SignIn,
    /// The person has to consent; with the scopes consented to before.
    Consent(Scope),
    /// The browser goes to the client, with a code or a refusal.
    Redirect(String),
}

/// What the person has just done, as far as it matters to the next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// Nothing; the browser has come from the client.
    Nothing,
    /// Consent to this very request.
    Consent,
}

impl Provider {
    /// Reads and proves an authorization request.
    pub async fn authorization_request(&self, params: &Params) -> Result<AuthorizationRequest, Rejected> {
        let page = |text: &str| Rejected::Page(Refused::invalid_request(text));
        for name in ["client_id", "redirect_uri"] {
            if params.is_repeated(name) {
                return Err(page(&format!("{name} occurs more than once")));
            }
        }
        let client_id = params.text("client_id").ok_or_else(|| page("client_id is missing"))?;
        let client = self.registry.client(client_id).await?.filter(|client| client.active);
        let client = client.ok_or_else(|| {
            Rejected::Page(Refused::invalid_client(format!(
                "there is no client {client_id} here; register it, or check client_id"
            )))
        })?;
        let redirect_uri = request::redirect_uri(&client, params).map_err(Rejected::Page)?;
        match request::read(&client, &redirect_uri, params) {
            Ok(request) => Ok(request),
            Err(refused) => Err(Rejected::Redirect(self.error_redirect(&redirect_uri, params.text("state"), &refused))),
        }
    }

    /// What happens next: sign in, consent, or back to the client with a code.
    pub async fn next_step(
        &self,
        request: &AuthorizationRequest,
        login: Option<&SignedIn>,
        given: Given,
        now: Timestamp,
    ) -> Result<Step, Internal> {
        let Some(login) = login.filter(|login| given == Given::Consent || !request.wants_sign_in(login, now)) else {
            return Ok(match request.prompt.none {
                true => self.refuse(
                    request,
                    ErrorCode::LoginRequired,
                    "nobody is signed in, and prompt=none allows no page",
                ),
                false => Step::SignIn,
            });
        };
        let client = &request.client;
        let scope = scope_for_user(&login.user, &request.scope);
        let consented = match given {
            Given::Consent => {
                self.store.remember_consent(&login.user.id, &client.id, &scope, now).await?;
                tracing::info!(event = "consent_granted", client = %client.id, user = %login.user.id, scope = %scope);
                None
            }
            Given::Nothing if client.document.first_party && !request.prompt.consent => None,
            Given::Nothing => Some(self.store.consented_scope(&login.user.id, &client.id).await?),
        };
        if let Some(before) = consented
            && (request.prompt.consent
                || !request.reaches_its_client(self.issuer())
                || !before.as_ref().is_some_and(|before| scope.is_within(before)))
        {
            return Ok(match request.prompt.none {
                true => self.refuse(
                    request,
                    ErrorCode::ConsentRequired,
                    "the user has not consented to this, and prompt=none allows no page",
                ),
                false => Step::Consent(before.unwrap_or_default()),
            });
        }
        let code = self.issue_code(request, login, &scope, now).await?;
        Ok(Step::Redirect(self.redirect(&request.redirect_uri, request.state.as_deref(), &[("code", &code.reveal())])))
    }

    /// The person said no (RFC 6749 §4.1.2.1).
    pub fn denied(&self, request: &AuthorizationRequest) -> String {
        let refused = Refused::new(ErrorCode::AccessDenied, "the user denied the request");
        self.error_redirect(&request.redirect_uri, request.state.as_deref(), &refused)
    }

    fn refuse(&self, request: &AuthorizationRequest, code: ErrorCode, text: &str) -> Step {
        Step::Redirect(self.error_redirect(&request.redirect_uri, request.state.as_deref(), &Refused::new(code, text)))
    }
}

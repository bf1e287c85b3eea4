//! The authorization endpoint (RFC 6749 §3.1, OpenID Connect Core §3): is the request sound, and what happens next?
//!
//! [`Provider::authorization_request`] proves client and redirect URI first: until then an error is a page, from then on it
//! goes to the client ([`Rejected`]). [`Provider::next_step`] then decides between signing in, choosing an account, asking for
//! consent and done; the web room only draws what it answers. The request itself travels in the URL and is proven anew at every
//! step, so nothing is kept of a login that is never finished.
//!
//! What a request says is read in `request`, what of it the person has to do in `prompt`; every answer to a client is
//! written in `respond`.

mod prompt;
mod request;
mod respond;

use std::borrow::Cow;

use super::explanation::Told;
use super::{ErrorCode, Failure, Params, Provider, Refused};
use crate::domain::client::Registered;
use crate::domain::internal::Internal;
use crate::domain::scope::Scope;
use crate::domain::time::Timestamp;
use crate::identity::login::SignedIn;
pub use prompt::PROMPTS;
pub use request::AuthorizationRequest;
pub use respond::{AuthorizationResponse, CODE_LIFE, ReturnTo};

/// Why an authorization request goes no further, and who is told.
#[derive(Debug)]
pub enum Rejected {
    /// Client or redirect URI is not proven: only the person may be told (RFC 6749 §4.1.2.1).
    Page(Refused),
    /// The client is told, at its redirect URI.
    Client(AuthorizationResponse),
    /// The same, once the person has signed in: nobody vouches for the client.
    SignInFirst(AuthorizationResponse),
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
    /// The person has to say whether to go on as whoever is signed in.
    SelectAccount,
    /// The person has to consent; with the scopes consented to before.
    Consent(Scope),
    /// The browser goes to the client, with what it asked for or a refusal.
    Respond(AuthorizationResponse),
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
    pub async fn authorization_request(
        &self,
        params: &Params,
        now: Timestamp,
    ) -> Result<AuthorizationRequest, Rejected> {
        for name in ["client_id", "redirect_uri"] {
            if params.is_repeated(name) {
                return Err(Rejected::Page(
                    Refused::invalid_request(format!("{name} occurs more than once"))
                        .compared("how often a parameter occurs", "once", Told::public(name))
                        .fix("Send client_id and redirect_uri once."),
                ));
            }
        }
        let client_id = params.required("client_id").map_err(Rejected::Page)?;
        let client = match self.registry.current_client(client_id).await? {
            None => self.make_client(client_id, params.text("redirect_uri"), now).await.map_err(
                |failure| match failure {
                    Failure::Refused(why) => Rejected::Page(why),
                    Failure::Internal(internal) => Rejected::Internal(internal),
                },
            )?,
            known => known,
        };
        let client = client.filter(|client| client.active).ok_or_else(|| {
            Rejected::Page(
                Refused::invalid_client(format!(
                    "there is no client {client_id} here; register it, or check client_id"
                ))
                .compared("client_id", "a client that is registered here and active", Told::public(client_id))
                .fix(self.rules.fix_of_unknown_client()),
            )
        })?;
        let (params, at_fault) = match self.with_request_object(&client, params, now).await {
            Ok(resolved) => (resolved, None),
            // What is outside says whom to tell.
            Err(refused) => (Cow::Borrowed(params), Some(refused)),
        };
        let params = &*params;
        let to = ReturnTo::read(&self.rules, &client, params)
            .map_err(|why| Rejected::Page(why.of_client(Some(&client.id))))?;
        let rejected = |refused: Refused| {
            let response = self.error_response(&to, refused.of_client(Some(&client.id)));
            // RFC 9700 §4.11.2: anybody could have registered the place where this leads, to send people there under our name. They
            // sign in first, unless the client asks for no page.
            match client.is_unverified() && params.text("prompt") != Some("none") {
                true => Rejected::SignInFirst(response),
                false => Rejected::Client(response),
            }
        };
        if let Some(refused) = at_fault {
            return Err(rejected(refused));
        }
        let hint = match params.text("id_token_hint") {
            None => None,
            Some(text) => match self.id_token_hint(text).await {
                Ok(claims) => Some(claims),
                Err(Failure::Refused(refused)) => return Err(rejected(refused)),
                Err(Failure::Internal(internal)) => return Err(Rejected::Internal(internal)),
            },
        };
        request::read(&self.rules, &client, to.clone(), params, hint.as_ref()).map_err(rejected)
    }

    /// What happens next: sign in, choose, consent, or back to the client with what it asked for.
    pub async fn next_step(
        &self,
        request: &AuthorizationRequest,
        login: Option<&SignedIn>,
        given: Given,
        now: Timestamp,
    ) -> Result<Step, Internal> {
        let good = |login: &&SignedIn| {
            self.is_about(request, &login.user) && (given == Given::Consent || !request.wants_sign_in(login, now))
        };
        let Some(login) = login.filter(good) else {
            let why = "nobody is signed in whom the request could be about, or not lately enough, and prompt=none allows no page";
            return Ok(self.page_or(request, Step::SignIn, ErrorCode::LoginRequired, why));
        };
        if given == Given::Nothing && request.wants_selection(&login.user) {
            let why = "whoever is signed in may not be the person that login_hint names, and prompt=none allows no page to ask";
            return Ok(self.page_or(request, Step::SelectAccount, ErrorCode::AccountSelectionRequired, why));
        }
        let client = &request.client;
        let asked = request.asked_of(&login.user);
        let consented = match given {
            Given::Consent => {
                self.store.remember_consent(&login.user.id, &client.id, asked.clone(), now).await?;
                match client.document.registration {
                    Some(Registered::MetadataDocument) => self.registry.keep_document(&client.id, now).await?,
                    Some(Registered::OnDemand) | None => {}
                    Some(_) => self.store.keep_registration(&client.id).await?,
                }
                tracing::info!(event = "consent_granted", client = %client.id, user = %login.user.id, scope = %asked.scope);
                None
            }
            Given::Nothing if client.document.first_party && !request.prompt.consent => None,
            Given::Nothing => Some(self.store.consented(&login.user.id, &client.id).await?),
        };
        if let Some(before) = consented
            && (request.prompt.consent
                || !request.reaches_its_client(self.issuer())
                || !before.as_ref().is_some_and(|before| before.covers(&asked)))
        {
            let why = "the user has not consented to this, and prompt=none allows no page";
            let step = Step::Consent(before.unwrap_or_default().scope);
            return Ok(self.page_or(request, step, ErrorCode::ConsentRequired, why));
        }
        Ok(Step::Respond(self.issue(request, login, now).await?))
    }

    /// The page, unless the request allows none (Core §3.1.2.1, `prompt=none`).
    fn page_or(&self, request: &AuthorizationRequest, page: Step, code: ErrorCode, why: &str) -> Step {
        match request.prompt.none {
            true => {
                let page = match page {
                    Step::SignIn => "a sign-in is needed",
                    Step::SelectAccount => "a choice of the account is needed",
                    _ => "consent is needed",
                };
                let refused = Refused::new(code, why)
                    .compared("what prompt=none leaves to do", "nothing", page)
                    .fix("Nothing is wrong with a first try: send the same request without prompt=none, and the person is asked.");
                Step::Respond(self.refuse(request, refused))
            }
            false => page,
        }
    }

    /// The person said no (RFC 6749 §4.1.2.1).
    pub fn denied(&self, request: &AuthorizationRequest) -> AuthorizationResponse {
        let refused = Refused::new(ErrorCode::AccessDenied, "the user denied the request")
            .compared("the decision on the consent page", "approve", "deny")
            .fix("Nothing is wrong: the person said no. An application of your own can do without the page: first_party in the Client document.");
        self.refuse(request, refused)
    }

    /// The person has signed in as somebody whom the request is not about (Core §3.1.2.1, `id_token_hint`; §5.5.1).
    pub fn somebody_else(&self, request: &AuthorizationRequest) -> AuthorizationResponse {
        let refused = Refused::new(ErrorCode::LoginRequired, "another user than the one asked for has signed in")
            .compared("who signed in", "the user of id_token_hint, or of sub in claims", "somebody else")
            .fix("Sign in as the user that the application asks for, or leave id_token_hint and sub out.");
        self.refuse(request, refused)
    }

    fn refuse(&self, request: &AuthorizationRequest, refused: Refused) -> AuthorizationResponse {
        self.error_response(&request.return_to, refused.of_client(Some(&request.client.id)))
    }
}

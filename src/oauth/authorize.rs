//! The authorization endpoint (RFC 6749 §3.1, OpenID Connect Core §3.1.2): is the request sound, and what happens next?
//!
//! [`Provider::authorization_request`] proves client and redirect URI first: until then an error is a page, from then on it is
//! a redirect ([`Rejected`]). [`Provider::next_step`] then decides between signing in, asking for consent and done; the web
//! room only draws what it answers. The request itself travels in the URL and is proven anew at every step, so nothing is
//! kept of a login that is never finished.

use std::sync::Arc;

use super::token::{requested_scope, scope_for_user};
use super::{ErrorCode, Params, Provider, Refused, resource};
use crate::clock::new_row_id;
use crate::domain::bearer::{Bearer, Kind};
use crate::domain::client::{Client, GrantType, Registered};
use crate::domain::internal::Internal;
use crate::domain::pkce::CodeChallenge;
use crate::domain::scope::{OPENID, Scope};
use crate::domain::time::Timestamp;
use crate::identity::login::SignedIn;
use crate::store::codes::Code;

/// Life of an authorization code in seconds (RFC 6749 §4.1.2 recommends ten minutes at the most; a minute is plenty).
pub const CODE_LIFE: i64 = 60;
/// Seconds that a browser may take from the login page back to the authorization endpoint.
const WAY_BACK: i64 = 60;

/// A sound authorization request.
#[derive(Clone, Debug)]
pub struct AuthorizationRequest {
    /// Who asks.
    pub client: Arc<Client>,
    /// Where the answer goes, proven to be registered.
    pub redirect_uri: String,
    /// What it asks for.
    pub scope: Scope,
    /// The parameters to go on with: those of the request, or of its request object.
    pub params: Params,
    /// Prefills the login page.
    pub login_hint: Option<String>,
    /// The resources that it is for (RFC 8707).
    pub resources: Option<Vec<String>>,
    redirect_required: bool,
    state: Option<String>,
    code_challenge: Option<CodeChallenge>,
    nonce: Option<String>,
    id_token: bool,
    prompt: Prompt,
    max_age: Option<i64>,
}

/// `prompt` (Core §3.1.2.1).
#[derive(Clone, Copy, Debug, Default)]
struct Prompt {
    none: bool,
    login: bool,
    consent: bool,
}

/// Why an authorization request goes no further, and who is told.
#[derive(Debug)]
pub enum Rejected {
    /// Client or redirect URI is not proven: only the person may be told (RFC 6749 §4.1.2.1).
    Page(Refused),
    /// The client is told, at its redirect URI.
    Redirect(String),
    /// The same, once the person has signed in: nobody vouches for the client.
    SignInFirst(String),
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
    pub async fn authorization_request(
        &self,
        params: &Params,
        now: Timestamp,
    ) -> Result<AuthorizationRequest, Rejected> {
        let page = |text: &str| Rejected::Page(Refused::invalid_request(text));
        for name in ["client_id", "redirect_uri"] {
            if params.is_repeated(name) {
                return Err(page(&format!("{name} occurs more than once")));
            }
        }
        let client_id = params.text("client_id").ok_or_else(|| page("client_id is missing"))?;
        let client = self.registry.current_client(client_id).await?.filter(|client| client.active);
        let client = client.ok_or_else(|| {
            Rejected::Page(Refused::invalid_client(format!(
                "there is no client {client_id} here; register it, or check client_id"
            )))
        })?;
        let resolved = self.with_request_object(&client, params, now).await;
        // Where the object is at fault, what is outside says whom to tell.
        let params = resolved.as_deref().unwrap_or(params);
        let redirect_uri = redirect_uri(&client, params).map_err(Rejected::Page)?;
        match resolved.as_ref().map_err(Refused::clone).and_then(|params| read(&client, &redirect_uri, params)) {
            Ok(request) => Ok(request),
            Err(refused) => {
                let location = self.error_redirect(&redirect_uri, params.text("state"), &refused);
                // RFC 9700 §4.11.2: anybody could have registered the place where this leads, to send people there under our
                // name. They sign in first, unless the client asks for no page.
                let silent = params.text("prompt") == Some("none");
                Err(if client.is_unverified() && !silent {
                    Rejected::SignInFirst(location)
                } else {
                    Rejected::Redirect(location)
                })
            }
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
                match client.document.registration {
                    Some(Registered::MetadataDocument) => self.registry.keep_document(&client.id, now).await?,
                    Some(_) => self.store.keep_registration(&client.id).await?,
                    None => {}
                }
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

    async fn issue_code(
        &self,
        request: &AuthorizationRequest,
        login: &SignedIn,
        scope: &Scope,
        now: Timestamp,
    ) -> Result<Bearer, Internal> {
        let code = Bearer::generate(Kind::AuthorizationCode, new_row_id());
        let row = Code {
            id: code.id(),
            digest: code.digest().as_bytes().into(),
            client_id: request.client.id.clone(),
            client_epoch: request.client.epoch,
            redirect_uri: request.redirect_uri.clone(),
            redirect_required: request.redirect_required,
            code_challenge: request.code_challenge.as_ref().map(|challenge| challenge.as_str().to_owned()),
            user_id: login.user.id.clone(),
            user_epoch: login.user.epoch,
            login_id: login.id,
            shared: request.client.document.first_party,
            scope: scope.to_string(),
            resource: request.resources.as_ref().map(|resources| resources.join(" ")),
            id_token: request.id_token,
            nonce: request.nonce.clone(),
            auth_time: login.auth_time,
            expires_at: now.plus(CODE_LIFE),
            claimed_at: None,
            session_id: None,
        };
        self.store.insert_code(row).await?;
        Ok(code)
    }

    fn error_redirect(&self, redirect_uri: &str, state: Option<&str>, refused: &Refused) -> String {
        self.redirect(
            redirect_uri,
            state,
            &[("error", refused.code.as_str()), ("error_description", &refused.description)],
        )
    }

    /// The one place that writes an authorization response: the members, `state` byte for byte, and `iss` (RFC 9207 §2), each
    /// once, after whatever query the registered URI has.
    fn redirect(&self, redirect_uri: &str, state: Option<&str>, members: &[(&str, &str)]) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(members);
        query.extend_pairs(state.map(|state| ("state", state)));
        query.append_pair("iss", self.issuer());
        let separator = if redirect_uri.contains('?') { '&' } else { '?' };
        format!("{redirect_uri}{separator}{}", query.finish())
    }
}

/// Reads the rest of the request, once it is known whom to tell what is wrong with it.
fn read(client: &Arc<Client>, redirect_uri: &str, params: &Params) -> Result<AuthorizationRequest, Refused> {
    params.refuse_repeated()?;
    if params.text("registration").is_some() {
        let text = "the parameter registration is not supported";
        return Err(Refused::new(ErrorCode::RegistrationNotSupported, text));
    }
    let scope = Scope::parse(params.text("scope").unwrap_or_default()).ok_or_else(|| {
        Refused::new(ErrorCode::InvalidScope, "scope has a character that RFC 6749 section 3.3 does not allow")
    })?;
    let openid = scope.contains(OPENID);
    let id_token = response_type(params.required("response_type")?, openid)? || openid;
    if !client.allows(GrantType::AuthorizationCode) {
        let text = "this client's grant_types do not list code (authorization_code)";
        return Err(Refused::new(ErrorCode::UnauthorizedClient, text));
    }
    if params.text("response_mode").is_some_and(|mode| mode != "query") {
        return Err(Refused::invalid_request("response_mode can only be query here"));
    }
    let scope = requested_scope(client, Some(&scope.to_string()))?;
    let code_challenge = code_challenge(params)?;
    if code_challenge.is_none() && client.requires_pkce() {
        return Err(Refused::invalid_request(
            "code_challenge is missing: this client must use PKCE with code_challenge_method S256 (RFC 7636)",
        ));
    }
    let max_age = match params.text("max_age") {
        None => client.document.default_max_age,
        Some(text) => Some(
            text.parse()
                .ok()
                .filter(|age| *age >= 0)
                .ok_or_else(|| Refused::invalid_request("max_age must be a number of seconds"))?,
        ),
    };
    Ok(AuthorizationRequest {
        resources: resource::requested(client, GrantType::AuthorizationCode, params)?,
        client: Arc::clone(client),
        redirect_uri: redirect_uri.to_owned(),
        // RFC 6749 §4.1.3 wants it repeated at the token endpoint; Aidbox's own examples leave it out there, which is
        // as safe where the code is bound to a verifier, and tolerated outside OpenID Connect.
        redirect_required: params.text("redirect_uri").is_some() && openid && code_challenge.is_none(),
        scope,
        params: params.clone(),
        login_hint: params.text("login_hint").map(str::to_owned),
        state: params.text("state").map(str::to_owned),
        code_challenge,
        nonce: params.text("nonce").map(str::to_owned),
        id_token,
        prompt: prompt(params.text("prompt").unwrap_or_default())?,
        max_age,
    })
}

impl AuthorizationRequest {
    /// Whether the answer is of use to nobody but the client that was consented to: it must prove itself for tokens, or https
    /// leads to no other. Where neither is so, an earlier consent does not stand in for the person (RFC 8252 §8.6). While the
    /// issuer itself is http, for development, http stands for the https of later.
    fn reaches_its_client(&self, issuer: &str) -> bool {
        let proves_itself = !self.client.is_public() && !self.client.secret_is_optional(GrantType::AuthorizationCode);
        let development = !issuer.starts_with("https://");
        let uri = &self.redirect_uri;
        proves_itself || uri.starts_with("https://") || (development && uri.starts_with("http://"))
    }

    /// Core §3.1.2.1: `prompt=login` and `max_age` ask for a fresh sign-in; `max_age=0` is the same as `prompt=login`.
    const fn wants_sign_in(&self, login: &SignedIn, now: Timestamp) -> bool {
        self.prompt.login || matches!(self.max_age, Some(age) if age == 0 || login.auth_time.until(now) > age)
    }

    /// The parameters of the same request once the person has just signed in: what asked for that is fulfilled.
    pub fn after_sign_in(&self, params: &Params) -> Params {
        let mut params = params.clone();
        // The way back from the login page takes a moment; counted, it would ask for another sign-in, and another.
        if self.max_age.is_some_and(|age| age < WAY_BACK) {
            params = params.with("max_age", &WAY_BACK.to_string());
        }
        let Some(prompt) = params.text("prompt") else { return params };
        let rest: Vec<&str> =
            prompt.split(' ').filter(|word| !matches!(*word, "login" | "select_account" | "")).collect();
        match rest.join(" ").as_str() {
            "" => params.without("prompt"),
            rest => params.with("prompt", rest),
        }
    }
}

/// The redirect URI of the request, which must be a registered one (RFC 6749 §3.1.2.3). Without one in the request it is the
/// first registered, as Aidbox does; with `openid`, only where there is no other (Core §3.1.2.1 requires it).
fn redirect_uri(client: &Client, params: &Params) -> Result<String, Refused> {
    let registered = client.redirect_uris();
    let Some(requested) = params.text("redirect_uri") else {
        let openid = params.text("scope").unwrap_or_default().split(' ').any(|word| word == OPENID);
        return match registered.as_slice() {
            [] => Err(Refused::invalid_request(
                "the client has no redirect_uri registered, so there is nowhere to return to",
            )),
            [_, _, ..] if openid => Err(Refused::invalid_request(
                "redirect_uri is missing; the client has several, and openid requests must name one",
            )),
            [first, ..] => Ok(first.as_str().to_owned()),
        };
    };
    match registered.iter().any(|uri| uri.matches(requested)) {
        true => Ok(requested.to_owned()),
        false => Err(Refused::invalid_request(format!(
            "redirect_uri {requested} is not registered for this client; it must equal a registered one to the letter"
        ))),
    }
}

/// RFC 6749 §3.1.1: the words in any order. Answers whether an ID token is asked for. `code id_token` without the scope
/// `openid` is Aidbox's way to ask for one at the token endpoint; with it, it is the hybrid flow, which is not served.
fn response_type(text: &str, openid: bool) -> Result<bool, Refused> {
    let mut words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
    words.sort_unstable();
    match words.as_slice() {
        ["code"] => Ok(false),
        ["code", "id_token"] if !openid => Ok(true),
        _ => Err(Refused::new(
            ErrorCode::UnsupportedResponseType,
            format!("response_type {text} is not supported; use code"),
        )),
    }
}

/// RFC 7636 §4.3, method `S256` alone.
fn code_challenge(params: &Params) -> Result<Option<CodeChallenge>, Refused> {
    let method = params.text("code_challenge_method");
    let Some(text) = params.text("code_challenge") else {
        return match method {
            None => Ok(None),
            Some(_) => Err(Refused::invalid_request("code_challenge_method was sent without a code_challenge")),
        };
    };
    if method != Some("S256") {
        return Err(Refused::invalid_request(
            "code_challenge_method must be S256; plain, the default without it, is not supported",
        ));
    }
    let challenge = CodeChallenge::parse(text);
    challenge
        .map(Some)
        .ok_or_else(|| Refused::invalid_request("code_challenge must be the base64url of a SHA-256, 43 characters"))
}

fn prompt(text: &str) -> Result<Prompt, Refused> {
    let mut prompt = Prompt::default();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        match word {
            "none" => prompt.none = true,
            // There are no accounts to select from but the one that is signed in: another one is a new sign-in.
            "login" | "select_account" => prompt.login = true,
            "consent" => prompt.consent = true,
            _ => {
                return Err(Refused::invalid_request(format!(
                    "prompt {word} is unknown; it can be none, login, consent or select_account"
                )));
            }
        }
    }
    if prompt.none && (prompt.login || prompt.consent) {
        return Err(Refused::invalid_request("prompt=none cannot be combined with other values"));
    }
    Ok(prompt)
}

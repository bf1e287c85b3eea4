//! An authorization request: what it may say (RFC 6749 §4.1.1, RFC 7636 §4.3, OpenID Connect Core §3.1.2.1).

use std::sync::Arc;

use crate::domain::client::{Client, GrantType};
use crate::domain::pkce::CodeChallenge;
use crate::domain::scope::{OPENID, Scope};
use crate::domain::time::Timestamp;
use crate::identity::login::SignedIn;
use crate::oauth::token::requested_scope;
use crate::oauth::{ErrorCode, Params, Refused};

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
    /// Prefills the login page.
    pub login_hint: Option<String>,
    pub(super) redirect_required: bool,
    pub(super) state: Option<String>,
    pub(super) code_challenge: Option<CodeChallenge>,
    pub(super) nonce: Option<String>,
    pub(super) id_token: bool,
    pub(super) prompt: Prompt,
    max_age: Option<i64>,
}

/// `prompt` (Core §3.1.2.1).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Prompt {
    pub(super) none: bool,
    pub(super) login: bool,
    pub(super) consent: bool,
}

/// Reads the rest of the request, once it is known whom to tell what is wrong with it.
pub(super) fn read(client: &Arc<Client>, redirect_uri: &str, params: &Params) -> Result<AuthorizationRequest, Refused> {
    params.refuse_repeated()?;
    for (name, code) in [
        ("request", ErrorCode::RequestNotSupported),
        ("request_uri", ErrorCode::RequestUriNotSupported),
        ("registration", ErrorCode::RegistrationNotSupported),
    ] {
        if params.text(name).is_some() {
            return Err(Refused::new(code, format!("the parameter {name} is not supported")));
        }
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
        client: Arc::clone(client),
        redirect_uri: redirect_uri.to_owned(),
        // RFC 6749 §4.1.3 wants it repeated at the token endpoint; Aidbox's own examples leave it out there, which is
        // as safe where the code is bound to a verifier, and tolerated outside OpenID Connect.
        redirect_required: params.text("redirect_uri").is_some() && openid && code_challenge.is_none(),
        scope,
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
    pub(super) fn reaches_its_client(&self, issuer: &str) -> bool {
        let proves_itself = !self.client.is_public() && !self.client.secret_is_optional(GrantType::AuthorizationCode);
        let development = !issuer.starts_with("https://");
        let uri = &self.redirect_uri;
        proves_itself || uri.starts_with("https://") || (development && uri.starts_with("http://"))
    }

    /// Core §3.1.2.1: `prompt=login` and `max_age` ask for a fresh sign-in; `max_age=0` is the same as `prompt=login`.
    pub(super) const fn wants_sign_in(&self, login: &SignedIn, now: Timestamp) -> bool {
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
pub(super) fn redirect_uri(client: &Client, params: &Params) -> Result<String, Refused> {
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

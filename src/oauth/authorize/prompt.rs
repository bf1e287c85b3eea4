//! What a request wants of the person (OpenID Connect Core §3.1.2.1): a sign-in, a choice, consent, or no page at all.

use super::AuthorizationRequest;
use crate::domain::time::Timestamp;
use crate::domain::user::User;
use crate::identity::login::SignedIn;
use crate::oauth::explanation::Told;
use crate::oauth::{Params, Provider, Refused};

/// Seconds that a browser may take from the login page back to the authorization endpoint.
const WAY_BACK: i64 = 60;

/// The values of `prompt` that are served. `create` (Initiating User Registration 1.0 §4) is not: nobody registers here.
pub const PROMPTS: [&str; 4] = ["none", "login", "consent", "select_account"];

/// `prompt`.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "its words, each said or not")]
pub(super) struct Prompt {
    pub(super) none: bool,
    pub(super) login: bool,
    pub(super) consent: bool,
    select_account: bool,
}

impl Prompt {
    /// Reads the words, in any order. Core leaves it open whether an unknown one is ignored; where `prompt_values_supported` is
    /// published it is refused (Initiating User Registration 1.0 §4.1), so that nobody takes another page for the one asked for.
    pub(super) fn parse(text: &str) -> Result<Self, Refused> {
        let mut prompt = Self::default();
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            match word {
                "none" => prompt.none = true,
                "login" => prompt.login = true,
                "consent" => prompt.consent = true,
                "select_account" => prompt.select_account = true,
                _ => {
                    let text = format!("prompt {word} is not supported; it can be {}", PROMPTS.join(", "));
                    return Err(Refused::invalid_request(text)
                        .compared("prompt", Told::list(PROMPTS), Told::public(word))
                        .fix("Send prompt values that are supported, or none."));
                }
            }
        }
        if prompt.none && (prompt.login || prompt.consent || prompt.select_account) {
            return Err(Refused::invalid_request("prompt=none cannot be combined with other values")
                .compared("prompt", "none alone, or others", Told::public(text))
                .fix("Send prompt=none by itself (OpenID Connect Core section 3.1.2.1)."));
        }
        Ok(prompt)
    }
}

impl Provider {
    /// Whether an answer about this person is what was asked for: the one of `id_token_hint`, and of a `sub` that `claims` names.
    pub fn is_about(&self, request: &AuthorizationRequest, user: &User) -> bool {
        let sub = self.subject(&request.client, &user.id);
        request.hinted_sub.as_ref().is_none_or(|hinted| *hinted == sub) && request.wished.is_about(&sub)
    }
}

impl AuthorizationRequest {
    /// `prompt=login` and `max_age` ask for a fresh sign-in; `max_age=0` is the same as `prompt=login`.
    pub(super) const fn wants_sign_in(&self, login: &SignedIn, now: Timestamp) -> bool {
        self.prompt.login || matches!(self.max_age, Some(age) if age == 0 || login.auth_time.until(now) > age)
    }

    /// Whether the person is to choose between going on as `user` and signing in as somebody else: where the request says so, or
    /// hints at somebody else.
    pub(super) fn wants_selection(&self, user: &User) -> bool {
        let hinted = self.login_hint.as_deref().filter(|_| self.hinted_sub.is_none());
        self.prompt.select_account || hinted.is_some_and(|name| !user.is_called(name))
    }

    /// The parameters of the same request once the person has just signed in: what asked for that is fulfilled.
    pub fn after_sign_in(&self, params: &Params) -> Params {
        let params = without_prompts(params, &["login", "select_account"]).without("login_hint");
        // The way back from the login page takes a moment; counted, it would ask for another sign-in, and another.
        match self.max_age {
            Some(age) if age < WAY_BACK => params.with("max_age", &WAY_BACK.to_string()),
            _ => params,
        }
    }

    /// The same once the person has chosen to go on as whoever is signed in.
    pub fn after_selection(params: &Params) -> Params {
        without_prompts(params, &["select_account"]).without("login_hint")
    }

    /// The same once the person has chosen to sign in as somebody else.
    pub fn for_somebody_else(params: &Params) -> Params {
        let prompts = without_prompts(params, &["select_account", "login"]);
        let rest = prompts.text("prompt").map_or_else(|| "login".to_owned(), |rest| format!("login {rest}"));
        prompts.with("prompt", &rest)
    }
}

fn without_prompts(params: &Params, fulfilled: &[&str]) -> Params {
    let words = params.text("prompt").unwrap_or_default().split(' ');
    let rest: Vec<&str> = words.filter(|word| !word.is_empty() && !fulfilled.contains(word)).collect();
    match rest.join(" ").as_str() {
        "" => params.clone().without("prompt"),
        rest => params.clone().with("prompt", rest),
    }
}

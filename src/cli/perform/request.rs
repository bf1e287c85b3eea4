//! The client, and what it asks of the token endpoint (RFC 6749 §3.2, §5).

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};
use url::form_urlencoded::byte_serialize;

use super::args::{AuthMethod, Common, Output};
use crate::cli::Failure;
use crate::cli::issuer::{Issuer, LOCAL};
use crate::cli::output::progress;
use crate::cli::prompt::Source;
use crate::cli::wire::{Sent, Shown, Wire, tame};
use crate::domain::secret::Secret;

/// Parameters that have an option of their own, are made here, or are secret.
const OWN: [&str; 18] = [
    "grant_type",
    "response_type",
    "response_mode",
    "client_id",
    "client_secret",
    "client_assertion",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code",
    "code_verifier",
    "code_challenge",
    "code_challenge_method",
    "username",
    "password",
    "refresh_token",
    "resource",
];

/// `NAME=VALUE` of `--param`.
pub(super) fn extra(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, _)) if OWN.contains(&name) => Err(format!(
            "{name} has an option of its own, is made by this command, or is a secret that no argument may carry"
        )),
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

/// A client, ready to ask.
pub(super) struct Client {
    pub(super) id: String,
    pub(super) wire: Wire,
    /// What was discovered; nothing where the endpoints are given.
    pub(super) issuer: Option<Issuer>,
    pub(super) secret: Option<Secret>,
    pub(super) output: Output,
    pub(super) scope: String,
    pub(super) resources: Vec<String>,
    pub(super) params: Vec<(String, String)>,
    token_endpoint: Option<String>,
    method: AuthMethod,
}

impl Client {
    /// Finds the endpoints and asks for the client's secret.
    pub(super) async fn prepare(common: &Common) -> Result<Self, Failure> {
        let shown = match (common.verbose, common.show_secrets) {
            (false, _) => Shown::Not,
            (true, false) => Shown::Masked,
            (true, true) => Shown::Whole,
        };
        let wire = Wire::new(common.ca.as_deref(), shown)?;
        let issuer = match (&common.issuer, &common.token_endpoint) {
            (None, Some(_)) => None,
            (issuer, _) => Some(Issuer::discover(&wire, issuer.as_deref().unwrap_or(LOCAL)).await?),
        };
        let lists =
            |method| issuer.as_ref().is_none_or(|one| one.lists("token_endpoint_auth_methods_supported", method));
        let listed = if lists("client_secret_basic") || !lists("client_secret_post") {
            AuthMethod::Basic
        } else {
            AuthMethod::Post
        };
        let method = common.auth_method.unwrap_or(listed);
        let secret = match method {
            AuthMethod::None => None,
            _ => Some(client_secret(common)?),
        };
        Ok(Self {
            id: common.client_id.clone(),
            token_endpoint: common.token_endpoint.clone(),
            scope: common.scopes.join(" "),
            resources: common.resources.clone(),
            params: common.params.clone(),
            output: common.output,
            wire,
            issuer,
            secret,
            method,
        })
    }

    /// An endpoint: the one given, else the discovered one.
    pub(super) fn endpoint<'a>(&'a self, given: Option<&'a str>, name: &str) -> Result<&'a str, Failure> {
        let found = given.or_else(|| self.issuer.as_ref().and_then(|issuer| issuer.text(name)));
        let option = name.replace('_', "-");
        found.ok_or_else(|| {
            Failure::new(format!(
                "no {name} is known: the discovery document names none, or was not asked; give --{option}"
            ))
        })
    }

    /// Asks the token endpoint; `whole` where scope, resources and further parameters were not asked for elsewhere before.
    pub(super) async fn ask(&self, form: Vec<(&str, String)>, whole: bool) -> Result<Map<String, Value>, Failure> {
        let url = self.endpoint(self.token_endpoint.as_deref(), "token_endpoint")?;
        let mut form: Vec<_> = form.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        if whole && !self.scope.is_empty() {
            form.push(("scope".to_owned(), self.scope.clone()));
        }
        form.extend(self.resources.iter().map(|one| ("resource".to_owned(), one.clone())));
        if whole {
            form.extend(self.params.iter().cloned());
        }
        let mut authorization = None;
        match (&self.secret, self.method) {
            (Some(secret), AuthMethod::Basic) => {
                // RFC 6749 §2.3.1: both in the form encoding first.
                let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
                let pair = format!("{}:{}", encoded(&self.id), encoded(secret.expose()));
                authorization = Some(format!("Basic {}", STANDARD.encode(pair)));
            }
            (secret, _) => {
                form.push(("client_id".to_owned(), self.id.clone()));
                form.extend(secret.iter().map(|secret| ("client_secret".to_owned(), secret.expose().to_owned())));
            }
        }
        progress(format!("asking {}", tame(url)));
        let answer = self.wire.send(&Sent { url, form: Some(form), authorization, cookie: None }).await?;
        let body = serde_json::from_slice::<Map<String, Value>>(answer.body()).map_err(|_| {
            Failure::new(format!(
                "{url}: the answer ({}) is no JSON object; is this a token endpoint?",
                answer.status()
            ))
        })?;
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        if let Some(code) = text("error") {
            return Err(refused(code, text("error_description")));
        }
        match (answer.status().is_success(), text("access_token").is_some()) {
            (true, true) => Ok(body),
            _ => {
                Err(Failure::new(format!("{url}: the answer ({}) has neither access_token nor error", answer.status())))
            }
        }
    }
}

fn client_secret(common: &Common) -> Result<Secret, Failure> {
    let source = Source {
        what: &format!("Secret of the client {}", common.client_id),
        variable: "OAUTH_CLIENT_SECRET",
        stdin: common.client_secret_stdin,
        file: common.client_secret_file.as_deref(),
    };
    let none = "the client's secret: give --client-secret-stdin, --client-secret-file or OAUTH_CLIENT_SECRET; a public client has --auth-method none";
    source.read()?.ok_or_else(|| Failure::usage(none))
}

/// An OAuth error, with what usually helps.
pub(super) fn refused(code: &str, description: Option<&str>) -> Failure {
    let said = description.map_or_else(String::new, |text| format!(": {}", tame(text)));
    let hint = match code {
        "invalid_client" => {
            "check --client-id and the secret; the client may need another --auth-method (basic, post, none)"
        }
        "invalid_grant" => {
            "what was presented is wrong, spent, expired, of another client, or came with another redirect URI"
        }
        "unauthorized_client" => "the client's document does not list this grant; add it to its grant_types",
        "unsupported_grant_type" => {
            "the server does not offer this grant; Countersign needs --allow-grant for password"
        }
        "invalid_scope" => "ask for other scopes with --scope, or add them to the client",
        "invalid_target" => "ask for another --resource, or add it to the client's audience",
        "access_denied" => "the person, or a rule of the server, said no",
        "login_required" | "consent_required" | "interaction_required" => {
            "the server needs pages; leave out prompt=none"
        }
        _ => "--verbose shows the requests as they are sent",
    };
    Failure::list(format!("the server refuses with {}{said}", tame(code)), [hint])
}

//! An authorization request: what it may say (RFC 6749 §4.1.1, RFC 7636 §4.3, OpenID Connect Core §3.1.2.1, §3.2.2.1, §3.3.2.1,
//! §5.5).

use std::sync::Arc;

use serde_json::{Map, Value};

use super::prompt::Prompt;
use super::respond::ReturnTo;
use crate::domain::claims::{ClaimsRequest, RequestedClaims};
use crate::domain::client::{Client, GrantType};
use crate::domain::pkce::CodeChallenge;
use crate::domain::response_type::{ResponseMode, ResponseType};
use crate::domain::scope::{OFFLINE_ACCESS, OPENID, Scope};
use crate::domain::user::{User, scope_of_claim};
use crate::oauth::explanation::Told;
use crate::oauth::token::{allowed_scope, requested_scope, scope_for_user, unreadable_scope};
use crate::oauth::{ErrorCode, Params, Refused, Rules, resource};
use crate::store::users::Consented;

/// A sound authorization request.
#[derive(Clone, Debug)]
pub struct AuthorizationRequest {
    /// Who asks.
    pub client: Arc<Client>,
    /// The parameters to go on with: those of the request, or of its request object.
    pub params: Params,
    /// Where the answer goes.
    pub return_to: ReturnTo,
    /// Prefills the login page.
    pub login_hint: Option<String>,
    /// What it asks for.
    pub scope: Scope,
    /// The resources that it is for (RFC 8707).
    pub resources: Option<Vec<String>>,
    pub(super) response_type: ResponseType,
    /// Whether the token endpoint is to give an ID token.
    pub(super) id_token: bool,
    pub(super) redirect_required: bool,
    pub(super) code_challenge: Option<CodeChallenge>,
    pub(super) nonce: Option<String>,
    pub(super) prompt: Prompt,
    pub(super) max_age: Option<i64>,
    pub(super) hinted_sub: Option<String>,
    /// What `claims` says.
    pub(super) wished: ClaimsRequest,
    /// What of that is shown.
    pub(super) claims: RequestedClaims,
}

/// Reads the rest of the request, once it is known whom to tell what is wrong with it. `hint` are the claims of `id_token_hint`.
pub(super) fn read(
    rules: &Rules,
    client: &Arc<Client>,
    return_to: ReturnTo,
    params: &Params,
    hint: Option<&Map<String, Value>>,
) -> Result<AuthorizationRequest, Refused> {
    params.refuse_repeated()?;
    if params.text("registration").is_some() {
        let text = "the parameter registration is not supported";
        return Err(Refused::new(ErrorCode::RegistrationNotSupported, text)
            .compared("registration", "(not sent)", "(sent)")
            .fix("Register the client at /oauth2/register, or by its document, and leave the parameter out."));
    }
    let scope = Scope::parse(params.text("scope").unwrap_or_default())
        .ok_or_else(|| unreadable_scope(params.text("scope").unwrap_or_default()))?;
    let openid = scope.contains(OPENID);
    let (response_type, id_token) = response_type(rules, client, params.required("response_type")?, openid)?;
    response_mode(params, response_type)?;
    let mut scope = requested_scope(client, Some(&scope.to_string()))?;
    if !response_type.code {
        // Core §11: without a code there is no refresh token to ask for.
        scope = scope.without(OFFLINE_ACCESS);
    }
    let nonce = params.text("nonce").map(str::to_owned);
    if nonce.is_none() && response_type.id_token {
        // Core §3.2.2.1, §3.2.2.11, §3.3.2.11: wherever an ID token leaves the authorization endpoint.
        return Err(Refused::invalid_request(
            "nonce is missing; an ID token from the authorization endpoint needs one",
        )
        .compared("nonce", "a random value", "(not sent)")
        .fix("Send nonce, or use response_type=code."));
    }
    let code_challenge = code_challenge(params)?;
    // One that was made just now may turn out to have a secret: that it uses PKCE otherwise is seen where the code is redeemed.
    let may_prove_itself = client.is_on_demand() && rules.is_permissive();
    if code_challenge.is_none() && response_type.code && client.requires_pkce() && !may_prove_itself {
        return Err(Refused::invalid_request(
            "code_challenge is missing: this client must use PKCE with code_challenge_method S256 (RFC 7636)",
        )
        .compared("code_challenge", "S256 of a code_verifier", "(not sent)")
        .fix("Use PKCE, as public clients must; a client with a secret may set auth.authorization_code.pkce to false in its document."));
    }
    let wished = match params.text("claims") {
        None => ClaimsRequest::default(),
        Some(text) => ClaimsRequest::parse(text).map_err(|why| {
            Refused::invalid_request(format!("claims is not a request for claims: {why}"))
                .compared(
                    "claims",
                    "JSON with id_token and userinfo (OpenID Connect Core section 5.5)",
                    "(something else)",
                )
                .fix("Send claims as JSON, percent-encoded once.")
        })?,
    };
    let text = |name: &str| hint.and_then(|claims| claims.get(name)?.as_str()).map(str::to_owned);
    let grant = if response_type.code { GrantType::AuthorizationCode } else { GrantType::Implicit };
    Ok(AuthorizationRequest {
        resources: resource::requested(client, grant, params)?,
        client: Arc::clone(client),
        params: params.clone(),
        // RFC 6749 §4.1.3 wants it repeated at the token endpoint; Aidbox's own examples leave it out there, which is
        // as safe where the code is bound to a verifier, and tolerated outside OpenID Connect.
        redirect_required: params.text("redirect_uri").is_some() && openid && code_challenge.is_none(),
        return_to,
        // Whoever has the hint knows the name in it.
        login_hint: params
            .text("login_hint")
            .map(str::to_owned)
            .or_else(|| text("preferred_username"))
            .or_else(|| text("email")),
        claims: claims(rules, client, params, &wished)?,
        scope,
        response_type,
        id_token,
        code_challenge,
        nonce,
        prompt: Prompt::parse(params.text("prompt").unwrap_or_default())?,
        max_age: max_age(client, params)?,
        hinted_sub: text("sub"),
        wished,
    })
}

impl AuthorizationRequest {
    /// Whether the answer is of use to nobody but the client that was consented to: it must prove itself for all tokens, or
    /// https leads to no other. Where neither is so, an earlier consent does not stand in for the person (RFC 8252 §8.6). While the
    /// issuer itself is http, for development, http stands for the https of later.
    pub(super) fn reaches_its_client(&self, issuer: &str) -> bool {
        let proves_itself = !self.client.is_public() && !self.client.secret_is_optional(GrantType::AuthorizationCode);
        let development = !issuer.starts_with("https://");
        let uri = &self.return_to.redirect_uri;
        (proves_itself && self.response_type == ResponseType::CODE)
            || uri.starts_with("https://")
            || (development && uri.starts_with("http://"))
    }

    /// What is asked of the person: the scopes, those that show the claims asked for by name, and the resources that no
    /// administrator has named in the client's document.
    pub fn asked_of(&self, user: &User) -> Consented {
        let shown = Scope::from_words(self.claims.names().filter_map(scope_of_claim));
        let grant = if self.response_type.code { GrantType::AuthorizationCode } else { GrantType::Implicit };
        let resources = self.resources.clone().filter(|_| self.client.audiences(grant).is_empty());
        Consented { scope: scope_for_user(user, &self.scope.union(&shown)), resources: resources.unwrap_or_default() }
    }
}

/// The response type, which the server serves and the client's document lists, and whether the token endpoint is to give an ID
/// token. `code id_token` without the scope `openid` is Aidbox's way to ask for one there: it counts as `code`.
fn response_type(rules: &Rules, client: &Client, text: &str, openid: bool) -> Result<(ResponseType, bool), Refused> {
    let unsupported = |why: &str| {
        Refused::new(ErrorCode::UnsupportedResponseType, format!("response_type {text} is not supported{why}"))
            .compared(
                "response_type",
                "code, or with --allow-grant implicit others that discovery lists",
                Told::public(text),
            )
            .fix("Send response_type=code; for others the operator starts the server with --allow-grant implicit.")
    };
    let mut wanted = ResponseType::parse(text).ok_or_else(|| unsupported("; use code"))?;
    let aidbox = wanted.is_aidboxs(openid);
    if aidbox {
        wanted = ResponseType::CODE;
    }
    if wanted.is_implicit() && !rules.implicit_grant {
        return Err(unsupported(
            ": the implicit grant is off on this server; its operator can turn it on with --allow-grant implicit",
        ));
    }
    let unauthorized = |why: String| {
        Refused::new(ErrorCode::UnauthorizedClient, why)
            .passed("client_id", Told::public(&client.id))
            .compared("response_type", "one that grant_types and response_types of the client allow", Told::public(text))
            .fix("Add the grant to grant_types of the Client document (code for authorization_code, implicit), and to response_types where it lists any.")
    };
    if wanted.code && !client.allows(GrantType::AuthorizationCode) {
        return Err(unauthorized("this client's grant_types do not list code (authorization_code)".into()));
    }
    if wanted.is_implicit() && !client.allows(GrantType::Implicit) {
        return Err(unauthorized("this client's grant_types do not list implicit".into()));
    }
    if !client.may_ask_for(wanted) {
        return Err(unauthorized(format!("this client's response_types do not list {text}")));
    }
    if wanted.id_token && !openid {
        return Err(Refused::invalid_request(
            "an ID token needs the scope openid (OpenID Connect Core section 3.1.2.1)",
        )
        .compared("scope", "one with openid", "one without")
        .fix("Add openid to scope."));
    }
    Ok((wanted, openid || aidbox))
}

/// `response_mode`, where there is one: known, and one that the response type may travel by.
fn response_mode(params: &Params, response_type: ResponseType) -> Result<(), Refused> {
    let Some(text) = params.text("response_mode") else { return Ok(()) };
    match ResponseMode::named(text) {
        None => {
            let known = ResponseMode::ALL.map(ResponseMode::name).join(", ");
            Err(Refused::invalid_request(format!("response_mode {text} is not supported; it can be {known}"))
                .compared("response_mode", Told::public(&known), Told::public(text))
                .fix("Send a response_mode that is supported, or none."))
        }
        Some(mode) if !response_type.may_travel_by(mode) => Err(Refused::invalid_request(
            "tokens are not returned in a query; response_mode can be fragment or form_post",
        )
        .compared("response_mode", "fragment or form_post", Told::public(text))
        .fix("Leave response_mode out, or send fragment or form_post.")),
        Some(_) => Ok(()),
    }
}

/// The claims that are shown because they are asked for by name: known ones, of scopes that the client may ask for. What is
/// voluntary and cannot be had is left out (Core §5.5.1); an essential `acr` that is not reached is a refusal (§5.5.1.1).
fn claims(rules: &Rules, client: &Client, params: &Params, wished: &ClaimsRequest) -> Result<RequestedClaims, Refused> {
    if !wished.accepts_acr(rules.acr()) {
        let text = format!("people sign in here with {}, and none of the essential acr values is that", rules.acr());
        return Err(Refused::new(ErrorCode::UnmetAuthenticationRequirements, text)
            .compared("acr that is essential in claims", rules.acr(), "others alone")
            .fix("Ask for the acr that this server reaches, or do not make it essential."));
    }
    let allowed = |word| allowed_scope(client, &Scope::from_words([word])).contains(word);
    let mut claims = wished.requested(|name| scope_of_claim(name).is_some_and(allowed));
    // §5.5.1.1: `acr_values` asks for the same as a voluntary `acr`.
    let preferred = params.text("acr_values").is_some() || !client.document.default_acr_values.is_empty();
    if preferred || wished.asks_for_acr() {
        claims.id_token.push("acr".into());
    }
    Ok(claims)
}

fn max_age(client: &Client, params: &Params) -> Result<Option<i64>, Refused> {
    let Some(text) = params.text("max_age") else { return Ok(client.document.default_max_age) };
    let age = text.parse().ok().filter(|age| *age >= 0);
    age.map(Some).ok_or_else(|| {
        Refused::invalid_request("max_age must be a number of seconds")
            .compared("max_age", "a number of seconds", Told::public(text))
            .fix("Send max_age as a whole number of seconds.")
    })
}

/// RFC 7636 §4.3, method `S256` alone.
fn code_challenge(params: &Params) -> Result<Option<CodeChallenge>, Refused> {
    let method = params.text("code_challenge_method");
    let Some(text) = params.text("code_challenge") else {
        return match method {
            None => Ok(None),
            Some(_) => Err(Refused::invalid_request("code_challenge_method was sent without a code_challenge")
                .compared("code_challenge", "S256 of a code_verifier", "(not sent)")
                .fix("Send code_challenge too.")),
        };
    };
    if method != Some("S256") {
        return Err(Refused::invalid_request(
            "code_challenge_method must be S256; plain, the default without it, is not supported",
        )
        .compared("code_challenge_method", "S256", params.told("code_challenge_method"))
        .fix("Send code_challenge_method=S256 and the SHA-256 of the code_verifier as code_challenge."));
    }
    let challenge = CodeChallenge::parse(text);
    challenge.map(Some).ok_or_else(|| {
        Refused::invalid_request("code_challenge must be the base64url of a SHA-256, 43 characters")
            .compared("code_challenge", "43 characters of base64url, without padding", Told::public(text))
            .fix("Make code_challenge as base64url(SHA-256(code_verifier)), without = at the end.")
    })
}

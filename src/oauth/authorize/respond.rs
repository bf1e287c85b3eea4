//! Answers to a client: what it asked for is issued, and every authorization response is written here.

use std::fmt;

use super::AuthorizationRequest;
use crate::domain::bearer::{Bearer, Kind};
use crate::domain::client::{Client, GrantType};
use crate::domain::internal::Internal;
use crate::domain::redirect_uri::RedirectUri;
use crate::domain::response_type::{ResponseMode, ResponseType};
use crate::domain::scope::{OPENID, Scope};
use crate::domain::time::Timestamp;
use crate::identity::login::SignedIn;
use crate::oauth::explanation::Told;
use crate::oauth::token::issue::{Minting, opaque_token};
use crate::oauth::token::scope_for_user;
use crate::oauth::{Params, Provider, Refused, Rules};
use crate::store::codes::Code;
use crate::store::sessions::Session;

/// Life of an authorization code in seconds (RFC 6749 §4.1.2 recommends ten minutes at the most; a minute is plenty).
pub const CODE_LIFE: i64 = 60;

/// Where the answer to a request goes, and how it travels.
#[derive(Clone, Debug)]
pub struct ReturnTo {
    /// The redirect URI, proven to be registered.
    pub redirect_uri: String,
    mode: ResponseMode,
    state: Option<String>,
}

/// An authorization response: parameters for a client.
pub struct AuthorizationResponse {
    /// Whose redirect URI they go to.
    pub redirect_uri: String,
    /// How they travel.
    pub mode: ResponseMode,
    /// Names and values.
    pub members: Vec<(&'static str, String)>,
    /// What they refuse, if they do.
    pub refused: Option<Box<Refused>>,
}

impl fmt::Debug for AuthorizationResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.members.iter().map(|(name, _)| *name).collect();
        write!(f, "AuthorizationResponse({} {} {names:?})", self.redirect_uri, self.mode.name())
    }
}

impl AuthorizationResponse {
    /// The redirect URI with the parameters, after whatever query it has, or behind a `#`.
    pub fn location(&self) -> String {
        let mut members = url::form_urlencoded::Serializer::new(String::new());
        let members = members.extend_pairs(&self.members).finish();
        let uri = &self.redirect_uri;
        let separator = match self.mode {
            ResponseMode::Fragment => '#',
            _ if uri.contains('?') => '&',
            _ => '?',
        };
        format!("{uri}{separator}{members}")
    }
}

impl ReturnTo {
    /// Finds out before all else of the request where its answer goes, be it that something is wrong with it. An error travels as
    /// the answer would have (Multiple Response Types §5, Form Post §2); where no way is named that may be, as is the default.
    pub(super) fn read(rules: &Rules, client: &Client, params: &Params) -> Result<Self, Refused> {
        let openid = params.text("scope").unwrap_or_default().split(' ').any(|word| word == OPENID);
        let wanted = params.text("response_type").and_then(ResponseType::parse);
        let wanted = wanted.filter(|wanted| !wanted.is_aidboxs(openid)).unwrap_or(ResponseType::CODE);
        let named = params.text("response_mode").and_then(ResponseMode::named);
        Ok(Self {
            redirect_uri: redirect_uri(rules, client, params.text("redirect_uri"), openid)?,
            mode: named.filter(|mode| wanted.may_travel_by(*mode)).unwrap_or_else(|| wanted.default_mode()),
            state: params.text("state").map(str::to_owned),
        })
    }
}

/// The redirect URI of the request, which must be a registered one (RFC 6749 §3.1.2.3). Without one in the request it is the
/// first registered, as Aidbox does; with `openid`, only where there is no other (Core §3.1.2.1 requires it). A developer's realm may
/// let any pass that stays on the browser's machine.
fn redirect_uri(rules: &Rules, client: &Client, requested: Option<&str>, openid: bool) -> Result<String, Refused> {
    let registered = client.redirect_uris();
    let Some(requested) = requested else {
        return match registered.as_slice() {
            [] => Err(Refused::invalid_request(
                "the client has no redirect_uri registered, so there is nowhere to return to",
            )
            .compared("auth.authorization_code.redirect_uris of the client", "one at the least", "(none)")
            .fix("List a URI in auth.authorization_code.redirect_uris of the Client document.")),
            [_, _, ..] if openid => Err(Refused::invalid_request(
                "redirect_uri is missing; the client has several, and openid requests must name one",
            )
            .compared("redirect_uri", Told::list(registered.iter().map(RedirectUri::as_str)), "(not sent)")
            .fix("Send redirect_uri.")),
            [first, ..] => Ok(first.as_str().to_owned()),
        };
    };
    match registered.iter().any(|uri| uri.matches(requested)) || rules.lets_pass(requested) {
        true => Ok(requested.to_owned()),
        false => Err(Refused::invalid_request(format!(
            "redirect_uri {requested} is not registered for this client; it must equal a registered one to the letter"
        ))
        .passed("client_id", Told::public(&client.id))
        .compared("redirect_uri", Told::list(registered.iter().map(RedirectUri::as_str)), Told::public(requested))
        .fix(rules.fix_of_redirect_uri(requested))),
    }
}

impl Provider {
    /// Issues what the response type names: a code, an access token, an ID token (RFC 6749 §4.1.2, §4.2.2; Core §3.2.2.5, §3.3.2.5).
    pub(super) async fn issue(
        &self,
        request: &AuthorizationRequest,
        login: &SignedIn,
        now: Timestamp,
    ) -> Result<AuthorizationResponse, Internal> {
        let (client, wanted) = (&request.client, request.response_type);
        let scope = scope_for_user(&login.user, &request.scope);
        let recipient =
            match self.recipient(client, client.id_token_encryption().filter(|_| wanted.id_token), now).await {
                Ok(recipient) => recipient,
                Err(why) => return Ok(self.error_response(&request.return_to, why.refused())),
            };
        let claims = self.with_given_claims(request.claims.clone(), &login.user.id);
        // A token beside a code is a token of that code's settings, and of its family: what ends the one ends the other.
        let grant = if wanted.code { GrantType::AuthorizationCode } else { GrantType::Implicit };
        let flow = client.flow(grant);
        let id = self.randomness.row_id("sessions");
        let opaque = if wanted.token { opaque_token(flow, id, &self.randomness) } else { None };
        let minting = Minting {
            client,
            grant,
            user: Some(&login.user),
            id,
            scope: &scope,
            audience: &request.resources.clone().unwrap_or_else(|| self.default_audience(client, grant)),
            auth_time: Some(login.auth_time),
            issued_at: now,
            expires_at: self.lifetimes(flow, now).access,
            opaque: opaque.as_ref(),
            refresh: None,
            id_token: wanted.id_token,
            login: Some(login.id),
            nonce: request.nonce.as_deref(),
            claims: claims.clone(),
            recipient,
        };
        let code =
            wanted.code.then(|| self.randomness.bearer(Kind::AuthorizationCode, self.randomness.row_id("codes")));
        let keep_code = async {
            let Some(code) = &code else { return Ok(()) };
            let family = wanted.token.then_some(id);
            let code = Code { claims: claims.to_stored(), ..code_row(request, login, code, &scope, family, now) };
            self.store.insert_code(code).await
        };
        let keep_token = async {
            if !wanted.token {
                return Ok(());
            }
            self.store.insert_session(token_row(request, login, &minting)).await
        };
        let session_state = match request.id_token || wanted.id_token {
            true => match self.take_part(client, &request.return_to.redirect_uri, login).await? {
                Ok(session_state) => session_state,
                Err(why) => return Ok(self.error_response(&request.return_to, why)),
            },
            false => None,
        };
        tokio::try_join!(keep_code, keep_token)?;

        let mut members = Vec::new();
        let code = code.map(|code| code.reveal());
        let access = if wanted.token { Some(self.access_token_text(&minting).await?) } else { None };
        if let Some(code) = &code {
            members.push(("code", code.clone()));
        }
        if let Some(access) = &access {
            tracing::info!(event = "tokens_issued", grant = grant.name(), client = %client.id, user = %login.user.id, session = %id);
            members.push(("access_token", access.clone()));
            members.push(("token_type", "Bearer".into()));
            members.push(("expires_in", now.until(minting.expires_at).max(0).to_string()));
            if !scope.is_empty() {
                members.push(("scope", scope.to_string()));
            }
        }
        if wanted.id_token {
            // Core §5.4: the scope's claims are got with an access token where one is issued; §3.3.3.6: what passes through the
            // browser may say less.
            let shown = if wanted.code || wanted.token { Scope::default() } else { scope.clone() };
            let hashed = [("c_hash", code.as_deref()), ("at_hash", access.as_deref())];
            let hashed: Vec<_> = hashed.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
            let id_token = self
                .id_token(&minting, login.user.claims(&self.subject(client, &login.user.id), &shown), &hashed, now)
                .await?;
            members.push(("id_token", id_token));
        }
        members.extend(
            session_state.filter(|_| scope.contains(OPENID)).map(|session_state| ("session_state", session_state)),
        );
        Ok(self.response(&request.return_to, members))
    }

    pub(super) fn error_response(&self, to: &ReturnTo, refused: Refused) -> AuthorizationResponse {
        let members =
            vec![("error", refused.code.as_str().to_owned()), ("error_description", refused.description.clone())];
        AuthorizationResponse { refused: Some(Box::new(refused)), ..self.response(to, members) }
    }

    /// The one place that writes an authorization response: the members, `state` byte for byte, and `iss` (RFC 9207 §2), each
    /// once.
    fn response(&self, to: &ReturnTo, mut members: Vec<(&'static str, String)>) -> AuthorizationResponse {
        members.extend(to.state.clone().map(|state| ("state", state)));
        members.push(("iss", self.iss().to_owned()));
        AuthorizationResponse { redirect_uri: to.redirect_uri.clone(), mode: to.mode, members, refused: None }
    }
}

fn code_row(
    request: &AuthorizationRequest,
    login: &SignedIn,
    code: &Bearer,
    scope: &Scope,
    family: Option<uuid::Uuid>,
    now: Timestamp,
) -> Code {
    Code {
        id: code.id(),
        digest: code.digest().as_bytes().into(),
        client_id: request.client.id.clone(),
        client_epoch: request.client.epoch,
        redirect_uri: request.return_to.redirect_uri.clone(),
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
        claims: None,
        family,
        expires_at: now.plus(CODE_LIFE),
        claimed_at: None,
        session_id: None,
    }
}

fn token_row(request: &AuthorizationRequest, login: &SignedIn, m: &Minting<'_>) -> Session {
    Session {
        parent: Some(login.id),
        shared: request.client.document.first_party,
        id_token: request.id_token,
        claims: m.claims.to_stored(),
        ..m.row()
    }
}

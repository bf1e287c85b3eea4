//! The endpoints of the protocol.

use serde_json::json;

use super::{CLIENT, PROTOCOL, Refuses, TOKEN, error};
use crate::domain::client::{GrantType, JWT_BEARER};
use crate::domain::response_type::{RESPONSE_TYPES, ResponseMode};
use crate::domain::scope::OPENID;
use crate::domain::user::CLAIM_SCOPES;
use crate::oauth::ErrorCode::{
    self, AccessDenied, AccountSelectionRequired, ConsentRequired, InsufficientScope, InteractionRequired,
    InvalidClient, InvalidGrant, InvalidRequest, InvalidRequestObject, InvalidRequestUri, InvalidScope, InvalidTarget,
    InvalidToken, LoginRequired, RegistrationNotSupported, TemporarilyUnavailable, UnauthorizedClient,
    UnmetAuthenticationRequirements, UnsupportedGrantType, UnsupportedResponseType,
};
use crate::oauth::authorize::PROMPTS;
use crate::oauth::discovery::paths;
use crate::oauth::introspect::Introspection;
use crate::oauth::params::MAX_VALUE;
use crate::oauth::resource::{MAX_RESOURCES, RESOURCE};
use crate::openapi::operation::JSON;
use crate::openapi::schema::{Member, list, object, optional, required, text, uri, word};
use crate::openapi::{Operation, Place};
use crate::web::body::PROTOCOL_BODY;

/// The media type of forms.
const FORM: &str = "application/x-www-form-urlencoded";
/// The media types of protocol parameters.
const MEDIA: [&str; 3] = [FORM, JSON, "text/yaml"];

/// The path of an endpoint, by the name of its metadata.
pub(super) fn canonical(endpoint: &str) -> &'static str {
    paths(endpoint).next().unwrap_or_default()
}

/// What is wrong with a request to authorize, told to the client by way of the browser.
const AUTHORIZATION_ERRORS: [ErrorCode; 15] = [
    InvalidRequest,
    UnauthorizedClient,
    AccessDenied,
    UnsupportedResponseType,
    InvalidScope,
    InvalidTarget,
    LoginRequired,
    ConsentRequired,
    InteractionRequired,
    AccountSelectionRequired,
    InvalidRequestUri,
    InvalidRequestObject,
    RegistrationNotSupported,
    UnmetAuthenticationRequirements,
    TemporarilyUnavailable,
];

/// `GET` of the authorization endpoint
pub(in crate::web) fn authorize(operation: Operation<'_>) -> Operation<'_> {
    authorization(operation.named(PROTOCOL, "authorize", "Authorization endpoint (RFC 6749 §3.1)"))
        .query(limited(authorization_request()))
}

/// `POST` of the authorization endpoint
pub(in crate::web) fn authorize_post(operation: Operation<'_>) -> Operation<'_> {
    let named = operation.named(PROTOCOL, "authorizeByPost", "The same by a form (OpenID Connect Core §3.1.2.1)");
    form(authorization(named), authorization_request())
}

fn authorization(operation: Operation<'_>) -> Operation<'_> {
    let errors = AUTHORIZATION_ERRORS.map(ErrorCode::as_str).join(", ");
    operation
        .explained(
            "A browser is sent here. It sees pages to sign in, choose an account and consent, as far as they are needed, and goes back to \
             redirect_uri. An unknown client or redirect_uri is told the person on a page, and nobody else.",
        )
        .shows("The next page for the person; with response_mode form_post, the page that posts the answer.")
        .answers(
            303,
            &format!(
                "To redirect_uri, with code, state and iss (RFC 9207), or with error, error_description, state and iss. error is one of {errors}."
            ),
        )
        .with_header(303, "Location", text("Where the browser goes."))
        .answers_with(400, "A page for the person: nobody else can be told.", "text/html", &json!({ "type": "string" }))
}

fn authorization_request() -> Vec<Member> {
    let modes = ResponseMode::ALL.map(ResponseMode::name);
    vec![
        required("client_id", text("The client's id, or the https URL of its metadata document.")),
        required(
            "response_type",
            text(&format!(
                "The words of one of: {}. Those with a token, and id_token alone, need --allow-grant implicit.",
                RESPONSE_TYPES.join(", ")
            )),
        ),
        optional(
            "redirect_uri",
            text(
                "Exactly as registered (RFC 6749 §3.1.2.3); with loopback addresses the port may differ (RFC 8252 §7.3).",
            ),
        ),
        optional("scope", text("Words with a space between them.")),
        optional("state", text("Comes back as it is.")),
        optional("response_mode", word(&modes, "How the answer travels; tokens never in a query.")),
        optional(
            "code_challenge",
            json!({ "type": "string", "minLength": 43, "maxLength": 43, "description": "PKCE (RFC 7636 §4.3): public clients must." }),
        ),
        optional("code_challenge_method", word(&["S256"], "Goes with code_challenge.")),
        optional("nonce", text("Comes back in the ID token; required where that leaves this endpoint.")),
        optional("prompt", text(&format!("Words of {}; none stands alone.", PROMPTS.join(", ")))),
        optional(
            "max_age",
            json!({ "type": "integer", "minimum": 0, "description": "Seconds after which the person signs in again." }),
        ),
        optional("id_token_hint", text("An earlier ID token, expired or not, of the person expected.")),
        optional("login_hint", text("Prefills the login page.")),
        optional("acr_values", text("Asks for acr in the ID token.")),
        optional("claims", text("Claims asked for by name, as JSON (Core §5.5).")),
        optional("ui_locales", text("Accepted.")),
        optional("display", text("Accepted.")),
        optional("request", text("The request as a JWT (RFC 9101); it then says all of it.")),
        optional("request_uri", text("Where that is; registered by the client.")),
        resource(),
    ]
}

/// The token endpoint
pub(in crate::web) fn token(operation: Operation<'_>) -> Operation<'_> {
    let grants = [
        GrantType::AuthorizationCode.name(),
        "refresh_token",
        GrantType::ClientCredentials.name(),
        GrantType::Password.name(),
    ];
    let mut members = vec![
        required("grant_type", word(&grants, "The grant; password needs --allow-grant password.")),
        optional("code", text("authorization_code: the code, once and within a minute.")),
        optional(
            "redirect_uri",
            text("authorization_code: that of the request, where that was OpenID Connect's and had no PKCE."),
        ),
        optional("code_verifier", text("authorization_code: what the code_challenge was made from (RFC 7636 §4.5).")),
        optional("refresh_token", text("refresh_token: the token of the last answer.")),
        optional("username", text("password: the id, name or e-mail address of a user.")),
        optional("password", text("password: theirs.")),
        optional("scope", text("What the tokens may do; a refresh never widens it, unless the document lets it.")),
        optional("audience", text("client_credentials: for whom, of those that the document names.")),
        resource(),
    ];
    members.extend(client());
    let named = operation
        .named(PROTOCOL, "token", "Token endpoint (RFC 6749 §3.2)")
        .explained("Refresh tokens rotate; the predecessor returns the same successor until that is used, for --refresh-grace at the most.")
        .proven_by(&[(CLIENT, &[]), ("", &[])]);
    let answer = object([
        required("access_token", text("Opaque, or a JWT of RFC 9068, as the Client document says.")),
        required("token_type", word(&["Bearer"], "")),
        required("expires_in", json!({ "type": "integer", "minimum": 0, "description": "Seconds." })),
        optional("refresh_token", text("Where the client may refresh.")),
        optional("id_token", text("With the scope openid.")),
        optional("scope", text("What was granted; absent where that is nothing.")),
        optional(
            "userinfo",
            json!({ "type": "object", "description": "Aidbox's: the person, where token_response_userinfo says so." }),
        ),
    ]);
    form(named, members).answers_with(200, "The tokens.", JSON, &answer).refuses(&[
        InvalidRequest,
        InvalidGrant,
        InvalidScope,
        InvalidTarget,
        UnauthorizedClient,
        UnsupportedGrantType,
        InvalidClient,
        TemporarilyUnavailable,
    ])
}

/// `GET` of userinfo
pub(in crate::web) fn userinfo(operation: Operation<'_>) -> Operation<'_> {
    person(operation.named(PROTOCOL, "userinfo", "Who signed in (OpenID Connect Core §5.3)"))
        .refuses(&[InvalidToken, InsufficientScope])
}

/// `POST` of userinfo
pub(in crate::web) fn userinfo_post(operation: Operation<'_>) -> Operation<'_> {
    let named = operation.named(
        PROTOCOL,
        "userinfoByPost",
        "The same, with the token in the header or in a form (RFC 6750 §2.2)",
    );
    let token = object([optional("access_token", text("In the header or here, not in both."))]);
    person(named)
        .body(&[FORM], &token, false)
        .answers_with(413, &too_large(), JSON, &error(&[InvalidRequest.as_str()]))
        .refuses(&[InvalidRequest, InvalidToken, InsufficientScope])
}

fn person(operation: Operation<'_>) -> Operation<'_> {
    let claims = CLAIM_SCOPES.iter().flat_map(|(scope, claims)| claims.iter().map(move |claim| (*claim, *scope)));
    let claims = claims.map(|(claim, scope)| {
        optional(claim, json!({ "description": format!("With the scope {scope}, or asked for by name.") }))
    });
    let subject = required("sub", text("The person; another one for each sector where subject_type is pairwise."));
    operation
        .proven_by(&[(TOKEN, &[OPENID])])
        .answers_with(200, "The claims that the token shows.", JSON, &object(std::iter::once(subject).chain(claims)))
        .answers_with(200, "", "application/jwt", &text("Where the client asks for a signature or encryption."))
}

/// The introspection endpoint
pub(in crate::web) fn introspect(operation: Operation<'_>) -> Operation<'_> {
    let mut members = vec![required("token", text("An access token, or a refresh token of the client's own.")), hint()];
    members.extend(client());
    let mut named = operation
        .named(PROTOCOL, "introspect", "What a token is worth (RFC 7662)")
        .explained("For clients with a secret or a key. What the client may not see, as its introspect says, is inactive, like what does not exist.")
        .proven_by(&[(CLIENT, &[]), ("", &[])]);
    let active = named.schemas().answered::<Introspection<'static>>();
    let inactive = json!({
        "type": "object", "properties": { "active": { "const": false } }, "required": ["active"], "additionalProperties": false,
    });
    form(named, members)
        .answers_with(200, "What may be told.", JSON, &json!({ "anyOf": [active, inactive] }))
        .refuses(&[InvalidRequest, InvalidClient, TemporarilyUnavailable])
}

/// The revocation endpoint
pub(in crate::web) fn revoke(operation: Operation<'_>) -> Operation<'_> {
    let mut members = vec![
        required("token", text("An access token, which goes alone, or a refresh token, which takes its family along.")),
        hint(),
    ];
    members.extend(client());
    let named = operation
        .named(PROTOCOL, "revoke", "Ends a token (RFC 7009)")
        .explained("A token that is unknown, dead or another client's changes nothing, and is no error.")
        .proven_by(&[(CLIENT, &[]), ("", &[])]);
    form(named, members).answers(200, "It is worth nothing now.").refuses(&[
        InvalidRequest,
        InvalidClient,
        TemporarilyUnavailable,
    ])
}

/// `GET` of the logout endpoint
pub(in crate::web) fn logout(operation: Operation<'_>) -> Operation<'_> {
    signs_out(operation.named(PROTOCOL, "logout", "Signs the person out (OpenID Connect RP-Initiated Logout 1.0)"))
        .query(limited(logout_request()))
}

/// `POST` of the logout endpoint
pub(in crate::web) fn logout_post(operation: Operation<'_>) -> Operation<'_> {
    let named =
        operation.named(PROTOCOL, "logoutByPost", "The same by a form, of a client or of the confirmation page");
    form(signs_out(named), logout_request())
}

fn signs_out(operation: Operation<'_>) -> Operation<'_> {
    operation
        .explained("A browser is sent here. Without an ID token of this session as a hint the person is asked first. Every client of the session is told.")
        .shows("The confirmation, or that the person is signed out.")
        .answers(303, "To post_logout_redirect_uri, with state.")
        .with_header(303, "Location", text("Where the browser goes."))
        .answers_with(400, "A page for the person.", "text/html", &json!({ "type": "string" }))
}

fn logout_request() -> Vec<Member> {
    vec![
        optional("id_token_hint", text("An ID token of the session, expired or not.")),
        optional("client_id", text("Who asks, where no hint says so.")),
        optional("post_logout_redirect_uri", text("Exactly as registered.")),
        optional("state", text("Comes back as it is.")),
        optional("logout_hint", text("Accepted.")),
        optional("ui_locales", text("Accepted.")),
    ]
}

/// `GET` of the session frame
pub(in crate::web) fn check_session(operation: Operation<'_>) -> Operation<'_> {
    operation
        .named(
            PROTOCOL,
            "checkSession",
            "The frame that tells pages whether the session changed (OpenID Connect Session Management 1.0 §3.2)",
        )
        .answers_with(200, "The frame.", "text/html", &json!({ "type": "string" }))
}

/// `POST` of the session frame
pub(in crate::web) fn check_session_post(operation: Operation<'_>) -> Operation<'_> {
    let members = vec![
        optional("said", text("The session_state that the client has.")),
        optional("origin", text("The origin of the client's page.")),
    ];
    let named =
        operation.named(PROTOCOL, "compareSession", "Compares for the frame's script, in browsers that cannot hash");
    form(named, members)
        .answers_with(200, "How it compares.", "text/plain", &word(&["unchanged", "changed", "error"], ""))
        .refuses(&[InvalidRequest])
}

/// A body of protocol parameters.
fn form(operation: Operation<'_>, members: Vec<Member>) -> Operation<'_> {
    let needed = members.iter().any(|member| member.required);
    let too_large_on = match operation.path() {
        path if path == canonical("authorization_endpoint") || path == canonical("end_session_endpoint") => "text/html",
        _ => JSON,
    };
    let schema = match too_large_on {
        JSON => error(&[InvalidRequest.as_str()]),
        _ => json!({ "type": "string" }),
    };
    operation.body(&MEDIA, &object(limited(members)), needed).answers_with(413, &too_large(), too_large_on, &schema)
}

fn too_large() -> String {
    format!("The body is larger than {} KiB.", PROTOCOL_BODY / 1_024)
}

/// The parameters, none longer than parameters may be.
fn limited(mut members: Vec<Member>) -> Vec<Member> {
    for Member { schema, .. } in &mut members {
        if schema["type"] == "string" && schema.get("maxLength").is_none() && schema.get("enum").is_none() {
            schema["maxLength"] = json!(MAX_VALUE);
        }
    }
    members
}

/// How a client proves itself in the body (RFC 6749 §2.3.1, RFC 7521 §4.2).
fn client() -> [Member; 4] {
    [
        optional("client_id", text("The client, where neither the header nor an assertion names it.")),
        optional("client_secret", text("Its secret (client_secret_post).")),
        optional("client_assertion_type", word(&[JWT_BEARER], "Goes with client_assertion.")),
        optional("client_assertion", text("A JWT that it signed (private_key_jwt, client_secret_jwt).")),
    ]
}

fn resource() -> Member {
    let mut resources =
        list(uri("A resource."), "What the tokens are for (RFC 8707); as often as there are resources.");
    resources["maxItems"] = json!(MAX_RESOURCES);
    optional(RESOURCE, resources)
}

fn hint() -> Member {
    optional("token_type_hint", text("Accepted; a token shows what it is."))
}

/// `GET /initiate_login`
pub(in crate::web) fn initiate_login(operation: Operation<'_>) -> Operation<'_> {
    operation
        .named(
            PROTOCOL,
            "initiateLogin",
            "A link that begins a sign-in at a client's initiate_login_uri (OpenID Connect Core §4)",
        )
        .parameter(Place::Query, required("client_id", text("The client.")))
        .shows("Where nobody vouches for the client: a page that says where it leads.")
        .answers(303, "To the client, with iss.")
        .with_header(303, "Location", text("Where the browser goes."))
        .answers_with(400, "A page for the person.", "text/html", &json!({ "type": "string" }))
}

//! What each route is for, as the OpenAPI document says it: a function for each operation, which stands beside its handler in the
//! map of URLs. Whatever the code has as a list (grants, algorithms, claims, the fields of documents) is taken from there.

pub(crate) mod discovery;
pub(crate) mod oauth;
pub(crate) mod pages;
pub(crate) mod registration;
pub(crate) mod rest;

use serde_json::{Value, json};

use super::protocol_error;
use crate::domain::scope::{ADMIN, OFFLINE_ACCESS, OPENID};
use crate::domain::user::CLAIM_SCOPES;
use crate::oauth::ErrorCode;
use crate::openapi::Operation;
use crate::openapi::operation::JSON;
use crate::openapi::schema::{optional, required, text, whole, word};
use crate::openapi::{About, schema};

/// The groups of operations.
pub(crate) const PROTOCOL: &str = "protocol";
const REGISTRATION: &str = "registration";
const DISCOVERY: &str = "discovery";
const ADMINISTRATION: &str = "administration";
const PAGES: &str = "pages";
const HEALTH: &str = "health";
/// That of what is for developers and tests.
pub(crate) const DEV: &str = "dev";

const TAGS: [(&str, &str); 7] = [
    (
        PROTOCOL,
        "OAuth 2.0 and OpenID Connect. Each parameter occurs once (but for `resource`), and an empty one counts as absent.",
    ),
    (
        REGISTRATION,
        "Clients that register and manage themselves, where `--registration` lets them; elsewhere there is nothing (404).",
    ),
    (DISCOVERY, "What the server says of itself, for anybody."),
    (ADMINISTRATION, "Documents, in JSON and YAML, for administrators."),
    (PAGES, "What people see. Programs send browsers there and read nothing of it."),
    (HEALTH, "For whoever watches the server."),
    (DEV, "For developers and tests. None of it exists but in `countersign dev` and `serve --dev-api`."),
];

const DESCRIPTION: &str = "A standalone OAuth 2.0 and OpenID Connect authorization server. The paths in `x-aliases` are the same in \
everything; below `/fhir`, references are written `{\"reference\": \"User/alice\"}`. Every answer has an `X-Request-Id`. Beyond what each \
operation says, any request may be answered 400 (two `Host` headers), 408 (it took longer than thirty seconds) or 421 (a host name that is none of \
the server's). A browser's preflight (`OPTIONS`) is answered where scripts of clients may call.";

/// How requests prove themselves: a client by HTTP Basic, a bearer of an access token, an administrator by either.
const CLIENT: &str = "client";
const ADMINISTRATOR: &str = "administrator";
const TOKEN: &str = "token";
const REGISTRATION_TOKEN: &str = "registration_token";
/// What the control API asks for where that is set.
pub(crate) const DEV_TOKEN: &str = "dev_token";

/// What the document says beside its paths.
pub(crate) fn about(server: &str) -> About<'_> {
    let scopes: serde_json::Map<String, Value> = CLAIM_SCOPES
        .iter()
        .map(|(scope, claims)| ((*scope).to_owned(), format!("The claims {}.", claims.join(", "))))
        .chain([
            (OPENID.to_owned(), "An ID token, and userinfo.".to_owned()),
            (OFFLINE_ACCESS.to_owned(), "A refresh token.".to_owned()),
            (ADMIN.to_owned(), "The documents of this server.".to_owned()),
        ])
        .map(|(scope, meaning)| (scope, meaning.into()))
        .collect();
    let [authorize, token] = ["authorization_endpoint", "token_endpoint"].map(oauth::canonical);
    let basic = |about: &str| json!({ "type": "http", "scheme": "basic", "description": about });
    let bearer = |about: &str| json!({ "type": "http", "scheme": "bearer", "description": about });
    let flow = |urls: &[(&str, &str)]| {
        let mut flow = json!({ "scopes": scopes });
        for (name, url) in urls {
            flow[*name] = json!(url);
        }
        flow
    };
    let refreshed = [("tokenUrl", token), ("refreshUrl", token)];
    let security = json!({
        CLIENT: basic("client_id and secret (RFC 6749 §2.3.1). The other methods are parameters of the body."),
        ADMINISTRATOR: basic("A client with grant_types: [basic] and the scope admin."),
        TOKEN: {
            "type": "oauth2",
            "description": "An access token of this server, as Authorization: Bearer.",
            "flows": {
                "authorizationCode": flow(&[("authorizationUrl", authorize), refreshed[0], refreshed[1]]),
                "clientCredentials": flow(&refreshed[..1]),
                "password": flow(&refreshed),
            },
        },
        REGISTRATION_TOKEN: bearer("An initial access token, or the registration_access_token of the last answer."),
        DEV_TOKEN: bearer("COUNTERSIGN_DEV_TOKEN, where it is set."),
    });
    About { description: DESCRIPTION, server, tags: &TAGS, security }
}

/// What the protocol answers to what it does not do.
pub(super) trait Refuses {
    /// The codes of its refusals, each under its status (RFC 6749 §5.2), and our own faults.
    fn refuses(self, codes: &[ErrorCode]) -> Self;
    /// A page for a person: the next thing to do, or what is wrong.
    fn shows(self, what: &str) -> Self;
}

impl Refuses for Operation<'_> {
    fn refuses(mut self, codes: &[ErrorCode]) -> Self {
        let mut statuses: Vec<u16> = codes.iter().map(|code| protocol_error::status(*code).as_u16()).collect();
        statuses.dedup();
        for status in statuses {
            let of_status = codes.iter().filter(|code| protocol_error::status(**code) == status);
            let words: Vec<_> = of_status.map(|code| code.as_str()).collect();
            self = self.answers_with(status, "Refused.", JSON, &error(&words));
            if status == 401 {
                self = self.with_header(status, "WWW-Authenticate", text("Where the Authorization header was tried."));
            }
            if status == 429 {
                self = self.with_header(status, "Retry-After", whole("Seconds after which another try may succeed."));
            }
        }
        self.answers_with(500, "The server's own fault; its log tells more.", JSON, &error(&["server_error"]))
            .answers_with(
                503,
                "Busy, or without its database for the moment.",
                JSON,
                &error(&["temporarily_unavailable"]),
            )
            .with_header(503, "Retry-After", whole("Seconds after which another try may succeed."))
    }

    fn shows(self, what: &str) -> Self {
        let page = json!({ "type": "string" });
        self.answers_with(200, what, "text/html", &page)
            .answers_with(500, "The server's own fault; its log tells more.", "text/html", &page)
            .answers_with(503, "Busy, or without its database for the moment.", "text/html", &page)
            .answers_with(503, "", JSON, &error(&["temporarily_unavailable"]))
    }
}

/// RFC 6749 §5.2: one of these codes, and a sentence for the developer.
pub(super) fn error(codes: &[&str]) -> Value {
    schema::closed([
        required("error", word(codes, "What a program may act on.")),
        optional("error_description", text("What was wrong and what would be right.")),
    ])
}

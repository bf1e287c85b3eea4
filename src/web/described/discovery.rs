//! What the server says of itself, and to whoever watches it.

use serde_json::json;

use super::{DISCOVERY, HEALTH, Refuses};
use crate::oauth::discovery::ENDPOINTS;
use crate::openapi::Operation;
use crate::openapi::operation::JSON;
use crate::openapi::schema::{closed, list, object, required, uri, whole, word};

/// `GET` of the discovery documents
pub(in crate::web) fn metadata(operation: Operation<'_>) -> Operation<'_> {
    let id =
        if operation.path().ends_with("openid-configuration") { "openidConfiguration" } else { "authorizationServer" };
    let endpoints = ENDPOINTS.map(|(name, _)| required(name, uri("An endpoint.")));
    let members = std::iter::once(required("issuer", uri("Who the tokens are from."))).chain(endpoints);
    operation
        .named(DISCOVERY, id, "Discovery (OpenID Connect Discovery §4, RFC 8414 §3)")
        .explained("What is served here, and under which URLs. Both documents are the same; that of RFC 8414 is also before the path of the issuer.")
        .answers_with(200, "The metadata.", JSON, &object(members))
        .with_header(200, "ETag", json!({ "type": "string" }))
        .answers(304, "It is still that of If-None-Match.")
}

/// `GET` of the key set
pub(in crate::web) fn jwks(operation: Operation<'_>) -> Operation<'_> {
    let key = json!({ "type": "object", "required": ["kty", "kid", "use", "alg"], "description": "A public key (RFC 7517 §4)." });
    operation
        .named(DISCOVERY, "jwks", "The keys that tokens are verified with (RFC 7517)")
        .explained("Those that sign now, those that will, and those whose tokens still live. To be asked anew for an unknown kid.")
        .answers_with(200, "The key set.", JSON, &object([required("keys", list(key, "Each with its kid."))]))
        .with_header(200, "ETag", json!({ "type": "string" }))
        .answers(304, "It is still that of If-None-Match.")
        .refuses(&[])
}

/// `GET /healthz`
pub(in crate::web) fn live(operation: Operation<'_>) -> Operation<'_> {
    operation.named(HEALTH, "live", "The process lives").answers_with(
        200,
        "It does.",
        JSON,
        &closed([required("status", word(&["ok"], ""))]),
    )
}

/// `GET /readyz`
pub(in crate::web) fn ready(operation: Operation<'_>) -> Operation<'_> {
    operation
        .named(HEALTH, "ready", "Database and keys answer")
        .answers_with(200, "They do.", JSON, &closed([required("status", word(&["ok"], ""))]))
        .answers_with(503, "They do not.", JSON, &closed([required("status", word(&["unavailable"], ""))]))
        .with_header(503, "Retry-After", whole("Seconds."))
}

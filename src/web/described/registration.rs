//! Dynamic registration (RFC 7591) and its management (RFC 7592).

use serde_json::{Value, json};

use super::{REGISTRATION, REGISTRATION_TOKEN, Refuses, TOKEN, error};
use crate::domain::client_metadata;
use crate::domain::scope::ADMIN;
use crate::oauth::ErrorCode::{
    self, InvalidClientMetadata, InvalidRedirectUri, InvalidSoftwareStatement, InvalidToken, TemporarilyUnavailable,
    UnapprovedSoftwareStatement,
};
use crate::openapi::operation::JSON;
use crate::openapi::schema::{required, text, uri, whole};
use crate::openapi::{Operation, Place};

const METADATA_ERRORS: [ErrorCode; 5] =
    [InvalidRedirectUri, InvalidClientMetadata, InvalidSoftwareStatement, UnapprovedSoftwareStatement, InvalidToken];

/// `POST` of the registration endpoint
pub(in crate::web) fn register(operation: Operation<'_>) -> Operation<'_> {
    let operation = operation
        .named(REGISTRATION, "register", "Registers a client (RFC 7591 §3)")
        .explained("With --registration open nobody needs a token; unprivileged clients alone come so.")
        .proven_by(&[("", &[]), (REGISTRATION_TOKEN, &[]), (TOKEN, &[ADMIN])]);
    registered(takes_metadata(operation), 201).refuses(&[&METADATA_ERRORS[..], &[TemporarilyUnavailable]].concat())
}

/// `GET` of a registration
pub(in crate::web) fn read(operation: Operation<'_>) -> Operation<'_> {
    registered(
        managed(operation.named(REGISTRATION, "readRegistration", "What a client is registered as (RFC 7592 §2.1)")),
        200,
    )
    .refuses(&[InvalidToken, TemporarilyUnavailable])
}

/// `PUT` of a registration
pub(in crate::web) fn update(operation: Operation<'_>) -> Operation<'_> {
    let operation = managed(operation.named(REGISTRATION, "updateRegistration", "Replaces all that a client says of itself (RFC 7592 §2.2)"))
        .explained("The body says what the last answer said, but for registration_access_token, registration_client_uri and the times.");
    registered(takes_metadata(operation), 200).refuses(&[&METADATA_ERRORS[..], &[TemporarilyUnavailable]].concat())
}

/// `DELETE` of a registration
pub(in crate::web) fn delete(operation: Operation<'_>) -> Operation<'_> {
    managed(operation.named(
        REGISTRATION,
        "deleteRegistration",
        "Ends a registration and all that was issued to the client (RFC 7592 §2.3)",
    ))
    .answers(204, "It is gone.")
    .refuses(&[InvalidToken, TemporarilyUnavailable])
}

fn managed(operation: Operation<'_>) -> Operation<'_> {
    operation.proven_by(&[(REGISTRATION_TOKEN, &[])]).parameter(Place::Path, required("client_id", text("The client.")))
}

fn takes_metadata(mut operation: Operation<'_>) -> Operation<'_> {
    let schema = metadata(&mut operation);
    operation.body(&[JSON], &schema, true).answers_with(
        413,
        "The body is too large.",
        JSON,
        &error(&[InvalidClientMetadata.as_str()]),
    )
}

fn registered(mut operation: Operation<'_>, status: u16) -> Operation<'_> {
    let metadata = metadata(&mut operation);
    let more = crate::openapi::schema::object([
        required("client_id", text("Its id.")),
        required("client_id_issued_at", whole("Seconds since 1970.")),
        required("registration_access_token", text("For the next request; the one before is worth nothing now.")),
        required("registration_client_uri", uri("Where it manages itself.")),
        crate::openapi::schema::optional("client_secret", text("Shown when it is made.")),
        crate::openapi::schema::optional("client_secret_expires_at", json!({ "const": 0, "description": "Never." })),
    ]);
    operation.answers_with(status, "What it is registered as.", JSON, &json!({ "allOf": [metadata, more] }))
}

fn metadata(operation: &mut Operation<'_>) -> Value {
    operation.schemas().named("ClientMetadata", client_metadata::schema)
}

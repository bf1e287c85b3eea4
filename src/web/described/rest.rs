//! Documents, sessions and keys. The routes are the same for all types; here each type has its own operations.

use serde_json::{Value, json};

use super::{ADMINISTRATION, ADMINISTRATOR, Refuses, TOKEN};
use crate::domain::scope::ADMIN;
use crate::oauth::ErrorCode::InvalidToken;
use crate::openapi::operation::JSON;
use crate::openapi::schema::{closed, flag, list, object, optional, required, text, uri, whole, word};
use crate::openapi::{Describe, Document, Operation, Place};
use crate::resources::kind::KINDS;
use crate::resources::search::{DEFAULT_COUNT, MAX_CONDITIONS, MAX_COUNT, MAX_ORDERS};
use crate::resources::{DocumentKind, described, keys, sessions};

/// The formats of bodies and of answers.
const FORMATS: [&str; 2] = [JSON, "text/yaml"];

/// `/{kind}`
pub(in crate::web) fn collection(document: &mut Document) {
    for kind in KINDS {
        add(document, &format!("/{}", kind.name()), &[("get", search), ("post", create)]);
    }
    add(document, "/SigningKey", &[("get", signing_keys)]);
}

/// `/{kind}/{id}`
pub(in crate::web) fn item(document: &mut Document) {
    for kind in KINDS {
        let path = format!("/{}/{{id}}", kind.name());
        add(document, &path, &[("get", read), ("put", replace), ("patch", change), ("delete", delete)]);
    }
    add(document, "/Session/{id}", &[("get", session), ("delete", close_session)]);
    add(document, "/SigningKey/{id}", &[("get", signing_key)]);
}

/// `/{kind}/{id}/_history/{version}`
pub(in crate::web) fn version(document: &mut Document) {
    for kind in KINDS {
        add(document, &format!("/{}/{{id}}/_history/{{version}}", kind.name()), &[("get", read_version)]);
    }
}

/// `/Session`
pub(in crate::web) fn all_sessions(document: &mut Document) {
    add(document, "/Session", &[("get", find_sessions), ("delete", close_own)]);
}

/// `/fhir`
pub(in crate::web) fn fhir_root(document: &mut Document) {
    document.add("/fhir", &[], "post", bundle);
    document.add("/fhir", &[], "put", put_many);
}

fn add(document: &mut Document, path: &str, operations: &[(&str, Describe)]) {
    for (method, describe) in operations {
        document.add(path, &[format!("/fhir{path}")], method, *describe);
    }
}

/// The type that a path begins with.
fn kind(operation: &Operation<'_>) -> DocumentKind {
    let name = operation.path().split('/').nth(1).unwrap_or_default();
    DocumentKind::named(name).unwrap_or(DocumentKind::Client)
}

fn search(mut operation: Operation<'_>) -> Operation<'_> {
    let kind = kind(&operation).name();
    let found = document(&mut operation);
    let filters = json!({
        "type": "object", "additionalProperties": { "type": "string" }, "maxProperties": MAX_CONDITIONS,
        "description": "Fields of the document, or paths such as `.user.id`, and what they are; secrets cannot be searched.",
    });
    let count = json!({ "type": "integer", "minimum": 0, "maximum": MAX_COUNT, "default": DEFAULT_COUNT, "description": "Results on a page." });
    let operation = administers(operation.named(ADMINISTRATION, &format!("search{kind}"), &format!("Searches: {kind}")))
        .query([
            optional("filters", filters),
            optional("_count", count),
            page_number(),
            optional("_sort", text(&format!("Up to {MAX_ORDERS} fields, or _id, _lastUpdated, _createdAt, with a comma between them; `-` in front for descending."))),
            optional("_elements", text("The fields to answer with, with a comma between them.")),
            optional("_total", word(&["accurate"], "Counts beyond ten thousand matches too.")),
            optional("_id", text("Ids, with a comma between them.")),
        ]);
    finds(operation, found)
}

fn create(mut operation: Operation<'_>) -> Operation<'_> {
    let kind = kind(&operation).name();
    let schema = document(&mut operation);
    let operation = administers(operation.named(ADMINISTRATION, &format!("create{kind}"), &format!("Creates: {kind}")))
        .explained("The id is the document's own, or a new one.")
        .body(&FORMATS, &schema, true);
    written(shown(operation, 201, "It is there.", &schema))
}

fn read(mut operation: Operation<'_>) -> Operation<'_> {
    let kind = kind(&operation).name();
    let schema = document(&mut operation);
    let operation = operation.named(ADMINISTRATION, &format!("read{kind}"), &format!("Reads: {kind}"));
    gone(shown(of_id(administers(operation)), 200, "The document, secrets masked.", &schema))
}

fn read_version(mut operation: Operation<'_>) -> Operation<'_> {
    let kind = kind(&operation).name();
    let schema = document(&mut operation);
    let operation = operation
        .named(ADMINISTRATION, &format!("readVersionOf{kind}"), &format!("Reads a version: {kind}"))
        .explained("The present one alone is kept.")
        .parameter(Place::Path, required("version", text("Its versionId.")));
    gone(shown(of_id(administers(operation)), 200, "The document, secrets masked.", &schema))
}

fn replace(mut operation: Operation<'_>) -> Operation<'_> {
    let kind = kind(&operation).name();
    let schema = document(&mut operation);
    let operation = operation.named(ADMINISTRATION, &format!("put{kind}"), &format!("Creates or replaces: {kind}"));
    let operation = matched(of_id(administers(operation)))
        .parameter(Place::Header, optional("If-None-Match", word(&["*"], "Where there must be none yet.")))
        .body(&FORMATS, &schema, true);
    written(shown(shown(operation, 200, "It is this now.", &schema), 201, "It is there.", &schema))
}

fn change(mut operation: Operation<'_>) -> Operation<'_> {
    let kind = kind(&operation).name();
    let schema = document(&mut operation);
    let patch = json!({ "anyOf": [{ "type": "object" }, { "type": "array", "items": { "type": "object", "required": ["op", "path"] } }] });
    let operation = operation
        .named(ADMINISTRATION, &format!("patch{kind}"), &format!("Changes: {kind}"))
        .explained("An object is a merge patch (RFC 7396), an array a JSON Patch (RFC 6902).")
        .parameter(
            Place::Query,
            optional("_method", word(&["merge-patch", "json-patch"], "Which it is, where the body does not show it.")),
        );
    let operation = matched(of_id(administers(operation))).body(
        &[JSON, "application/merge-patch+json", "application/json-patch+json", "text/yaml"],
        &patch,
        true,
    );
    written(gone(shown(operation, 200, "It is this now.", &schema)))
}

fn delete(mut operation: Operation<'_>) -> Operation<'_> {
    let kind = kind(&operation).name();
    let schema = document(&mut operation);
    let operation = operation
        .named(ADMINISTRATION, &format!("delete{kind}"), &format!("Deletes: {kind}"))
        .explained("What was issued under it ends.")
        .parameter(Place::Query, optional("_no-content", flag("Whether the answer is 204.")));
    let operation = shown(matched(of_id(administers(operation))), 200, "The document as it was.", &schema);
    refused(operation.answers(204, "It was deleted before, or nothing was to be shown."), &[404, 409, 410, 412])
}

/// `PUT /`
pub(in crate::web) fn put_many(operation: Operation<'_>) -> Operation<'_> {
    let (id, operation) = at_root(operation, "putMany");
    let resources = list(json!({ "type": "object", "required": ["resourceType", "id"] }), "Documents.");
    let operation = administers(operation.named(ADMINISTRATION, &id, "Creates or replaces many, in one transaction"))
        .body(&FORMATS, &resources, true);
    refused(shown(operation, 200, "The documents as they are now.", &resources), &[400, 404, 405, 409, 413, 415, 422])
}

/// `POST /`
pub(in crate::web) fn bundle(operation: Operation<'_>) -> Operation<'_> {
    let (id, operation) = at_root(operation, "bundle");
    let request = closed([
        required("method", word(&["PUT", "POST", "PATCH", "DELETE"], "")),
        required("url", text("`Client/web-app`, or the type alone for a POST.")),
        optional("ifMatch", text("The version that must be the present one.")),
        optional("ifNoneMatch", text("`*`: there must be none yet.")),
    ]);
    let entry = object([optional("resource", json!({ "type": "object" })), optional("request", request)]);
    let bundle = object([
        optional("resourceType", json!({ "const": "Bundle" })),
        optional("type", word(&["transaction", "batch"], "transaction, where it is not said.")),
        optional("entry", list(entry, "An entry without a request is a PUT.")),
    ]);
    let answer = closed([
        required("resourceType", json!({ "const": "Bundle" })),
        required("type", word(&["transaction-response", "batch-response"], "")),
        required(
            "entry",
            list(
                object([required("response", json!({ "type": "object", "required": ["status"] }))]),
                "What each came to.",
            ),
        ),
    ]);
    let operation = administers(operation.named(ADMINISTRATION, &id, "Makes the changes of a Bundle"))
        .explained("All in one transaction. A batch whose entries cannot all be made is made entry by entry, and each says how it went.")
        .body(&FORMATS, &bundle, true);
    refused(shown(operation, 200, "What came of it.", &answer), &[400, 404, 405, 409, 410, 412, 413, 415, 422])
}

fn at_root<'a>(operation: Operation<'a>, id: &str) -> (String, Operation<'a>) {
    let id = if operation.path() == "/fhir" { format!("{id}AsFhir") } else { id.to_owned() };
    (id, operation)
}

fn find_sessions(mut operation: Operation<'_>) -> Operation<'_> {
    let found = session_schema(&mut operation);
    let operation = operation
        .named(ADMINISTRATION, "searchSession", "Searches: Session")
        .explained("Logins and issued tokens, newest first.");
    let count = json!({ "type": "integer", "minimum": 1, "maximum": MAX_COUNT, "default": DEFAULT_COUNT, "description": "Results on a page." });
    let operation = administers(operation).query([
        optional("user", text("The id of a user.")),
        optional("client", text("The id of a client.")),
        optional("jti", text("The id of a token.")),
        optional("_id", text("The same.")),
        optional("active", flag("Whether it is good for something.")),
        optional("_count", count),
        page_number(),
    ]);
    finds(operation, found)
}

/// `DELETE /Session`
fn close_own(operation: Operation<'_>) -> Operation<'_> {
    operation
        .named(ADMINISTRATION, "closeOwnSession", "Closes the session of the token that is shown, as Aidbox does")
        .proven_by(&[(TOKEN, &[])])
        .answers(204, "It is closed.")
        .refuses(&[InvalidToken])
}

fn session(mut operation: Operation<'_>) -> Operation<'_> {
    let schema = session_schema(&mut operation);
    let operation = of_id(administers(operation.named(ADMINISTRATION, "readSession", "Reads: Session")));
    refused(shown(operation, 200, "The session.", &schema), &[404])
}

fn close_session(mut operation: Operation<'_>) -> Operation<'_> {
    let schema = session_schema(&mut operation);
    let operation = operation
        .named(ADMINISTRATION, "closeSession", "Closes: Session")
        .explained("Its tokens end, and with a first-party client's the browser's login.");
    refused(shown(of_id(administers(operation)), 200, "The session as it is now.", &schema), &[404])
}

fn signing_keys(mut operation: Operation<'_>) -> Operation<'_> {
    let found = key_schema(&mut operation);
    finds(administers(operation.named(ADMINISTRATION, "searchSigningKey", "Lists: SigningKey")), found)
}

fn signing_key(mut operation: Operation<'_>) -> Operation<'_> {
    let schema = key_schema(&mut operation);
    let operation = of_id(administers(operation.named(ADMINISTRATION, "readSigningKey", "Reads: SigningKey")));
    refused(shown(operation, 200, "The public part of the key.", &schema), &[404])
}

fn document(operation: &mut Operation<'_>) -> Value {
    let kind = kind(operation);
    operation.schemas().named(kind.name(), || described::schema(kind))
}

fn session_schema(operation: &mut Operation<'_>) -> Value {
    operation.schemas().named("Session", sessions::schema)
}

fn key_schema(operation: &mut Operation<'_>) -> Value {
    operation.schemas().named("SigningKey", keys::schema)
}

fn administers(operation: Operation<'_>) -> Operation<'_> {
    operation.proven_by(&[(ADMINISTRATOR, &[]), (TOKEN, &[ADMIN])]).query([
        optional("_format", text("`yaml` or `json`, before Accept.")),
        optional("_pretty", flag("For people.")),
    ])
}

fn of_id(operation: Operation<'_>) -> Operation<'_> {
    operation.parameter(Place::Path, required("id", text("Its id.")))
}

fn matched(operation: Operation<'_>) -> Operation<'_> {
    operation.parameter(Place::Header, optional("If-Match", text("The version that must be the present one.")))
}

fn page_number() -> crate::openapi::schema::Member {
    optional(
        "_page",
        json!({ "type": "integer", "minimum": 1, "maximum": 1_000_000, "default": 1, "description": "The page." }),
    )
}

/// A document as the answer.
fn shown<'a>(operation: Operation<'a>, status: u16, what: &str, schema: &Value) -> Operation<'a> {
    FORMATS.into_iter().fold(operation, |operation, format| operation.answers_with(status, what, format, schema))
}

/// A `searchset` as the answer.
fn finds(operation: Operation<'_>, found: Value) -> Operation<'_> {
    let link = closed([
        required("relation", word(&["first", "self", "previous", "next", "last"], "")),
        required("url", uri("")),
    ]);
    let entry = closed([
        required("fullUrl", uri("")),
        required("resource", found),
        required("search", json!({ "type": "object" })),
    ]);
    let bundle = closed([
        required("resourceType", json!({ "const": "Bundle" })),
        required("type", json!({ "const": "searchset" })),
        required("total", json!({ "type": "integer", "minimum": 0 })),
        required("link", list(link, "Other pages.")),
        required("entry", list(entry, "What matches.")),
    ]);
    refused(shown(operation, 200, "A page of what matches.", &bundle), &[400])
}

/// What is common to what creates and changes.
fn written(operation: Operation<'_>) -> Operation<'_> {
    refused(operation, &[400, 409, 412, 413, 415, 422])
        .with_header(201, "Location", text("Where this version is."))
        .with_header(200, "Warning", text("What is accepted and still looks wrong."))
}

fn gone(operation: Operation<'_>) -> Operation<'_> {
    refused(operation, &[404, 410]).with_header(200, "ETag", text("The version, for If-Match.")).with_header(
        200,
        "Last-Modified",
        json!({ "type": "string" }),
    )
}

/// Refusals, and those that every operation of an administrator may meet.
fn refused<'a>(mut operation: Operation<'a>, statuses: &[u16]) -> Operation<'a> {
    let outcome = operation.schemas().named("OperationOutcome", described::outcome);
    for status in statuses.iter().copied().chain([401, 403, 500, 503]) {
        let what = match status {
            400 => "The request cannot be read.",
            401 => "Nobody is proven.",
            403 => "Not an administrator, or a page of another site.",
            404 => "It never was there.",
            405 => "A type that cannot be written.",
            409 => "Somebody else has the name, or was faster.",
            410 => "It was deleted.",
            412 => "The version is another one.",
            413 => "It is too large.",
            415 => "A Content-Type that is not read.",
            422 => "It is understood and wrong; each problem with its path and the nearest known name.",
            503 => "Busy, or without its database for the moment.",
            _ => "The server's own fault; its log tells more.",
        };
        operation = FORMATS
            .into_iter()
            .fold(operation, |operation, format| operation.answers_with(status, what, format, &outcome));
    }
    operation.with_header(401, "WWW-Authenticate", text("Basic.")).with_header(503, "Retry-After", whole("Seconds."))
}

//! What people see.

use serde_json::json;

use super::{DEV, PAGES, Refuses};
use crate::openapi::operation::JSON;
use crate::openapi::schema::{Member, closed, object, optional, required, text, uri, word};
use crate::openapi::{Operation, Place};

const FORM: &[&str] = &["application/x-www-form-urlencoded"];

/// `GET /`
pub(in crate::web) fn home(operation: Operation<'_>) -> Operation<'_> {
    let told = closed([required("name", text("Countersign.")), required("issuer", uri("Who the tokens are from."))]);
    page(operation.named(PAGES, "home", "The start page; in dev with what runs and how to try it"))
        .answers_with(200, "", JSON, &told)
}

/// `GET /login`
pub(in crate::web) fn login(operation: Operation<'_>) -> Operation<'_> {
    page(operation.named(PAGES, "loginPage", "The login page (#username, #password, #login)"))
}

/// `POST /login`
pub(in crate::web) fn sign_in(operation: Operation<'_>) -> Operation<'_> {
    let members = [
        optional("username", text("An id, a user name or an e-mail address.")),
        optional("password", text("The password.")),
    ];
    posted(operation.named(PAGES, "signIn", "Signs in, and goes on with the request in the address"), members)
        .answers_with(403, "The page again: this does not sign anybody in.", "text/html", &html())
        .answers_with(429, "The page again: too many tries.", "text/html", &html())
        .with_header(
            429,
            "Retry-After",
            json!({ "type": "integer", "description": "Seconds after which another try may succeed." }),
        )
}

/// `GET` of the other pages that stand on the way of an authorization request
pub(in crate::web) fn step(operation: Operation<'_>) -> Operation<'_> {
    let (id, summary) = match operation.path() {
        "/consent" => ("consentPage", "The consent page (#approve, #deny) of the request in the address"),
        _ => ("selectAccountPage", "The choice of an account, for the request in the address"),
    };
    page(operation.named(PAGES, id, summary))
        .answers(303, "On with the request: back to the client, or to the page that is due.")
        .answers_with(400, "The request is at fault.", "text/html", &html())
}

/// `POST /consent`
pub(in crate::web) fn consent(operation: Operation<'_>) -> Operation<'_> {
    let members = [optional("decision", word(&["approve", "deny"], "What the person wants; anything else denies."))];
    posted(operation.named(PAGES, "consent", "Allows or denies"), members)
}

/// `POST /select_account`
pub(in crate::web) fn select_account(operation: Operation<'_>) -> Operation<'_> {
    let members = [optional("decision", text("`continue` as who is signed in; anything else as somebody else."))];
    posted(operation.named(PAGES, "selectAccount", "Goes on as somebody"), members)
}

/// `GET` of the client's logo
pub(in crate::web) fn logo(operation: Operation<'_>) -> Operation<'_> {
    operation
        .named(PAGES, "clientLogo", "A client's logo, as pages show it")
        .query([required("client_id", text("The client.")), required("v", text("The version, as the page has it."))])
        .answers_with(200, "The logo, read and made anew.", "image/png", &json!({}))
        .answers_with(200, "", "image/gif", &json!({}))
        .answers(304, "It is still that of If-None-Match.")
        .answers(404, "There is none.")
        .answers_with(400, "The query cannot be read.", "text/html", &html())
        .refuses(&[])
}

/// `GET /static/{file}`
pub(in crate::web) fn asset(operation: Operation<'_>) -> Operation<'_> {
    let operation = operation
        .named(PAGES, "asset", "Style sheet, icon and scripts, under names that change with their content")
        .parameter(Place::Path, required("file", text("As pages link it.")))
        .answers(404, "There is no such file.");
    ["text/css", "text/javascript", "image/svg+xml"]
        .into_iter()
        .fold(operation, |operation, media| operation.answers_with(200, "The file.", media, &json!({})))
}

/// `GET /favicon.ico`
pub(in crate::web) fn favicon(operation: Operation<'_>) -> Operation<'_> {
    operation.named(PAGES, "favicon", "The icon").answers_with(200, "The icon.", "image/svg+xml", &json!({}))
}

/// `GET /sandbox`
pub(in crate::web) fn sandbox(operation: Operation<'_>) -> Operation<'_> {
    visited(page(operation.named(PAGES, "sandbox", "The flows of this server to try; outside dev for administrators")))
}

/// `GET /sandbox/{flow}`
pub(in crate::web) fn sandbox_flow(operation: Operation<'_>) -> Operation<'_> {
    visited(page(flow(operation.named(
        PAGES,
        "sandboxFlow",
        "A flow: its inputs, and the requests as they will be sent",
    ))))
    .answers_with(404, "There is no such flow.", "text/html", &html())
}

/// `POST /sandbox/{flow}`
pub(in crate::web) fn sandbox_send(operation: Operation<'_>) -> Operation<'_> {
    let members = [optional("decision", text("`send` sends the request; anything else draws the page anew."))];
    visited(posted(
        flow(operation.named(PAGES, "sandboxSend", "Sends a flow's requests and shows the answers")),
        members,
    ))
}

/// `GET /sandbox/callback`
pub(in crate::web) fn sandbox_callback(operation: Operation<'_>) -> Operation<'_> {
    visited(page(operation.named(PAGES, "sandboxCallback", "Where the code flow of the sandbox comes back to")))
}

/// `POST /sandbox/callback`
pub(in crate::web) fn sandbox_redeem(operation: Operation<'_>) -> Operation<'_> {
    visited(posted(
        operation.named(PAGES, "sandboxRedeem", "Trades the code for tokens, with the secret that was asked for"),
        [],
    ))
}

/// `GET /sandbox/signed_out`
pub(in crate::web) fn sandbox_signed_out(operation: Operation<'_>) -> Operation<'_> {
    page(operation.named(PAGES, "sandboxSignedOut", "Where the browser comes back to after logout"))
}

/// `GET /dev/start`
pub(in crate::web) fn dev_start(operation: Operation<'_>) -> Operation<'_> {
    page(operation.named(DEV, "start", "Begins the code flow of the sandbox with the demo client"))
        .answers(303, "To the login page, or back.")
}

/// `GET /dev/explanations/{id}`
pub(in crate::web) fn explanation(operation: Operation<'_>) -> Operation<'_> {
    operation
        .named(DEV, "explanation", "Why a request was refused, and what to change; a page for a browser")
        .parameter(Place::Path, required("id", text("The X-Request-Id of the answer, or its first 8 digits or more.")))
        .answers_of::<crate::oauth::explanations::Record>(200, "What was compared with what.")
        .answers_with(200, "", "text/html", &html())
        .answers_with(404, "No refusal has this id.", JSON, &super::error(&["not_found"]))
        .answers_with(404, "", "text/html", &html())
        .refuses(&[])
}

fn html() -> serde_json::Value {
    json!({ "type": "string" })
}

fn page(operation: Operation<'_>) -> Operation<'_> {
    operation.shows("The page.")
}

/// A form of ours. Its `csrf` is for this browser, this form and this request.
fn posted(operation: Operation<'_>, members: impl IntoIterator<Item = Member>) -> Operation<'_> {
    let csrf = optional("csrf", text("From the page; without it the person begins again."));
    page(operation)
        .body(FORM, &object(members.into_iter().chain([csrf])), false)
        .answers(303, "On with what was begun.")
        .answers_with(400, "The form is not one that was shown here, or is too old.", "text/html", &html())
        .answers_with(413, "The body is too large.", "text/html", &html())
}

fn flow(operation: Operation<'_>) -> Operation<'_> {
    operation.parameter(Place::Path, required("flow", text("As the start page of the sandbox links it.")))
}

fn visited(operation: Operation<'_>) -> Operation<'_> {
    operation.answers(303, "To the login page first, or on.").answers_with(
        403,
        "Whoever is signed in is no administrator.",
        "text/html",
        &html(),
    )
}

//! Bodies of protocol requests: form, JSON or YAML, with the same parameter names.

use std::time::Duration;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::guard::RequestId;
use super::place::Place;
use super::protocol_error::{self, refused};
use super::{App, error_page};
use crate::oauth::client_authentication::Basic;
use crate::oauth::explanation::Told;
use crate::oauth::{Params, Refused};
use crate::resources::format;

/// The parameters of a program's POST; what is wrong with it is told as RFC 6749 §5.2 says.
pub(crate) struct Body(pub(crate) Params);

/// The parameters of a form that a browser posts; what is wrong with it is told on a page.
pub(crate) struct PageBody(pub(crate) Params);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Self, Response> {
        // RFC 6749 §2.3.1, RFC 6750 §2.3: neither credentials nor tokens belong in a URL.
        if request.uri().query().is_some_and(has_credentials) {
            return Err(refused(&Refused::invalid_request(
                "credentials, codes and tokens must be in the body, not in the URL",
            )
            .compared("the query of the URL", "no credentials, codes or tokens", "some (not shown)")
            .fix("Send the parameters in the body, and consider what was in the URL as known to every log on the way.")));
        }
        let place = Place::of(&request);
        let params = receive(request).await.map_err(|(status, why)| (status, refused(&why)).into_response())?;
        place.as_ref().map_or(Ok(()), Place::take)?;
        Ok(Self(params))
    }
}

/// The parameters of a page's address.
pub(crate) struct PageQuery(pub(crate) Params);

/// A form of ours that a browser posts: the request it is about, in its address, and its fields, each once.
pub(crate) struct PageForm {
    pub(crate) query: Params,
    pub(crate) fields: Params,
}

/// What a client says of itself in the `Authorization` header of a protocol request.
pub(crate) struct ClientBasic(pub(crate) Option<Basic>);

impl FromRequest<App> for PageBody {
    type Rejection = Response;

    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        let id = RequestId::of(request.extensions());
        let received = receive(request).await;
        received.map(Self).map_err(|(status, why)| (status, error_page::refused(app, &id, &why)).into_response())
    }
}

impl FromRequestParts<App> for PageQuery {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let read = Params::from_form(parts.uri.query().unwrap_or_default().as_bytes());
        read.map(Self).map_err(|why| error_page::refused(app, &RequestId::of(&parts.extensions), &why))
    }
}

impl FromRequest<App> for PageForm {
    type Rejection = Response;

    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        let id = RequestId::of(request.extensions());
        let (mut parts, body) = request.into_parts();
        let PageQuery(query) = PageQuery::from_request_parts(&mut parts, app).await?;
        let PageBody(fields) = PageBody::from_request(Request::from_parts(parts, body), app).await?;
        fields.refuse_repeated().map_err(|why| error_page::refused(app, &id, &why))?;
        Ok(Self { query, fields })
    }
}

impl<S: Sync> FromRequestParts<S> for ClientBasic {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        basic(&parts.headers).map(Self).map_err(|why| protocol_error::failed(&parts.headers, why.into()))
    }
}

/// How many pieces of a body beyond its limit are read and thrown away, and how long: whoever is still sending when the connection
/// closes does not get to see the answer.
const SPILT: usize = 1_024;
const SPILLING: Duration = Duration::from_secs(1);

/// Bodies of protocol requests are small; documents and bundles may be larger.
pub(crate) const PROTOCOL_BODY: usize = 64 * 1_024;
pub(crate) const DOCUMENT_BODY: usize = 4 * 1_024 * 1_024;

/// A body within a limit, or the status of the refusal.
pub(crate) async fn whole(request: Request, limit: usize) -> Result<Bytes, StatusCode> {
    let mut body = Limited::new(request.into_body(), limit);
    let error = match (&mut body).collect().await {
        Ok(collected) => return Ok(collected.to_bytes()),
        Err(error) => error,
    };
    if !error.is::<LengthLimitError>() {
        return Err(StatusCode::BAD_REQUEST);
    }
    let spill = async {
        for _ in 0..SPILT {
            if body.frame().await.is_none() {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(SPILLING, spill).await;
    Err(StatusCode::PAYLOAD_TOO_LARGE)
}

async fn receive(request: Request) -> Result<Params, (StatusCode, Refused)> {
    let content_type = media_type(request.headers());
    let bytes = whole(request, PROTOCOL_BODY).await.map_err(|status| match status {
        StatusCode::PAYLOAD_TOO_LARGE => (
            StatusCode::PAYLOAD_TOO_LARGE,
            Refused::invalid_request("the body is larger than 64 KiB")
                .compared("the length of the body", "65536 bytes at the most", "more")
                .fix("Send less."),
        ),
        _ => (
            StatusCode::BAD_REQUEST,
            Refused::invalid_request("the body could not be read")
                .compared("the body", "as long as Content-Length says", "cut off")
                .fix("See why the connection ended early."),
        ),
    })?;
    read(&content_type, &bytes).map_err(|why| (StatusCode::BAD_REQUEST, why))
}

fn read(content_type: &str, bytes: &[u8]) -> Result<Params, Refused> {
    let text = || std::str::from_utf8(bytes).map_err(|_| unreadable("the body is not UTF-8".into()));
    match content_type {
        "application/x-www-form-urlencoded" => Params::from_form(bytes),
        "application/json" | "application/fhir+json" => Params::from_object(
            format::json(text()?).map_err(|error| unreadable(format!("the body is not JSON: {error}")))?,
        ),
        "text/yaml" | "application/yaml" | "application/x-yaml" | "text/x-yaml" => Params::from_object(
            format::yaml(text()?).map_err(|error| unreadable(format!("the body is not YAML: {error}")))?,
        ),
        "" if bytes.is_empty() => Ok(Params::default()),
        _ => Err(Refused::invalid_request(
            "Content-Type must be application/x-www-form-urlencoded, application/json or text/yaml",
        )
        .compared("Content-Type", "application/x-www-form-urlencoded", Told::public(content_type))
        .fix("Send the parameters as a form: curl does with -d, most libraries with a map or URLSearchParams.")),
    }
}

fn unreadable(text: String) -> Refused {
    Refused::invalid_request(text)
        .compared("the body", "what Content-Type says, in UTF-8", "something else")
        .fix("Send the body as Content-Type says, or change Content-Type.")
}

/// The `Content-Type` without its parameters, in lower case; empty where there is none.
pub(crate) fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The `Authorization: Basic` credentials, if any. Two headers are two methods, and refused.
pub(crate) fn basic(headers: &HeaderMap) -> Result<Option<Basic>, Refused> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let first = all.next().and_then(|value| Basic::parse(value.as_bytes()));
    if all.next().is_some() {
        return Err(Refused::invalid_request("there is more than one Authorization header")
            .compared("Authorization headers", "one at the most", "more")
            .fix("Send one Authorization header; look for a proxy that adds another."));
    }
    first.transpose()
}

/// The `Authorization: Bearer` token, if any (RFC 6750 §2.1).
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()).filter(|token| !token.is_empty())
}

fn has_credentials(query: &str) -> bool {
    let names = [
        "client_secret",
        "code",
        "refresh_token",
        "access_token",
        "token",
        "password",
        "code_verifier",
        "client_assertion",
    ];
    query.split('&').any(|pair| names.contains(&pair.split('=').next().unwrap_or_default()))
}

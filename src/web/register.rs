//! `/oauth2/register`: dynamic client registration (RFC 7591) and its management (RFC 7592).

use std::sync::Arc;

use axum::Json;
use axum::RequestExt;
use axum::extract::{FromRequest, Path, Request, State};
use axum::http::StatusCode;
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use super::body::{PROTOCOL_BODY, bearer, media_type, whole};
use super::client_address::ClientAddress;
use super::place::Place;
use super::{App, protocol_error};
use crate::oauth::{ErrorCode, Failure, Refused};
use crate::registration::Registration;
use crate::resources::format;

/// What a client says of itself: a JSON object, each member once.
pub(crate) struct Metadata(Map<String, Value>);

impl FromRequest<App> for Metadata {
    type Rejection = Response;

    async fn from_request(mut request: Request, _: &App) -> Result<Self, Response> {
        let invalid = |text: String| {
            let why = Refused::new(ErrorCode::InvalidClientMetadata, text)
                .compared(
                    "the body",
                    "a JSON object of client metadata, with Content-Type: application/json",
                    "something else",
                )
                .fix("Send the client metadata as one JSON object with Content-Type: application/json.");
            open_to_all(protocol_error::refused(&why))
        };
        let Ok(headers) = request.extract_parts::<HeaderMap>().await;
        if media_type(&headers) != "application/json" {
            return Err(invalid("Content-Type must be application/json (RFC 7591 section 3.1)".into()));
        }
        let place = Place::of(&request);
        let bytes = whole(request, PROTOCOL_BODY).await.map_err(|status| {
            (status, invalid("the body is larger than 64 KiB, or could not be read".into())).into_response()
        })?;
        place.as_ref().map_or(Ok(()), Place::take)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| invalid("the body is not UTF-8".into()))?;
        match format::json(text) {
            Ok(Value::Object(members)) => Ok(Self(members)),
            Ok(_) => Err(invalid("the body must be an object of client metadata".into())),
            Err(error) => Err(invalid(format!("the body is not JSON: {error}"))),
        }
    }
}

/// `POST /oauth2/register`
pub(crate) async fn post(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    Metadata(metadata): Metadata,
) -> Response {
    let Some(registration) = served(&app) else { return StatusCode::NOT_FOUND.into_response() };
    let (bearer, now) = (bearer(&headers), app.clock.now());
    if bearer.is_none() && !registration.is_open() {
        return open_to_all(protocol_error::bearer_challenge(None));
    }
    let registered = async {
        let voucher = registration.voucher(bearer, address, now).await?;
        registration.register(metadata, &voucher, app.base(&headers), now).await
    };
    answer(StatusCode::CREATED, registered.await)
}

/// `GET /oauth2/register/{client_id}`
pub(crate) async fn get(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let Some(registration) = served(&app) else { return StatusCode::NOT_FOUND.into_response() };
    let asked = (address, app.base(&headers));
    answer(StatusCode::OK, registration.read(&id, bearer(&headers), asked, app.clock.now()).await)
}

/// `HEAD` changes nothing, and so does not hand out a new token.
pub(crate) async fn head() -> StatusCode {
    StatusCode::METHOD_NOT_ALLOWED
}

/// `PUT /oauth2/register/{client_id}`
pub(crate) async fn put(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    Path(id): Path<String>,
    headers: HeaderMap,
    Metadata(metadata): Metadata,
) -> Response {
    let Some(registration) = served(&app) else { return StatusCode::NOT_FOUND.into_response() };
    let asked = (address, app.base(&headers));
    let updated = registration.update(&id, bearer(&headers), metadata, asked, app.clock.now()).await;
    answer(StatusCode::OK, updated)
}

/// `DELETE /oauth2/register/{client_id}`
pub(crate) async fn delete(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let Some(registration) = served(&app) else { return StatusCode::NOT_FOUND.into_response() };
    match registration.delete(&id, bearer(&headers), address, app.clock.now()).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(failure) => failed(failure),
    }
}

fn served(app: &App) -> Option<Arc<Registration>> {
    app.registration.clone()
}

fn answer(status: StatusCode, answered: Result<Map<String, Value>, Failure>) -> Response {
    open_to_all(match answered {
        Ok(answer) => (status, Json(answer)).into_response(),
        Err(failure) => failed(failure),
    })
}

fn failed(failure: Failure) -> Response {
    match failure {
        // RFC 6750 §3, RFC 7592 §2: a token that will not do.
        Failure::Refused(why) if why.code == ErrorCode::InvalidToken => protocol_error::bearer_challenge(Some(&why)),
        Failure::Refused(why) => protocol_error::refused(&why),
        Failure::Internal(internal) => protocol_error::internal_error(&internal),
    }
}

/// Scripts of any page may register: nothing that a browser adds by itself counts here, only the token that they hold.
fn open_to_all(mut response: Response) -> Response {
    response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

//! `GET` and `POST /oauth2/userinfo` (OpenID Connect Core §5.3)

use axum::Json;
use axum::extract::{FromRequest, Request, State};
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

use super::body::{Body, bearer, media_type};
use super::{App, cors, protocol_error};
use crate::oauth::{Failure, Refused};

/// `GET`: the token is in the `Authorization` header.
pub(crate) async fn get(State(app): State<App>, headers: HeaderMap) -> Response {
    answer(&app, &headers, bearer(&headers)).await
}

/// `POST`: in the header, or in a form body as `access_token` (RFC 6750 §2.2), not in both.
pub(crate) async fn post(State(app): State<App>, request: Request) -> Response {
    let headers = request.headers().clone();
    if media_type(&headers) != "application/x-www-form-urlencoded" {
        return answer(&app, &headers, bearer(&headers)).await;
    }
    let Body(params) = match Body::from_request(request, &app).await {
        Ok(body) => body,
        Err(response) => return response,
    };
    match (params.text("access_token"), headers.contains_key(AUTHORIZATION)) {
        _ if params.is_repeated("access_token") => protocol_error::bearer_challenge(Some(
            &Refused::invalid_request("access_token occurs more than once")
                .compared("how often access_token occurs", "once", "more often")
                .fix("Send access_token once."),
        )),
        (Some(_), true) => protocol_error::bearer_challenge(Some(
            &Refused::invalid_request("the token is in the header and in the body; send it once")
                .compared("the token", "in the header or in the body", "in both")
                .fix("Send the token in the Authorization header alone."),
        )),
        (Some(token), false) => answer(&app, &headers, Some(token)).await,
        (None, _) => answer(&app, &headers, bearer(&headers)).await,
    }
}

async fn answer(app: &App, headers: &HeaderMap, token: Option<&str>) -> Response {
    let Some(token) = token else { return protocol_error::bearer_challenge(None) };
    let now = app.clock.now();
    let token = match app.provider.access_token(token, now).await {
        Ok(Some(token)) => token,
        Ok(None) => {
            return protocol_error::bearer_challenge(Some(&Refused::dead_token()));
        }
        Err(internal) => return protocol_error::internal_error(&internal),
    };
    // Aidbox's shape is asked for by Aidbox's media type.
    let fhir = headers
        .get(ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|accept| accept.contains("application/fhir+json"));
    let response = if fhir {
        app.provider.userinfo_document(&token).map(|document| Json(document).into_response())
    } else {
        match app.provider.userinfo(&token) {
            Ok(claims) => match app.provider.signed_userinfo(&token, &claims, now).await {
                Ok(Some(jwt)) => Ok(([(CONTENT_TYPE, "application/jwt")], jwt).into_response()),
                Ok(None) => Ok(Json(claims).into_response()),
                Err(Failure::Refused(why)) => Err(why),
                Err(Failure::Internal(internal)) => return protocol_error::internal_error(&internal),
            },
            Err(why) => Err(why),
        }
    };
    let response = response.unwrap_or_else(|why| protocol_error::bearer_challenge(Some(&why)));
    cors::for_client(app, headers, Some(&token.client.id), response).await
}

//! `GET` and `POST /oauth2/userinfo` (OpenID Connect Core §5.3)

use axum::Json;
use axum::extract::{FromRequest, Request, State};
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, ORIGIN};
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
        (token, _) if params.is_repeated("access_token") => {
            let why = Refused::invalid_request("access_token occurs more than once")
                .compared("how often access_token occurs", "once", "more often")
                .fix("Send access_token once.");
            refused(&app, &headers, token, Some(&why)).await
        }
        (Some(token), true) => {
            let why = Refused::invalid_request("the token is in the header and in the body; send it once")
                .compared("the token", "in the header or in the body", "in both")
                .fix("Send the token in the Authorization header alone.");
            refused(&app, &headers, Some(token), Some(&why)).await
        }
        (Some(token), false) => answer(&app, &headers, Some(token)).await,
        (None, _) => answer(&app, &headers, bearer(&headers)).await,
    }
}

/// The refusal may be read where the answer to the same token may have been: by a page of the client that it was issued to.
async fn refused(app: &App, headers: &HeaderMap, token: Option<&str>, why: Option<&Refused>) -> Response {
    let client = match token {
        Some(token) if headers.contains_key(ORIGIN) => app.provider.client_behind(token).await.ok().flatten(),
        _ => None,
    };
    cors::for_client(app, headers, client.as_deref(), protocol_error::bearer_challenge(why)).await
}

async fn answer(app: &App, headers: &HeaderMap, text: Option<&str>) -> Response {
    let Some(text) = text else { return refused(app, headers, None, None).await };
    let now = app.clock.now();
    let token = match app.provider.access_token(text, now).await {
        Ok(Some(token)) => token,
        Ok(None) => return refused(app, headers, Some(text), Some(&Refused::dead_token())).await,
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

//! Cross-origin requests: any page may read what is public; a client's scripts may call token, revocation and userinfo from the
//! origins its document names. Never with credentials, and never a page of ours.

use axum::extract::OriginalUri;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, HeaderValue, ORIGIN, VARY,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use url::Url;

use super::App;
use crate::domain::client::Client;

/// `OPTIONS`: a preflight does not say which client asks, so it allows the request; whether the script may read the answer is
/// decided with the answer.
pub(crate) async fn preflight(OriginalUri(uri): OriginalUri, headers: HeaderMap) -> Response {
    let Some(origin) = headers.get(ORIGIN) else { return StatusCode::NO_CONTENT.into_response() };
    let origin = if uri.path().contains("/.well-known/") { HeaderValue::from_static("*") } else { origin.clone() };
    let mut response = StatusCode::NO_CONTENT.into_response();
    let answer = response.headers_mut();
    answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    answer.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST"));
    answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("authorization, content-type"));
    answer.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    answer.insert(VARY, HeaderValue::from_static("origin"));
    response
}

/// Lets the page of a client read the answer, where the client named by its id has registered the page's origin.
pub(crate) async fn for_client(
    app: &App,
    headers: &HeaderMap,
    client_id: Option<&str>,
    mut response: Response,
) -> Response {
    let Some(origin) = headers.get(ORIGIN) else { return response };
    response.headers_mut().append(VARY, HeaderValue::from_static("origin"));
    let Some(client_id) = client_id else { return response };
    let client = app.provider.registry().client(client_id).await.ok().flatten();
    if let (Some(client), Ok(text)) = (client, origin.to_str())
        && (is_registered(&client, text) || app.provider.lets_pass(text))
    {
        let answer = response.headers_mut();
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        // RFC 6750 §3: what is wrong with a token stands in the challenge.
        answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("www-authenticate"));
    }
    response
}

/// The origins of a client's redirect URIs are its own; others are listed, `https://*.host` standing for every sub-domain.
fn is_registered(client: &Client, origin: &str) -> bool {
    let origin_of = |uri: &str| Url::parse(uri).ok().map(|url| url.origin().ascii_serialization());
    let listed = |entry: &String| match entry.split_once("://*.") {
        Some((scheme, parent)) => origin
            .strip_prefix(scheme)
            .and_then(|rest| rest.strip_prefix("://"))
            .and_then(|host| host.strip_suffix(parent.trim_end_matches('/')))
            .is_some_and(|label| label.len() > 1 && label.ends_with('.')),
        None => origin_of(entry).as_deref() == Some(origin),
    };
    client.document.allowed_origins.iter().any(listed)
        || client
            .redirect_uris()
            .iter()
            .any(|uri| uri.as_str().starts_with("http") && origin_of(uri.as_str()).as_deref() == Some(origin))
}

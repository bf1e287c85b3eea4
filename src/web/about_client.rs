//! What our pages say about a client, in the person's language where it has said it in that.

use axum::http::header::{ACCEPT_LANGUAGE, HeaderMap};

use super::{App, logo};
use crate::domain::client::Client;
use crate::domain::language::Languages;
use crate::oauth::authorize::AuthorizationRequest;

/// Its name and its links.
#[derive(Debug)]
pub(crate) struct AboutClient {
    pub(crate) name: String,
    pub(crate) logo_uri: Option<String>,
    pub(crate) client_uri: Option<String>,
    pub(crate) policy_uri: Option<String>,
    pub(crate) tos_uri: Option<String>,
}

impl AboutClient {
    /// For a person with this browser, in this request.
    pub(crate) fn of(app: &App, headers: &HeaderMap, request: &AuthorizationRequest) -> Self {
        let (client, document): (&Client, _) = (&request.client, &request.client.document);
        let accepted = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let languages = Languages::read(request.params.text("ui_locales"), accepted);
        let said =
            |field, plain: &Option<String>| client.said(field, &languages).map(str::to_owned).or_else(|| plain.clone());
        let link =
            |field, plain| said(field, plain).filter(|uri| uri.starts_with("https://") || uri.starts_with("http://"));
        Self {
            name: client.said("name", &languages).unwrap_or(&client.name).to_owned(),
            logo_uri: said("logo_uri", &document.logo_uri).and_then(|uri| logo::shown(app, client, &uri)),
            client_uri: link("client_uri", &document.client_uri),
            policy_uri: link("policy_uri", &document.policy_uri),
            tos_uri: link("tos_uri", &document.tos_uri),
        }
    }
}

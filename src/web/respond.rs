//! Answers on their way to a client: the browser is sent to its redirect URI, or posts a form to it.

use axum::response::{IntoResponse, Response};

use super::page::{Page, host, layout, see_other};
use super::pages::FormPost;
use super::{App, Explained, assets};
use crate::domain::response_type::ResponseMode;
use crate::oauth::authorize::AuthorizationResponse;

/// Sends the browser on its way; what it is told of a refusal is kept.
pub(crate) fn respond(app: &App, mut response: AuthorizationResponse) -> Response {
    match response.refused.take() {
        None => sent(app, response),
        Some(why) => {
            tracing::info!(error = why.code.as_str(), description = why.description, "refused");
            Explained::from(&*why).on(sent(app, response))
        }
    }
}

fn sent(app: &App, response: AuthorizationResponse) -> Response {
    if response.mode != ResponseMode::FormPost {
        return see_other(&response.location());
    }
    let AuthorizationResponse { redirect_uri, members, .. } = response;
    let view = FormPost {
        layout: layout(app, None),
        script_href: app.href(assets::FORM_POST),
        client_host: host(&redirect_uri),
        action: redirect_uri.clone(),
        members,
    };
    Page::new(view).form_target(&redirect_uri).and_anywhere_on(&redirect_uri).script().into_response()
}

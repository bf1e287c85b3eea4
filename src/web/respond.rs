//! Answers on their way to a client: the browser is sent to its redirect URI, or posts a form to it.

use axum::response::{IntoResponse, Response};

use super::page::{Page, host, layout, see_other};
use super::pages::FormPost;
use super::{App, assets};
use crate::domain::response_type::ResponseMode;
use crate::oauth::authorize::AuthorizationResponse;

/// Sends the browser on its way.
pub(crate) fn respond(app: &App, response: AuthorizationResponse) -> Response {
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
    Page::new(view).form_target(&redirect_uri).script().into_response()
}

//! `GET /initiate_login?client_id=…`: a link for portals and mails that begins a sign-in at a client.

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};

use super::body::PageQuery;
use super::guard::RequestId;
use super::page::{Page, host, layout, see_other};
use super::pages::Leave;
use super::{App, error_page};

/// Answers the link.
pub(crate) async fn get(
    State(app): State<App>,
    Extension(id): Extension<RequestId>,
    PageQuery(params): PageQuery,
) -> Response {
    match app.provider.initiated_login(&params).await {
        Ok((location, true)) => see_other(&location),
        Ok((href, false)) => Page::new(Leave { layout: layout(&app, None), host: host(&href), href }).into_response(),
        Err(failure) => error_page::failed(&app, &id, failure),
    }
}

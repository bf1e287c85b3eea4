//! `GET /initiate_login?client_id=…`: a link for portals and mails that begins a sign-in at a client.

use axum::Extension;
use axum::extract::State;
use axum::response::Response;

use super::body::PageQuery;
use super::guard::RequestId;
use super::page::see_other;
use super::{App, error_page};

/// Answers the link.
pub(crate) async fn get(
    State(app): State<App>,
    Extension(id): Extension<RequestId>,
    PageQuery(params): PageQuery,
) -> Response {
    match app.provider.initiated_login(&params).await {
        Ok(location) => see_other(&location),
        Err(failure) => error_page::failed(&app, &id, failure),
    }
}

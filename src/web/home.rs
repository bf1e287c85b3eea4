//! The root page.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use axum::response::{IntoResponse, Response};

use super::page::{Page, layout};
use super::pages::Welcome;
use super::{App, dev};

/// `GET /`
pub(crate) async fn get(State(app): State<App>, headers: HeaderMap) -> Response {
    let json_only = headers.get(ACCEPT).is_some_and(|accept| accept == "application/json");
    if json_only {
        return axum::Json(serde_json::json!({ "name": "Countersign", "issuer": app.provider.iss() })).into_response();
    }
    app.note_name(&headers);
    if let Some(dev) = &app.dev {
        return dev::home(&app, dev).await;
    }
    let view = Welcome {
        layout: layout(&app, Some("/")),
        issuer: app.provider.iss().to_owned(),
        discovery_href: app.href("/.well-known/openid-configuration"),
    };
    Page::new(view).into_response()
}

//! The start page of `countersign dev`: what runs, and the demo credentials. None of this exists in `serve`.

use axum::response::{IntoResponse, Response};

use super::page::{Page, layout};
use super::pages::{DemoClient, DemoUser, DevHome};
use super::{App, dev_explanations};
use crate::oauth::discovery;

/// The public client of the sandbox alone.
pub const CLIENT: &str = "countersign-dev";

/// What the root page shows.
#[derive(Clone, Debug)]
pub struct Dev {
    /// The database, for people.
    pub database: String,
    /// The demo clients: id, secret, redirect URIs.
    pub clients: Vec<(String, Option<String>, Vec<String>)>,
    /// The demo users: name and password.
    pub users: Vec<(String, String)>,
    /// The bootstrap admin client, with its secret where that is the well-known one.
    pub admin: (String, String),
    /// A line to paste.
    pub curl: String,
}

/// The secret of the administrator's client that everybody knows.
pub const ADMIN_SECRET: &str = "secret";

impl Dev {
    /// The secret of a client that everybody knows.
    pub(crate) fn secret_of(&self, id: &str) -> Option<&str> {
        let admin = (self.admin.0 == id && self.admin.1 == ADMIN_SECRET).then_some(ADMIN_SECRET);
        let mut demo = self.clients.iter().filter(|(known, ..)| known == id);
        admin.or_else(|| demo.find_map(|(_, secret, _)| secret.as_deref()))
    }
}

/// The root page.
pub(crate) async fn home(app: &App, dev: &Dev) -> Response {
    let client =
        |(id, secret, redirect_uris): (String, Option<String>, Vec<String>)| DemoClient { id, secret, redirect_uris };
    let metadata = app.provider.discovery();
    let user = |(name, password): (String, String)| DemoUser { name, password };
    let view = DevHome {
        layout: layout(app, Some("/")),
        issuer: app.provider.iss().to_owned(),
        dialect: app.provider.dialect().map(|dialect| dialect.title.clone()),
        permissive: app.provider.sign_in().is_permissive(),
        internal_url: app.reach.internal.as_ref().map(|internal| internal.url.clone()),
        advice: app.advice.told(),
        bundle_problems: app.advice.bundles(),
        version: env!("CARGO_PKG_VERSION").into(),
        database: dev.database.clone(),
        clients: dev.clients.iter().cloned().map(client).collect(),
        users: dev.users.iter().cloned().map(user).collect(),
        try_href: app.href("/dev/start"),
        sandbox_href: app.href("/sandbox"),
        curl: dev.curl.clone(),
        refusals: dev_explanations::recent(app).await,
        admin_client_id: dev.admin.0.clone(),
        admin_client_secret: dev.admin.1.clone(),
        endpoints: discovery::ENDPOINTS
            .iter()
            .filter_map(|(name, _)| Some(((*name).to_owned(), metadata.get(name)?.as_str()?.to_owned())))
            .collect(),
    };
    Page::new(view).into_response()
}

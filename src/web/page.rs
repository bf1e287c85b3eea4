//! A rendered page with the headers it needs.

use askama::Template;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderValue, SET_COOKIE};
use axum::response::{IntoResponse, Response};
use url::Url;

use super::pages::Layout;
use super::{App, assets};
use crate::domain::client::Client;

/// The frame of a page. `home` is where the name in its header leads.
pub(crate) fn layout(app: &App, home: Option<&str>) -> Layout {
    Layout {
        css_href: app.href(assets::STYLE),
        icon_href: app.href(assets::ICON),
        home_href: home.map(|path| app.href(path)),
    }
}

/// A page to send.
pub(crate) struct Page<T> {
    pub(crate) status: StatusCode,
    pub(crate) view: T,
    /// Where its forms may lead besides our own origin. Chromium checks every redirect that follows a form, those of the application
    /// among them, which may take the code at one origin and go on at another.
    pub(crate) form_targets: Vec<String>,
    /// Whether it runs a script of ours.
    pub(crate) script: bool,
    /// What it may frame: origins.
    pub(crate) frames: Vec<String>,
    /// Cookies to set.
    pub(crate) cookies: Vec<HeaderValue>,
}

impl<T: Template> Page<T> {
    pub(crate) const fn new(view: T) -> Self {
        Self {
            status: StatusCode::OK,
            view,
            form_targets: Vec::new(),
            script: false,
            frames: Vec::new(),
            cookies: Vec::new(),
        }
    }

    pub(crate) fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Its forms lead to this redirect URI.
    pub(crate) fn form_target(mut self, redirect_uri: &str) -> Self {
        self.form_targets.extend(origin(redirect_uri));
        self
    }

    /// And from there on to origins of the client, as its document lists them.
    pub(crate) fn onward(mut self, client: &Client) -> Self {
        self.form_targets.extend(client.document.allowed_origins.iter().filter_map(|listed| {
            match listed.contains("://*.") {
                // A policy writes them as the document does.
                true => Some(origin(&listed.replacen("://*.", "://", 1))?.replacen("://", "://*.", 1)),
                false => origin(listed),
            }
        }));
        self.form_targets.sort();
        self.form_targets.dedup();
        self
    }

    /// And anywhere from there: a form without a secret of the person's has nothing to keep from whoever comes next.
    pub(crate) fn and_anywhere_on(mut self, redirect_uri: &str) -> Self {
        self.form_targets.extend(Url::parse(redirect_uri).ok().map(|url| format!("{}:", url.scheme())));
        self.form_targets.dedup();
        self
    }

    pub(crate) fn script(mut self) -> Self {
        self.script = true;
        self
    }

    pub(crate) fn frames(mut self, uris: &[String]) -> Self {
        self.frames = uris.iter().filter_map(|uri| origin(uri)).collect();
        self.frames.sort();
        self.frames.dedup();
        self
    }

    pub(crate) fn cookie(mut self, cookie: Option<HeaderValue>) -> Self {
        self.cookies.extend(cookie);
        self
    }
}

impl<T: Template> IntoResponse for Page<T> {
    fn into_response(self) -> Response {
        let html = match self.view.render() {
            Ok(html) => html,
            Err(error) => {
                tracing::error!(%error, "a page does not render");
                return StatusCode::INTERNAL_SERVER_ERROR.into_response();
            }
        };
        let target = self.form_targets.iter().fold(String::new(), |all, target| format!("{all} {target}"));
        let script = if self.script { " script-src 'self';" } else { "" };
        let frames =
            if self.frames.is_empty() { String::new() } else { format!("frame-src {}; ", self.frames.join(" ")) };
        let policy = format!(
            "default-src 'none';{script} style-src 'self'; img-src 'self' data:; {frames}form-action 'self'{target}; frame-ancestors 'none'; base-uri 'none'"
        );
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        if let Ok(policy) = HeaderValue::from_str(&policy) {
            headers.insert(CONTENT_SECURITY_POLICY, policy);
        }
        for cookie in self.cookies {
            headers.append(SET_COOKIE, cookie);
        }
        (self.status, headers, html).into_response()
    }
}

/// A redirect after which the browser GETs, never posts again (RFC 9700 §4.12).
pub(crate) fn see_other(location: &str) -> Response {
    match HeaderValue::from_str(location) {
        Ok(value) => (StatusCode::SEE_OTHER, [(axum::http::header::LOCATION, value)]).into_response(),
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}

/// `https://app.example`, or `myapp:` for an application's own scheme, as a source of a content security policy. Its grammar
/// knows no IPv6 addresses (CSP Level 3 §2.3.1): there, too, the scheme has to do.
fn origin(uri: &str) -> Option<String> {
    let url = Url::parse(uri).ok()?;
    let nameable = |host: &str| host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'));
    match url.scheme() {
        "http" | "https" if url.host_str().is_some_and(nameable) => Some(url.origin().ascii_serialization()),
        scheme => Some(format!("{scheme}:")),
    }
}

/// Host (and port) of a URI, for people; the scheme where it is an application's own, since what follows is then no host.
pub(crate) fn host(uri: &str) -> String {
    let Ok(url) = Url::parse(uri) else { return uri.to_owned() };
    match (url.scheme(), url.host_str(), url.port()) {
        ("http" | "https", Some(host), Some(port)) => format!("{host}:{port}"),
        ("http" | "https", Some(host), None) => host.to_owned(),
        (scheme, ..) => format!("{scheme}:"),
    }
}

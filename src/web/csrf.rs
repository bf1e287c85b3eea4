//! Forms of ours are answered only from our own pages: the browser says so (fetch metadata, `Origin`), and the form carries a
//! token bound to the browser, its login, the form and the request it is about.

use axum::http::HeaderMap;
use axum::http::header::{HOST, HeaderValue, ORIGIN};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};

use super::App;
use super::cookies::{Cookie, new_browser};
use crate::domain::time::Timestamp;

/// Seconds that a form stays good.
const LIFE: i64 = 3_600;

/// What a token is bound to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form<'a> {
    /// Which form.
    pub(crate) name: &'static str,
    /// The login that the page was made for; empty where nobody was signed in.
    pub(crate) login: &'a str,
    /// The request that the form is about.
    pub(crate) subject: &'a str,
}

/// The token of a new form, and the cookie to set where the browser has none yet.
pub(crate) fn issue(app: &App, headers: &HeaderMap, form: Form<'_>, now: Timestamp) -> (String, Option<HeaderValue>) {
    let sent = Cookie::Browser.read(app, headers);
    let cookie = sent.is_none().then(|| new_browser(app));
    let browser = sent.or_else(|| cookie.clone()).unwrap_or_default();
    let cookie = cookie.map(|browser| Cookie::Browser.set(app, &browser));
    let tag = tag(app, &browser, form, now.0);
    (format!("{}.{}", now.0, B64.encode(tag)), cookie)
}

/// Whether a posted form is one of ours, from this browser, and still good.
pub(crate) fn verify(app: &App, headers: &HeaderMap, form: Form<'_>, token: &str, now: Timestamp) -> bool {
    let read = || {
        let (issued, mac) = token.split_once('.')?;
        let issued: i64 = issued.parse().ok()?;
        let browser = Cookie::Browser.read(app, headers)?;
        let genuine = app.csrf_key.verifies(&parts(&browser, form, &issued.to_be_bytes()), &B64.decode(mac).ok()?);
        Some(genuine && (0..LIFE).contains(&Timestamp(issued).until(now)))
    };
    from_our_pages(headers) && read().unwrap_or(false)
}

fn tag(app: &App, browser: &str, form: Form<'_>, issued: i64) -> [u8; 32] {
    app.csrf_key.tag(&parts(browser, form, &issued.to_be_bytes()))
}

fn parts<'a>(browser: &'a str, form: Form<'a>, issued: &'a [u8; 8]) -> [&'a [u8]; 5] {
    [form.name.as_bytes(), browser.as_bytes(), form.login.as_bytes(), form.subject.as_bytes(), issued]
}

/// What the browser itself says of where the form was. A program that says nothing has no cookies of a victim to abuse.
pub(crate) fn from_our_pages(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return site == "same-origin";
    }
    match text(ORIGIN.as_str()) {
        None => true,
        Some(origin) => origin.split_once("://").map(|(_, host)| host) == text(HOST.as_str()),
    }
}

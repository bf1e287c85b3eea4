//! Our cookies: the login, its state for the frames of clients, the browser (which form tokens are bound to) and the known user.
//!
//! On https they carry the `__Host-` prefix and `Secure`. The issuer is part of the name, so that two servers on one host keep
//! apart.

use axum::http::HeaderMap;
use axum::http::header::{COOKIE, HeaderValue};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};

use super::App;
use crate::domain::secret::Digest;

/// Which cookie.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cookie {
    /// The signed-in browser.
    Login,
    /// The state of the login, for the script of the session frame.
    State,
    /// Any browser that was shown a form.
    Browser,
    /// Who has signed in in this browser before; see the throttle of sign-in.
    Known,
    /// The code flow that the sandbox has begun.
    Sandbox,
}

/// The part of a cookie's name that tells servers apart.
pub(crate) fn tag(issuer: &str) -> String {
    B64.encode(&Digest::of(issuer.as_bytes()).as_bytes()[..6])
}

impl Cookie {
    pub(crate) fn name(self, app: &App) -> String {
        let prefix = if app.reach.https { "__Host-" } else { "" };
        let kind = match self {
            Self::Login => "login",
            Self::State => "state",
            Self::Browser => "browser",
            Self::Known => "known",
            Self::Sandbox => "sandbox",
        };
        format!("{prefix}cs-{}-{kind}", app.cookie_tag)
    }

    /// Seconds that the browser keeps it; the login ends on the server's own terms.
    const fn max_age(self) -> i64 {
        match self {
            Self::Login | Self::State => 2_592_000,
            Self::Browser => 86_400,
            Self::Known => 31_536_000,
            Self::Sandbox => 600,
        }
    }

    /// Its value in a request.
    pub(crate) fn read(self, app: &App, headers: &HeaderMap) -> Option<String> {
        let name = self.name(app);
        let lines = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(found, _)| *found == name).map(|(_, value)| value.to_owned())
    }

    /// The header that sets it.
    pub(crate) fn set(self, app: &App, value: &str) -> HeaderValue {
        self.header(app, value, self.max_age())
    }

    /// The header that removes it.
    pub(crate) fn clear(self, app: &App) -> HeaderValue {
        self.header(app, "", 0)
    }

    fn header(self, app: &App, value: &str, max_age: i64) -> HeaderValue {
        let attributes = match (self, app.reach.https) {
            // Read by our script, in frames on other people's sites (Session Management §3.2). It proves nothing to us.
            (Self::State, true) => "SameSite=None; Secure",
            (Self::State, false) => "SameSite=Lax",
            (_, true) => "HttpOnly; SameSite=Lax; Secure",
            (_, false) => "HttpOnly; SameSite=Lax",
        };
        let text = format!("{}={value}; Path=/; Max-Age={max_age}; {attributes}", self.name(app));
        // Values are base64url of our own making.
        HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
    }
}

/// The value of a new browser cookie.
pub(crate) fn new_browser(app: &App) -> String {
    B64.encode(app.provider.randomness().bytes::<16>("browsers"))
}

/// The value of the known-user cookie.
pub(crate) fn known(app: &App, user_id: &str) -> String {
    format!("{}.{}", B64.encode(user_id), B64.encode(app.device_key.tag(&[user_id.as_bytes()])))
}

/// The user whom the known-user cookie names, if it is ours.
pub(crate) fn known_user(app: &App, headers: &HeaderMap) -> Option<String> {
    let value = Cookie::Known.read(app, headers)?;
    let (user, tag) = value.split_once('.')?;
    let user = String::from_utf8(B64.decode(user).ok()?).ok()?;
    app.device_key.verifies(&[user.as_bytes()], &B64.decode(tag).ok()?).then_some(user)
}

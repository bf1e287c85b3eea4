//! HTTP as a client of somebody's server speaks it: each request can be shown as it is sent and as a `curl` line that does the same.
//!
//! The person named the server, so private addresses and plain http are as good as any; everything else that [`crate::outbound`]
//! guards against (redirects followed blindly, endless answers, endless waiting) stays.

use std::fmt::Write;
use std::path::Path;

use bytes::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, COOKIE, LOCATION};
use hyper::{Method, Request, Response};
use serde_json::Value;
use url::Url;
use url::form_urlencoded::{Serializer, parse};

use super::Failure;
use super::output::progress;
use crate::outbound::{Kind, Outbound};

/// Names of parameters and members whose values let somebody in.
const SECRET: [&str; 9] = [
    "client_secret",
    "password",
    "code",
    "code_verifier",
    "refresh_token",
    "access_token",
    "id_token",
    "csrf",
    "client_assertion",
];
const MASK: &str = "********";
const FORM: &str = "application/x-www-form-urlencoded";

/// How requests are shown, if at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    Not,
    Masked,
    Whole,
}

/// The client.
pub(super) struct Wire {
    outbound: Outbound,
    shown: Shown,
}

/// A request.
#[derive(Default)]
pub(super) struct Sent<'a> {
    pub(super) url: &'a str,
    /// A form to post; else it is a GET.
    pub(super) form: Option<Vec<(String, String)>>,
    /// The header `Authorization`.
    pub(super) authorization: Option<String>,
    /// The header `Cookie`.
    pub(super) cookie: Option<String>,
}

impl Wire {
    /// A client that trusts the public authorities, and those of the file `ca`.
    pub(super) fn new(ca: Option<&Path>, shown: Shown) -> Result<Self, Failure> {
        let anywhere = ["0.0.0.0/0", "::/0"].iter().filter_map(|network| network.parse().ok()).collect();
        let outbound = Outbound::new(anywhere, true, ca).map_err(|why| Failure::new(format!("--ca {why}")))?;
        Ok(Self { outbound, shown })
    }

    /// Sends a request; whatever the server answers is an answer.
    pub(super) async fn send(&self, sent: &Sent<'_>) -> Result<Response<Bytes>, Failure> {
        if self.shown != Shown::Not {
            progress(sent.show(self.shown == Shown::Whole));
        }
        let method = if sent.form.is_some() { Method::POST } else { Method::GET };
        let mut request = Request::builder().method(method);
        for (name, value) in sent.headers() {
            request = request.header(name, value);
        }
        let answer = self.outbound.send(sent.url, request, sent.body()).await;
        let answer = answer.map_err(|error| Failure::new(format!("{}: {}", plain(sent.url), explain(&error.kind))))?;
        if self.shown != Shown::Not {
            progress(show_answer(&answer, self.shown == Shown::Whole));
        }
        Ok(answer)
    }

    /// Fetches a JSON object; the words say what it is.
    pub(super) async fn json(&self, url: &str, what: &str) -> Result<Value, Failure> {
        let answer = self.send(&Sent { url, ..Sent::default() }).await?;
        if answer.status() != 200 {
            return Err(Failure::new(format!("{url}: {what} is expected here, and the answer is {}", answer.status())));
        }
        let value = serde_json::from_slice::<Value>(answer.body()).ok().filter(Value::is_object);
        value.ok_or_else(|| Failure::new(format!("{url}: {what} is expected here, and the answer is no JSON object")))
    }
}

impl Sent<'_> {
    fn headers(&self) -> Vec<(hyper::header::HeaderName, &str)> {
        let accept = if self.cookie.is_some() { "text/html" } else { "application/json" };
        let mut headers = vec![(ACCEPT, accept)];
        headers.extend(self.form.as_ref().map(|_| (CONTENT_TYPE, FORM)));
        headers.extend(self.authorization.as_deref().map(|value| (AUTHORIZATION, value)));
        headers.extend(self.cookie.as_deref().filter(|value| !value.is_empty()).map(|value| (COOKIE, value)));
        headers
    }

    fn body(&self) -> String {
        self.form.as_ref().map_or_else(String::new, |form| Serializer::new(String::new()).extend_pairs(form).finish())
    }

    /// The request in the form of HTTP/1.1, and as `curl`.
    fn show(&self, whole: bool) -> String {
        let mask = |name: &str, value: &str| mask(name, value, whole);
        let form = self.form.as_ref().map(|form| form.iter().map(|(name, value)| (name.as_str(), mask(name, value))));
        let body = form.map(|form| Serializer::new(String::new()).extend_pairs(form).finish());
        let url = shown_url(self.url, whole);
        let mut text = format!("> {} {url}\n", if body.is_some() { "POST" } else { "GET" });
        let mut curl = "curl -s".to_owned();
        for (name, value) in self.headers() {
            let value = match name.as_str() {
                "authorization" | "cookie" if !whole => {
                    value.split_once([' ', '=']).map_or(MASK.to_owned(), |(first, _)| {
                        format!("{first}{}{MASK}", if name == COOKIE { '=' } else { ' ' })
                    })
                }
                _ => value.to_owned(),
            };
            let _ = writeln!(text, "> {name}: {value}");
            if name != CONTENT_TYPE {
                let _ = write!(curl, " -H {}", quoted(&format!("{name}: {value}")));
            }
        }
        if let Some(body) = body {
            let _ = writeln!(text, ">\n> {body}");
            let _ = write!(curl, " -d {}", quoted(&body));
        }
        let _ = write!(text, "$ {curl} {}", quoted(&url));
        text
    }
}

/// One word of a shell.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Text of a server on its way to a terminal: no control characters, which could write anything anywhere.
pub(super) fn tame(text: &str) -> String {
    text.chars().map(|one| if one.is_control() { '\u{fffd}' } else { one }).collect()
}

fn mask(name: &str, value: &str, whole: bool) -> String {
    if whole || !SECRET.contains(&name) { value.to_owned() } else { MASK.to_owned() }
}

fn shown_url(text: &str, whole: bool) -> String {
    let Ok(mut url) = Url::parse(text) else { return tame(text) };
    if let Some(query) = url.query().filter(|_| !whole) {
        let pairs = parse(query.as_bytes()).map(|(name, value)| (name.to_string(), mask(&name, &value, false)));
        let query = Serializer::new(String::new()).extend_pairs(pairs).finish();
        url.set_query(Some(&query));
    }
    url.to_string()
}

/// A URL without its query, for errors.
fn plain(text: &str) -> String {
    text.split(['?', '#']).next().map(tame).unwrap_or_default()
}

fn show_answer(answer: &Response<Bytes>, whole: bool) -> String {
    let mut text = format!("< {}", answer.status());
    if let Some(location) = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok()) {
        let _ = write!(text, "\n< location: {}", shown_url(location, whole));
    }
    if let Ok(mut value) = serde_json::from_slice::<Value>(answer.body()) {
        if let (Some(members), false) = (value.as_object_mut(), whole) {
            for (name, value) in members.iter_mut().filter(|(name, _)| SECRET.contains(&name.as_str())) {
                if let Some(text) = value.as_str() {
                    *value = mask(name, text, false).into();
                }
            }
        }
        let _ = write!(text, "\n< {value}");
    }
    text
}

/// What went wrong, in words for whoever typed the address.
fn explain(kind: &Kind) -> String {
    match kind {
        Kind::NotAUrl => "is not an http or https URL without user name and password".to_owned(),
        Kind::Unreachable(error) => {
            format!(
                "cannot be connected to ({error}); is it running? `countersign dev` starts a server on this machine"
            )
        }
        Kind::Tls(error) => {
            format!("TLS fails ({error}); if its certificate is of an authority of your own, name that with --ca")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_shown_without_its_secrets_unless_they_are_asked_for() {
        let form = [("grant_type", "password"), ("password", "hunter2's"), ("scope", "a b")];
        let sent = Sent {
            url: "https://a.example/token?code=hunter2",
            form: Some(form.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()),
            authorization: Some("Basic hunter2".to_owned()),
            cookie: Some("s=hunter2; t=hunter2".to_owned()),
        };
        let masked = sent.show(false);
        assert!(!masked.contains("hunter2"), "{masked}");
        assert!(masked.contains("authorization: Basic ********") && masked.contains("scope=a+b"), "{masked}");
        let whole = sent.show(true);
        assert!(whole.contains("Basic hunter2") && whole.contains("-d 'grant_type=password&password=hunter2%27s"));
    }
}

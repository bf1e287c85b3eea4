//! A request of an application: sent through the whole site, as if it came over the network, and shown as it is sent, as HTTP and
//! as `curl`. What is secret in it is shown by the name of a variable.

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};

use super::views::{Line, Shown};
use crate::domain::client::{Client, GrantType};
use crate::domain::secret::Secret;
use crate::web::client_address::{ClientAddress, Peer};
use crate::web::{App, Door};

/// What is said where there is no [`Answer`].
pub(super) const UNANSWERED: &str =
    "The request cannot be written as HTTP, or no whole answer came that is short enough to show";
/// An answer is shown up to this size; ours are far smaller.
const ANSWER: usize = 256 * 1_024;
const FORM: &str = "application/x-www-form-urlencoded";

/// A value of a parameter.
#[derive(Debug)]
pub(super) enum Value {
    /// Shown as it is.
    Open(String),
    /// Shown as a variable of the shell.
    Hidden(&'static str, Secret),
}

/// How the request is authorized.
#[derive(Debug)]
pub(super) enum Credentials {
    /// Not in a header.
    None,
    /// `client_secret_basic` (RFC 6749 §2.3.1)
    Basic(String, Secret),
    /// A token (RFC 6750 §2.1).
    Bearer(String),
}

/// How a client proves itself here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// The secret in the `Authorization` header.
    Basic,
    /// The secret in the body.
    Post,
    /// By its name alone.
    None,
}

/// A request.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) credentials: Credentials,
    pub(super) form: Vec<(&'static str, Value)>,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// The variables of the commands.
pub(super) const CLIENT_SECRET: &str = "CLIENT_SECRET";
pub(super) const PASSWORD: &str = "PASSWORD";

impl Proof {
    /// The one that is asked for by name, else the one that the client's document means; `None` where it signs with a key of its
    /// own, which nobody has here.
    pub(super) fn of(asked: Option<&str>, client: Option<&Client>, grant: Option<GrantType>) -> Option<Self> {
        let registered = client.and_then(|client| client.auth_method(grant));
        Some(match (asked, registered) {
            (Some("client_secret_basic"), _) => Self::Basic,
            (Some("client_secret_post"), _) => Self::Post,
            (Some("none"), _) => Self::None,
            (_, Some("client_secret_post")) => Self::Post,
            (_, Some("none")) => Self::None,
            (_, Some("private_key_jwt" | "client_secret_jwt")) => return None,
            _ if client.is_some_and(Client::is_public) => Self::None,
            _ => Self::Basic,
        })
    }
}

impl Call {
    /// A POST without parameters yet.
    pub(super) const fn post(path: &'static str) -> Self {
        Self { method: Method::POST, path, credentials: Credentials::None, form: Vec::new() }
    }

    /// A GET with a token.
    pub(super) const fn with_token(path: &'static str, token: String) -> Self {
        Self { method: Method::GET, path, credentials: Credentials::Bearer(token), form: Vec::new() }
    }

    /// With a parameter; one without a value is left out.
    pub(super) fn with(mut self, name: &'static str, value: Option<&str>) -> Self {
        self.form.extend(value.map(|value| (name, Value::Open(value.to_owned()))));
        self
    }

    /// With what proves the client.
    pub(super) fn proven(mut self, proof: Proof, client_id: &str, secret: Secret) -> Self {
        if proof == Proof::Basic {
            self.credentials = Credentials::Basic(client_id.to_owned(), secret);
            return self;
        }
        self = self.with("client_id", Some(client_id));
        if proof == Proof::Post {
            self.form.push(("client_secret", Value::Hidden(CLIENT_SECRET, secret)));
        }
        self
    }

    /// Sends it through the site for the browser at this address, and answers what came; `None` where it cannot be
    /// written as HTTP, or what came is too long or was cut short.
    pub(super) async fn send(&self, app: &App, door: &Door, address: ClientAddress) -> Option<Answer> {
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(app.href(self.path))
            .header(HOST, authority(app))
            .header(ACCEPT, "application/json");
        if let Some(value) = self.authorization() {
            let mut value = HeaderValue::from_str(value.expose()).ok()?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let body = if self.form.is_empty() {
            Body::empty()
        } else {
            request = request.header(CONTENT_TYPE, FORM);
            Body::from(self.body())
        };
        let mut request = request.body(body).ok()?;
        // The throttles count it for whoever sends it.
        request.extensions_mut().insert(Peer(address.0));
        let (head, body) = door.answer(request).await.into_parts();
        let body = Limited::new(body, ANSWER).collect().await.ok()?.to_bytes();
        Some(Answer { status: head.status, headers: head.headers, body })
    }

    fn authorization(&self) -> Option<Secret> {
        match &self.credentials {
            Credentials::None => None,
            Credentials::Basic(id, secret) => {
                let pair = Secret::new(format!("{}:{}", encoded(id), encoded(secret.expose())));
                Some(Secret::new(format!("Basic {}", STANDARD.encode(pair.expose()))))
            }
            Credentials::Bearer(token) => Some(Secret::new(format!("Bearer {token}"))),
        }
    }

    fn body(&self) -> String {
        let pair = |(name, value): &(&str, Value)| match value {
            Value::Open(text) => format!("{name}={}", encoded(text)),
            Value::Hidden(_, secret) => format!("{name}={}", encoded(secret.expose())),
        };
        self.form.iter().map(pair).collect::<Vec<_>>().join("&")
    }

    /// The same for people.
    pub(super) fn shown(&self, app: &App, known: &[(&str, &str)]) -> Shown {
        let mut headers = vec![Line::new("Host", authority(app)), Line::new("Accept", "application/json")];
        match &self.credentials {
            Credentials::None => {}
            Credentials::Basic(id, _) => {
                headers.push(Line::new("Authorization", &format!("Basic base64({}:${CLIENT_SECRET})", encoded(id))));
            }
            Credentials::Bearer(token) => headers.push(Line::new("Authorization", &format!("Bearer {token}"))),
        }
        if !self.form.is_empty() {
            headers.push(Line::new("Content-Type", FORM));
        }
        let pair = |(name, value): &(&str, Value)| match value {
            Value::Open(text) => format!("{name}={}", encoded(text)),
            Value::Hidden(variable, _) => format!("{name}=${variable}"),
        };
        let body: Vec<String> = self.form.iter().map(pair).collect();
        let (first, curl) = self.curl(app, &body, known);
        Shown { line: format!("{} {}", self.method, app.href(self.path)), headers, body, curl: Some(curl), first }
    }

    /// The command, which has `curl` read everything from its standard input, so that nothing secret is in the list of processes;
    /// and what is to be typed before, where a variable has no value that is known.
    fn curl(&self, app: &App, body: &[String], known: &[(&str, &str)]) -> (Vec<String>, String) {
        let mut lines = vec![
            format!("url = \"{}\"", quoted(&format!("{}{}", app.provider.issuer(), self.path))),
            "header = \"Accept: application/json\"".to_owned(),
        ];
        match &self.credentials {
            Credentials::None => {}
            Credentials::Basic(id, _) => lines.push(format!("user = \"{}:${CLIENT_SECRET}\"", encoded(id))),
            Credentials::Bearer(token) => lines.push(format!("header = \"Authorization: Bearer {}\"", quoted(token))),
        }
        // Names and values are percent-encoded already: nothing in them means anything to the shell.
        lines.extend(body.iter().map(|pair| format!("data = \"{pair}\"")));
        let mut command = Vec::new();
        let mut first = Vec::new();
        for variable in self.variables() {
            match known.iter().find(|(name, _)| *name == variable) {
                Some((_, value)) => command.push(format!("{variable}={}", encoded(value))),
                None => first.push(format!("read -rs {variable}")),
            }
        }
        command.push("curl -s -K - <<END".to_owned());
        command.append(&mut lines);
        command.push("END".to_owned());
        (first, command.join("\n"))
    }

    fn variables(&self) -> Vec<&'static str> {
        let basic = matches!(self.credentials, Credentials::Basic(..)).then_some(CLIENT_SECRET);
        let hidden = self.form.iter().filter_map(|(_, value)| match value {
            Value::Hidden(variable, _) => Some(*variable),
            Value::Open(_) => None,
        });
        basic.into_iter().chain(hidden).collect()
    }
}

/// The issuer without scheme and path: the name that an application reaches it by.
fn authority(app: &App) -> &str {
    let rest = app.provider.issuer().split_once("://").map_or("", |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default()
}

/// RFC 6749 App. B; the encoder leaves nothing that a shell or `curl` would read.
pub(super) fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Inside the quotes of `curl`'s configuration, inside a here-document of the shell.
fn quoted(text: &str) -> String {
    let for_curl = text.replace('\\', "\\\\").replace('"', "\\\"");
    for_curl.replace('\\', "\\\\").replace('$', "\\$").replace('`', "\\`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_typed_is_read_by_the_shell() {
        assert_eq!(encoded("a b$c`d\"\\\n"), "a+b%24c%60d%22%5C%0A");
        assert_eq!(quoted("a\"b\\c$d`e"), "a\\\\\"b\\\\\\\\c\\$d\\`e");
    }

    #[test]
    fn a_client_proves_itself_as_it_is_registered_or_as_one_asks() {
        let client = |document| Client::from_document("a", 0, true, Some("s".into()), document).ok();
        let public = Client::from_document("a", 0, true, None, serde_json::json!({})).unwrap();
        assert_eq!(Proof::of(None, Some(&public), None), Some(Proof::None));
        assert_eq!(Proof::of(Some("client_secret_post"), Some(&public), None), Some(Proof::Post));
        assert_eq!(Proof::of(None, client(serde_json::json!({})).as_ref(), None), Some(Proof::Basic));
        for (method, proof) in [("client_secret_post", Some(Proof::Post)), ("private_key_jwt", None)] {
            let client = client(serde_json::json!({ "token_endpoint_auth_method": method }));
            assert_eq!(Proof::of(None, client.as_ref(), None), proof);
        }
    }
}

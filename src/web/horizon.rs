//! The names that this server is reached by, and what goes wrong with them.
//!
//! There is one issuer, which browsers use. Containers may need another name for the same server, the internal URL: who comes by it
//! is told URLs below it ([`App::base`]). The mistakes that are usual with such networks are recognised from what arrives and
//! explained, each once, in the log and on the start page of `dev` ([`Advice`]).

use std::sync::{Mutex, PoisonError};

use axum::http::header::HOST;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::{App, Explained, Reach};
use crate::domain::redirect_uri::{is_known_to_containers_alone, leads_to_a_container};
use crate::oauth::explanation::{Explanation, Told};

/// The name of this server among containers.
#[derive(Clone, Debug)]
pub struct Internal {
    /// The base of its URLs.
    pub url: String,
    /// Host and port, as a `Host` header has them.
    pub authority: String,
}

/// More explanations than this are not kept: whoever sends requests chooses what some of them name.
const MOST: usize = 16;
/// No host that is worth an explanation is longer.
const LONGEST: usize = 100;

/// What is probably wrong, each said once; and what surely is, with bundles.
#[derive(Debug, Default)]
pub struct Advice {
    told: Mutex<Vec<String>>,
    bundles: Mutex<Vec<String>>,
}

impl Advice {
    /// Tells what is probably wrong, unless that was said before.
    pub fn tell(&self, text: String) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() < MOST && !told.contains(&text) {
            tracing::warn!("{text}");
            told.push(text);
        }
    }

    /// Everything so far.
    pub(crate) fn told(&self) -> Vec<String> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes why the bundles on disk are not what is in force; nothing where they are.
    pub fn refuse_bundles(&self, problems: Vec<String>) {
        *self.bundles.lock().unwrap_or_else(PoisonError::into_inner) = problems;
    }

    /// The same, to be shown.
    pub(crate) fn bundles(&self) -> Vec<String> {
        self.bundles.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl App {
    /// The base of URLs for whoever sent this: the internal one for those who came by it, else the issuer.
    pub(crate) fn base(&self, headers: &HeaderMap) -> &str {
        match &self.reach.internal {
            Some(internal) if host(headers).is_some_and(|host| internal.is(host, &self.reach)) => &internal.url,
            _ => self.provider.issuer(),
        }
    }

    /// Looks at the name by which somebody read what names the issuer; most clients refuse a document that names another
    /// (OpenID Connect Discovery §4.3).
    pub(crate) fn note_name(&self, headers: &HeaderMap) {
        let Some(host) = host(headers) else { return };
        if host.eq_ignore_ascii_case(&self.reach.authority) || self.base(headers) != self.provider.issuer() {
            return;
        }
        let (issuer, name) = (self.provider.issuer(), without_port(host));
        if host.len() > LONGEST {
            return;
        }
        let came = format!("somebody came by `{host}`, and the issuer is {issuer}");
        let (url, path) = (format!("{}://{host}", self.reach.scheme), &self.reach.base_path);
        self.advice.tell(if name.eq_ignore_ascii_case(without_port(&self.reach.authority)) {
            format!(
                "{came}: this port is probably published as another one. Set --issuer {url}{path} if that is what people use."
            )
        } else if is_known_to_containers_alone(name) {
            format!(
                "{came}: probably a container, for which the endpoints of that issuer lead elsewhere. \
                 Set --internal-url {url}{path}, and give the container {issuer} as the issuer of tokens."
            )
        } else {
            format!("{came}: clients that compare the two refuse it. Write {issuer} in their settings.")
        });
    }

    /// Looks at where a browser is to be sent, in `dev`.
    pub(crate) fn note_redirect(&self, redirect_uri: &str) {
        if self.dev.is_none() || redirect_uri.len() > 2 * LONGEST {
            return;
        }
        if leads_to_a_container(redirect_uri) {
            self.advice.tell(format!(
                "the redirect URI {redirect_uri} has a host that probably only containers know, and it is the browser that goes \
                 there. Write the name that the browser knows the application by, such as localhost and its published port."
            ));
        }
    }
}

/// The answer to who asks for a host that is not ours. Otherwise DNS rebinding reaches a local server, and links could be made with
/// a stranger's name, which for the same reason stands in the log alone.
pub(crate) fn misdirected(app: &App, headers: &HeaderMap) -> Response {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    let host = host(headers).filter(|host| (1..=LONGEST).contains(&host.len()) && host.bytes().all(plain));
    let contained = host.is_some_and(|host| is_known_to_containers_alone(without_port(host)));
    if let Some(host) = host {
        let name = without_port(host);
        let url = format!("{}://{host}{}", app.reach.scheme, app.reach.base_path);
        let remedy = match (contained, &app.reach.internal) {
            (true, None) => format!("It is probably this server's name among containers: set --internal-url {url}"),
            (true, Some(_)) => {
                format!("If containers use it too, set --internal-url {url} instead, or --allowed-host {name}")
            }
            (false, _) => format!("If it is a name of this server, set --allowed-host {name}"),
        };
        let issuer = app.provider.issuer();
        app.advice.tell(format!(
            "a request for the host `{host}` was answered 421, since it is no name of {issuer}. {remedy}."
        ));
    }
    let flag = match contained {
        true => "--internal-url (the URL that containers reach it at)",
        false => "--allowed-host",
    };
    let text = format!("This server does not answer to that host name; see {flag}, and its log.\n");
    let explained = Explained {
        error: Some("misdirected_request"),
        description: text.trim_end().to_owned(),
        explanation: Explanation::of_host(
            Told::list(app.reach.hosts.iter().map(String::as_str)),
            host.map_or_else(|| "(none)".into(), Told::public),
        ),
    };
    explained.on((StatusCode::MISDIRECTED_REQUEST, text).into_response())
}

impl Internal {
    /// Whether a `Host` header is this name. The port may differ where the issuer has another name: a container may be reached by
    /// several.
    fn is(&self, host: &str, reach: &Reach) -> bool {
        let (name, ours) = (without_port(host), without_port(&self.authority));
        host.eq_ignore_ascii_case(&self.authority)
            || name.eq_ignore_ascii_case(ours) && !ours.eq_ignore_ascii_case(without_port(&reach.authority))
    }
}

impl Reach {
    /// Whether a `Host` header names this server, with or without a port.
    pub fn answers_to(&self, host: &str) -> bool {
        let name = without_port(host);
        let listed =
            self.hosts.iter().any(|known| known.eq_ignore_ascii_case(host) || known.eq_ignore_ascii_case(name));
        listed || (self.any_local_host && is_local(name))
    }
}

/// Names that no public DNS gives to a stranger: loopback addresses, `localhost`, and single labels (a container's name).
fn is_local(name: &str) -> bool {
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    let local = || name.to_ascii_lowercase().ends_with(".localhost") || !name.contains('.');
    address.map_or_else(|_| local(), |ip| ip.is_loopback())
}

fn without_port(host: &str) -> &str {
    let port = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    port.map_or(host, |(name, _)| name)
}

fn host(headers: &HeaderMap) -> Option<&str> {
    headers.get(HOST).and_then(|value| value.to_str().ok())
}

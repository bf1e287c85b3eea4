//! What an issuer says of itself: its discovery document (OpenID Connect Discovery §4, RFC 8414 §3) and its keys.

use serde_json::{Map, Value};
use url::Url;

use super::Failure;
use super::wire::{Sent, Wire, tame};
use crate::domain::jwk::KeySet;

/// The server that `countersign dev` starts.
pub(super) const LOCAL: &str = "http://localhost:8080";

/// An issuer whose document was read.
#[derive(Debug)]
pub(super) struct Issuer {
    /// Its name, as its document and as whoever asked write it.
    pub(super) name: String,
    document: Map<String, Value>,
}

impl Issuer {
    /// Reads the document of an issuer: OpenID Connect's, else OAuth's.
    pub(super) async fn discover(wire: &Wire, issuer: &str) -> Result<Self, Failure> {
        let url = Url::parse(issuer).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let url =
            url.ok_or_else(|| Failure::usage(format!("--issuer: `{}` is not an http or https URL", tame(issuer))))?;
        let base = issuer.trim_end_matches('/');
        let openid = format!("{base}/.well-known/openid-configuration");
        let found = wire.send(&Sent { url: &openid, ..Sent::default() }).await?;
        let (place, answer) = if found.status() == 200 {
            (openid, found)
        } else {
            // RFC 8414 §3.1: before the path rather than after it.
            let path = url.path().trim_end_matches('/');
            let oauth = format!("{}/.well-known/oauth-authorization-server{path}", url.origin().ascii_serialization());
            let found = wire.send(&Sent { url: &oauth, ..Sent::default() }).await?;
            if found.status() != 200 {
                return Err(Failure::list(
                    format!("{} has no discovery document ({openid} answers {})", tame(issuer), found.status()),
                    ["is it an issuer, with the whole path? Else name its endpoints with --token-endpoint"],
                ));
            }
            (oauth, found)
        };
        Self::of(issuer, &place, answer.body())
    }

    fn of(issuer: &str, place: &str, body: &[u8]) -> Result<Self, Failure> {
        let document = serde_json::from_slice::<Map<String, Value>>(body)
            .map_err(|error| Failure::new(format!("{place}: the discovery document is no JSON object ({error})")))?;
        // Discovery §4.3, RFC 8414 §3.3: identical, or one server could speak for another.
        match document.get("issuer").and_then(Value::as_str) {
            Some(name) if name == issuer => Ok(Self { name: name.to_owned(), document }),
            Some(name) => Err(Failure::list(
                format!("{place}: the document is of another issuer"),
                [format!("it says {}, and {} was asked for; the two must be the same text", tame(name), tame(issuer))],
            )),
            None => Err(Failure::new(format!("{place}: the discovery document has no issuer"))),
        }
    }

    /// A text of the document.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.document.get(name).and_then(Value::as_str)
    }

    /// Whether a list of the document has this, or there is no list.
    pub(super) fn lists(&self, name: &str, value: &str) -> bool {
        self.document.get(name).and_then(Value::as_array).is_none_or(|list| list.iter().any(|one| one == value))
    }

    /// Whether the document says `true`.
    pub(super) fn promises(&self, name: &str) -> bool {
        self.document.get(name) == Some(&Value::Bool(true))
    }

    /// Its public keys.
    pub(super) async fn keys(&self, wire: &Wire) -> Result<KeySet, Failure> {
        let missing = || Failure::new(format!("the discovery document of {} has no jwks_uri", self.name));
        let place = self.text("jwks_uri").ok_or_else(missing)?;
        let value = wire.json(place, "a JWK Set").await?;
        KeySet::read(&value).map_err(|why| Failure::new(format!("{place}: {why}")))
    }
}

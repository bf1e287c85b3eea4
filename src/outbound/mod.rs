//! Requests to other people's servers: the one guarded HTTP client for everything that this server fetches or posts.
//!
//! The URLs come from documents and from requests, so nothing about them is trusted. [`Outbound`] speaks https alone, resolves the
//! name itself and connects to no address but the ones it has checked (`address`), follows no redirect, uses no proxy of the
//! environment, takes 5 seconds and 64 kB at the most, and lets few wait at once (`room`). Connections are made for one request each (`connect`): what is fetched is
//! kept by those who need it, for as long as [`Fetched::fresh_for`] says. [`Error`] tells the operator what to change.

mod address;
mod connect;
mod error;
mod room;

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, AGE, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderMap, HeaderName, USER_AGENT};
use hyper::http::request::Builder;
use hyper::{Method, Request, Response};
use ipnet::IpNet;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use url::Url;

pub use error::{Error, Kind};
use room::{Place, Room};

/// How long a request may take in all.
const TIME: Duration = Duration::from_secs(5);
/// How much of an answer is read.
const MAX_BODY: usize = 64 * 1_024;
/// How we call ourselves.
const NAME: &str = concat!("countersign/", env!("CARGO_PKG_VERSION"));

/// The client. Clones share everything.
#[derive(Clone)]
pub struct Outbound(Arc<Inner>);

struct Inner {
    networks: Vec<IpNet>,
    allow_http: bool,
    tls: TlsConnector,
    room: Room,
}

impl std::fmt::Debug for Outbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbound").field("networks", &self.0.networks).finish_non_exhaustive()
    }
}

/// What was fetched.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The body.
    pub body: Bytes,
    headers: HeaderMap,
}

impl Outbound {
    /// A client that reaches public addresses and those of `networks`; there, and with `allow_http`, also without TLS. It trusts the
    /// certificate authorities that browsers trust, and those of the file `ca` (PEM). The error says what is wrong with that file.
    pub fn new(networks: Vec<IpNet>, allow_http: bool, ca: Option<&Path>) -> Result<Self, String> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some(file) = ca {
            let own = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
            let own = own.map_err(|error| format!("{}: {error}", file.display()))?;
            if own.is_empty() {
                return Err(format!("{}: holds no certificate in PEM", file.display()));
            }
            for certificate in own {
                roots.add(certificate).map_err(|error| format!("{}: {error}", file.display()))?;
            }
        }
        let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.map_err(|error| error.to_string())?.with_root_certificates(roots).with_no_client_auth();
        let tls = TlsConnector::from(Arc::new(config));
        Ok(Self(Arc::new(Inner { networks, allow_http, tls, room: Room::default() })))
    }

    /// Fetches what is there; anything but 200 is an error.
    pub async fn get(&self, url: &str) -> Result<Fetched, Error> {
        let request = Request::builder().method(Method::GET).header(ACCEPT, "*/*");
        let fetch = async {
            let mut exchange = self.connect(url).await?;
            let response = exchange.send(request, Bytes::new()).await?;
            accept(response.status().as_u16())?;
            read(response).await
        };
        within_time(url, fetch).await
    }

    /// Posts a form and answers the status, whatever it is. The body of the answer is of no interest.
    pub async fn post_form(&self, url: &str, pairs: &[(&str, &str)]) -> Result<u16, Error> {
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        let request = Request::builder().method(Method::POST).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let post = async {
            let mut exchange = self.connect(url).await?;
            Ok(exchange.send(request, form.into()).await?.status().as_u16())
        };
        within_time(url, post).await
    }

    /// Sends a request that somebody composed by hand, and answers whatever comes back.
    pub async fn send(&self, url: &str, request: Builder, body: String) -> Result<Response<Bytes>, Error> {
        let send = async {
            let mut exchange = self.connect(url).await?;
            let (head, body) = exchange.send(request, body.into()).await?.into_parts();
            Ok(Response::from_parts(head, read_body(body).await?))
        };
        within_time(url, send).await
    }

    /// A connection to the server of a URL, if that is one we may reach.
    async fn connect(&self, url: &str) -> Result<Exchange, Kind> {
        let url = Url::parse(url).map_err(|_| Kind::NotAUrl)?;
        let secure = match url.scheme() {
            "https" => true,
            "http" if self.0.allow_http => false,
            "http" => return Err(Kind::PlainHttp),
            _ => return Err(Kind::NotAUrl),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Kind::NotAUrl);
        }
        let place = self.0.room.place(url.host_str().unwrap_or_default()).await.ok_or(Kind::Busy)?;
        let sender = self.0.open(&url, secure).await?;
        Ok(Exchange { url, sender, _place: place })
    }
}

/// One request on a connection of its own, which ends with it.
struct Exchange {
    url: Url,
    sender: connect::Connection,
    _place: Place,
}

impl Exchange {
    async fn send(&mut self, request: Builder, body: Bytes) -> Result<Response<Incoming>, Kind> {
        let authority = &self.url[url::Position::BeforeHost..url::Position::AfterPort];
        let target = &self.url[url::Position::BeforePath..url::Position::AfterQuery];
        let request = request.uri(target).header(HOST, authority).header(USER_AGENT, NAME).body(Full::new(body));
        // A URL that was parsed has characters that HTTP allows.
        let request = request.map_err(|_| Kind::NotAUrl)?;
        self.sender.requests.send_request(request).await.map_err(Kind::Http)
    }
}

impl Fetched {
    /// The media type, in lower case and without parameters.
    pub fn media_type(&self) -> Option<String> {
        let text = self.header(CONTENT_TYPE)?.split(';').next()?;
        Some(text.trim().to_ascii_lowercase())
    }

    /// For how many seconds it may be used again (RFC 9111 §4.2, §5.2.2): what its headers say, within bounds of ours; the
    /// lower bound where they forbid it, and `unsaid` where they say nothing.
    pub fn fresh_for(&self, bounds: RangeInclusive<i64>, unsaid: i64) -> i64 {
        let directives = self.header(CACHE_CONTROL).unwrap_or_default().to_ascii_lowercase();
        let mut said = unsaid;
        for directive in directives.split(',').map(str::trim) {
            if matches!(directive, "no-store" | "no-cache") {
                said = 0;
                break;
            }
            let age = directive.strip_prefix("max-age=").and_then(|age| age.trim_matches('"').parse::<i64>().ok());
            said = age.map_or(said, |age| age.saturating_sub(self.age()));
        }
        said.clamp(*bounds.start(), *bounds.end())
    }

    fn age(&self) -> i64 {
        self.header(AGE).and_then(|age| age.parse().ok()).filter(|age| *age > 0).unwrap_or_default()
    }

    fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

const fn accept(status: u16) -> Result<(), Kind> {
    match status {
        200 => Ok(()),
        300..400 => Err(Kind::Redirects(status)),
        _ => Err(Kind::Status(status)),
    }
}

async fn read(response: Response<Incoming>) -> Result<Fetched, Kind> {
    let (head, body) = response.into_parts();
    Ok(Fetched { body: read_body(body).await?, headers: head.headers })
}

async fn read_body(body: Incoming) -> Result<Bytes, Kind> {
    let body = Limited::new(body, MAX_BODY).collect().await.map_err(|error| match error.downcast() {
        Ok(error) => Kind::Http(*error),
        Err(_) => Kind::TooLong,
    })?;
    Ok(body.to_bytes())
}

async fn within_time<T>(url: &str, work: impl Future<Output = Result<T, Kind>>) -> Result<T, Error> {
    let done = tokio::time::timeout(TIME, work).await.unwrap_or(Err(Kind::TimedOut));
    done.map_err(|kind| Error::new(url, kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh(cache_control: &str, age: Option<&str>) -> i64 {
        let mut headers = HeaderMap::new();
        headers.insert(CACHE_CONTROL, cache_control.parse().unwrap());
        if let Some(age) = age {
            headers.insert(AGE, age.parse().unwrap());
        }
        Fetched { body: Bytes::new(), headers }.fresh_for(60..=3_600, 300)
    }

    #[test]
    fn headers_say_how_long_an_answer_is_fresh_within_bounds() {
        for (cache_control, age, seconds) in [
            ("public, max-age=600", None, 600),
            ("max-age=\"600\"", Some("100"), 500),
            ("Max-Age=99999999", None, 3_600),
            ("max-age=1", None, 60),
            ("max-age=0", Some("-9223372036854775808"), 60),
            ("no-store", None, 60),
            ("max-age=600, no-cache", None, 60),
            ("public", None, 300),
            ("max-age=soon", None, 300),
        ] {
            assert_eq!(fresh(cache_control, age), seconds, "{cache_control}");
        }
    }

    #[tokio::test]
    async fn what_is_no_https_url_of_a_public_server_is_not_asked() {
        let outbound = Outbound::new(vec!["10.0.0.0/8".parse().unwrap()], true, None).unwrap();
        for (url, words) in [
            ("https://127.0.0.1/x?secret", "--outbound-network 127.0.0.1"),
            ("https://[::ffff:169.254.169.254]/", "not a public address"),
            ("https://2130706433/", "--outbound-network 127.0.0.1"),
            ("https://0x7f.1/", "--outbound-network 127.0.0.1"),
            ("https://localhost/", "not a public address"),
            ("http://1.1.1.1/", "plain http"),
            ("https://user:pw@example.com/", "without user name"),
            ("ftp://example.com/", "not an https URL"),
            ("file:///etc/passwd", "not an https URL"),
            ("data:,x", "not an https URL"),
            ("/x", "not an https URL"),
        ] {
            let error = outbound.get(url).await.unwrap_err().to_string();
            assert!(error.contains(words) && !error.contains("secret") && !error.contains("pw"), "{url}: {error}");
        }
        let strict = Outbound::new(vec!["127.0.0.0/8".parse().unwrap()], false, None).unwrap();
        assert!(matches!(strict.get("http://127.0.0.1/").await.unwrap_err().kind, Kind::PlainHttp));
    }
}

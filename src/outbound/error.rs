//! What may go wrong with a request to somebody else's server, in words that tell an operator what to change.
//!
//! They are for the log. Whoever caused the request learns only that it failed: the difference between a closed port and a silent
//! one would be a map of our network.

use std::net::IpAddr;

use url::Url;

use super::{MAX_BODY, TIME};

/// Why nothing came of a request.
#[derive(Debug, thiserror::Error)]
#[error("{url}: {kind}")]
pub struct Error {
    url: String,
    /// What happened.
    pub kind: Kind,
}

/// What happened.
#[derive(Debug, thiserror::Error)]
pub enum Kind {
    /// The text is no URL that can be fetched.
    #[error("is not an https URL without user name and password; correct it where it is registered")]
    NotAUrl,
    /// Plain http, where that is not for development.
    #[error(
        "is plain http; register the https address (http is for development: while the issuer is http, and in a network of --outbound-network)"
    )]
    PlainHttp,
    /// The name leads nowhere.
    #[error("the name cannot be resolved ({0}); correct it, or the name servers of this machine")]
    Unresolved(std::io::Error),
    /// The address is not public.
    #[error("{0} is not a public address; if this server is meant to reach it, allow it with --outbound-network {0}")]
    NotPublic(IpAddr),
    /// Nobody answers there.
    #[error("cannot be connected to ({0}); check that it runs and that this machine may reach it")]
    Unreachable(std::io::Error),
    /// Its certificate does not convince.
    #[error("TLS fails ({0}); if its certificate is of an authority of your own, name that with --outbound-ca")]
    Tls(std::io::Error),
    /// It does not speak HTTP.
    #[error("does not answer in HTTP/1.1 ({0})")]
    Http(hyper::Error),
    /// It says to look elsewhere.
    #[error("answers {0}, a redirect, which is not followed; register the address it leads to")]
    Redirects(u16),
    /// It refuses.
    #[error("answers {0} rather than 200")]
    Status(u16),
    /// Its answer is too long.
    #[error("answers with more than {} kB, which is all that is read", MAX_BODY / 1_024)]
    TooLong,
    /// Too many wait for this host, or for others.
    #[error("is not asked: too many requests to other servers are under way; see which of them are slow")]
    Busy,
    /// It takes too long.
    #[error("took more than {} s", TIME.as_secs())]
    TimedOut,
}

impl Error {
    pub(super) fn new(url: &str, kind: Kind) -> Self {
        // Queries and what stands before the host may hold secrets.
        let shown = Url::parse(url).map_or_else(
            |_| "a URL that does not read".to_owned(),
            |url| format!("{}://{}", url.scheme(), &url[url::Position::BeforeHost..url::Position::AfterPath]),
        );
        Self { url: shown.chars().take(200).collect(), kind }
    }
}

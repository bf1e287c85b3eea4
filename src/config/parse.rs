//! One reader per kind of value: text to type, or what is wrong and what to write instead. None of them quotes a secret.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use url::Url;

use super::{Consent, DatabaseUrl, Issuer, LogFormat, Registration};
use crate::domain::nearest::nearest;
use crate::domain::redirect_uri::is_loopback;
use crate::domain::secret::{MasterKey, Secret};
use crate::domain::time::Timestamp;

/// What is wrong with a text, and what to write instead.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) wrong: String,
    pub(super) instead: String,
}

pub(super) type Parsed<T> = Result<T, Wrong>;

pub(super) fn wrong<T>(wrong: impl Into<String>, instead: impl Into<String>) -> Parsed<T> {
    Err(Wrong { wrong: wrong.into(), instead: instead.into() })
}

pub(super) fn text(text: &str) -> Parsed<String> {
    if text.trim().is_empty() { wrong("is empty", "") } else { Ok(text.to_owned()) }
}

pub(super) fn path(text: &str) -> Parsed<PathBuf> {
    if text.is_empty() { wrong("is empty", "name a file") } else { Ok(PathBuf::from(text)) }
}

pub(super) fn switch(text: &str) -> Parsed<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "on" | "yes" | "1" => Ok(true),
        "false" | "off" | "no" | "0" => Ok(false),
        _ => wrong(format!("`{text}` is neither on nor off"), "write true or false"),
    }
}

pub(super) fn listen(text: &str) -> Parsed<SocketAddr> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    if let Some(port) = text.strip_prefix("localhost:").and_then(|port| port.parse().ok()) {
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    let instead = if let Ok(port) = text.parse::<u16>() {
        format!("write 127.0.0.1:{port}")
    } else if let Some(port) = text.strip_prefix(':').and_then(|port| port.parse::<u16>().ok()) {
        format!("write 0.0.0.0:{port} for every interface, 127.0.0.1:{port} for this machine alone")
    } else if let Ok(ip) = text.parse::<IpAddr>() {
        format!("write {}", SocketAddr::new(ip, 8080))
    } else {
        "write an IP address and a port, such as 127.0.0.1:8080".to_owned()
    };
    wrong(format!("`{text}` is not an address with a port"), instead)
}

pub(super) fn issuer(text: &str) -> Parsed<Issuer> {
    let Ok(url) = Url::parse(text) else {
        return wrong(format!("`{text}` is not a URL"), "write https://HOST or https://HOST/PATH");
    };
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return wrong(format!("`{text}` is not an https URL"), "write https://HOST or https://HOST/PATH");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return wrong("has a user name or password before its host", "remove it");
    }
    // OpenID Connect Discovery 1.0 §3, RFC 8414 §2.
    if url.query().is_some() || url.fragment().is_some() {
        return wrong(format!("`{text}` has a query or a fragment"), "remove it (RFC 8414 §2)");
    }
    // Issuers are compared character by character, so there is one way to write each.
    let canonical = url.as_str().trim_end_matches('/').to_owned();
    if canonical != text {
        let slash = if text.ends_with('/') { "ends with a slash" } else { "is not in its normal form" };
        return wrong(format!("`{text}` {slash}"), format!("write {canonical}"));
    }
    Ok(Issuer {
        text: canonical,
        host: url.host_str().unwrap_or_default().to_owned(),
        path: url.path().trim_end_matches('/').to_owned(),
        is_https: url.scheme() == "https",
        is_loopback: is_loopback(&url),
    })
}

/// Never quotes the text: it may hold a password.
pub(super) fn database_url(text: &str) -> Parsed<DatabaseUrl> {
    let forms = "write sqlite::memory:, sqlite://PATH or postgres://USER:PASSWORD@HOST/NAME";
    if matches!(text, "sqlite::memory:" | "sqlite://:memory:") {
        return Ok(DatabaseUrl::SqliteMemory);
    }
    if let Some(path) = text.strip_prefix("sqlite://").or_else(|| text.strip_prefix("sqlite:")) {
        if path.is_empty() || path.contains('?') {
            return wrong("names no file, or adds options to it", "write sqlite://PATH");
        }
        return Ok(DatabaseUrl::SqliteFile(PathBuf::from(path)));
    }
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        return match Url::parse(text) {
            Ok(_) => Ok(DatabaseUrl::Postgres(text.to_owned())),
            Err(error) => wrong(
                format!("is not a PostgreSQL URL: {error}"),
                "write postgres://USER:PASSWORD@HOST/NAME, special characters percent-encoded",
            ),
        };
    }
    wrong("names neither SQLite nor PostgreSQL", forms)
}

pub(super) fn master_key(text: &str) -> Parsed<MasterKey> {
    MasterKey::parse(text)
        .map_or_else(|| wrong("is not 32 bytes in base64", "make one with `openssl rand -base64 32`"), Ok)
}

pub(super) fn secret(text: &str) -> Parsed<Secret> {
    if text.is_empty() { wrong("is empty", "leave it out for no secret") } else { Ok(Secret::new(text)) }
}

pub(super) fn registration(text: &str) -> Parsed<Registration> {
    match text {
        "closed" => Ok(Registration::Closed),
        "token" => Ok(Registration::Token),
        "open" => Ok(Registration::Open),
        _ => wrong(format!("`{text}` is not a mode of registration"), "write closed, token or open"),
    }
}

/// An issuer and the file of its keys.
pub(super) fn statement_issuer(text: &str) -> Parsed<(String, PathBuf)> {
    match text.rsplit_once('=') {
        Some((issuer, file)) if !issuer.is_empty() && !file.is_empty() => Ok((issuer.to_owned(), file.into())),
        _ => wrong(format!("`{text}` is not an issuer with a file"), "write ISSUER=FILE, the file being a JWKS"),
    }
}

/// A host, `any` or `none`.
pub(super) fn document_host(text: &str) -> Parsed<String> {
    if matches!(text, "any" | "none") { Ok(text.to_owned()) } else { host(text) }
}

/// The answer to requests for consent.
pub(super) fn consent(text: &str) -> Parsed<Consent> {
    match text {
        "ask" => Ok(Consent::Ask),
        "approve" => Ok(Consent::Approve),
        "deny" => Ok(Consent::Deny),
        _ => wrong(format!("`{text}` is no answer to a request for consent"), "write ask, approve or deny"),
    }
}

pub(super) fn log_format(text: &str) -> Parsed<LogFormat> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => wrong(format!("`{text}` is not a log format"), "write text or json"),
    }
}

/// A grant that may be turned on, or `none`.
pub(super) fn grant(text: &str) -> Parsed<String> {
    const GRANTS: [&str; 3] = ["implicit", "password", "none"];
    if GRANTS.contains(&text) {
        return Ok(text.to_owned());
    }
    let instead = nearest(text, GRANTS.into_iter()).map_or_else(
        || "write implicit, password or none; all other grants are on already".to_owned(),
        |grant| format!("did you mean {grant}?"),
    );
    wrong(format!("`{text}` is not a grant that can be turned on"), instead)
}

pub(super) fn host(text: &str) -> Parsed<String> {
    let name = text.to_ascii_lowercase();
    match url::Host::parse(&name) {
        Ok(host) if host.to_string() == name => Ok(name),
        _ => wrong(
            format!("`{text}` is not a host name"),
            "write a name without scheme, port or path, such as login.example.com",
        ),
    }
}

pub(super) fn network(text: &str) -> Parsed<IpNet> {
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .or_else(|_| wrong(format!("`{text}` is not a network"), "write an address or a network, such as 10.0.0.0/8"))
}

pub(super) fn seed(text: &str) -> Parsed<u64> {
    text.parse().or_else(|_| wrong(format!("`{text}` is not a whole number below 2^64"), "write one, such as 1"))
}

pub(super) fn time(text: &str) -> Parsed<Timestamp> {
    match text.parse::<jiff::Timestamp>() {
        Ok(time) if time.as_second() >= 0 => Ok(Timestamp(time.as_second())),
        _ => wrong(format!("`{text}` is not a time after 1970"), "write one in UTC, such as 2030-01-01T00:00:00Z"),
    }
}

/// Whole seconds, possibly none.
pub(super) fn seconds(text: &str) -> Parsed<u32> {
    text.parse()
        .or_else(|_| wrong(format!("`{text}` is not a number of seconds"), "write a whole number, such as 3600"))
}

/// A whole number, at least one.
pub(super) fn count(text: &str) -> Parsed<u32> {
    match text.parse() {
        Ok(count) if count > 0 => Ok(count),
        _ => wrong(format!("`{text}` is not a number above 0"), "write a whole number, such as 100"),
    }
}

/// Whole seconds, at least one.
pub(super) fn positive_seconds(text: &str) -> Parsed<u32> {
    match seconds(text)? {
        0 => wrong("is 0, so that nothing would ever be valid", "write a number of seconds above 0"),
        seconds => Ok(seconds),
    }
}

pub(super) fn duration(text: &str) -> Parsed<Duration> {
    seconds(text).map(|seconds| Duration::from_secs(seconds.into()))
}

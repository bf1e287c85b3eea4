//! Settings: what an operator may choose, where it is read from, and what it means once read.
//!
//! [`Settings::resolve`] is a pure function of the command line, the environment, the settings file and the working folder.
//! It reports every problem at once, each with its place. The names, defaults and meanings stand in one table,
//! [`table::SETTINGS`], from which the command line ([`crate::cli`]), the file reader and the README's table are derived.

mod checks;
mod layers;
mod master_key;
mod parse;
mod problem;
mod setting;
pub mod table;
mod typed;

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use url::Url;

pub use self::layers::{Environment, Inputs, Overrides};
pub use self::master_key::MasterKeyError;
pub use self::problem::{Place, Problem, Warning};
pub use self::setting::settings_table_markdown;
use crate::clock::Clock;
use crate::domain::secret::{MasterKey, Secret};
use crate::domain::time::Timestamp;
pub use crate::web::hands_free::Consent;

/// Everything that an operator may choose, parsed and checked.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
pub struct Settings {
    /// Developer's server, or one for real use.
    pub mode: Mode,
    /// The address to listen on; port 0 picks a free one.
    pub listen: SocketAddr,
    /// The issuer, where one was chosen; [`Settings::issuer_at`] gives the one in force.
    pub issuer: Option<Issuer>,
    /// Where containers reach the server, if not at the issuer.
    pub internal_url: Option<Issuer>,
    /// Whether the issuer may be plain http beyond loopback.
    pub allow_http_issuer: bool,
    /// The database.
    pub database_url: DatabaseUrl,
    /// What encrypts secrets at rest; [`Settings::master_key_file`] says where it is kept where nobody chose one.
    pub master_key: Option<MasterKey>,
    /// Files and folders of resources that are applied at every start.
    pub bundles: Vec<PathBuf>,
    /// Whether they are applied when they change.
    pub watch: bool,
    /// What keys, ids, codes and tokens of `dev` follow from.
    pub seed: Option<u64>,
    /// How a provider speaks that `dev` stands in for: a name that is built in, or a file.
    pub dialect: Option<String>,
    /// Where the clock of `dev` stands still.
    pub clock: Option<Timestamp>,
    /// The bootstrap admin client.
    pub admin_client_id: String,
    /// Its secret; without one there is no bootstrap admin client.
    pub admin_client_secret: Option<Secret>,
    /// Whether plain-http redirect URIs are accepted beyond loopback.
    pub allow_http_redirects: bool,
    /// Host names that are answered besides the issuer's, in lower case.
    pub allowed_hosts: Vec<String>,
    /// Grants that are off unless somebody wants them.
    pub allow_grants: AllowGrants,
    /// Dynamic client registration.
    pub registration: Registration,
    /// How many clients may be registered without a token from one network in an hour.
    pub registration_rate: u32,
    /// Seconds after which a client goes that registered itself and that nobody has consented to.
    pub registration_unused_expiration: u32,
    /// Whose software statements are believed, with the files of their keys.
    pub software_statement_issuers: Vec<(String, PathBuf)>,
    /// The hosts whose metadata documents are clients; `any`, `none`.
    pub metadata_documents: Vec<String>,
    /// Seconds for which a rotated refresh token still returns its successor; 0 is strict.
    pub refresh_grace: u32,
    /// Seconds that an access token lives where its client's document names no other life.
    pub access_token_expiration: u32,
    /// Seconds that no refresh token outlives, counted from sign-in.
    pub max_refresh_token_expiration: Option<u32>,
    /// The certificate chain (PEM) and its key, where the server itself speaks HTTPS.
    pub tls: Option<Tls>,
    /// Proxies whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Networks that are not public and may be reached all the same.
    pub outbound_networks: Vec<IpNet>,
    /// Certificate authorities (PEM) that are trusted besides the public ones.
    pub outbound_ca: Option<PathBuf>,
    /// Whether the control API of developers is there.
    pub dev_api: bool,
    /// What its requests must show.
    pub dev_token: Option<Secret>,
    /// Whether `dev` accepts whoever is named.
    pub permissive: bool,
    /// Whether `dev` signs people in without a password.
    pub auto_login: bool,
    /// What becomes of requests for consent in `dev`.
    pub auto_consent: Consent,
    /// The form of log lines.
    pub log_format: LogFormat,
    /// How long requests in flight may take to finish at shutdown.
    pub shutdown_grace: Duration,
}

/// What the settings are for; it decides which of them are required.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// `countersign dev`.
    Dev,
    /// `countersign serve`, and `check`, which asks whether `serve` would start.
    Serve,
    /// A command that works on the database alone.
    Store,
    /// A command that also opens what is sealed in the database.
    Keys,
    /// A command that only looks for the server.
    Address,
}

/// Developer's server, or one for real use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Demo resources and developer tools.
    Dev,
    /// Neither.
    Serve,
}

/// The issuer identifier (OpenID Connect Discovery 1.0 §3, RFC 8414 §2): an http or https URL in its normal form, without
/// query, fragment and final slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    text: String,
    host: String,
    path: String,
    is_https: bool,
    is_loopback: bool,
}

/// Which database.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// SQLite in memory: gone when the process ends.
    SqliteMemory,
    /// SQLite in this file.
    SqliteFile(PathBuf),
    /// PostgreSQL at this URL, which may hold a password.
    Postgres(String),
}

/// Grants that are off unless somebody wants them (RFC 9700 §2.1.2, §2.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AllowGrants {
    /// `implicit`.
    pub implicit: bool,
    /// `password`.
    pub password: bool,
}

/// Who may register clients (RFC 7591).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// Nobody.
    Closed,
    /// Holders of an initial access token.
    Token,
    /// Everybody.
    Open,
}

/// The files of the server's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The certificate chain, PEM.
    pub cert: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For collectors.
    Json,
}

impl Settings {
    /// A clock as one is to be at the start, the server's own or a realm's.
    pub fn starting_clock(&self) -> Clock {
        self.clock.filter(|_| self.mode == Mode::Dev).map_or_else(Clock::default, Clock::frozen_at)
    }

    /// The issuer in force on `port`: the one that was chosen, else `localhost`.
    pub fn issuer_at(&self, port: u16) -> Issuer {
        self.issuer.clone().unwrap_or_else(|| Issuer::localhost(self.tls.is_some(), port))
    }

    /// Where the master key is kept where nobody chose one: beside the database, or in the working folder where `dev` uses
    /// PostgreSQL. None for a database in memory, whose key need not outlive it, and where a setting is required.
    pub fn master_key_file(&self) -> Option<PathBuf> {
        match &self.database_url {
            DatabaseUrl::SqliteMemory => None,
            DatabaseUrl::SqliteFile(path) => {
                let mut name = path.clone().into_os_string();
                name.push(".master-key");
                Some(name.into())
            }
            DatabaseUrl::Postgres(_) => (self.mode == Mode::Dev).then(|| PathBuf::from("countersign.master-key")),
        }
    }
}

impl Issuer {
    /// Reads an issuer; the refusal says what is wrong and what to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        parse::issuer(text).map_err(|wrong| format!("{}; {}", wrong.wrong, wrong.instead))
    }

    /// `http://localhost:<port>`, without the port where it is the scheme's own.
    pub fn localhost(tls: bool, port: u16) -> Self {
        let (scheme, default_port) = if tls { ("https", 443) } else { ("http", 80) };
        let port = if port == default_port { String::new() } else { format!(":{port}") };
        Self {
            text: format!("{scheme}://localhost{port}"),
            host: "localhost".to_owned(),
            path: String::new(),
            is_https: tls,
            is_loopback: true,
        }
    }

    /// The identifier, exactly as it is compared and put into tokens.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Host and port, as a `Host` header has them.
    pub fn authority(&self) -> &str {
        let rest = self.text.split_once("://").map_or("", |(_, rest)| rest);
        rest.split('/').next().unwrap_or_default()
    }

    /// The host name, without port; IPv6 addresses in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port: the one that is written, else the scheme's own.
    pub fn port(&self) -> u16 {
        let port = self.authority().rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        port.unwrap_or(if self.is_https { 443 } else { 80 })
    }

    /// The path, without a final slash: empty, or `/` and something.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether it is an https URL.
    pub fn is_https(&self) -> bool {
        self.is_https
    }

    /// Whether its host is one that the internet could know: neither this machine, nor an address or a name of a local network.
    pub fn is_public(&self) -> bool {
        const LOCAL: [&str; 6] = ["localhost", "local", "internal", "test", "lan", "home.arpa"];
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let is_local = match host.parse::<std::net::IpAddr>() {
            Ok(std::net::IpAddr::V4(address)) => address.is_private() || address.is_link_local(),
            Ok(std::net::IpAddr::V6(address)) => address.is_unique_local() || address.is_unicast_link_local(),
            Err(_) => !host.contains('.') || LOCAL.iter().any(|name| host.ends_with(&format!(".{name}"))),
        };
        !self.is_loopback && !is_local
    }

    /// The issuer at a further path of this one.
    #[must_use]
    pub fn join(&self, path: &str) -> Self {
        Self { text: format!("{}{path}", self.text), path: format!("{}{path}", self.path), ..self.clone() }
    }

    /// Whether its host is this machine itself.
    pub fn is_loopback(&self) -> bool {
        self.is_loopback
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for DatabaseUrl {
    /// Without user name and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SqliteMemory => f.write_str("sqlite::memory:"),
            Self::SqliteFile(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(text) => match Url::parse(text) {
                Ok(url) => write!(f, "postgres://{}{}", url.host_str().unwrap_or_default(), url.path()),
                Err(_) => f.write_str("postgres://…"),
            },
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

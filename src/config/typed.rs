//! From the text of each setting to [`Settings`].

use std::net::SocketAddr;

use super::checks;
use super::layers::{Found, Inputs, Layers, Overrides};
use super::parse::{self, Parsed};
use super::table::{self, Setting};
use super::{
    AllowGrants, DatabaseUrl, Environment, LogFormat, Mode, Place, Problem, Purpose, Registration, Settings, Tls,
    Warning,
};

impl Settings {
    /// Reads and checks all settings for `purpose`.
    ///
    /// Returns them with what an operator should know about them, or every problem at once.
    pub fn resolve(purpose: Purpose, inputs: Inputs<'_>) -> Result<(Self, Vec<Warning>), Vec<Problem>> {
        let (settings, problems, warnings) = Self::examine(purpose, inputs);
        if problems.is_empty() { Ok((settings, warnings)) } else { Err(problems) }
    }

    /// The same for who wants to look further: where a value is wrong, a placeholder stands in its place.
    pub fn examine(purpose: Purpose, inputs: Inputs<'_>) -> (Self, Vec<Problem>, Vec<Warning>) {
        let mut reading = Reading { layers: Layers::open(purpose.mode(), inputs) };
        let (settings, places) = reading.all(purpose.mode());
        let mut problems = reading.layers.problems;
        let mut warnings = Vec::new();
        checks::check(purpose, &settings, &places, &mut problems, &mut warnings);
        (settings, problems, warnings)
    }

    /// What `countersign dev` runs with where nobody chose anything: plain values, for a caller who then changes some.
    pub fn dev_defaults() -> Self {
        let (flags, env) = (Overrides::default(), Environment::new());
        let nothing = |_: &std::path::Path| Err(std::io::ErrorKind::NotFound.into());
        let inputs = Inputs { flags: &flags, env: &env, read: &nothing, cwd: std::path::Path::new("") };
        Reading { layers: Layers::open(Mode::Dev, inputs) }.all(Mode::Dev).0
    }
}

impl Purpose {
    pub(super) fn mode(self) -> Mode {
        if self == Self::Dev { Mode::Dev } else { Mode::Serve }
    }
}

/// Where the settings stood that are checked against one another.
pub(super) struct Places {
    pub(super) issuer: Place,
    pub(super) internal_url: Place,
    pub(super) allow_http_redirects: Place,
    pub(super) allow_grants: Place,
    pub(super) database_url: Place,
    pub(super) master_key: Place,
    pub(super) seed: Place,
    pub(super) dialect: Place,
    pub(super) clock: Place,
    pub(super) tls_cert: Option<Place>,
    pub(super) tls_key: Option<Place>,
    pub(super) access_token_expiration: Place,
    pub(super) dev_api: Place,
    pub(super) permissive: Place,
    pub(super) auto_login: Place,
    pub(super) auto_consent: Place,
}

struct Reading<'a> {
    layers: Layers<'a>,
}

impl Reading<'_> {
    /// Every setting. Where a value does not parse, the problem is noted and a placeholder stands in, so that the rest is
    /// checked too; [`Settings::resolve`] returns no settings then.
    fn all(&mut self, mode: Mode) -> (Settings, Places) {
        let (listen, _) = self.one(&table::LISTEN, parse::listen);
        let (issuer, issuer_at) = self.one(&table::ISSUER, parse::issuer);
        let (internal_url, internal_url_at) = self.one(&table::INTERNAL_URL, parse::issuer);
        let (database_url, database_url_at) = self.one(&table::DATABASE_URL, parse::database_url);
        let (master_key, master_key_at) = self.one(&table::MASTER_KEY, parse::master_key);
        let (seed, seed_at) = self.one(&table::SEED, parse::seed);
        let (dialect, dialect_at) = self.one(&table::DIALECT, parse::text);
        let (clock, clock_at) = self.one(&table::CLOCK, parse::time);
        let (tls_cert, tls_cert_at) = self.one(&table::TLS_CERT, parse::path);
        let (tls_key, tls_key_at) = self.one(&table::TLS_KEY, parse::path);
        let (grants, allow_grants_at) = self.many(&table::ALLOW_GRANT, parse::grant);
        let (http_redirects, allow_http_redirects_at) = self.one(&table::ALLOW_HTTP_REDIRECTS, parse::switch);
        let (dev_api, dev_api_at) = self.one(&table::DEV_API, parse::switch);
        let (permissive, permissive_at) = self.one(&table::PERMISSIVE, parse::switch);
        let (auto_login, auto_login_at) = self.one(&table::AUTO_LOGIN, parse::switch);
        let (auto_consent, auto_consent_at) = self.one(&table::AUTO_CONSENT, parse::consent);
        let (access, access_at) = self.one(&table::ACCESS_TOKEN_EXPIRATION, parse::positive_seconds);
        let places = Places {
            issuer: issuer_at,
            internal_url: internal_url_at,
            allow_http_redirects: allow_http_redirects_at,
            allow_grants: allow_grants_at,
            database_url: database_url_at,
            master_key: master_key_at,
            seed: seed_at,
            dialect: dialect_at,
            clock: clock_at,
            tls_cert: tls_cert.is_some().then_some(tls_cert_at),
            tls_key: tls_key.is_some().then_some(tls_key_at),
            access_token_expiration: access_at,
            dev_api: dev_api_at,
            permissive: permissive_at,
            auto_login: auto_login_at,
            auto_consent: auto_consent_at,
        };
        let tls = tls_cert.zip(tls_key).map(|(cert, key)| Tls { cert, key });
        let issuer_is_https = issuer.as_ref().map_or(tls.is_some(), super::Issuer::is_https);
        let settings = Settings {
            mode,
            listen: listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0))),
            issuer,
            internal_url,
            allow_http_issuer: self.one(&table::ALLOW_HTTP_ISSUER, parse::switch).0.unwrap_or_default(),
            database_url: database_url.unwrap_or(DatabaseUrl::SqliteMemory),
            master_key,
            bundles: self.many(&table::BUNDLE, parse::path).0,
            watch: self.one(&table::WATCH, parse::switch).0.unwrap_or_default(),
            seed,
            dialect,
            clock,
            admin_client_id: self.one(&table::ADMIN_CLIENT_ID, parse::text).0.unwrap_or_default(),
            admin_client_secret: self.one(&table::ADMIN_CLIENT_SECRET, parse::secret).0,
            allow_http_redirects: http_redirects.unwrap_or(!issuer_is_https),
            allowed_hosts: self.many(&table::ALLOWED_HOST, parse::host).0,
            allow_grants: AllowGrants {
                implicit: grants.iter().any(|grant| grant == "implicit"),
                password: grants.iter().any(|grant| grant == "password"),
            },
            registration: self.one(&table::REGISTRATION, parse::registration).0.unwrap_or(Registration::Closed),
            registration_rate: self.one(&table::REGISTRATION_RATE, parse::count).0.unwrap_or(1),
            registration_unused_expiration: self
                .one(&table::REGISTRATION_UNUSED_EXPIRATION, parse::positive_seconds)
                .0
                .unwrap_or(1),
            software_statement_issuers: self.many(&table::SOFTWARE_STATEMENT_ISSUER, parse::statement_issuer).0,
            metadata_documents: self.many(&table::METADATA_DOCUMENTS, parse::document_host).0,
            refresh_grace: self.one(&table::REFRESH_GRACE, parse::seconds).0.unwrap_or_default(),
            access_token_expiration: access.unwrap_or(1),
            max_refresh_token_expiration: self.one(&table::MAX_REFRESH_TOKEN_EXPIRATION, parse::positive_seconds).0,
            tls,
            trusted_proxies: self.many(&table::TRUSTED_PROXY, parse::network).0,
            outbound_networks: self.many(&table::OUTBOUND_NETWORK, parse::network).0,
            outbound_ca: self.one(&table::OUTBOUND_CA, parse::path).0,
            dev_api: dev_api.unwrap_or_default(),
            dev_token: self.one(&table::DEV_TOKEN, parse::secret).0,
            permissive: permissive.unwrap_or_default(),
            auto_login: auto_login.unwrap_or_default(),
            auto_consent: auto_consent.unwrap_or_default(),
            log_format: self.one(&table::LOG_FORMAT, parse::log_format).0.unwrap_or(LogFormat::Text),
            shutdown_grace: self.one(&table::SHUTDOWN_GRACE, parse::duration).0.unwrap_or_default(),
        };
        (settings, places)
    }

    fn one<T>(&mut self, setting: &'static Setting, parse: fn(&str) -> Parsed<T>) -> (Option<T>, Place) {
        let Some(Found { texts, place }) = self.layers.find(setting) else {
            return (None, Place::Default(setting));
        };
        // A flag given twice is refused by the command line before it comes here.
        let value = texts.last().and_then(|text| self.parsed(parse(text), &place));
        (value, place)
    }

    fn many<T>(&mut self, setting: &'static Setting, parse: fn(&str) -> Parsed<T>) -> (Vec<T>, Place) {
        let Some(Found { texts, place }) = self.layers.find(setting) else {
            return (Vec::new(), Place::Default(setting));
        };
        let values = texts.iter().filter_map(|text| self.parsed(parse(text), &place)).collect();
        (values, place)
    }

    fn parsed<T>(&mut self, parsed: Parsed<T>, place: &Place) -> Option<T> {
        match parsed {
            Ok(value) => Some(value),
            Err(error) => {
                self.layers.problem(place.clone(), error.wrong, error.instead);
                None
            }
        }
    }
}

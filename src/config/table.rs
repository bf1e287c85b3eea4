//! The table of settings: the one place where a setting's names, default and meaning are written down.
//!
//! The command line, the environment reader, the file reader, `--help` and the README's table are all derived from it;
//! [`super::layers`] finds a setting's text, [`super::typed`] says what that text means.

pub use super::setting::{Default, Kind, Secrecy, Setting, UsedBy};

/// Where the settings file is; the one setting that it cannot hold itself.
pub const CONFIG: Setting = Setting {
    default: Default::Computed("`countersign.yaml` in the working folder, if there"),
    used_by: UsedBy::Every,
    ..Setting::new(
        "config",
        "COUNTERSIGN_CONFIG",
        "FILE",
        "The settings file (YAML); its keys are the flags in snake_case.",
    )
};
/// The address to listen on.
pub const LISTEN: Setting = Setting {
    default: Default::Value("127.0.0.1:8080"),
    used_by: UsedBy::Address,
    ..Setting::new(
        "listen",
        "COUNTERSIGN_LISTEN",
        "ADDRESS",
        "Address and port to listen on. Port 0 picks a free one and prints it.",
    )
};
/// The issuer.
pub const ISSUER: Setting = Setting {
    default: Default::Computed("`http://localhost:<port>` on loopback, else required"),
    used_by: UsedBy::Address,
    ..Setting::new(
        "issuer",
        "COUNTERSIGN_ISSUER",
        "URL",
        "The issuer, and the base of every absolute URL; it may have a path. Plain http only for loopback hosts, unless \
         --allow-http-issuer.",
    )
};
/// Where containers reach the server.
pub const INTERNAL_URL: Setting = Setting {
    used_by: UsedBy::Address,
    ..Setting::new(
        "internal-url",
        "COUNTERSIGN_INTERNAL_URL",
        "URL",
        "Where containers reach the server, if not at the issuer: who asks for discovery there is sent there for tokens and keys.",
    )
};
/// Permits a plain-http issuer beyond loopback.
pub const ALLOW_HTTP_ISSUER: Setting = Setting {
    kind: Kind::Switch,
    default: Default::Value("false"),
    ..Setting::new(
        "allow-http-issuer",
        "COUNTERSIGN_ALLOW_HTTP_ISSUER",
        "BOOL",
        "Permits a plain-http issuer for a host beyond loopback. Tokens then travel in the clear.",
    )
};
/// The database.
pub const DATABASE_URL: Setting = Setting {
    env_fallback: Some("DATABASE_URL"),
    secrecy: Secrecy::Sensitive,
    default: Default::Value("sqlite://countersign.db"),
    dev_default: Some("sqlite::memory:"),
    used_by: UsedBy::Store,
    ..Setting::new(
        "database-url",
        "COUNTERSIGN_DATABASE_URL",
        "URL",
        "`sqlite::memory:`, `sqlite://PATH` or `postgres://USER:PASSWORD@HOST/NAME`.",
    )
};
/// Whether they are applied when they change.
pub const WATCH: Setting = Setting {
    kind: Kind::Switch,
    default: Default::Value("false"),
    dev_default: Some("true"),
    ..Setting::new(
        "watch",
        "COUNTERSIGN_WATCH",
        "BOOL",
        "Bundles that change on disk are applied at once, and what their version before made and they lack is removed.",
    )
};
/// What everything follows from.
pub const SEED: Setting = Setting {
    ..Setting::new(
        "seed",
        "COUNTERSIGN_SEED",
        "NUMBER",
        "`dev` alone: the same keys, ids, codes and tokens in each run, on an empty database. They are no secret then.",
    )
};
/// Whose stand-in `dev` is.
pub const DIALECT: Setting = Setting {
    ..Setting::new(
        "dialect",
        "COUNTERSIGN_DIALECT",
        "NAME|FILE",
        "`dev` alone: paths, tokens, claims and errors as a provider has them: aidbox, auth0, cognito, entra, google, keycloak, \
         okta, or a file of your own.",
    )
};
/// Where the clock stands.
pub const CLOCK: Setting = Setting {
    default: Default::Computed("the present"),
    ..Setting::new(
        "clock",
        "COUNTERSIGN_CLOCK",
        "TIME",
        "`dev` alone: the clock stands still at this time, such as `2030-01-01T00:00:00Z`.",
    )
};
/// What is applied at every start.
pub const BUNDLE: Setting = Setting {
    kind: Kind::Many,
    ..Setting::new(
        "bundle",
        "COUNTERSIGN_BUNDLE",
        "PATH",
        "Files or folders of resources that are applied at every start.",
    )
};
/// The bootstrap admin client.
pub const ADMIN_CLIENT_ID: Setting = Setting {
    default: Default::Value("root"),
    ..Setting::new("admin-client-id", "COUNTERSIGN_ADMIN_CLIENT_ID", "ID", "The bootstrap admin client.")
};
/// Its secret.
pub const ADMIN_CLIENT_SECRET: Setting = Setting {
    secrecy: Secrecy::Secret,
    dev_default: Some("secret"),
    ..Setting::new(
        "admin-client-secret",
        "COUNTERSIGN_ADMIN_CLIENT_SECRET",
        "SECRET",
        "The secret of the bootstrap admin client. Unset means that there is no bootstrap admin.",
    )
};
/// What seals keys at rest.
pub const MASTER_KEY: Setting = Setting {
    secrecy: Secrecy::Secret,
    default: Default::Computed(
        "SQLite: made once, beside the database; PostgreSQL: required (`dev`: made once, in the working folder)",
    ),
    used_by: UsedBy::Store,
    ..Setting::new(
        "master-key",
        "COUNTERSIGN_MASTER_KEY",
        "BASE64",
        "32 bytes in base64 that encrypt signing keys and other secrets at rest. The same on every node.",
    )
};
/// Permits plain-http redirect URIs beyond loopback.
pub const ALLOW_HTTP_REDIRECTS: Setting = Setting {
    kind: Kind::Switch,
    default: Default::Computed("on while the issuer is http"),
    used_by: UsedBy::Store,
    ..Setting::new(
        "allow-http-redirects",
        "COUNTERSIGN_ALLOW_HTTP_REDIRECTS",
        "BOOL",
        "Permits plain-http redirect URIs beyond loopback.",
    )
};
/// Other names of this server.
pub const ALLOWED_HOST: Setting = Setting {
    kind: Kind::Many,
    default: Default::Computed("the issuer's"),
    ..Setting::new(
        "allowed-host",
        "COUNTERSIGN_ALLOWED_HOSTS",
        "HOST",
        "Host names that are answered besides the issuer's; all others get 421.",
    )
};
/// Grants that are off unless somebody wants them.
pub const ALLOW_GRANT: Setting = Setting {
    kind: Kind::Many,
    dev_default: Some("implicit,password"),
    ..Setting::new(
        "allow-grant",
        "COUNTERSIGN_ALLOW_GRANTS",
        "GRANT",
        "Turns on `implicit` or `password`, for the clients that list them (RFC 9700 §2.1.2, §2.4); `none` for neither.",
    )
};
/// Dynamic client registration.
pub const REGISTRATION: Setting = Setting {
    default: Default::Value("closed"),
    dev_default: Some("open"),
    ..Setting::new(
        "registration",
        "COUNTERSIGN_REGISTRATION",
        "MODE",
        "Dynamic client registration: `closed`, `token` (an initial access token or the `admin` scope), or `open`.",
    )
};
/// How many clients may register.
pub const REGISTRATION_RATE: Setting = Setting {
    default: Default::Value("600"),
    ..Setting::new(
        "registration-rate",
        "COUNTERSIGN_REGISTRATION_RATE",
        "NUMBER",
        "How many clients may be registered without a token from one network in an hour, on each node.",
    )
};
/// When a client goes that nobody uses.
pub const REGISTRATION_UNUSED_EXPIRATION: Setting = Setting {
    default: Default::Value("2592000"),
    ..Setting::new(
        "registration-unused-expiration",
        "COUNTERSIGN_REGISTRATION_UNUSED_EXPIRATION",
        "SECONDS",
        "When a client that registered itself goes, if nobody has consented to it by then.",
    )
};
/// Whose software statements are believed.
pub const SOFTWARE_STATEMENT_ISSUER: Setting = Setting {
    kind: Kind::Many,
    ..Setting::new(
        "software-statement-issuer",
        "COUNTERSIGN_SOFTWARE_STATEMENT_ISSUERS",
        "ISSUER=FILE",
        "Whose software statements are believed (RFC 7591 §2.3), each with a file of its public keys (a JWKS).",
    )
};
/// Clients that are described at a URL.
pub const METADATA_DOCUMENTS: Setting = Setting {
    kind: Kind::Many,
    default: Default::Value("any"),
    ..Setting::new(
        "metadata-documents",
        "COUNTERSIGN_METADATA_DOCUMENTS",
        "HOST",
        "Hosts whose client ID metadata documents are clients without registration; `any`, or `none`.",
    )
};
/// How long a used refresh token may be repeated.
pub const REFRESH_GRACE: Setting = Setting {
    default: Default::Value("10"),
    ..Setting::new(
        "refresh-grace",
        "COUNTERSIGN_REFRESH_GRACE",
        "SECONDS",
        "How long a rotated refresh token still returns its successor, for lost answers and retries. 0 is strict.",
    )
};
/// The life of an access token.
pub const ACCESS_TOKEN_EXPIRATION: Setting = Setting {
    default: Default::Value("3600"),
    ..Setting::new(
        "access-token-expiration",
        "COUNTERSIGN_ACCESS_TOKEN_EXPIRATION",
        "SECONDS",
        "The life of an access token where its client's document names none.",
    )
};
/// The longest total life of a refresh token.
pub const MAX_REFRESH_TOKEN_EXPIRATION: Setting = Setting {
    ..Setting::new(
        "max-refresh-token-expiration",
        "COUNTERSIGN_MAX_REFRESH_TOKEN_EXPIRATION",
        "SECONDS",
        "Caps the life of refresh tokens for the whole server.",
    )
};
/// The server's certificate.
pub const TLS_CERT: Setting = Setting {
    used_by: UsedBy::Address,
    ..Setting::new(
        "tls-cert",
        "COUNTERSIGN_TLS_CERT",
        "FILE",
        "A certificate chain (PEM): the server speaks HTTPS directly.",
    )
};
/// The certificate's key.
pub const TLS_KEY: Setting = Setting {
    used_by: UsedBy::Address,
    ..Setting::new("tls-key", "COUNTERSIGN_TLS_KEY", "FILE", "The private key (PEM) of --tls-cert.")
};
/// Proxies that are believed.
pub const TRUSTED_PROXY: Setting = Setting {
    kind: Kind::Many,
    ..Setting::new(
        "trusted-proxy",
        "COUNTERSIGN_TRUSTED_PROXIES",
        "NETWORK",
        "Addresses or networks of proxies; only from these are `Forwarded` and `X-Forwarded-*` believed.",
    )
};
/// Networks that requests of ours may go to.
pub const OUTBOUND_NETWORK: Setting = Setting {
    kind: Kind::Many,
    dev_default: Some("127.0.0.0/8,::1"),
    ..Setting::new(
        "outbound-network",
        "COUNTERSIGN_OUTBOUND_NETWORKS",
        "NETWORK",
        "Networks that are not public and may be reached all the same, to fetch clients' keys, say; over plain http too \
         while the issuer is http.",
    )
};
/// Whom requests of ours trust besides.
pub const OUTBOUND_CA: Setting = Setting {
    ..Setting::new(
        "outbound-ca",
        "COUNTERSIGN_OUTBOUND_CA",
        "FILE",
        "Certificates (PEM) of authorities that are trusted besides the public ones when something is fetched.",
    )
};
/// The control API of developers.
pub const DEV_API: Setting = Setting {
    kind: Kind::Switch,
    default: Default::Value("false"),
    dev_default: Some("true"),
    ..Setting::new(
        "dev-api",
        "COUNTERSIGN_DEV_API",
        "BOOL",
        "The control API for tests, under `/dev` (docs/dev-api.md). `serve` has it on loopback or with COUNTERSIGN_DEV_TOKEN \
         only, and never with a public issuer.",
    )
};
/// Who may use it.
pub const DEV_TOKEN: Setting = Setting {
    secrecy: Secrecy::Secret,
    ..Setting::new(
        "dev-token",
        "COUNTERSIGN_DEV_TOKEN",
        "TOKEN",
        "What requests to the control API must show, as `Authorization: Bearer`. Unset, whoever reaches it may use it.",
    )
};
/// Whether whoever is named is accepted.
pub const PERMISSIVE: Setting = Setting {
    kind: Kind::Switch,
    default: Default::Value("false"),
    ..Setting::new(
        "permissive",
        "COUNTERSIGN_PERMISSIVE",
        "BOOL",
        "`dev` alone: any `client_id`, any loopback redirect URI and any user name will do; clients and users that are not there are made.",
    )
};
/// Whether nobody has to type a password.
pub const AUTO_LOGIN: Setting = Setting {
    kind: Kind::Switch,
    default: Default::Value("false"),
    ..Setting::new(
        "auto-login",
        "COUNTERSIGN_AUTO_LOGIN",
        "BOOL",
        "`dev` alone: `login_hint` signs its person in at once, and where there is none a click on a name does.",
    )
};
/// What becomes of a request for consent.
pub const AUTO_CONSENT: Setting = Setting {
    default: Default::Value("ask"),
    ..Setting::new(
        "auto-consent",
        "COUNTERSIGN_AUTO_CONSENT",
        "ANSWER",
        "`dev` alone: whether people are asked for consent (`ask`), or it is given (`approve`) or denied (`deny`) without asking.",
    )
};
/// The form of log lines.
pub const LOG_FORMAT: Setting = Setting {
    default: Default::Value("text"),
    used_by: UsedBy::Every,
    ..Setting::new(
        "log-format",
        "COUNTERSIGN_LOG_FORMAT",
        "FORMAT",
        "Log lines, on stderr, as `text` or `json`. `RUST_LOG` sets what is logged.",
    )
};
/// How long a stop may take.
pub const SHUTDOWN_GRACE: Setting = Setting {
    default: Default::Value("10"),
    ..Setting::new(
        "shutdown-grace",
        "COUNTERSIGN_SHUTDOWN_GRACE",
        "SECONDS",
        "How long requests in flight may take to finish after Ctrl-C or SIGTERM.",
    )
};

/// Every setting, in the order in which people read about them.
pub const SETTINGS: &[&Setting] = &[
    &LISTEN,
    &ISSUER,
    &INTERNAL_URL,
    &ALLOW_HTTP_ISSUER,
    &DATABASE_URL,
    &MASTER_KEY,
    &BUNDLE,
    &WATCH,
    &SEED,
    &DIALECT,
    &CLOCK,
    &ADMIN_CLIENT_ID,
    &ADMIN_CLIENT_SECRET,
    &ALLOW_HTTP_REDIRECTS,
    &ALLOWED_HOST,
    &ALLOW_GRANT,
    &REGISTRATION,
    &REGISTRATION_RATE,
    &REGISTRATION_UNUSED_EXPIRATION,
    &SOFTWARE_STATEMENT_ISSUER,
    &METADATA_DOCUMENTS,
    &REFRESH_GRACE,
    &ACCESS_TOKEN_EXPIRATION,
    &MAX_REFRESH_TOKEN_EXPIRATION,
    &TLS_CERT,
    &TLS_KEY,
    &TRUSTED_PROXY,
    &OUTBOUND_NETWORK,
    &OUTBOUND_CA,
    &DEV_API,
    &DEV_TOKEN,
    &PERMISSIVE,
    &AUTO_LOGIN,
    &AUTO_CONSENT,
    &CONFIG,
    &LOG_FORMAT,
    &SHUTDOWN_GRACE,
];

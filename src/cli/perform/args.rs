//! `countersign perform`: its arguments and its help.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

pub(in crate::cli) const HELP: &str = "Examples:
  countersign dev                                       in another terminal
  countersign perform authorization-code --client-id spa --auth-method none
  echo correct-horse-battery | countersign perform authorization-code --client-id spa \\
    --auth-method none --username alice --password-stdin
  echo client-secret | countersign perform client-credentials --client-id web-app \\
    --client-secret-stdin
  countersign perform password --client-id web-app --username alice    asks for both secrets
  countersign perform refresh --issuer https://login.example.com --client-id web-app \\
    --refresh-token-file token.txt

Secrets are asked for, or come from stdin, a file or the variables OAUTH_CLIENT_SECRET,
OAUTH_PASSWORD and OAUTH_REFRESH_TOKEN; never from arguments, which every process list
shows. Where several come from stdin, each is a line: the client's secret, then the
password or refresh token.
Exit codes: 0 done, 1 refused, unreachable or an ID token that does not verify,
2 the command line makes no sense.";

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Performed {
    /// The code flow with PKCE, in the browser or with --username
    #[command(after_help = HELP)]
    AuthorizationCode(CodeArgs),
    /// Tokens for the client itself
    #[command(after_help = HELP)]
    ClientCredentials(Common),
    /// Tokens for a user name and password (RFC 6749 section 4.3; discouraged)
    #[command(after_help = HELP)]
    Password(PasswordArgs),
    /// New tokens for a refresh token
    #[command(after_help = HELP)]
    Refresh(RefreshArgs),
}

/// How a client proves itself at the token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum AuthMethod {
    /// `client_secret_basic`
    Basic,
    /// `client_secret_post`
    Post,
    /// A public client
    None,
}

/// How what was got is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Output {
    /// For people
    Text,
    /// The answer, what the tokens say and what was checked
    Json,
    /// `ACCESS_TOKEN='…'` and so on, for `eval`
    Env,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct Common {
    /// The issuer, whose endpoints are discovered; that of the local server (port 8080) unless endpoints are named
    #[arg(long, value_name = "URL")]
    pub(super) issuer: Option<String>,
    /// The token endpoint, rather than the discovered one
    #[arg(long, value_name = "URL")]
    pub(super) token_endpoint: Option<String>,
    /// The client
    #[arg(long, value_name = "ID")]
    pub(super) client_id: String,
    /// Read the client's secret from stdin
    #[arg(long, conflicts_with = "client_secret_file")]
    pub(super) client_secret_stdin: bool,
    /// Read the client's secret from a file
    #[arg(long, value_name = "FILE")]
    pub(super) client_secret_file: Option<PathBuf>,
    /// How the client proves itself; else `basic`, or `post` where the issuer lists only that
    #[arg(long, value_name = "METHOD")]
    pub(super) auth_method: Option<AuthMethod>,
    /// A scope, or several in one text. May be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    pub(super) scopes: Vec<String>,
    /// What the token is for (RFC 8707). May be repeated
    #[arg(long = "resource", value_name = "URI")]
    pub(super) resources: Vec<String>,
    /// Another parameter, not a secret. May be repeated
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = super::request::extra)]
    pub(super) params: Vec<(String, String)>,
    /// Certificates (PEM) of an authority to trust besides the public ones
    #[arg(long, value_name = "FILE")]
    pub(super) ca: Option<PathBuf>,
    /// What to print
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(super) output: Output,
    /// Show the requests as they are sent and as curl, and the answers, on stderr
    #[arg(long, short)]
    pub(super) verbose: bool,
    /// Show secrets there too
    #[arg(long, requires = "verbose")]
    pub(super) show_secrets: bool,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct CodeArgs {
    #[command(flatten)]
    pub(super) common: Common,
    /// The authorization endpoint, rather than the discovered one
    #[arg(long, value_name = "URL")]
    pub(super) authorization_endpoint: Option<String>,
    /// The loopback port that the browser comes back to; any free one where absent (RFC 8252 section 7.3)
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    pub(super) port: u16,
    /// A registered redirect URI, rather than http://127.0.0.1:PORT/callback
    #[arg(long, value_name = "URI", conflicts_with = "port")]
    pub(super) redirect_uri: Option<String>,
    /// Only say the URL, and open no browser
    #[arg(long)]
    pub(super) no_browser: bool,
    /// Seconds to wait for the browser to come back
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    pub(super) timeout: u64,
    /// Sign in as this user and allow access, without a browser; for servers whose pages are Countersign's
    #[arg(long, value_name = "NAME")]
    pub(super) username: Option<String>,
    #[command(flatten)]
    pub(super) password: PasswordSource,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct PasswordArgs {
    #[command(flatten)]
    pub(super) common: Common,
    /// The user
    #[arg(long, value_name = "NAME")]
    pub(super) username: String,
    #[command(flatten)]
    pub(super) password: PasswordSource,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct PasswordSource {
    /// Read the user's password from stdin
    #[arg(long, conflicts_with = "password_file")]
    pub(super) password_stdin: bool,
    /// Read the user's password from a file
    #[arg(long, value_name = "FILE")]
    pub(super) password_file: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct RefreshArgs {
    #[command(flatten)]
    pub(super) common: Common,
    /// Read the refresh token from stdin
    #[arg(long, conflicts_with = "refresh_token_file")]
    pub(super) refresh_token_stdin: bool,
    /// Read the refresh token from a file
    #[arg(long, value_name = "FILE")]
    pub(super) refresh_token_file: Option<PathBuf>,
}

//! The shape of the command line: commands, their arguments, their help. Settings come from [`super::flags`].

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand};

use super::flags::{Address, Flags, Server, Store, secrets_help};
use super::{perform, token};
use crate::config::Overrides;
use crate::oauth::keys::ALGORITHMS;

/// A standalone OAuth 2.0 and OpenID Connect authorization server.
#[derive(Debug, Parser)]
#[command(name = "countersign", version, disable_help_subcommand = true, after_help = TOP)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

const TOP: &str = "Examples:
  countersign dev                          a server to try things with, in memory
  countersign serve --issuer https://login.example.com --database-url postgres://…
  countersign COMMAND --help               what a command takes, with examples

Settings come from flags, then COUNTERSIGN_… variables, then countersign.yaml.
Exit codes: 0 done, 1 failed, 2 the command line makes no sense.";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run a server for development: in memory, with demo resources, on loopback
    #[command(after_help = with_secrets(DEV))]
    Dev(DevArgs),
    /// Run the server: migrate, apply the bundles, listen
    #[command(after_help = with_secrets(SERVE))]
    Serve(ServerArgs),
    /// Bring the database's schema up to date, and exit
    #[command(after_help = MIGRATE)]
    Migrate(StoreArgs),
    /// Tell everything that would keep `serve` from starting, and change nothing
    #[command(after_help = with_secrets(CHECK))]
    Check(ServerArgs),
    /// Apply bundles of resources to the database
    #[command(after_help = APPLY)]
    Apply(ApplyArgs),
    /// Print all configuration resources as a bundle that `apply` takes
    #[command(after_help = EXPORT)]
    Export(StoreArgs),
    /// Signing keys: list, rotate, retire
    #[command(subcommand, arg_required_else_help = true, after_help = KEYS)]
    Keys(KeysCommand),
    /// Users: create, list, disable, enable, set a password
    #[command(subcommand, arg_required_else_help = true, after_help = USER)]
    User(UserCommand),
    /// Clients: create, list, disable, enable, set a secret
    #[command(subcommand, arg_required_else_help = true, after_help = CLIENT)]
    Client(ClientCommand),
    /// Tell why a request was refused, by the id in its answer and in the log
    #[command(after_help = EXPLAIN)]
    Explain(ExplainArgs),
    /// Get tokens from any issuer, as a client does, and look at them
    #[command(subcommand, arg_required_else_help = true, after_help = perform::args::HELP)]
    Perform(perform::args::Performed),
    /// Tokens: take one apart, verify it
    #[command(subcommand, arg_required_else_help = true, after_help = token::args::HELP)]
    Token(token::args::TokenCommand),
    /// Exit with 0 when the server is ready
    #[command(after_help = HEALTH)]
    Health(HealthArgs),
    /// Print the OpenAPI 3.1 document of all that a server answers
    #[command(name = "openapi", after_help = OPENAPI)]
    OpenApi,
}

const DEV: &str = "Examples:
  countersign dev
  countersign dev --listen 127.0.0.1:0 --stop-with-stdin        for a test: on a free port, and gone with the test
  countersign dev --database-url sqlite://dev.db                remembers between runs
  countersign dev --seed 1 --clock 2030-01-01T00:00:00Z         the same keys and tokens in each run
  countersign dev --permissive --auto-login --auto-consent approve   any client, any user, no questions
  countersign dev --dialect entra                               as Microsoft Entra ID speaks; see docs/dialects.md
  countersign dev --listen 0.0.0.0:8080 --issuer http://localhost:8080   in a container";

const SERVE: &str = "Examples:
  countersign serve --issuer http://localhost:8080              SQLite in countersign.db
  COUNTERSIGN_MASTER_KEY_FILE=/run/secrets/master-key \\
    countersign serve --listen 0.0.0.0:8080 --issuer https://login.example.com \\
      --database-url postgres://countersign@db/countersign --bundle /etc/countersign
  openssl rand -base64 32                                       makes a master key";

const MIGRATE: &str = "Examples:
  countersign migrate --database-url postgres://countersign@db/countersign";

const CHECK: &str = "Examples:
  countersign check --config countersign.yaml --bundle clients.yaml";

const APPLY: &str = "Examples:
  countersign apply clients.yaml users/
  countersign apply --dry-run clients.yaml       what would change
  countersign apply --prune clients.yaml         remove what an earlier bundle made and this one lacks";

const EXPORT: &str = "Examples:
  countersign export > bundle.yaml
  countersign export --database-url sqlite://old.db > bundle.yaml && countersign apply bundle.yaml";

const KEYS: &str = "Examples:
  countersign keys list
  countersign keys rotate       a new key is published at once and signs later; old tokens stay valid
  countersign keys rotate --algorithm RS256
  countersign keys retire KID   a key is withdrawn at once; what it signed is no longer valid";

const USER: &str = "Examples:
  countersign user create alice --email alice@example.com --role admin     asks for a password
  echo \"$PASSWORD\" | countersign user create alice
  countersign user password alice
  countersign user disable alice";

const CLIENT: &str = "Examples:
  countersign client create web-app --redirect-uri https://app.example.com/callback --generate
  countersign client create mobile --public --redirect-uri com.example.app:/callback
  countersign client secret web-app --generate   prints the new secret, once
  countersign client disable web-app
  countersign client initial-token --uses 10 --expires-in 3600   for --registration token";

const EXPLAIN: &str = "Examples:
  countersign explain 019a5b0c2f4e7d118f3a5c6b7d8e9f01      the X-Request-Id of the answer
  countersign explain 019a5b0c                              all whose ids begin so
  countersign explain --json 019a5b0c2f4e7d118f3a5c6b7d8e9f01 | jq .

Explanations are kept for 7 days. Secrets, codes and tokens are not in them.";

const HEALTH: &str = "Examples:
  countersign health
  countersign health --url http://127.0.0.1:8080
  HEALTHCHECK CMD [\"countersign\", \"health\"]   in a Dockerfile";

const OPENAPI: &str = "Examples:
  countersign openapi > openapi.json
  countersign openapi | jq '.paths | keys'

It needs no settings and no database. `countersign dev` serves the same at /dev/openapi.json.";

fn with_secrets(examples: &str) -> String {
    format!("{}\n{examples}", secrets_help::<Server>())
}

#[derive(Args, Debug)]
pub(super) struct DevArgs {
    /// Stop when standard input ends: with the test that started the server, however that ended
    #[arg(long)]
    pub(super) stop_with_stdin: bool,
    #[command(flatten)]
    pub(super) settings: Flags<Server>,
}

#[derive(Args, Debug)]
pub(super) struct ServerArgs {
    #[command(flatten)]
    pub(super) settings: Flags<Server>,
}

#[derive(Args, Debug)]
pub(super) struct StoreArgs {
    #[command(flatten)]
    pub(super) settings: Flags<Store>,
}

#[derive(Args, Debug)]
pub(super) struct ApplyArgs {
    /// Files, or folders of files, in YAML or JSON
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// Print what would change, and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Remove resources that an earlier bundle made and these lack
    #[arg(long)]
    pub(super) prune: bool,
    #[command(flatten)]
    pub(super) settings: Flags<Store>,
}

#[derive(Args, Debug)]
pub(super) struct ExplainArgs {
    /// Ids of requests, or their first 8 digits or more
    #[arg(required = true, value_name = "REQUEST-ID")]
    pub(super) ids: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) settings: Flags<Store>,
}

#[derive(Args, Debug)]
pub(super) struct HealthArgs {
    /// The server to ask; else the one of the settings, on this machine
    #[arg(long)]
    pub(super) url: Option<String>,
    #[command(flatten)]
    pub(super) settings: Flags<Address>,
}

#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// List the signing keys
    List(StoreArgs),
    /// Make new keys; they are published before they sign
    Rotate {
        /// Of this algorithm alone; may be repeated
        #[arg(long = "algorithm", value_name = "ALGORITHM", value_parser = PossibleValuesParser::new(ALGORITHMS))]
        algorithms: Vec<String>,
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Withdraw a key at once
    Retire {
        /// The key's id
        // Base64url: one of 64 begins with a hyphen.
        #[arg(allow_hyphen_values = true)]
        kid: String,
        #[command(flatten)]
        store: StoreArgs,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Create a user; the password is asked for, or read from stdin
    Create(UserCreateArgs),
    /// List the users
    List(StoreArgs),
    /// Stop a user from signing in, and end what was issued
    Disable(NamedArgs),
    /// Let a disabled user sign in again
    Enable(NamedArgs),
    /// Set a password; it is asked for, or read from stdin
    Password(NamedArgs),
}

#[derive(Debug, Subcommand)]
pub(super) enum ClientCommand {
    /// Create a client; its secret is asked for, read from stdin, or made by --generate
    Create(ClientCreateArgs),
    /// List the clients
    List(StoreArgs),
    /// Stop a client, and end what was issued to it
    Disable(NamedArgs),
    /// Let a disabled client work again
    Enable(NamedArgs),
    /// Set a secret; it is asked for, read from stdin, or made by --generate
    Secret {
        /// Make a new secret of 256 bits and print it, once
        #[arg(long)]
        generate: bool,
        #[command(flatten)]
        named: NamedArgs,
    },
    /// Make an initial access token, with which somebody may register clients, and print it, once
    InitialToken(InitialTokenArgs),
}

impl KeysCommand {
    pub(super) fn settings(&self) -> &Overrides {
        match self {
            Self::List(store) | Self::Rotate { store, .. } | Self::Retire { store, .. } => &store.settings.0,
        }
    }
}

impl UserCommand {
    pub(super) fn settings(&self) -> &Overrides {
        match self {
            Self::Create(args) => &args.settings.0,
            Self::List(args) => &args.settings.0,
            Self::Disable(args) | Self::Enable(args) | Self::Password(args) => &args.settings.0,
        }
    }
}

impl ClientCommand {
    pub(super) fn settings(&self) -> &Overrides {
        match self {
            Self::Create(args) => &args.settings.0,
            Self::List(args) => &args.settings.0,
            Self::Disable(named) | Self::Enable(named) | Self::Secret { named, .. } => &named.settings.0,
            Self::InitialToken(args) => &args.settings.0,
        }
    }
}

#[derive(Args, Debug)]
pub(super) struct NamedArgs {
    /// The id; for users also the user name or e-mail address
    pub(super) id: String,
    #[command(flatten)]
    pub(super) settings: Flags<Store>,
}

#[derive(Args, Debug)]
pub(super) struct InitialTokenArgs {
    /// How many clients may be registered with it
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) uses: u32,
    /// Seconds that it lives
    #[arg(long, value_name = "SECONDS", default_value_t = 86_400, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) expires_in: u32,
    #[command(flatten)]
    pub(super) settings: Flags<Store>,
}

#[derive(Args, Debug)]
pub(super) struct UserCreateArgs {
    /// The user name
    pub(super) user_name: String,
    /// The id; made from random bits where absent
    #[arg(long)]
    pub(super) id: Option<String>,
    /// The e-mail address
    #[arg(long)]
    pub(super) email: Option<String>,
    /// The given name
    #[arg(long)]
    pub(super) given_name: Option<String>,
    /// The family name
    #[arg(long)]
    pub(super) family_name: Option<String>,
    /// A role; `admin` opens the console. May be repeated
    #[arg(long = "role", value_name = "ROLE")]
    pub(super) roles: Vec<String>,
    #[command(flatten)]
    pub(super) settings: Flags<Store>,
}

#[derive(Args, Debug)]
pub(super) struct ClientCreateArgs {
    /// The `client_id`
    pub(super) id: String,
    /// A name for people
    #[arg(long)]
    pub(super) name: Option<String>,
    /// A grant it may use. May be repeated
    #[arg(
        long = "grant-type",
        value_name = "GRANT",
        value_parser = ["authorization_code", "client_credentials", "password", "basic"],
        default_value = "authorization_code"
    )]
    pub(super) grant_types: Vec<String>,
    /// Where the authorization code may be sent. May be repeated
    #[arg(long = "redirect-uri", value_name = "URI")]
    pub(super) redirect_uris: Vec<String>,
    /// A scope it may ask for; any where absent. May be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    pub(super) scopes: Vec<String>,
    /// An application of your own: no consent page
    #[arg(long)]
    pub(super) first_party: bool,
    /// An application that can keep no secret: none is set, and PKCE is required
    #[arg(long, conflicts_with = "generate")]
    pub(super) public: bool,
    /// Make a secret of 256 bits and print it, once
    #[arg(long)]
    pub(super) generate: bool,
    #[command(flatten)]
    pub(super) settings: Flags<Store>,
}

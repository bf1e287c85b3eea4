//! The floor: bare handlers that do the least that the work of each scenario needs, in the best way known, with the libraries that the
//! server stands on. What a server adds to it is what its rules cost.
//!
//! | path | does | is the floor of |
//! |---|---|---|
//! | `/discovery`, `/jwks` | answers a text that never changes | discovery, jwks |
//! | `/insert` | parses the form, makes a token, one row | `client_credentials`, opaque; many-clients |
//! | `/sign/{alg}` | parses the form, signs a JWT | `client_credentials`, JWT |
//! | `/select` | parses the form or the head, one row by primary key | introspection, userinfo |
//! | `/refresh` | one guarded update with an insert, an ID token | refresh |
//! | `/code` | GET: one row; POST: one guarded update with an insert, an ID token | code |
//! | `/argon2` | verifies a password | login |
//!
//! [`handlers`] has them, [`tables`] the statements for both databases, [`batch`] lets those that wait share one statement and
//! one commit, [`keys`] signs.

mod batch;
mod handlers;
mod keys;
mod tables;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use crate::Result;
use crate::profile::{Client, Login, Profile, Users};
use crate::report::say;
use handlers::{App, Constants};

/// The arguments of `floor`.
#[derive(Args, Debug)]
pub(crate) struct FloorArgs {
    /// `postgres://…` or `sqlite://PATH`; its tables are made anew, in the schema `countersign_floor` of PostgreSQL
    #[arg(long, value_name = "URL")]
    database: String,
    /// Loopback address and port
    #[arg(long, default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    /// The answer of /discovery: a copy of the document of the server that is compared
    #[arg(long, value_name = "FILE")]
    discovery: Option<PathBuf>,
    /// The answer of /jwks, likewise
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// Write the floor's own profile for `load`
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// Stop by itself after so many seconds
    #[arg(long, default_value_t = 3600)]
    seconds: u64,
    /// Stop when the standard input ends, as it does when whoever started this has gone
    #[arg(long)]
    until_input_ends: bool,
}

/// What the static answers are where no copies are given.
const DISCOVERY: &str = r#"{"issuer":"http://localhost","token_endpoint":"http://localhost/insert"}"#;
const JWKS: &str = r#"{"keys":[{"kty":"EC"}]}"#;

/// Runs `floor`.
pub(crate) async fn run(args: FloorArgs) -> Result<()> {
    if !args.listen.ip().is_loopback() {
        return Err("the floor has no rules at all: it listens on loopback only".into());
    }
    let constants =
        Constants { discovery: text(args.discovery.as_ref(), DISCOVERY)?, jwks: text(args.jwks.as_ref(), JWKS)? };
    let listener = TcpListener::bind(args.listen).await.map_err(|error| format!("{}: {error}", args.listen))?;
    let address = listener.local_addr()?;
    let app = App::new(&args.database, constants).await?;
    if let Some(path) = &args.profile {
        profile(address)?.write(path)?;
    }
    say(&format!("the floor listens on {address}"));
    let served = axum::serve(tcp_nodelay(listener), handlers::router(app));
    tokio::select! {
        served = served => Ok(served?),
        () = tokio::time::sleep(Duration::from_secs(args.seconds)) => Ok(()),
        () = input_ends(), if args.until_input_ends => Ok(()),
    }
}

fn text(file: Option<&PathBuf>, otherwise: &str) -> Result<Vec<u8>> {
    file.map_or_else(
        || Ok(otherwise.as_bytes().to_vec()),
        |file| std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()).into()),
    )
}

/// As the server does: an answer leaves at once.
fn tcp_nodelay(listener: TcpListener) -> impl axum::serve::Listener<Io = tokio::net::TcpStream, Addr = SocketAddr> {
    use axum::serve::ListenerExt;
    listener.tap_io(|stream| drop(stream.set_nodelay(true)))
}

async fn input_ends() {
    let mut buffer = [0; 64];
    let mut input = tokio::io::stdin();
    while matches!(input.read(&mut buffer).await, Ok(length) if length > 0) {}
}

/// The floor, as the scenarios see it.
fn profile(address: SocketAddr) -> Result<Profile> {
    let mut profile = Profile::new("Floor", format!("http://localhost:{}", address.port()).parse()?);
    let at = |path: &str| {
        Some(Client { id: "bench".into(), secret: "x".into(), token: Some(path.into()), ..Client::default() })
    };
    profile.discovery = "/discovery".into();
    profile.jwks = "/jwks".into();
    profile.introspection = "/select".into();
    profile.userinfo = "/select".into();
    profile.authorization = "/code".into();
    profile.clients.opaque = at("/insert");
    profile.clients.many = at("/insert");
    profile.clients.es256 = at("/sign/es256");
    profile.clients.eddsa = at("/sign/eddsa");
    profile.clients.rs256 = at("/sign/rs256");
    profile.clients.introspector = at("/select");
    profile.clients.code = Some(Client {
        id: "bench".into(),
        secret: "x".into(),
        scope: Some("openid profile".into()),
        redirect_uri: Some("http://localhost:4200/callback".into()),
        token: Some("/code".into()),
        refresh: Some("/refresh".into()),
        count: None,
    });
    profile.users = Some(Users { username: "user".into(), password: handlers::PASSWORD.into(), count: 1 });
    profile.login = Login { check: Some("/argon2".into()), ..Login::default() };
    Ok(profile)
}

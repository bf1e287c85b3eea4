//! Everything in one go: the server and its floor side by side, measured by turns, so that what else the machine does meets both.
//!
//! [`workspace`] makes databases and folders and takes them away again, [`child`] starts processes that end with this one,
//! [`start`] measures the first token and memory, [`results`] puts the figures together.

mod child;
mod results;
mod start;
mod workspace;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use tokio::time::timeout;
use url::Url;

use crate::Result;
use crate::load::http::{Connection, Credentials, Requests};
use crate::load::scenario::Scenario;
use crate::load::{Plan, Timing, large_tables, measure};
use crate::prepare::prepare;
use crate::profile::Profile;
use crate::report::say;
use child::Child;
use results::{Pair, Results};
use workspace::Workspace;

/// The arguments of `run`.
#[derive(Args, Clone, Debug)]
pub(crate) struct RunArgs {
    /// `postgres://…`, with the right to create databases, or `sqlite://PATH`; either gets databases beside it, which are removed
    #[arg(long, value_name = "URL")]
    database: String,
    /// Countersign
    #[arg(long, value_name = "FILE", default_value = "target/release/countersign")]
    server_binary: PathBuf,
    /// What to measure. May be repeated
    #[arg(long = "scenario", value_name = "NAME", num_args = 1.., default_values = ["all"])]
    scenarios: Vec<Scenario>,
    #[command(flatten)]
    timing: Timing,
    /// How often each scenario and its floor take turns
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Clients for many-clients
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    clients: u32,
    /// Tokens for large-tables; 0 leaves it out
    #[arg(long, value_name = "N", default_value_t = 10_000_000)]
    rows: u64,
    /// Tokens to issue before memory is looked at; 0 leaves it out
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    tokens: u64,
    /// A second each and a hundredth of the numbers: to see that all works, not how fast
    #[arg(long)]
    quick: bool,
    /// Write the figures as JSON too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// PostgreSQL's process, where it is not found by itself
    #[arg(long, value_name = "PID")]
    database_pid: Option<u32>,
}

/// The administrator of the servers that are started here.
const ADMIN: &str = "root";
/// Connections that sign in while the latency of the others is looked at.
const LOGINS_BESIDE: usize = 16;
/// Cleaning up takes at most this long.
const CLEANING: Duration = Duration::from_mins(1);

/// Runs `run`.
pub(crate) async fn run(mut args: RunArgs) -> Result<()> {
    if args.quick {
        args.timing = Timing { seconds: 1.0, warmup: 0.3, ..args.timing };
        (args.rounds, args.clients) = (1, args.clients / 100);
        (args.rows, args.tokens) = (args.rows / 100, args.tokens / 100);
    }
    let workspace = Workspace::new(&args.database)?;
    let done = crate::until_stopped(Box::pin(measured(&args, &workspace))).await;
    // The processes have ended with what held them.
    if timeout(CLEANING, workspace.clean_up()).await.is_err() {
        say("the databases of this run could not be removed in time");
    }
    done
}

async fn measured(args: &RunArgs, workspace: &Workspace) -> Result<()> {
    let binary = std::path::absolute(&args.server_binary)?;
    if !binary.is_file() {
        return Err(format!("{}: build it first: cargo build --release", binary.display()).into());
    }
    let facts = workspace.facts().await?;
    let database_pid = args.database_pid.or(facts.pid);
    let mut results = Results::new(&facts, args);

    results.first_tokens(start::first_tokens(&binary, workspace, if args.quick { 3 } else { 9 }).await?);
    results.memory(&start::memory(&binary, workspace, args.tokens).await?);

    let server = Server::start(&binary, workspace, "server").await?;
    let profile = prepare(server.base_url.clone(), (ADMIN, workspace.admin_secret()), args.clients, 64).await?;
    let (floor, floor_profile) = start_floor(&profile, workspace).await?;

    for connections in &args.timing.connections {
        let plan = |pid: u32| Plan {
            connections: usize::from(*connections),
            warmup: Duration::from_secs_f64(args.timing.warmup),
            time: Duration::from_secs_f64(args.timing.seconds),
            most: None,
            server_pid: Some(pid),
            database_pid,
            logins_beside: 0,
        };
        let (server_plan, floor_plan) = (plan(server.child.pid), plan(floor.pid));
        for scenario in Scenario::chosen(&args.scenarios) {
            if scenario == Scenario::LargeTables {
                continue;
            }
            let measured =
                by_turns(args.rounds, scenario, (&profile, &server_plan), (&floor_profile, &floor_plan)).await;
            results.scenario(scenario, server_plan.connections, measured);
        }
        for scenario in [Scenario::CredentialsOpaque, Scenario::Introspection] {
            let measured = beside_logins(&profile, scenario, &server_plan).await;
            results.beside_logins(scenario, server_plan.connections, measured);
        }
        // Once is enough: the table stays full.
        if args.rows > 0 && Some(connections) == args.timing.connections.last() {
            let measured = large_tables(&profile, &workspace.url("server")?, args.rows, &server_plan).await;
            results.large_tables(args.rows, server_plan.connections, measured);
        }
    }
    results.write(args.json.as_deref())?;
    results.must_be_without_failures()
}

/// A scenario and its floor, by turns.
async fn by_turns(
    rounds: u32,
    scenario: Scenario,
    (server, server_plan): (&Profile, &Plan),
    (floor, floor_plan): (&Profile, &Plan),
) -> Result<Option<Pair>> {
    let mut pair = None;
    for _ in 0..rounds {
        let of_floor = measure(floor, scenario, None, floor_plan).await?;
        let of_server = measure(server, scenario, None, server_plan).await?;
        results::add(&mut pair, of_server, of_floor)?;
    }
    Ok(pair)
}

/// A scenario alone, and while others sign in.
async fn beside_logins(profile: &Profile, scenario: Scenario, plan: &Plan) -> Result<Pair> {
    let alone = measure(profile, scenario, None, plan).await?;
    let plan = Plan { logins_beside: LOGINS_BESIDE, ..plan.clone() };
    Ok((alone, measure(profile, scenario, None, &plan).await?))
}

/// A running Countersign.
struct Server {
    child: Child,
    base_url: Url,
}

impl Server {
    /// Starts it with the database of this name, which is fresh.
    async fn start(binary: &Path, workspace: &Workspace, name: &str) -> Result<Self> {
        let url = workspace.create(name).await?;
        let port = child::free_port()?;
        let listen = format!("127.0.0.1:{port}");
        let arguments = ["serve", "--listen", &listen, "--database-url", &url];
        let mut child = Child::start(binary, &arguments, workspace, name)?;
        let base_url: Url = format!("http://localhost:{port}").parse()?;
        child.ready(&Profile::new(name, base_url.clone()), "/readyz").await?;
        Ok(Self { child, base_url })
    }
}

/// Starts the floor, with the constant answers of the server.
async fn start_floor(server: &Profile, workspace: &Workspace) -> Result<(Child, Profile)> {
    let url = workspace.create("floor").await?;
    let file = |name: &str| workspace.folder().join(name);
    for (path, name) in [(&server.discovery, "discovery.json"), (&server.jwks, "jwks.json")] {
        let mut connection = Connection::new(server.address()?);
        let request = Requests { host: server.host() }.get(&server.path(path)?, Credentials::None);
        std::fs::write(file(name), connection.exchange(&request).await?.body)?;
    }
    let listen = format!("127.0.0.1:{}", child::free_port()?);
    let (discovery, jwks, profile) = (file("discovery.json"), file("jwks.json"), file("floor.json"));
    let paths = [&discovery, &jwks, &profile].map(|path| path.to_string_lossy().into_owned());
    let arguments = [
        "floor",
        "--until-input-ends",
        "--seconds",
        "86400",
        "--database",
        &url,
        "--listen",
        &listen,
        "--discovery",
        &paths[0],
        "--jwks",
        &paths[1],
        "--profile",
        &paths[2],
    ];
    let mut child = Child::start(&std::env::current_exe()?, &arguments, workspace, "floor")?;
    child.ready(&Profile::new("floor", format!("http://{listen}").parse()?), "/jwks").await?;
    Ok((child, Profile::read(&profile)?))
}

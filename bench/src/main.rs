//! The measuring stick: how close a server is to what the machine can do.
//!
//! - [`load`] drives an OAuth 2.0 server as its [`profile`] says and counts what comes of it, with [`proc`] for the cost;
//! - [`prepare`] puts what the scenarios need into a Countersign server;
//! - [`floor`] is a server of bare handlers that do the least that the same work needs;
//! - [`run`] does everything side by side, with [`fill`] for large tables, and [`report`] writes it down.
//!
//! `docs/performance.md` says how to use it.

mod fill;
mod floor;
mod load;
mod prepare;
mod proc;
mod profile;
mod report;
mod run;

use std::future::Future;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

/// What can go wrong is told to a person, and that is all that happens to it.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Measures an OAuth 2.0 server on this machine, and beside it the least that the same work can cost.
#[derive(Debug, Parser)]
#[command(name = "countersign-bench", version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  countersign-bench run --database postgres://postgres@127.0.0.1/postgres
  countersign-bench run --database sqlite://bench.db --quick
  countersign-bench load --profile other-server.yaml --scenario refresh code --connections 32 128
  countersign-bench COMMAND --help";

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure scenarios against a running server that a profile describes
    Load(load::LoadArgs),
    /// Put the clients and users of the scenarios into a Countersign server, and write its profile
    Prepare(prepare::PrepareArgs),
    /// Serve bare handlers that do the least that each scenario needs
    Floor(floor::FloorArgs),
    /// Everything in one go: start server and floor, measure both alternately, print one table
    Run(run::RunArgs),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        // The load comes from one thread: on a shared machine the others are for the server.
        Command::Load(args) => one_thread().and_then(|runtime| runtime.block_on(until_stopped(load::run(args)))),
        Command::Prepare(args) => one_thread().and_then(|runtime| runtime.block_on(until_stopped(prepare::run(args)))),
        Command::Run(args) => one_thread().and_then(|runtime| runtime.block_on(run::run(args))),
        Command::Floor(args) => threads().and_then(|runtime| runtime.block_on(until_stopped(floor::run(args)))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::say(&format!("FAILED: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn one_thread() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

fn threads() -> Result<Runtime> {
    Ok(Builder::new_multi_thread().enable_all().build()?)
}

/// Runs something until it is done, or until somebody wants it to stop; then it is dropped, and with it its child processes.
pub(crate) async fn until_stopped<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        done = work => done,
        _ = interrupt.recv() => Err("interrupted".into()),
        _ = terminate.recv() => Err("terminated".into()),
    }
}

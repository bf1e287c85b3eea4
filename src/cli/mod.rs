//! The command line: `countersign COMMAND`.
//!
//! [`args`] has its shape and its help, [`flags`] the settings as flags. Each command is a file: [`serve`] for `dev` and
//! `serve`, [`bundles`] for `migrate`, `check`, `apply` and `export`, [`keys`], [`users`], [`clients`], [`explain`], [`health`], [`openapi`];
//! [`perform`] and [`token`] are what a client of any issuer does, on [`wire`] and with what [`issuer`] finds. The others read
//! settings ([`crate::config`]), call the rooms that know the rules, and print. Logs go to stderr; stdout carries only what
//! was asked for, through [`output`].

mod args;
mod bundles;
mod check;
mod clients;
mod database;
mod documents;
mod explain;
mod flags;
mod health;
mod issuer;
mod keys;
mod logging;
mod openapi;
mod output;
mod perform;
mod pinned;
mod prompt;
mod serve;
mod token;
mod users;
mod wire;

use std::fmt::Display;
use std::future::Future;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use self::args::{Cli, Command};
use self::output::complain;
use crate::config::{Environment, Inputs, MasterKeyError, Overrides, Problem, Purpose, Settings};
use crate::domain::internal::Internal;
use crate::store;

/// Runs the command of the process's arguments; 0 is done, 1 failed, 2 a command line that makes no sense.
pub fn main() -> ExitCode {
    // The first look at this clock is its zero: `dev` says how long the start took.
    crate::clock::monotonic_millis();
    match Cli::parse().command {
        Some(command) => exit_code(run(command)),
        None => match Cli::command().print_help() {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
    }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Dev(args) => block_on(serve::dev(&args.settings.0, args.stop_with_stdin)),
        Command::Serve(args) => block_on(serve::serve(&args.settings.0)),
        Command::Migrate(args) => block_on(bundles::migrate(args)),
        Command::Check(args) => block_on(check::check(args)),
        Command::Apply(args) => block_on(bundles::apply(args)),
        Command::Export(args) => block_on(bundles::export(args)),
        Command::Keys(command) => block_on(keys::run(command)),
        Command::User(command) => block_on(users::run(command)),
        Command::Client(command) => block_on(clients::run(command)),
        Command::Explain(args) => block_on(explain::run(args)),
        Command::Perform(command) => block_on(perform::run(command)),
        Command::Token(command) => block_on(token::run(command)),
        Command::Health(args) => block_on(health::run(args)),
        Command::OpenApi => {
            openapi::run();
            Ok(())
        }
    }
}

fn block_on(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| Failure::new(format!("cannot start: {error}")))?.block_on(work)
}

fn exit_code(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.lines.iter().for_each(complain);
            ExitCode::from(failure.code)
        }
    }
}

/// Why a command failed, for the person who typed it.
#[derive(Debug)]
struct Failure {
    lines: Vec<String>,
    code: u8,
}

impl Failure {
    /// What was asked for did not work.
    fn new(line: impl Display) -> Self {
        Self { lines: vec![format!("countersign: {line}")], code: 1 }
    }

    /// What was asked for makes no sense.
    fn usage(line: impl Display) -> Self {
        Self { code: 2, ..Self::new(line) }
    }

    /// What was found, without the heading.
    fn findings(&self) -> Vec<String> {
        self.lines.iter().skip(1).map(|line| line.trim_start().to_owned()).collect()
    }

    /// Several findings under a heading.
    fn list(heading: impl Display, findings: impl IntoIterator<Item = impl Display>) -> Self {
        let mut failure = Self::new(heading);
        failure.lines.extend(findings.into_iter().map(|finding| format!("  {finding}")));
        failure
    }
}

impl From<Internal> for Failure {
    fn from(error: Internal) -> Self {
        Self::new(error)
    }
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        Self::new(format!("the database: {error}"))
    }
}

impl From<MasterKeyError> for Failure {
    fn from(error: MasterKeyError) -> Self {
        Self::new(error)
    }
}

impl From<Vec<Problem>> for Failure {
    fn from(problems: Vec<Problem>) -> Self {
        let heading = match problems.len() {
            1 => "a setting is wrong:".to_owned(),
            n => format!("{n} settings are wrong:"),
        };
        Self::list(heading, problems)
    }
}

/// The settings of this process; starts logging and logs the warnings.
fn settings(purpose: Purpose, flags: &Overrides) -> Result<Settings, Failure> {
    let (settings, problems) = examined(purpose, flags)?;
    if problems.is_empty() { Ok(settings) } else { Err(problems.into()) }
}

/// The same with what is wrong with them.
fn examined(purpose: Purpose, flags: &Overrides) -> Result<(Settings, Vec<Problem>), Failure> {
    // What is not UTF-8 becomes U+FFFD, which the settings refuse.
    let env: Environment = std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .collect();
    let cwd = std::env::current_dir().map_err(|error| Failure::new(format!("there is no working folder: {error}")))?;
    let read = |path: &std::path::Path| std::fs::read_to_string(path);
    let (settings, problems, warnings) =
        Settings::examine(purpose, Inputs { flags, env: &env, read: &read, cwd: &cwd });
    if problems.is_empty() {
        logging::start(settings.log_format);
        for warning in warnings {
            tracing::warn!("{warning}");
        }
    }
    Ok((settings, problems))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_setting_given_as_a_flag_reaches_the_settings() {
        let parse = |line: &[&str]| match Cli::try_parse_from(line).map(|cli| cli.command) {
            Ok(Some(Command::Serve(args))) => args.settings.0.0,
            other => panic!("{other:?}"),
        };
        let given = parse(&[
            "countersign",
            "serve",
            "--bundle",
            "a",
            "--bundle",
            "b",
            "--allow-http-issuer",
            "--listen",
            "[::1]:1",
        ]);
        assert_eq!(given["bundle"], ["a", "b"]);
        assert_eq!(given["allow-http-issuer"], ["true"]);
        assert_eq!(given["listen"], ["[::1]:1"]);
        assert_eq!(given.len(), 3);
        assert_eq!(parse(&["countersign", "serve", "--allow-http-redirects=false"])["allow-http-redirects"], ["false"]);
    }

    #[test]
    fn no_secret_is_an_argument() {
        let mut command = Cli::command();
        command.build();
        let mut left = vec![command];
        while let Some(command) = left.pop() {
            left.extend(command.get_subcommands().cloned());
            for arg in command.get_arguments().filter(|arg| arg.get_action().takes_values()) {
                let name = arg.get_id().as_str();
                assert!(
                    !["secret", "password", "key", "refresh_token"].iter().any(|word| name.contains(word))
                        || name == "tls-key"
                        || name.ends_with("_file"),
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn every_command_has_help_with_examples() {
        let mut command = Cli::command();
        command.build();
        for command in command.get_subcommands() {
            let help = command.clone().render_help().to_string();
            assert!(help.contains("Examples:"), "{}", command.get_name());
        }
    }
}

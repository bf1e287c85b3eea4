//! Child processes, which end when what holds them is dropped: at the end, on an error, on Ctrl-C.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::Command;
use tokio::time::sleep;

use super::workspace::Workspace;
use crate::Result;
use crate::load::http::{Connection, Credentials, Requests};
use crate::profile::Profile;

/// A process.
#[derive(Debug)]
pub(super) struct Child {
    process: tokio::process::Child,
    pub(super) pid: u32,
    log: PathBuf,
}

/// A server that needs longer to be ready has failed.
const READY_WITHIN: Duration = Duration::from_mins(1);

impl Child {
    /// Starts a program, with nothing of this process's own settings; its log is in the workspace.
    pub(super) fn start(program: &Path, arguments: &[&str], workspace: &Workspace, name: &str) -> Result<Self> {
        let log = workspace.folder().join(format!("{name}.log"));
        let mut command = Command::new(program);
        for (variable, _) in std::env::vars_os() {
            let variable = variable.to_string_lossy();
            if variable.starts_with("COUNTERSIGN_") || variable == "DATABASE_URL" || variable == "RUST_LOG" {
                command.env_remove(&*variable);
            }
        }
        let process = command
            .args(arguments)
            .envs(workspace.secrets())
            .current_dir(workspace.folder())
            // The floor goes when its input ends, even if this process is killed.
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log)?)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{}: {error}", program.display()))?;
        let pid = process.id().ok_or("the process has ended at once")?;
        Ok(Self { process, pid, log })
    }

    /// Waits until it answers.
    pub(super) async fn ready(&mut self, profile: &Profile, path: &str) -> Result<()> {
        let request = Requests { host: profile.host() }.get(path, Credentials::None);
        self.first_answer(profile, &request).await.map(drop)
    }

    /// The time until it has answered a request with 200, which is sent again and again.
    pub(super) async fn first_answer(&mut self, profile: &Profile, request: &[u8]) -> Result<Instant> {
        let deadline = Instant::now() + READY_WITHIN;
        let mut connection = Connection::new(profile.address()?);
        loop {
            let last = match connection.exchange(request).await {
                Ok(answer) if answer.status == 200 => return Ok(Instant::now()),
                Ok(answer) => answer.describe(),
                Err(error) => error.to_string(),
            };
            if let Some(status) = self.process.try_wait()? {
                return Err(format!("it ended with {status}: {}", self.end_of_log()).into());
            }
            if Instant::now() > deadline {
                return Err(format!(
                    "it is not ready after {} s: {last}: {}",
                    READY_WITHIN.as_secs(),
                    self.end_of_log()
                )
                .into());
            }
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// Ends it.
    pub(super) async fn stop(mut self) -> Result<()> {
        Ok(self.process.kill().await?)
    }

    fn end_of_log(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(8)..].join("\n")
    }
}

/// A port that nobody listens on at the moment.
pub(super) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

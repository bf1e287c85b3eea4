//! From the start of the process to its first token, and memory: idle, and after many tokens.

use std::path::Path;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::child::{self, Child};
use super::workspace::Workspace;
use super::{ADMIN, Server};
use crate::Result;
use crate::load::http::{Credentials, Requests};
use crate::load::scenario::Scenario;
use crate::load::tally::Outcome;
use crate::load::{Plan, measure};
use crate::prepare::prepare;
use crate::proc;
use crate::profile::Profile;
use crate::report::say;

/// Milliseconds to the first token; the median of several starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct FirstTokens {
    pub(super) dev: f64,
    pub(super) serve: f64,
}

/// Bytes that are resident.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) idle: u64,
    pub(super) after: u64,
    pub(super) tokens: u64,
    pub(super) outcome: Option<Outcome>,
}

/// The client of `serve`, as a bundle.
const BUNDLE: &str = "
- resourceType: Client
  id: web-app
  secret: client-secret
  grant_types: [client_credentials]
  auth: { client_credentials: { token_format: jwt } }
";

/// Measures `dev` and `serve`, with SQLite in memory.
pub(super) async fn first_tokens(binary: &Path, workspace: &Workspace, starts: usize) -> Result<FirstTokens> {
    let bundle = workspace.folder().join("first.yaml");
    std::fs::write(&bundle, BUNDLE)?;
    let bundle = bundle.to_string_lossy();
    Ok(FirstTokens {
        dev: first_token(binary, workspace, &["dev"], starts).await?,
        serve: first_token(
            binary,
            workspace,
            &["serve", "--database-url", "sqlite::memory:", "--bundle", &bundle],
            starts,
        )
        .await?,
    })
}

async fn first_token(binary: &Path, workspace: &Workspace, arguments: &[&str], starts: usize) -> Result<f64> {
    say(&format!("exec to first token: {}", arguments[0]));
    let mut all = Vec::new();
    for _ in 0..starts {
        let port = child::free_port()?;
        let listen = format!("127.0.0.1:{port}");
        let arguments = [arguments, &["--listen", &listen]].concat();
        let profile = Profile::new("first", format!("http://localhost:{port}").parse()?);
        let credentials = Credentials::Basic("web-app", "client-secret");
        let requests = Requests { host: profile.host() };
        let request = requests.form(&profile.token, credentials, "grant_type=client_credentials");
        let begun = Instant::now();
        let mut child = Child::start(binary, &arguments, workspace, "first")?;
        let answered = child.first_answer(&profile, &request).await?;
        all.push((answered - begun).as_secs_f64() * 1000.0);
        child.stop().await?;
    }
    Ok(median(all))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Measures memory of a server of its own: when it has nothing to do, and after it has issued so many opaque tokens.
pub(super) async fn memory(binary: &Path, workspace: &Workspace, tokens: u64) -> Result<Memory> {
    say("memory");
    let server = Server::start(binary, workspace, "memory").await?;
    sleep(Duration::from_secs(1)).await;
    let idle = proc::resident(server.child.pid);
    let mut outcome = None;
    if tokens > 0 {
        let profile = prepare(server.base_url.clone(), (ADMIN, workspace.admin_secret()), 1, 1).await?;
        let plan = Plan {
            connections: 32,
            warmup: Duration::ZERO,
            time: Duration::from_mins(30),
            most: Some(tokens),
            server_pid: Some(server.child.pid),
            database_pid: None,
            logins_beside: 0,
        };
        outcome = Some(measure(&profile, Scenario::CredentialsOpaque, None, &plan).await?);
    }
    let after = proc::resident(server.child.pid);
    server.child.stop().await?;
    Ok(Memory { idle, after, tokens, outcome })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_one_in_the_middle() {
        assert!((median(vec![9.0, 1.0, 3.0]) - 3.0).abs() < f64::EPSILON);
        assert!(median(Vec::new()).abs() < f64::EPSILON);
    }
}

//! `countersign dev` and `countersign serve`: start, say so, wait for a signal, stop.

use std::fmt::Write as _;
use std::time::Duration;

use super::Failure;
use super::output::{answer, answer_text};
use crate::clock::monotonic_millis;
use crate::config::{Mode, Overrides, Purpose, Settings};
use crate::server::Instance;

pub(super) async fn dev(flags: &Overrides, with_stdin: bool) -> Result<(), Failure> {
    run(super::settings(Purpose::Dev, flags)?, with_stdin).await
}

pub(super) async fn serve(flags: &Overrides) -> Result<(), Failure> {
    run(super::settings(Purpose::Serve, flags)?, false).await
}

async fn run(settings: Settings, with_stdin: bool) -> Result<(), Failure> {
    let mut signals = Signals::listen().map_err(|error| Failure::new(format!("cannot wait for signals: {error}")))?;
    let clock = settings.starting_clock();
    let (mode, any_port) = (settings.mode, settings.listen.port() == 0);
    let instance = tokio::select! {
        started = Instance::start(settings, clock) => started.map_err(Failure::new)?,
        () = signals.next() => return Err(Failure::new("stopped before it was ready")),
    };
    tracing::info!(address = %instance.address, issuer = instance.issuer, "listening");
    if let Some(internal) = &instance.internal_url {
        tracing::info!(
            "people and browsers use {}, which tokens name as their issuer; containers use {internal}",
            instance.issuer
        );
    }
    match mode {
        Mode::Dev => {
            answer_text(&welcome(&instance));
            answer(format!("ready in {} ms", monotonic_millis()));
        }
        Mode::Serve if any_port => answer(instance.address),
        Mode::Serve => {}
    }
    tokio::select! {
        () = signals.next() => {}
        () = end_of_input(), if with_stdin => {}
    }
    tracing::info!("stopping");
    tokio::select! {
        () = instance.stop() => Ok(()),
        () = insisted() => Err(Failure::new("stopped by a second signal, before requests in flight were answered")),
    }
}

/// Waits until standard input ends. A pipe from the process that started this one does so even where that process was killed.
async fn end_of_input() {
    let (ended, end) = tokio::sync::oneshot::channel::<()>();
    // Not one of the runtime's threads, which would wait for it: a read from a terminal cannot be called off.
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        drop(ended);
    });
    let _ = end.await;
}

/// Waits for somebody who does not want to wait. What comes right after the first signal is the same one again: `timeout` and
/// service managers signal a process and its group.
async fn insisted() {
    tokio::time::sleep(Duration::from_secs(1)).await;
    match Signals::listen() {
        Ok(mut signals) => signals.next().await,
        Err(_) => std::future::pending().await,
    }
}

/// What a developer wants to know first.
fn welcome(instance: &Instance) -> String {
    let issuer = &instance.issuer;
    let mut text = format!("Countersign {} for development\n\n", env!("CARGO_PKG_VERSION"));
    let mut line = |what: &str, value: &str| {
        let _ = writeln!(text, "  {what:<14}{value}");
    };
    match instance.dialect() {
        None => line("Issuer", issuer),
        Some((title, theirs)) => {
            line("Stands in for", title);
            line("Issuer", theirs);
        }
    }
    if let Some(internal) = &instance.internal_url {
        line("In containers", &format!("{internal} (discovery, tokens, keys; tokens name the issuer above)"));
    }
    line("Start page", &format!("{issuer}/"));
    let Some(demo) = instance.demo.as_ref().map(|demo| &demo.page) else { return text };
    if demo.clients.is_empty() {
        line("Demo", "none: the database holds other resources");
    }
    for (id, secret, _) in &demo.clients {
        match secret {
            Some(secret) => line("Demo client", &format!("{id} / {secret}")),
            None => line("Public client", &format!("{id} (PKCE)")),
        }
    }
    for (name, password) in &demo.users {
        line("Demo user", &format!("{name} / {password}"));
    }
    if instance.is_permissive() {
        line("Permissive", "any client_id, any loopback redirect URI and any user name will do");
    }
    line("Admin client", &format!("{} / {}", demo.admin.0, demo.admin.1));
    let _ = write!(text, "\n  A token, from another terminal:\n\n{}\n\n", demo.curl);
    text
}

/// Ctrl-C and SIGTERM.
#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Ctrl-C.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

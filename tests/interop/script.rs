//! Running scripts of `tests` with the interpreters that `scripts/test` has installed.

use std::path::Path;
use std::process::Command;

/// Runs a Python script with the packages of `tests/interop/requirements.txt`. It must succeed.
pub(crate) async fn python(script: &str, arguments: &[&str]) {
    run("INTEROP_PYTHON", script, arguments).await;
}

/// Runs a Node.js script with the packages of `tests/interop/package-lock.json`. It must succeed.
#[allow(dead_code, reason = "not every test binary has one")]
pub(crate) async fn node(script: &str, arguments: &[&str]) {
    run("INTEROP_NODE", script, arguments).await;
}

/// The value of a variable that `scripts/test` sets. Without it the test fails: nothing is skipped.
pub(crate) fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: run scripts/test, which installs what this test needs and sets it")
    })
}

async fn run(interpreter: &str, script: &str, arguments: &[&str]) {
    let mut command = Command::new(variable(interpreter));
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR"))).arg(script).args(arguments);
    // The scripts share a module, and leave no compiled files behind. Nothing here is behind a proxy.
    command.env("PYTHONPATH", "tests/interop").env("PYTHONDONTWRITEBYTECODE", "1").env("NO_PROXY", "*");
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap();
    let output = output.unwrap_or_else(|error| panic!("{interpreter} does not start: {error}"));
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{script}: {}\n{}{}", output.status, said(&output.stdout), said(&output.stderr));
}

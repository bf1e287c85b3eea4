//! Running scripts of `tests` with the interpreters that `scripts/test` has installed, and programs that it has built.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

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
    assert_success(script, &output);
}

/// Runs the program that a variable names, and answers each line that it says. It must succeed.
#[allow(dead_code, reason = "not every test binary has one")]
pub(crate) async fn converse(program: &str, arguments: &[&str], answer: impl AsyncFn(String) -> String) {
    let mut command = Command::new(variable(program));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{program} does not start: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    while let Some(line) = tokio::task::block_in_place(|| lines.next()) {
        let answer = answer(line.unwrap()).await;
        writeln!(stdin, "{answer}").unwrap();
    }
    let output = tokio::task::block_in_place(|| child.wait_with_output()).unwrap();
    assert_success(program, &output);
}

fn assert_success(name: &str, output: &Output) {
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{name}: {}\n{}{}", output.status, said(&output.stdout), said(&output.stderr));
}

//! The program itself, as a shell runs it: a working folder with a database of its own, and processes that end with the test.
#![expect(clippy::disallowed_methods, reason = "a process has the real clock")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use reqwest::{Client, StatusCode};
use serde_json::Value;

use super::server::{client, new_schema};
use super::{Database, read};

/// Nothing takes longer on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// A working folder and an environment, in which commands run.
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    pub(crate) database: Database,
    env: Vec<(String, String)>,
}

/// What a command that ended has left.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A running command; it is killed when dropped.
pub(crate) struct Process {
    child: Child,
    output: Arc<(Mutex<[String; 2]>, Condvar)>,
}

/// The server of a process.
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    pub(crate) http: Client,
}

impl Folder {
    /// An empty folder, and the settings that name an empty database.
    pub(crate) async fn new(database: Database) -> Self {
        let path = std::env::temp_dir().join(format!("countersign-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&path).unwrap();
        let folder = Self { path, database, env: Vec::new() };
        match database {
            Database::Sqlite => folder.env("COUNTERSIGN_DATABASE_URL", "sqlite://it.db"),
            Database::Postgres => folder
                .env("COUNTERSIGN_DATABASE_URL", &new_schema().await.1)
                .env("COUNTERSIGN_MASTER_KEY", "aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMmh1bnQ="),
        }
    }

    /// Sets a variable.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The database's URL.
    pub(crate) fn url(&self) -> String {
        let found = self.env.iter().find(|(name, _)| name == "COUNTERSIGN_DATABASE_URL");
        found.map(|(_, url)| url.clone()).unwrap_or_default()
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn command(&self, program: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).current_dir(&self.path).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts the program.
    pub(crate) fn start(&self, args: &[&str]) -> Process {
        Process::of(self.command(Path::new(env!("CARGO_BIN_EXE_countersign")), args), "")
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        self.run_with(args, "")
    }

    /// Runs it with this on stdin.
    pub(crate) fn run_with(&self, args: &[&str], stdin: &str) -> Ended {
        Process::of(self.command(Path::new(env!("CARGO_BIN_EXE_countersign")), args), stdin).ended()
    }

    /// Runs it with other variables.
    pub(crate) fn run_as(&self, env: &[(&str, &str)], args: &[&str]) -> Ended {
        let mut command = self.command(Path::new(env!("CARGO_BIN_EXE_countersign")), args);
        command.envs(env.iter().copied());
        Process::of(command, "").ended()
    }

    /// Runs it, which must work, and answers its stdout.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let ended = self.run(args);
        assert_eq!(ended.code, 0, "{args:?}: {ended:?}");
        ended.stdout
    }

    /// Runs a line of shell.
    pub(crate) fn sh(&self, line: &str) -> Ended {
        Process::of(self.command(Path::new("sh"), &["-c", line]), "").ended()
    }

    /// Starts `serve` on a free port and waits until it listens.
    pub(crate) fn serve(&self, args: &[&str]) -> (Process, Service) {
        let process = self.start(&[&["serve", "--listen", "127.0.0.1:0"], args].concat());
        let service = process.service();
        (process, service)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

impl Process {
    fn of(mut command: Command, stdin: &str) -> Self {
        let mut child = command.spawn().unwrap();
        let output = Arc::new((Mutex::new([String::new(), String::new()]), Condvar::new()));
        // A program that does not read its input may have closed it.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        follow(0, child.stdout.take().unwrap(), Arc::clone(&output));
        follow(1, child.stderr.take().unwrap(), Arc::clone(&output));
        Self { child, output }
    }

    /// Waits for a line on stdout (0) or stderr (1) that fits, and answers it.
    fn line(&self, of: usize, fits: impl Fn(&str) -> bool) -> String {
        let (lock, changed) = &*self.output;
        let until = Instant::now() + PATIENCE;
        let mut output = lock.lock().unwrap();
        loop {
            if let Some(line) = output[of].lines().find(|line| fits(line)) {
                return line.to_owned();
            }
            // The readers are gone when the process is.
            let ended = Arc::strong_count(&self.output) == 1;
            assert!(!ended && Instant::now() < until, "the line does not come: {output:?}");
            output = changed.wait_timeout(output, Duration::from_millis(100)).unwrap().0;
        }
    }

    /// Waits for a line on stdout that holds this text, and answers it.
    pub(crate) fn says(&self, text: &str) -> String {
        self.line(0, |line| line.contains(text))
    }

    /// Waits for a line on stderr that holds this text, and answers it.
    pub(crate) fn logs(&self, text: &str) -> String {
        self.line(1, |line| line.contains(text))
    }

    /// The server on the free port that the process prints.
    pub(crate) fn service(&self) -> Service {
        let address: SocketAddr = self.line(0, |line| line.parse::<SocketAddr>().is_ok()).parse().unwrap();
        Service { address, http: client(address) }
    }

    /// Everything so far: stdout and stderr.
    pub(crate) fn output(&self) -> [String; 2] {
        self.output.0.lock().unwrap().clone()
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Its process id.
    #[allow(dead_code, reason = "only tests/endurance looks at the process from outside")]
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn wait(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "it does not end: {:?}", self.output());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for the end.
    pub(crate) fn ended(mut self) -> Ended {
        let status = self.wait();
        // The readers hold the other ends; when they are gone, everything is read.
        let (lock, changed) = &*self.output;
        let mut output = lock.lock().unwrap();
        while Arc::strong_count(&self.output) > 1 {
            output = changed.wait_timeout(output, Duration::from_millis(5)).unwrap().0;
        }
        let [stdout, stderr] = output.clone();
        Ended { code: status.code().unwrap_or(-1), stdout, stderr }
    }
}

/// Asks until it is so; a change holds on every node within one second (baseline 3).
pub(crate) async fn within_a_second(is_so: impl AsyncFn() -> bool) {
    let until = Instant::now() + Duration::from_secs(1);
    while !is_so().await {
        assert!(Instant::now() < until, "it does not hold within a second");
    }
}

impl Service {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.address.port())
    }

    /// A form POST with HTTP Basic.
    pub(crate) async fn post(&self, path: &str, basic: (&str, &str), form: &[(&str, &str)]) -> (StatusCode, Value) {
        let request = self.http.post(self.url(path)).basic_auth(basic.0, Some(basic.1)).form(form);
        read(request.send().await.unwrap()).await
    }

    /// A document, as the bootstrap administrator reads it.
    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Value) {
        read(self.http.get(self.url(path)).basic_auth("root", Some("secret")).send().await.unwrap()).await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn follow(of: usize, pipe: impl Read + Send + 'static, output: Arc<(Mutex<[String; 2]>, Condvar)>) {
    std::thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        while pipe.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            output.0.lock().unwrap()[of].push_str(&String::from_utf8_lossy(&line));
            output.1.notify_all();
            line.clear();
        }
        drop(output);
    });
}

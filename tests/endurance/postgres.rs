//! A throwaway PostgreSQL server that a test may stop, freeze, fill and kill.

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// The server. It is gone when dropped, and so is its folder.
pub(crate) struct Postgres {
    folder: PathBuf,
    port: u16,
    is_mounted: bool,
}

fn bin() -> PathBuf {
    let bin = std::env::var_os("POSTGRES_BIN").map(PathBuf::from);
    bin.filter(|bin| bin.join("initdb").exists()).unwrap_or_else(|| {
        panic!(
            "POSTGRES_BIN does not name the folder of initdb and pg_ctl: run scripts/test, which finds or installs them"
        )
    })
}

fn is_root() -> bool {
    std::fs::read_to_string("/proc/self/status").unwrap().lines().any(|line| line.starts_with("Uid:\t0\t"))
}

/// Who runs the server: PostgreSQL refuses to run as root.
fn user() -> Option<(&'static str, u32, u32)> {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    let find = |name: &'static str| {
        let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut numbers = line.split(':').skip(2).map(|number| number.parse().unwrap());
        Some((name, numbers.next()?, numbers.next()?))
    };
    if is_root() { find("postgres").or_else(|| find("nobody")) } else { None }
}

/// Runs a program to its end; it must succeed.
#[track_caller]
fn must(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

impl Postgres {
    /// A running server with an empty database.
    pub(crate) fn start() -> Self {
        Self::start_on(None).expect("nothing to mount")
    }

    /// The same on a disk of so many MiB of its own; `None` where nothing can be mounted.
    pub(crate) fn start_on_a_disk(mebibytes: u32) -> Option<Self> {
        Self::start_on(Some(mebibytes))
    }

    fn start_on(mebibytes: Option<u32>) -> Option<Self> {
        let folder = std::env::temp_dir().join(format!("countersign-postgres-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&folder).unwrap();
        let mut postgres = Self { folder, port: 0, is_mounted: false };
        if let Some(mebibytes) = mebibytes {
            let mut mount = Command::new("mount");
            mount.args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "tmpfs"]).arg(&postgres.folder);
            if !mount.output().is_ok_and(|output| output.status.success()) {
                return None;
            }
            postgres.is_mounted = true;
        }
        if let Some((_, uid, gid)) = user() {
            chown(&postgres.folder, Some(uid), Some(gid)).unwrap();
        }
        let data = postgres.data();
        must(
            postgres
                .program("initdb")
                .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"])
                .arg(&data),
        );
        // The machine does not lose its power here, so that nothing waits for the disk; what is committed is in its hands all the same.
        let settings = "listen_addresses = '127.0.0.1'\nunix_socket_directories = ''\nfsync = off\nmax_connections = 100\n\
                        wal_level = minimal\nmax_wal_senders = 0\nlog_min_messages = fatal\n";
        std::fs::write(data.join("postgresql.auto.conf"), settings).unwrap();
        // A port that is free now may be taken in a moment: then the start fails, and the next one is tried.
        for _ in 0..5 {
            postgres.port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            if postgres.try_start() {
                return Some(postgres);
            }
        }
        panic!(
            "PostgreSQL does not start: {}",
            std::fs::read_to_string(postgres.folder.join("log")).unwrap_or_default()
        );
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// One of its programs, as its user, from a folder which that user can read.
    fn program(&self, name: &str) -> Command {
        let path = bin().join(name);
        let mut command = match user() {
            Some((user, _, _)) => {
                let mut command = Command::new("runuser");
                command.args(["-u", user, "--"]).arg(path);
                command
            }
            None => Command::new(path),
        };
        if let Some(libraries) = std::env::var_os("POSTGRES_LIBRARIES") {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        command.env("LC_ALL", "C").current_dir(&self.folder);
        command
    }

    fn pg_ctl(&self, args: &[&str]) -> Command {
        let mut command = self.program("pg_ctl");
        command.args(args).args(["-s", "-w", "-D"]).arg(self.data());
        // Its output would be held open by the server.
        command.stdin(std::process::Stdio::null());
        command
    }

    fn try_start(&self) -> bool {
        let mut start = self.pg_ctl(&["start", "-o", &format!("-p {}", self.port)]);
        start.arg("-l").arg(self.folder.join("log"));
        start.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        start.status().is_ok_and(|status| status.success())
    }

    /// Starts it again, after it was stopped or fell.
    #[track_caller]
    pub(crate) fn start_again(&self) {
        let log = || std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        assert!(self.try_start(), "PostgreSQL does not start again: {}", log());
    }

    /// Stops it: `fast` or `immediate`.
    pub(crate) fn stop(&self, mode: &str) {
        must(&mut self.pg_ctl(&["stop", "-m", mode]));
    }

    /// Whether it runs.
    pub(crate) fn is_running(&self) -> bool {
        self.pg_ctl(&["status"]).output().is_ok_and(|output| output.status.success())
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The URL of its database.
    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// A connection of the test's own.
    pub(crate) async fn connect(&self) -> sqlx::PgConnection {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            match <sqlx::PgConnection as sqlx::Connection>::connect(&self.url()).await {
                Ok(connection) => return connection,
                Err(error) => assert!(Instant::now() < until, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The postmaster first, then its children.
    fn processes(&self) -> Vec<String> {
        let pid = std::fs::read_to_string(self.data().join("postmaster.pid")).unwrap();
        let postmaster = pid.lines().next().unwrap().to_owned();
        let mut all = vec![postmaster.clone()];
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            // `pid (name) state ppid …`
            let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1));
            if parent == Some(postmaster.as_str()) {
                all.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        all
    }

    /// Stops its processes where they stand, or lets them go on: `STOP`, `CONT`.
    pub(crate) fn signal(&self, name: &str) {
        // The postmaster first: then there are no new children. Some of those there are may go meanwhile.
        let kill = |processes: &[String]| {
            let _ = Command::new("kill").arg(format!("-{name}")).args(processes).output();
        };
        kill(&self.processes()[..1]);
        kill(&self.processes());
    }

    /// Fills its disk; the file answered makes room when removed.
    pub(crate) fn fill(&self) -> PathBuf {
        assert!(self.is_mounted, "a disk of its own");
        let file = self.folder.join("filler");
        let _ = Command::new("dd").args(["if=/dev/zero", "bs=64k"]).arg(format!("of={}", file.display())).output();
        file
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if self.data().join("postmaster.pid").exists() {
            self.signal("CONT");
            let _ = self.pg_ctl(&["stop", "-m", "immediate"]).output();
        }
        remove(&self.folder, self.is_mounted);
    }
}

fn remove(folder: &Path, is_mounted: bool) {
    if is_mounted {
        let _ = Command::new("umount").arg("-l").arg(folder).output();
    }
    let _ = std::fs::remove_dir_all(folder);
}

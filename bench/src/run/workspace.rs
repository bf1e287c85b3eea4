//! What a run makes and takes away again: a folder, and databases beside the one that was named.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use base64::{Engine, engine::general_purpose::STANDARD};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use url::Url;

use crate::Result;
use crate::prepare::secret;
use crate::proc;
use crate::report::say;

/// The folder, the databases and the secrets of a run.
#[derive(Debug)]
pub(super) struct Workspace {
    folder: PathBuf,
    place: Place,
    admin_secret: String,
    master_key: String,
    /// The databases made so far.
    made: RefCell<Vec<String>>,
}

#[derive(Clone, Debug)]
enum Place {
    Postgres(Url),
    /// The path without its ending.
    Sqlite(PathBuf),
}

/// What a reader of the figures has to know of the database.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) postgres: bool,
    pub(super) text: String,
    /// PostgreSQL's first process, where it is on this machine.
    pub(super) pid: Option<u32>,
}

impl Workspace {
    pub(super) fn new(database: &str) -> Result<Self> {
        let place = match database.strip_prefix("sqlite://") {
            Some(path) => Place::Sqlite(std::path::absolute(path)?.with_extension("")),
            None if database.starts_with("postgres") => Place::Postgres(database.parse()?),
            None => return Err("--database takes postgres://… or sqlite://PATH".into()),
        };
        let mut key = [0; 32];
        aws_lc_rs::rand::fill(&mut key).map_err(|_| "no randomness")?;
        let folder = std::env::temp_dir().join(format!("countersign-bench-{}", std::process::id()));
        std::fs::create_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        Ok(Self { folder, place, admin_secret: secret()?, master_key: STANDARD.encode(key), made: RefCell::default() })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn admin_secret(&self) -> &str {
        &self.admin_secret
    }

    /// The variables that give the servers their secrets.
    pub(super) fn secrets(&self) -> [(&'static str, &str); 2] {
        [("COUNTERSIGN_ADMIN_CLIENT_SECRET", &self.admin_secret), ("COUNTERSIGN_MASTER_KEY", &self.master_key)]
    }

    /// The URL of one of its databases.
    pub(super) fn url(&self, name: &str) -> Result<String> {
        Ok(match &self.place {
            Place::Postgres(url) => {
                let mut url = url.clone();
                url.set_path(&database_name(name));
                url.to_string()
            }
            Place::Sqlite(_) => format!("sqlite://{}", self.file(name)?.display()),
        })
    }

    fn file(&self, name: &str) -> Result<PathBuf> {
        let Place::Sqlite(stem) = &self.place else { return Err("PostgreSQL has no file".into()) };
        let stem = stem.file_name().ok_or("--database names no file")?.to_string_lossy();
        let file = format!("{stem}-{name}-{}.db", std::process::id());
        match &self.place {
            Place::Sqlite(path) => Ok(path.with_file_name(file)),
            Place::Postgres(_) => Err("PostgreSQL has no file".into()),
        }
    }

    /// Makes an empty database, and answers its URL.
    pub(super) async fn create(&self, name: &str) -> Result<String> {
        if let Place::Postgres(url) = &self.place {
            let mut db = PgConnection::connect(url.as_str()).await?;
            let statement = format!("CREATE DATABASE {}", database_name(name));
            sqlx::query(AssertSqlSafe(statement)).execute(&mut db).await?;
            db.close().await?;
        }
        self.made.borrow_mut().push(name.to_owned());
        self.url(name)
    }

    /// Takes everything away.
    pub(super) async fn clean_up(&self) {
        let made = self.made.take();
        for name in made {
            if let Err(error) = self.remove(&name).await {
                say(&format!("the database of this run, {name}, is still there: {error}"));
            }
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }

    async fn remove(&self, name: &str) -> Result<()> {
        match &self.place {
            Place::Postgres(url) => {
                let mut db = PgConnection::connect(url.as_str()).await?;
                let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", database_name(name));
                sqlx::query(AssertSqlSafe(statement)).execute(&mut db).await?;
            }
            Place::Sqlite(_) => {
                let file = self.file(name)?;
                for ending in ["", "-wal", "-shm"] {
                    let _ = std::fs::remove_file(format!("{}{ending}", file.display()));
                }
            }
        }
        Ok(())
    }

    pub(super) async fn facts(&self) -> Result<Facts> {
        let Place::Postgres(url) = &self.place else {
            let text = "SQLite, WAL, synchronous FULL".to_owned();
            return Ok(Facts { postgres: false, text, pid: None });
        };
        let mut db = PgConnection::connect(url.as_str()).await?;
        let (version, fsync, commit, backend): (String, String, String, i32) = sqlx::query_as(
            "SELECT current_setting('server_version'), current_setting('fsync'), current_setting('synchronous_commit'),
                    pg_backend_pid()",
        )
        .fetch_one(&mut db)
        .await?;
        let text = format!("PostgreSQL {version}, fsync {fsync}, synchronous_commit {commit}");
        if fsync != "on" || commit != "on" {
            say(&format!("{text}: commits are not durable, and these figures are not those of a server in use"));
        }
        let pid = u32::try_from(backend)?;
        let here = std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with("postgres"));
        Ok(Facts { postgres: true, text, pid: here.then(|| proc::parent(pid)).flatten() })
    }
}

fn database_name(name: &str) -> String {
    format!("countersign_bench_{}_{name}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace(place: Place) -> Workspace {
        let (folder, made) = (PathBuf::new(), RefCell::default());
        Workspace { folder, place, admin_secret: String::new(), master_key: String::new(), made }
    }

    #[test]
    fn databases_stand_beside_the_one_that_was_named() {
        let pid = std::process::id();
        let postgres =
            workspace(Place::Postgres("postgres://me:x@127.0.0.1:5432/postgres?sslmode=disable".parse().unwrap()));
        assert_eq!(
            postgres.url("floor").unwrap(),
            format!("postgres://me:x@127.0.0.1:5432/countersign_bench_{pid}_floor?sslmode=disable")
        );
        let sqlite = workspace(Place::Sqlite("/data/bench".into()));
        assert_eq!(sqlite.url("floor").unwrap(), format!("sqlite:///data/bench-floor-{pid}.db"));
    }
}

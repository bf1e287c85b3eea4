//! The master key where no setting names one: a file beside the database, made once, for its owner's eyes only.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{DatabaseUrl, Settings};
use crate::domain::secret::{MasterKey, random};

/// Why there is no master key.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// The file cannot be read or made.
    #[error("the master key file {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("the master key file {} does not hold 32 bytes in base64; restore it from a backup", .0.display())]
    Content(PathBuf),
    /// PostgreSQL serves many nodes, which need the same key.
    #[error("PostgreSQL needs COUNTERSIGN_MASTER_KEY, the same on every node; make one with `openssl rand -base64 32`")]
    Required,
}

impl Settings {
    /// The master key of the settings, else of [`Settings::master_key_file`]; `None` where that file is not there yet.
    pub fn find_master_key(&self) -> Result<Option<MasterKey>, MasterKeyError> {
        match (&self.master_key, self.master_key_file()) {
            (Some(key), _) => Ok(Some(key.clone())),
            (None, None) => Ok(None),
            (None, Some(path)) => match std::fs::read_to_string(&path) {
                Ok(text) => MasterKey::parse(&text).map(Some).ok_or(MasterKeyError::Content(path)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(source) => Err(MasterKeyError::File { path, source }),
            },
        }
    }

    /// The same, made and kept where it is not there yet. A database in memory gets one that nobody keeps.
    pub fn obtain_master_key(&self) -> Result<MasterKey, MasterKeyError> {
        if let Some(key) = self.find_master_key()? {
            return Ok(key);
        }
        let key = MasterKey::generate();
        let Some(path) = self.master_key_file() else {
            let is_memory = self.database_url == DatabaseUrl::SqliteMemory;
            return if is_memory { Ok(key) } else { Err(MasterKeyError::Required) };
        };
        match keep(&path, &key) {
            Ok(()) => Ok(key),
            // Another process was faster; its key is the one.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.find_master_key()?.ok_or(MasterKeyError::File { path, source: error })
            }
            Err(source) => Err(MasterKeyError::File { path, source }),
        }
    }
}

/// Never replaces a file, and never shows a half-written one: the whole file is made under another name and then linked.
fn keep(path: &Path, key: &MasterKey) -> io::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{:016x}", u64::from_be_bytes(random())));
    let draft = PathBuf::from(draft);
    let result = write(&draft, key).and_then(|()| match std::fs::hard_link(&draft, path) {
        // File systems without links.
        Err(error) if error.kind() == io::ErrorKind::Unsupported => write(path, key),
        linked => linked,
    });
    std::fs::remove_file(&draft).and(result)
}

fn write(path: &Path, key: &MasterKey) -> io::Result<()> {
    let mut file = create(path)?;
    writeln!(file, "{}", key.to_base64())?;
    file.sync_all()
}

#[cfg(unix)]
fn create(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Mode;

    #[test]
    fn a_master_key_is_made_once_and_only_its_owner_reads_it() {
        let folder = std::env::temp_dir().join(format!("countersign-master-key-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let mut settings = Settings::dev_defaults();
        settings.database_url = DatabaseUrl::SqliteFile(folder.join("a.db"));
        assert!(settings.find_master_key().expect("no file yet").is_none());
        let made = settings.obtain_master_key().expect("a key").to_base64();
        assert_eq!(settings.obtain_master_key().expect("the same key").to_base64(), made);
        let path = settings.master_key_file().expect("a file");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).expect("the file").permissions().mode() & 0o777, 0o600);
        }
        std::fs::write(&path, "nonsense").expect("written");
        assert!(matches!(settings.obtain_master_key(), Err(MasterKeyError::Content(_))));
        settings.database_url = DatabaseUrl::Postgres("postgres://localhost/x".to_owned());
        settings.mode = Mode::Serve;
        assert!(matches!(settings.obtain_master_key(), Err(MasterKeyError::Required)));
        assert_eq!(std::fs::read_dir(&folder).expect("the folder").count(), 1, "no draft is left");
        std::fs::remove_dir_all(&folder).expect("removed");
    }
}

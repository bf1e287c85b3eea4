//! Our own faults, as opposed to a refusal that a specification names.

use std::error::Error;
use std::fmt;

/// Something went wrong on our side. It is logged once, where it is answered (`server_error`, or 503 where a retry may help),
/// and never shown.
#[derive(Debug)]
pub enum Internal {
    /// The queue for slow hashes is full, or a client's server does not give its keys; a retry after a while may find it otherwise.
    Busy,
    /// Anything else: the database, mostly.
    Failed(Box<dyn Error + Send + Sync>),
}

impl fmt::Display for Internal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => {
                f.write_str("what it takes is not to be had now: room for password hashing, or the keys of a client")
            }
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for Internal {
    fn from(error: E) -> Self {
        Self::Failed(Box::new(error))
    }
}

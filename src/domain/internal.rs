//! Our own faults, as opposed to a refusal that a specification names.

use std::error::Error;
use std::fmt;

/// Something went wrong on our side. It is logged once, where it is answered (`server_error`, or 503 where a retry may help),
/// and never shown.
#[derive(Debug)]
pub enum Internal {
    /// The queue for slow hashes is full; a retry after a second or so may find room.
    Busy,
    /// Anything else: the database, mostly.
    Failed(Box<dyn Error + Send + Sync>),
}

impl fmt::Display for Internal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => f.write_str("the queue for password hashing is full"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for Internal {
    fn from(error: E) -> Self {
        Self::Failed(Box::new(error))
    }
}

//! What is made when it is first used. A cache has buffers of some 27 kB before anything is in it, and a process that serves tests
//! may have a thousand realms, each with a dozen caches of which it uses two.

use std::sync::{Arc, LazyLock};

/// What is made when it is first used. Clones share it.
pub type Late<T> = Arc<LazyLock<T>>;

/// What this makes, later.
pub fn late<T>(make: fn() -> T) -> Late<T> {
    Arc::new(LazyLock::new(make))
}

//! The ids of documents: parts of paths, and what tokens call clients and users by.

/// Whether an id may name a document.
pub fn is_id(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~@+:".contains(&b))
}

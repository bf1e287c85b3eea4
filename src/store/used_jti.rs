//! Identifiers of JWTs that count once, shared by all nodes.

use super::{Result, Store};
use crate::domain::time::Timestamp;

impl Store {
    /// Uses an identifier up. `false` where somebody has used it already, here or on another node.
    pub async fn use_jti(&self, digest: &[u8], expires_at: Timestamp) -> Result<bool> {
        let used = sql!(
            self.writer(),
            execute,
            "INSERT INTO used_jti (digest, expires_at) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING",
            digest,
            expires_at,
        )?;
        Ok(used > 0)
    }
}

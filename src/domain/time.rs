//! Points in time, in whole seconds.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Seconds since 1970-01-01T00:00:00Z, as JWT's `NumericDate` counts them (RFC 7519 §2) and as every time column holds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, sqlx::Type)]
#[serde(transparent)]
#[schemars(inline)]
#[sqlx(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The moment `seconds` later; saturates instead of overflowing.
    #[must_use]
    pub const fn plus(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// Seconds from `self` to `later`, negative where `later` is the earlier one.
    pub const fn until(self, later: Self) -> i64 {
        later.0.saturating_sub(self.0)
    }

    /// As documents write it: `2026-01-05T10:00:00Z`.
    pub fn rfc3339(self) -> String {
        jiff::Timestamp::from_second(self.0).map_or_else(|_| self.0.to_string(), |t| t.to_string())
    }

    /// As HTTP headers write it (RFC 9110 §5.6.7): `Mon, 05 Jan 2026 10:00:00 GMT`.
    pub fn http_date(self) -> String {
        jiff::Timestamp::from_second(self.0)
            .map_or_else(|_| String::new(), |t| t.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
    }
}

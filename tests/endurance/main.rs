//! What a server survives: kills, a database that is away, restarts of a fleet, too many and too slow clients, clocks that jump.
//!
//! The program itself runs, on SQLite and on a throwaway PostgreSQL ([`postgres`]) that each test starts and mistreats. Every test
//! has a short form for each change; `ENDURANCE_ROUNDS=100 cargo test --test endurance` goes on for longer. One runs at a time,
//! because they measure.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]
#![allow(clippy::disallowed_methods, reason = "processes have the real clock")]

mod clocks;
mod crash;
mod failover;
mod fleet;
mod load;
mod outages;
mod overload;
mod postgres;
mod slow;
#[path = "../it/support/mod.rs"]
#[allow(unused, reason = "the support of tests/it, which uses all of it")]
mod support;

use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};

/// How often a test repeats itself: so often as `ENDURANCE_ROUNDS` says, else just enough to notice.
fn rounds(short: u32) -> u32 {
    std::env::var("ENDURANCE_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(short)
}

/// Waits until no other test measures.
async fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::const_new(());
    ONE.lock().await
}

/// A random moment below this.
fn random(below: Duration) -> Duration {
    let share = f64::from(u16::from_be_bytes(*uuid::Uuid::new_v4().as_bytes().first_chunk().unwrap())) / 65_536.0;
    below.mul_f64(share)
}

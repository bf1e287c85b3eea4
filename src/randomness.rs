//! The one place that chance comes from: the system's generator or, in `dev --seed`, numbers that come out the same each run.
//!
//! With a seed every purpose (codes, access tokens, request ids, …) has a sequence of its own, so that one request more of one kind
//! does not change what the others get. A number is HMAC-SHA256 over purpose and place in the sequence, with a key derived from the
//! seed by HKDF. Whoever knows the seed knows everything, which is why `serve` has none.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use uuid::Uuid;

use crate::clock::{Clock, new_row_id};
use crate::domain::bearer::{Bearer, Kind};
use crate::domain::secret::{Digest, MacKey, MasterKey, Secret, random};

/// Draws numbers. The usual one is the system's. Clones share their sequences.
#[derive(Clone, Default)]
pub struct Randomness(Option<Arc<Seeded>>);

struct Seeded {
    key: MacKey,
    clock: Clock,
    /// How many were drawn for each purpose.
    drawn: Mutex<HashMap<&'static str, u64>>,
}

impl Randomness {
    /// What follows from a seed, otherwise for each realm; ids are of the time that `clock` tells.
    pub fn seeded(seed: u64, realm: &str, clock: Clock) -> Self {
        let seed = Digest::of(format!("countersign dev --seed {seed}{realm}").as_bytes());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(seed.as_bytes());
        let key = MasterKey::new(bytes).mac_key("seeded randomness");
        Self(Some(Arc::new(Seeded { key, clock, drawn: Mutex::default() })))
    }

    /// Whether everything follows from a seed.
    pub const fn is_seeded(&self) -> bool {
        self.0.is_some()
    }

    /// `N` bytes.
    pub fn bytes<const N: usize>(&self, purpose: &'static str) -> [u8; N] {
        match &self.0 {
            None => random(),
            Some(seeded) => seeded.bytes(purpose, seeded.place(purpose)),
        }
    }

    /// A new time-ordered row id.
    pub fn row_id(&self, purpose: &'static str) -> Uuid {
        match &self.0 {
            None => new_row_id(),
            Some(seeded) => seeded.row_id(purpose),
        }
    }

    /// A new bearer value for the row `id`.
    pub fn bearer(&self, kind: Kind, id: Uuid) -> Bearer {
        Bearer::new(kind, id, self.bytes(kind.prefix()))
    }

    /// A new value of 256 bits, in base64url.
    pub fn secret(&self, purpose: &'static str) -> Secret {
        Secret::of_bits(self.bytes(purpose))
    }

    /// `N` bytes that are the same whenever they are asked for, where they follow from a seed.
    pub fn stable<const N: usize>(&self, purpose: &'static str) -> [u8; N] {
        self.0.as_ref().map_or_else(random, |seeded| seeded.bytes(purpose, u64::MAX))
    }

    /// How many of a purpose were drawn before, where they follow from a seed; this counts as one more.
    pub fn place(&self, purpose: &'static str) -> Option<u64> {
        self.0.as_ref().map(|seeded| seeded.place(purpose))
    }
}

impl Seeded {
    fn place(&self, purpose: &'static str) -> u64 {
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        let count = drawn.entry(purpose).or_default();
        *count += 1;
        *count - 1
    }

    fn bytes<const N: usize>(&self, purpose: &str, place: u64) -> [u8; N] {
        let mut out = [0; N];
        for (block, chunk) in out.chunks_mut(32).enumerate() {
            let tag = self.key.tag(&[purpose.as_bytes(), &place.to_be_bytes(), &(block as u64).to_be_bytes()]);
            chunk.copy_from_slice(&tag[..chunk.len()]);
        }
        out
    }

    /// RFC 9562 §6.2, method 1: the place in the sequence is the counter behind the time, which alone would leave the ids of one
    /// second without an order.
    fn row_id(&self, purpose: &'static str) -> Uuid {
        let place = self.place(purpose);
        let mut bytes = self.bytes::<10>(purpose, place);
        let [.., high, low] = place.to_be_bytes();
        bytes[..2].copy_from_slice(&[high & 0x0f, low]);
        let millis = u64::try_from(self.clock.now().0).unwrap_or_default().saturating_mul(1_000);
        uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
    }
}

impl fmt::Debug for Randomness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_seeded() { "Randomness(seeded)" } else { "Randomness" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    #[test]
    fn a_seed_gives_the_same_sequences_each_time_and_another_seed_others() {
        let new = |seed| Randomness::seeded(seed, "", Clock::frozen_at(Timestamp(1_893_456_000)));
        let (one, two, other) = (new(7), new(7), new(8));
        let draw = |from: &Randomness| (from.bytes::<48>("codes"), from.row_id("ids"), from.secret("secrets"));
        let first = draw(&one);
        assert_eq!(first, draw(&two));
        assert_ne!(first, draw(&other));
        let second = draw(&one);
        assert!(second.0 != first.0 && second.1 > first.1 && second.2 != first.2);
        // What was drawn for others changes nothing.
        two.bytes::<32>("elsewhere");
        assert_eq!(second, draw(&two));
        assert_eq!((first.1.get_version_num(), first.1.get_variant()), (7, uuid::Variant::RFC4122));
    }

    #[test]
    fn without_a_seed_nothing_repeats() {
        let system = Randomness::default();
        assert_ne!(system.bytes::<32>("codes"), Randomness::default().bytes::<32>("codes"));
        assert_ne!(system.row_id("ids"), system.row_id("ids"));
        assert!(!system.is_seeded() && system.place("codes").is_none());
    }
}

//! Hashes of what people choose: user passwords and client secrets.
//!
//! New ones are argon2id at OWASP's first recommendation (19 MiB, two passes). Two older forms of Aidbox are verified as
//! they are: `__sha256:` of client secrets and scrypt's `$s0$` of both. All of this is slow on purpose; callers run it off the
//! async threads, through [`crate::identity`]'s bounded queue.

use std::fmt;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::{Engine, engine::general_purpose::STANDARD, engine::general_purpose::STANDARD_NO_PAD};

use super::secret::{Digest, Secret};

/// KiB of memory, passes and lanes of a new hash: OWASP Password Storage Cheat Sheet, argon2id.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// No stored hash may cost more than this to verify (KiB × passes, about a second) or need more memory than this (KiB), so that a
/// document cannot stall the server.
const MAX_COST: u64 = 1_048_576;
const MAX_MEMORY_KIB: u64 = 262_144;

/// Address space for so many blocks of one KiB: above 32 MiB the C library's allocator gives memory back to the system when it is
/// freed. What is not filled is not there.
const RESERVED: usize = 36 * 1_024;

/// How a stored form answered a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verified {
    /// It is the value, and the hash is as we would make it now.
    Yes,
    /// It is the value; the hash is of an older kind or other parameters and should be made anew.
    Outdated,
    /// It is not.
    No,
}

/// The memory that argon2id fills, kept for the next hash: allocated and freed each time it stays with the allocator, thread by
/// thread, and adds up to gigabytes.
#[derive(Default)]
pub struct Memory(Vec<Block>);

impl Memory {
    /// Blocks of one KiB; what an unusual hash needs beyond ours is given back with the next.
    fn blocks(&mut self, count: usize) -> &mut [Block] {
        if self.0.len() < count || self.0.capacity() > count.max(RESERVED) {
            self.0 = Vec::with_capacity(count.max(RESERVED));
            self.0.resize(count, Block::new());
        }
        &mut self.0[..count]
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory(…)")
    }
}

/// An argon2id hash in PHC form. Takes about 17 ms and 19 MiB.
pub fn hash(plain: &Secret, salt: [u8; 16], memory: &mut Memory) -> String {
    match Params::new(MEMORY_KIB, PASSES, LANES, None).map(|params| argon2id(plain, &salt, 32, params, memory)) {
        Ok(Some(sum)) => format!(
            "$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${}${}",
            STANDARD_NO_PAD.encode(salt),
            STANDARD_NO_PAD.encode(sum)
        ),
        // Fails only for a password beyond 4 GiB; the answer then is a hash that nothing matches.
        _ => "$argon2id$unusable".to_owned(),
    }
}

fn argon2id(plain: &Secret, salt: &[u8], length: usize, params: Params, memory: &mut Memory) -> Option<Vec<u8>> {
    let mut sum = vec![0; length];
    let blocks = memory.blocks(params.block_count());
    let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    hasher.hash_password_into_with_memory(plain.expose().as_bytes(), salt, &mut sum, blocks).ok()?;
    Some(sum)
}

/// The text itself where it is a stored form already, to be kept word for word: `__sha256:` and 64 hex digits, `$s0$…`, or
/// an argon2id PHC string within our cost bound.
pub fn stored_form(text: &str) -> Option<&str> {
    let known = text.strip_prefix("__sha256:").is_some_and(|hex| unhex(hex).is_some())
        || Scrypt::parse(text).is_some()
        || readable(text).is_some();
    known.then_some(text)
}

/// Whether verifying against this form is fast enough for the async threads.
pub fn is_fast(stored: &str) -> bool {
    stored.starts_with("__sha256:")
}

/// The stored form of a secret that the server made, with 256 bits: a plain SHA-256 serves (Aidbox's own form).
pub fn fast_form(secret: &Secret) -> String {
    use std::fmt::Write;
    let mut text = String::from("__sha256:");
    for byte in Digest::of(secret.expose().as_bytes()).as_bytes() {
        let _ = write!(text, "{byte:02X}");
    }
    text
}

/// Compares a value with a fast stored form; `None` where the form is a slow one, or none.
pub fn verify_fast(plain: &Secret, stored: &str) -> Option<bool> {
    let sum = unhex(stored.strip_prefix("__sha256:")?);
    Some(sum.is_some_and(|sum| Digest::of(plain.expose().as_bytes()).matches(&sum)))
}

/// Compares a value with a stored form; anything that is no stored form matches nothing.
pub fn verify(plain: &Secret, stored: &str, memory: &mut Memory) -> Verified {
    let outdated = |matches| if matches { Verified::Outdated } else { Verified::No };
    if let Some(matches) = verify_fast(plain, stored) {
        return if matches { Verified::Yes } else { Verified::No };
    }
    if let Some(scrypt) = Scrypt::parse(stored) {
        return outdated(scrypt.matches(plain));
    }
    let Some((parsed, params)) = readable(stored) else { return Verified::No };
    if !matches_argon2id(plain, &parsed, params, memory).unwrap_or(false) {
        return Verified::No;
    }
    if is_current(&parsed) { Verified::Yes } else { Verified::Outdated }
}

fn matches_argon2id(plain: &Secret, hash: &PasswordHash, params: Params, memory: &mut Memory) -> Option<bool> {
    let (salt, expected) = (hash.salt.as_ref()?, hash.hash.as_ref()?);
    let sum = argon2id(plain, salt.as_ref(), expected.len(), params, memory)?;
    Some(verify_slices_are_equal(&sum, expected.as_bytes()).is_ok())
}

/// Takes as long as verifying a hash, for a name that nobody has, so that time does not tell (baseline: no enumeration).
pub fn verify_nothing(plain: &Secret, memory: &mut Memory) {
    let _ = hash(plain, [0; 16], memory);
}

/// A whole argon2id hash within the bounds, with its parameters as they are verified with: of a name said twice, the last counts.
fn readable(text: &str) -> Option<(PasswordHash, Params)> {
    let hash = PasswordHash::new(text).ok()?;
    let whole = hash.algorithm.as_str() == "argon2id"
        && hash.version == Some(19)
        && ["m", "t", "p"].into_iter().all(|name| hash.params.get(name).is_some())
        && hash.salt.is_some()
        && hash.hash.is_some();
    let params = Params::try_from(&hash).ok().filter(|_| whole)?;
    let (memory, passes) = (u64::from(params.m_cost()), u64::from(params.t_cost()));
    (memory <= MAX_MEMORY_KIB && memory * passes <= MAX_COST).then_some((hash, params))
}

fn is_current(hash: &PasswordHash) -> bool {
    argon2::Params::try_from(hash)
        .is_ok_and(|params| (params.m_cost(), params.t_cost(), params.p_cost()) == (MEMORY_KIB, PASSES, LANES))
}

/// Aidbox's scrypt form: `$s0$<params in hex>$<salt>$<key>` with params = log2(N) << 16 | r << 8 | p.
struct Scrypt {
    params: scrypt::Params,
    salt: Vec<u8>,
    key: Vec<u8>,
}

impl Scrypt {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("$s0$")?.split('$');
        let packed = u32::from_str_radix(parts.next()?, 16).ok()?;
        let salt = STANDARD.decode(parts.next()?).ok()?;
        let key = STANDARD.decode(parts.next()?).ok()?;
        let [_, log_n, r, p] = packed.to_be_bytes();
        // 128 · N · r bytes: at most 64 MiB.
        let bounded = log_n <= 17 && r >= 1 && (1..=4).contains(&p) && (u64::from(r) << log_n) <= 1 << 19;
        if !bounded || parts.next().is_some() || salt.is_empty() || !(16..=64).contains(&key.len()) {
            return None;
        }
        let params = scrypt::Params::new(log_n, u32::from(r), u32::from(p)).ok()?;
        Some(Self { params, salt, key })
    }

    fn matches(&self, plain: &Secret) -> bool {
        let mut key = vec![0; self.key.len()];
        scrypt::scrypt(plain.expose().as_bytes(), &self.salt, &self.params, &mut key).is_ok()
            && verify_slices_are_equal(&key, &self.key).is_ok()
    }
}

fn unhex(hex: &str) -> Option<[u8; 32]> {
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, digits) in bytes.iter_mut().zip(hex.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use argon2::PasswordHasher;

    fn verify(plain: &Secret, stored: &str) -> Verified {
        super::verify(plain, stored, &mut Memory::default())
    }

    fn hash(plain: &Secret) -> String {
        super::hash(plain, [7; 16], &mut Memory::default())
    }

    #[test]
    fn the_forms_of_aidbox_verify() {
        let sha = "__sha256:2BB80D537B1DA3E38BD30361AA855686BDE0EACD7162FEF6A25FE97BF527A25B";
        assert_eq!(verify(&Secret::new("secret"), sha), Verified::Yes);
        assert_eq!(verify(&Secret::new("Secret"), sha), Verified::No);
        let scrypt = "$s0$f0801$HhKy93HnLn0qSmsS2JCZnQ==$P0oAp6yx6k8bCbeFN2UT9UfjKROuggn7deLbX2Mpm2M=";
        assert_eq!(verify(&Secret::new("123456"), scrypt), Verified::Outdated);
        assert_eq!(verify(&Secret::new("1234567"), scrypt), Verified::No);
        assert_eq!(fast_form(&Secret::new("secret")), sha);
        assert!(stored_form(sha).is_some() && stored_form(scrypt).is_some());
    }

    #[test]
    fn a_new_hash_verifies_and_an_old_one_asks_to_be_made_anew() {
        let password = Secret::new("correct-horse-battery");
        let stored = hash(&password);
        assert_eq!(verify(&password, &stored), Verified::Yes);
        assert_eq!(verify(&Secret::new("wrong"), &stored), Verified::No);
        let weak = Argon2::new(Algorithm::Argon2id, Version::V0x13, argon2::Params::new(1_024, 1, 1, None).unwrap());
        let weak = weak.hash_password(b"correct-horse-battery").unwrap().to_string();
        assert_eq!(verify(&password, &weak), Verified::Outdated);
    }

    #[test]
    fn what_is_no_stored_form_matches_nothing() {
        let other = Argon2::new(Algorithm::Argon2i, Version::V0x13, argon2::Params::new(1_024, 1, 1, None).unwrap());
        let other = other.hash_password(b"password").unwrap().to_string();
        assert!(stored_form(&other).is_none());
        assert_eq!(verify(&Secret::new("password"), &other), Verified::No);
        for part in ["$argon2id$v=19$m=8,t=1,p=1", "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0"] {
            assert!(stored_form(part).is_none(), "{part}: there is nothing to compare with");
        }
    }

    #[test]
    fn a_hash_that_would_stall_the_server_is_no_stored_form() {
        for params in ["m=4194304,t=100", "m=4194304,t=1", "m=8,t=600000"] {
            let huge =
                format!("$argon2id$v=19${params},p=1$c2FsdHNhbHRzYWx0$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
            assert!(stored_form(&huge).is_none(), "{params}");
            assert_eq!(verify(&Secret::new("x"), &huge), Verified::No);
        }
        // Of a parameter said twice, the verifier takes the last.
        let twice = "$argon2id$v=19$m=8,t=1,p=1,m=4194304,t=100,p=1$c2FsdHNhbHRzYWx0$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        assert!(stored_form(twice).is_none());
        assert_eq!(verify(&Secret::new("x"), twice), Verified::No);
        assert!(stored_form("$s0$ff0801$AAAA$AAAA").is_none());
        assert!(stored_form("plain").is_none() && stored_form("__sha256:xyz").is_none());
    }
}

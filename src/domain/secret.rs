//! Secrets and what is kept of them.
//!
//! A [`Secret`] has no `Display` and a redacted `Debug`; the store sees only a [`Digest`]. Both compare in constant time.

use std::fmt;

use aws_lc_rs::{aead, constant_time, digest, hkdf, hmac};
use base64::{Engine, engine::general_purpose::STANDARD, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::Zeroize;

/// Text that must not be read back: a password, a client secret, a key.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes the text over.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// A new value of 256 random bits, in base64url.
    pub fn generate() -> Self {
        Self::of_bits(random())
    }

    /// These bits, in base64url.
    pub fn of_bits(bits: [u8; 32]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(bits))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([redacted])")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// SHA-256 of a value with 256 bits of its own: enough to recognise it, useless to present it.
#[derive(Clone, Copy)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let mut out = [0; 32];
        out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
        Self(out)
    }

    /// The 32 bytes, as the store keeps them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether `stored` is this digest, in constant time.
    pub fn matches(&self, stored: &[u8]) -> bool {
        constant_time::verify_slices_are_equal(&self.0, stored).is_ok()
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(…)")
    }
}

/// Keys derived from the master key, one a purpose (HKDF-SHA256, RFC 5869), so that none can stand in for another.
#[derive(Clone)]
pub struct MasterKey([u8; 32]);

impl MasterKey {
    /// Takes 32 bytes over.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Makes a new one.
    pub fn generate() -> Self {
        Self(random())
    }

    /// Reads 32 bytes in base64, with or without padding, in either alphabet.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().trim_end_matches('=').replace('+', "-").replace('/', "_");
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }

    /// In base64, as a settings file holds it.
    pub fn to_base64(&self) -> String {
        base64::engine::general_purpose::STANDARD.encode(self.0)
    }

    /// 32 bytes for `purpose`.
    pub fn derive(&self, purpose: &'static str) -> [u8; 32] {
        let mut out = [0; 32];
        let info = [purpose.as_bytes()];
        // HKDF fails only for outputs of more than 255 blocks; this one is a single block.
        let filled = hkdf::Salt::new(hkdf::HKDF_SHA256, b"countersign")
            .extract(&self.0)
            .expand(&info, hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut out));
        debug_assert!(filled.is_ok());
        out
    }

    /// A key for HMAC-SHA256 over values of one `purpose`.
    pub fn mac_key(&self, purpose: &'static str) -> MacKey {
        MacKey(hmac::Key::new(hmac::HMAC_SHA256, &self.derive(purpose)))
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey([redacted])")
    }
}

impl Drop for MasterKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Seals what must be kept but not read: AES-256-GCM with a random nonce, bound to a context (a row's id, say).
pub struct SealingKey(aead::RandomizedNonceKey);

impl SealingKey {
    /// The key for one `purpose`.
    pub fn new(master: &MasterKey, purpose: &'static str) -> Self {
        // Fails only for a key of another length than the 32 bytes that `derive` makes.
        #[expect(clippy::expect_used, reason = "the length is fixed by the type of `derive`")]
        let key = aead::RandomizedNonceKey::new(&aead::AES_256_GCM, &master.derive(purpose)).expect("32 bytes");
        Self(key)
    }

    /// Nonce, ciphertext and tag; `None` where the library refuses, as it does past its limits.
    pub fn seal(&self, context: &str, plain: &[u8]) -> Option<Vec<u8>> {
        let mut sealed = plain.to_vec();
        let nonce = self.0.seal_in_place_append_tag(aead::Aad::from(context), &mut sealed).ok()?;
        let mut out = nonce.as_ref().to_vec();
        out.append(&mut sealed);
        Some(out)
    }

    /// What was sealed; `None` where the key, the context or a single bit is another.
    pub fn open(&self, context: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, rest) = sealed.split_at_checked(aead::NONCE_LEN)?;
        let nonce = aead::Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut buffer = rest.to_vec();
        let plain = self.0.open_in_place(nonce, aead::Aad::from(context), &mut buffer).ok()?;
        Some(plain.to_vec())
    }
}

/// How a sealed text begins.
const SEALED: &str = "__sealed:";

impl SealingKey {
    /// The key of the secrets in documents that are needed in the clear.
    pub fn for_documents(master: &MasterKey) -> Self {
        Self::new(master, "secrets in documents")
    }

    /// A text in its stored form: sealed, and marked as such.
    pub fn seal_text(&self, context: &str, plain: &Secret) -> Option<String> {
        let sealed = self.seal(context, plain.expose().as_bytes())?;
        Some(format!("{SEALED}{}", STANDARD.encode(sealed)))
    }

    /// The text of a stored form; `None` where that is none, or is of another key or context.
    pub fn open_text(&self, context: &str, form: &str) -> Option<Secret> {
        let sealed = STANDARD.decode(form.strip_prefix(SEALED)?).ok()?;
        String::from_utf8(self.open(context, &sealed)?).ok().map(Secret::new)
    }
}

/// Whether a text is the stored form of a sealed one.
pub fn is_sealed(text: &str) -> bool {
    text.starts_with(SEALED)
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey([redacted])")
    }
}

/// An HMAC-SHA256 key with its state prepared.
#[derive(Clone)]
pub struct MacKey(hmac::Key);

impl MacKey {
    /// A key that only this process knows.
    pub fn ephemeral() -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, &random::<32>()))
    }

    /// The tag over `parts`; each is preceded by its length, so that no two lists of parts read the same.
    pub fn tag(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut out = [0; 32];
        out.copy_from_slice(context.sign().as_ref());
        out
    }

    /// Whether `tag` is the one over `parts`, in constant time.
    pub fn verifies(&self, parts: &[&[u8]], tag: &[u8]) -> bool {
        constant_time::verify_slices_are_equal(&self.tag(parts), tag).is_ok()
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey([redacted])")
    }
}

/// `N` bytes from the system's generator.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // The generator of aws-lc aborts the process rather than returning weak bytes; it has no failure a caller could mend.
    let filled = aws_lc_rs::rand::fill(&mut bytes);
    assert!(filled.is_ok(), "the system's random generator does not answer");
    bytes
}

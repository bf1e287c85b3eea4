//! Bearer values: access tokens, refresh tokens, authorization codes and login cookies.
//!
//! Each is a prefix, the id of its row and 256 random bits: `cs_at_` + base64url(id ‖ secret). The row is found by its
//! time-ordered primary key, then the digest is compared: no index on random bytes, and expiry is a range. The prefixes let
//! a secret scanner recognise a leaked one.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;
use zeroize::Zeroize;

use super::secret::{Digest, MacKey, random};

/// What a bearer value is for; one kind is never accepted for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `cs_at_`
    AccessToken,
    /// `cs_rt_`
    RefreshToken,
    /// `cs_ac_`
    AuthorizationCode,
    /// `cs_ls_`: the cookie of a signed-in browser.
    LoginSession,
    /// `cs_it_`: what lets somebody register clients.
    InitialAccessToken,
    /// `cs_ra_`: what lets a client manage its registration.
    RegistrationAccessToken,
}

impl Kind {
    /// How its values begin.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::AccessToken => "cs_at_",
            Self::RefreshToken => "cs_rt_",
            Self::AuthorizationCode => "cs_ac_",
            Self::LoginSession => "cs_ls_",
            Self::InitialAccessToken => "cs_it_",
            Self::RegistrationAccessToken => "cs_ra_",
        }
    }
}

/// A bearer value in the clear. It exists while a request is answered, and is stored only as its [`Digest`].
#[derive(Clone)]
pub struct Bearer {
    kind: Kind,
    id: Uuid,
    secret: [u8; 32],
}

impl Bearer {
    /// A new random value for the row `id`.
    pub fn generate(kind: Kind, id: Uuid) -> Self {
        Self::new(kind, id, random())
    }

    /// The value of these bits for the row `id`.
    pub const fn new(kind: Kind, id: Uuid, secret: [u8; 32]) -> Self {
        Self { kind, id, secret }
    }

    /// The value that follows from this one for the row `id`: the same each time, for a retried refresh, and known only to
    /// who holds both this value and the server's key.
    #[must_use]
    pub fn derive(&self, key: &MacKey, kind: Kind, id: Uuid) -> Self {
        let secret = key.tag(&[kind.prefix().as_bytes(), &self.secret, id.as_bytes()]);
        Self { kind, id, secret }
    }

    /// Reads a value of the given kind; `None` for anything else.
    pub fn parse(kind: Kind, text: &str) -> Option<Self> {
        let encoded = text.strip_prefix(kind.prefix()).filter(|rest| rest.len() == 64)?;
        let mut bytes = [0; 48];
        if URL_SAFE_NO_PAD.decode_slice(encoded, &mut bytes).ok()? != bytes.len() {
            return None;
        }
        let (id, secret) = bytes.split_at(16);
        Some(Self { kind, id: Uuid::from_slice(id).ok()?, secret: secret.try_into().ok()? })
    }

    /// The row it points to.
    pub const fn id(&self) -> Uuid {
        self.id
    }

    /// What is stored of it.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.secret)
    }

    /// The text to hand out.
    pub fn reveal(&self) -> String {
        let mut bytes = [0; 48];
        bytes[..16].copy_from_slice(self.id.as_bytes());
        bytes[16..].copy_from_slice(&self.secret);
        let text = format!("{}{}", self.kind.prefix(), URL_SAFE_NO_PAD.encode(bytes));
        bytes.zeroize();
        text
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bearer({:?}, {}, [redacted])", self.kind, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_reads_back_as_itself_and_as_no_other_kind() {
        let token = Bearer::generate(Kind::AccessToken, Uuid::from_u128(7));
        let text = token.reveal();
        assert!(text.starts_with("cs_at_"));
        let read = Bearer::parse(Kind::AccessToken, &text).unwrap();
        assert_eq!(read.id(), token.id());
        assert!(read.digest().matches(token.digest().as_bytes()));
        assert!(Bearer::parse(Kind::RefreshToken, &text).is_none());
        assert!(Bearer::parse(Kind::AccessToken, &text[..text.len() - 1]).is_none());
        assert!(!format!("{token:?}").contains(&text[30..]));
    }

    #[test]
    fn the_successor_of_a_value_is_the_same_each_time() {
        let key = MacKey::ephemeral();
        let token = Bearer::generate(Kind::RefreshToken, Uuid::from_u128(7));
        let id = Uuid::from_u128(8);
        let next = |kind| token.derive(&key, kind, id).reveal();
        assert_eq!(next(Kind::RefreshToken), next(Kind::RefreshToken));
        assert_ne!(next(Kind::RefreshToken)[6..], next(Kind::AccessToken)[6..]);
        let other = token.derive(&MacKey::ephemeral(), Kind::RefreshToken, id).reveal();
        assert_ne!(next(Kind::RefreshToken), other);
    }
}

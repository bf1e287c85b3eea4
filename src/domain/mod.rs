//! The nouns of OAuth 2.0 and OpenID Connect as types: what a value may be is decided here, once, when it is parsed.
//!
//! No I/O, no clock and no HTTP: every room may use this one, and it uses none. The rules that combine these nouns live
//! next door, in [`crate::oauth`] and [`crate::identity`]; how they are kept, in [`crate::store`].

pub mod bearer;
pub mod claims;
pub mod client;
pub mod client_metadata;
pub mod document_id;
pub mod internal;
pub mod jwk;
pub mod language;
pub mod late;
pub mod leeway;
pub mod nearest;
pub mod password;
pub mod pkce;
pub mod redirect_uri;
pub mod response_type;
pub mod scope;
pub mod secret;
pub mod time;
pub mod user;

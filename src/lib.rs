//! Countersign: a standalone OAuth 2.0 and OpenID Connect authorization server.
//!
//! # The map of the house
//!
//! ```text
//!  main ─▶ cli ─▶ server ─▶ dev ─▶ realm ─▶ config
//!                                   │ wires an issuer together
//!                   ┌───────────────┘
//!                   ▼
//!  HTTP ─▶ web ─▶ { oauth · resources } ─▶ identity ─▶ store ─▶ PostgreSQL | SQLite
//!            │        └─▶ outbound ─▶ other people's servers
//!            └──────────────┬───────────────────────────┘
//!                           ▼
//!                domain, clock, randomness
//! ```
//!
//! Dependencies point one way, which `tests/house` keeps so.
//!
//! | room | holds |
//! |---|---|
//! | [`domain`] | the nouns: clients, users, scopes, redirect URIs, bearer values, secrets. No I/O, no clock, no HTTP |
//! | [`clock`] | the one place that knows the present |
//! | [`randomness`] | the one place that chance comes from |
//! | [`store`] | the only SQL, one text for both databases; verbs such as [`store::Store::redeem_code`] |
//! | [`identity`] | who the person is: sign-in, its throttle, logins of browsers, the queue for slow hashes |
//! | [`oauth`] | the rules of OAuth 2.0 and OpenID Connect: a verb of [`oauth::Provider`] per endpoint, each grant a file |
//! | [`dialect`] | how other providers speak, as data: what `dev` stands in for them with |
//! | [`openapi`] | the words in which the server describes what it serves; the maps of URLs in [`web`] and [`dev`] use them |
//! | [`outbound`] | the one guarded HTTP client for everything the server fetches or posts |
//! | [`registration`] | clients that register themselves: what they may say, who vouches for them, how they change it |
//! | [`resources`] | the documents administrators PUT: read, checked, changed, shown; bundles |
//! | [`web`] | HTTP and HTML: the map of URLs at the end of [`web`], a file per endpoint or page |
//! | [`config`] | settings: one table, from which flags, environment, file and help are derived |
//! | [`realm`] | one issuer, wired together; it holds no global state, so a process can have many |
//! | [`dev`] | what developers and tests get around the protocol: the control API, realms of their own |
//! | [`server`] | starts and stops an [`server::Instance`]: database, realm, listener |
//! | [`cli`] | the command line |
//! | [`testing`] | a server within the process of a Rust test |
//!
//! # Habits
//!
//! - **The specification's words**, and its section at the rule.
//! - **Parse at the door** into types of [`domain`]; behind it nothing is validated twice.
//! - **Two kinds of failure**: [`oauth::Refused`], a code the specifications name, or
//!   [`domain::internal::Internal`], logged once and answered without detail.
//! - **Time is a value**: one `now` per request, passed in.
//! - **Secrets are types**: [`domain::secret::Secret`] does not print; the store sees [`domain::secret::Digest`]s.
//! - **Single-use things are claimed by one guarded statement**, so that of many callers on many nodes exactly one wins.

pub mod cli;
pub mod clock;
pub mod config;
pub mod dev;
pub mod dialect;
pub mod domain;
pub mod identity;
pub mod oauth;
pub mod openapi;
pub mod outbound;
pub mod randomness;
pub mod realm;
pub mod registration;
pub mod resources;
pub mod server;
pub mod store;
pub mod testing;
pub mod web;

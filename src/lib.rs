//! Countersign: a standalone OAuth 2.0 and OpenID Connect authorization server.

pub mod cli;
pub mod clock;
pub mod config;
pub mod domain;
pub mod identity;
pub mod oauth;
pub mod resources;
pub mod server;
pub mod store;
pub mod web;

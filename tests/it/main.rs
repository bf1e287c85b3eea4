//! Every test speaks HTTP to a whole server, on SQLite and on PostgreSQL. A file per endpoint or page; names are sentences.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod aliases;
mod authorization_code;
mod authorize_request;
mod bundles;
mod client_authentication;
mod client_credentials;
mod command_line;
mod consent_page;
mod dev_mode;
mod discovery;
mod expiry;
mod form_protection;
mod introspection;
mod issued_tokens;
mod login_page;
mod logout_page;
mod password_grant;
mod races;
mod refresh;
mod refresh_checks;
mod rest_access;
mod rest_batch;
mod rest_documents;
mod rest_search;
mod rest_secrets;
mod revocation;
mod safe_answers;
mod sessions;
mod signing_keys;
mod support;
mod throttle;
mod token_endpoint;
mod userinfo;
mod withdrawal;

//! Five documents that people learn the code grant from, executed as they are written, on SQLite and on PostgreSQL. A file
//! each; what a document leaves open (the server's name, codes, a client's registration) is all that is filled in.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod aidbox_2018;
mod aidbox_client;
mod auth_code_flow;
mod notebook;
mod notes;
#[path = "../interop/script.rs"]
mod script;
#[path = "../it/support/mod.rs"]
#[allow(unused, reason = "the support of tests/it, which uses all of it")]
mod support;

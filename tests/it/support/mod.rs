//! A whole server for each test, on both databases, and a browser to drive it with.

mod browser;
mod client_key;
pub(crate) mod described;
mod elsewhere;
mod process;
mod server;
mod tokens;

pub(crate) use browser::{Browser, Page, Query};
pub(crate) use client_key::{ClientKey, sign_with_secret, unsigned};
pub(crate) use elsewhere::Elsewhere;
pub(crate) use process::{Ended, Folder, Process, Service, within_a_second};
pub(crate) use server::{Database, Server, issues, merge, read, request, send};
pub(crate) use tokens::{Answer, CHALLENGE, VERIFIER, assert_refused, jwt, text};

/// A test on both databases: `both!(async fn a_sentence(server: Server) { … });` becomes `a_sentence::sqlite` and
/// `a_sentence::postgres`.
macro_rules! both {
    ($(#[$attribute:meta])* async fn $name:ident($server:ident: Server) $body:block) => {
        mod $name {
            use super::*;

            async fn check($server: Server) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                check(Server::start(Database::Sqlite).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                check(Server::start(Database::Postgres).await).await;
            }
        }
    };
}
pub(crate) use both;

/// The same with a working folder for the program itself: `both_folders!(async fn a_sentence(folder: Folder) { … });`.
macro_rules! both_folders {
    ($(#[$attribute:meta])* async fn $name:ident($folder:ident: Folder) $body:block) => {
        mod $name {
            use super::*;

            async fn check($folder: Folder) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                check(Folder::new(Database::Sqlite).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                check(Folder::new(Database::Postgres).await).await;
            }
        }
    };
}
pub(crate) use both_folders;

//! `countersign openapi`: prints the description of all that a server answers.

use super::output::answer;
use crate::dev::openapi::document;

/// Prints it for a server at the root of whatever host.
pub(super) fn run() {
    answer(format!("{:#}", document("/")));
}

//! The house rules that the compiler does not know: which room may use which, where SQL and clocks may stand, that the two
//! sets of migrations go together, and that what is shipped fits what the server reads.
//!
//! They are checked on the text of the sources ([`source`]), so a failure names file and line.

#![allow(clippy::expect_used, clippy::panic, reason = "a check that cannot read its sources has failed")]

mod conformance;
mod packaging;
mod readme;
mod rooms;
mod source;
mod text;

/// Fails with all findings at once, under the sentence that says what to do about them.
fn assert_none(findings: &[String], advice: &str) {
    assert!(findings.is_empty(), "\n{}\n\n{advice}\n", findings.join("\n"));
}

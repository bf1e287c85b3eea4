//! Secrets from people and scripts: typed at a prompt that does not echo, or the first line of stdin; never an argument,
//! which every process list would show.

use std::io::{self, IsTerminal};

use super::Failure;
use crate::domain::secret::Secret;

/// Asks for a new secret; at a terminal twice, because nobody can see what they type.
pub(super) fn new_secret(what: &str) -> Result<Secret, Failure> {
    if !io::stdin().is_terminal() {
        return first_line(what);
    }
    let first = typed(&format!("{what}: "))?;
    let second = typed(&format!("{what}, again: "))?;
    if first == second { Ok(first) } else { Err(Failure::new("the two do not match; nothing was changed")) }
}

fn typed(prompt: &str) -> Result<Secret, Failure> {
    let text = rpassword::prompt_password(prompt)
        .map_err(|error| Failure::new(format!("cannot read from the terminal: {error}")))?;
    not_empty(text)
}

fn first_line(what: &str) -> Result<Secret, Failure> {
    let mut line = String::new();
    io::stdin()
        .read_line(&mut line)
        .map_err(|error| Failure::new(format!("cannot read the {what} from stdin: {error}")))?;
    while line.ends_with(['\n', '\r']) {
        line.pop();
    }
    not_empty(line)
}

fn not_empty(text: String) -> Result<Secret, Failure> {
    if text.is_empty() { Err(Failure::new("nothing was given; nothing was changed")) } else { Ok(Secret::new(text)) }
}

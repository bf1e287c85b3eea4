//! Secrets from people and scripts: typed at a prompt that does not echo, or the first line of stdin; never an argument,
//! which every process list would show. [`Source`] says where one that exists already comes from.

use std::io::{self, IsTerminal};
use std::path::Path;

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

/// Where a secret that somebody else knows too is read.
pub(super) struct Source<'a> {
    /// What it is, for people.
    pub(super) what: &'a str,
    /// The variable that may hold it.
    pub(super) variable: &'a str,
    /// Whether the next line of stdin is it.
    pub(super) stdin: bool,
    /// The file whose first line is it.
    pub(super) file: Option<&'a Path>,
}

impl Source<'_> {
    /// Reads it: from stdin or the file where one is named, else from the variable, else at the prompt. `None` where
    /// nothing names it and nobody can be asked, or they gave nothing.
    pub(super) fn read(&self) -> Result<Option<Secret>, Failure> {
        if self.stdin {
            return first_line(self.what).map(Some);
        }
        if let Some(file) = self.file {
            let text = std::fs::read_to_string(file);
            let text = text.map_err(|error| Failure::new(format!("{}: {error}", file.display())))?;
            let line = text.lines().next().unwrap_or_default().to_owned();
            return match line.is_empty() {
                true => Err(Failure::new(format!("{}: its first line is empty", file.display()))),
                false => Ok(Some(Secret::new(line))),
            };
        }
        if let Some(text) = std::env::var(self.variable).ok().filter(|text| !text.is_empty()) {
            return Ok(Some(Secret::new(text)));
        }
        if !io::stdin().is_terminal() {
            return Ok(None);
        }
        let text = rpassword::prompt_password(format!("{}: ", self.what))
            .map_err(|error| Failure::new(format!("cannot read from the terminal: {error}")))?;
        Ok(Some(text).filter(|text| !text.is_empty()).map(Secret::new))
    }
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

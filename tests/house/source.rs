//! Rust files as the checks see them: code without comments and without the contents of literals, and the string literals
//! with their lines.

use std::fs;
use std::path::{Path, PathBuf};

/// One source file.
pub(crate) struct Source {
    /// Its path from the root of the repository, with `/`.
    pub(crate) path: String,
    /// The whole text.
    pub(crate) text: String,
    /// The text with comments and the contents of literals made blank; lines and columns are the same.
    pub(crate) code: String,
    /// Each string literal's first line and contents.
    pub(crate) strings: Vec<(usize, String)>,
}

/// The folder that everything is relative to.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of the repository.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every Rust file below `src`, by path.
pub(crate) fn sources() -> Vec<Source> {
    let mut paths = Vec::new();
    collect(&root().join("src"), &mut paths);
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let relative = path.strip_prefix(root()).expect("below the root").to_string_lossy().replace('\\', "/");
            Source::new(relative, fs::read_to_string(&path).expect("a text"))
        })
        .collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

impl Source {
    pub(crate) fn new(path: String, text: String) -> Self {
        let (code, strings) = Reader::new(&text).read();
        Self { path, text, code, strings }
    }

    /// `file:line` of a place in the code.
    pub(crate) fn place(&self, offset: usize) -> String {
        format!("{}:{}", self.path, line(&self.code, offset))
    }
}

fn line(text: &str, offset: usize) -> usize {
    text[..offset].matches('\n').count() + 1
}

/// Goes once over a text.
struct Reader<'a> {
    text: &'a str,
    at: usize,
    code: String,
    strings: Vec<(usize, String)>,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0, code: String::with_capacity(text.len()), strings: Vec::new() }
    }

    fn read(mut self) -> (String, Vec<(usize, String)>) {
        while let Some(first) = self.rest().chars().next() {
            let rest = self.rest();
            if rest.starts_with("//") {
                self.blank(rest.find('\n').unwrap_or(rest.len()));
            } else if rest.starts_with("/*") {
                self.blank(block_comment(rest));
            } else if let Some((prefix, hashes)) = raw_string(rest).filter(|_| !self.in_a_word()) {
                let end = format!("\"{}", "#".repeat(hashes));
                let body = rest[prefix..].find(&end).unwrap_or(rest.len() - prefix);
                self.string(prefix, body, end.len());
            } else if first == '"' {
                self.string(1, quoted(&rest[1..], b'"'), 1);
            } else if let Some(length) = character(rest) {
                self.blank(length);
            } else {
                self.code.push(first);
                self.at += first.len_utf8();
            }
        }
        (self.code, self.strings)
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn in_a_word(&self) -> bool {
        self.code.ends_with(|last: char| last.is_alphanumeric() || last == '_')
    }

    fn string(&mut self, prefix: usize, body: usize, suffix: usize) {
        let contents = self.rest().get(prefix..prefix + body).unwrap_or_default().to_owned();
        self.strings.push((line(self.text, self.at), contents));
        self.blank(prefix + body + suffix);
    }

    /// Passes over so many bytes and keeps only their lines.
    fn blank(&mut self, length: usize) {
        let end = (self.at + length).min(self.text.len());
        let passed = self.text[self.at..end].bytes();
        self.code.extend(passed.map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
        self.at = end;
    }
}

/// The length of a comment, with the comments inside it.
fn block_comment(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut depth, mut at) = (0_usize, 0);
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => depth += 1,
            b"*/" => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    bytes.len()
}

/// The length of a raw string's beginning, and its number of hashes.
fn raw_string(text: &str) -> Option<(usize, usize)> {
    let after = text.strip_prefix("br").or_else(|| text.strip_prefix("cr")).or_else(|| text.strip_prefix('r'))?;
    let hashes = after.bytes().take_while(|byte| *byte == b'#').count();
    after[hashes..].starts_with('"').then(|| (text.len() - after.len() + hashes + 1, hashes))
}

/// How far it is to the quote that ends a literal.
fn quoted(text: &str, quote: u8) -> usize {
    let mut escaped = false;
    text.bytes()
        .position(|byte| {
            let ends = byte == quote && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        })
        .unwrap_or(text.len())
}

/// The length of a character literal, which a lifetime is not.
fn character(text: &str) -> Option<usize> {
    let after = text.strip_prefix('\'')?;
    let first = after.chars().next()?;
    if first == '\\' {
        return Some(quoted(after, b'\'') + 2);
    }
    after[first.len_utf8()..].starts_with('\'').then(|| first.len_utf8() + 2)
}

#[test]
fn comments_and_literals_are_not_code() {
    let source = Source::new(
        "x.rs".to_owned(),
        "a /* b /* c */ d */ e // f\n'\"' \"g \\\" h\" r#\"i \" j\"# 'k l: &'m str, '\\'' ö n".to_owned(),
    );
    assert_eq!(
        source.code.split_whitespace().collect::<Vec<_>>(),
        ["a", "e", "'k", "l:", "&'m", "str,", "ö", "n"],
        "{}",
        source.code
    );
    assert_eq!(source.strings, [(2, "g \\\" h".to_owned()), (2, "i \" j".to_owned())]);
    assert_eq!(source.code.len(), source.text.len());
}

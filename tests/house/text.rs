//! What may stand where in the sources: SQL in the store, the present in the clock, a paragraph at the head of each module;
//! and the migrations of the two databases in step.

use std::collections::BTreeSet;
use std::fs;

use super::assert_none;
use super::source::{root, sources};

/// What asks for the present.
const CLOCKS: &[&str] = &["SystemTime::now", "Instant::now", "Timestamp::now", "Zoned::now", "Uuid::now_v7"];

/// Where that may be asked.
const THE_CLOCK: &[&str] = &["src/clock.rs", "src/domain/clock.rs", "src/server/clock.rs"];

#[test]
fn sql_stands_in_the_store_alone() {
    let mut findings = Vec::new();
    for source in sources().iter().filter(|source| !source.path.starts_with("src/store")) {
        for (line, string) in &source.strings {
            if is_sql(string) {
                findings.push(format!("{}:{line}: {}", source.path, string.lines().next().unwrap_or_default().trim()));
            }
        }
    }
    assert_none(&findings, "Statements belong to src/store, behind a verb of the domain such as `claim_code`.");
}

/// Whether a literal holds a statement, by the keywords in capitals that ours are written in.
fn is_sql(string: &str) -> bool {
    let words: Vec<&str> = string.split_whitespace().collect();
    let has = |first: &str, second: &str| words.windows(2).any(|pair| pair[0] == first && pair[1] == second);
    let update = words.iter().position(|word| *word == "UPDATE");
    string.contains("SELECT ")
        || has("INSERT", "INTO")
        || has("DELETE", "FROM")
        || update.is_some_and(|at| words[at..].contains(&"SET"))
}

#[test]
fn statements_are_told_from_sentences() {
    for sql in ["SELECT 1", " INSERT  INTO x", "UPDATE x\n SET y = 1", "DELETE\nFROM x"] {
        assert!(is_sql(sql), "{sql}");
    }
    for sentence in ["Select one", "delete from the list", "An UPDATE", "SETTINGS"] {
        assert!(!is_sql(sentence), "{sentence}");
    }
}

#[test]
fn the_present_is_asked_of_the_one_clock() {
    let mut findings = Vec::new();
    for source in sources().iter().filter(|source| !THE_CLOCK.contains(&source.path.as_str())) {
        for clock in CLOCKS {
            let found = source.code.match_indices(clock);
            findings.extend(found.map(|(offset, _)| format!("{}: {clock}", source.place(offset))));
        }
    }
    assert_none(&findings, "Time is a value: take `now` as an argument. It is read once per request, in src/clock.rs.");
}

#[test]
fn every_module_opens_with_a_paragraph() {
    let findings: Vec<String> = sources()
        .iter()
        .filter(|source| !source.text.starts_with("//! "))
        .map(|source| format!("{}:1", source.path))
        .collect();
    assert_none(&findings, "The first lines (`//!`) say what is here and what is next door.");
}

#[test]
fn both_databases_have_the_same_migrations() {
    let [postgres, sqlite] = ["postgres", "sqlite"].map(|database| -> BTreeSet<String> {
        let folder = root().join("migrations").join(database);
        fs::read_dir(&folder)
            .expect("a folder of migrations")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect()
    });
    assert!(!postgres.is_empty(), "there are migrations");
    let findings: Vec<String> =
        postgres.symmetric_difference(&sqlite).map(|name| format!("migrations/{{postgres,sqlite}}/{name}")).collect();
    assert_none(&findings, "Each migration has a file of the same name for either database.");
}

//! What `docs/conformance.md` says of our tests is true: each that it names is there.

use std::fs;

use super::assert_none;
use super::source::root;

#[test]
fn every_test_that_the_conformance_document_names_is_there() {
    let document = fs::read_to_string(root().join("docs/conformance.md")).expect("docs/conformance.md");
    let named: Vec<(&str, &str)> =
        document.split('`').skip(1).step_by(2).filter_map(|code| code.split_once("::")).collect();
    let named: Vec<(&str, &str)> = named.into_iter().filter(|(file, _)| *file != "file").collect();
    assert!(named.len() > 50, "the document names only {} tests", named.len());
    let mut findings = Vec::new();
    for (file, test) in named {
        let source = fs::read_to_string(root().join(format!("tests/it/{file}.rs"))).unwrap_or_default();
        if !source.contains(&format!("async fn {test}(")) {
            findings.push(format!("docs/conformance.md: tests/it/{file}.rs has no test {test}"));
        }
    }
    assert_none(&findings, "Name a test that shows the rule, or write one.");
}

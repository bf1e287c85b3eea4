//! What the README says of the code is true.

/// The table is derived from the code; this keeps the copy people read equal to it.
#[test]
fn the_readme_has_the_settings_as_they_are() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let table = countersign::config::settings_table_markdown();
    assert!(
        readme.contains(table.trim()),
        "the README's settings are not the code's; this is the table to put there:\n\n{table}"
    );
}

/// Discovery and README tell of the same endpoints.
#[test]
fn the_readme_names_endpoints_that_are_served() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    for (name, path) in countersign::oauth::discovery::ENDPOINTS {
        assert!(readme.contains(path), "the README does not mention {path} ({name})");
    }
}

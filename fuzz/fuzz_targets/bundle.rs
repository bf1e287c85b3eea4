//! Bundles: every resource has a type and an id, and the resources of a bundle written as a list are the same bundle.
#![no_main]

use countersign::resources::bundle::{Item, parse};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|text: &str| {
    for json in [false, true] {
        let (items, problems) = read(text, json);
        assert!(problems.iter().all(|problem| problem.starts_with("bundle:")), "{problems:?}");
        for item in &items {
            assert_eq!(item.document["resourceType"], item.kind.name());
            assert_eq!(item.document["id"], item.id.as_str());
            let line = item.place.strip_prefix("bundle:").and_then(|line| line.parse::<usize>().ok());
            assert!(line.is_some_and(|line| line >= 1 && line <= text.lines().count().max(1)), "{}", item.place);
        }
        let list: Value = items.iter().map(|item| escaped(&item.document)).collect();
        let (again, problems) = read(&list.to_string(), true);
        assert_eq!(problems, Vec::<String>::new(), "{list}");
        assert_eq!(again.len(), items.len(), "{list}");
        for (one, other) in items.iter().zip(&again) {
            assert!(one.kind == other.kind && one.id == other.id, "{list}");
            assert!(countersign_fuzz::same(&one.document, &other.document), "{list}");
        }
    }
});

fn read(text: &str, json: bool) -> (Vec<Item>, Vec<String>) {
    let env = |name: &str| (name != "NOPE").then(|| format!("${{{name}}}"));
    let (mut items, mut problems) = (Vec::new(), Vec::new());
    parse("bundle", text, json, &env, &mut items, &mut problems);
    (items, problems)
}

/// With `$${` for each `${`, so that nothing is filled from the environment.
fn escaped(value: &Value) -> Value {
    match value {
        Value::String(text) => text.replace("${", "$${").into(),
        Value::Array(items) => items.iter().map(escaped).collect(),
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), escaped(value))).collect(),
        other => other.clone(),
    }
}

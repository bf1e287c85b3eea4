//! YAML documents: of bounded depth, and written they read back as themselves, as YAML and as JSON.
#![no_main]

use countersign::resources::format;
use countersign_fuzz::{depth, same};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let items = format::yaml_items(text);
    let Ok(value) = format::yaml(text) else { return };
    assert!(depth(&value) <= 33, "{value}");
    let written = format::to_yaml(&value);
    let again = format::yaml(&written).unwrap_or_else(|error| panic!("{value} is written {written:?}: {error}"));
    assert!(same(&again, &value), "{value} is written {written:?}, which is {again}");
    assert!(same(&format::json(&value.to_string()).expect("what was written reads"), &value), "{value}");
    // As a bundle: the items of a list, nothing, or the one document.
    let items = items.unwrap_or_else(|error| panic!("{value} has no items: {error}"));
    let mut values = items.into_iter().map(|(_, item)| item);
    match value {
        serde_json::Value::Array(list) => assert!(list.iter().zip(values).all(|(one, other)| same(one, &other))),
        serde_json::Value::Null => assert_eq!(values.next(), None),
        one => assert!(same(&values.next().expect("an item"), &one)),
    }
});

//! JSON and YAML, read strictly and written.
//!
//! A key said twice is an error, nesting and sizes are bounded, and YAML is the plain kind: no anchors, aliases, merge keys or
//! tags, and `yes` is a word, not a truth (YAML 1.2).

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};
use serde_saphyr::granit_parser::{Event, Parser};
use serde_saphyr::{Budget, DuplicateKeyPolicy, MergeKeyPolicy, Options, Spanned};

/// How deep a document may nest.
pub(super) const MAX_DEPTH: usize = 32;
/// How many values it may hold.
const MAX_NODES: usize = 200_000;

/// What is not JSON or YAML, with the line and column where that shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatError(String);

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads one JSON value.
pub fn json(text: &str) -> Result<Value, FormatError> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Strict(0).deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    value.map_err(|error| FormatError(error.to_string()))
}

/// Reads one YAML document.
pub fn yaml(text: &str) -> Result<Value, FormatError> {
    refuse_tags(text)?;
    let read: Result<StrictValue, _> = serde_saphyr::from_str_with_options(text, options());
    read.map(|value| value.0).map_err(|error| yaml_error(&error))
}

/// Reads the items of a YAML text: of a list, of several documents, or the only one. Each with the line where it begins.
pub fn yaml_items(text: &str) -> Result<Vec<(u64, Value)>, FormatError> {
    refuse_tags(text)?;
    let lists: Result<Vec<Vec<Spanned<StrictValue>>>, _> = serde_saphyr::from_multiple_with_options(text, options());
    if let Ok(lists) = lists {
        return Ok(lists.into_iter().flatten().map(with_line).collect());
    }
    let documents: Result<Vec<Spanned<StrictValue>>, _> = serde_saphyr::from_multiple_with_options(text, options());
    let documents = documents.map_err(|error| yaml_error(&error))?;
    Ok(documents
        .into_iter()
        .map(with_line)
        .flat_map(|(line, value)| match value {
            Value::Array(items) => items.into_iter().map(|item| (line, item)).collect(),
            Value::Null => Vec::new(),
            one => vec![(line, one)],
        })
        .collect())
}

/// The lines where the items of a JSON text begin: of a list, or of a Bundle's `entry`. Its values come from [`json`]; the lines
/// come from reading it as the YAML that it nearly always is too, and end where it is not.
pub fn json_item_lines(text: &str) -> Vec<u64> {
    let (mut lines, mut depth, mut items_at, mut behind_entry) = (Vec::new(), 0_usize, None, false);
    for (event, span) in Parser::new_from_str(text).map_while(Result::ok) {
        let begins = matches!(event, Event::Scalar(..) | Event::SequenceStart(..) | Event::MappingStart(..));
        if begins && items_at == Some(depth) {
            lines.extend(u64::try_from(span.start.line()));
        }
        if matches!(event, Event::SequenceStart(..)) && items_at.is_none() && (depth == 0 || behind_entry) {
            items_at = Some(depth + 1);
        }
        behind_entry = depth == 1 && matches!(&event, Event::Scalar(text, ..) if text == "entry");
        match event {
            Event::SequenceStart(..) | Event::MappingStart(..) => depth += 1,
            Event::SequenceEnd | Event::MappingEnd => depth = depth.saturating_sub(1),
            _ => {}
        }
        if items_at.is_some_and(|at| depth < at) {
            break;
        }
    }
    lines
}

/// Writes YAML.
pub fn to_yaml(value: &Value) -> String {
    serde_saphyr::to_string(&Written(value)).unwrap_or_default()
}

/// A tag may give a value another type than it shows. What cannot be parsed is left to the reader, which says so better.
fn refuse_tags(text: &str) -> Result<(), FormatError> {
    for (event, span) in Parser::new_from_str(text).map_while(Result::ok) {
        let (Event::Scalar(.., tag) | Event::SequenceStart(.., tag) | Event::MappingStart(.., tag)) = event else {
            continue;
        };
        if tag.is_some() {
            return Err(FormatError(format!("line {}: tags are not supported", span.start.line())));
        }
    }
    Ok(())
}

fn with_line(item: Spanned<StrictValue>) -> (u64, Value) {
    (item.referenced.line(), item.value.0)
}

fn options() -> Options {
    let mut budget = Budget::default();
    budget.max_depth = MAX_DEPTH;
    budget.max_nodes = MAX_NODES;
    budget.max_anchors = 0;
    budget.max_aliases = 0;
    let mut options = Options::default();
    options.budget = Some(budget);
    options.duplicate_keys = DuplicateKeyPolicy::Error;
    options.merge_keys = MergeKeyPolicy::Error;
    options.strict_booleans = true;
    options.reject_unsupported_tags = true;
    options.leading_zero_numbers_as_strings = true;
    options.underscored_numbers_as_strings = true;
    options.with_snippet = false;
    options
}

fn yaml_error(error: &serde_saphyr::Error) -> FormatError {
    // Without a snippet: the text may hold secrets.
    FormatError(error.without_snippet().to_string().lines().next().unwrap_or_default().to_owned())
}

struct StrictValue(Value);

impl<'de> Deserialize<'de> for StrictValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Strict(0).deserialize(deserializer).map(Self)
    }
}

/// Builds a `Value` at a depth, refusing keys said twice.
#[derive(Clone, Copy)]
struct Strict(usize);

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        if self.0 > MAX_DEPTH {
            return Err(D::Error::custom(format!("nested deeper than {MAX_DEPTH} levels")));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number must be finite"))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        self.visit_string(value.to_owned())
    }

    fn visit_string<E: serde::de::Error>(self, value: String) -> Result<Value, E> {
        without_nul(value).map(Value::String)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Self(self.0 + 1))? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            let key = without_nul(key)?;
            if object.contains_key(&key) {
                return Err(A::Error::custom(format!("the key {key} occurs twice")));
            }
            let value = members.next_value_seed(Self(self.0 + 1))?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

/// PostgreSQL keeps no text with U+0000 in it, and nobody means one.
fn without_nul<E: serde::de::Error>(text: String) -> Result<String, E> {
    if text.contains('\0') { Err(E::custom("a text has the character U+0000 in it")) } else { Ok(text) }
}

/// A value for the YAML writer.
struct Written<'a>(&'a Value);

impl Serialize for Written<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_document_reads_the_same_from_both() {
        let expected = json!({"a": [1, true, null, "x"], "b": {"c": "yes", "d": "007"}});
        assert_eq!(json(r#"{"a": [1, true, null, "x"], "b": {"c": "yes", "d": "007"}}"#).unwrap(), expected);
        assert_eq!(yaml("a: [1, true, null, x]\nb: {c: yes, d: 007}\n").unwrap(), expected);
        assert_eq!(yaml(&to_yaml(&expected)).unwrap(), expected);
    }

    #[test]
    fn what_is_ambiguous_is_refused() {
        for text in ["{\"a\":1,\"a\":2}", "{\"a\":{\"b\":1,\"b\":1}}", "[1,]", "{} {}", "nul"] {
            assert!(json(text).is_err(), "{text}");
        }
        for text in ["a: 1\na: 2", "a: &x 1\nb: *x", "a: !!binary aGk=\n", "a: !custom 1", "b: {<<: {a: 1}}", "a: [1"] {
            assert!(yaml(text).is_err(), "{text}");
        }
        let deep = "[".repeat(40) + &"]".repeat(40);
        assert!(json(&deep).is_err() && yaml(&deep).is_err());
    }

    #[test]
    fn items_know_their_lines() {
        let list = "# clients\n- id: a\n- id: b\n";
        assert_eq!(yaml_items(list).unwrap(), [(2, json!({"id": "a"})), (3, json!({"id": "b"}))]);
        let documents = "id: a\n---\nid: b\n";
        assert_eq!(yaml_items(documents).unwrap(), [(1, json!({"id": "a"})), (3, json!({"id": "b"}))]);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_them_panic(text: String) {
            let _ = (json(&text), yaml(&text), yaml_items(&text));
        }
    }
}

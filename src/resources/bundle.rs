//! Bundles: files and folders of resources, applied at start and by `apply`.
//!
//! YAML (a list, or one or several documents) or JSON (an array, a FHIR-style Bundle, or one resource). `${NAME}` and
//! `${NAME:-default}` are filled from the environment, here and nowhere else: never in anything that came over HTTP. `$${` is a
//! plain `${`.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::Value;

use super::format::{self, FormatError};
use super::kind::{DocumentKind, KINDS};
use crate::domain::nearest::nearest;

/// A resource of a bundle, and where it stands.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its type.
    pub kind: DocumentKind,
    /// Its id.
    pub id: String,
    /// The document.
    pub document: Value,
    /// `clients.yaml:12`
    pub place: String,
}

/// Reads files and folders (their files in the order of their names) and answers every problem at once.
pub fn read(paths: &[PathBuf], env: &dyn Fn(&str) -> Option<String>) -> Result<Vec<Item>, Vec<String>> {
    let (mut items, mut problems) = (Vec::new(), Vec::new());
    for path in paths {
        match files(path) {
            Ok(files) => files.iter().for_each(|file| match std::fs::read_to_string(file) {
                Ok(text) => parse(&file.display().to_string(), &text, is_json(file), env, &mut items, &mut problems),
                Err(error) => problems.push(format!("{}: {error}", file.display())),
            }),
            Err(error) => problems.push(format!("{}: {error}", path.display())),
        }
    }
    for (index, item) in items.iter().enumerate() {
        if let Some(first) = items[..index].iter().find(|other: &&Item| other.kind == item.kind && other.id == item.id)
        {
            problems.push(format!(
                "{}: {}/{} stands already at {}",
                item.place,
                item.kind.name(),
                item.id,
                first.place
            ));
        }
    }
    if problems.is_empty() { Ok(items) } else { Err(problems) }
}

/// How the files of bundles looked: whether each was there, how long it was, and when it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look(Vec<(PathBuf, Option<(u64, SystemTime)>)>);

/// Looks at files and folders, and reads none.
pub fn look(paths: &[PathBuf]) -> Look {
    let state = |file: PathBuf| {
        let seen = std::fs::metadata(&file).and_then(|meta| Ok((meta.len(), meta.modified()?))).ok();
        (file, seen)
    };
    Look(paths.iter().flat_map(|path| files(path).unwrap_or_else(|_| vec![path.clone()])).map(state).collect())
}

impl Look {
    /// Whether every file that was there in an earlier look is there.
    pub fn has_all_of(&self, earlier: &Self) -> bool {
        let is_there = |file: &Path| self.0.iter().any(|(other, seen)| other == file && seen.is_some());
        earlier.0.iter().all(|(file, seen)| seen.is_none() || is_there(file))
    }
}

/// Reads one text. `name` is what problems call it.
pub fn parse(
    name: &str,
    text: &str,
    json: bool,
    env: &dyn Fn(&str) -> Option<String>,
    items: &mut Vec<Item>,
    problems: &mut Vec<String>,
) {
    let read: Result<Vec<(u64, Value)>, FormatError> =
        if json { format::json(text).map(|value| vec![(1, value)]) } else { format::yaml_items(text) };
    let values = match read {
        Ok(values) => values,
        Err(error) => return problems.push(format!("{name}: {error}")),
    };
    let mut entries: Vec<(u64, Value)> = values
        .into_iter()
        .flat_map(|(line, value)| flatten(value).into_iter().map(move |value| (line, value)))
        .collect();
    let lines = if json { format::json_item_lines(text) } else { Vec::new() };
    if lines.len() == entries.len() {
        entries.iter_mut().zip(lines).for_each(|(entry, line)| entry.0 = line);
    }
    for (line, mut value) in entries {
        let place = format!("{name}:{line}");
        let mut missing = Vec::new();
        fill(&mut value, env, &mut missing);
        problems.extend(
            missing
                .into_iter()
                .map(|name| format!("{place}: the environment has no {name}; set it, or write ${{{name}:-default}}")),
        );
        match identify(value) {
            Ok((kind, id, document)) => items.push(Item { kind, id, document, place }),
            Err(why) => problems.push(format!("{place}: {why}")),
        }
    }
}

fn files(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let file = entry?.path();
        let known = file
            .extension()
            .and_then(|ending| ending.to_str())
            .is_some_and(|ending| matches!(ending, "yaml" | "yml" | "json"));
        if known && file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

fn is_json(file: &Path) -> bool {
    file.extension().is_some_and(|ending| ending == "json")
}

/// The resources of an array or a Bundle, each with its type and id from `request.url` where it has none of its own.
fn flatten(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items.into_iter().flat_map(flatten).collect(),
        Value::Object(mut bundle) if bundle.get("entry").is_some_and(Value::is_array) => match bundle.remove("entry") {
            Some(Value::Array(entries)) => entries.into_iter().map(entry).collect(),
            _ => Vec::new(),
        },
        one => vec![one],
    }
}

fn entry(mut entry: Value) -> Value {
    let url =
        entry.pointer("/request/url").and_then(Value::as_str).unwrap_or_default().trim_start_matches('/').to_owned();
    let mut resource = entry.get_mut("resource").map(Value::take).unwrap_or_default();
    if let (Some(fields), Some((kind, id))) =
        (resource.as_object_mut(), url.trim_start_matches("fhir/").split_once('/'))
    {
        fields.entry("resourceType").or_insert_with(|| kind.into());
        fields.entry("id").or_insert_with(|| id.into());
    }
    resource
}

fn identify(value: Value) -> Result<(DocumentKind, String, Value), String> {
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    if !value.is_object() {
        return Err("expected a resource: an object with resourceType and id".into());
    }
    let name = text("resourceType").ok_or("resourceType is missing")?;
    let kind = DocumentKind::named(&name).ok_or_else(|| {
        let hint = nearest(&name, KINDS.iter().map(|kind| kind.name()))
            .map(|near| format!("; did you mean {near}?"))
            .unwrap_or_default();
        format!("resourceType {name} is unknown{hint}")
    })?;
    let id = text("id").ok_or("id is missing")?;
    Ok((kind, id, value))
}

/// Fills `${NAME}` and `${NAME:-default}` in every text of a value.
fn fill(value: &mut Value, env: &dyn Fn(&str) -> Option<String>, missing: &mut Vec<String>) {
    match value {
        Value::String(text) if text.contains("${") => *text = filled(text, env, missing),
        Value::Array(items) => items.iter_mut().for_each(|item| fill(item, env, missing)),
        Value::Object(members) => members.values_mut().for_each(|member| fill(member, env, missing)),
        _ => {}
    }
}

fn filled(text: &str, env: &dyn Fn(&str) -> Option<String>, missing: &mut Vec<String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            rest = after;
            continue;
        }
        out.push_str(before);
        let Some((name, behind)) = after.split_once('}') else {
            out.push_str("${");
            rest = after;
            continue;
        };
        let (name, default) = name.split_once(":-").map_or((name, None), |(name, default)| (name, Some(default)));
        match env(name).filter(|value| !value.is_empty()).or_else(|| default.map(str::to_owned)) {
            Some(value) => out.push_str(&value),
            None => missing.push(name.to_owned()),
        }
        rest = behind;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str, json: bool) -> (Vec<Item>, Vec<String>) {
        let env = |name: &str| (name == "SECRET").then(|| "s3cr3t".to_owned());
        let (mut items, mut problems) = (Vec::new(), Vec::new());
        parse("b.yaml", text, json, &env, &mut items, &mut problems);
        (items, problems)
    }

    #[test]
    fn the_environment_fills_names_and_defaults() {
        let (items, problems) =
            parsed("- {resourceType: Client, id: a, secret: '${SECRET}', name: 'x-${NAME:-y}-z'}", false);
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(items[0].document["secret"], "s3cr3t");
        assert_eq!(items[0].document["name"], "x-y-z");
        assert_eq!(
            parsed("- {resourceType: Client, id: a, name: 'x$${NAME}'}", false).0[0].document["name"],
            "x${NAME}"
        );
        assert!(
            parsed("- {resourceType: Client, id: a, secret: '${NOPE}'}", false).1[0]
                .starts_with("b.yaml:1: the environment has no NOPE")
        );
    }

    #[test]
    fn aidbox_bundles_read() {
        let text = r#"{"type":"batch","entry":[{"request":{"method":"PUT","url":"/Client/portal"},"resource":{"first_party":true}}]}"#;
        let (items, problems) = parsed(text, true);
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!((items[0].kind, items[0].id.as_str()), (DocumentKind::Client, "portal"));
    }

    #[test]
    fn problems_name_file_and_line() {
        let (_, problems) =
            parsed("- {resourceType: Client, id: a}\n- {resourceType: Clientt, id: b}\n- {id: c}\n", false);
        assert_eq!(
            problems,
            ["b.yaml:2: resourceType Clientt is unknown; did you mean Client?", "b.yaml:3: resourceType is missing"]
        );
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = (parsed(&text, false), parsed(&text, true));
        }
    }
}

//! Which room of the house may use which: dependencies point one way, from what serves towards what it means.

use super::assert_none;
use super::source::{Source, sources};

/// Each room and the rooms it may use. `clock` stands beside the domain: the one place that knows the present.
const ROOMS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("clock", &["domain"]),
    ("randomness", &["domain", "clock"]),
    ("dialect", &["domain"]),
    ("store", &["domain", "clock"]),
    ("openapi", &[]),
    ("outbound", &["domain"]),
    ("oauth", &["identity", "outbound", "store", "dialect", "domain", "clock", "randomness"]),
    ("identity", &["store", "domain", "clock", "randomness"]),
    ("resources", &["identity", "store", "domain", "clock", "randomness"]),
    ("registration", &["oauth", "resources", "identity", "store", "domain", "clock", "randomness"]),
    ("web", &["registration", "oauth", "identity", "openapi", "resources", "dialect", "domain", "clock", "randomness"]),
    ("config", &ALL),
    ("realm", ABOVE_WEB),
    ("dev", ABOVE_WEB),
    ("server", &ALL),
    ("cli", &ALL),
    ("testing", &ALL),
];

/// All rooms, from below: what those on top may use.
const ALL: [&str; 17] = [
    "domain",
    "dialect",
    "clock",
    "randomness",
    "store",
    "openapi",
    "outbound",
    "oauth",
    "identity",
    "resources",
    "registration",
    "web",
    "config",
    "realm",
    "dev",
    "server",
    "cli",
];

/// What stands around HTTP may use: all below `dev`.
const ABOVE_WEB: &[&str] = ALL.split_at(14).0;

/// Other people's crates that belong to some rooms only.
const CRATES: &[(&str, &[&str])] = &[
    ("axum", &["web", "dev", "server"]),
    ("hyper", &["web", "server", "cli", "outbound"]),
    ("hyper_util", &["web", "server", "cli", "outbound"]),
    ("tower", &["web", "dev", "server"]),
    ("tower_http", &["web", "server"]),
    ("askama", &["web"]),
    // The domain derives `sqlx::Type` and does nothing else with it.
    ("sqlx", &["store", "domain"]),
    ("clap", &["cli"]),
];

/// What the domain, which does no input or output, never names.
const NOT_IN_THE_DOMAIN: &[&str] = &["tokio::", "std::fs", "std::net::Tcp", "std::env", "std::thread", "sqlx::query"];

const ADVICE: &str = "Dependencies point one way:
  main → cli → server → dev → realm → config, web → registration → { oauth, resources } → identity → store → domain; oauth → outbound
A room uses only rooms to its right (tests/house/rooms.rs has the table). A rule that two rooms share belongs further right;
what a lower room needs from a higher one is given to it as a value.";

#[test]
fn dependencies_between_rooms_point_one_way() {
    let mut findings = Vec::new();
    for source in sources() {
        let Some(room) = room(&source.path) else { continue };
        let Some((_, may_use)) = ROOMS.iter().find(|(name, _)| *name == room) else { continue };
        for (offset, used) in references(&source) {
            let known = ROOMS.iter().any(|(name, _)| *name == used);
            if known && used != room && !may_use.contains(&used.as_str()) {
                findings.push(format!("{}: {room} uses {used}", source.place(offset)));
            }
        }
    }
    assert_none(&findings, ADVICE);
}

#[test]
fn every_room_is_in_the_table() {
    let mut findings: Vec<String> = sources()
        .iter()
        .filter_map(|source| room(&source.path))
        .filter(|room| !ROOMS.iter().any(|(name, _)| name == room))
        .map(|room| format!("src/{room} is a room that the table does not know"))
        .collect();
    findings.dedup();
    assert_none(&findings, "Say in tests/house/rooms.rs which rooms it may use, and in src/lib.rs what it is for.");
}

#[test]
fn http_sql_and_the_command_line_stay_in_their_rooms() {
    let mut findings = Vec::new();
    for source in sources() {
        let Some(room) = room(&source.path) else { continue };
        for (name, rooms) in CRATES.iter().filter(|(_, rooms)| !rooms.contains(&room)) {
            for offset in paths_into(&source.code, name) {
                findings.push(format!(
                    "{}: {room} uses {name}, which is for {}",
                    source.place(offset),
                    rooms.join(", ")
                ));
            }
        }
    }
    assert_none(&findings, ADVICE);
}

#[test]
fn the_domain_does_no_input_or_output() {
    let mut findings = Vec::new();
    for source in sources().iter().filter(|source| room(&source.path) == Some("domain")) {
        for name in NOT_IN_THE_DOMAIN {
            findings.extend(source.code.match_indices(name).map(|(at, _)| format!("{}: {name}", source.place(at))));
        }
    }
    assert_none(
        &findings,
        "The domain holds meaning alone: files, sockets, threads and settings are for the rooms above.",
    );
}

/// The room of a file: the folder or file directly below `src`, except for the two roots of the crate.
fn room(path: &str) -> Option<&str> {
    let below = path.strip_prefix("src/")?;
    let room = below.split_once('/').map_or(below.strip_suffix(".rs").unwrap_or(below), |(room, _)| room);
    (!matches!(room, "lib" | "main" | "bin")).then_some(room)
}

/// Every path that leaves from the root of the crate, as the name it goes into: `crate::store::x`, the two of
/// `crate::{store::x, domain::y}`, `countersign::store`, and `super::super::store` where that is the same.
fn references(source: &Source) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for start in ["crate", "countersign"] {
        for offset in paths_into(&source.code, start) {
            found.extend(first_names(&source.code, offset + start.len() + 2));
        }
    }
    let depth = depth(&source.path);
    for offset in paths_into(&source.code, "super") {
        let chain = &source.code[offset..];
        let supers = chain.split("::").take_while(|part| *part == "super").count();
        let continues = source.code[..offset].ends_with("super::");
        if supers >= depth && !continues {
            found.extend(first_names(&source.code, offset + supers * "super::".len()));
        }
    }
    found.sort();
    found
}

/// How many `super` lead from a file's module to the root of the crate.
fn depth(path: &str) -> usize {
    let below = path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    below.split('/').count()
}

/// Where a path begins with this name.
fn paths_into<'a>(code: &'a str, name: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(name).map(|(offset, _)| offset).filter(move |offset| {
        let inside = code[..*offset].ends_with(|before: char| before.is_alphanumeric() || before == '_');
        // `a::tower::b` is a path into `a`, unless it is one of ours that `super` begins.
        let continued = code[..*offset].ends_with("::") && name != "super";
        !inside && !continued && code[offset + name.len()..].starts_with("::")
    })
}

/// The names that a path goes into from here: one, or those of a group.
fn first_names(code: &str, offset: usize) -> Vec<(usize, String)> {
    let rest = &code[offset..];
    if !rest.starts_with('{') {
        return vec![(offset, word(rest))];
    }
    let (mut depth, mut expects_a_name, mut names) = (0_usize, false, Vec::new());
    for (at, character) in rest.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        if depth == 1 && matches!(character, '{' | ',') {
            expects_a_name = true;
        } else if expects_a_name && !character.is_whitespace() {
            names.push((offset + at, word(&rest[at..])));
            expects_a_name = false;
        }
    }
    names
}

fn word(text: &str) -> String {
    text.chars().take_while(|character| character.is_alphanumeric() || *character == '_').collect()
}

#[test]
fn references_are_found_in_every_form() {
    let used = |path: &str, code: &str| -> Vec<String> {
        references(&Source::new(path.to_owned(), code.to_owned())).into_iter().map(|(_, name)| name).collect()
    };
    assert_eq!(used("src/oauth/token/mod.rs", "use crate::store::Store; crate::web::x();"), ["store", "web"]);
    assert_eq!(
        used("src/oauth/keys.rs", "use crate::{\n  domain::{A, web::B},\n  store::{C},\n};"),
        ["domain", "store"]
    );
    assert_eq!(used("src/oauth/token/mod.rs", "use super::super::web::X; use super::keys::Y;"), ["web"]);
    assert_eq!(used("src/oauth/mod.rs", "use super::web::X; // use crate::cli::X\n"), ["web"]);
    assert_eq!(used("src/oauth/mod.rs", "\"crate::web::X\"; other_crate::web::X;"), Vec::<String>::new());
}

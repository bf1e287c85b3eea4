//! Finds the text of a setting: flag, then environment, then file, then default; and reports names that nobody knows.
//!
//! What the text means is decided next door, in [`super::typed`].

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Mode;
use super::problem::{Place, Problem};
use super::table::{CONFIG, Default, Kind, SETTINGS, Secrecy, Setting};
use crate::domain::nearest::nearest;

/// The environment's variables by name.
pub type Environment = BTreeMap<String, String>;

/// What the command line said: flag without dashes → its values.
#[derive(Clone, Debug, Default)]
pub struct Overrides(pub BTreeMap<&'static str, Vec<String>>);

/// Everything that settings are made from; nothing else is looked at, so that a test needs no process environment.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// The command line.
    pub flags: &'a Overrides,
    /// The environment.
    pub env: &'a Environment,
    /// Reads a file.
    pub read: &'a dyn Fn(&Path) -> io::Result<String>,
    /// The working folder.
    pub cwd: &'a Path,
}

/// A setting's text and where it stood.
#[derive(Clone)]
pub(super) struct Found {
    /// One text; for [`Kind::Many`] any number.
    pub(super) texts: Vec<String>,
    /// Where it stood.
    pub(super) place: Place,
}

/// The layers, opened.
pub(super) struct Layers<'a> {
    inputs: Inputs<'a>,
    mode: Mode,
    file: Option<File>,
    pub(super) problems: Vec<Problem>,
}

struct File {
    name: String,
    keys: serde_json::Map<String, Value>,
}

impl<'a> Layers<'a> {
    pub(super) fn open(mode: Mode, inputs: Inputs<'a>) -> Self {
        let mut layers = Self { inputs, mode, file: None, problems: Vec::new() };
        layers.file = layers.open_file();
        layers.report_unreadable_variables();
        layers.report_unknown_variables();
        layers.report_unknown_keys();
        layers
    }

    /// The text of `setting` from the uppermost layer that has one.
    pub(super) fn find(&mut self, setting: &'static Setting) -> Option<Found> {
        if let Some(texts) = self.inputs.flags.0.get(setting.flag) {
            return Some(Found { texts: texts.clone(), place: Place::Flag(setting.flag) });
        }
        self.in_environment(setting).or_else(|| self.in_file(setting)).or_else(|| self.by_default(setting))
    }

    pub(super) fn problem(&mut self, place: Place, wrong: impl Into<String>, instead: impl Into<String>) {
        self.problems.push(Problem { place, wrong: wrong.into(), instead: instead.into() });
    }

    fn in_environment(&mut self, setting: &'static Setting) -> Option<Found> {
        let twin = setting.env_file().and_then(|name| Some((self.variable(&name)?, name)));
        let value = self.variable(setting.env).map(|text| (text, setting.env));
        if let (Some((_, twin)), Some((_, name))) = (&twin, &value) {
            let wrong = format!("is set, and so is {name}");
            self.problem(Place::Environment(twin.clone()), wrong, "set one of the two");
        }
        if let Some((path, name)) = twin {
            return self.read_twin(&path, Place::Environment(name));
        }
        let (text, name) =
            value.or_else(|| setting.env_fallback.and_then(|name| Some((self.variable(name)?, name))))?;
        Some(Found { texts: split(setting, &text), place: Place::Environment(name.to_owned()) })
    }

    /// An empty variable counts as unset: that is what `${NAME:-}` in a compose file leaves behind.
    fn variable(&self, name: &str) -> Option<String> {
        self.inputs.env.get(name).filter(|text| !text.is_empty()).cloned()
    }

    fn in_file(&mut self, setting: &'static Setting) -> Option<Found> {
        let file = self.file.as_ref()?;
        if setting.flag == CONFIG.flag {
            return None;
        }
        let place = |key: &str| Place::File(file.name.clone(), key.to_owned());
        let key = setting.key();
        let twin =
            setting.key_file().and_then(|key| Some((file.keys.get(&key)?.as_str().map(str::to_owned), place(&key))));
        let value = file.keys.get(&key).filter(|value| !value.is_null()).cloned();
        let place = place(&key);
        match (twin, value) {
            (None, None) => None,
            (Some((Some(path), twin_place)), None) => self.read_twin(&path, twin_place),
            (Some((None, twin_place)), None) => {
                self.problem(twin_place, "is not the name of a file", "");
                None
            }
            (Some((_, twin_place)), Some(_)) => {
                self.problem(twin_place, format!("is set, and so is {key}"), "keep one of the two");
                None
            }
            (None, Some(value)) => match texts_of(setting, &value) {
                Ok(texts) => Some(Found { texts, place }),
                Err((wrong, instead)) => {
                    self.problem(place, wrong, instead);
                    None
                }
            },
        }
    }

    /// The content of a file that a `…_FILE` twin names, without the line break that editors leave at its end.
    fn read_twin(&mut self, path: &str, place: Place) -> Option<Found> {
        match (self.inputs.read)(&self.inputs.cwd.join(path)) {
            Ok(content) => Some(Found { texts: vec![content.trim_end_matches(['\n', '\r']).to_owned()], place }),
            Err(error) => {
                // Without the path: somebody may have written the secret itself there.
                let wrong = format!("the file that it names cannot be read: {error}");
                self.problem(place, wrong, "name a file that this user may read");
                None
            }
        }
    }

    fn by_default(&self, setting: &'static Setting) -> Option<Found> {
        let dev = setting.dev_default.filter(|_| self.mode == Mode::Dev);
        let text = dev.or(match setting.default {
            Default::Value(text) => Some(text),
            Default::None | Default::Computed(_) => None,
        })?;
        Some(Found { texts: split(setting, text), place: Place::Default(setting) })
    }

    fn open_file(&mut self) -> Option<File> {
        let named = match self.inputs.flags.0.get(CONFIG.flag).and_then(|texts| texts.last().cloned()) {
            Some(path) => Some((path, Place::Flag(CONFIG.flag))),
            None => self.variable(CONFIG.env).map(|path| (path, Place::Environment(CONFIG.env.to_owned()))),
        };
        let must_exist = named.is_some();
        let (name, place) =
            named.unwrap_or_else(|| (DEFAULT_FILE.to_owned(), Place::File(DEFAULT_FILE.to_owned(), String::new())));
        let path: PathBuf = self.inputs.cwd.join(&name);
        let text = match (self.inputs.read)(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !must_exist => return None,
            Err(error) => {
                self.problem(
                    place,
                    format!("the file {name} cannot be read: {error}"),
                    "name a file that this user may read",
                );
                return None;
            }
        };
        match serde_saphyr::from_str::<Option<serde_json::Map<String, Value>>>(&text) {
            Ok(keys) => Some(File { name, keys: keys.unwrap_or_default() }),
            Err(error) => {
                // Without the snippet: the line might hold a secret.
                let wrong = format!("is not a YAML mapping: {}", error.without_snippet());
                self.problem(Place::File(name, String::new()), wrong, "write one `key: value` per line");
                None
            }
        }
    }

    /// Whoever collected the environment put U+FFFD where a value is not UTF-8; in a secret nothing else would notice.
    fn report_unreadable_variables(&mut self) {
        for setting in SETTINGS.iter().filter(|s| self.inputs.env.get(s.env).is_some_and(|v| v.contains('\u{FFFD}'))) {
            self.problem(Place::Environment(setting.env.to_owned()), "is not UTF-8", "");
        }
    }

    fn report_unknown_variables(&mut self) {
        let mut known: Vec<String> = SETTINGS.iter().map(|setting| setting.env.to_owned()).collect();
        known.extend(SETTINGS.iter().filter_map(|setting| setting.env_file()));
        for (name, value) in self.inputs.env {
            let Some(bare) = name.strip_prefix(PREFIX) else { continue };
            if known.contains(name) || is_service_link(name, value) {
                continue;
            }
            // Compared without the prefix that all share, which would make any two names alike.
            let likely = nearest(bare, known.iter().filter_map(|name| name.strip_prefix(PREFIX)));
            let instead = suggestion(likely.map(|bare| format!("{PREFIX}{bare}")).as_deref());
            self.problem(Place::Environment(name.clone()), "is not a setting", instead);
        }
    }

    fn report_unknown_keys(&mut self) {
        let Some(file) = &self.file else { return };
        let in_file = || SETTINGS.iter().filter(|setting| setting.flag != CONFIG.flag);
        let mut known: Vec<String> = in_file().map(|setting| setting.key()).collect();
        known.extend(in_file().filter_map(|setting| setting.key_file()));
        let mut problems = Vec::new();
        for key in file.keys.keys().filter(|key| !known.contains(key)) {
            problems.push(Problem {
                place: Place::File(file.name.clone(), key.clone()),
                wrong: "is not a setting".to_owned(),
                instead: suggestion(nearest(key, known.iter().map(String::as_str))),
            });
        }
        self.problems.extend(problems);
    }
}

/// How every variable of ours begins.
const PREFIX: &str = "COUNTERSIGN_";

/// The settings file that is read where nobody names another.
const DEFAULT_FILE: &str = "countersign.yaml";

fn suggestion(name: Option<&str>) -> String {
    name.map_or_else(
        || "remove it; `countersign serve --help` lists the settings".to_owned(),
        |name| format!("did you mean {name}?"),
    )
}

fn split(setting: &Setting, text: &str) -> Vec<String> {
    match setting.kind {
        Kind::Many => text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect(),
        Kind::One | Kind::Switch => vec![text.to_owned()],
    }
}

/// The texts of a value in the settings file, or what is wrong with it and what to write instead.
fn texts_of(setting: &Setting, value: &Value) -> Result<Vec<String>, (&'static str, String)> {
    match value {
        Value::Array(items) if setting.kind == Kind::Many => items.iter().map(|item| text_of(setting, item)).collect(),
        _ => Ok(vec![text_of(setting, value)?]),
    }
}

fn text_of(setting: &Setting, value: &Value) -> Result<String, (&'static str, String)> {
    match value {
        Value::String(text) => Ok(text.clone()),
        // YAML would read 0123 as a number, and a secret must not change on the way.
        Value::Number(_) | Value::Bool(_) if setting.secrecy != Secrecy::Public => {
            Err(("is not text", "put it in quotes".to_owned()))
        }
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(value) => Ok(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            Err(("is not a plain value", format!("write `{}: {}`", setting.key(), setting.value_name)))
        }
    }
}

/// Whether Kubernetes made this variable: for a Service called `countersign` (or `countersign-…`) it puts
/// `COUNTERSIGN_SERVICE_HOST`, `COUNTERSIGN_PORT=tcp://…` and the like into every container.
fn is_service_link(name: &str, value: &str) -> bool {
    let is_url = ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme));
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || (name.ends_with("_PORT") && is_url)
        || ["_TCP", "_UDP", "_SCTP"].iter().any(|protocol| {
            name.split_once(protocol).is_some_and(|(head, tail)| {
                let port = head.rsplit_once("_PORT_").map_or("", |(_, port)| port);
                !port.is_empty()
                    && port.bytes().all(|b| b.is_ascii_digit())
                    && matches!(tail, "" | "_PROTO" | "_PORT" | "_ADDR")
            })
        })
}

//! The door of data files: what is wrong with one is told with its line, and what was probably meant.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::paths::{Route, filled, is_plain};
use super::template::Template;
use super::{BUILT_IN, Dialect, PLAIN, Shape};
use crate::domain::client::Defaults;
use crate::domain::nearest::nearest;

/// The discovery document, among the paths.
pub const CONFIGURATION: &str = "configuration";
/// The endpoint of RFC 7591, among the paths.
pub const REGISTRATION: &str = "registration_endpoint";

/// What may have a path, by the names of RFC 8414 §2 and its kin.
const ENDPOINTS: [&str; 10] = [
    CONFIGURATION,
    "authorization_endpoint",
    "token_endpoint",
    "userinfo_endpoint",
    "introspection_endpoint",
    "revocation_endpoint",
    "end_session_endpoint",
    "check_session_iframe",
    "jwks_uri",
    REGISTRATION,
];
/// No file is larger.
const LARGEST: usize = 256 * 1_024;

/// What a token must say as it is for anybody, us among them, to tell it.
const FIXED: [(&str, &[&str]); 4] = [
    ("id_token", &["iss", "sub", "aud", "exp", "iat", "nonce", PLAIN]),
    ("access_token", &["iss", "exp", PLAIN]),
    ("client_token", &["iss", "exp", PLAIN]),
    ("userinfo", &["sub"]),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    title: String,
    #[serde(default)]
    variables: Map<String, Value>,
    #[serde(default)]
    issuer: String,
    paths: Map<String, Value>,
    #[serde(default)]
    parameters: Map<String, Value>,
    #[serde(default)]
    clients: Defaults,
    subject: Option<Value>,
    audience: Option<Value>,
    #[serde(default)]
    discovery: Object,
    #[serde(default)]
    token_response: Object,
    #[serde(default)]
    id_token: Object,
    #[serde(default)]
    access_token: Object,
    client_token: Option<Object>,
    #[serde(default)]
    userinfo: Object,
    #[serde(default)]
    error: Object,
}

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Object {
    typ: Option<String>,
    status: Map<String, Value>,
    keep: Option<Vec<String>>,
    set: Map<String, Value>,
    when: Map<String, Value>,
}

/// The dialect of a setting: the name of one that is built in, or a file, with other values for its variables behind commas.
pub fn load(setting: &str) -> Result<Dialect, String> {
    let mut parts = setting.split(',');
    let name = parts.next().unwrap_or_default();
    let chosen = parts.map(|part| {
        let pair = part.split_once('=').map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()));
        pair.ok_or_else(|| format!("`{part}` is not a variable with its value; write {name},tenant=contoso, say"))
    });
    let chosen = chosen.collect::<Result<Vec<_>, _>>()?;
    if let Some((_, text)) = BUILT_IN.iter().find(|(known, _)| *known == name) {
        return parse(text, &chosen).map_err(|why| format!("{name}: {why}"));
    }
    let known = || BUILT_IN.iter().map(|(known, _)| *known);
    if !name.contains(['/', '\\', '.']) {
        let hint = nearest(name, known()).map_or_else(|| ".".to_owned(), |near| format!("; did you mean {near}?"));
        let all = known().collect::<Vec<_>>().join(", ");
        return Err(format!(
            "there is no dialect {name}{hint} There are {all}, and files of your own: write ./{name}.yaml"
        ));
    }
    let said = |why: String| format!("{name}: {why}");
    let size = std::fs::metadata(Path::new(name)).map_err(|error| said(error.to_string()))?.len();
    if size > LARGEST as u64 {
        return Err(said("is larger than 256 KiB".to_owned()));
    }
    let text = std::fs::read_to_string(name).map_err(|error| said(error.to_string()))?;
    parse(&text, &chosen).map_err(said)
}

/// Reads a file, with other values for its variables.
pub(super) fn parse(text: &str, chosen: &[(String, String)]) -> Result<Dialect, String> {
    let file: File = serde_saphyr::from_str(text).map_err(|error| told(&error))?;
    let read = || {
        let variables = variables(&file.variables, chosen)?;
        let issuer = if file.issuer.is_empty() { String::new() } else { filled(&file.issuer, &variables)? };
        let value = |value: &Option<Value>| value.clone().map(|value| Template::parse(value, &variables)).transpose();
        let shape = |name: &str, object: &Object| object.shape(name, &variables);
        let client_token = match &file.client_token {
            Some(said) => shape("client_token", said)?,
            None => shape("access_token", &file.access_token)?,
        };
        Ok(Dialect {
            title: file.title.clone(),
            issuer,
            typ: file.access_token.typ.clone().unwrap_or_else(|| "at+jwt".to_owned()),
            clients: file.clients.clone(),
            discovery: shape("discovery", &file.discovery)?,
            token_response: shape("token_response", &file.token_response)?,
            id_token: shape("id_token", &file.id_token)?,
            userinfo: shape("userinfo", &file.userinfo)?,
            access_token: shape("access_token", &file.access_token)?,
            client_token,
            audience: value(&file.audience)?,
            subject: value(&file.subject)?,
            error: shape("error", &file.error)?,
            status: status(&file.error.status)?,
            routes: routes(&file, &variables)?,
        })
    };
    read().map_err(|why: String| placed(text, &why))
}

impl Object {
    fn shape(&self, name: &str, variables: &[(String, String)]) -> Result<Shape, String> {
        if self.typ.is_some() && !matches!(name, "access_token") {
            return Err(format!("`typ` is for access_token alone, not for {name}"));
        }
        if !self.status.is_empty() && name != "error" {
            return Err(format!("`status` is for error alone, not for {name}"));
        }
        let fixed = FIXED.iter().find(|(shape, _)| *shape == name).map_or(&[][..], |(_, fixed)| fixed);
        let members = |members: &Map<String, Value>| {
            let parsed = members.iter().map(|(member, value)| {
                if fixed.contains(&member.as_str()) {
                    return Err(format!("`{member}` of {name} cannot be set: it must be what others compare it with"));
                }
                let template = match value {
                    Value::Null => None,
                    value => Some(Template::parse(value.clone(), variables)?),
                };
                Ok((member.clone(), template))
            });
            parsed.collect::<Result<Vec<_>, String>>()
        };
        let when = self.when.iter().map(|(word, value)| match value {
            Value::Object(said) => Ok((word.clone(), members(said)?)),
            _ => Err(format!("`{word}` in when of {name} is not a map of members")),
        });
        let missing =
            |keep: &&Vec<String>| fixed.iter().find(|must| **must != PLAIN && !keep.iter().any(|one| one == *must));
        if let Some(missing) = self.keep.as_ref().and_then(|keep| missing(&keep)) {
            return Err(format!("`keep` of {name} lacks {missing}, which must stay"));
        }
        Ok(Shape { keep: self.keep.clone(), set: members(&self.set)?, when: when.collect::<Result<_, _>>()? })
    }
}

fn variables(declared: &Map<String, Value>, chosen: &[(String, String)]) -> Result<Vec<(String, String)>, String> {
    if let Some((name, _)) = chosen.iter().find(|(name, _)| !declared.contains_key(name)) {
        let all = declared.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        return Err(format!(
            "`{name}` is not a variable of this dialect; it has {}",
            if all.is_empty() { "none" } else { &all }
        ));
    }
    let value = |(name, value): (&String, &Value)| {
        let other = chosen.iter().find(|(chosen, _)| chosen == name).map(|(_, value)| value.as_str());
        let value = other.or(value.as_str()).filter(|value| !value.is_empty() && value.bytes().all(is_plain));
        let wrong = || format!("the value of the variable `{name}` is not text of letters, digits, - . _ and ~");
        value.map(|value| (name.clone(), value.to_owned())).ok_or_else(wrong)
    };
    declared.iter().map(value).collect()
}

fn routes(file: &File, variables: &[(String, String)]) -> Result<Vec<Route>, String> {
    let mut routes = Vec::new();
    for (name, value) in &file.paths {
        let endpoint = endpoint(name)?;
        let paths = match value {
            Value::String(path) => vec![path.as_str()],
            Value::Array(paths) => paths.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        if paths.is_empty() {
            return Err(format!("`{name}` has no path: write one, or a list whose first is the one in discovery"));
        }
        for path in paths {
            routes.push(Route::parse(endpoint, path, variables)?);
        }
    }
    for (name, renamed) in &file.parameters {
        let endpoint = endpoint(name)?;
        let pairs = renamed.as_object().into_iter().flatten();
        let pairs = pairs.filter_map(|(theirs, ours)| Some((theirs.clone(), ours.as_str()?.to_owned())));
        let pairs: Vec<_> = pairs.collect();
        let mut of = routes.iter_mut().filter(|route| route.endpoint == endpoint).peekable();
        if pairs.is_empty() || of.peek().is_none() {
            return Err(format!("`{name}` in parameters needs a path of its own, and names with ours for each"));
        }
        of.for_each(|route| route.renamed.clone_from(&pairs));
    }
    Ok(routes)
}

fn endpoint(name: &str) -> Result<&'static str, String> {
    ENDPOINTS.into_iter().find(|known| *known == name).ok_or_else(|| {
        let hint = nearest(name, ENDPOINTS.into_iter())
            .map_or_else(|| ENDPOINTS.join(", "), |near| format!("did you mean {near}?"));
        format!("`{name}` is not an endpoint: {hint}")
    })
}

fn status(given: &Map<String, Value>) -> Result<Vec<(String, u16)>, String> {
    let one = |(code, value): (&String, &Value)| {
        let status =
            value.as_u64().and_then(|status| u16::try_from(status).ok()).filter(|status| (400..600).contains(status));
        status
            .map(|status| (code.clone(), status))
            .ok_or_else(|| format!("the status of `{code}` is not one of an error"))
    };
    given.iter().map(one).collect()
}

/// What the YAML reader says, with the nearest name for one that is not known.
fn told(error: &serde_saphyr::Error) -> String {
    let text = error.without_snippet().to_string();
    let text = text.lines().next().unwrap_or_default();
    let unknown = text.strip_prefix("unknown field `").and_then(|rest| rest.split_once('`'));
    let hint = unknown.and_then(|(unknown, known)| {
        let names = known.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|name| name.len() > 2);
        nearest(unknown, names).map(|near| format!("; did you mean {near}?"))
    });
    format!("{text}{}", hint.unwrap_or_default())
}

/// A problem with the line of what it quotes first.
fn placed(text: &str, why: &str) -> String {
    let quoted = why.split('`').nth(1).unwrap_or_default();
    let is_there = |line: &&str| !quoted.is_empty() && !line.trim_start().starts_with('#') && line.contains(quoted);
    match text.lines().position(|line| is_there(&line)) {
        Some(line) => format!("line {}: {why}", line + 1),
        None => why.to_owned(),
    }
}

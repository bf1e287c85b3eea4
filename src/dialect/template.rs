//! Values with places in braces that are filled from facts: `{claim.email, user.id|uuid}` is the e-mail address, else the id as a UUID.
//!
//! A value that is one place alone keeps the type of what fills it; a place among other text becomes text. Where nothing fills a
//! place there is no value.

use serde_json::{Map, Value};

use super::filter::{Filter, as_text};
use crate::domain::client::Client;
use crate::domain::nearest::nearest;
use crate::domain::user::User;

/// What places are filled from. What is not known stays empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    /// What would have been said without a dialect.
    pub plain: Option<&'a Map<String, Value>>,
    /// The person.
    pub user: Option<&'a User>,
    /// The person's id, where the rest is not known.
    pub user_id: &'a str,
    /// The client.
    pub client: Option<&'a Client>,
    /// The granted scope.
    pub scope: &'a str,
    /// The session of the browser.
    pub session: &'a str,
    /// The issuer.
    pub issuer: &'a str,
    /// The base of our URLs.
    pub base: &'a str,
    /// The id of the request.
    pub request: &'a str,
    /// The present, in unix seconds.
    pub now: i64,
}

/// A value of a data file.
#[derive(Debug)]
pub(super) enum Template {
    Constant(Value),
    Place(Place),
    Text(Vec<Part>),
    List(Vec<Template>),
    Object(Vec<(String, Template)>),
}

#[derive(Debug)]
pub(super) enum Part {
    Text(String),
    Place(Place),
}

/// The first of these that has a value.
#[derive(Debug)]
pub(super) struct Place(Vec<(Source, Vec<Filter>)>);

#[derive(Debug)]
enum Source {
    Text(String),
    Plain(String),
    User(Vec<String>),
    UserId,
    Claim(String),
    ClientId,
    ClientName,
    Scope,
    Session,
    Issuer,
    Base,
    Request,
    Now,
}

const SOURCES: [&str; 12] = [
    "plain.NAME",
    "user.id",
    "user.PATH",
    "claim.NAME",
    "client.id",
    "client.name",
    "scope",
    "session",
    "issuer",
    "base",
    "request.id",
    "now",
];
impl Template {
    /// Reads a value of a data file; the refusal says what is wrong with it.
    pub(super) fn parse(value: Value, variables: &[(String, String)]) -> Result<Self, String> {
        Ok(match value {
            Value::String(text) => return Self::of_text(&text, variables),
            Value::Array(items) => {
                Self::List(items.into_iter().map(|item| Self::parse(item, variables)).collect::<Result<_, _>>()?)
            }
            Value::Object(members) => {
                let parsed = members.into_iter().map(|(name, value)| Ok((name, Self::parse(value, variables)?)));
                Self::Object(parsed.collect::<Result<_, String>>()?)
            }
            constant => Self::Constant(constant),
        })
    }

    fn of_text(text: &str, variables: &[(String, String)]) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let unclosed = || format!("`{text}` has a brace that is not closed");
            let (inside, behind) = after.split_once('}').ok_or_else(unclosed)?;
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(Part::Place(Place::parse(inside, variables)?));
            rest = behind;
        }
        if parts.is_empty() {
            return Ok(Self::Constant(rest.into()));
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(match parts.pop() {
            Some(Part::Place(place)) if parts.is_empty() => Self::Place(place),
            last => Self::Text(parts.into_iter().chain(last).collect()),
        })
    }

    /// The value, where there is one.
    pub(super) fn fill(&self, facts: &Facts<'_>) -> Option<Value> {
        match self {
            Self::Constant(value) => Some(value.clone()),
            Self::Place(place) => place.fill(facts),
            Self::Text(parts) => {
                let mut text = String::new();
                for part in parts {
                    match part {
                        Part::Text(fixed) => text.push_str(fixed),
                        Part::Place(place) => text.push_str(&as_text(&place.fill(facts)?)),
                    }
                }
                Some(text.into())
            }
            Self::List(items) => {
                let mut list = Vec::new();
                for item in items.iter().filter_map(|item| item.fill(facts)) {
                    let several = if let Value::Array(several) = item { several } else { vec![item] };
                    list.extend(several.into_iter().filter(|one| !list.contains(one)).collect::<Vec<_>>());
                }
                (!list.is_empty()).then_some(list.into())
            }
            Self::Object(members) => {
                let filled = members.iter().filter_map(|(name, value)| Some((name.clone(), value.fill(facts)?)));
                let object: Map<String, Value> = filled.collect();
                (!object.is_empty()).then_some(object.into())
            }
        }
    }

    /// The value as text.
    pub(super) fn text(&self, facts: &Facts<'_>) -> Option<String> {
        self.fill(facts).map(|value| as_text(&value))
    }
}

impl Place {
    fn parse(inside: &str, variables: &[(String, String)]) -> Result<Self, String> {
        let choices = inside.split(',').map(|choice| {
            let mut words = choice.split('|').map(str::trim);
            let source = Source::parse(words.next().unwrap_or_default(), variables)?;
            Ok((source, words.map(Filter::parse).collect::<Result<_, String>>()?))
        });
        choices.collect::<Result<_, _>>().map(Self)
    }

    fn fill(&self, facts: &Facts<'_>) -> Option<Value> {
        self.0.iter().find_map(|(source, filters)| {
            filters.iter().try_fold(source.value(facts)?, |value, filter| filter.of(&value))
        })
    }
}

impl Source {
    fn parse(text: &str, variables: &[(String, String)]) -> Result<Self, String> {
        if let Some(fixed) = text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
            return Ok(Self::Text(fixed.to_owned()));
        }
        if let Some((_, value)) = variables.iter().find(|(name, _)| name == text) {
            return Ok(Self::Text(value.clone()));
        }
        Ok(match (text, text.split_once('.')) {
            ("user.id", _) => Self::UserId,
            ("client.id", _) => Self::ClientId,
            ("client.name", _) => Self::ClientName,
            ("request.id", _) => Self::Request,
            ("scope", _) => Self::Scope,
            ("session", _) => Self::Session,
            ("issuer", _) => Self::Issuer,
            ("base", _) => Self::Base,
            ("now", _) => Self::Now,
            (_, Some(("plain", name))) => Self::Plain(name.to_owned()),
            (_, Some(("claim", name))) => Self::Claim(name.to_owned()),
            (_, Some(("user", path))) => Self::User(path.split('.').map(str::to_owned).collect()),
            _ => {
                let known = SOURCES.into_iter().chain(variables.iter().map(|(name, _)| name.as_str()));
                let hint = nearest(text, known.clone())
                    .map_or_else(|| known.collect::<Vec<_>>().join(", "), |near| format!("did you mean {near}?"));
                return Err(format!("`{text}` fills no place: {hint}"));
            }
        })
    }

    fn value(&self, facts: &Facts<'_>) -> Option<Value> {
        let text = |text: &str| (!text.is_empty()).then(|| Value::from(text));
        let value = match self {
            Self::Text(fixed) => text(fixed),
            Self::Plain(name) => facts.plain?.get(name).cloned(),
            Self::User(path) => path.iter().try_fold(&facts.user?.body, |value, step| below(value, step)).cloned(),
            Self::UserId => text(facts.user.map_or(facts.user_id, |user| user.id.as_str())),
            Self::Claim(name) => facts.user?.named_claims([name.as_str()]).remove(name),
            Self::ClientId => text(&facts.client?.id),
            Self::ClientName => text(&facts.client?.name),
            Self::Scope => text(facts.scope),
            Self::Session => text(facts.session),
            Self::Issuer => text(facts.issuer),
            Self::Base => text(facts.base),
            Self::Request => text(facts.request),
            Self::Now => Some(facts.now.into()),
        };
        value.filter(|value| !value.is_null())
    }
}

fn below<'a>(value: &'a Value, step: &str) -> Option<&'a Value> {
    match value {
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        value => value.get(step),
    }
}

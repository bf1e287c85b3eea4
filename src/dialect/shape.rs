//! What is said: the members that stay of what would have been said, and those that are set.

use serde_json::{Map, Value};

use super::template::{Facts, Template};

/// Members and what they are; without a template a member is taken out.
pub(super) type Members = Vec<(String, Option<Template>)>;

/// The shape of an object.
#[derive(Debug, Default)]
pub struct Shape {
    /// The plain members that stay; all where it does not say.
    pub(super) keep: Option<Vec<String>>,
    /// What is set in any case.
    pub(super) set: Members,
    /// What is set where this word fits: a scope that was granted, or the code of an error.
    pub(super) when: Vec<(String, Members)>,
}

impl Shape {
    /// The object in this shape. A member that has no value is left out.
    pub fn of(&self, plain: &Map<String, Value>, fits: impl Fn(&str) -> bool, facts: &Facts<'_>) -> Map<String, Value> {
        let stays = |name: &str| self.keep.as_ref().is_none_or(|keep| keep.iter().any(|kept| kept == name));
        let members = plain.iter().filter(|(name, _)| stays(name));
        let mut shaped: Map<String, Value> = members.map(|(name, value)| (name.clone(), value.clone())).collect();
        let facts = Facts { plain: Some(plain), ..*facts };
        let when = self.when.iter().filter(|(word, _)| fits(word)).flat_map(|(_, members)| members);
        for (name, template) in self.set.iter().chain(when) {
            match template.as_ref().and_then(|template| template.fill(&facts)) {
                Some(value) => drop(shaped.insert(name.clone(), value)),
                None => drop(shaped.shift_remove(name)),
            }
        }
        shaped
    }
}

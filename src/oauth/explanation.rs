//! Why a request was refused, for whoever has to mend it: what was looked at, what was expected, what came, and what to change.
//!
//! A [`super::Refused`] carries one; it is written at the refusal and nowhere on the way to success. Nothing secret gets in: what a
//! step shows is a [`Told`], which is made of our own words, of numbers, of what a document lists in the open, and of those
//! parameters and claims alone that are known to be public. There is no way from a `Secret` or a `Bearer` to it.

use std::borrow::Cow;
use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Params;

/// More steps are not kept, and no text is longer.
const STEPS: usize = 12;
const LONGEST: usize = 240;

/// The parameters that may be shown. Any other may hold a secret, a token, a code, or what a person typed.
const PUBLIC_PARAMETERS: [&str; 16] = [
    "acr_values",
    "audience",
    "client_assertion_type",
    "client_id",
    "code_challenge",
    "code_challenge_method",
    "grant_type",
    "max_age",
    "post_logout_redirect_uri",
    "prompt",
    "redirect_uri",
    "request_uri",
    "response_mode",
    "response_type",
    "scope",
    "token_type_hint",
];

/// The claims of a client's JWT that may be shown.
const PUBLIC_CLAIMS: [&str; 6] = ["iss", "sub", "aud", "exp", "nbf", "iat"];

/// What was looked at, in order, and what to change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Explanation {
    /// The client, as the request names it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub client_id: Option<Told>,
    /// What was looked at; the last one is why.
    pub steps: Vec<Step>,
    /// What to change.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fix: Option<Cow<'static, str>>,
}

/// One look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// At what.
    pub what: Cow<'static, str>,
    /// What would have been right, where it was not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expected: Option<Told>,
    /// What was there.
    pub found: Told,
    /// Whether that will do.
    pub verdict: Verdict,
}

/// Whether a look found what it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It did.
    Passed,
    /// It did not.
    Failed,
}

/// A text that may be shown: short, printable, and no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Told(String);

impl Explanation {
    /// Of a path at which nothing is, and the one that was likely meant.
    pub fn of_path(meant: Told, path: Told) -> Self {
        let mut explanation = Self::default();
        explanation.step("the path", Some(meant), path);
        explanation.fix =
            Some("Use the path that is expected here, or better, read all of them from discovery.".into());
        explanation
    }

    /// Of a host name that this server does not answer to, and those that it does.
    pub fn of_host(known: Told, host: Told) -> Self {
        let mut explanation = Self::default();
        explanation.step("the Host header", Some(known), host);
        explanation.fix = Some("Reach the server by the host of its issuer, or name the other one with --allowed-host; a proxy must pass Host on.".into());
        explanation
    }

    pub(super) fn step(&mut self, what: &'static str, expected: Option<Told>, found: Told) {
        if self.steps.len() < STEPS {
            let verdict = if expected.is_some() { Verdict::Failed } else { Verdict::Passed };
            self.steps.push(Step { what: what.into(), expected, found, verdict });
        }
    }
}

impl Step {
    /// Whether it is why.
    pub fn failed(&self) -> bool {
        self.verdict == Verdict::Failed
    }
}

impl Told {
    /// What anybody may know, such as an id or a registered URI; of whatever origin, so it is made short and printable.
    pub fn public(text: &str) -> Self {
        let mut told = String::new();
        for (at, c) in text.chars().enumerate() {
            if at == LONGEST {
                told.push('…');
                break;
            }
            match c {
                // Also those that turn the direction of what follows, or show nothing.
                c if c.is_control()
                    || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}') =>
                {
                    let _ = write!(told, "{}", c.escape_unicode());
                }
                c => told.push(c),
            }
        }
        Self(told)
    }

    /// What a document or the settings list in the open.
    pub fn list<'a>(entries: impl IntoIterator<Item = &'a str>) -> Self {
        let entries: Vec<String> = entries.into_iter().take(STEPS).map(|entry| Self::public(entry).0).collect();
        if entries.is_empty() { Self::from("(none)") } else { Self(entries.join(", ")) }
    }

    /// A claim of a JWT that a client made.
    pub fn claim(claims: &Map<String, Value>, name: &str) -> Self {
        match claims.get(name) {
            None => Self::from("(absent)"),
            Some(_) if !PUBLIC_CLAIMS.contains(&name) => Self::from("(there, not shown)"),
            Some(Value::String(text)) => Self::public(text),
            Some(value) => Self::public(&value.to_string()),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Params {
    /// A parameter as it may be shown: itself where it is public, else whether it was sent.
    pub fn told(&self, name: &str) -> Told {
        match self.text(name) {
            None => Told::from("(not sent)"),
            Some(text) if PUBLIC_PARAMETERS.contains(&name) => Told::public(text),
            Some(_) => Told::from("(sent, not shown)"),
        }
    }
}

impl From<&'static str> for Told {
    fn from(text: &'static str) -> Self {
        Self(text.to_owned())
    }
}

impl From<i64> for Told {
    fn from(number: i64) -> Self {
        Self(number.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_short_and_printable() {
        let told = Told::public(&format!("a\n\u{202e}b{}", "x".repeat(1_000)));
        assert!(told.as_str().starts_with("a\\u{a}\\u{202e}bx") && told.as_str().ends_with('…'));
        assert!(told.as_str().chars().count() < LONGEST + 20);
    }

    #[test]
    fn only_public_parameters_and_claims_are_shown() {
        let params = Params::default().with("code", "hush").with("username", "hush").with("scope", "openid");
        assert_eq!(params.told("scope").as_str(), "openid");
        assert_eq!(params.told("state").as_str(), "(not sent)");
        for name in ["code", "username"] {
            assert_eq!(params.told(name).as_str(), "(sent, not shown)");
        }
        let claims = serde_json::json!({ "aud": ["a", "b"], "jti": "hush" });
        let claims = claims.as_object().unwrap();
        assert_eq!(Told::claim(claims, "aud").as_str(), r#"["a","b"]"#);
        assert_eq!(Told::claim(claims, "jti").as_str(), "(there, not shown)");
    }

    #[test]
    fn steps_are_bounded() {
        let mut explanation = Explanation::default();
        (0..100).for_each(|at| explanation.step("a step", None, Told::from(at)));
        assert_eq!(explanation.steps.len(), STEPS);
    }
}

//! The resource types that are documents, and the rules of each that its table of fields cannot say.

use serde_json::{Map, Value};

use super::client;
use super::fields;
use super::is_id;
use super::outcome::Issue;
use super::schema::{self, Field};

/// A type of document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DocumentKind {
    /// An application.
    Client,
    /// A person.
    User,
    /// A consent.
    Grant,
}

/// Every type.
pub const KINDS: [DocumentKind; 3] = [DocumentKind::Client, DocumentKind::User, DocumentKind::Grant];

/// Seconds beyond which a lifetime looks as if it had been meant in milliseconds.
const LOOKS_LIKE_MILLISECONDS: i64 = 10_000_000;

impl DocumentKind {
    /// The name of the type.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "Client",
            Self::User => "User",
            Self::Grant => "Grant",
        }
    }

    /// The type of this name.
    pub fn named(name: &str) -> Option<Self> {
        KINDS.into_iter().find(|kind| kind.name() == name)
    }

    /// Its fields.
    pub const fn fields(self) -> &'static [Field] {
        match self {
            Self::Client => fields::CLIENT,
            Self::User => fields::USER,
            Self::Grant => fields::GRANT,
        }
    }

    /// The paths of its secrets.
    pub const fn secrets(self) -> &'static [&'static str] {
        match self {
            Self::Client => &["secret"],
            Self::User => &["password", "twoFactor.secretKey", "twoFactor.secret"],
            Self::Grant => &[],
        }
    }

    /// Those of them that must be kept as they are, sealed, because they are needed in the clear; all others are hashed.
    pub fn sealed(self, body: &Map<String, Value>) -> &'static [&'static str] {
        match self {
            Self::Client if client::keeps_its_secret(body) => &["secret"],
            Self::User => &["twoFactor.secretKey", "twoFactor.secret"],
            Self::Client | Self::Grant => &[],
        }
    }

    /// Whether the document is switched on.
    pub fn is_active(self, body: &Map<String, Value>) -> bool {
        match self {
            Self::Client => body.get("active") != Some(&Value::Bool(false)),
            Self::User => body.get("inactive") != Some(&Value::Bool(true)),
            Self::Grant => true,
        }
    }

    /// Every problem of a document that has its references in one form and still its secrets.
    pub fn problems(self, body: &Map<String, Value>, http_redirects: bool) -> Vec<Issue> {
        let mut issues = schema::problems(self.name(), self.fields(), body);
        match self {
            Self::Client => client::check(body, http_redirects, &mut issues),
            Self::User => user(body, &mut issues),
            Self::Grant => grant(body, &mut issues),
        }
        issues
    }

    /// What is accepted and still looks wrong.
    pub fn warnings(self, body: &Map<String, Value>) -> Vec<String> {
        let flows = body.get("auth").and_then(Value::as_object).into_iter().flatten();
        let lives = flows.flat_map(|(flow, settings)| {
            settings
                .as_object()
                .into_iter()
                .flatten()
                .map(move |(name, value)| (format!("{}.auth.{flow}.{name}", self.name()), name, value))
        });
        let long = lives.filter(|(_, name, value)| {
            name.ends_with("_expiration") && value.as_i64().is_some_and(|life| life >= LOOKS_LIKE_MILLISECONDS)
        });
        let long = long.map(|(path, _, value)| format!("{path}: {value} looks like milliseconds; the unit is seconds"));
        let elsewhere = (self == Self::Client && body.contains_key("_secret")).then(|| {
            "Client._secret: secrets kept elsewhere are not fetched, so no secret proves this client; give secret itself, from the \
             environment by ${NAME} in a bundle"
                .to_owned()
        });
        let client = if self == Self::Client { client::warnings(body) } else { Vec::new() };
        elsewhere.into_iter().chain(long).chain(client).collect()
    }
}

fn user(body: &Map<String, Value>, issues: &mut Vec<Issue>) {
    for name in ["userName", "email"] {
        if body.get(name).and_then(Value::as_str).is_some_and(|text| text.trim().is_empty() || text.len() > 320) {
            issues.push(Issue::invalid(format!("User.{name}"), "must have 1 to 320 characters"));
        }
    }
    if body.get("password").and_then(Value::as_str).is_some_and(|text| text.is_empty() || text.len() > 1_024) {
        issues.push(Issue::invalid("User.password", "must have 1 to 1,024 characters"));
    }
}

fn grant(body: &Map<String, Value>, issues: &mut Vec<Issue>) {
    for (name, kind) in [("user", "User"), ("client", "Client")] {
        match body.get(name) {
            None => issues.push(Issue {
                code: "required",
                expression: Some(format!("Grant.{name}")),
                diagnostics: "required".into(),
            }),
            Some(reference) if reference.get("resourceType").and_then(Value::as_str) != Some(kind) => {
                issues.push(Issue::invalid(format!("Grant.{name}"), format!("must refer to a {kind}")));
            }
            Some(reference)
                if !reference
                    .get("id")
                    .and_then(Value::as_str)
                    .is_some_and(|id| is_id(id) || is_document(kind, id)) =>
            {
                issues.push(Issue::invalid(format!("Grant.{name}.id"), format!("is no id of a {kind}")));
            }
            Some(_) => {}
        }
    }
}

/// The `client_id` of a client that is described at a URL.
fn is_document(kind: &str, id: &str) -> bool {
    kind == "Client" && id.starts_with("https://") && id.len() <= 512
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn paths(kind: DocumentKind, document: Value) -> Vec<(String, String)> {
        let Value::Object(body) = document else { unreachable!() };
        kind.problems(&body, false)
            .into_iter()
            .map(|issue| (issue.expression.unwrap_or_default(), issue.diagnostics))
            .collect()
    }

    #[test]
    fn every_problem_is_told_with_its_path() {
        let found = paths(
            DocumentKind::Client,
            json!({
                "grant_type": ["code"],
                "grant_types": ["authorisation_code"],
                "auth": {"authorization_code": {"redirect_uri": "http://evil.example/*", "access_token_expiration": 0, "pkec": true}},
            }),
        );
        let told: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(
            told,
            [
                "Client.grant_type",
                "Client.grant_types[0]",
                "Client.auth.authorization_code.access_token_expiration",
                "Client.auth.authorization_code.pkec",
                "Client.auth.authorization_code.redirect_uri",
            ]
        );
        assert!(
            found[0].1.contains("grant_types")
                && found[1].1.contains("authorization_code")
                && found[3].1.contains("pkce")
        );
    }

    #[test]
    fn milliseconds_are_suspected_not_refused() {
        let Value::Object(body) = json!({"auth": {"password": {"access_token_expiration": 3_600_000_000_i64}}}) else {
            unreachable!()
        };
        assert!(DocumentKind::Client.problems(&body, false).is_empty());
        assert_eq!(DocumentKind::Client.warnings(&body).len(), 1);
    }
}

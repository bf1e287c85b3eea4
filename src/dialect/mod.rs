//! Dialects: what well-known providers say otherwise than the specifications, or beyond them, as data.
//!
//! A [`Dialect`] is read from a file of `dialects/`, or of the developer's own ([`file`] is the door): its paths ([`paths`]), and the
//! [`shape`] of what is said, in [`template`]s over the user, the client and what this server would have said itself. It
//! knows no protocol and no HTTP: [`crate::oauth`] asks it where tokens are minted, [`crate::web`] where requests come in and errors
//! go out. Only `dev` has one; elsewhere nothing of this is there.

mod file;
mod filter;
mod paths;
mod shape;
mod template;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

pub use self::file::{CONFIGURATION, REGISTRATION, load};
use self::paths::Route;
pub use self::shape::Shape;
pub use self::template::Facts;
use self::template::Template;
use crate::domain::client::Defaults;
use crate::domain::scope::Scope;

/// The dialects that are built in: their names and their files.
pub const BUILT_IN: [(&str, &str); 7] = [
    ("aidbox", include_str!("../../dialects/aidbox.yaml")),
    ("auth0", include_str!("../../dialects/auth0.yaml")),
    ("cognito", include_str!("../../dialects/cognito.yaml")),
    ("entra", include_str!("../../dialects/entra.yaml")),
    ("google", include_str!("../../dialects/google.yaml")),
    ("keycloak", include_str!("../../dialects/keycloak.yaml")),
    ("okta", include_str!("../../dialects/okta.yaml")),
];

/// The claim of an access token that holds what this server reads in one.
const PLAIN: &str = "countersign";
/// What an access token says in the same words in each dialect.
const FIXED: [&str; 2] = ["iss", "exp"];

/// How a provider speaks.
#[derive(Debug)]
pub struct Dialect {
    /// Whose it is, for people.
    pub title: String,
    /// The path of the issuer below our own URL.
    pub issuer: String,
    /// `typ` of JWT access tokens.
    pub typ: String,
    /// What holds for clients whose documents do not say.
    pub clients: Defaults,
    /// The discovery document.
    pub discovery: Shape,
    /// Answers of the token endpoint.
    pub token_response: Shape,
    /// ID tokens.
    pub id_token: Shape,
    /// Claims at userinfo.
    pub userinfo: Shape,
    access_token: Shape,
    client_token: Shape,
    audience: Option<Template>,
    subject: Option<Template>,
    error: Shape,
    status: Vec<(String, u16)>,
    routes: Vec<Route>,
}

impl Dialect {
    /// The endpoint of a path, by the name of its metadata.
    pub fn endpoint(&self, path: &str) -> Option<&'static str> {
        self.routes.iter().find(|route| route.leads(path)).map(|route| route.endpoint)
    }

    /// The path of an endpoint, where the provider has it.
    pub fn path(&self, endpoint: &str) -> Option<&str> {
        self.routes.iter().find(|route| route.endpoint == endpoint).map(|route| route.path.as_str())
    }

    /// What we call a parameter in the address of an endpoint.
    pub fn parameter<'a>(&'a self, endpoint: &str, name: &'a str) -> &'a str {
        let mut renamed =
            self.routes.iter().filter(|route| route.endpoint == endpoint).flat_map(|route| &route.renamed);
        renamed.find(|(theirs, _)| theirs == name).map_or(name, |(_, ours)| ours)
    }

    /// The `sub` of a person.
    pub fn subject(&self, user_id: &str) -> Option<String> {
        self.subject.as_ref()?.text(&Facts { user_id, ..Facts::default() })
    }

    /// Whom an access token is for where neither the request nor the client's document says.
    pub fn audience(&self, facts: &Facts<'_>) -> Option<String> {
        self.audience.as_ref()?.text(facts)
    }

    /// The claims of an access token. What this server reads in one goes along in a claim of its own, or nobody here could tell it.
    pub fn access_token(&self, plain: &Map<String, Value>, scope: &Scope, facts: &Facts<'_>) -> Map<String, Value> {
        let shape = if facts.user.is_some() { &self.access_token } else { &self.client_token };
        let mut shaped = shape.of(plain, |word| scope.contains(word), facts);
        let mut kept = plain.clone();
        kept.retain(|name, _| !FIXED.contains(&name.as_str()));
        shaped.insert(PLAIN.into(), kept.into());
        shaped
    }

    /// The claims that an access token would have had without a dialect; `None` where it is no access token.
    pub fn plain(&self, mut claims: Map<String, Value>) -> Option<Map<String, Value>> {
        let Some(Value::Object(kept)) = claims.remove(PLAIN) else { return None };
        claims.retain(|name, _| FIXED.contains(&name.as_str()));
        claims.extend(kept);
        Some(claims)
    }

    /// The body of an error, and its status where that is another.
    pub fn error(&self, plain: &Map<String, Value>, facts: &Facts<'_>) -> (Map<String, Value>, Option<u16>) {
        let code = plain.get("error").and_then(Value::as_str).unwrap_or_default();
        let status = self.status.iter().find(|(name, _)| name == code).map(|(_, status)| *status);
        (self.error.of(plain, |name| name == code, facts), status)
    }
}

//! A `User`: a person who signs in. Aidbox's SCIM-shaped document, and the claims OpenID Connect reads from it.

use serde_json::{Map, Value, json};

use super::scope::Scope;

/// A user as sign-in and the token endpoint see it.
#[derive(Clone, Debug)]
pub struct User {
    /// The id; the `sub` of tokens, but for clients that ask for another (`subject_type`).
    pub id: String,
    /// Whether the person may sign in and tokens may be issued.
    pub active: bool,
    /// Raised when everything issued for this person must end: a changed password, a deleted user.
    pub epoch: i64,
    /// When the document last changed, in unix seconds (`updated_at`, Core §5.1).
    pub updated_at: i64,
    /// The document without its secrets.
    pub body: Value,
}

impl User {
    /// What to call the person on a page.
    pub fn label(&self) -> String {
        let text =
            |name| self.body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
        self.full_name().or_else(|| text("userName")).or_else(|| text("email")).unwrap_or_else(|| self.id.clone())
    }

    /// Whether sign-in needs a second factor.
    pub fn needs_second_factor(&self) -> bool {
        self.body.pointer("/twoFactor/enabled") == Some(&Value::Bool(true))
    }

    /// Whether one of the user's `roles` has this value.
    pub fn has_role(&self, role: &str) -> bool {
        let roles = self.body.get("roles").and_then(Value::as_array);
        roles.into_iter().flatten().any(|entry| entry.get("value").and_then(Value::as_str) == Some(role))
    }

    /// The claims that the granted scopes show (Core §5.4), with the `sub` that the client sees; a claim without a value is left out.
    pub fn claims(&self, sub: &str, scope: &Scope) -> Map<String, Value> {
        let mut claims = Map::new();
        claims.insert("sub".into(), json!(sub));
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value.filter(|value| !value.is_null() && *value != "") {
                claims.insert(name.into(), value);
            }
        };
        if scope.contains("profile") {
            for (claim, path) in PROFILE {
                put(claim, self.body.pointer(path).cloned());
            }
            put("name", self.full_name().map(Value::from));
            put("updated_at", Some(json!(self.updated_at)));
        }
        if scope.contains("email") {
            put("email", self.first("/email", "emails"));
            put(
                "email_verified",
                self.first("/email", "emails")
                    .map(|_| json!(self.body.pointer("/data/email_verified") == Some(&Value::Bool(true)))),
            );
        }
        if scope.contains("phone") {
            put("phone_number", self.first("/phoneNumber", "phoneNumbers"));
        }
        if scope.contains("address") {
            put("address", self.address());
        }
        if scope.contains("groups") {
            put("groups", self.role_values());
        }
        claims
    }

    /// The whole document as Aidbox answers it: `sub` beside `id`, no secrets.
    pub fn document(&self) -> Value {
        let mut document = self.body.clone();
        if let Some(fields) = document.as_object_mut() {
            fields.insert("id".into(), json!(self.id));
            fields.insert("sub".into(), json!(self.id));
            fields.insert("resourceType".into(), json!("User"));
        }
        document
    }

    fn full_name(&self) -> Option<String> {
        let text = |path| self.body.pointer(path).and_then(Value::as_str).filter(|text| !text.is_empty());
        text("/displayName").or_else(|| text("/name/formatted")).map(str::to_owned).or_else(|| {
            let parts: Vec<&str> = [text("/name/givenName"), text("/name/familyName")].into_iter().flatten().collect();
            (!parts.is_empty()).then(|| parts.join(" "))
        })
    }

    /// A single-valued field, else the primary (or first) of its SCIM list.
    fn first(&self, path: &str, list: &str) -> Option<Value> {
        self.body.pointer(path).cloned().or_else(|| self.primary(list)?.get("value").cloned())
    }

    fn primary(&self, list: &str) -> Option<&Value> {
        let entries = self.body.get(list)?.as_array()?;
        entries.iter().find(|entry| entry.get("primary") == Some(&Value::Bool(true))).or_else(|| entries.first())
    }

    /// Core §5.1.1.
    fn address(&self) -> Option<Value> {
        let entry = self.primary("addresses")?;
        let members = [
            ("formatted", "formatted"),
            ("street_address", "streetAddress"),
            ("locality", "locality"),
            ("region", "region"),
            ("postal_code", "postalCode"),
            ("country", "country"),
        ];
        let address: Map<String, Value> = members
            .into_iter()
            .filter_map(|(claim, field)| Some((claim.to_owned(), entry.get(field)?.clone())))
            .collect();
        (!address.is_empty()).then_some(Value::Object(address))
    }

    fn role_values(&self) -> Option<Value> {
        let roles = self.body.get("roles")?.as_array()?;
        Some(roles.iter().filter_map(|entry| entry.get("value").cloned()).collect())
    }
}

/// The `profile` claims that are a field of the document.
const PROFILE: [(&str, &str); 10] = [
    ("given_name", "/name/givenName"),
    ("family_name", "/name/familyName"),
    ("middle_name", "/name/middleName"),
    ("nickname", "/data/nickname"),
    ("preferred_username", "/userName"),
    ("profile", "/profileUrl"),
    ("picture", "/photo"),
    ("gender", "/gender"),
    ("zoneinfo", "/timezone"),
    ("locale", "/locale"),
];

/// The scopes that show claims, with the claims each shows, for discovery and the consent page.
pub const CLAIM_SCOPES: [(&str, &[&str]); 5] = [
    (
        "profile",
        &[
            "name",
            "given_name",
            "family_name",
            "middle_name",
            "nickname",
            "preferred_username",
            "profile",
            "picture",
            "gender",
            "zoneinfo",
            "locale",
            "updated_at",
        ],
    ),
    ("email", &["email", "email_verified"]),
    ("phone", &["phone_number"]),
    ("address", &["address"]),
    ("groups", &["groups"]),
];

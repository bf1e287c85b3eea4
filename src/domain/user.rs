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
        self.full_name().unwrap_or_else(|| self.sign_in_name().unwrap_or(&self.id).to_owned())
    }

    /// The name that the person signs in with.
    pub fn sign_in_name(&self) -> Option<&str> {
        self.text("/userName").or_else(|| self.text("/email"))
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

    /// The claims that the granted scopes show (Core §5.4), with the `sub` that the client sees.
    pub fn claims(&self, sub: &str, scope: &Scope) -> Map<String, Value> {
        let shown = CLAIM_SCOPES.iter().filter(|(word, _)| scope.contains(word));
        let shown = self.named_claims(shown.flat_map(|(_, names)| names.iter().copied()));
        [("sub".to_owned(), json!(sub))].into_iter().chain(shown).collect()
    }

    /// The claims of these names; a claim without a value is left out (Core §5.3.2).
    pub fn named_claims<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Map<String, Value> {
        names.into_iter().filter_map(|name| Some((name.to_owned(), self.claim(name)?))).collect()
    }

    /// One claim (Core §5.1), of the type it must have.
    fn claim(&self, name: &str) -> Option<Value> {
        let is_true = |path: &str| json!(self.at(path) == Some(&Value::Bool(true)));
        match name {
            "name" => self.full_name().map(Value::from),
            "picture" => self.first("/photo", "photos").map(Value::from),
            "locale" => self.text("/locale").or_else(|| self.text("/preferredLanguage")).map(Value::from),
            "updated_at" => Some(json!(self.updated_at)),
            "email" => self.first("/email", "emails").map(Value::from),
            "email_verified" => self.first("/email", "emails").map(|_| is_true("/data/email_verified")),
            "phone_number" => self.first("/phoneNumber", "phoneNumbers").map(Value::from),
            "phone_number_verified" => {
                self.first("/phoneNumber", "phoneNumbers").map(|_| is_true("/data/phone_number_verified"))
            }
            "address" => self.address(),
            "groups" => self.role_values(),
            name => {
                let (_, path) = FIELDS.iter().find(|(claim, _)| *claim == name)?;
                self.text(path).map(Value::from)
            }
        }
    }

    /// Whether somebody who types or hints this name means this person: user name, e-mail, phone number or id.
    pub fn is_called(&self, name: &str) -> bool {
        let lists = ["emails", "phoneNumbers"].into_iter().filter_map(|list| self.body.get(list)?.as_array());
        let listed = lists.flatten().filter_map(|entry| entry.get("value")?.as_str());
        let own = ["/userName", "/email", "/phoneNumber"].into_iter().filter_map(|path| self.text(path));
        own.chain(listed).chain([self.id.as_str()]).any(|known| known.to_lowercase() == name.trim().to_lowercase())
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

    /// What is at a path of fields. `Value::pointer` would copy each name, and this is done a dozen times a token.
    fn at(&self, path: &str) -> Option<&Value> {
        path.split('/').skip(1).try_fold(&self.body, |value, field| value.get(field))
    }

    /// A field that has text in it.
    fn text(&self, path: &str) -> Option<&str> {
        self.at(path).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    fn full_name(&self) -> Option<String> {
        self.text("/displayName").or_else(|| self.text("/name/formatted")).map(str::to_owned).or_else(|| {
            let parts = ["/name/givenName", "/name/familyName"].into_iter().filter_map(|path| self.text(path));
            let parts: Vec<&str> = parts.collect();
            (!parts.is_empty()).then(|| parts.join(" "))
        })
    }

    /// A single-valued field, else the primary (or first) of its SCIM list.
    fn first(&self, path: &str, list: &str) -> Option<&str> {
        let listed = || self.primary(list)?.get("value")?.as_str().filter(|text| !text.is_empty());
        self.text(path).or_else(listed)
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
            .filter(|(_, field)| entry.get(field).and_then(Value::as_str).is_some_and(|text| !text.is_empty()))
            .filter_map(|(claim, field)| Some((claim.to_owned(), entry.get(field)?.clone())))
            .collect();
        (!address.is_empty()).then_some(Value::Object(address))
    }

    fn role_values(&self) -> Option<Value> {
        let roles = self.body.get("roles")?.as_array()?;
        let values: Vec<&str> = roles.iter().filter_map(|entry| entry.get("value")?.as_str()).collect();
        (!values.is_empty()).then(|| json!(values))
    }
}

/// The claims that are a field of text of the document; what Aidbox has no field for stands in its open `data`.
const FIELDS: [(&str, &str); 10] = [
    ("given_name", "/name/givenName"),
    ("family_name", "/name/familyName"),
    ("middle_name", "/name/middleName"),
    ("nickname", "/data/nickname"),
    ("preferred_username", "/userName"),
    ("profile", "/profileUrl"),
    ("website", "/data/website"),
    ("gender", "/gender"),
    ("birthdate", "/data/birthdate"),
    ("zoneinfo", "/timezone"),
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
            "website",
            "gender",
            "birthdate",
            "zoneinfo",
            "locale",
            "updated_at",
        ],
    ),
    ("email", &["email", "email_verified"]),
    ("phone", &["phone_number", "phone_number_verified"]),
    ("address", &["address"]),
    ("groups", &["groups"]),
];

/// The scope that shows a claim; `None` for a claim that none does.
pub fn scope_of_claim(name: &str) -> Option<&'static str> {
    CLAIM_SCOPES.iter().find(|(_, names)| names.contains(&name)).map(|(word, _)| *word)
}

//! A `Client`: an application that asks for tokens, with the settings its document carries for each flow.
//!
//! Documents are Aidbox's; [`crate::resources`] is their door and keeps every field. Here are the fields with an effect, and
//! the meaning of an absent one.

use serde::Deserialize;
use serde_json::Value;

use super::client_metadata::hosts;
use super::language::Languages;
use super::redirect_uri::RedirectUri;
use super::response_type::ResponseType;
use super::scope::{ADMIN, Scope};

/// A client as the protocol sees it.
#[derive(Clone, Debug)]
pub struct Client {
    /// The `client_id`.
    pub id: String,
    /// A label for people; the id where there is none.
    pub name: String,
    /// Whether it may do anything at all.
    pub active: bool,
    /// Raised when everything issued to it must end; see the `document` table.
    pub epoch: i64,
    /// The stored form of its secret; a client without one is public (RFC 6749 §2.1).
    pub stored_secret: Option<String>,
    /// What its document says.
    pub document: Document,
    /// Field, language and text of what that says in several languages.
    localized: Vec<(String, String, String)>,
}

/// The fields of a Client document that have an effect.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Document {
    name: Option<String>,
    grant_types: Option<Vec<String>>,
    response_types: Option<Vec<String>>,
    auth: Flows,
    redirect_uri: Option<String>,
    audience: Option<OneOrMany>,
    scope: Option<Vec<String>>,
    /// `first_party`: no consent page, and one session shared with the browser's login.
    pub first_party: bool,
    /// `introspect`: whose tokens it may look into.
    pub introspect: Introspect,
    /// `token_response_userinfo`: whether token answers carry `userinfo`; absent, first-party clients get it.
    pub token_response_userinfo: Option<bool>,
    /// `id_token_claims`: whether ID tokens show the claims of scopes also where an access token goes with them.
    pub id_token_claims: bool,
    /// `token_endpoint_auth_method` (RFC 7591 §2): where present, the only method accepted.
    pub token_endpoint_auth_method: Option<String>,
    /// `token_endpoint_auth_signing_alg` (OIDC Registration §2): where present, the only algorithm of its assertions.
    pub token_endpoint_auth_signing_alg: Option<String>,
    /// Its public keys (RFC 7591 §2), as a JWK Set or, as Aidbox writes it, a list.
    pub jwks: Option<Value>,
    /// Where its public keys are, instead.
    pub jwks_uri: Option<String>,
    /// `request_object_signing_alg` (OIDC Registration §2): where present, the only algorithm of its request objects.
    pub request_object_signing_alg: Option<String>,
    /// `require_signed_request_object` (RFC 9101 §10.5): whether it sends no other requests.
    pub require_signed_request_object: bool,
    /// Where its request objects may be (OIDC Registration §2).
    pub request_uris: Vec<String>,
    /// `id_token_signed_response_alg` (OIDC Registration §2); RS256 where absent.
    pub id_token_signed_response_alg: Option<String>,
    id_token_encrypted_response_alg: Option<String>,
    id_token_encrypted_response_enc: Option<String>,
    /// `userinfo_signed_response_alg` (OIDC Registration §2): where present, userinfo is a JWT.
    pub userinfo_signed_response_alg: Option<String>,
    userinfo_encrypted_response_alg: Option<String>,
    userinfo_encrypted_response_enc: Option<String>,
    /// The algorithm of JWT access tokens; RS256 where absent.
    pub access_token_signed_response_alg: Option<String>,
    /// Where a browser may go after logout (RP-Initiated Logout §3.1).
    pub post_logout_redirect_uris: Vec<String>,
    /// Where logout tokens are posted (Back-Channel Logout §2.2).
    pub backchannel_logout_uri: Option<String>,
    /// What a browser loads when its session ends (Front-Channel Logout §2).
    pub frontchannel_logout_uri: Option<String>,
    /// `default_max_age` in seconds (OIDC Registration §2).
    pub default_max_age: Option<i64>,
    /// `default_acr_values` (OIDC Registration §2): asked for where a request names none.
    pub default_acr_values: Vec<String>,
    /// `initiate_login_uri` (OIDC Registration §2): where a sign-in that the client did not begin is begun (Core §4).
    pub initiate_login_uri: Option<String>,
    /// `policy_uri`, linked on the login and consent pages.
    pub policy_uri: Option<String>,
    /// `tos_uri`, linked on the login and consent pages.
    pub tos_uri: Option<String>,
    /// `logo_uri`, shown on the login and consent pages where it is of our own origin.
    pub logo_uri: Option<String>,
    /// Origins whose scripts may call the token endpoint.
    pub allowed_origins: Vec<String>,
    /// `client_uri`, linked on the login and consent pages.
    pub client_uri: Option<String>,
    /// `registration`: how the client came here, where it registered itself.
    pub registration: Option<Registered>,
    /// `subject_type` (Core §8).
    pub subject_type: SubjectType,
    sector_identifier_uri: Option<String>,
}

/// Who vouched for a client that registered itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Registered {
    /// Nobody: registration was open.
    Open,
    /// Who handed out an initial access token, or an administrator.
    Token,
    /// Whoever signed its software statement.
    Statement,
    /// Whoever runs `countersign dev --permissive`: it was made when a request named it.
    #[serde(rename = "on_demand")]
    OnDemand,
    /// Nobody: it is described at the URL that is its `client_id`.
    #[serde(skip)]
    MetadataDocument,
}

/// Whether every client sees the same `sub` for a person (Core §8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SubjectType {
    /// The same for all.
    #[default]
    Public,
    /// Another one for each sector.
    Pairwise,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Flows {
    authorization_code: Flow,
    client_credentials: Flow,
    password: Flow,
    implicit: Flow,
}

/// The settings of one flow, `auth.<flow>` in the document.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Flow {
    redirect_uri: Option<String>,
    redirect_uris: Vec<String>,
    audience: Option<OneOrMany>,
    client_assertion_types: Vec<String>,
    token_format: Option<String>,
    /// Life of an access token in seconds; the server's default where absent.
    pub access_token_expiration: Option<i64>,
    /// `true`: always a refresh token; `false`: never; absent: where `offline_access` was granted.
    pub refresh_token: Option<bool>,
    /// Idle life of a refresh token in seconds, from issue or last use; absent, it does not expire.
    pub refresh_token_expiration: Option<i64>,
    /// `false`: a client with a secret may do without, with PKCE.
    pub secret_required: Option<bool>,
    /// Whether PKCE is required of a confidential client too.
    pub pkce: bool,
    /// Seconds in which a spent refresh token still returns its successor; the server's where absent.
    pub refresh_grace: Option<i64>,
    /// Whether a refresh may ask for any scope that the user's `Grant` covers.
    pub refresh_scope_from_grant: bool,
}

/// What holds for clients whose documents do not say, in each flow.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Defaults {
    token_format: Option<TokenFormat>,
    access_token_expiration: Option<i64>,
    refresh_token: Option<bool>,
    refresh_token_expiration: Option<i64>,
    refresh_scope_from_grant: bool,
    id_token_claims: bool,
    token_response_userinfo: Option<bool>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum TokenFormat {
    Jwt,
    Opaque,
}

/// Whose tokens a client may introspect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Introspect {
    /// Only tokens issued to it.
    Own,
    /// Also those that name it as their audience.
    #[default]
    Audience,
    /// Any token of this server.
    Any,
}

/// The type of client assertion that is served (RFC 7523 §2.2).
pub const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The grants of this server that a client may be allowed (RFC 6749 §1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantType {
    /// RFC 6749 §4.1
    AuthorizationCode,
    /// RFC 6749 §4.4
    ClientCredentials,
    /// RFC 6749 §4.3
    Password,
    /// RFC 6749 §4.2
    Implicit,
}

impl GrantType {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::AuthorizationCode, Self::ClientCredentials, Self::Password, Self::Implicit];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::ClientCredentials => "client_credentials",
            Self::Password => "password",
            Self::Implicit => "implicit",
        }
    }

    /// The grant of this name; Aidbox's documents also say `code`.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|grant| grant.name() == name || (name == "code" && *grant == Self::AuthorizationCode))
    }
}

/// One value or a list of them, as documents write audiences.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(value) => vec![value],
            Self::Many(values) => values,
        }
    }
}

impl Client {
    /// A client from its stored document. `body` passed the door of `resources` when it was stored; a body that does not
    /// read any more (written by a newer version, say) is an error rather than a client with fewer rules.
    pub fn from_document(
        id: &str,
        epoch: i64,
        active: bool,
        stored_secret: Option<String>,
        body: Value,
    ) -> Result<Self, serde_json::Error> {
        // Aidbox's `_secret` names a secret kept elsewhere, which is not fetched here: the client is confidential all the same, and
        // nothing proves it.
        let stored_secret = stored_secret.or_else(|| body.get("_secret").map(|_| "kept elsewhere".to_owned()));
        let localized = localized(&body);
        let document = Document::deserialize(body)?;
        let name = document.name.clone().filter(|name| !name.trim().is_empty()).unwrap_or_else(|| id.to_owned());
        Ok(Self { id: id.to_owned(), name, active, epoch, stored_secret, document, localized })
    }

    /// With defaults for what its document does not say.
    #[must_use]
    pub fn with(mut self, defaults: &Defaults) -> Self {
        let Flows { authorization_code, client_credentials, password, implicit } = &mut self.document.auth;
        for flow in [authorization_code, client_credentials, password, implicit] {
            let format = defaults.token_format.map(|format| match format {
                TokenFormat::Jwt => "jwt".to_owned(),
                TokenFormat::Opaque => "opaque".to_owned(),
            });
            flow.token_format = flow.token_format.take().or(format);
            flow.access_token_expiration = flow.access_token_expiration.or(defaults.access_token_expiration);
            flow.refresh_token = flow.refresh_token.or(defaults.refresh_token);
            flow.refresh_token_expiration = flow.refresh_token_expiration.or(defaults.refresh_token_expiration);
            flow.refresh_scope_from_grant |= defaults.refresh_scope_from_grant;
        }
        self.document.id_token_claims |= defaults.id_token_claims;
        self.document.token_response_userinfo =
            self.document.token_response_userinfo.or(defaults.token_response_userinfo);
        self
    }

    /// What it says in the language that is wanted most, where that is not what it says without a language.
    pub fn said(&self, field: &str, languages: &Languages) -> Option<&str> {
        let in_tag = |wanted: &str| self.localized.iter().find(|(name, tag, _)| name == field && tag == wanted);
        in_tag(languages.choose(|tag| in_tag(tag).is_some())?).map(|(.., text)| text.as_str())
    }

    /// The addresses of its logo, in whatever language.
    pub fn logo_uris(&self) -> impl Iterator<Item = &str> {
        let localized = self.localized.iter().filter(|(field, ..)| field == "logo_uri").map(|(.., uri)| uri.as_str());
        self.document.logo_uri.as_deref().into_iter().chain(localized)
    }

    /// Whether it cannot keep a secret (RFC 6749 §2.1), which is so where it has none, and no key of its own either.
    pub fn is_public(&self) -> bool {
        self.stored_secret.is_none() && !self.signs_in_with_key(Some(GrantType::AuthorizationCode))
    }

    /// Whether it authenticates with a key of its own (`private_key_jwt`, OIDC Core §9) where it asks for a grant, or anywhere.
    /// Aidbox's documents say so for each grant, in `client_assertion_types`.
    pub fn signs_in_with_key(&self, grant: Option<GrantType>) -> bool {
        let lists = |grant| self.flow(grant).client_assertion_types.iter().any(|name| name == JWT_BEARER);
        match (self.document.token_endpoint_auth_method.as_deref(), grant) {
            (Some(method), _) => method == "private_key_jwt",
            (None, Some(grant)) => lists(grant),
            (None, None) => GrantType::ALL.into_iter().any(lists),
        }
    }

    /// The one method by which it authenticates, where its document names one.
    pub fn auth_method(&self, grant: Option<GrantType>) -> Option<&str> {
        let by_key = self.stored_secret.is_none() && self.signs_in_with_key(grant);
        self.document.token_endpoint_auth_method.as_deref().or(by_key.then_some("private_key_jwt"))
    }

    /// Whether its document allows the grant. A document of 2018 has no `grant_types` and allows the grants of its day, but for
    /// the implicit one, which nobody gets unasked (RFC 9700 §2.1.2).
    pub fn allows(&self, grant: GrantType) -> bool {
        match &self.document.grant_types {
            Some(names) => names.iter().any(|name| GrantType::named(name) == Some(grant)),
            None => grant != GrantType::Implicit,
        }
    }

    /// Whether its document lists the response type, or lists none and this is the one that is meant then: `code` (RFC 7591 §2),
    /// or what Aidbox's clients ask for whose only grant in a browser is the implicit one.
    pub fn may_ask_for(&self, wanted: ResponseType) -> bool {
        match &self.document.response_types {
            Some(listed) => listed.iter().any(|text| ResponseType::parse(text) == Some(wanted)),
            None if self.allows(GrantType::AuthorizationCode) => wanted == ResponseType::CODE,
            None => self.allows(GrantType::Implicit) && wanted.token && !wanted.code,
        }
    }

    /// Whether its document allows HTTP Basic on the REST surface (Aidbox's grant type `basic`).
    pub fn allows_basic(&self) -> bool {
        self.document.grant_types.iter().flatten().any(|name| name == "basic")
    }

    /// The settings for a grant.
    pub const fn flow(&self, grant: GrantType) -> &Flow {
        match grant {
            GrantType::AuthorizationCode => &self.document.auth.authorization_code,
            GrantType::ClientCredentials => &self.document.auth.client_credentials,
            GrantType::Password => &self.document.auth.password,
            GrantType::Implicit => &self.document.auth.implicit,
        }
    }

    /// The registered redirect URIs, in their order: of the flows, then of the 2018 shape (comma-separated at the top level).
    pub fn redirect_uris(&self) -> Vec<RedirectUri> {
        let flows = [GrantType::AuthorizationCode, GrantType::Implicit].map(|grant| self.flow(grant)).into_iter();
        let own = flows.flat_map(|flow| flow.redirect_uri.iter().chain(&flow.redirect_uris)).map(String::as_str);
        let legacy = self.document.redirect_uri.iter().flat_map(|list| list.split(',')).map(str::trim);
        let all = own.chain(legacy);
        let mut uris: Vec<RedirectUri> = Vec::new();
        for uri in all.filter(|uri| !uri.is_empty()).map(RedirectUri::stored) {
            if !uris.contains(&uri) {
                uris.push(uri);
            }
        }
        uris
    }

    /// Whether nobody vouched for what it says of itself.
    pub fn is_unverified(&self) -> bool {
        matches!(self.document.registration, Some(Registered::Open | Registered::MetadataDocument))
    }

    /// Whether it was made when a request named it, in a developer's realm.
    pub fn is_on_demand(&self) -> bool {
        self.document.registration == Some(Registered::OnDemand)
    }

    /// Whether its document lists the scope that administers; no list at all is not "everything".
    pub fn may_administer(&self) -> bool {
        self.allowed_scope().is_some_and(|scope| scope.contains(ADMIN))
    }

    /// The sector of its pairwise identifiers (Core §8.1): the host of its `sector_identifier_uri`, else of its redirect URIs; the
    /// client itself where it has neither.
    pub fn sector(&self) -> String {
        let redirect_uris = self.redirect_uris();
        let uris: Vec<&str> = match &self.document.sector_identifier_uri {
            Some(uri) => vec![uri],
            None => redirect_uris.iter().map(RedirectUri::as_str).collect(),
        };
        hosts(uris).into_iter().next().unwrap_or_else(|| self.id.clone())
    }

    /// The scopes it may ask for; `None` where its document does not limit them.
    pub fn allowed_scope(&self) -> Option<Scope> {
        self.document.scope.as_ref().map(|words| Scope::from_words(words.iter().map(String::as_str)))
    }

    /// The audiences its document names for a grant.
    pub fn audiences(&self, grant: GrantType) -> Vec<String> {
        let audience = self.flow(grant).audience.clone().or_else(|| self.document.audience.clone());
        audience.map(OneOrMany::into_vec).unwrap_or_default()
    }

    /// Whether PKCE is demanded of an authorization request: of public clients always (RFC 9700 §2.1.1), of those that may do
    /// without their secret, and where the document asks for it.
    pub fn requires_pkce(&self) -> bool {
        let flow = self.flow(GrantType::AuthorizationCode);
        self.is_public() || flow.pkce || flow.secret_required == Some(false)
    }

    /// Whether a client with a secret may redeem a code without it.
    pub fn secret_is_optional(&self, grant: GrantType) -> bool {
        self.flow(grant).secret_required == Some(false)
    }

    /// Whether it is to be told when a login ends in which it got an ID token.
    pub const fn wants_to_hear_of_logout(&self) -> bool {
        self.document.backchannel_logout_uri.is_some() || self.document.frontchannel_logout_uri.is_some()
    }

    /// The signing algorithm of its ID tokens (OIDC Registration §2: RS256 where the client does not say).
    pub fn id_token_alg(&self) -> &str {
        self.document.id_token_signed_response_alg.as_deref().unwrap_or("RS256")
    }

    /// How its ID tokens are encrypted, `alg` and `enc`, where they are.
    pub fn id_token_encryption(&self) -> Option<(&str, &str)> {
        let document = &self.document;
        document.id_token_encrypted_response_alg.as_deref().zip(document.id_token_encrypted_response_enc.as_deref())
    }

    /// How its answers from userinfo are encrypted, where they are.
    pub fn userinfo_encryption(&self) -> Option<(&str, &str)> {
        let document = &self.document;
        document.userinfo_encrypted_response_alg.as_deref().zip(document.userinfo_encrypted_response_enc.as_deref())
    }

    /// The signing algorithm of its JWT access tokens (RFC 9068 §2.1 wants RS256 supported; it is what most expect).
    pub fn access_token_alg(&self) -> &str {
        self.document.access_token_signed_response_alg.as_deref().unwrap_or("RS256")
    }
}

/// The members `field#tag` (RFC 7591 §2.2), the tags in lower case.
fn localized(body: &Value) -> Vec<(String, String, String)> {
    let members = body.as_object().into_iter().flatten();
    let split = |(member, value): (&String, &Value)| {
        let (field, tag) = member.split_once('#')?;
        let text = value.as_str().filter(|text| !text.trim().is_empty())?;
        Some((field.to_owned(), tag.to_ascii_lowercase(), text.to_owned()))
    };
    members.filter_map(split).collect()
}

impl Flow {
    /// Whether access tokens are JWTs (RFC 9068) rather than opaque.
    pub fn is_jwt(&self) -> bool {
        self.token_format.as_deref() == Some("jwt")
    }
}

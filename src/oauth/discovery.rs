//! What this server says of itself (OpenID Connect Discovery §3, RFC 8414 §2), put together from what it really serves.

use serde_json::{Map, Value, json};

use super::Provider;
use super::authorize::PROMPTS;
use super::keys::ALGORITHMS;
use super::metadata_document::Hosts;
use crate::dialect::{Facts, REGISTRATION};
use crate::domain::client::GrantType;
use crate::domain::jwk::{CONTENT_ALGORITHMS, ENCRYPTION_ALGORITHMS, SECRET_ALGORITHMS, SIGNING_ALGORITHMS};
use crate::domain::response_type::{RESPONSE_TYPES, ResponseMode, ResponseType};
use crate::domain::scope::{OFFLINE_ACCESS, OPENID};
use crate::domain::user::CLAIM_SCOPES;

/// The endpoints by the name of their metadata, with their canonical paths; the routes are made from the same list.
pub const ENDPOINTS: [(&str, &str); 8] = [
    ("authorization_endpoint", "/oauth2/authorize"),
    ("token_endpoint", "/oauth2/token"),
    ("userinfo_endpoint", "/oauth2/userinfo"),
    ("introspection_endpoint", "/oauth2/introspect"),
    ("revocation_endpoint", "/oauth2/revoke"),
    ("end_session_endpoint", "/oauth2/logout"),
    ("check_session_iframe", "/oauth2/check_session"),
    ("jwks_uri", "/.well-known/jwks.json"),
];

/// Where clients register (RFC 7591), where they may.
pub const REGISTRATION_PATH: &str = "/oauth2/register";

/// The endpoints that a browser is sent to; all others are for programs.
const IN_THE_BROWSER: [&str; 3] = ["authorization_endpoint", "end_session_endpoint", "check_session_iframe"];

/// Other paths of endpoints, which are the same in everything.
pub const ALIASES: [(&str, &[&str]); 5] = [
    // Aidbox's own samples write a slash behind the path.
    ("authorization_endpoint", &["/auth/authorize", "/auth/authorize/", "/authorization"]),
    ("token_endpoint", &["/auth/token", "/token"]),
    ("userinfo_endpoint", &["/auth/userinfo", "/userinfo"]),
    ("introspection_endpoint", &["/auth/introspect"]),
    ("end_session_endpoint", &["/auth/logout"]),
];

/// How a client may authenticate.
pub(super) const CLIENT_AUTHENTICATION: [&str; 5] =
    ["client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "none"];

/// Every path of an endpoint, the canonical one first.
pub fn paths(endpoint: &str) -> impl Iterator<Item = &'static str> {
    let canonical = ENDPOINTS.into_iter().filter(move |(name, _)| *name == endpoint).map(|(_, path)| path);
    let aliases = ALIASES.into_iter().filter(move |(name, _)| *name == endpoint).flat_map(|(_, paths)| paths);
    canonical.chain(aliases.copied())
}

impl Provider {
    /// Both discovery documents; they are the same.
    pub fn discovery(&self) -> Value {
        self.discovery_at(self.issuer())
    }

    /// What is really served, in whatever dialect.
    pub fn offers(&self) -> Value {
        self.metadata(self.issuer()).into()
    }

    /// The same for those who reach this server at `base`. The issuer is one for all, since it is compared with that of tokens, and so
    /// is what a browser is sent to; what programs call is where they can call it.
    pub fn discovery_at(&self, base: &str) -> Value {
        let mut metadata = self.metadata(base);
        if let Some(dialect) = self.dialect() {
            for (name, ours) in ENDPOINTS.into_iter().chain([(REGISTRATION, REGISTRATION_PATH)]) {
                let Some(Value::String(url)) = metadata.get(name) else { continue };
                let at = url.strip_suffix(ours).unwrap_or_default();
                match dialect.path(name) {
                    Some(theirs) => metadata.insert(name.into(), format!("{at}{theirs}").into()),
                    None => metadata.shift_remove(name),
                };
            }
            let facts = Facts { issuer: self.iss(), base, ..Facts::default() };
            metadata = dialect.discovery.of(&metadata, |_| false, &facts);
        }
        metadata.into()
    }

    fn metadata(&self, base: &str) -> Map<String, Value> {
        let mut grants =
            vec![GrantType::AuthorizationCode.name(), "refresh_token", GrantType::ClientCredentials.name()];
        if self.rules.password_grant {
            grants.push(GrantType::Password.name());
        }
        if self.rules.implicit_grant {
            grants.push(GrantType::Implicit.name());
        }
        let served = |text: &&str| {
            self.rules.implicit_grant || ResponseType::parse(text).is_some_and(|wanted| !wanted.is_implicit())
        };
        let response_types: Vec<&str> = RESPONSE_TYPES.into_iter().filter(served).collect();
        let scopes: Vec<&str> =
            [OPENID, OFFLINE_ACCESS].into_iter().chain(CLAIM_SCOPES.iter().map(|(scope, _)| *scope)).collect();
        let claims: Vec<&str> = ["sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "at_hash", "sid"]
            .into_iter()
            .chain(CLAIM_SCOPES.iter().flat_map(|(_, claims)| claims.iter().copied()))
            .collect();
        let assertions: Vec<&str> = SIGNING_ALGORITHMS.iter().chain(SECRET_ALGORITHMS).copied().collect();
        let mut metadata = Map::new();
        metadata.insert("issuer".into(), json!(self.iss()));
        for (name, path) in ENDPOINTS {
            let base = if IN_THE_BROWSER.contains(&name) { self.issuer() } else { base };
            metadata.insert(name.into(), json!(format!("{base}{path}")));
        }
        let rest = json!({
            "response_types_supported": response_types,
            "response_modes_supported": ResponseMode::ALL.map(ResponseMode::name),
            "grant_types_supported": grants,
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": scopes,
            "claims_supported": claims,
            "subject_types_supported": ["public", "pairwise"],
            "claim_types_supported": ["normal"],
            "acr_values_supported": [self.acr()],
            "display_values_supported": ["page"],
            "ui_locales_supported": ["en"],
            "id_token_signing_alg_values_supported": ALGORITHMS,
            "id_token_encryption_alg_values_supported": ENCRYPTION_ALGORITHMS,
            "id_token_encryption_enc_values_supported": CONTENT_ALGORITHMS,
            "userinfo_signing_alg_values_supported": ALGORITHMS,
            "userinfo_encryption_alg_values_supported": ENCRYPTION_ALGORITHMS,
            "userinfo_encryption_enc_values_supported": CONTENT_ALGORITHMS,
            "token_endpoint_auth_methods_supported": CLIENT_AUTHENTICATION,
            "token_endpoint_auth_signing_alg_values_supported": assertions,
            "introspection_endpoint_auth_methods_supported": CLIENT_AUTHENTICATION[..4],
            "introspection_endpoint_auth_signing_alg_values_supported": assertions,
            "revocation_endpoint_auth_methods_supported": CLIENT_AUTHENTICATION,
            "revocation_endpoint_auth_signing_alg_values_supported": assertions,
            "prompt_values_supported": PROMPTS,
            "backchannel_logout_supported": true,
            "backchannel_logout_session_supported": true,
            "frontchannel_logout_supported": true,
            "frontchannel_logout_session_supported": true,
            "authorization_response_iss_parameter_supported": true,
            "claims_parameter_supported": true,
            "request_parameter_supported": true,
            "request_uri_parameter_supported": true,
            "require_request_uri_registration": true,
            // Of each client whose document says so (RFC 9101 §10.5), not of all.
            "require_signed_request_object": false,
            // Unsigned ones are for clients that register that; whoever registers nothing may use any of these.
            "request_object_signing_alg_values_supported": SIGNING_ALGORITHMS,
        });
        if self.rules.registration {
            metadata.insert("registration_endpoint".into(), json!(format!("{base}{REGISTRATION_PATH}")));
        }
        let documents = self.rules.metadata_documents != Hosts::Only(Vec::new());
        metadata.insert("client_id_metadata_document_supported".into(), json!(documents));
        if let Value::Object(rest) = rest {
            metadata.extend(rest);
        }
        metadata
    }
}

//! The fields of each resource type: Aidbox's, ours (marked so), and the client metadata of RFC 7591 under its own names.
//!
//! A field without an effect here is stored and returned all the same.

use super::schema::{Field, Kind, field};
use crate::domain::jwk::{
    CONTENT_ALGORITHMS, ENCRYPTION_ALGORITHMS, SECRET_ALGORITHMS, SERVED_ALGORITHMS, SIGNING_ALGORITHMS,
};

/// The grants a document may name; `code` is Aidbox's other word for `authorization_code`.
const GRANTS: &[&str] = &[
    "basic",
    "authorization_code",
    "code",
    "password",
    "client_credentials",
    "implicit",
    "refresh_token",
    "urn:ietf:params:oauth:grant-type:token-exchange",
];
/// How a client may authenticate (RFC 7591 §2, OpenID Connect Core §9).
const AUTHENTICATION: &[&str] =
    &["client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "none"];
/// What a client may sign its assertions and its request objects with.
const ASSERTION: [&str; 14] = joined(SIGNING_ALGORITHMS, SECRET_ALGORITHMS);
const REQUEST_OBJECT: [&str; 12] = joined(SIGNING_ALGORITHMS, &["none"]);

/// One list after the other; they have as many entries as the answer.
const fn joined<const N: usize>(first: &[&'static str], second: &[&'static str]) -> [&'static str; N] {
    assert!(first.len() + second.len() == N);
    let mut all = [""; N];
    let mut at = 0;
    while at < N {
        all[at] = if at < first.len() { first[at] } else { second[at - first.len()] };
        at += 1;
    }
    all
}

const FLOW: &[Field] = &[
    field("redirect_uri", Kind::Text),
    field("redirect_uris", Kind::Texts), // ours
    field("token_format", Kind::OneOf(&["jwt"])),
    field("access_token_expiration", Kind::Seconds),
    field("refresh_token", Kind::Boolean),
    field("refresh_token_expiration", Kind::Seconds),
    field("audience", Kind::TextOrTexts),
    field("secret_required", Kind::Boolean),
    field("pkce", Kind::Boolean),
    field("client_assertion_types", Kind::Texts),
    field("default_identity_provider", Kind::Reference),
    field("refresh_grace", Kind::SecondsOrNone),      // ours
    field("refresh_scope_from_grant", Kind::Boolean), // ours
];

/// Of a `Client`.
pub const CLIENT: &[Field] = &[
    field("secret", Kind::Text),
    field("_secret", Kind::Open),
    field("active", Kind::Boolean),
    field("name", Kind::Text),
    field("description", Kind::Text),
    field("type", Kind::Text),
    field("first_party", Kind::Boolean),
    field("trusted", Kind::Boolean),
    field("grant_types", Kind::SomeOf(GRANTS)),
    field(
        "auth",
        Kind::Object(&[
            field("authorization_code", Kind::Object(FLOW)),
            field("client_credentials", Kind::Object(FLOW)),
            field("password", Kind::Object(FLOW)),
            field("implicit", Kind::Object(FLOW)),
            field("token_exchange", Kind::Object(FLOW)),
        ]),
    ),
    field("allowed_origins", Kind::Texts),
    field("allowedIssuers", Kind::Texts),
    field("scope", Kind::Texts),
    field("allowed-scopes", Kind::References),
    field("scopes", Kind::Objects(&[field("policy", Kind::Reference), field("parameters", Kind::Open)])),
    field("jwks", Kind::Open),
    field("jwks_uri", Kind::Url),
    field("smart", Kind::Open),
    field("fhir-base-url", Kind::Text),
    field("details", Kind::Open),
    field("_source", Kind::Text),
    field("redirect_uri", Kind::Text),
    field("audience", Kind::TextOrTexts),
    // Ours.
    field("registration", Kind::OneOf(&["open", "token", "statement", "on_demand"])),
    field("introspect", Kind::OneOf(&["own", "audience", "any"])),
    field("token_response_userinfo", Kind::Boolean),
    field("id_token_claims", Kind::Boolean),
    field("access_token_signed_response_alg", Kind::OneOf(&SERVED_ALGORITHMS)),
    // RFC 7591 §2, OpenID Connect Registration §2, RP-Initiated Logout §3.1, Back- and Front-Channel Logout §2.2.
    field("client_uri", Kind::Url),
    field("logo_uri", Kind::Url),
    field("policy_uri", Kind::Url),
    field("tos_uri", Kind::Url),
    field("contacts", Kind::Texts),
    field("software_id", Kind::Text),
    field("software_version", Kind::Text),
    field("software_statement", Kind::Text),
    field("application_type", Kind::OneOf(&["web", "native"])),
    field("response_types", Kind::Texts),
    field("token_endpoint_auth_method", Kind::OneOf(AUTHENTICATION)),
    field("token_endpoint_auth_signing_alg", Kind::OneOf(&ASSERTION)),
    field("id_token_signed_response_alg", Kind::OneOf(&SERVED_ALGORITHMS)),
    field("id_token_encrypted_response_alg", Kind::OneOf(ENCRYPTION_ALGORITHMS)),
    field("id_token_encrypted_response_enc", Kind::OneOf(CONTENT_ALGORITHMS)),
    field("userinfo_signed_response_alg", Kind::OneOf(&SERVED_ALGORITHMS)),
    field("userinfo_encrypted_response_alg", Kind::OneOf(ENCRYPTION_ALGORITHMS)),
    field("userinfo_encrypted_response_enc", Kind::OneOf(CONTENT_ALGORITHMS)),
    field("request_object_signing_alg", Kind::OneOf(&REQUEST_OBJECT)),
    field("require_signed_request_object", Kind::Boolean),
    field("request_uris", Kind::Texts),
    field("sector_identifier_uri", Kind::Url),
    field("subject_type", Kind::OneOf(&["public", "pairwise"])),
    field("default_max_age", Kind::SecondsOrNone),
    field("require_auth_time", Kind::Boolean),
    field("default_acr_values", Kind::Texts),
    field("initiate_login_uri", Kind::Url),
    field("post_logout_redirect_uris", Kind::Texts),
    field("backchannel_logout_uri", Kind::Url),
    field("backchannel_logout_session_required", Kind::Boolean),
    field("frontchannel_logout_uri", Kind::Url),
    field("frontchannel_logout_session_required", Kind::Boolean),
];

/// SCIM's multi-valued attributes.
const MULTI: Kind = Kind::Objects(&[
    field("value", Kind::Text),
    field("display", Kind::Text),
    field("type", Kind::Text),
    field("primary", Kind::Boolean),
]);

/// Of a `User`.
pub const USER: &[Field] = &[
    field("userName", Kind::Text),
    field("email", Kind::Text),
    field("password", Kind::Text),
    field("inactive", Kind::Boolean),
    field("active", Kind::Boolean),
    field(
        "twoFactor",
        Kind::Object(&[
            field("enabled", Kind::Boolean),
            field("secretKey", Kind::Text),
            field("secret", Kind::Text),
            field("transport", Kind::Text),
        ]),
    ),
    field("passwordResetJti", Kind::Text),
    field("fhirUser", Kind::Reference),
    field("identifier", Kind::Open),
    field("data", Kind::Open),
    field("link", Kind::Objects(&[field("link", Kind::Reference), field("type", Kind::Text)])),
    field("roles", MULTI),
    field("securityLabel", Kind::Objects(&[field("system", Kind::Text), field("code", Kind::Text)])),
    field(
        "name",
        Kind::Object(&[
            field("formatted", Kind::Text),
            field("familyName", Kind::Text),
            field("givenName", Kind::Text),
            field("middleName", Kind::Text),
            field("honorificPrefix", Kind::Text),
            field("honorificSuffix", Kind::Text),
        ]),
    ),
    field("displayName", Kind::Text),
    field("title", Kind::Text),
    field("userType", Kind::Text),
    field("gender", Kind::Text),
    field("locale", Kind::Text),
    field("timezone", Kind::Text),
    field("preferredLanguage", Kind::Text),
    field("photo", Kind::Text),
    field("profileUrl", Kind::Text),
    field("phoneNumber", Kind::Text),
    field("employeeNumber", Kind::Text),
    field("costCenter", Kind::Text),
    field("department", Kind::Text),
    field("division", Kind::Text),
    field("manager", Kind::Reference),
    field("organization", Kind::Reference),
    field("emails", MULTI),
    field("phoneNumbers", MULTI),
    field("ims", MULTI),
    field("photos", MULTI),
    field("entitlements", MULTI),
    field("x509Certificates", MULTI),
    field(
        "addresses",
        Kind::Objects(&[
            field("formatted", Kind::Text),
            field("streetAddress", Kind::Text),
            field("locality", Kind::Text),
            field("region", Kind::Text),
            field("postalCode", Kind::Text),
            field("country", Kind::Text),
            field("type", Kind::Text),
            field("primary", Kind::Boolean),
        ]),
    ),
];

/// Of a `Grant`.
pub const GRANT: &[Field] = &[
    field("user", Kind::Reference),
    field("client", Kind::Reference),
    field("patient", Kind::Reference),
    field("requested-scope", Kind::Texts),
    field("provided-scope", Kind::Texts),
    field("scope", Kind::Text),
    field("resource", Kind::Texts),
    field("start", Kind::Text),
];

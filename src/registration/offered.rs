//! What this server offers in discovery, held against what a client asks for: the one is accepted if and only if it is in the other.

use serde_json::{Map, Value, json};

use crate::domain::client_metadata::{Wrong, in_order};
use crate::resources::DocumentKind;

/// Members of client metadata, and the member of discovery that lists what they may be.
const CHOICES: [(&str, &str); 15] = [
    ("grant_types", "grant_types_supported"),
    ("response_types", "response_types_supported"),
    ("token_endpoint_auth_method", "token_endpoint_auth_methods_supported"),
    ("token_endpoint_auth_signing_alg", "token_endpoint_auth_signing_alg_values_supported"),
    ("subject_type", "subject_types_supported"),
    ("access_token_signed_response_alg", "id_token_signing_alg_values_supported"),
    ("id_token_signed_response_alg", "id_token_signing_alg_values_supported"),
    ("id_token_encrypted_response_alg", "id_token_encryption_alg_values_supported"),
    ("id_token_encrypted_response_enc", "id_token_encryption_enc_values_supported"),
    ("userinfo_signed_response_alg", "userinfo_signing_alg_values_supported"),
    ("userinfo_encrypted_response_alg", "userinfo_encryption_alg_values_supported"),
    ("userinfo_encrypted_response_enc", "userinfo_encryption_enc_values_supported"),
    ("request_object_signing_alg", "request_object_signing_alg_values_supported"),
    ("request_object_encryption_alg", "request_object_encryption_alg_values_supported"),
    ("request_object_encryption_enc", "request_object_encryption_enc_values_supported"),
];

/// The discovery document.
#[derive(Debug)]
pub(super) struct Offered(Value);

impl Offered {
    pub(super) const fn new(discovery: Value) -> Self {
        Self(discovery)
    }

    /// The document without what this server does not know, and with its defaults in it (RFC 7591 §2); or what it does not offer.
    pub(super) fn hold_against(&self, mut document: Map<String, Value>) -> Result<Map<String, Value>, Wrong> {
        document.retain(|field, _| is_known(field));
        document.entry("token_endpoint_auth_method").or_insert_with(|| json!("client_secret_basic"));
        for (member, list) in CHOICES {
            let Some(offered) = self.0.get(list).and_then(Value::as_array) else {
                // Nothing of the kind is served: it is not registered, which the answer shows.
                document.remove(member);
                continue;
            };
            let Some(asked) = document.get(member) else { continue };
            let is_offered = |value: &Value| match value.as_str() {
                Some(text) if member == "response_types" => {
                    offered.iter().filter_map(Value::as_str).any(|one| in_order(one) == in_order(text))
                }
                _ => offered.contains(value),
            };
            let asked = asked.as_array().map_or(std::slice::from_ref(asked), Vec::as_slice);
            if let Some(other) = asked.iter().find(|value| !is_offered(value)) {
                let offered: Vec<&str> = offered.iter().filter_map(Value::as_str).collect();
                let text = format!("{member} cannot be {other} here; it can be {}", offered.join(", "));
                return Err(Wrong::Metadata(text));
            }
        }
        credentials(&document)?;
        Ok(document)
    }
}

/// What the authentication method asks for.
fn credentials(document: &Map<String, Value>) -> Result<(), Wrong> {
    let wrong = |text: &str| Err(Wrong::Metadata(text.to_owned()));
    let method = document.get("token_endpoint_auth_method").and_then(Value::as_str).unwrap_or_default();
    let has_keys = document.contains_key("jwks") || document.contains_key("jwks_uri");
    if method == "private_key_jwt" && !has_keys {
        return wrong("token_endpoint_auth_method private_key_jwt needs jwks or jwks_uri");
    }
    if method == "none" && super::may_act_for_itself(document) {
        return wrong("the grant client_credentials needs a client that authenticates (RFC 6749 section 4.4)");
    }
    Ok(())
}

/// Whether the Client document has this field, its language aside.
fn is_known(field: &str) -> bool {
    let name = field.split('#').next().unwrap_or(field);
    DocumentKind::Client.fields().iter().any(|known| known.name == name)
}

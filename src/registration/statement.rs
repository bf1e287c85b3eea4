//! Software statements (RFC 7591 §2.3): metadata that somebody signed whom the operator believes.

use std::collections::HashMap;

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Map, Value};

use crate::domain::time::Timestamp;
use crate::oauth::{ErrorCode, Refused};

/// Asymmetric signatures alone: whoever verifies must not be able to sign.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// Seconds that the issuer's clock may be ahead.
const LEEWAY: i64 = 60;
/// Claims of the JWT itself rather than of the client.
const OF_THE_JWT: [&str; 7] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti"];

/// The issuers that are believed, with their keys.
#[derive(Clone, Debug, Default)]
pub struct Issuers(HashMap<String, JwkSet>);

impl Issuers {
    /// Adds an issuer with its JSON Web Key Set; the error says what is wrong with the set.
    pub fn add(&mut self, issuer: &str, jwks: &str) -> Result<(), String> {
        let keys: JwkSet = serde_json::from_str(jwks).map_err(|error| error.to_string())?;
        if keys.keys.is_empty() || keys.keys.iter().any(|key| DecodingKey::from_jwk(key).is_err()) {
            return Err("holds no keys, or one that cannot be read".to_owned());
        }
        self.0.insert(issuer.to_owned(), keys);
        Ok(())
    }

    /// What a statement says of the client, if we believe it.
    pub(super) fn verify(&self, statement: &str, now: Timestamp) -> Result<Map<String, Value>, Refused> {
        let invalid = |text: &str| Refused::new(ErrorCode::InvalidSoftwareStatement, text);
        let header = decode_header(statement).map_err(|_| invalid("software_statement is not a signed JWT"))?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(invalid("software_statement is not signed with an asymmetric algorithm that is known here"));
        }
        // The issuer only says which keys to try; nothing else is read before the signature holds.
        let issuer = jsonwebtoken::dangerous::insecure_decode::<Map<String, Value>>(statement)
            .ok()
            .and_then(|unproven| unproven.claims.get("iss")?.as_str().map(str::to_owned));
        let issuer = issuer.ok_or_else(|| invalid("software_statement has no iss (RFC 7591 section 2.3)"))?;
        let Some(keys) = self.0.get(&issuer) else {
            let text = format!("software statements of {issuer} are not approved here");
            return Err(Refused::new(ErrorCode::UnapprovedSoftwareStatement, text));
        };
        let mut validation = Validation::new(header.alg);
        validation.required_spec_claims.clear();
        // Times are compared with our clock, below.
        validation.validate_exp = false;
        validation.validate_aud = false;
        let fits = |kid: &Option<String>| header.kid.is_none() || kid.is_none() || *kid == header.kid;
        let mut claims = keys
            .keys
            .iter()
            .filter(|key| fits(&key.common.key_id))
            .filter_map(|key| DecodingKey::from_jwk(key).ok())
            .find_map(|key| decode::<Map<String, Value>>(statement, &key, &validation).ok())
            .map(|verified| verified.claims)
            .ok_or_else(|| invalid("software_statement is not signed by a key of its issuer"))?;
        // RFC 7519 §4.1: a time that is no number is no time.
        let time = |name: &str| claims.get(name).map(|value| value.as_i64().unwrap_or_default());
        if time("exp").is_some_and(|at| at <= now.0) || time("nbf").is_some_and(|at| at == 0 || at > now.0 + LEEWAY) {
            return Err(invalid("software_statement has expired or is not valid yet"));
        }
        claims.retain(|name, _| !OF_THE_JWT.contains(&name.as_str()) && name != "software_statement");
        Ok(claims)
    }
}

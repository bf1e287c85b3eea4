//! Software statements (RFC 7591 §2.3): metadata that somebody signed whom the operator believes.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::domain::jwk::{KeySet, Material, SIGNING_ALGORITHMS};
use crate::domain::time::Timestamp;
use crate::oauth::explanation::Told;
use crate::oauth::jws::{self, Jws};
use crate::oauth::{ErrorCode, Refused};

/// Seconds that the issuer's clock may be ahead.
const LEEWAY: i64 = 60;
/// Claims of the JWT itself rather than of the client.
const OF_THE_JWT: [&str; 7] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti"];

/// The issuers that are believed, with their keys.
#[derive(Clone, Debug, Default)]
pub struct Issuers(HashMap<String, KeySet>);

impl Issuers {
    /// Adds an issuer with its JSON Web Key Set; the error says what is wrong with the set.
    pub fn add(&mut self, issuer: &str, jwks: &str) -> Result<(), String> {
        let keys = serde_json::from_str(jwks).map_err(|error| error.to_string())?;
        let keys = KeySet::parse(&keys)?;
        if keys.keys().is_empty() || keys.keys().iter().any(|key| key.material == Material::Other) {
            return Err("holds no keys, or one that cannot be read".to_owned());
        }
        self.0.insert(issuer.to_owned(), keys);
        Ok(())
    }

    /// What a statement says of the client, if we believe it.
    pub(super) fn verify(&self, statement: &str, now: Timestamp) -> Result<Map<String, Value>, Refused> {
        let invalid = |text: &str| {
            Refused::new(ErrorCode::InvalidSoftwareStatement, text)
                .compared("software_statement", "a JWT that its issuer signed, and that is valid now", "not so")
                .fix("Get a new statement, or have its issuer's keys in the file of --software-statement-issuer.")
        };
        let jws = Jws::read(statement).ok_or_else(|| invalid("software_statement is not a signed JWT"))?;
        if !SIGNING_ALGORITHMS.contains(&jws.alg.as_str()) {
            return Err(invalid("software_statement is not signed with an asymmetric algorithm that is known here"));
        }
        // The issuer only says which keys to try; nothing else is read before the signature holds.
        let issuer = jws.claims.get("iss").and_then(Value::as_str);
        let issuer = issuer.ok_or_else(|| invalid("software_statement has no iss (RFC 7591 section 2.3)"))?;
        let Some(keys) = self.0.get(issuer) else {
            let text = format!("software statements of {issuer} are not approved here");
            return Err(Refused::new(ErrorCode::UnapprovedSoftwareStatement, text)
                .compared(
                    "iss of software_statement",
                    Told::list(self.0.keys().map(String::as_str)),
                    Told::public(issuer),
                )
                .fix("Name the issuer and its keys with --software-statement-issuer."));
        };
        if !keys.fitting(&jws.alg, jws.kid.as_deref()).any(|key| jws.is_signed_by(key)) {
            return Err(invalid("software_statement is not signed by a key of its issuer"));
        }
        // RFC 7519 §4.1: a time that is no number is no time.
        let outside = || invalid("software_statement has expired or is not valid yet");
        let (Ok(exp), Ok(nbf)) = (jws::time(&jws.claims, "exp"), jws::time(&jws.claims, "nbf")) else {
            return Err(outside());
        };
        if exp.is_some_and(|at| at <= now.0) || nbf.is_some_and(|at| at > now.plus(LEEWAY).0) {
            return Err(outside());
        }
        let mut claims = jws.claims;
        claims.retain(|name, _| !OF_THE_JWT.contains(&name.as_str()) && name != "software_statement");
        Ok(claims)
    }
}

//! What must hold of a token before anybody relies on it (RFC 7519 §7.2, OpenID Connect Core §3.1.3.7), a line for each check.

use std::fmt;

use serde_json::Value;

use super::kind::{Jwt, human};
use crate::cli::wire::tame;
use crate::domain::jwk::KeySet;
use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;
use crate::oauth::jws::{Jws, audiences, time};
use crate::oauth::keys::left_half;

/// What whoever checks knows of the token beforehand.
#[derive(Default)]
pub(in crate::cli) struct Expected<'a> {
    /// Who issued it.
    pub(in crate::cli) issuer: Option<&'a str>,
    /// Whom it is meant for.
    pub(in crate::cli) audience: Option<&'a str>,
    /// The nonce that was sent with the request.
    pub(in crate::cli) nonce: Option<&'a str>,
    /// The access token that came with it.
    pub(in crate::cli) access_token: Option<&'a str>,
    /// The client's secret, which may be the key (Core §3.1.3.7, item 8).
    pub(in crate::cli) secret: Option<&'a Secret>,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Outcome {
    Holds,
    Fails,
    /// There was nothing to compare with.
    Open,
}

/// One check.
#[derive(Debug)]
pub(in crate::cli) struct Checked {
    pub(in crate::cli) name: &'static str,
    pub(in crate::cli) outcome: Outcome,
    pub(in crate::cli) words: String,
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.outcome {
            Outcome::Holds => "ok  ",
            Outcome::Fails => "FAIL",
            Outcome::Open => "–   ",
        };
        write!(f, "  {mark}  {:<10} {}", self.name, tame(&self.words))
    }
}

/// Checks everything; the list says what was looked at and what came of it.
pub(in crate::cli) fn check(
    text: &str,
    jwt: &Jwt,
    keys: &KeySet,
    expected: &Expected<'_>,
    now: Timestamp,
) -> Vec<Checked> {
    let mut checked = Vec::new();
    let mut tell = |name, (outcome, words): (Outcome, String)| checked.push(Checked { name, outcome, words });
    tell("signature", signature(text, keys, expected.secret));
    tell("iss", same(jwt, "iss", expected.issuer, "give --issuer to compare it"));
    tell("aud", audience(jwt, expected.audience));
    if let (Some(azp), Some(client)) = (jwt.claims.get("azp"), expected.audience.filter(|_| expected.nonce.is_some())) {
        let words = format!("{azp} is the client that asked, {client}");
        tell("azp", if azp == client { (Outcome::Holds, words) } else { (Outcome::Fails, format!("not so: {words}")) });
    }
    for (name, required) in [("exp", true), ("nbf", false), ("iat", false)] {
        match time(&jwt.claims, name) {
            Err(()) => tell(name, (Outcome::Fails, "is no number of seconds".to_owned())),
            Ok(None) if required => tell(name, (Outcome::Fails, "is missing: it would be valid for ever".to_owned())),
            Ok(None) => {}
            Ok(Some(at)) => {
                let (at, shown) = (Timestamp(at), human(Timestamp(at), now));
                let holds = if name == "exp" { now < at } else { at <= now.plus(LEEWAY) };
                let words = match (name, holds) {
                    ("exp", true) => format!("expires {shown}"),
                    ("exp", false) => format!("expired {shown}"),
                    ("nbf", true) => format!("valid since {shown}"),
                    ("nbf", false) => format!("not valid before {shown}"),
                    (_, true) => format!("issued {shown}"),
                    (_, false) => format!("issued in the future: {shown}; compare the clocks"),
                };
                tell(name, (if holds { Outcome::Holds } else { Outcome::Fails }, words));
            }
        }
    }
    if expected.nonce.is_some() {
        tell("nonce", same(jwt, "nonce", expected.nonce, ""));
    }
    if let (Some(token), Some(hash)) = (expected.access_token, jwt.claims.get("at_hash")) {
        let alg = jwt.header.get("alg").and_then(Value::as_str).unwrap_or_default();
        tell(
            "at_hash",
            match *hash == left_half(alg, token) {
                true => (Outcome::Holds, "is of the access token beside it".to_owned()),
                false => (Outcome::Fails, "is of another access token".to_owned()),
            },
        );
    }
    checked
}

/// Seconds that clocks of two machines may differ in what is not about expiry.
const LEEWAY: i64 = 5;

fn signature(text: &str, keys: &KeySet, secret: Option<&Secret>) -> (Outcome, String) {
    let Some(jws) = Jws::read(text) else {
        return (
            Outcome::Fails,
            "the header is not one of a JWS that is understood here (RFC 7515 section 4.1)".to_owned(),
        );
    };
    let named = jws.kid.as_deref().map_or_else(|| "without a kid".to_owned(), |kid| format!("by the key {kid}"));
    if jws.is_unsigned() {
        return (Outcome::Fails, "there is none (alg none): anybody can have made it".to_owned());
    }
    if jws.alg.starts_with("HS") {
        return match secret {
            Some(secret) if jws.is_signed_with(secret) => {
                (Outcome::Holds, format!("{} by the client's secret", jws.alg))
            }
            Some(_) => (Outcome::Fails, format!("{}, and not by this client's secret", jws.alg)),
            None => {
                (Outcome::Fails, format!("{}: made with a shared secret, which published keys cannot verify", jws.alg))
            }
        };
    }
    if keys.fitting(&jws.alg, jws.kid.as_deref()).any(|key| jws.is_signed_by(key)) {
        return (Outcome::Holds, format!("{} {named}", jws.alg));
    }
    let why = match &jws.kid {
        Some(kid) if !keys.has(kid) => "is not among the issuer's keys: of another issuer, or the key was withdrawn",
        _ => "does not verify with the issuer's keys: it was changed, or is of somebody else",
    };
    (Outcome::Fails, format!("{} {named} {why}", jws.alg))
}

fn same(jwt: &Jwt, name: &str, expected: Option<&str>, else_do: &str) -> (Outcome, String) {
    let said = jwt.claims.get(name).map_or_else(
        || "missing".to_owned(),
        |value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        },
    );
    match expected {
        None => (Outcome::Open, format!("{said}; {else_do}")),
        Some(expected) if jwt.claims.get(name).and_then(Value::as_str) == Some(expected) => (Outcome::Holds, said),
        Some(expected) => (Outcome::Fails, format!("is {said} rather than {expected}")),
    }
}

fn audience(jwt: &Jwt, expected: Option<&str>) -> (Outcome, String) {
    let audiences = audiences(&jwt.claims);
    let said = if audiences.is_empty() { "missing".to_owned() } else { audiences.join(", ") };
    match expected {
        None => (Outcome::Open, format!("{said}; give --audience to compare it")),
        Some(expected) if audiences.contains(&expected) => (Outcome::Holds, said),
        Some(expected) => (Outcome::Fails, format!("is {said}, and {expected} is not among them")),
    }
}

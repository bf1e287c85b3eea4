//! A token taken apart: what it says, in words, and whether it is what it claims to be. An application would do the same: find the
//! key in the published set by its `kid`, and compare issuer, audience and time.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde_json::Value;

use super::flow::{self, Flow};
use super::views::{Claim, Step, Token};
use crate::domain::internal::Internal;
use crate::domain::jwk::KeySet;
use crate::domain::time::Timestamp;
use crate::oauth::jws::{Jws, audiences, time};
use crate::web::App;

/// Which token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Access,
    Id,
    Refresh,
    Userinfo,
}

/// What is known of a token beforehand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected<'a> {
    /// The client that got it.
    pub(super) client_id: &'a str,
    /// The `nonce` of the authorization request.
    pub(super) nonce: Option<&'a str>,
    pub(super) now: Timestamp,
}

/// The panel of a token.
pub(super) async fn panel(app: &App, kind: Kind, text: String, expected: Expected<'_>) -> Result<Token, Internal> {
    let (id, title) = match kind {
        Kind::Access => ("access_token", "Access token"),
        Kind::Id => ("id_token", "ID token"),
        Kind::Refresh => ("refresh_token", "Refresh token"),
        Kind::Userinfo => ("userinfo", "Userinfo"),
    };
    let mut token = Token {
        id,
        title,
        kind: String::new(),
        checks: Vec::new(),
        header: None,
        claims: Vec::new(),
        steps: steps(app, kind, &text, expected.client_id),
        text,
    };
    let Some(jws) = Jws::read(&token.text) else {
        token.kind = match token.text.matches('.').count() {
            4 => "Encrypted: only who has the client's private key reads it".into(),
            _ => "Opaque: only the server knows what it stands for".into(),
        };
        token.header = header(&token.text);
        return Ok(token);
    };
    token.kind = format!("JWT, {}", jws.typ.as_deref().unwrap_or("of no stated type"));
    token.header = header(&token.text);
    let ring = app.provider.registry().key_ring().await?;
    let keys = KeySet::read(ring.jwks()).unwrap_or_default();
    let key = jws.kid.as_deref();
    let signed = key.is_some() && keys.fitting(&jws.alg, key).any(|key| jws.is_signed_by(key));
    token.checks.push(match (signed, key) {
        (true, Some(key)) => (true, format!("Signed with {} by our key {key}", jws.alg)),
        (_, Some(key)) => (false, format!("The signature is not of a published key named {key}")),
        (_, None) => (false, "It names no key that its signature could be of".into()),
    });
    let claims = &jws.claims;
    let issued = claims.get("iss").and_then(Value::as_str);
    token.checks.push(match issued == Some(app.provider.iss()) {
        true => (true, "Issued by this server".into()),
        false => (false, format!("The issuer is {}", issued.unwrap_or("not named"))),
    });
    if matches!(kind, Kind::Id | Kind::Userinfo) && !expected.client_id.is_empty() {
        token.checks.push(match audiences(claims).contains(&expected.client_id) {
            true => (true, format!("Meant for {}", expected.client_id)),
            false => (false, format!("Not meant for {}", expected.client_id)),
        });
    }
    if let Some(nonce) = expected.nonce.filter(|_| kind == Kind::Id) {
        token.checks.push(match claims.get("nonce").and_then(Value::as_str) == Some(nonce) {
            true => (true, "Carries the nonce that was sent".into()),
            false => (false, "Does not carry the nonce that was sent".into()),
        });
    }
    if let Ok(Some(expiry)) = time(claims, "exp") {
        let left = expected.now.until(Timestamp(expiry));
        token.checks.push((left > 0, format!("{} {}", if left > 0 { "Expires" } else { "Expired" }, relative(left))));
    }
    token.claims = claims.iter().map(|(name, value)| claim(name, value, expected.now)).collect();
    Ok(token)
}

/// What can be done with it.
fn steps(app: &App, kind: Kind, text: &str, client_id: &str) -> Vec<Step> {
    let step = |flow: Flow, label: &'static str, name: &'static str| {
        flow::step(app, flow, label, vec![(name, text.to_owned()), ("client_id", client_id.to_owned())])
    };
    match kind {
        Kind::Access => vec![
            step(Flow::Userinfo, "Ask userinfo", "access_token"),
            step(Flow::Introspection, "Introspect", "token"),
            step(Flow::Revocation, "Revoke", "token"),
        ],
        Kind::Refresh => vec![
            step(Flow::Refresh, "Refresh", "refresh_token"),
            step(Flow::Introspection, "Introspect", "token"),
            step(Flow::Revocation, "Revoke", "token"),
        ],
        Kind::Id => vec![step(Flow::Logout, "Sign out with it", "id_token_hint")],
        Kind::Userinfo => Vec::new(),
    }
}

fn header(text: &str) -> Option<String> {
    let header = B64.decode(text.split_once('.')?.0).ok()?;
    serde_json::from_slice::<Value>(&header).ok().map(|header| header.to_string())
}

fn claim(name: &str, value: &Value, now: Timestamp) -> Claim {
    let moment = matches!(name, "iat" | "exp" | "nbf" | "auth_time" | "updated_at").then(|| value.as_i64()).flatten();
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
        }
        value => value.to_string(),
    };
    let note = moment.map(|time| {
        let date = Timestamp(time).rfc3339().replace('T', " ").replace('Z', " UTC");
        format!("{date}, {}", relative(now.until(Timestamp(time))))
    });
    Claim { name: name.to_owned(), value: text, note }
}

/// `in 59 minutes`, `2 days ago`
fn relative(seconds: i64) -> String {
    let units = [("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)];
    let size = seconds.unsigned_abs();
    let (unit, length) = units.into_iter().find(|(_, length)| size >= 2 * length).unwrap_or(("second", 1));
    let count = size / length;
    let plural = if count == 1 { "" } else { "s" };
    match seconds {
        0 => "now".into(),
        1.. => format!("in {count} {unit}{plural}"),
        _ => format!("{count} {unit}{plural} ago"),
    }
}

#[cfg(test)]
mod tests {
    use super::relative;

    #[test]
    fn times_are_told_as_people_tell_them() {
        for (seconds, text) in [
            (0, "now"),
            (1, "in 1 second"),
            (-90, "90 seconds ago"),
            (3_600, "in 60 minutes"),
            (7_200, "in 2 hours"),
            (-200_000, "2 days ago"),
            (i64::MIN, "106751991167300 days ago"),
        ] {
            assert_eq!(relative(seconds), text);
        }
    }
}

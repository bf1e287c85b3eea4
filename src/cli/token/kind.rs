//! What a token is and says, before anybody believes it: JWTs by their header and claims, our opaque kinds by their prefix.

use std::fmt::Write;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde_json::{Map, Value};

use crate::cli::wire::tame;
use crate::domain::bearer::{Bearer, Kind};
use crate::domain::time::Timestamp;

/// Claims that are times (RFC 7519 §4.1, OpenID Connect Core §2 and §5.1).
const TIMES: [&str; 5] = ["exp", "nbf", "iat", "auth_time", "updated_at"];
/// The event of a logout token (OpenID Connect Back-Channel Logout §2.4).
const LOGOUT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// A JWT, taken apart.
#[derive(Debug)]
pub(in crate::cli) struct Jwt {
    pub(in crate::cli) header: Map<String, Value>,
    pub(in crate::cli) claims: Map<String, Value>,
}

impl Jwt {
    /// Takes a JWT apart, however odd its members are; `None` where it is none.
    pub(in crate::cli) fn read(text: &str) -> Option<Self> {
        let [header, claims, _] = text.split('.').collect::<Vec<_>>().try_into().ok()?;
        let object = |part: &str| serde_json::from_slice(&B64.decode(part).ok()?).ok();
        Some(Self { header: object(header)?, claims: object(claims)? })
    }

    /// What it is, as far as it can be told.
    pub(in crate::cli) fn kind(&self) -> &'static str {
        let typ = self.header.get("typ").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
        let has = |name: &str| self.claims.contains_key(name);
        let logout = self.claims.get("events").is_some_and(|events| events.get(LOGOUT).is_some());
        match typ.trim_start_matches("application/") {
            "at+jwt" => "Access token (RFC 9068)",
            "logout+jwt" => "Logout token (OpenID Connect Back-Channel Logout)",
            _ if logout => "Logout token (OpenID Connect Back-Channel Logout)",
            "dpop+jwt" => "DPoP proof (RFC 9449)",
            "oauth-authz-req+jwt" => "Request object (RFC 9101)",
            _ if has("iss") && self.claims.get("iss") == self.claims.get("sub") => "Client assertion (RFC 7523)",
            _ if has("scope") || has("scp") || has("client_id") => "Access token as a JWT of the issuer's own kind",
            _ if has("iss") && has("sub") && has("aud") && has("exp") => "ID token (OpenID Connect)",
            _ => "JWT of no kind that is known here",
        }
    }

    /// Header and claims, a line each, with times that people can read.
    pub(in crate::cli) fn show(&self, now: Timestamp) -> String {
        let mut text = String::new();
        let width = self.header.keys().chain(self.claims.keys()).map(String::len).max().unwrap_or_default().min(32);
        for (title, members) in [("header", &self.header), ("claims", &self.claims)] {
            let _ = writeln!(text, "  {title}");
            for (name, value) in members {
                let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let _ = write!(text, "    {:<width$}  {}", tame(name), tame(&shown));
                if let Some(time) = value.as_i64().filter(|_| TIMES.contains(&name.as_str())) {
                    let _ = write!(text, "  {}", human(Timestamp(time), now));
                }
                text.push('\n');
            }
        }
        text
    }
}

/// A time and how far away it is.
pub(in crate::cli) fn human(time: Timestamp, now: Timestamp) -> String {
    let seconds = now.until(time);
    let far = seconds.unsigned_abs();
    let far = match far {
        0..120 => format!("{far} s"),
        120..7_200 => format!("{} min", far / 60),
        7_200..172_800 => format!("{} h", far / 3_600),
        _ => format!("{} days", far / 86_400),
    };
    let when = match seconds {
        0 => "now".to_owned(),
        1.. => format!("in {far}"),
        _ => format!("{far} ago"),
    };
    format!("{} ({when})", time.rfc3339())
}

/// What an opaque value of a Countersign server is; `None` for anything else.
pub(in crate::cli) fn opaque(text: &str, now: Timestamp) -> Option<String> {
    let kinds = [
        (Kind::AccessToken, "Opaque access token"),
        (Kind::RefreshToken, "Refresh token"),
        (Kind::AuthorizationCode, "Authorization code"),
        (Kind::LoginSession, "Cookie of a signed-in browser"),
        (Kind::InitialAccessToken, "Initial access token"),
        (Kind::RegistrationAccessToken, "Registration access token"),
    ];
    let (bearer, name) = kinds.iter().find_map(|(kind, name)| Some((Bearer::parse(*kind, text)?, name)))?;
    let made = bearer.id().get_timestamp().and_then(|time| i64::try_from(time.to_unix().0).ok());
    let made = made.map_or_else(String::new, |time| format!(", made {}", human(Timestamp(time), now)));
    Some(format!("{name} of a Countersign server: row {}{made}; the rest is random", bearer.id()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_kind_is_told_by_header_and_claims() {
        let kind = |typ: &str, claims: Value| {
            let header = json!({"alg": "none", "typ": typ}).to_string();
            let text = format!("{}.{}.", B64.encode(header), B64.encode(claims.to_string()));
            Jwt::read(&text).unwrap().kind()
        };
        let plain = json!({"iss": "a", "sub": "b", "aud": "c", "exp": 1});
        assert!(kind("application/AT+JWT", json!({})).starts_with("Access token (RFC 9068)"));
        assert!(kind("JWT", plain).starts_with("ID token"));
        assert!(kind("JWT", json!({"events": {LOGOUT: {}}})).starts_with("Logout token"));
        assert!(kind("JWT", json!({"iss": "a", "sub": "a", "aud": "c"})).starts_with("Client assertion"));
        assert!(kind("JWT", json!({"scp": []})).starts_with("Access token as a JWT"));
        assert!(kind("", json!({})).contains("no kind"));
    }

    #[test]
    fn times_are_for_people_and_escapes_do_not_reach_the_terminal() {
        let now = Timestamp(1_000_000);
        assert_eq!(human(Timestamp(1_000_060), now), "1970-01-12T13:47:40Z (in 60 s)");
        assert!(human(Timestamp(1_000_000 - 7_300), now).ends_with("(2 h ago)"));
        assert!(human(Timestamp(i64::MAX), now).contains("in "));
        let jwt = Jwt { header: Map::new(), claims: Map::from_iter([("a".into(), json!("\u{1b}[2J"))]) };
        assert!(!jwt.show(now).contains('\u{1b}'));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = (Jwt::read(&text), opaque(&text, Timestamp(0)));
        }
    }
}

//! The `claims` parameter (OpenID Connect Core §5.5): claims that are asked for by name, and where they are to be shown.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// No more claims than this are asked for in one place.
const MAX_CLAIMS: usize = 100;

/// What a request says of claims. Members that are not understood are ignored (§5.5).
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ClaimsRequest {
    id_token: Option<Wishes>,
    userinfo: Option<Wishes>,
    // Where the rest is caught, serde reads objects alone; otherwise it takes arrays for them.
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// Claims by name, each once; `null` asks for one in the default manner (§5.5.1).
#[derive(Clone, Debug, Default, PartialEq)]
struct Wishes(BTreeMap<String, Option<Wish>>);

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Wish {
    essential: bool,
    value: Option<Value>,
    values: Vec<Value>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// The claims to show besides those of the scopes, as far as they are known and allowed: what is kept of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RequestedClaims {
    /// In ID tokens.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub id_token: Vec<String>,
    /// At the userinfo endpoint.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub userinfo: Vec<String>,
    /// What a test has given to the sign-in, whatever the User document says. Only `dev` writes it, and reads it.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub given: Map<String, Value>,
}

impl ClaimsRequest {
    /// Reads the parameter; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    /// Whether the request may be about this subject: where it names one by `value` or `values`, about no other (§5.5.1).
    pub fn is_about(&self, sub: &str) -> bool {
        let named = [&self.id_token, &self.userinfo].into_iter().filter_map(|wishes| wishes.as_ref()?.wish("sub"));
        named.filter(|wish| wish.names_values()).all(|wish| wish.accepts(sub))
    }

    /// Whether the ID token is to say how the person proved who they are (`acr`).
    pub fn asks_for_acr(&self) -> bool {
        self.id_token.as_ref().is_some_and(|wishes| wishes.0.contains_key("acr"))
    }

    /// Whether this way of signing in will do: where `acr` is essential and values are named, it must be one of them (§5.5.1.1).
    pub fn accepts_acr(&self, acr: &str) -> bool {
        let wish = self.id_token.as_ref().and_then(|wishes| wishes.wish("acr"));
        wish.is_none_or(|wish| !wish.essential || !wish.names_values() || wish.accepts(acr))
    }

    /// The names for which `shown` holds.
    pub fn requested(&self, shown: impl Fn(&str) -> bool) -> RequestedClaims {
        let names = |wishes: &Option<Wishes>| {
            let names = wishes.iter().flat_map(|wishes| wishes.0.keys());
            names.filter(|name| shown(name)).cloned().collect()
        };
        RequestedClaims { id_token: names(&self.id_token), userinfo: names(&self.userinfo), given: Map::new() }
    }
}

impl Wishes {
    fn wish(&self, name: &str) -> Option<&Wish> {
        self.0.get(name)?.as_ref()
    }
}

impl Wish {
    const fn names_values(&self) -> bool {
        self.value.is_some() || !self.values.is_empty()
    }

    fn accepts(&self, text: &str) -> bool {
        self.value.iter().chain(&self.values).any(|value| value == text)
    }
}

impl RequestedClaims {
    /// Every name.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.id_token.iter().chain(&self.userinfo).map(String::as_str)
    }

    /// As it is stored; nothing where nothing is asked for.
    pub fn to_stored(&self) -> Option<String> {
        if *self == Self::default() { None } else { serde_json::to_string(self).ok() }
    }

    /// As it was stored.
    pub fn stored(text: Option<&str>) -> Self {
        text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }
}

impl<'de> Deserialize<'de> for Wishes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = Wishes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of claims")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Wishes, A::Error> {
                let mut wishes = BTreeMap::new();
                while let Some((name, wish)) = members.next_entry::<String, Option<Wish>>()? {
                    if wishes.len() == MAX_CLAIMS {
                        return Err(A::Error::custom("too many claims"));
                    }
                    if wishes.insert(name, wish).is_some() {
                        return Err(A::Error::custom("a claim is asked for twice"));
                    }
                }
                Ok(Wishes(wishes))
            }
        }
        deserializer.deserialize_map(Names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_request_for_claims_is_refused() {
        let many: Vec<String> = (0..=MAX_CLAIMS).map(|n| format!("\"c{n}\":null")).collect();
        for text in [
            "",
            "[]",
            "null",
            "{",
            "{} {}",
            r#"{"userinfo":[]}"#,
            r#"{"userinfo":{"name":true}}"#,
            r#"{"userinfo":{"name":[true]}}"#,
            r#"{"userinfo":{"name":{"essential":"yes"}}}"#,
            r#"{"userinfo":{"name":{"values":"x"}}}"#,
            r#"{"userinfo":{"name":null,"name":null}}"#,
            r#"{"userinfo":{},"userinfo":{}}"#,
            &format!("{{\"userinfo\":{{{}}}}}", many.join(",")),
        ] {
            assert!(ClaimsRequest::parse(text).is_err(), "{text}");
        }
        let open = r#"{"userinfo":{"name":{"essential":true,"x":1},"http://example.info/claims/groups":null},"x":7,"id_token":null}"#;
        let request = ClaimsRequest::parse(open).unwrap();
        assert_eq!(request.requested(|name| name == "name").userinfo, ["name"]);
        assert!(request.is_about("anybody") && request.accepts_acr("0") && !request.asks_for_acr());
    }

    #[test]
    fn a_named_subject_or_context_excludes_the_others() {
        let request = |text: &str| ClaimsRequest::parse(text).unwrap();
        for text in [r#"{"id_token":{"sub":{"value":"a"}}}"#, r#"{"userinfo":{"sub":{"values":["b","a"]}}}"#] {
            assert!(request(text).is_about("a") && !request(text).is_about("c"), "{text}");
        }
        assert!(!request(r#"{"id_token":{"sub":{"value":"a"}},"userinfo":{"sub":{"value":"b"}}}"#).is_about("a"));
        assert!(!request(r#"{"id_token":{"sub":{"value":7}}}"#).is_about("7"));
        for (wish, accepted) in [
            (r#"{"essential":true,"values":["gold"]}"#, false),
            (r#"{"essential":true,"values":["gold","tin"]}"#, true),
            (r#"{"values":["gold"]}"#, true),
            (r#"{"essential":true}"#, true),
        ] {
            let request = request(&format!("{{\"id_token\":{{\"acr\":{wish}}}}}"));
            assert!(request.asks_for_acr() && request.accepts_acr("tin") == accepted, "{wish}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_kept_reads_back_as_it_was(id_token: Vec<String>, userinfo: Vec<String>) {
            let claims = RequestedClaims { id_token, userinfo, given: Map::new() };
            proptest::prop_assert_eq!(RequestedClaims::stored(claims.to_stored().as_deref()), claims);
        }

        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = ClaimsRequest::parse(&text);
        }
    }
}

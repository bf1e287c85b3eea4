//! The parameters of a protocol request, whatever they were written in.
//!
//! RFC 6749 §3.1 and §3.2: a name said twice is an error (but for `resource`, RFC 8707 §2), an unknown one is ignored, and one
//! without a value counts as absent.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use percent_encoding::percent_decode;
use serde_json::Value;

use super::explanation::Told;
use super::refused::Refused;
use super::resource::{MAX_RESOURCES, RESOURCE};
use crate::domain::secret::Secret;

/// A request has no more parameters than this.
const MAX_PARAMETERS: usize = 100;
/// And none is longer, in bytes.
pub const MAX_VALUE: usize = 16_384;

/// Names and values, each name once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params {
    values: BTreeMap<String, Sensitive>,
    resources: Vec<Sensitive>,
    repeated: Vec<String>,
}

/// A value; its `Debug` is redacted, since secrets and codes are among them.
#[derive(Clone, PartialEq, Eq)]
struct Sensitive(String);

impl std::fmt::Debug for Sensitive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

impl Params {
    /// Reads `application/x-www-form-urlencoded`, as in a query string or a form body: UTF-8, percent-encoded, `+` for space.
    /// White space around a pair is layout: no encoder leaves any (RFC 6749 App. B), and Aidbox's own examples write a pair a line.
    pub fn from_form(text: &[u8]) -> Result<Self, Refused> {
        let mut params = Self::default();
        for pair in text.split(|b| *b == b'&').map(<[u8]>::trim_ascii).filter(|pair| !pair.is_empty()) {
            let mut halves = pair.splitn(2, |b| *b == b'=');
            let name = form_decode(halves.next().unwrap_or_default())?;
            let value = form_decode(halves.next().unwrap_or_default())?;
            params.insert(name, value)?;
        }
        Ok(params)
    }

    /// Reads the members of a JSON or YAML object: text, numbers and booleans.
    pub fn from_object(value: Value) -> Result<Self, Refused> {
        let Value::Object(members) = value else {
            return Err(Refused::invalid_request("the body must be an object of parameters")
                .compared("the body", "an object, such as {\"grant_type\": \"client_credentials\"}", "something else")
                .fix("Send the parameters as members of one object, or as a form."));
        };
        let mut params = Self::default();
        for (name, value) in members {
            let text = match value {
                Value::Null => continue,
                Value::String(text) => text,
                Value::Bool(flag) => flag.to_string(),
                Value::Number(number) => number.to_string(),
                Value::Array(items) if name == RESOURCE && items.iter().all(Value::is_string) => {
                    for item in items.iter().filter_map(Value::as_str) {
                        params.insert(name.clone(), item.to_owned())?;
                    }
                    continue;
                }
                Value::Array(_) | Value::Object(_) => {
                    return Err(Refused::invalid_request(format!("{name} must be a string"))
                        .compared("a parameter of the body", "text", Told::public(&name))
                        .fix("Send the parameter as text; several values are separated by spaces."));
                }
            };
            params.insert(name, text)?;
        }
        Ok(params)
    }

    fn insert(&mut self, name: String, value: String) -> Result<(), Refused> {
        if self.values.len() >= MAX_PARAMETERS || value.len() > MAX_VALUE || name.len() > 256 {
            return Err(Refused::invalid_request("the request has too many or too long parameters")
                .compared("the parameters", "100 at the most, of 16384 bytes each", "more")
                .fix("Send fewer or shorter parameters."));
        }
        if name.chars().chain(value.chars()).any(char::is_control) {
            return Err(Refused::invalid_request("a parameter has a control character in it")
                .compared("the parameters", "printable text", "a control character, such as a line feed")
                .fix("Look for a line feed at the end of the value, as files and `echo` leave it."));
        }
        // RFC 8707 §2: the one parameter that may occur several times.
        if name == RESOURCE {
            if self.resources.len() >= MAX_RESOURCES {
                return Err(Refused::invalid_request("the request names too many resources")
                    .compared("how many times resource occurs", "10 at the most", "more")
                    .fix("Name fewer resources in one request."));
            }
            self.resources.push(Sensitive(value));
            return Ok(());
        }
        match self.values.entry(name) {
            Entry::Occupied(said) => self.repeated.push(said.key().clone()),
            Entry::Vacant(new) => drop(new.insert(Sensitive(value))),
        }
        Ok(())
    }

    /// The value of a name; an empty one counts as absent.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|value| value.0.as_str()).filter(|value| !value.is_empty())
    }

    /// The values of `resource`, which may be several; empty ones count as absent.
    pub fn resources(&self) -> impl Iterator<Item = &str> {
        self.resources.iter().map(|value| value.0.as_str()).filter(|value| !value.is_empty())
    }

    /// The value of a name that must be there.
    pub fn required(&self, name: &str) -> Result<&str, Refused> {
        self.text(name).ok_or_else(|| {
            Refused::invalid_request(format!("{name} is missing"))
                .compared("the parameter", Told::public(name), "(not sent)")
                .fix("Send the parameter; one with an empty value counts as not sent.")
        })
    }

    /// The value of a name that holds a secret.
    pub fn secret(&self, name: &str) -> Option<Secret> {
        self.text(name).map(Secret::new)
    }

    /// Whether the name occurs more than once.
    pub fn is_repeated(&self, name: &str) -> bool {
        self.repeated.iter().any(|repeated| repeated == name)
    }

    /// A refusal where any name occurs more than once.
    pub fn refuse_repeated(&self) -> Result<(), Refused> {
        match self.repeated.first() {
            Some(name) => Err(Refused::invalid_request(format!("{name} occurs more than once"))
                .compared("how often a parameter occurs", "once", Told::public(name))
                .fix("Send every parameter once, in the query or in the body.")),
            None => Ok(()),
        }
    }

    /// As a query string.
    pub fn to_query(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.values.iter().map(|(name, value)| (name, &value.0)));
        query.extend_pairs(self.resources.iter().map(|value| (RESOURCE, &value.0)));
        query.finish()
    }

    /// Without a name.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.values.remove(name);
        self
    }

    /// With the values of others, which count where both have a name.
    #[must_use]
    pub fn overlaid(mut self, others: Self) -> Self {
        self.values.extend(others.values);
        self
    }

    /// With another value for a name.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.values.insert(name.to_owned(), Sensitive(value.to_owned()));
        self
    }
}

/// Decodes one form component strictly: a stray `%` or bytes that are not UTF-8 are errors rather than replacement characters.
pub fn form_decode(bytes: &[u8]) -> Result<String, Refused> {
    let spaced: Vec<u8> = bytes.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
    let mut rest = spaced.as_slice();
    while let Some(at) = rest.iter().position(|b| *b == b'%') {
        let valid = rest.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit));
        if !valid {
            return Err(Refused::invalid_request("the request has a percent sign that encodes nothing")
                .compared("percent-encoding", "two hexadecimal digits behind each %", "others")
                .fix("Encode the parameters once, as a form library does; % itself is %25."));
        }
        rest = &rest[at + 3..];
    }
    let text = percent_decode(&spaced).decode_utf8().map_err(|_| {
        Refused::invalid_request("the request is not UTF-8")
            .compared("the character encoding", "UTF-8", "bytes that are not")
            .fix("Encode the parameters in UTF-8.")
    })?;
    Ok(text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_reads_back_what_was_written() {
        let params = Params::from_form(b"state=a%2Bb%2F%3D%26%25&scope=openid+profile&empty=&flag").unwrap();
        assert_eq!(params.text("state"), Some("a+b/=&%"));
        assert_eq!(params.text("scope"), Some("openid profile"));
        assert_eq!(params.text("empty"), None);
        assert_eq!(params.text("flag"), None);
        assert_eq!(Params::from_form(params.to_query().as_bytes()).unwrap(), params);
        let lines = Params::from_form(b"grant_type=authorization_code\n      &code=a%20\n").unwrap();
        assert_eq!((lines.text("grant_type"), lines.text("code")), (Some("authorization_code"), Some("a ")));
    }

    #[test]
    fn what_is_no_form_is_refused() {
        for form in [&b"a=%"[..], b"a=%zz", b"a=%ff", b"a=%00"] {
            assert!(Params::from_form(form).is_err(), "{form:?}");
        }
        assert!(Params::from_form(b"a=1&a=1").unwrap().refuse_repeated().is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic_and_what_it_reads_it_can_write(bytes: Vec<u8>) {
            if let Ok(params) = Params::from_form(&bytes) && params.refuse_repeated().is_ok() {
                proptest::prop_assert_eq!(Params::from_form(params.to_query().as_bytes()).unwrap(), params);
            }
        }
    }
}

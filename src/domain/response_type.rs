//! What an authorization request asks to be answered with, and how the answer travels.

/// A response type (RFC 6749 §3.1.1; OAuth 2.0 Multiple Response Type Encoding Practices §3, §5): its words, in any order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResponseType {
    /// An authorization code.
    pub code: bool,
    /// An ID token.
    pub id_token: bool,
    /// An access token.
    pub token: bool,
}

/// Every response type, as the specifications write it.
pub const RESPONSE_TYPES: [&str; 7] =
    ["code", "code id_token", "code token", "code id_token token", "id_token", "id_token token", "token"];

impl ResponseType {
    /// `code`
    pub const CODE: Self = Self { code: true, id_token: false, token: false };

    /// Reads `response_type`; `None` where a word is unknown or said twice, or there is none.
    pub fn parse(text: &str) -> Option<Self> {
        let mut found = Self::default();
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            let part = match word {
                "code" => &mut found.code,
                "id_token" => &mut found.id_token,
                "token" => &mut found.token,
                _ => return None,
            };
            if std::mem::replace(part, true) {
                return None;
            }
        }
        (found != Self::default()).then_some(found)
    }

    /// Whether it needs the implicit grant: an access token leaves the authorization endpoint, or there is no code at all.
    pub const fn is_implicit(self) -> bool {
        self.token || !self.code
    }

    /// Whether it is Aidbox's way to ask for an ID token at the token endpoint: `code id_token` without the scope `openid`, which
    /// every hybrid request of OpenID Connect has.
    pub const fn is_aidboxs(self, openid: bool) -> bool {
        self.code && self.id_token && !self.token && !openid
    }

    /// How the answer travels where the request does not say (Multiple Response Types §2.1, §3, §5).
    pub const fn default_mode(self) -> ResponseMode {
        if self.id_token || self.token { ResponseMode::Fragment } else { ResponseMode::Query }
    }

    /// Whether the answer may travel so: tokens never in a query, which servers log (Multiple Response Types §3, §5).
    pub fn may_travel_by(self, mode: ResponseMode) -> bool {
        mode != ResponseMode::Query || self.default_mode() == ResponseMode::Query
    }
}

/// A response mode (Multiple Response Types §2.1; OAuth 2.0 Form Post Response Mode §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseMode {
    /// In the query of the redirect URI.
    Query,
    /// In its fragment.
    Fragment,
    /// In a form that the browser posts to it.
    FormPost,
}

impl ResponseMode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::Query, Self::Fragment, Self::FormPost];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Fragment => "fragment",
            Self::FormPost => "form_post",
        }
    }

    /// The mode of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_in_any_order_and_each_once() {
        assert_eq!(ResponseType::parse("id_token  code"), ResponseType::parse("code id_token"));
        for text in ["", " ", "none", "CODE", "code code", "code,token"] {
            assert_eq!(ResponseType::parse(text), None, "{text:?}");
        }
        let implicit: Vec<&str> =
            RESPONSE_TYPES.into_iter().filter(|text| ResponseType::parse(text).unwrap().is_implicit()).collect();
        assert_eq!(implicit, ["code token", "code id_token token", "id_token", "id_token token", "token"]);
    }

    #[test]
    fn tokens_never_travel_in_a_query() {
        for text in RESPONSE_TYPES {
            let wanted = ResponseType::parse(text).unwrap();
            assert_eq!(wanted.may_travel_by(ResponseMode::Query), text == "code", "{text}");
            assert!(wanted.may_travel_by(ResponseMode::FormPost) && wanted.may_travel_by(wanted.default_mode()));
        }
    }
}

//! Scopes (RFC 6749 §3.3): space-delimited, case-sensitive words, a set whose order we keep.

use std::fmt;

/// A set of scope words. Prints as `openid profile`; may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scope(Vec<String>);

/// A scope that lets a token administer this server over REST. It is never implied.
pub const ADMIN: &str = "admin";
/// The scope that makes a request an OpenID Connect one (Core §3.1.2.1).
pub const OPENID: &str = "openid";
/// The scope that asks for a refresh token (Core §11).
pub const OFFLINE_ACCESS: &str = "offline_access";

impl Scope {
    /// Reads `scope`; `None` where a word has a character outside RFC 6749 appendix A.4. Words said twice count once.
    pub fn parse(text: &str) -> Option<Self> {
        let mut scope = Self::default();
        for word in text.split(' ').filter(|w| !w.is_empty()) {
            let allowed = |b: u8| b == 0x21 || (0x23..=0x5b).contains(&b) || (0x5d..=0x7e).contains(&b);
            if !word.bytes().all(allowed) {
                return None;
            }
            scope.insert(word);
        }
        Some(scope)
    }

    /// From words that are known to be scope words, as a stored document holds them.
    pub fn from_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        let mut scope = Self::default();
        words.into_iter().for_each(|word| scope.insert(word));
        scope
    }

    fn insert(&mut self, word: &str) {
        if !self.contains(word) {
            self.0.push(word.to_owned());
        }
    }

    /// Whether the word is in it.
    pub fn contains(&self, word: &str) -> bool {
        self.0.iter().any(|w| w == word)
    }

    /// The words, in the order they were said.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether there is no word in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every word is in `other` too.
    pub fn is_within(&self, other: &Self) -> bool {
        self.words().all(|word| other.contains(word))
    }

    /// All words but this one.
    #[must_use]
    pub fn without(&self, word: &str) -> Self {
        Self::from_words(self.words().filter(|one| *one != word))
    }

    /// The words of both.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self::from_words(self.words().chain(other.words()))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_a_set_in_the_order_they_were_said() {
        let scope = Scope::parse("openid  profile openid https://graph.example/.default").unwrap();
        assert_eq!(scope.to_string(), "openid profile https://graph.example/.default");
        assert!(scope.contains("profile") && !scope.contains("Profile"));
    }

    #[test]
    fn a_quote_a_backslash_or_a_control_character_is_no_scope() {
        for text in ["a\"b", "a\\b", "a\tb", "ä", "a\nb"] {
            assert!(Scope::parse(text).is_none(), "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_read_prints_as_what_reads_the_same(text: String) {
            if let Some(scope) = Scope::parse(&text) {
                proptest::prop_assert_eq!(Scope::parse(&scope.to_string()), Some(scope));
            }
        }
    }
}

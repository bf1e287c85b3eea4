//! Scopes (RFC 6749 §3.3): what is read prints as what reads the same, obeys the grammar and is a set.
#![no_main]

use std::collections::HashSet;

use countersign::domain::scope::Scope;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Some(scope) = Scope::parse(text) else { return };
    assert_eq!(Scope::parse(&scope.to_string()).as_ref(), Some(&scope));
    let allowed = |b: u8| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    assert!(scope.words().all(|word| !word.is_empty() && word.bytes().all(allowed)), "{scope}");
    let said: HashSet<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
    assert_eq!(scope.words().collect::<HashSet<_>>(), said);
    assert_eq!(scope.words().count(), said.len());
    assert!(scope.is_within(&scope) && Scope::default().is_within(&scope));
    assert_eq!(scope.union(&scope), scope);
});

//! Stored forms of passwords and client secrets: kept word for word, whole, and bounded in what they cost; nothing else matches.
#![no_main]

use countersign::domain::password::{Memory, Verified, is_fast, stored_form};
use countersign::domain::secret::Secret;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    // The seeds are forms of this.
    let plain = Secret::new("password");
    let Some(stored) = stored_form(text) else {
        return assert_eq!(verify(&plain, text), Verified::No);
    };
    assert_eq!(stored, text);
    match text.split('$').nth(1) {
        None => assert!(is_fast(text) && text.len() == 73, "{text}"),
        Some("s0") => assert_eq!(text.split('$').count(), 5, "{text}"),
        Some("argon2id") => assert!((5..=6).contains(&text.split('$').count()), "{text}"),
        Some(_) => panic!("{text} is of no kind of ours"),
    }
    if is_cheap(text) && verify(&plain, text) != Verified::No {
        assert_eq!(verify(&Secret::new("Password"), text), Verified::No);
    }
});

fn verify(plain: &Secret, stored: &str) -> Verified {
    countersign::domain::password::verify(plain, stored, &mut Memory::default())
}

/// Whether verifying takes no more than a moment: every number of the parameters is small.
fn is_cheap(text: &str) -> bool {
    let numbers = |part: &str| {
        let numbers = part.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse::<u64>().ok());
        numbers.max().unwrap_or(u64::MAX)
    };
    let parts: Vec<&str> = text.split('$').collect();
    match parts.get(1) {
        None => true,
        Some(&"s0") => u32::from_str_radix(parts[2], 16).is_ok_and(|packed| packed <= 0x000a_0402),
        _ => parts.iter().filter(|part| part.contains('=')).all(|part| numbers(part) <= 64),
    }
}

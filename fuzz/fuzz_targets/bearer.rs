//! Bearer values: a text is one of one kind alone, and there is one text for each.
#![no_main]

use countersign::domain::bearer::{Bearer, Kind};
use libfuzzer_sys::fuzz_target;

const KINDS: [Kind; 4] = [Kind::AccessToken, Kind::RefreshToken, Kind::AuthorizationCode, Kind::LoginSession];

fuzz_target!(|text: &str| {
    let read: Vec<Bearer> = KINDS.into_iter().filter_map(|kind| Bearer::parse(kind, text)).collect();
    assert!(read.len() <= 1, "{text}");
    if let Some(bearer) = read.first() {
        assert_eq!(bearer.reveal(), text);
        assert!(!format!("{bearer:?}").contains(&text[30..]));
    }
});

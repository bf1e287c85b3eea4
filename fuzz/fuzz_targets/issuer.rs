//! Issuer identifiers (RFC 8414 §2): written in one way only, and what is taken from one is what a URL reader finds in it.
#![no_main]

use countersign::config::Issuer;
use libfuzzer_sys::fuzz_target;
use url::Url;

fuzz_target!(|text: &str| {
    let Ok(issuer) = Issuer::parse(text) else { return };
    assert_eq!(issuer.as_str(), text);
    assert_eq!(issuer.to_string(), text);
    assert!(!text.ends_with('/') && !text.contains(['?', '#', ' ']), "{text}");
    assert!(!issuer.authority().contains('@'), "{text}");
    let url = Url::parse(text).expect("a URL");
    assert_eq!(url.as_str().trim_end_matches('/'), text);
    assert_eq!(issuer.is_https(), url.scheme() == "https");
    assert_eq!(Some(issuer.host()), url.host_str());
    assert_eq!(issuer.path(), url.path().trim_end_matches('/'));
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    assert_eq!(issuer.authority(), format!("{}{port}", issuer.host()));
    // Every URL of ours is the issuer and a path behind it.
    let endpoint = Url::parse(&format!("{text}/oauth2/token")).expect("a URL");
    assert_eq!(endpoint.origin(), url.origin());
    assert_eq!(endpoint.path(), format!("{}/oauth2/token", issuer.path()));
});

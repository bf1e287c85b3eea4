//! Redirect URIs: what may be registered leads to an application, and nothing but a loopback port may differ from it. The first
//! line is registered, the second requested.
#![no_main]

use countersign::domain::redirect_uri::RedirectUri;
use libfuzzer_sys::fuzz_target;
use url::{Host, Url};

fuzz_target!(|text: &str| {
    let (registered, requested) = text.split_once('\n').unwrap_or((text, ""));
    let strict = RedirectUri::parse(registered, false);
    let Ok(uri) = RedirectUri::parse(registered, true) else { return assert!(strict.is_err()) };
    assert_eq!(uri.as_str(), registered);
    assert_eq!(RedirectUri::parse(registered, true).as_ref(), Ok(&uri));
    assert!(registered.bytes().all(|b| b.is_ascii_graphic() && b != b'#' && b != b'*'), "{registered}");
    let url = Url::parse(registered).expect("an absolute URI");
    assert!(!["javascript", "data", "file", "vbscript"].contains(&url.scheme()), "{registered}");
    assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none(), "{registered}");
    assert!(strict.is_ok() || url.scheme() == "http");

    assert!(uri.matches(registered));
    if requested == registered || !uri.matches(requested) {
        return;
    }
    // RFC 8252 §7.3. A browser must find them to be the same but for the port.
    let mut other = Url::parse(requested).expect("what matches is a URI");
    let loopback = matches!(url.host(), Some(Host::Ipv4(ip)) if ip.is_loopback())
        || matches!(url.host(), Some(Host::Ipv6(ip)) if ip.is_loopback());
    assert!(loopback && url.scheme() == "http", "{registered} {requested}");
    let mut url = url;
    url.set_port(None).expect("it has a host");
    other.set_port(None).expect("it has a host");
    assert_eq!(url, other);
});

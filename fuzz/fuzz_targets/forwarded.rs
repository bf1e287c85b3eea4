//! `Forwarded` (RFC 7239) and `X-Forwarded-For`: believed from trusted proxies alone, and never further than they vouch for.
//! Each line is a header line; those that hold a `=` are `Forwarded`.
#![no_main]

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use countersign::web::Reach;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let reach = Reach {
        base_path: String::new(),
        https: true,
        hosts: Vec::new(),
        any_local_host: false,
        trusted_proxies: vec!["10.0.0.0/8".parse().expect("a network"), "fd00::/8".parse().expect("a network")],
    };
    let mut headers = HeaderMap::new();
    for line in bytes.split(|b| *b == b'\n').take(8) {
        let name = if line.contains(&b'=') { "forwarded" } else { "x-forwarded-for" };
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(HeaderName::from_static(name), value);
        }
    }
    let stranger: IpAddr = "192.0.2.1".parse().expect("an address");
    assert_eq!(reach.client_address(stranger, &headers), stranger);
    for proxy in ["10.0.0.1", "fd00::1", "::ffff:10.0.0.1"].map(|text| text.parse::<IpAddr>().expect("an address")) {
        let client = reach.client_address(proxy, &headers);
        let trusted = |ip: IpAddr| reach.trusted_proxies.iter().any(|net| net.contains(&ip.to_canonical()));
        assert!(client == proxy || !trusted(client), "{client}");
        // Whatever the client says of itself comes before what the proxy appends, and changes nothing.
        let (name, hop) = match headers.contains_key("forwarded") {
            true => ("forwarded", "for=192.0.2.1"),
            false => ("x-forwarded-for", "192.0.2.1"),
        };
        let mut lines: Vec<Vec<u8>> = headers.get_all(name).iter().map(|value| value.as_bytes().to_vec()).collect();
        lines.push(hop.into());
        assert_eq!(reach.client_address(proxy, &header(name, &lines)), stranger);
        assert_eq!(reach.client_address(proxy, &header(name, &[lines.join(&b", "[..])])), stranger);
    }
});

fn header(name: &'static str, lines: &[Vec<u8>]) -> HeaderMap {
    let values = lines.iter().map(|line| HeaderValue::from_bytes(line).expect("a value"));
    values.map(|value| (HeaderName::from_static(name), value)).collect()
}

//! `Host`: only our own names are answered, with or without a port, however they are written.
#![no_main]

use countersign::web::Reach;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|host: &str| {
    let mut reach = Reach {
        base_path: String::new(),
        https: true,
        hosts: ["login.example.com", "localhost:8080", "[::1]"].map(str::to_owned).into(),
        any_local_host: false,
        trusted_proxies: Vec::new(),
    };
    let lower = host.to_ascii_lowercase();
    let expected = reach.hosts.iter().any(|known| {
        let rest = lower.strip_prefix(known.as_str());
        rest.is_some_and(|rest| {
            rest.is_empty() || rest.strip_prefix(':').is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()))
        })
    });
    assert_eq!(reach.answers_to(host), expected, "{host:?}");
    // A developer's server answers to more, but to no name that public DNS could give to a stranger.
    reach.any_local_host = true;
    if reach.answers_to(host) && !expected {
        let name = lower.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
        let name = name.map_or(lower.as_str(), |(name, _)| name);
        let ip = name.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        assert!(!name.contains('.') || name.ends_with(".localhost") || ip.is_ok_and(|ip| ip.is_loopback()), "{host:?}");
    }
});

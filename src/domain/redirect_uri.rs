//! Redirect URIs: what may be registered, and which requested one matches a registered one.

use url::{Host, Url};

/// A registered redirect URI, kept exactly as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectUri(String);

/// Schemes that a browser would run, show or hand to another program instead of going to an application.
const UNSAFE_SCHEMES: [&str; 10] =
    ["javascript", "data", "vbscript", "file", "blob", "about", "view-source", "filesystem", "mailto", "tel"];

/// Parameters of an authorization response, which must occur once (RFC 6749 §4.1.2, RFC 9207 §2).
const RESERVED: [&str; 6] = ["code", "state", "iss", "error", "error_description", "error_uri"];

impl RedirectUri {
    /// Reads a URI to register (RFC 6749 §3.1.2, RFC 9700 §2.1 and §4.1.3, RFC 8252 §7). `http_allowed` permits plain http
    /// beyond loopback hosts.
    ///
    /// The refusal says what is wrong with it.
    pub fn parse(text: &str, http_allowed: bool) -> Result<Self, &'static str> {
        if text.len() > 2_048 {
            return Err("is longer than 2,048 characters");
        }
        if text.bytes().any(|b| b <= b' ' || b == 0x7f || b >= 0x80) {
            return Err("has a space, a control character or a character outside ASCII");
        }
        if text.contains('#') {
            return Err("has a fragment, which a redirect URI must not (RFC 6749 §3.1.2)");
        }
        if text.contains('*') {
            return Err("has a wildcard; redirect URIs are compared exactly (RFC 9700 §4.1.3)");
        }
        let url = Url::parse(text).map_err(|_| "is not an absolute URI")?;
        if UNSAFE_SCHEMES.contains(&url.scheme()) {
            return Err("has a scheme that does not lead to an application");
        }
        if url.query_pairs().any(|(name, _)| RESERVED.contains(&&*name)) {
            return Err("has a query parameter of the name of one that the answer brings (code, state, iss, error)");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("has user information before its host");
        }
        if url.scheme() == "http" && !http_allowed && !is_loopback(&url) {
            return Err("is plain http beyond loopback; use https, or allow it with --allow-http-redirects");
        }
        if matches!(url.scheme(), "http" | "https") && !text.contains("://") {
            return Err("has no host");
        }
        Ok(Self(text.to_owned()))
    }

    /// A URI taken from a stored document, whose door was [`RedirectUri::parse`].
    pub fn stored(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The URI as it was registered.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `requested` is this one: character by character (RFC 9700 §4.1.3), but for the port of a loopback IP literal,
    /// which a native application picks at run time (RFC 8252 §7.3).
    pub fn matches(&self, requested: &str) -> bool {
        self.0 == requested || self.matches_but_for_loopback_port(requested)
    }

    fn matches_but_for_loopback_port(&self, requested: &str) -> bool {
        match (split_loopback_port(&self.0), split_loopback_port(requested)) {
            (Some((host, path)), Some((requested_host, requested_path))) => {
                host == requested_host && path == requested_path
            }
            _ => false,
        }
    }
}

/// `http://127.0.0.1:8123/cb` → (`http://127.0.0.1`, `/cb`); `None` where the host is not a loopback IP literal.
/// Works on the text, so that nothing but the port is ever normalised away.
fn split_loopback_port(uri: &str) -> Option<(&str, &str)> {
    let host = ["http://127.0.0.1", "http://[::1]"].into_iter().find(|host| uri.starts_with(host))?;
    let (host, rest) = uri.split_at(host.len());
    let Some(port_and_path) = rest.strip_prefix(':') else {
        return (rest.is_empty() || rest.starts_with(['/', '?'])).then_some((host, rest));
    };
    let end = port_and_path.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(port_and_path.len());
    let (port, path) = port_and_path.split_at(end);
    let valid = port.parse::<u16>().is_ok() && (path.is_empty() || path.starts_with(['/', '?']));
    valid.then_some((host, path))
}

/// Whether a browser that is sent to this URI stays on its machine, however it is read: http or https, a loopback host as its own
/// normal form, and nothing that some take for another host.
pub fn stays_on_the_machine(uri: &str) -> bool {
    let Ok(url) = Url::parse(uri) else { return false };
    let origin = format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default());
    let sound = RedirectUri::parse(uri, true).is_ok() && !uri.contains('\\');
    let rest = uri.strip_prefix(&origin).filter(|_| sound && is_loopback(&url));
    matches!(url.scheme(), "http" | "https")
        && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/', '?']))
}

/// Whether the host is this machine itself: `localhost`, `127.0.0.0/8` or `::1`.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// Whether a host is probably a name that containers have for one another, or for the machine that they run on, and that means
/// nothing to a browser: a single label, or a name of Docker's, Podman's or Kubernetes' own.
pub fn is_known_to_containers_alone(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let own = [".docker.internal", ".containers.internal", ".svc", ".svc.cluster.local"];
    host != "localhost" && !host.starts_with('[') && (!host.contains('.') || own.iter().any(|end| host.ends_with(end)))
}

/// Whether a browser that is sent to this URL probably does not find it, for such a name.
pub fn leads_to_a_container(uri: &str) -> bool {
    let url = Url::parse(uri).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    url.as_ref().and_then(Url::host_str).is_some_and(is_known_to_containers_alone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_port_of_a_loopback_literal_may_differ() {
        let cases = [
            ("http://127.0.0.1/cb", "http://127.0.0.1:51004/cb", true),
            ("http://127.0.0.1:1/cb", "http://127.0.0.1:2/cb", true),
            ("http://[::1]/cb", "http://[::1]:9/cb", true),
            ("http://127.0.0.1/cb", "http://127.0.0.1:51004/cb/", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1:1@evil.example/cb", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1.evil.example/cb", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1:99999/cb", false),
            ("http://localhost:1/cb", "http://localhost:2/cb", false),
            ("https://127.0.0.1/cb", "https://127.0.0.1:2/cb", false),
            ("https://a.example/cb", "https://a.example/cb", true),
            ("https://a.example/cb", "https://a.example/cb/", false),
            ("https://a.example/cb", "https://A.example/cb", false),
            ("https://a.example/cb", "https://a.example/%63b", false),
            ("myapp://cb", "myapp://cb", true),
        ];
        for (registered, requested, expected) in cases {
            assert_eq!(RedirectUri::stored(registered).matches(requested), expected, "{registered} {requested}");
        }
    }

    #[test]
    fn what_is_no_place_to_return_to_cannot_be_registered() {
        let refused = [
            "javascript:alert(1)",
            "data:text/html,x",
            "https://a.example/#x",
            "https://*.a.example/",
            "/cb",
            "a.example/cb",
            "https://u:p@a.example/",
            "https://a.example/ b",
            "https:a.example",
            "http://a.example/cb",
            "https://a.example/cb?x=1&st%61te=2",
        ];
        for uri in refused {
            assert!(RedirectUri::parse(uri, false).is_err(), "{uri}");
        }
        for uri in [
            "https://a.example/cb?x=1",
            "http://localhost:4200",
            "http://127.0.0.1/",
            "myapp://cb",
            "com.example.app:/cb",
        ] {
            assert!(RedirectUri::parse(uri, false).is_ok(), "{uri}");
        }
        assert!(RedirectUri::parse("http://myapp.app", true).is_ok());
    }

    #[test]
    fn only_what_every_reader_takes_for_loopback_stays_on_the_machine() {
        for uri in [
            "http://localhost",
            "http://localhost:4200/cb?x=1",
            "https://localhost/cb",
            "http://127.0.0.1:1/",
            "http://127.8.9.1/cb",
            "http://[::1]:51004/cb",
            "http://app.localhost:3000/cb",
        ] {
            assert!(stays_on_the_machine(uri), "{uri}");
        }
        for uri in [
            "http://evil.example/",
            "http://localhost.evil.example/",
            "http://localhost@evil.example/",
            "http://localhost\\@evil.example/",
            "http://localhost:80\\@evil.example/",
            "http://evil.example\\@localhost/",
            "http://127.0.0.1.evil.example/",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f.0.0.1/",
            "http://%6cocalhost/",
            "http://LOCALHOST/",
            "http://10.0.0.1/",
            "http://[::ffff:127.0.0.1]/",
            "http://0.0.0.0/",
            "http:localhost/",
            "//localhost/",
            "localhost:4200",
            "myapp://localhost/",
            "http://localhost/#x",
            "http://localhost/?code=1",
            "javascript:alert(1)",
        ] {
            assert!(!stays_on_the_machine(uri), "{uri}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_requested_nothing_but_a_loopback_port_differs(registered in "https?://[a-z0-9.:\\[\\]@/?-]{1,40}", requested: String) {
            let uri = RedirectUri::stored(&registered);
            if uri.matches(&requested) && requested != registered {
                let without_port = |text: &str| split_loopback_port(text).map(|(host, path)| format!("{host}{path}"));
                proptest::prop_assert!(without_port(&requested).is_some());
                proptest::prop_assert_eq!(without_port(&requested), without_port(&registered));
            }
        }

        #[test]
        fn whatever_can_be_registered_has_no_fragment_space_or_wildcard(text: String) {
            if RedirectUri::parse(&text, true).is_ok() {
                proptest::prop_assert!(!text.contains(['#', ' ', '*', '\n']));
            }
        }
    }
}

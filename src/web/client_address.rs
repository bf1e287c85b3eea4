//! Where a request comes from: the connection's other end, or what a trusted proxy says.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;

use super::{App, Reach};

/// The other end of the connection; the server puts it into every request.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// The address of the client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientAddress(pub(crate) IpAddr);

impl FromRequestParts<App> for ClientAddress {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        let peer = parts.extensions.get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0);
        Ok(Self(app.reach.client_address(peer, &parts.headers)))
    }
}

impl Reach {
    /// The address of the client of a connection from `peer`: its own, unless it is a trusted proxy that names another.
    pub fn client_address(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let trusted = |ip: &IpAddr| self.trusted_proxies.iter().any(|net| net.contains(&ip.to_canonical()));
        if !trusted(&peer) {
            return peer;
        }
        // Each proxy appends whom it heard from: the last entry that is no proxy of ours is the client. A proxy writes one of the two
        // headers; where both are there, a client wrote one of them to choose an address for itself.
        let hops = match (forwarded(headers), x_forwarded_for(headers)) {
            (Some(hops), none) if none.is_empty() => hops,
            (None, hops) => hops,
            (Some(_), _) => return peer,
        };
        let client = hops.iter().rev().map_while(|hop| address(hop)).find(|ip| !trusted(ip));
        client.unwrap_or(peer)
    }
}

/// The `for` members of `Forwarded` (RFC 7239 §4), where there is such a header.
fn forwarded(headers: &HeaderMap) -> Option<Vec<String>> {
    let lines = lines(headers, "forwarded");
    let node = |element: &str| {
        let mut members = element.split(';').filter_map(|member| member.trim().split_once('='));
        members.find(|(name, _)| name.eq_ignore_ascii_case("for")).map_or("", |(_, node)| node).to_owned()
    };
    (!lines.is_empty()).then(|| lines.iter().flat_map(|line| line.split(',')).map(node).collect())
}

fn x_forwarded_for(headers: &HeaderMap) -> Vec<String> {
    let lines = lines(headers, "x-forwarded-for");
    lines.iter().flat_map(|line| line.split(',')).map(|hop| hop.trim().to_owned()).collect()
}

/// The lines of a header, whatever bytes are in them: what a client wrote must not hide what the proxy appended to it.
fn lines(headers: &HeaderMap, name: &str) -> Vec<String> {
    headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
}

/// `192.0.2.1`, `192.0.2.1:4711`, `"[2001:db8::1]:4711"`
fn address(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim_matches('"');
    let bare = hop.trim_start_matches('[').split(']').next().unwrap_or_default();
    hop.parse::<SocketAddr>().map(|address| address.ip()).or_else(|_| bare.parse()).ok()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn addresses_of_hops_are_read() {
        for (hop, ip) in [
            ("192.0.2.1", "192.0.2.1"),
            ("192.0.2.1:80", "192.0.2.1"),
            ("\"[2001:db8::1]:80\"", "2001:db8::1"),
            ("[::1]", "::1"),
        ] {
            assert_eq!(address(hop), ip.parse().ok(), "{hop}");
        }
        assert_eq!(address("unknown"), None);
        assert_eq!(address("_hidden"), None);
    }

    #[test]
    fn bytes_of_a_client_do_not_hide_what_the_proxy_appended() {
        let reach = Reach { trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()], ..Reach::default() };
        let proxy = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", HeaderValue::from_bytes(b"\xff, 192.0.2.1").unwrap());
        assert_eq!(reach.client_address(proxy, &headers).to_string(), "192.0.2.1");
        headers.insert("forwarded", HeaderValue::from_bytes(b"for=\xff, for=192.0.2.2").unwrap());
        assert_eq!(reach.client_address(proxy, &headers), proxy, "two kinds: one of them is the client's");
        headers.remove("x-forwarded-for");
        assert_eq!(reach.client_address(proxy, &headers).to_string(), "192.0.2.2");
    }
}

//! Where a request comes from: the connection's other end, or what a trusted proxy says.

use std::net::{IpAddr, Ipv4Addr};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::App;

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
        let trusted = |ip: &IpAddr| app.reach.trusted_proxies.iter().any(|net| net.contains(&ip.to_canonical()));
        if !trusted(&peer) {
            return Ok(Self(peer));
        }
        // Each proxy appends whom it heard from: the last entry that is no proxy of ours is the client.
        let lines = parts.headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
        let hops: Vec<&str> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
        let client = hops.iter().rev().map_while(|hop| hop.parse::<IpAddr>().ok()).find(|ip| !trusted(ip));
        Ok(Self(client.unwrap_or(peer)))
    }
}

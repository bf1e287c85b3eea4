//! A connection to a server: its name is resolved here, every address is checked, and no other is connected to.

use std::io;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use url::{Host, Url};

use super::address::{is_public, is_within};
use super::{Inner, Kind};

/// The head of an answer is no longer than this.
const HEAD: usize = 32 * 1_024;
/// So many addresses of a name are tried, one after the other.
const ADDRESSES: usize = 4;

/// An open connection. It ends when it is dropped.
pub(super) struct Connection {
    pub(super) requests: SendRequest<Full<Bytes>>,
    _driver: JoinSet<()>,
}

impl Inner {
    /// Opens a connection to the server of a URL, with TLS where `secure`.
    pub(super) async fn open(&self, url: &Url, secure: bool) -> Result<Connection, Kind> {
        let host = url.host().ok_or(Kind::NotAUrl)?;
        let port = url.port_or_known_default().ok_or(Kind::NotAUrl)?;
        let tcp = connect(&self.permitted(&host, port, secure).await?).await?;
        if !secure {
            return drive(tcp).await;
        }
        let name = match host {
            Host::Domain(name) => ServerName::try_from(name.to_owned()).map_err(|_| Kind::NotAUrl)?,
            Host::Ipv4(address) => ServerName::from(IpAddr::V4(address)),
            Host::Ipv6(address) => ServerName::from(IpAddr::V6(address)),
        };
        drive(self.tls.connect(name, tcp).await.map_err(Kind::Tls)?).await
    }

    /// The addresses of a host that may be reached; where there is none, why not.
    async fn permitted(&self, host: &Host<&str>, port: u16, secure: bool) -> Result<Vec<SocketAddr>, Kind> {
        let addresses: Vec<SocketAddr> = match host {
            Host::Domain(name) => lookup_host((*name, port)).await.map_err(Kind::Unresolved)?.collect(),
            Host::Ipv4(address) => vec![(*address, port).into()],
            Host::Ipv6(address) => vec![(*address, port).into()],
        };
        let Some(first) = addresses.first().map(SocketAddr::ip) else {
            return Err(Kind::Unresolved(io::ErrorKind::NotFound.into()));
        };
        let may = |address: &SocketAddr| is_within(&self.networks, address.ip()) || (secure && is_public(address.ip()));
        let permitted: Vec<SocketAddr> = addresses.into_iter().filter(may).take(ADDRESSES).collect();
        match permitted.is_empty() {
            false => Ok(permitted),
            true if secure || !is_public(first) => Err(Kind::NotPublic(first)),
            true => Err(Kind::PlainHttp),
        }
    }
}

async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, Kind> {
    let mut failed = io::ErrorKind::NotFound.into();
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error,
        }
    }
    Err(Kind::Unreachable(failed))
}

async fn drive(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Result<Connection, Kind> {
    let handshake = Builder::new().max_buf_size(HEAD).handshake(TokioIo::new(stream));
    let (requests, connection) = handshake.await.map_err(Kind::Http)?;
    let mut driver = JoinSet::new();
    driver.spawn(async move {
        // What goes wrong with it, the request is told.
        let _ = connection.await;
    });
    Ok(Connection { requests, _driver: driver })
}

//! `countersign health`: asks the server's `/readyz`, for container health checks in images without curl.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::ServerName;
use url::Url;

use super::Failure;
use super::args::HealthArgs;
use super::output::answer;
use super::pinned::Pinned;
use crate::config::{Purpose, Settings};

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) async fn run(args: HealthArgs) -> Result<(), Failure> {
    let settings = super::settings(Purpose::Address, &args.settings.0)?;
    let target = match &args.url {
        Some(url) => Target::of_url(url)?,
        None => Target::of_settings(&settings)?,
    };
    let status = tokio::time::timeout(PATIENCE, ask(&target, &settings))
        .await
        .map_err(|_| Failure::new(format!("{} did not answer within {} s", target.address, PATIENCE.as_secs())))?
        .map_err(|error| Failure::new(format!("{}: {error}", target.address)))?;
    match status {
        200 => {
            answer("ready");
            Ok(())
        }
        status => Err(Failure::new(format!("{} is not ready: it answered {status}", target.address))),
    }
}

/// Where to ask, and what to ask for.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    /// What to connect to, `host:port`.
    address: String,
    /// The `Host` header; the server answers its own names only.
    host: String,
    path: String,
    tls: bool,
}

impl Target {
    /// The server that these settings describe, on this machine.
    fn of_settings(settings: &Settings) -> Result<Self, Failure> {
        if settings.listen.port() == 0 {
            return Err(Failure::new("the settings leave the port open (--listen …:0); name the server with --url"));
        }
        let ip = match settings.listen.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip => ip,
        };
        Ok(Self {
            address: SocketAddr::new(ip, settings.listen.port()).to_string(),
            host: settings.issuer_at(settings.listen.port()).authority().to_owned(),
            path: "/readyz".to_owned(),
            tls: settings.tls.is_some(),
        })
    }

    fn of_url(text: &str) -> Result<Self, Failure> {
        let wrong = || Failure::usage(format!("--url: `{text}` is not the URL of a server; write http://HOST:PORT"));
        let url = Url::parse(text).map_err(|_| wrong())?;
        let (Some(host), Some(port), true) =
            (url.host_str(), url.port_or_known_default(), matches!(url.scheme(), "http" | "https"))
        else {
            return Err(wrong());
        };
        Ok(Self {
            address: format!("{host}:{port}"),
            host: url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")),
            path: if url.path() == "/" { "/readyz".to_owned() } else { url.path().to_owned() },
            tls: url.scheme() == "https",
        })
    }
}

async fn ask(target: &Target, settings: &Settings) -> io::Result<u16> {
    let stream = TcpStream::connect(&target.address).await?;
    if !target.tls {
        return exchange(stream, target).await;
    }
    let Some(tls) = &settings.tls else {
        return Err(io::Error::other(
            "an https address is compared with the certificate of --tls-cert, which is not set",
        ));
    };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned::read(&tls.cert, provider)?))
        .with_no_client_auth();
    let name = target.host.rsplit_once(':').map_or(target.host.as_str(), |(host, _)| host).to_owned();
    let name = ServerName::try_from(name).map_err(io::Error::other)?;
    exchange(TlsConnector::from(Arc::new(config)).connect(name, stream).await?, target).await
}

/// Sends the request and reads as far as the status, which is all that matters.
async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, target: &Target) -> io::Result<u16> {
    let request = format!("GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", target.path, target.host);
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    // `HTTP/1.1 200`
    let mut start = [0; 12];
    stream.read_exact(&mut start).await?;
    let status = start.strip_prefix(b"HTTP/1.1 ").or_else(|| start.strip_prefix(b"HTTP/1.0 "));
    status
        .and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok())
        .ok_or_else(|| io::Error::other("the answer is not HTTP"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Issuer;

    #[test]
    fn the_server_of_the_settings_is_asked_on_this_machine_by_its_own_name() {
        let mut settings = Settings::dev_defaults();
        settings.listen = SocketAddr::from(([0, 0, 0, 0], 9000));
        settings.issuer = Issuer::parse("https://login.example.com/auth").ok();
        let target = Target::of_settings(&settings).expect("a target");
        assert_eq!((target.address.as_str(), target.host.as_str()), ("127.0.0.1:9000", "login.example.com"));
        settings.listen.set_port(0);
        assert!(Target::of_settings(&settings).is_err());
    }

    #[test]
    fn a_url_names_the_server_or_the_very_page() {
        let paths = ["http://a:1", "http://a:1/", "http://a:1/healthz"].map(|url| Target::of_url(url).expect(url).path);
        assert_eq!(paths, ["/readyz", "/readyz", "/healthz"]);
        for url in ["a", "ftp://a", "localhost:8080"] {
            assert!(Target::of_url(url).is_err(), "{url}");
        }
    }

    #[tokio::test]
    async fn only_200_is_ready() {
        for (answer, expected) in
            [("HTTP/1.1 200 OK\r\n\r\n", Some(200)), ("HTTP/1.1 503 No\r\n\r\n", Some(503)), ("nonsense here", None)]
        {
            let (ours, mut theirs) = tokio::io::duplex(1024);
            theirs.write_all(answer.as_bytes()).await.expect("a pipe");
            let target = Target::of_url("http://a:1").expect("a target");
            assert_eq!(exchange(ours, &target).await.ok(), expected);
        }
    }
}

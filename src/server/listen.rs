//! Connections, driven with limits of our own: deadlines for whoever is slow, bounds on what one may hold, and an orderly end.

use std::convert::Infallible;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use futures_util::FutureExt;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Notify, Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::Front;
use crate::config::Tls;
use crate::web::Peer;

/// A client has so long to make its first request, to send its headers, to finish its TLS handshake, or to take what we send.
const PATIENCE: Duration = Duration::from_secs(10);
/// No more connections than this at once; the next ones are refused.
const CONNECTIONS: usize = 8_192;
/// So many may wait to be accepted, as far as the system lets us.
const QUEUE: u32 = 4_096;
/// File descriptors that are not for clients: the database's connections, files, the listener.
const RESERVED: usize = 128;
/// The head of a request is no longer than this: hyper's longest URL, and headers.
const HEAD: usize = 96 * 1_024;
/// The same on HTTP/2, where many come at once.
const HEADERS: u32 = 32 * 1_024;
/// What an HTTP/2 connection may send before we have read it: a body of a protocol request, and some of those together.
const STREAM_WINDOW: u32 = 64 * 1_024;
const CONNECTION_WINDOW: u32 = 4 * STREAM_WINDOW;
/// Said to a connection too many.
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// Reads certificate and key, where there are any.
pub(super) fn tls(files: Option<&Tls>) -> Result<Option<TlsAcceptor>, String> {
    let Some(files) = files else { return Ok(None) };
    let chain = CertificateDer::pem_file_iter(&files.cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| format!("{}: {error}", files.cert.display()))?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| format!("{}: {error}", files.key.display()))?;
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| error.to_string())?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}

/// Takes the address. A crowd that comes in one moment waits in the system's queue, which drops whom it cannot hold for seconds.
pub(super) fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(QUEUE)
}

/// Serves until told to stop, then waits for requests in flight, at most for the grace.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    front: Front,
    mut stopped: watch::Receiver<bool>,
    grace: Duration,
) {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_headers(100).max_buf_size(HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(128)
        .max_header_list_size(HEADERS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(PATIENCE);
    let builder = Arc::new(builder);
    let graceful = Arc::new(GracefulShutdown::new());
    let room = Arc::new(Semaphore::new(connections()));
    loop {
        let (stream, peer) = tokio::select! {
            () = told(&mut stopped) => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, mostly: without a pause this would spin.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
            refuse(stream, tls.is_some());
            continue;
        };
        let connection = Connection { builder: Arc::clone(&builder), front: front.clone(), peer };
        let (tls, watcher) = (tls.clone(), graceful.watcher());
        tokio::spawn(async move {
            let _permit = permit;
            let _ = stream.set_nodelay(true);
            #[cfg(target_os = "linux")]
            let _ = rustix::net::sockopt::set_tcp_user_timeout(&stream, PATIENCE.as_millis().try_into().unwrap_or(0));
            match tls {
                None => connection.drive(stream, watcher).await,
                Some(tls) => connection.secure(stream, &tls, watcher).await,
            }
        });
    }
    drop(listener);
    let Some(graceful) = Arc::into_inner(graceful) else { return };
    if tokio::time::timeout(grace, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests were still in flight when the shutdown grace ended");
    }
}

/// As many as the process may have files open, less what it needs itself.
fn connections() -> usize {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut files = getrlimit(Resource::Nofile);
    // The lower limit is there for programs that cannot handle many.
    let raised = rustix::process::Rlimit { current: files.maximum, ..files };
    if setrlimit(Resource::Nofile, raised).is_ok() {
        files = raised;
    }
    let files = files.current.and_then(|files| usize::try_from(files).ok());
    files.map_or(CONNECTIONS, |files| files.saturating_sub(RESERVED).clamp(RESERVED, CONNECTIONS))
}

/// Ends a connection for which there is no room, without waiting for anything.
fn refuse(stream: TcpStream, tls: bool) {
    tracing::debug!("a connection too many");
    if let (false, Ok(mut stream)) = (tls, stream.into_std()) {
        let _ = stream.write(FULL);
    }
}

/// Waits to be told to stop.
pub(super) async fn told(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}

struct Connection {
    builder: Arc<Builder<TokioExecutor>>,
    front: Front,
    peer: SocketAddr,
}

impl Connection {
    async fn secure(self, stream: TcpStream, tls: &TlsAcceptor, watcher: hyper_util::server::graceful::Watcher) {
        match tokio::time::timeout(PATIENCE, tls.accept(stream)).await {
            Ok(Ok(stream)) => self.drive(stream, watcher).await,
            Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
            Err(_) => tracing::debug!("TLS handshake timed out"),
        }
    }

    async fn drive<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        self,
        stream: S,
        watcher: hyper_util::server::graceful::Watcher,
    ) {
        let (front, peer) = (self.front, Peer(self.peer.ip()));
        let first = Arc::new(Notify::new());
        let asked = Arc::clone(&first);
        let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
            asked.notify_one();
            let mut request: Request = request.map(Body::new);
            request.extensions_mut().insert(peer);
            front.clone().answer(request).map(Ok::<_, Infallible>)
        });
        let connection = self.builder.serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(watcher.watch(connection.into_owned()));
        // Until hyper knows which HTTP is spoken it waits without an end, and on HTTP/2 for the first request too.
        let ended = tokio::select! {
            ended = &mut connection => ended,
            asked = tokio::time::timeout(PATIENCE, first.notified()) => match asked {
                Ok(()) => connection.await,
                Err(_) => return tracing::debug!("a connection without a request was closed"),
            },
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "connection ended early");
        }
    }
}

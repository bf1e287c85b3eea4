//! Somebody else's server: it gives what a test put there, counts who came, and keeps what was posted.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// A server on loopback. It ends when it is dropped.
pub(crate) struct Elsewhere {
    pub(crate) address: SocketAddr,
    /// The certificate of the authority that its own certificate is of (PEM), where it speaks TLS.
    pub(crate) ca: Option<PathBuf>,
    places: Places,
    serving: JoinHandle<()>,
}

type Places = Arc<Mutex<HashMap<String, Place>>>;

/// What is at a path. Nothing was put there: 404.
#[derive(Clone)]
struct Place {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
    delay: Duration,
    hits: usize,
    answers: usize,
    posted: Vec<String>,
}

impl Default for Place {
    fn default() -> Self {
        let (headers, body) = (Vec::new(), Bytes::new());
        Self { status: 404, headers, body, delay: Duration::ZERO, hits: 0, answers: 0, posted: Vec::new() }
    }
}

impl Elsewhere {
    /// Over plain http.
    pub(crate) async fn start() -> Self {
        Self::listen(None).await
    }

    /// Over https, with a certificate for `localhost` and `127.0.0.1` of an authority of its own.
    pub(crate) async fn start_tls() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap();
        let ca = std::env::temp_dir().join(format!("countersign-{}.pem", uuid::Uuid::new_v4()));
        std::fs::write(&ca, authority.pem()).unwrap();

        let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let mut elsewhere = Self::listen(Some(Arc::new(config).into())).await;
        elsewhere.ca = Some(ca);
        elsewhere
    }

    async fn listen(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let places = Places::default();
        let shared = Arc::clone(&places);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, places) = (tls.clone(), Arc::clone(&shared));
                tokio::spawn(async move {
                    match tls {
                        None => drive(stream, places).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                drive(stream, places).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, ca: None, places, serving }
    }

    /// The URL of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        let scheme = if self.ca.is_some() { "https" } else { "http" };
        format!("{scheme}://localhost:{}{path}", self.address.port())
    }

    /// Puts an answer of 200 at a path, and says its URL.
    pub(crate) fn put(&self, path: &str, body: impl Into<Bytes>) -> String {
        self.put_with(path, 200, &[], body)
    }

    /// Puts another answer at a path.
    pub(crate) fn put_with(
        &self,
        path: &str,
        status: u16,
        headers: &[(&'static str, &str)],
        body: impl Into<Bytes>,
    ) -> String {
        let mut places = self.places.lock().unwrap();
        let place = places.entry(path.to_owned()).or_default();
        place.status = status;
        place.headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        place.body = body.into();
        drop(places);
        self.url(path)
    }

    /// Takes so long to answer at a path.
    pub(crate) fn delay(&self, path: &str, delay: Duration) {
        self.places.lock().unwrap().entry(path.to_owned()).or_default().delay = delay;
    }

    /// How many requests came for a path.
    pub(crate) fn hits(&self, path: &str) -> usize {
        self.places.lock().unwrap().get(path).map_or(0, |place| place.hits)
    }

    /// Waits until so many requests for a path have been answered.
    pub(crate) async fn answered(&self, path: &str, many: usize) {
        let answers = || self.places.lock().unwrap().get(path).map_or(0, |place| place.answers);
        let all = async {
            while answers() < many {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), all).await.expect("answers");
    }

    /// The bodies that were posted to a path.
    pub(crate) fn posted(&self, path: &str) -> Vec<String> {
        self.places.lock().unwrap().get(path).map(|place| place.posted.clone()).unwrap_or_default()
    }
}

async fn drive(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, places: Places) {
    let service = hyper::service::service_fn(move |request| answer(request, Arc::clone(&places)));
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(request: Request<Incoming>, places: Places) -> Result<Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let place = {
        let mut places = places.lock().unwrap();
        let place = places.entry(head.uri.path().to_owned()).or_default();
        place.hits += 1;
        if head.method == "POST" {
            place.posted.push(String::from_utf8_lossy(&body).into_owned());
        }
        place.clone()
    };
    tokio::time::sleep(place.delay).await;
    places.lock().unwrap().entry(head.uri.path().to_owned()).or_default().answers += 1;
    let mut response = Response::builder().status(place.status);
    for (name, value) in place.headers {
        response = response.header(name, value);
    }
    Ok(response.body(Body::from(place.body)).unwrap())
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        self.serving.abort();
        if let Some(ca) = &self.ca {
            let _ = std::fs::remove_file(ca);
        }
    }
}

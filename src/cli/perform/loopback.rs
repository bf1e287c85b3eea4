//! The loopback port that the browser comes back to (RFC 8252 §7.3).

use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use crate::cli::Failure;
use crate::domain::redirect_uri::is_loopback;

/// A request's head is no longer than this.
const HEAD: u64 = 32 * 1_024;
/// How long one may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(5);

/// An open port.
pub(super) struct Loopback {
    listener: TcpListener,
    port: u16,
    path: String,
}

impl Loopback {
    /// Listens at a redirect URI, else at a port; 0 is any free one.
    pub(super) async fn listen(uri: Option<&Url>, port: u16) -> Result<Self, Failure> {
        if uri.is_some_and(|uri| uri.scheme() != "http" || !is_loopback(uri)) {
            return Err(Failure::usage(
                "--redirect-uri: the browser comes back to http://127.0.0.1 or http://localhost only; with --username it may be any",
            ));
        }
        let port = uri.map_or(Some(port), Url::port_or_known_default).unwrap_or(port);
        let host = if uri.is_some_and(|uri| uri.host_str() == Some("[::1]")) { "::1" } else { "127.0.0.1" };
        let taken = |error| {
            Failure::new(format!("cannot listen on port {port} of this machine: {error}; choose another --port"))
        };
        let listener = TcpListener::bind((host, port)).await.map_err(taken)?;
        let port = listener.local_addr().map_err(taken)?.port();
        Ok(Self { listener, port, path: uri.map_or("/callback", Url::path).to_owned() })
    }

    pub(super) fn redirect_uri(&self) -> String {
        format!("http://127.0.0.1:{}{}", self.port, self.path)
    }

    /// Waits for the browser, and answers the parameters that it brings.
    pub(super) async fn comes_back(self, state: &str, timeout: Duration) -> Result<Vec<(String, String)>, Failure> {
        let wait = async {
            loop {
                let Ok((stream, _)) = self.listener.accept().await else { continue };
                // A connection that a browser opened beforehand says nothing.
                if let Ok(Some(came)) = tokio::time::timeout(PATIENCE, self.answer(stream, state)).await {
                    return came;
                }
            }
        };
        let late =
            |_| Failure::new(format!("the browser did not come back within {} s (--timeout)", timeout.as_secs()));
        tokio::time::timeout(timeout, wait).await.map_err(late)
    }

    async fn answer(&self, stream: TcpStream, state: &str) -> Option<Vec<(String, String)>> {
        let mut stream = BufReader::new(stream);
        let (mut first, mut line) = (String::new(), String::new());
        let mut head = (&mut stream).take(HEAD);
        head.read_line(&mut first).await.ok()?;
        while head.read_line(&mut line).await.ok()? > 2 {
            line.clear();
        }
        let target = first.strip_prefix("GET ").and_then(|rest| rest.split(' ').next()).unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let came: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let has = |name: &str, wanted: Option<&str>| {
            came.iter().any(|(known, value)| known == name && wanted.is_none_or(|wanted| wanted == value))
        };
        let (status, words, done) =
            match path == self.path && (has("state", None) || has("code", None) || has("error", None)) {
                false => ("404 Not Found", "There is nothing here.", false),
                true if !has("state", Some(state)) => {
                    ("400 Bad Request", "This answers another request. Begin anew.", true)
                }
                true if has("error", None) => {
                    ("200 OK", "The server refused. The terminal says why; close this tab.", true)
                }
                true => ("200 OK", "Done. Close this tab and go back to the terminal.", true),
            };
        let page = format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
             Referrer-Policy: no-referrer\r\nConnection: close\r\n\r\n{words}",
            words.len()
        );
        let _ = stream.get_mut().write_all(page.as_bytes()).await;
        let _ = stream.get_mut().shutdown().await;
        done.then_some(came)
    }
}

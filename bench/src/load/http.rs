//! One kept-alive connection that speaks as much HTTP/1.1 as measuring needs: a request is bytes made before the clock starts,
//! and an answer is looked at where it lies in the buffer. It costs a fraction of what a whole client costs, so that on a shared
//! machine the time goes to the server.

use std::fmt::Write as _;
use std::net::SocketAddr;

use base64::{Engine, engine::general_purpose::STANDARD};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Result;

/// Larger answers are a mistake.
const MOST: usize = 4 << 20;

/// A connection, which is opened when it is first needed, and anew where the server closed it.
#[derive(Debug)]
pub(crate) struct Connection {
    address: SocketAddr,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
}

/// An answer, as it lies in the connection's buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    head: &'a str,
    pub(crate) body: &'a str,
}

/// Where the parts of an answer are.
struct Extent {
    status: u16,
    head: usize,
    end: usize,
    closes: bool,
}

impl Connection {
    pub(crate) const fn new(address: SocketAddr) -> Self {
        Self { address, stream: None, buffer: Vec::new() }
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.connect().await?,
        };
        stream.write_all(request).await?;
        self.buffer.clear();
        let extent = read(&mut stream, &mut self.buffer).await?;
        if !extent.closes {
            self.stream = Some(stream);
        }
        let text = |bytes| std::str::from_utf8(bytes).map_err(|_| "the answer is not UTF-8");
        let (head, body) = (text(&self.buffer[..extent.head])?, text(&self.buffer[extent.head..extent.end])?);
        Ok(Answer { status: extent.status, head, body })
    }

    async fn connect(&self) -> Result<TcpStream> {
        let stream = TcpStream::connect(self.address).await.map_err(|error| format!("{}: {error}", self.address))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<Extent> {
    let head = loop {
        let seen = buffer.len().saturating_sub(3);
        more(stream, buffer).await?;
        if let Some(at) = find(&buffer[seen..], b"\r\n\r\n") {
            break seen + at + 4;
        }
    };
    let text = std::str::from_utf8(&buffer[..head]).map_err(|_| "the head of the answer is not UTF-8")?;
    let status = text.get(9..12).and_then(|code| code.parse().ok()).ok_or("the answer is not HTTP/1.1")?;
    let closes = header(text, "connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    let chunked = header(text, "transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
    let length = match header(text, "content-length") {
        Some(length) => Some(length.parse::<usize>().map_err(|_| "Content-Length is not a number")?),
        None => matches!(status, 204 | 304).then_some(0),
    };
    let end = match length {
        _ if chunked => read_chunks(stream, buffer, head).await?,
        Some(length) => {
            while buffer.len() < head + length {
                more(stream, buffer).await?;
            }
            head + length
        }
        None => return Err("the answer has no length".into()),
    };
    Ok(Extent { status, head, end, closes })
}

/// Reads a chunked body (RFC 9112 §7.1) and moves its parts together; answers where it ends.
async fn read_chunks(stream: &mut TcpStream, buffer: &mut Vec<u8>, head: usize) -> Result<usize> {
    let (mut end, mut at) = (head, head);
    loop {
        let line = loop {
            match find(&buffer[at..], b"\r\n") {
                Some(length) => break at..at + length,
                None => more(stream, buffer).await?,
            }
        };
        at = line.end + 2;
        let size = std::str::from_utf8(&buffer[line]).unwrap_or_default().split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| "a chunk has no size")?;
        while buffer.len() < at + size + 2 {
            more(stream, buffer).await?;
        }
        if size == 0 {
            return Ok(end);
        }
        buffer.copy_within(at..at + size, end);
        (end, at) = (end + size, at + size + 2);
    }
}

async fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<()> {
    if buffer.len() > MOST {
        return Err("the answer is too large".into());
    }
    buffer.reserve(4096);
    match stream.read_buf(buffer).await? {
        0 => Err("the server closed the connection instead of answering".into()),
        _ => Ok(()),
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn headers<'a>(head: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    head.split("\r\n").filter_map(move |line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    headers(head, name).next()
}

impl<'a> Answer<'a> {
    /// The first header of this name.
    pub(crate) fn header(&self, name: &str) -> Option<&'a str> {
        header(self.head, name)
    }

    /// All headers of this name.
    pub(crate) fn headers(&self, name: &str) -> impl Iterator<Item = &'a str> {
        headers(self.head, name)
    }

    /// A text member of a JSON body, without reading the rest of it: tokens, which have no escapes.
    pub(crate) fn text(&self, name: &str) -> Option<&'a str> {
        let value = self.member(name)?.strip_prefix('"')?;
        value.split_once('"').map(|(value, _)| value).filter(|value| !value.contains('\\'))
    }

    /// Whether a member of a JSON body is `true`.
    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.member(name).is_some_and(|value| value.starts_with("true"))
    }

    /// The body from the value of this member on.
    fn member(&self, name: &str) -> Option<&'a str> {
        let mut rest = self.body;
        loop {
            rest = rest.split_once('"')?.1;
            if let Some(after) = rest.strip_prefix(name).and_then(|after| after.strip_prefix('"'))
                && let Some(value) = after.trim_start().strip_prefix(':')
            {
                return Some(value.trim_start());
            }
        }
    }

    /// What came, for people.
    pub(crate) fn describe(&self) -> String {
        let body: String = self.body.chars().take(400).collect();
        match self.header("location") {
            Some(location) => format!("status {}, to {location}: {body}", self.status),
            None => format!("status {}: {body}", self.status),
        }
    }
}

/// The bytes of requests to one server.
#[derive(Clone, Debug)]
pub(crate) struct Requests {
    pub(crate) host: String,
}

/// How a request says who sends it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Credentials<'a> {
    None,
    Basic(&'a str, &'a str),
    Bearer(&'a str),
    Cookie(&'a str),
}

impl Requests {
    pub(crate) fn get(&self, path: &str, credentials: Credentials<'_>) -> Vec<u8> {
        self.head("GET", path, credentials, "text/html, application/json;q=0.9").into_bytes_with("", "")
    }

    pub(crate) fn form(&self, path: &str, credentials: Credentials<'_>, form: &str) -> Vec<u8> {
        self.head("POST", path, credentials, "*/*").into_bytes_with("application/x-www-form-urlencoded", form)
    }

    pub(crate) fn json(&self, method: &str, path: &str, credentials: Credentials<'_>, body: &str) -> Vec<u8> {
        self.head(method, path, credentials, "application/json").into_bytes_with("application/json", body)
    }

    fn head(&self, method: &str, path: &str, credentials: Credentials<'_>, accept: &str) -> Head {
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nAccept: {accept}\r\n", self.host);
        let _ = match credentials {
            Credentials::None => Ok(()),
            // RFC 6749 §2.3.1: both are form-encoded first.
            Credentials::Basic(id, secret) => {
                let pair = format!("{}:{}", encode(id), encode(secret));
                write!(text, "Authorization: Basic {}\r\n", STANDARD.encode(pair))
            }
            Credentials::Bearer(token) => write!(text, "Authorization: Bearer {token}\r\n"),
            Credentials::Cookie("") => Ok(()),
            Credentials::Cookie(cookie) => write!(text, "Cookie: {cookie}\r\n"),
        };
        Head(text)
    }
}

struct Head(String);

impl Head {
    fn into_bytes_with(self, content_type: &str, body: &str) -> Vec<u8> {
        let mut text = self.0;
        if !content_type.is_empty() {
            let _ = write!(text, "Content-Type: {content_type}\r\nContent-Length: {}\r\n", body.len());
        }
        text.push_str("\r\n");
        text.push_str(body);
        text.into_bytes()
    }
}

fn encode(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// A form's body, or a query.
pub(crate) fn form<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn answer(body: &str) -> Answer<'_> {
        Answer { status: 200, head: "", body }
    }

    #[test]
    fn members_are_found_without_a_parser() {
        let one = answer(r#"{"id_token" : "a.b", "access_token":"cs_at_x", "active": true, "scope":"active \"x"}"#);
        assert_eq!(one.text("access_token"), Some("cs_at_x"));
        assert_eq!(one.text("id_token"), Some("a.b"));
        assert!(one.is_true("active") && !one.is_true("scope"));
        assert_eq!(one.text("scope"), None);
        assert_eq!(answer("").text("access_token"), None);
        assert!(!answer(r#"{"active":false}"#).is_true("active"));
    }

    #[test]
    fn requests_carry_credentials_and_lengths() {
        let requests = Requests { host: "localhost:1".to_owned() };
        let bytes = requests.form("/token", Credentials::Basic("a b", "c:d"), "x=1");
        let text = String::from_utf8(bytes).unwrap();
        let basic = STANDARD.encode("a+b:c%3Ad");
        assert!(text.starts_with("POST /token HTTP/1.1\r\nHost: localhost:1\r\n"), "{text}");
        assert!(text.contains(&format!("Authorization: Basic {basic}\r\n")), "{text}");
        assert!(text.ends_with("Content-Length: 3\r\n\r\nx=1"), "{text}");
    }

    /// A server that answers each request with the next of these texts, in pieces of seven bytes.
    async fn serve(answers: &'static [&'static str]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            for answer in answers {
                let _ = stream.read(&mut [0; 1024]).await.unwrap();
                for piece in answer.as_bytes().chunks(7) {
                    stream.write_all(piece).await.unwrap();
                    tokio::task::yield_now().await;
                }
            }
        });
        address
    }

    #[tokio::test]
    async fn answers_of_each_kind_follow_one_another() {
        let address = serve(&[
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
            "HTTP/1.1 204 No Content\r\n\r\n",
            "HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n",
        ])
        .await;
        let mut connection = Connection::new(address);
        let first = connection.exchange(b"GET").await.unwrap();
        assert_eq!((first.status, first.body), (200, "hello"));
        assert_eq!(first.headers("set-cookie").collect::<Vec<_>>(), ["a=1", "b=2"]);
        assert_eq!(connection.exchange(b"GET").await.unwrap().body, "hello world");
        assert_eq!(connection.exchange(b"GET").await.unwrap().status, 204);
        assert_eq!(connection.exchange(b"GET").await.unwrap().header("location"), Some("/x"));
        assert!(connection.exchange(b"GET").await.is_err(), "the server is gone");
    }
}

//! Clients that are slow on purpose hold nothing up: silence, headers and bodies byte by byte, answers nobody reads, endless headers,
//! and HTTP/2 streams opened only to be reset.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::alone;
use crate::load::{furnished, own_token, p99};
use crate::overload::{exchange, memory, request};
use crate::support::{Database, Folder};

/// Of each kind.
const EACH: usize = 400;
/// A connection that does nothing proper ends after ten seconds; a body may take thirty.
const ENDED: Duration = Duration::from_secs(16);

/// Waits until the server ends a connection; `false` where it has not after this long.
async fn is_ended(stream: &mut TcpStream, within: Duration) -> bool {
    let mut bytes = [0; 4_096];
    let ended = tokio::time::timeout(within, async { while matches!(stream.read(&mut bytes).await, Ok(1..)) {} });
    ended.await.is_ok()
}

async fn silent(at: SocketAddr) -> bool {
    let mut stream = TcpStream::connect(at).await.unwrap();
    is_ended(&mut stream, ENDED).await
}

/// The beginning of HTTP/2, or so it seems.
async fn undecided(at: SocketAddr) -> bool {
    let mut stream = TcpStream::connect(at).await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n").await.unwrap();
    is_ended(&mut stream, ENDED).await
}

async fn slow_headers(at: SocketAddr) -> bool {
    let mut stream = TcpStream::connect(at).await.unwrap();
    let begun = Instant::now();
    stream.write_all(format!("GET /login HTTP/1.1\r\nHost: localhost:{}\r\n", at.port()).as_bytes()).await.unwrap();
    while begun.elapsed() < ENDED {
        if stream.write_all(b"X-A: b\r\n").await.is_err() || is_ended(&mut stream, Duration::from_millis(500)).await {
            return true;
        }
    }
    false
}

/// The body comes, a byte at a time.
async fn slow_body(at: SocketAddr) -> bool {
    let mut stream = TcpStream::connect(at).await.unwrap();
    let (begun, request) = (Instant::now(), request(at));
    let (now, later) = request.split_at(request.len() - 25);
    stream.write_all(now).await.unwrap();
    for byte in later {
        if begun.elapsed() > ENDED || stream.write_all(&[*byte]).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    true
}

/// One request after another, and no answer is read.
async fn deaf(at: SocketAddr) -> bool {
    let stream = TcpStream::connect(at).await.unwrap();
    let page = format!("GET /login HTTP/1.1\r\nHost: localhost:{}\r\n\r\n", at.port()).repeat(200);
    let begun = Instant::now();
    let (mut read, mut write) = stream.into_split();
    loop {
        match tokio::time::timeout(Duration::from_secs(20), write.write_all(page.as_bytes())).await {
            // Both sides are full; now the server must tire first.
            Err(_) => return false,
            Ok(Err(_)) => break,
            Ok(Ok(())) if begun.elapsed() > Duration::from_secs(40) => return false,
            Ok(Ok(())) => {}
        }
    }
    // Whatever was on its way is all that comes.
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(5), read.read_to_end(&mut rest)).await;
    true
}

/// Headers without an end.
async fn endless_headers(at: SocketAddr) -> bool {
    let mut stream = TcpStream::connect(at).await.unwrap();
    stream
        .write_all(format!("GET /login HTTP/1.1\r\nHost: localhost:{}\r\nX-A: ", at.port()).as_bytes())
        .await
        .unwrap();
    let mut sent = 0;
    while sent < 1_048_576 {
        if stream.write_all(&[b'a'; 4_096]).await.is_err() {
            break;
        }
        sent += 4_096;
    }
    is_ended(&mut stream, Duration::from_secs(5)).await
}

/// CVE-2023-44487: streams that are opened and reset in one breath.
async fn rapid_resets(at: SocketAddr) -> bool {
    let mut stream = TcpStream::connect(at).await.unwrap();
    let frame = |kind: u8, flags: u8, stream: u32, payload: &[u8]| {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    };
    // RFC 7541: `:method GET`, `:scheme http`, `:path /` by index, `:authority` as a literal.
    let headers = [&[0x82, 0x86, 0x84, 0x01, 9][..], b"localhost"].concat();
    let mut bytes = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(4, 0, 0, &[])].concat();
    for id in (1..20_000).step_by(2) {
        bytes.extend(frame(1, 5, id, &headers));
        bytes.extend(frame(3, 0, id, &8_u32.to_be_bytes()));
    }
    let _ = tokio::time::timeout(Duration::from_secs(5), stream.write_all(&bytes)).await;
    // The server has enough of it long before the end.
    is_ended(&mut stream, Duration::from_secs(5)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_are_slow_on_purpose_hold_nothing_up() {
    let _alone = alone().await;
    let folder = furnished(Folder::new(Database::Sqlite).await);
    let (process, service) = folder.serve(&[]);
    let at = service.address;
    assert_eq!(own_token(&service.http, at).await.status, 200);
    let mut slow = JoinSet::new();
    for number in 0..EACH {
        // Not all in one moment: what overruns the system's queue for new connections is not here yet, though it thinks so.
        tokio::time::sleep(Duration::from_millis(3)).await;
        slow.spawn(async move { ("silent", silent(at).await) });
        slow.spawn(async move { ("undecided", undecided(at).await) });
        slow.spawn(async move { ("slow headers", slow_headers(at).await) });
        slow.spawn(async move { ("slow body", slow_body(at).await) });
        if number % 20 == 0 {
            slow.spawn(async move { ("deaf", deaf(at).await) });
            slow.spawn(async move { ("endless headers", endless_headers(at).await) });
            slow.spawn(async move { ("rapid resets", rapid_resets(at).await) });
        }
    }
    // Meanwhile an honest client is served as ever: on a connection that it has, and on new ones.
    let going = Arc::new(());
    let honest = tokio::spawn({
        let going = Arc::clone(&going);
        async move {
            let (request, mut times) = (request(at), Vec::new());
            let mut kept = BufReader::new(TcpStream::connect(at).await.unwrap());
            while Arc::strong_count(&going) > 1 {
                let asked = Instant::now();
                assert_eq!(exchange(&mut kept, &request).await.unwrap(), 200);
                let mut fresh = BufReader::new(TcpStream::connect(at).await.unwrap());
                assert_eq!(exchange(&mut fresh, &request).await.unwrap(), 200);
                times.push(asked.elapsed());
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            times
        }
    });
    let mut highest = 0;
    while let Some(ended) = slow.join_next().await {
        let (kind, is_ended) = ended.unwrap();
        assert!(is_ended, "a connection goes on: {kind}");
        highest = highest.max(memory(&process));
    }
    drop(going);
    let times = honest.await.unwrap();
    let slowest = p99(times.clone());
    eprintln!("{} pairs of honest requests, 99 % within {slowest:?}; {highest} MiB", times.len());
    assert!(times.len() > 100 && slowest < Duration::from_secs(1), "{slowest:?}");
    assert!(highest < 400, "{highest} MiB");
}

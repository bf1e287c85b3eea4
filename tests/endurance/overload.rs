//! More than the server can do: who is served is served soon, the rest are refused at once, memory stays bounded, and when the
//! crowd has gone everything is as before.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use base64::{Engine, engine::general_purpose::STANDARD};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::load::{furnished, furnished_on, get, own_token, p99, within};
use crate::postgres::Postgres;
use crate::support::{Database, Folder, Process};
use crate::{alone, rounds};

/// Clients at once: each sends its next request when it has the answer to the last.
const CROWD: usize = 3_000;

/// Resident memory of a process in MiB.
pub(crate) fn memory(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().trim().parse::<u64>().unwrap() / 1_024
}

/// A token request as it goes over the wire.
pub(crate) fn request(at: SocketAddr) -> Vec<u8> {
    let basic = STANDARD.encode("service:service-secret");
    let body = "grant_type=client_credentials";
    format!(
        "POST /oauth2/token HTTP/1.1\r\nHost: localhost:{}\r\nAuthorization: Basic {basic}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        at.port(),
        body.len()
    )
    .into_bytes()
}

/// Sends a request and reads the answer: its status.
pub(crate) async fn exchange(stream: &mut BufReader<TcpStream>, request: &[u8]) -> std::io::Result<u16> {
    stream.get_mut().write_all(request).await?;
    let (mut head, mut byte) = (Vec::with_capacity(1_024), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).await?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse::<usize>().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    assert!(status != 503 || head.contains("retry-after: "), "{head}");
    Ok(status)
}

/// One of the crowd. Answers how long it waited for each answer, and for each refusal.
async fn one(at: SocketAddr, going: Arc<AtomicBool>) -> [Vec<Duration>; 2] {
    let (request, mut times) = (request(at), [Vec::new(), Vec::new()]);
    while going.load(Ordering::Relaxed) {
        let Ok(stream) = TcpStream::connect(at).await else { continue };
        let mut stream = BufReader::new(stream);
        while going.load(Ordering::Relaxed) {
            let asked = Instant::now();
            match exchange(&mut stream, &request).await {
                Ok(200) => times[0].push(asked.elapsed()),
                Ok(429 | 503) => {
                    times[1].push(asked.elapsed());
                    // It does not do as it is told, but is not quite without manners.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Ok(status) => panic!("{status}"),
                Err(_) => break,
            }
        }
    }
    times
}

async fn a_crowd_is_survived(folder: Folder) {
    let (process, service) = folder.serve(&[]);
    let (http, at) = (service.http.clone(), service.address);
    let warm = own_token(&http, at).await;
    assert_eq!(warm.status, 200, "{warm:?}");
    for _ in 0..rounds(1) {
        let going = Arc::new(AtomicBool::new(true));
        let crowd: Vec<_> = (0..CROWD).map(|_| tokio::spawn(one(at, Arc::clone(&going)))).collect();
        let until = Instant::now() + Duration::from_secs(6);
        let mut highest = 0;
        while Instant::now() < until {
            let lives = get(&http, at, "/healthz").await;
            assert!(lives.status == 200 && lives.took < Duration::from_secs(3), "{lives:?}");
            highest = highest.max(memory(&process));
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        going.store(false, Ordering::Relaxed);
        let [mut served, mut refused] = [Vec::new(), Vec::new()];
        for one in crowd {
            let [answers, refusals] = one.await.unwrap();
            served.extend(answers);
            refused.extend(refusals);
        }
        assert!(served.len() > 1_000, "{} served", served.len());
        assert!(refused.len() > 100, "{} refused: no overload", refused.len());
        let [served_in, refused_in] = [p99(served.clone()), p99(refused.clone())];
        eprintln!(
            "{} served, 99 % within {served_in:?}; {} refused, 99 % within {refused_in:?}; {highest} MiB",
            served.len(),
            refused.len()
        );
        assert!(served_in < Duration::from_secs(3), "{served_in:?}");
        assert!(refused_in < Duration::from_secs(3), "{refused_in:?}");
        assert!(highest < 400, "{highest} MiB");
        within(Duration::from_secs(5), "as before", async || {
            let outcome = own_token(&http, at).await;
            outcome.status == 200 && outcome.took < Duration::from_millis(100)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_is_served_or_refused_soon_on_sqlite() {
    let _alone = alone().await;
    a_crowd_is_survived(furnished(Folder::new(Database::Sqlite).await)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_is_served_or_refused_soon_on_postgres() {
    let _alone = alone().await;
    let postgres = Postgres::start();
    a_crowd_is_survived(furnished_on(&postgres.url()).await).await;
}

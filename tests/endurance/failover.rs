//! The way to the database breaks: silently, as when a machine vanishes and another takes over its name; or in the one moment in
//! which nobody can know whether a change was made.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::alone;
use crate::load::{code, furnished_on, introspect, own_token, redeem, refresh, signed_in, within};
use crate::outages::Scene;
use crate::postgres::Postgres;

/// What stands between server and database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Everything passes.
    Open,
    /// What the database says is lost, then the connection.
    Mute,
    /// The database is elsewhere: later connections reach it, and over those that were there nothing passes, which nobody is told.
    Moved(u32),
}

/// A way to the database that a test can break. Answers its port.
async fn way_to(port: u16, way: watch::Receiver<Way>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let Ok((near, _)) = listener.accept().await else { return };
            let way = way.clone();
            tokio::spawn(async move {
                let Ok(far) = TcpStream::connect(("127.0.0.1", port)).await else { return };
                let (near, far) = (near.into_split(), far.into_split());
                let there = tokio::spawn(pass(near.0, far.1, way.clone(), false));
                let back = tokio::spawn(pass(far.0, near.1, way, true));
                let _ = tokio::join!(there, back);
            });
        }
    });
    address.port()
}

async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut way: watch::Receiver<Way>,
    is_answer: bool,
) {
    let born = *way.borrow();
    let mut bytes = vec![0; 16_384];
    loop {
        let moved = async {
            let _ = way.wait_for(|way| matches!(way, Way::Moved(_)) && *way != born).await;
        };
        let read = tokio::select! {
            read = from.read(&mut bytes) => Some(read),
            () = moved => None,
        };
        // What is lost stays lost, with its sockets open.
        let Some(read) = read else { return std::future::pending().await };
        let Ok(read @ 1..) = read else { return };
        if is_answer && *way.borrow() == Way::Mute {
            return;
        }
        if to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_vanishes_and_returns_elsewhere_is_found_again() {
    let _alone = alone().await;
    let postgres = Postgres::start();
    let (set, way) = watch::channel(Way::Open);
    let port = way_to(postgres.port(), way).await;
    let mut scene = Scene::on(&format!("postgres://postgres@127.0.0.1:{port}/postgres")).await;
    for generation in 1..=crate::rounds(1) {
        set.send(Way::Moved(generation)).unwrap();
        scene.recovers_within(Duration::from_secs(4)).await;
    }
    scene.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_which_nobody_knows_is_no_success_and_a_retry_is_safe() {
    let _alone = alone().await;
    let postgres = Postgres::start();
    let (set, way) = watch::channel(Way::Open);
    let port = way_to(postgres.port(), way).await;
    let folder = furnished_on(&format!("postgres://postgres@127.0.0.1:{port}/postgres")).await;
    let (_process, service) = folder.serve(&[]);
    let (http, at) = (&service.http, service.address);
    let browser = signed_in(at).await;
    let first = redeem(http, at, "lenient", &code(&browser, at, "lenient").await.unwrap()).await;
    let (token, other) = (first.text("refresh_token"), code(&browser, at, "lenient").await.unwrap());
    let serves = async || own_token(http, at).await.status == 200;

    // The database makes the change, and its answer is lost.
    set.send(Way::Mute).unwrap();
    let unsure = refresh(http, at, "lenient", &token).await;
    assert!(unsure.status == 503 && unsure.retry_after, "{unsure:?}");
    assert!(unsure.body["access_token"].is_null(), "{unsure:?}");
    set.send(Way::Open).unwrap();
    within(Duration::from_secs(2), "served again", serves).await;
    let again = refresh(http, at, "lenient", &token).await;
    assert_eq!(again.status, 200, "{again:?}");
    assert_eq!(introspect(http, at, &again.text("access_token")).await.body["active"], true);
    assert_eq!(refresh(http, at, "lenient", &again.text("refresh_token")).await.status, 200);

    // A code: redeemed once at the most. Whoever asks again signs in again, which is one redirect.
    set.send(Way::Mute).unwrap();
    let unsure = redeem(http, at, "lenient", &other).await;
    assert!(unsure.status == 503 && unsure.retry_after, "{unsure:?}");
    set.send(Way::Open).unwrap();
    within(Duration::from_secs(2), "served again", serves).await;
    let again = redeem(http, at, "lenient", &other).await;
    assert!(again.status == 200 || again.body["error"] == "invalid_grant", "{again:?}");
    let fresh = code(&browser, at, "lenient").await.unwrap();
    assert_eq!(redeem(http, at, "lenient", &fresh).await.status, 200);
}

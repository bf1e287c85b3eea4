//! A node is killed (`kill -9`) at random moments: nothing acknowledged is lost, nothing is spent twice, nothing needs repair.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::load::{assert_all_active, code, furnished, furnished_on, own_token, redeem, refresh, signed_in};
use crate::postgres::Postgres;
use crate::support::{Browser, Database, Folder, Service};
use crate::{alone, random, rounds};

/// What the clients know when the node is gone.
enum Known {
    /// A token of a client's own that they received.
    Own(String),
    /// One of Alice's, which ends when what it came from is used twice.
    Hers(String),
    /// A code for which they have tokens.
    Redeemed(String),
    /// A code that they sent and heard no answer to.
    UnsureCode(String),
    /// A refresh token for which they have another.
    Spent(String),
    /// One that they sent and heard no answer to.
    UnsureRefresh(String),
}

/// Starts clients of all kinds, which end when the node does.
fn clients(service: &Arc<Service>, browser: &Arc<Browser>, known: &UnboundedSender<Known>) {
    for _ in 0..2 {
        tokio::spawn(own_tokens(Arc::clone(service), known.clone()));
        tokio::spawn(codes(Arc::clone(service), Arc::clone(browser), known.clone()));
        tokio::spawn(chain(Arc::clone(service), Arc::clone(browser), known.clone()));
    }
}

async fn own_tokens(service: Arc<Service>, known: UnboundedSender<Known>) {
    loop {
        let made = own_token(&service.http, service.address).await;
        if made.status == 0 {
            return;
        }
        let _ = known.send(Known::Own(made.text("access_token")));
    }
}

async fn codes(service: Arc<Service>, browser: Arc<Browser>, known: UnboundedSender<Known>) {
    while let Some(code) = code(&browser, service.address, "app").await {
        let tokens = redeem(&service.http, service.address, "app", &code).await;
        if tokens.status == 0 {
            let _ = known.send(Known::UnsureCode(code));
            return;
        }
        let _ = known.send(Known::Hers(tokens.text("access_token")));
        let _ = known.send(Known::Redeemed(code));
    }
}

/// One refresh token after another, without any grace.
async fn chain(service: Arc<Service>, browser: Arc<Browser>, known: UnboundedSender<Known>) {
    let Some(code) = code(&browser, service.address, "app").await else { return };
    let mut tokens = redeem(&service.http, service.address, "app", &code).await;
    while tokens.status != 0 {
        let _ = known.send(Known::Hers(tokens.text("access_token")));
        let last = tokens.text("refresh_token");
        tokens = refresh(&service.http, service.address, "app", &last).await;
        let _ = known.send(if tokens.status == 0 { Known::UnsureRefresh(last) } else { Known::Spent(last) });
    }
}

/// How many of two who try at once are served.
async fn served(
    one: impl Future<Output = crate::load::Outcome>,
    other: impl Future<Output = crate::load::Outcome>,
) -> usize {
    let (one, other) = tokio::join!(one, other);
    assert!([one.status, other.status].iter().all(|status| [200, 400].contains(status)), "{one:?} {other:?}");
    [one, other].iter().filter(|outcome| outcome.status == 200).count()
}

async fn is_killed_at_random_moments(folder: Folder) {
    let mut tokens: Vec<String> = Vec::new();
    let mut known: Vec<Known> = Vec::new();
    let rounds = rounds(3);
    for round in 0..=rounds {
        let started = Instant::now();
        let (mut process, service) = folder.serve(&[]);
        // No repair: it starts as ever, and everything is there.
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
        let (http, at) = (service.http.clone(), service.address);
        let mut hers: Vec<String> = Vec::new();
        for one in &known {
            match one {
                Known::Own(token) => tokens.push(token.clone()),
                Known::Hers(token) => hers.push(token.clone()),
                _ => {}
            }
        }
        // The latest each time, and all of them in the end.
        let from = if round == rounds { 0 } else { tokens.len().saturating_sub(1_000) };
        assert_all_active(&service, &tokens[from..]).await;
        assert_all_active(&service, &hers).await;
        // What was in doubt is spent once at the most, by whoever comes first; and what was spent stays so. A second use ends what came
        // of the first.
        for one in known.drain(..) {
            match one {
                Known::Own(_) | Known::Hers(_) => {}
                Known::UnsureCode(code) => {
                    assert!(served(redeem(&http, at, "app", &code), redeem(&http, at, "app", &code)).await <= 1);
                }
                Known::UnsureRefresh(token) => {
                    assert!(served(refresh(&http, at, "app", &token), refresh(&http, at, "app", &token)).await <= 1);
                }
                Known::Redeemed(code) => {
                    assert_eq!(redeem(&http, at, "app", &code).await.status, 400, "a code was redeemed twice");
                }
                Known::Spent(token) => {
                    assert_eq!(refresh(&http, at, "app", &token).await.status, 400, "a refresh token was spent twice");
                }
            }
        }
        if round == rounds {
            return;
        }
        let browser = Arc::new(signed_in(at).await);
        let (sender, mut receiver) = unbounded_channel();
        clients(&Arc::new(service), &browser, &sender);
        drop(sender);
        // From here on there is load, however busy the machine.
        while known.len() < 6 {
            known.push(receiver.recv().await.expect("clients go on until the server is killed"));
        }
        tokio::time::sleep(random(Duration::from_millis(700))).await;
        process.kill();
        while let Some(one) = receiver.recv().await {
            known.push(one);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_loses_nothing_and_spends_nothing_twice_on_sqlite() {
    let _alone = alone().await;
    is_killed_at_random_moments(furnished(Folder::new(Database::Sqlite).await)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_loses_nothing_and_spends_nothing_twice_on_postgres() {
    let _alone = alone().await;
    let postgres = Postgres::start();
    is_killed_at_random_moments(furnished_on(&postgres.url()).await).await;
}

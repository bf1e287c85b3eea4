//! The database is away: stopped, cut off, locked, frozen, full. Requests get 503 with `Retry-After` within two seconds, `/readyz`
//! says so, `/healthz` does not mind; it passes by itself when the database is back, and nothing acknowledged is lost.

use std::time::Duration;

use sqlx::Connection;
use tokio::task::block_in_place;

use crate::load::{Load, Outcome, acknowledged, assert_all_active, furnished_on, get, own_token, within};
use crate::postgres::Postgres;
use crate::support::{Process, Service};
use crate::{alone, random, rounds};

/// What a request may take while the database is away: two seconds, and what a busy machine adds.
const ANSWERED: Duration = Duration::from_millis(2_400);
/// Until everything is as before once the database is back.
const RECOVERED: Duration = Duration::from_secs(2);
/// A connection that was idle for longer is tried before it is used (`src/store/postgres.rs`).
const FRESH: Duration = Duration::from_millis(100);

/// A server under load and the tokens that it has acknowledged.
pub(crate) struct Scene {
    pub(crate) service: Service,
    load: Load,
    tokens: Vec<String>,
    _process: Process,
    _folder: crate::support::Folder,
}

impl Scene {
    pub(crate) async fn on(url: &str) -> Self {
        let folder = furnished_on(url).await;
        let (process, service) = folder.serve(&[]);
        assert_eq!(own_token(&service.http, service.address).await.status, 200);
        let load = Load::start(&service, 6);
        Self { service, load, tokens: Vec::new(), _process: process, _folder: folder }
    }

    /// Looks at what came until now: answers or 503s that say when to come back, none of them late.
    pub(crate) fn check(&mut self) -> Vec<Outcome> {
        let outcomes = self.load.take();
        for outcome in &outcomes {
            let told = outcome.status == 200 || (outcome.status == 503 && outcome.retry_after);
            assert!(told, "neither served nor told to come back: {outcome:?}");
            assert!(outcome.took < ANSWERED, "late: {outcome:?}");
        }
        self.tokens.extend(acknowledged(&outcomes));
        outcomes
    }

    /// The database does not answer for this long.
    pub(crate) async fn is_away_for(&mut self, time: Duration) {
        let (http, at) = (self.service.http.clone(), self.service.address);
        let until = std::time::Instant::now() + time;
        let (mut ready, mut refused) = (200, 0);
        while std::time::Instant::now() < until || refused == 0 {
            let lives = get(&http, at, "/healthz").await;
            assert!(lives.status == 200 && lives.took < Duration::from_secs(1), "{lives:?}");
            let readiness = get(&http, at, "/readyz").await;
            assert!(readiness.took < ANSWERED && readiness.status != 0, "{readiness:?}");
            ready = readiness.status;
            refused += self.check().iter().filter(|outcome| outcome.status == 503).count();
            assert!(std::time::Instant::now() < until + Duration::from_secs(10), "nobody was refused");
        }
        assert_eq!(ready, 503, "/readyz does not know that the database is away");
    }

    /// The database has just come back.
    pub(crate) async fn recovers(&mut self) {
        self.recovers_within(RECOVERED).await;
    }

    /// The same with more time.
    pub(crate) async fn recovers_within(&mut self, limit: Duration) {
        let (http, at) = (self.service.http.clone(), self.service.address);
        within(limit, "ready and serving again", async || {
            get(&http, at, "/readyz").await.status == 200 && own_token(&http, at).await.status == 200
        })
        .await;
        // Whoever keeps a connection learns with the next request, or by asking first once it was idle for so long, that it was cut.
        tokio::time::sleep(FRESH).await;
        self.check();
        // Who asks from here on is not refused.
        let begun = std::time::Instant::now();
        tokio::time::sleep(Duration::from_millis(300)).await;
        let outcomes = self.check().into_iter();
        let refused = outcomes.filter(|outcome| outcome.took < begun.elapsed()).find(|outcome| outcome.status != 200);
        assert!(refused.is_none(), "refused after all: {refused:?}");
    }

    /// Everything acknowledged is there.
    pub(crate) async fn ends(mut self) {
        self.check();
        let rest = self.load.stop().await;
        self.tokens.extend(acknowledged(&rest));
        assert!(self.tokens.len() > 20, "there was load");
        assert_all_active(&self.service, &self.tokens).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_database_is_waited_for_and_nothing_is_lost() {
    let _alone = alone().await;
    let postgres = Postgres::start();
    let mut scene = Scene::on(&postgres.url()).await;
    for mode in ["fast", "immediate"].repeat(rounds(1) as usize) {
        tokio::time::sleep(random(Duration::from_millis(400))).await;
        block_in_place(|| postgres.stop(mode));
        scene.is_away_for(Duration::from_secs(3)).await;
        block_in_place(|| postgres.start_again());
        scene.recovers().await;
    }
    scene.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_cut_in_the_midst_of_statements_cost_their_requests_alone() {
    let _alone = alone().await;
    let postgres = Postgres::start();
    let mut scene = Scene::on(&postgres.url()).await;
    let mut admin = postgres.connect().await;
    for _ in 0..rounds(20) {
        tokio::time::sleep(random(Duration::from_millis(100))).await;
        sqlx::query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'countersign'")
            .execute(&mut admin)
            .await
            .unwrap();
        scene.check();
    }
    scene.recovers().await;
    scene.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_somebody_holds_is_not_waited_for() {
    let _alone = alone().await;
    let postgres = Postgres::start();
    let mut scene = Scene::on(&postgres.url()).await;
    let (mut admin, mut watch) = (postgres.connect().await, postgres.connect().await);
    for _ in 0..rounds(1) {
        // All tables: whatever connection there is, it is soon stuck.
        let mut tx = admin.begin().await.unwrap();
        sqlx::raw_sql("LOCK TABLE session, configuration, document, signing_key, throttle, revoked_token IN ACCESS EXCLUSIVE MODE")
            .execute(&mut *tx)
            .await
            .unwrap();
        scene.is_away_for(Duration::from_secs(4)).await;
        // Those who gave up have left nothing behind at the server.
        let (connections,): (i64,) =
            sqlx::query_as("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'countersign'")
                .fetch_one(&mut watch)
                .await
                .unwrap();
        assert!(connections <= 20, "{connections} connections");
        tx.rollback().await.unwrap();
        scene.recovers().await;
    }
    scene.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_database_does_not_freeze_the_server() {
    let _alone = alone().await;
    let postgres = Postgres::start();
    let mut scene = Scene::on(&postgres.url()).await;
    for _ in 0..rounds(1) {
        postgres.signal("STOP");
        scene.is_away_for(Duration::from_secs(4)).await;
        postgres.signal("CONT");
        scene.recovers().await;
    }
    scene.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_writing_until_there_is_room() {
    let _alone = alone().await;
    let Some(postgres) = Postgres::start_on_a_disk(160) else {
        eprintln!("\nNOT TESTED: a full disk, because no file system can be mounted here (that takes root rights).\n");
        return;
    };
    let mut scene = Scene::on(&postgres.url()).await;
    for _ in 0..rounds(1) {
        let filler = block_in_place(|| postgres.fill());
        let (mut admin, mut refused) = (postgres.connect().await, 0);
        let until = std::time::Instant::now() + Duration::from_secs(30);
        while refused < 20 {
            refused += scene.check().iter().filter(|outcome| outcome.status == 503).count();
            assert!(std::time::Instant::now() < until, "the disk does not fill");
            // The log of changes is what grows.
            let _ = sqlx::raw_sql("CREATE TABLE IF NOT EXISTS waste (text TEXT); INSERT INTO waste SELECT repeat('x', 1000) FROM generate_series(1, 5000)")
                .execute(&mut admin)
                .await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let lives = get(&scene.service.http, scene.service.address, "/healthz").await;
        assert_eq!(lives.status, 200);
        std::fs::remove_file(filler).unwrap();
        // Without room for its log the database may have ended itself.
        block_in_place(|| {
            if !postgres.is_running() {
                postgres.start_again();
            }
        });
        drop(postgres.connect().await);
        scene.recovers().await;
    }
    scene.ends().await;
}

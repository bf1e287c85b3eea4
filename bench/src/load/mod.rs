//! The closed loop: so many connections, each of which sends its next request once the answer to the last one is there.

pub(crate) mod browser;
pub(crate) mod http;
mod page;
pub(crate) mod scenario;
pub(crate) mod tally;
mod work;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::Args;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::Result;
use crate::fill::{Database, Filled};
use crate::proc;
use crate::profile::Profile;
use crate::report::{Report, say};
use http::Connection;
use scenario::{Scenario, Setup};
use tally::{Outcome, Tally};
use work::Work;

/// The arguments of `load`.
#[derive(Args, Debug)]
pub(crate) struct LoadArgs {
    /// The server's profile, in YAML or JSON
    #[arg(long, value_name = "FILE")]
    profile: PathBuf,
    /// What to measure. May be repeated
    #[arg(long = "scenario", value_name = "NAME", required = true, num_args = 1..)]
    scenarios: Vec<Scenario>,
    #[command(flatten)]
    timing: Timing,
    /// Write the figures as JSON; `-` is the standard output
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The server's process, whose processor time and memory are counted with those of its children
    #[arg(long, value_name = "PID")]
    server_pid: Option<u32>,
    /// The database's process, likewise
    #[arg(long, value_name = "PID")]
    database_pid: Option<u32>,
    /// Sign in on so many more connections meanwhile, which are not counted
    #[arg(long, value_name = "N", default_value_t = 0)]
    logins_beside: usize,
    /// large-tables: Countersign's database, which is filled
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// large-tables: how many tokens to fill in
    #[arg(long, value_name = "N", default_value_t = 10_000_000)]
    rows: u64,
}

/// How long and how wide.
#[derive(Args, Clone, Debug)]
pub(crate) struct Timing {
    /// Connections; each number is measured by itself. May be repeated
    #[arg(long, value_name = "N", default_values_t = [32], num_args = 1.., value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub(crate) connections: Vec<u16>,
    /// Seconds measured
    #[arg(long, default_value_t = 10.0, value_parser = seconds)]
    pub(crate) seconds: f64,
    /// Seconds before that, not measured
    #[arg(long, default_value_t = 2.0, value_parser = seconds)]
    pub(crate) warmup: f64,
}

/// An hour is the longest.
fn seconds(text: &str) -> std::result::Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.0..=3600.0).contains(&seconds) { Ok(seconds) } else { Err("from 0 to 3600".to_owned()) }
}

/// One measurement.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) connections: usize,
    pub(crate) warmup: Duration,
    /// The measured time.
    pub(crate) time: Duration,
    /// Operations after which it is over before its time.
    pub(crate) most: Option<u64>,
    pub(crate) server_pid: Option<u32>,
    pub(crate) database_pid: Option<u32>,
    /// Connections that sign in meanwhile and are not counted.
    pub(crate) logins_beside: usize,
}

/// What is still unanswered this long after the end has failed.
const GRACE: Duration = Duration::from_secs(30);
/// A connection that fails so often in a row has nothing more to tell.
const HOPELESS: u32 = 200;
/// A pause after a failure, so that a server that refuses at once is not asked a hundred thousand times a second.
const PAUSE: Duration = Duration::from_millis(10);

/// Runs `load`.
pub(crate) async fn run(args: LoadArgs) -> Result<()> {
    let profile = Profile::read(&args.profile)?;
    let mut report = Report::default();
    for scenario in Scenario::chosen(&args.scenarios) {
        for connections in &args.timing.connections {
            let plan = args.plan(usize::from(*connections));
            let measured = args.measure(&profile, scenario, &plan).await;
            // The others can still be measured.
            report.add(&scenario.name(), &plan, measured);
        }
    }
    report.write(&profile.name, args.json.as_deref())?;
    report.must_be_without_failures()
}

impl LoadArgs {
    async fn measure(&self, profile: &Profile, scenario: Scenario, plan: &Plan) -> Result<Vec<(String, Outcome)>> {
        if scenario != Scenario::LargeTables {
            return Ok(vec![(scenario.name(), measure(profile, scenario, None, plan).await?)]);
        }
        let url = self.database.as_deref().ok_or("large-tables needs --database, Countersign's own")?;
        large_tables(profile, url, self.rows, plan).await
    }

    fn plan(&self, connections: usize) -> Plan {
        Plan {
            connections,
            warmup: Duration::from_secs_f64(self.timing.warmup),
            time: Duration::from_secs_f64(self.timing.seconds),
            most: None,
            server_pid: self.server_pid,
            database_pid: self.database_pid,
            logins_beside: self.logins_beside,
        }
    }
}

/// Measures three scenarios with few tokens in the table, and again with many.
pub(crate) async fn large_tables(
    profile: &Profile,
    url: &str,
    rows: u64,
    plan: &Plan,
) -> Result<Vec<(String, Outcome)>> {
    let mut database = Database::open(url).await?;
    // As many as refreshing may use up, were it that quick; all others stay unused.
    let few = ((plan.warmup + plan.time).as_secs() + 1) * 30_000;
    let mut outcomes = Vec::new();
    let mut filled = None;
    for (name, rows) in [("few", few.min(rows)), ("many", rows + few)] {
        filled = Some(database.fill(profile, rows, filled.as_ref()).await?);
        for scenario in [Scenario::Introspection, Scenario::CredentialsOpaque, Scenario::Refresh] {
            let outcome = measure(profile, scenario, filled.as_ref(), plan).await?;
            outcomes.push((format!("{}, {name} tokens", scenario.name()), outcome));
        }
    }
    Ok(outcomes)
}

/// Measures one scenario.
pub(crate) async fn measure(
    profile: &Profile,
    scenario: Scenario,
    filled: Option<&Filled>,
    plan: &Plan,
) -> Result<Outcome> {
    say(&format!("{}: {}, {} connections", profile.name, scenario.name(), plan.connections));
    let setup = Setup::new(profile, scenario, filled.cloned())?;
    let counted = Looping::set_up(profile, &setup, scenario, plan.connections).await?;
    let beside = Looping::set_up(profile, &setup, Scenario::Login, plan.logins_beside).await?;
    let counts_from = Instant::now() + plan.warmup;
    let window = Window {
        begin: counts_from,
        end: counts_from + plan.time,
        left: plan.most.map(|most| Arc::new(AtomicU64::new(most))),
    };
    let mut background = JoinSet::new();
    for looping in beside {
        background.spawn(looping.run(Window { left: None, ..window.clone() }));
    }
    let mut tasks = JoinSet::new();
    for looping in counted {
        tasks.spawn(looping.run(window.clone()));
    }
    sleep_until(counts_from).await;
    let before = Look::now(plan);
    let mut tally = Tally::new()?;
    let all = async {
        while let Some(one) = tasks.join_next().await {
            tally.add(one??)?;
        }
        Result::Ok(())
    };
    let measured = async {
        if plan.most.is_none() {
            sleep_until(window.end).await;
            return Some(Look::now(plan));
        }
        None
    };
    let limit = plan.time + GRACE;
    let (joined, at_end) = tokio::join!(timeout(limit, all), measured);
    joined.map_err(|_| format!("no answer {} s after the end", GRACE.as_secs()))??;
    let after = at_end.unwrap_or_else(|| Look::now(plan));
    background.shutdown().await;
    Ok(Outcome {
        tally,
        elapsed: after.at - before.at,
        server: after.server - before.server,
        database: after.database - before.database,
        load: after.load.saturating_sub(before.load),
    })
}

/// A look at the clock and at the processes.
struct Look {
    at: Instant,
    server: proc::Usage,
    database: proc::Usage,
    load: Duration,
}

impl Look {
    fn now(plan: &Plan) -> Self {
        let (server, database) = (proc::usage(plan.server_pid), proc::usage(plan.database_pid));
        Self { at: Instant::now(), server, database, load: proc::own_time() }
    }
}

/// When operations count.
#[derive(Clone, Debug)]
struct Window {
    begin: Instant,
    end: Instant,
    /// How many more operations are wanted, where their number ends the measurement.
    left: Option<Arc<AtomicU64>>,
}

impl Window {
    fn goes_on(&self, now: Instant) -> bool {
        let wanted = self.left.as_ref().is_none_or(|left| {
            left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
        });
        wanted && now < self.end
    }
}

/// One connection at work.
struct Looping {
    setup: Setup,
    scenario: Scenario,
    number: usize,
    connection: Connection,
    work: Work,
}

impl Looping {
    /// So many connections, ready to begin.
    async fn set_up(profile: &Profile, setup: &Setup, scenario: Scenario, connections: usize) -> Result<Vec<Self>> {
        let address = profile.address()?;
        let mut tasks = JoinSet::new();
        for number in 0..connections {
            let setup = setup.clone();
            tasks.spawn(async move {
                let mut connection = Connection::new(address);
                let work = setup.work(scenario, number, &mut connection).await?;
                Result::Ok(Self { setup, scenario, number, connection, work })
            });
        }
        let mut all = Vec::new();
        while let Some(one) =
            timeout(Duration::from_mins(2), tasks.join_next()).await.map_err(|_| "setting up takes too long")?
        {
            all.push(one?.map_err(|error| format!("setting up: {error}"))?);
        }
        Ok(all)
    }

    async fn run(mut self, window: Window) -> Result<Tally> {
        let mut tally = Tally::new()?;
        let mut in_a_row = 0;
        let mut begun = Instant::now();
        while window.goes_on(begun) && in_a_row < HOPELESS {
            let done = self.work.step(&mut self.connection).await;
            let ended = Instant::now();
            match done {
                Ok(()) => {
                    in_a_row = 0;
                    if ended >= window.begin && ended <= window.end {
                        tally.done(ended - begun);
                    }
                    begun = ended;
                }
                Err(why) => {
                    in_a_row += 1;
                    // Failures count whenever they come.
                    tally.failed(&why.to_string());
                    sleep(PAUSE).await;
                    // What was broken off cannot go on: a chain begins anew.
                    if let Ok(work) = self.setup.work(self.scenario, self.number, &mut self.connection).await {
                        self.work = work;
                    }
                    begun = Instant::now();
                }
            }
        }
        Ok(tally)
    }
}

//! The figures of a run beside their floors and goals.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};

use super::RunArgs;
use super::start::{FirstTokens, Memory};
use super::workspace::Facts;
use crate::Result;
use crate::load::scenario::Scenario;
use crate::load::tally::{Figures, Outcome};
use crate::report::{mebibytes, milliseconds, or_none, percent, rate, say, table, write_to};

/// Server and floor, over all rounds.
pub(super) type Pair = (Outcome, Outcome);

/// Puts a round to those before.
pub(super) fn add(pair: &mut Option<Pair>, server: Outcome, floor: Outcome) -> Result<()> {
    if let Some(so_far) = pair {
        so_far.0.add(server)?;
        return so_far.1.add(floor);
    }
    *pair = Some((server, floor));
    Ok(())
}

/// A scenario and its floor.
#[derive(Debug, Serialize)]
struct Line {
    scenario: String,
    connections: usize,
    /// The server's rate as a share of the floor's.
    ratio: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    goal: Option<f64>,
    /// The floor's processor time an operation, with its database's, as a share of the server's.
    ratio_by_cpu: f64,
    server: Figures,
    floor: Figures,
}

/// Something else that has a goal.
#[derive(Debug, Serialize)]
struct Other {
    what: String,
    measured: String,
    goal: String,
    values: Value,
}

/// All of it.
#[derive(Debug, Serialize)]
pub(super) struct Results {
    heading: String,
    #[serde(skip)]
    postgres: bool,
    lines: Vec<Line>,
    others: Vec<Other>,
    failures: Vec<String>,
}

/// The share of its floor that a scenario is to reach; on SQLite the durable ones have another goal.
fn goal(scenario: Scenario, postgres: bool) -> Option<f64> {
    Some(match scenario {
        Scenario::Discovery | Scenario::Jwks => 0.85,
        Scenario::CredentialsOpaque | Scenario::CredentialsOpaqueBody if !postgres => 0.6,
        Scenario::CredentialsOpaque
        | Scenario::CredentialsOpaqueBody
        | Scenario::CredentialsEs256
        | Scenario::CredentialsEs256Body
        | Scenario::CredentialsEddsa
        | Scenario::CredentialsEddsaBody
        | Scenario::CredentialsRs256
        | Scenario::CredentialsRs256Body
        | Scenario::Introspection => 0.7,
        Scenario::Userinfo | Scenario::Refresh | Scenario::Code => 0.6,
        Scenario::Login => 0.9,
        Scenario::All | Scenario::Mixed | Scenario::ManyClients | Scenario::LargeTables => return None,
    })
}

/// The processor time of an operation.
fn cpu(figures: &Figures) -> f64 {
    figures.server_cpu_us + figures.database_cpu_us
}

impl Results {
    pub(super) fn new(facts: &Facts, args: &RunArgs) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let heading = format!(
            "{}; {cores} cores for everything; {} rounds of {} s after {} s",
            facts.text, args.rounds, args.timing.seconds, args.timing.warmup
        );
        Self { heading, postgres: facts.postgres, lines: Vec::new(), others: Vec::new(), failures: Vec::new() }
    }

    pub(super) fn scenario(&mut self, scenario: Scenario, connections: usize, pair: Result<Option<Pair>>) {
        let name = scenario.name();
        let Some((server, floor)) = self.measured(&name, pair).flatten() else { return };
        self.note_failures(&name, &server);
        self.note_failures(&format!("floor of {name}"), &floor);
        let (server, floor) = (server.figures(), floor.figures());
        let ratio = server.rate / floor.rate.max(f64::MIN_POSITIVE);
        say(&format!("  {}/s, floor {}/s, ratio {ratio:.2}", rate(server.rate), rate(floor.rate)));
        let goal = goal(scenario, self.postgres);
        let ratio_by_cpu = cpu(&floor) / cpu(&server).max(f64::MIN_POSITIVE);
        self.lines.push(Line { scenario: name, connections, ratio, goal, ratio_by_cpu, server, floor });
    }

    /// What was measured. What could not be is a failure, and the others can still be.
    fn measured<T>(&mut self, what: &str, measured: Result<T>) -> Option<T> {
        let failed = |error| {
            let text = format!("{what}: {error}");
            say(&format!("  {text}"));
            self.failures.push(text);
        };
        measured.map_err(failed).ok()
    }

    fn note_failures(&mut self, what: &str, outcome: &Outcome) {
        if let Some(first) = &outcome.tally.first_failure {
            self.failures.push(format!("{what}: {} failures; the first: {first}", outcome.tally.failures));
        }
    }

    pub(super) fn first_tokens(&mut self, measured: FirstTokens) {
        for (mode, milliseconds) in [("dev", measured.dev), ("serve", measured.serve)] {
            self.others.push(Other {
                what: format!("exec to first token, `{mode}`, SQLite in memory"),
                measured: format!("{milliseconds:.0} ms"),
                goal: "< 30 ms".into(),
                values: json!({ "milliseconds": milliseconds }),
            });
        }
    }

    pub(super) fn memory(&mut self, measured: &Memory) {
        let mut push = |what: String, bytes: u64, goal: &str| {
            self.others.push(Other {
                what,
                measured: format!("{:.1} MiB", mebibytes(bytes)),
                goal: goal.into(),
                values: json!({ "bytes": bytes }),
            });
        };
        push("memory, idle".into(), measured.idle, "< 15 MB");
        if let Some(outcome) = &measured.outcome {
            push(format!("memory, after {} tokens", rate(measured.tokens as f64)), measured.after, "< 40 MB");
            self.note_failures("memory", outcome);
        }
    }

    pub(super) fn beside_logins(&mut self, scenario: Scenario, connections: usize, pair: Result<Pair>) {
        let name = format!("{} beside logins", scenario.name());
        let Some((alone, beside)) = self.measured(&name, pair) else { return };
        self.note_failures(&name, &alone);
        self.note_failures(&name, &beside);
        let name = scenario.name();
        let (alone, beside) = (alone.figures().p99_ms, beside.figures().p99_ms);
        let times = beside / alone.max(f64::MIN_POSITIVE);
        self.others.push(Other {
            what: format!("p99 of {name} while logins saturate argon2, {connections} connections"),
            measured: format!("{} ms, {times:.1} × {} ms", milliseconds(beside), milliseconds(alone)),
            goal: "≤ 3 ×".into(),
            values: json!({ "p99_ms": beside, "alone_p99_ms": alone, "times": times }),
        });
    }

    /// The first half of the outcomes with few tokens in the table, the second, in the same order, with many.
    pub(super) fn large_tables(&mut self, rows: u64, connections: usize, outcomes: Result<Vec<(String, Outcome)>>) {
        let Some(outcomes) = self.measured("large-tables", outcomes) else { return };
        for (name, outcome) in &outcomes {
            self.note_failures(name, outcome);
        }
        let (few, many) = outcomes.split_at(outcomes.len() / 2);
        for ((name, few), (_, many)) in few.iter().zip(many) {
            let name = name.split(',').next().unwrap_or(name);
            let (few, many) = (few.figures(), many.figures());
            let times = few.rate / many.rate.max(f64::MIN_POSITIVE);
            self.others.push(Other {
                what: format!("{name} with {} tokens more, {connections} connections", rate(rows as f64)),
                measured: format!(
                    "{}/s against {}/s: {times:.2} × the time; {} against {} µs of CPU",
                    rate(many.rate),
                    rate(few.rate),
                    or_none(cpu(&many)),
                    or_none(cpu(&few))
                ),
                goal: "≤ 1.2 ×".into(),
                values: json!({ "times": times, "few": few, "many": many }),
            });
        }
    }

    pub(super) fn write(&self, json: Option<&Path>) -> Result<()> {
        if let Some(path) = json {
            write_to(path, &(serde_json::to_string_pretty(self)? + "\n"))?;
        }
        if json.is_none_or(|path| path.as_os_str() != "-") {
            write_to(Path::new("-"), &self.text())?;
        }
        Ok(())
    }

    fn text(&self) -> String {
        let head = [
            "scenario",
            "connections",
            "per s",
            "floor per s",
            "ratio",
            "goal",
            "ratio by CPU",
            "p50 ms",
            "p99 ms",
            "max ms",
            "CPU µs: server",
            "database",
            "floor's: server",
            "database",
            "MiB",
            "load busy",
            "failures",
        ];
        let rows = self.lines.iter().map(|line| {
            let (server, floor) = (&line.server, &line.floor);
            let mut row =
                vec![line.scenario.clone(), line.connections.to_string(), rate(server.rate), rate(floor.rate)];
            row.push(format!("{:.2}", line.ratio));
            row.push(line.goal.map_or_else(|| "–".to_owned(), |goal| format!("≥ {goal:.2}")));
            row.push(format!("{:.2}", line.ratio_by_cpu));
            row.extend([server.p50_ms, server.p99_ms, server.max_ms].map(milliseconds));
            let cpu = [server.server_cpu_us, server.database_cpu_us, floor.server_cpu_us, floor.database_cpu_us];
            row.extend(cpu.map(or_none));
            row.push(or_none(mebibytes(server.server_memory)));
            row.push(format!("{}, {}", percent(server.load_share), percent(floor.load_share)));
            row.push((server.failures + floor.failures).to_string());
            row
        });
        let mut text = format!("{}\n\n{}", self.heading, table(&head, rows));
        let others =
            self.others.iter().map(|other| vec![other.what.clone(), other.measured.clone(), other.goal.clone()]);
        let _ = write!(text, "\n{}", table(&["what", "measured", "goal"], others));
        text
    }

    pub(super) fn must_be_without_failures(&self) -> Result<()> {
        if self.failures.is_empty() { Ok(()) } else { Err(self.failures.join("\n").into()) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::load::tally::Tally;
    use crate::proc::Usage;

    fn outcome(operations: u64) -> Outcome {
        let mut tally = Tally::new().unwrap();
        for _ in 0..operations {
            tally.done(Duration::from_millis(1));
        }
        let usage = Usage::default();
        Outcome { tally, elapsed: Duration::from_secs(1), server: usage, database: usage, load: Duration::ZERO }
    }

    #[test]
    fn a_scenario_stands_beside_its_floor_and_goal() {
        let mut results = Results {
            heading: "x".into(),
            postgres: true,
            lines: Vec::new(),
            others: Vec::new(),
            failures: Vec::new(),
        };
        let mut pair = None;
        add(&mut pair, outcome(60), outcome(100)).unwrap();
        add(&mut pair, outcome(80), outcome(100)).unwrap();
        results.scenario(Scenario::Introspection, 32, Ok(pair));
        assert!(results.text().contains("| introspection | 32 | 70.0 | 100 | 0.70 | ≥ 0.70 |"), "{}", results.text());
        results.must_be_without_failures().unwrap();
    }

    #[test]
    fn failures_are_told() {
        let mut results = Results {
            heading: "x".into(),
            postgres: true,
            lines: Vec::new(),
            others: Vec::new(),
            failures: Vec::new(),
        };
        let mut failed = outcome(1);
        failed.tally.failed("status 500");
        results.scenario(Scenario::Jwks, 1, Ok(Some((failed, outcome(1)))));
        results.scenario(Scenario::Code, 1, Err("no client".into()));
        let told = results.must_be_without_failures().unwrap_err().to_string();
        assert!(told.contains("status 500") && told.contains("code: no client"), "{told}");
    }

    #[test]
    fn times_are_those_of_many_against_few() {
        let mut results = Results {
            heading: "x".into(),
            postgres: true,
            lines: Vec::new(),
            others: Vec::new(),
            failures: Vec::new(),
        };
        results.large_tables(5, 1, Ok(vec![("a, few".into(), outcome(120)), ("a, many".into(), outcome(100))]));
        assert!(results.text().contains("1.20 × the time"), "{}", results.text());
    }
}

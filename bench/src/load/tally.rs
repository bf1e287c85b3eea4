//! What was counted: latencies, failures, and what the processes used meanwhile.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::Result;
use crate::proc::Usage;

/// Latencies from a microsecond to a minute, to three digits.
const LOWEST: u64 = 1;
const HIGHEST: u64 = 60_000_000;
const DIGITS: u8 = 3;

/// What one connection, or all of them, did within the measured time.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    latencies: Histogram<u64>,
    pub(crate) failures: u64,
    pub(crate) first_failure: Option<String>,
}

impl Tally {
    pub(crate) fn new() -> Result<Self> {
        let latencies = Histogram::new_with_bounds(LOWEST, HIGHEST, DIGITS).map_err(|error| error.to_string())?;
        Ok(Self { latencies, failures: 0, first_failure: None })
    }

    pub(crate) fn done(&mut self, took: Duration) {
        self.latencies.saturating_record(u64::try_from(took.as_micros()).unwrap_or(HIGHEST));
    }

    pub(crate) fn failed(&mut self, why: &str) {
        self.failures += 1;
        self.first_failure.get_or_insert_with(|| why.to_owned());
    }

    pub(crate) fn add(&mut self, other: Self) -> Result<()> {
        self.latencies.add(&other.latencies).map_err(|error| error.to_string())?;
        self.failures += other.failures;
        self.first_failure = self.first_failure.take().or(other.first_failure);
        Ok(())
    }

    pub(crate) fn count(&self) -> u64 {
        self.latencies.len()
    }
}

/// The tally of a scenario and what it cost.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) tally: Tally,
    /// The measured time.
    pub(crate) elapsed: Duration,
    pub(crate) server: Usage,
    pub(crate) database: Usage,
    /// The processor time of the load itself.
    pub(crate) load: Duration,
}

impl Outcome {
    /// Puts another round of the same scenario to this one.
    pub(crate) fn add(&mut self, other: Self) -> Result<()> {
        self.tally.add(other.tally)?;
        self.elapsed += other.elapsed;
        self.load += other.load;
        for (mine, others) in [(&mut self.server, other.server), (&mut self.database, other.database)] {
            mine.cpu += others.cpu;
            mine.memory = mine.memory.max(others.memory);
        }
        Ok(())
    }

    /// The figures.
    pub(crate) fn figures(&self) -> Figures {
        let count = self.tally.count();
        let milliseconds = |quantile: f64| self.tally.latencies.value_at_quantile(quantile) as f64 / 1000.0;
        let per_operation = |usage: Usage| usage.cpu.as_secs_f64() * 1e6 / (count.max(1) as f64);
        Figures {
            operations: count,
            failures: self.tally.failures,
            first_failure: self.tally.first_failure.clone(),
            seconds: self.elapsed.as_secs_f64(),
            rate: count as f64 / self.elapsed.as_secs_f64().max(1e-9),
            p50_ms: milliseconds(0.5),
            p90_ms: milliseconds(0.9),
            p99_ms: milliseconds(0.99),
            p999_ms: milliseconds(0.999),
            max_ms: self.tally.latencies.max() as f64 / 1000.0,
            server_cpu_us: per_operation(self.server),
            database_cpu_us: per_operation(self.database),
            server_memory: self.server.memory,
            database_memory: self.database.memory,
            load_share: self.load.as_secs_f64() / self.elapsed.as_secs_f64().max(1e-9),
        }
    }
}

/// A line of the report.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figures {
    pub(crate) operations: u64,
    pub(crate) failures: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) first_failure: Option<String>,
    pub(crate) seconds: f64,
    /// Operations a second.
    pub(crate) rate: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p90_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) p999_ms: f64,
    pub(crate) max_ms: f64,
    /// Processor time an operation.
    pub(crate) server_cpu_us: f64,
    pub(crate) database_cpu_us: f64,
    /// Bytes.
    pub(crate) server_memory: u64,
    pub(crate) database_memory: u64,
    /// The share of one core that the load took: near 1, it is what limits the rate.
    pub(crate) load_share: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(latencies: &[u64], seconds: u64) -> Outcome {
        let mut tally = Tally::new().unwrap();
        for milliseconds in latencies {
            tally.done(Duration::from_millis(*milliseconds));
        }
        let usage = Usage { cpu: Duration::from_millis(10), memory: seconds };
        Outcome {
            tally,
            elapsed: Duration::from_secs(seconds),
            server: usage,
            database: Usage::default(),
            load: Duration::ZERO,
        }
    }

    #[test]
    fn rounds_add_up() {
        let mut all = outcome(&[1; 98], 1);
        all.add(outcome(&[50, 200], 3)).unwrap();
        let figures = all.figures();
        assert_eq!((figures.operations, figures.failures, figures.server_memory), (100, 0, 3));
        assert!((figures.rate - 25.0).abs() < 1e-9 && (figures.server_cpu_us - 200.0).abs() < 1e-9);
        for (found, expected) in [(figures.p50_ms, 1.0), (figures.p99_ms, 50.0), (figures.max_ms, 200.0)] {
            assert!((found - expected).abs() / expected < 0.002, "{found} {expected}");
        }
    }

    #[test]
    fn failures_are_no_operations_and_the_first_is_kept() {
        let mut first = outcome(&[1], 1);
        first.tally.failed("a");
        first.tally.failed("b");
        let mut other = outcome(&[], 1);
        other.tally.failed("c");
        other.add(first).unwrap();
        let figures = other.figures();
        assert_eq!((figures.operations, figures.failures, figures.first_failure.as_deref()), (1, 3, Some("c")));
    }

    #[test]
    fn nothing_done_divides_by_nothing() {
        let figures = Outcome { elapsed: Duration::ZERO, ..outcome(&[], 0) }.figures();
        assert!(figures.rate.abs() < f64::EPSILON && figures.max_ms.abs() < f64::EPSILON);
    }

    #[test]
    fn a_latency_beyond_the_scale_is_the_highest() {
        assert!(outcome(&[120_000], 1).figures().max_ms >= 60_000.0);
    }
}

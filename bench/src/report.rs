//! What people and programs get to read: progress on stderr, a table in Markdown on stdout, figures as JSON.

use std::fmt::Write as _;
use std::io::{Write, stderr, stdout};
use std::path::Path;

use serde::Serialize;

use crate::Result;
use crate::load::Plan;
use crate::load::tally::{Figures, Outcome};

/// A line about what is going on.
pub(crate) fn say(text: &str) {
    let _ = writeln!(stderr(), "==> {text}");
}

/// Writes a file; `-` is the standard output.
pub(crate) fn write_to(path: &Path, text: &str) -> Result<()> {
    if path.as_os_str() == "-" {
        stdout().write_all(text.as_bytes())?;
        return Ok(());
    }
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()).into())
}

/// The figures of several measurements.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) lines: Vec<Line>,
    /// What could not be measured, or not without failures.
    failures: Vec<String>,
}

/// One of them.
#[derive(Debug, Serialize)]
pub(crate) struct Line {
    pub(crate) scenario: String,
    pub(crate) connections: usize,
    #[serde(flatten)]
    pub(crate) figures: Figures,
}

impl Report {
    pub(crate) fn add(&mut self, scenario: &str, plan: &Plan, measured: Result<Vec<(String, Outcome)>>) {
        let outcomes = measured.unwrap_or_else(|error| {
            say(&format!("  {error}"));
            self.failures.push(format!("{scenario}: {error}"));
            Vec::new()
        });
        for (scenario, outcome) in outcomes {
            let figures = outcome.figures();
            say(&format!("  {}/s, {} failures", rate(figures.rate), figures.failures));
            if let Some(first) = &figures.first_failure {
                self.failures.push(format!("{scenario}: {} failures; the first: {first}", figures.failures));
            }
            self.lines.push(Line { scenario, connections: plan.connections, figures });
        }
    }

    /// Prints the table, and the JSON where it is wanted.
    pub(crate) fn write(&self, server: &str, json: Option<&Path>) -> Result<()> {
        if let Some(path) = json {
            let value = serde_json::json!({ "server": server, "lines": self.lines, "failures": self.failures });
            write_to(path, &(serde_json::to_string_pretty(&value)? + "\n"))?;
        }
        if json.is_none_or(|path| path.as_os_str() != "-") {
            write_to(Path::new("-"), &self.table())?;
        }
        Ok(())
    }

    fn table(&self) -> String {
        let head = [
            "scenario",
            "connections",
            "per s",
            "p50 ms",
            "p90 ms",
            "p99 ms",
            "p99.9 ms",
            "max ms",
            "server CPU µs",
            "database CPU µs",
            "server MiB",
            "database MiB",
            "load busy",
            "failures",
        ];
        let rows = self.lines.iter().map(|line| {
            let figures = &line.figures;
            let mut row = vec![line.scenario.clone(), line.connections.to_string(), rate(figures.rate)];
            let times = [figures.p50_ms, figures.p90_ms, figures.p99_ms, figures.p999_ms, figures.max_ms];
            row.extend(times.map(milliseconds));
            row.extend([figures.server_cpu_us, figures.database_cpu_us].map(or_none));
            row.extend([figures.server_memory, figures.database_memory].map(|bytes| or_none(mebibytes(bytes))));
            row.push(percent(figures.load_share));
            row.push(figures.failures.to_string());
            row
        });
        table(&head, rows)
    }

    /// Failures are an error, and the first of each scenario is shown.
    pub(crate) fn must_be_without_failures(&self) -> Result<()> {
        if self.failures.is_empty() { Ok(()) } else { Err(self.failures.join("\n").into()) }
    }
}

/// A table in Markdown, with numbers to the right of the first column.
pub(crate) fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut text = format!("| {} |\n|---|{}\n", head.join(" | "), "--:|".repeat(head.len().saturating_sub(1)));
    for row in rows {
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    text
}

/// Three digits, with thousands apart.
pub(crate) fn rate(rate: f64) -> String {
    if rate < 100.0 {
        return format!("{rate:.1}");
    }
    let digits = format!("{rate:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

pub(crate) fn milliseconds(value: f64) -> String {
    if value < 10.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}

pub(crate) fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}

pub(crate) fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// A figure, or a dash where nothing was counted.
pub(crate) fn or_none(value: f64) -> String {
    if value <= 0.0 {
        "–".to_owned()
    } else if value < 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_people_write_them() {
        assert_eq!(
            [0.0, 46.25, 999.6, 26_400.4, 1_000_000.0].map(rate),
            ["0.0", "46.2", "1,000", "26,400", "1,000,000"]
        );
        assert_eq!([0.054, 12.6].map(milliseconds), ["0.05", "13"]);
        assert_eq!([0.0, 1.25, 31.6].map(or_none), ["–", "1.2", "32"]);
    }

    #[test]
    fn a_table_is_markdown() {
        let text = table(&["a", "b"], [vec!["x".to_owned(), "1".to_owned()]]);
        assert_eq!(text, "| a | b |\n|---|--:|\n| x | 1 |\n");
    }
}

//! The one place that writes to the terminal: answers on stdout, complaints on stderr. Everything else is a log line.

use std::fmt::Display;
use std::io::Write;

/// One line of what was asked for. A reader who has gone away (`| head`) is not a failure.
pub(super) fn answer(line: impl Display) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Text of what was asked for, as it is.
pub(super) fn answer_text(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// One line about what is wrong.
pub(super) fn complain(line: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// One line about what is being done, beside the answer.
pub(super) fn progress(line: impl Display) {
    complain(line);
}

/// Rows under a heading, in columns as wide as their widest cell.
pub(super) fn answer_table<const N: usize>(heading: [&str; N], rows: &[[String; N]]) {
    let mut widths = heading.map(|cell| cell.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: [&str; N]| {
        let mut text = String::new();
        for (cell, width) in cells.iter().zip(widths) {
            text.push_str(cell);
            text.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.chars().count()) + 2));
        }
        answer(text.trim_end());
    };
    line(heading);
    for row in rows {
        line(row.each_ref().map(String::as_str));
    }
}

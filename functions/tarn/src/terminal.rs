//! What people see: text on standard output, progress and errors on standard error, colour only on
//! a terminal.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use comfy_table::{CellAlignment, Table, TableComponent, presets};
use console::Style;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
pub use tarn_core::text::{count, plural};
use tarn_core::{Error, ErrorKind, Result};

/// Standard output and standard error.
pub struct Terminal {
    json: bool,
    quiet: bool,
}

impl Terminal {
    /// `json` prints results for programs, `quiet` leaves progress out.
    pub fn new(json: bool, quiet: bool) -> Self {
        Terminal { json, quiet }
    }

    /// Whether results are printed as JSON.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Whether standard error shows colour.
    pub fn is_colored(&self) -> bool {
        console::colors_enabled_stderr()
    }

    /// Prints a line of a result.
    pub fn line(&self, text: impl AsRef<str>) -> Result<()> {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", text.as_ref()).map_err(closed)
    }

    /// Prints a heading.
    pub fn heading(&self, text: &str) -> Result<()> {
        self.line("")?;
        self.line(Style::new().bold().apply_to(text).to_string())
    }

    /// Prints a value as JSON on one line.
    pub fn json(&self, value: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string(value).map_err(|error| {
            Error::internal("a result cannot be written as JSON").with_source(error)
        })?;
        self.line(text)
    }

    /// Prints rows under a header; columns named in `right` are aligned to the right.
    pub fn table(&self, header: &[&str], right: &[&str], rows: Vec<Vec<String>>) -> Result<()> {
        let mut table = Table::new();
        table.load_preset(presets::UTF8_HORIZONTAL_ONLY);
        table.remove_style(TableComponent::HorizontalLines);
        table.remove_style(TableComponent::MiddleIntersections);
        table.set_header(header);
        for row in rows {
            table.add_row(row);
        }
        for (index, name) in header.iter().enumerate() {
            if right.contains(name)
                && let Some(column) = table.column_mut(index)
            {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        self.line(table.to_string())
    }

    /// Prints a note, which is not a result, on standard error.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            eprintln!("{text}");
        }
    }

    /// Prints what went wrong on standard error.
    pub fn fail(&self, text: &str) {
        eprintln!(
            "{} {text}",
            Style::new().for_stderr().red().bold().apply_to("error:")
        );
    }

    /// A line that shows what is being done, on a terminal; nothing elsewhere.
    pub fn progress(&self) -> Progress {
        if self.quiet || !std::io::stderr().is_terminal() {
            return Progress {
                bar: ProgressBar::hidden(),
            };
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner:.cyan} {msg} {elapsed:.dim}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Progress { bar }
    }
}

/// A line that shows what is being done; it goes away when dropped.
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Shows what is being done now.
    pub fn step(&self, text: impl Into<String>) {
        self.bar.set_message(text.into());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A result that cannot be written: most often a closed pipe.
pub fn closed(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Storage, "the result cannot be written").with_source(error)
}

/// Bytes in a unit that people read: 1.5 MiB.
pub fn bytes(number: u64) -> String {
    let mut size = number as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if size < 1024.0 {
            return if unit == "B" {
                format!("{number} B")
            } else {
                format!("{size:.1} {unit}")
            };
        }
        size /= 1024.0;
    }
    format!("{size:.1} TiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(
            [bytes(0), bytes(1023), bytes(1536), bytes(5 << 30)],
            ["0 B", "1023 B", "1.5 KiB", "5.0 GiB"]
        );
    }
}

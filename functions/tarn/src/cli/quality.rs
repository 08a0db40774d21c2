//! Options of the commands about quality.

use std::path::PathBuf;

use chrono::{DateTime, NaiveDate, Utc};
use clap::{Args, Subcommand, ValueHint};

pub(super) const QUALITY_HELP: &str = "\
Without a command, it summarises the newest runs, records their results in the table quality.results, and \
writes the reports of new runs, of their days, of today and of yesterday to results/reports/ in the lake. \
On AWS the schedule does this every hour.

Examples:
  tarn quality
  tarn quality report --day 2026-01-31 --out ./report
  tarn quality anomalies
  tarn quality dismiss orders/row_count/2026-01-31 --note 'the winter sale began'";

/// `tarn quality`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct QualityArgs {
    /// Summarise this many of the newest runs
    #[arg(long, default_value_t = 1000)]
    pub runs: usize,
    #[command(subcommand)]
    pub command: Option<QualityCommand>,
}

/// What to do about quality.
#[derive(Debug, Subcommand)]
pub enum QualityCommand {
    /// Make the report of a day or of a run, as JSON and as a page
    Report(QualityReportArgs),
    /// List values that are unexpected given their history
    Anomalies(AnomaliesArgs),
    /// Confirm that something was wrong: the value is left out of the history
    Confirm(JudgeArgs),
    /// Say that nothing was wrong: the value stays in the history
    Dismiss(JudgeArgs),
}

/// `tarn quality report`
#[derive(Debug, Args)]
pub struct QualityReportArgs {
    /// Report on this run
    #[arg(long, value_name = "RUN_ID", conflicts_with_all = ["day", "as_of"])]
    pub run: Option<String>,
    /// Report on this UTC day [default: today]
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub day: Option<NaiveDate>,
    /// Report what was known at this time [default: when the day was settled, or now]
    #[arg(long, value_name = "TIME")]
    pub as_of: Option<DateTime<Utc>>,
    /// Write report.json and report.html to this folder [default: to the lake]
    #[arg(long, short, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub out: Option<PathBuf>,
}

/// `tarn quality anomalies`
#[derive(Debug, Args)]
pub struct AnomaliesArgs {
    /// Days to look at
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3_660))]
    pub days: u32,
    /// The last of them (UTC) [default: today]
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub until: Option<NaiveDate>,
    /// Include those that were judged
    #[arg(long)]
    pub all: bool,
}

/// `tarn quality confirm` and `tarn quality dismiss`
#[derive(Debug, Args)]
pub struct JudgeArgs {
    /// The anomaly's name, as in the list and in reports
    #[arg(value_name = "ID")]
    pub id: String,
    /// Why
    #[arg(long)]
    pub note: Option<String>,
}

/// `tarn status`
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Exit with code 1 if something is waiting, failed or broken
    #[arg(long)]
    pub check: bool,
}

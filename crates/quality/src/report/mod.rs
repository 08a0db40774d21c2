//! Reports: of one run, or of one UTC day over all datasets. A report is a function of result rows,
//! contracts, feedback and a time: the same inputs give the same report.

mod chart;
mod collect;
mod finding;
mod html;
mod input;
mod style;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

pub use self::collect::{broken_rules, day, run, watch_all};
pub use self::finding::sentence as anomaly_sentence;
pub use self::html::html;
pub use self::input::Input;
use super::result::Sample;
use super::score::DimensionScore;
use super::service_level::ServiceLevelState;
use crate::watch::Anomaly;

/// The version of [`Report`]'s form. It grows when a field changes its meaning or is removed.
pub const SCHEMA_VERSION: u32 = 1;

/// What a report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// One run.
    Run,
    /// One UTC day.
    Day,
}

/// A report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// What it is about.
    pub scope: Scope,
    /// The run's identifier, or the day.
    pub subject: String,
    /// The UTC day.
    pub day: NaiveDate,
    /// The report has what was known at this time (UTC), and nothing later.
    pub as_of: DateTime<Utc>,
    /// The mean of the datasets' scores, from 0 to 1; None where no rule was checked.
    pub score: Option<f64>,
    /// Sums over the datasets.
    pub totals: Totals,
    /// What needs attention, the gravest first.
    pub findings: Vec<Finding>,
    /// Each dataset that has runs on the day, service levels or anomalies, in name order.
    pub datasets: Vec<DatasetReport>,
    /// Values that are not expected after their history.
    pub anomalies: Vec<Anomaly>,
    /// Values that are as expected.
    pub values_expected: u64,
    /// Values that cannot be judged yet, because there is not enough history.
    pub values_without_history: u64,
    /// The service levels of the contracts.
    #[serde(rename = "promises")]
    pub service_levels: Vec<ServiceLevelState>,
    /// Runs that failed.
    pub failed_runs: Vec<FailedRun>,
    /// The last days up to this one that have rows.
    pub trend: Vec<TrendDay>,
    /// Versions of the program that made the results.
    pub program_versions: Vec<String>,
}

/// Sums.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Runs that count.
    pub runs: u64,
    /// Runs that failed.
    pub failed_runs: u64,
    /// Rows received.
    pub received: u64,
    /// Rows accepted.
    pub accepted: u64,
    /// Rows rejected.
    pub rejected: u64,
    /// Rules that were checked.
    pub rules: u64,
    /// Rules that were broken.
    pub broken_rules: u64,
}

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gravity {
    /// Data is missing or a run failed.
    Failure,
    /// A rule was broken, or a value is an anomaly.
    Problem,
    /// A rule of severity `warn` was broken.
    Warning,
}

/// Something that needs attention.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// How grave it is.
    pub gravity: Gravity,
    /// `failed_run`, `promise` (a service level that is missed), `anomaly` or `rule`.
    pub kind: String,
    /// The dataset.
    pub dataset: String,
    /// The run, the service level, the anomaly or the rule.
    pub name: String,
    /// What was found, for people.
    pub text: String,
    /// Who answers for it.
    pub owner: Option<String>,
}

/// A dataset in a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatasetReport {
    /// The dataset.
    pub dataset: String,
    /// Who answers for it.
    pub owner: Option<String>,
    /// The contract's version of the last run.
    pub contract_version: Option<String>,
    /// The snapshot of the table after the last run that changed it.
    pub snapshot_id: Option<i64>,
    /// From 0 to 1; None where no rule was checked.
    pub score: Option<f64>,
    /// The score by dimension.
    pub dimensions: Vec<DimensionScore>,
    /// Runs that count.
    pub runs: u64,
    /// Rows received.
    pub received: u64,
    /// Rows accepted.
    pub accepted: u64,
    /// Rows rejected.
    pub rejected: u64,
    /// Columns with missing values, the most first.
    pub missing: Vec<MissingValues>,
    /// Broken rules, the worst first.
    pub broken: Vec<RuleReport>,
    /// Rules that hold.
    pub held: u64,
    /// When accepted rows last came (UTC).
    pub last_success: Option<DateTime<Utc>>,
    /// Seconds since then.
    pub age_seconds: Option<f64>,
    /// The last days up to this one that have rows.
    pub trend: Vec<TrendDay>,
}

/// A column with missing values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MissingValues {
    /// The column.
    pub column: String,
    /// Rows.
    pub rows: u64,
    /// Rows without a value, or with a blank or a sentinel such as `N/A`.
    pub missing: u64,
    /// The partitions with the highest shares of missing values, at most three; none where the rows are
    /// of one partition.
    #[serde(default)]
    pub partitions: Vec<MissingInPartition>,
}

/// Missing values of a column in a partition of its table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingInPartition {
    /// The day or month: `2026-01-31` or `2026-01`; `null` for rows without a time, `other` for
    /// partitions that were not counted one by one.
    pub partition: String,
    /// Rows of the partition.
    pub rows: u64,
    /// Rows whose value is missing.
    pub missing: u64,
}

/// A broken rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleReport {
    /// The rule's identifier.
    pub name: String,
    /// What is asked, for example `validValues`.
    pub kind: Option<String>,
    /// The rule, for people.
    pub text: String,
    /// The column.
    pub column: Option<String>,
    /// The quality dimension.
    pub dimension: String,
    /// `warn`, `reject` or `abort`.
    pub severity: String,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Rows that were looked at.
    pub checked: u64,
    /// Rows that broke it.
    pub failed: u64,
    /// What was measured last.
    pub value: Option<f64>,
    /// What was asked for.
    pub expected: Option<String>,
    /// Some rows that broke it.
    pub samples: Vec<Sample>,
}

/// A run that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedRun {
    /// The run.
    pub run_id: String,
    /// The dataset.
    pub dataset: String,
    /// The object.
    pub object_key: String,
    /// Why.
    pub reason: String,
    /// When it ended (UTC).
    pub ended_at: DateTime<Utc>,
    /// Whether a later run of the object succeeded.
    pub repaired: bool,
}

/// A day of a trend.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TrendDay {
    /// The day (UTC).
    pub day: NaiveDate,
    /// The score; None where no rule was checked.
    pub score: Option<f64>,
    /// Rows received.
    pub received: u64,
    /// Rows rejected.
    pub rejected: u64,
}

#[cfg(test)]
mod tests;

//! Data contracts: one ODCS v3.1.0 YAML file per dataset, the source of truth for its schema,
//! rules, PII, partitioning and source. This module is the parsed form; `parse` reads the files.

mod diagnostic;
mod draft;
mod key_pattern;
mod natural;
mod parse;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use regex::Regex;

pub use diagnostic::Diagnostic;
pub use draft::{Draft, DraftColumn, snake_case};
pub use key_pattern::KeyPattern;
pub use natural::{ACCESS_LOG, NaturalColumn, SOCIAL_POSTS, natural_columns};
pub use parse::{EXTENSION, load_dir, load_texts, parse_file, parse_str};

use crate::quality::monitor::Monitor;
use crate::quality::promise::Promise;
use crate::schema::{ColumnType, Field, Partitioning, TableName, TableSpec, Zone, system};

/// The format of a dataset's source objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Web-server access logs: common, combined, vhost-combined; plain or gzip.
    AccessLog,
    /// Social posts: JSON array, document or lines; X v1.1 and v2, Mastodon, Reddit, plain.
    SocialPosts,
    /// JSON lines whose keys are the columns of the contract, plain, gzip, or as the archive step
    /// wraps them.
    JsonLines,
    /// A table of a SQLite database.
    Sqlite,
}

impl Format {
    /// The name used in contracts.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::AccessLog => "accessLog",
            Format::SocialPosts => "socialPosts",
            Format::JsonLines => "jsonLines",
            Format::Sqlite => "sqlite",
        }
    }

    /// Every format.
    pub const ALL: [Format; 4] = [
        Format::AccessLog,
        Format::SocialPosts,
        Format::JsonLines,
        Format::Sqlite,
    ];
}

/// What happens to a row of the table that its source no longer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeletedRows {
    /// It stays as it is.
    Keep,
    /// It stays, with `_deleted_at` set.
    Soft,
    /// It is removed (older versions of the table still have it).
    Remove,
}

/// Repeated events: the first of those with equal keys whose event times are less than the window
/// apart is accepted, the others are rejected as duplicates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deduplication {
    /// The column that identifies an event.
    pub column: String,
    /// Whole days on either side of the event's day in which a duplicate is looked for.
    pub window_days: u32,
}

/// A parsed contract.
#[derive(Debug, Clone)]
pub struct Contract {
    /// The file it came from, for messages.
    pub file: String,
    /// The dataset's and its curated table's name.
    pub dataset: String,
    /// The contract's version.
    pub version: String,
    /// What the table holds.
    pub description: String,
    /// Source format.
    pub format: Format,
    /// Which raw keys belong to the dataset.
    pub key_pattern: KeyPattern,
    /// The table of the source database (format `sqlite`).
    pub source_table: Option<String>,
    /// For `sqlite`: what to do with rows that are gone.
    pub deleted_rows: DeletedRows,
    /// For events.
    pub deduplication: Option<Deduplication>,
    /// An event that arrives this many seconds or more after its event time is late.
    pub late_after_seconds: Option<u64>,
    /// Columns in order.
    pub columns: Vec<Column>,
    /// Indexes into `columns`, in key order.
    pub primary_key: Vec<usize>,
    /// Day or month partitions.
    pub partitioning: Option<Partitioning>,
    /// Rules of the whole table.
    pub table_rules: Vec<TableRule>,
    /// What is promised of time and volume.
    pub promises: Vec<Promise>,
    /// What is watched for anomalies, beside the usual.
    pub monitors: Vec<Monitor>,
    /// The owner, for people.
    pub owner: Option<String>,
}

/// A column of a contract.
#[derive(Debug, Clone)]
pub struct Column {
    /// The column's name in the curated table.
    pub name: String,
    /// Its name at the source.
    pub source_name: String,
    /// Its type.
    pub ty: ColumnType,
    /// Whether a row without a value is rejected.
    pub required: bool,
    /// What it means.
    pub description: String,
    /// PII class: `public`, `internal`, `confidential`, `restricted`; None where unsaid.
    pub classification: Option<String>,
    /// How the source writes it.
    pub encoding: Encoding,
    /// The value used where the source has none.
    pub default: Option<String>,
    /// Rules for each value.
    pub rules: Vec<ValueRule>,
    /// Thresholds over the column.
    pub metrics: Vec<ColumnMetric>,
}

/// How a source writes a value of a column's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// As the type says: text for strings, digits for numbers (decimal text or an exact JSON
    /// number for decimals), ISO 8601 for dates and timestamps (`2026-01-31 10:00:00` is UTC).
    Natural,
    /// Money as a whole number of the smallest unit named by the exponent: 2 for cents, 6 for micros.
    MinorUnits(u8),
    /// Money as a binary floating point number, rounded half to even to the column's scale.
    Real,
    /// An instant as seconds since 1970-01-01T00:00:00Z.
    EpochSeconds,
    /// An instant as milliseconds since 1970-01-01T00:00:00Z.
    EpochMillis,
    /// A boolean as 0 and 1.
    ZeroOne,
}

/// How much a broken rule matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The row is rejected; a threshold fails the quality verdict.
    Error,
    /// The row is accepted and counted.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

/// A rule for each value of a column. A null breaks none of them: that is what `required` is for.
#[derive(Debug, Clone)]
pub struct ValueRule {
    /// What is asked.
    pub check: ValueCheck,
    /// What a breach means.
    pub severity: Severity,
    /// The quality dimension, `conformity` where unsaid.
    pub dimension: String,
    /// For people, for example `status is one of placed, paid`.
    pub text: String,
    /// The name in rejected rows and reports, for example `status.validValues`.
    pub id: String,
}

/// What is asked of a value.
#[derive(Debug, Clone)]
pub enum ValueCheck {
    /// Text matches.
    Pattern(Regex),
    /// Text has at least so many characters.
    MinLength(u64),
    /// Text has at most so many characters.
    MaxLength(u64),
    /// Number is at least.
    Minimum(Bound),
    /// Number is at most.
    Maximum(Bound),
    /// Number is greater than.
    ExclusiveMinimum(Bound),
    /// Number is less than.
    ExclusiveMaximum(Bound),
    /// Value, written as text, is one of these.
    OneOf(Vec<String>),
}

/// A bound in the column's own units.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// For int, bigint, and decimal (scaled by the column's scale, so 1.50 at scale 2 is 150), and for
    /// timestamps (microseconds) and dates (days).
    Integer(i128),
    /// For double.
    Double(f64),
}

/// A comparison of a metric with a threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Comparison {
    /// `mustBe`
    Equal(f64),
    /// `mustNotBe`
    NotEqual(f64),
    /// `mustBeGreaterThan`
    Greater(f64),
    /// `mustBeGreaterOrEqualTo`
    GreaterOrEqual(f64),
    /// `mustBeLessThan`
    Less(f64),
    /// `mustBeLessOrEqualTo`
    LessOrEqual(f64),
    /// `mustBeBetween`, both ends included
    Between(f64, f64),
}

impl Comparison {
    /// Whether `value` satisfies the comparison.
    pub fn holds(self, value: f64) -> bool {
        match self {
            Comparison::Equal(x) => value == x,
            Comparison::NotEqual(x) => value != x,
            Comparison::Greater(x) => value > x,
            Comparison::GreaterOrEqual(x) => value >= x,
            Comparison::Less(x) => value < x,
            Comparison::LessOrEqual(x) => value <= x,
            Comparison::Between(low, high) => (low..=high).contains(&value),
        }
    }
}

/// A threshold over one column of one object's rows.
#[derive(Debug, Clone)]
pub struct ColumnMetric {
    /// What is counted.
    pub metric: Metric,
    /// Against what.
    pub comparison: Comparison,
    /// Whether the threshold is in per cent of the rows.
    pub percent: bool,
    /// What a breach means.
    pub severity: Severity,
    /// The quality dimension.
    pub dimension: String,
    /// For people.
    pub text: String,
}

/// What a column metric counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Metric {
    /// Rows without a value.
    NullValues,
    /// Rows without a value or with one of these texts.
    MissingValues(Vec<String>),
}

/// A rule over the whole table.
#[derive(Debug, Clone)]
pub struct TableRule {
    /// What is asked.
    pub check: TableCheck,
    /// What a breach means.
    pub severity: Severity,
    /// The quality dimension.
    pub dimension: String,
    /// For people.
    pub text: String,
}

/// What is asked of a table.
#[derive(Debug, Clone)]
pub enum TableCheck {
    /// The number of rows received.
    RowCount(Comparison),
    /// The number of rows whose primary key an earlier row of the same object has; such rows are
    /// rejected.
    DuplicateKeys(Comparison),
}

impl Contract {
    /// The curated table's name.
    pub fn table(&self) -> TableName {
        TableName::new(Zone::Curated, &self.dataset)
    }

    /// The curated table: the contract's columns, then the system columns.
    pub fn table_spec(&self) -> TableSpec {
        let mut fields: Vec<Field> = self
            .columns
            .iter()
            .map(|column| {
                Field::new(&column.name, column.ty.clone(), column.required)
                    .doc(&column.description)
            })
            .collect();
        fields.extend(system::fields());
        if self.format == Format::Sqlite && self.deleted_rows == DeletedRows::Soft {
            fields.push(system::deleted_at());
        }
        TableSpec {
            name: self.table(),
            doc: self.description.clone(),
            fields,
            partitioning: self.partitioning.clone(),
            identifier: self
                .primary_key
                .iter()
                .map(|&index| self.columns[index].name.clone())
                .collect(),
        }
    }

    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

/// Every contract of the lake, by dataset.
#[derive(Debug, Clone, Default)]
pub struct Contracts {
    by_dataset: BTreeMap<String, Contract>,
}

impl Contracts {
    /// From parsed contracts whose dataset names differ.
    pub fn new(contracts: impl IntoIterator<Item = Contract>) -> Self {
        Contracts {
            by_dataset: contracts
                .into_iter()
                .map(|contract| (contract.dataset.clone(), contract))
                .collect(),
        }
    }

    /// The contract of a dataset.
    pub fn get(&self, dataset: &str) -> Option<&Contract> {
        self.by_dataset.get(dataset)
    }

    /// All, in dataset order.
    pub fn iter(&self) -> impl Iterator<Item = &Contract> {
        self.by_dataset.values()
    }

    /// The contracts that claim a raw key: several for a database, otherwise one at most
    /// (`load_dir` refuses contracts that could claim the same key with different formats).
    pub fn claiming(&self, key: &str) -> Vec<&Contract> {
        self.iter()
            .filter(|contract| contract.key_pattern.matches(key))
            .collect()
    }
}

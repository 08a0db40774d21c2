//! The model of a contract.

use std::collections::BTreeMap;

use crate::check::{Check, ColumnRef, Missing, RowCheck};
use crate::key_pattern::KeyPattern;
use crate::log_format::LogFormat;
use crate::monitor::Monitor;
use crate::rule::Rule;
use crate::service_level::ServiceLevel;
use crate::snapshot_time::SnapshotTime;
use tarn_core::privacy::Protection;
use tarn_core::schema::{ColumnType, Field, Partitioning, TableName, TableSpec, Zone, system};

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
    /// Rows of fields with a header: comma, semicolon, tab or another character between the fields.
    Csv,
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
            Format::Csv => "csv",
            Format::Sqlite => "sqlite",
        }
    }

    /// Every format.
    pub const ALL: [Format; 5] = [
        Format::AccessLog,
        Format::SocialPosts,
        Format::JsonLines,
        Format::Csv,
        Format::Sqlite,
    ];
}

/// How the fields of CSV are written; what is None is seen in the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CsvLayout {
    /// The character between fields, an ASCII one.
    pub delimiter: Option<u8>,
    /// The character set.
    pub charset: Option<Charset>,
}

/// A character set that text comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    /// UTF-8.
    Utf8,
    /// UTF-16 of either byte order, with or without a byte-order mark.
    Utf16,
    /// Central European, as Windows has it.
    Windows1250,
    /// Cyrillic, as Windows has it.
    Windows1251,
    /// Western European, as Windows has it; ISO 8859-1 is read so too.
    Windows1252,
    /// Western European with the euro sign, by ISO 8859-15.
    Iso8859_15,
}

impl Charset {
    /// The name used in contracts.
    pub fn as_str(self) -> &'static str {
        match self {
            Charset::Utf8 => "utf-8",
            Charset::Utf16 => "utf-16",
            Charset::Windows1250 => "windows-1250",
            Charset::Windows1251 => "windows-1251",
            Charset::Windows1252 => "windows-1252",
            Charset::Iso8859_15 => "iso-8859-15",
        }
    }

    /// Every character set.
    pub const ALL: [Charset; 6] = [
        Charset::Utf8,
        Charset::Utf16,
        Charset::Windows1250,
        Charset::Windows1251,
        Charset::Windows1252,
        Charset::Iso8859_15,
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

/// The largest share of a table's living rows that one snapshot may delete, if the contract names none.
pub const MAXIMUM_DELETED_SHARE: f64 = 0.5;

/// A table with fewer living rows has no such limit: a few deletions are a large share of them.
pub const ROWS_WITHOUT_DELETION_LIMIT: u64 = 10;

/// What happens where a source has columns that its contract does not know, or has changed a type.
/// Values that their column cannot hold are rejected rows in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SchemaDrift {
    /// The run record and the report name it; new columns are left out.
    #[default]
    Warn,
    /// A new column is added to the table, as an optional one.
    Evolve,
    /// Drift is not reported; new columns are left out.
    Ignore,
    /// Rows with a new column are rejected.
    Quarantine,
    /// The run fails.
    Fail,
}

impl SchemaDrift {
    /// Every choice.
    pub const ALL: [SchemaDrift; 5] = [
        SchemaDrift::Warn,
        SchemaDrift::Evolve,
        SchemaDrift::Ignore,
        SchemaDrift::Quarantine,
        SchemaDrift::Fail,
    ];

    /// The name used in contracts.
    pub fn as_str(self) -> &'static str {
        match self {
            SchemaDrift::Warn => "warn",
            SchemaDrift::Evolve => "evolve",
            SchemaDrift::Ignore => "ignore",
            SchemaDrift::Quarantine => "quarantine",
            SchemaDrift::Fail => "fail",
        }
    }
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
    /// Its own name, or the dataset's if it has none.
    pub name: String,
    /// The dataset's and its curated table's name.
    pub dataset: String,
    /// The contract's version.
    pub version: String,
    /// What the table holds.
    pub description: String,
    /// What it is used for.
    pub usage: Option<String>,
    /// What one row stands for.
    pub grain: Option<String>,
    /// Source format.
    pub format: Format,
    /// Which raw keys belong to the dataset.
    pub key_pattern: KeyPattern,
    /// The table of the source database (format `sqlite`).
    pub source_table: Option<String>,
    /// For `sqlite`: what to do with rows that the source has deleted.
    pub deleted_rows: DeletedRows,
    /// For `sqlite`: the largest share of the table's living rows, from 0 to 1, that one snapshot may delete
    /// without being confirmed.
    pub maximum_deleted_share: f64,
    /// For `sqlite`: how the time of a snapshot is known; None where this contract leaves it to the others
    /// of its database.
    pub snapshot_time: Option<SnapshotTime>,
    /// For `accessLog`: the layout of its lines; None where each line is recognised by itself.
    pub log_format: Option<LogFormat>,
    /// How the fields of CSV are written, as far as the contract says so.
    pub csv: CsvLayout,
    /// What happens where the source has another shape.
    pub schema_drift: SchemaDrift,
    /// For events.
    pub deduplication: Option<Deduplication>,
    /// Indexes into `columns`: of rows with equal values in these (a null equals a null), only the row of
    /// the object that was put last stays. Empty if the contract does not ask for it.
    pub newest_by: Vec<usize>,
    /// An event that arrives this many seconds or more after its event time is late.
    pub late_after_seconds: Option<u64>,
    /// Columns in order.
    pub columns: Vec<Column>,
    /// How many of them, at the end, were added by schema drift.
    pub evolved: usize,
    /// Indexes into `columns`, in key order.
    pub primary_key: Vec<usize>,
    /// Day or month partitions.
    pub partitioning: Option<Partitioning>,
    /// Rules, in the order in which a row is checked against them.
    pub rules: Vec<Rule>,
    /// The service levels that the contract asks for.
    pub service_levels: Vec<ServiceLevel>,
    /// What is watched for anomalies, in addition to the defaults.
    pub monitors: Vec<Monitor>,
    /// Columns that name rows of other datasets.
    pub relationships: Vec<Relationship>,
    /// The owner, for people.
    pub owner: Option<String>,
}

/// A column that names rows of another dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relationship {
    /// The column.
    pub column: String,
    /// The column that it is a value of.
    pub to: ColumnRef,
}

/// Whether a column has a rule for its least and for its greatest value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bounded {
    /// For its least.
    pub below: bool,
    /// For its greatest.
    pub above: bool,
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
    /// PII class: `public`, `internal`, `confidential`, `restricted`; None if the contract names none.
    pub classification: Option<String>,
    /// Whether rules bound its values: these decide which instants are plausible.
    pub bounded: Bounded,
    /// How its values are protected before they are written anywhere; None for a column that is not
    /// personal.
    pub protection: Option<Protection>,
    /// How the source writes it.
    pub encoding: Encoding,
    /// The value used where the source has none.
    pub default: Option<String>,
    /// What happens to rows without a value.
    pub missing: MissingPolicy,
}

/// What happens to rows without a value in a column: a null or, where `values` says so, a text that
/// stands for one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MissingPolicy {
    /// What is done.
    pub action: MissingAction,
    /// What counts as missing besides a null, and becomes one where the action is not `Keep`.
    pub values: Missing,
}

/// What happens to a missing value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MissingAction {
    /// It stays as it is.
    #[default]
    Keep,
    /// The column's default replaces it, and the row names the column in `_imputed`.
    Default,
    /// The row is rejected.
    Reject,
}

impl Column {
    /// An optional column of this name, at the source too, about which a contract says nothing else.
    pub fn optional(name: &str, ty: ColumnType, encoding: Encoding) -> Self {
        Column {
            name: name.to_owned(),
            source_name: name.to_owned(),
            ty,
            required: false,
            description: String::new(),
            classification: None,
            bounded: Bounded::default(),
            protection: None,
            encoding,
            default: None,
            missing: MissingPolicy::default(),
        }
    }

    /// Whether its values are personal data, which no reason, sample, log or error shows.
    pub fn is_personal(&self) -> bool {
        self.protection.is_some()
    }

    /// The type of the column in the table, which a protection may change.
    pub fn kept_type(&self) -> ColumnType {
        self.protection
            .and_then(|protection| protection.kept_type(&self.ty))
            .unwrap_or_else(|| self.ty.clone())
    }
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
    /// An instant as microseconds since 1970-01-01T00:00:00Z.
    EpochMicros,
    /// A boolean as 0 and 1.
    ZeroOne,
    /// A number with a decimal comma, and points, blanks or apostrophes between thousands: `1.234,50`.
    DecimalComma,
    /// A number with a decimal point, and commas, blanks or apostrophes between thousands: `1,234.50`.
    DecimalPoint,
    /// A date or a time with the day first: `31/01/2026`, `31.1.2026 10:11`.
    DayMonthYear,
    /// A date or a time with the month first: `01/31/2026`, `1/31/2026 10:11 PM`.
    MonthDayYear,
    /// A boolean as `true` and `false`, `t` and `f`, `yes` and `no` or `y` and `n`, in any case, or as 1 and 0.
    BooleanText,
}

impl Contract {
    /// The curated table's name.
    pub fn table(&self) -> TableName {
        TableName::new(Zone::Curated, &self.dataset)
    }

    /// The curated table: the contract's columns, then the system columns.
    pub fn table_spec(&self) -> TableSpec {
        let field = |column: &Column| {
            Field::new(&column.name, column.kept_type(), column.required).doc(&column.description)
        };
        let (own, evolved) = self.split_columns();
        let mut fields: Vec<Field> = own.iter().map(field).collect();
        fields.extend(system::fields());
        if self.imputes() {
            fields.push(system::imputed());
        }
        if self.pseudonymises() {
            fields.push(system::key_version());
        }
        if self.format == Format::Sqlite && self.deleted_rows == DeletedRows::Soft {
            fields.push(system::deleted_at());
        }
        fields.extend(evolved.iter().map(field));
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

    /// Whether a default replaces missing values, so that rows name their imputed columns.
    pub fn imputes(&self) -> bool {
        self.columns
            .iter()
            .any(|column| column.missing.action == MissingAction::Default)
    }

    /// Which of its columns name rows of other datasets: by relationships, and by rules that look these
    /// up.
    pub fn related(&self) -> Vec<Relationship> {
        let mut all = self.relationships.clone();
        for rule in &self.rules {
            if let (Check::Rows(RowCheck::Reference(to)), Some(column)) = (&rule.check, rule.column)
                && let Some(column) = self.columns.get(column)
            {
                let found = Relationship {
                    column: column.name.clone(),
                    to: to.clone(),
                };
                if !all.contains(&found) {
                    all.push(found);
                }
            }
        }
        all
    }

    /// Whether its objects are logs: files of lines that grow, are renamed and compressed, and whose
    /// lines have no identifier. Events and other rows that columns identify are not logs.
    pub fn is_log(&self) -> bool {
        match self.format {
            Format::AccessLog => true,
            Format::JsonLines | Format::Csv => {
                self.deduplication.is_none() && self.newest_by.is_empty()
            }
            Format::SocialPosts | Format::Sqlite => false,
        }
    }

    /// Whether a column is personal.
    pub fn is_personal(&self) -> bool {
        self.columns.iter().any(Column::is_personal)
    }

    /// Whether a column's values become pseudonyms.
    pub fn pseudonymises(&self) -> bool {
        self.columns
            .iter()
            .any(|column| column.protection == Some(Protection::Pseudonymise))
    }

    /// The columns that its file names, and those that schema drift added. Added columns come after all
    /// others in tables, and stay there when the contract is read again without them.
    pub fn split_columns(&self) -> (&[Column], &[Column]) {
        self.columns
            .split_at(self.columns.len().saturating_sub(self.evolved))
    }

    /// The contract with optional columns that its source has and its file does not name.
    #[must_use]
    pub fn evolved(&self, columns: Vec<Column>) -> Contract {
        let mut contract = self.clone();
        contract.evolved += columns.len();
        contract.columns.extend(columns);
        contract
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

//! The shape of tables: what the readers fill, the writers write and the catalog shows.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The type of a column. Time is UTC in microseconds; money is always [`ColumnType::Decimal`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    /// UTF-8 text.
    String,
    /// 32-bit signed integer.
    Int,
    /// 64-bit signed integer.
    Long,
    /// 64-bit floating point number; never money.
    Double,
    /// True or false.
    Boolean,
    /// A day of the proleptic Gregorian calendar.
    Date,
    /// An instant, microseconds since 1970-01-01T00:00:00Z (Iceberg `timestamptz`).
    Timestamp,
    /// An exact number: at most 18 digits, `scale` of them after the decimal point.
    Decimal {
        /// Digits in all, 1 to 18.
        precision: u8,
        /// Digits after the decimal point, at most `precision`.
        scale: u8,
    },
    /// A list of strings without nulls inside.
    StringList,
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ColumnType::String => f.write_str("string"),
            ColumnType::Int => f.write_str("int"),
            ColumnType::Long => f.write_str("bigint"),
            ColumnType::Double => f.write_str("double"),
            ColumnType::Boolean => f.write_str("boolean"),
            ColumnType::Date => f.write_str("date"),
            ColumnType::Timestamp => f.write_str("timestamptz"),
            ColumnType::Decimal { precision, scale } => write!(f, "decimal({precision},{scale})"),
            ColumnType::StringList => f.write_str("array<string>"),
        }
    }
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// The column's name.
    pub name: String,
    /// Its type.
    pub ty: ColumnType,
    /// Whether every row has a value.
    pub required: bool,
    /// What it means, for people.
    pub doc: String,
}

impl Field {
    /// A column without a description.
    pub fn new(name: impl Into<String>, ty: ColumnType, required: bool) -> Self {
        Field {
            name: name.into(),
            ty,
            required,
            doc: String::new(),
        }
    }

    /// Adds a description.
    #[must_use]
    pub fn doc(mut self, doc: impl Into<String>) -> Self {
        self.doc = doc.into();
        self
    }
}

/// The unit of time by which a table is split into partitions (the Iceberg transforms `day` and `month`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartitionUnit {
    /// One partition per UTC day.
    Day,
    /// One partition per UTC month.
    Month,
}

/// How a table is split into partitions.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Partitioning {
    /// The `Timestamp` or `Date` column that decides.
    pub column: String,
    /// Day or month.
    pub unit: PartitionUnit,
}

/// What a table looks like: its name, columns and partitions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSpec {
    /// `namespace.table` name, for example `curated.orders`.
    pub name: TableName,
    /// What the table holds, for people.
    pub doc: String,
    /// Columns in order.
    pub fields: Vec<Field>,
    /// None for an unpartitioned table.
    pub partitioning: Option<Partitioning>,
    /// Columns that identify a row; empty where nothing does.
    pub identifier: Vec<String>,
}

/// The zone a table belongs to: a database of the catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Zone {
    /// Cleaned and typed source data, one table per contract.
    Curated,
    /// Marts computed from curated tables.
    Analytics,
    /// Rejected rows, and what the lake records about itself.
    Quality,
}

impl Zone {
    /// The name of the zone's database and folder.
    pub fn as_str(self) -> &'static str {
        match self {
            Zone::Curated => "curated",
            Zone::Analytics => "analytics",
            Zone::Quality => "quality",
        }
    }

    /// Every zone.
    pub const ALL: [Zone; 3] = [Zone::Curated, Zone::Analytics, Zone::Quality];
}

/// A table's full name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TableName {
    /// Its zone.
    pub zone: Zone,
    /// Its name in the zone: lower case letters, digits and underscores.
    pub name: String,
}

impl TableName {
    /// A name in a zone.
    pub fn new(zone: Zone, name: impl Into<String>) -> Self {
        TableName {
            zone,
            name: name.into(),
        }
    }

    /// Parses `zone.name`.
    pub fn parse(text: &str) -> Option<Self> {
        let (zone, name) = text.split_once('.')?;
        let zone = Zone::ALL
            .into_iter()
            .find(|candidate| candidate.as_str() == zone)?;
        Some(TableName::new(zone, name))
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.zone.as_str(), self.name)
    }
}

/// A partition: days (unit day) or months (unit month) since 1970-01-01; None for rows whose
/// partition column is null, and for tables without partitions.
pub type PartitionValue = Option<i32>;

/// The system columns that every curated row carries, in this order after the contract's columns.
pub mod system {
    use super::{ColumnType, Field};

    /// The run that wrote the row.
    pub const RUN_ID: &str = "_run_id";
    /// The raw object the row came from.
    pub const SOURCE_URI: &str = "_source_uri";
    /// The version of that object.
    pub const SOURCE_VERSION: &str = "_source_version";
    /// Where in the object the row begins: a byte offset, a rowid or a sequence number.
    pub const SOURCE_OFFSET: &str = "_source_offset";
    /// When the row was written.
    pub const INGESTED_AT: &str = "_ingested_at";
    /// The version of the contract that it was checked against.
    pub const CONTRACT_VERSION: &str = "_contract_version";
    /// The version of the key that the row's pseudonyms were made with; only on tables that have some.
    pub const KEY_VERSION: &str = "_key_version";
    /// When the row was found to be deleted at its source; only on tables whose contract asks for it.
    pub const DELETED_AT: &str = "_deleted_at";

    /// The columns of the row whose value is the contract's default because the source had none; only on
    /// tables whose contract has such columns.
    pub const IMPUTED: &str = "_imputed";

    /// The marker of imputed values.
    pub fn imputed() -> Field {
        Field::new(IMPUTED, ColumnType::StringList, false)
            .doc("Columns whose value is the contract's default because the source had none; null where there are none")
    }

    /// The columns of every table: `_key_version`, `_imputed` and `_deleted_at` are not among them.
    pub fn fields() -> Vec<Field> {
        vec![
            Field::new(RUN_ID, ColumnType::String, true).doc("Run that wrote the row"),
            Field::new(SOURCE_URI, ColumnType::String, true).doc("Raw object the row came from"),
            Field::new(SOURCE_VERSION, ColumnType::String, true).doc("Version of that object"),
            Field::new(SOURCE_OFFSET, ColumnType::Long, true)
                .doc("Place in the object: byte offset, or rowid for a database"),
            Field::new(INGESTED_AT, ColumnType::Timestamp, true)
                .doc("When the row was written (UTC)"),
            Field::new(CONTRACT_VERSION, ColumnType::String, true)
                .doc("Version of the contract it was checked against"),
        ]
    }

    /// The version of the pseudonyms' key.
    pub fn key_version() -> Field {
        Field::new(KEY_VERSION, ColumnType::Int, false).doc(
            "Version of the key that the row's pseudonyms were made with; null where it has none",
        )
    }

    /// The soft-delete marker.
    pub fn deleted_at() -> Field {
        Field::new(DELETED_AT, ColumnType::Timestamp, false)
            .doc("When the row was found to be gone at its source (UTC); null while it exists")
    }
}

/// A column of an existing table with the field ids that its files carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableField {
    /// The column.
    pub field: Field,
    /// Its Iceberg field id.
    pub id: i32,
    /// The field id of a list's elements.
    pub element_id: Option<i32>,
}

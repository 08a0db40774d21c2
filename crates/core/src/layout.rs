//! Where things are in the lake.

use chrono::{DateTime, NaiveDate, Utc};

use crate::schema::TableName;

/// The raw zone's prefix.
pub const RAW: &str = "raw/";

/// The key of a new raw object: `raw/<source>/<dataset>/ingest_date=YYYY-MM-DD/<name>`, the date in UTC.
pub fn raw_key(source: &str, dataset: &str, arrived: DateTime<Utc>, name: &str) -> String {
    format!(
        "{RAW}{source}/{dataset}/ingest_date={}/{name}",
        arrived.format("%Y-%m-%d")
    )
}

/// The prefix of a table's files: `<zone>/<table>/`.
pub fn table_prefix(table: &TableName) -> String {
    format!("{}/{}/", table.zone.as_str(), table.name)
}

/// The table that a file belongs to, by its key; None for a key that does not belong to a table.
pub fn table_of(key: &str) -> Option<TableName> {
    let mut parts = key.splitn(3, '/');
    let (zone, name, _) = (parts.next()?, parts.next()?, parts.next()?);
    TableName::parse(&format!("{zone}.{name}"))
}

/// The prefix of a table's data files.
pub fn data_prefix(table: &TableName) -> String {
    format!("{}data/", table_prefix(table))
}

/// What the key of an index of identifiers adds to that of its data file.
const IDENTIFIERS: &str = ".identifiers";

/// The key of the index of a data file's identifiers.
pub fn identifiers_key(data_file: &str) -> String {
    format!("{data_file}{IDENTIFIERS}")
}

/// The key of the data file whose identifiers a file indexes; None where it is no such index.
pub fn file_of_identifiers(key: &str) -> Option<&str> {
    key.strip_suffix(IDENTIFIERS)
}

/// The day of a raw key's `ingest_date=YYYY-MM-DD`; None where it has none.
pub fn ingest_date(key: &str) -> Option<NaiveDate> {
    key.split('/')
        .find_map(|part| part.strip_prefix("ingest_date="))
        .and_then(|date| NaiveDate::parse_from_str(date, "%Y-%m-%d").ok())
}

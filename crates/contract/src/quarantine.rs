//! The tables of rejected rows: one per dataset, beside its curated table.

use crate::{Column, Contract};
use tarn_core::schema::{
    ColumnType, Field, PartitionUnit, Partitioning, TableName, TableSpec, Zone, system,
};

/// The rule that was broken: `parse`, `duplicate`, `order_id.required`, …
pub const RULE: &str = "_rule";
/// The column that broke it.
pub const COLUMN: &str = "_column";
/// What was found and what was expected.
pub const REASON: &str = "_reason";
/// The line of the source, counted from 1.
pub const LINE: &str = "_line";
/// The row as it was received, where that holds no personal data.
pub const PAYLOAD: &str = "_payload";
/// How `_payload` is written, see [`Encoding`].
pub const PAYLOAD_ENCODING: &str = "_payload_encoding";
/// Bytes of the whole row as it was received.
pub const PAYLOAD_BYTES: &str = "_payload_bytes";
/// A keyed hash of a payload that is withheld: equal rows have equal hashes.
pub const PAYLOAD_HASH: &str = "_payload_hash";

/// How a payload is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// As it was received, which is UTF-8.
    Utf8,
    /// Bytes that are not UTF-8 are written as `\xhh`, and `\` as `\\`.
    Escaped,
    /// A JSON object of the row's columns as the table keeps them: the row holds personal data.
    Json,
    /// Not at all: the row may hold personal data and could not be read, so that nobody knows where.
    Withheld,
}

impl Encoding {
    /// The word in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Encoding::Utf8 => "utf8",
            Encoding::Escaped => "escaped",
            Encoding::Json => "json",
            Encoding::Withheld => "withheld",
        }
    }
}

const PREFIX: &str = "quarantine_";

/// The table of a dataset's rejected rows: `quality.quarantine_<dataset>`.
pub fn table(dataset: &str) -> TableName {
    TableName::new(Zone::Quality, format!("{PREFIX}{dataset}"))
}

/// The dataset whose rejected rows a table holds; None for any other table.
pub fn dataset_of(table: &TableName) -> Option<&str> {
    (table.zone == Zone::Quality)
        .then(|| table.name.strip_prefix(PREFIX))
        .flatten()
}

/// What such a table looks like: the dataset's columns as its curated table has them, null where they
/// were not read, then why and where the row was rejected, then the system columns.
pub fn table_spec(contract: &Contract) -> TableSpec {
    let field = |column: &Column| {
        Field::new(&column.name, column.kept_type(), false).doc(&column.description)
    };
    let (own, evolved) = contract.split_columns();
    let mut fields: Vec<Field> = own.iter().map(field).collect();
    fields.extend([
        Field::new(RULE, ColumnType::String, true).doc("Rule that was broken"),
        Field::new(COLUMN, ColumnType::String, false).doc("Column that broke it"),
        Field::new(REASON, ColumnType::String, true).doc("What was found and what was expected"),
        Field::new(LINE, ColumnType::Long, false).doc("Line of the source, counted from 1"),
        Field::new(PAYLOAD, ColumnType::String, false).doc(
            "The row, at most 64 KiB of it: as received, or its protected columns where it holds personal data; null where it is withheld",
        ),
        Field::new(PAYLOAD_ENCODING, ColumnType::String, true).doc(
            "utf8: as received; escaped: bytes that are not UTF-8 as \\xhh and \\ as \\\\; json: the protected columns; withheld: only the raw object has it",
        ),
        Field::new(PAYLOAD_BYTES, ColumnType::Long, true).doc("Bytes of the whole row as received"),
        Field::new(PAYLOAD_HASH, ColumnType::String, false)
            .doc("Keyed hash of a withheld payload; equal rows have equal hashes under one key"),
    ]);
    fields.extend(system::fields());
    if contract.is_personal() {
        fields.push(system::key_version());
    }
    fields.extend(evolved.iter().map(field));
    TableSpec {
        name: table(&contract.dataset),
        doc: format!("Rejected rows of {}, with the reason", contract.dataset),
        fields,
        partitioning: Some(Partitioning {
            column: system::INGESTED_AT.to_owned(),
            unit: PartitionUnit::Day,
        }),
        identifier: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_rejected_rows_names_its_dataset() {
        assert_eq!(table("orders").to_string(), "quality.quarantine_orders");
        assert_eq!(dataset_of(&table("orders")), Some("orders"));
        assert_eq!(
            dataset_of(&TableName::new(Zone::Curated, "quarantine_x")),
            None
        );
        assert_eq!(dataset_of(&TableName::new(Zone::Quality, "results")), None);
    }
}

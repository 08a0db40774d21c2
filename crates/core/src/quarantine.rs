//! The table of rejected rows.

use crate::schema::{
    ColumnType, Field, PartitionUnit, Partitioning, TableName, TableSpec, Zone, system,
};

/// The dataset whose contract was broken.
pub const DATASET: &str = "dataset";
/// The rule that was broken: `parse`, `duplicate`, `order_id.required`, …
pub const RULE: &str = "rule";
/// The column that broke it.
pub const COLUMN: &str = "column_name";
/// What was found and what was expected.
pub const REASON: &str = "reason";
/// The line of the source, counted from 1.
pub const LINE: &str = "line";
/// The row as it was received.
pub const PAYLOAD: &str = "payload";
/// How `payload` is written.
pub const PAYLOAD_ENCODING: &str = "payload_encoding";
/// Bytes of the whole row.
pub const PAYLOAD_BYTES: &str = "payload_bytes";

/// The quarantine table: `quality.quarantine`, one row per rejected row of any dataset.
pub fn table_spec() -> TableSpec {
    let mut fields = vec![
        Field::new(DATASET, ColumnType::String, true).doc("Dataset whose contract was broken"),
        Field::new(RULE, ColumnType::String, true).doc("Rule that was broken"),
        Field::new(COLUMN, ColumnType::String, false).doc("Column that broke it"),
        Field::new(REASON, ColumnType::String, true).doc("What was found and what was expected"),
        Field::new(LINE, ColumnType::Long, false).doc("Line of the source, counted from 1"),
        Field::new(PAYLOAD, ColumnType::String, true)
            .doc("The row as received, at most 64 KiB of it"),
        Field::new(PAYLOAD_ENCODING, ColumnType::String, true).doc(
            "utf8, or escaped where bytes that are not UTF-8 are written as \\xhh and \\ as \\\\",
        ),
        Field::new(PAYLOAD_BYTES, ColumnType::Long, true).doc("Bytes of the whole row"),
    ];
    fields.extend(system::fields());
    TableSpec {
        name: TableName::new(Zone::Quality, "quarantine"),
        doc: "Rejected rows of every dataset, with the reason".to_owned(),
        fields,
        partitioning: Some(Partitioning {
            column: system::INGESTED_AT.to_owned(),
            unit: PartitionUnit::Day,
        }),
        identifier: Vec::new(),
    }
}

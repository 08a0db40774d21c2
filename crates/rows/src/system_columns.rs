//! The system columns: where a row came from and who wrote it.

use tarn_core::schema::{TableField, system};
use tarn_core::{Error, Result};

use crate::column::{ColumnData, Plain, TextColumn};

/// The values of the system columns that all rows of one run and object share.
#[derive(Debug, Clone)]
pub struct SystemColumns {
    /// The run.
    pub run_id: String,
    /// URI of the raw object.
    pub source_uri: String,
    /// Its version.
    pub source_version: String,
    /// When the run writes, microseconds since 1970-01-01T00:00:00Z.
    pub ingested_at: i64,
    /// The contract's version.
    pub contract_version: String,
}

fn constant(text: &str, rows: usize) -> ColumnData {
    ColumnData::Text(TextColumn::constant(text.as_bytes(), rows))
}

/// Lays rows out as the table has them: each field is taken by name from `named`, else it is a
/// system column, else it is a column that the contract no longer has and becomes null.
pub fn table_columns(
    fields: &[TableField],
    named: Vec<(&str, ColumnData)>,
    offsets: &[i64],
    system_columns: &SystemColumns,
) -> Result<Vec<ColumnData>> {
    let rows = offsets.len();
    let mut named: Vec<Option<(&str, ColumnData)>> = named.into_iter().map(Some).collect();
    let mut columns = Vec::with_capacity(fields.len());
    for field in fields {
        let name = field.field.name.as_str();
        let place = named
            .iter()
            .position(|entry| entry.as_ref().is_some_and(|entry| entry.0 == name));
        if let Some((_, column)) = place.and_then(|place| named[place].take()) {
            columns.push(column);
            continue;
        }
        columns.push(match name {
            system::RUN_ID => constant(&system_columns.run_id, rows),
            system::SOURCE_URI => constant(&system_columns.source_uri, rows),
            system::SOURCE_VERSION => constant(&system_columns.source_version, rows),
            system::CONTRACT_VERSION => constant(&system_columns.contract_version, rows),
            system::SOURCE_OFFSET => ColumnData::Long(Plain::of(offsets.to_vec())),
            system::INGESTED_AT => {
                ColumnData::Long(Plain::of(vec![system_columns.ingested_at; rows]))
            }
            _ if field.field.required => {
                return Err(Error::internal(format!(
                    "nothing fills the required column {name}"
                )));
            }
            _ => ColumnData::nulls(&field.field.ty, rows),
        });
    }
    Ok(columns)
}

//! Rows as JSON objects: for the small tables that the lake keeps of itself. Dates and instants are
//! text, as in answers.

use std::path::Path;

use serde_json::{Map, Value};
use tarn_core::schema::{ColumnType, Partitioning, TableField};
use tarn_core::{Error, ErrorKind, Result};

use crate::columns::from_frame;
use crate::parquet::{ParquetFile, PartitionedWriter, WriterOptions};
use crate::scan::{self, Relation};
use tarn_rows::column::ColumnData;
use tarn_rows::display::as_json;
use tarn_rows::source::time;

/// A row: each column by its name; one that is left out is null.
pub type Row = Map<String, Value>;

fn push(column: &mut ColumnData, ty: &ColumnType, value: Option<&Value>) -> Option<()> {
    let value = value.filter(|value| !value.is_null());
    match (column, value) {
        (column, None) => column.push_null(),
        (ColumnData::Text(column), Some(Value::String(text))) => column.push(text.as_bytes()),
        (ColumnData::Int(column), Some(Value::String(text))) if *ty == ColumnType::Date => {
            column.push(time::date(text.as_bytes()).ok()?);
        }
        (ColumnData::Int(column), Some(value)) => {
            column.push(i32::try_from(value.as_i64()?).ok()?);
        }
        (ColumnData::Long(column), Some(Value::String(text))) if *ty == ColumnType::Timestamp => {
            column.push(time::timestamp(text.as_bytes()).ok()?);
        }
        // JSON numbers cannot hold every decimal.
        (ColumnData::Long(column), Some(value)) if *ty == ColumnType::Long => {
            column.push(value.as_i64()?);
        }
        (ColumnData::Double(column), Some(value)) => column.push(value.as_f64()?),
        (ColumnData::Boolean(column), Some(value)) => column.push(value.as_bool()?),
        _ => return None,
    }
    Some(())
}

/// Writes rows into files `<stem>-<n>.parquet` in `folder`, which exists, one per partition.
///
/// # Errors
/// `Internal` where a value does not fit its column or is missing in a required one, `Storage` where a
/// file cannot be written.
pub fn write(
    rows: &[Row],
    fields: Vec<TableField>,
    partitioning: Option<&Partitioning>,
    folder: &Path,
    stem: &str,
) -> Result<Vec<ParquetFile>> {
    let mut columns = Vec::with_capacity(fields.len());
    for field in &fields {
        let name = &field.field.name;
        let mut column = ColumnData::new(&field.field.ty);
        for row in rows {
            let value = row.get(name);
            if field.field.required && value.is_none_or(Value::is_null) {
                return Err(Error::internal(format!("a row has no {name}")));
            }
            push(&mut column, &field.field.ty, value).ok_or_else(|| {
                Error::internal(format!("a value of {name} does not fit: {value:?}"))
            })?;
        }
        columns.push(column);
    }
    let mut writer =
        PartitionedWriter::new(folder, stem, fields, partitioning, WriterOptions::default())?;
    writer.write(columns, rows.len())?;
    writer.finish()
}

/// Every row of a table.
///
/// # Errors
/// `Storage` where a file cannot be read.
pub fn read(relation: &Relation) -> Result<Vec<Row>> {
    let frame = scan::table(&relation.fields, &relation.files)?
        .collect()
        .map_err(|error| {
            Error::new(
                ErrorKind::Storage,
                format!("the table {} cannot be read", relation.name),
            )
            .with_source(error)
        })?;
    let columns = from_frame::columns(&frame, &relation.fields)?;
    let value = |row: usize, (field, column): (&TableField, &ColumnData)| {
        let value = as_json(column, row, &field.field.ty);
        (field.field.name.clone(), value)
    };
    Ok((0..frame.height())
        .map(|row| {
            let named = relation.fields.iter().zip(&columns);
            named.map(|column| value(row, column)).collect()
        })
        .collect())
}

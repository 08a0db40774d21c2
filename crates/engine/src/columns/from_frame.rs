//! From a Polars frame to filled columns, so that everything is written by one writer.

use polars::prelude::{DataFrame, DataType, PolarsError, Series};
use tarn_core::schema::{ColumnType, TableField};
use tarn_core::{Error, Result};

use crate::columns::types::data_type;
use tarn_rows::column::{ColumnData, ListColumn, Plain, TextColumn};

fn mismatch(error: PolarsError) -> Error {
    Error::internal("a computed column does not have the type of its table").with_source(error)
}

fn plain<T: Copy + Default>(values: impl Iterator<Item = Option<T>>) -> Plain<T> {
    let mut column = Plain::new();
    for value in values {
        match value {
            Some(value) => column.push(value),
            None => column.push_null(),
        }
    }
    column
}

/// A column of a type. Integers for a decimal are its scaled values: marts compute money so.
fn convert(series: &Series, ty: &ColumnType) -> Result<ColumnData> {
    if let (ColumnType::Decimal { .. }, DataType::Int64) = (ty, series.dtype()) {
        return Ok(ColumnData::Long(plain(
            series.i64().map_err(mismatch)?.iter(),
        )));
    }
    let series = series.strict_cast(&data_type(ty)).map_err(mismatch)?;
    Ok(match ty {
        ColumnType::String => {
            let mut column = TextColumn::new(true);
            for text in series.str().map_err(mismatch)?.iter() {
                match text {
                    Some(text) => column.push(text.as_bytes()),
                    None => column.push_null(),
                }
            }
            ColumnData::Text(column)
        }
        ColumnType::Int => ColumnData::Int(plain(series.i32().map_err(mismatch)?.iter())),
        ColumnType::Date => {
            ColumnData::Int(plain(series.date().map_err(mismatch)?.physical().iter()))
        }
        ColumnType::Long => ColumnData::Long(plain(series.i64().map_err(mismatch)?.iter())),
        ColumnType::Timestamp => ColumnData::Long(plain(
            series.datetime().map_err(mismatch)?.physical().iter(),
        )),
        ColumnType::Decimal { .. } => {
            let values = series.decimal().map_err(mismatch)?.physical().iter();
            let mut column = Plain::new();
            for value in values {
                match value {
                    None => column.push_null(),
                    Some(value) => column.push(i64::try_from(value).map_err(|error| {
                        Error::internal("a decimal has more than 18 digits").with_source(error)
                    })?),
                }
            }
            ColumnData::Long(column)
        }
        ColumnType::Double => ColumnData::Double(plain(series.f64().map_err(mismatch)?.iter())),
        ColumnType::Boolean => ColumnData::Boolean(plain(series.bool().map_err(mismatch)?.iter())),
        ColumnType::StringList => {
            let mut column = ListColumn::new();
            for row in 0..series.len() {
                match series.list().map_err(mismatch)?.get_as_series(row) {
                    None => column.push_null(),
                    Some(items) => {
                        for item in items.str().map_err(mismatch)?.iter().flatten() {
                            column.push_item(item.as_bytes());
                        }
                        column.finish_row();
                    }
                }
            }
            ColumnData::List(column)
        }
    })
}

/// The frame's columns in the table's order; the frame has every field of the table by name.
pub fn columns(frame: &DataFrame, fields: &[TableField]) -> Result<Vec<ColumnData>> {
    fields
        .iter()
        .map(|field| {
            let column = frame.column(&field.field.name).map_err(mismatch)?;
            convert(column.as_materialized_series(), &field.field.ty)
        })
        .collect()
}

//! Marts: KPI tables computed from curated tables.
//!
//! A mart is one file of this folder: a [`Mart`] with its table, the datasets it reads and a function
//! from those to its rows. Adding it to [`ALL`] is all that is left to do.

mod ad_performance;
mod daily_sales;
mod product_performance;

use std::collections::BTreeMap;
use std::path::Path;

use polars::prelude::{
    DataFrame, DataType, Expr, Field as PolarsField, Float64Chunked, Int64Chunked, IntoColumn,
    IntoSeries, LazyFrame, NewChunkedArray, PolarsError, Series, SortMultipleOptions, col,
};
use sha2::{Digest, Sha256};
use tarn_core::schema::{Field, TableField, TableName, TableSpec, Zone};
use tarn_core::{Error, ErrorKind, Result};

use crate::columns::from_frame;
use crate::parquet::{ParquetFile, PartitionedWriter, WriterOptions};
use crate::scan;
use crate::scan::Relation;
use tarn_rows::column::ColumnData;

/// A mart: what it is, what it reads, how it is computed.
pub struct Mart {
    /// Its table in the analytics zone.
    pub name: &'static str,
    /// What a row is, for people.
    pub doc: &'static str,
    /// Its columns.
    pub fields: fn() -> Vec<Field>,
    /// The columns that identify a row.
    pub key: &'static [&'static str],
    /// What it reads.
    pub inputs: &'static [Input],
    /// Computes its rows.
    rows: fn(&Inputs) -> Result<DataFrame>,
}

/// A curated table that a mart reads, and the columns that it needs of it.
#[derive(Debug, Clone, Copy)]
pub struct Input {
    /// The dataset.
    pub table: &'static str,
    /// Columns; the mart sees no others.
    pub columns: &'static [&'static str],
}

/// Every mart.
pub const ALL: [&Mart; 3] = [
    &ad_performance::MART,
    &daily_sales::MART,
    &product_performance::MART,
];

impl Mart {
    /// The mart's table.
    pub fn table_spec(&self) -> TableSpec {
        TableSpec {
            name: TableName::new(Zone::Analytics, self.name),
            doc: self.doc.to_owned(),
            fields: (self.fields)(),
            partitioning: None,
            identifier: Vec::new(),
        }
    }
}

/// The curated tables that a mart reads.
pub struct Inputs {
    tables: BTreeMap<String, LazyFrame>,
}

impl Inputs {
    /// From tables at the versions to be read.
    pub fn new(relations: &[Relation]) -> Result<Self> {
        let tables = relations
            .iter()
            .map(|relation| {
                Ok((
                    relation.name.name.clone(),
                    scan::table(&relation.fields, &relation.files)?,
                ))
            })
            .collect::<Result<_>>()?;
        Ok(Inputs { tables })
    }

    fn table(&self, name: &str) -> Result<LazyFrame> {
        self.tables
            .get(name)
            .cloned()
            .ok_or_else(|| Error::internal(format!("a mart reads {name} but does not name it")))
    }
}

/// A computed mart.
#[derive(Debug)]
pub struct Built {
    /// Its files.
    pub files: Vec<ParquetFile>,
    /// Its rows.
    pub rows: u64,
    /// Equal for equal content, whatever computed it.
    pub content: String,
}

/// Computes a mart and writes its files to `staging`.
///
/// # Errors
/// `BadContract` where a curated table lacks a column that the mart reads.
pub fn build(mart: &Mart, inputs: &Inputs, fields: &[TableField], staging: &Path) -> Result<Built> {
    let rows = (mart.rows)(inputs)?
        .sort(
            mart.key.iter().copied(),
            SortMultipleOptions::default().with_nulls_last(true),
        )
        .map_err(failed)?;
    let columns = from_frame::columns(&rows, fields)?;
    let content = content_of(&columns, fields);
    let mut writer = PartitionedWriter::new(
        staging,
        mart.name,
        fields.to_vec(),
        None,
        WriterOptions::default(),
    )?;
    writer.write(columns, rows.height())?;
    Ok(Built {
        files: writer.finish()?,
        rows: rows.height() as u64,
        content,
    })
}

fn failed(error: PolarsError) -> Error {
    let kind = match error {
        PolarsError::ColumnNotFound(_) | PolarsError::SchemaFieldNotFound(_) => {
            ErrorKind::BadContract
        }
        _ => ErrorKind::Internal,
    };
    Error::new(kind, "a mart cannot be computed").with_source(error)
}

/// A digest of the rows in order (SHA-256, hexadecimal).
fn content_of(columns: &[ColumnData], fields: &[TableField]) -> String {
    let mut digest = Sha256::new();
    for (column, field) in columns.iter().zip(fields) {
        digest.update(field.field.name.as_bytes());
        for row in 0..column.len() {
            // JSON text holds no zero byte, so rows cannot run into each other.
            digest.update(tarn_rows::display::as_json(column, row, &field.field.ty).to_string());
            digest.update([0]);
        }
    }
    hex::encode(digest.finalize())
}

/// A decimal column as its scaled integers, so that sums and products are exact: 12.34 is 1234.
fn minor_units(name: &str) -> Expr {
    col(name).map(
        |column| {
            let name = column.name().clone();
            let values: Int64Chunked = column
                .as_materialized_series()
                .decimal()?
                .physical()
                .iter()
                .map(|value| {
                    value
                        .map(|value| {
                            i64::try_from(value).map_err(|_| {
                                PolarsError::ComputeError(
                                    "a decimal has more than 18 digits".into(),
                                )
                            })
                        })
                        .transpose()
                })
                .collect::<Result<_, PolarsError>>()?;
            Ok(values.with_name(name).into_column())
        },
        |_, field| Ok(PolarsField::new(field.name().clone(), DataType::Int64)),
    )
}

/// `numerator / denominator` of two integer columns, rounded half to even after multiplying by
/// `factor`; null where the denominator is zero or null.
fn divided(
    frame: &DataFrame,
    numerator: &str,
    denominator: &str,
    factor: i64,
    name: &str,
) -> Result<Series> {
    let (numerators, denominators) = (integers(frame, numerator)?, integers(frame, denominator)?);
    let values = numerators
        .iter()
        .zip(&denominators)
        .map(|(&numerator, &denominator)| {
            rounded_quotient(
                i128::from(numerator?) * i128::from(factor),
                i128::from(denominator?),
            )
        });
    let values: Vec<Option<i64>> = values.collect();
    Ok(Int64Chunked::from_slice_options(name.into(), &values).into_series())
}

/// `numerator / denominator` of two integer columns as a double; null where the denominator is
/// zero or null. For rates, never for money.
fn rate(frame: &DataFrame, numerator: &str, denominator: &str, name: &str) -> Result<Series> {
    let (numerators, denominators) = (integers(frame, numerator)?, integers(frame, denominator)?);
    let values: Vec<Option<f64>> = numerators
        .iter()
        .zip(&denominators)
        .map(|(&numerator, &denominator)| {
            denominator
                .filter(|&value| value != 0)
                .and_then(|d| Some(numerator? as f64 / d as f64))
        })
        .collect();
    Ok(Float64Chunked::from_slice_options(name.into(), &values).into_series())
}

fn integers(frame: &DataFrame, name: &str) -> Result<Vec<Option<i64>>> {
    let column = frame.column(name).map_err(failed)?;
    let series = column
        .as_materialized_series()
        .strict_cast(&DataType::Int64)
        .map_err(failed)?;
    Ok(series.i64().map_err(failed)?.iter().collect())
}

fn rounded_quotient(numerator: i128, denominator: i128) -> Option<i64> {
    if denominator == 0 {
        return None;
    }
    let (quotient, rest) = (
        numerator.div_euclid(denominator),
        numerator.rem_euclid(denominator),
    );
    let twice = rest * 2;
    let size = denominator.abs();
    // `div_euclid` rounds so that the rest is not negative: up means towards `denominator`'s sign.
    let up = twice > size || twice == size && quotient.rem_euclid(2) == 1;
    i64::try_from(quotient + if up { denominator.signum() } else { 0 }).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quotients_round_half_to_even() {
        for (numerator, denominator, expected) in [
            (5, 2, Some(2)),
            (7, 2, Some(4)),
            (-5, 2, Some(-2)),
            (-7, 2, Some(-4)),
            (5, -2, Some(-2)),
            (1, 3, Some(0)),
            (2, 3, Some(1)),
            (1, 0, None),
        ] {
            assert_eq!(
                rounded_quotient(numerator, denominator),
                expected,
                "{numerator}/{denominator}"
            );
        }
    }

    proptest! {
        #[test]
        fn quotients_are_within_half_a_unit(numerator in -1_000_000i128..1_000_000, denominator in -1000i128..1000) {
            prop_assume!(denominator != 0);
            let quotient = i128::from(rounded_quotient(numerator, denominator).unwrap());
            prop_assert!((quotient * denominator - numerator).abs() * 2 <= denominator.abs());
        }
    }

    #[test]
    fn mart_names_are_unique_and_their_keys_are_columns() {
        let names: std::collections::BTreeSet<_> = ALL.iter().map(|mart| mart.name).collect();
        assert_eq!(names.len(), ALL.len());
        for mart in ALL {
            for key in mart.key {
                assert!(
                    (mart.fields)().iter().any(|field| field.name == *key),
                    "{}.{key}",
                    mart.name
                );
            }
        }
    }
}

//! The values of another dataset's column, to which rows refer.

use std::collections::BTreeMap;

use hashbrown::HashSet;
use polars::prelude::{PolarsError, col};
use tarn_contract::ColumnRef;
use tarn_core::schema::{ColumnType, TableField};
use tarn_core::{Error, ErrorKind, Result};
use xxhash_rust::xxh3::xxh3_128;

use super::columns::whole;
use super::tables::TableState;
use crate::column::ColumnData;
use crate::frame;

/// Whole numbers and decimals are compared as multiples of 10^-18.
pub(super) const KEY_SCALE: u8 = 18;

/// The distinct values of a column. Texts are held by hashes of 128 bits; 16 bytes a value.
#[derive(Debug, Clone, Default)]
pub struct KeySet {
    numbers: HashSet<i128>,
    texts: HashSet<u128>,
}

/// The values that the rules of one contract refer to.
pub type References = BTreeMap<ColumnRef, KeySet>;

impl KeySet {
    /// The values of a column of a table as it will be.
    ///
    /// # Errors
    /// `BadContract` where the table has no such column, and where its files cannot be read.
    pub fn load(table: &TableState, column: &str) -> Result<Self> {
        let field = table
            .fields
            .iter()
            .find(|field| field.field.name == column)
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::BadContract,
                    format!("the table of {} has no column {column} yet", table.dataset),
                )
            })?;
        let failed = |error: PolarsError| {
            Error::new(
                ErrorKind::Storage,
                format!("{}.{column} cannot be read", table.dataset),
            )
            .with_source(error)
        };
        let values = table
            .rows()?
            .select([col(column)])
            .unique(None, polars::prelude::UniqueKeepStrategy::Any)
            .collect()
            .map_err(failed)?;
        let fields: [TableField; 1] = [field.clone()];
        let mut set = KeySet::default();
        for data in frame::columns(&values, &fields)? {
            set.add(&data, &field.field.ty);
        }
        Ok(set)
    }

    fn add(&mut self, data: &ColumnData, ty: &ColumnType) {
        for row in 0..data.len() {
            if let ColumnData::Text(column) = data {
                self.texts.extend(column.get(row).map(xxh3_128));
            } else {
                self.numbers.extend(whole((data, ty), KEY_SCALE, row));
            }
        }
    }

    /// Rows whose value is none of these; a null refers to nothing.
    pub(super) fn strange_rows(&self, data: &ColumnData, ty: &ColumnType) -> Vec<usize> {
        match data {
            ColumnData::Text(column) => {
                super::value::rows_where(column, |text| !self.texts.contains(&xxh3_128(text)))
            }
            _ => (0..data.len())
                .filter(|&row| {
                    whole((data, ty), KEY_SCALE, row)
                        .is_some_and(|value| !self.numbers.contains(&value))
                })
                .collect(),
        }
    }
}

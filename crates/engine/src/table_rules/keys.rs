//! The values of another table's column, to which rows refer.

use polars::prelude::{PolarsError, col};
use tarn_core::schema::TableField;
use tarn_core::{Error, ErrorKind, Result};
use tarn_rows::check::KeySet;
use tarn_rows::planned::TableState;

use super::planned::rows;
use crate::columns::from_frame;

/// The values of a column of a table as it will be.
///
/// # Errors
/// `BadContract` where the table has no such column, and where its files cannot be read.
pub fn load_keys(table: &TableState, column: &str) -> Result<KeySet> {
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
    let values = rows(table)?
        .select([col(column)])
        .unique(None, polars::prelude::UniqueKeepStrategy::Any)
        .collect()
        .map_err(failed)?;
    let fields: [TableField; 1] = [field.clone()];
    let mut set = KeySet::default();
    for data in from_frame::columns(&values, &fields)? {
        set.add(&data, &field.field.ty);
    }
    Ok(set)
}

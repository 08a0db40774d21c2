//! Imputes missing values as the contract says: the column's default replaces them, and the row says so.

use tarn_contract::{Contract, Missing, MissingAction};
use tarn_core::Result;
use tarn_core::schema::ColumnType;

use crate::batch::Batch;
use crate::column::{ColumnData, ListColumn, Plain, TextColumn, Validity};
use crate::source::value::default_of;

/// Imputes: puts defaults where values are missing.
pub struct Imputer {
    columns: Vec<Imputed>,
}

struct Imputed {
    index: usize,
    name: String,
    missing: Missing,
    /// One row.
    default: ColumnData,
}

impl Imputer {
    /// For the columns whose contract says `missing: default`, or has a default.
    ///
    /// # Errors
    /// `BadContract` where a default is not a value of its column.
    pub fn new(contract: &Contract) -> Result<Self> {
        let mut columns = Vec::new();
        for (index, column) in contract.columns.iter().enumerate() {
            if column.missing.action == MissingAction::Default
                && let Some(default) = default_of(column)?
            {
                columns.push(Imputed {
                    index,
                    name: column.name.clone(),
                    missing: column.missing.values.clone(),
                    default,
                });
            }
        }
        Ok(Imputer { columns })
    }

    /// Fills the batch, and appends the column `_imputed` to its columns where the contract has
    /// defaults: per row the names of the columns that were filled, null where none was.
    pub fn apply(&self, batch: &mut Batch) {
        if self.columns.is_empty() {
            return;
        }
        let mut filled = Vec::new();
        for imputed in &self.columns {
            let Some(data) = batch.columns.get_mut(imputed.index) else {
                continue;
            };
            let rows = crate::check::missing_rows(&imputed.missing, data);
            if rows.is_empty() {
                continue;
            }
            fill(data, &rows, &imputed.default);
            filled.push((imputed.name.as_bytes(), rows.into_iter().peekable()));
        }
        let rows = batch.rows();
        if filled.iter().all(|(_, filled)| filled.len() == rows) {
            let names: Vec<&[u8]> = filled.iter().map(|(name, _)| *name).collect();
            batch.columns.push(if names.is_empty() {
                ColumnData::nulls(&ColumnType::StringList, rows)
            } else {
                ColumnData::List(ListColumn::constant(&names, rows))
            });
            return;
        }
        let mut column = ListColumn::new();
        for row in 0..rows {
            let mut any = false;
            for (name, rows) in &mut filled {
                if rows.next_if_eq(&row).is_some() {
                    column.push_item(name);
                    any = true;
                }
            }
            if any {
                column.finish_row();
            } else {
                column.push_null();
            }
        }
        batch.columns.push(ColumnData::List(column));
    }
}

/// Puts the first value of `default` into these rows, which are in order and hold every null.
fn fill(data: &mut ColumnData, rows: &[usize], default: &ColumnData) {
    fn plain<T: Copy + Default>(column: &mut Plain<T>, rows: &[usize], default: Option<T>) {
        let Some(default) = default else { return };
        for &row in rows {
            column.values[row] = default;
        }
        column.validity = Validity::all_valid(column.values.len());
    }
    match (data, default) {
        (ColumnData::Text(column), ColumnData::Text(default)) => {
            let Some(default) = default.get(0) else {
                return;
            };
            if rows.len() == column.len() {
                *column = TextColumn::constant(default, rows.len());
                return;
            }
            let mut filled = TextColumn::new(column.interned);
            let mut rows = rows.iter().copied().peekable();
            for row in 0..column.len() {
                if rows.next_if_eq(&row).is_some() {
                    filled.push(default);
                } else if let Some(text) = column.get(row) {
                    filled.push(text);
                } else {
                    filled.push_null();
                }
            }
            *column = filled;
        }
        (ColumnData::Int(column), ColumnData::Int(default)) => plain(column, rows, default.get(0)),
        (ColumnData::Long(column), ColumnData::Long(default)) => {
            plain(column, rows, default.get(0));
        }
        (ColumnData::Double(column), ColumnData::Double(default)) => {
            plain(column, rows, default.get(0));
        }
        (ColumnData::Boolean(column), ColumnData::Boolean(default)) => {
            plain(column, rows, default.get(0));
        }
        // A list has no default: the contract is refused.
        _ => {}
    }
}

//! Row counts and sums of numeric columns, to compare a table as it is with what it would become.

use std::collections::BTreeMap;
use std::path::PathBuf;

use polars::prelude::{PolarsError, col, lit};
use tarn_core::schema::{ColumnType, TableField, system};
use tarn_core::{Error, Result};
use tarn_rows::planned::RowsOf;

use crate::columns::from_frame;
use crate::remove::is_of;
use crate::scan;
use tarn_rows::column::ColumnData;
use tarn_rows::display;

/// Rows, and the exact sum of each numeric column.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Totals {
    /// Rows.
    pub rows: u64,
    sums: BTreeMap<String, Sum>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Sum {
    /// Scaled by this many digits.
    Exact(i128, u8),
    Double(f64),
}

fn failed(error: PolarsError) -> Error {
    Error::internal("the rows of a table cannot be summed up").with_source(error)
}

/// The totals of files: of all rows that exist at their source, or of those of some source objects.
/// System columns are not summed. One file is in memory at a time.
pub fn of_files(fields: &[TableField], files: &[PathBuf], of: Option<&[RowsOf]>) -> Result<Totals> {
    let numeric: Vec<TableField> = fields
        .iter()
        .filter(|field| !field.field.name.starts_with('_') && is_numeric(&field.field.ty))
        .cloned()
        .collect();
    let has = |name: &str| fields.iter().any(|field| field.field.name == name);
    let mut totals = Totals::default();
    for file in files {
        let mut rows = scan::table(fields, std::slice::from_ref(file))?;
        if let Some(of) = of {
            let any = of.iter().map(is_of).reduce(|one, other| one.or(other));
            rows = rows.filter(any.unwrap_or_else(|| lit(false)));
        } else if has(system::DELETED_AT) {
            rows = rows.filter(col(system::DELETED_AT).is_null());
        }
        let mut wanted: Vec<_> = numeric
            .iter()
            .map(|field| col(field.field.name.as_str()))
            .collect();
        // A count needs a column where none is numeric.
        wanted.push(col(system::RUN_ID));
        let rows = rows.select(wanted).collect().map_err(failed)?;
        totals.rows += rows.height() as u64;
        let columns = from_frame::columns(&rows, &numeric)?;
        for (field, column) in numeric.iter().zip(&columns) {
            totals.add(&field.field.name, &field.field.ty, column);
        }
    }
    Ok(totals)
}

fn is_numeric(ty: &ColumnType) -> bool {
    matches!(
        ty,
        ColumnType::Int | ColumnType::Long | ColumnType::Double | ColumnType::Decimal { .. }
    )
}

impl Totals {
    fn add(&mut self, name: &str, ty: &ColumnType, column: &ColumnData) {
        let scale = match ty {
            ColumnType::Decimal { scale, .. } => *scale,
            _ => 0,
        };
        let sum = match column {
            ColumnData::Int(column) => Sum::Exact(
                column.values.iter().map(|&value| i128::from(value)).sum(),
                scale,
            ),
            ColumnData::Long(column) => Sum::Exact(
                column.values.iter().map(|&value| i128::from(value)).sum(),
                scale,
            ),
            ColumnData::Double(column) => Sum::Double(column.values.iter().sum()),
            _ => return,
        };
        let entry = self.sums.entry(name.to_owned());
        entry
            .and_modify(|before| *before = before.plus(sum, 1))
            .or_insert(sum);
    }

    /// Adds other totals, `times` over: -1 takes them away.
    fn plus(&mut self, other: &Totals, times: i64) {
        for (name, sum) in &other.sums {
            let zero = match sum {
                Sum::Exact(_, scale) => Sum::Exact(0, *scale),
                Sum::Double(_) => Sum::Double(0.0),
            };
            let entry = self.sums.entry(name.clone()).or_insert(zero);
            *entry = entry.plus(*sum, times);
        }
    }

    /// By how much each sum of `after` differs from this one, as signed text; columns whose sums do not
    /// differ are left out.
    pub fn moved(&self, after: &Totals) -> BTreeMap<String, String> {
        let mut difference = Totals::default();
        difference.plus(after, 1);
        difference.plus(self, -1);
        difference
            .sums
            .into_iter()
            .filter_map(|(name, sum)| Some((name, sum.signed()?)))
            .collect()
    }

    /// Takes other totals in.
    pub fn include(&mut self, other: &Totals) {
        self.rows += other.rows;
        self.plus(other, 1);
    }
}

impl Sum {
    fn plus(self, other: Sum, times: i64) -> Sum {
        match (self, other) {
            (Sum::Exact(a, scale), Sum::Exact(b, _)) => {
                Sum::Exact(a + b * i128::from(times), scale)
            }
            (Sum::Double(a), Sum::Double(b)) => Sum::Double(a + b * times as f64),
            (before, _) => before,
        }
    }

    fn signed(self) -> Option<String> {
        match self {
            Sum::Exact(0, _) => None,
            Sum::Exact(value, scale) => {
                let sign = if value > 0 { "+" } else { "" };
                Some(format!("{sign}{}", display::decimal(value, scale)))
            }
            Sum::Double(value) => (value != 0.0).then(|| format!("{value:+}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tarn_rows::column::Plain;

    #[test]
    fn sums_are_exact_and_only_what_moved_is_reported() {
        let decimals = |values: &[i64]| {
            let mut column = Plain::new();
            values.iter().for_each(|&value| column.push(value));
            column.push_null();
            ColumnData::Long(column)
        };
        let ty = ColumnType::Decimal {
            precision: 18,
            scale: 2,
        };
        let totals = |price: &[i64], stock: &[i64]| {
            let mut totals = Totals::default();
            totals.add("price", &ty, &decimals(price));
            totals.add("stock", &ColumnType::Long, &decimals(stock));
            totals
        };
        let before = totals(&[i64::MAX, i64::MAX], &[5]);
        let mut after = totals(&[i64::MAX, 50], &[2]);
        after.include(&totals(&[i64::MAX], &[3]));
        let expected = BTreeMap::from([("price".to_owned(), "+0.50".to_owned())]);
        assert_eq!(before.moved(&after), expected);
        assert_eq!(after.moved(&before)["price"], "-0.50");
    }
}

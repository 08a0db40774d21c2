//! Rules over several columns of a row: comparisons and sums.

use std::cmp::Ordering;

use tarn_contract::{Bound, Operator};
use tarn_core::schema::ColumnType;

use crate::column::ColumnData;

/// A column and its type.
pub type Typed<'a> = (&'a ColumnData, &'a ColumnType);

/// Rows whose two values do not compare so; rows without one of them do.
pub(crate) fn incomparable_rows(
    left: Typed<'_>,
    operator: Operator,
    right: Typed<'_>,
) -> Vec<usize> {
    let shift = scale(left.1).max(scale(right.1));
    rows_with(&[left.0, right.0], |row| {
        order(left, right, shift, row).is_some_and(|ordering| !operator.holds(ordering))
    })
}

fn order(left: Typed<'_>, right: Typed<'_>, shift: u8, row: usize) -> Option<Ordering> {
    match (left.0, right.0) {
        (ColumnData::Text(a), ColumnData::Text(b)) => Some(a.get(row)?.cmp(b.get(row)?)),
        (ColumnData::Boolean(a), ColumnData::Boolean(b)) => Some(a.get(row)?.cmp(&b.get(row)?)),
        (ColumnData::Double(_), _) | (_, ColumnData::Double(_)) => {
            double(left, row)?.partial_cmp(&double(right, row)?)
        }
        _ => Some(whole(left, shift, row)?.cmp(&whole(right, shift, row)?)),
    }
}

/// Rows whose total is not the sum of `plus` less `minus`; rows without one of these values are
/// not compared.
pub(crate) fn unbalanced_rows(
    total: Typed<'_>,
    plus: &[Typed<'_>],
    minus: &[Typed<'_>],
    tolerance: Bound,
) -> Vec<usize> {
    let all = || std::iter::once(&total).chain(plus).chain(minus);
    let columns: Vec<&ColumnData> = all().map(|column| column.0).collect();
    if columns
        .iter()
        .any(|column| matches!(column, ColumnData::Double(_)))
    {
        let tolerance = match tolerance {
            Bound::Double(value) => value,
            Bound::Integer(value) => value as f64 / 10_f64.powi(i32::from(scale(total.1))),
        };
        let sum = |columns: &[Typed<'_>], row| -> f64 {
            columns
                .iter()
                .filter_map(|&column| double(column, row))
                .sum()
        };
        return rows_with(&columns, |row| {
            double(total, row)
                .is_some_and(|total| (total - (sum(plus, row) - sum(minus, row))).abs() > tolerance)
        });
    }
    let shift = all().map(|column| scale(column.1)).max().unwrap_or(0);
    let tolerance = match tolerance {
        Bound::Integer(value) => value * power(shift - scale(total.1)),
        Bound::Double(_) => 0,
    };
    let sum = |columns: &[Typed<'_>], row| -> i128 {
        columns
            .iter()
            .filter_map(|&column| whole(column, shift, row))
            .sum()
    };
    rows_with(&columns, |row| {
        whole(total, shift, row)
            .is_some_and(|total| (total - (sum(plus, row) - sum(minus, row))).abs() > tolerance)
    })
}

/// Rows that have a value in each column and break the rule.
fn rows_with(columns: &[&ColumnData], breaks: impl Fn(usize) -> bool) -> Vec<usize> {
    let rows = columns.first().map_or(0, |column| column.len());
    (0..rows)
        .filter(|&row| columns.iter().all(|column| column.validity().get(row)) && breaks(row))
        .collect()
}

pub fn scale(ty: &ColumnType) -> u8 {
    match ty {
        ColumnType::Decimal { scale, .. } => *scale,
        _ => 0,
    }
}

pub fn power(exponent: u8) -> i128 {
    10_i128.pow(u32::from(exponent))
}

/// A whole number or decimal as a multiple of 10^-shift. 64 bits and a scale of at most 18 always fit.
pub fn whole((data, ty): Typed<'_>, shift: u8, row: usize) -> Option<i128> {
    let value = match data {
        ColumnData::Int(column) => i128::from(column.get(row)?),
        ColumnData::Long(column) => i128::from(column.get(row)?),
        _ => return None,
    };
    Some(value * power(shift - scale(ty)))
}

pub fn double((data, ty): Typed<'_>, row: usize) -> Option<f64> {
    match data {
        ColumnData::Int(column) => column.get(row).map(f64::from),
        ColumnData::Long(column) => column
            .get(row)
            .map(|value| value as f64 / 10_f64.powi(i32::from(scale(ty)))),
        ColumnData::Double(column) => column.get(row),
        _ => None,
    }
}

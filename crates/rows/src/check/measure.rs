//! Numbers taken from the columns of an object, and from the object as a whole.

use tarn_contract::{ColumnMeasure, Contract, Format, ObjectMeasure, Rule};
use tarn_core::run::{CheckResult, DatasetOutcome};
use tarn_core::schema::ColumnType;
use tarn_core::{Error, Result};

use super::{Tally, result, value, verdict};
use crate::column::ColumnData;
use crate::display;
use crate::profile::Profiled;

/// What is known of an object once it is read to its end.
pub struct Facts<'a> {
    /// Rows received, and rejected per rule.
    pub outcome: &'a DatasetOutcome,
    /// The values of its columns.
    pub profiled: &'a Profiled<'a>,
    /// Names of the source's columns, where it says so.
    pub source_columns: Option<Vec<String>>,
    /// When the run began, microseconds since 1970-01-01T00:00:00Z.
    pub now: i64,
    /// When the object was put, in the same unit.
    pub put_at: i64,
}

/// Counts what the profile of a column does not.
pub(super) fn count(
    measure: &ColumnMeasure,
    data: &ColumnData,
    ty: &ColumnType,
    tally: &mut Tally,
) {
    match measure {
        ColumnMeasure::Completeness(missing) => {
            tally.rows += value::missing_rows(missing, data).len() as u64;
        }
        ColumnMeasure::Distribution(shares) => {
            tally.rows += (data.len() - data.validity().nulls()) as u64;
            tally.shares.resize(shares.len(), 0);
            for ((name, _), count) in shares.iter().zip(&mut tally.shares) {
                *count += match data {
                    ColumnData::Text(column) => {
                        value::rows_where(column, |text| text == name.as_bytes()).len()
                    }
                    _ => (0..data.len())
                        .filter(|&row| {
                            data.validity().get(row) && display::value(data, row, ty) == *name
                        })
                        .count(),
                } as u64;
            }
        }
        _ => {}
    }
}

/// Whether a measure is a value of the column, or made of values: of a single row it is that row's.
fn reveals_values(measure: &ColumnMeasure) -> bool {
    match measure {
        ColumnMeasure::Min
        | ColumnMeasure::Max
        | ColumnMeasure::Mean
        | ColumnMeasure::StandardDeviation
        | ColumnMeasure::Sum
        | ColumnMeasure::Quantile(_)
        | ColumnMeasure::Freshness => true,
        ColumnMeasure::Completeness(_)
        | ColumnMeasure::DistinctCount
        | ColumnMeasure::UniquenessRatio
        | ColumnMeasure::Entropy
        | ColumnMeasure::Distribution(_) => false,
    }
}

/// The verdict on a column. For a personal column the result does not have the value where it is made of the
/// column's values.
pub(super) fn of_column(
    contract: &Contract,
    rule: &Rule,
    measure: &ColumnMeasure,
    tally: &Tally,
    facts: &Facts<'_>,
) -> CheckResult {
    let rows = tally.checked;
    let index = rule.column.unwrap_or_default();
    let column = facts.profiled.column(index);
    let (numbers, frequencies) = (&column.numbers, &column.frequencies);
    let some = |known: bool, value: f64| known.then_some(value);
    let (value, estimated) = match measure {
        ColumnMeasure::Completeness(_) => {
            let present = rows.saturating_sub(tally.rows);
            (some(rows > 0, 100.0 * present as f64 / rows as f64), false)
        }
        ColumnMeasure::DistinctCount => (Some(frequencies.distinct() as f64), false),
        ColumnMeasure::UniquenessRatio => {
            let ratio = frequencies.distinct() as f64 / frequencies.total() as f64;
            (some(frequencies.total() > 0, ratio), false)
        }
        ColumnMeasure::Min => (numbers.min(), false),
        ColumnMeasure::Max => (numbers.max(), false),
        ColumnMeasure::Mean => (numbers.mean(), false),
        ColumnMeasure::StandardDeviation => (numbers.standard_deviation(), false),
        ColumnMeasure::Sum => (some(numbers.count() > 0, numbers.sum()), false),
        ColumnMeasure::Quantile(p) => (column.sample.quantile(*p), column.sample.estimated()),
        ColumnMeasure::Entropy => (some(frequencies.total() > 0, frequencies.entropy()), false),
        ColumnMeasure::Distribution(shares) => {
            let total = tally.rows as f64;
            let named: u64 = tally.shares.iter().sum();
            let stated: f64 = shares.iter().map(|(_, share)| share).sum();
            let others = ((total - named as f64) / total - (1.0 - stated)).abs();
            let apart: f64 = shares
                .iter()
                .zip(&tally.shares)
                .map(|((_, share), &count)| (count as f64 / total - share).abs())
                .sum();
            (some(tally.rows > 0, (apart + others) / 2.0), false)
        }
        ColumnMeasure::Freshness => {
            let micros = match contract.columns.get(index).map(|column| &column.ty) {
                Some(ColumnType::Date) => 86_400e6,
                _ => 1.0,
            };
            let age = numbers.max().map(|newest| {
                (facts.now as f64 - newest * micros) / 1e6 / rule.threshold.unit.seconds()
            });
            (age, false)
        }
    };
    let passed = verdict(rule, rows, value);
    let failed = match measure {
        ColumnMeasure::Completeness(_) => tally.rows,
        _ => u64::from(!passed),
    };
    let personal = contract
        .columns
        .get(index)
        .is_some_and(|column| column.is_personal());
    let value = value.filter(|_| !(personal && reveals_values(measure)));
    CheckResult {
        checked: rows,
        failed,
        passed,
        value,
        estimated,
        ..result(contract, rule)
    }
}

pub(crate) fn of_object(
    contract: &Contract,
    rule: &Rule,
    measure: &ObjectMeasure,
    facts: &Facts<'_>,
) -> Result<CheckResult> {
    let source = || {
        facts.source_columns.as_ref().ok_or_else(|| {
            Error::internal(format!(
                "rule {}: the source does not say which columns it has",
                rule.id
            ))
        })
    };
    // Names in a database are the same in upper and lower case.
    let same = |a: &str, b: &str| match contract.format {
        Format::Sqlite => a.eq_ignore_ascii_case(b),
        _ => a == b,
    };
    let lacking = |names: &[String], others: &[String]| {
        names
            .iter()
            .filter(|name| !others.iter().any(|other| same(name, other)))
            .count()
    };
    let value = match measure {
        ObjectMeasure::RowCount => facts.outcome.received as f64,
        ObjectMeasure::ColumnCount => source()?.len() as f64,
        ObjectMeasure::MissingColumns(columns) => lacking(columns, source()?) as f64,
        ObjectMeasure::SchemaDifferences { columns, ordered } => {
            let found = source()?;
            let differences = if *ordered {
                (0..columns.len().max(found.len()))
                    .filter(|&place| match (columns.get(place), found.get(place)) {
                        (Some(a), Some(b)) => !same(a, b),
                        _ => true,
                    })
                    .count()
            } else {
                lacking(columns, found) + lacking(found, columns)
            };
            differences as f64
        }
        ObjectMeasure::FileFreshness => {
            (facts.now - facts.put_at) as f64 / 1e6 / rule.threshold.unit.seconds()
        }
    };
    let passed = rule.threshold.comparison.holds(value);
    Ok(CheckResult {
        checked: facts.outcome.received,
        failed: u64::from(!passed),
        passed,
        value: Some(value),
        ..result(contract, rule)
    })
}

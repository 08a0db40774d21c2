//! Checks rows against their contract: a row that breaks a rule of severity `error` leaves the
//! batch with its payload, its place and the rule.

use tarn_core::Result;
use tarn_core::contract::{Bound, Contract, Metric, Severity, TableCheck, ValueCheck, ValueRule};
use tarn_core::run::CheckResult;
use tarn_core::schema::ColumnType;

use crate::batch::Batch;
use crate::column::{ColumnData, TextColumn};
use crate::render;

/// The rules of a contract and what they have found so far.
pub struct Checks<'a> {
    contract: &'a Contract,
    columns: Vec<ColumnTally>,
    checked: u64,
}

struct ColumnTally {
    /// Rows without a value in a required column.
    missing: u64,
    /// Per value rule of the column: rows that broke it.
    broken: Vec<u64>,
    /// Per metric of the column: rows that it counts.
    counted: Vec<u64>,
}

impl<'a> Checks<'a> {
    /// The rules of a contract.
    pub fn new(contract: &'a Contract) -> Self {
        let columns = contract
            .columns
            .iter()
            .map(|column| ColumnTally {
                missing: 0,
                broken: vec![0; column.rules.len()],
                counted: vec![0; column.metrics.len()],
            })
            .collect();
        Checks {
            contract,
            columns,
            checked: 0,
        }
    }

    /// Checks every row of the batch and moves those that break a rule to its rejected rows.
    pub fn apply(&mut self, batch: &mut Batch) -> Result<()> {
        let rows = batch.rows();
        self.checked += rows as u64;
        // The first broken rule of each rejected row, in column order.
        let mut verdicts: Vec<Option<Verdict>> = Vec::new();
        for (index, (column, tally)) in self
            .contract
            .columns
            .iter()
            .zip(&mut self.columns)
            .enumerate()
        {
            let data = &batch.columns[index];
            for (metric, counted) in column.metrics.iter().zip(&mut tally.counted) {
                *counted += count_metric(&metric.metric, data);
            }
            if column.required && data.validity().nulls() > 0 {
                for row in (0..rows).filter(|&row| !data.validity().get(row)) {
                    tally.missing += 1;
                    note(
                        &mut verdicts,
                        rows,
                        row,
                        Verdict {
                            column: index,
                            rule: None,
                        },
                    );
                }
            }
            for (number, rule) in column.rules.iter().enumerate() {
                for row in broken_rows(rule, data, &column.ty) {
                    tally.broken[number] += 1;
                    if rule.severity == Severity::Error {
                        note(
                            &mut verdicts,
                            rows,
                            row,
                            Verdict {
                                column: index,
                                rule: Some(number),
                            },
                        );
                    }
                }
            }
        }
        if !verdicts.is_empty() {
            reject(self.contract, batch, &verdicts);
        }
        Ok(())
    }

    /// What each rule found. `received` and `duplicates` are of the whole object.
    pub fn results(&self, received: u64, duplicates: u64) -> Vec<CheckResult> {
        let mut results = Vec::new();
        for (column, tally) in self.contract.columns.iter().zip(&self.columns) {
            let result =
                |rule: &str, dimension: &str, severity: Severity, failed, passed| CheckResult {
                    rule: rule.to_owned(),
                    column: Some(column.name.clone()),
                    dimension: dimension.to_owned(),
                    severity: severity.as_str().to_owned(),
                    checked: self.checked,
                    failed,
                    passed,
                    ..CheckResult::default()
                };
            if column.required {
                results.push(result(
                    &format!("{} is required", column.name),
                    "completeness",
                    Severity::Error,
                    tally.missing,
                    tally.missing == 0,
                ));
            }
            for (rule, &failed) in column.rules.iter().zip(&tally.broken) {
                results.push(result(
                    &rule.text,
                    &rule.dimension,
                    rule.severity,
                    failed,
                    failed == 0,
                ));
            }
            for (metric, &counted) in column.metrics.iter().zip(&tally.counted) {
                let value = if !metric.percent {
                    counted as f64
                } else if self.checked == 0 {
                    0.0
                } else {
                    100.0 * counted as f64 / self.checked as f64
                };
                results.push(result(
                    &metric.text,
                    &metric.dimension,
                    metric.severity,
                    counted,
                    metric.comparison.holds(value),
                ));
            }
        }
        for rule in &self.contract.table_rules {
            let (failed, passed) = match &rule.check {
                TableCheck::RowCount(comparison) => {
                    let passed = comparison.holds(received as f64);
                    (u64::from(!passed), passed)
                }
                TableCheck::DuplicateKeys(comparison) => {
                    (duplicates, comparison.holds(duplicates as f64))
                }
            };
            results.push(CheckResult {
                rule: rule.text.clone(),
                column: None,
                dimension: rule.dimension.clone(),
                severity: rule.severity.as_str().to_owned(),
                checked: received,
                failed,
                passed,
                ..CheckResult::default()
            });
        }
        results
    }
}

#[derive(Clone, Copy)]
struct Verdict {
    column: usize,
    /// None: the column is required and has no value.
    rule: Option<usize>,
}

fn note(verdicts: &mut Vec<Option<Verdict>>, rows: usize, row: usize, verdict: Verdict) {
    if verdicts.is_empty() {
        verdicts.resize(rows, None);
    }
    verdicts[row].get_or_insert(verdict);
}

fn reject(contract: &Contract, batch: &mut Batch, verdicts: &[Option<Verdict>]) {
    let mut rejected = Vec::new();
    let mut keep = Vec::with_capacity(verdicts.len());
    for (row, verdict) in verdicts.iter().enumerate() {
        let Some(verdict) = verdict else {
            keep.push(row as u32);
            continue;
        };
        let column = &contract.columns[verdict.column];
        let (rule, reason) = match verdict.rule {
            None => (
                format!("{}.required", column.name),
                format!("{} has no value", column.name),
            ),
            Some(number) => {
                let rule = &column.rules[number];
                let found = render::value(&batch.columns[verdict.column], row, &column.ty);
                (
                    rule.id.clone(),
                    format!("{}, but found {}", rule.text, shortened(&found)),
                )
            }
        };
        rejected.push(batch.reject_row(contract, row, rule, Some(&column.name), reason));
    }
    batch.rejected.extend(rejected);
    batch.keep_rows(&keep);
}

/// A value for a message: long ones are cut.
fn shortened(text: &str) -> String {
    const LIMIT: usize = 80;
    if text.chars().count() <= LIMIT {
        return format!("'{text}'");
    }
    format!("'{}…'", text.chars().take(LIMIT).collect::<String>())
}

fn count_metric(metric: &Metric, data: &ColumnData) -> u64 {
    let nulls = data.validity().nulls() as u64;
    match (metric, data) {
        (Metric::MissingValues(values), ColumnData::Text(text)) => {
            nulls
                + rows_where(text, |value| {
                    values.iter().any(|missing| missing.as_bytes() == value)
                })
                .len() as u64
        }
        _ => nulls,
    }
}

/// Rows whose text satisfies `predicate`, which is asked once per distinct text where texts are
/// interned.
fn rows_where(column: &TextColumn, predicate: impl Fn(&[u8]) -> bool) -> Vec<usize> {
    if column.interned {
        let matching: Vec<bool> = (0..column.texts.len())
            .map(|text| predicate(column.texts.get(text)))
            .collect();
        if !matching.contains(&true) {
            return Vec::new();
        }
        return (0..column.len())
            .filter(|&row| column.validity.get(row) && matching[column.keys[row] as usize])
            .collect();
    }
    (0..column.len())
        .filter(|&row| column.validity.get(row) && predicate(column.texts.get(row)))
        .collect()
}

fn rows_of<T: Copy + Default>(
    column: &crate::column::Plain<T>,
    predicate: impl Fn(T) -> bool,
) -> Vec<usize> {
    // Two passes: the first has no branch per row and is nearly always the only one.
    if !column
        .values
        .iter()
        .fold(false, |any, &value| any | predicate(value))
    {
        return Vec::new();
    }
    (0..column.values.len())
        .filter(|&row| column.validity.get(row) && predicate(column.values[row]))
        .collect()
}

fn characters(text: &[u8]) -> u64 {
    text.iter().filter(|&&byte| byte & 0xc0 != 0x80).count() as u64
}

fn broken_rows(rule: &ValueRule, data: &ColumnData, ty: &ColumnType) -> Vec<usize> {
    match data {
        ColumnData::Text(column) => match &rule.check {
            ValueCheck::Pattern(pattern) => rows_where(column, |text| {
                !std::str::from_utf8(text).is_ok_and(|text| pattern.is_match(text))
            }),
            ValueCheck::MinLength(least) => rows_where(column, |text| characters(text) < *least),
            ValueCheck::MaxLength(most) => rows_where(column, |text| characters(text) > *most),
            ValueCheck::OneOf(values) => rows_where(column, |text| {
                !values.iter().any(|value| value.as_bytes() == text)
            }),
            _ => Vec::new(),
        },
        ColumnData::Int(column) => match integer_breach(rule) {
            Some(breach) => rows_of(column, |value| breach(i128::from(value))),
            None => broken_by_text(rule, data, ty),
        },
        ColumnData::Long(column) => match integer_breach(rule) {
            Some(breach) => rows_of(column, |value| breach(i128::from(value))),
            None => broken_by_text(rule, data, ty),
        },
        ColumnData::Double(column) => match &rule.check {
            ValueCheck::Minimum(bound) => rows_of(column, |value| value < double(*bound)),
            ValueCheck::Maximum(bound) => rows_of(column, |value| value > double(*bound)),
            ValueCheck::ExclusiveMinimum(bound) => rows_of(column, |value| value <= double(*bound)),
            ValueCheck::ExclusiveMaximum(bound) => rows_of(column, |value| value >= double(*bound)),
            _ => broken_by_text(rule, data, ty),
        },
        ColumnData::Boolean(_) => broken_by_text(rule, data, ty),
        // A rule of a list holds for each of its items.
        ColumnData::List(column) => {
            let items = broken_rows(
                rule,
                &ColumnData::Text(column.items.clone()),
                &ColumnType::String,
            );
            let mut rows: Vec<usize> = items
                .into_iter()
                .map(|item| column.ends.partition_point(|&end| end as usize <= item))
                .collect();
            rows.dedup();
            rows
        }
    }
}

fn double(bound: Bound) -> f64 {
    match bound {
        Bound::Double(value) => value,
        Bound::Integer(value) => value as f64,
    }
}

/// What breaks a bound of a number that is stored as an integer.
fn integer_breach(rule: &ValueRule) -> Option<impl Fn(i128) -> bool + use<>> {
    let (low, high) = match rule.check {
        ValueCheck::Minimum(Bound::Integer(bound)) => (bound, i128::MAX),
        ValueCheck::Maximum(Bound::Integer(bound)) => (i128::MIN, bound),
        ValueCheck::ExclusiveMinimum(Bound::Integer(bound)) => (bound.saturating_add(1), i128::MAX),
        ValueCheck::ExclusiveMaximum(Bound::Integer(bound)) => (i128::MIN, bound.saturating_sub(1)),
        _ => return None,
    };
    Some(move |value: i128| value < low || value > high)
}

/// For rules of text on columns that are not: the value is written out first.
fn broken_by_text(rule: &ValueRule, data: &ColumnData, ty: &ColumnType) -> Vec<usize> {
    let breaks = |text: &str| match &rule.check {
        ValueCheck::Pattern(pattern) => !pattern.is_match(text),
        ValueCheck::OneOf(values) => !values.iter().any(|value| value == text),
        _ => false,
    };
    (0..data.len())
        .filter(|&row| data.validity().get(row) && breaks(&render::value(data, row, ty)))
        .collect()
}

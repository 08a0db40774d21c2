//! Rules over tables as they will be once the objects of a run are in them.

mod keys;
mod planned;

pub use keys::load_keys;

use std::collections::BTreeMap;

use hashbrown::HashMap;
use polars::prelude::{PolarsError, col};
use tarn_contract::kinds::{RuleKind, Scope};
use tarn_contract::{Bound, Contract, Rule, Severity, TableMeasure, Unit};
use tarn_core::run::CheckResult;
use tarn_core::schema::{ColumnType, TableField, system};
use tarn_core::{Error, ErrorKind, Result};
use xxhash_rust::xxh3::xxh3_128;

pub(crate) use self::planned::rows;
use crate::columns::from_frame;
use tarn_rows::check::{KEY_SCALE, Typed, double, power, scale, verdict, whole};
use tarn_rows::column::ColumnData;
use tarn_rows::planned::TableState;

/// Tables by dataset.
pub type Tables = BTreeMap<String, TableState>;

fn failed(error: PolarsError) -> Error {
    Error::internal("a rule over a table failed").with_source(error)
}

fn unknown(dataset: &str) -> Error {
    Error::internal(format!("the table of {dataset} was not given to its rule"))
}

/// What queries have answered for rules.
#[derive(Debug, Default)]
pub struct Answers {
    /// How many rows a table has, by dataset: that of a rule in SQL, and both of `rowCountMatch`.
    pub rows: BTreeMap<String, u64>,
    /// The answer to a rule in SQL, by its identifier; None where that was null.
    pub values: BTreeMap<String, Option<f64>>,
}

impl Answers {
    fn rows(&self, dataset: &str) -> Result<u64> {
        let rows = self.rows.get(dataset);
        rows.copied()
            .ok_or_else(|| Error::internal(format!("the rows of {dataset} were not counted")))
    }
}

/// The verdict of each rule of the contract over tables. `tables` holds the tables that a `groupSum` names.
///
/// # Errors
/// Where files cannot be read, or a table or an answer was not given.
pub fn evaluate(
    contract: &Contract,
    tables: &Tables,
    answers: &Answers,
) -> Result<Vec<CheckResult>> {
    contract
        .table_rules()
        .map(|(rule, measure)| {
            judged(contract, (rule, measure), tables, answers)
                .map_err(|error| error.context(format!("{}: rule {}", contract.dataset, rule.id)))
        })
        .collect()
}

fn judged(
    contract: &Contract,
    (rule, measure): (&Rule, &TableMeasure),
    tables: &Tables,
    answers: &Answers,
) -> Result<CheckResult> {
    let state = |dataset: &str| tables.get(dataset).ok_or_else(|| unknown(dataset));
    let result = |rows: u64, value: Option<f64>| {
        let passed = verdict(rule, rows, value);
        CheckResult {
            checked: rows,
            failed: u64::from(!passed),
            passed,
            value,
            ..tarn_rows::check::result(contract, rule)
        }
    };
    Ok(match measure {
        TableMeasure::RowCountMatch(other) => {
            let rows = answers.rows(&contract.dataset)?;
            let others = answers.rows(other)?;
            let difference = rows as f64 - others as f64;
            let value = match rule.threshold.unit {
                Unit::Percent if others == 0 => (rows == 0).then_some(0.0),
                Unit::Percent => Some(100.0 * difference / others as f64),
                _ => Some(difference),
            };
            result(rows, value)
        }
        TableMeasure::GroupSum {
            of,
            by,
            key,
            tolerance,
        } => {
            let total = rule
                .column
                .ok_or_else(|| Error::internal("groupSum without a column"))?;
            let own = columns(
                state(&contract.dataset)?,
                [&contract.columns[*key].name, &contract.columns[total].name],
            )?;
            let other = columns(state(&of.dataset)?, [by, &of.column])?;
            let (compared, wrong) = unbalanced(&own, &other, *tolerance);
            let value = match rule.threshold.unit {
                Unit::Percent if compared == 0 => 0.0,
                Unit::Percent => 100.0 * wrong as f64 / compared as f64,
                _ => wrong as f64,
            };
            CheckResult {
                checked: compared,
                failed: wrong,
                passed: rule.threshold.comparison.holds(value),
                value: Some(value),
                ..tarn_rows::check::result(contract, rule)
            }
        }
        TableMeasure::Sql(_) => {
            let value = answers.values.get(&rule.id);
            let value =
                *value.ok_or_else(|| Error::internal("the query of a rule was not answered"))?;
            result(answers.rows(&contract.dataset)?, value)
        }
    })
}

/// One column of a table, as it will be, and its type.
struct Values {
    data: ColumnData,
    ty: ColumnType,
}

impl Values {
    fn typed(&self) -> Typed<'_> {
        (&self.data, &self.ty)
    }

    /// What stands for the value of a row: the number, or the hash of the text.
    fn key(&self, row: usize) -> Option<(i128, u128)> {
        match &self.data {
            ColumnData::Text(column) => Some((0, xxh3_128(column.get(row)?))),
            _ => Some((whole(self.typed(), KEY_SCALE, row)?, 0)),
        }
    }
}

/// Two columns of the rows that exist at their source.
fn columns(table: &TableState, names: [&str; 2]) -> Result<[Values; 2]> {
    let field = |name: &str| {
        let found = table.fields.iter().find(|field| field.field.name == name);
        found.cloned().ok_or_else(|| {
            Error::new(
                ErrorKind::BadContract,
                format!("the table of {} has no column {name} yet", table.dataset),
            )
        })
    };
    let marked = table
        .fields
        .iter()
        .any(|field| field.field.name == system::DELETED_AT);
    let rows = if marked {
        rows(table)?.filter(col(system::DELETED_AT).is_null())
    } else {
        rows(table)?
    };
    let [a, b] = names;
    let fields = [field(a)?, field(b)?];
    let values = |field: &TableField| -> Result<Values> {
        let frame = rows
            .clone()
            .select([col(field.field.name.as_str())])
            .collect()
            .map_err(failed)?;
        let data = from_frame::columns(&frame, std::slice::from_ref(field))?.pop();
        Ok(Values {
            data: data.ok_or_else(|| Error::internal("a column has no values"))?,
            ty: field.field.ty.clone(),
        })
    };
    Ok([values(&fields[0])?, values(&fields[1])?])
}

/// Rows with a key and a total, and those of them whose total is not the sum of the other's rows.
fn unbalanced(
    [keys, totals]: &[Values; 2],
    [names, parts]: &[Values; 2],
    tolerance: Bound,
) -> (u64, u64) {
    let shift = scale(&totals.ty).max(scale(&parts.ty));
    let fractional = [totals, parts]
        .iter()
        .any(|values| values.ty == ColumnType::Double);
    let mut sums: HashMap<(i128, u128), (i128, f64)> = HashMap::new();
    for row in 0..names.data.len() {
        if let Some(key) = names.key(row) {
            let sum = sums.entry(key).or_default();
            sum.0 += whole(parts.typed(), shift, row).unwrap_or(0);
            sum.1 += double(parts.typed(), row).unwrap_or(0.0);
        }
    }
    let (mut compared, mut wrong) = (0, 0);
    for row in 0..keys.data.len() {
        let Some(key) = keys.key(row).filter(|_| totals.data.validity().get(row)) else {
            continue;
        };
        let (exact, about) = sums.get(&key).copied().unwrap_or_default();
        compared += 1;
        let apart = match (fractional, tolerance) {
            (true, tolerance) => {
                let tolerance = match tolerance {
                    Bound::Double(value) => value,
                    Bound::Integer(value) => {
                        value as f64 / 10_f64.powi(i32::from(scale(&totals.ty)))
                    }
                };
                double(totals.typed(), row).is_some_and(|total| (total - about).abs() > tolerance)
            }
            (false, tolerance) => {
                let tolerance = match tolerance {
                    Bound::Integer(value) => value * power(shift - scale(&totals.ty)),
                    Bound::Double(_) => 0,
                };
                whole(totals.typed(), shift, row)
                    .is_some_and(|total| (total - exact).abs() > tolerance)
            }
        };
        wrong += u64::from(apart);
    }
    (compared, wrong)
}

/// The error of a run in which a rule of severity abort does not hold; None where all do.
pub fn aborted(dataset: &str, checks: &[CheckResult]) -> Option<Error> {
    let broken: Vec<String> = checks
        .iter()
        .filter(|check| !check.passed && check.severity == Severity::Abort.as_str())
        .map(|check| {
            let of_rows = RuleKind::parse(&check.kind)
                .is_none_or(|kind| kind.definition().scope == Scope::Row);
            let value = match check.value {
                Some(value) => format!("found {value}"),
                None if of_rows => {
                    format!("{} of {} rows break it", check.failed, check.checked)
                }
                // There was none, or it is made of personal ones.
                None => "the value is not shown".to_owned(),
            };
            format!(
                "{} ({}): {value}, expected {}",
                check.id,
                check.rule,
                check.expected.as_deref().unwrap_or("no such row")
            )
        })
        .collect();
    if broken.is_empty() {
        return None;
    }
    Some(Error::new(
        ErrorKind::Quality,
        format!(
            "{dataset}: {}; nothing was committed: fix the source, or the rule in the contract, and ingest the object again",
            broken.join("; ")
        ),
    ))
}

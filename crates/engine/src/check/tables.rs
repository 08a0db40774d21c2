//! Rules over tables as they will be once the objects of a run are in them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use polars::prelude::{
    DataType, Expr, IntoLazy, JoinArgs, JoinType, LazyFrame, PolarsError, TimeUnit, TimeZone,
    UnionArgs, col, lit,
};
use tarn_core::contract::{
    Bound, ColumnRef, Contract, DeletedRows, Rule, Severity, TableMeasure, Unit,
};
use tarn_core::run::CheckResult;
use tarn_core::schema::{TableField, TableName, Zone, system};
use tarn_core::{Error, ErrorKind, Result};

use super::verdict;
use crate::scan;
use crate::sql;

/// How staged rows come to those that are there.
#[derive(Debug, Clone, PartialEq)]
pub enum Arrival {
    /// They take the place of the rows of the same object, of this URI.
    Append(String),
    /// They take the place of the rows with the same key; what is gone at the source is treated so.
    Upsert {
        /// The key's columns.
        keys: Vec<String>,
        /// What happens to rows that the source no longer has.
        deleted: DeletedRows,
    },
}

/// A table as it is, and what a run is about to do to it.
#[derive(Debug, Clone)]
pub struct TableState {
    /// The dataset.
    pub dataset: String,
    /// The table's columns.
    pub fields: Vec<TableField>,
    /// Its live files, as local paths.
    pub current: Vec<PathBuf>,
    /// Files of accepted rows that the run is about to commit, and how; None where it has none.
    pub staged: Option<(Vec<PathBuf>, Arrival)>,
}

/// Tables by dataset.
pub type Tables = BTreeMap<String, TableState>;

impl TableState {
    /// The rows of the table as it will be.
    ///
    /// # Errors
    /// Where a file cannot be read.
    pub fn rows(&self) -> Result<LazyFrame> {
        let current = scan::table(&self.fields, &self.current)?;
        let Some((files, arrival)) = &self.staged else {
            return Ok(current);
        };
        let staged = scan::table(&self.fields, files)?;
        let kept = match arrival {
            Arrival::Append(uri) => current.filter(col(system::SOURCE_URI).neq(lit(uri.as_str()))),
            Arrival::Upsert {
                deleted: DeletedRows::Remove,
                ..
            } => return Ok(staged),
            Arrival::Upsert { keys, deleted } => {
                let keys: Vec<Expr> = keys.iter().map(|key| col(key.as_str())).collect();
                let gone = current.join(
                    staged.clone(),
                    keys.clone(),
                    keys,
                    JoinArgs::new(JoinType::Anti),
                );
                match deleted {
                    // When they went is not known yet, and only that they did matters.
                    DeletedRows::Soft => gone.with_column(
                        col(system::DELETED_AT)
                            .fill_null(col(system::INGESTED_AT))
                            .cast(DataType::Datetime(
                                TimeUnit::Microseconds,
                                Some(TimeZone::UTC),
                            ))
                            .alias(system::DELETED_AT),
                    ),
                    DeletedRows::Keep | DeletedRows::Remove => gone,
                }
            }
        };
        let both = polars::prelude::concat([kept, staged], UnionArgs::default()).map_err(failed)?;
        // Every row has a run. Polars counts the rows of several scans by a shortcut that needs integers
        // of 128 bits, which it was built without; it is not taken behind a filter.
        Ok(both.filter(col(system::RUN_ID).is_not_null()))
    }
}

fn failed(error: PolarsError) -> Error {
    Error::internal("a rule over a table failed").with_source(error)
}

fn unknown(dataset: &str) -> Error {
    Error::internal(format!("the table of {dataset} was not given to its rule"))
}

/// The verdict of each rule of the contract over tables, of which `tables` holds every one that a rule
/// names.
///
/// # Errors
/// `BadContract` where a query fails or gives no number; where files cannot be read.
pub fn evaluate(contract: &Contract, tables: &Tables) -> Result<Vec<CheckResult>> {
    contract
        .table_rules()
        .map(|(rule, measure)| {
            judged(contract, rule, measure, tables)
                .map_err(|error| error.context(format!("{}: rule {}", contract.dataset, rule.id)))
        })
        .collect()
}

fn judged(
    contract: &Contract,
    rule: &Rule,
    measure: &TableMeasure,
    tables: &Tables,
) -> Result<CheckResult> {
    let state = |dataset: &str| tables.get(dataset).ok_or_else(|| unknown(dataset));
    let rows = count(state(&contract.dataset)?.rows()?)?;
    let result = |value: Option<f64>| {
        let passed = verdict(rule, rows, value);
        CheckResult {
            checked: rows,
            failed: u64::from(!passed),
            passed,
            value,
            ..super::result(contract, rule)
        }
    };
    Ok(match measure {
        TableMeasure::RowCountMatch(other) => {
            let others = count(state(other)?.rows()?)?;
            let difference = rows as f64 - others as f64;
            let value = match rule.threshold.unit {
                Unit::Percent if others == 0 => (rows == 0).then_some(0.0),
                Unit::Percent => Some(100.0 * difference / others as f64),
                _ => Some(difference),
            };
            result(value)
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
            let names = Names {
                total: &contract.columns[total].name,
                key: &contract.columns[*key].name,
                of,
                by,
            };
            let own = state(&contract.dataset)?.rows()?;
            let (compared, wrong) =
                unbalanced(own, state(&of.dataset)?.rows()?, &names, *tolerance)?;
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
                ..super::result(contract, rule)
            }
        }
        TableMeasure::Sql(query) => {
            let frames = query
                .tables()
                .iter()
                .map(|name| {
                    let table = state(&name.name)?;
                    Ok((
                        TableName::new(Zone::Curated, &name.name),
                        table.fields.clone(),
                        table.rows()?,
                    ))
                })
                .collect::<Result<Vec<_>>>()?;
            let answer = sql::run_frames(query, frames, Some(2)).map_err(|error| {
                Error::new(
                    ErrorKind::BadContract,
                    "the query failed; mend it in the contract",
                )
                .with_source(error)
            })?;
            result(answer.number().map_err(|error| {
                Error::new(
                    ErrorKind::BadContract,
                    "the query did not give one number; mend it in the contract",
                )
                .with_source(error)
            })?)
        }
    })
}

fn count(rows: LazyFrame) -> Result<u64> {
    let counted = rows
        .select([col(system::RUN_ID)])
        .collect()
        .map_err(failed)?;
    Ok(counted.height() as u64)
}

struct Names<'a> {
    total: &'a str,
    key: &'a str,
    of: &'a ColumnRef,
    by: &'a str,
}

/// Rows with a total, and those of them whose total is not the sum of the other's rows. Rows that are
/// gone at their source are left out on both sides.
fn unbalanced(
    own: LazyFrame,
    other: LazyFrame,
    names: &Names<'_>,
    tolerance: Bound,
) -> Result<(u64, u64)> {
    let living = |mut rows: LazyFrame| -> Result<LazyFrame> {
        let schema = rows.collect_schema().map_err(failed)?;
        Ok(match schema.contains(system::DELETED_AT) {
            true => rows.filter(col(system::DELETED_AT).is_null()),
            false => rows,
        })
    };
    // Whole numbers and decimals are added as decimals: nothing is rounded.
    let wide = |mut rows: LazyFrame, column: &str| -> Result<Expr> {
        let schema = rows.collect_schema().map_err(failed)?;
        let ty = schema.get(column).cloned().unwrap_or(DataType::Int64);
        Ok(match ty {
            DataType::Decimal(_, scale) => col(column).cast(DataType::Decimal(38, scale)),
            DataType::Float64 => col(column),
            _ => col(column).cast(DataType::Decimal(38, 0)),
        })
    };
    let (own, other) = (living(own)?, living(other)?);
    let total = wide(own.clone(), names.total)?;
    let summed = wide(other.clone(), &names.of.column)?;
    let sums = other
        .filter(col(names.by).is_not_null())
        .group_by([col(names.by)])
        .agg([summed.sum().alias("__sum")]);
    let compared = own
        .filter(
            col(names.total)
                .is_not_null()
                .and(col(names.key).is_not_null()),
        )
        .select([col(names.key).alias("__key"), total.alias("__total")])
        .join(
            sums,
            [col("__key")],
            [col(names.by)],
            JoinArgs::new(JoinType::Left),
        )
        .collect()
        .map_err(failed)?;
    let rows = compared.height() as u64;
    let tolerance = match tolerance {
        Bound::Double(value) => lit(value),
        Bound::Integer(value) => {
            let scale = match compared.column("__total").map_err(failed)?.dtype() {
                DataType::Decimal(_, scale) => *scale,
                _ => 0,
            };
            let text = crate::render::decimal(value, u8::try_from(scale).unwrap_or(0));
            lit(text).cast(DataType::Decimal(38, scale))
        }
    };
    let double = compared
        .columns()
        .iter()
        .any(|column| column.dtype() == &DataType::Float64);
    let as_is = |expr: Expr| match double {
        true => expr.cast(DataType::Float64),
        false => expr,
    };
    let apart = as_is(col("__total")) - as_is(col("__sum").fill_null(lit(0)));
    let wrong = compared.lazy().filter(
        apart
            .clone()
            .gt(as_is(tolerance.clone()))
            .or(apart.lt(lit(0) - as_is(tolerance))),
    );
    let wrong = wrong.collect().map_err(failed)?.height();
    Ok((rows, wrong as u64))
}

/// The error of a run in which a rule of severity abort does not hold; None where all do.
pub fn aborted(dataset: &str, checks: &[CheckResult]) -> Option<Error> {
    let broken: Vec<String> = checks
        .iter()
        .filter(|check| !check.passed && check.severity == Severity::Abort.as_str())
        .map(|check| {
            let value = check.value.map_or_else(
                || format!("{} of {} rows break it", check.failed, check.checked),
                |value| format!("found {value}"),
            );
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
            "{dataset}: {}; nothing was committed: mend the source, or the rule in the contract, and ingest the object again",
            broken.join("; ")
        ),
    ))
}

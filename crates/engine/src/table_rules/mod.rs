//! Rules over tables as they will be once the objects of a run are in them.

mod keys;

pub use keys::load_keys;

use std::collections::BTreeMap;
use std::path::PathBuf;

use hashbrown::HashMap;
use polars::prelude::{
    DataType, Expr, IntoLazy, JoinArgs, JoinType, LazyFrame, PolarsError, TimeUnit, TimeZone,
    UnionArgs, col,
};
use tarn_contract::kinds::{RuleKind, Scope};
use tarn_contract::{Bound, Contract, DeletedRows, Rule, Severity, TableMeasure, Unit};
use tarn_core::run::CheckResult;
use tarn_core::schema::{ColumnType, TableField, TableName, Zone, system};
use tarn_core::{Error, ErrorKind, Result};
use xxhash_rust::xxh3::xxh3_128;

use crate::columns::from_frame;
use crate::remove::RowsOf;
use crate::scan;
use crate::sql;
use tarn_rows::check::{KEY_SCALE, Typed, double, power, scale, verdict, whole};
use tarn_rows::column::ColumnData;

/// How staged rows come to those that are there.
#[derive(Debug, Clone, PartialEq)]
pub enum Arrival {
    /// They replace these.
    Append(Vec<RowsOf>),
    /// They replace the rows with the same key; rows that the source no longer has are treated as the contract says.
    Upsert(Upsert),
}

/// How a full snapshot comes into a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Upsert {
    /// The key's columns.
    pub keys: Vec<String>,
    /// What happens to rows that the source no longer has.
    pub deleted: DeletedRows,
    /// Files of the rejected rows: rows of the table with their keys stay as they are.
    pub rejected: Vec<PathBuf>,
    /// The columns of these files.
    pub rejected_fields: Vec<TableField>,
}

impl Upsert {
    fn keys(&self) -> Vec<Expr> {
        self.keys.iter().map(|key| col(key.as_str())).collect()
    }

    /// The keys of the rejected rows, those that lack a part included.
    fn rejected_keys(&self) -> Result<LazyFrame> {
        let rejected = scan::table(&self.rejected_fields, &self.rejected)?;
        Ok(rejected.select(self.keys()))
    }

    /// Rows of the table that the snapshot does not bring, as they will be.
    fn absent(&self, current: LazyFrame, staged: LazyFrame) -> Result<LazyFrame> {
        let join = |ty| JoinArgs::new(ty);
        let absent = current.join(staged, self.keys(), self.keys(), join(JoinType::Anti));
        let lacking = self.keys().into_iter().map(Expr::is_null).reduce(Expr::or);
        let keyless = match lacking {
            Some(lacking) => count(self.rejected_keys()?.filter(lacking))? > 0,
            None => false,
        };
        // A rejected row without a key may be any of them.
        if keyless || self.deleted == DeletedRows::Keep {
            return Ok(absent);
        }
        let rejected = self.rejected_keys()?;
        let held = absent.clone().join(
            rejected.clone(),
            self.keys(),
            self.keys(),
            join(JoinType::Semi),
        );
        if self.deleted == DeletedRows::Remove {
            return Ok(held);
        }
        // When they went is not known yet, and only that they did matters.
        let gone = absent
            .join(rejected, self.keys(), self.keys(), join(JoinType::Anti))
            .with_column(
                col(system::DELETED_AT)
                    .fill_null(col(system::INGESTED_AT))
                    .cast(DataType::Datetime(
                        TimeUnit::Microseconds,
                        Some(TimeZone::UTC),
                    ))
                    .alias(system::DELETED_AT),
            );
        polars::prelude::concat([held, gone], UnionArgs::default()).map_err(failed)
    }
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
            Arrival::Append(replaced) => replaced
                .iter()
                .fold(current, |rest, rows| rest.filter(rows.expression().not())),
            Arrival::Upsert(upsert) => upsert.absent(current, staged.clone())?,
        };
        let both = polars::prelude::concat([kept, staged], UnionArgs::default()).map_err(failed)?;
        Ok(both)
    }
}

fn failed(error: PolarsError) -> Error {
    Error::internal("a rule over a table failed").with_source(error)
}

fn unknown(dataset: &str) -> Error {
    Error::internal(format!("the table of {dataset} was not given to its rule"))
}

/// The verdict of each rule of the contract over tables. `tables` holds every table that a rule names.
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
    let rows = rows_of(state(&contract.dataset)?)?;
    let result = |value: Option<f64>| {
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
            let others = rows_of(state(other)?)?;
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
        TableMeasure::Sql(query) => {
            let frames = query
                .tables()
                .iter()
                .map(|name| {
                    let table = state(&name.name)?;
                    Ok((
                        TableName::new(Zone::Curated, &name.name),
                        table.fields.clone(),
                        // Polars counts the rows of several scans by a shortcut that needs integers of 128
                        // bits, which it was built without; of rows in memory it takes none.
                        table.rows()?.collect().map_err(failed)?.lazy(),
                    ))
                })
                .collect::<Result<Vec<_>>>()?;
            let answer = sql::run_frames(query, frames, Some(2)).map_err(|error| {
                Error::new(
                    ErrorKind::BadContract,
                    "the query failed; fix it in the contract",
                )
                .with_source(error)
            })?;
            result(answer.number().map_err(|error| {
                Error::new(
                    ErrorKind::BadContract,
                    "the query did not give one number; fix it in the contract",
                )
                .with_source(error)
            })?)
        }
    })
}

fn count(rows: LazyFrame) -> Result<u64> {
    Ok(rows.collect().map_err(failed)?.height() as u64)
}

/// How many rows a table has.
fn rows_of(table: &TableState) -> Result<u64> {
    count(table.rows()?.select([col(system::RUN_ID)]))
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
        table.rows()?.filter(col(system::DELETED_AT).is_null())
    } else {
        table.rows()?
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

//! Holds rows against the rules of their contract: a row that breaks a rule of severity `reject`
//! leaves the batch with its payload, its place and the rule. What is measured of a column or of the
//! object is judged at its end.

mod columns;
mod measure;
mod outlier;
mod reference;
mod value;

use std::path::Path;
use tarn_core::rule_id;

use tarn_contract::{Check, Column, Contract, RowCheck, Rule, Unit};
use tarn_core::run::CheckResult;
use tarn_core::{Error, Result};

use tarn_core::privacy::{PersonalPattern, found};

use crate::batch::{Batch, Violation};
use crate::column::ColumnData;
use crate::display;
use crate::profile::{Frequencies, Joined};

pub use columns::{Typed, double, power, scale, whole};
pub use measure::Facts;
pub use outlier::Survey;
pub use reference::{KEY_SCALE, KeySet, References};
pub(crate) use value::missing_rows;

/// The rules of a contract and what they have found so far.
pub struct Checks<'a> {
    contract: &'a Contract,
    finder: BrokenRows<'a>,
    tallies: Vec<Tally>,
}

/// What a rule has found so far.
#[derive(Default)]
struct Tally {
    /// Rows that it was applied to.
    checked: u64,
    /// Rows that broke it, or that a measure counts.
    rows: u64,
    /// For unique values that are counted and not rejected.
    frequencies: Option<Frequencies>,
    /// Rows per stated value of a distribution.
    shares: Vec<u64>,
    /// The bounds of an outlier.
    fence: Option<outlier::Fence>,
    estimated: bool,
}

impl<'a> Checks<'a> {
    /// The rules of a contract. `references` holds the values that rows refer to, `survey` what a first
    /// pass found where the contract asks for outliers. What memory does not hold goes to files in
    /// `folder`.
    ///
    /// # Errors
    /// `Internal` where one of them is missing.
    pub fn new(
        contract: &'a Contract,
        references: &'a References,
        survey: Option<&Survey>,
        folder: &Path,
    ) -> Result<Self> {
        let tallies = contract
            .rules
            .iter()
            .map(|rule| {
                let mut tally = Tally::default();
                match (&rule.check, rule.column) {
                    (Check::Rows(RowCheck::Outlier(method)), Some(column)) => {
                        let survey = survey.ok_or_else(|| unprepared(rule))?;
                        tally.fence = survey.fence(column, *method);
                        tally.estimated = survey.estimated(column);
                    }
                    (Check::Rows(RowCheck::Unique { key: false, .. }), _)
                        if !rule.rejects_rows() =>
                    {
                        tally.frequencies = Some(Frequencies::new(folder));
                    }
                    (Check::Rows(RowCheck::Reference(to)), _) if !references.contains_key(to) => {
                        return Err(unprepared(rule));
                    }
                    _ => {}
                }
                Ok(tally)
            })
            .collect::<Result<_>>()?;
        Ok(Checks {
            contract,
            finder: BrokenRows {
                contract,
                references,
            },
            tallies,
        })
    }

    /// Checks every row of the batch and moves those that break a rule to its rejected rows.
    pub fn apply(&mut self, batch: &mut Batch) -> Result<()> {
        let rows = batch.rows();
        // The first broken rule of each rejected row, in the order of the contract.
        let mut verdicts: Vec<Option<usize>> = Vec::new();
        for (number, (rule, tally)) in self
            .contract
            .rules
            .iter()
            .zip(&mut self.tallies)
            .enumerate()
        {
            tally.checked += rows as u64;
            match &rule.check {
                Check::Rows(RowCheck::Unique { columns, .. }) => {
                    if let Some(frequencies) = &mut tally.frequencies {
                        count_values(self.contract, columns, batch, frequencies)?;
                    }
                }
                Check::Rows(check) => {
                    let broken = self.finder.find(rule, check, batch, tally.fence)?;
                    tally.rows += broken.len() as u64;
                    if rule.rejects_rows() && !broken.is_empty() {
                        verdicts.resize(rows, None);
                        for row in broken {
                            verdicts[row].get_or_insert(number);
                        }
                    }
                }
                Check::Column(measure) => {
                    if let Some(column) = rule.column {
                        let ty = &self.contract.columns[column].ty;
                        measure::count(measure, &batch.columns[column], ty, tally);
                    }
                }
                Check::Object(_) | Check::Table(_) => {}
            }
        }
        if !verdicts.is_empty() {
            self.reject(batch, &verdicts);
        }
        Ok(())
    }

    /// What each rule over rows, columns and the object found; rules over tables are judged by
    /// [`tables::evaluate`].
    ///
    /// # Errors
    /// `Internal` where the source did not say what a rule asks of it, `Storage` where what was put on
    /// disk cannot be read.
    pub fn results(mut self, facts: &Facts<'_>) -> Result<Vec<CheckResult>> {
        let mut results = Vec::new();
        let tallies = std::mem::take(&mut self.tallies);
        for (rule, mut tally) in self.contract.rules.iter().zip(tallies) {
            if let Some(frequencies) = tally.frequencies.take() {
                tally.rows = frequencies.finish()?.repeated();
            }
            let tally = &tally;
            results.push(match &rule.check {
                Check::Rows(check) => self.of_rows(rule, check, tally, facts),
                Check::Column(measure) => {
                    measure::of_column(self.contract, rule, measure, tally, facts)
                }
                Check::Object(measure) => measure::of_object(self.contract, rule, measure, facts)?,
                Check::Table(_) => continue,
            });
        }
        Ok(results)
    }

    fn of_rows(
        &self,
        rule: &Rule,
        check: &RowCheck,
        tally: &Tally,
        facts: &Facts<'_>,
    ) -> CheckResult {
        let rejected = |id: &str| {
            let counts = &facts.outcome.rejected_by;
            counts.get(id).copied().unwrap_or_default()
        };
        let (checked, failed, estimated) = match check {
            RowCheck::Readable => (facts.outcome.received, rejected(&rule.id), false),
            RowCheck::Unique { key: true, .. } => {
                (facts.outcome.received, rejected(rule_id::DUPLICATE), false)
            }
            RowCheck::Unique { .. } if rule.rejects_rows() => {
                (tally.checked, rejected(&rule.id), false)
            }
            _ => (tally.checked, tally.rows, tally.estimated),
        };
        let value = match rule.threshold.unit {
            Unit::Percent if checked == 0 => 0.0,
            Unit::Percent => 100.0 * failed as f64 / checked as f64,
            _ => failed as f64,
        };
        CheckResult {
            checked,
            failed,
            passed: rule.threshold.comparison.holds(value),
            value: Some(value),
            estimated,
            ..result(self.contract, rule)
        }
    }

    fn reject(&self, batch: &mut Batch, verdicts: &[Option<usize>]) {
        let mut rejected = Vec::new();
        let mut keep = Vec::with_capacity(verdicts.len());
        for (row, verdict) in verdicts.iter().enumerate() {
            let Some(rule) = verdict.and_then(|number| self.contract.rules.get(number)) else {
                keep.push(row as u32);
                continue;
            };
            let column = rule
                .column
                .map(|column| self.contract.columns[column].name.as_str());
            let reason = reason(self.contract, rule, batch, row);
            rejected.push(batch.reject_row(row, Violation::new(&rule.id, column, reason)));
        }
        batch.rejected.extend(rejected);
        batch.keep_rows(&keep);
    }
}

fn unprepared(rule: &Rule) -> Error {
    Error::internal(format!("what rule {} needs was not given to it", rule.id))
}

/// A result before anything is known.
pub fn result(contract: &Contract, rule: &Rule) -> CheckResult {
    CheckResult {
        id: rule.id.clone(),
        kind: rule.kind.name().to_owned(),
        rule: rule.text.clone(),
        column: rule
            .column
            .and_then(|column| contract.columns.get(column))
            .map(|column| column.name.clone()),
        dimension: rule.dimension.clone(),
        severity: rule.severity.as_str().to_owned(),
        owner: rule.owner.clone(),
        expected: Some(rule.expected()),
        ..CheckResult::default()
    }
}

/// Whether a measured number is as it must be. Without rows every rule holds; with rows but without a value
/// to measure none does.
pub fn verdict(rule: &Rule, rows: u64, value: Option<f64>) -> bool {
    match value {
        Some(value) => rule.threshold.comparison.holds(value),
        None => rows == 0,
    }
}

/// Finds the rows that break a rule.
struct BrokenRows<'a> {
    contract: &'a Contract,
    references: &'a References,
}

impl BrokenRows<'_> {
    fn find(
        &self,
        rule: &Rule,
        check: &RowCheck,
        batch: &Batch,
        fence: Option<outlier::Fence>,
    ) -> Result<Vec<usize>> {
        let typed = |index: usize| (&batch.columns[index], &self.contract.columns[index].ty);
        let all = |columns: &[usize]| {
            columns
                .iter()
                .map(|&index| typed(index))
                .collect::<Vec<_>>()
        };
        if let RowCheck::Personal { columns, patterns } = check {
            let mut rows: Vec<usize> = Vec::new();
            for &index in columns {
                rows.extend(personal_rows(&batch.columns[index], patterns));
            }
            rows.sort_unstable();
            rows.dedup();
            return Ok(rows);
        }
        let index = rule
            .column
            .ok_or_else(|| Error::internal(format!("rule {} of a column names none", rule.id)))?;
        let (data, ty) = typed(index);
        Ok(match check {
            RowCheck::Present(missing) => value::missing_rows(missing, data),
            RowCheck::Value(check) => value::broken_rows(check, data, ty),
            RowCheck::Pair { operator, other } => {
                columns::incomparable_rows((data, ty), *operator, typed(*other))
            }
            RowCheck::Sum {
                plus,
                minus,
                tolerance,
            } => columns::unbalanced_rows((data, ty), &all(plus), &all(minus), *tolerance),
            RowCheck::Reference(to) => match self.references.get(to) {
                Some(keys) => keys.strange_rows(data, ty),
                None => return Err(unprepared(rule)),
            },
            RowCheck::Outlier(_) => match fence {
                Some(fence) => outlier::outlying_rows(fence, data, ty),
                None => Vec::new(),
            },
            RowCheck::Unique { .. } | RowCheck::Personal { .. } | RowCheck::Readable => Vec::new(),
        })
    }
}

fn personal_rows(data: &ColumnData, patterns: &[PersonalPattern]) -> Vec<usize> {
    match data {
        ColumnData::Text(column) => value::rows_where(column, |text| found(text, patterns)),
        ColumnData::List(column) => value::rows_where(&column.items, |text| found(text, patterns))
            .into_iter()
            .map(|item| column.ends.partition_point(|&end| end as usize <= item))
            .collect(),
        _ => Vec::new(),
    }
}

/// Counts the values of several columns together; rows with a null in one of them are left out.
pub(crate) fn count_values(
    contract: &Contract,
    columns: &[usize],
    batch: &Batch,
    frequencies: &mut Frequencies,
) -> Result<()> {
    if let [only] = columns
        && !matches!(batch.columns[*only], ColumnData::List(_))
    {
        return frequencies.add(&batch.columns[*only]);
    }
    for row in 0..batch.rows() {
        if columns
            .iter()
            .any(|&index| !batch.columns[index].validity().get(row))
        {
            continue;
        }
        let mut value = Joined::default();
        for &index in columns {
            match &batch.columns[index] {
                ColumnData::Text(column) => value.add(column.get(row).unwrap_or_default()),
                ColumnData::Int(column) => value.add(&column.values[row].to_le_bytes()),
                ColumnData::Long(column) => value.add(&column.values[row].to_le_bytes()),
                ColumnData::Double(column) => {
                    // Zero and minus zero are one value.
                    value.add(&(column.values[row] + 0.0).to_bits().to_le_bytes());
                }
                data => {
                    let ty = &contract.columns[index].ty;
                    value.add(display::value(data, row, ty).as_bytes());
                }
            }
            // No UTF-8 text holds this byte, so values cannot run into each other.
            value.add(&[0xff]);
        }
        frequencies.add_joined(&value)?;
    }
    Ok(())
}

/// Characters of a value in a reason.
const SHOWN: usize = 80;

/// Why a row is rejected, for people. Values of personal columns are not shown.
fn reason(contract: &Contract, rule: &Rule, batch: &Batch, row: usize) -> String {
    let Some(index) = rule.column else {
        return rule.text.clone();
    };
    let shown = |index: usize| -> Option<String> {
        let column: &Column = &contract.columns[index];
        (!column.is_personal())
            .then(|| display::value(&batch.columns[index], row, &column.ty))
            .map(|value| format!("'{}'", display::shortened(&value, SHOWN)))
    };
    let column = &contract.columns[index];
    match &rule.check {
        Check::Rows(RowCheck::Present(_)) if !batch.columns[index].validity().get(row) => {
            format!("{} has no value", column.name)
        }
        Check::Rows(RowCheck::Personal { .. }) => format!(
            "{} holds what looks like personal data, and is not declared personal",
            column.name
        ),
        Check::Rows(RowCheck::Pair { other, .. }) => match (shown(index), shown(*other)) {
            (Some(own), Some(other)) => format!("{}, but found {own} and {other}", rule.text),
            _ => format!("{}, and it does not hold", rule.text),
        },
        _ => match shown(index) {
            Some(found) => format!("{}, but found {found}", rule.text),
            None => format!("{}, and its value does not", rule.text),
        },
    }
}

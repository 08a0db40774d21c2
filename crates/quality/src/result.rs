//! The rows of the table `quality.results`: what each run found in each dataset, one row per rule and per
//! metric, each with the versions that it holds for. Reports are made from these rows alone.

use std::collections::BTreeMap;
use tarn_core::rule_id;

use chrono::{DateTime, DurationRound, NaiveDate, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::measure::measured;
use tarn_contract::{Contracts, Format};
use tarn_core::run::{CheckResult, DatasetOutcome, Drift, RunRecord, RunStatus};
use tarn_core::schema::{
    ColumnType, Field, PartitionUnit, Partitioning, TableName, TableSpec, Zone,
};

/// What a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The run itself, once per dataset: `name` is its status, `text` why it failed, `value` its
    /// seconds, `checked` and `failed` the rows received and rejected.
    Run,
    /// A rule of the contract, or one that every row must keep.
    Rule,
    /// A metric: `name` is the metric's.
    Metric,
}

impl Kind {
    /// The name in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Run => "run",
            Kind::Rule => "rule",
            Kind::Metric => "metric",
        }
    }
}

/// A row of the table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResultRow {
    /// The UTC day that the run's rows belong to.
    pub day: NaiveDate,
    /// The run.
    pub run_id: String,
    /// Its end (UTC, whole microseconds).
    pub ended_at: DateTime<Utc>,
    /// The raw object.
    pub object_key: String,
    /// Whether the object holds all rows of its table (a database) or new ones.
    pub is_snapshot: bool,
    /// The dataset.
    pub dataset: String,
    /// What the row is about.
    pub kind: Kind,
    /// The rule's identifier, the metric's name, or the run's status.
    pub name: String,
    /// For a metric: the rows that were measured, as `column=value`; None for all.
    pub segment: Option<String>,
    /// For a rule: what is asked, for example `validValues`.
    pub rule_kind: Option<String>,
    /// For people.
    pub text: String,
    /// The column.
    pub column_name: Option<String>,
    /// The quality dimension of a rule.
    pub dimension: Option<String>,
    /// `warn`, `reject` or `abort` of a rule.
    pub severity: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Rows that were looked at.
    pub checked: u64,
    /// Rows that broke the rule; for a share, those that are counted.
    pub failed: u64,
    /// Whether the rule holds; whether the run succeeded.
    pub passed: bool,
    /// What was measured.
    pub value: Option<f64>,
    /// What was asked for, for people.
    pub expected: Option<String>,
    /// Some rows that broke the rule, as a JSON array of [`Sample`].
    pub samples: Option<String>,
    /// The snapshot of the table that holds the run's rows.
    pub snapshot_id: Option<i64>,
    /// The contract's version.
    pub contract_version: Option<String>,
    /// The program's version.
    pub program_version: Option<String>,
}

/// A row that broke a rule, as it is in quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// What was found and what was expected; None where the column is personal.
    pub reason: Option<String>,
    /// The line of the object, counted from 1.
    pub line: Option<i64>,
    /// The place in the object: a byte offset, or a rowid.
    pub offset: i64,
    /// The object's key.
    pub object_key: String,
}

/// The table `quality.results`.
pub fn table_spec() -> TableSpec {
    let text =
        |name: &str, required, doc: &str| Field::new(name, ColumnType::String, required).doc(doc);
    let long =
        |name: &str, required, doc: &str| Field::new(name, ColumnType::Long, required).doc(doc);
    TableSpec {
        name: TableName::new(Zone::Quality, "results"),
        doc: "What each run found of each dataset: one row per rule and per metric".to_owned(),
        fields: vec![
            Field::new("day", ColumnType::Date, true)
                .doc("UTC day to which the run's rows are counted"),
            text("run_id", true, "Run"),
            Field::new("ended_at", ColumnType::Timestamp, true).doc("End of the run (UTC)"),
            text("object_key", true, "Raw object"),
            Field::new("is_snapshot", ColumnType::Boolean, true)
                .doc("Whether the object holds all rows of its table"),
            text("dataset", true, "Dataset"),
            text("kind", true, "run, rule or metric"),
            text(
                "name",
                true,
                "Status of the run, identifier of the rule, name of the metric",
            ),
            text(
                "segment",
                false,
                "Rows that a metric was measured over, as column=value; null for all",
            ),
            text(
                "rule_kind",
                false,
                "What a rule asks, for example validValues",
            ),
            text(
                "text",
                true,
                "The rule, the metric or the run's failure, for people",
            ),
            text("column_name", false, "Column"),
            text("dimension", false, "Quality dimension of a rule"),
            text("severity", false, "warn, reject or abort"),
            text("owner", false, "Who answers for the rule"),
            long("checked", true, "Rows that were looked at"),
            long(
                "failed",
                true,
                "Rows that broke the rule; of a share, those that are counted",
            ),
            Field::new("passed", ColumnType::Boolean, true)
                .doc("Whether the rule holds; whether the run succeeded"),
            Field::new("value", ColumnType::Double, false).doc("What was measured"),
            text("expected", false, "What was asked for, for people"),
            text(
                "samples",
                false,
                "Some rows that broke the rule, as JSON; no value of a personal column",
            ),
            long(
                "snapshot_id",
                false,
                "Snapshot of the dataset's table that holds the run's rows",
            ),
            text("contract_version", false, "Version of the contract"),
            text("program_version", false, "Version of the program"),
        ],
        partitioning: Some(Partitioning {
            column: "day".to_owned(),
            unit: PartitionUnit::Day,
        }),
        identifier: Vec::new(),
    }
}

/// The kind of a rule that says that the source has the columns of its contract.
pub const DRIFT: &str = "drift";

/// An instant in whole microseconds, as tables hold it.
pub fn in_micros(at: DateTime<Utc>) -> DateTime<Utc> {
    at.duration_trunc(TimeDelta::microseconds(1)).unwrap_or(at)
}

/// The rules that every row must keep, whatever the contract says: identifier, text, dimension.
fn implied(rule: &str) -> Option<(String, &'static str)> {
    match rule {
        rule_id::PARSE => Some(("rows can be read".to_owned(), "conformity")),
        rule_id::DUPLICATE => Some(("no row repeats an earlier one".to_owned(), "uniqueness")),
        _ => rule_id::column_of_type_rule(rule)
            .map(|column| (format!("{column} has its type"), "conformity")),
    }
}

/// The identifier of a check; records of older programs have none.
fn id(check: &CheckResult) -> String {
    if check.id.is_empty() {
        check.rule.clone()
    } else {
        check.id.clone()
    }
}

/// The rows of a run that ended; none of one that is running or was skipped.
pub fn rows_of(run: &RunRecord, contracts: &Contracts) -> Vec<ResultRow> {
    let failed = match run.status {
        RunStatus::Succeeded => false,
        RunStatus::Failed => true,
        RunStatus::Running | RunStatus::Skipped => return Vec::new(),
    };
    let row = |dataset: &str, kind, name: String| ResultRow {
        day: run.day(),
        run_id: run.run_id.clone(),
        ended_at: in_micros(run.ended_at.unwrap_or(run.started_at)),
        object_key: run.key.clone(),
        is_snapshot: contracts
            .get(dataset)
            .is_some_and(|contract| contract.format == Format::Sqlite),
        dataset: dataset.to_owned(),
        kind,
        name,
        segment: None,
        rule_kind: None,
        text: String::new(),
        column_name: None,
        dimension: None,
        severity: None,
        owner: contracts
            .get(dataset)
            .and_then(|contract| contract.owner.clone()),
        checked: 0,
        failed: 0,
        passed: true,
        value: None,
        expected: None,
        samples: None,
        snapshot_id: None,
        contract_version: None,
        program_version: run.program_version.clone(),
    };
    if failed {
        return contracts
            .claiming(&run.key)
            .iter()
            .map(|contract| ResultRow {
                text: run.reason.clone().unwrap_or_default(),
                passed: false,
                value: run.seconds,
                contract_version: Some(contract.version.clone()),
                ..row(&contract.dataset, Kind::Run, "failed".to_owned())
            })
            .collect();
    }
    let mut rows = Vec::new();
    // A copy of a log does not count as a delivery without rows.
    let brought = run
        .datasets
        .iter()
        .filter(|outcome| !outcome.is_taken_before());
    for outcome in brought {
        let mut found = vec![ResultRow {
            checked: outcome.received,
            failed: outcome.rejected,
            value: run.seconds,
            ..row(&outcome.dataset, Kind::Run, "succeeded".to_owned())
        }];
        found.extend(rules(outcome, |name| {
            row(&outcome.dataset, Kind::Rule, name)
        }));
        found.extend(measured(run, outcome).into_iter().map(|one| ResultRow {
            segment: one.segment,
            text: one.metric.words(),
            column_name: one.metric.column().map(str::to_owned),
            checked: one.rows,
            failed: one.counted,
            value: Some(one.value),
            ..row(&outcome.dataset, Kind::Metric, one.metric.to_string())
        }));
        for row in &mut found {
            row.snapshot_id = outcome.snapshot_id;
            row.contract_version =
                Some(outcome.contract_version.clone()).filter(|version| !version.is_empty());
        }
        rows.append(&mut found);
    }
    rows
}

fn rules(outcome: &DatasetOutcome, row: impl Fn(String) -> ResultRow) -> Vec<ResultRow> {
    let mut rows = rules_with_results(outcome, &row);
    let implied = implied_rules(outcome, &row);
    let missing = implied
        .into_iter()
        .filter(|implied| rows.iter().all(|row| row.name != implied.name))
        .collect::<Vec<_>>();
    rows.extend(missing);
    rows.extend(
        outcome
            .drift
            .iter()
            .map(|drift| drift_rule(outcome, drift, &row)),
    );
    rows.extend(rules_of_snapshots(outcome, &row));
    rows
}

fn rules_with_results(
    outcome: &DatasetOutcome,
    row: &impl Fn(String) -> ResultRow,
) -> Vec<ResultRow> {
    outcome
        .checks
        .iter()
        .map(|check| {
            let row = row(id(check));
            ResultRow {
                rule_kind: Some(check.kind.clone()).filter(|kind| !kind.is_empty()),
                text: check.rule.clone(),
                column_name: check.column.clone(),
                dimension: Some(check.dimension.clone()),
                severity: Some(check.severity.clone()),
                owner: check.owner.clone().or_else(|| row.owner.clone()),
                checked: check.checked,
                failed: check.failed,
                passed: check.passed,
                value: check.value,
                expected: check.expected.clone(),
                ..row
            }
        })
        .collect()
}

/// Rules that the run record has no result of: they hold if no row broke them, and are named if one did.
/// That every row can be read is always one of them.
fn implied_rules(outcome: &DatasetOutcome, row: &impl Fn(String) -> ResultRow) -> Vec<ResultRow> {
    let mut broken: BTreeMap<&str, u64> = BTreeMap::from([(rule_id::PARSE, 0)]);
    broken.extend(
        outcome
            .rejected_by
            .iter()
            .map(|(rule, count)| (rule.as_str(), *count)),
    );
    let mut rows = Vec::new();
    for (rule, count) in broken {
        let Some((text, dimension)) = implied(rule) else {
            continue;
        };
        rows.push(ResultRow {
            rule_kind: Some(rule.rsplit('.').next().unwrap_or(rule).to_owned()),
            text,
            column_name: rule_id::column_of_type_rule(rule).map(str::to_owned),
            dimension: Some(dimension.to_owned()),
            severity: Some("reject".to_owned()),
            checked: outcome.received,
            failed: count,
            passed: count == 0,
            ..row(rule.to_owned())
        });
    }
    rows
}

fn drift_rule(
    outcome: &DatasetOutcome,
    drift: &Drift,
    row: &impl Fn(String) -> ResultRow,
) -> ResultRow {
    // A value of a column that no one has classified yet may be personal.
    let shown = Drift {
        sample: None,
        place: None,
        ..drift.clone()
    };
    ResultRow {
        rule_kind: Some(DRIFT.to_owned()),
        text: shown.to_string(),
        column_name: Some(drift.column.clone()),
        dimension: Some("conformity".to_owned()),
        severity: Some("warn".to_owned()),
        checked: outcome.received,
        // Values that do not fit are counted by the rule about the column's type.
        failed: 0,
        passed: false,
        ..row(format!("{}.{DRIFT}", drift.column))
    }
}

/// What a database snapshot and its table must agree in; none for other objects.
fn rules_of_snapshots(
    outcome: &DatasetOutcome,
    row: &impl Fn(String) -> ResultRow,
) -> Vec<ResultRow> {
    let Some(found) = &outcome.reconciliation else {
        return Vec::new();
    };
    let difference = found.source_rows.abs_diff(found.read_rows);
    let mut rows = vec![ResultRow {
        rule_kind: Some("reconciliation".to_owned()),
        text: "every row of the source was read, and is in the table".to_owned(),
        dimension: Some("consistency".to_owned()),
        severity: Some("abort".to_owned()),
        checked: found.source_rows,
        failed: difference,
        passed: found.matches,
        value: Some(found.table_rows as f64),
        expected: Some(match found.expected_rows {
            Some(expected) => format!("{expected} rows with the expected keys"),
            None => format!("{} rows", found.source_rows),
        }),
        ..row("reconciliation".to_owned())
    }];
    // What a snapshot has and its table does not.
    for (name, text, failed) in [
        (
            "heldRows",
            "no row of the table stays at an older version because its newest one was rejected",
            outcome.held,
        ),
        (
            "withheldDeletions",
            "no row of the table stays although the source seems to have lost it, because a rejected row \
             has no key",
            outcome.deletions_withheld,
        ),
    ] {
        rows.push(ResultRow {
            rule_kind: Some(name.to_owned()),
            text: text.to_owned(),
            dimension: Some("timeliness".to_owned()),
            severity: Some("warn".to_owned()),
            checked: found.table_rows,
            failed,
            passed: failed == 0,
            value: Some(failed as f64),
            expected: Some("0".to_owned()),
            ..row(name.to_owned())
        });
    }
    rows
}

/// The rows that count for the days: of several runs of one object the last that succeeded, and of
/// several snapshots of a dataset on one day the last. Rows of failed runs are left out.
pub fn effective<'a>(rows: &[&'a ResultRow]) -> Vec<&'a ResultRow> {
    /// Rows with the same dataset and the same object or day replace one another.
    type Place<'a> = (&'a str, &'a str, Option<NaiveDate>);
    // A day's snapshots replace one another, whatever their keys.
    fn place(row: &ResultRow) -> Place<'_> {
        if row.is_snapshot {
            (&row.dataset, "", Some(row.day))
        } else {
            (&row.dataset, &row.object_key, None)
        }
    }
    let mut last: BTreeMap<Place<'_>, (DateTime<Utc>, &str)> = BTreeMap::new();
    for row in rows
        .iter()
        .filter(|row| row.kind == Kind::Run && row.passed)
    {
        let found = (row.ended_at, row.run_id.as_str());
        let known = last.entry(place(row)).or_insert(found);
        *known = found.max(*known);
    }
    rows.iter()
        .copied()
        .filter(|row| {
            last.get(&place(row))
                .is_some_and(|(_, run_id)| *run_id == row.run_id)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn outcome(accepted: u64, rejected_by: &[(&str, u64)]) -> DatasetOutcome {
        let rejected = rejected_by.iter().map(|(_, count)| count).sum();
        DatasetOutcome {
            dataset: "events".to_owned(),
            received: accepted + rejected,
            accepted,
            rejected,
            rejected_by: rejected_by
                .iter()
                .map(|(rule, count)| ((*rule).to_owned(), *count))
                .collect(),
            ..DatasetOutcome::default()
        }
    }

    fn run(id: &str, key: &str, minute: i64, outcome: DatasetOutcome) -> RunRecord {
        let at = DateTime::UNIX_EPOCH + TimeDelta::minutes(minute);
        RunRecord {
            status: RunStatus::Succeeded,
            ended_at: Some(at + TimeDelta::nanoseconds(1_500)),
            datasets: vec![outcome],
            ..RunRecord::begin(id.to_owned(), key, at)
        }
    }

    #[test]
    fn a_run_gives_one_row_per_rule_metric_and_dataset() {
        let run = run(
            "1",
            "raw/ads/events/ingest_date=2026-01-05/a.json",
            0,
            outcome(
                8,
                &[("duplicate", 1), ("cost.type", 1), ("cost.minimum", 1)],
            ),
        );
        let rows = rows_of(&run, &Contracts::default());
        assert!(rows.iter().all(|row| row.day.to_string() == "2026-01-05"
            && row.ended_at.timestamp_subsec_nanos() == 1_000));
        let rules: Vec<(&str, u64, bool)> = rows
            .iter()
            .filter(|row| row.kind == Kind::Rule)
            .map(|row| (row.name.as_str(), row.failed, row.passed))
            .collect();
        // `cost.minimum` is a rule of the contract, whose verdict is among the checks.
        assert_eq!(
            rules,
            [
                ("cost.type", 1, false),
                ("duplicate", 1, false),
                ("parse", 0, true)
            ]
        );
    }

    #[test]
    fn the_last_run_of_an_object_counts() {
        let contracts = Contracts::default();
        let rows: Vec<ResultRow> = [
            run("1", "raw/a/b/x", 1, outcome(5, &[])),
            run("2", "raw/a/b/x", 2, outcome(7, &[])),
            run("3", "raw/a/b/y", 1, outcome(1, &[])),
        ]
        .iter()
        .flat_map(|run| rows_of(run, &contracts))
        .collect();
        let all: Vec<&ResultRow> = rows.iter().collect();
        let received: Vec<u64> = effective(&all)
            .iter()
            .filter(|row| row.kind == Kind::Run)
            .map(|row| row.checked)
            .collect();
        assert_eq!(received, [7, 1]);
    }
}

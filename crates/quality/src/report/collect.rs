//! From result rows to a report.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::finding::{findings, is_warning};
use super::input::Input;
use super::{
    DatasetReport, FailedRun, MissingInPartition, MissingValues, Report, RuleReport,
    SCHEMA_VERSION, Scope, Totals, TrendDay,
};
use crate::history;
use crate::result::{Kind, ResultRow, Sample, effective};
use crate::score::scores;
use crate::service_level::{Known, ServiceLevelState};
use crate::watch::{Evidence, Watched, watch};
use tarn_contract::Contracts;
use tarn_contract::metric::Metric;
use tarn_contract::monitor::Monitor;
use tarn_core::feedback;

/// Days of a trend.
const TREND_DAYS: usize = 14;

/// Samples of a rule.
const SAMPLES: usize = 3;

/// The report of a UTC day over all datasets.
pub fn day(input: &Input<'_>, day: NaiveDate) -> Report {
    report(input, Scope::Day, day.to_string(), day, &|_| true)
}

/// The report of a run as of its end; None where the rows do not have it.
pub fn run(input: &Input<'_>, run_id: &str) -> Option<Report> {
    let row = input.rows.iter().find(|row| row.run_id == run_id)?;
    let input = Input {
        as_of: input.as_of.min(row.ended_at),
        ..*input
    };
    let of_run = |row: &ResultRow| row.run_id == run_id;
    Some(report(
        &input,
        Scope::Run,
        run_id.to_owned(),
        row.day,
        &of_run,
    ))
}

/// The result rows that a report is made from.
struct Selection<'a> {
    /// All that were known at the report's time.
    known: Vec<&'a ResultRow>,
    /// Those of them that a later run of the same object has not replaced: histories are of these.
    effective: Vec<&'a ResultRow>,
    /// Those of them that the report is about.
    own: Vec<&'a ResultRow>,
    /// The report's UTC day.
    day: NaiveDate,
}

impl<'a> Selection<'a> {
    fn of(input: &Input<'a>, day: NaiveDate, within: &dyn Fn(&ResultRow) -> bool) -> Self {
        let known: Vec<&ResultRow> = input
            .rows
            .iter()
            .filter(|row| row.ended_at <= input.as_of)
            .collect();
        let effective = effective(&known);
        let own = effective
            .iter()
            .copied()
            .filter(|row| row.day == day && within(row))
            .collect();
        Selection {
            known,
            effective,
            own,
            day,
        }
    }

    fn program_versions(&self) -> Vec<String> {
        let rules = self.own.iter().filter(|row| row.kind == Kind::Rule);
        rules
            .filter_map(|row| row.program_version.clone())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect()
    }
}

/// `within` says which rows of the day the report is about; histories are of all.
fn report(
    input: &Input<'_>,
    scope: Scope,
    subject: String,
    day: NaiveDate,
    within: &dyn Fn(&ResultRow) -> bool,
) -> Report {
    let rows = Selection::of(input, day, within);
    let failed_runs = failed_runs(&rows.known, day, within);
    let mut names: BTreeSet<&str> = rows.own.iter().map(|row| row.dataset.as_str()).collect();
    names.extend(failed_runs.iter().map(|run| run.dataset.as_str()));
    let judged: Vec<&str> = if scope == Scope::Day {
        input
            .contracts
            .iter()
            .map(|contract| contract.dataset.as_str())
            .chain(rows.known.iter().map(|row| row.dataset.as_str()))
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect()
    } else {
        names.iter().copied().collect()
    };
    let watched = watched(input, &rows.effective, &judged, (day, day));
    let service_levels = service_levels(input, &rows.known, &judged, day);
    names.extend(watched.anomalies.iter().map(|one| one.dataset.as_str()));
    names.extend(
        service_levels
            .iter()
            .filter(|state| state.measured.is_some())
            .map(|state| state.dataset.as_str()),
    );
    let datasets: Vec<DatasetReport> = names
        .iter()
        .map(|name| dataset(input, name, &rows))
        .collect();
    let scored: Vec<f64> = datasets.iter().filter_map(|one| one.score).collect();
    Report {
        schema_version: SCHEMA_VERSION,
        scope,
        subject,
        day,
        as_of: input.as_of,
        score: (!scored.is_empty()).then(|| scored.iter().sum::<f64>() / scored.len() as f64),
        totals: totals(&rows.own, &datasets, &failed_runs),
        findings: findings(
            &datasets,
            &watched.anomalies,
            &service_levels,
            &failed_runs,
            input,
        ),
        trend: trend(rows.effective.iter().copied(), day),
        program_versions: rows.program_versions(),
        datasets,
        anomalies: watched.anomalies,
        values_expected: watched.expected,
        values_without_history: watched.not_enough_history,
        service_levels,
        failed_runs,
    }
}

fn totals(rows: &[&ResultRow], datasets: &[DatasetReport], failed_runs: &[FailedRun]) -> Totals {
    let sum = |of: &dyn Fn(&DatasetReport) -> u64| datasets.iter().map(of).sum();
    let runs: BTreeSet<&str> = rows.iter().map(|row| row.run_id.as_str()).collect();
    Totals {
        runs: runs.len() as u64,
        failed_runs: failed_runs.len() as u64,
        received: sum(&|one| one.received),
        accepted: sum(&|one| one.accepted),
        rejected: sum(&|one| one.rejected),
        rules: sum(&|one| one.held + one.broken.len() as u64),
        broken_rules: sum(&|one| one.broken.len() as u64),
    }
}

/// The anomalies of all datasets on the days from the first to the last.
pub fn watch_all(input: &Input<'_>, days: (NaiveDate, NaiveDate)) -> Watched {
    let known: Vec<&ResultRow> = input
        .rows
        .iter()
        .filter(|row| row.ended_at <= input.as_of)
        .collect();
    let datasets: BTreeSet<&str> = known.iter().map(|row| row.dataset.as_str()).collect();
    let datasets: Vec<&str> = datasets.into_iter().collect();
    watched(input, &effective(&known), &datasets, days)
}

/// The rules of a dataset that were broken on the last day that has rows, the worst first.
pub fn broken_rules(rows: &[&ResultRow], dataset: &str) -> Vec<RuleReport> {
    let own: Vec<&ResultRow> = rows
        .iter()
        .copied()
        .filter(|row| row.dataset == dataset)
        .collect();
    let own = effective(&own);
    let last = own.iter().map(|row| row.day).max();
    let of_day: Vec<&ResultRow> = own
        .into_iter()
        .filter(|row| Some(row.day) == last)
        .collect();
    rules(&of_day).0
}

fn watched(
    input: &Input<'_>,
    rows: &[&ResultRow],
    datasets: &[&str],
    days: (NaiveDate, NaiveDate),
) -> Watched {
    let said = feedback::current(input.feedback, input.as_of);
    let (by_day, by_run) = (history::by_day(rows), history::by_run(rows));
    let evidence = Evidence {
        by_day: &by_day,
        by_run: &by_run,
        feedback: &said,
        as_of: input.as_of,
    };
    let mut all = Watched::default();
    for dataset in datasets {
        let monitors = monitors(input.contracts, dataset, rows);
        let found = watch(dataset, &monitors, &evidence, days);
        all.add(found);
    }
    all
}

/// What is watched in a dataset: what its contract asks for, and the defaults that the contract does not
/// cover itself.
pub fn monitors(contracts: &Contracts, dataset: &str, rows: &[&ResultRow]) -> Vec<Monitor> {
    let own = contracts
        .get(dataset)
        .map(|contract| contract.monitors.clone())
        .unwrap_or_default();
    let columns: BTreeSet<&str> = rows
        .iter()
        .filter(|row| row.kind == Kind::Metric && row.dataset == dataset)
        .filter(|row| row.name.starts_with("completeness:"))
        .filter_map(|row| row.column_name.as_deref())
        .collect();
    let mut monitors = own.clone();
    monitors.extend(Monitor::defaults(columns).into_iter().filter(|usual| {
        !own.iter().any(|own| {
            (&own.metric, &own.segment_by, own.per) == (&usual.metric, &usual.segment_by, usual.per)
        })
    }));
    monitors
}

/// When the lake first knew anything.
fn since(rows: &[&ResultRow]) -> Option<DateTime<Utc>> {
    rows.iter().map(|row| row.ended_at).min()
}

fn service_levels(
    input: &Input<'_>,
    rows: &[&ResultRow],
    datasets: &[&str],
    day: NaiveDate,
) -> Vec<ServiceLevelState> {
    let since = since(rows);
    // The state when the day ended; for a day that has not ended, the state now.
    let end = (day + TimeDelta::days(1))
        .and_time(chrono::NaiveTime::MIN)
        .and_utc();
    let at = input.as_of.min(end);
    let rows: Vec<&ResultRow> = rows
        .iter()
        .copied()
        .filter(|row| row.ended_at <= at || row.day <= day)
        .collect();
    input
        .contracts
        .iter()
        .filter(|contract| datasets.contains(&contract.dataset.as_str()))
        .flat_map(|contract| {
            let known = Known {
                dataset: &contract.dataset,
                rows: &rows,
                seen: input.seen(&contract.dataset),
                since,
            };
            known.states(&contract.service_levels, day, at)
        })
        .collect()
}

fn failed_runs(
    rows: &[&ResultRow],
    day: NaiveDate,
    within: &dyn Fn(&ResultRow) -> bool,
) -> Vec<FailedRun> {
    let runs = || rows.iter().filter(|row| row.kind == Kind::Run);
    let mut failed: Vec<FailedRun> = runs()
        .filter(|row| !row.passed && row.day == day && within(row))
        .map(|row| FailedRun {
            run_id: row.run_id.clone(),
            dataset: row.dataset.clone(),
            object_key: row.object_key.clone(),
            reason: row.text.clone(),
            ended_at: row.ended_at,
            repaired: runs().any(|later| {
                later.passed
                    && later.object_key == row.object_key
                    && later.dataset == row.dataset
                    && later.ended_at > row.ended_at
            }),
        })
        .collect();
    failed.sort_by(|a, b| {
        (a.ended_at, &a.run_id, &a.dataset).cmp(&(b.ended_at, &b.run_id, &b.dataset))
    });
    failed
}

fn dataset(input: &Input<'_>, name: &str, selection: &Selection<'_>) -> DatasetReport {
    let own: Vec<&ResultRow> = selection
        .own
        .iter()
        .copied()
        .filter(|row| row.dataset == name)
        .collect();
    let runs = || own.iter().filter(|row| row.kind == Kind::Run);
    let (received, rejected) = runs().fold((0, 0), |(received, rejected), row| {
        (received + row.checked, rejected + row.failed)
    });
    let (score, dimensions) = scores(own.iter().copied());
    let (broken, held) = rules(&own);
    let newest = own.iter().max_by_key(|row| row.ended_at);
    let seen = input.seen(name);
    let last_success = seen.last_success(&selection.known, name, input.as_of);
    DatasetReport {
        dataset: name.to_owned(),
        owner: input
            .contracts
            .get(name)
            .and_then(|contract| contract.owner.clone()),
        contract_version: newest.and_then(|row| row.contract_version.clone()),
        snapshot_id: own
            .iter()
            .filter(|row| row.snapshot_id.is_some())
            .max_by_key(|row| row.ended_at)
            .and_then(|row| row.snapshot_id),
        score,
        dimensions,
        runs: runs().count() as u64,
        received,
        accepted: received - rejected.min(received),
        rejected,
        missing: missing(&own),
        broken,
        held,
        last_success,
        age_seconds: last_success.map(|at| (input.as_of - at).as_seconds_f64().max(0.0)),
        trend: trend(
            selection
                .effective
                .iter()
                .copied()
                .filter(|row| row.dataset == name),
            selection.day,
        ),
    }
}

/// Partitions of a column with missing values.
const PARTITIONS: usize = 3;

/// The number of rows, and how many of them have no value.
type Counts = (u64, u64);

fn share((rows, missing): Counts) -> f64 {
    missing as f64 / rows.max(1) as f64
}

fn missing(rows: &[&ResultRow]) -> Vec<MissingValues> {
    let mut columns: BTreeMap<&str, Counts> = BTreeMap::new();
    let mut in_partitions: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.kind == Kind::Metric) {
        let (Some(Metric::Completeness(_)), Some(column)) =
            (Metric::parse(&row.name), &row.column_name)
        else {
            continue;
        };
        match &row.segment {
            None => {
                let sum = columns.entry(column).or_default();
                *sum = (sum.0 + row.checked, sum.1 + row.failed);
            }
            Some(segment) => *in_partitions.entry((column, segment)).or_default() += row.failed,
        }
    }
    // A column without missing values in a partition has no result row there. The partition's number of
    // rows is that of the dataset.
    let segments: BTreeSet<&str> = in_partitions.keys().map(|(_, segment)| *segment).collect();
    let mut of_partitions: BTreeMap<&str, u64> = BTreeMap::new();
    let by_column = segments
        .iter()
        .next()
        .and_then(|segment| segment.split_once('='))
        .map_or("", |(column, _)| column);
    let row_count = Metric::RowCount.to_string();
    for row in rows.iter().filter(|row| row.name == row_count) {
        let segment = row.segment.as_deref().filter(|segment| {
            let column = segment.split_once('=').map(|(column, _)| column);
            column == Some(by_column)
        });
        if let Some(segment) = segment {
            *of_partitions.entry(segment).or_default() += row.checked;
        }
    }
    let mut found: Vec<MissingValues> = columns
        .into_iter()
        .filter(|(_, (_, missing))| *missing > 0)
        .map(|(column, (rows, missing))| {
            let mut partitions: Vec<MissingInPartition> = of_partitions
                .iter()
                .filter(|_| of_partitions.len() > 1)
                .filter_map(|(segment, &rows)| {
                    let missing = *in_partitions.get(&(column, *segment))?;
                    let (_, partition) = segment.split_once('=')?;
                    (missing > 0).then(|| MissingInPartition {
                        partition: partition.to_owned(),
                        rows,
                        missing,
                    })
                })
                .collect();
            partitions.sort_by(|a, b| {
                share((b.rows, b.missing))
                    .total_cmp(&share((a.rows, a.missing)))
                    .then_with(|| b.partition.cmp(&a.partition))
            });
            partitions.truncate(PARTITIONS);
            MissingValues {
                column: column.to_owned(),
                rows,
                missing,
                partitions,
            }
        })
        .collect();
    found.sort_by(|a, b| {
        share((b.rows, b.missing))
            .total_cmp(&share((a.rows, a.missing)))
            .then_with(|| a.column.cmp(&b.column))
    });
    found
}

/// The broken rules, the worst first, and how many hold.
fn rules(rows: &[&ResultRow]) -> (Vec<RuleReport>, u64) {
    let mut sums: BTreeMap<&str, (RuleReport, bool)> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.kind == Kind::Rule) {
        let (sum, passed) = sums.entry(&row.name).or_insert_with(|| {
            (
                RuleReport {
                    name: row.name.clone(),
                    kind: row.rule_kind.clone(),
                    text: row.text.clone(),
                    column: row.column_name.clone(),
                    dimension: row.dimension.clone().unwrap_or_default(),
                    severity: row.severity.clone().unwrap_or_default(),
                    owner: row.owner.clone(),
                    checked: 0,
                    failed: 0,
                    value: None,
                    expected: row.expected.clone(),
                    samples: Vec::new(),
                },
                true,
            )
        });
        sum.checked += row.checked;
        sum.failed += row.failed;
        if !row.passed {
            *passed = false;
            sum.value = row.value;
        }
        let samples = row.samples.as_deref().unwrap_or("[]");
        // This program wrote the table's texts; any other text is left out.
        let samples: Vec<Sample> = serde_json::from_str(samples).unwrap_or_default();
        let room = SAMPLES.saturating_sub(sum.samples.len());
        sum.samples.extend(samples.into_iter().take(room));
    }
    let (passed, broken): (Vec<_>, Vec<_>) = sums.into_values().partition(|(_, passed)| *passed);
    let mut broken: Vec<RuleReport> = broken.into_iter().map(|(rule, _)| rule).collect();
    let share = |rule: &RuleReport| rule.failed as f64 / rule.checked.max(1) as f64;
    broken.sort_by(|a, b| {
        is_warning(&a.severity)
            .cmp(&is_warning(&b.severity))
            .then_with(|| share(b).total_cmp(&share(a)))
            .then_with(|| a.name.cmp(&b.name))
    });
    (broken, passed.len() as u64)
}

fn trend<'a>(rows: impl Iterator<Item = &'a ResultRow>, last: NaiveDate) -> Vec<TrendDay> {
    let mut days: BTreeMap<NaiveDate, Vec<&ResultRow>> = BTreeMap::new();
    for row in rows.filter(|row| row.day <= last) {
        days.entry(row.day).or_default().push(row);
    }
    let mut trend: Vec<TrendDay> = days
        .into_iter()
        .rev()
        .take(TREND_DAYS)
        .map(|(day, rows)| {
            let mut by_dataset: BTreeMap<&str, Vec<&ResultRow>> = BTreeMap::new();
            for row in &rows {
                by_dataset.entry(&row.dataset).or_default().push(row);
            }
            let scored: Vec<f64> = by_dataset
                .into_values()
                .filter_map(|rows| scores(rows).0)
                .collect();
            let runs = rows.iter().filter(|row| row.kind == Kind::Run);
            let (received, rejected) = runs.fold((0, 0), |(received, rejected), row| {
                (received + row.checked, rejected + row.failed)
            });
            TrendDay {
                day,
                score: (!scored.is_empty())
                    .then(|| scored.iter().sum::<f64>() / scored.len() as f64),
                received,
                rejected,
            }
        })
        .collect();
    trend.reverse();
    trend
}

//! The table `quality.results`: what the runs found, recorded once per run.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike, NaiveDate, TimeDelta};
use serde_json::Value;
use tarn_core::run::RunRecord;
use tarn_core::{Error, ErrorKind, Result};
use tarn_engine::records::{self, Row};
use tarn_engine::scan::Relation;
use tarn_lake::{Lake, blocking, new_run_id, staged_files};
use tarn_quality::result::{Kind, ResultRow, rows_of, table_spec};
use tarn_table::{Base, Change, FileFilter, Table, VersionRef};

use crate::samples;

/// Runs that are looked at first; more only where the oldest of them is not recorded yet.
const RUNS: usize = 1_000;

/// At most this many runs are looked at: weeks of a busy lake.
const MOST_RUNS: usize = 64_000;

/// A commit that loses this many races gives up.
const ATTEMPTS: u32 = 12;

/// What was recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Runs that were not in the table before.
    pub runs: Vec<String>,
    /// The days that they are counted to.
    pub days: BTreeSet<NaiveDate>,
}

/// Result rows, and which of them the table does not have yet.
#[derive(Debug, Clone, Default)]
pub struct Gathered {
    /// Those of the table, and those of runs that are not in it yet.
    pub rows: Vec<ResultRow>,
    /// Runs that are not in the table.
    pub unrecorded: Vec<RunRecord>,
}

fn days_since_1970(day: NaiveDate) -> i32 {
    day.num_days_from_ce() - NaiveDate::default().num_days_from_ce()
}

fn row_of(row: &ResultRow) -> Result<Row> {
    match serde_json::to_value(row) {
        Ok(Value::Object(row)) => Ok(row),
        Ok(_) => Err(Error::internal("a result is not a JSON object")),
        Err(error) => Err(Error::internal("a result cannot be written").with_source(error)),
    }
}

fn parsed(row: Row) -> Result<ResultRow> {
    serde_json::from_value(Value::Object(row)).map_err(|error| {
        Error::new(
            ErrorKind::Storage,
            format!("a row of {} cannot be understood", table_spec().name),
        )
        .with_source(error)
    })
}

/// The rows of the table from one day to another.
async fn rows_of_days(
    lake: &Lake,
    table: &Table,
    first: NaiveDate,
    last: NaiveDate,
) -> Result<Vec<ResultRow>> {
    let days = FileFilter::Days(days_since_1970(first)..=days_since_1970(last));
    let files = lake
        .fetch_table(table, &VersionRef::Current, Some(&days))
        .await?;
    let relation = Relation {
        name: table_spec().name,
        fields: table.fields(),
        files: files.iter().map(|(_, path)| path.to_owned()).collect(),
    };
    let found = blocking(move || records::read(&relation)).await?;
    // The files are read, so they are not needed any more.
    drop(files);
    found.into_iter().map(parsed).collect()
}

/// The runs that ended and are not in the table, the oldest first.
async fn unrecorded(lake: &Lake, table: Option<&Table>) -> Result<Vec<RunRecord>> {
    let mut limit = RUNS;
    loop {
        let runs = lake.ledger.runs(limit).await?;
        let looked_at = runs.len();
        let ended: Vec<RunRecord> = runs
            .into_iter()
            .filter(|run| !rows_of(run, &lake.contracts).is_empty())
            .collect();
        let days: BTreeSet<NaiveDate> = ended.iter().map(RunRecord::day).collect();
        let mut known: BTreeSet<String> = BTreeSet::new();
        if let Some(table) = table {
            for (first, last) in spans(&days) {
                let rows = rows_of_days(lake, table, first, last).await?;
                known.extend(rows.into_iter().map(|row| row.run_id));
            }
        }
        let oldest_is_known = ended.last().is_none_or(|run| known.contains(&run.run_id));
        if looked_at == limit && !oldest_is_known && limit < MOST_RUNS {
            limit *= 4;
            continue;
        }
        let mut new: Vec<RunRecord> = ended
            .into_iter()
            .filter(|run| !known.contains(&run.run_id))
            .collect();
        new.reverse();
        return Ok(new);
    }
}

/// Days as spans without gaps, so that one day long past does not read a year of results.
fn spans(days: &BTreeSet<NaiveDate>) -> Vec<(NaiveDate, NaiveDate)> {
    let mut spans: Vec<(NaiveDate, NaiveDate)> = Vec::new();
    for &day in days {
        match spans.last_mut() {
            Some((_, last)) if day - *last <= TimeDelta::days(1) => *last = day,
            _ => spans.push((day, day)),
        }
    }
    spans
}

async fn with_samples(lake: &Lake, run: &RunRecord) -> Result<Vec<ResultRow>> {
    let mut rows = rows_of(run, &lake.contracts);
    if run.rejected() > 0 {
        let mut found = samples::of_run(lake, run).await?;
        for row in rows.iter_mut().filter(|row| row.kind == Kind::Rule) {
            row.samples = found.remove(&(row.dataset.clone(), row.name.clone()));
        }
    }
    Ok(rows)
}

/// The rows from one day to another, those of runs that are not recorded yet among them. Writes
/// nothing.
///
/// # Errors
/// Where the ledger or the table cannot be read.
pub async fn gather(lake: &Lake, first: NaiveDate, last: NaiveDate) -> Result<Gathered> {
    let table = lake.tables.load(&table_spec().name).await?;
    let unrecorded = unrecorded(lake, table.as_ref()).await?;
    let mut rows = match &table {
        Some(table) => rows_of_days(lake, table, first, last).await?,
        None => Vec::new(),
    };
    for run in &unrecorded {
        if (first..=last).contains(&run.day()) {
            rows.extend(with_samples(lake, run).await?);
        }
    }
    Ok(Gathered { rows, unrecorded })
}

/// Puts what runs found into the table, each run once: one file per day, rewritten when rows are
/// added to the day.
///
/// # Errors
/// Where the ledger or the table cannot be read, the table cannot be written, or others write it all
/// the time.
pub async fn record(lake: &Lake) -> Result<Recorded> {
    let spec = table_spec();
    for _ in 0..ATTEMPTS {
        let table = lake.tables.ensure(&spec).await?;
        let runs = unrecorded(lake, Some(&table)).await?;
        if runs.is_empty() {
            return Ok(Recorded::default());
        }
        let days: BTreeSet<NaiveDate> = runs.iter().map(RunRecord::day).collect();
        let mut rows: Vec<ResultRow> = Vec::new();
        for (first, last) in spans(&days) {
            rows.extend(rows_of_days(lake, &table, first, last).await?);
        }
        for run in &runs {
            rows.extend(with_samples(lake, run).await?);
        }
        let key = |row: &ResultRow| (row.day, row.ended_at, row.run_id.clone(), row.kind);
        rows.sort_by_cached_key(key);
        let json: Vec<Row> = rows.iter().map(row_of).collect::<Result<_>>()?;
        let run_id = new_run_id();
        let staging = lake.staging(&run_id)?;
        let (folder, fields) = (staging.subfolder("results")?, table.fields());
        let partitioning = spec.partitioning.clone();
        let files = blocking(move || {
            records::write(&json, fields, partitioning.as_ref(), &folder, "results")
        })
        .await?;
        let partitions =
            FileFilter::Partitions(days.iter().map(|day| Some(days_since_1970(*day))).collect());
        let replaced = table.files(&VersionRef::Current, Some(&partitions)).await?;
        let change = Change {
            add: staged_files(lake, &spec.name, &run_id, &files).await?,
            remove: replaced.iter().map(|file| file.uri.clone()).collect(),
            base: Base::Exactly(table.current_snapshot_id()),
            sources: Vec::new(),
            kind: "quality".to_owned(),
            unless_committed: false,
            snapshot: None,
            summary: BTreeMap::from([("tarn.run-id".to_owned(), run_id.clone())]),
        };
        match lake.tables.commit(&spec.name, change).await {
            Ok(_) => {
                return Ok(Recorded {
                    runs: runs.into_iter().map(|run| run.run_id).collect(),
                    days,
                });
            }
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::new(
        ErrorKind::Conflict,
        format!(
            "other processes write {} all the time; try again",
            spec.name
        ),
    ))
}

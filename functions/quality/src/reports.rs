//! Reports, made from the result rows and written for every run and every day.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use tarn_core::feedback::Feedback;
use tarn_core::ports::PutMode;
use tarn_core::run::RunRecord;
use tarn_core::{Error, ErrorKind, Result};
use tarn_lake::Lake;
use tarn_quality::report::{self, Input, Report, html};
use tarn_quality::result::ResultRow;
use tarn_quality::service_level::Seen;
use tarn_quality::watch::Watched;

use crate::freshness;
use crate::results::gather;

/// How far histories go back.
pub const HISTORY_DAYS: i64 = 60;

/// Where reports are in the lake.
pub const REPORTS: &str = "results/reports/";

/// What reports of some days are made of.
#[derive(Debug)]
pub struct Material {
    rows: Vec<ResultRow>,
    feedback: Vec<Feedback>,
    pub(crate) seen: BTreeMap<String, Seen>,
}

fn end_of(day: NaiveDate) -> DateTime<Utc> {
    (day + TimeDelta::days(1))
        .and_time(NaiveTime::MIN)
        .and_utc()
}

impl Material {
    /// Reads what reports of the days from `first` to `last` need.
    ///
    /// # Errors
    /// Where the ledger or the table of results cannot be read.
    pub async fn read(lake: &Lake, first: NaiveDate, last: NaiveDate) -> Result<Self> {
        let begin = first - TimeDelta::days(HISTORY_DAYS);
        Ok(Material {
            rows: gather(lake, begin, last).await?.rows,
            feedback: lake.ledger.feedback().await?,
            seen: freshness::seen(lake).await?,
        })
    }

    /// Begins to watch the datasets whose commits the ledger does not remember; `runs` are the newest.
    pub(crate) async fn watch_datasets(
        &mut self,
        lake: &Lake,
        runs: &[RunRecord],
        now: DateTime<Utc>,
    ) -> Result<()> {
        freshness::watch(lake, &mut self.seen, runs, &self.rows, now).await
    }

    /// The rows that a report of the day may use: none of a later day, and none from before the histories.
    fn rows_until(&self, day: NaiveDate) -> Vec<ResultRow> {
        let first = day - TimeDelta::days(HISTORY_DAYS);
        self.rows
            .iter()
            .filter(|row| (first..=day).contains(&row.day))
            .cloned()
            .collect()
    }

    /// When a day was settled: its end, or the end of the last run of it or of a day before it, or the
    /// last judgement of an anomaly of the day. A day that has not ended is reported as of now.
    fn settled(&self, day: NaiveDate, now: DateTime<Utc>) -> DateTime<Utc> {
        let end = end_of(day);
        if end > now {
            return now;
        }
        let first = day - TimeDelta::days(HISTORY_DAYS);
        let ending = format!("/{day}");
        let runs = self
            .rows
            .iter()
            .filter(|row| (first..=day).contains(&row.day))
            .map(|row| row.ended_at);
        let said = self
            .feedback
            .iter()
            .filter(|said| said.anomaly.ends_with(&ending))
            .map(|said| said.at);
        runs.chain(said).chain([end]).max().unwrap_or(end).min(now)
    }

    /// The report of a day: as of a time, or as of when the day was settled.
    pub fn day(
        &self,
        lake: &Lake,
        day: NaiveDate,
        as_of: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Report {
        let rows = self.rows_until(day);
        report::day(
            &self.input(lake, &rows, as_of.unwrap_or_else(|| self.settled(day, now))),
            day,
        )
    }

    /// The report of a run as of its end; None where the run has no results.
    pub fn run(&self, lake: &Lake, run_id: &str, now: DateTime<Utc>) -> Option<Report> {
        let own = self.rows.iter().find(|row| row.run_id == run_id)?;
        let datasets: BTreeSet<&str> = self
            .rows
            .iter()
            .filter(|row| row.run_id == run_id)
            .map(|row| row.dataset.as_str())
            .collect();
        let first = own.day - TimeDelta::days(HISTORY_DAYS);
        let rows: Vec<ResultRow> = self
            .rows
            .iter()
            .filter(|row| datasets.contains(row.dataset.as_str()))
            .filter(|row| (first..=own.day).contains(&row.day))
            .cloned()
            .collect();
        report::run(&self.input(lake, &rows, now), run_id)
    }

    /// The anomalies of all datasets on the days from `first` to `last`.
    pub fn watch(
        &self,
        lake: &Lake,
        days: (NaiveDate, NaiveDate),
        as_of: DateTime<Utc>,
    ) -> Watched {
        report::watch_all(&self.input(lake, &self.rows, as_of), days)
    }

    /// What a report of some of the rows is made of.
    pub(crate) fn input<'a>(
        &'a self,
        lake: &'a Lake,
        rows: &'a [ResultRow],
        as_of: DateTime<Utc>,
    ) -> Input<'a> {
        Input {
            rows,
            contracts: &lake.contracts,
            feedback: &self.feedback,
            seen: &self.seen,
            as_of,
        }
    }

    /// All rows.
    pub(crate) fn rows(&self) -> &[ResultRow] {
        &self.rows
    }
}

/// The report as JSON, with a line end.
///
/// # Errors
/// `Internal`.
pub fn json(report: &Report) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(report)
        .map_err(|error| Error::internal("a report cannot be written").with_source(error))?;
    text.push(b'\n');
    Ok(text)
}

/// The folder of a report in the lake: `results/reports/day=<day>/` or `results/reports/run=<run>/`.
pub fn folder(report: &Report) -> String {
    let scope = match report.scope {
        report::Scope::Day => "day",
        report::Scope::Run => "run",
    };
    format!("{REPORTS}{scope}={}/", report.subject)
}

/// Writes a report as `report.json` and `report.html` to its folder.
///
/// # Errors
/// `Storage`.
pub async fn write(lake: &Lake, report: &Report) -> Result<()> {
    let folder = folder(report);
    for (name, body) in [
        ("report.json", Bytes::from(json(report)?)),
        ("report.html", Bytes::from(html(report))),
    ] {
        lake.objects
            .put(&format!("{folder}{name}"), body, PutMode::Overwrite)
            .await?;
    }
    Ok(())
}

/// Whether the lake's report of a day that has ended was written before its end.
pub(crate) async fn is_unfinished(lake: &Lake, day: NaiveDate) -> Result<bool> {
    let key = format!("{REPORTS}day={day}/report.json");
    match lake.objects.get(&key, None).await {
        Ok(text) => Ok(serde_json::from_slice::<Report>(&text)
            .map_or(true, |report| report.as_of < end_of(day))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

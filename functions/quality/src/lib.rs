//! The quality of the lake: sums over the newest runs, the table of results, reports of every run and
//! day, anomalies, promises, and the state of the pipeline.

mod reports;
mod results;
mod samples;
mod status;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::Serialize;
use tarn_core::Result;
use tarn_core::contract::Contracts;
use tarn_core::quality::DatasetQuality;
use tarn_core::quality::monitor::Status as Judged;
use tarn_core::quality::report::Report;
use tarn_core::run::{RunRecord, RunStatus};
use tarn_lake::Lake;

pub use reports::{HISTORY_DAYS, Material, REPORTS, folder, json, write};
pub use results::{Gathered, Recorded, gather, record};
pub use status::{Backlog, DatasetStatus, Status, Waiting, status};

/// How old the newest rows of a dataset are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Freshness {
    /// The dataset.
    pub dataset: String,
    /// Seconds since the last run that brought rows of it; since the oldest run that was read where
    /// none of them did, so that the age is at least this.
    pub seconds: u64,
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluated {
    /// The quality of each dataset that has runs, over the newest of them.
    pub datasets: Vec<DatasetQuality>,
    /// The age of each dataset of the contracts; none while the lake has no runs at all.
    pub freshness: Vec<Freshness>,
    /// The report of the day in progress.
    pub today: Report,
    /// What to measure of each dataset.
    pub measures: Vec<Measures>,
    /// Runs whose results were recorded.
    pub recorded: u64,
    /// The folders of the reports that were written.
    pub reports: Vec<String>,
}

/// What is measured of a dataset whenever it is evaluated.
#[derive(Debug, Clone, PartialEq)]
pub struct Measures {
    /// The dataset.
    pub dataset: String,
    /// The score of the last day that has rows within a week, from 0 to 1.
    pub score: Option<f64>,
    /// Promises that are broken.
    pub broken_promises: u64,
    /// Anomalies of today and yesterday that nobody has judged.
    pub open_anomalies: u64,
}

/// Sums up the newest `runs` runs in [`tarn_lake::QUALITY_SUMMARY`], records the results of runs that
/// ended, and writes the reports of those runs, of their days, of today, and of yesterday once it has
/// ended. Needs no new data: promises are broken and days are missing without any.
///
/// # Errors
/// Where the ledger cannot be read, or something cannot be written.
pub async fn evaluate(lake: &Lake, runs: usize, now: DateTime<Utc>) -> Result<Evaluated> {
    let found = lake.ledger.runs(runs).await?;
    let recorded = record(lake).await?;
    let today = now.date_naive();
    let yesterday = today - TimeDelta::days(1);
    let mut days: BTreeSet<NaiveDate> = recorded.days.clone();
    days.insert(today);
    if !found.is_empty() && reports::is_unfinished(lake, yesterday).await? {
        days.insert(yesterday);
    }
    let mut written = Vec::new();
    // A day long past needs a history of its own: days are taken together only where they are near.
    for near in near(&days) {
        let (Some(first), Some(last)) = (near.first(), near.last()) else {
            continue;
        };
        let material = Material::read(lake, *first, *last).await?;
        let of_runs = recorded
            .runs
            .iter()
            .filter_map(|run| material.run(lake, run, now))
            .filter(|report| near.contains(&report.day));
        let of_days = near.iter().map(|day| material.day(lake, *day, None, now));
        for report in of_runs.chain(of_days) {
            write(lake, &report).await?;
            written.push(folder(&report));
        }
    }
    let material = Material::read(lake, today, today).await?;
    Ok(Evaluated {
        datasets: lake.write_quality_summary(&found).await?,
        freshness: freshness(&lake.contracts, &found, now),
        measures: measures(lake, &material, now),
        today: material.day(lake, today, None, now),
        recorded: recorded.runs.len() as u64,
        reports: written,
    })
}

fn near(days: &BTreeSet<NaiveDate>) -> Vec<Vec<NaiveDate>> {
    let mut groups: Vec<Vec<NaiveDate>> = Vec::new();
    for &day in days {
        match groups.last_mut() {
            Some(group)
                if group
                    .last()
                    .is_some_and(|last| day - *last < TimeDelta::days(HISTORY_DAYS)) =>
            {
                group.push(day);
            }
            _ => groups.push(vec![day]),
        }
    }
    groups
}

fn measures(lake: &Lake, material: &Material, now: DateTime<Utc>) -> Vec<Measures> {
    const WEEK: i64 = 7;
    let today = now.date_naive();
    let reports: Vec<Report> = (0..WEEK)
        .map(|back| material.day(lake, today - TimeDelta::days(back), Some(now), now))
        .collect();
    lake.contracts
        .iter()
        .map(|contract| {
            let name = &contract.dataset;
            let score = reports.iter().find_map(|report| {
                let found = report.datasets.iter().find(|one| one.dataset == *name);
                found.and_then(|one| one.score)
            });
            let broken = reports.first().map_or(0, |today| {
                let of_it = today.promises.iter().filter(|one| one.dataset == *name);
                of_it.filter(|one| one.kept == Some(false)).count()
            });
            let open = reports.iter().take(2).flat_map(|report| &report.anomalies);
            let open = open.filter(|one| one.dataset == *name && one.status == Judged::Open);
            Measures {
                dataset: name.clone(),
                score,
                broken_promises: broken as u64,
                open_anomalies: open.count() as u64,
            }
        })
        .collect()
}

fn freshness(contracts: &Contracts, runs: &[RunRecord], now: DateTime<Utc>) -> Vec<Freshness> {
    let Some(oldest) = runs.iter().map(|run| run.started_at).min() else {
        return Vec::new();
    };
    let mut newest: BTreeMap<&str, DateTime<Utc>> = BTreeMap::new();
    for run in runs {
        if run.status != RunStatus::Succeeded {
            continue;
        }
        let ended = run.ended_at.unwrap_or(run.started_at);
        for outcome in run.datasets.iter().filter(|outcome| outcome.accepted > 0) {
            let at = newest.entry(&outcome.dataset).or_insert(ended);
            *at = ended.max(*at);
        }
    }
    contracts
        .iter()
        .map(|contract| {
            let at = newest.get(contract.dataset.as_str()).unwrap_or(&oldest);
            Freshness {
                dataset: contract.dataset.clone(),
                seconds: u64::try_from((now - *at).num_seconds()).unwrap_or_default(),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::Path;

    use chrono::TimeDelta;
    use tarn_core::contract::load_dir;
    use tarn_core::run::DatasetOutcome;
    use tarn_lake::QUALITY_SUMMARY;
    use tarn_local::LocalLake;

    use super::*;

    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes)
    }

    fn run(number: u32, status: RunStatus, dataset: &str, minutes: i64) -> RunRecord {
        RunRecord {
            run_id: format!("0197{number:04}"),
            key: format!("raw/{number}"),
            version: "v".to_owned(),
            bytes: 0,
            status,
            reason: None,
            error_kind: None,
            retryable: false,
            started_at: at(minutes - 1),
            ended_at: Some(at(minutes)),
            datasets: vec![DatasetOutcome {
                dataset: dataset.to_owned(),
                received: 2,
                accepted: 1,
                rejected: 1,
                ..DatasetOutcome::default()
            }],
            kind: tarn_core::run::RunKind::Ingest,
            unclaimed_tables: BTreeMap::new(),
            put_at: None,
            seconds: None,
            peak_memory_bytes: None,
            program_version: None,
            skipped: None,
            deletions_confirmed: false,
            warnings: Vec::new(),
        }
    }

    #[tokio::test]
    async fn runs_are_summed_up_and_recorded_once_and_the_age_of_each_dataset_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let local = LocalLake::create(folder.path()).unwrap();
        let lake = Lake::new(
            local.objects(),
            local.catalog(),
            local.ledger(),
            load_dir(Path::new("../../contracts")).unwrap(),
            &local.scratch(),
        );
        let empty = evaluate(&lake, 100, at(60)).await.unwrap();
        assert_eq!((empty.freshness, empty.recorded), (Vec::new(), 0));
        for run in [
            run(1, RunStatus::Succeeded, "orders", 10),
            run(2, RunStatus::Succeeded, "orders", 30),
            run(3, RunStatus::Failed, "orders", 50),
            run(4, RunStatus::Succeeded, "ad_events", 20),
        ] {
            lake.ledger.put_run(&run).await.unwrap();
        }
        let found = evaluate(&lake, 100, at(60)).await.unwrap();
        // The failed run is of a key that no contract claims: it is of no dataset.
        assert_eq!(found.recorded, 3);
        assert_eq!(evaluate(&lake, 100, at(60)).await.unwrap().recorded, 0);
        let age = |dataset: &str| {
            let found = found.freshness.iter().find(|age| age.dataset == dataset);
            found.unwrap().seconds
        };
        assert_eq!(age("orders"), 30 * 60);
        assert_eq!(age("ad_events"), 40 * 60);
        // Nothing came of it since the oldest run.
        assert_eq!(age("customers"), 51 * 60);
        assert_eq!(found.freshness.len(), lake.contracts.iter().count());
        let orders = found.datasets.iter().find(|sum| sum.dataset == "orders");
        assert_eq!(orders.unwrap().received, 4);
        let written = lake.objects.get(QUALITY_SUMMARY, None).await.unwrap();
        let written: Vec<DatasetQuality> = serde_json::from_slice(&written).unwrap();
        assert_eq!(written, found.datasets);
    }
}

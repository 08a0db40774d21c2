//! The quality of the lake: sums over the newest runs, the table of results, reports of every run and
//! day, anomalies, service levels, and the state of the pipeline.
#![cfg_attr(not(test), warn(unused_crate_dependencies))]

mod freshness;
mod reports;
mod results;
mod samples;
mod status;

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use tarn_core::Result;
use tarn_lake::Lake;
use tarn_quality::DatasetQuality;
use tarn_quality::report::Report;
use tarn_quality::watch::Status as Judged;

pub use freshness::Freshness;
pub use reports::{HISTORY_DAYS, Material, REPORTS, folder, json, write};
pub use results::{Gathered, Recorded, gather, record};
pub use status::{Backlog, DatasetStatus, Status, Waiting, status};

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluated {
    /// The quality of each dataset that has runs, over the newest of them.
    pub datasets: Vec<DatasetQuality>,
    /// The age of each dataset of the contracts.
    pub freshness: Vec<Freshness>,
    /// The report of the day in progress.
    pub today: Report,
    /// The measures of each dataset.
    pub measures: Vec<Measures>,
    /// Runs whose results were recorded.
    pub recorded: u64,
    /// The folders of the reports that were written.
    pub reports: Vec<String>,
}

/// What is measured for a dataset at each evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct Measures {
    /// The dataset.
    pub dataset: String,
    /// The score of the last day that has rows within a week, from 0 to 1.
    pub score: Option<f64>,
    /// Service levels that are missed.
    pub missed_service_levels: u64,
    /// Anomalies of today and yesterday that are not judged.
    pub open_anomalies: u64,
}

/// Sums up the newest `runs` runs in [`tarn_lake::QUALITY_SUMMARY`], records the results of runs that
/// ended, and writes the reports of those runs, of their days, of today, and of yesterday once it has
/// ended. It needs no new data: service levels are missed and days are empty without any. A dataset that never
/// had rows is watched from its first evaluation on.
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
    // A day long past needs a history of its own: only days close to each other share one.
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
    let mut material = Material::read(lake, today, today).await?;
    material.watch_datasets(lake, &found, now).await?;
    Ok(Evaluated {
        datasets: lake.write_quality_summary(&found).await?,
        freshness: freshness::ages(
            &lake.contracts,
            &material.seen,
            &found,
            material.rows(),
            now,
        ),
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
                let of_it = today
                    .service_levels
                    .iter()
                    .filter(|one| one.dataset == *name);
                of_it.filter(|one| one.met == Some(false)).count()
            });
            let open = reports.iter().take(2).flat_map(|report| &report.anomalies);
            let open = open.filter(|one| one.dataset == *name && one.status == Judged::Open);
            Measures {
                dataset: name.clone(),
                score,
                missed_service_levels: broken as u64,
                open_anomalies: open.count() as u64,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeMap;
    use std::path::Path;

    use chrono::TimeDelta;
    use tarn_contract::load_dir;
    use tarn_core::run::{DatasetOutcome, RunRecord, RunStatus};
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

    fn lake(folder: &Path) -> Lake {
        let local = LocalLake::create(folder).unwrap();
        Lake::new(
            local.objects(),
            local.catalog(),
            local.ledger(),
            load_dir(Path::new("../../contracts")).unwrap(),
            &local.scratch(),
        )
    }

    /// Minutes of age of a dataset.
    fn age(found: &Evaluated, dataset: &str) -> u64 {
        let found = found.freshness.iter().find(|age| age.dataset == dataset);
        found.unwrap().seconds / 60
    }

    #[tokio::test]
    async fn runs_are_summed_up_and_recorded_once() {
        let folder = tempfile::tempdir().unwrap();
        let lake = lake(folder.path());
        assert_eq!(evaluate(&lake, 100, at(60)).await.unwrap().recorded, 0);
        for run in [
            run(1, RunStatus::Succeeded, "orders", 10),
            run(2, RunStatus::Succeeded, "orders", 30),
            run(3, RunStatus::Failed, "orders", 50),
            run(4, RunStatus::Succeeded, "ad_events", 20),
        ] {
            lake.ledger.put_run(&run).await.unwrap();
        }
        let found = evaluate(&lake, 100, at(60)).await.unwrap();
        // No contract claims the key of the failed run, so it belongs to no dataset.
        assert_eq!(found.recorded, 3);
        assert_eq!(evaluate(&lake, 100, at(60)).await.unwrap().recorded, 0);
        let orders = found.datasets.iter().find(|sum| sum.dataset == "orders");
        assert_eq!(orders.unwrap().received, 4);
        let written = lake.objects.get(QUALITY_SUMMARY, None).await.unwrap();
        let written: Vec<DatasetQuality> = serde_json::from_slice(&written).unwrap();
        assert_eq!(written, found.datasets);
    }

    #[tokio::test]
    async fn a_daily_dataset_beside_a_busy_stream_has_its_age() {
        let folder = tempfile::tempdir().unwrap();
        let lake = lake(folder.path());
        evaluate(&lake, 2, at(0)).await.unwrap();
        // Of the two newest runs that are read none is of orders.
        for (number, dataset, minutes) in [
            (1, "orders", 10),
            (2, "ad_events", 50),
            (3, "ad_events", 51),
            (4, "ad_events", 52),
        ] {
            let run = run(number, RunStatus::Succeeded, dataset, minutes);
            lake.ledger.put_run(&run).await.unwrap();
            lake.note_commit(dataset, at(minutes)).await.unwrap();
        }
        let found = evaluate(&lake, 2, at(60)).await.unwrap();
        assert_eq!((age(&found, "orders"), age(&found, "ad_events")), (50, 8));
        // Ninety days later it is in neither runs nor results.
        let later = 60 + 90 * 24 * 60;
        let found = evaluate(&lake, 2, at(later)).await.unwrap();
        assert_eq!(age(&found, "orders"), 50 + 90 * 24 * 60);
        let status = status(&lake, at(later), false).await.unwrap();
        let orders = status.datasets.iter().find(|one| one.dataset == "orders");
        assert_eq!(orders.unwrap().last_success, Some(at(10)));
    }

    #[tokio::test]
    async fn commits_that_are_told_of_out_of_order_leave_the_newest() {
        let folder = tempfile::tempdir().unwrap();
        let lake = lake(folder.path());
        for minutes in [20, 50, 10, 49] {
            lake.note_commit("orders", at(minutes)).await.unwrap();
        }
        assert_eq!(lake.seen("orders").await.unwrap().committed, Some(at(50)));
    }

    #[tokio::test]
    async fn a_dataset_that_never_had_rows_grows_old_from_its_first_evaluation_on() {
        let folder = tempfile::tempdir().unwrap();
        let lake = lake(folder.path());
        let missed_levels = |found: &Evaluated| {
            let measures = found.measures.iter().find(|one| one.dataset == "orders");
            measures.unwrap().missed_service_levels
        };
        // The lake is empty, and no run has ever been.
        let found = evaluate(&lake, 100, at(0)).await.unwrap();
        assert_eq!((age(&found, "orders"), missed_levels(&found)), (0, 0));
        let days = 10 * 24 * 60;
        let found = evaluate(&lake, 100, at(days)).await.unwrap();
        assert_eq!(age(&found, "orders"), days as u64);
        assert!(missed_levels(&found) > 0, "{:?}", found.measures);
        assert_eq!(found.freshness.len(), lake.contracts.iter().count());
        lake.note_commit("orders", at(days)).await.unwrap();
        let found = evaluate(&lake, 100, at(days + 7)).await.unwrap();
        assert_eq!(age(&found, "orders"), 7);
    }

    #[tokio::test]
    async fn a_lake_whose_ledger_remembers_no_commits_is_told_by_its_runs_and_results() {
        let folder = tempfile::tempdir().unwrap();
        let lake = lake(folder.path());
        for run in [
            run(1, RunStatus::Succeeded, "orders", 10),
            run(2, RunStatus::Succeeded, "ad_events", 20),
            run(3, RunStatus::Succeeded, "ad_events", 30),
        ] {
            lake.ledger.put_run(&run).await.unwrap();
        }
        // `orders` is known from its results alone: one run is read.
        record(&lake).await.unwrap();
        let found = evaluate(&lake, 1, at(60)).await.unwrap();
        assert_eq!((age(&found, "orders"), age(&found, "ad_events")), (50, 30));
        // No rows have come since the dataset was first known.
        assert_eq!(age(&found, "customers"), 50);
        // What was found is remembered: the results are gone later.
        let later = 90 * 24 * 60;
        let found = evaluate(&lake, 1, at(60 + later)).await.unwrap();
        assert_eq!(age(&found, "orders"), 50 + later as u64);
        assert_eq!(age(&found, "customers"), 50 + later as u64);
    }

    #[tokio::test]
    async fn a_dataset_that_comes_to_an_old_lake_is_watched_from_then_on() {
        let folder = tempfile::tempdir().unwrap();
        let old = lake(folder.path());
        let few = old.contracts.iter().filter(|one| one.dataset != "orders");
        let few = tarn_contract::Contracts::new(few.cloned());
        let young = old.clone().with_contracts(few);
        let run = run(1, RunStatus::Succeeded, "ad_events", 10);
        young.ledger.put_run(&run).await.unwrap();
        evaluate(&young, 100, at(60)).await.unwrap();
        let found = evaluate(&old, 100, at(1_000)).await.unwrap();
        assert_eq!(age(&found, "orders"), 0);
        let found = evaluate(&old, 100, at(1_007)).await.unwrap();
        assert_eq!(age(&found, "orders"), 7);
    }
}

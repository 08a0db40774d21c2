//! Sums up what the runs found of each dataset, and how old the newest rows are.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use tarn_core::Result;
use tarn_core::contract::Contracts;
use tarn_core::quality::DatasetQuality;
use tarn_core::run::{RunRecord, RunStatus};
use tarn_lake::Lake;

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
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The quality of each dataset that has runs.
    pub datasets: Vec<DatasetQuality>,
    /// The age of each dataset of the contracts; none while the lake has no runs at all.
    pub freshness: Vec<Freshness>,
}

/// Sums up the newest `runs` runs and writes the sum to [`tarn_lake::QUALITY_SUMMARY`].
///
/// # Errors
/// Where the ledger cannot be read or the summary cannot be written.
pub async fn report(lake: &Lake, runs: usize, now: DateTime<Utc>) -> Result<Report> {
    let found = lake.ledger.runs(runs).await?;
    Ok(Report {
        datasets: lake.write_quality_summary(&found).await?,
        freshness: freshness(&lake.contracts, &found, now),
    })
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
        }
    }

    #[tokio::test]
    async fn the_report_sums_up_runs_and_says_how_old_each_dataset_is() {
        let folder = tempfile::tempdir().unwrap();
        let local = LocalLake::create(folder.path()).unwrap();
        let lake = Lake::new(
            local.objects(),
            local.catalog(),
            local.ledger(),
            load_dir(Path::new("../../contracts")).unwrap(),
            &local.scratch(),
        );
        let empty = report(&lake, 100, at(60)).await.unwrap();
        assert_eq!(empty.freshness, []);
        for run in [
            run(1, RunStatus::Succeeded, "orders", 10),
            run(2, RunStatus::Succeeded, "orders", 30),
            run(3, RunStatus::Failed, "orders", 50),
            run(4, RunStatus::Succeeded, "ad_events", 20),
        ] {
            lake.ledger.put_run(&run).await.unwrap();
        }
        let found = report(&lake, 100, at(60)).await.unwrap();
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

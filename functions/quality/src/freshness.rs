//! How old the newest rows of each dataset are.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use futures::future::try_join_all;
use serde::Serialize;
use tarn_contract::Contracts;
use tarn_core::Result;
use tarn_core::run::{RunRecord, RunStatus};
use tarn_lake::Lake;
use tarn_quality::result::ResultRow;
use tarn_quality::service_level::Seen;

/// How old the newest rows of a dataset are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Freshness {
    /// The dataset.
    pub dataset: String,
    /// Seconds since the last run that brought accepted rows of it; for a dataset that never had any,
    /// since it was first watched.
    pub seconds: u64,
}

/// What the ledger knows about the age of each dataset of the contracts.
pub(crate) async fn seen(lake: &Lake) -> Result<BTreeMap<String, Seen>> {
    let all = lake.contracts.iter().map(|contract| async move {
        let seen = lake.seen(&contract.dataset).await?;
        Ok((contract.dataset.clone(), seen))
    });
    Ok(try_join_all(all).await?.into_iter().collect())
}

/// The newest accepted rows of each dataset among some runs.
pub(crate) fn newest(runs: &[RunRecord]) -> BTreeMap<&str, DateTime<Utc>> {
    let mut newest: BTreeMap<&str, DateTime<Utc>> = BTreeMap::new();
    for run in runs.iter().filter(|run| run.status == RunStatus::Succeeded) {
        let ended = run.ended_at.unwrap_or(run.started_at);
        for outcome in run.datasets.iter().filter(|outcome| outcome.accepted > 0) {
            let at = newest.entry(&outcome.dataset).or_insert(ended);
            *at = ended.max(*at);
        }
    }
    newest
}

/// The name that stands for the lake instead of a dataset, from its first evaluation on. No dataset has it.
const LAKE: &str = "*";

/// Begins to watch datasets whose commits the ledger does not remember: those without commits and, once, all
/// datasets of a lake that was written before the ledger remembered them. For those, the newest runs and the
/// results that were read anyway say when rows last came, or when the dataset was first known; nothing else is
/// read. A dataset that comes later is watched from then on.
pub(crate) async fn watch(
    lake: &Lake,
    seen: &mut BTreeMap<String, Seen>,
    runs: &[RunRecord],
    rows: &[ResultRow],
    now: DateTime<Utc>,
) -> Result<()> {
    let is_first = lake.seen(LAKE).await?.watched.is_none();
    let newest = newest(runs);
    let rows: Vec<&ResultRow> = rows.iter().collect();
    let begun = runs.iter().map(|run| run.started_at);
    let known_since = begun.chain(rows.iter().map(|row| row.ended_at)).min();
    for (dataset, seen) in seen {
        if seen.committed.is_some() || seen.watched.is_some() {
            continue;
        }
        let since = seen
            .last_success(&rows, dataset, now)
            .max(newest.get(dataset.as_str()).copied())
            .or(known_since.filter(|_| is_first))
            .unwrap_or(now);
        lake.note_watched(dataset, since).await?;
        seen.watched = Some(since);
    }
    if is_first {
        lake.note_watched(LAKE, now).await?;
    }
    Ok(())
}

/// The age of each dataset of the contracts.
pub(crate) fn ages(
    contracts: &Contracts,
    seen: &BTreeMap<String, Seen>,
    runs: &[RunRecord],
    rows: &[ResultRow],
    now: DateTime<Utc>,
) -> Vec<Freshness> {
    let newest = newest(runs);
    let rows: Vec<&ResultRow> = rows.iter().collect();
    contracts
        .iter()
        .filter_map(|contract| {
            let dataset = contract.dataset.as_str();
            let seen = seen.get(dataset).copied().unwrap_or_default();
            // The runs of older versions, which did not record this in the ledger, count as well.
            let at = seen
                .last_success(&rows, dataset, now)
                .max(newest.get(dataset).copied())
                .or(seen.watched)?;
            Some(Freshness {
                dataset: dataset.to_owned(),
                seconds: u64::try_from((now - at).num_seconds()).unwrap_or_default(),
            })
        })
        .collect()
}

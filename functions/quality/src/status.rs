//! The state of the pipeline at a glance.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use tarn_core::run::{ObjectRecord, ObjectState};
use tarn_core::{Result, layout};
use tarn_lake::Lake;
use tarn_quality::report::{RuleReport, broken_rules};
use tarn_quality::result::ResultRow;
use tarn_quality::service_level::{Known, ServiceLevelState};
use tarn_quality::watch::{Anomaly, Status as Judged};

use crate::freshness;
use crate::reports::Material;

/// The number of runs in which the last success is looked for.
const RUNS: usize = 1_000;

/// The number of days whose anomalies are listed.
const DAYS: i64 = 7;

/// The state of the pipeline.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    /// When (UTC).
    pub as_of: DateTime<Utc>,
    /// The states of the raw objects.
    pub backlog: Backlog,
    /// Each dataset of the contracts.
    pub datasets: Vec<DatasetStatus>,
}

/// The number of raw objects in each state.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Backlog {
    /// Every row is in a table.
    pub committed: u64,
    /// A run has begun and has not ended.
    pub pending: u64,
    /// The last run failed.
    pub failed: u64,
    /// No contract claims the key.
    pub unclaimed: u64,
    /// Snapshots of a database that were older than the one in its tables.
    pub superseded: u64,
    /// No run has looked at it; None where objects are not listed.
    pub unseen: Option<u64>,
    /// The object that waits longest: pending, failed or unseen.
    pub oldest: Option<Waiting>,
}

/// An object that is not processed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Waiting {
    /// Its key.
    pub key: String,
    /// `pending`, `failed` or `unseen`.
    pub state: String,
    /// Since when (UTC).
    pub since: DateTime<Utc>,
    /// Why.
    pub reason: Option<String>,
}

/// The state of a dataset.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DatasetStatus {
    /// The dataset.
    pub dataset: String,
    /// When accepted rows last came (UTC); None where they did not within the history.
    pub last_success: Option<DateTime<Utc>>,
    /// Seconds since then.
    pub age_seconds: Option<f64>,
    /// Rules that were broken on the last day that has rows.
    pub failing_rules: Vec<RuleReport>,
    /// Service levels that are missed now.
    #[serde(rename = "broken_promises")]
    pub missed_service_levels: Vec<ServiceLevelState>,
    /// Anomalies of the last seven days that are not judged.
    pub open_anomalies: Vec<Anomaly>,
}

impl Status {
    /// Whether nothing waits, nothing failed and nothing is broken but by rules of severity `warn`.
    pub fn is_well(&self) -> bool {
        self.backlog.oldest.is_none()
            && self.datasets.iter().all(|dataset| {
                dataset.missed_service_levels.is_empty()
                    && dataset.open_anomalies.is_empty()
                    && dataset
                        .failing_rules
                        .iter()
                        .all(|rule| rule.severity.starts_with("warn"))
            })
    }
}

/// The state now. `list_objects` also finds objects that no run has looked at, by listing the raw zone.
///
/// # Errors
/// Where the ledger, the table of results or the raw zone cannot be read.
pub async fn status(lake: &Lake, now: DateTime<Utc>, list_objects: bool) -> Result<Status> {
    let today = now.date_naive();
    let material = Material::read(lake, today, today).await?;
    let rows: Vec<&ResultRow> = material.rows().iter().collect();
    let since = rows.iter().map(|row| row.ended_at).min();
    let runs = lake.ledger.runs(RUNS).await?;
    let newest = freshness::newest(&runs);
    let watched = material.watch(lake, (today - TimeDelta::days(DAYS), today), now);
    let datasets = lake
        .contracts
        .iter()
        .map(|contract| {
            let name = contract.dataset.as_str();
            let seen = material.seen.get(name).copied().unwrap_or_default();
            // In a lake from before the ledger remembered it, the newest runs have it.
            let last_success = seen
                .last_success(&rows, name, now)
                .max(newest.get(name).copied());
            DatasetStatus {
                dataset: name.to_owned(),
                last_success,
                age_seconds: last_success.map(|at| (now - at).as_seconds_f64().max(0.0)),
                failing_rules: broken_rules(&rows, name),
                missed_service_levels: Known {
                    dataset: name,
                    rows: &rows,
                    seen,
                    since,
                }
                .states(&contract.service_levels, today, now)
                .into_iter()
                .filter(|state| state.met == Some(false))
                .collect(),
                open_anomalies: watched
                    .anomalies
                    .iter()
                    .filter(|one| one.dataset == name && one.status == Judged::Open)
                    .cloned()
                    .collect(),
            }
        })
        .collect();
    Ok(Status {
        as_of: now,
        backlog: backlog(lake, list_objects).await?,
        datasets,
    })
}

async fn backlog(lake: &Lake, list_objects: bool) -> Result<Backlog> {
    let records: BTreeMap<String, ObjectRecord> = lake
        .ledger
        .objects(layout::RAW)
        .await?
        .into_iter()
        .map(|record| (record.key.clone(), record))
        .collect();
    let mut backlog = Backlog::default();
    let mut waiting: Vec<Waiting> = Vec::new();
    for record in records.values() {
        let (count, state) = match record.state {
            ObjectState::Committed => (&mut backlog.committed, None),
            ObjectState::Pending => (&mut backlog.pending, Some("pending")),
            ObjectState::Failed => (&mut backlog.failed, Some("failed")),
            ObjectState::Unclaimed => (&mut backlog.unclaimed, None),
            ObjectState::Superseded => (&mut backlog.superseded, None),
        };
        *count += 1;
        waiting.extend(state.map(|state| Waiting {
            key: record.key.clone(),
            state: state.to_owned(),
            since: record.updated_at,
            reason: record.reason.clone(),
        }));
    }
    if list_objects {
        let unseen: Vec<Waiting> = lake
            .objects
            .list(layout::RAW)
            .await?
            .into_iter()
            .filter(|info| !records.contains_key(&info.key))
            .map(|info| Waiting {
                key: info.key,
                state: "unseen".to_owned(),
                since: info.last_modified,
                reason: None,
            })
            .collect();
        backlog.unseen = Some(unseen.len() as u64);
        waiting.extend(unseen);
    }
    backlog.oldest = waiting.into_iter().min_by_key(|one| one.since);
    Ok(backlog)
}

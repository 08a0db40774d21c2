//! Keeps tables small: expires old versions and deletes files that no version names any more. It also verifies
//! that everything that is kept is what was written.
#![cfg_attr(not(test), warn(unused_crate_dependencies))]

mod verify;

use chrono::{DateTime, Utc};
use serde::Serialize;
use tarn_core::Result;
use tarn_core::schema::TableName;
use tarn_lake::Lake;
use tarn_table::Retention;

pub use verify::{Fault, Outcome, verify_raw, verify_table};

/// What was done to one table, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableOutcome {
    /// The table.
    pub table: String,
    /// Numbers of the versions that are forgotten.
    pub expired_versions: Vec<u64>,
    /// Files that are deleted.
    pub deleted_files: u64,
    /// Bytes of the files that are deleted, as far as their sizes are known.
    pub deleted_bytes: u64,
    /// Files that could not be deleted; the next round tries again.
    pub left_files: u64,
    /// Why maintenance of the table failed.
    pub error: Option<String>,
}

/// Maintains every table in turn. A failure of one does not stop the others. With `dry_run` nothing is
/// changed.
///
/// # Errors
/// Where the tables cannot be listed.
pub async fn maintain(
    lake: &Lake,
    retention: &Retention,
    now: DateTime<Utc>,
    dry_run: bool,
    each: &mut (dyn FnMut(&TableName) + Send),
) -> Result<Vec<TableOutcome>> {
    let mut outcomes = Vec::new();
    for name in lake.catalog.list().await? {
        each(&name);
        let mut outcome = TableOutcome {
            table: name.to_string(),
            expired_versions: Vec::new(),
            deleted_files: 0,
            deleted_bytes: 0,
            left_files: 0,
            error: None,
        };
        match lake.tables.maintain(&name, retention, now, dry_run).await {
            Ok(done) => {
                outcome.expired_versions = done.expired;
                outcome.deleted_files = done.deleted.len() as u64;
                outcome.deleted_bytes = done.deleted.values().flatten().sum();
                outcome.left_files = done.left.len() as u64;
                tracing::info!(
                    table = outcome.table,
                    versions = outcome.expired_versions.len(),
                    files = outcome.deleted_files,
                    bytes = outcome.deleted_bytes,
                    left = outcome.left_files,
                    dryRun = dry_run,
                    "a table was maintained"
                );
            }
            Err(error) => {
                tracing::error!(table = outcome.table, %error, "a table cannot be looked after");
                outcome.error = Some(error.to_string());
            }
        }
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::Path;

    use chrono::TimeDelta;
    use tarn_contract::load_dir;
    use tarn_core::ports::PutMode;
    use tarn_local::LocalLake;

    use super::*;

    #[tokio::test]
    async fn every_table_of_the_lake_is_looked_after() {
        let folder = tempfile::tempdir().unwrap();
        let local = LocalLake::create(folder.path()).unwrap();
        let lake = Lake::new(
            local.objects(),
            local.catalog(),
            local.ledger(),
            load_dir(Path::new("../../contracts")).unwrap(),
            &local.scratch(),
        )
        .with_keys(local.keys());
        let key = "raw/ads/events/ingest_date=2026-01-31/events.ndjson";
        for name in ["events", "missing", "wrong_types"] {
            let events = std::fs::read(format!("../../events/ads/{name}.ndjson")).unwrap();
            lake.objects
                .put(key, events.into(), PutMode::Overwrite)
                .await
                .unwrap();
            tarn_ingest::ingest(&lake, key).await.unwrap();
        }
        let retention = Retention {
            keep_for: TimeDelta::zero(),
            at_least: 1,
            orphans_after: TimeDelta::days(1),
        };
        let later = Utc::now() + TimeDelta::seconds(1);
        let mut seen = Vec::new();
        let would = maintain(&lake, &retention, later, true, &mut |name| {
            seen.push(name.to_string());
        })
        .await
        .unwrap();
        assert_eq!(seen, ["curated.ad_events", "quality.quarantine_ad_events"]);
        let done = maintain(&lake, &retention, later, false, &mut |_| {})
            .await
            .unwrap();
        assert_eq!(done, would);
        assert!(
            done[0].deleted_files > 0 && done[0].deleted_bytes > 0,
            "{done:?}"
        );
        assert_eq!(done[0].error, None);
        let again = maintain(&lake, &retention, later, true, &mut |_| {})
            .await
            .unwrap();
        assert!(
            again.iter().all(|table| table.deleted_files == 0),
            "{again:?}"
        );
    }
}

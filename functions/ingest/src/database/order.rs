//! Which of two snapshots of a database is the newer one.

use tarn_contract::{Contract, SnapshotOrder, SnapshotTime};
use tarn_core::Result;
use tarn_engine::upsert;
use tarn_lake::blocking;
use tarn_table::Table;

use super::plan::Staged;
use crate::run::Run;

/// How the contracts of a database say where the time of its snapshots is: at most one of them says it, or all
/// say the same.
pub(super) fn snapshot_time<'a>(contracts: impl IntoIterator<Item = &'a Contract>) -> SnapshotTime {
    contracts
        .into_iter()
        .find_map(|contract| contract.snapshot_time.clone())
        .unwrap_or_default()
}

/// Where the run's object stands among the snapshots of its database, as far as that is known without
/// reading it; None if a column has the time.
///
/// # Errors
/// `BadContract` if the contract says that the key has the time, and it has none.
pub(super) fn of_key(run: &Run<'_>, time: &SnapshotTime) -> Result<Option<SnapshotOrder>> {
    if matches!(time, SnapshotTime::Column(_)) {
        return Ok(None);
    }
    let put_at = run.info.last_modified;
    Ok(Some(SnapshotOrder {
        time: Some(time.of_key(&run.info.key)?.unwrap_or(put_at)),
        put_at,
        key: run.info.key.clone(),
    }))
}

/// The same if a column of one of the staged tables has the time.
pub(super) async fn of_column(
    run: &Run<'_>,
    column: &str,
    staged: &[Staged],
) -> Result<SnapshotOrder> {
    let table = staged.iter().find(|table| {
        let time = &table.target.contract.snapshot_time;
        time.as_ref()
            .is_some_and(|time| matches!(time, SnapshotTime::Column(_)))
    });
    let time = match table {
        Some(table) => {
            let (fields, column) = (table.target.fields.clone(), column.to_owned());
            let files = table.staged.accepted.clone();
            blocking(move || upsert::latest(&fields, &files, &column)).await?
        }
        None => None,
    };
    Ok(SnapshotOrder {
        time,
        put_at: run.info.last_modified,
        key: run.info.key.clone(),
    })
}

/// The newest snapshot that was applied to a table. If an older version of Tarn wrote the table last, the
/// record of that run says it.
pub(super) async fn newest(
    run: &Run<'_>,
    table: &Table,
    time: &SnapshotTime,
) -> Result<Option<SnapshotOrder>> {
    if let Some(newest) = table.newest_snapshot()? {
        return Ok(Some(newest));
    }
    let versions = table.versions();
    let last = versions
        .iter()
        .rev()
        .find(|version| version.kind() == Some(super::UPSERT));
    let Some(run_id) = last.and_then(|version| version.summary.get(crate::run::RUN_ID)) else {
        return Ok(None);
    };
    let Some(record) = run.lake.ledger.run(run_id).await? else {
        return Ok(None);
    };
    let Some(put_at) = record.put_at else {
        return Ok(None);
    };
    Ok(Some(SnapshotOrder {
        // A key without a time was ordered by its put.
        time: Some(time.of_key(&record.key).ok().flatten().unwrap_or(put_at)),
        put_at,
        key: record.key,
    }))
}

/// Why a snapshot is not applied to a table.
pub(super) fn superseded(dataset: &str, newest: &SnapshotOrder) -> String {
    format!(
        "a newer snapshot was applied to {dataset} before: {}",
        newest.key
    )
}

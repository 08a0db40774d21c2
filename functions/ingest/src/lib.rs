//! Ingests raw objects: read, check, split into accepted and rejected rows, commit.
//!
//! The README lists the ways in which a call can end; the ledger records which.
#![cfg_attr(not(test), warn(unused_crate_dependencies))]

mod append;
mod audit;
mod batch;
mod commit;
mod contents;
mod database;
mod dry_run;
mod earlier;
mod evolve;
mod folder;
mod freshness;
mod job;
mod known_keys;
mod logs;
mod newest;
mod notification;
mod own_lines;
mod process;
mod put_times;
mod quarantine;
mod recognise;
mod rules;
mod run;
mod value;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use tarn_contract::Contract;
use tarn_core::ports::ObjectInfo;
use tarn_core::run::{ObjectRecord, ObjectState, RunKind, RunRecord, RunStatus};
use tarn_core::{Backoff, Error, ErrorKind, Result};
use tarn_lake::{Lake, version_parts};

pub use audit::{Difference, audit};
pub use batch::{Batch, Bounds, Ingested, ingest_batch};
pub use dry_run::{DryRun, dry_run, dry_run_file, moved};
pub use notification::{Noticed, noticed};

use run::Task;

/// Why nothing was done for an object that is no longer there.
const GONE: &str = "the object is gone: it was deleted after it was put";

/// A run that loses this many races for a table gives up.
const ATTEMPTS: u32 = 12;

/// The pauses between attempts.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(30), Duration::from_secs(2));

/// How an object is to be read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Why. A replay or a backfill reads an object again whose rows are in tables.
    pub kind: RunKind,
    /// A snapshot of a database may delete more rows than its contracts allow.
    pub confirm_deletions: bool,
    /// The present content of a log replaces all rows that its object ever brought.
    pub replace: bool,
}

/// Ingests the current version of a raw object.
///
/// Bad input is not an error of this function: the returned record says `failed` and why.
///
/// # Errors
/// Where the ledger or the storage does not answer, so that not even a failure can be recorded.
pub async fn ingest(lake: &Lake, key: &str) -> Result<RunRecord> {
    ingest_task(lake, Task::new(key, Options::default())).await
}

/// Ingests a version of a raw object that may have been overwritten since. Each version of a log has lines of
/// its own. For any other object, and if the store does not know the order of former versions, the current
/// version is ingested.
///
/// # Errors
/// As of [`ingest`].
pub async fn ingest_version(lake: &Lake, key: &str, version: &str) -> Result<RunRecord> {
    let mut task = Task::new(key, Options::default());
    if log_of(lake, key).is_some()
        && let Some(newest) = current(lake, key).await?
    {
        task.info = if newest.version == version {
            Some(newest)
        } else {
            match lake.objects.head_version(key, version).await {
                Err(error) if error.kind() == ErrorKind::NotFound => Some(newest),
                former => Some(former?).filter(|former| !former.sequencer.is_empty()),
            }
        };
    }
    ingest_task(lake, task).await
}

async fn ingest_task(lake: &Lake, task: Task<'_>) -> Result<RunRecord> {
    if log_of(lake, task.key).is_some()
        && let Some(known) = lake.ledger.object(task.key).await?
        && is_unfinished(lake, &known).await?
    {
        // It continues where a replay was stopped.
        let again = Options {
            kind: RunKind::Replay,
            ..Options::default()
        };
        let records = read_again(lake, task.key, again).await?;
        if let (None, Some(last)) = (&task.info, records.into_iter().next_back()) {
            return Ok(last);
        }
    }
    task.run(lake).await
}

/// Reads a raw object again under the present contracts, for a replay or a backfill: its rows replace those
/// that an earlier run put into tables and quarantine. For a log, each version that has lines in tables is
/// read again, and only those lines. With [`Options::replace`] all of the current version replaces all of them.
///
/// # Errors
/// As of [`ingest`].
pub async fn read_again(lake: &Lake, key: &str, options: Options) -> Result<Vec<RunRecord>> {
    let mut records = Vec::new();
    if let Some(contract) = log_of(lake, key).filter(|_| !options.replace)
        && let Some(newest) = current(lake, key).await?
    {
        for former in former_versions(lake, contract, &newest).await? {
            let task = Task {
                info: Some(former),
                newest: Some(newest.clone()),
                ..Task::new(key, options)
            };
            let record = task.run(lake).await?;
            let failed = record.status == RunStatus::Failed;
            records.push(record);
            if failed {
                return Ok(records);
            }
        }
    }
    records.push(Task::new(key, options).run(lake).await?);
    Ok(records)
}

/// The contract of the log that a key names.
fn log_of<'a>(lake: &'a Lake, key: &str) -> Option<&'a Contract> {
    match lake.contracts.claiming(key).as_slice() {
        [contract] if contract.is_log() => Some(contract),
        _ => None,
    }
}

async fn current(lake: &Lake, key: &str) -> Result<Option<ObjectInfo>> {
    match lake.objects.head(key).await {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        found => found.map(Some),
    }
}

/// The versions of an object before the newest that have lines in tables, in the order of their puts. The
/// rows of a version that is no longer kept stay as they are.
async fn former_versions(
    lake: &Lake,
    contract: &Contract,
    newest: &ObjectInfo,
) -> Result<Vec<ObjectInfo>> {
    let mut former = Vec::new();
    for text in own_lines::OwnLines::of(lake, contract, &newest.key)
        .await?
        .versions()
    {
        let (version, sequencer) = version_parts(&text);
        if sequencer >= newest.sequencer.as_str() {
            continue;
        }
        match lake.objects.head_version(&newest.key, version).await {
            Ok(info) => former.push(ObjectInfo {
                sequencer: sequencer.to_owned(),
                ..info
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                tracing::warn!(
                    key = newest.key,
                    version,
                    "a former version is no longer kept: its rows stay"
                );
            }
            Err(error) => return Err(error),
        }
    }
    Ok(former)
}

/// Whether a replay or a backfill of the object was stopped or failed, perhaps between the commits of
/// its tables: the next run finishes it.
///
/// # Errors
/// Where the ledger does not answer.
pub async fn is_unfinished(lake: &Lake, record: &ObjectRecord) -> Result<bool> {
    if !matches!(record.state, ObjectState::Pending | ObjectState::Failed) {
        return Ok(false);
    }
    let run = lake.ledger.run(&record.run_id).await?;
    Ok(run.is_some_and(|run| run.kind != RunKind::Ingest))
}

pub(crate) fn missing(key: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("{key}: {GONE}"))
}

/// Waits after an attempt that lost a race, where 0 is the first.
pub(crate) async fn back_off(attempt: u32) {
    // Each hasher of the standard library has random keys.
    let random = RandomState::new().build_hasher().finish() as u32;
    tokio::time::sleep(BACKOFF.pause(attempt + 1, random)).await;
}

//! Ingests raw objects: read, check, split into accepted and rejected rows, commit.
//!
//! Every call ends in one of four ways, and the ledger says which: every row of the object is in a
//! table, accepted or rejected; the run failed with its cause and can be repeated; the same version
//! was committed before; or no contract claims the object, which is kept. An object that is gone is
//! recorded as skipped.

mod append;
mod batch;
mod commits;
mod database;
mod evolve;
mod folder;
mod notification;
mod quarantine;
mod rehearsal;
mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tarn_core::contract::{Contract, Format};
use tarn_core::ports::ObjectInfo;
use tarn_core::privacy::PseudonymKey;
use tarn_core::run::{ObjectRecord, ObjectState, RunKind, RunRecord, RunStatus, SkipReason};
use tarn_core::schema::{TableField, TableSpec};
use tarn_core::{Error, ErrorKind, Result};
use tarn_engine::stamp::Stamp;
use tarn_lake::{Lake, Staging, new_run_id, source_version};
use tracing::Instrument;

pub use batch::{Batch, Bounds, Ingested, ingest_batch};
pub use notification::{Noticed, noticed};
pub use rehearsal::{Rehearsal, moved, rehearse, rehearse_file};

/// What a run works with.
pub(crate) struct Run<'a> {
    lake: &'a Lake,
    id: String,
    /// Whether the object is to be read again although its rows may be in tables.
    again: bool,
    /// Whether nothing is going to be committed.
    dry: bool,
    /// Whether somebody has confirmed that a snapshot deletes more rows than its contracts allow.
    confirm_deletions: bool,
    info: ObjectInfo,
    /// By which new rows name the object.
    uri: String,
    /// All by which rows may name it.
    uris: Vec<String>,
    staging: Staging,
}

/// Why nothing was done for an object that is no longer there.
const GONE: &str = "the object is gone: it was deleted after it was put";

/// The property of a snapshot of a table that names the run.
const RUN_ID: &str = "tarn.run-id";

/// What became of the object of a run that did not fail.
pub(crate) enum Work {
    /// It is in the tables, but for those that have a newer snapshot already: the reasons.
    Done(Vec<String>),
    /// Nothing of it is, and why: it is an older snapshot of a database than its tables have.
    Superseded(String),
}

/// A run loses a race for a table at most so often before it gives up.
const ATTEMPTS: u32 = 12;

impl Run<'_> {
    fn stamp(&self, contract_version: &str) -> Stamp {
        Stamp {
            run_id: self.id.clone(),
            source_uri: self.uri.clone(),
            source_version: source_version(&self.info),
            ingested_at: Utc::now().timestamp_micros(),
            contract_version: contract_version.to_owned(),
        }
    }

    /// The key that the personal columns of a contract are protected with; None where it has none.
    async fn key(&self, contract: &Contract) -> Result<Option<PseudonymKey>> {
        if !contract.is_personal() {
            return Ok(None);
        }
        self.lake.pseudonym_key().await.map(Some)
    }

    /// What its snapshots say of it.
    fn summary(&self) -> BTreeMap<String, String> {
        BTreeMap::from([(RUN_ID.to_owned(), self.id.clone())])
    }

    /// The columns of a table, which is made or extended first where something is going to be committed.
    async fn fields(&self, spec: &TableSpec) -> Result<Vec<TableField>> {
        match self.dry {
            true => self.lake.tables.planned_fields(spec).await,
            false => Ok(self.lake.tables.ensure(spec).await?.fields()),
        }
    }
}

/// Ingests the current version of a raw object.
///
/// A failure of the input is no error of this function: the returned record says `failed` and why.
///
/// # Errors
/// Where the ledger or the storage does not answer, so that not even a failure can be recorded.
pub async fn ingest(lake: &Lake, key: &str) -> Result<RunRecord> {
    ingest_as(lake, key, Options::default()).await
}

/// How an object is to be read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Why. A replay or a backfill reads an object again whose rows are in tables.
    pub kind: RunKind,
    /// A snapshot of a database may delete more rows than its contracts allow.
    pub confirm_deletions: bool,
}

/// Reads the current version of a raw object, for a replay or a backfill again under the present
/// contracts: its rows take the place of those that an earlier run put into tables and quarantine.
///
/// # Errors
/// As of [`ingest`].
pub async fn ingest_as(lake: &Lake, key: &str, options: Options) -> Result<RunRecord> {
    let run_id = new_run_id();
    let span = tracing::info_span!("run", runId = run_id, key);
    run(lake, key, options, run_id).instrument(span).await
}

/// Whether a replay or a backfill of the object was stopped or failed, perhaps between the commits of
/// its tables: whoever comes next finishes it.
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

async fn run(lake: &Lake, key: &str, options: Options, run_id: String) -> Result<RunRecord> {
    let kind = options.kind;
    let mut record = RunRecord {
        kind,
        deletions_confirmed: options.confirm_deletions,
        ..RunRecord::begin(run_id, key, Utc::now())
    };
    if let Some(skipped) = folder::skipped(lake, &record).await? {
        return Ok(skipped);
    }
    let info = match lake.objects.head(key).await {
        Ok(info) => info,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            // Storage answers for what is there now: the object was deleted after its event.
            let record = record.skip(SkipReason::Gone, GONE, Utc::now());
            lake.ledger.put_run(&record).await?;
            return Ok(record);
        }
        Err(error) => return Err(error),
    };
    record.version.clone_from(&info.version);
    record.bytes = info.size;
    record.put_at = Some(info.last_modified);
    let known = lake.ledger.object(key).await?;
    let again = kind != RunKind::Ingest
        || match &known {
            Some(known) => is_unfinished(lake, known).await?,
            None => false,
        };
    if let Some((skipped, reason)) = nothing_to_do(known.as_ref(), &info, again) {
        return Ok(record.skip(skipped, reason, Utc::now()));
    }
    let contracts: Vec<Contract> = lake.contracts.claiming(key).into_iter().cloned().collect();
    if contracts.is_empty() {
        let patterns: BTreeSet<&str> = lake
            .contracts
            .iter()
            .map(|contract| contract.key_pattern.as_str())
            .collect();
        let reason = format!(
            "no contract claims the key; those there are claim {}",
            patterns.into_iter().collect::<Vec<_>>().join(", ")
        );
        let record = record.skip(SkipReason::Unclaimed, reason.clone(), Utc::now());
        note_object(lake, &record, &info, ObjectState::Unclaimed, Some(reason)).await?;
        lake.ledger.put_run(&record).await?;
        return Ok(record);
    }
    if again && kind == RunKind::Ingest {
        // It goes on where a replay was stopped, and may be stopped itself.
        record.kind = RunKind::Replay;
    }
    // The run comes first: who finds the object pending must find out what kind of run was stopped.
    lake.ledger.put_run(&record).await?;
    note_object(lake, &record, &info, ObjectState::Pending, None).await?;
    let run = Run {
        lake,
        id: record.run_id.clone(),
        again,
        dry: false,
        confirm_deletions: options.confirm_deletions,
        uri: lake.objects.uri(key),
        uris: lake.objects.uris(key),
        info,
        staging: lake.staging(&record.run_id)?,
    };
    let versions: BTreeMap<String, String> = contracts
        .iter()
        .map(|contract| (contract.dataset.clone(), contract.version.clone()))
        .collect();
    let outcome = work(&run, contracts, &mut record).await;
    let ended = Utc::now();
    record.ended_at = Some(ended);
    record.seconds = Some((ended - record.started_at).as_seconds_f64());
    record.peak_memory_bytes = peak_memory();
    for outcome in &mut record.datasets {
        if let Some(version) = versions.get(&outcome.dataset) {
            outcome.contract_version.clone_from(version);
        }
    }
    let (state, reason) = match outcome {
        Ok(Work::Done(superseded)) => {
            record.status = RunStatus::Succeeded;
            record.reason = (!superseded.is_empty()).then(|| superseded.join("; "));
            (ObjectState::Committed, None)
        }
        Ok(Work::Superseded(reason)) => {
            record = record.skip(SkipReason::NewerSnapshot, reason.clone(), ended);
            (ObjectState::Superseded, Some(reason))
        }
        Err(error) => {
            let reason = failure(&error, &record);
            record.status = RunStatus::Failed;
            record.reason = Some(reason.clone());
            record.error_kind = Some(error.kind().as_str().to_owned());
            record.retryable = error.is_retryable();
            (ObjectState::Failed, Some(reason))
        }
    };
    commits::note(lake, &record).await?;
    // The object's state comes last: who reads it finds the run complete, and a stop in between
    // leaves a pending object, whose repetition finishes it.
    lake.ledger.put_run(&record).await?;
    note_object(lake, &record, &run.info, state, reason).await?;
    Ok(record)
}

/// Why a run failed, and what it had done by then.
fn failure(error: &Error, record: &RunRecord) -> String {
    let changed: Vec<&str> = record
        .datasets
        .iter()
        .filter(|outcome| outcome.snapshot_id.is_some())
        .map(|outcome| outcome.dataset.as_str())
        .collect();
    match changed.as_slice() {
        [] => error.to_string(),
        changed => format!(
            "{error}; the tables of {} were changed before: the next run of this snapshot or of a newer one \
             changes the rest",
            changed.join(", ")
        ),
    }
}

/// The most memory that this process held so far, in bytes: `VmHWM` of proc(5). None where the
/// system does not say.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// Why an object needs no run, if it does not.
fn nothing_to_do(
    known: Option<&ObjectRecord>,
    info: &ObjectInfo,
    again: bool,
) -> Option<(SkipReason, String)> {
    let known = known?;
    if known.sequencer > info.sequencer {
        let reason = "a newer version of the object was seen before".to_owned();
        return Some((SkipReason::NewerVersion, reason));
    }
    let same = known.version == info.version && known.sequencer == info.sequencer;
    (!again && known.state == ObjectState::Committed && same).then(|| {
        let reason = format!("this version was committed before, by run {}", known.run_id);
        (SkipReason::AlreadyCommitted, reason)
    })
}

/// Writes what became of the object, unless a newer version of it was seen meanwhile.
async fn note_object(
    lake: &Lake,
    run: &RunRecord,
    info: &ObjectInfo,
    state: ObjectState,
    reason: Option<String>,
) -> Result<()> {
    for _ in 0..ATTEMPTS {
        let known = lake.ledger.object(&run.key).await?;
        if known
            .as_ref()
            .is_some_and(|known| known.sequencer > info.sequencer)
        {
            return Ok(());
        }
        let record = ObjectRecord {
            key: run.key.clone(),
            version: info.version.clone(),
            sequencer: info.sequencer.clone(),
            state,
            run_id: run.run_id.clone(),
            reason: reason.clone(),
            updated_at: Utc::now(),
            revision: 0,
        };
        match lake
            .ledger
            .put_object(&record, known.map(|known| known.revision))
            .await
        {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::new(
        ErrorKind::Conflict,
        format!(
            "the record of {} is written by others all the time",
            run.key
        ),
    ))
}

async fn work(run: &Run<'_>, contracts: Vec<Contract>, record: &mut RunRecord) -> Result<Work> {
    let (databases, mut others): (Vec<Contract>, Vec<Contract>) = contracts
        .into_iter()
        .partition(|contract| contract.format == Format::Sqlite);
    if let Some(contract) = others.pop() {
        if !others.is_empty() || !databases.is_empty() {
            return Err(Error::new(
                ErrorKind::BadContract,
                format!("more than one contract claims {}", run.info.key),
            ));
        }
        record.datasets = vec![append::ingest(run, Arc::new(contract)).await?];
        return Ok(Work::Done(Vec::new()));
    }
    database::ingest(run, databases, record).await
}

pub(crate) fn missing(key: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("{key}: {GONE}"))
}

/// Waits before another attempt: longer each time, and not at the same moment as others.
pub(crate) async fn back_off(attempt: u32) {
    let jitter = u64::from(Utc::now().timestamp_subsec_nanos() % 1000);
    let millis = (20u64 << attempt.min(6)) * (500 + jitter) / 1000;
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

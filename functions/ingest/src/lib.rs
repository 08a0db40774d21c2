//! Ingests raw objects: read, check, split into accepted and rejected rows, commit.
//!
//! Every call ends in one of four ways, and the ledger says which: every row of the object is in a
//! table, accepted or rejected; the run failed with its cause and can be repeated; the same version
//! was committed before; or no contract claims the object, which is kept. An object that is gone is
//! recorded as skipped.

mod append;
mod audit;
mod batch;
mod commit;
mod contents;
mod database;
mod evolve;
mod holder;
mod logs;
mod notification;
mod owned;
mod quarantine;
mod recognise;
mod rehearsal;
mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tarn_core::contract::{Contract, Format};
use tarn_core::ports::ObjectInfo;
use tarn_core::privacy::PseudonymKey;
use tarn_core::run::{DatasetOutcome, ObjectRecord, ObjectState, RunKind, RunRecord, RunStatus};
use tarn_core::{Error, ErrorKind, Result};
use tarn_engine::source::content;
use tarn_engine::stamp::Stamp;
use tarn_lake::{Lake, Staging, blocking, new_run_id, source_version, version_parts};
use tracing::Instrument;

pub use audit::{Difference, audit};
pub use batch::{Batch, Bounds, Ingested, ingest_batch};
pub use notification::{Noticed, noticed};
pub use rehearsal::{Rehearsal, moved, rehearse, rehearse_file};

/// What a run works with.
pub(crate) struct Run<'a> {
    lake: &'a Lake,
    id: String,
    /// Whether the object is to be read again although its rows may be in tables.
    again: bool,
    /// Whether its rows are to take the place of those of all its versions.
    replace: bool,
    /// Whether a newer version of the object was seen before this one.
    is_late: bool,
    /// Whether an earlier run has begun with this version, and none has committed it.
    never_taken: bool,
    info: ObjectInfo,
    uri: String,
    staging: Staging,
}

/// Why nothing was done for an object that is no longer there.
const GONE: &str = "the object is gone: it was deleted after it was put";

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
        BTreeMap::from([("tarn.run-id".to_owned(), self.id.clone())])
    }
}

/// What a run is asked to do.
struct Task<'a> {
    key: &'a str,
    kind: RunKind,
    /// The version; None for the current one.
    info: Option<ObjectInfo>,
    /// The newest version, where it is another: while a former one is read again, the object's record says
    /// that it is not done.
    newest: Option<ObjectInfo>,
    replace: bool,
}

impl<'a> Task<'a> {
    fn new(key: &'a str, kind: RunKind) -> Self {
        Task {
            key,
            kind,
            info: None,
            newest: None,
            replace: false,
        }
    }

    async fn run(self, lake: &Lake) -> Result<RunRecord> {
        let run_id = new_run_id();
        let span = tracing::info_span!("run", runId = run_id, key = self.key);
        run(lake, self, run_id).instrument(span).await
    }
}

/// Ingests the current version of a raw object.
///
/// A failure of the input is no error of this function: the returned record says `failed` and why.
///
/// # Errors
/// Where the ledger or the storage does not answer, so that not even a failure can be recorded.
pub async fn ingest(lake: &Lake, key: &str) -> Result<RunRecord> {
    ingest_task(lake, Task::new(key, RunKind::Ingest)).await
}

/// Ingests a version of a raw object that may have been put over since. Of a log each version has lines of
/// its own; of any other object the current version is ingested, and so where the store does not know
/// the order of former ones.
///
/// # Errors
/// As of [`ingest`].
pub async fn ingest_version(lake: &Lake, key: &str, version: &str) -> Result<RunRecord> {
    let mut task = Task::new(key, RunKind::Ingest);
    if log_of(lake, key).is_some()
        && let Some(newest) = current(lake, key).await?
    {
        task.info = match newest.version == version {
            true => Some(newest),
            false => match lake.objects.head_version(key, version).await {
                Err(error) if error.kind() == ErrorKind::NotFound => Some(newest),
                former => Some(former?).filter(|former| !former.sequencer.is_empty()),
            },
        };
    }
    ingest_task(lake, task).await
}

async fn ingest_task(lake: &Lake, task: Task<'_>) -> Result<RunRecord> {
    if log_of(lake, task.key).is_some()
        && let Some(known) = lake.ledger.object(task.key).await?
        && is_unfinished(lake, &known).await?
    {
        // It goes on where a replay was stopped.
        let records = read_again(lake, task.key, RunKind::Replay, false).await?;
        if let (None, Some(last)) = (&task.info, records.into_iter().next_back()) {
            return Ok(last);
        }
    }
    task.run(lake).await
}

/// Reads a raw object, for a replay or a backfill, again under the present contracts: its rows take the
/// place of those that an earlier run put into tables and quarantine. Of a log each version is read again
/// that has lines in tables, and as much of it; with `replace` all of the current version takes the place
/// of all of them.
///
/// # Errors
/// As of [`ingest`].
pub async fn read_again(
    lake: &Lake,
    key: &str,
    kind: RunKind,
    replace: bool,
) -> Result<Vec<RunRecord>> {
    let mut records = Vec::new();
    if let Some(contract) = log_of(lake, key).filter(|_| !replace)
        && let Some(newest) = current(lake, key).await?
    {
        for former in former_versions(lake, contract, &newest).await? {
            let task = Task {
                info: Some(former),
                newest: Some(newest.clone()),
                ..Task::new(key, kind)
            };
            let record = task.run(lake).await?;
            let failed = record.status == RunStatus::Failed;
            records.push(record);
            if failed {
                return Ok(records);
            }
        }
    }
    let task = Task {
        replace,
        ..Task::new(key, kind)
    };
    records.push(task.run(lake).await?);
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

/// The versions of an object before the newest that have lines in tables, in the order of their puts. One
/// that is no longer kept stays as it is there.
async fn former_versions(
    lake: &Lake,
    contract: &Contract,
    newest: &ObjectInfo,
) -> Result<Vec<ObjectInfo>> {
    let uri = lake.objects.uri(&newest.key);
    let mut former = Vec::new();
    for text in owned::Owned::of(lake, contract, &uri).await?.versions() {
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

async fn run(lake: &Lake, task: Task<'_>, run_id: String) -> Result<RunRecord> {
    let Task { key, kind, .. } = task;
    let mut record = RunRecord {
        kind,
        ..RunRecord::begin(run_id, key, Utc::now())
    };
    let info = match task.info {
        Some(info) => Some(info),
        None => current(lake, key).await?,
    };
    let Some(info) = info else {
        // Storage answers for what is there now: the object was deleted after its event.
        skip(&mut record, GONE.to_owned());
        lake.ledger.put_run(&record).await?;
        return Ok(record);
    };
    record.version.clone_from(&info.version);
    record.bytes = info.size;
    record.put_at = Some(info.last_modified);
    let known = lake.ledger.object(key).await?;
    let unfinished = match &known {
        Some(known) => is_unfinished(lake, known).await?,
        None => false,
    };
    let again = kind != RunKind::Ingest || unfinished;
    let log = log_of(lake, key);
    if let Some(reason) = nothing_to_do(known.as_ref(), &info, again, log.is_some()) {
        skip(&mut record, reason);
        return Ok(record);
    }
    let contracts: Vec<Contract> = lake.contracts.claiming(key).into_iter().cloned().collect();
    if contracts.is_empty() {
        let reason = unclaimed(lake);
        skip(&mut record, reason.clone());
        note_object(lake, &record, &info, ObjectState::Unclaimed, Some(reason)).await?;
        lake.ledger.put_run(&record).await?;
        return Ok(record);
    }
    if again && kind == RunKind::Ingest {
        // It goes on where a replay was stopped, and may be stopped itself.
        record.kind = RunKind::Replay;
    }
    let noted = task.newest.as_ref().unwrap_or(&info);
    // The run comes first: who finds the object pending must find out what kind of run was stopped.
    lake.ledger.put_run(&record).await?;
    note_object(lake, &record, noted, ObjectState::Pending, None).await?;
    let is_this =
        |known: &&ObjectRecord| known.version == info.version && known.sequencer == info.sequencer;
    let run = Run {
        lake,
        id: record.run_id.clone(),
        again,
        replace: task.replace,
        is_late: known
            .as_ref()
            .is_some_and(|known| known.sequencer > info.sequencer),
        never_taken: known
            .as_ref()
            .filter(is_this)
            .is_some_and(|known| known.state != ObjectState::Committed && !unfinished),
        uri: lake.objects.uri(key),
        staging: lake.staging(&record.run_id)?,
        info: info.clone(),
    };
    let versions: BTreeMap<String, String> = contracts
        .iter()
        .map(|contract| (contract.dataset.clone(), contract.version.clone()))
        .collect();
    let outcome = work(
        &run,
        known.as_ref(),
        contracts,
        &mut record.unclaimed_tables,
    )
    .await;
    let ended = Utc::now();
    record.ended_at = Some(ended);
    record.seconds = Some((ended - record.started_at).as_seconds_f64());
    record.peak_memory_bytes = peak_memory();
    let (state, reason) = match outcome {
        Ok(mut worked) => {
            for outcome in &mut worked.datasets {
                if let Some(version) = versions.get(&outcome.dataset) {
                    outcome.contract_version.clone_from(version);
                }
            }
            record.datasets = worked.datasets;
            record.warnings = worked.warnings;
            record.status = match worked.skipped {
                Some(_) => RunStatus::Skipped,
                None => RunStatus::Succeeded,
            };
            record.reason = worked.skipped;
            // Newer versions are still to be read again.
            let state = match task.newest {
                Some(_) => ObjectState::Pending,
                None => ObjectState::Committed,
            };
            (state, None)
        }
        Err(error) => {
            let reason = error.to_string();
            record.status = RunStatus::Failed;
            record.reason = Some(reason.clone());
            record.error_kind = Some(error.kind().as_str().to_owned());
            record.retryable = error.is_retryable();
            (ObjectState::Failed, Some(reason))
        }
    };
    // The object's state comes last: who reads it finds the run complete, and a stop in between
    // leaves a pending object, whose repetition finishes it.
    lake.ledger.put_run(&record).await?;
    note_object(lake, &record, noted, state, reason).await?;
    Ok(record)
}

fn skip(record: &mut RunRecord, reason: String) {
    record.status = RunStatus::Skipped;
    record.reason = Some(reason);
    record.ended_at = Some(Utc::now());
}

fn unclaimed(lake: &Lake) -> String {
    let patterns: BTreeSet<&str> = lake
        .contracts
        .iter()
        .map(|contract| contract.key_pattern.as_str())
        .collect();
    format!(
        "no contract claims the key; those there are claim {}",
        patterns.into_iter().collect::<Vec<_>>().join(", ")
    )
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

/// Why an object needs no run, if it does not. The versions of a log have lines of their own, whichever
/// comes first.
fn nothing_to_do(
    known: Option<&ObjectRecord>,
    info: &ObjectInfo,
    again: bool,
    is_log: bool,
) -> Option<String> {
    let known = known?;
    if known.sequencer > info.sequencer && !is_log {
        return Some("a newer version of the object was seen before".to_owned());
    }
    (!again
        && known.state == ObjectState::Committed
        && known.version == info.version
        && known.sequencer == info.sequencer)
        .then(|| committed_before(&known.run_id))
}

pub(crate) fn committed_before(run_id: &str) -> String {
    format!("this version was committed before, by run {run_id}")
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

/// What a run did.
#[derive(Default)]
pub(crate) struct Worked {
    datasets: Vec<DatasetOutcome>,
    /// Why there was nothing to do, where there was not.
    skipped: Option<String>,
    warnings: Vec<String>,
}

impl Worked {
    pub(crate) fn done(outcome: DatasetOutcome) -> Self {
        Worked {
            datasets: vec![outcome],
            ..Worked::default()
        }
    }

    pub(crate) fn skipped(reason: String) -> Self {
        Worked {
            skipped: Some(reason),
            ..Worked::default()
        }
    }
}

async fn work(
    run: &Run<'_>,
    known: Option<&ObjectRecord>,
    contracts: Vec<Contract>,
    unclaimed_tables: &mut BTreeMap<String, u64>,
) -> Result<Worked> {
    let (databases, mut others): (Vec<Contract>, Vec<Contract>) = contracts
        .into_iter()
        .partition(|contract| contract.format == Format::Sqlite);
    let Some(contract) = others.pop() else {
        return Ok(Worked {
            datasets: database::ingest(run, databases, unclaimed_tables).await?,
            ..Worked::default()
        });
    };
    if !others.is_empty() || !databases.is_empty() {
        return Err(Error::new(
            ErrorKind::BadContract,
            format!("more than one contract claims {}", run.info.key),
        ));
    }
    let is_log = contract.is_log();
    let contract = Arc::new(contract);
    let mut worked = match is_log {
        true => logs::ingest(run, contract).await?,
        false => {
            let copy = Arc::new(run.lake.objects.fetch_version(&run.info).await?);
            Worked::done(append::ingest(run, contract, copy).await?)
        }
    };
    if let Some(known) = known
        && let Some(warning) = replaced(run, known, is_log, &worked).await?
    {
        worked.warnings.push(warning);
    }
    Ok(worked)
}

/// What to say where the object has another content than before, and one that does not go on from it.
async fn replaced(
    run: &Run<'_>,
    known: &ObjectRecord,
    is_log: bool,
    worked: &Worked,
) -> Result<Option<String>> {
    let is_other = known.version != run.info.version && known.state == ObjectState::Committed;
    if run.again || run.is_late || !is_other || worked.skipped.is_some() {
        return Ok(None);
    }
    let key = &run.info.key;
    if is_log {
        let goes_on = worked
            .datasets
            .iter()
            .any(|outcome| outcome.taken_before.is_some());
        return Ok((!goes_on).then(|| {
            format!(
                "its content is another than that of version {}, and does not go on from it: the rows of \
                 both are kept; to keep those of the newer alone: tarn replay {key} --replace",
                known.version
            )
        }));
    }
    let former = ObjectInfo {
        version: known.version.clone(),
        sequencer: known.sequencer.clone(),
        ..run.info.clone()
    };
    let former = match run.lake.objects.fetch_version(&former).await {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        former => former?,
    };
    let copy = run.lake.objects.fetch_version(&run.info).await?;
    let goes_on = blocking(move || content::goes_on(former.path(), copy.path())).await?;
    Ok((!goes_on).then(|| {
        format!(
            "its content is another than that of version {}, and does not go on from it: its rows took the \
             place of those",
            known.version
        )
    }))
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

//! One run: what is done with one version of one object, and what the ledger records about it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::Utc;
use tarn_contract::{Contract, Format};
use tarn_core::digest::Digest;
use tarn_core::ports::{LocalCopy, ObjectInfo, digest_of};
use tarn_core::privacy::PseudonymKey;
use tarn_core::run::{ObjectRecord, ObjectState, RunKind, RunRecord, RunStatus, SkipReason};
use tarn_core::schema::{TableField, TableSpec};
use tarn_core::{Error, ErrorKind, Result};
use tarn_lake::{Lake, Staging, blocking, new_run_id, source_version};
use tarn_rows::source::content;
use tarn_rows::system_columns::SystemColumns;
use tokio::sync::OnceCell;
use tracing::Instrument;

use crate::logs::Worked;
use crate::{
    ATTEMPTS, GONE, Options, append, current, database, folder, freshness, is_unfinished, log_of,
    logs,
};

/// The property of a snapshot of a table that names the run.
pub(crate) const RUN_ID: &str = "tarn.run-id";

/// What a run works with.
pub(crate) struct Run<'a> {
    pub lake: &'a Lake,
    pub id: String,
    /// Whether the object is to be read again although its rows may be in tables.
    pub again: bool,
    /// Whether its rows are to replace those of all its versions.
    pub replace: bool,
    /// Whether a newer version of the object was seen before this one.
    pub is_late: bool,
    /// Whether an earlier run has begun with this version, and none has committed it.
    pub never_taken: bool,
    /// Whether nothing is going to be committed.
    pub dry: bool,
    /// Whether it is confirmed that a snapshot deletes more rows than its contracts allow.
    pub confirm_deletions: bool,
    pub info: ObjectInfo,
    /// The URI that new rows name the object by.
    pub uri: String,
    /// Every URI that rows may name it by.
    pub uris: Vec<String>,
    pub staging: Staging,
    /// The digest of the object's content, once something needed it.
    pub digest: OnceCell<Digest>,
}

impl Run<'_> {
    pub(crate) fn system_columns(&self, contract_version: &str) -> SystemColumns {
        SystemColumns {
            run_id: self.id.clone(),
            source_uri: self.uri.clone(),
            source_version: source_version(&self.info),
            ingested_at: Utc::now().timestamp_micros(),
            contract_version: contract_version.to_owned(),
        }
    }

    /// The key that the personal columns of a contract are protected with; None where it has none.
    pub(crate) async fn key(&self, contract: &Contract) -> Result<Option<PseudonymKey>> {
        if !contract.is_personal() {
            return Ok(None);
        }
        self.lake.pseudonym_key().await.map(Some)
    }

    /// The digest of the object's content, which is read for it once.
    pub(crate) async fn content_digest(&self, copy: &Arc<LocalCopy>) -> Result<Digest> {
        let read = || {
            let (copy, key) = (Arc::clone(copy), self.info.key.clone());
            blocking(move || Ok(digest_of(&key, &copy)?.0))
        };
        self.digest.get_or_try_init(read).await.copied()
    }

    /// The properties that its snapshots carry.
    pub(crate) fn summary(&self) -> BTreeMap<String, String> {
        BTreeMap::from([(RUN_ID.to_owned(), self.id.clone())])
    }

    /// The columns of a table, which is made or extended first where something is going to be committed.
    pub(crate) async fn fields(&self, spec: &TableSpec) -> Result<Vec<TableField>> {
        if self.dry {
            self.lake.tables.planned_fields(spec).await
        } else {
            Ok(self.lake.tables.ensure(spec).await?.fields())
        }
    }
}

/// The result of a run that did not fail.
pub(crate) enum Work {
    /// It is in the tables, but for those that have a newer snapshot already: the reasons.
    Done(Vec<String>),
    /// Nothing is to be done for it, and why.
    Skipped(SkipReason, String),
}

/// What a run is asked to do.
pub(crate) struct Task<'a> {
    pub key: &'a str,
    pub options: Options,
    /// The version; None for the current one.
    pub info: Option<ObjectInfo>,
    /// The newest version, where it is another: while a former one is read again, the object's record says
    /// that it is not done.
    pub newest: Option<ObjectInfo>,
}

impl<'a> Task<'a> {
    pub fn new(key: &'a str, options: Options) -> Self {
        Task {
            key,
            options,
            info: None,
            newest: None,
        }
    }

    pub async fn run(self, lake: &Lake) -> Result<RunRecord> {
        let run_id = new_run_id();
        let span = tracing::info_span!("run", runId = run_id, key = self.key);
        run(lake, self, run_id).instrument(span).await
    }
}

/// What earlier runs left of an object.
struct Before {
    /// Its record in the ledger.
    object: Option<ObjectRecord>,
    /// Whether a replay or a backfill of it did not end.
    unfinished: bool,
}

impl Before {
    async fn of(lake: &Lake, key: &str) -> Result<Self> {
        let object = lake.ledger.object(key).await?;
        let unfinished = match &object {
            Some(object) => is_unfinished(lake, object).await?,
            None => false,
        };
        Ok(Before { object, unfinished })
    }

    /// Whether an earlier run has begun with this very version, and none has committed it.
    fn never_took(&self, info: &ObjectInfo) -> bool {
        self.object.as_ref().is_some_and(|object| {
            object.version == info.version
                && object.sequencer == info.sequencer
                && object.state != ObjectState::Committed
                && !self.unfinished
        })
    }
}

async fn run(lake: &Lake, task: Task<'_>, run_id: String) -> Result<RunRecord> {
    let Task { key, options, .. } = task;
    let mut record = RunRecord {
        kind: options.kind,
        deletions_confirmed: options.confirm_deletions,
        ..RunRecord::begin(run_id, key, Utc::now())
    };
    if let Some(skipped) = folder::skipped(lake, &record).await? {
        return Ok(skipped);
    }
    let info = match task.info {
        Some(info) => Some(info),
        None => current(lake, key).await?,
    };
    let Some(info) = info else {
        // Storage answers for what is there now: the object was deleted after its event.
        let record = record.skip(SkipReason::Gone, GONE, Utc::now());
        lake.ledger.put_run(&record).await?;
        return Ok(record);
    };
    record.version.clone_from(&info.version);
    record.bytes = info.size;
    record.put_at = Some(info.last_modified);
    let before = Before::of(lake, key).await?;
    let again = options.kind != RunKind::Ingest || before.unfinished;
    let is_log = log_of(lake, key).is_some();
    let known = before.object.as_ref();
    if let Some((skipped, reason)) = nothing_to_do(known, &info, again, is_log) {
        return Ok(record.skip(skipped, reason, Utc::now()));
    }
    let contracts: Vec<Contract> = lake.contracts.claiming(key).into_iter().cloned().collect();
    if contracts.is_empty() {
        let reason = unclaimed(lake);
        let record = record.skip(SkipReason::Unclaimed, reason.clone(), Utc::now());
        note_object(lake, &record, &info, ObjectState::Unclaimed, Some(reason)).await?;
        lake.ledger.put_run(&record).await?;
        return Ok(record);
    }
    if again && record.kind == RunKind::Ingest {
        // It continues where a replay was stopped, and may be stopped itself.
        record.kind = RunKind::Replay;
    }
    let noted = task.newest.as_ref().unwrap_or(&info);
    // The run comes first: a later run that finds the object pending must know what kind of run was stopped.
    lake.ledger.put_run(&record).await?;
    note_object(lake, &record, noted, ObjectState::Pending, None).await?;
    let run = Run {
        lake,
        id: record.run_id.clone(),
        again,
        replace: options.replace,
        is_late: known.is_some_and(|known| known.sequencer > info.sequencer),
        never_taken: before.never_took(&info),
        dry: false,
        confirm_deletions: options.confirm_deletions,
        uri: lake.objects.uri(key),
        uris: lake.objects.uris(key),
        staging: lake.staging(&record.run_id)?,
        digest: OnceCell::new(),
        info: info.clone(),
    };
    let outcome = work(&run, known, &contracts, &mut record).await;
    let (mut record, mut state) = ended(record, &contracts, outcome);
    if task.newest.is_some() && state == ObjectState::Committed {
        // Newer versions are still to be read again.
        state = ObjectState::Pending;
    }
    record.peak_memory_bytes = peak_memory();
    let reason = match state {
        ObjectState::Failed | ObjectState::Superseded => record.reason.clone(),
        _ => None,
    };
    freshness::note(lake, &record).await?;
    // The object's state comes last: a reader of it finds the run complete. A stop in between leaves a
    // pending object, and repeating the run finishes it.
    lake.ledger.put_run(&record).await?;
    note_object(lake, &record, noted, state, reason).await?;
    Ok(record)
}

/// The record of a run that has ended, and the state of its object.
fn ended(
    mut record: RunRecord,
    contracts: &[Contract],
    outcome: Result<Work>,
) -> (RunRecord, ObjectState) {
    let ended = Utc::now();
    record.ended_at = Some(ended);
    record.seconds = Some((ended - record.started_at).as_seconds_f64());
    for outcome in &mut record.datasets {
        let mut claiming = contracts.iter();
        if let Some(contract) = claiming.find(|contract| contract.dataset == outcome.dataset) {
            outcome.contract_version.clone_from(&contract.version);
        }
    }
    match outcome {
        Ok(Work::Done(superseded)) => {
            record.status = RunStatus::Succeeded;
            record.reason = (!superseded.is_empty()).then(|| superseded.join("; "));
            (record, ObjectState::Committed)
        }
        Ok(Work::Skipped(skipped, reason)) => {
            let state = match skipped {
                SkipReason::NewerSnapshot => ObjectState::Superseded,
                _ => ObjectState::Committed,
            };
            (record.skip(skipped, reason, ended), state)
        }
        Err(error) => {
            record.reason = Some(failure(&error, &record));
            record.status = RunStatus::Failed;
            record.error_kind = Some(error.kind().as_str().to_owned());
            record.retryable = error.is_retryable();
            (record, ObjectState::Failed)
        }
    }
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

/// Why an object needs no run, if it does not. The versions of a log have lines of their own, whichever
/// comes first.
fn nothing_to_do(
    known: Option<&ObjectRecord>,
    info: &ObjectInfo,
    again: bool,
    is_log: bool,
) -> Option<(SkipReason, String)> {
    let known = known?;
    if known.sequencer > info.sequencer && !is_log {
        let reason = "a newer version of the object was seen before".to_owned();
        return Some((SkipReason::NewerVersion, reason));
    }
    let same = known.version == info.version && known.sequencer == info.sequencer;
    (!again && known.state == ObjectState::Committed && same).then(|| {
        (
            SkipReason::AlreadyCommitted,
            committed_before(&known.run_id),
        )
    })
}

pub(crate) fn committed_before(run_id: &str) -> String {
    format!("this version was committed before, by run {run_id}")
}

/// Writes the state of the object, unless a newer version of it was seen meanwhile.
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
            "other runs write the record of {} all the time; try again",
            run.key
        ),
    ))
}

async fn work(
    run: &Run<'_>,
    known: Option<&ObjectRecord>,
    contracts: &[Contract],
    record: &mut RunRecord,
) -> Result<Work> {
    let (databases, mut others): (Vec<Contract>, Vec<Contract>) = contracts
        .iter()
        .cloned()
        .partition(|contract| contract.format == Format::Sqlite);
    let Some(contract) = others.pop() else {
        return database::ingest(run, databases, record).await;
    };
    if !others.is_empty() || !databases.is_empty() {
        return Err(Error::new(
            ErrorKind::BadContract,
            format!("more than one contract claims {}", run.info.key),
        ));
    }
    let is_log = contract.is_log();
    let contract = Arc::new(contract);
    let mut worked = if is_log {
        logs::ingest(run, contract).await?
    } else {
        let copy = Arc::new(run.lake.objects.fetch_version(&run.info).await?);
        Worked::done(append::ingest(run, contract, copy).await?)
    };
    if let Some(known) = known
        && let Some(warning) = replaced(run, known, is_log, &worked).await?
    {
        worked.warnings.push(warning);
    }
    record.datasets = worked.datasets;
    record.warnings = worked.warnings;
    Ok(match worked.skipped {
        Some(reason) => Work::Skipped(SkipReason::AlreadyCommitted, reason),
        None => Work::Done(Vec::new()),
    })
}

/// The warning for an object whose content is not the former one, nor a continuation of it; None otherwise.
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
                "its content differs from that of version {}, and does not continue it: the rows of \
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
            "its content differs from that of version {}, and does not continue it: its rows \
             replaced those",
            known.version
        )
    }))
}

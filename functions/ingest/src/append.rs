//! Objects whose rows are added to a table: logs, posts, events. A new version of an object
//! replaces the rows of the former one.

use std::sync::Arc;

use tarn_core::contract::Contract;
use tarn_core::run::DatasetOutcome;
use tarn_core::schema::TableSpec;
use tarn_core::{Error, ErrorKind, Result};
use tarn_engine::check::Survey;
use tarn_engine::dedup::ExistingFile;
use tarn_engine::ingest::{Job, Staged};
use tarn_engine::parquet::ParquetFile;
use tarn_engine::{replace, source};
use tarn_lake::{LocalFiles, blocking, source_version, staged_files};
use tarn_table::{Base, Change, Committed, FileFilter, SourceRef, Table, VersionRef};

use crate::evolve::{evolved, prepend};
use crate::quarantine::Quarantine;
use crate::rules::Tables;
use crate::{ATTEMPTS, Run, back_off};

pub(crate) async fn ingest(run: &Run<'_>, mut contract: Arc<Contract>) -> Result<DatasetOutcome> {
    let mut drift = Vec::new();
    for attempt in 0..ATTEMPTS {
        let spec = contract.table_spec();
        let quarantine = Quarantine::open(run, &contract).await?;
        let table = run.lake.tables.ensure(&spec).await?;
        // A former run may have been stopped between its commit and the ledger: its snapshot says what
        // it did, and its rejected rows were in quarantine before.
        if !run.again
            && let Some(outcome) = committed_outcome(run, &table)?
        {
            return Ok(outcome);
        }
        // Whether an event is a duplicate depends on the table: after a commit by somebody else in
        // between it is read and checked again.
        let (base, existing) = match contract.deduplication {
            Some(_) => (
                Base::Exactly(table.current_snapshot_id()),
                existing(run, &table).await?,
            ),
            None => (Base::Any, LocalFiles::default()),
        };
        let mut staged = stage(run, &contract, &table, &quarantine, existing).await?;
        if !staged.new_columns.is_empty() {
            drift = staged.outcome.drift;
            contract = evolved(run, &contract, staged.new_columns).await?;
            continue;
        }
        prepend(&drift, &mut staged.outcome.drift);
        quarantine.commit(run, &staged.rejected).await?;
        let marks = Marks {
            unless_committed: !run.again,
            outcome: Some(&staged.outcome),
        };
        let committed = match base {
            Base::Any => replace(run, &spec, &staged.accepted, &marks).await,
            Base::Exactly(_) => replace_on(run, &spec, &staged.accepted, &marks, base).await,
        };
        match committed {
            Ok(snapshot_id) => {
                staged.outcome.snapshot_id = snapshot_id;
                return Ok(staged.outcome);
            }
            Err(error) if error.kind() == ErrorKind::Conflict => back_off(attempt).await,
            Err(error) => return Err(error),
        }
    }
    Err(changed_all_the_time(&contract.table_spec()))
}

fn changed_all_the_time(spec: &TableSpec) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!("{} is changed by others all the time; try again", spec.name),
    )
}

/// The snapshot property that holds the counts of a run as JSON, the verdicts of its checks and the profile left out.
const OUTCOME: &str = "tarn.outcome";

/// What an earlier run of this very version did, where it got as far as its commit.
fn committed_outcome(run: &Run<'_>, table: &Table) -> Result<Option<DatasetOutcome>> {
    let Some(snapshot_id) = table.committed(&source_ref(run), APPEND) else {
        return Ok(None);
    };
    let versions = table.versions();
    let version = versions
        .iter()
        .find(|version| version.snapshot_id == snapshot_id);
    let Some(text) = version.and_then(|version| version.summary.get(OUTCOME)) else {
        return Ok(None);
    };
    let outcome: DatasetOutcome = serde_json::from_str(text).map_err(|error| {
        Error::new(
            ErrorKind::Storage,
            format!("snapshot {snapshot_id} does not say what it holds"),
        )
        .with_source(error)
    })?;
    Ok(Some(DatasetOutcome {
        snapshot_id: Some(snapshot_id),
        ..outcome
    }))
}

/// What a commit says of itself.
#[derive(Default)]
pub(crate) struct Marks<'a> {
    /// Make no second snapshot of the same version.
    unless_committed: bool,
    /// The counts to be found again after a crash.
    outcome: Option<&'a DatasetOutcome>,
}

/// The table's files but those that hold rows of this very object alone.
pub(crate) async fn existing(run: &Run<'_>, table: &Table) -> Result<LocalFiles> {
    let mut files = table.files(&VersionRef::Current, None).await?;
    files.retain(|file| file.partition.is_some() && file.only_source() != Some(run.uri.as_str()));
    run.lake.fetch_files(files).await
}

/// The files as the engine looks for duplicates in them.
pub(crate) fn existing_of(files: &LocalFiles, uris: &[String]) -> Vec<ExistingFile> {
    files
        .iter()
        .filter_map(|(file, path)| {
            Some(ExistingFile {
                path: path.to_owned(),
                day: file.partition?,
                rows: file.rows,
                own: match file.only_source() {
                    Some(_) => Vec::new(),
                    None => uris.to_vec(),
                },
            })
        })
        .collect()
}

async fn stage(
    run: &Run<'_>,
    contract: &Arc<Contract>,
    table: &Table,
    quarantine: &Quarantine,
    existing: LocalFiles,
) -> Result<Staged> {
    let copy = run.lake.objects.fetch_version(&run.info).await?;
    let mut tables = Tables::open(run, std::slice::from_ref(contract)).await?;
    let (contract, fields, quarantine) = (contract.clone(), table.fields(), quarantine.layout());
    let (uris, put_at) = (run.uris.clone(), run.info.last_modified.timestamp_micros());
    let stamp = run.stamp(&contract.version);
    let staging = run.staging.subfolder(&contract.dataset)?;
    let (bytes, key) = (run.info.size, run.key(&contract).await?);
    blocking(move || {
        // Whether a value is far from the others shows once all of them were seen.
        let survey = match contract.has_outlier_rule() {
            true => {
                let mut reader = source::open(&contract, copy.path())?;
                Some(Survey::of(reader.as_mut(), &contract)?)
            }
            false => None,
        };
        let mut reader = source::open(&contract, copy.path())?;
        let job = Job {
            contract: &contract,
            fields,
            quarantine,
            stamp,
            key,
            staging,
            existing: existing_of(&existing, &uris),
            bytes,
            put_at,
            references: tables.references(&contract)?,
            survey,
        };
        // `existing` lives until the end of the run: it keeps the files readable.
        let mut staged = tarn_engine::ingest::run(reader.as_mut(), &job)?;
        tables.stage(&job, &staged, &uris);
        tables.judge(&contract, &mut staged.outcome)?;
        Ok(staged)
    })
    .await
}

/// The kind of snapshot that an ingest of an object makes.
const APPEND: &str = "ingest";

fn source_ref(run: &Run<'_>) -> SourceRef {
    SourceRef {
        uri: run.uri.clone(),
        version: source_version(&run.info),
    }
}

/// Puts rows of the run's object in the place of those of its former versions; None where there
/// were none and are none.
pub(crate) async fn replace(
    run: &Run<'_>,
    spec: &TableSpec,
    files: &[ParquetFile],
    marks: &Marks<'_>,
) -> Result<Option<i64>> {
    for attempt in 0..ATTEMPTS {
        match replace_on(run, spec, files, marks, Base::Any).await {
            // A file that was to be replaced was replaced by somebody else: look again.
            Err(error) if error.kind() == ErrorKind::Conflict => back_off(attempt).await,
            other => return other,
        }
    }
    Err(changed_all_the_time(spec))
}

async fn replace_on(
    run: &Run<'_>,
    spec: &TableSpec,
    files: &[ParquetFile],
    marks: &Marks<'_>,
    base: Base,
) -> Result<Option<i64>> {
    let table = run.lake.table(&spec.name).await?;
    let mut add = staged_files(run.lake, &spec.name, &run.id, files).await?;
    let mut remove = Vec::new();
    for file in table
        .files(
            &VersionRef::Current,
            Some(&FileFilter::source_uri(&run.uri)),
        )
        .await?
    {
        if file.only_source() != Some(run.uri.as_str()) {
            // A compaction by another engine put rows of several objects into one file.
            let copy = run.lake.fetch_file(&file).await?;
            let staging = run.staging.subfolder(&format!("rest-{}", remove.len()))?;
            let (fields, uris) = (table.fields(), run.uris.clone());
            let partitioning = spec.partitioning.clone();
            let rest = blocking(move || {
                replace::without_source(
                    &fields,
                    copy.path(),
                    &uris,
                    partitioning.as_ref(),
                    &staging,
                )
            })
            .await?;
            add.extend(staged_files(run.lake, &spec.name, &run.id, &rest).await?);
        }
        remove.push(file.uri);
    }
    let mut summary = run.summary();
    if let Some(outcome) = marks.outcome {
        let counts = DatasetOutcome {
            checks: Vec::new(),
            profile: Vec::new(),
            ..outcome.clone()
        };
        let text = serde_json::to_string(&counts)
            .map_err(|error| Error::internal("counts cannot be written down").with_source(error))?;
        summary.insert(OUTCOME.to_owned(), text);
    }
    let change = Change {
        add,
        remove,
        base,
        sources: vec![source_ref(run)],
        kind: APPEND.to_owned(),
        unless_committed: marks.unless_committed,
        snapshot: None,
        summary,
    };
    Ok(match run.lake.tables.commit(&spec.name, change).await? {
        Committed::Done { snapshot_id, .. } | Committed::AlreadyThere { snapshot_id, .. } => {
            Some(snapshot_id)
        }
        Committed::NothingToDo => None,
    })
}

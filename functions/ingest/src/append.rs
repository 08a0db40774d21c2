//! Objects whose rows are added to a table: logs, posts, events. A new version of an object
//! replaces the rows of the former one.

use std::sync::Arc;

use tarn_core::contract::Contract;
use tarn_core::run::DatasetOutcome;
use tarn_core::schema::TableSpec;
use tarn_core::{Error, ErrorKind, Result};
use tarn_engine::dedup::ExistingFile;
use tarn_engine::ingest::{Job, Staged};
use tarn_engine::parquet::ParquetFile;
use tarn_engine::{replace, source};
use tarn_lake::{blocking, source_version, staged_files};
use tarn_table::{Base, Change, Committed, FileFilter, SourceRef, Table, VersionRef};

use crate::quarantine::Quarantine;
use crate::{ATTEMPTS, Run, back_off};

pub(crate) async fn ingest(run: &Run<'_>, contract: Arc<Contract>) -> Result<DatasetOutcome> {
    let spec = contract.table_spec();
    let quarantine = Quarantine::open(run).await?;
    if contract.deduplication.is_none() {
        let table = run.lake.tables.ensure(&spec).await?;
        let staged = stage(run, &contract, &table, &quarantine, Vec::new()).await?;
        quarantine.commit(run, &staged.rejected).await?;
        let mut outcome = staged.outcome;
        outcome.snapshot_id = replace(run, &spec, &staged.accepted).await?;
        return Ok(outcome);
    }
    // Whether an event is a duplicate depends on the table: a commit by somebody else in between
    // means looking again.
    for attempt in 0..ATTEMPTS {
        let table = run.lake.tables.ensure(&spec).await?;
        let staged = stage(
            run,
            &contract,
            &table,
            &quarantine,
            existing(run, &table).await?,
        )
        .await?;
        quarantine.commit(run, &staged.rejected).await?;
        let base = Base::Exactly(table.current_snapshot_id());
        match replace_on(run, &spec, &staged.accepted, base).await {
            Ok(snapshot_id) => {
                return Ok(DatasetOutcome {
                    snapshot_id,
                    ..staged.outcome
                });
            }
            Err(error) if error.kind() == ErrorKind::Conflict => back_off(attempt).await,
            Err(error) => return Err(error),
        }
    }
    Err(Error::new(
        ErrorKind::Conflict,
        format!("{} is changed by others all the time", spec.name),
    ))
}

async fn existing(run: &Run<'_>, table: &Table) -> Result<Vec<ExistingFile>> {
    let mut existing = Vec::new();
    for file in table.files(&VersionRef::Current, None).await? {
        if file.only_source() == Some(run.uri.as_str()) {
            continue;
        }
        if let Some(day) = file.partition {
            let copy = run.lake.objects.fetch(&file.key).await?;
            existing.push(ExistingFile {
                path: copy.path().to_owned(),
                day,
                rows: file.rows,
            });
        }
    }
    Ok(existing)
}

async fn stage(
    run: &Run<'_>,
    contract: &Arc<Contract>,
    table: &Table,
    quarantine: &Quarantine,
    existing: Vec<ExistingFile>,
) -> Result<Staged> {
    let copy = run.lake.objects.fetch(&run.info.key).await?;
    let (contract, fields, quarantine) = (contract.clone(), table.fields(), quarantine.layout());
    let stamp = run.stamp(&contract.version);
    let staging = run.staging.subfolder(&contract.dataset)?;
    let bytes = run.info.size;
    blocking(move || {
        let mut reader = source::open(&contract, copy.path())?;
        let job = Job {
            contract: &contract,
            fields,
            quarantine,
            stamp,
            staging,
            existing,
            bytes,
        };
        tarn_engine::ingest::run(reader.as_mut(), &job)
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
) -> Result<Option<i64>> {
    for attempt in 0..ATTEMPTS {
        match replace_on(run, spec, files, Base::Any).await {
            // A file that was to be replaced was replaced by somebody else: look again.
            Err(error) if error.kind() == ErrorKind::Conflict => back_off(attempt).await,
            other => return other,
        }
    }
    Err(Error::new(
        ErrorKind::Conflict,
        format!("{} is changed by others all the time", spec.name),
    ))
}

async fn replace_on(
    run: &Run<'_>,
    spec: &TableSpec,
    files: &[ParquetFile],
    base: Base,
) -> Result<Option<i64>> {
    let table = run.lake.table(&spec.name).await?;
    // A former run may have been stopped between its commit and the ledger.
    if let Some(snapshot) = table.committed(&source_ref(run), APPEND) {
        return Ok(Some(snapshot));
    }
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
            let copy = run.lake.objects.fetch(&file.key).await?;
            let staging = run.staging.subfolder(&format!("rest-{}", remove.len()))?;
            let (fields, uri) = (table.fields(), run.uri.clone());
            let partitioning = spec.partitioning.clone();
            let rest = blocking(move || {
                replace::without_source(&fields, copy.path(), &uri, partitioning.as_ref(), &staging)
            })
            .await?;
            add.extend(staged_files(run.lake, &spec.name, &run.id, &rest).await?);
        }
        remove.push(file.uri);
    }
    let change = Change {
        add,
        remove,
        base,
        sources: vec![source_ref(run)],
        kind: APPEND.to_owned(),
        unless_committed: true,
        summary: run.summary(),
    };
    Ok(match run.lake.tables.commit(&spec.name, change).await? {
        Committed::Done { snapshot_id, .. } | Committed::AlreadyThere { snapshot_id, .. } => {
            Some(snapshot_id)
        }
        Committed::NothingToDo => None,
    })
}

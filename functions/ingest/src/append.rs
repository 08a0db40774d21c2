//! Objects whose rows are added to a table, and take the place of those of the object's former versions:
//! posts, and events that are told by a column or by their stream.

use std::collections::BTreeSet;
use std::sync::Arc;

use tarn_contract::Contract;
use tarn_core::content::Measure;
use tarn_core::ports::LocalCopy;
use tarn_core::run::DatasetOutcome;
use tarn_core::schema::{TableField, TableSpec};
use tarn_core::{Error, ErrorKind, Result};
use tarn_engine::ingest::ExistingFile;
use tarn_engine::ingest::newest::Later;
use tarn_engine::ingest::{Job, Staged};
use tarn_engine::remove::RowsOf;
use tarn_lake::{LocalFiles, blocking};
use tarn_rows::check::Survey;
use tarn_rows::source::{self, Part};
use tarn_table::{Base, Table, VersionRef};

use crate::commit::{self, Put, committed_outcome};
use crate::evolve::{evolved, prepend};
use crate::newest::{self, Rewritten};
use crate::quarantine::Quarantine;
use crate::rules::Tables;
use crate::run::Run;
use crate::{ATTEMPTS, back_off};

pub(crate) async fn ingest(
    run: &Run<'_>,
    mut contract: Arc<Contract>,
    copy: Arc<LocalCopy>,
) -> Result<DatasetOutcome> {
    let mut drift = Vec::new();
    let rows = [RowsOf::object(&run.uris)];
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
        // Whether an event is a duplicate, or which of equal rows is the newest, depends on the table: after
        // a commit by somebody else in between it is read and checked again.
        let compares = contract.deduplication.is_some() || !contract.newest_by.is_empty();
        let base = match compares {
            true => Base::Exactly(table.current_snapshot_id()),
            false => Base::Any,
        };
        let reading = Reading {
            copy: Arc::clone(&copy),
            part: None,
            lengths: None,
            replaces: rows.to_vec(),
        };
        let (mut staged, rewritten) =
            stage_of(run, &contract, Some(&table), &quarantine, &reading).await?;
        if !staged.new_columns.is_empty() {
            drift = staged.outcome.drift;
            contract = evolved(run, &contract, staged.new_columns).await?;
            continue;
        }
        prepend(&drift, &mut staged.outcome.drift);
        quarantine.commit(run, &staged.rejected).await?;
        let committed = commit::put(
            run,
            Put {
                spec: &spec,
                files: &staged.accepted,
                replaces: &rows,
                rewritten: &rewritten,
                base,
                unless_committed: !run.again,
                outcome: Some(&staged.outcome),
                takeover: run.takeover(),
            },
        );
        match committed.await {
            Ok(done) => {
                staged.outcome.snapshot_id = done.snapshot_id;
                return Ok(staged.outcome);
            }
            Err(error) if error.kind() == ErrorKind::Conflict => back_off(attempt).await,
            Err(error) => return Err(error),
        }
    }
    Err(changed_all_the_time(&contract.table_spec()))
}

/// Reads, checks and splits an object, held against the rows of the table where its contract asks for that:
/// what is to be committed, and the files of the table that rows of other objects leave.
pub(crate) async fn stage_of(
    run: &Run<'_>,
    contract: &Arc<Contract>,
    table: Option<&Table>,
    quarantine: &Quarantine,
    reading: &Reading,
) -> Result<(Staged, Vec<Rewritten>)> {
    let fields = match table {
        Some(table) if !run.dry => table.fields(),
        _ => run.fields(&contract.table_spec()).await?,
    };
    if !contract.newest_by.is_empty() {
        return newest::stage(run, contract, table, &fields, quarantine, reading).await;
    }
    let existing = match (&contract.deduplication, table) {
        (Some(_), Some(table)) => existing(run, table).await?,
        _ => LocalFiles::default(),
    };
    let (staged, _) = stage(run, contract, &fields, quarantine, existing, reading).await?;
    Ok((staged, Vec::new()))
}

pub(crate) fn changed_all_the_time(spec: &TableSpec) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!("{} is changed by others all the time; try again", spec.name),
    )
}

/// The table's files but those that hold rows of this very object alone.
async fn existing(run: &Run<'_>, table: &Table) -> Result<LocalFiles> {
    let mut files = table.files(&VersionRef::Current, None).await?;
    files.retain(|file| file.partition.is_some() && file.only_source() != Some(run.uri.as_str()));
    run.lake.fetch_files(files).await
}

/// The files as the engine looks for duplicates in them.
fn existing_of(files: &LocalFiles, uris: &[String]) -> Vec<ExistingFile> {
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

/// What is read of an object, and what becomes of it.
pub(crate) struct Reading {
    /// The object.
    pub copy: Arc<LocalCopy>,
    /// Some of its lines; None for all, of any format.
    pub part: Option<Part>,
    /// Measure it on the way, at these lengths too.
    pub lengths: Option<BTreeSet<u64>>,
    /// The rows of the table that its rows take the place of.
    pub replaces: Vec<RowsOf>,
}

/// An object as it was read: its rules over tables are not judged yet.
pub(crate) struct Read {
    pub staged: Staged,
    /// It is there where it was asked for.
    pub measure: Option<Measure>,
    tables: Tables,
}

/// Reads, checks and splits an object. The measure is there where it was asked for.
pub(crate) async fn stage(
    run: &Run<'_>,
    contract: &Arc<Contract>,
    fields: &[TableField],
    quarantine: &Quarantine,
    existing: LocalFiles,
    reading: &Reading,
) -> Result<(Staged, Option<Measure>)> {
    let later = Arc::default();
    let mut read = read(run, contract, fields, quarantine, existing, reading, later).await?;
    let measure = read.measure.take();
    let staged = judge(contract, fields, quarantine, reading, read, &[]).await?;
    Ok((staged, measure))
}

/// Reads and splits an object, without the rules over tables.
pub(crate) async fn read(
    run: &Run<'_>,
    contract: &Arc<Contract>,
    fields: &[TableField],
    quarantine: &Quarantine,
    existing: LocalFiles,
    reading: &Reading,
    later: Arc<Later>,
) -> Result<Read> {
    let tables = Tables::open(run, std::slice::from_ref(contract)).await?;
    let (contract, fields, quarantine) = (contract.clone(), fields.to_vec(), quarantine.layout());
    let (uris, put_at) = (run.uris.clone(), run.info.last_modified.timestamp_micros());
    let system_columns = run.system_columns(&contract.version);
    let staging = run.staging.subfolder(&contract.dataset)?;
    let (bytes, key) = (run.info.size, run.key(&contract).await?);
    let (copy, part) = (Arc::clone(&reading.copy), reading.part.clone());
    let lengths = reading.lengths.clone();
    blocking(move || {
        let path = copy.path();
        let open = |lengths: Option<&BTreeSet<u64>>| match &part {
            Some(part) => source::open_part(&contract, path, part, lengths),
            None => source::open(&contract, path),
        };
        // Whether a value is far from the others shows once all of them were seen.
        let survey = match contract.has_outlier_rule() {
            true => Some(Survey::of(open(None)?.as_mut(), &contract)?),
            false => None,
        };
        let mut reader = open(lengths.as_ref())?;
        let job = Job {
            contract: &contract,
            fields,
            quarantine,
            system_columns,
            key,
            staging,
            existing: existing_of(&existing, &uris),
            bytes,
            put_at,
            references: tables.references(&contract)?,
            survey,
            later,
        };
        // `existing` lives until the end of the run: it keeps the files readable.
        let staged = tarn_engine::ingest::run(reader.as_mut(), &job)?;
        Ok(Read {
            staged,
            measure: reader.measured(),
            tables,
        })
    })
    .await
}

/// Judges the rules over tables as they will be, also without the rows that leave some of their files.
pub(crate) async fn judge(
    contract: &Arc<Contract>,
    fields: &[TableField],
    quarantine: &Quarantine,
    reading: &Reading,
    read: Read,
    rewritten: &[Rewritten],
) -> Result<Staged> {
    let Read {
        mut staged,
        mut tables,
        ..
    } = read;
    let (contract, fields) = (Arc::clone(contract), fields.to_vec());
    let (rejected_fields, _) = quarantine.layout();
    tables.rewrite(&contract.dataset, rewritten);
    let replaces = reading.replaces.clone();
    blocking(move || {
        tables.stage(&contract, (&fields, &rejected_fields), &staged, &replaces);
        tables.judge(&contract, &mut staged.outcome)?;
        Ok(staged)
    })
    .await
}

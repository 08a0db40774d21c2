//! Objects whose rows are added to a table, and take the place of those of the object's former versions:
//! posts, and events that are told by a column or by their stream.

use std::collections::BTreeSet;
use std::sync::Arc;

use tarn_core::content::Measure;
use tarn_core::contract::Contract;
use tarn_core::ports::LocalCopy;
use tarn_core::run::DatasetOutcome;
use tarn_core::schema::TableSpec;
use tarn_core::{Error, ErrorKind, Result};
use tarn_engine::check::Survey;
use tarn_engine::dedup::ExistingFile;
use tarn_engine::ingest::{Job, Staged};
use tarn_engine::replace::RowsOf;
use tarn_engine::source::{self, Part};
use tarn_lake::{LocalFiles, blocking};
use tarn_table::{Base, Table, VersionRef};

use crate::commit::{self, Put, committed_outcome};
use crate::evolve::{evolved, prepend};
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
        // Whether an event is a duplicate depends on the table: after a commit by somebody else in
        // between it is read and checked again.
        let (base, existing) = match contract.deduplication {
            Some(_) => (
                Base::Exactly(table.current_snapshot_id()),
                existing(run, &table).await?,
            ),
            None => (Base::Any, LocalFiles::default()),
        };
        let reading = Reading {
            copy: Arc::clone(&copy),
            part: None,
            lengths: None,
            replaces: rows.to_vec(),
        };
        let (mut staged, _) = stage(run, &contract, &table, &quarantine, existing, reading).await?;
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

pub(crate) fn changed_all_the_time(spec: &TableSpec) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!("{} is changed by others all the time; try again", spec.name),
    )
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

/// Reads, checks and splits an object. The measure is there where it was asked for.
pub(crate) async fn stage(
    run: &Run<'_>,
    contract: &Arc<Contract>,
    table: &Table,
    quarantine: &Quarantine,
    existing: LocalFiles,
    reading: Reading,
) -> Result<(Staged, Option<Measure>)> {
    let mut tables = Tables::open(run, std::slice::from_ref(contract)).await?;
    let (contract, fields, quarantine) = (contract.clone(), table.fields(), quarantine.layout());
    let (uris, put_at) = (run.uris.clone(), run.info.last_modified.timestamp_micros());
    let stamp = run.stamp(&contract.version);
    let staging = run.staging.subfolder(&contract.dataset)?;
    let (bytes, key) = (run.info.size, run.key(&contract).await?);
    blocking(move || {
        let path = reading.copy.path();
        let open = |lengths: Option<&BTreeSet<u64>>| match &reading.part {
            Some(part) => source::open_part(&contract, path, part, lengths),
            None => source::open(&contract, path),
        };
        // Whether a value is far from the others shows once all of them were seen.
        let survey = match contract.has_outlier_rule() {
            true => Some(Survey::of(open(None)?.as_mut(), &contract)?),
            false => None,
        };
        let mut reader = open(reading.lengths.as_ref())?;
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
        tables.stage(&job, &staged, &reading.replaces);
        tables.judge(&contract, &mut staged.outcome)?;
        Ok((staged, reader.measured()))
    })
    .await
}

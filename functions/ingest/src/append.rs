//! Objects whose rows are added to a table, and replace those of the object's former versions: posts, and
//! events.

use std::collections::BTreeSet;
use std::sync::Arc;

use tarn_contract::Contract;
use tarn_core::content::Measure;
use tarn_core::ports::LocalCopy;
use tarn_core::run::DatasetOutcome;
use tarn_core::schema::TableSpec;
use tarn_core::{Error, ErrorKind, Result};
use tarn_engine::ingest::newest::Later;
use tarn_engine::ingest::{Earlier, Job, Nothing, Staged};
use tarn_lake::{Lake, blocking};
use tarn_rows::check::Survey;
use tarn_rows::planned::RowsOf;
use tarn_rows::source::{self, Part};
use tarn_table::{Base, Table};

use crate::commit::{self, Put, committed_outcome};
use crate::earlier::{Copies, EarlierFiles};
use crate::evolve::{evolved, prepend};
use crate::job::{JobInputs, Target};
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
    let copies = Copies::default();
    for attempt in 0..ATTEMPTS {
        let spec = contract.table_spec();
        let quarantine = Quarantine::open(run, &contract).await?;
        let table = run.lake.tables.ensure(&spec).await?;
        // An earlier run may have stopped between its commit and the ledger. Its snapshot says what it did,
        // and its rejected rows went to quarantine before.
        if !run.again
            && let Some(outcome) = committed_outcome(run, &table)?
        {
            return Ok(outcome);
        }
        // Whether an event is a duplicate, or which of equal rows is the newest, depends on the table: if
        // another writer commits in between, the object is read and checked again.
        let compares = contract.deduplication.is_some() || !contract.newest_by.is_empty();
        let base = if compares {
            Base::Exactly(table.current_snapshot_id())
        } else {
            Base::Any
        };
        let reading = Reading {
            copy: Arc::clone(&copy),
            part: None,
            lengths: None,
            replaces: rows.to_vec(),
        };
        let target = Arc::new(Target {
            contract: Arc::clone(&contract),
            fields: table.fields(),
            quarantine,
        });
        let (mut staged, rewritten) =
            stage_of(run, &target, Some(&table), &reading, &copies).await?;
        if !staged.new_columns.is_empty() {
            drift = staged.outcome.drift;
            contract = evolved(run, &contract, staged.new_columns).await?;
            continue;
        }
        prepend(&drift, &mut staged.outcome.drift);
        target.quarantine.commit(run, &staged.rejected).await?;
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

/// Reads, checks and splits an object, and compares its rows with those of the table where the contract asks
/// for that. Returns what is to be committed, and the files of the table that lose rows to it.
pub(crate) async fn stage_of(
    run: &Run<'_>,
    target: &Arc<Target>,
    table: Option<&Table>,
    reading: &Reading,
    copies: &Copies,
) -> Result<(Staged, Vec<Rewritten>)> {
    if !target.contract.newest_by.is_empty() {
        return newest::stage(run, target, table, reading).await;
    }
    let earlier: Arc<dyn Earlier> = match (&target.contract.deduplication, table) {
        (Some(rule), Some(table)) => {
            Arc::new(EarlierFiles::new(run, table, &rule.column, copies.clone())?)
        }
        _ => Arc::new(Nothing),
    };
    let (staged, _) = stage(run, target, earlier, reading).await?;
    Ok((staged, Vec::new()))
}

pub(crate) fn changed_all_the_time(spec: &TableSpec) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!("other writers change {} all the time; try again", spec.name),
    )
}

/// Which part of an object is read, and which rows it replaces.
pub(crate) struct Reading {
    /// The object.
    pub copy: Arc<LocalCopy>,
    /// Some of its lines; None for all, of any format.
    pub part: Option<Part>,
    /// Measure it on the way, at these lengths too.
    pub lengths: Option<BTreeSet<u64>>,
    /// The rows of the table that its rows replace.
    pub replaces: Vec<RowsOf>,
}

/// An object as it was read: its rules over tables are not judged yet.
pub(crate) struct Read {
    pub staged: Staged,
    /// It is there where it was asked for.
    pub measure: Option<Measure>,
    tables: Tables,
}

/// Reads, checks and splits an object. The measure is there where it was asked for. Repeated rows are looked
/// for in `earlier` files of the table.
pub(crate) async fn stage(
    run: &Run<'_>,
    target: &Arc<Target>,
    earlier: Arc<dyn Earlier>,
    reading: &Reading,
) -> Result<(Staged, Option<Measure>)> {
    let compared = Compared {
        earlier,
        later: Arc::default(),
    };
    let mut read = read(run, target, compared, reading).await?;
    let measure = read.measure.take();
    let staged = judge(run.lake, target, reading, read, &[]).await?;
    Ok((staged, measure))
}

/// What the rows of an object are compared with as they are read.
pub(crate) struct Compared {
    /// The table's files in which a repeated row may be.
    pub earlier: Arc<dyn Earlier>,
    /// Keys of rows of objects that were put later.
    pub later: Arc<Later>,
}

/// Reads and splits an object, without the rules over tables.
pub(crate) async fn read(
    run: &Run<'_>,
    target: &Arc<Target>,
    compared: Compared,
    reading: &Reading,
) -> Result<Read> {
    let tables = Tables::open(run, std::slice::from_ref(&target.contract)).await?;
    let inputs = JobInputs::gather(run, target).await?;
    let target = Arc::clone(target);
    let (copy, part) = (Arc::clone(&reading.copy), reading.part.clone());
    let lengths = reading.lengths.clone();
    blocking(move || {
        let contract = &target.contract;
        let open = |lengths: Option<&BTreeSet<u64>>| match &part {
            Some(part) => source::open_part(contract, copy.path(), part, lengths),
            None => source::open(contract, copy.path()),
        };
        // Whether a value is far from the others shows only after all of them were read.
        let survey = if contract.has_outlier_rule() {
            Some(Survey::of(open(None)?.as_mut(), contract)?)
        } else {
            None
        };
        let mut reader = open(lengths.as_ref())?;
        let job = Job {
            earlier: Arc::clone(&compared.earlier),
            later: Arc::clone(&compared.later),
            ..inputs.into_job(&target, tables.references(contract)?, survey)
        };
        let staged = tarn_engine::ingest::run(reader.as_mut(), &job)?;
        Ok(Read {
            staged,
            measure: reader.measured(),
            tables,
        })
    })
    .await
}

/// Applies the rules over tables to the tables as they will be, without the rows that `rewritten` files lose.
pub(crate) async fn judge(
    lake: &Lake,
    target: &Arc<Target>,
    reading: &Reading,
    read: Read,
    rewritten: &[Rewritten],
) -> Result<Staged> {
    let Read {
        mut staged,
        mut tables,
        ..
    } = read;
    let target = Arc::clone(target);
    tables.rewrite(&target.contract.dataset, rewritten);
    tables.stage(&target, &staged, &reading.replaces);
    let answers = tables.answers(lake, &target.contract).await?;
    blocking(move || {
        tables.judge(&target.contract, &answers, &mut staged.outcome)?;
        Ok(staged)
    })
    .await
}

//! From one object to staged Parquet files: read, check, protect, deduplicate, split into accepted
//! and rejected rows, with bounded memory.

mod bloom;
mod duplicates;
mod identifiers;
mod job;
pub mod newest;
mod sink;

pub use bloom::{Earlier, ExistingFile, Nothing};
pub use identifiers::IdentifierIndex;
pub use job::{Job, Staged};

use tarn_core::Result;

use crate::ingest::duplicates::Filters;
use crate::ingest::sink::Sink;
use tarn_rows::batch::Reader;
use tarn_rows::check::{Checks, Facts};
use tarn_rows::drift::{self};
use tarn_rows::impute::Imputer;
use tarn_rows::profile::Profiler;

/// Reads an object to its end. An error means that the object as a whole cannot be read; nothing of
/// it is to be committed.
pub fn run(reader: &mut dyn Reader, job: &Job<'_>) -> Result<Staged> {
    let contract = job.contract;
    let mut sink = Sink::new(job)?;
    let mut checks = Checks::new(contract, &job.references, job.survey.as_ref(), &job.staging)?;
    let mut profiler = Profiler::new(contract, contract.measures(), &job.staging);
    let imputer = Imputer::new(contract)?;
    let mut filters = Filters::new(job, reader)?;
    while let Some(mut batch) = reader.next_batch()? {
        profiler.add(&batch)?;
        imputer.apply(&mut batch);
        checks.apply(&mut batch)?;
        sink.protector.apply(&mut batch)?;
        job.later.reject(contract, &mut batch);
        filters.write(batch, &mut sink)?;
    }
    filters.finish(&mut sink)?;
    let types = std::mem::take(&mut sink.types);
    (sink.outcome.drift, sink.new_columns) = drift::decide(
        contract,
        &job.fields,
        &reader.new_columns(),
        types,
        sink.outcome.received,
    )?;
    sink.outcome.inserted = sink.outcome.accepted;
    let profiled = profiler.finish()?;
    sink.outcome.checks = checks.results(&Facts {
        outcome: &sink.outcome,
        profiled: &profiled,
        source_columns: reader.source_columns(),
        now: job.system_columns.ingested_at,
        put_at: job.put_at,
    })?;
    sink.outcome.profile = profiled.columns();
    sink.outcome.partitions = profiled.partitions();
    sink.finish()
}

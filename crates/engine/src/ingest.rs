//! From one object to staged Parquet files: read, check, protect, deduplicate, split into accepted
//! and rejected rows, with bounded memory.

use std::path::PathBuf;
use std::sync::Arc;

use tarn_contract::{Column, Contract};
use tarn_core::Result;
use tarn_core::privacy::PseudonymKey;
use tarn_core::run::DatasetOutcome;
use tarn_core::schema::{Partitioning, TableField, system};

use crate::batch::{Batch, Reader};
use crate::check::{Checks, Facts, References, Survey};
use crate::column::ColumnData;
use crate::dedup::ExistingFile;
use crate::drift::{self, TypeFaults};
use crate::missing::Imputer;
use crate::newest::{Accepted, Later};
use crate::parquet::{ParquetFile, PartitionedWriter, WriterOptions};
use crate::profile::Profiler;
use crate::protect::Protector;
use crate::quarantine;
use crate::stamp::{Stamp, table_columns};
use crate::unique::Filters;

/// What an ingest of one object into one dataset needs to know.
pub struct Job<'a> {
    /// The contract of the dataset.
    pub contract: &'a Contract,
    /// The curated table's columns.
    pub fields: Vec<TableField>,
    /// The columns and partitions of the dataset's quarantine table.
    pub quarantine: (Vec<TableField>, Option<Partitioning>),
    /// The system columns' values.
    pub stamp: Stamp,
    /// The key of pseudonyms, where the contract has personal columns.
    pub key: Option<PseudonymKey>,
    /// An empty folder for the files.
    pub staging: PathBuf,
    /// The table's files in which a duplicate may be, those of this very object excepted.
    pub existing: Vec<ExistingFile>,
    /// Bytes of the object, for sizing.
    pub bytes: u64,
    /// When the object was put, microseconds since 1970-01-01T00:00:00Z.
    pub put_at: i64,
    /// The values of other datasets that the contract's rows refer to.
    pub references: References,
    /// What a first pass over the object found, where the contract asks for outliers.
    pub survey: Option<Survey>,
    /// Where the newest of equal rows stays: keys that later objects have in the table.
    pub later: Arc<Later>,
}

/// Files ready to be committed, and what is in them.
#[derive(Debug)]
pub struct Staged {
    /// Accepted rows.
    pub accepted: Vec<ParquetFile>,
    /// Rejected rows, for the quarantine table.
    pub rejected: Vec<ParquetFile>,
    /// Counts and verdicts.
    pub outcome: DatasetOutcome,
    /// Columns that the source has, the contract lacks, and the contract wants added.
    pub new_columns: Vec<Column>,
    /// Where the newest of equal rows stays: the keys of the accepted rows.
    pub keys: Accepted,
}

/// Rejected rows are laid out for the quarantine table so many at a time: each has long texts.
const REJECTED_ROWS: usize = 1024;

/// Where the rows of a job go.
pub(crate) struct Sink<'a> {
    pub job: &'a Job<'a>,
    protector: Protector<'a>,
    accepted: PartitionedWriter,
    rejected: PartitionedWriter,
    pub outcome: DatasetOutcome,
    types: TypeFaults,
    new_columns: Vec<Column>,
    keys: Accepted,
}

impl<'a> Sink<'a> {
    pub fn new(job: &'a Job<'a>) -> Result<Self> {
        let (quarantine_fields, quarantine_partitioning) = &job.quarantine;
        Ok(Sink {
            job,
            protector: Protector::new(job.contract, job.key.clone())?,
            accepted: PartitionedWriter::new(
                &job.staging,
                "accepted",
                job.fields.clone(),
                job.contract.partitioning.as_ref(),
                WriterOptions::default(),
            )?,
            rejected: PartitionedWriter::new(
                &job.staging,
                "rejected",
                quarantine_fields.clone(),
                quarantine_partitioning.as_ref(),
                WriterOptions {
                    group_bytes: 4 << 20,
                    ..WriterOptions::default()
                },
            )?,
            outcome: DatasetOutcome {
                dataset: job.contract.dataset.clone(),
                contract_version: job.contract.version.clone(),
                ..DatasetOutcome::default()
            },
            types: TypeFaults::default(),
            new_columns: Vec::new(),
            keys: Accepted::new(&job.later),
        })
    }

    /// Writes a checked and protected batch: its rows are accepted, its rejected rows go to quarantine.
    pub fn write(&mut self, batch: Batch) -> Result<()> {
        self.reject(&batch)?;
        let rows = batch.rows();
        self.outcome.accepted += rows as u64;
        self.outcome.received += rows as u64;
        self.outcome.blank += batch.blank;
        self.count_late(&batch);
        self.keys.note(self.job.contract, &batch.columns, rows);
        let names = self
            .job
            .contract
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .chain([system::IMPUTED]);
        let versions = self.protector.key_versions(&batch.columns, |_| false, rows);
        let versions = versions.filter(|_| self.job.contract.pseudonymises());
        let mut named: Vec<(&str, ColumnData)> = names.zip(batch.columns).collect();
        named.extend(versions.map(|versions| (system::KEY_VERSION, versions)));
        let columns = table_columns(&self.job.fields, named, &batch.offsets, &self.job.stamp)?;
        self.accepted.write(columns, rows)
    }

    fn reject(&mut self, batch: &Batch) -> Result<()> {
        let rejected = &batch.rejected;
        self.outcome.rejected += rejected.len() as u64;
        self.outcome.received += rejected.len() as u64;
        for row in rejected {
            self.types.note(self.job.contract, row);
            *self
                .outcome
                .rejected_by
                .entry(row.rule.clone())
                .or_default() += 1;
        }
        for rejected in rejected.chunks(REJECTED_ROWS) {
            let (named, offsets) =
                quarantine::columns(self.job.contract, &self.protector, batch, rejected);
            let columns = table_columns(&self.job.quarantine.0, named, &offsets, &self.job.stamp)?;
            self.rejected.write(columns, rejected.len())?;
        }
        Ok(())
    }

    fn count_late(&mut self, batch: &Batch) {
        let contract = self.job.contract;
        let Some(bound) = contract
            .late_after_seconds
            .and_then(|bound| i64::try_from(bound).ok())
        else {
            return;
        };
        let lateness = contract
            .columns
            .iter()
            .position(|column| column.source_name == "$latenessSeconds");
        if let Some(ColumnData::Long(seconds)) = lateness.and_then(|index| batch.columns.get(index))
        {
            let late = (0..seconds.values.len())
                .filter(|&row| seconds.get(row).is_some_and(|s| s >= bound));
            self.outcome.late += late.count() as u64;
        }
    }

    /// Ends the files.
    pub fn finish(self) -> Result<Staged> {
        Ok(Staged {
            accepted: self.accepted.finish()?,
            rejected: self.rejected.finish()?,
            outcome: self.outcome,
            new_columns: self.new_columns,
            keys: self.keys.completed(),
        })
    }
}

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
        reader.new_columns(),
        types,
        sink.outcome.received,
    )?;
    sink.outcome.inserted = sink.outcome.accepted;
    let profiled = profiler.finish()?;
    sink.outcome.checks = checks.results(&Facts {
        outcome: &sink.outcome,
        profiled: &profiled,
        source_columns: reader.source_columns(),
        now: job.stamp.ingested_at,
        put_at: job.put_at,
    })?;
    sink.outcome.profile = profiled.columns();
    sink.outcome.partitions = profiled.partitions();
    sink.finish()
}

/// The rule that a row with a repeated key breaks.
pub const DUPLICATE: &str = "duplicate";

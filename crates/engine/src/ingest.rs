//! From one object to staged Parquet files: read, check, deduplicate, split into accepted and
//! rejected rows, with bounded memory.

use std::path::PathBuf;

use tarn_core::contract::{Contract, Deduplication};
use tarn_core::run::DatasetOutcome;
use tarn_core::schema::{Partitioning, TableField};
use tarn_core::{Error, Result};

use crate::batch::{Batch, Reader, Rejected};
use crate::check::Checks;
use crate::column::{ColumnData, Plain};
use crate::dedup::{Deduplicator, ExistingFile, Suspect};
use crate::parquet::{ParquetFile, PartitionedWriter, WriterOptions};
use crate::quarantine;
use crate::stamp::{Stamp, table_columns};

/// What an ingest of one object into one dataset needs to know.
pub struct Job<'a> {
    /// The contract of the dataset.
    pub contract: &'a Contract,
    /// The curated table's columns.
    pub fields: Vec<TableField>,
    /// The quarantine table's columns and partitions.
    pub quarantine: (Vec<TableField>, Option<Partitioning>),
    /// The system columns' values.
    pub stamp: Stamp,
    /// An empty folder for the files.
    pub staging: PathBuf,
    /// The table's files in which a duplicate may be, those of this very object excepted.
    pub existing: Vec<ExistingFile>,
    /// Bytes of the object, for sizing.
    pub bytes: u64,
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
}

/// Suspects are decided together once their rows hold so many bytes.
const SUSPECT_BYTES: usize = 4 << 20;

/// Where the rows of a job go.
pub(crate) struct Sink<'a> {
    pub job: &'a Job<'a>,
    accepted: PartitionedWriter,
    rejected: PartitionedWriter,
    pub outcome: DatasetOutcome,
}

impl<'a> Sink<'a> {
    pub fn new(job: &'a Job<'a>) -> Result<Self> {
        let (quarantine_fields, quarantine_partitioning) = &job.quarantine;
        Ok(Sink {
            job,
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
                WriterOptions::default(),
            )?,
            outcome: DatasetOutcome { dataset: job.contract.dataset.clone(), ..DatasetOutcome::default() },
        })
    }

    /// Writes a checked batch: its rows are accepted, its rejected rows go to quarantine.
    pub fn write(&mut self, batch: Batch) -> Result<()> {
        self.reject(&batch.rejected)?;
        let rows = batch.rows();
        self.outcome.accepted += rows as u64;
        self.outcome.received += rows as u64;
        self.outcome.blank += batch.blank;
        self.count_late(&batch);
        let names = self.job.contract.columns.iter().map(|column| column.name.as_str());
        let named = names.zip(batch.columns).collect();
        let columns = table_columns(&self.job.fields, named, &batch.offsets, &self.job.stamp)?;
        self.accepted.write(columns, rows)
    }

    /// Writes rejected rows.
    pub fn reject(&mut self, rejected: &[Rejected]) -> Result<()> {
        if rejected.is_empty() {
            return Ok(());
        }
        self.outcome.rejected += rejected.len() as u64;
        self.outcome.received += rejected.len() as u64;
        for row in rejected {
            *self.outcome.rejected_by.entry(row.rule.clone()).or_default() += 1;
        }
        let (named, offsets) = quarantine::columns(&self.job.contract.dataset, rejected);
        let columns = table_columns(&self.job.quarantine.0, named, &offsets, &self.job.stamp)?;
        self.rejected.write(columns, rejected.len())
    }

    fn count_late(&mut self, batch: &Batch) {
        let contract = self.job.contract;
        let Some(bound) = contract.late_after_seconds.and_then(|bound| i64::try_from(bound).ok()) else {
            return;
        };
        let lateness = contract.columns.iter().position(|column| column.source_name == "$latenessSeconds");
        if let Some(ColumnData::Long(seconds)) = lateness.and_then(|index| batch.columns.get(index)) {
            let late = (0..seconds.values.len()).filter(|&row| seconds.get(row).is_some_and(|s| s >= bound));
            self.outcome.late += late.count() as u64;
        }
    }

    /// Ends the files.
    pub fn finish(self) -> Result<Staged> {
        Ok(Staged {
            accepted: self.accepted.finish()?,
            rejected: self.rejected.finish()?,
            outcome: self.outcome,
        })
    }
}

/// Reads an object to its end. An error means that the object as a whole cannot be read; nothing of
/// it is to be committed.
pub fn run(reader: &mut dyn Reader, job: &Job<'_>) -> Result<Staged> {
    let mut sink = Sink::new(job)?;
    let mut checks = Checks::new(job.contract);
    let mut filter =
        job.contract.deduplication.as_ref().map(|rule| DuplicateFilter::new(rule, job)).transpose()?;
    while let Some(mut batch) = reader.next_batch()? {
        checks.apply(&mut batch)?;
        if let Some(filter) = &mut filter {
            filter.apply(&mut batch)?;
            if filter.is_full() {
                filter.resolve(&mut sink)?;
            }
        }
        sink.write(batch)?;
    }
    if let Some(filter) = &mut filter {
        filter.resolve(&mut sink)?;
    }
    let duplicates = sink.outcome.rejected_by.get(DUPLICATE).copied().unwrap_or_default();
    sink.outcome.inserted = sink.outcome.accepted;
    sink.outcome.checks = checks.results(sink.outcome.received, duplicates);
    sink.finish()
}

/// The rule that a repeated row breaks.
pub const DUPLICATE: &str = "duplicate";

/// Takes events that may be duplicates out of the batches.
struct DuplicateFilter<'a> {
    contract: &'a Contract,
    rule: &'a Deduplication,
    deduplicator: Deduplicator,
    column: usize,
    time: usize,
    /// Rows set aside, in order, and for each its identity.
    pending: Batch,
    suspects: Vec<Suspect<u32>>,
    payload_bytes: usize,
}

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// About so many bytes make an event, for sizing the filter.
const BYTES_PER_EVENT: u64 = 200;

impl<'a> DuplicateFilter<'a> {
    fn new(rule: &'a Deduplication, job: &Job<'a>) -> Result<Self> {
        let contract = job.contract;
        let index = |name: &str| {
            contract
                .columns
                .iter()
                .position(|column| column.name == name)
                .ok_or_else(|| Error::internal(format!("the contract has no column {name}")))
        };
        let time = contract
            .partitioning
            .as_ref()
            .ok_or_else(|| Error::internal("deduplication needs a partition column"))?;
        Ok(DuplicateFilter {
            contract,
            rule,
            deduplicator: Deduplicator::new(
                &rule.column,
                rule.window_days,
                job.existing.clone(),
                job.bytes / BYTES_PER_EVENT,
                &job.staging,
            )?,
            column: index(&rule.column)?,
            time: index(&time.column)?,
            pending: Batch::new(contract),
            suspects: Vec::new(),
            payload_bytes: 0,
        })
    }

    /// Leaves the certainly new rows in the batch and sets the others aside.
    fn apply(&mut self, batch: &mut Batch) -> Result<()> {
        let mut keep = Vec::with_capacity(batch.rows());
        let mut aside: Vec<u32> = Vec::new();
        for row in 0..batch.rows() {
            let (Some(id), Some(day)) = self.identity(batch, row) else {
                // Without an identity there is nothing to compare.
                keep.push(row as u32);
                continue;
            };
            if self.deduplicator.is_new(id, day)? {
                keep.push(row as u32);
            } else {
                let place = (self.suspects.len()) as u32;
                self.suspects.push(self.deduplicator.suspect(id, day, place));
                aside.push(row as u32);
            }
        }
        if aside.is_empty() {
            return Ok(());
        }
        for (to, from) in self.pending.columns.iter_mut().zip(&batch.columns) {
            to.append_rows(from, &aside);
        }
        let mut text = std::sync::Arc::unwrap_or_clone(std::mem::take(&mut self.pending.text));
        for &row in &aside {
            let row = row as usize;
            self.pending.offsets.push(batch.offsets[row]);
            self.pending.lines.push(batch.line(row).unwrap_or_default());
            let begin = text.len();
            text.extend_from_slice(batch.payload(row).unwrap_or_default());
            self.pending.spans.push((begin, text.len()));
        }
        self.payload_bytes = text.len();
        self.pending.text = text.into();
        batch.keep_rows(&keep);
        Ok(())
    }

    fn identity<'b>(&self, batch: &'b Batch, row: usize) -> (Option<&'b [u8]>, Option<i32>) {
        let id = match &batch.columns[self.column] {
            ColumnData::Text(column) => column.get(row),
            _ => None,
        };
        let day = match &batch.columns[self.time] {
            ColumnData::Long(Plain { values, validity }) => validity
                .get(row)
                .then(|| values[row].div_euclid(MICROS_PER_DAY) as i32),
            ColumnData::Int(column) => column.get(row),
            _ => None,
        };
        (id, day)
    }

    fn is_full(&self) -> bool {
        self.payload_bytes >= SUSPECT_BYTES
    }

    /// Decides what was set aside: duplicates are rejected, the others accepted.
    fn resolve(&mut self, sink: &mut Sink<'_>) -> Result<()> {
        if self.suspects.is_empty() {
            return Ok(());
        }
        let mut pending = std::mem::replace(&mut self.pending, Batch::new(self.contract));
        self.payload_bytes = 0;
        let decided = self.deduplicator.resolve(std::mem::take(&mut self.suspects))?;
        let mut keep = Vec::new();
        let mut rejected = Vec::new();
        for (row, repeated) in decided {
            let Some(day) = repeated else {
                keep.push(row);
                continue;
            };
            let row = row as usize;
            let id = self.identity(&pending, row).0.unwrap_or_default();
            let reason = format!(
                "{} {} was accepted before, with event time on {}, within {} days",
                self.rule.column,
                String::from_utf8_lossy(id),
                crate::render::date(day),
                self.rule.window_days
            );
            rejected.push(pending.reject_row(
                self.contract,
                row,
                DUPLICATE,
                Some(&self.rule.column),
                reason,
            ));
        }
        pending.keep_rows(&keep);
        pending.rejected = rejected;
        sink.write(pending)
    }
}

//! From one object to staged Parquet files: read, check, protect, deduplicate, split into accepted
//! and rejected rows, with bounded memory.

use std::borrow::Cow;
use std::path::PathBuf;

use tarn_core::contract::{Contract, Format, TableCheck};
use tarn_core::privacy::PseudonymKey;
use tarn_core::run::DatasetOutcome;
use tarn_core::schema::{Partitioning, TableField, system};
use tarn_core::{Error, Result};

use crate::batch::{Batch, Reader, Rejected};
use crate::check::Checks;
use crate::column::ColumnData;
use crate::dedup::{Deduplicator, ExistingFile, Identity, Suspect};
use crate::parquet::{ParquetFile, PartitionedWriter, WriterOptions};
use crate::protect::Protector;
use crate::quarantine;
use crate::render;
use crate::stamp::{Stamp, table_columns};

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
const SUSPECT_BYTES: usize = 1 << 20;

/// Rejected rows are laid out for the quarantine table so many at a time: each has long texts.
const REJECTED_ROWS: usize = 1024;

/// Where the rows of a job go.
pub(crate) struct Sink<'a> {
    pub job: &'a Job<'a>,
    protector: Protector<'a>,
    accepted: PartitionedWriter,
    rejected: PartitionedWriter,
    pub outcome: DatasetOutcome,
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
                    partition_bytes: 4 << 20,
                    ..WriterOptions::default()
                },
            )?,
            outcome: DatasetOutcome {
                dataset: job.contract.dataset.clone(),
                contract_version: job.contract.version.clone(),
                ..DatasetOutcome::default()
            },
        })
    }

    /// Writes a checked and protected batch: its rows are accepted, its rejected rows go to quarantine.
    pub fn write(&mut self, batch: Batch) -> Result<()> {
        self.reject(&batch.rejected, &batch.turned_away)?;
        let rows = batch.rows();
        self.outcome.accepted += rows as u64;
        self.outcome.received += rows as u64;
        self.outcome.blank += batch.blank;
        self.count_late(&batch);
        let names = self
            .job
            .contract
            .columns
            .iter()
            .map(|column| column.name.as_str());
        let versions = self.protector.key_versions(&batch.columns, |_| false, rows);
        let versions = versions.filter(|_| self.job.contract.pseudonymises());
        let mut named: Vec<(&str, ColumnData)> = names.zip(batch.columns).collect();
        named.extend(versions.map(|versions| (system::KEY_VERSION, versions)));
        let columns = table_columns(&self.job.fields, named, &batch.offsets, &self.job.stamp)?;
        self.accepted.write(columns, rows)
    }

    fn reject(&mut self, rejected: &[Rejected], turned_away: &[ColumnData]) -> Result<()> {
        self.outcome.rejected += rejected.len() as u64;
        self.outcome.received += rejected.len() as u64;
        for row in rejected {
            *self
                .outcome
                .rejected_by
                .entry(row.rule.clone())
                .or_default() += 1;
        }
        for rejected in rejected.chunks(REJECTED_ROWS) {
            let (named, offsets) =
                quarantine::columns(self.job.contract, &self.protector, turned_away, rejected);
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
        })
    }
}

/// Reads an object to its end. An error means that the object as a whole cannot be read; nothing of
/// it is to be committed.
pub fn run(reader: &mut dyn Reader, job: &Job<'_>) -> Result<Staged> {
    let mut sink = Sink::new(job)?;
    let mut checks = Checks::new(job.contract);
    let mut filter = DuplicateFilter::new(job)?;
    while let Some(mut batch) = reader.next_batch()? {
        checks.apply(&mut batch)?;
        sink.protector.apply(&mut batch)?;
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
    let duplicates = sink
        .outcome
        .rejected_by
        .get(DUPLICATE)
        .copied()
        .unwrap_or_default();
    sink.outcome.inserted = sink.outcome.accepted;
    sink.outcome.checks = checks.results(sink.outcome.received, duplicates);
    sink.finish()
}

fn has_key_rule(contract: &Contract) -> bool {
    contract
        .table_rules
        .iter()
        .any(|rule| matches!(rule.check, TableCheck::DuplicateKeys(_)))
}

/// The rule that a repeated row breaks.
pub const DUPLICATE: &str = "duplicate";

/// Takes rows that may be duplicates out of the batches.
struct DuplicateFilter<'a> {
    contract: &'a Contract,
    deduplicator: Deduplicator,
    /// The columns that identify a row.
    key: Vec<usize>,
    /// The column of the event time, where duplicates are looked for in the table around it; None
    /// where only the object itself must not repeat a key.
    time: Option<usize>,
    window_days: u32,
    /// Rows set aside, in order, and for each its identity.
    pending: Batch,
    suspects: Vec<Suspect<u32>>,
    payload_bytes: usize,
}

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// About so many bytes make an event, for sizing the filter.
const BYTES_PER_EVENT: u64 = 200;

impl<'a> DuplicateFilter<'a> {
    /// None where the contract does not ask for unique rows.
    fn new(job: &Job<'a>) -> Result<Option<Self>> {
        let contract = job.contract;
        let index = |name: &str| {
            contract
                .columns
                .iter()
                .position(|column| column.name == name)
                .ok_or_else(|| Error::internal(format!("the contract has no column {name}")))
        };
        let (key, time, window_days, existing) = match &contract.deduplication {
            Some(rule) => {
                let time = contract
                    .partitioning
                    .as_ref()
                    .ok_or_else(|| Error::internal("deduplication needs a partition column"))?;
                (
                    vec![index(&rule.column)?],
                    Some(index(&time.column)?),
                    rule.window_days,
                    job.existing.clone(),
                )
            }
            // A database's reader compares keys itself.
            None if contract.format != Format::Sqlite && has_key_rule(contract) => {
                (contract.primary_key.clone(), None, 0, Vec::new())
            }
            None => return Ok(None),
        };
        let column = key
            .first()
            .map(|&index| contract.columns[index].name.as_str())
            .unwrap_or_default();
        let expected = job.bytes / BYTES_PER_EVENT;
        Ok(Some(DuplicateFilter {
            contract,
            deduplicator: Deduplicator::new(column, window_days, existing, expected, &job.staging)?,
            key,
            time,
            window_days,
            pending: Batch::kept(contract),
            suspects: Vec::new(),
            payload_bytes: 0,
        }))
    }

    /// Leaves the certainly new rows in the batch and sets the others aside.
    fn apply(&mut self, batch: &mut Batch) -> Result<()> {
        let identities: Vec<Option<Identity>> = (0..batch.rows())
            .map(|row| {
                let (id, day) = self.identity(batch, row)?;
                Some(self.deduplicator.identity(&id, day))
            })
            .collect();
        let admitted = self.deduplicator.admit(&identities)?;
        let mut keep = Vec::with_capacity(batch.rows());
        let mut aside: Vec<u32> = Vec::new();
        for (row, (identity, admitted)) in identities.into_iter().zip(admitted).enumerate() {
            match identity {
                Some(identity) if !admitted => {
                    let place = self.suspects.len() as u32;
                    self.suspects.push(Suspect::new(identity, place));
                    aside.push(row as u32);
                }
                _ => keep.push(row as u32),
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

    /// The key and the day of a row; None where a part of the key has no value.
    fn identity<'b>(&self, batch: &'b Batch, row: usize) -> Option<(Cow<'b, [u8]>, i32)> {
        let day = match self.time.map(|time| &batch.columns[time]) {
            None => 0,
            Some(ColumnData::Long(column)) => column.get(row)?.div_euclid(MICROS_PER_DAY) as i32,
            Some(ColumnData::Int(column)) => column.get(row)?,
            Some(_) => return None,
        };
        if let [only] = self.key.as_slice()
            && let ColumnData::Text(column) = &batch.columns[*only]
        {
            return Some((Cow::Borrowed(column.get(row)?), day));
        }
        let mut id = Vec::new();
        for (place, &column) in self.key.iter().enumerate() {
            if place > 0 {
                // No UTF-8 text holds this byte, so parts cannot run into each other.
                id.push(0xff);
            }
            match &batch.columns[column] {
                ColumnData::Text(data) => id.extend_from_slice(data.get(row)?),
                data if !data.validity().get(row) => return None,
                data => {
                    let ty = self.contract.columns[column].kept_type();
                    id.extend_from_slice(render::value(data, row, &ty).as_bytes());
                }
            }
        }
        Some((Cow::Owned(id), day))
    }

    fn is_full(&self) -> bool {
        self.payload_bytes >= SUSPECT_BYTES
    }

    /// Decides what was set aside: duplicates are rejected, the others accepted.
    fn resolve(&mut self, sink: &mut Sink<'_>) -> Result<()> {
        if self.suspects.is_empty() {
            return Ok(());
        }
        let mut pending = std::mem::replace(&mut self.pending, Batch::kept(self.contract));
        self.payload_bytes = 0;
        let decided = self
            .deduplicator
            .resolve(std::mem::take(&mut self.suspects))?;
        let mut keep = Vec::new();
        let mut rejected = Vec::new();
        for (row, repeated) in decided {
            let Some(day) = repeated else {
                keep.push(row);
                continue;
            };
            let row = row as usize;
            let names: Vec<&str> = self
                .key
                .iter()
                .map(|&column| self.contract.columns[column].name.as_str())
                .collect();
            let names = names.join(", ");
            let values: Vec<String> = self
                .key
                .iter()
                .map(|&column| {
                    render::value(
                        &pending.columns[column],
                        row,
                        &self.contract.columns[column].kept_type(),
                    )
                })
                .collect();
            let before = match self.time {
                Some(_) => format!(
                    "with event time on {}, within {} days",
                    render::date(day),
                    self.window_days
                ),
                None => "in the same object".to_owned(),
            };
            let reason = format!(
                "{names} {} was accepted before, {before}",
                values.join(", ")
            );
            rejected.push(pending.reject_row(row, DUPLICATE, Some(&names), reason));
        }
        pending.keep_rows(&keep);
        pending.rejected = rejected;
        sink.write(pending)
    }
}

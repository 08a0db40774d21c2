//! Where rows go: to files of accepted rows, or of rejected ones.

use tarn_contract::Column;
use tarn_core::Result;
use tarn_core::run::DatasetOutcome;
use tarn_core::schema::system;

use crate::ingest::job::{Job, Staged};
use crate::ingest::newest::Accepted;
use crate::parquet::{PartitionedWriter, WriterOptions};
use tarn_rows::batch::Batch;
use tarn_rows::column::ColumnData;
use tarn_rows::drift::TypeFaults;
use tarn_rows::protect::Protector;
use tarn_rows::quarantine;
use tarn_rows::system_columns::table_columns;

/// How many rejected rows are laid out for the quarantine table at a time: each has long texts.
const REJECTED_ROWS: usize = 1024;

/// Where the rows of a job go.
pub(crate) struct Sink<'a> {
    pub job: &'a Job<'a>,
    pub(super) protector: Protector<'a>,
    accepted: PartitionedWriter,
    rejected: PartitionedWriter,
    pub outcome: DatasetOutcome,
    pub(super) types: TypeFaults,
    pub(super) new_columns: Vec<Column>,
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
        let columns = table_columns(
            &self.job.fields,
            named,
            &batch.offsets,
            &self.job.system_columns,
        )?;
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
            let columns = table_columns(
                &self.job.quarantine.0,
                named,
                &offsets,
                &self.job.system_columns,
            )?;
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
    pub(crate) fn finish(self) -> Result<Staged> {
        Ok(Staged {
            accepted: self.accepted.finish()?,
            rejected: self.rejected.finish()?,
            outcome: self.outcome,
            new_columns: self.new_columns,
            keys: self.keys.completed(),
        })
    }
}

//! Takes rows whose key or whose unique values an earlier row has out of the batches.

use std::sync::Arc;

use tarn_contract::{Check, Contract, Deduplication, Format, RowCheck};
use tarn_core::rule_id;
use tarn_core::schema::system;
use tarn_core::{Error, ErrorKind, Result};

use crate::ingest::bloom::{Deduplicator, Earlier, Expected, Identity, Nothing};
use crate::ingest::job::Job;
use crate::ingest::newest;
use crate::ingest::sink::Sink;
use tarn_rows::batch::{Batch, Reader, Rejected, Violation};
use tarn_rows::column::{ColumnData, Rows};
use tarn_rows::display;

/// Suspects are decided together once their texts hold this many bytes.
const SUSPECT_BYTES: usize = 1 << 20;

/// And once their columns do: rows of a database have no text, and may be repeated by the million.
const SUSPECT_COLUMN_BYTES: usize = 4 << 20;

/// Takes rows out of the batches that have the same key, or the same values in columns that must be unique,
/// as a row that was accepted before. Only an accepted row counts: one that another filter rejects hides no
/// sound row.
pub(crate) struct Filters<'a> {
    contract: &'a Contract,
    list: Vec<Filter>,
    /// Rows set aside, in order, because they may be repeated.
    pending: Batch,
    /// Their identities: for each row one per filter.
    suspects: Vec<Option<Identity>>,
    payload_bytes: usize,
}

impl<'a> Filters<'a> {
    /// One for the deduplication of events, for the key by which the newest row stays or for the primary key,
    /// and one per rule that rejects rows whose values must be unique.
    pub fn new(job: &'a Job<'_>, reader: &dyn Reader) -> Result<Self> {
        let contract = job.contract;
        let mut asked = Vec::new();
        if let Some(rule) = &contract.deduplication {
            asked.push(Asked::events(job, rule)?);
        }
        if !contract.newest_by.is_empty() {
            asked.push(Asked {
                nulls_are_equal: true,
                ..Asked::object(rule_id::DUPLICATE, &contract.newest_by)
            });
        }
        let told_by = asked.first().map(|first| first.key.clone());
        let is_identified_by = |columns: &[usize]| {
            told_by.as_ref().is_some_and(|told| {
                told.len() == columns.len() && columns.iter().all(|column| told.contains(column))
            })
        };
        for rule in &contract.rules {
            let Check::Rows(RowCheck::Unique { columns, key }) = &rule.check else {
                continue;
            };
            let here = if *key {
                !reader.has_unique_keys() && !is_identified_by(columns)
            } else {
                rule.rejects_rows()
            };
            if here {
                asked.push(Asked::object(&rule.id, columns));
            }
        }
        // Rows of a database are matched by their primary key, whether a rule calls it unique or not.
        if contract.format == Format::Sqlite
            && !reader.has_unique_keys()
            && !asked.iter().any(|one| one.key == contract.primary_key)
        {
            asked.push(Asked::object(rule_id::DUPLICATE, &contract.primary_key));
        }
        let expected = match reader.expected_rows() {
            Some(rows) => Expected::Exactly(rows),
            None => Expected::About(job.bytes / BYTES_PER_EVENT),
        };
        let list = asked
            .into_iter()
            .enumerate()
            .map(|(number, asked)| Filter::new(job, number, asked, expected))
            .collect::<Result<_>>()?;
        Ok(Filters {
            contract,
            list,
            pending: empty(contract),
            suspects: Vec::new(),
            payload_bytes: 0,
        })
    }

    /// Writes a batch without the rows that may repeat others; these come later.
    pub fn write(&mut self, mut batch: Batch, sink: &mut Sink<'_>) -> Result<()> {
        if !self.list.is_empty() {
            self.set_aside(&mut batch)?;
            if self.is_full() {
                self.finish(sink)?;
            }
        }
        sink.write(batch)
    }

    /// Decides what was set aside, and writes it.
    pub(crate) fn finish(&mut self, sink: &mut Sink<'_>) -> Result<()> {
        match self.resolve()? {
            Some(decided) => sink.write(decided),
            None => Ok(()),
        }
    }

    /// Leaves the certainly new rows in the batch and sets the others aside.
    fn set_aside(&mut self, batch: &mut Batch) -> Result<()> {
        let mut new = vec![true; batch.rows()];
        let mut identities = Vec::with_capacity(self.list.len());
        for filter in &mut self.list {
            let own = filter.identities(self.contract, batch);
            filter.deduplicator.mark(&own, &mut new)?;
            identities.push(own);
        }
        for (filter, own) in self.list.iter_mut().zip(&identities) {
            for (identity, _) in own.iter().zip(&new).filter(|(_, new)| **new) {
                filter.deduplicator.remember(*identity)?;
            }
        }
        let mut keep = Vec::with_capacity(batch.rows());
        let mut aside: Vec<u32> = Vec::new();
        for (row, new) in new.into_iter().enumerate() {
            if new {
                keep.push(row as u32);
            } else {
                aside.push(row as u32);
                self.suspects.extend(identities.iter().map(|own| own[row]));
            }
        }
        if aside.is_empty() {
            return Ok(());
        }
        let runs = Rows::new(&aside);
        for (to, from) in self.pending.columns.iter_mut().zip(&batch.columns) {
            to.append(from, &runs);
        }
        let mut text = Arc::unwrap_or_clone(std::mem::take(&mut self.pending.text));
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

    fn is_full(&self) -> bool {
        let columns = || {
            let columns = self.pending.columns.iter();
            columns.map(ColumnData::memory).sum::<usize>()
        };
        self.payload_bytes >= SUSPECT_BYTES
            || (!self.suspects.is_empty() && columns() >= SUSPECT_COLUMN_BYTES)
    }

    /// Decides what was set aside: repeated rows are rejected, the others kept.
    fn resolve(&mut self) -> Result<Option<Batch>> {
        if self.suspects.is_empty() {
            return Ok(None);
        }
        let mut pending = std::mem::replace(&mut self.pending, empty(self.contract));
        let suspects = std::mem::take(&mut self.suspects);
        self.payload_bytes = 0;
        let count = self.list.len();
        let mut known = Vec::with_capacity(count);
        for (number, filter) in self.list.iter_mut().enumerate() {
            let own = suspects.iter().skip(number).step_by(count);
            known.push(filter.deduplicator.known(own.flatten())?);
        }
        let mut keep = Vec::new();
        let mut rejected = Vec::new();
        for (row, identities) in suspects.chunks(count).enumerate() {
            let mut compared = self.list.iter().zip(&known).zip(identities);
            let repeated = compared.find_map(|((filter, known), identity)| {
                let day = filter.deduplicator.repeated(known, (*identity)?)?;
                Some((filter, day))
            });
            if let Some((filter, day)) = repeated {
                rejected.push(filter.rejected(self.contract, &mut pending, row, day));
                continue;
            }
            keep.push(row as u32);
            for ((filter, known), identity) in self.list.iter_mut().zip(&mut known).zip(identities)
            {
                filter.deduplicator.accept(known, *identity)?;
            }
        }
        pending.keep_rows(&keep);
        pending.rejected = rejected;
        Ok(Some(pending))
    }
}

/// What a filter looks for.
struct Asked {
    /// The rule that a repeated row breaks.
    rule: String,
    /// The columns that identify a row.
    key: Vec<usize>,
    /// The column of the event time, where duplicates are looked for in the table around it; None
    /// where only the object itself must not repeat a key.
    time: Option<usize>,
    window_days: u32,
    earlier: Arc<dyn Earlier>,
    /// Whether a row may repeat another in a part without a value.
    nulls_are_equal: bool,
}

impl Asked {
    /// Rows of one object must not have the same values in these columns.
    fn object(rule: &str, columns: &[usize]) -> Self {
        Asked {
            rule: rule.to_owned(),
            key: columns.to_vec(),
            time: None,
            window_days: 0,
            earlier: Arc::new(Nothing),
            nulls_are_equal: false,
        }
    }

    fn events(job: &Job<'_>, rule: &Deduplication) -> Result<Self> {
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
        Ok(Asked {
            rule: rule_id::DUPLICATE.to_owned(),
            key: vec![index(&rule.column)?],
            time: Some(index(&time.column)?),
            window_days: rule.window_days,
            earlier: Arc::clone(&job.earlier),
            nulls_are_equal: false,
        })
    }
}

/// Compares rows by some of their columns.
struct Filter {
    rule: String,
    deduplicator: Deduplicator,
    /// The columns that identify a row.
    key: Vec<usize>,
    /// The column of the event time, where duplicates are looked for in the table around it; None
    /// where only the object itself must not repeat a key.
    time: Option<usize>,
    window_days: u32,
    nulls_are_equal: bool,
}

/// About how many bytes an event has, for sizing the filter.
const BYTES_PER_EVENT: u64 = 200;

impl Filter {
    fn new(job: &Job<'_>, number: usize, asked: Asked, expected: Expected) -> Result<Self> {
        let column = asked
            .key
            .first()
            .map(|&index| job.contract.columns[index].name.as_str())
            .unwrap_or_default();
        let folder = job.staging.join(format!("unique-{number}"));
        std::fs::create_dir_all(&folder).map_err(|error| {
            Error::new(
                ErrorKind::Storage,
                format!("{} cannot be made", folder.display()),
            )
            .with_source(error)
        })?;
        let deduplicator =
            Deduplicator::new(column, asked.window_days, asked.earlier, expected, &folder)?;
        Ok(Filter {
            rule: asked.rule,
            deduplicator,
            key: asked.key,
            time: asked.time,
            window_days: asked.window_days,
            nulls_are_equal: asked.nulls_are_equal,
        })
    }

    /// What stands for each row of a batch; None where a part of its key has no value.
    fn identities(&self, contract: &Contract, batch: &Batch) -> Vec<Option<Identity>> {
        let mut joined = Vec::new();
        (0..batch.rows())
            .map(|row| {
                let (id, day) = self.identity(contract, batch, row, &mut joined)?;
                Some(self.deduplicator.identity(id, day))
            })
            .collect()
    }

    /// The key and the day of a row; None where a part of the key has no value. A key of several parts
    /// is put together in `joined`.
    fn identity<'b>(
        &self,
        contract: &Contract,
        batch: &'b Batch,
        row: usize,
        joined: &'b mut Vec<u8>,
    ) -> Option<(&'b [u8], i32)> {
        let day = match self.time {
            None => 0,
            Some(time) => newest::day_of(&batch.columns[time], row)?,
        };
        if let [only] = self.key.as_slice()
            && let ColumnData::Text(column) = &batch.columns[*only]
            && let Some(text) = column.get(row)
        {
            return Some((text, day));
        }
        let has_value = |&column: &usize| batch.columns[column].validity().get(row);
        if !self.nulls_are_equal && !self.key.iter().all(has_value) {
            return None;
        }
        newest::key_of(contract, &self.key, &batch.columns, row, joined);
        Some((joined, day))
    }

    /// The rejected row of a pending one that repeats another of that day.
    fn rejected(&self, contract: &Contract, pending: &mut Batch, row: usize, day: i32) -> Rejected {
        let names: Vec<&str> = self
            .key
            .iter()
            .map(|&index| contract.columns[index].name.as_str())
            .collect();
        let names = names.join(", ");
        let values = newest::display_values(contract, &self.key, &pending.columns, row);
        let before = match self.time {
            Some(_) => format!(
                "with event time on {}, within {} days",
                display::date(day),
                self.window_days
            ),
            None => "in the same object".to_owned(),
        };
        let reason = format!("{names} {values} was accepted before, {before}");
        pending.reject_row(row, Violation::new(&self.rule, Some(&names), reason))
    }
}

/// An empty batch for rows whose missing values are filled.
fn empty(contract: &Contract) -> Batch {
    let mut batch = Batch::kept(contract);
    if contract.imputes() {
        batch.columns.push(ColumnData::new(&system::imputed().ty));
    }
    batch
}

//! Takes rows whose key or whose unique values an earlier row has out of the batches.

use tarn_core::contract::{Check, Contract, Deduplication, Format, RowCheck};
use tarn_core::schema::system;
use tarn_core::{Error, ErrorKind, Result};

use crate::batch::Batch;
use crate::column::{ColumnData, Rows};
use crate::dedup::{Deduplicator, ExistingFile, Identity, Suspect};
use crate::ingest::{DUPLICATE, Job, Sink};
use crate::render;

/// Suspects are decided together once their rows hold so many bytes.
const SUSPECT_BYTES: usize = 1 << 20;

/// The filters of a contract, one behind the other.
pub(crate) struct Filters<'a> {
    list: Vec<DuplicateFilter<'a>>,
}

impl<'a> Filters<'a> {
    /// One for the deduplication of events or the primary key, and one per rule that rejects rows whose
    /// values must be unique.
    pub fn new(job: &'a Job<'_>) -> Result<Self> {
        let contract = job.contract;
        let mut asked = Vec::new();
        if let Some(rule) = &contract.deduplication {
            asked.push(Asked::events(job, rule)?);
        }
        for rule in &contract.rules {
            let Check::Rows(RowCheck::Unique { columns, key }) = &rule.check else {
                continue;
            };
            let deduplicated = asked
                .first()
                .is_some_and(|first| first.time.is_some() && first.key == *columns);
            // A database's reader compares keys itself.
            let here = match key {
                true => contract.format != Format::Sqlite && !deduplicated,
                false => rule.rejects_rows(),
            };
            if here {
                asked.push(Asked {
                    rule: rule.id.clone(),
                    key: columns.clone(),
                    time: None,
                    window_days: 0,
                    existing: Vec::new(),
                });
            }
        }
        let list = asked
            .into_iter()
            .enumerate()
            .map(|(number, asked)| DuplicateFilter::new(job, number, asked))
            .collect::<Result<_>>()?;
        Ok(Filters { list })
    }

    /// Writes a batch without the rows that repeat others; suspects come later.
    pub fn write(&mut self, batch: Batch, sink: &mut Sink<'_>) -> Result<()> {
        self.pass(0, batch, sink)
    }

    /// Decides what was set aside.
    pub fn finish(&mut self, sink: &mut Sink<'_>) -> Result<()> {
        for index in 0..self.list.len() {
            if let Some(decided) = self.list[index].resolve()? {
                self.pass(index + 1, decided, sink)?;
            }
        }
        Ok(())
    }

    fn pass(&mut self, first: usize, mut batch: Batch, sink: &mut Sink<'_>) -> Result<()> {
        for index in first..self.list.len() {
            self.list[index].apply(&mut batch)?;
            if self.list[index].is_full()
                && let Some(decided) = self.list[index].resolve()?
            {
                self.pass(index + 1, decided, sink)?;
            }
        }
        sink.write(batch)
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
    existing: Vec<ExistingFile>,
}

impl Asked {
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
            rule: DUPLICATE.to_owned(),
            key: vec![index(&rule.column)?],
            time: Some(index(&time.column)?),
            window_days: rule.window_days,
            existing: job.existing.clone(),
        })
    }
}

/// Takes rows that may be duplicates out of the batches.
struct DuplicateFilter<'a> {
    contract: &'a Contract,
    rule: String,
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
    fn new(job: &'a Job<'_>, number: usize, asked: Asked) -> Result<Self> {
        let contract = job.contract;
        let column = asked
            .key
            .first()
            .map(|&index| contract.columns[index].name.as_str())
            .unwrap_or_default();
        let expected = job.bytes / BYTES_PER_EVENT;
        let folder = job.staging.join(format!("unique-{number}"));
        std::fs::create_dir_all(&folder).map_err(|error| {
            Error::new(
                ErrorKind::Storage,
                format!("{} cannot be made", folder.display()),
            )
            .with_source(error)
        })?;
        let deduplicator =
            Deduplicator::new(column, asked.window_days, asked.existing, expected, &folder)?;
        Ok(DuplicateFilter {
            contract,
            rule: asked.rule,
            deduplicator,
            key: asked.key,
            time: asked.time,
            window_days: asked.window_days,
            pending: empty(contract),
            suspects: Vec::new(),
            payload_bytes: 0,
        })
    }

    /// Leaves the certainly new rows in the batch and sets the others aside.
    fn apply(&mut self, batch: &mut Batch) -> Result<()> {
        let mut joined = Vec::new();
        let identities: Vec<Option<Identity>> = (0..batch.rows())
            .map(|row| {
                let (id, day) = self.identity(batch, row, &mut joined)?;
                Some(self.deduplicator.identity(id, day))
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
        let runs = Rows::new(&aside);
        for (to, from) in self.pending.columns.iter_mut().zip(&batch.columns) {
            to.append(from, &runs);
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

    /// The key and the day of a row; None where a part of the key has no value. A key of several parts
    /// is put together in `joined`.
    fn identity<'b>(
        &self,
        batch: &'b Batch,
        row: usize,
        joined: &'b mut Vec<u8>,
    ) -> Option<(&'b [u8], i32)> {
        let day = match self.time.map(|time| &batch.columns[time]) {
            None => 0,
            Some(ColumnData::Long(column)) => column.get(row)?.div_euclid(MICROS_PER_DAY) as i32,
            Some(ColumnData::Int(column)) => column.get(row)?,
            Some(_) => return None,
        };
        if let [only] = self.key.as_slice()
            && let ColumnData::Text(column) = &batch.columns[*only]
        {
            return Some((column.get(row)?, day));
        }
        joined.clear();
        for (place, &column) in self.key.iter().enumerate() {
            if place > 0 {
                // No UTF-8 text holds this byte, so parts cannot run into each other.
                joined.push(0xff);
            }
            match &batch.columns[column] {
                ColumnData::Text(data) => joined.extend_from_slice(data.get(row)?),
                data if !data.validity().get(row) => return None,
                data => {
                    let ty = self.contract.columns[column].kept_type();
                    joined.extend_from_slice(render::value(data, row, &ty).as_bytes());
                }
            }
        }
        Some((joined, day))
    }

    fn is_full(&self) -> bool {
        self.payload_bytes >= SUSPECT_BYTES
    }

    /// Decides what was set aside: duplicates are rejected, the others kept.
    fn resolve(&mut self) -> Result<Option<Batch>> {
        if self.suspects.is_empty() {
            return Ok(None);
        }
        let mut pending = std::mem::replace(&mut self.pending, empty(self.contract));
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
                    let (data, of) = (&pending.columns[column], &self.contract.columns[column]);
                    match of.is_personal() {
                        true => "(not shown)".to_owned(),
                        false => render::value(data, row, &of.kept_type()),
                    }
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
            rejected.push(pending.reject_row(row, &self.rule, Some(&names), reason));
        }
        pending.keep_rows(&keep);
        pending.rejected = rejected;
        Ok(Some(pending))
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

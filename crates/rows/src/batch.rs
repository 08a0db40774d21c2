//! A batch of rows on its way from a reader to the tables.

use std::fmt;
use std::sync::Arc;

use crate::column::{ColumnData, Rows};
use crate::reason::Reason;
use rusqlite::types::Value as Stored;
use tarn_contract::{Column, Contract};
use tarn_core::content::Measure;

/// A column of a source that the contract does not know, as its reader found it.
#[derive(Debug, Clone)]
pub struct NewColumn {
    /// Its name in the source.
    pub name: String,
    /// Some of its values.
    pub values: NewValues,
    /// Rows that have it, where each row names its columns; else 0.
    pub rows: u64,
    /// The pattern of personal data that one of its values holds.
    pub personal: Option<&'static str>,
}

/// Some values of a new column, as the source has them.
#[derive(Debug, Clone)]
pub enum NewValues {
    /// The values of a key of JSON objects.
    Json {
        /// JSON texts.
        values: Vec<Vec<u8>>,
        /// Where the object is that has the first of them.
        place: Option<RowPlace>,
    },
    /// The values of a column of a database's table.
    Stored {
        /// The table.
        table: String,
        /// The column.
        declared: TableColumn,
        /// The first rows.
        values: Vec<Stored>,
    },
    /// A column of a database's table whose values cannot be read.
    Unreadable {
        /// The table.
        table: String,
        /// The reason.
        why: String,
    },
}

/// A column of a database's table, as it is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableColumn {
    /// Its name.
    pub name: String,
    /// Its declared type, as written.
    pub declared: String,
    /// Its place in the primary key, counted from 1; 0 for none.
    pub key: i64,
    /// Whether it is declared NOT NULL.
    pub required: bool,
    /// Whether it is not stored but computed from others when it is read.
    pub computed: bool,
}

/// The rule that a row breaks, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The rule: `parse`, `order_id.required`, `status.validValues`, `duplicate`.
    pub rule: String,
    /// The column that breaks it, where one does.
    pub column: Option<String>,
    /// What was found and what was expected.
    pub reason: Reason,
}

impl Violation {
    /// A violation of a rule by a column or by the whole row.
    pub fn new(rule: impl Into<String>, column: Option<&str>, reason: impl Into<Reason>) -> Self {
        Violation {
            rule: rule.into(),
            column: column.map(str::to_owned),
            reason: reason.into(),
        }
    }
}

/// Where a row is in its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowPlace {
    /// The line, counted from 1, where the source has lines.
    pub line: Option<u64>,
    /// Byte offset, rowid or sequence number.
    pub offset: i64,
}

impl fmt::Display for RowPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}, byte {}", self.offset),
            None => write!(f, "row {}", self.offset),
        }
    }
}

/// Why a row is rejected, where it is and what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// The rule that it broke: `parse`, `order_id.required`, `status.validValues`, `duplicate`.
    pub rule: String,
    /// The column that broke it, where one did.
    pub column: Option<String>,
    /// What was found and what was expected.
    pub reason: Reason,
    /// The line, counted from 1, where the source has lines.
    pub line: Option<u64>,
    /// Byte offset, rowid or sequence number.
    pub offset: i64,
    /// Its place in the columns of the batch's rejected rows; None where it could not be read.
    pub row: Option<usize>,
    /// Where its primary key is in the batch's keys of rows that could not be read; None where it was
    /// read, or where its source has no primary keys.
    pub key: Option<usize>,
    /// The row as it was received, cut to [`PAYLOAD_LIMIT`]; empty where it was read from columns.
    pub payload: Vec<u8>,
    /// Bytes of the whole row.
    pub payload_bytes: u64,
}

/// A rejected row keeps at most this many bytes; the rest is at its place in the raw object.
pub(crate) const PAYLOAD_LIMIT: usize = 64 * 1024;

impl Rejected {
    /// A rejected row from its bytes.
    pub fn new(violation: Violation, place: RowPlace, payload: &[u8]) -> Self {
        Rejected {
            rule: violation.rule,
            column: violation.column,
            reason: violation.reason,
            line: place.line,
            offset: place.offset,
            row: None,
            key: None,
            payload: payload[..payload.len().min(PAYLOAD_LIMIT)].to_vec(),
            payload_bytes: payload.len() as u64,
        }
    }

    /// Where the row is in its object.
    pub(crate) fn place(&self) -> RowPlace {
        RowPlace {
            line: self.line,
            offset: self.offset,
        }
    }
}

/// Rows as columns, in the order of the contract's columns, and the rows that could not be read.
#[derive(Debug, Default)]
pub struct Batch {
    /// One per column of the contract, all of `offsets.len()` rows; after them `_imputed`, once the
    /// contract's defaults were imputed.
    pub columns: Vec<ColumnData>,
    /// Per row: byte offset, rowid or sequence number.
    pub offsets: Vec<i64>,
    /// Per row: its line, counted from 1. Empty where the source has no lines.
    pub lines: Vec<u64>,
    /// Per row: where its text is in `text`. Empty where a row's payload is made from its columns.
    pub spans: Vec<(usize, usize)>,
    /// The text that `spans` point into.
    pub text: Arc<Vec<u8>>,
    /// Rows that could not be read, and rows that were and broke a rule.
    pub rejected: Vec<Rejected>,
    /// The columns of the rows that were read.
    pub rejected_columns: Vec<ColumnData>,
    /// The primary keys of the rows that could not be read, as far as the keys could: the key's columns in its
    /// order. Only for sources whose rows have a primary key; else empty.
    pub unread_keys: Vec<ColumnData>,
    /// Blank lines: no rows.
    pub blank: u64,
}

impl Batch {
    /// An empty batch of a contract's rows as they are received.
    pub fn new(contract: &Contract) -> Self {
        Batch {
            columns: contract
                .columns
                .iter()
                .map(|column| ColumnData::new(&column.ty))
                .collect(),
            ..Batch::default()
        }
    }

    /// An empty batch of a contract's rows as its tables keep them.
    pub fn kept(contract: &Contract) -> Self {
        Batch {
            columns: contract
                .columns
                .iter()
                .map(|column| ColumnData::new(&column.kept_type()))
                .collect(),
            ..Batch::default()
        }
    }

    /// Rows read.
    pub fn rows(&self) -> usize {
        self.offsets.len()
    }

    /// The payload of a row, where the batch has its text.
    pub fn payload(&self, row: usize) -> Option<&[u8]> {
        self.spans
            .get(row)
            .map(|&(begin, end)| &self.text[begin..end])
    }

    /// A row of the batch as a rejected one: its columns are kept, and its text where the batch has it.
    /// The row itself is for [`Batch::keep_rows`] to drop.
    pub fn reject_row(&mut self, row: usize, violation: Violation) -> Rejected {
        if self.rejected_columns.is_empty() {
            self.rejected_columns = self.columns.iter().map(ColumnData::empty_like).collect();
        }
        let place = self.rejected_columns.first().map_or(0, ColumnData::len);
        for (to, from) in self.rejected_columns.iter_mut().zip(&self.columns) {
            to.append(from, &Rows::one(row));
        }
        let payload = self.payload(row).unwrap_or_default();
        Rejected {
            row: Some(place),
            ..Rejected::new(violation, self.place(row), payload)
        }
    }

    /// Keeps these rows, given in order, and drops the others.
    pub fn keep_rows(&mut self, rows: &[u32]) {
        fn kept<T: Copy>(values: &mut Vec<T>, rows: &[u32]) {
            if !values.is_empty() {
                *values = rows.iter().map(|&row| values[row as usize]).collect();
            }
        }
        if rows.len() == self.rows() {
            return;
        }
        let runs = Rows::new(rows);
        for column in &mut self.columns {
            let mut rest = column.empty_like();
            rest.append(column, &runs);
            *column = rest;
        }
        kept(&mut self.offsets, rows);
        kept(&mut self.lines, rows);
        kept(&mut self.spans, rows);
    }

    /// The line of a row, where the source has lines.
    pub fn line(&self, row: usize) -> Option<u64> {
        self.lines.get(row).copied()
    }

    fn place(&self, row: usize) -> RowPlace {
        RowPlace {
            line: self.line(row),
            offset: self.offsets[row],
        }
    }
}

/// The empty columns of a reader's next batch. A text column whose values were mostly distinct in the
/// last batch is not interned in the next ones, and tried again now and then.
pub struct EmptyColumns {
    columns: Vec<ColumnData>,
    /// Rows of the last batch, and bytes of each of its columns' texts: the next one has about as many.
    rows: usize,
    bytes: Vec<usize>,
    batches: u32,
}

impl EmptyColumns {
    const TRIED_AGAIN: u32 = 16;

    /// Columns for a contract's.
    pub fn new(columns: &[Column]) -> Self {
        EmptyColumns {
            columns: columns
                .iter()
                .map(|column| ColumnData::new(&column.ty))
                .collect(),
            rows: 0,
            bytes: vec![0; columns.len()],
            batches: 0,
        }
    }

    /// A batch of columns like those of the last one, in the beginning and every 16 batches of the
    /// contract's types alone.
    pub fn next(&mut self, columns: &[Column]) -> Batch {
        self.batches += 1;
        if self.batches.is_multiple_of(Self::TRIED_AGAIN) {
            self.columns = EmptyColumns::new(columns).columns;
        }
        let mut batch = Batch {
            columns: self.columns.clone(),
            ..Batch::default()
        };
        let more = |last: usize| last + last / 32;
        let rows = more(self.rows);
        for (data, &bytes) in batch.columns.iter_mut().zip(&self.bytes) {
            data.reserve(rows);
            data.reserve_text_bytes(more(bytes));
        }
        batch.offsets.reserve(rows);
        batch.lines.reserve(rows);
        batch.spans.reserve(rows);
        batch
    }

    /// Takes note of a filled batch.
    pub fn learn(&mut self, filled: &Batch) {
        self.columns = filled.columns.iter().map(ColumnData::empty_like).collect();
        self.rows = filled.rows();
        self.bytes = filled.columns.iter().map(ColumnData::text_bytes).collect();
    }
}

/// Reads an object batch by batch with bounded memory.
pub trait Reader {
    /// The next batch, or None at the end. An error stops the run: the object cannot be read.
    fn next_batch(&mut self) -> tarn_core::Result<Option<Batch>>;

    /// Columns of the source that the contract does not know, as far as it was read.
    fn new_columns(&self) -> Vec<NewColumn> {
        Vec::new()
    }

    /// Whether the source itself keeps the primary keys of all rows apart, also as the values that the
    /// contract's types make of them.
    fn has_unique_keys(&self) -> bool {
        false
    }

    /// How many rows are coming; None where that shows only at the end.
    fn expected_rows(&self) -> Option<u64> {
        None
    }

    /// What was measured of the object, which was read to its end; None where nothing was to be measured.
    fn measured(&mut self) -> Option<Measure> {
        None
    }

    /// The names of the source's columns so far, in their order where they have one; None where the
    /// format has always the same.
    fn source_columns(&self) -> Option<Vec<String>> {
        None
    }
}

/// Reads the rows of another reader up to one of them, whose offset is `last`. What is behind it is left
/// out.
pub struct UpTo {
    reader: Box<dyn Reader>,
    last: i64,
}

impl UpTo {
    /// The rows of `reader` whose offset is `last` at most.
    pub fn new(reader: Box<dyn Reader>, last: i64) -> Self {
        UpTo { reader, last }
    }
}

impl Reader for UpTo {
    fn next_batch(&mut self) -> tarn_core::Result<Option<Batch>> {
        let Some(mut batch) = self.reader.next_batch()? else {
            return Ok(None);
        };
        let kept: Vec<u32> = (0_u32..)
            .zip(&batch.offsets)
            .filter(|(_, offset)| **offset <= self.last)
            .map(|(row, _)| row)
            .collect();
        batch.keep_rows(&kept);
        batch.rejected.retain(|row| row.offset <= self.last);
        Ok(Some(batch))
    }

    fn new_columns(&self) -> Vec<NewColumn> {
        self.reader.new_columns()
    }

    fn measured(&mut self) -> Option<Measure> {
        self.reader.measured()
    }

    fn source_columns(&self) -> Option<Vec<String>> {
        self.reader.source_columns()
    }
}

//! JSON lines: one object per line, plain or gzip, or as the archive step wrapped them.
//!
//! - A line is one JSON object. Each column is filled from the top-level key that is its source
//!   name; a key that is missing and one that is null are the same: the contract's default, or a
//!   null, which the checks then allow or not.
//! - Keys that no column is filled from are checked as JSON and skipped; what is found of them are the
//!   new columns of the reader, and where the contract says so their lines are rejected. A key that comes twice in the line's own object refuses the
//!   line, since nobody can say which of the two counts; inside values that are skipped, repeated
//!   keys are nobody's concern.
//! - A line that is no object, no JSON, or no UTF-8 is rejected under the rule `parse`, and one with
//!   a value that its column cannot hold under `<column>.type`. Blank lines are counted. A byte-order
//!   mark at the start of the object is skipped, and lines may end in CR LF.
//! - Of an archive object (see [`archive`]) each record's lines are events. Their offset and line
//!   are those of the record in the decompressed archive object, so that events of one record share
//!   them; their payload is what the producer sent. A record that holds nothing is a blank line.

use std::sync::Arc;
use tarn_core::rule_id;

use tarn_contract::{Column, Contract, SchemaDrift};
use tarn_core::Result;
use tarn_core::content::Measure;

use crate::batch::{Batch, EmptyColumns, NewColumn, NewValues, Reader, Rejected};
use crate::source::archive;
use crate::source::bytes::Input;
use crate::source::json::row::{RowFault, RowReader};
use crate::source::lines::{CHUNK_BYTES, Chunk, Chunks, LINE_LIMIT, Line, LongLine, Piece};

/// A batch ends at so many rejected lines, or at so many bytes of them: each has its own memory.
const BATCH_REJECTED: usize = 8192;
const BATCH_REJECTED_BYTES: usize = 4 << 20;

/// Reads JSON lines.
pub struct JsonLinesReader {
    chunks: Chunks,
    columns: Vec<Column>,
    empty: EmptyColumns,
    rows: RowReader,
    /// Where the object was written by the archive step.
    archive: Option<archive::Decoder>,
    current: Option<Place>,
}

/// How far a chunk is read.
struct Place {
    chunk: Chunk,
    /// Whether all of it is UTF-8.
    utf8: bool,
    at: usize,
    line: u64,
}

impl JsonLinesReader {
    /// A reader of `input` that fills the columns of `contract`.
    ///
    /// # Errors
    /// `BadContract` for a column that cannot be filled from JSON.
    pub fn new(input: Input, contract: &Contract) -> Result<Self> {
        let event_time = contract
            .partitioning
            .as_ref()
            .map(|partitioning| partitioning.column.as_str());
        let mut reader = Self::of_columns(input, &contract.columns, event_time, CHUNK_BYTES)?;
        match contract.schema_drift {
            SchemaDrift::Quarantine => reader.rows.refuse_unknown(),
            SchemaDrift::Evolve => reader.rows.watch_unknown(),
            SchemaDrift::Warn | SchemaDrift::Ignore | SchemaDrift::Fail => {}
        }
        Ok(reader)
    }

    fn of_columns(
        input: Input,
        columns: &[Column],
        event_time: Option<&str>,
        chunk_bytes: usize,
    ) -> Result<Self> {
        Ok(JsonLinesReader {
            chunks: Chunks::new(input, chunk_bytes),
            columns: columns.to_vec(),
            empty: EmptyColumns::new(columns),
            rows: RowReader::new(columns, event_time)?,
            archive: None,
            current: None,
        })
    }

    /// The object that is being read, for its counters.
    pub fn input(&self) -> &Input {
        self.chunks.input()
    }

    /// The next lines, with the archive's header taken off.
    fn next_place(&mut self) -> Result<Option<Result<Place, LongLine>>> {
        let chunk = match self.chunks.next_piece()? {
            Some(Piece::Lines(chunk)) => chunk,
            Some(Piece::Long(long)) => return Ok(Some(Err(long))),
            None => return Ok(None),
        };
        let utf8 = simdutf8::basic::from_utf8(&chunk.text).is_ok();
        let mut place = Place {
            at: 0,
            line: chunk.first_line,
            utf8,
            chunk,
        };
        if place.line == 1
            && let Some(line) = Line::at(&place.chunk.text, 0)
            && archive::is_header(&place.chunk.text[line.begin..line.end])?
        {
            self.archive = Some(archive::Decoder::default());
            (place.at, place.line) = (line.next, 2);
        }
        Ok(Some(Ok(place)))
    }

    /// Reads lines until the batch is full or the chunk ends; true says that the chunk ended.
    fn read_lines(&mut self, place: &mut Place, filling: &mut Filling<'_>) -> bool {
        let text = Arc::clone(&place.chunk.text);
        let mut wrapped = self.archive.take();
        let mut ended = true;
        // What the records of an archive object hold: the batch's text instead of the chunk's.
        let mut data = Vec::new();
        while let Some(line) = Line::at(&text, place.at) {
            if filling.is_full() {
                ended = false;
                break;
            }
            let bytes = &text[line.begin..line.end];
            let offset = (place.chunk.offset + line.begin as u64) as i64;
            let from = From {
                line: place.line,
                offset,
                arrival: None,
                utf8: place.utf8,
            };
            match &mut wrapped {
                None => filling.read(&mut self.rows, bytes, line.begin, from),
                Some(decoder) => {
                    read_record(decoder, &mut self.rows, bytes, &mut data, from, filling)
                }
            }
            place.at = line.next;
            place.line += 1;
        }
        filling.batch.text = if wrapped.is_some() {
            Arc::new(data)
        } else {
            text
        };
        self.archive = wrapped;
        ended
    }
}

/// Reads the events of an archive object's record.
fn read_record(
    decoder: &mut archive::Decoder,
    rows: &mut RowReader,
    line: &[u8],
    data: &mut Vec<u8>,
    from: From,
    filling: &mut Filling<'_>,
) {
    let begin = data.len();
    let envelope = match check_utf8(line, from.utf8).and_then(|()| decoder.read(line, data)) {
        Ok(envelope) => envelope,
        Err(_) if line.trim_ascii().is_empty() => {
            filling.batch.blank += 1;
            return;
        }
        Err(reason) => {
            filling.reject(Rejected::new(
                rule_id::PARSE,
                None,
                reason,
                Some(from.line),
                from.offset,
                line,
            ));
            return;
        }
    };
    let from = From {
        arrival: Some(envelope.arrival_time),
        utf8: envelope.is_text,
        ..from
    };
    if data.len() == begin {
        filling.batch.blank += 1;
    }
    let mut at = begin;
    while let Some(event) = Line::at(data, at) {
        filling.read(rows, &data[event.begin..event.end], event.begin, from);
        at = event.next;
    }
}

/// Where an event comes from.
#[derive(Clone, Copy)]
struct From {
    line: u64,
    offset: i64,
    arrival: Option<i64>,
    utf8: bool,
}

/// A batch while it is being filled.
struct Filling<'a> {
    batch: Batch,
    columns: &'a [Column],
    rejected_bytes: usize,
}

impl Filling<'_> {
    /// Reads a line whose text begins at `begin` of the batch's text.
    #[inline]
    fn read(&mut self, rows: &mut RowReader, line: &[u8], begin: usize, from: From) {
        let row = self.batch.offsets.len();
        let result = check_utf8(line, from.utf8)
            .map_err(|reason| Box::new(RowFault::Parse(reason)))
            .and_then(|()| rows.read(line, from.arrival, &mut self.batch.columns, row));
        rows.place(from.line, from.offset);
        match result {
            Ok(()) => {
                self.batch.offsets.push(from.offset);
                self.batch.lines.push(from.line);
                self.batch.spans.push((begin, begin + line.len()));
            }
            Err(_) if line.trim_ascii().is_empty() => self.batch.blank += 1,
            Err(fault) => self.refuse(&fault, line, from),
        }
    }

    #[cold]
    fn refuse(&mut self, fault: &RowFault, line: &[u8], from: From) {
        let new;
        let (rule, column, reason) = match fault {
            RowFault::Parse(reason) => (rule_id::PARSE.to_owned(), None, reason.as_str()),
            RowFault::Value(index, reason) => {
                let name = self
                    .columns
                    .get(*index)
                    .map_or("", |column| column.name.as_str());
                (rule_id::type_of(name), Some(name), reason.as_ref())
            }
            RowFault::NewColumn(key) => {
                new = format!("the contract knows no column {key}");
                (
                    rule_id::SCHEMA_DRIFT.to_owned(),
                    Some(key.as_str()),
                    new.as_str(),
                )
            }
        };
        self.reject(Rejected::new(
            rule,
            column,
            reason,
            Some(from.line),
            from.offset,
            line,
        ));
    }

    #[cold]
    fn reject(&mut self, rejected: Rejected) {
        self.rejected_bytes += rejected.payload.len();
        self.batch.rejected.push(rejected);
    }

    #[inline]
    fn is_full(&self) -> bool {
        self.batch.rejected.len() >= BATCH_REJECTED || self.rejected_bytes >= BATCH_REJECTED_BYTES
    }
}

/// Says where a line is no UTF-8, unless it is known to be.
#[inline]
pub fn check_utf8(line: &[u8], known: bool) -> Result<(), String> {
    if known {
        return Ok(());
    }
    std::str::from_utf8(line)
        .map(|_| ())
        .map_err(|error| format!("not UTF-8 at byte {}", error.valid_up_to()))
}

/// A line that was too long to be kept, as a rejected row.
pub fn too_long(long: LongLine) -> Rejected {
    let reason = format!(
        "the line has {} bytes; at most {LINE_LIMIT} are read",
        long.bytes
    );
    let mut rejected = Rejected::new(
        rule_id::PARSE,
        None,
        reason,
        Some(long.line),
        long.offset as i64,
        &long.head,
    );
    rejected.payload_bytes = long.bytes;
    rejected
}

impl Reader for JsonLinesReader {
    fn measured(&mut self) -> Option<Measure> {
        self.chunks.measured()
    }

    fn source_columns(&self) -> Option<Vec<String>> {
        Some(self.rows.seen_keys())
    }

    fn next_batch(&mut self) -> Result<Option<Batch>> {
        let columns = self.columns.clone();
        let mut filling = Filling {
            batch: self.empty.next(&columns),
            columns: &columns,
            rejected_bytes: 0,
        };
        loop {
            let mut place = match self.current.take() {
                Some(place) => place,
                None => match self.next_place()? {
                    Some(Ok(place)) => place,
                    Some(Err(long)) => {
                        filling.reject(too_long(long));
                        if filling.is_full() {
                            break;
                        }
                        continue;
                    }
                    None if filling.batch.rejected.is_empty() => return Ok(None),
                    None => break,
                },
            };
            let ended = self.read_lines(&mut place, &mut filling);
            self.chunks.go_on_at(place.line);
            self.current = (!ended).then_some(place);
            break;
        }
        let mut batch = filling.batch;
        let rows = batch.rows();
        self.rows.finish(&mut batch.columns, rows);
        self.empty.learn(&batch);
        Ok(Some(batch))
    }

    fn new_columns(&self) -> Vec<NewColumn> {
        self.rows
            .unknown_keys()
            .map(|(key, unknown)| NewColumn {
                name: key.to_owned(),
                values: NewValues::Json {
                    values: unknown.values.clone(),
                    place: unknown.place,
                },
                rows: unknown.count,
                personal: unknown.personal,
            })
            .collect()
    }
}

#[cfg(test)]
#[path = "json_lines_tests.rs"]
mod tests;

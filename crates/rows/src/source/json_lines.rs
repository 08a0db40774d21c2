//! JSON lines: one object per line, plain or gzip, or as the archive step wrapped them.
//!
//! - A line is one JSON object, or several, one after another or in an array: each is an event. An object of the raw
//!   zone that is an array, or has no line ends, is read value by value.
//! - Each column is filled from the top-level key that is its source name, or, where that has points, from the key of
//!   that path; a key that is missing and one that is null are the same: the contract's default, or a
//!   null, which the checks then allow or not.
//! - Keys that no column is filled from are checked as JSON and skipped; what is found of them are the
//!   new columns of the reader, and where the contract says so their lines are rejected. A key that comes twice in the line's own object refuses the
//!   line, since it is not known which of the two counts; inside values that are skipped, repeated
//!   keys are ignored.
//! - A line that is not an object, not JSON, or not UTF-8 is rejected under the rule `parse`, and one with
//!   a value that its column cannot hold under `<column>.type`. Blank lines are skipped and counted. A byte-order
//!   mark at the start of the object is skipped, and lines may end in CR LF.
//! - In an archive object (see [`archive`]) each record's lines are events. Their offset and line
//!   are those of the record in the decompressed archive object, so that events of one record share
//!   them; their payload is what the producer sent. A record that holds nothing is a blank line; one of gzip or Base64
//!   is unpacked first.

use std::ops::Range;
use std::sync::Arc;

use tarn_contract::{Column, Contract, SchemaDrift};
use tarn_core::content::Measure;
use tarn_core::{Result, rule_id};

use crate::batch::{Batch, EmptyColumns, NewColumn, Reader, Rejected, RowPlace, Violation};
use crate::source::archive;
use crate::source::batch_builder::BatchBuilder;
use crate::source::bytes::Input;
use crate::source::json::elements::{BOM, Elements, ValueReader, values_in};
use crate::source::json::row::RowReader;
use crate::source::json::target::RowFault;
use crate::source::line_reader::{LineReader, Lines, check_utf8};
use crate::source::lines::{CHUNK_BYTES, Line};
use crate::source::sniff::HEAD_BYTES;

/// Reads JSON lines.
pub struct JsonLinesReader {
    source: Source,
    columns: Vec<Column>,
    empty: EmptyColumns,
    rows: RowReader,
    /// Where the object was written by the archive step.
    archive: Option<archive::Decoder>,
}

/// How the object is laid out.
enum Source {
    Lines(LineReader),
    Values(ValueReader),
}

impl JsonLinesReader {
    /// A reader of `input` that fills the columns of `contract`. The input is that of an object that begins with
    /// `head`, or of its lines from one of them on.
    ///
    /// # Errors
    /// `BadContract` for a column that cannot be filled from JSON.
    pub fn new(input: Input, head: &[u8], contract: &Contract) -> Result<Self> {
        let event_time = contract
            .partitioning
            .as_ref()
            .map(|partitioning| partitioning.column.as_str());
        let source = if has_lines(head) {
            Source::Lines(LineReader::new(input, CHUNK_BYTES))
        } else {
            Source::Values(ValueReader::new(input, CHUNK_BYTES).keeping_cut())
        };
        let mut reader = Self::of_columns(source, &contract.columns, event_time)?;
        match contract.schema_drift {
            SchemaDrift::Quarantine => reader.rows.refuse_unknown(),
            SchemaDrift::Evolve => reader.rows.watch_unknown(),
            SchemaDrift::Warn | SchemaDrift::Ignore | SchemaDrift::Fail => {}
        }
        Ok(reader)
    }

    fn of_columns(source: Source, columns: &[Column], event_time: Option<&str>) -> Result<Self> {
        Ok(JsonLinesReader {
            source,
            columns: columns.to_vec(),
            empty: EmptyColumns::new(columns),
            rows: RowReader::new(columns, event_time)?,
            archive: None,
        })
    }
}

/// Whether an object that begins like this is read line by line: it is neither an array nor an object that is
/// spread over lines, and has a line end in its first [`HEAD_BYTES`].
pub(crate) fn has_lines(head: &[u8]) -> bool {
    let text = head.strip_prefix(BOM).unwrap_or(head).trim_ascii_start();
    let line_end = memchr::memchr(b'\n', text);
    let first = text[..line_end.unwrap_or(text.len())].trim_ascii_end();
    match first {
        [b'[', ..] | b"{" => false,
        _ => line_end.is_some() || head.len() < HEAD_BYTES,
    }
}

/// An event's JSON and where it comes from.
#[derive(Clone, Copy)]
struct Event<'t> {
    json: &'t [u8],
    /// Where it begins in the batch's text.
    begin: usize,
    place: RowPlace,
    /// When its record reached the stream, in microseconds.
    arrival: Option<i64>,
    /// Whether it is known to be UTF-8.
    utf8: bool,
    /// Whether it is one of several of a line.
    is_part: bool,
}

/// Reads events into a batch.
struct EventReader<'a> {
    rows: &'a mut RowReader,
    columns: &'a [Column],
    builder: &'a mut BatchBuilder,
}

impl EventReader<'_> {
    /// Reads lines that are events until the batch is full or the lines end.
    fn read_lines(&mut self, lines: &mut Lines<'_>) {
        while let Some(line) = lines.next(self.builder) {
            self.read(Event {
                json: line.bytes,
                begin: line.begin,
                place: line.place,
                arrival: None,
                utf8: line.utf8,
                is_part: false,
            });
        }
    }

    /// Reads lines that are records of an archive object until the batch is full or the lines end. Returns
    /// what the records hold: the batch's text instead of the lines.
    fn read_records(&mut self, lines: &mut Lines<'_>, decoder: &mut archive::Decoder) -> Vec<u8> {
        let mut data = Vec::new();
        while let Some(line) = lines.next(self.builder) {
            let begin = data.len();
            let mut envelope = match check_utf8(line.bytes, line.utf8)
                .and_then(|()| decoder.read(line.bytes, &mut data))
            {
                Ok(envelope) => envelope,
                Err(_) if line.is_blank() => {
                    self.builder.batch.blank += 1;
                    continue;
                }
                Err(reason) => {
                    let violation = Violation::new(rule_id::PARSE, None, reason);
                    self.builder
                        .reject(Rejected::new(violation, line.place, line.bytes));
                    continue;
                }
            };
            if let Some(unpacked) = archive::unpacked(&data[begin..]) {
                data.truncate(begin);
                data.extend(unpacked);
                envelope.is_text = false;
            }
            if data.len() == begin {
                self.builder.batch.blank += 1;
            }
            let mut at = begin;
            while let Some(event) = Line::at(&data, at) {
                self.read(Event {
                    json: &data[event.begin..event.end],
                    begin: event.begin,
                    place: line.place,
                    arrival: Some(envelope.arrival_time),
                    utf8: envelope.is_text,
                    is_part: false,
                });
                at = event.next;
            }
        }
        data
    }

    /// Reads values until the batch is full; returns how many.
    fn read_values(&mut self, elements: &Elements) -> usize {
        let utf8 = simdutf8::basic::from_utf8(&elements.text).is_ok();
        let mut number = 0;
        for range in &elements.ranges {
            if self.builder.is_full() {
                break;
            }
            self.read(Event {
                json: &elements.text[range.clone()],
                begin: range.start,
                place: RowPlace {
                    line: None,
                    offset: (elements.offset + range.start as u64) as i64,
                },
                arrival: None,
                utf8,
                is_part: true,
            });
            number += 1;
        }
        number
    }

    #[inline(always)]
    fn read(&mut self, event: Event<'_>) {
        let batch = &mut self.builder.batch;
        let row = batch.offsets.len();
        let result = check_utf8(event.json, event.utf8)
            .map_err(|reason| Box::new(RowFault::Parse(reason)))
            .and_then(|()| {
                self.rows
                    .read(event.json, event.arrival, &mut batch.columns, row)
            });
        self.rows.place(event.place);
        match result {
            Ok(()) => {
                let span = (event.begin, event.begin + event.json.len());
                self.builder.accept(event.place, span);
            }
            Err(_) if event.json.trim_ascii().is_empty() => batch.blank += 1,
            Err(fault) => self.read_parts(*fault, event),
        }
    }

    /// Reads a text that is not one event: several, or one with a byte-order mark before it. Where it is neither, it
    /// is rejected.
    #[cold]
    fn read_parts(&mut self, fault: RowFault, event: Event<'_>) {
        let text = event.json;
        let begin = if text.starts_with(BOM) { BOM.len() } else { 0 };
        let parts = values_in(&text[begin..]);
        let is_whole = |part: &Range<usize>| part.len() == text.trim_ascii().len();
        let is_other = |part: &Range<usize>| text[begin + part.start] != b'{';
        // Parts of what is not JSON do not count as events.
        let is_one = parts.iter().any(is_whole) || parts.iter().any(is_other);
        if is_one || event.is_part || std::str::from_utf8(text).is_err() {
            return self.reject(fault, event);
        }
        self.rows.forget_last();
        if parts.is_empty() {
            self.builder.batch.blank += 1;
        }
        for part in parts {
            let begin = begin + part.start;
            let offset = match event.arrival {
                // Events of one record share its place.
                Some(_) => event.place.offset,
                None => event.place.offset + begin as i64,
            };
            self.read(Event {
                json: &text[begin..begin + part.len()],
                begin: event.begin + begin,
                place: RowPlace {
                    offset,
                    ..event.place
                },
                is_part: true,
                ..event
            });
        }
    }

    #[cold]
    fn reject(&mut self, fault: RowFault, event: Event<'_>) {
        let violation = match fault {
            RowFault::Parse(reason) => Violation::new(rule_id::PARSE, None, reason),
            RowFault::Value(index, reason) => {
                let column = self.columns.get(index);
                let name = column.map_or("", |column| column.name.as_str());
                Violation::new(rule_id::type_of(name), Some(name), reason)
            }
            RowFault::NewColumn(key) => {
                let reason = format!("the contract knows no column {key}");
                Violation::new(rule_id::SCHEMA_DRIFT, Some(&key), reason)
            }
        };
        self.builder
            .reject(Rejected::new(violation, event.place, event.json));
    }
}

impl Reader for JsonLinesReader {
    fn measured(&mut self) -> Option<Measure> {
        match &mut self.source {
            Source::Lines(lines) => lines.measured(),
            Source::Values(values) => values.measured(),
        }
    }

    fn source_columns(&self) -> Option<Vec<String>> {
        Some(self.rows.seen_keys())
    }

    fn next_batch(&mut self) -> Result<Option<Batch>> {
        let mut builder = BatchBuilder::new(self.empty.next(&self.columns), usize::MAX);
        let (rows, columns, archive) = (&mut self.rows, &self.columns, &mut self.archive);
        let mut text = None;
        match &mut self.source {
            Source::Lines(lines) => {
                let has_rows = lines.fill(&mut builder, |lines, builder| {
                    if let Some(first) = lines.first_of_object()
                        && archive::is_header(lines.bytes(first))?
                    {
                        *archive = Some(archive::Decoder::default());
                        lines.skip(first);
                    }
                    let mut events = EventReader {
                        rows,
                        columns,
                        builder,
                    };
                    match archive {
                        None => events.read_lines(lines),
                        Some(decoder) => {
                            text = Some(Arc::new(events.read_records(lines, decoder)));
                        }
                    }
                    Ok(())
                })?;
                if !has_rows {
                    return Ok(None);
                }
            }
            Source::Values(values) => {
                let Some(elements) = values.next()? else {
                    return Ok(None);
                };
                let mut events = EventReader {
                    rows,
                    columns,
                    builder: &mut builder,
                };
                let read = events.read_values(&elements);
                text = Some(Arc::clone(&elements.text));
                values.put_back(elements, read);
            }
        }
        let mut batch = builder.batch;
        if let Some(text) = text {
            batch.text = text;
        }
        let rows = batch.rows();
        self.rows.finish(&mut batch.columns, rows);
        self.empty.learn(&batch);
        Ok(Some(batch))
    }

    fn new_columns(&self) -> Vec<NewColumn> {
        self.rows
            .unknown_keys()
            .map(|(key, unknown)| unknown.column(key))
            .collect()
    }
}

#[cfg(test)]
#[path = "json_lines_tests.rs"]
mod tests;

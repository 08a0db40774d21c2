//! JSON lines: one object per line, plain or gzip, or as the archive step wrapped them.
//!
//! - A line is one JSON object. Each column is filled from the top-level key that is its source
//!   name; a key that is missing and one that is null are the same: the contract's default, or a
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
//!   them; their payload is what the producer sent. A record that holds nothing is a blank line.

use std::sync::Arc;

use tarn_contract::{Column, Contract, SchemaDrift};
use tarn_core::content::Measure;
use tarn_core::{Result, rule_id};

use crate::batch::{
    Batch, EmptyColumns, NewColumn, NewValues, Reader, Rejected, RowPlace, Violation,
};
use crate::source::archive;
use crate::source::batch_builder::BatchBuilder;
use crate::source::bytes::Input;
use crate::source::json::row::{RowFault, RowReader};
use crate::source::line_reader::{LineReader, Lines, check_utf8};
use crate::source::lines::{CHUNK_BYTES, Line};

/// Reads JSON lines.
pub struct JsonLinesReader {
    lines: LineReader,
    columns: Vec<Column>,
    empty: EmptyColumns,
    rows: RowReader,
    /// Where the object was written by the archive step.
    archive: Option<archive::Decoder>,
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
            lines: LineReader::new(input, chunk_bytes),
            columns: columns.to_vec(),
            empty: EmptyColumns::new(columns),
            rows: RowReader::new(columns, event_time)?,
            archive: None,
        })
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
            });
        }
    }

    /// Reads lines that are records of an archive object until the batch is full or the lines end. Returns
    /// what the records hold: the batch's text instead of the lines.
    fn read_records(&mut self, lines: &mut Lines<'_>, decoder: &mut archive::Decoder) -> Vec<u8> {
        let mut data = Vec::new();
        while let Some(line) = lines.next(self.builder) {
            let begin = data.len();
            let envelope = match check_utf8(line.bytes, line.utf8)
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
                });
                at = event.next;
            }
        }
        data
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
            Err(fault) => self.reject(*fault, event),
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
        self.lines.measured()
    }

    fn source_columns(&self) -> Option<Vec<String>> {
        Some(self.rows.seen_keys())
    }

    fn next_batch(&mut self) -> Result<Option<Batch>> {
        let mut builder = BatchBuilder::new(self.empty.next(&self.columns), usize::MAX);
        let (rows, columns, archive) = (&mut self.rows, &self.columns, &mut self.archive);
        let mut data = None;
        let has_rows = self.lines.fill(&mut builder, |lines, builder| {
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
                Some(decoder) => data = Some(events.read_records(lines, decoder)),
            }
            Ok(())
        })?;
        if !has_rows {
            return Ok(None);
        }
        let mut batch = builder.batch;
        if let Some(data) = data {
            batch.text = Arc::new(data);
        }
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

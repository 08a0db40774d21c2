//! CSV: a header that names the columns, and a row per record.
//!
//! - Each column is filled from the field under its source name. Fields under other names are skipped; what is found
//!   of them are the new columns of the reader. The run fails where the header lacks a column that the contract needs,
//!   or has it twice; other columns that it lacks are their defaults, or null.
//! - The delimiter is the contract's, or that of an Excel's `sep=;` line, or else the one of comma, semicolon, tab and
//!   `|` under which the header has the most columns of the contract. The character set is the contract's, or seen
//!   in the content: see [`charset`].
//! - An empty field is missing; in quotes it is an empty text where the column holds texts. Blanks around other values
//!   do not count.
//! - A row has as many fields as the header; empty ones may follow. Any other number, and quotes that cannot be right
//!   (see [`record`]), reject the row under the rule `parse`, and a value that its column cannot hold under
//!   `<column>.type`. Blank lines, and a header that comes again, are skipped and counted as blank.
//! - Offsets and lines are those of the object, decompressed and in its own character set; a row begins at its first
//!   line.

mod charset;
mod head;
mod record;

use std::path::Path;
use std::sync::Arc;

use memchr::memchr_iter;
use serde_json::Value;
use tarn_contract::{Column, Contract, CsvLayout, SchemaDrift};
use tarn_core::content::Measure;
use tarn_core::{Error, ErrorKind, Result, rule_id};

use self::charset::TextReader;
use self::head::Head;
use self::record::{Field, Found, RECORD_LIMIT, Record, are_empty, find};
use crate::batch::{
    Batch, EmptyColumns, NewColumn, PAYLOAD_LIMIT, Reader, Rejected, RowPlace, Violation,
};
use crate::reason::Reason;
use crate::source::batch_builder::BatchBuilder;
use crate::source::bytes::Input;
use crate::source::json::unknown::UnknownKey;
use crate::source::line_reader::check_utf8;
use crate::source::lines::CHUNK_BYTES;
use crate::source::number::Number;
use crate::source::value::Decoder;

/// Reads CSV.
pub(super) struct CsvReader {
    text: TextReader,
    /// How much is read at once.
    chunk_bytes: usize,
    head: Head,
    columns: Vec<Column>,
    empty: EmptyColumns,
    decoders: Vec<Decoder>,
    /// Per field of a row: the columns that are filled from it.
    targets: Vec<Vec<usize>>,
    /// The columns that no field fills.
    absent: Vec<usize>,
    /// Fields that no column is filled from.
    unnamed: Vec<(usize, UnknownKey)>,
    watches_unnamed: bool,
    /// Whether a row with a value in such a field is rejected.
    refuses_unnamed: bool,
    place: Place,
    /// Whether the header is still to come.
    before_header: bool,
    /// A record that is too long and has not ended yet.
    long: Option<Rejected>,
}

/// Where the text that is not read yet begins.
#[derive(Debug, Clone, Copy)]
struct Place {
    offset: u64,
    line: u64,
}

impl CsvReader {
    /// A reader of `input`, which is at the beginning of the object at `path`, or at a row of it.
    ///
    /// # Errors
    /// `BadSource` where the header lacks what the contract needs or has a column twice; `BadContract` for a column
    /// that cannot be filled from CSV.
    pub(super) fn new(input: Input, path: &Path, contract: &Contract) -> Result<Self> {
        let columns = &contract.columns;
        let decoders = columns
            .iter()
            .map(Decoder::new)
            .collect::<Result<Vec<_>>>()?;
        let head = Head::read(path, contract.csv, columns)?;
        let text = TextReader::new(input, contract.csv.charset)?;
        let is_empty = head.is_none();
        let head = head.unwrap_or_else(|| Head::of_nothing(columns));
        if !is_empty {
            check_header(&head.names, columns)?;
        }
        let mut targets = vec![Vec::new(); head.names.len()];
        let mut absent = Vec::new();
        for (index, column) in columns.iter().enumerate() {
            match head
                .names
                .iter()
                .position(|name| *name == column.source_name)
            {
                Some(field) => targets[field].push(index),
                None => absent.push(index),
            }
        }
        let unnamed = (0..targets.len())
            .filter(|&field| targets[field].is_empty() && !head.names[field].is_empty());
        let place = Place {
            offset: text.offset(),
            line: 1 + text.skipped_lines(),
        };
        Ok(CsvReader {
            unnamed: unnamed
                .map(|field| (field, UnknownKey::default()))
                .collect(),
            watches_unnamed: contract.schema_drift == SchemaDrift::Evolve,
            refuses_unnamed: contract.schema_drift == SchemaDrift::Quarantine,
            before_header: place.offset == 0,
            place,
            text,
            chunk_bytes: CHUNK_BYTES,
            head,
            columns: columns.clone(),
            empty: EmptyColumns::new(columns),
            decoders,
            targets,
            absent,
            long: None,
        })
    }
}

/// Whether the header of a file has what a contract of CSV needs.
///
/// # Errors
/// `Storage` where the file cannot be read.
pub fn reads_csv(path: &Path, contract: &Contract) -> Result<bool> {
    let head = text_or_none(Head::read(path, contract.csv, &contract.columns))?;
    Ok(head.is_some_and(|head| head.fits(&contract.columns)))
}

/// The names of the columns of a file.
///
/// # Errors
/// `BadSource` where it has no header.
pub(crate) fn names(path: &Path) -> Result<Vec<String>> {
    let head = Head::read(path, CsvLayout::default(), &[])?;
    let no_header = || Error::new(ErrorKind::BadSource, "the file is empty: it has no header");
    head.map(|head| head.names).ok_or_else(no_header)
}

/// Whether a file looks like CSV, whatever its columns.
///
/// # Errors
/// As of [`reads_csv`].
pub(super) fn looks_like_csv(path: &Path) -> Result<bool> {
    let head = text_or_none(Head::read(path, CsvLayout::default(), &[]))?;
    Ok(head.is_some_and(|head| head.looks_like_one()))
}

/// An object without text, and a damaged one, has no header.
fn text_or_none(head: Result<Option<Head>>) -> Result<Option<Head>> {
    match head {
        Err(error) if error.kind() == ErrorKind::BadSource => Ok(None),
        head => head,
    }
}

/// Says what is wrong with a header for these columns.
fn check_header(names: &[String], columns: &[Column]) -> Result<()> {
    let bad = |what: String| Err(Error::new(ErrorKind::BadSource, what));
    let count = |name: &String| names.iter().filter(|other| *other == name).count();
    let sources = || columns.iter().map(|column| &column.source_name);
    if let Some(name) = sources().find(|name| count(name) > 1) {
        return bad(format!(
            "the header has the column {name} {} times, and it is not known which one counts: name each once",
            count(name)
        ));
    }
    let lacking: Vec<&str> = columns
        .iter()
        .filter(|column| column.required && column.default.is_none())
        .filter(|column| count(&column.source_name) == 0)
        .map(|column| column.source_name.as_str())
        .collect();
    let has_one = sources().any(|name| count(name) > 0);
    if lacking.is_empty() && has_one {
        return Ok(());
    }
    let lacking = if lacking.is_empty() {
        "every column of the contract".to_owned()
    } else {
        lacking.join(", ")
    };
    bad(format!(
        "the header lacks {lacking}; it has {}: say in the contract what they are called (sourceName), and which \
         character is between them (delimiter)",
        names.join(", ")
    ))
}

/// A field as a value of JSON: the number or the text that it is.
fn as_json(value: &[u8]) -> Vec<u8> {
    match std::str::from_utf8(value) {
        Ok("") | Err(_) => b"null".to_vec(),
        Ok(_) if Number::parse(value).is_some() => value.to_vec(),
        Ok(text) => Value::from(text).to_string().into_bytes(),
    }
}

impl Reader for CsvReader {
    fn measured(&mut self) -> Option<Measure> {
        self.text.measured()
    }

    fn source_columns(&self) -> Option<Vec<String>> {
        Some(self.head.names.clone())
    }

    fn next_batch(&mut self) -> Result<Option<Batch>> {
        let mut builder = BatchBuilder::new(self.empty.next(&self.columns), usize::MAX);
        let mut rows = Rows {
            begin: 0,
            fields: Vec::new(),
            scratch: Vec::new(),
            utf8: false,
        };
        let mut wanted = self.chunk_bytes;
        loop {
            self.place.offset += self.text.fill(wanted)?;
            rows.utf8 = simdutf8::basic::from_utf8(&self.text.text).is_ok();
            while !builder.is_full() && self.read_row(&mut rows, &mut builder) {}
            if rows.begin > 0 || self.text.ended {
                break;
            }
            // A record that is longer than a chunk: it ends, or is too long.
            wanted = (self.text.text.len() * 2).max(wanted);
        }
        let is_end = self.text.ended && rows.begin == self.text.text.len();
        if is_end && let Some(long) = self.long.take() {
            builder.reject(long);
        }
        let has_nothing = builder.batch.rows() == 0
            && builder.batch.rejected.is_empty()
            && builder.batch.blank == 0;
        if is_end && has_nothing {
            return Ok(None);
        }
        let mut batch = builder.batch;
        batch.text = Arc::new(self.text.take(rows.begin));
        self.empty.learn(&batch);
        Ok(Some(batch))
    }

    fn new_columns(&self) -> Vec<NewColumn> {
        // Every row of a file has every column.
        let of_field = |(field, unnamed): &(usize, UnknownKey)| NewColumn {
            rows: 0,
            ..unnamed.column(&self.head.names[*field])
        };
        self.unnamed.iter().map(of_field).collect()
    }
}

/// How far the text is read.
struct Rows {
    begin: usize,
    fields: Vec<Field>,
    scratch: Vec<u8>,
    /// Whether all of the text is known to be UTF-8.
    utf8: bool,
}

impl CsvReader {
    /// Reads the next record; false where more of the object is needed, or it ends.
    #[inline]
    fn read_row(&mut self, rows: &mut Rows, builder: &mut BatchBuilder) -> bool {
        if self.long.is_some() {
            return self.skip_long(rows, builder);
        }
        let text = &self.text.text;
        let found = find(
            text,
            rows.begin,
            self.text.ended,
            self.head.dialect,
            &mut rows.fields,
        );
        let (record, broken) = match found {
            Found::Record(record) => (record, None),
            Found::Broken(record, reason) => (record, Some(reason)),
            Found::Long => {
                let head = &text[rows.begin..][..PAYLOAD_LIMIT.min(text.len() - rows.begin)];
                let reason =
                    format!("the row has more than {RECORD_LIMIT} bytes, the most that are read");
                let violation = Violation::new(rule_id::PARSE, None, reason);
                let mut long = Rejected::new(violation, self.row_place(), head);
                long.payload_bytes = 0;
                self.long = Some(long);
                return true;
            }
            Found::More | Found::End => return false,
        };
        let place = self.row_place();
        let raw = &text[record.begin..record.end];
        let stored = self.text.stored_bytes(&text[record.begin..record.next]);
        let lines = memchr_iter(self.head.dialect.line_end, &text[record.begin..record.next]);
        self.place.line += lines.count() as u64;
        self.place.offset += stored;
        rows.begin = record.next;
        if raw.trim_ascii().is_empty() {
            builder.batch.blank += 1;
            return true;
        }
        if raw == self.head.raw {
            builder.batch.blank += u64::from(!std::mem::take(&mut self.before_header));
            return true;
        }
        if self.before_header {
            // The line that says which delimiter follows.
            builder.batch.blank += 1;
            return true;
        }
        let violation = match broken {
            Some(reason) => Some(Violation::new(rule_id::PARSE, None, reason)),
            None => self.push_row(rows, record, place, builder).err(),
        };
        match violation {
            None => builder.accept(place, (record.begin, record.end)),
            Some(violation) => {
                let raw = &self.text.text[record.begin..record.end];
                builder.reject(Rejected::new(violation, place, raw));
            }
        }
        true
    }

    fn row_place(&self) -> RowPlace {
        RowPlace {
            line: Some(self.place.line),
            offset: self.place.offset as i64,
        }
    }

    /// Fills the columns from the fields of a record.
    fn push_row(
        &mut self,
        rows: &mut Rows,
        record: Record,
        place: RowPlace,
        builder: &mut BatchBuilder,
    ) -> std::result::Result<(), Violation> {
        let text = &self.text.text;
        let (fields, names) = (&rows.fields, &self.head.names);
        let parse = |reason: Reason| Violation::new(rule_id::PARSE, None, reason);
        let is_ragged = fields.len() < names.len() || !are_empty(&fields[names.len()..]);
        if is_ragged {
            let reason = format!(
                "the row has {} fields, and the header {}",
                fields.len(),
                names.len()
            );
            return Err(parse(reason.into()));
        }
        check_utf8(&text[record.begin..record.end], rows.utf8).map_err(parse)?;
        if self.refuses_unnamed
            && let Some((field, _)) = self
                .unnamed
                .iter()
                .find(|(field, _)| !are_empty(&fields[*field..=*field]))
        {
            let name = &names[*field];
            let reason = format!("the contract knows no column {name}");
            return Err(Violation::new(rule_id::SCHEMA_DRIFT, Some(name), reason));
        }
        let columns = &mut builder.batch.columns;
        let row = builder.batch.offsets.len();
        for (field, targets) in fields.iter().zip(&self.targets) {
            for &index in targets {
                let (Some(decoder), Some(data)) =
                    (self.decoders.get(index), columns.get_mut(index))
                else {
                    continue;
                };
                let value = field.text(text, &mut rows.scratch);
                let is_missing = if decoder.is_text() {
                    value.is_empty() && !field.is_quoted
                } else {
                    value.trim_ascii().is_empty()
                };
                if is_missing {
                    decoder.push_missing(data);
                } else if let Err(reason) = decoder.push_field(value, data) {
                    for data in columns.iter_mut() {
                        data.truncate(row);
                    }
                    let name = &self.columns[index].name;
                    return Err(Violation::new(rule_id::type_of(name), Some(name), reason));
                }
            }
        }
        for &index in &self.absent {
            if let (Some(decoder), Some(data)) = (self.decoders.get(index), columns.get_mut(index))
            {
                decoder.push_missing(data);
            }
        }
        for (field, unnamed) in &mut self.unnamed {
            if self.watches_unnamed || unnamed.wants_more() {
                let value = fields[*field].text(text, &mut rows.scratch);
                unnamed.note(&as_json(value), self.watches_unnamed);
                if !unnamed.values.is_empty() {
                    unnamed.place.get_or_insert(place);
                }
            }
        }
        Ok(())
    }

    /// Skips what is there of a record that is too long, up to the end of its line.
    fn skip_long(&mut self, rows: &mut Rows, builder: &mut BatchBuilder) -> bool {
        let text = &self.text.text[rows.begin..];
        let line_end = memchr::memchr(self.head.dialect.line_end, text);
        let length = line_end.map_or(text.len(), |end| end + 1);
        self.place.offset += self.text.stored_bytes(&text[..length]);
        rows.begin += length;
        if let Some(long) = &mut self.long {
            long.payload_bytes += line_end.unwrap_or(length) as u64;
        }
        if line_end.is_none() {
            return false;
        }
        self.place.line += 1;
        if let Some(long) = self.long.take() {
            builder.reject(long);
        }
        true
    }
}

#[cfg(test)]
mod tests;

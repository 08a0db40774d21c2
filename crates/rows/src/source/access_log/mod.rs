//! Access logs of web servers: common, combined and vhost-combined, each line told apart by itself.
//!
//! What a line may look like, beyond the formats:
//! - `-` is no value (null), except in the request, where it is a request that is no HTTP.
//! - A request that is not `METHOD SP target SP PROTOCOL` (binary garbage, `-`, nothing, HTTP/0.9)
//!   is a row with `method`, `path`, `query` and `protocol` null and the request in `raw_request`, with
//!   its escapes as the log has them. A target may hold spaces.
//! - `path` is the target up to the first `?`, `query` what is behind it; an empty query is empty text.
//! - Escapes in the target, the referer and the user agent are decoded; bytes in quotes that are no
//!   UTF-8 stand as `\xhh`. Outside quotes such bytes, and control characters, reject the line.
//! - The user may hold spaces. Four fields in front of the time are virtual host, client, identity and
//!   user where the second can be a client, otherwise client, identity and a user with spaces.
//! - `is_bot` is null where the user agent is.
//! - Anything but white space behind the last field rejects the line, as an unescaped quote inside a
//!   field does: a reading that guesses would put text into the wrong column.

mod bots;
mod columns;
mod fault;
mod parse;
mod place;
mod text;
mod time;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use tarn_core::rule_id;

use memchr::memrchr;
use tarn_contract::{Column, Contract};
use tarn_core::Result;
use tarn_core::content::Measure;

pub use bots::BOT_LIST;

use self::bots::Bots;
use self::columns::{Columns, field_of};
use self::fault::Fault;
use self::parse::{Memory, parse_line};
use crate::batch::{Batch, Reader, Rejected};
use crate::source::bytes::Input;
use crate::source::lines::{CHUNK_BYTES, Chunk, Chunks, LINE_LIMIT, Line, LongLine, Piece};

/// A batch ends at so many rejected lines, or at so many bytes of them: each has its own memory.
const BATCH_REJECTED: usize = 8192;
const BATCH_REJECTED_BYTES: usize = 4 << 20;

/// Text is checked for valid UTF-8 in pieces that stay in the processor's cache until they are parsed.
const UTF8_BYTES: usize = 64 * 1024;

/// How much an [`AccessLogReader`] takes at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccessLogOptions {
    /// Bytes of text per batch, about.
    pub chunk_bytes: usize,
    /// Rows per batch, at most.
    pub batch_rows: usize,
}

impl Default for AccessLogOptions {
    fn default() -> Self {
        AccessLogOptions {
            chunk_bytes: CHUNK_BYTES,
            batch_rows: 65_536,
        }
    }
}

/// Reads an access log.
pub struct AccessLogReader {
    chunks: Chunks,
    contract: Vec<Column>,
    options: AccessLogOptions,
    memory: Memory,
    bots: Option<Bots>,
    current: Option<Cursor>,
    /// What the last batch says of the next one.
    expected_rows: usize,
}

/// How far a chunk is read.
struct Cursor {
    chunk: Chunk,
    at: usize,
    line: u64,
    /// Up to here it is known whether the text is valid UTF-8.
    checked: usize,
    utf8: bool,
}

/// A batch while it is being filled.
struct Filling {
    batch: Batch,
    columns: Columns,
    rejected_bytes: usize,
}

impl AccessLogReader {
    /// A reader of `input` that fills the columns of `contract`.
    ///
    /// # Errors
    /// `BadContract` for a column that cannot be filled from an access log.
    pub fn new(input: Input, contract: &Contract, options: AccessLogOptions) -> Result<Self> {
        Self::of_columns(input, &contract.columns, options)
    }

    fn of_columns(input: Input, contract: &[Column], options: AccessLogOptions) -> Result<Self> {
        columns::check(contract)?;
        let asks_for_bots = contract.iter().any(|column| field_of(column) == "is_bot");
        Ok(AccessLogReader {
            chunks: Chunks::new(input, options.chunk_bytes),
            contract: contract.to_vec(),
            options,
            memory: Memory::default(),
            bots: asks_for_bots.then(Bots::default),
            current: None,
            expected_rows: 0,
        })
    }

    /// The object that is being read, for its counters.
    pub fn input(&self) -> &Input {
        self.chunks.input()
    }

    /// Reads lines until the batch is full or the chunk ends; true says that the chunk ended.
    fn read_lines(&mut self, cursor: &mut Cursor, filling: &mut Filling) -> bool {
        let text = Arc::clone(&cursor.chunk.text);
        while let Some(line) = Line::at(&text, cursor.at) {
            if filling.is_full(&self.options) {
                return false;
            }
            cursor.check_utf8(&text, line);
            let bytes = &text[line.begin..line.end];
            let offset = (cursor.chunk.offset + line.begin as u64) as i64;
            let utf8 = cursor.utf8 || simdutf8::basic::from_utf8(bytes).is_ok();
            match parse_line(bytes, utf8, &mut self.memory) {
                Ok(row) => {
                    filling.columns.push(&row);
                    filling.batch.offsets.push(offset);
                    filling.batch.lines.push(cursor.line);
                    filling.batch.spans.push((line.begin, line.end));
                }
                Err(_) if bytes.iter().all(u8::is_ascii_whitespace) => filling.batch.blank += 1,
                Err(fault) => {
                    let rejected = self.rejected(&fault, cursor.line, offset, bytes);
                    filling.reject(rejected);
                }
            }
            cursor.at = line.next;
            cursor.line += 1;
        }
        true
    }

    fn rejected(&self, fault: &Fault, line: u64, offset: i64, bytes: &[u8]) -> Rejected {
        let column = self
            .contract
            .iter()
            .find(|column| field_of(column) == fault.field);
        let column = column.map(|column| column.name.as_str());
        Rejected::new(
            rule_id::PARSE,
            column,
            fault.reason.as_str(),
            Some(line),
            offset,
            bytes,
        )
    }
}

impl Reader for AccessLogReader {
    fn measured(&mut self) -> Option<Measure> {
        self.chunks.measured()
    }

    fn next_batch(&mut self) -> Result<Option<Batch>> {
        let mut filling = Filling::new(&self.contract, self.expected_rows);
        loop {
            let mut cursor = match self.current.take() {
                Some(cursor) => cursor,
                None => match self.chunks.next_piece()? {
                    Some(Piece::Lines(chunk)) => Cursor::new(chunk),
                    Some(Piece::Long(long)) => {
                        filling.reject(too_long(long));
                        if filling.is_full(&self.options) {
                            break;
                        }
                        continue;
                    }
                    None if filling.batch.rejected.is_empty() => return Ok(None),
                    None => break,
                },
            };
            let ended = self.read_lines(&mut cursor, &mut filling);
            filling.batch.text = Arc::clone(&cursor.chunk.text);
            self.chunks.go_on_at(cursor.line);
            self.current = (!ended).then_some(cursor);
            break;
        }
        let mut batch = filling.batch;
        self.expected_rows = batch.rows() + batch.rows() / 16;
        batch.columns = filling.columns.finish(&self.contract, self.bots.as_mut());
        Ok(Some(batch))
    }
}

impl Filling {
    fn new(contract: &[Column], rows: usize) -> Self {
        let batch = Batch {
            offsets: Vec::with_capacity(rows),
            lines: Vec::with_capacity(rows),
            spans: Vec::with_capacity(rows),
            ..Batch::default()
        };
        Filling {
            batch,
            columns: Columns::new(contract, rows),
            rejected_bytes: 0,
        }
    }

    #[inline]
    fn is_full(&self, options: &AccessLogOptions) -> bool {
        self.batch.offsets.len() >= options.batch_rows.max(1)
            || self.batch.rejected.len() >= BATCH_REJECTED
            || self.rejected_bytes >= BATCH_REJECTED_BYTES
    }

    #[cold]
    fn reject(&mut self, rejected: Rejected) {
        self.rejected_bytes += rejected.payload.len();
        self.batch.rejected.push(rejected);
    }
}

impl Cursor {
    fn new(chunk: Chunk) -> Self {
        Cursor {
            at: 0,
            line: chunk.first_line,
            checked: 0,
            utf8: false,
            chunk,
        }
    }

    /// Checks the lines from `line` on, as many as fit into a piece.
    #[inline]
    fn check_utf8(&mut self, text: &[u8], line: Line) {
        if line.begin < self.checked {
            return;
        }
        let limit = text.len().min(line.begin + UTF8_BYTES);
        self.checked = match memrchr(b'\n', &text[line.begin..limit]) {
            Some(newline) => line.begin + newline + 1,
            None => line.next,
        };
        self.utf8 = simdutf8::basic::from_utf8(&text[line.begin..self.checked]).is_ok();
    }
}

fn too_long(long: LongLine) -> Rejected {
    Rejected {
        rule: rule_id::PARSE.to_owned(),
        column: None,
        reason: format!(
            "line: expected at most {LINE_LIMIT} bytes, found {}",
            long.bytes
        ),
        line: Some(long.line),
        offset: long.offset as i64,
        row: None,
        key: None,
        payload_bytes: long.bytes,
        payload: long.head,
    }
}

//! Access logs of web servers. Where the contract says how lines are laid out (`logFormat`), all are read so
//! ([`layout`]). Else each line is recognised by itself: common, combined and vhost-combined, a line of an
//! Application Load Balancer ([`alb`]), or, after a line `#Fields:`, a line of a W3C extended log ([`w3c`]).
//!
//! What a line of the first three may look like, beyond the formats:
//! - `-`, `""` and nothing mean that there is no value (null), except in the request, where they are a request that
//!   is not HTTP.
//! - A request that is not `METHOD SP target SP PROTOCOL` (binary garbage, `-`, nothing, HTTP/0.9)
//!   is a row with `method`, `path`, `query` and `protocol` null and the request in `raw_request`, with
//!   its escapes as the log has them. A target may hold spaces.
//! - `path` is the target up to the first `?`, `query` the rest after it; an empty query is empty text.
//! - Escapes in the target, the referer, the user agent, the server's name, the identity and the user are decoded;
//!   bytes in quotes that are not UTF-8 become `\xhh`. Outside quotes such bytes, and control characters, reject the line.
//! - Before the time are client, identity and user, and a server's name before them where the second of four
//!   fields can be a client. The client is an address, also with a port or in brackets, a host name, or a list
//!   of addresses that the request was forwarded for: the first counts. A user may have spaces only where
//!   the client is an address, there is no identity, and the rest of the line is exact; any other head, such as
//!   one that syslog has written before the line, is rejected.
//! - Doubled spaces between fields are read as one.
//! - Fields after the user agent are read as [`trailing`] says; an unescaped quote inside a field rejects the line:
//!   a reading that guesses would put text into the wrong column.
//! - A last line without its end that ends in a number is rejected: the number may be cut.
//! - `is_bot` is null where the user agent is.

mod alb;
mod bots;
mod client;
mod columns;
mod fault;
mod head;
mod layout;
mod lines;
mod parse;
mod place;
mod request;
mod row;
mod text;
mod time;
mod trailing;
mod value;
mod w3c;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod layout_tests;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use tarn_contract::{Column, Contract, LogFormat};
use tarn_core::content::Measure;
use tarn_core::{Result, rule_id};

use self::bots::Bots;
use self::columns::{Columns, field_of};
use self::fault::Fault;
use self::lines::{Layouts, Read};
use crate::batch::{Batch, Reader, Rejected, Violation};
use crate::source::batch_builder::BatchBuilder;
use crate::source::bytes::Input;
use crate::source::line_reader::{LineReader, TextLine};
use crate::source::lines::CHUNK_BYTES;

/// How much an [`AccessLogReader`] takes at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AccessLogOptions {
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
pub(super) struct AccessLogReader {
    lines: LineReader,
    contract: Vec<Column>,
    batch_rows: usize,
    layouts: Layouts,
    bots: Option<Bots>,
    /// How many rows the next batch will probably have, by the last one.
    expected_rows: usize,
}

impl AccessLogReader {
    /// A reader of `input` that fills the columns of `contract`.
    ///
    /// # Errors
    /// `BadContract` for a column that cannot be filled from an access log.
    pub(super) fn new(
        input: Input,
        contract: &Contract,
        options: AccessLogOptions,
    ) -> Result<Self> {
        let layouts = Layouts::new(contract.log_format.as_ref());
        Self::of_columns(input, &contract.columns, layouts, options)
    }

    /// A reader of `input`, which begins at a place of the log that `before` reads from its beginning: its lines may
    /// be laid out as lines before that place say.
    ///
    /// # Errors
    /// As of [`AccessLogReader::new`], and those of `before`.
    pub(super) fn of_part(
        input: Input,
        before: Input,
        place: u64,
        contract: &Contract,
    ) -> Result<Self> {
        let mut reader = Self::new(input, contract, AccessLogOptions::default())?;
        if place > 0 && contract.log_format.is_none() {
            for line in w3c::directives_before(before, place)? {
                reader.layouts.note(&line);
            }
        }
        Ok(reader)
    }

    fn of_columns(
        input: Input,
        contract: &[Column],
        layouts: Layouts,
        options: AccessLogOptions,
    ) -> Result<Self> {
        columns::check(contract)?;
        let asks_for_bots = contract.iter().any(|column| field_of(column) == "is_bot");
        Ok(AccessLogReader {
            lines: LineReader::new(input, options.chunk_bytes),
            contract: contract.to_vec(),
            batch_rows: options.batch_rows.max(1),
            layouts,
            bots: asks_for_bots.then(Bots::default),
            expected_rows: 0,
        })
    }
}

/// Whether one of these lines is laid out as `format` says, or, without one, is recognised by itself.
pub(super) fn reads<'l>(
    format: Option<&LogFormat>,
    mut lines: impl Iterator<Item = &'l [u8]>,
) -> bool {
    let mut layouts = Layouts::new(format);
    lines.any(|line| {
        let utf8 = simdutf8::basic::from_utf8(line).is_ok();
        matches!(layouts.read(line, utf8, true), Ok(Read::Row(_)))
    })
}

/// A batch without rows and with room for this many.
fn empty_batch(rows: usize) -> Batch {
    Batch {
        offsets: Vec::with_capacity(rows),
        lines: Vec::with_capacity(rows),
        spans: Vec::with_capacity(rows),
        ..Batch::default()
    }
}

#[cold]
fn rejected(contract: &[Column], fault: Fault, line: TextLine<'_>) -> Rejected {
    let column = contract
        .iter()
        .find(|column| field_of(column) == fault.field);
    let column = column.map(|column| column.name.as_str());
    let violation = Violation::new(rule_id::PARSE, column, fault);
    Rejected::new(violation, line.place, line.bytes)
}

impl Reader for AccessLogReader {
    fn measured(&mut self) -> Option<Measure> {
        self.lines.measured()
    }

    fn next_batch(&mut self) -> Result<Option<Batch>> {
        let mut builder = BatchBuilder::new(empty_batch(self.expected_rows), self.batch_rows);
        let mut columns = Columns::new(&self.contract, self.expected_rows);
        let (contract, layouts) = (&self.contract, &mut self.layouts);
        let has_rows = self.lines.fill(&mut builder, |lines, builder| {
            while let Some(line) = lines.next(builder) {
                let utf8 = line.utf8 || simdutf8::basic::from_utf8(line.bytes).is_ok();
                match layouts.read(line.bytes, utf8, line.is_ended) {
                    Ok(Read::Row(row)) => {
                        columns.push(&row);
                        builder.accept(line.place, line.span());
                    }
                    Ok(Read::Directive) => builder.batch.blank += 1,
                    Err(_) if line.is_blank() => builder.batch.blank += 1,
                    Err(fault) => builder.reject(rejected(contract, fault, line)),
                }
            }
            Ok(())
        })?;
        if !has_rows {
            return Ok(None);
        }
        let mut batch = builder.batch;
        self.expected_rows = batch.rows() + batch.rows() / 16;
        batch.columns = columns.finish(&self.contract, self.bots.as_mut());
        Ok(Some(batch))
    }
}

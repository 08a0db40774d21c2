//! W3C extended log files: the line `#Fields:` names the fields of the lines after it.
//!
//! The format is that of <https://www.w3.org/TR/WD-logfile.html>; times are in UTC. Microsoft's server (IIS) writes
//! `time-taken` in whole milliseconds and plus signs for spaces, CloudFront writes seconds with a fraction and
//! percent signs, and separates by tabs:
//! <https://learn.microsoft.com/en-us/windows/win32/http/w3c-logging>,
//! <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/standard-logs-reference.html>.

use tarn_contract::{LogUnit, LogValue};

use tarn_core::Result;

use super::fault::{Fault, fault};
use super::row::Row;
use super::value::{Escapes, Scratch, Times, Written, fill};
use crate::source::bytes::Input;
use crate::source::lines::{CHUNK_BYTES, Chunks, Line, Piece};

/// Reads lines by the directives before them.
#[derive(Default)]
pub(super) struct W3c {
    is_microsoft: bool,
    fields: Vec<Field>,
    scratch: Vec<Scratch>,
    times: Times,
    /// Date and time of a line.
    time: Vec<u8>,
}

/// What a field of these logs says.
#[derive(Debug, Clone, PartialEq)]
enum Field {
    Date,
    TimeOfDay,
    /// In milliseconds, or in seconds where it has a fraction.
    Taken,
    Value(LogValue),
}

/// The parts of a directive: its name and what it says. None for a line that is none.
fn directive(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = line.strip_prefix(b"#")?;
    let colon = memchr::memchr(b':', line)?;
    let (name, value) = line.split_at(colon);
    let is_name = name.first().is_some_and(u8::is_ascii_uppercase)
        && name
            .iter()
            .all(|byte| byte.is_ascii_alphabetic() || *byte == b'-');
    is_name.then(|| (name, value[1..].trim_ascii()))
}

impl W3c {
    /// Whether a line is a directive.
    pub fn is_directive(line: &[u8]) -> bool {
        directive(line).is_some()
    }

    /// Takes note of a directive.
    pub fn note(&mut self, line: &[u8]) {
        match directive(line) {
            Some((b"Software", software)) => {
                self.is_microsoft = software.starts_with(b"Microsoft");
            }
            Some((b"Fields", names)) => {
                let names = names.split(u8::is_ascii_whitespace);
                let names = names.filter(|name| !name.is_empty());
                self.fields = fields(names.collect());
                self.scratch
                    .resize_with(self.fields.len(), Scratch::default);
            }
            _ => {}
        }
    }

    /// Whether the fields of the lines are known.
    pub fn has_fields(&self) -> bool {
        !self.fields.is_empty()
    }

    /// Reads a line. `is_ended` says that its end follows.
    ///
    /// # Errors
    /// A [`Fault`] for the first field that cannot be read.
    pub fn read<'a>(
        &'a mut self,
        line: &'a [u8],
        utf8: bool,
        is_ended: bool,
    ) -> std::result::Result<Row<'a>, Fault> {
        let by_tabs = memchr::memchr(b'\t', line).is_some();
        let separator = if by_tabs { b'\t' } else { b' ' };
        let count = memchr::memchr_iter(separator, line).count() + 1;
        if count != self.fields.len() {
            let expected = format!("{} fields, as #Fields says", self.fields.len());
            return Err(fault("raw_request", expected, line));
        }
        if !is_ended {
            let expected = "a line end, without which the last field may be cut";
            return Err(fault("raw_request", expected, line));
        }
        let mut row = Row::default();
        let (mut date, mut time): (&[u8], &[u8]) = (b"", b"");
        let fields = self.fields.iter().zip(&mut self.scratch);
        for ((field, scratch), raw) in fields.zip(line.split(|&byte| byte == separator)) {
            let value = match field {
                Field::Date => {
                    date = raw;
                    continue;
                }
                Field::TimeOfDay => {
                    time = raw;
                    continue;
                }
                Field::Taken if raw.contains(&b'.') => &LogValue::Duration(LogUnit::Seconds),
                Field::Taken if self.is_microsoft => &LogValue::Duration(LogUnit::Milliseconds),
                // Whole numbers of other servers are seconds of some and milliseconds of others.
                Field::Taken => continue,
                Field::Value(value) => value,
            };
            let escapes = match value {
                // Paths and queries stay as they were requested.
                LogValue::Agent | LogValue::Referer if !self.is_microsoft => Escapes::Percent,
                LogValue::Agent => Escapes::Plus,
                _ => Escapes::None,
            };
            let written = Written { raw, utf8, escapes };
            fill(value, written, scratch, &mut self.times, &mut row)?;
        }
        self.time.clear();
        for part in [date, b"T", time, b"Z"] {
            self.time.extend_from_slice(part);
        }
        row.event_time = self.times.utc(&self.time)?;
        row.utc_offset_minutes = Some(0);
        Ok(row)
    }
}

/// The directives before a place in a log that are needed to read on from there; nothing for a log that does not
/// begin with one.
///
/// # Errors
/// Those of the input.
pub(super) fn directives_before(input: Input, place: u64) -> Result<Vec<Vec<u8>>> {
    let mut software = None;
    let mut fields = None;
    let mut chunks = Chunks::new(input, CHUNK_BYTES);
    while let Some(piece) = chunks.next_piece()? {
        let Piece::Lines(chunk) = piece else {
            continue;
        };
        let mut at = 0;
        while let Some(line) = Line::at(&chunk.text, at) {
            let begin = chunk.offset + line.begin as u64;
            let text = &chunk.text[line.begin..line.end];
            if begin >= place || begin == 0 && !W3c::is_directive(text) {
                return Ok([software, fields].into_iter().flatten().collect());
            }
            match directive(text) {
                Some((b"Software", _)) => software = Some(text.to_vec()),
                Some((b"Fields", _)) => fields = Some(text.to_vec()),
                _ => {}
            }
            at = line.next;
        }
    }
    Ok([software, fields].into_iter().flatten().collect())
}

/// The fields by their names. The header that a viewer sent counts before the name of the distribution.
fn fields(names: Vec<&[u8]>) -> Vec<Field> {
    let has_host_header = names.contains(&b"x-host-header".as_slice());
    let field = |name: &[u8]| {
        let value = match name.to_ascii_lowercase().as_slice() {
            b"date" => return Field::Date,
            b"time" => return Field::TimeOfDay,
            b"time-taken" => return Field::Taken,
            b"c-ip" => LogValue::Client,
            b"x-forwarded-for" | b"cs(x-forwarded-for)" => LogValue::ForwardedFor,
            b"x-host-header" => LogValue::Server,
            b"cs-host" | b"cs(host)" if !has_host_header => LogValue::Server,
            b"s-port" => LogValue::Port,
            b"cs-username" => LogValue::User,
            b"cs-method" => LogValue::Method,
            b"cs-uri" => LogValue::Target,
            b"cs-uri-stem" => LogValue::Path,
            b"cs-uri-query" => LogValue::Query,
            b"cs-version" | b"cs-protocol-version" => LogValue::Protocol,
            b"sc-status" => LogValue::Status,
            b"sc-bytes" => LogValue::BytesSent,
            b"cs-bytes" => LogValue::BytesReceived,
            b"cs(referer)" => LogValue::Referer,
            b"cs(user-agent)" => LogValue::Agent,
            _ => LogValue::Other,
        };
        Field::Value(value)
    };
    names.into_iter().map(field).collect()
}

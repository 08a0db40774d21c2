//! Lines whose layout the contract says, in the notation of their server.

use memchr::{memchr, memchr2, memmem};
use tarn_contract::{LogField, LogFormat, LogTime, LogValue};

use super::fault::{Fault, fault};
use super::row::Row;
use super::value::{Escapes, Scratch, Times, Written, column_of, fill};

/// Reads lines of a layout.
pub(super) struct Layout {
    format: LogFormat,
    scratch: Vec<Scratch>,
    times: Times,
}

impl Layout {
    pub fn new(format: LogFormat) -> Self {
        Layout {
            scratch: format.fields.iter().map(|_| Scratch::default()).collect(),
            format,
            times: Times::default(),
        }
    }

    /// Reads a line. `is_ended` says that its end follows.
    ///
    /// # Errors
    /// A [`Fault`] for the first field that is not as the layout says.
    pub fn read<'a>(
        &'a mut self,
        line: &'a [u8],
        utf8: bool,
        is_ended: bool,
    ) -> Result<Row<'a>, Fault> {
        let mut row = Row::default();
        let format = &self.format;
        let first = format
            .fields
            .first()
            .map_or("raw_request", |field| column_of(&field.value));
        let mut rest = line
            .strip_prefix(format.start.as_bytes())
            .ok_or_else(|| fault(first, expected(&format.start, "at the beginning"), line))?;
        let escapes = if format.is_json {
            Escapes::Json
        } else {
            Escapes::Backslash
        };
        let mut before = format.start.as_str();
        for (field, scratch) in format.fields.iter().zip(&mut self.scratch) {
            let (raw, after) = take(rest, field, before.ends_with('"'))?;
            let written = Written { raw, utf8, escapes };
            fill(&field.value, written, scratch, &mut self.times, &mut row)?;
            (rest, before) = (after, &field.after);
        }
        let last = format
            .fields
            .last()
            .map_or("raw_request", |field| column_of(&field.value));
        if !rest.trim_ascii().is_empty() {
            return Err(fault(last, "the end of the line", rest));
        }
        if before.is_empty() && !is_ended {
            let expected = "a line end, without which the last field may be cut";
            return Err(fault(last, expected, line));
        }
        Ok(row)
    }
}

fn expected(text: &str, place: &str) -> String {
    format!("`{}` {place}, as logFormat says", text.escape_debug())
}

/// A field, and what follows the text after it.
fn take<'a>(
    line: &'a [u8],
    field: &LogField,
    is_quoted: bool,
) -> Result<(&'a [u8], &'a [u8]), Fault> {
    let after = field.after.as_bytes();
    let Some(&end) = after.first() else {
        return Ok((line, &[]));
    };
    let wrong = |rest| {
        fault(
            column_of(&field.value),
            expected(&field.after, "after it"),
            rest,
        )
    };
    let length = if is_quoted && end == b'"' {
        closing(line)
    } else if field.value == LogValue::User {
        // Its name may have spaces, as far as they are not those of the layout.
        memmem::find(line, after)
    } else {
        let mut length = nth(line, end, ends_within(&field.value, end));
        // A list of addresses.
        while let (LogValue::Client | LogValue::ForwardedFor, Some(list)) = (&field.value, length)
            && end == b' '
            && line[..list].ends_with(b",")
            && line
                .get(list + 1)
                .is_some_and(|next| next.is_ascii_alphanumeric() || *next == b'[')
        {
            length = memchr(end, &line[list + 1..]).map(|next| list + 1 + next);
        }
        length
    };
    let length = length.ok_or_else(|| wrong(line))?;
    let (raw, rest) = line.split_at(length);
    let rest = rest.strip_prefix(after).ok_or_else(|| wrong(rest))?;
    Ok((raw, rest))
}

/// Where the quote is that closes a text.
pub(super) fn closing(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(found) = memchr2(b'"', b'\\', text.get(at..)?) {
        at += found;
        if text[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
    None
}

/// How often a field has the byte within it that is to end it.
fn ends_within(value: &LogValue, end: u8) -> usize {
    let example: &[u8] = match value {
        LogValue::Time(LogTime::Common { brackets: true }) => b"[10/Oct/2000:13:55:36 -0700]",
        LogValue::Time(LogTime::Common { brackets: false }) => b"10/Oct/2000:13:55:36 -0700",
        LogValue::Time(LogTime::Pattern(pattern)) => return pattern.count_of(end),
        LogValue::Request => b"GET / HTTP",
        _ => return 0,
    };
    example.iter().filter(|&&byte| byte == end).count()
}

/// The place of a byte after this many of its like.
fn nth(text: &[u8], byte: u8, before: usize) -> Option<usize> {
    memchr::memchr_iter(byte, text).nth(before)
}

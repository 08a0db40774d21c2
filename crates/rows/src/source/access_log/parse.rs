//! One line of an access log to its fields.
//!
//! The formats are Apache's (`mod_log_config`): common `%h %l %u %t "%r" %>s %b`, combined with
//! ` "%{Referer}i" "%{User-agent}i"` after it, and vhost-combined with `%v:%p ` before it.
//! nginx's predefined `combined` is the same. Each line is recognised by itself.

use memchr::{memchr, memchr_iter, memchr2};

use super::fault::{Fault, fault};
use super::head::{HeadBuffers, read_head, without_time};
use super::request::{Quoted, RequestBuffers, read_request, text};
use super::row::Row;
use super::time::TimeCache;
use super::trailing::read_trailing;

/// What is kept from line to line: buffers for decoded fields, and guesses that make the common
/// case cheap and change no result.
#[derive(Default)]
pub(super) struct Memory {
    time: TimeCache,
    head: HeadBuffers,
    request: RequestBuffers,
    referer: Vec<u8>,
    agent: Vec<u8>,
}

/// Digits of a status.
const STATUS_BYTES: usize = 3;

/// Reads a line without its line end. `utf8` says that the line is known to be valid UTF-8.
///
/// # Errors
/// A [`Fault`] for the first field, from the left, that is not as the formats say.
pub(crate) fn parse_line<'a>(
    line: &'a [u8],
    utf8: bool,
    memory: &'a mut Memory,
) -> Result<Row<'a>, Fault> {
    let mut row = Row::default();
    let time = find_time(line);
    let time = time.ok_or_else(|| without_time(line))?;
    let head = &line[..time - 1];
    let has_spaces = read_head(head, utf8, &mut row, &mut memory.head)?;
    let (event_time, utc_offset_minutes, rest) = memory.time.parse(&line[time..])?;
    (row.event_time, row.utc_offset_minutes) = (event_time, Some(utc_offset_minutes));
    let tail_bytes = rest.len();

    let rest = opening(
        rest,
        "raw_request",
        "a space and the quoted request after the time",
    )?;
    let (request, rest) = quoted(rest, "raw_request", "the request")?;

    let rest = gap(rest, "status", "a space and the status after the request")?;
    let (status, rest) = read_status(rest)?;
    row.status = Some(status);

    let rest = gap(rest, "bytes", "a space and the size after the status")?;
    let before = rest.len();
    let (bytes, rest) = read_bytes(rest)?;
    row.bytes = bytes;
    let size_bytes = before - rest.len();

    let (mut referer, mut agent, mut rest) = (None, None, rest);
    if let Some(after) = after_spaces(rest).and_then(|after| after.strip_prefix(b"\"")) {
        let (field, after) = quoted(after, "referer", "the referer")?;
        let expected = "a space and the quoted user agent after the referer";
        let after = opening(after, "user_agent", expected)?;
        let (field2, after) = quoted(after, "user_agent", "the user agent")?;
        (referer, agent, rest) = (Some(field), Some(field2), after);
    }
    if !rest.iter().all(u8::is_ascii_whitespace) {
        if agent.is_none() {
            return Err(fault(
                "bytes",
                "the end of the line, or the quoted referer and user agent, after the size",
                rest,
            ));
        }
        row.trailing = read_trailing(rest)?;
    }
    if has_spaces {
        let quotes = [Some(request), referer, agent];
        let quoted = quotes
            .into_iter()
            .flatten()
            .map(|field| field.raw.len() + 3);
        // Each field with the space before it, and the quotes of some.
        let exact = quoted.sum::<usize>() + 1 + STATUS_BYTES + 1 + size_bytes;
        if tail_bytes != exact {
            return Err(spaced_user(head));
        }
    }

    read_request(request, utf8, &mut row, &mut memory.request);
    row.referer = referer.and_then(|field| text(field, utf8, &mut memory.referer));
    row.user_agent = agent.and_then(|field| text(field, utf8, &mut memory.agent));
    Ok(row)
}

/// Whether a line without its end may have been longer: it ends in a number.
pub(super) fn may_be_cut(line: &[u8]) -> bool {
    line.trim_ascii_end().last() != Some(&b'"') && line.last() != Some(&b'-')
}

/// Says so of a line that could be read.
#[cold]
pub(super) fn cut(row: &Row<'_>, line: &[u8]) -> Fault {
    let field = match row.user_agent {
        Some(_) => "user_agent",
        None => "bytes",
    };
    let last = line.rsplit(|&byte| byte == b' ').next().unwrap_or_default();
    fault(
        field,
        "a line end, without which the last number may be cut",
        last,
    )
}

/// Where the `[` of the time is: after a space and before the slashes of a date. User names
/// may have brackets in them.
#[inline]
fn find_time(line: &[u8]) -> Option<usize> {
    let mut fallback = None;
    for at in memchr_iter(b'[', line) {
        if at == 0 || line[at - 1] != b' ' {
            continue;
        }
        if line.get(at + 3) == Some(&b'/') && line.get(at + 7) == Some(&b'/') {
            return Some(at);
        }
        // In quotes there is no time: what is found there says nothing about this line.
        if fallback.is_none() && memchr(b'"', &line[..at]).is_none() {
            fallback = Some(at);
        }
    }
    fallback
}

#[inline]
pub(super) fn read_status(text: &[u8]) -> Result<(i32, &[u8]), Fault> {
    if let [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] = text
        && !rest.first().is_some_and(u8::is_ascii_digit)
    {
        let status = i32::from(a - b'0') * 100 + i32::from(b - b'0') * 10 + i32::from(c - b'0');
        return Ok((status, rest));
    }
    Err(fault("status", "three digits", text))
}

#[inline]
fn read_bytes(text: &[u8]) -> Result<(Option<i64>, &[u8]), Fault> {
    if let [b'-', rest @ ..] = text
        && !rest.first().is_some_and(u8::is_ascii_digit)
    {
        return Ok((None, rest));
    }
    let mut value: i64 = 0;
    let mut length = 0;
    while let Some(digit) = text.get(length).filter(|digit| digit.is_ascii_digit()) {
        value = value
            .checked_mul(10)
            .and_then(|value| value.checked_add(i64::from(digit - b'0')))
            .ok_or_else(|| fault("bytes", "a size of at most 9223372036854775807", text))?;
        length += 1;
    }
    if length == 0 {
        return Err(fault("bytes", "digits or `-`", text));
    }
    Ok((Some(value), &text[length..]))
}

/// A quoted field whose opening quote was read, and the text after its closing quote.
#[inline]
fn quoted<'a>(
    text: &'a [u8],
    name: &'static str,
    what: &str,
) -> Result<(Quoted<'a>, &'a [u8]), Fault> {
    let (mut at, mut escaped) = (0, false);
    while let Some(found) = memchr2(b'"', b'\\', text.get(at..).unwrap_or_default()) {
        at += found;
        if text[at] == b'"' {
            return Ok((
                Quoted {
                    raw: &text[..at],
                    escaped,
                },
                &text[at + 1..],
            ));
        }
        escaped = true;
        at += 2;
    }
    Err(fault(name, format!("a closing quote after {what}"), text))
}

/// The text after the spaces that it begins with: one, or more where a format has them. None where it begins with
/// no space.
#[inline]
fn after_spaces(text: &[u8]) -> Option<&[u8]> {
    match text {
        [b' ', rest @ ..] if rest.first() != Some(&b' ') => Some(rest),
        [b' ', ..] => Some(text.trim_ascii_start()),
        _ => None,
    }
}

/// As [`after_spaces`].
#[inline]
fn gap<'a>(text: &'a [u8], field: &'static str, expected: &'static str) -> Result<&'a [u8], Fault> {
    after_spaces(text).ok_or_else(|| fault(field, expected, text))
}

/// The text after spaces and a quote.
#[inline]
fn opening<'a>(
    text: &'a [u8],
    field: &'static str,
    expected: &'static str,
) -> Result<&'a [u8], Fault> {
    let rest = gap(text, field, expected)?;
    rest.strip_prefix(b"\"")
        .ok_or_else(|| fault(field, expected, rest))
}

/// A user with spaces may be something else that was written into the line.
#[cold]
fn spaced_user(head: &[u8]) -> Fault {
    fault(
        "remote_user",
        "one user without spaces, as the line has doubled spaces or more fields",
        head,
    )
}

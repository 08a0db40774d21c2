//! Fields whose place in a line is known: what each says, into the row.

use tarn_contract::{LogTime, LogUnit, LogValue};

use super::client::{is_placeholder, read_client};
use super::fault::{Fault, fault};
use super::head::{is_name, read_name, read_port, read_server};
use super::parse::read_status;
use super::request::{Quoted, RequestBuffers, read_request};
use super::row::Row;
use super::text::{self, decode};
use super::time::TimeCache;
use crate::source::time;

/// How a text was changed so that it could be written into a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escapes {
    /// By backslashes, as Apache and nginx do.
    Backslash,
    /// As JSON does.
    Json,
    /// By percent signs, as in URLs.
    Percent,
    /// As Microsoft's server does: a space is a plus.
    Plus,
    /// Not at all.
    None,
}

/// A field as it is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Written<'a> {
    pub raw: &'a [u8],
    /// Whether the line is known to be valid UTF-8.
    pub utf8: bool,
    pub escapes: Escapes,
}

/// Buffers for what a field becomes where it is not as it is written.
#[derive(Default)]
pub(super) struct Scratch {
    text: Vec<u8>,
    request: RequestBuffers,
}

/// The last time and what it says: neighbouring lines mostly have the same.
#[derive(Default)]
pub(super) struct Times {
    common: TimeCache,
    bracketed: Vec<u8>,
    last: Vec<u8>,
    read: (i64, Option<i32>),
}

/// The column that a field fills, for the reasons of rejected lines; that of the whole line where it fills none.
pub(super) fn column_of(value: &LogValue) -> &'static str {
    match value {
        LogValue::Time(_) => "event_time",
        LogValue::Client => "client_ip",
        LogValue::ForwardedFor => "forwarded_for",
        LogValue::Server => "vhost",
        LogValue::Port => "server_port",
        LogValue::Ident => "ident",
        LogValue::User => "remote_user",
        LogValue::Request => "raw_request",
        LogValue::Method => "method",
        LogValue::Target | LogValue::Path => "path",
        LogValue::Query => "query",
        LogValue::Protocol => "protocol",
        LogValue::Status => "status",
        LogValue::Bytes => "bytes",
        LogValue::BytesReceived => "bytes_received",
        LogValue::BytesSent => "bytes_sent",
        LogValue::Duration(_) => "request_time",
        LogValue::Referer => "referer",
        LogValue::Agent => "user_agent",
        LogValue::Other => "raw_request",
    }
}

/// Reads a field into a row.
///
/// # Errors
/// Where it is no such value.
pub(super) fn fill<'a>(
    value: &LogValue,
    field: Written<'a>,
    scratch: &'a mut Scratch,
    times: &mut Times,
    row: &mut Row<'a>,
) -> Result<(), Fault> {
    let raw = field.raw;
    let column = column_of(value);
    match value {
        LogValue::Other => {}
        LogValue::Time(how) => {
            (row.event_time, row.utc_offset_minutes) = times.read(how, raw)?;
        }
        LogValue::Client => row.client_ip = read_client(raw)?,
        LogValue::Server => read_server(raw, row, &mut scratch.text)?,
        LogValue::Request => {
            let decoded = match field.escapes {
                Escapes::Json => unescape_json(raw, &mut scratch.text),
                _ => raw,
            };
            let request = Quoted {
                raw: decoded,
                escaped: field.escapes == Escapes::Backslash && raw.contains(&b'\\'),
            };
            read_request(request, field.utf8, row, &mut scratch.request);
        }
        _ if is_placeholder(raw) => {}
        LogValue::Port => {
            let expected = "a port from 1 to 65535";
            let port = read_port(raw).ok_or_else(|| fault(column, expected, raw))?;
            row.server_port = row.server_port.or(Some(port));
        }
        LogValue::Ident => row.ident = field.name(column, &mut scratch.text)?,
        LogValue::User => row.remote_user = field.name(column, &mut scratch.text)?,
        LogValue::Target => {
            let target = field.text(&mut scratch.text);
            let mark = memchr::memchr(b'?', target);
            let (path, query) = target.split_at(mark.unwrap_or(target.len()));
            row.path = row.path.or(Some(path));
            row.query = row.query.or(query.strip_prefix(b"?"));
        }
        LogValue::Query => {
            let query = field.text(&mut scratch.text);
            let query = query.strip_prefix(b"?").unwrap_or(query);
            row.query = row.query.or(Some(query));
        }
        LogValue::Path => row.path = row.path.or(Some(field.text(&mut scratch.text))),
        LogValue::Method => row.method = row.method.or(Some(field.text(&mut scratch.text))),
        LogValue::Protocol => {
            row.protocol = row.protocol.or(Some(field.text(&mut scratch.text)));
        }
        LogValue::Status => match read_status(raw)? {
            (status, []) => row.status = Some(status),
            _ => return Err(fault(column, "three digits", raw)),
        },
        LogValue::Bytes => row.bytes = Some(whole(column, raw)?),
        LogValue::BytesReceived => row.trailing.bytes_received = Some(whole(column, raw)?),
        LogValue::BytesSent => row.trailing.bytes_sent = Some(whole(column, raw)?),
        LogValue::Duration(unit) => row.trailing.request_time = Some(seconds(*unit, raw)?),
        LogValue::ForwardedFor => {
            row.trailing.forwarded_for = Some(field.text(&mut scratch.text));
        }
        LogValue::Referer => row.referer = Some(field.text(&mut scratch.text)),
        LogValue::Agent => row.user_agent = Some(field.text(&mut scratch.text)),
    }
    Ok(())
}

impl<'a> Written<'a> {
    /// The text as it was before it was written.
    fn text(self, scratch: &'a mut Vec<u8>) -> &'a [u8] {
        let is_plain = match self.escapes {
            Escapes::Backslash | Escapes::Json => !self.raw.contains(&b'\\'),
            Escapes::Percent => !self.raw.contains(&b'%'),
            Escapes::Plus => !self.raw.contains(&b'+'),
            Escapes::None => true,
        };
        if is_plain && self.utf8 {
            return self.raw;
        }
        match self.escapes {
            Escapes::Backslash => decode(self.raw, scratch),
            Escapes::Json => unescape_json(self.raw, scratch),
            Escapes::Percent | Escapes::Plus | Escapes::None => {
                scratch.clear();
                unescape_url(self.raw, self.escapes, scratch);
                text::make_valid(scratch);
                scratch
            }
        }
    }

    /// An identity or a user.
    fn name(
        self,
        column: &'static str,
        scratch: &'a mut Vec<u8>,
    ) -> Result<Option<&'a [u8]>, Fault> {
        if self.raw.contains(&b' ') && !self.raw.split(|&byte| byte == b' ').all(is_name) {
            return Err(fault(column, "one user", self.raw));
        }
        match self.escapes {
            Escapes::Backslash => read_name(column, self.raw, self.utf8, scratch),
            _ => Ok(Some(self.text(scratch))),
        }
    }
}

fn whole(column: &'static str, raw: &[u8]) -> Result<i64, Fault> {
    let digits = raw.iter().all(u8::is_ascii_digit).then_some(raw);
    digits
        .and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok())
        .ok_or_else(|| fault(column, "digits or `-`", raw))
}

/// A number of a unit, perhaps with a fraction, in seconds.
fn seconds(unit: LogUnit, raw: &[u8]) -> Result<f64, Fault> {
    decimal(raw)
        .and_then(|text| text.parse::<f64>().ok())
        .map(|number| number * unit.micros() as f64 / LogUnit::Seconds.micros() as f64)
        .ok_or_else(|| fault("request_time", "a number", raw))
}

/// The text of digits with at most one point among them.
fn decimal(raw: &[u8]) -> Option<&str> {
    let is_digit = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
    let is_number = raw.first().is_some_and(u8::is_ascii_digit)
        && raw.iter().all(is_digit)
        && raw.iter().filter(|&&byte| byte == b'.').count() <= 1;
    is_number.then(|| std::str::from_utf8(raw).ok()).flatten()
}

impl Times {
    /// Microseconds since 1970-01-01T00:00:00Z of a time that is written in UTC.
    pub fn utc(&mut self, raw: &[u8]) -> Result<i64, Fault> {
        self.read(&LogTime::Iso, raw).map(|(micros, _)| micros)
    }

    /// Microseconds since 1970-01-01T00:00:00Z, and the minutes east of UTC where they are written.
    fn read(&mut self, how: &LogTime, raw: &[u8]) -> Result<(i64, Option<i32>), Fault> {
        if let LogTime::Common { brackets } = how {
            let text = if *brackets {
                raw
            } else {
                self.bracketed.clear();
                self.bracketed.push(b'[');
                self.bracketed.extend_from_slice(raw);
                self.bracketed.push(b']');
                &self.bracketed
            };
            let (micros, offset, rest) = self.common.parse(text)?;
            return match rest {
                [] => Ok((micros, Some(offset))),
                _ => Err(fault("event_time", "nothing after the time", raw)),
            };
        }
        if raw != self.last || raw.is_empty() {
            let expected = match how {
                LogTime::Iso => "a time such as 2026-01-31T10:11:12+01:00",
                LogTime::Epoch(_) => "the time since 1970-01-01",
                LogTime::Pattern(_) | LogTime::Common { .. } => "a time as logFormat says",
            };
            self.read = other_time(how, raw).ok_or_else(|| fault("event_time", expected, raw))?;
            self.last.clear();
            self.last.extend_from_slice(raw);
        }
        Ok(self.read)
    }
}

fn other_time(how: &LogTime, raw: &[u8]) -> Option<(i64, Option<i32>)> {
    match how {
        LogTime::Iso => time::timestamp_with_offset(raw).ok(),
        LogTime::Epoch(unit) => Some((epoch(*unit, decimal(raw)?)?, None)),
        LogTime::Pattern(pattern) => {
            let time = pattern.parse(std::str::from_utf8(raw).ok()?)?;
            let offset = time.offset().local_minus_utc() / 60;
            Some((
                tarn_core::calendar::in_range(time.timestamp_micros())?,
                Some(offset),
            ))
        }
        LogTime::Common { .. } => None,
    }
}

/// Microseconds of a number of a unit; digits after the sixth of a second are dropped.
fn epoch(unit: LogUnit, number: &str) -> Option<i64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let mut micros = whole.parse::<i64>().ok()?.checked_mul(unit.micros())?;
    let mut digit_micros = unit.micros() / 10;
    for digit in fraction.bytes() {
        micros += i64::from(digit - b'0') * digit_micros;
        digit_micros /= 10;
    }
    tarn_core::calendar::in_range(micros)
}

/// The text of a JSON string's inside. An escape that JSON does not know stays.
fn unescape_json<'a>(raw: &[u8], scratch: &'a mut Vec<u8>) -> &'a [u8] {
    let mut quoted = Vec::with_capacity(raw.len() + 2);
    quoted.push(b'"');
    quoted.extend_from_slice(raw);
    quoted.push(b'"');
    scratch.clear();
    match serde_json::from_slice::<String>(&quoted) {
        Ok(text) => scratch.extend_from_slice(text.as_bytes()),
        Err(_) => {
            scratch.extend_from_slice(raw);
            text::make_valid(scratch);
        }
    }
    scratch
}

/// Undoes `%hh`, or, for Microsoft's server, a plus for a space.
fn unescape_url(raw: &[u8], escapes: Escapes, out: &mut Vec<u8>) {
    let hex = |digit: u8| (digit as char).to_digit(16).map(|value| value as u8);
    let mut rest = raw;
    loop {
        rest = match *rest {
            [] => return,
            [b'+', ref after @ ..] if escapes == Escapes::Plus => {
                out.push(b' ');
                after
            }
            [b'%', high, low, ref after @ ..] if escapes == Escapes::Percent => {
                match (hex(high), hex(low)) {
                    (Some(high), Some(low)) => {
                        out.push(high << 4 | low);
                        after
                    }
                    _ => {
                        out.push(b'%');
                        &rest[1..]
                    }
                }
            }
            [byte, ref after @ ..] => {
                out.push(byte);
                after
            }
        };
    }
}

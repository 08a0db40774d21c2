//! Access logs of Application Load Balancers, whose fields have fixed places:
//! <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html>.

use tarn_contract::{LogUnit, LogValue};

use super::fault::{Fault, fault};
use super::row::Row;
use super::text;
use super::value::{Escapes, Scratch, Times, Written, column_of, fill};

/// Names of the protocols that a line begins with.
const PROTOCOLS: [&[u8]; 6] = [b"http", b"https", b"h2", b"grpcs", b"ws", b"wss"];

/// Fields that every line has; newer ones have more.
const LEAST_FIELDS: usize = 14;

/// Where fields are in a line.
mod place {
    pub const TIME: usize = 1;
    pub const PROCESSING: std::ops::RangeInclusive<usize> = 5..=7;
    pub const REQUEST: usize = 12;
    pub const DOMAIN: usize = 18;
    pub const RECEIVED: usize = 21;
}

/// What the fields say that are read as in other logs.
const VALUES: [(usize, LogValue); 6] = [
    (3, LogValue::Client),
    (8, LogValue::Status),
    (10, LogValue::BytesReceived),
    (11, LogValue::BytesSent),
    (place::REQUEST, LogValue::Request),
    (13, LogValue::Agent),
];

/// Reads these lines.
#[derive(Default)]
pub(super) struct Alb {
    scratch: [Scratch; VALUES.len()],
    domain: Vec<u8>,
    times: Times,
}

/// Whether a line is one of these: a protocol, and a time as ISO 8601 has it.
#[inline]
pub(super) fn is_line(line: &[u8]) -> bool {
    if !matches!(line.first(), Some(b'h' | b'g' | b'w')) {
        return false;
    }
    let Some(space) = memchr::memchr(b' ', &line[..line.len().min(6)]) else {
        return false;
    };
    let (protocol, time) = line.split_at(space);
    PROTOCOLS.contains(&protocol)
        && matches!(
            time.get(1..12),
            Some([_, _, _, _, b'-', _, _, b'-', _, _, b'T'])
        )
}

impl Alb {
    /// Reads a line. `is_ended` says that its end follows.
    ///
    /// # Errors
    /// A [`Fault`] for the first field that cannot be read.
    pub fn read<'a>(
        &'a mut self,
        line: &'a [u8],
        utf8: bool,
        is_ended: bool,
    ) -> Result<Row<'a>, Fault> {
        let fields = split(line)?;
        if fields.len() < LEAST_FIELDS {
            let expected = format!("the {LEAST_FIELDS} fields of a load balancer or more");
            return Err(fault("raw_request", expected, line));
        }
        if !is_ended && !line.ends_with(b"\"") {
            let expected = "a line end, without which the last field may be cut";
            return Err(fault("raw_request", expected, line));
        }
        let mut row = Row::default();
        for ((place, value), scratch) in VALUES.iter().zip(&mut self.scratch) {
            let raw = fields.get(*place).copied().unwrap_or_default();
            let written = Written {
                raw,
                utf8,
                escapes: Escapes::Backslash,
            };
            fill(value, written, scratch, &mut self.times, &mut row)?;
        }
        // When the request came; older lines have only the time of the answer.
        let received = fields
            .get(place::RECEIVED)
            .filter(|raw| raw.contains(&b'T'));
        let time = received.copied().unwrap_or(fields[place::TIME]);
        row.event_time = self.times.utc(time)?;
        row.utc_offset_minutes = Some(0);
        row.trailing.request_time = processing(&fields[place::PROCESSING])?;
        if let Some(domain) = fields
            .get(place::DOMAIN)
            .filter(|raw| ![&b"-"[..], b""].contains(raw))
        {
            row.vhost = Some(text::unescaped(domain, &mut self.domain));
        }
        relative(&mut row);
        Ok(row)
    }
}

/// The fields of a line without their quotes.
fn split(line: &[u8]) -> Result<Vec<&[u8]>, Fault> {
    let mut fields = Vec::with_capacity(32);
    let mut rest = line.trim_ascii_end();
    while !rest.is_empty() {
        let (field, after) = match rest.strip_prefix(b"\"") {
            Some(quoted) => {
                let end = super::layout::closing(quoted)
                    .ok_or_else(|| fault("raw_request", "a closing quote", rest))?;
                (&quoted[..end], &quoted[end + 1..])
            }
            None => {
                let end = memchr::memchr(b' ', rest).unwrap_or(rest.len());
                rest.split_at(end)
            }
        };
        fields.push(field);
        rest = match after {
            [] => after,
            [b' ', after @ ..] => after,
            _ => return Err(fault("raw_request", "a space between fields", after)),
        };
    }
    Ok(fields)
}

/// The seconds that load balancer and target took together; None where one of them is −1: there was no answer.
fn processing(times: &[&[u8]]) -> Result<Option<f64>, Fault> {
    let column = column_of(&LogValue::Duration(LogUnit::Seconds));
    let mut sum = 0.0;
    for time in times {
        if [&b"-1"[..], b"-"].contains(time) {
            return Ok(None);
        }
        let seconds = std::str::from_utf8(time)
            .ok()
            .and_then(|time| time.parse::<f64>().ok());
        sum += seconds
            .filter(|seconds| seconds.is_finite() && *seconds >= 0.0)
            .ok_or_else(|| fault(column, "seconds", time))?;
    }
    // The times have three or six digits.
    Ok(Some((sum * 1e6).round() / 1e6))
}

/// Load balancers log the whole address of a request: its host and port, as far as no other field has them, and
/// the path.
fn relative(row: &mut Row<'_>) {
    let Some(target) = row.path else {
        return;
    };
    let Some(at) = memchr::memmem::find(target, b"://") else {
        return;
    };
    let rest = &target[at + 3..];
    let (server, path) = rest.split_at(memchr::memchr(b'/', rest).unwrap_or(rest.len()));
    let (host, port) = super::place::split_port(server);
    row.path = Some(if path.is_empty() { b"/" } else { path });
    row.server_port = port.and_then(super::head::read_port);
    if row.vhost.is_none() && super::place::server_is_valid(host) {
        row.vhost = Some(host);
    }
}

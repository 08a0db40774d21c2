//! One line of an access log to its fields.
//!
//! The formats are Apache's (`mod_log_config`): common `%h %l %u %t "%r" %>s %b`, combined with
//! ` "%{Referer}i" "%{User-agent}i"` after it, and vhost-combined with `%v:%p ` before it.
//! nginx's predefined `combined` is the same. Each line is recognised by itself.

use memchr::{memchr, memchr_iter, memchr2};

use super::fault::{Fault, fault};
use super::place::{client_is_valid, host_is_valid, split_port};
use super::text::{decode, escape_invalid};
use super::time::{TIME_BYTES, TimeCache};

/// The fields of a line; None where the log has `-` or the format has no such field.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Row<'a> {
    /// Microseconds since 1970-01-01T00:00:00Z.
    pub event_time: i64,
    /// Minutes east of UTC.
    pub utc_offset_minutes: i32,
    pub client_ip: Option<&'a [u8]>,
    pub vhost: Option<&'a [u8]>,
    pub server_port: Option<i32>,
    pub ident: Option<&'a [u8]>,
    pub remote_user: Option<&'a [u8]>,
    pub method: Option<&'a [u8]>,
    pub path: Option<&'a [u8]>,
    pub query: Option<&'a [u8]>,
    pub protocol: Option<&'a [u8]>,
    pub raw_request: Option<&'a [u8]>,
    pub status: i32,
    pub bytes: Option<i64>,
    pub referer: Option<&'a [u8]>,
    pub user_agent: Option<&'a [u8]>,
}

/// What is kept from line to line: buffers for decoded fields, and guesses that make the common
/// case cheap and change no result.
#[derive(Default)]
pub(super) struct Memory {
    time: TimeCache,
    request: RequestBuffers,
    referer: Vec<u8>,
    agent: Vec<u8>,
}

/// Buffers for the decoded parts of a request.
#[derive(Default)]
struct RequestBuffers {
    path: Vec<u8>,
    query: Vec<u8>,
    whole: Vec<u8>,
}

/// A quoted field as it is between its quotes.
#[derive(Clone, Copy)]
struct Quoted<'a> {
    raw: &'a [u8],
    /// Whether it has a backslash.
    escaped: bool,
}

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
    // Without a time there is no end of the head either: look at its first fields alone.
    let head = time.map_or(line, |time| &line[..time - 1]);
    read_head(head, utf8, &mut row)?;
    let time = time.ok_or_else(|| {
        fault(
            "event_time",
            "`[day/Month/year:hour:minute:second zone]` after the user",
            tail(head, 2),
        )
    })?;
    (row.event_time, row.utc_offset_minutes) = memory.time.parse(&line[time..])?;

    let rest = expect(
        &line[time + TIME_BYTES..],
        b" \"",
        "raw_request",
        "a space and the quoted request after the time",
    )?;
    let (request, rest) = quoted(rest, "raw_request", "the request")?;

    let rest = expect(
        rest,
        b" ",
        "status",
        "a space and the status after the request",
    )?;
    let (status, rest) = read_status(rest)?;
    row.status = status;

    let rest = expect(rest, b" ", "bytes", "a space and the size after the status")?;
    let (bytes, rest) = read_bytes(rest)?;
    row.bytes = bytes;

    let (mut referer, mut agent, mut rest) = (None, None, rest);
    if let Some(after) = rest.strip_prefix(b" \"") {
        let (field, after) = quoted(after, "referer", "the referer")?;
        let after = expect(
            after,
            b" \"",
            "user_agent",
            "a space and the quoted user agent after the referer",
        )?;
        let (field2, after) = quoted(after, "user_agent", "the user agent")?;
        (referer, agent, rest) = (Some(field), Some(field2), after);
    }
    if !rest.iter().all(u8::is_ascii_whitespace) {
        return Err(match agent {
            Some(_) => fault(
                "user_agent",
                "the end of the line after the user agent",
                rest,
            ),
            None => fault(
                "bytes",
                "the end of the line, or the quoted referer and user agent, after the size",
                rest,
            ),
        });
    }

    read_request(request, utf8, &mut row, &mut memory.request);
    row.referer = referer.and_then(|field| text(field, utf8, &mut memory.referer));
    row.user_agent = agent.and_then(|field| text(field, utf8, &mut memory.agent));
    Ok(row)
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

/// Client, identity and user, and in front of them the virtual host where there are four fields.
#[inline]
fn read_head<'a>(head: &'a [u8], utf8: bool, row: &mut Row<'a>) -> Result<(), Fault> {
    let (first, after_first) = field(head);
    let (second, after_second) = field(after_first);
    let four = memchr(b' ', after_second).is_some();
    // A user name may hold spaces, so four fields alone do not make a virtual host: the second one
    // must be able to be a client (`-` is the usual identity), or the first one must not.
    let vhost = four
        && ((second != b"-" && client_is_valid(second))
            || (first != b"-" && !client_is_valid(first)));
    let (client, rest) = if vhost {
        (second, after_second)
    } else {
        (first, after_first)
    };
    if vhost {
        let (host, port) = split_port(first);
        row.server_port = match port {
            None => None,
            Some(port) => Some(read_port(port).ok_or_else(|| {
                fault(
                    "server_port",
                    "a port from 1 to 65535 after the virtual host",
                    port,
                )
            })?),
        };
        if host != b"-" && !host_is_valid(host) {
            return Err(fault("vhost", "a host name or an IP address", host));
        }
        row.vhost = some(host);
    }
    if client != b"-" && !client_is_valid(client) {
        return Err(fault(
            "client_ip",
            "an IPv4 or IPv6 address or a host name",
            client,
        ));
    }
    row.client_ip = some(client);
    let (ident, user) = field(rest);
    for (name, value) in [("ident", ident), ("remote_user", user)] {
        if value.is_empty() {
            return Err(fault(name, "a value or `-`", value));
        }
        if !utf8 && std::str::from_utf8(value).is_err() {
            return Err(fault(name, "valid UTF-8 outside quoted fields", value));
        }
        if value.iter().any(u8::is_ascii_control) {
            return Err(fault(
                name,
                "no control characters outside quoted fields",
                value,
            ));
        }
    }
    row.ident = some(ident);
    row.remote_user = some(user);
    Ok(())
}

/// The text up to the first space, and the text after that space.
#[inline]
fn field(text: &[u8]) -> (&[u8], &[u8]) {
    // Short as these fields are, a plain loop beats a call.
    match text.iter().position(|&byte| byte == b' ') {
        Some(space) => (&text[..space], &text[space + 1..]),
        None => (text, &[]),
    }
}

fn read_port(digits: &[u8]) -> Option<i32> {
    if digits.is_empty() || digits.len() > 5 {
        return None;
    }
    let mut port = 0;
    for digit in digits {
        port = port * 10 + i32::from(digit.is_ascii_digit().then(|| digit - b'0')?);
    }
    (1..=65_535).contains(&port).then_some(port)
}

#[inline]
fn read_status(text: &[u8]) -> Result<(i32, &[u8]), Fault> {
    if let [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] = text
        && !rest.first().is_some_and(u8::is_ascii_digit)
    {
        let status = i32::from(a - b'0') * 100 + i32::from(b - b'0') * 10 + i32::from(c - b'0');
        return Ok((status, rest));
    }
    Err(fault("status", "three digits from 100 to 999", text))
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

/// The text of a quoted field, None for `-`.
#[inline]
fn text<'a>(field: Quoted<'a>, utf8: bool, scratch: &'a mut Vec<u8>) -> Option<&'a [u8]> {
    if field.raw == b"-" {
        return None;
    }
    Some(if field.escaped || !utf8 {
        decode(field.raw, scratch)
    } else {
        field.raw
    })
}

/// Splits the request where it is `METHOD SP target SP PROTOCOL`; keeps it as it is where it is not.
///
/// A target may hold spaces, which some servers let pass: the method ends at the first space and the
/// protocol begins after the last.
#[inline]
fn read_request<'a>(
    request: Quoted<'a>,
    utf8: bool,
    row: &mut Row<'a>,
    buffers: &'a mut RequestBuffers,
) {
    let raw = request.raw;
    let Some((method, target, protocol)) = split_request(raw) else {
        let valid = utf8 || std::str::from_utf8(raw).is_ok();
        row.raw_request = Some(if valid {
            raw
        } else {
            buffers.whole = escape_invalid(raw);
            &buffers.whole
        });
        return;
    };
    row.method = Some(method);
    row.protocol = Some(protocol);
    let (before, after) = match memchr(b'?', target) {
        Some(mark) => (&target[..mark], Some(&target[mark + 1..])),
        None => (target, None),
    };
    let as_is = utf8 && !request.escaped;
    let RequestBuffers { path, query, .. } = buffers;
    row.path = Some(if as_is { before } else { decode(before, path) });
    row.query = after.map(|after| if as_is { after } else { decode(after, query) });
}

#[inline]
fn split_request(raw: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let method = raw.iter().position(|&byte| byte == b' ')?;
    let space = raw.iter().rposition(|&byte| byte == b' ')?;
    let target = raw.get(method + 1..space)?;
    let (method, protocol) = (&raw[..method], &raw[space + 1..]);
    (!target.is_empty() && is_token(method) && is_protocol(protocol))
        .then_some((method, target, protocol))
}

/// A token of RFC 9110, section 5.6.2: what a method may be made of.
#[inline]
fn is_token(text: &[u8]) -> bool {
    let upper = |byte: &u8| byte.is_ascii_uppercase();
    !text.is_empty()
        && (text.iter().all(upper)
            || text
                .iter()
                .all(|&byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)))
}

/// A name, a slash and a version of digits with at most one point between them.
#[inline]
fn is_protocol(text: &[u8]) -> bool {
    match text {
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] => {
            major.is_ascii_digit() && minor.is_ascii_digit()
        }
        _ => {
            let Some(slash) = text.iter().position(|&byte| byte == b'/') else {
                return false;
            };
            let (name, version) = (&text[..slash], &text[slash + 1..]);
            let mut numbers = version.split(|&byte| byte == b'.');
            !name.is_empty()
                && name.iter().all(u8::is_ascii_alphabetic)
                && numbers.clone().count() <= 2
                && numbers.all(|number| !number.is_empty() && number.iter().all(u8::is_ascii_digit))
        }
    }
}

#[inline]
fn some(text: &[u8]) -> Option<&[u8]> {
    (text != b"-").then_some(text)
}

#[inline]
fn expect<'a>(
    text: &'a [u8],
    prefix: &[u8],
    field: &'static str,
    expected: &'static str,
) -> Result<&'a [u8], Fault> {
    text.strip_prefix(prefix)
        .ok_or_else(|| fault(field, expected, text))
}

/// The text after the first `fields` fields, for messages.
fn tail(mut text: &[u8], fields: usize) -> &[u8] {
    for _ in 0..fields {
        text = field(text).1;
    }
    text
}

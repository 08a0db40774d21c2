//! The request of a line: method, target and protocol; and other texts in quotes.

use memchr::memchr;

use super::row::Row;
use super::text::{decode, escape_invalid};

/// Buffers for the decoded parts of a request.
#[derive(Default)]
pub(super) struct RequestBuffers {
    path: Vec<u8>,
    query: Vec<u8>,
    whole: Vec<u8>,
}

/// A quoted field as it is between its quotes.
#[derive(Clone, Copy)]
pub(super) struct Quoted<'a> {
    pub raw: &'a [u8],
    /// Whether it has a backslash.
    pub escaped: bool,
}

/// The text of a quoted field, None for `-`.
#[inline]
pub(super) fn text<'a>(
    field: Quoted<'a>,
    utf8: bool,
    scratch: &'a mut Vec<u8>,
) -> Option<&'a [u8]> {
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
pub(super) fn read_request<'a>(
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

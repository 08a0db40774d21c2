//! Fields that some formats have after the user agent: nginx's packaged `main` a list of addresses in quotes,
//! Apache's `combinedio` the bytes received and sent, many the seconds of the request.

use memchr::memchr;

use super::client::read_client;
use super::fault::{Fault, fault};

/// Those fields that can be recognised by how they look. Any other field is left out.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Trailing<'a> {
    /// The first field, where it is `-` or a list of addresses in quotes; without its quotes.
    pub forwarded_for: Option<&'a [u8]>,
    /// The first of two whole numbers, directly after the user agent.
    pub bytes_received: Option<i64>,
    /// The second of them.
    pub bytes_sent: Option<i64>,
    /// The first number with a decimal point.
    pub request_time: Option<f64>,
}

/// Reads the fields after a user agent.
///
/// # Errors
/// Where no space stands before a field, or its quotes are not closed.
#[cold]
pub(super) fn read_trailing(text: &[u8]) -> Result<Trailing<'_>, Fault> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let after = rest.trim_ascii_start();
        if after.is_empty() {
            break;
        }
        if after.len() == rest.len() {
            return Err(fault(
                "user_agent",
                "the end of the line after the user agent, or a space and more fields",
                rest,
            ));
        }
        let length = length(after).ok_or_else(|| {
            fault(
                "user_agent",
                "closed quotes in the fields after the user agent",
                after,
            )
        })?;
        let (field, next) = after.split_at(length);
        fields.push(field);
        rest = next;
    }
    let mut trailing = Trailing::default();
    if let Some([b'"', list @ .., b'"']) = fields.first()
        && read_client(list).is_ok()
        && list != b"-"
    {
        trailing.forwarded_for = Some(list);
    }
    if let [received, sent, ..] = fields.as_slice()
        && let (Some(received), Some(sent)) = (whole(received), whole(sent))
    {
        (trailing.bytes_received, trailing.bytes_sent) = (Some(received), Some(sent));
    }
    trailing.request_time = fields.iter().find_map(|field| seconds(field));
    Ok(trailing)
}

/// How long the field is that a text begins with: up to a space outside quotes. None where quotes stay open.
fn length(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    let mut in_quotes = false;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'\\' if in_quotes => at += 1,
            b'"' => in_quotes = !in_quotes,
            _ if byte.is_ascii_whitespace() && !in_quotes => break,
            _ => {}
        }
        at += 1;
    }
    (!in_quotes && at <= text.len()).then_some(at)
}

fn whole(field: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(field).ok()?;
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

fn seconds(field: &[u8]) -> Option<f64> {
    memchr(b'.', field)?;
    let is_number = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
    let text = std::str::from_utf8(field).ok()?;
    (field.iter().all(is_number) && field.first().is_some_and(u8::is_ascii_digit))
        .then(|| text.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn fields_are_told_by_how_they_look() {
        let of = |text: &'static str| read_trailing(text.as_bytes()).unwrap();
        let nothing = Trailing::default;
        let cases = [
            (" \"-\"", nothing()),
            (
                " \"198.51.100.4, 10.0.0.5\"",
                Trailing {
                    forwarded_for: Some(b"198.51.100.4, 10.0.0.5"),
                    ..nothing()
                },
            ),
            (
                " 512 1024",
                Trailing {
                    bytes_received: Some(512),
                    bytes_sent: Some(1024),
                    ..nothing()
                },
            ),
            (
                " 0.005",
                Trailing {
                    request_time: Some(0.005),
                    ..nothing()
                },
            ),
            (
                " \"203.0.113.9\"  rt=0.1 uct=\"0.0 0\" 512 0.25 .",
                Trailing {
                    forwarded_for: Some(b"203.0.113.9"),
                    request_time: Some(0.25),
                    ..nothing()
                },
            ),
            (" \"not an address\" 99999999999999999999 1", nothing()),
        ];
        for (text, expected) in cases {
            assert_eq!(of(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_field_is_refused() {
        for text in ["x\"", " \"open", " a\"b c", " \"a\\"] {
            assert!(read_trailing(text.as_bytes()).is_err(), "{text}");
        }
    }
}

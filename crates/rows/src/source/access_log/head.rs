//! What a line has before its time: client, identity and user, and perhaps a server's name before them.

use std::ops::Range;

use super::client::{is_placeholder, read_client};
use super::fault::{Fault, fault};
use super::place::{is_address, server_is_valid, split_port};
use super::row::Row;
use super::text::unescaped;

/// A head has at most this many fields that are looked at one by one.
const MOST_FIELDS: usize = 32;

/// Buffers for fields with escapes.
#[derive(Default)]
pub(super) struct HeadBuffers {
    vhost: Vec<u8>,
    ident: Vec<u8>,
    user: Vec<u8>,
}

/// The fields of a head; all but the client as they are written.
struct Fields<'a> {
    vhost: Option<&'a [u8]>,
    client: Option<&'a [u8]>,
    ident: &'a [u8],
    user: &'a [u8],
}

/// Reads the head into a row. True where the user has spaces: the line is a row then only if everything
/// else in it is exactly as the formats say.
#[inline]
pub(super) fn read_head<'a>(
    head: &'a [u8],
    utf8: bool,
    row: &mut Row<'a>,
    buffers: &'a mut HeadBuffers,
) -> Result<bool, Fault> {
    // One space between three fields, the first of them nothing but a client: nearly all lines.
    let (client, rest) = field(head);
    let (ident, user) = field(rest);
    let is_plain = is_address(client)
        && !ident.is_empty()
        && !user.is_empty()
        && memchr::memchr2(b' ', b'"', user).is_none();
    let (fields, has_spaces) = if is_plain {
        let fields = Fields {
            vhost: None,
            client: Some(client),
            ident,
            user,
        };
        (fields, false)
    } else {
        split(head)?
    };
    if let Some(vhost) = fields.vhost {
        read_server(vhost, row, &mut buffers.vhost)?;
    }
    row.client_ip = fields.client;
    row.ident = read_name("ident", fields.ident, utf8, &mut buffers.ident)?;
    row.remote_user = read_name("remote_user", fields.user, utf8, &mut buffers.user)?;
    Ok(has_spaces)
}

/// The text up to the first space, and the text after that space.
#[inline]
pub(super) fn field(text: &[u8]) -> (&[u8], &[u8]) {
    // Short as these fields are, a plain loop beats a call.
    match text.iter().position(|&byte| byte == b' ') {
        Some(space) => (&text[..space], &text[space + 1..]),
        None => (text, &[]),
    }
}

/// Where the fields of a head are, by one space between them or by any number of them. A list of addresses is one
/// field. None where there are very many.
fn places(head: &[u8], each_space: bool) -> Option<Vec<Range<usize>>> {
    let mut fields: Vec<Range<usize>> = Vec::new();
    let mut begin = 0;
    for end in memchr::memchr_iter(b' ', head).chain([head.len()]) {
        let field = begin..end;
        begin = end + 1;
        if field.is_empty() && !each_space {
            continue;
        }
        let count = fields.len();
        match fields.last_mut() {
            Some(list) if head[list.clone()].ends_with(b",") => list.end = field.end,
            _ if count == MOST_FIELDS => return None,
            _ => fields.push(field),
        }
    }
    Some(fields)
}

/// Which field is which, and whether the user has spaces.
fn split(head: &[u8]) -> Result<(Fields<'_>, bool), Fault> {
    for each_space in [true, false] {
        let Some(places) = places(head, each_space) else {
            break;
        };
        let fields: Vec<&[u8]> = places.iter().map(|place| &head[place.clone()]).collect();
        let fields = match *fields.as_slice() {
            // Doubled spaces do not make an empty client.
            [client, ident, user] if !client.is_empty() => Some(Fields {
                vhost: None,
                client: read_client(client)?,
                ident,
                user,
            }),
            [vhost, client, ident, user] => client_after(vhost, client).map(|client| Fields {
                vhost: Some(vhost),
                client,
                ident,
                user,
            }),
            _ => None,
        };
        if let Some(fields) = fields {
            return Ok((fields, false));
        }
        if each_space && let Some(fields) = with_spaces(head, &places) {
            return Ok((fields, true));
        }
    }
    Err(unsplit(head))
}

/// The fields where the user's name has spaces: the client is an address, there is no identity, and no word of
/// the name can be a field of another line.
fn with_spaces<'a>(head: &'a [u8], places: &[Range<usize>]) -> Option<Fields<'a>> {
    let at = |index: usize| places.get(index).map(|place| &head[place.clone()]);
    let first = usize::from(!is_address(at(0)?));
    let (client, ident, user) = (at(first)?, at(first + 1)?, places.get(first + 2)?);
    let words = places.get(first + 2..)?;
    let is_word = |place: &Range<usize>| is_name(&head[place.clone()]);
    (is_address(client) && ident == b"-" && words.len() > 1 && words.iter().all(is_word)).then(
        || Fields {
            vhost: (first == 1).then(|| at(0)).flatten(),
            client: Some(client),
            ident,
            user: &head[user.start..],
        },
    )
}

/// Whether a word can be one of a user's name with spaces: it cannot be a field of another line.
pub(super) fn is_name(word: &[u8]) -> bool {
    !word.is_empty() && word != b"-" && !is_address(word) && !word.contains(&b'"')
}

/// Which field is wrong where it is unknown which is which.
#[cold]
fn unsplit(head: &[u8]) -> Fault {
    let (first, rest) = field(head);
    let (ident, user) = field(rest);
    if let Some(fault) = lacking(ident, user) {
        return fault;
    }
    if is_address(first) {
        return fault(
            "remote_user",
            "client, identity and one user before the time",
            user,
        );
    }
    fault(
        "client_ip",
        "an IPv4 or IPv6 address or a host name, then identity and user",
        head,
    )
}

fn lacking(ident: &[u8], user: &[u8]) -> Option<Fault> {
    let expected = "a value or `-`";
    if ident.is_empty() && user.is_empty() {
        return Some(fault("ident", expected, ident));
    }
    user.is_empty()
        .then(|| fault("remote_user", expected, user))
}

/// What is wrong with a line that has no time, and so no end of its head.
#[cold]
pub(super) fn without_time(line: &[u8]) -> Fault {
    let (first, rest) = field(line);
    let (ident, user) = field(rest);
    let client = match read_client(first) {
        Err(fault) => Some(fault),
        Ok(_) => lacking(ident, user),
    };
    client.unwrap_or_else(|| {
        fault(
            "event_time",
            "`[day/Month/year:hour:minute:second zone]` after the user",
            user,
        )
    })
}

/// The server's name and its port.
pub(super) fn read_server<'a>(
    server: &'a [u8],
    row: &mut Row<'a>,
    buffer: &'a mut Vec<u8>,
) -> Result<(), Fault> {
    let (host, port) = split_port(server);
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
    if is_placeholder(host) {
        return Ok(());
    }
    let host = unescaped(host, buffer);
    if !server_is_valid(host) {
        return Err(fault(
            "vhost",
            "a host name, an IPv4 address or an IPv6 address in brackets",
            host,
        ));
    }
    row.vhost = Some(host);
    Ok(())
}

/// The client in the second of four fields, where the first is a server's name: the second is an address or a list of
/// them, or the first is not an address and the second can be a client's name.
fn client_after<'a>(first: &[u8], second: &'a [u8]) -> Option<Option<&'a [u8]>> {
    let client = read_client(second).ok()?;
    let is_client = match client {
        Some(client) => is_address(client) || !is_address(first),
        None => second == b"unknown" || second.contains(&b',') || read_client(first).is_err(),
    };
    is_client.then_some(client)
}

/// An identity or a user; None for a placeholder.
#[inline]
pub(super) fn read_name<'a>(
    name: &'static str,
    value: &'a [u8],
    utf8: bool,
    buffer: &'a mut Vec<u8>,
) -> Result<Option<&'a [u8]>, Fault> {
    if is_placeholder(value) {
        return Ok(None);
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
    Ok(Some(unescaped(value, buffer)))
}

pub(super) fn read_port(digits: &[u8]) -> Option<i32> {
    if digits.is_empty() || digits.len() > 5 {
        return None;
    }
    let mut port = 0;
    for digit in digits {
        port = port * 10 + i32::from(digit.is_ascii_digit().then(|| digit - b'0')?);
    }
    (1..=65_535).contains(&port).then_some(port)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use crate::reason::Reason;

    /// The head's vhost, port, client, ident and user, or the column that is wrong.
    fn read(head: &str) -> Result<[Option<String>; 5], String> {
        let (mut row, mut buffers) = (Row::default(), HeadBuffers::default());
        let read = read_head(head.as_bytes(), true, &mut row, &mut buffers);
        read.map_err(|fault| Reason::from(fault).to_string())?;
        let text =
            |field: Option<&[u8]>| field.map(|field| String::from_utf8(field.to_vec()).unwrap());
        Ok([
            text(row.vhost),
            row.server_port.map(|port| port.to_string()),
            text(row.client_ip),
            text(row.ident),
            text(row.remote_user),
        ])
    }

    /// A head; its vhost, port, client, ident and user, nothing for null.
    const HEADS: &[(&str, [&str; 5])] = &[
        ("203.0.113.1 - -", ["", "", "203.0.113.1", "", ""]),
        ("203.0.113.1 id ann", ["", "", "203.0.113.1", "id", "ann"]),
        ("2001:db8::1 - -", ["", "", "2001:db8::1", "", ""]),
        (
            "crawler.example.net unknown -",
            ["", "", "crawler.example.net", "unknown", ""],
        ),
        ("- - -", ["", "", "", "", ""]),
        ("unknown - ann", ["", "", "", "", "ann"]),
        // Placeholders.
        ("203.0.113.1 - \"\"", ["", "", "203.0.113.1", "", ""]),
        ("203.0.113.1 \"-\" \"-\"", ["", "", "203.0.113.1", "", ""]),
        ("203.0.113.1 - ", ["", "", "203.0.113.1", "", ""]),
        // Spaces.
        ("203.0.113.1 - ann ", ["", "", "203.0.113.1", "", "ann"]),
        ("203.0.113.1  - -", ["", "", "203.0.113.1", "", ""]),
        ("  203.0.113.1 -  ann", ["", "", "203.0.113.1", "", "ann"]),
        (
            "203.0.113.1 - john smith",
            ["", "", "203.0.113.1", "", "john smith"],
        ),
        (
            "203.0.113.1 - Ann M. Other",
            ["", "", "203.0.113.1", "", "Ann M. Other"],
        ),
        (
            "shop.example 203.0.113.1 - john smith",
            ["shop.example", "", "203.0.113.1", "", "john smith"],
        ),
        // Escapes.
        (r"203.0.113.1 - a\x22b", ["", "", "203.0.113.1", "", "a\"b"]),
        (
            r"203.0.113.1 - j\xc3\xb6rg",
            ["", "", "203.0.113.1", "", "jörg"],
        ),
        (r#"203.0.113.1 - a\"b"#, ["", "", "203.0.113.1", "", "a\"b"]),
        // Ports.
        ("203.0.113.1:51234 - -", ["", "", "203.0.113.1", "", ""]),
        ("[2001:db8::1]:51234 - -", ["", "", "2001:db8::1", "", ""]),
        ("[2001:db8::1] - -", ["", "", "2001:db8::1", "", ""]),
        // Forwarded.
        ("203.0.113.1, 10.0.0.5 - -", ["", "", "203.0.113.1", "", ""]),
        (
            "203.0.113.1,10.0.0.5 - bob",
            ["", "", "203.0.113.1", "", "bob"],
        ),
        (
            "203.0.113.1:80, 198.51.100.9, 2001:db8::1 - -",
            ["", "", "203.0.113.1", "", ""],
        ),
        ("unknown, 203.0.113.24 - -", ["", "", "", "", ""]),
        (
            "shop.example:443 203.0.113.1, 10.0.0.5 - -",
            ["shop.example", "443", "203.0.113.1", "", ""],
        ),
        // Servers.
        (
            "shop.example 203.0.113.1 - -",
            ["shop.example", "", "203.0.113.1", "", ""],
        ),
        ("_ 203.0.113.1 - -", ["_", "", "203.0.113.1", "", ""]),
        (
            "*.shop.example:443 203.0.113.1 - -",
            ["*.shop.example", "443", "203.0.113.1", "", ""],
        ),
        (
            "www.shop.* 203.0.113.1 - -",
            ["www.shop.*", "", "203.0.113.1", "", ""],
        ),
        (
            ".shop.example 203.0.113.1 - -",
            [".shop.example", "", "203.0.113.1", "", ""],
        ),
        (
            r"~^(www\.)?shop\.example$ 203.0.113.1 - -",
            [r"~^(www\.)?shop\.example$", "", "203.0.113.1", "", ""],
        ),
        (" 203.0.113.1 - -", ["", "", "203.0.113.1", "", ""]),
        ("- 203.0.113.1 - -", ["", "", "203.0.113.1", "", ""]),
        (":80 203.0.113.1 - -", ["", "80", "203.0.113.1", "", ""]),
        (
            "shop.example:443 - - ann",
            ["shop.example", "443", "", "", "ann"],
        ),
        ("shop.example unknown - -", ["shop.example", "", "", "", ""]),
        (
            r"m\xc3\xbcnchen.example:80 203.0.113.1 - -",
            ["münchen.example", "80", "203.0.113.1", "", ""],
        ),
        (
            "[2001:db8::80]:443 2001:db8::1 - -",
            ["[2001:db8::80]", "443", "2001:db8::1", "", ""],
        ),
    ];

    #[test]
    fn heads_become_their_fields() {
        for (head, expected) in HEADS {
            let found = read(head).unwrap_or_else(|reason| panic!("{head}: {reason}"));
            assert_eq!(
                &found.each_ref().map(|field| field.as_deref().unwrap_or("")),
                expected,
                "{head}"
            );
        }
    }

    #[test]
    fn heads_that_something_stands_before_or_within_are_refused() {
        for (head, column) in [
            // What syslog, compose and Kubernetes write before a line.
            ("Nov 14 12:00:01 web1 nginx: 203.0.113.21 - -", "client_ip"),
            (
                "Nov  4 12:00:03 web1 nginx: 203.0.113.22 - anna",
                "client_ip",
            ),
            (
                "<134>Nov 14 12:00:01 web1 nginx: 203.0.113.21 - -",
                "client_ip",
            ),
            (
                "2025-11-14T12:00:01Z web1 nginx 1234 - - 203.0.113.21 - -",
                "client_ip",
            ),
            ("nginx_1  | 203.0.113.81 - -", "client_ip"),
            ("nginx_1 | 203.0.113.82 - bob", "client_ip"),
            (
                "2025-11-14T12:00:01.123Z stdout F 203.0.113.81 - -",
                "client_ip",
            ),
            // Two lines that were written into each other.
            ("203.0.113.21 - an203.0.113.22 - -", "remote_user"),
            ("203.0.113.21 - ann 203.0.113.22 - bob", "remote_user"),
            ("203.0.113.21 id john smith", "remote_user"),
            ("203.0.113.21 - john  smith", "remote_user"),
            ("203.0.113.21203.0.113.22 - -", "client_ip"),
            ("203.0.113.22,, evil - -", "client_ip"),
            ("shop, 203.0.113.22 - -", "client_ip"),
            ("203.0.113.1 -", "remote_user"),
            ("203.0.113.1", "ident"),
            ("203.0.113.1 - a\u{1b}b", "remote_user"),
            ("bad/host 203.0.113.1 - -", "vhost"),
            ("2001:db8::80:443 2001:db8::1 - -", "vhost"),
            ("shop.example:0 203.0.113.1 - -", "server_port"),
        ] {
            let reason = read(head).expect_err(head);
            assert!(reason.starts_with(column), "{head}: {reason}");
        }
    }
}

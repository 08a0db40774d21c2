//! Each file of `events/access_log/` with the result of its lines.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::PathBuf;
use tarn_core::rule_id;

use tarn_core::ErrorKind;

use super::tests::{Seen, all_columns, read_input};
use super::*;
use crate::source::bytes;

fn folder() -> PathBuf {
    // Cargo runs tests in the folder of their package.
    PathBuf::from("../../events/access_log")
}

fn read(name: &str) -> Result<Seen> {
    read_input(
        bytes::open(&folder().join(name))?,
        &all_columns(),
        AccessLogOptions::default(),
    )
}

/// Rejected lines: number, column and a part of the reason.
type Rejects<'a> = &'a [(u64, &'a str, &'a str)];

/// Name, rows, blank lines, rejected lines.
const READABLE: &[(&str, usize, u64, Rejects<'_>)] = &[
    ("common.log", 4, 0, &[]),
    ("combined.log", 4, 0, &[]),
    (
        "vhost_combined.log",
        3,
        0,
        &[
            (4, "server_port", "a port from 1 to 65535"),
            (5, "vhost", "found `shop_example/com`"),
        ],
    ),
    (
        "mixed_formats.log",
        6,
        0,
        &[
            (5, "event_time", "after the user"),
            (6, "event_time", "found `203.0.113.9 GET /iis.aspx"),
            (
                7,
                "user_agent",
                "the quoted user agent after the referer, found nothing",
            ),
        ],
    ),
    (
        "ipv6.log",
        4,
        0,
        &[
            (5, "client_ip", "2001:db8:::1"),
            (6, "client_ip", "192.0.2.256"),
        ],
    ),
    (
        "escaped_quotes.log",
        3,
        0,
        &[
            (4, "user_agent", "the end of the line after the user agent"),
            (5, "user_agent", "a closing quote"),
        ],
    ),
    ("binary_request.log", 7, 0, &[]),
    (
        "invalid_utf8.log",
        3,
        0,
        &[
            (3, "remote_user", "valid UTF-8"),
            (4, "client_ip", r"192.0.2.\xb9"),
        ],
    ),
    ("crlf.log", 4, 1, &[]),
    (
        "bom.log",
        2,
        0,
        &[(3, "client_ip", r"\xef\xbb\xbf203.0.113.10")],
    ),
    (
        "nul_bytes.log",
        1,
        0,
        &[
            (2, "client_ip", r"\x00"),
            (3, "remote_user", "no control characters"),
        ],
    ),
    (
        "impossible_dates.log",
        3,
        0,
        &[
            (
                1,
                "event_time",
                "a day that the calendar has, found `31/Feb/2024`",
            ),
            (2, "event_time", "29/Feb/2023"),
            (4, "event_time", "31/Apr/2024"),
            (5, "event_time", "00/Jan/2024"),
            (6, "event_time", "a month from Jan to Dec, found `Foo`"),
            (7, "event_time", "found `24:00:00`"),
            (8, "event_time", "found `12:60:00`"),
            (9, "event_time", "second 60 at 23:59:60 UTC only"),
            (11, "event_time", "an offset from UTC"),
            (
                12,
                "event_time",
                "`[day/Month/year:hour:minute:second zone]`",
            ),
            (
                13,
                "event_time",
                "`[day/Month/year:hour:minute:second zone]`",
            ),
        ],
    ),
    (
        "numbers_out_of_range.log",
        4,
        0,
        &[
            (
                2,
                "bytes",
                "at most 9223372036854775807, found `9223372036854775808",
            ),
            (3, "bytes", "at most 9223372036854775807"),
            (4, "bytes", "found `-5"),
            (5, "bytes", "found `.5"),
            (6, "status", "three digits, found `99 1"),
            (7, "status", "found `1000 1"),
            (8, "status", "found `abc 1"),
            (9, "status", "found `- 1"),
            (12, "bytes", "digits or `-`"),
        ],
    ),
    ("empty.log", 0, 0, &[]),
    ("blank_lines.log", 3, 7, &[]),
    ("no_final_newline.log", 4, 0, &[]),
    ("multi_member.log.gz", 4, 0, &[]),
    ("file name with spaces + plus ünïcode.log", 2, 0, &[]),
];

/// Name, and what the error says.
const UNREADABLE: &[(&str, &[&str])] = &[
    (
        "truncated.log.gz",
        &[
            "truncated",
            "at byte 480 of the compressed object",
            "upload the whole file again",
        ],
    ),
    ("zip_named.log", &["a zip archive", "unpack it"]),
];

#[test]
fn every_readable_file_gives_its_rows_and_says_why_the_other_lines_are_rejected() {
    for &(name, rows, blank, rejects) in READABLE {
        let seen = read(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        for (rejected, &(line, column, reason)) in seen.rejected.iter().zip(rejects) {
            assert_eq!(
                (rejected.line, rejected.column.as_deref()),
                (Some(line), Some(column)),
                "{name} {rejected:?}"
            );
            assert!(
                rejected.reason.to_string().contains(reason),
                "{name}, line {line}: {}",
                rejected.reason
            );
            assert_eq!(rejected.rule, rule_id::PARSE);
        }
        let rejected: Vec<_> = seen
            .rejected
            .iter()
            .map(|row| (row.line, &row.reason))
            .collect();
        assert_eq!(
            (seen.rows.len(), seen.blank, seen.rejected.len()),
            (rows, blank, rejects.len()),
            "{name}: {rejected:?}"
        );
    }
}

#[test]
fn every_unreadable_file_is_an_error_that_names_the_cause() {
    for &(name, expected) in UNREADABLE {
        let error = read(name).expect_err(name);
        assert_eq!(error.kind(), ErrorKind::BadSource, "{name}");
        assert!(!error.is_retryable());
        for part in expected {
            assert!(error.to_string().contains(part), "{name}: {error}");
        }
    }
}

#[test]
fn every_file_of_the_folder_is_tested() {
    let mut files: Vec<_> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let readable = READABLE.iter().map(|case| case.0);
    let mut tested: Vec<_> = readable
        .chain(UNREADABLE.iter().map(|case| case.0))
        .collect();
    tested.sort();
    assert_eq!(files, tested);
}

/// File, row, field, value; None for null.
const FIELDS: &[(&str, usize, &str, Option<&str>)] = &[
    ("common.log", 0, "event_time", Some("971211336000000")),
    ("common.log", 0, "utc_offset_minutes", Some("-420")),
    ("common.log", 0, "user_agent", None),
    ("common.log", 0, "is_bot", None),
    ("common.log", 1, "bytes", None),
    ("common.log", 2, "client_ip", Some("crawler.example.net")),
    ("common.log", 2, "ident", Some("unknown")),
    ("common.log", 3, "remote_user", Some("john smith")),
    ("combined.log", 2, "is_bot", Some("true")),
    ("combined.log", 1, "is_bot", Some("false")),
    ("combined.log", 3, "user_agent", None),
    ("combined.log", 2, "event_time", Some("1767222002000000")),
    ("vhost_combined.log", 0, "vhost", Some("shop.example.com")),
    ("vhost_combined.log", 0, "server_port", Some("443")),
    ("vhost_combined.log", 1, "server_port", None),
    ("vhost_combined.log", 1, "remote_user", Some("ann")),
    ("vhost_combined.log", 2, "vhost", Some("[2001:db8::80]")),
    ("vhost_combined.log", 2, "client_ip", Some("2001:db8::1")),
    ("mixed_formats.log", 2, "vhost", Some("shop.example.com")),
    ("mixed_formats.log", 3, "vhost", None),
    ("mixed_formats.log", 4, "request_time", Some("0.123")),
    ("ipv6.log", 2, "client_ip", Some("::ffff:192.0.2.128")),
    ("escaped_quotes.log", 0, "path", Some("/say/\"hello\"")),
    (
        "escaped_quotes.log",
        0,
        "referer",
        Some("https://example.com/?q=\"a b\""),
    ),
    (
        "escaped_quotes.log",
        0,
        "user_agent",
        Some("Mozilla/5.0 (compatible; \"WeirdBot\"/1.0)"),
    ),
    ("escaped_quotes.log", 1, "path", Some("/back\\slash\tandA")),
    (
        "escaped_quotes.log",
        1,
        "user_agent",
        Some("café \\xff \\q"),
    ),
    (
        "escaped_quotes.log",
        2,
        "user_agent",
        Some("ends with a backslash \\"),
    ),
    (
        "binary_request.log",
        0,
        "raw_request",
        Some(r"\x16\x03\x01\x02"),
    ),
    ("binary_request.log", 0, "method", None),
    ("binary_request.log", 1, "raw_request", Some("-")),
    ("binary_request.log", 2, "raw_request", Some("")),
    ("binary_request.log", 3, "raw_request", Some("GET /")),
    (
        "binary_request.log",
        4,
        "path",
        Some("/with space/file.txt"),
    ),
    ("binary_request.log", 4, "raw_request", None),
    ("binary_request.log", 5, "method", Some("M-SEARCH")),
    ("invalid_utf8.log", 0, "path", Some(r"/caf\xe9")),
    ("invalid_utf8.log", 0, "user_agent", Some(r"agent \xff\xfe")),
    ("invalid_utf8.log", 1, "path", Some("/café")),
    ("invalid_utf8.log", 1, "query", Some("q=ü")),
    ("invalid_utf8.log", 2, "raw_request", Some(r"\xff\xfe\x80")),
    ("nul_bytes.log", 0, "path", Some("/a\0b")),
    ("nul_bytes.log", 0, "user_agent", Some("agent\0")),
    (
        "impossible_dates.log",
        1,
        "event_time",
        Some("1483228799000000"),
    ),
    (
        "numbers_out_of_range.log",
        0,
        "bytes",
        Some("9223372036854775807"),
    ),
    ("no_final_newline.log", 3, "client_ip", Some("203.0.113.11")),
];

#[test]
fn fields_of_the_files_are_what_the_lines_say() {
    for &(name, row, field, expected) in FIELDS {
        let seen = read(name).unwrap();
        assert_eq!(
            seen.rows[row].get(field).map(String::as_str),
            expected,
            "{name}, row {row}, {field}"
        );
    }
}

#[test]
fn the_same_lines_give_the_same_rows_however_they_are_packed() {
    let rows = read("combined.log").unwrap().rows;
    for name in ["crlf.log", "no_final_newline.log", "multi_member.log.gz"] {
        assert_eq!(read(name).unwrap().rows, rows, "{name}");
    }
    assert_eq!(read("bom.log").unwrap().rows, rows[..2]);
    assert_eq!(
        read("bom.log").unwrap().places[0].1,
        3,
        "the mark counts in the offset"
    );
}

//! Tests of the reader as a whole, and what the tests of fixtures share with them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use tarn_contract::{ACCESS_LOG, Encoding};
use tarn_core::ErrorKind;
use tarn_core::schema::ColumnType;

use super::*;
use crate::column::ColumnData;
use crate::source::batch_builder::BATCH_REJECTED;

/// A column of a contract.
pub fn column(name: &str, ty: ColumnType) -> Column {
    Column::optional(name, ty, Encoding::Natural)
}

/// Every column that an access log has.
pub(crate) fn all_columns() -> Vec<Column> {
    ACCESS_LOG
        .iter()
        .map(|natural| column(natural.name, natural.ty.clone()))
        .collect()
}

/// A row as text, without its nulls.
pub type Values = BTreeMap<String, String>;

/// What was read of an object.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub rows: Vec<Values>,
    /// Line, offset and payload of each row.
    pub places: Vec<(u64, i64, Vec<u8>)>,
    pub rejected: Vec<Rejected>,
    pub blank: u64,
}

fn value(column: &ColumnData, row: usize) -> Option<String> {
    match column {
        ColumnData::Text(column) => column
            .get(row)
            .map(|text| std::str::from_utf8(text).expect("valid UTF-8").to_owned()),
        ColumnData::Int(column) => column.get(row).map(|value| value.to_string()),
        ColumnData::Long(column) => column.get(row).map(|value| value.to_string()),
        ColumnData::Boolean(column) => column.get(row).map(|value| value.to_string()),
        ColumnData::Double(column) => column.get(row).map(|value| value.to_string()),
        ColumnData::List(_) => panic!("an access log has no such column"),
    }
}

/// Reads all of an input, each line by itself.
pub(crate) fn read_input(
    input: Input,
    columns: &[Column],
    options: AccessLogOptions,
) -> Result<Seen> {
    let reader = AccessLogReader::of_columns(input, columns, Layouts::new(None), options)?;
    read_to_end(reader, columns, options)
}

/// Reads all that a reader has.
pub(crate) fn read_to_end(
    mut reader: AccessLogReader,
    columns: &[Column],
    options: AccessLogOptions,
) -> Result<Seen> {
    let mut seen = Seen::default();
    while let Some(batch) = reader.next_batch()? {
        assert_eq!(batch.columns.len(), columns.len());
        assert!(
            batch
                .columns
                .iter()
                .all(|column| column.len() == batch.rows())
        );
        assert!(batch.rows() <= options.batch_rows && batch.rejected.len() <= BATCH_REJECTED);
        for row in 0..batch.rows() {
            let values = columns.iter().zip(&batch.columns);
            seen.rows.push(
                values
                    .filter_map(|(column, data)| Some((column.name.clone(), value(data, row)?)))
                    .collect(),
            );
            let payload = batch.payload(row).unwrap().to_vec();
            seen.places
                .push((batch.line(row).unwrap(), batch.offsets[row], payload));
        }
        seen.rejected.extend(batch.rejected);
        seen.blank += batch.blank;
    }
    Ok(seen)
}

/// Reads bytes for every column.
pub(crate) fn read_by(bytes: &[u8], options: AccessLogOptions) -> Seen {
    read_input(
        Input::new(Box::new(Cursor::new(bytes.to_vec()))).unwrap(),
        &all_columns(),
        options,
    )
    .unwrap()
}

/// As [`read_by`], with the usual sizes.
pub fn read(bytes: &[u8]) -> Seen {
    read_by(bytes, AccessLogOptions::default())
}

const TIME: &str = "[10/Oct/2000:13:55:36 -0700]";

#[test]
fn a_combined_line_fills_every_column() {
    let seen = read(
        br#"shop.example.com:443 203.0.113.9 id ann [10/Oct/2000:13:55:36 -0700] "GET /a/b?c=d?e HTTP/1.1" 200 2326 "https://example.com/" "curl/8.4.0""#,
    );
    let expected = [
        ("event_time", "971211336000000"),
        ("utc_offset_minutes", "-420"),
        ("client_ip", "203.0.113.9"),
        ("vhost", "shop.example.com"),
        ("server_port", "443"),
        ("ident", "id"),
        ("remote_user", "ann"),
        ("method", "GET"),
        ("path", "/a/b"),
        ("query", "c=d?e"),
        ("protocol", "HTTP/1.1"),
        ("status", "200"),
        ("bytes", "2326"),
        ("referer", "https://example.com/"),
        ("user_agent", "curl/8.4.0"),
        ("is_bot", "true"),
    ];
    let expected: Values = expected
        .iter()
        .map(|&(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    assert_eq!(seen.rows, [expected]);
}

#[test]
fn requests_are_split_or_kept_as_they_are() {
    // Request; method, path, query, protocol; raw request.
    type Case<'a> = (
        &'a str,
        Option<(&'a str, &'a str, Option<&'a str>, &'a str)>,
    );
    let cases: [Case<'_>; 18] = [
        ("GET / HTTP/1.1", Some(("GET", "/", None, "HTTP/1.1"))),
        ("GET /? HTTP/2", Some(("GET", "/", Some(""), "HTTP/2"))),
        (
            "get /a?b HTTP/3.0",
            Some(("get", "/a", Some("b"), "HTTP/3.0")),
        ),
        (
            "VERSION-CONTROL /x HTTP/1.1",
            Some(("VERSION-CONTROL", "/x", None, "HTTP/1.1")),
        ),
        (
            "OPTIONS * HTTP/1.1",
            Some(("OPTIONS", "*", None, "HTTP/1.1")),
        ),
        (
            "DESCRIBE rtsp://h/m RTSP/1.0",
            Some(("DESCRIBE", "rtsp://h/m", None, "RTSP/1.0")),
        ),
        (
            "GET /a b c HTTP/1.1",
            Some(("GET", "/a b c", None, "HTTP/1.1")),
        ),
        (
            "GET /%20%zz HTTP/1.1",
            Some(("GET", "/%20%zz", None, "HTTP/1.1")),
        ),
        (
            r"GET /\x22?\x41 HTTP/1.1",
            Some(("GET", "/\"", Some("A"), "HTTP/1.1")),
        ),
        ("", None),
        ("-", None),
        ("GET", None),
        ("GET /", None),
        ("GET  HTTP/1.1", None),
        ("GET / HTTP/", None),
        ("GET / HTTP/1.1.1", None),
        ("G(T / HTTP/1.1", None),
        (r"\x16\x03\x01", None),
    ];
    for (request, expected) in cases {
        let seen = read(format!("h - - {TIME} \"{request}\" 200 1\n").as_bytes());
        let row = seen
            .rows
            .first()
            .unwrap_or_else(|| panic!("{request}: {:?}", seen.rejected));
        let get = |name: &str| row.get(name).map(String::as_str);
        match expected {
            Some((method, path, query, protocol)) => {
                let found = (
                    get("method"),
                    get("path"),
                    get("query"),
                    get("protocol"),
                    get("raw_request"),
                );
                assert_eq!(
                    found,
                    (Some(method), Some(path), query, Some(protocol), None),
                    "{request}"
                );
            }
            None => {
                assert_eq!(get("raw_request"), Some(request));
                assert_eq!(
                    (get("method"), get("path"), get("protocol")),
                    (None, None, None),
                    "{request}"
                );
            }
        }
    }
}

/// A line whose T stands for a time, the column that is wrong, and a part of the reason.
const FAULTS: &[(&str, &str, &str)] = &[
    ("", "", "blank"),
    ("garbage", "ident", "expected a value or `-`, found nothing"),
    (
        "garbage line",
        "remote_user",
        "expected a value or `-`, found nothing",
    ),
    (
        "garbage line 17",
        "event_time",
        "expected `[day/Month/year:hour:minute:second zone]` after the user, found `17`",
    ),
    (
        "1.2.3.400 - - T \"GET / HTTP/1.1\" 200 1",
        "client_ip",
        "an IPv4 or IPv6 address or a host name",
    ),
    (
        "h - T \"GET / HTTP/1.1\" 200 1",
        "remote_user",
        "a value or `-`",
    ),
    (
        "1.2.3.4 - a b T \"GET / HTTP/1.1\" 200  1",
        "remote_user",
        "one user without spaces",
    ),
    (
        "h:0 1.2.3.4 - - T \"\" 200 1",
        "server_port",
        "a port from 1 to 65535",
    ),
    (
        "h/x 1.2.3.4 - - T \"\" 200 1",
        "vhost",
        "a host name, an IPv4 address",
    ),
    (
        "h - - T",
        "raw_request",
        "a space and the quoted request after the time, found nothing",
    ),
    (
        "h - - T GET / HTTP/1.1 200 1",
        "raw_request",
        "the quoted request",
    ),
    (
        "h - - T \"GET / HTTP/1.1 200 1",
        "raw_request",
        "a closing quote after the request",
    ),
    (
        "h - - T \"GET / HTTP/1.1\"",
        "status",
        "a space and the status",
    ),
    (
        "h - - T \"GET / HTTP/1.1\" 20 1",
        "status",
        "three digits, found `20 1`",
    ),
    (
        "h - - T \"GET / HTTP/1.1\" 200",
        "bytes",
        "a space and the size",
    ),
    (
        "h - - T \"GET / HTTP/1.1\" 200 x",
        "bytes",
        "digits or `-`, found `x`",
    ),
    (
        "h - - T \"GET / HTTP/1.1\" 200 1x",
        "bytes",
        "the end of the line",
    ),
    (
        "h - - T \"GET / HTTP/1.1\" 200 1 \"-",
        "referer",
        "a closing quote after the referer",
    ),
    (
        "h - - T \"GET / HTTP/1.1\" 200 1 \"-\"",
        "user_agent",
        "the quoted user agent after the referer",
    ),
    (
        "h - - T \"GET / HTTP/1.1\" 200 1 \"-\" \"x",
        "user_agent",
        "a closing quote after the user agent",
    ),
    (
        "h - - T \"GET / HTTP/1.1\" 200 1 \"-\" \"x\"y\"",
        "user_agent",
        "the end of the line after the user agent, or a space and more fields",
    ),
];

#[test]
fn a_line_that_is_not_a_row_says_which_field_is_wrong_and_what_was_expected() {
    for &(line, column, reason) in FAULTS {
        let seen = read(format!("{}\n", line.replace('T', TIME)).as_bytes());
        if reason == "blank" {
            assert_eq!((seen.blank, seen.rejected.len()), (1, 0));
            continue;
        }
        let [rejected] = seen.rejected.as_slice() else {
            panic!("{line} is accepted: {:?}", seen.rows)
        };
        assert!(
            rejected.reason.to_string().contains(reason),
            "{line}: {}",
            rejected.reason
        );
        assert_eq!(
            (rejected.rule.as_str(), rejected.column.as_deref()),
            (rule_id::PARSE, Some(column)),
            "{line}"
        );
    }
}

#[test]
fn a_rejected_line_keeps_its_place_and_its_bytes() {
    let good = format!("h - - {TIME} \"\" 200 1\r\n");
    let text = format!("{good}badé line\r\n\n{good}last");
    let seen = read(text.as_bytes());
    let second = good.len() as i64;
    let places: Vec<_> = seen
        .rejected
        .iter()
        .map(|row| (row.line, row.offset, row.payload.as_slice()))
        .collect();
    let last = (text.len() - 4) as i64;
    assert_eq!(
        places,
        [
            (Some(2), second, "badé line".as_bytes()),
            (Some(5), last, b"last".as_slice()),
        ]
    );
    let trimmed = good.trim_end().as_bytes().to_vec();
    let fourth = last - second;
    assert_eq!(seen.places, [(1, 0, trimmed.clone()), (4, fourth, trimmed)]);
    assert_eq!(seen.blank, 1);
}

#[test]
fn a_contract_may_take_some_columns_in_any_order_under_other_names_and_with_defaults() {
    let mut status = column("status", ColumnType::Int);
    status.name = "http_status".into();
    let mut agent = column("user_agent", ColumnType::String);
    agent.default = Some("unknown".into());
    let mut bytes = column("bytes", ColumnType::Long);
    bytes.default = Some("0".into());
    let columns = [column("is_bot", ColumnType::Boolean), bytes, agent, status];
    let text = format!(
        "h - - {TIME} \"\" 200 - \"-\" \"curl/8\"\nh - - {TIME} \"\" 404 5\nh - - {TIME} \"\" 20 5\n"
    );
    let input = Input::new(Box::new(Cursor::new(text))).unwrap();
    let seen = read_input(input, &columns, AccessLogOptions::default()).unwrap();
    let rows: Vec<Vec<_>> = seen
        .rows
        .iter()
        .map(|row| row.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect())
        .collect();
    assert_eq!(
        rows,
        [
            vec![
                ("bytes", "0"),
                ("http_status", "200"),
                ("is_bot", "true"),
                ("user_agent", "curl/8")
            ],
            // The default was not received as an agent.
            vec![
                ("bytes", "5"),
                ("http_status", "404"),
                ("user_agent", "unknown")
            ],
        ]
    );
    assert_eq!(seen.rejected[0].column.as_deref(), Some("http_status"));
}

#[test]
fn bots_are_found_without_the_agent_in_the_contract() {
    let text = format!("h - - {TIME} \"\" 200 - \"-\" \"curl/8\"\nh - - {TIME} \"\" 404 5\n");
    let input = Input::new(Box::new(Cursor::new(text))).unwrap();
    let columns = [column("is_bot", ColumnType::Boolean)];
    let seen = read_input(input, &columns, AccessLogOptions::default()).unwrap();
    assert_eq!(
        seen.rows,
        [
            Values::from([("is_bot".into(), "true".into())]),
            Values::new()
        ]
    );
}

#[test]
fn a_contract_that_cannot_be_filled_is_refused() {
    let mut minor = column("bytes", ColumnType::Long);
    minor.encoding = Encoding::MinorUnits(2);
    let mut default = column("status", ColumnType::Int);
    default.default = Some("ok".into());
    let status = column("status", ColumnType::Int);
    let cases = [
        (
            vec![column("colour", ColumnType::String)],
            "no field `colour`; it has event_time, ",
        ),
        (
            vec![column("status", ColumnType::String)],
            "its type must be int, not string",
        ),
        (vec![minor], "natural"),
        (vec![default], "`ok` cannot be the default of a int"),
        (vec![status.clone(), status], "another column"),
    ];
    for (columns, expected) in cases {
        let input = Input::new(Box::new(Cursor::new(b""))).unwrap();
        let error = AccessLogReader::of_columns(
            input,
            &columns,
            Layouts::new(None),
            AccessLogOptions::default(),
        )
        .err()
        .unwrap();
        assert_eq!(error.kind(), ErrorKind::BadContract);
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn a_line_of_a_hundred_megabytes_is_rejected_and_its_neighbours_are_read() {
    let good = format!("h - - {TIME} \"\" 200 1\n");
    let long = std::io::repeat(b'x').take(100_000_000);
    let source = Cursor::new(good.clone())
        .chain(long)
        .chain(Cursor::new(format!("\n{good}")));
    let input = Input::new(Box::new(source)).unwrap();
    let seen = read_input(input, &all_columns(), AccessLogOptions::default()).unwrap();
    assert_eq!(
        seen.places.iter().map(|place| place.0).collect::<Vec<_>>(),
        [1, 3]
    );
    let [rejected] = seen.rejected.as_slice() else {
        panic!("one line")
    };
    assert_eq!(
        (rejected.line, rejected.offset),
        (Some(2), good.len() as i64)
    );
    assert_eq!(
        (rejected.payload_bytes, rejected.payload.len()),
        (100_000_000, crate::batch::PAYLOAD_LIMIT)
    );
    assert_eq!(
        rejected.reason.to_string(),
        "the line has 100000000 bytes; at most 1048576 are read"
    );
}

#[test]
fn an_object_full_of_bad_lines_comes_in_bounded_batches() {
    let text = b"x\n".repeat(3 * BATCH_REJECTED + 5);
    let input = Input::new(Box::new(Cursor::new(text))).unwrap();
    let mut reader = AccessLogReader::of_columns(
        input,
        &all_columns(),
        Layouts::new(None),
        AccessLogOptions::default(),
    )
    .unwrap();
    let mut sizes = Vec::new();
    while let Some(batch) = reader.next_batch().unwrap() {
        sizes.push(batch.rejected.len());
    }
    assert_eq!(sizes, [BATCH_REJECTED, BATCH_REJECTED, BATCH_REJECTED, 5]);
}

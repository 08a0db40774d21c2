//! What holds for every line.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::Cursor;

use proptest::prelude::*;

use super::tests::{Values, read, read_by};
use super::*;
use crate::source::lines::tests::gzip;

fn text_field() -> impl Strategy<Value = String> {
    prop_oneof![Just("-".to_owned()), "[ -~]{0,20}", any::<String>()]
}

/// Writes a text as Apache does.
fn escaped(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '"' => r#"\""#.to_owned(),
            '\\' => r"\\".to_owned(),
            '\n' => r"\n".to_owned(),
            '\r' => r"\r".to_owned(),
            '\t' => r"\t".to_owned(),
            c if c.is_control() => c
                .to_string()
                .bytes()
                .map(|byte| format!("\\x{byte:02x}"))
                .collect(),
            c => c.to_string(),
        })
        .collect()
}

proptest! {
    // Each case has a dozen lines, read three times.
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_line_that_was_written_from_fields_is_read_back_to_them(
        vhost in prop::option::of(("[a-z]{1,8}\\.example", prop::option::of(1u16..))),
        address in any::<std::net::IpAddr>(),
        user in "-|[a-z]{1,8}|[a-z]{1,4} [a-z]{1,4}",
        seconds in 0i64..4_000_000_000,
        offset in -720i32..840,
        request in ("[A-Z]{1,7}", "/[a-z/ \"\\\\é☃]{0,12}", prop::option::of("[a-z=&?é]{0,12}")),
        status in 0i32..=999,
        bytes in prop::option::of(0i64..),
        combined in prop::option::of((text_field(), text_field())),
    ) {
        let local = log_time(seconds, offset);
        let mut expected = Values::new();
        let mut expect = |name: &str, value: Option<&str>| {
            if let Some(value) = value.filter(|&value| value != "-") {
                expected.insert(name.to_owned(), value.to_owned());
            }
        };
        let mut line = String::new();
        if let Some((host, port)) = &vhost {
            line += host;
            expect("vhost", Some(host));
            if let Some(port) = port {
                line += &format!(":{port}");
                expect("server_port", Some(&port.to_string()));
            }
            line += " ";
        }
        let (method, path, query) = &request;
        let target = match query {
            Some(query) => format!("{path}?{query}"),
            None => path.clone(),
        };
        let size = bytes.map_or("-".to_owned(), |bytes| bytes.to_string());
        line += &format!("{address} - {user} {local} \"{method} {} HTTP/1.1\" {status:03} {size}", escaped(&target));
        expect("event_time", Some(&(seconds * 1_000_000).to_string()));
        expect("utc_offset_minutes", Some(&offset.to_string()));
        expect("client_ip", Some(&address.to_string()));
        expect("remote_user", Some(&user));
        expect("method", Some(method));
        expect("path", Some(path));
        expect("query", query.as_deref());
        expect("protocol", Some("HTTP/1.1"));
        expect("status", Some(&status.to_string()));
        expect("bytes", Some(&size));
        if let Some((referer, agent)) = &combined {
            line += &format!(" \"{}\" \"{}\"", escaped(referer), escaped(agent));
            expect("referer", Some(referer));
            expect("user_agent", Some(agent));
        }
        line += "\n";
        let mut seen = read(line.as_bytes());
        prop_assert_eq!(&seen.rejected, &[]);
        let has_agent = seen.rows[0].contains_key("user_agent");
        prop_assert_eq!(seen.rows[0].remove("is_bot").is_some(), has_agent);
        prop_assert_eq!(&seen.rows[0], &expected);
    }

    #[test]
    fn every_line_is_a_row_or_rejected_or_blank_whatever_the_bytes_and_the_chunks(
        lines in prop::collection::vec(broken_line(), 0..12),
        chunk_bytes in 1usize..400, batch_rows in 1usize..5, last_newline in any::<bool>(),
    ) {
        let mut bytes = lines.join(&b'\n');
        if last_newline {
            bytes.push(b'\n');
        }
        prop_assume!(Input::new(Box::new(Cursor::new(bytes.clone()))).is_ok_and(|input| !input.is_gzip()));
        let count = bytes.split(|&byte| byte == b'\n').count() - usize::from(bytes.is_empty() || bytes.ends_with(b"\n"));
        let seen = read(&bytes);
        prop_assert_eq!(seen.rows.len() + seen.rejected.len() + seen.blank as usize, count);
        prop_assert_eq!(&read_by(&bytes, AccessLogOptions { chunk_bytes, batch_rows }), &seen);
        prop_assert_eq!(&read(&gzip(&bytes)), &seen);
    }
}

/// A good line with some bytes replaced, or any bytes.
fn broken_line() -> impl Strategy<Value = Vec<u8>> {
    let good: &[u8] =
        br#"shop:80 ::1 - - [10/Oct/2000:13:55:36 -0700] "GET /a\"?b HTTP/1.1" 200 23 "-" "curl\x41""#;
    let byte = prop_oneof![
        any::<u8>(),
        Just(b'"'),
        Just(b'\\'),
        Just(b' '),
        Just(b'['),
        Just(b'\r'),
        Just(0xff)
    ];
    let edits = prop::collection::vec((0..good.len(), byte.clone()), 0..3);
    prop_oneof![
        4 => (edits, 0..good.len(), any::<bool>()).prop_map(move |(edits, cut, is_cut)| {
            let mut line = good.to_vec();
            for (at, byte) in edits {
                line[at] = byte;
            }
            line.truncate(if is_cut { cut } else { good.len() });
            line
        }),
        1 => prop::collection::vec(byte, 0..40),
    ]
}

/// A time as logs write it, by counting days from 1970 one year and one month at a time.
fn log_time(seconds: i64, offset: i32) -> String {
    let local = seconds + i64::from(offset) * 60;
    let (mut day, second) = (local.div_euclid(86_400), local.rem_euclid(86_400));
    let mut year = 1970;
    let leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if day < 0 {
        (year, day) = (1969, day + 365);
    }
    while day >= 365 + i64::from(leap(year)) {
        day -= 365 + i64::from(leap(year));
        year += 1;
    }
    let names = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let lengths = [
        31,
        28 + i64::from(leap(year)),
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    let mut month = 0;
    while day >= lengths[month] {
        day -= lengths[month];
        month += 1;
    }
    let (sign, offset) = (if offset < 0 { '-' } else { '+' }, offset.abs());
    format!(
        "[{:02}/{}/{year}:{:02}:{:02}:{:02} {sign}{:02}{:02}]",
        day + 1,
        names[month],
        second / 3600,
        second / 60 % 60,
        second % 60,
        offset / 60,
        offset % 60
    )
}

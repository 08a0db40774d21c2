#![allow(clippy::unwrap_used, clippy::expect_used)]

use crate::drift::Added;
use std::io::Cursor as Bytes;
use std::path::Path;

use proptest::prelude::*;
use tarn_contract::Encoding;
use tarn_core::ErrorKind;
use tarn_core::schema::ColumnType;

use super::*;
use crate::column::ColumnData;
use crate::source::archive::{Record, encode};
use crate::source::batch_builder::BATCH_REJECTED;
use crate::source::bytes;
use crate::source::json::row::{ARRIVAL_TIME, LATENESS_SECONDS};

fn column(name: &str, ty: ColumnType, encoding: Encoding) -> Column {
    Column::optional(name, ty, encoding)
}

/// The columns of ad events.
fn ads() -> Vec<Column> {
    let natural = Encoding::Natural;
    let micros = ColumnType::Decimal {
        precision: 18,
        scale: 6,
    };
    let mut columns = vec![
        column("event_id", ColumnType::String, natural),
        column("event_ts", ColumnType::Timestamp, Encoding::EpochMillis),
        column("event_type", ColumnType::String, natural),
        column("campaign_id", ColumnType::Int, natural),
        column("user_id", ColumnType::Long, natural),
        column("device", ColumnType::String, natural),
        column("country", ColumnType::String, natural),
        column("cost", micros, Encoding::MinorUnits(6)),
        column(
            "bid",
            ColumnType::Decimal {
                precision: 10,
                scale: 4,
            },
            natural,
        ),
        column("order_id", ColumnType::Long, natural),
        column("session_id", ColumnType::String, natural),
        column("arrived_at", ColumnType::Timestamp, natural),
        column("lateness", ColumnType::Long, natural),
    ];
    columns[7].source_name = "cost_micros".to_owned();
    columns[11].source_name = ARRIVAL_TIME.to_owned();
    columns[12].source_name = LATENESS_SECONDS.to_owned();
    columns
}

#[derive(Debug, Default, PartialEq)]
struct Seen {
    /// Per row: line, offset, payload, and the values as text.
    rows: Vec<(u64, i64, Vec<u8>, Vec<String>)>,
    rejected: Vec<Rejected>,
    /// Per rejected row, as it is shown.
    reasons: Vec<String>,
    blank: u64,
}

impl Seen {
    fn counts(&self) -> (usize, usize, u64) {
        (self.rows.len(), self.rejected.len(), self.blank)
    }

    /// Line, rule and reason of each rejected row.
    fn reasons(&self) -> Vec<(u64, &str, &str)> {
        self.rejected
            .iter()
            .zip(&self.reasons)
            .map(|(row, reason)| (row.line.unwrap(), row.rule.as_str(), reason.as_str()))
            .collect()
    }
}

fn shown(data: &ColumnData, row: usize) -> String {
    match data {
        ColumnData::Text(data) => format!("{:?}", data.get(row).map(String::from_utf8_lossy)),
        ColumnData::Int(data) => format!("{:?}", data.get(row)),
        ColumnData::Long(data) => format!("{:?}", data.get(row)),
        ColumnData::Double(data) => format!("{:?}", data.get(row)),
        ColumnData::Boolean(data) => format!("{:?}", data.get(row)),
        ColumnData::List(_) => "list".to_owned(),
    }
}

fn read_all(reader: &mut JsonLinesReader) -> Result<Seen> {
    let mut seen = Seen::default();
    while let Some(batch) = reader.next_batch()? {
        for data in &batch.columns {
            assert_eq!(data.len(), batch.rows());
        }
        for row in 0..batch.rows() {
            let values = batch.columns.iter().map(|data| shown(data, row)).collect();
            let payload = batch.payload(row).unwrap().to_vec();
            seen.rows.push((
                batch.line(row).unwrap_or_default(),
                batch.offsets[row],
                payload,
                values,
            ));
        }
        seen.reasons
            .extend(batch.rejected.iter().map(|row| row.reason.to_string()));
        seen.rejected.extend(batch.rejected);
        seen.blank += batch.blank;
    }
    Ok(seen)
}

fn read_bytes(object: &[u8], columns: &[Column], chunk_bytes: usize) -> Result<Seen> {
    let input = Input::new(Box::new(Bytes::new(object.to_vec())))?;
    let mut reader =
        JsonLinesReader::of_columns(lines_of(input, chunk_bytes), columns, Some("event_ts"))?;
    read_all(&mut reader)
}

fn read_file(name: &str) -> Result<Seen> {
    // Cargo runs tests in the folder of their package.
    let path = Path::new("../../events/ads").join(name);
    let mut reader = JsonLinesReader::of_columns(
        lines_of(bytes::open(&path)?, CHUNK_BYTES),
        &ads(),
        Some("event_ts"),
    )?;
    let seen = read_all(&mut reader)?;
    if path.extension().is_none_or(|ending| ending != "gz") {
        let object = std::fs::read(&path).unwrap();
        assert_eq!(
            read_bytes(&object, &ads(), 64).unwrap(),
            seen,
            "the chunk size changes nothing"
        );
        for (_, offset, payload, _) in &seen.rows {
            assert!(object[*offset as usize..].starts_with(payload));
        }
        for rejected in &seen.rejected {
            assert!(object[rejected.offset as usize..].starts_with(&rejected.payload));
        }
    }
    Ok(seen)
}

fn lines_of(input: Input, chunk_bytes: usize) -> Source {
    Source::Lines(LineReader::new(input, chunk_bytes))
}

#[test]
fn good_events_are_read_plain_and_gzipped() {
    let seen = read_file("events.ndjson").unwrap();
    assert_eq!(seen.counts(), (4, 0, 0));
    assert_eq!(read_file("events.ndjson.gz").unwrap(), seen);
    assert_eq!(read_file("multi_member.ndjson.gz").unwrap(), seen);
    let (line, offset, _, values) = &seen.rows[2];
    assert_eq!((*line, *offset), (3, 557));
    let expected = [
        "Some(\"00000000-0000-4000-a000-000000000003\")",
        "Some(1767225603000000)",
        "Some(\"conversion\")",
        "Some(7)",
        "Some(42)",
        "Some(\"mobile\")",
        "Some(\"DE\")",
        "Some(0)",
        "Some(16348)",
        "Some(1001)",
        "Some(\"s3\")",
        "None",
        "None",
    ];
    assert_eq!(values, &expected);
}

#[test]
fn byte_order_mark_line_ends_and_blank_lines_are_no_matter() {
    assert_eq!(
        read_file("bom_crlf_blank.ndjson").unwrap().counts(),
        (3, 0, 2)
    );
    assert_eq!(
        read_file("no_final_newline.ndjson").unwrap().counts(),
        (2, 0, 0)
    );
    assert_eq!(read_file("empty.ndjson").unwrap().counts(), (0, 0, 0));
}

#[test]
fn nul_bytes_are_data_only_as_an_escape() {
    let seen = read_file("nul_bytes.ndjson").unwrap();
    assert_eq!(seen.counts(), (2, 3, 0));
    assert_eq!(seen.rows[1].3[5], "Some(\"a\\0b\")");
    let reasons = seen.reasons();
    assert_eq!(
        reasons[0],
        (2, "parse", "not JSON: expected an object at byte 0")
    );
    assert!(
        reasons[1]
            .2
            .starts_with("not JSON: control character in a string"),
        "{reasons:?}"
    );
    assert!(
        reasons[2].2.starts_with("not JSON: expected nothing more"),
        "{reasons:?}"
    );
}

#[test]
fn lines_that_are_no_utf8_are_rejected_alone() {
    let seen = read_file("invalid_utf8.ndjson").unwrap();
    assert_eq!(seen.counts(), (2, 2, 0));
    assert_eq!(seen.reasons()[0], (2, "parse", "not UTF-8 at byte 209"));
}

#[test]
fn a_key_that_comes_twice_rejects_the_line() {
    let seen = read_file("duplicate_keys.ndjson").unwrap();
    // Repeated keys inside a value that no column takes are ignored.
    assert_eq!(seen.counts(), (2, 2, 0));
    assert_eq!(
        seen.reasons(),
        [
            (
                1,
                "parse",
                "expected each key once, found \"country\" again"
            ),
            (
                3,
                "parse",
                "expected each key once, found \"country\" again"
            )
        ]
    );
}

#[test]
fn values_out_of_range_are_rejected_with_their_column() {
    const IMPLAUSIBLE: &str = "expected milliseconds since 1970, …; the number looks like microseconds, found 1767225604000000";
    let mut seen = read_file("out_of_range.ndjson").unwrap();
    assert_eq!(seen.counts(), (1, 5, 0));
    // The range ends two years from now.
    let reason = &mut seen.reasons[3];
    let (begin, end) = (reason.find("from ").unwrap(), reason.find(';').unwrap());
    reason.replace_range(begin..end, "…");
    assert_eq!(
        seen.reasons(),
        [
            (
                1,
                "user_id.type",
                "expected a number in the range of a whole number of at most 64 bits, found 9223372036854775808"
            ),
            (
                2,
                "cost.type",
                "expected a whole number of at most 64 bits, found 1e30"
            ),
            (
                3,
                "bid.type",
                "expected at most 4 digits after the point, found 1.63481"
            ),
            (4, "event_ts.type", IMPLAUSIBLE),
            (
                5,
                "campaign_id.type",
                "expected a number in the range of a 32-bit integer, found 2147483648"
            ),
        ]
    );
    assert_eq!(seen.rejected[4].column.as_deref(), Some("campaign_id"));
}

#[test]
fn values_of_another_type_are_rejected_with_their_column() {
    let seen = read_file("wrong_types.ndjson").unwrap();
    // Lines 1 and 2: a whole number may be quoted; line 8: a text may be a whole number.
    assert_eq!(
        seen.rows.iter().map(|row| row.0).collect::<Vec<_>>(),
        [1, 2, 8]
    );
    assert_eq!(
        seen.reasons(),
        [
            (
                3,
                "event_ts.type",
                "expected milliseconds since 1970, found the text \"2026-01-01\""
            ),
            (4, "country.type", "expected a text, found a list"),
            (5, "device.type", "expected a text, found true"),
            (6, "event_id.type", "expected a text, found an object"),
            (
                7,
                "campaign_id.type",
                "expected a whole number of at most 64 bits, found 7.5"
            ),
            (9, "parse", "not JSON: expected an object at byte 0"),
            (10, "parse", "not JSON: expected an object at byte 0"),
            (
                11,
                "parse",
                "not JSON: the text ends unexpectedly at byte 15"
            ),
            (12, "parse", "not JSON: expected an object at byte 0"),
        ]
    );
}

#[test]
fn missing_values_are_nulls() {
    let seen = read_file("missing.ndjson").unwrap();
    assert_eq!(seen.counts(), (4, 0, 0));
    assert_eq!(
        (seen.rows[0].3[0].as_str(), seen.rows[1].3[1].as_str()),
        ("None", "None")
    );
    assert_eq!(
        (seen.rows[2].3[5].as_str(), seen.rows[2].3[8].as_str()),
        ("None", "None")
    );
}

#[test]
fn unknown_keys_are_checked_skipped_and_reported_with_type_sample_and_place() {
    let seen = read_file("unknown_keys.ndjson").unwrap();
    assert_eq!(seen.counts(), (3, 1, 0));
    assert_eq!(
        seen.reasons(),
        [(4, "parse", "not JSON: expected a value at byte 13")]
    );
    let text = b"{\"a\":1,\"b\":null,\"c\":{\"x\":1}}\n{\"b\":\"2026-01-31\"}\n{\"a\":2}\n";
    let input = Input::new(Box::new(Bytes::new(text.to_vec()))).unwrap();
    let mut reader =
        JsonLinesReader::of_columns(lines_of(input, CHUNK_BYTES), &ads(), Some("event_ts"))
            .unwrap();
    read_all(&mut reader).unwrap();
    let new: Vec<_> = reader.new_columns().iter().map(Added::new).collect();
    let told: Vec<String> = new.iter().map(|new| new.drift.to_string()).collect();
    assert_eq!(
        told,
        [
            "new column a of type bigint, for example 1 (line 1, byte 0), in 2 rows",
            "new column b of type date, for example \"2026-01-31\" (line 2, byte 29), in 2 rows",
            "new column c of type object, for example {\"x\":1} (line 1, byte 0), in 1 row",
        ]
    );
    let addable: Vec<bool> = new.iter().map(|new| new.column.is_some()).collect();
    assert_eq!(addable, [true, true, false]);
}

#[test]
fn what_is_no_json_is_rejected_line_by_line_and_a_cut_gzip_fails() {
    assert_eq!(read_file("not_json.txt").unwrap().counts(), (0, 3, 1));
    let error = read_file("truncated.ndjson.gz").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadSource);
    assert!(error.to_string().contains("truncated"), "{error}");
}

#[test]
fn nesting_of_ten_thousand_levels_is_rejected() {
    let deep = format!(
        "{{\"x\":{}1{}}}\n{{}}\n",
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    let seen = read_bytes(deep.as_bytes(), &ads(), CHUNK_BYTES).unwrap();
    assert_eq!(seen.counts(), (1, 1, 0));
    assert_eq!(
        seen.reasons()[0],
        (
            1,
            "parse",
            "not JSON: nested more than 128 levels deep at byte 133"
        )
    );
    let open = "{\"event_id\":".repeat(10_000);
    let seen = read_bytes(open.as_bytes(), &ads(), CHUNK_BYTES).unwrap();
    assert_eq!(seen.counts(), (0, 1, 0));
}

#[test]
fn a_line_of_many_megabytes_is_rejected_with_its_size() {
    let text = format!("{{}}\n{{\"x\":\"{}\"}}\n{{}}\n", "a".repeat(3 << 20));
    let seen = read_bytes(text.as_bytes(), &ads(), CHUNK_BYTES).unwrap();
    assert_eq!(seen.counts(), (2, 1, 0));
    assert_eq!(seen.rejected[0].payload_bytes, (3 << 20) + 8);
    assert_eq!(
        seen.reasons()[0].2,
        "the line has 3145736 bytes; at most 1048576 are read"
    );
    assert_eq!(seen.rows[1].0, 3);
}

#[test]
fn batches_end_where_rejected_lines_grow_many() {
    let text = "x\n".repeat(3 * BATCH_REJECTED) + "{}\n";
    let input = Input::new(Box::new(Bytes::new(text.into_bytes()))).unwrap();
    let mut reader =
        JsonLinesReader::of_columns(lines_of(input, CHUNK_BYTES), &ads(), Some("event_ts"))
            .unwrap();
    let first = reader.next_batch().unwrap().unwrap();
    assert_eq!((first.rejected.len(), first.rows()), (BATCH_REJECTED, 0));
    assert_eq!(
        read_all(&mut reader).unwrap().counts(),
        (1, 2 * BATCH_REJECTED, 0)
    );
}

#[test]
fn an_archive_object_gives_its_events_with_their_arrival() {
    let second = 1_767_225_600_000_000;
    let event = |number: i64, ts: i64| format!("{{\"event_id\":\"e{number}\",\"event_ts\":{ts}}}");
    let (one, two, three) = (
        event(1, 1_767_225_600_000),
        event(2, 1_767_225_500_500),
        event(3, 1_767_225_700_000),
    );
    let pair = format!("{two}\r\n\n{three}\n");
    let data: [&[u8]; 6] = [
        one.as_bytes(),
        pair.as_bytes(),
        b"",
        b"\xff\xfe",
        b"not json",
        b"{\"event_id\":1,\"event_id\":2}\n",
    ];
    let records: Vec<Record<'_>> = data
        .iter()
        .map(|data| Record {
            sequence_number: "1",
            arrival_time: second,
            partition_key: "k",
            data,
        })
        .collect();
    let object = encode("ad-events", "shard-0", &records).unwrap();
    for chunk_bytes in [64, CHUNK_BYTES] {
        let seen = read_bytes(&object, &ads(), chunk_bytes).unwrap();
        assert_eq!(seen.counts(), (3, 3, 2));
        let rows: Vec<_> = seen
            .rows
            .iter()
            .map(|row| (row.0, row.2.clone(), row.3[11].as_str(), row.3[12].as_str()))
            .collect();
        let arrived = "Some(1767225600000000)";
        assert_eq!(rows[0], (2, one.clone().into_bytes(), arrived, "Some(0)"));
        assert_eq!(rows[1], (3, two.clone().into_bytes(), arrived, "Some(99)"));
        assert_eq!(rows[2], (3, three.clone().into_bytes(), arrived, "Some(0)"));
        assert_eq!(
            seen.rows[1].1, seen.rows[2].1,
            "events of one record share its place"
        );
        assert_eq!(
            seen.rejected
                .iter()
                .map(|row| row.payload.as_slice())
                .collect::<Vec<_>>(),
            [
                b"\xff\xfe".as_slice(),
                b"not json",
                b"{\"event_id\":1,\"event_id\":2}"
            ]
        );
        assert_eq!(seen.reasons()[0], (5, "parse", "not UTF-8 at byte 0"));
    }
}

#[test]
fn a_damaged_record_of_an_archive_object_is_rejected_alone() {
    let object = b"{\"tarn_archive\":1,\"stream\":\"s\",\"shard\":\"0\"}\n{\"sequence_number\":\"1\"}\n\n{\"arrival_time\":\"2026-01-01T00:00:00Z\",\"data\":\"{}\"}\n";
    let seen = read_bytes(object, &ads(), CHUNK_BYTES).unwrap();
    assert_eq!(seen.counts(), (1, 1, 1));
    assert_eq!(
        seen.reasons(),
        [(2, "parse", "damaged archive record: no arrival_time")]
    );
    let error = read_bytes(b"{\"tarn_archive\":7}\n{}\n", &ads(), CHUNK_BYTES).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadSource);
}

#[test]
fn lists_and_several_columns_of_one_key_are_filled() {
    let mut columns = vec![
        column("tags", ColumnType::StringList, Encoding::Natural),
        column("at", ColumnType::Timestamp, Encoding::Natural),
        column("day", ColumnType::Date, Encoding::Natural),
    ];
    columns[2].source_name = "at".to_owned();
    let text = "{\"tags\":[\"a\",\"\\u00e9\"],\"at\":\"2026-01-31\"}\n{\"tags\":[]}\n{\"tags\":[\"b\",1]}\n{\"tags\":\"a\"}\n{\"at\":\"2026-01-31T10:00:00Z\"}\n{\"tags\":[\"c\"]}\n";
    let input = Input::new(Box::new(Bytes::new(text.as_bytes().to_vec()))).unwrap();
    let mut reader =
        JsonLinesReader::of_columns(lines_of(input, CHUNK_BYTES), &columns, None).unwrap();
    let batch = reader.next_batch().unwrap().unwrap();
    assert_eq!((batch.rows(), batch.rejected.len()), (3, 3));
    let ColumnData::List(tags) = &batch.columns[0] else {
        panic!()
    };
    assert_eq!(
        (tags.ends.as_slice(), tags.items.len()),
        ([2, 2, 3].as_slice(), 3)
    );
    assert_eq!(shown(&batch.columns[2], 0), "Some(20484)");
}

#[test]
fn a_contract_that_json_cannot_fill_is_refused() {
    let refused = |columns: Vec<Column>, event_time| {
        let input = Input::new(Box::new(Bytes::new(Vec::new()))).unwrap();
        let error = JsonLinesReader::of_columns(lines_of(input, CHUNK_BYTES), &columns, event_time)
            .err()
            .unwrap();
        assert_eq!(error.kind(), ErrorKind::BadContract);
    };
    refused(
        vec![column("$arrival", ColumnType::Timestamp, Encoding::Natural)],
        None,
    );
    refused(
        vec![column(ARRIVAL_TIME, ColumnType::String, Encoding::Natural)],
        None,
    );
    refused(
        vec![column(
            LATENESS_SECONDS,
            ColumnType::Long,
            Encoding::Natural,
        )],
        None,
    );
    refused(
        vec![column("x", ColumnType::String, Encoding::EpochMillis)],
        None,
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn every_line_is_a_row_or_rejected_or_blank_at_any_chunk_size(
        lines in prop::collection::vec(prop_oneof![
            Just(b"{\"event_id\":\"a\",\"event_ts\":1767225600778,\"tags\":[1,{}]}".to_vec()),
            Just(b"{\"event_ts\":\"x\"}".to_vec()),
            Just(b"  ".to_vec()),
            prop::collection::vec(any::<u8>().prop_filter("one line", |byte| *byte != b'\n'), 0..20),
            "[{}\":,a-c0-9.\\[\\]]{0,20}".prop_map(String::into_bytes),
        ], 0..12),
        chunk_bytes in 4usize..80,
    ) {
        let object = lines.join(&b'\n');
        prop_assume!(Input::new(Box::new(Bytes::new(object.clone()))).is_ok_and(|input| !input.is_gzip()));
        let seen = read_bytes(&object, &ads(), CHUNK_BYTES).unwrap();
        let text = object.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&object);
        let count = text.iter().filter(|byte| **byte == b'\n').count() + usize::from(!text.is_empty() && !text.ends_with(b"\n"));
        // A line may hold several events.
        prop_assert!(seen.rows.len() + seen.rejected.len() + seen.blank as usize >= count);
        prop_assert_eq!(read_bytes(&object, &ads(), chunk_bytes).unwrap(), seen);
    }

    #[test]
    fn any_keys_in_any_order_and_spacing_fill_their_own_columns(
        objects in prop::collection::vec(
            (
                prop::collection::vec(0usize..5, 0..5),
                prop::sample::select(vec![["", "", ""], ["", " ", ""], [" ", "\t", "  "]]),
            ),
            1..60,
        ),
    ) {
        const KEYS: [(&str, &str); 5] = [
            ("event_id", "\"a text of more than sixteen bytes\""),
            ("device", "\"tv\""),
            ("order_id", "null"),
            ("bid", "-1.25"),
            ("user_id", "7"),
        ];
        let mut written = Vec::new();
        let mut expected = Vec::new();
        for (keys, [begin, colon, comma]) in &objects {
            let members: Vec<String> = keys
                .iter()
                .map(|&key| format!("{begin}\"{}\":{colon}{}", KEYS[key].0, KEYS[key].1))
                .collect();
            written.extend_from_slice(format!("{{{}{begin}}}\n", members.join(&format!(",{comma}"))).as_bytes());
            let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
            if distinct.len() == keys.len() {
                let shown = |key: usize, value: &str| if keys.contains(&key) { value.to_owned() } else { "None".to_owned() };
                expected.push([
                    shown(0, &format!("Some({:?})", KEYS[0].1.trim_matches('"'))),
                    shown(1, "Some(\"tv\")"),
                    "None".to_owned(),
                    shown(3, "Some(-12500)"),
                    shown(4, "Some(7)"),
                ]);
            }
        }
        let seen = read_bytes(&written, &ads(), CHUNK_BYTES).unwrap();
        prop_assert_eq!(seen.rejected.len(), objects.len() - expected.len());
        let rows: Vec<_> = seen.rows.iter().map(|(_, _, _, values)| [0, 5, 9, 8, 4].map(|column| values[column].clone())).collect();
        prop_assert_eq!(rows, expected);
    }
}

/// Reads an object as it would be opened.
fn read_object(object: &[u8], columns: &[Column]) -> Result<Seen> {
    let input = Input::new(Box::new(Bytes::new(object.to_vec())))?;
    let source = if has_lines(&object[..object.len().min(HEAD_BYTES)]) {
        Source::Lines(LineReader::new(input, CHUNK_BYTES))
    } else {
        Source::Values(ValueReader::new(input, 1_000).keeping_cut())
    };
    read_all(&mut JsonLinesReader::of_columns(source, columns, None)?)
}

fn ids() -> Vec<Column> {
    vec![column("id", ColumnType::Int, Encoding::Natural)]
}

/// The ids that were read, and the numbers of rejected rows and blank lines.
fn read_ids(object: &[u8]) -> (Vec<String>, usize, u64) {
    let seen = read_object(object, &ids()).unwrap();
    for (_, offset, payload, _) in &seen.rows {
        assert!(object[*offset as usize..].starts_with(payload), "{offset}");
    }
    let ids = seen.rows.iter().map(|(.., values)| values[0].clone());
    (ids.collect(), seen.rejected.len(), seen.blank)
}

#[test]
fn a_line_may_hold_several_events() {
    let ids = |range: std::ops::Range<u32>| -> Vec<String> {
        range.map(|id| format!("Some({id})")).collect()
    };
    for text in [
        r#"{"id":1}{"id":2}"#,
        r#"{"id":1} {"id":2}
"#,
        "{\"id\":1}\n{\"id\":2},\n",
        "\u{1e}{\"id\":1}\n\u{1e}{\"id\":2}\n",
        r#"[{"id":1},{"id":2}]"#,
        "[{\"id\":1},\n {\"id\":2}\n]\n",
        "[{\"id\":1}]\n[{\"id\":2}]\n",
        "{\"id\":1}\n[{\"id\":2}]\n",
        "{\n  \"id\": 1\n}\n{\n  \"id\": 2\n}\n",
        "\u{feff}[{\"id\":1},{\"id\":2}]",
        "{\"id\":1}\n\u{feff}{\"id\":2}\n",
    ] {
        assert_eq!(read_ids(text.as_bytes()), (ids(1..3), 0, 0), "{text}");
    }
    // What is broken among them is rejected alone.
    assert_eq!(
        read_ids(br#"{"id":1}{"id":}{"id":"x"}{"id":2}"#),
        (ids(1..3), 2, 0)
    );
    assert_eq!(read_ids(br#"{"id":1}{"id":2"#), (ids(1..2), 1, 0));
    assert_eq!(read_ids(b"{\"id\":1}\n[]\n\n"), (ids(1..2), 0, 2));
    assert_eq!(read_ids(b"{\"id\":1}\n[[{\"id\":2}]]\n"), (ids(1..2), 1, 0));
    // An array that is cut off: nothing says what it lacks.
    assert!(read_object(br#"[{"id":1},{"id":2"#, &self::ids()).is_err());
}

#[test]
fn many_events_without_line_ends_are_all_read() {
    let text: String = (0..50_000).map(|id| format!(r#"{{"id":{id}}}"#)).collect();
    assert!(text.len() > HEAD_BYTES);
    let (ids, rejected, _) = read_ids(text.as_bytes());
    assert_eq!((ids.len(), rejected), (50_000, 0));
    let (ids, rejected, _) = read_ids(&text.as_bytes()[..text.len() - 3]);
    assert_eq!((ids.len(), rejected), (49_999, 1));
}

#[test]
fn a_source_name_may_be_a_path() {
    let of = |source: &str| Column {
        source_name: source.to_owned(),
        ..column("x", ColumnType::String, Encoding::Natural)
    };
    let columns = [
        of("detail.id"),
        of("id"),
        of("detail.who.name"),
        of("detail"),
    ];
    let read = |columns: &[Column], text: &str| -> std::result::Result<Vec<String>, String> {
        let seen = read_object(text.as_bytes(), columns).unwrap();
        match (seen.rows.as_slice(), seen.reasons.as_slice()) {
            ([(.., values)], []) => Ok(values.clone()),
            ([], [reason]) => Err(reason.clone()),
            _ => panic!("{seen:?}"),
        }
    };
    let some = |text: &str| format!("Some({text:?})");
    let three = &columns[..3];
    assert_eq!(
        read(
            three,
            r#"{"detail":{"who":{"age":1,"name":"c"},"id":"a"},"id":"b"}"#
        ),
        Ok(vec![some("a"), some("b"), some("c")])
    );
    assert_eq!(
        read(three, r#"{"id":"b","detail.id":"a","detail.who.name":"c"}"#),
        Ok(vec![some("a"), some("b"), some("c")])
    );
    let none = || "None".to_owned();
    for text in [
        r#"{"id":"b"}"#,
        r#"{"id":"b","detail":null}"#,
        r#"{"id":"b","detail":{"who":null,"other":"\ud83d"}}"#,
    ] {
        assert_eq!(
            read(three, text),
            Ok(vec![none(), some("b"), none()]),
            "{text}"
        );
    }
    for (text, fault) in [
        (r#"{"detail":{"id":"a"},"detail.id":"b"}"#, "both a key"),
        (r#"{"detail":{"id":"a","id":"b"}}"#, "each key once"),
        (r#"{"detail":"a"}"#, "an object around it"),
        (r#"{"detail":{"id":["a"]}}"#, "a text"),
    ] {
        let reason = read(three, text).unwrap_err();
        assert!(reason.contains(fault), "{text}: {reason}");
    }
    assert!(
        read(&columns, r#"{"detail":{"id":"a"}}"#)
            .unwrap_err()
            .contains("a text")
    );
    let mut reader = JsonLinesReader::of_columns(
        lines_of(
            Input::new(Box::new(Bytes::new(
                br#"{"id":"b","detail":{},"new":1}"#.to_vec(),
            )))
            .unwrap(),
            CHUNK_BYTES,
        ),
        three,
        None,
    )
    .unwrap();
    read_all(&mut reader).unwrap();
    assert_eq!(reader.source_columns().unwrap(), ["id", "detail", "new"]);
}

#[test]
fn half_of_a_surrogate_pair_does_not_matter_where_nobody_reads_it() {
    let (ids, rejected, _) = read_ids(br#"{"id":1,"name":"\ud83d","more":{"a":["\udc00"]}}"#);
    assert_eq!((ids.len(), rejected), (1, 0));
}

#[test]
fn records_of_gzip_and_base64_are_unpacked() {
    use base64::Engine;
    let gzip = |text: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, text).unwrap();
        encoder.finish().unwrap()
    };
    let base64 = |bytes: &[u8]| {
        base64::engine::general_purpose::STANDARD
            .encode(bytes)
            .into_bytes()
    };
    let event = br#"{"id":1}"#;
    let two = b"\xef\xbb\xbf{\"id\":2}{\"id\":3}";
    let payloads = [
        event.to_vec(),
        gzip(event),
        base64(event),
        base64(&gzip(event)),
        two.to_vec(),
        gzip(b"not JSON"),
        base64(b"not JSON"),
        b"\x1f\x8b\x08 damaged".to_vec(),
    ];
    let records: Vec<archive::Record<'_>> = payloads
        .iter()
        .map(|data| archive::Record {
            sequence_number: "1",
            arrival_time: 1_769_854_272_000_000,
            partition_key: "a",
            data,
        })
        .collect();
    let object = archive::encode("ads", "shard-0", &records).unwrap();
    let seen = read_object(&object, &ids()).unwrap();
    assert_eq!(seen.counts(), (6, 3, 0), "{:?}", seen.reasons);
    assert!(
        seen.rows
            .iter()
            .take(4)
            .all(|(_, _, payload, _)| payload == event)
    );
}

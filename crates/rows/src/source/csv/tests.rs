#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::Write;

use tarn_contract::parse_str;

use super::*;
use crate::display;
use crate::source::{Part, bytes, open, open_part};

const PRICES: &str = r#"apiVersion: v3.1.0
kind: DataContract
id: prices
name: prices
version: 1.0.0
status: active
description: { purpose: Prices. }
customProperties:
  - { property: sourceFormat, value: csv }
  - { property: keyPattern, value: "raw/shop/prices/**" }
schema:
  - name: prices
    properties:
      - { name: sku, description: Article., logicalType: string, physicalType: string, required: true }
      - { name: price, description: Price., logicalType: number, physicalType: "decimal(12,2)"ENCODING1 }
      - { name: day, description: Day., logicalType: date, physicalType: dateENCODING2 }
      - { name: stock, description: Pieces., logicalType: integer, physicalType: bigint }
      - { name: active, description: Whether it is sold., logicalType: boolean, physicalType: boolean }
"#;

fn contract(price: &str, day: &str) -> Contract {
    let encoding = |name: &str| match name {
        "" => String::new(),
        name => format!(", customProperties: [{{ property: encoding, value: {name} }}]"),
    };
    let text = PRICES
        .replace("ENCODING1", &encoding(price))
        .replace("ENCODING2", &encoding(day));
    parse_str("prices.odcs.yaml", &text).unwrap()
}

#[derive(Debug, Default, PartialEq)]
struct Seen {
    /// Offset, line and values of each row.
    rows: Vec<(i64, u64, String)>,
    /// Line, payload and reason of each rejected row.
    rejected: Vec<(u64, String, String)>,
    blank: u64,
}

fn read_all(reader: &mut dyn Reader, contract: &Contract) -> Seen {
    let mut seen = Seen::default();
    while let Some(batch) = reader.next_batch().unwrap() {
        for row in 0..batch.rows() {
            let json = display::row_as_json(contract, &batch.columns, row);
            seen.rows.push((batch.offsets[row], batch.lines[row], json));
        }
        for row in &batch.rejected {
            let payload = String::from_utf8_lossy(&row.payload).into_owned();
            let reason = format!("{}: {}", row.rule, row.reason);
            seen.rejected.push((row.line.unwrap(), payload, reason));
        }
        seen.blank += batch.blank;
    }
    seen
}

fn file(content: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(content).unwrap();
    file
}

/// Reads a file whole, and in chunks of different sizes, which makes no difference.
fn read(content: &[u8], contract: &Contract) -> Seen {
    let file = file(content);
    let whole = read_all(open(contract, file.path()).unwrap().as_mut(), contract);
    for chunk_bytes in [1, 7, 64] {
        let input = bytes::open_in_any_charset(file.path()).unwrap();
        let mut reader = CsvReader::new(input, file.path(), contract).unwrap();
        reader.chunk_bytes = chunk_bytes;
        assert_eq!(read_all(&mut reader, contract), whole, "{chunk_bytes}");
    }
    whole
}

fn values(seen: &Seen) -> Vec<&str> {
    seen.rows
        .iter()
        .map(|(.., values)| values.as_str())
        .collect()
}

#[test]
fn rows_have_the_columns_of_the_header_in_any_order() {
    let seen = read(
        b"stock,sku,active,price,day,note\n7,A-1,true,19.90,2026-01-31,x\n\n+012,\"A,2\",FALSE,0.5,2026-02-01 00:00:00,\n,\"\",,,,\n",
        &contract("", ""),
    );
    assert_eq!(
        values(&seen),
        [
            r#"{"sku":"A-1","price":"19.90","day":"2026-01-31","stock":7,"active":true}"#,
            r#"{"sku":"A,2","price":"0.50","day":"2026-02-01","stock":12,"active":false}"#,
            r#"{"sku":"","price":null,"day":null,"stock":null,"active":null}"#,
        ]
    );
    let places: Vec<_> = seen
        .rows
        .iter()
        .map(|(offset, line, _)| (*offset, *line))
        .collect();
    assert_eq!(places, [(32, 2), (63, 4), (105, 5)]);
    assert_eq!((seen.blank, seen.rejected.len()), (1, 0));
}

#[test]
fn the_forms_of_a_country_are_read_as_the_contract_says() {
    let text = "sep=;\r\nsku;price;day;stock;active\r\n\"Größe; \"\"L\"\"\nblau\";1.234,50;31/01/2026;1.5;true\r\nB;12,5;1.2.2026;3;false\r\nC;1,234.50;2026-01-31;3;true\r\n";
    for bytes in [
        text.as_bytes().to_vec(),
        encoding_rs::WINDOWS_1252.encode(text).0.into_owned(),
        [
            b"\xff\xfe".to_vec(),
            text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        ]
        .concat(),
    ] {
        let seen = read(&bytes, &contract("decimalComma", "dayMonthYear"));
        assert_eq!(
            values(&seen),
            [r#"{"sku":"B","price":"12.50","day":"2026-02-01","stock":3,"active":false}"#]
        );
        let reasons: Vec<_> = seen
            .rejected
            .iter()
            .map(|(line, _, why)| (*line, why.as_str()))
            .collect();
        assert_eq!(reasons.len(), 2, "{reasons:?}");
        assert_eq!(reasons[0].0, 3);
        assert!(
            reasons[0]
                .1
                .starts_with("stock.type: expected a whole number"),
            "{reasons:?}"
        );
        assert!(
            reasons[1]
                .1
                .starts_with("price.type: expected a number such as 1234,50"),
            "{reasons:?}"
        );
        // The row's payload is whole, over its two lines; the place is that of the stored bytes.
        assert!(seen.rejected[0].1.ends_with("1.5;true"), "{seen:?}");
        assert_eq!(seen.rows[0].1, 5);
        let unit = if bytes.starts_with(b"\xff\xfe") { 2 } else { 1 };
        let at = seen.rows[0].0 as usize;
        assert_eq!(bytes[at], b'B', "{at}");
        assert_eq!(bytes[at + unit], b';');
    }
}

#[test]
fn what_is_no_row_is_rejected_and_a_header_that_comes_again_is_skipped() {
    let seen = read(
        b"sku\tprice\tday\tstock\tactive\nA\t1\t\t1\nB\t1\t\t1\ttrue\t\t\nsku\tprice\tday\tstock\tactive\nC\t1\t\t1\ttrue\tx\n\"D\tno end\nE\t2\t\t1\ttrue\n\"F\" x\t1\t\t1\ttrue\n",
        &contract("", ""),
    );
    let skus: Vec<_> = values(&seen)
        .iter()
        .map(|row| &row[8..9])
        .collect::<Vec<_>>();
    assert_eq!(skus, ["B", "E"]);
    let rejected: Vec<_> = seen
        .rejected
        .iter()
        .map(|(line, payload, why)| (*line, &payload[..2], why.as_str()))
        .collect();
    assert_eq!(
        rejected,
        [
            (2, "A\t", "parse: the row has 4 fields, and the header 5"),
            (5, "C\t", "parse: the row has 6 fields, and the header 5"),
            (6, "\"D", "parse: field 1 has text after its closing quote"),
            (8, "\"F", "parse: field 1 has text after its closing quote"),
        ]
    );
    assert_eq!(seen.blank, 1);
}

#[test]
fn a_row_that_is_too_long_is_rejected_and_the_next_one_read() {
    let mut content = b"sku,price\n".to_vec();
    content.extend(std::iter::repeat_n(b'x', 3 * RECORD_LIMIT));
    content.extend(b",1\nB,2\nC,3");
    let file = file(&content);
    let contract = contract("", "");
    let seen = read_all(open(&contract, file.path()).unwrap().as_mut(), &contract);
    assert_eq!(seen.rows.len(), 2);
    assert_eq!(seen.rows[0].0, (content.len() - 7) as i64);
    assert_eq!(seen.rows[0].1, 3);
    assert_eq!(seen.rejected.len(), 1);
    assert!(
        seen.rejected[0].2.contains("more than 1048576 bytes"),
        "{:?}",
        seen.rejected[0].2
    );
}

#[test]
fn a_header_without_what_the_contract_needs_fails_and_says_what_it_has() {
    let contract = contract("", "");
    let fails = |content: &[u8]| {
        let file = file(content);
        let error = open(&contract, file.path())
            .err()
            .map(|error| error.to_string());
        error.unwrap_or_default()
    };
    assert!(fails(b"article,price\nA,1\n").contains("lacks sku; it has article, price"));
    assert!(fails(b"sku,price,price\nA,1,2\n").contains("has the column price 2 times"));
    assert!(fails(b"\"sku,price\nA,1\n").contains("cannot be a header of CSV"));
    // An empty file has no rows, and a header alone neither.
    for content in [&b""[..], b"\n\n", b"sku,price\n", b"sku,price"] {
        assert_eq!(read(content, &contract).rows, [], "{content:?}");
    }
}

#[test]
fn a_part_begins_at_a_row_and_keeps_its_place() {
    let contract = contract("", "");
    let content = b"sku,price\nA,1\nB,2\nC,3\n";
    let file = file(content);
    let part = Part {
        from: 14,
        last: Some(18),
    };
    let mut reader = open_part(&contract, file.path(), &part, None).unwrap();
    let seen = read_all(reader.as_mut(), &contract);
    assert_eq!(
        seen.rows
            .iter()
            .map(|(offset, line, _)| (*offset, *line))
            .collect::<Vec<_>>(),
        [(14, 3), (18, 4)]
    );
}

#[test]
fn new_columns_are_found_with_their_values() {
    let file = file(b"sku,price,vat,mail\nA,1,19,a@b.example\nB,2,,\n");
    let mut contract = contract("", "");
    contract.schema_drift = SchemaDrift::Evolve;
    let mut reader = open(&contract, file.path()).unwrap();
    read_all(reader.as_mut(), &contract);
    let found = reader.new_columns();
    let names: Vec<_> = found.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["vat", "mail"]);
    assert!(found[0].personal.is_none() && found[1].personal.is_some());
    contract.schema_drift = SchemaDrift::Quarantine;
    let seen = read_all(open(&contract, file.path()).unwrap().as_mut(), &contract);
    assert_eq!((seen.rows.len(), seen.rejected.len()), (1, 1));
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_rows_rejected_rows_or_a_failure(
        head in "(sku[,;]price|sku)?\n?",
        rest in proptest::collection::vec(proptest::num::u8::ANY, 0..200),
    ) {
        let contract = contract("decimalComma", "monthDayYear");
        let content = [head.into_bytes(), rest].concat();
        let file = file(&content);
        if let Ok(mut reader) = open(&contract, file.path()) {
            let mut rows = 0;
            while let Ok(Some(batch)) = reader.next_batch() {
                rows += batch.rows() + batch.rejected.len();
            }
            proptest::prop_assert!(rows <= content.len());
        }
    }
}

//! CSV as a source: dialects, character sets, drafts, and rows that are rejected.

use serde_json::{Value, json};

use crate::lake::{Lake, assert_accounted};

pub const STOCK: &str = r#"apiVersion: v3.1.0
kind: DataContract
id: stock
name: stock
version: 1.0.0
status: active
description: { purpose: Stock of articles. }
customProperties:
  - { property: sourceFormat, value: csv }
  - { property: keyPattern, value: "raw/warehouse/stock/**" }
schema:
  - name: stock
    properties:
      - name: sku
        description: Article.
        logicalType: string
        physicalType: string
        required: true
        customProperties:
          - { property: sourceName, value: Artikel }
      - name: price
        description: Price in euros.
        logicalType: number
        physicalType: decimal(12,2)
        customProperties:
          - { property: sourceName, value: Preis }
          - { property: encoding, value: decimalComma }
      - name: counted_on
        description: Day of the count.
        logicalType: date
        physicalType: date
        customProperties:
          - { property: sourceName, value: Datum }
          - { property: encoding, value: dayMonthYear }
"#;

fn stock(change: impl Fn(&str) -> String) -> Lake {
    Lake::with_contract("stock.odcs.yaml", &change(STOCK))
}

/// Received, accepted and rejected rows of a run's first dataset.
fn numbers(record: &Value) -> [u64; 3] {
    assert_accounted(record);
    let dataset = &record["datasets"][0];
    ["received", "accepted", "rejected"].map(|key| dataset[key].as_u64().unwrap_or(u64::MAX))
}

/// The text in Windows-1252, for the letters that these tests use.
fn windows(text: &str) -> Vec<u8> {
    text.chars()
        .map(|letter| match letter {
            '€' => 0x80,
            letter => u8::try_from(u32::from(letter)).unwrap(),
        })
        .collect()
}

fn utf16(text: &str) -> Vec<u8> {
    std::iter::once('\u{feff}')
        .chain(text.chars())
        .collect::<String>()
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect()
}

#[test]
fn a_file_is_recognised_by_its_header_and_read_in_its_own_character_set() {
    const TEXT: &str = "Artikel;Größe;Preis;Datum\r\n\"Zoë;\nrot\";groß €;1.234,50;31/01/2026\r\nB;x;7;1.2.2026\r\n";
    for (name, bytes) in [
        ("utf8.csv", TEXT.as_bytes().to_vec()),
        ("marked.csv", format!("\u{feff}{TEXT}").into_bytes()),
        ("windows.csv", windows(TEXT)),
        ("utf16.csv", utf16(TEXT)),
        ("excel.csv", format!("sep=;\r\n{TEXT}").into_bytes()),
        (
            "tabs.tsv",
            TEXT.replace("Zoë;", "Zoë_")
                .replace(';', "\t")
                .replace('_', ";")
                .into_bytes(),
        ),
        ("gzip.csv.gz", crate::logs::gzip(TEXT.as_bytes())),
    ] {
        let lake = stock(str::to_owned);
        let record = &lake.ingest(&[&lake.file(name, bytes)])[0];
        assert_eq!(numbers(record), [2, 2, 0], "{name}: {record}");
        assert_eq!(
            lake.query(
                "SELECT sku, CAST(price AS VARCHAR) AS price, counted_on FROM stock ORDER BY sku"
            ),
            [
                json!({"sku": "B", "price": "7.00", "counted_on": "2026-02-01"}),
                json!({"sku": "Zoë;\nrot", "price": "1234.50", "counted_on": "2026-01-31"}),
            ],
            "{name}"
        );
    }
}

#[test]
fn rejected_rows_are_kept_with_their_place_and_their_own_text() {
    let lake = stock(str::to_owned);
    let text = "Artikel;Preis;Datum\nA;1,234.50;31/01/2026\nB;1;31/02/2026\nC;1\n\"open;1;1/1/2026\nD;2;1/1/2026\n;3;1/1/2026\n";
    let record = &lake.ingest(&[&lake.file("stock.csv", windows(text))])[0];
    assert_eq!(numbers(record), [6, 1, 5], "{record}");
    assert_eq!(
        record["datasets"][0]["rejected_by"],
        json!({"counted_on.type": 1, "parse": 2, "price.type": 1, "sku.required": 1})
    );
    let lines: Vec<Value> = lake
        .query("SELECT _line, _rule FROM quarantine_stock ORDER BY _line")
        .iter()
        .map(|row| row["_line"].clone())
        .collect();
    assert_eq!(lines, [2, 3, 4, 5, 7].map(Value::from));
    let payload = lake.ok(&["quarantine", "1", "--payload"]);
    assert_eq!(payload, "A;1,234.50;31/01/2026\n");
    // The same rows again, and more after them: each counts once.
    let more = format!("{text}E;4;2/1/2026\n");
    let record = &lake.ingest(&[&lake.file("more.csv", windows(&more))])[0];
    assert_eq!(lake.value("SELECT COUNT(*) AS n FROM stock"), 2, "{record}");
}

#[test]
fn a_header_that_does_not_fit_fails_the_run_and_says_what_it_has() {
    let lake = stock(str::to_owned);
    let file = lake.file("other.csv", "sku,price\nA,1\n");
    let output = lake.run(&["ingest", "--to", "warehouse/stock", file.to_str().unwrap()]);
    assert!(!output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        errors.contains("the header lacks Artikel; it has sku, price"),
        "{errors}"
    );
    let lake = stock(|text| {
        text.replace("value: csv }", "value: csv }\n  - { property: delimiter, value: \";\" }\n  - { property: charset, value: windows-1250 }")
    });
    let record = &lake.ingest(&[&lake.file("stock.csv", b"Artikel;Preis\n\xa3\xf3d\x9f;1\n")])[0];
    assert_eq!(numbers(record), [1, 1, 0]);
    assert_eq!(lake.value("SELECT sku FROM stock"), "Łódź");
}

#[test]
fn a_draft_of_a_file_accepts_all_of_its_rows() {
    let lake = Lake::new();
    let mut text = "id;Preis;Datum;Uhr;PLZ;ok;Rate\n".to_owned();
    for row in 0..200 {
        text += &format!(
            "{row};{}.{:03},5;{:02}.{:02}.2026;{:02}/01/2026 10:{:02};0{:04};{};0,{}\n",
            1 + row % 9,
            row,
            1 + row % 28,
            1 + row % 12,
            1 + row % 28,
            row % 60,
            row,
            if row % 2 == 0 { "yes" } else { "no" },
            row
        );
    }
    let file = lake.file("export.csv", text);
    let folder = lake.scratch().join("drafts");
    let (file, out) = (file.to_str().unwrap(), folder.to_str().unwrap());
    lake.ok(&["contract", "infer", file, "--source", "erp", "--out", out]);
    let draft = std::fs::read_to_string(folder.join("erp_rows.odcs.yaml")).unwrap();
    for expected in ["decimalComma", "dayMonthYear", "booleanText"] {
        assert!(draft.contains(expected), "{expected}: {draft}");
    }
    let mut lake = Lake::new();
    lake.contracts = Some(folder);
    let record = &lake.ingest(&[std::path::Path::new(file)])[0];
    assert_eq!(numbers(record), [200, 200, 0], "{record}");
    assert_eq!(
        lake.query("SELECT id, CAST(preis AS VARCHAR) AS preis, datum, uhr, plz, ok FROM erp_rows WHERE id = 13"),
        [json!({"id": 13, "preis": "5013.50", "datum": "2026-02-14", "uhr": "2026-01-14T10:13:00Z", "plz": "00013", "ok": false})]
    );
}

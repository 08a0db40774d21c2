#![allow(clippy::unwrap_used)]

use rusqlite::Connection;
use tarn_contract::{load_texts, snake_case};
use tarn_core::privacy::Protection;

use super::*;
use crate::source::archive::{Record, encode};

fn drafts_of(path: &Path, limit: u64) -> Vec<(Draft, String)> {
    let drafts = drafts(path, "test", limit).unwrap();
    let texts: Vec<(String, String)> = drafts
        .iter()
        .map(|draft| (snake_case(&draft.dataset), draft.to_yaml()))
        .collect();
    // Together, so that their references are looked into.
    let named: Vec<(&str, &str)> = texts
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    if let Err(faults) = load_texts(&named) {
        panic!("{}\n{texts:?}", faults[0]);
    }
    drafts
        .into_iter()
        .zip(texts.into_iter().map(|(_, text)| text))
        .collect()
}

fn database(sql: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.sqlite");
    Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    (folder, path)
}

/// Rows with the numbers from 1 to `rows` as n.
fn numbers(rows: u32) -> String {
    format!(
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {rows}) SELECT"
    )
}

#[test]
fn references_go_by_name_and_by_every_value() {
    let many = numbers(60);
    let (_folder, path) = database(&format!(
        "CREATE TABLE customers(id INTEGER PRIMARY KEY, country TEXT);
         CREATE TABLE orders(order_no TEXT, customer_id INTEGER, other_customer_id INTEGER, size INTEGER);
         INSERT INTO customers {many} n, 'DE' FROM c;
         INSERT INTO orders {many} 'O' || (1000 + n), 1 + n % 7, n + 1, n % 3 - 1 FROM c;"
    ));
    let drafts = drafts_of(&path, ROW_LIMIT);
    let orders = &drafts[1].0;
    let references: Vec<Option<&str>> = orders
        .columns
        .iter()
        .map(|column| {
            column
                .proposals
                .relationship
                .as_ref()
                .map(|(to, _)| to.as_str())
        })
        .collect();
    // One of the other customers does not exist.
    assert_eq!(references, [None, Some("customers.id"), None, None]);
    assert!(orders.columns[0].primary_key);
    let yaml = &drafts[1].1;
    assert!(
        yaml.contains("this column distinguishes all 60 rows"),
        "{yaml}"
    );
    assert!(yaml.contains("# By name and values: all 7 distinct values are in customers.id."));
    assert!(!yaml.contains("kind: min"), "{yaml}");
    assert!(drafts[0].1.contains("pattern: \"^[A-Z]{2}$\""));
}

#[test]
fn a_part_of_the_rows_is_named_as_such() {
    let (_folder, path) = database(&format!(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t {} n, 'x' FROM c;",
        numbers(200_000)
    ));
    let yaml = &drafts_of(&path, 1000)[0].1;
    assert!(
        yaml.contains("# By the first 65,536 rows; the source has more."),
        "{yaml}"
    );
    assert!(
        yaml.contains("of the first 65,536 rows have a value"),
        "{yaml}"
    );
    assert!(
        drafts_of(&path, ROW_LIMIT)[0]
            .1
            .contains("# By all 200,000 rows.")
    );
}

#[test]
fn a_link_table_without_a_key_gets_one_of_two_columns() {
    let (_folder, path) = database(&format!(
        "CREATE TABLE links(a_id INTEGER, b_id INTEGER, weight REAL);
         INSERT INTO links {} n % 10, n / 10, 0.5 FROM c;",
        numbers(99)
    ));
    let (draft, yaml) = &drafts_of(&path, ROW_LIMIT)[0];
    let keys: Vec<bool> = draft
        .columns
        .iter()
        .map(|column| column.primary_key)
        .collect();
    assert_eq!(keys, [true, true, false], "{yaml}");
}

#[test]
fn events_in_the_archives_envelope_are_looked_into() {
    let data: Vec<String> = (0..40)
        .map(|n| {
            format!(
                "{{\"id\":\"e{n}\",\"contact\":\"p{}@mail.example\"}}",
                n % 3
            )
        })
        .collect();
    let records: Vec<Record<'_>> = data
        .iter()
        .map(|data| Record {
            sequence_number: "1",
            arrival_time: 0,
            partition_key: "k",
            data: data.as_bytes(),
        })
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl.gz");
    std::fs::write(&path, encode("s", "0", &records).unwrap()).unwrap();
    let (draft, yaml) = &drafts_of(&path, ROW_LIMIT)[0];
    let names: Vec<&str> = draft
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    assert_eq!(names, ["id", "contact"]);
    let personal = draft.columns[1].proposals.personal.as_ref().unwrap();
    assert_eq!(personal.protection, Some(Protection::Pseudonymise));
    assert!(!yaml.contains("mail.example"), "{yaml}");
    assert!(
        yaml.contains("# 40 of 40 rows have a value, 3 distinct values."),
        "{yaml}"
    );
}

#[test]
fn keys_without_end_are_left_out() {
    let text: String = (0..600)
        .map(|n| format!("{{\"id\":1,\"k{n}\":1}}\n"))
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("map.jsonl");
    std::fs::write(&path, text).unwrap();
    let (draft, yaml) = &drafts_of(&path, ROW_LIMIT)[0];
    assert_eq!(draft.columns.len(), KEY_LIMIT);
    assert!(
        yaml.contains("# Left out: the keys after the first 500"),
        "{yaml}"
    );
}

//! Schema drift: a source gets new columns, or a column gets another type.

use std::path::PathBuf;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::lake::Lake;

const VISITS: &str = r#"apiVersion: v3.1.0
kind: DataContract
id: visits
name: visits
version: 1.0.0
status: active
description: { purpose: Visits. }
customProperties:
  - { property: sourceFormat, value: FORMAT }
  - { property: keyPattern, value: "raw/shop/visits/**" }
  - { property: schemaDrift, value: MODE }
schema:
  - name: visits
    properties:
      - { name: id, description: Number., logicalType: integer, physicalType: bigint, required: true, primaryKey: true, primaryKeyPosition: 1 }
      - { name: page, description: Page., logicalType: string, physicalType: string }
"#;

fn lake(format: &str, mode: &str) -> Lake {
    let text = VISITS.replace("FORMAT", format).replace("MODE", mode);
    Lake::with_contract("visits.odcs.yaml", &text)
}

const PLAIN: &str = "{\"id\":1,\"page\":\"/\"}\n{\"id\":2,\"page\":\"/a\"}\n";
const DRIFTED: &str = "{\"id\":3,\"page\":\"/\"}\n{\"id\":4,\"page\":\"/b\",\"seconds\":12,\"mail\":\"ann@example.com\"}\n";

/// Ingests the plain lines and then the others: the last run's outcome.
fn ingest_lines(lake: &Lake, drifted: &str) -> Value {
    lake.ingest(&[&lake.file("plain.jsonl", PLAIN)]);
    let records = lake.ingest(&[&lake.file("drifted.jsonl", drifted)]);
    records[0].clone()
}

fn names(drift: &Value) -> Vec<&str> {
    let found = drift.as_array().unwrap().iter();
    found
        .map(|drift| drift["column"].as_str().unwrap())
        .collect()
}

#[test]
fn new_keys_are_named_with_type_sample_and_place_and_left_out_by_default() {
    let lake = lake("jsonLines", "warn");
    let record = ingest_lines(&lake, DRIFTED);
    let outcome = &record["datasets"][0];
    assert_eq!(
        (&outcome["accepted"], &outcome["rejected"]),
        (&json!(2), &json!(0))
    );
    let drift = &outcome["drift"];
    assert_eq!(names(drift), ["seconds", "mail"]);
    assert_eq!(drift[0]["kind"], "new_column");
    assert_eq!(drift[0]["found"], "bigint");
    assert_eq!(drift[0]["sample"], "12");
    assert_eq!(drift[0]["place"], "line 2, byte 20");
    assert_eq!(drift[0]["rows"], 1);
    // No record has a value that may identify a person.
    assert!(!record.to_string().contains("ann@example.com"), "{record}");
    assert!(
        lake.query("SELECT * FROM visits LIMIT 1")[0]
            .get("seconds")
            .is_none()
    );
}

#[test]
fn new_keys_become_columns_where_the_contract_lets_the_table_evolve() {
    let lake = lake("jsonLines", "evolve");
    let record = ingest_lines(&lake, DRIFTED);
    assert_eq!(record["status"], "succeeded", "{record}");
    let drift = &record["datasets"][0]["drift"];
    assert_eq!(names(drift), ["seconds", "mail"]);
    assert_eq!(drift[0].get("personal"), None);
    let rows = lake.query("SELECT id, seconds FROM visits ORDER BY id");
    assert_eq!(
        rows,
        [
            json!({ "id": 1, "seconds": null }),
            json!({ "id": 2, "seconds": null }),
            json!({ "id": 3, "seconds": null }),
            json!({ "id": 4, "seconds": 12 }),
        ]
    );
    // The next object lacks the new columns, and one after that has them with another type.
    lake.ingest(&[&lake.file("again.jsonl", "{\"id\":5,\"page\":\"/\"}\n")]);
    let odd =
        "{\"id\":6,\"seconds\":7}\n{\"id\":7,\"seconds\":\"long\"}\n{\"id\":8,\"seconds\":9}\n";
    let records = lake.ingest(&[&lake.file("odd.jsonl", odd)]);
    let outcome = &records[0]["datasets"][0];
    assert_eq!(
        (&outcome["accepted"], &outcome["rejected"]),
        (&json!(2), &json!(1)),
        "{outcome}"
    );
    assert_eq!(lake.value("SELECT sum(seconds) FROM visits"), json!(28));
}

#[test]
fn a_new_key_that_looks_personal_is_named_and_held_back_until_the_contract_declares_it() {
    let mut lake = lake("jsonLines", "evolve");
    // An address long after the values that its type is known from; an escape hides the sign of another
    // address.
    let mut text: String = (10..400)
        .map(|id| format!("{{\"id\":{id},\"remark\":\"none\",\"origin\":\"x\",\"stars\":{id}}}\n"))
        .collect();
    text.push_str("{\"id\":400,\"remark\":\"ask ann.lee@person.example\",\"stars\":1}\n");
    text.push_str(
        "{\"id\":401,\"origin\":\"bob.ray\\u0040person.example\",\"user_name\":\"Ann Lee\"}\n",
    );
    text.push_str("{\"id\":402,\"stars\":4111111111111111,\"tags\":[\"a\",\"198.51.100.7\"]}\n");
    let path = lake.file("new.jsonl", text);
    let record = &lake.ingest(&[&path])[0];
    let outcome = &record["datasets"][0];
    assert_eq!(
        (&outcome["accepted"], &outcome["rejected"]),
        (&json!(393), &json!(0))
    );
    let drift = &outcome["drift"];
    assert_eq!(
        names(drift),
        ["remark", "origin", "stars", "user_name", "tags"]
    );
    let why: Vec<&str> = drift
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["personal"].as_str().unwrap_or_default())
        .collect();
    assert_eq!(
        why,
        [
            "its values look personal (email)",
            "its values look personal (email)",
            "",
            "its name is one of personal data",
            "its values look personal (ip)",
        ]
    );
    for (one, why) in drift.as_array().unwrap().iter().zip(&why) {
        assert_eq!(one["sample"].is_null(), !why.is_empty(), "{one}");
    }
    for hidden in ["person.example", "Ann Lee", "198.51.100.7"] {
        assert!(!record.to_string().contains(hidden), "{record}");
    }
    let row = &lake.query("SELECT * FROM visits WHERE id = 402")[0];
    assert_eq!(row["stars"], json!(4_111_111_111_111_111_i64));
    for column in ["remark", "origin", "user_name", "tags"] {
        assert!(row.get(column).is_none(), "{column}: {row}");
    }
    // The report of the day names the column and says what to do.
    lake.ok(&["quality"]);
    let report: Value = serde_json::from_str(&lake.ok(&["--json", "quality", "report"])).unwrap();
    let findings = report["findings"].to_string();
    assert!(
        findings.contains("new column remark")
            && findings.contains("until the contract declares it with a protection"),
        "{findings}"
    );
    // Once it is declared, the next run reads it.
    let folder = lake.scratch().join("declared");
    std::fs::create_dir_all(&folder).unwrap();
    let text = VISITS
        .replace("FORMAT", "jsonLines")
        .replace("MODE", "evolve")
        .replace("version: 1.0.0", "version: 1.1.0")
        + "      - { name: remark, description: Remark., logicalType: string, physicalType: string, \
           customProperties: [ { property: protection, value: redact } ] }\n";
    std::fs::write(folder.join("visits.odcs.yaml"), text).unwrap();
    lake.contracts = Some(folder);
    let today = record["started_at"].as_str().unwrap()[..10].to_owned();
    lake.ok(&["backfill", "--from", &today, "--to", &today]);
    assert_eq!(
        lake.value("SELECT remark FROM visits WHERE id = 400"),
        "ask [email]"
    );
}

#[test]
fn rows_with_new_keys_are_rejected_where_the_contract_says_so() {
    let lake = lake("jsonLines", "quarantine");
    let record = ingest_lines(&lake, DRIFTED);
    let outcome = &record["datasets"][0];
    assert_eq!(
        (&outcome["accepted"], &outcome["rejected"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(outcome["rejected_by"], json!({ "schemaDrift": 1 }));
}

#[test]
fn a_drifted_object_fails_where_the_contract_says_so_and_changes_nothing() {
    let lake = lake("jsonLines", "fail");
    let record = ingest_lines(&lake, DRIFTED);
    assert_eq!(record["status"], "failed");
    let reason = record["reason"].as_str().unwrap();
    assert!(
        reason.contains("new column seconds of type bigint, for example 12 (line 2, byte 20)"),
        "{reason}"
    );
    assert_eq!(lake.value("SELECT count(*) FROM visits"), json!(2));
}

#[test]
fn drift_is_not_mentioned_where_the_contract_does_not_care() {
    let lake = lake("jsonLines", "ignore");
    let record = ingest_lines(&lake, DRIFTED);
    assert_eq!(record["datasets"][0]["accepted"], 2);
    assert_eq!(record["datasets"][0]["drift"], json!([]));
}

#[test]
fn a_column_whose_values_are_of_another_type_now_is_named() {
    let lake = lake("jsonLines", "warn");
    let record = ingest_lines(&lake, "{\"id\":\"three\"}\n{\"id\":\"four\"}\n{\"id\":5}\n");
    let outcome = &record["datasets"][0];
    assert_eq!(outcome["rejected_by"], json!({ "id.type": 2 }));
    let drift = &outcome["drift"][0];
    assert_eq!(drift["kind"], "changed_type");
    assert_eq!(
        (&drift["column"], &drift["expected"], &drift["rows"]),
        (&json!("id"), &json!("bigint"), &json!(2))
    );
    // One odd value among many is a bad row, not drift.
    let mut text: String = (10..20).map(|id| format!("{{\"id\":{id}}}\n")).collect();
    text.push_str("{\"id\":\"x\"}\n");
    let records = lake.ingest(&[&lake.file("one.jsonl", text)]);
    assert_eq!(records[0]["datasets"][0]["drift"], json!([]));
}

#[test]
fn a_new_column_of_a_database_that_looks_personal_is_held_back() {
    let lake = lake("sqlite", "evolve");
    let sql = "CREATE TABLE visits (id INTEGER PRIMARY KEY, page TEXT, note TEXT, stars INTEGER, email TEXT);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
        INSERT INTO visits SELECT i, '/', CASE i WHEN 2999 THEN 'call +49 30 1234567' ELSE 'x' END, i, 'a' FROM n;";
    let record = &lake.ingest(&[&database(&lake, "one.sqlite", sql)])[0];
    let outcome = &record["datasets"][0];
    assert_eq!(outcome["accepted"], 3000, "{record}");
    let drift = &outcome["drift"];
    assert_eq!(names(drift), ["note", "stars", "email"]);
    assert_eq!(drift[0]["personal"], "its values look personal (phone)");
    assert_eq!(drift[1].get("personal"), None);
    assert_eq!(drift[2]["personal"], "its name is one of personal data");
    let row = &lake.query("SELECT * FROM visits WHERE id = 2999")[0];
    assert_eq!(row["stars"], 2999);
    assert!(
        row.get("note").is_none() && row.get("email").is_none(),
        "{row}"
    );
}

fn database(lake: &Lake, name: &str, sql: &str) -> PathBuf {
    let path = lake.file(name, "");
    std::fs::remove_file(&path).unwrap();
    Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    path
}

#[test]
fn new_columns_of_a_database_are_named_added_or_refused_too() {
    let plain = "CREATE TABLE visits (id INTEGER PRIMARY KEY, page TEXT); INSERT INTO visits VALUES (1, '/');";
    let wider = "CREATE TABLE visits (id INTEGER PRIMARY KEY, page TEXT, price_cents INTEGER);
        INSERT INTO visits VALUES (1, '/', 150), (2, '/a', NULL);";
    for (mode, status, accepted) in [
        ("warn", "succeeded", 2),
        ("evolve", "succeeded", 2),
        ("quarantine", "succeeded", 0),
        ("fail", "failed", 0),
    ] {
        let lake = lake("sqlite", mode);
        lake.ingest(&[&database(&lake, "one.sqlite", plain)]);
        let records = lake.ingest(&[&database(&lake, "two.sqlite", wider)]);
        let record = &records[0];
        assert_eq!(record["status"], status, "{mode}: {record}");
        if status == "failed" {
            let reason = record["reason"].as_str().unwrap();
            assert!(reason.contains("new column price_cents"), "{reason}");
            continue;
        }
        let outcome = &record["datasets"][0];
        assert_eq!(outcome["accepted"], accepted, "{mode}");
        assert_eq!(names(&outcome["drift"]), ["price_cents"], "{mode}");
        assert_eq!(outcome["drift"][0]["sample"], "150");
        if mode == "evolve" {
            let rows = lake.query("SELECT id, price FROM visits ORDER BY id");
            assert_eq!(
                rows,
                [
                    json!({ "id": 1, "price": "1.50" }),
                    json!({ "id": 2, "price": null })
                ]
            );
        }
    }
}

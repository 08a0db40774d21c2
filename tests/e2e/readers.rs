//! Independent readers of the tables. `cargo xtask test` makes their Python environment.

use std::process::Command;

use serde_json::{Value, json};

use crate::lake::{Lake, root};

/// What pyiceberg finds in a table: rows, and per column the nulls and, for numbers, the sum.
pub fn pyiceberg(requests: &Value) -> Value {
    let python = std::env::var("TARN_PYTHON")
        .expect("run cargo xtask test: it names a Python with pyiceberg");
    let output = Command::new(python)
        .arg(root().join("tests/readers/pyiceberg_summary.py"))
        .arg(requests.to_string())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The same by `tarn query`.
pub fn own(lake: &Lake, table: &str, version: u64) -> Value {
    let schema = lake.ok(&[
        "query",
        "--as-of",
        &version.to_string(),
        "--format",
        "json",
        &format!("SELECT * FROM {table} LIMIT 1"),
    ]);
    let first: Value = serde_json::from_str(&schema).unwrap();
    let columns: Vec<String> = first[0].as_object().unwrap().keys().cloned().collect();
    let counts: Vec<String> = columns
        .iter()
        .map(|column| format!("COUNT({column}) AS {column}"))
        .collect();
    let query = |select: &str| -> Value {
        let text = lake.ok(&[
            "query",
            "--as-of",
            &version.to_string(),
            "--format",
            "ndjson",
            &format!("SELECT {select} FROM {table}"),
        ]);
        serde_json::from_str(&text).unwrap()
    };
    let mut sums = serde_json::Map::new();
    let schema = crate::lake::lines(&lake.ok(&["--json", "versions", table]));
    assert!(schema.len() as u64 >= version);
    for column in &columns {
        let value = &first[0][column];
        // The sum of snapshot ids is meaningless, and does not fit 64 bits.
        let number =
            column != "snapshot_id" && (value.is_i64() || value.as_str().is_some_and(is_decimal));
        if number {
            let sum = query(&format!("SUM({column}) AS s"))["s"].clone();
            sums.insert(
                column.clone(),
                json!(sum.as_str().map_or(sum.to_string(), str::to_owned)),
            );
        }
    }
    json!({"rows": query("COUNT(*) AS n")["n"], "present": query(&counts.join(", ")), "sums": sums})
}

fn is_decimal(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    !fraction.is_empty()
        && whole
            .trim_start_matches('-')
            .bytes()
            .all(|byte| byte.is_ascii_digit())
        && fraction.bytes().all(|byte| byte.is_ascii_digit())
}

#[test]
#[ignore = "needs pyiceberg: cargo xtask test runs it"]
fn pyiceberg_reads_every_table_of_the_demo_and_agrees_also_for_older_versions() {
    let lake = Lake::new();
    lake.ok(&["demo", "--scale", "0.3"]);
    let tables = lake.tables();
    assert!(tables.len() >= 13);
    let mut requests = Vec::new();
    let mut expected = Vec::new();
    for table in &tables {
        let name = table["table"].as_str().unwrap();
        let versions = crate::lake::lines(&lake.ok(&["--json", "versions", name]));
        if versions.is_empty() {
            // Nothing was ever rejected.
            assert!(name.starts_with("quality.quarantine_"), "{name}");
            continue;
        }
        // The current version, and the first one where there are several.
        let last = versions.len() as u64;
        for number in if last > 1 { vec![last, 1] } else { vec![last] } {
            let version = &versions[usize::try_from(number).unwrap() - 1];
            let summary = own(&lake, name, number);
            requests.push(json!({
                "metadata": table["metadata_location"],
                "snapshot": version["snapshot_id"],
                "sums": summary["sums"].as_object().unwrap().keys().collect::<Vec<_>>(),
            }));
            expected.push((name.to_owned(), number, summary));
        }
    }
    let found = pyiceberg(&json!(requests));
    assert_eq!(found.as_array().unwrap().len(), expected.len());
    for ((name, number, summary), found) in expected.iter().zip(found.as_array().unwrap()) {
        assert_eq!(found, summary, "{name}, version {number}");
    }
}

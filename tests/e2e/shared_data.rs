//! Real data, if it is beside the repository.

use std::process::Command;

use serde_json::json;

use crate::lake::{Lake, root, shared};

/// What an independent short script finds.
fn script(command: &str, path: &std::path::Path) -> String {
    let output = Command::new("sh")
        .arg("-c")
        .arg(command)
        .arg("sh")
        .arg(path)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn ten_thousand_lines_of_a_real_access_log_are_accounted_for() {
    let Some(path) = shared("access_log/elastic_apache_10k.log") else {
        return;
    };
    let lake = Lake::new();
    let records = lake.ingest(&[&path]);
    let outcome = &records[0]["datasets"][0];
    assert_eq!(outcome["received"], 10_000);
    // One line lacks its closing quote; the test below reads it.
    assert_eq!(outcome["accepted"], 9_999);
    let rejected = lake.query("SELECT _line, _payload FROM quarantine_web_requests");
    assert_eq!(rejected.len(), 1);
    let line = rejected[0]["_line"].as_u64().unwrap();
    assert_eq!(rejected[0]["_payload"], serde_json::Value::Null);
    let payload = lake.ok(&["quarantine", "1", "--payload"]);
    let payload = payload.trim_end_matches('\n');
    assert_eq!(script(&format!("sed -n {line}p \"$1\""), &path), payload);
    assert!(!payload.ends_with('"'), "{payload}");

    let without = format!("sed {line}d \"$1\"");
    let bytes = script(
        &format!("{without} | awk '{{ sum += $10 }} END {{ printf \"%.0f\", sum }}'"),
        &path,
    );
    assert_eq!(
        lake.value("SELECT SUM(bytes) AS n FROM web_requests")
            .to_string(),
        bytes
    );
    let top = script(
        &format!(
            "{without} | awk '{{ sub(/\\?.*/, \"\", $7); n[$7]++ }} END {{ for (path in n) print n[path], path }}' | sort -rn | head -5"
        ),
        &path,
    );
    let found: Vec<String> = lake
        .query("SELECT path, COUNT(*) AS n FROM web_requests GROUP BY path ORDER BY n DESC LIMIT 5")
        .iter()
        .map(|row| format!("{} {}", row["n"], row["path"].as_str().unwrap()))
        .collect();
    assert_eq!(found.join("\n"), top);
}

#[test]
fn another_shops_database_is_ingested_by_contracts_alone() {
    let Some(path) = shared("sqlite/chinook.sqlite") else {
        return;
    };
    let mut lake = Lake::new();
    lake.contracts = Some(root().join("tests/contracts/chinook"));
    let records = lake.ingest(&[&path]);
    assert_eq!(records[0]["status"], "succeeded", "{}", records[0]);
    let source = rusqlite::Connection::open(&path).unwrap();
    let own = |sql: &str| {
        source
            .query_row(sql, [], |row| row.get::<_, i64>(0))
            .unwrap()
    };
    for (table, theirs, count) in [
        ("invoices", "Invoice", Some(412)),
        ("invoice_lines", "InvoiceLine", Some(2240)),
        ("customers", "Customer", None),
        ("tracks", "Track", None),
    ] {
        let rows = own(&format!("SELECT count(*) FROM {theirs}"));
        assert_eq!(
            lake.value(&format!("SELECT COUNT(*) AS n FROM {table}")),
            rows,
            "{table}"
        );
        assert!(count.is_none_or(|count| count == rows), "{table}");
    }
    let cents = own("SELECT CAST(round(sum(Total) * 100) AS INTEGER) FROM Invoice");
    assert_eq!(cents, 232_860);
    assert_eq!(
        lake.value("SELECT SUM(total) AS n FROM invoices"),
        "2328.60"
    );
    assert_eq!(
        lake.value("SELECT SUM(milliseconds) AS n FROM tracks"),
        own("SELECT sum(Milliseconds) FROM Track")
    );
}

#[test]
fn twenty_of_twenty_real_posts_are_in_the_table() {
    let Some(path) = shared("social/twitter_v1_statuses.json") else {
        return;
    };
    let lake = Lake::new();
    let records = lake.ingest(&[&path]);
    assert_eq!(records[0]["datasets"][0]["accepted"], 20);
    assert_eq!(
        lake.value(
            "SELECT COUNT(*) AS n FROM social_posts WHERE platform = 'x' AND LENGTH(author_handle) = 32"
        ),
        20
    );
    assert_eq!(
        lake.query(
            "SELECT sentiment_source AS source, COUNT(*) AS posts, COUNT(sentiment) AS scored \
             FROM social_posts GROUP BY sentiment_source ORDER BY source"
        ),
        [
            json!({"source": "other_language", "posts": 2, "scored": 0}),
            json!({"source": "vader", "posts": 18, "scored": 18}),
        ]
    );
}

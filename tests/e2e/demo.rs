//! The demo and what people see of it.

use crate::lake::{Lake, assert_accounted};

#[test]
fn the_demo_fills_a_lake_and_a_second_run_changes_nothing() {
    let lake = Lake::new();
    let first: serde_json::Value =
        serde_json::from_str(&lake.ok(&["--json", "demo", "--scale", "0.3"])).unwrap();
    assert_eq!(first["changed"], true);
    for run in first["runs"].as_array().unwrap() {
        assert_eq!(run["status"], "succeeded", "{run}");
        assert_accounted(run);
    }
    let tables = lake.tables();
    let names: Vec<&str> = tables
        .iter()
        .map(|table| table["table"].as_str().unwrap())
        .collect();
    for name in [
        "analytics.ad_performance",
        "analytics.daily_sales",
        "analytics.product_performance",
        "curated.ad_events",
        "curated.customers",
        "curated.order_items",
        "curated.orders",
        "curated.payments",
        "curated.products",
        "curated.refunds",
        "curated.social_posts",
        "curated.web_requests",
        "quality.quarantine_ad_events",
        "quality.quarantine_orders",
        "quality.quarantine_web_requests",
    ] {
        assert!(names.contains(&name), "{name} is not among {names:?}");
    }
    for table in &tables {
        // Some datasets have no wrong rows.
        let may_be_empty = table["table"].as_str().unwrap().starts_with("quality.");
        assert!(
            may_be_empty || table["rows"].as_u64().unwrap() > 0,
            "{table}"
        );
    }
    let again: serde_json::Value =
        serde_json::from_str(&lake.ok(&["--json", "demo", "--scale", "0.3"])).unwrap();
    assert_eq!(again["changed"], false);
    assert_eq!(lake.tables(), tables);
    let text = lake.ok(&["demo", "--scale", "0.3"]);
    assert!(
        text.contains("Nothing has changed") && text.contains("Net sales per currency"),
        "{text}"
    );
}

#[test]
fn the_same_seed_gives_the_same_sample_data() {
    let lake = Lake::new();
    let folders = ["a", "b"].map(|name| lake.scratch().join(name));
    for folder in &folders {
        lake.ok(&[
            "generate",
            "--days",
            "3",
            "--scale",
            "0.1",
            "--out",
            folder.to_str().unwrap(),
        ]);
    }
    let difference = std::process::Command::new("diff")
        .arg("-r")
        .args(&folders)
        .output()
        .unwrap();
    assert!(
        difference.status.success(),
        "{}",
        String::from_utf8_lossy(&difference.stdout)
    );
}

#[test]
fn marts_agree_with_their_inputs() {
    let lake = Lake::new();
    lake.ok(&["demo", "--scale", "0.3"]);
    let same =
        |mart: &str, inputs: &str| assert_eq!(lake.value(mart), lake.value(inputs), "{mart}");
    same(
        "SELECT SUM(orders) AS n FROM daily_sales",
        "SELECT COUNT(*) AS n FROM orders WHERE status <> 'cancelled'",
    );
    same(
        "SELECT SUM(shipping) AS n FROM daily_sales",
        "SELECT SUM(shipping) AS n FROM orders WHERE status <> 'cancelled'",
    );
    same(
        "SELECT SUM(units) AS n FROM daily_sales",
        "SELECT SUM(units) AS n FROM product_performance",
    );
    same(
        "SELECT SUM(gross_sales) AS n FROM daily_sales",
        "SELECT SUM(revenue) AS n FROM product_performance",
    );
    same(
        "SELECT SUM(clicks) AS n FROM ad_performance",
        "SELECT COUNT(*) AS n FROM ad_events WHERE event_type = 'click'",
    );
    same(
        "SELECT SUM(spend) AS n FROM ad_performance",
        "SELECT SUM(cost) AS n FROM ad_events",
    );
    let no_clicks = lake.query("SELECT cpc, clicks FROM ad_performance WHERE clicks = 0");
    assert!(
        no_clicks.iter().all(|row| row["cpc"].is_null()),
        "a zero denominator gives null"
    );
}

#[test]
fn a_rejected_row_is_shown_with_its_payload_place_and_reason() {
    let lake = Lake::new();
    let line = "no log line at all";
    let good = "127.0.0.1 - - [01/Jan/2026:00:00:00 +0000] \"GET / HTTP/1.1\" 200 5\n";
    let log = lake.file("access.log", format!("{good}{line}\n"));
    lake.ingest(&[&log]);
    let shown: serde_json::Value =
        serde_json::from_str(&lake.ok(&["--json", "quarantine", "1"])).unwrap();
    // A line of an access log names people, and nobody knows where in a line that cannot be read.
    assert_eq!(shown["_payload"], serde_json::Value::Null);
    assert_eq!(shown["_payload_encoding"], "withheld");
    assert_eq!(shown["_payload_bytes"], line.len());
    assert_eq!(shown["_payload_hash"].as_str().unwrap().len(), 32);
    assert_eq!(
        lake.ok(&["quarantine", "1", "--payload"]),
        format!("{line}\n")
    );
    assert_eq!(shown["_line"], 2);
    assert_eq!(shown["_source_offset"], good.len());
    assert_eq!(shown["dataset"], "web_requests");
    assert_eq!(shown["_rule"], "parse");
    assert!(!lake.run(&["quarantine", "2"]).status.success());
}

#[test]
fn every_output_format_is_written() {
    let lake = Lake::new();
    let log = lake.file(
        "access.log",
        "127.0.0.1 - - [01/Jan/2026:00:00:00 +0000] \"GET /a,b HTTP/1.1\" 200 5\n",
    );
    lake.ingest(&[&log]);
    let sql = "SELECT path, status, event_time FROM web_requests";
    let answer = |format: &str| lake.run(&["query", "--format", format, sql]).stdout;
    assert_eq!(
        answer("csv"),
        b"path,status,event_time\n\"/a,b\",200,2026-01-01T00:00:00Z\n"
    );
    let row =
        serde_json::json!({"path": "/a,b", "status": 200, "event_time": "2026-01-01T00:00:00Z"});
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(&answer("json")).unwrap(),
        serde_json::json!([row])
    );
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(&answer("ndjson")).unwrap(),
        row
    );
    assert!(answer("parquet").starts_with(b"PAR1"));
    assert!(answer("arrow").starts_with(b"ARROW1"));
    assert!(
        String::from_utf8(answer("table"))
            .unwrap()
            .contains("1 row")
    );
}

#[test]
fn queries_read_nothing_but_tables_of_the_lake() {
    let lake = Lake::new();
    let log = lake.file(
        "access.log",
        "127.0.0.1 - - [01/Jan/2026:00:00:00 +0000] \"GET / HTTP/1.1\" 200 5\n",
    );
    lake.ingest(&[&log]);
    for sql in [
        "SELECT * FROM read_csv('/etc/passwd')",
        "DROP TABLE web_requests",
        "SELECT * FROM nothing",
        "SELECT nothing FROM web_requests",
        "SELECT 1; SELECT 2",
    ] {
        let output = lake.run(&["query", sql]);
        assert!(!output.status.success(), "{sql}");
        assert!(
            String::from_utf8_lossy(&output.stderr).starts_with("error:"),
            "{sql}"
        );
    }
    assert_eq!(lake.value("SELECT COUNT(*) AS n FROM web_requests"), 1);
}

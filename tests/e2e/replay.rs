//! Replay and backfill: after a contract is corrected, tables are as if it had been right from the start.

use std::path::PathBuf;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::contracts::shop;
use crate::database::database;
use crate::events::{event, stream};
use crate::lake::{Lake, assert_accounted, lines, root};

/// Contracts that reject what the shop's accept.
fn too_strict(lake: &Lake) -> PathBuf {
    shop(lake, |name, text| {
        let fix = |from: &str, to: &str| {
            assert!(text.contains(from), "{name} lacks {from}");
            text.replace(from, to)
                .replace("\nversion: 2.0.0", "\nversion: 1.9.0")
        };
        match name {
            "ad_events.odcs.yaml" => fix("[impression, click, conversion, spend]", "[impression]"),
            "customers.odcs.yaml" => fix("[new, regular, vip]", "[new, regular]"),
            _ => text,
        }
    })
}

/// The rows of a table without what differs from run to run.
fn contents(lake: &Lake, table: &str) -> Vec<String> {
    let rows = lake.query(&format!("SELECT * FROM {table}"));
    let mut rows: Vec<String> = rows
        .into_iter()
        .map(|row| {
            // A row that the newest snapshot no longer has is as in the last snapshot that had it.
            let is_gone = row.get("_deleted_at").is_some_and(|at| !at.is_null());
            let kept = row.as_object().unwrap().iter().filter(|(name, value)| {
                let own = ["_run_id", "_ingested_at", "_source_uri", "_source_version"];
                !own.contains(&name.as_str())
                    && (*name != "_deleted_at" || value.is_null())
                    && !(is_gone && *name == "_contract_version")
            });
            let kept: serde_json::Map<String, Value> = kept
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            Value::from(kept).to_string()
        })
        .collect();
    rows.sort();
    rows
}

fn days() -> [Vec<String>; 2] {
    [
        vec![
            event("a", "1T0", "click"),
            event("b", "1T0", "impression"),
            event("b", "1T0", "impression"),
            "broken".to_owned(),
        ],
        vec![
            event("c", "2T0", "spend"),
            event("d", "2T0", "impression"),
            event("d", "2T0", "shrug"),
        ],
    ]
}

fn fill(lake: &Lake) {
    let [first, second] = days();
    stream(lake, "first.ndjson", &first, "2026-01-01");
    stream(lake, "second.ndjson", &second, "2026-01-02");
    let changes = [
        "",
        "UPDATE customers SET name = 'Anna' WHERE customer_id = 1; DELETE FROM customers WHERE customer_id = 2;
         INSERT INTO customers VALUES (3, 'cy@example.com', 'Cy', 'DE', '2026-01-05 10:00:00', 'vip', 1);",
    ];
    for (number, change) in changes.into_iter().enumerate() {
        lake.ingest(&[&database(lake, &format!("shop-{number}.sqlite"), change)]);
    }
}

#[test]
fn a_replay_under_a_corrected_contract_equals_a_run_with_it_from_the_start() {
    let mut lake = Lake::new();
    lake.contracts = Some(too_strict(&lake));
    fill(&lake);
    assert_eq!(lake.value("SELECT COUNT(*) AS n FROM ad_events"), 2);
    assert_eq!(
        lake.value("SELECT COUNT(*) AS n FROM quarantine_ad_events"),
        5
    );
    // Ann in the first database, Anna and Cy in the second.
    assert_eq!(
        lake.value("SELECT COUNT(*) AS n FROM quarantine_customers"),
        3
    );

    lake.contracts = None;
    a_dry_run_says_what_would_change(&lake);

    let records = lines(&lake.ok(&["--json", "replay"]));
    assert_eq!(records.len(), 4, "two archives and two databases");
    for record in &records {
        // The first database is older than what the tables have.
        let (status, skipped) = if record["key"].as_str().unwrap().contains("shop-0") {
            ("skipped", json!("newer_snapshot"))
        } else {
            ("succeeded", Value::Null)
        };
        assert_eq!(
            (&record["kind"], &record["status"], &record["skipped"]),
            (&json!("replay"), &json!(status), &skipped),
            "{record}"
        );
        assert_accounted(record);
    }
    let start = Lake::with_keys_of(&lake);
    fill(&start);
    for table in [
        "ad_events",
        "customers",
        "orders",
        "quarantine_ad_events",
        "quarantine_customers",
    ] {
        assert_eq!(contents(&lake, table), contents(&start, table), "{table}");
    }
    assert_eq!(
        lake.value("SELECT COUNT(*) AS n FROM quarantine_customers"),
        0
    );
    // A row that was replayed names the run that accepted it.
    let run = lake.value("SELECT _run_id FROM ad_events WHERE event_id = 'a'");
    let shown: Value =
        serde_json::from_str(&lake.ok(&["--json", "runs", run.as_str().unwrap()])).unwrap();
    assert_eq!(shown["kind"], "replay");
    a_second_replay_changes_nothing(&lake, &start);
}

fn a_dry_run_says_what_would_change(lake: &Lake) {
    let before = lake.tables();
    let would = lines(&lake.ok(&["--json", "replay", "--dry-run"]));
    assert_eq!(lake.tables(), before, "a dry run changes nothing");
    let of = |dataset: &str| {
        would
            .iter()
            .find(|one| one["dataset"] == dataset)
            .unwrap()
            .clone()
    };
    let events = of("ad_events");
    assert_eq!(
        (
            &events["in_quarantine"],
            &events["would_pass"],
            &events["rows_change"]
        ),
        (&json!(5), &json!(2), &json!(2)),
        "{events}"
    );
    // Two events more of 0.0015 each, and of campaign 7 each.
    assert_eq!(events["sums_change"]["cost"], "+0.003000", "{events}");
    assert_eq!(events["sums_change"]["campaign_id"], "+14", "{events}");
    let customers = of("customers");
    assert_eq!(
        (&customers["would_pass"], &customers["rows_change"]),
        (&json!(2), &json!(2)),
        "{customers}"
    );
    assert_eq!(of("orders")["sums_change"], json!({}));
}

fn a_second_replay_changes_nothing(lake: &Lake, start: &Lake) {
    // The broken line, the duplicate and the wrong type stay in quarantine.
    let rejected = contents(lake, "quarantine_ad_events");
    assert_eq!(rejected.len(), 3);
    let again = lines(&lake.ok(&["--json", "replay"]));
    assert_eq!(again.len(), 2, "only the archives have rejected rows");
    assert_eq!(contents(lake, "quarantine_ad_events"), rejected);
    assert_eq!(contents(lake, "ad_events"), contents(start, "ad_events"));
    assert_eq!(lake.ok(&["--json", "replay", "--rule", "no.such"]), "");
    assert_eq!(lake.ok(&["--json", "replay", "--until", "2020-01-01"]), "");
    assert!(
        !lake
            .run(&["replay", "--dataset", "nothing"])
            .status
            .success()
    );
}

#[test]
fn a_backfill_reads_the_days_that_are_not_done() {
    let mut lake = Lake::new();
    lake.contracts = Some(too_strict(&lake));
    let [first, second] = days();
    stream(&lake, "first.ndjson", &first, "2026-01-01");
    stream(&lake, "second.ndjson", &second, "2026-01-02");
    lake.contracts = Some(root().join("contracts"));
    let backfill = |lake: &Lake, from: &str, to: &str| {
        lines(&lake.ok(&[
            "--json",
            "backfill",
            "--from",
            from,
            "--to",
            to,
            "--dataset",
            "ad_events",
        ]))
    };
    let day = backfill(&lake, "2026-01-02", "2026-01-02");
    assert_eq!(day.len(), 1);
    assert_eq!(day[0]["kind"], "backfill");
    let rest = backfill(&lake, "2026-01-01", "2026-01-31");
    assert_eq!(rest.len(), 1, "the other day is done");
    assert_ne!(rest[0]["key"], day[0]["key"]);
    assert!(backfill(&lake, "2026-01-01", "2026-01-31").is_empty());
    let start = Lake::with_keys_of(&lake);
    stream(&start, "first.ndjson", &first, "2026-01-01");
    stream(&start, "second.ndjson", &second, "2026-01-02");
    for table in ["ad_events", "quarantine_ad_events"] {
        assert_eq!(contents(&lake, table), contents(&start, table), "{table}");
    }
    assert!(
        !lake
            .run(&["backfill", "--from", "2026-01-02", "--to", "2026-01-01"])
            .status
            .success()
    );
}

#[test]
fn a_rotated_key_gives_new_rows_new_pseudonyms_and_a_snapshot_moves_over() {
    let lake = Lake::new();
    let ann = "SELECT email, _key_version FROM customers WHERE customer_id = 1";
    lake.ingest(&[&database(&lake, "shop-0.sqlite", "")]);
    let before = lake.query(ann);
    assert_eq!(before[0]["_key_version"], 1);
    let listed = lake.ok(&["--json", "keys", "list"]);
    assert_eq!(
        lines(&lake.ok(&["--json", "keys", "rotate"]))[0]["version"],
        2
    );
    assert!(!listed.contains("\"key\""), "{listed}");
    lake.ingest(&[&database(
        &lake,
        "shop-1.sqlite",
        "UPDATE products SET active = 0",
    )]);
    let after = lake.query(ann);
    assert_eq!(after[0]["_key_version"], 2);
    assert_ne!(after[0]["email"], before[0]["email"]);
    assert_eq!(
        lake.value("SELECT COUNT(*) AS n FROM customers WHERE _deleted_at IS NULL"),
        2
    );
}

#[test]
fn lost_keys_are_an_error_and_are_never_replaced_silently() {
    let lake = Lake::new();
    let reason = |record: &Value| record["reason"].as_str().unwrap_or_default().to_owned();
    let snapshot = |number: usize| {
        let change = format!("UPDATE products SET active = {}", number % 2);
        database(&lake, &format!("shop-{number}.sqlite"), &change)
    };
    let refused = |args: &[&str]| {
        let output = lake.run(args);
        assert!(!output.status.success(), "{args:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    lake.ingest(&[&snapshot(0)]);
    lake.ok(&["keys", "rotate"]);
    let old = std::fs::read(lake.path().join(".tarn/keys/pseudonym.json")).unwrap();
    lake.ok(&["keys", "rotate"]);
    lake.ingest(&[&snapshot(1)]);
    let version =
        "SELECT DISTINCT _key_version AS version FROM customers WHERE _deleted_at IS NULL";
    assert_eq!(lake.value(version), 3);
    let keys = lake.path().join(".tarn/keys/pseudonym.json");
    let saved = std::fs::read(&keys).unwrap();
    assert!(refused(&["keys", "rotate", "--lost"]).contains("no key is lost"));
    let ann = "SELECT email FROM customers WHERE customer_id = 1 AND _deleted_at IS NULL";
    let before = lake.value(ann);

    std::fs::remove_file(&keys).unwrap();
    let record = &lake.ingest(&[&snapshot(2)])[0];
    assert_eq!(record["status"], "failed", "{record}");
    let text = reason(record);
    for part in [
        "keys of pseudonyms are lost",
        "version 3",
        "restore them from a backup",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert!(!keys.exists(), "no key is made silently");
    assert!(refused(&["keys", "rotate"]).contains("restore them from a backup"));
    assert!(!keys.exists());
    assert_eq!(lake.value(ann), before);

    // Keys from before the last rotation do not help either.
    write_secret(&keys, &old);
    let record = &lake.ingest(&[&snapshot(3)])[0];
    assert!(reason(record).contains("end at version 2"), "{record}");

    // With the right backup everything works again.
    write_secret(&keys, &saved);
    let records = lake.ingest(&[&lake.path().join("raw")]);
    assert!(
        records.iter().all(|one| one["status"] != "failed"),
        "{records:?}"
    );
    assert_eq!(lake.value(ann), before);

    // Without a backup a new key is made on demand, and no version is used twice.
    std::fs::remove_file(&keys).unwrap();
    let added = lines(&lake.ok(&["--json", "keys", "rotate", "--lost"]));
    assert_eq!(added[0]["version"], 4);
    let record = &lake.ingest(&[&snapshot(4)])[0];
    assert_eq!(record["status"], "succeeded", "{record}");
    assert_eq!(lake.value(version), 4);
    assert_ne!(lake.value(ann), before);
}

/// A file that only its owner can read.
fn write_secret(path: &std::path::Path, text: &[u8]) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn a_lake_from_before_the_ledger_had_keys_finds_a_lost_key_by_its_tables() {
    let lake = Lake::new();
    lake.ingest(&[&database(&lake, "shop-0.sqlite", "")]);
    let state = Connection::open(lake.path().join(".tarn/lake.sqlite")).unwrap();
    let forgotten = state.execute("DELETE FROM ledger_state WHERE name LIKE 'keys/%'", []);
    assert_eq!(forgotten.unwrap(), 2, "its version and its mark");
    std::fs::remove_file(lake.path().join(".tarn/keys/pseudonym.json")).unwrap();
    let again = database(&lake, "shop-1.sqlite", "UPDATE products SET active = 0");
    let record = &lake.ingest(&[&again])[0];
    assert_eq!(record["status"], "failed", "{record}");
    assert!(
        record["reason"].as_str().unwrap().contains("are lost"),
        "{record}"
    );
    let added = lines(&lake.ok(&["--json", "keys", "rotate", "--lost"]));
    assert_eq!(added[0]["version"], 2);
    assert_eq!(lake.ingest(&[&again])[0]["status"], "succeeded");
}

#[test]
fn keys_that_others_can_read_are_refused() {
    use std::os::unix::fs::PermissionsExt;
    let lake = Lake::new();
    let log = lake.file(
        "a.log",
        "127.0.0.1 - - [01/Jan/2026:00:00:00 +0000] \"GET / HTTP/1.1\" 200 5\n",
    );
    lake.ingest(&[&log]);
    let keys = lake.path().join(".tarn/keys/pseudonym.json");
    assert_eq!(
        std::fs::metadata(&keys).unwrap().permissions().mode() & 0o777,
        0o600
    );
    std::fs::set_permissions(&keys, std::fs::Permissions::from_mode(0o640)).unwrap();
    let text = std::fs::read_to_string(&log).unwrap();
    let records = lake.ingest(&[&lake.file("b.log", text.replace("GET /", "GET /b"))]);
    assert_eq!(records[0]["status"], "failed", "{}", records[0]);
    assert!(
        records[0]["reason"].as_str().unwrap().contains("chmod 600"),
        "{}",
        records[0]
    );
}

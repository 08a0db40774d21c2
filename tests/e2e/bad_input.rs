//! Broken files: each ends as accepted rows, rejected rows with a reason, or a failed run that names its
//! cause.

use std::path::PathBuf;

use serde_json::Value;

use crate::lake::{Lake, root};

fn fixtures(folder: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(root().join("events").join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

fn ingest_fixtures(folder: &str, to: &str) {
    let lake = Lake::new();
    for path in fixtures(folder) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let output = lake
            .command()
            .args(["--json", "ingest", "--to", to])
            .arg(&path)
            .output()
            .unwrap();
        let record: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{name}: {}", String::from_utf8_lossy(&output.stderr)));
        crate::lake::assert_accounted(&record);
        assert!(
            record["key"]
                .as_str()
                .unwrap()
                .ends_with(&format!("/{name}")),
            "{record}"
        );
        match record["status"].as_str().unwrap() {
            "succeeded" => {
                let outcome = &record["datasets"][0];
                let is_nothing = outcome["accepted"] == 0
                    && outcome["rejected"] != 0
                    && outcome["rejected_by"]["duplicate"].is_null();
                let code = if is_nothing { 4 } else { 0 };
                assert_eq!(output.status.code(), Some(code), "{name}");
            }
            "failed" => {
                assert_eq!(output.status.code(), Some(1), "{name}");
                // The object is kept, and the same run can be repeated.
                assert!(
                    lake.path().join(record["key"].as_str().unwrap()).exists(),
                    "{name}"
                );
                let again = lake.ingest(&[&lake.path().join(record["key"].as_str().unwrap())]);
                assert_eq!(again[0]["reason"], record["reason"], "{name}");
            }
            other => panic!("{name}: {other}"),
        }
        let broken = name.starts_with("truncated") || name.starts_with("zip_named");
        assert_eq!(
            record["status"] == "failed" && broken,
            broken,
            "{name}: {record}"
        );
    }
    // The tables hold what the runs say.
    let runs = crate::lake::lines(&lake.ok(&["--json", "runs", "--limit", "1000"]));
    let sum = |field: &str| -> u64 {
        runs.iter()
            .flat_map(|run| run["datasets"].as_array().unwrap())
            .map(|outcome| outcome[field].as_u64().unwrap())
            .sum()
    };
    let dataset = runs
        .iter()
        .find_map(|run| run["datasets"][0]["dataset"].as_str())
        .unwrap();
    // Posts that came again have replaced the earlier ones.
    let replaced: u64 = runs
        .iter()
        .flat_map(|run| run["datasets"].as_array().unwrap())
        .map(crate::lake::replaced)
        .sum();
    assert_eq!(replaced > 0, dataset == "social_posts");
    assert_eq!(
        lake.value(&format!("SELECT COUNT(*) AS n FROM {dataset}")),
        sum("accepted") - replaced
    );
    assert_eq!(
        lake.value(&format!("SELECT COUNT(*) AS n FROM quarantine_{dataset}")),
        sum("rejected")
    );
}

#[test]
fn broken_access_logs_are_accounted_for() {
    ingest_fixtures("access_log", "web/access_logs");
}

#[test]
fn broken_posts_are_accounted_for() {
    ingest_fixtures("social", "social/posts");
}

#[test]
fn broken_events_are_accounted_for() {
    ingest_fixtures("ads", "ads/events");
}

#[test]
fn nesting_ten_thousand_deep_is_a_rejected_row() {
    let lake = Lake::new();
    let deep = format!(
        "{{\"event_id\":{}{}}}\n",
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    let path = lake.file("deep.ndjson", &deep);
    let output = lake
        .command()
        .args(["--json", "ingest", "--to", "ads/events"])
        .arg(&path)
        .output()
        .unwrap();
    let record: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(record["datasets"][0]["rejected"], 1, "{record}");
    let output = lake
        .command()
        .args(["--json", "ingest", "--to", "social/posts"])
        .arg(&path)
        .output()
        .unwrap();
    let record: Value = serde_json::from_slice(&output.stdout).unwrap();
    crate::lake::assert_accounted(&record);
    assert!(
        record["status"] == "failed" || record["datasets"][0]["rejected"] == 1,
        "{record}"
    );
}

#[test]
fn an_unknown_key_prefix_is_kept_and_listed_and_never_ingested() {
    let lake = Lake::new();
    let log = "127.0.0.1 - - [01/Jan/2026:00:00:00 +0000] \"GET / HTTP/1.1\" 200 5\n";
    let path = lake.file("access.log", log);
    let output = lake
        .command()
        .args(["--json", "ingest", "--to", "web/elsewhere"])
        .arg(&path)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    let record: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(record["status"], "skipped");
    assert!(
        record["reason"]
            .as_str()
            .unwrap()
            .contains("no contract claims")
    );
    assert_eq!(
        std::fs::read_to_string(lake.path().join(record["key"].as_str().unwrap())).unwrap(),
        log
    );
    assert!(lake.tables().is_empty());
    // A file that shows no format is kept as well.
    let output = lake
        .command()
        .args(["--json", "ingest"])
        .arg(lake.file("notes.txt", "hello"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    let runs = lake.ok(&["--json", "runs"]);
    assert_eq!(crate::lake::lines(&runs).len(), 2);
}

#[test]
fn a_file_that_no_contract_claims_is_kept_with_the_cause_that_its_content_shows() {
    let lake = Lake::new();
    let log = "127.0.0.1 - - [01/Jan/2026:00:00:00 +0000] \"GET / HTTP/1.1\" 200 5\n".repeat(50);
    let packed = crate::logs::gzip(&log);
    let wide: Vec<u8> = std::iter::once(0xfeff)
        .chain(log.encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    for (name, content, cause) in [
        ("wide.log", wide, "UTF-16 text"),
        (
            "twice.log.gz",
            crate::logs::gzip(&packed),
            "gzip data again",
        ),
        ("cut.log.gz", packed[..packed.len() / 2].to_vec(), "gzip"),
        (
            "sales.csv",
            b"day;shop;sum\n1;2;3\n4;5;6\n".to_vec(),
            "CSV with the columns day, shop, sum",
        ),
    ] {
        let file = lake.file(name, content);
        let output = lake.run(&["--json", "ingest", file.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(3), "{name}");
        let record: Value = serde_json::from_slice(&output.stdout).unwrap();
        let reason = record["reason"].as_str().unwrap();
        assert!(reason.contains(cause), "{name}: {reason}");
        let run = lake.ok(&["--json", "runs"]);
        assert!(run.contains(cause), "{name}: {run}");
    }
}

#[test]
fn the_exit_code_says_whether_a_file_was_accepted() {
    let lake = Lake::new();
    let log = "127.0.0.1 - - [01/Jan/2026:00:00:00 +0000] \"GET / HTTP/1.1\" 200 5\n";
    let good = lake.file("web/access_logs/good.log", log);
    let bad = lake.file("web/access_logs/bad.log", "nothing of a log\n");
    let unclaimed = lake.file("notes.txt", "hello");
    let gone = lake.scratch().join("gone.log");
    let code = |paths: &[&std::path::Path]| {
        let mut command = lake.command();
        command
            .arg("ingest")
            .args(paths)
            .output()
            .unwrap()
            .status
            .code()
    };
    assert_eq!(code(&[&good]), Some(0));
    assert_eq!(code(&[&good, &bad]), Some(4));
    assert_eq!(code(&[&bad, &unclaimed]), Some(3));
    assert_eq!(code(&[&bad, &unclaimed, &gone]), Some(1));
    // Events that came before are not a fault of the file that has them again.
    let event = crate::events::event("a", "1T0", "click");
    let first = lake.file("first.ndjson", &event);
    let again = lake.file("again.ndjson", format!("{event}\n"));
    for file in [first, again] {
        lake.ok(&[
            "stream",
            "--arrived-on",
            "2026-01-01",
            file.to_str().unwrap(),
        ]);
    }
}

#[test]
fn a_new_version_of_an_object_replaces_its_rows_and_no_others() {
    let lake = Lake::new();
    let post = |id: &str| {
        format!(
            "{{\"id\":\"{id}\",\"created_at\":\"2026-01-01T00:00:00Z\",\"platform\":\"x\",\"text\":\"-\"}}\n"
        )
    };
    lake.ingest(&[
        &lake.file("a.ndjson", post("a1") + "broken\n"),
        &lake.file("b.ndjson", post("b")),
    ]);
    let second = &lake.ingest(&[&lake.file("a.ndjson", post("a2") + &post("a3"))])[0];
    let warning = second["warnings"][0].as_str().unwrap();
    assert!(warning.contains("does not continue it"), "{warning}");
    let ids = |lake: &Lake| -> Vec<Value> {
        let rows = lake.query("SELECT post_id FROM social_posts ORDER BY post_id");
        rows.into_iter().map(|row| row["post_id"].clone()).collect()
    };
    assert_eq!(ids(&lake), ["a2", "a3", "b"]);
    assert_eq!(
        lake.value("SELECT COUNT(*) AS n FROM quarantine_social_posts"),
        0
    );
    // A version that continues the former one needs no warning.
    let grown = post("a2") + &post("a3") + &post("a4");
    let third = &lake.ingest(&[&lake.file("a.ndjson", grown)])[0];
    assert_eq!(
        third["warnings"].as_array().map(Vec::len),
        Some(0),
        "{third}"
    );
    // Back to the first content: it is a fourth version, not the first again.
    lake.ingest(&[&lake.file("a.ndjson", post("a1") + "broken\n")]);
    assert_eq!(ids(&lake), ["a1", "b"]);
    assert_eq!(
        lake.value("SELECT COUNT(*) AS n FROM quarantine_social_posts"),
        1
    );
    let before = lake.tables();
    let again = lake.ingest(&[&lake.file("a.ndjson", post("a1") + "broken\n")]);
    assert_eq!(again[0]["status"], "skipped");
    assert_eq!(lake.tables(), before);
}

#[test]
fn odd_file_names_are_kept_as_they_are() {
    let lake = Lake::new();
    let name = "a b+c%20é=ü?.log";
    let records = lake.ingest(&[&lake.file(
        name,
        "127.0.0.1 - - [01/Jan/2026:00:00:00 +0000] \"GET / HTTP/1.1\" 200 5\n",
    )]);
    assert!(records[0]["key"].as_str().unwrap().ends_with(name));
    let uri = lake.value("SELECT _source_uri FROM web_requests");
    assert!(uri.as_str().unwrap().ends_with(name), "{uri}");
}

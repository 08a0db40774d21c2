//! `tarn contract test` says what a run would do; a rule of severity abort stops the run.

use std::path::PathBuf;

use serde_json::Value;

use crate::database::database;
use crate::events::event;
use crate::lake::{Lake, lines};

const VISITS: &str = r#"apiVersion: v3.1.0
kind: DataContract
id: visits
name: visits
version: VERSION
status: active
description: { purpose: Visits. }
customProperties:
  - { property: sourceFormat, value: jsonLines }
  - { property: keyPattern, value: "raw/shop/visits/**" }
schema:
  - name: visits
    properties:
      - { name: id, description: Number., logicalType: integer, physicalType: bigint, required: true, primaryKey: true, primaryKeyPosition: 1 }
      - name: page
        description: Page.
        logicalType: string
        physicalType: string
        quality:
          - { metric: nullValues, mustBeLessOrEqualTo: 25, unit: percent, severity: abort }
          - metric: invalidValues
            arguments: { validValues: ["/", "/a"] }
            mustBe: 0
            severity: reject
          - metric: duplicateValues
            mustBe: 0
            severity: warn
"#;

fn contracts(lake: &Lake, version: &str, change: impl Fn(&str) -> String) -> PathBuf {
    let folder = lake.scratch().join(format!("contracts-{version}"));
    std::fs::create_dir_all(&folder).unwrap();
    let text = change(&VISITS.replace("VERSION", version));
    std::fs::write(folder.join("visits.odcs.yaml"), text).unwrap();
    folder
}

/// The lines that `tarn contract test --json` prints, and its exit code.
fn test(lake: &Lake, args: &[&str]) -> (Vec<Value>, i32) {
    let output = lake.run(&[&["--json", "contract", "test"], args].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    (lines(&text), output.status.code().unwrap())
}

const SOUND: &str = "{\"id\":1,\"page\":\"/\"}\n{\"id\":2,\"page\":\"/a\"}\n";
const MIXED: &str = "{\"id\":3,\"page\":\"/\"}\n{\"id\":4,\"page\":\"/x\"}\n{\"id\":\"y\",\"page\":\"/\"}\n{\"id\":5,\"page\":\"/\"}\n";
const EMPTY_PAGES: &str = "{\"id\":6}\n{\"id\":7}\n{\"id\":8,\"page\":\"/a\"}\n";

#[test]
fn a_test_of_a_file_says_what_would_be_rejected_and_why_and_writes_nothing() {
    let mut lake = Lake::new();
    lake.contracts = Some(contracts(&lake, "1.0.0", str::to_owned));
    let mixed = lake.file("mixed.jsonl", MIXED);
    let mixed = mixed.to_str().unwrap();
    let as_visits = ["--as", "shop/visits"];

    // Without a lake; the command makes none.
    let (found, code) = test(&lake, &[&[mixed], &as_visits[..]].concat());
    assert!(!lake.path().exists());
    assert_eq!(code, 1);
    let [found] = found.as_slice() else {
        panic!("{found:?}")
    };
    assert_eq!(found["passed"], false);
    let outcome = &found["outcome"];
    let counts = ["received", "accepted", "rejected"].map(|name| outcome[name].as_u64().unwrap());
    assert_eq!(counts, [4, 2, 2]);
    let examples = found["examples"].as_array().unwrap();
    let shown: Vec<(&str, i64)> = examples
        .iter()
        .map(|one| (one["rule"].as_str().unwrap(), one["line"].as_i64().unwrap()))
        .collect();
    assert!(shown.contains(&("page.validValues", 2)), "{shown:?}");
    assert!(shown.contains(&("id.type", 3)), "{shown:?}");
    assert!(
        examples
            .iter()
            .any(|one| one["reason"].as_str().unwrap().contains("/x")),
        "{examples:?}"
    );

    // A lake stays as it is; what the file would do is judged with its tables.
    lake.ok(&[
        "ingest",
        "--to",
        "shop/visits",
        lake.file("sound.jsonl", SOUND).to_str().unwrap(),
    ]);
    let before = (lake.tables(), lake.ok(&["--json", "runs"]));
    let (_, code) = test(&lake, &[&[mixed], &as_visits[..]].concat());
    assert_eq!(code, 1);
    assert_eq!((lake.tables(), lake.ok(&["--json", "runs"])), before);
    let sound = lake.file("sound.jsonl", SOUND);
    let (found, code) = test(
        &lake,
        &[&[sound.to_str().unwrap()], &as_visits[..]].concat(),
    );
    assert_eq!(
        (code, &found[0]["passed"]),
        (0, &Value::from(true)),
        "{found:?}"
    );

    // For people: each rule with its rows and an example.
    let output = lake.run(&[&["contract", "test", mixed], &as_visits[..]].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("page.validValues") && text.contains("line 2"),
        "{text}"
    );
    // A rule that only warns is named, but does not fail the command.
    assert!(text.contains("warn"), "{text}");
}

#[test]
fn a_test_of_days_agrees_with_what_the_ingest_of_the_objects_does() {
    let mut lake = Lake::new();
    let events = [
        event("a", "1T0", "click"),
        event("b", "1T0", "shrug"),
        "broken".to_owned(),
    ];
    let files = [
        lake.file(
            "ads/events/ingest_date=2026-01-02/e.ndjson",
            events.join("\n"),
        ),
        database(
            &lake,
            "shop.sqlite",
            "UPDATE customers SET segment = 'odd' WHERE customer_id = 1",
        ),
    ];
    let runs = lake.ingest(&files.each_ref().map(|path| path.as_path()));
    let today = runs[0]["key"].as_str().unwrap();
    let day = today
        .split_once("ingest_date=")
        .unwrap()
        .1
        .split_once('/')
        .unwrap()
        .0
        .to_owned();
    let (found, code) = test(&lake, &["--from", &day, "--to", &day]);
    assert_eq!(code, 1);
    let mut compared = 0;
    for outcome in runs
        .iter()
        .flat_map(|run| run["datasets"].as_array().unwrap())
    {
        let same = found
            .iter()
            .find(|one| one["outcome"]["dataset"] == outcome["dataset"])
            .unwrap();
        for figure in ["received", "accepted", "rejected", "rejected_by"] {
            assert_eq!(
                same["outcome"][figure], outcome[figure],
                "{figure} of {outcome}"
            );
        }
        compared += 1;
    }
    assert!(compared >= 3, "{found:?}");
    let (found, _) = test(
        &lake,
        &["--from", &day, "--to", &day, "--dataset", "customers"],
    );
    assert!(
        found
            .iter()
            .all(|one| one["outcome"]["dataset"] == "customers")
    );
    assert_eq!(found.len(), 1);
    // No object of these days.
    assert_eq!(
        test(&lake, &["--from", "2020-01-01", "--to", "2020-01-02"]).1,
        1
    );
    lake.contracts = Some(contracts(&lake, "1.0.0", str::to_owned));
    assert_eq!(test(&lake, &["--from", &day, "--to", &day]).1, 1);
}

#[test]
fn a_broken_rule_of_severity_abort_fails_the_run_and_commits_nothing() {
    let mut lake = Lake::new();
    lake.contracts = Some(contracts(&lake, "1.0.0", str::to_owned));
    let ingest = |lake: &Lake, name: &str, text: &str| {
        let path = lake.file(name, text);
        let output = lake.run(&[
            "--json",
            "ingest",
            "--to",
            "shop/visits",
            path.to_str().unwrap(),
        ]);
        let record = lines(&String::from_utf8(output.stdout).unwrap()).remove(0);
        (record, output.status.code().unwrap())
    };
    assert_eq!(ingest(&lake, "sound.jsonl", SOUND).1, 0);
    let before = lake.tables();

    let path = lake.file("empty.jsonl", EMPTY_PAGES);
    let (found, code) = test(&lake, &[path.to_str().unwrap(), "--as", "shop/visits"]);
    assert_eq!(
        (code, &found[0]["error_kind"]),
        (1, &Value::from("quality"))
    );

    let (record, code) = ingest(&lake, "empty.jsonl", EMPTY_PAGES);
    assert_eq!(code, 1);
    assert_eq!(record["status"], "failed");
    assert_eq!(record["error_kind"], "quality");
    let reason = record["reason"].as_str().unwrap();
    assert!(
        reason.contains("page") && reason.contains("66.66"),
        "{reason}"
    );
    assert_eq!(lake.tables(), before);
    assert_eq!(lake.value("SELECT COUNT(*) AS n FROM visits"), 2);
    assert!(lake.path().join(record["key"].as_str().unwrap()).exists());

    // Another object with another kind of fault is not delayed.
    assert_eq!(ingest(&lake, "mixed.jsonl", MIXED).1, 0);
    assert_eq!(lake.value("SELECT COUNT(*) AS n FROM visits"), 4);

    // With the corrected contract, the object's rows are accepted.
    lake.contracts = Some(contracts(&lake, "1.1.0", |text| {
        text.replace("severity: abort", "severity: warn")
    }));
    let key = record["key"].as_str().unwrap();
    let again = lake.ingest(&[&lake.path().join(key)]);
    assert_eq!(again[0]["status"], "succeeded", "{again:?}");
    assert_eq!(lake.value("SELECT COUNT(*) AS n FROM visits"), 7);
}

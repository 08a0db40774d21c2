//! Processes that are killed in the middle of their work.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::lake::Lake;

fn sample(lake: &Lake) -> Vec<String> {
    let folder = lake.scratch().join("sample");
    lake.ok(&[
        "generate",
        "--days",
        "10",
        "--scale",
        "0.5",
        "--out",
        folder.to_str().unwrap(),
    ]);
    ["shop", "web", "social", "ads"]
        .map(|part| folder.join(part).to_str().unwrap().to_owned())
        .to_vec()
}

/// What the tables hold, without the system columns that differ from run to run.
fn contents(lake: &Lake) -> Vec<(String, Vec<Value>)> {
    let mut contents = Vec::new();
    for table in lake.tables() {
        let name = table["table"].as_str().unwrap().to_owned();
        if table["rows"] == 0 && name.starts_with("quality.") {
            contents.push((name, Vec::new()));
            continue;
        }
        assert!(table["rows"].as_u64().unwrap() > 0, "{table}");
        let description = lake.query(&format!("SELECT * FROM {name} LIMIT 1"));
        let columns: Vec<String> = description[0]
            .as_object()
            .unwrap()
            .keys()
            .filter(|column| {
                ![
                    "_run_id",
                    "_ingested_at",
                    "_source_uri",
                    "_source_version",
                    "_deleted_at",
                ]
                .contains(&column.as_str())
            })
            .cloned()
            .collect();
        let mut rows = lake.query(&format!("SELECT {} FROM {name}", columns.join(", ")));
        rows.sort_by_key(ToString::to_string);
        contents.push((name, rows));
    }
    contents
}

#[test]
fn an_ingest_killed_at_ten_points_and_repeated_gives_the_same_tables() {
    let undisturbed = Lake::new();
    let parts = sample(&undisturbed);
    let mut args = vec!["ingest"];
    args.extend(parts.iter().map(String::as_str));
    let started = Instant::now();
    undisturbed.ok(&args);
    let whole = started.elapsed();
    let expected = contents(&undisturbed);

    let lake = Lake::with_keys_of(&undisturbed);
    let mut killed = 0;
    for point in 0..10 {
        let mut child = lake
            .command()
            .args(&args)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Each attempt continues where the one before was killed, so the kills are spread over all of the
        // work; odd delays hit reading, writing and committing alike.
        std::thread::sleep(whole / 16 + Duration::from_millis(7 * point));
        if child.try_wait().unwrap().is_none() {
            killed += 1;
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(
        killed >= 5,
        "only {killed} of 10 were killed while they worked"
    );
    lake.ok(&args);
    assert_eq!(contents(&lake), expected);
    for run in crate::lake::lines(&lake.ok(&["--json", "runs", "--limit", "1000"])) {
        assert_ne!(run["status"], "failed", "{run}");
    }
}

//! Flipped bits: no answer comes from a damaged file, and each damaged file is found.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::dice::Dice;
use crate::lake::{Lake, lines};
use crate::older::older_lake;

/// A file with one flipped bit, which is restored when it is dropped.
struct Flipped {
    path: PathBuf,
    content: Vec<u8>,
    modified: SystemTime,
}

impl Flipped {
    fn new(path: &Path, dice: &mut Dice) -> Flipped {
        let content = std::fs::read(path).unwrap();
        let modified = std::fs::metadata(path).unwrap().modified().unwrap();
        let mut damaged = content.clone();
        let at = dice.below(damaged.len());
        damaged[at] ^= 1 << dice.below(8);
        let flipped = Flipped {
            path: path.to_owned(),
            content,
            modified,
        };
        flipped.write(&damaged);
        flipped
    }

    /// In place, with the time that the file had: as a disk turns a bit over.
    fn write(&self, content: &[u8]) {
        use std::io::Write;
        let mut file = std::fs::File::options()
            .write(true)
            .open(&self.path)
            .unwrap();
        file.write_all(content).unwrap();
        file.set_modified(self.modified).unwrap();
    }
}

impl Drop for Flipped {
    fn drop(&mut self) {
        self.write(&self.content);
    }
}

/// Files of the tables, by what they are.
fn files(lake: &Lake, kind: &str) -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found)
            } else {
                found.push(path)
            }
        }
    }
    let mut found = Vec::new();
    for zone in ["curated", "analytics", "quality"] {
        walk(&lake.path().join(zone), &mut found);
    }
    found.retain(|path| path.to_str().unwrap().ends_with(kind));
    found.sort();
    found
}

/// What `tarn verify` finds wrong.
fn faults(lake: &Lake) -> Vec<Value> {
    let output = lake.run(&["--json", "verify"]);
    let outcomes = lines(std::str::from_utf8(&output.stdout).unwrap());
    let faults: Vec<Value> = outcomes
        .iter()
        .flat_map(|outcome| outcome["faults"].as_array().unwrap().clone())
        .collect();
    assert_eq!(output.status.code(), Some(i32::from(!faults.is_empty())));
    faults
}

fn assert_found(lake: &Lake, path: &Path) {
    let key = path.strip_prefix(lake.path()).unwrap().to_str().unwrap();
    let faults = faults(lake);
    assert!(
        faults.iter().any(|fault| fault["key"] == key),
        "{key} is not among {faults:?}"
    );
    for fault in &faults {
        assert!(!fault["remedy"].as_str().unwrap().is_empty(), "{fault}");
    }
}

/// A small lake of this version, with several versions of its tables.
fn small_lake() -> Lake {
    let lake = Lake::new();
    lake.ok(&["demo", "--days", "2", "--scale", "0.05"]);
    assert_eq!(faults(&lake), Vec::<Value>::new());
    lake
}

/// Queries that between them read every column of every row.
fn queries(lake: &Lake) -> Vec<(String, String)> {
    let tables = lake.tables();
    let mut queries = Vec::new();
    for table in tables.iter().filter(|table| table["rows"] != 0) {
        let name = table["table"].as_str().unwrap().to_owned();
        queries.push((name.clone(), format!("SELECT * FROM {name}")));
    }
    queries
}

/// The rows of an answer, which come in any order.
fn in_order(answer: &[u8]) -> Vec<String> {
    let text = String::from_utf8(answer.to_vec()).unwrap();
    let mut rows: Vec<String> = text.lines().map(str::to_owned).collect();
    rows.sort_unstable();
    rows
}

#[test]
fn each_of_200_bits_of_data_files_is_found_and_no_query_answers_from_one() {
    let lake = small_lake();
    let queries = queries(&lake);
    let answer = |sql: &str| lake.run(&["query", "--format", "ndjson", sql]);
    let sound: Vec<Vec<String>> = queries
        .iter()
        .map(|(_, sql)| in_order(&answer(sql).stdout))
        .collect();
    let files = files(&lake, ".parquet");
    let mut dice = Dice(20);
    let mut refused = 0;
    for turn in 0..200 {
        let path = &files[dice.below(files.len())];
        let _flipped = Flipped::new(path, &mut dice);
        // Verification costs more than a query: every fourth bit meets both.
        if turn % 4 == 0 {
            assert_found(&lake, path);
        }
        let (zone, rest) = path
            .strip_prefix(lake.path())
            .unwrap()
            .to_str()
            .unwrap()
            .split_once('/')
            .unwrap();
        let table = format!("{zone}.{}", rest.split('/').next().unwrap());
        let Some(at) = queries.iter().position(|(name, _)| *name == table) else {
            continue;
        };
        let output = answer(&queries[at].1);
        if output.status.success() {
            // A file of a former version: the answer is not made of it.
            assert_eq!(in_order(&output.stdout), sound[at], "{}", path.display());
            continue;
        }
        refused += 1;
        let error = String::from_utf8_lossy(&output.stderr);
        let name = path.file_name().unwrap().to_str().unwrap();
        for part in [table.as_str(), name, "is damaged", "digest"] {
            assert!(error.contains(part), "{error} lacks {part}");
        }
    }
    assert!(
        refused > 100,
        "only {refused} of 200 bits were in current files"
    );
    assert_eq!(faults(&lake), Vec::<Value>::new());
}

#[test]
fn each_of_200_bits_of_manifests_and_metadata_is_found_and_no_query_answers_from_one() {
    let lake = small_lake();
    let queries = queries(&lake);
    let answer = |sql: &str| lake.run(&["query", "--format", "ndjson", sql]);
    let sound: Vec<Vec<String>> = queries
        .iter()
        .map(|(_, sql)| in_order(&answer(sql).stdout))
        .collect();
    let mut metadata = files(&lake, ".avro");
    metadata.extend(files(&lake, ".metadata.json"));
    let mut dice = Dice(21);
    let mut refused = 0;
    for turn in 0..200 {
        let path = &metadata[dice.below(metadata.len())];
        let _flipped = Flipped::new(path, &mut dice);
        if turn % 4 == 0 {
            assert_found(&lake, path);
        }
        let key = path.strip_prefix(lake.path()).unwrap().to_str().unwrap();
        let mut parts = key.split('/');
        let table = format!("{}.{}", parts.next().unwrap(), parts.next().unwrap());
        let Some(at) = queries.iter().position(|(name, _)| *name == table) else {
            continue;
        };
        let output = answer(&queries[at].1);
        if output.status.success() {
            assert_eq!(in_order(&output.stdout), sound[at], "{key}")
        } else {
            refused += 1;
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(error.contains("is damaged"), "{error}");
        }
    }
    assert!(
        refused > 40,
        "only {refused} of 200 bits were in current files"
    );
    assert_eq!(faults(&lake), Vec::<Value>::new());
}

#[test]
fn bits_of_raw_objects_and_their_former_versions_are_found() {
    let lake = small_lake();
    let raw = lake.path().join("raw");
    let mut objects = Vec::new();
    let mut folders = vec![raw.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path)
            } else {
                objects.push(path)
            }
        }
    }
    let mut dice = Dice(22);
    for path in &objects {
        let _flipped = Flipped::new(path, &mut dice);
        assert_found(&lake, path);
        // Also after another command has taken it for a new version.
        lake.ok(&["status"]);
        assert_found(&lake, path);
    }
    lake.ok(&["status"]);
    assert_eq!(faults(&lake), Vec::<Value>::new());
    // A former version.
    let log = objects
        .iter()
        .find(|path| path.to_str().unwrap().ends_with(".log"))
        .unwrap();
    let name = log.file_name().unwrap().to_str().unwrap();
    let mut text = std::fs::read_to_string(log).unwrap();
    text = format!("{text}{}\n", text.lines().next().unwrap());
    let file = lake.file(name, &text);
    lake.ok(&["ingest", "--to", "web/access_logs", file.to_str().unwrap()]);
    let mut folder = lake.path().join(".tarn/versions");
    while folder.is_dir() {
        folder = std::fs::read_dir(&folder)
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
    }
    let flipped = Flipped::new(&folder, &mut dice);
    let found = faults(&lake);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["part"], "former_version");
    drop(flipped);
    assert_eq!(faults(&lake), Vec::<Value>::new());
}

#[test]
fn an_older_lake_has_no_digests_until_it_was_verified_once() {
    let lake = older_lake();
    let outcomes = lines(&lake.ok(&["--json", "verify"]));
    let sum = |outcomes: &[Value], name: &str| -> u64 {
        outcomes
            .iter()
            .map(|outcome| outcome[name].as_u64().unwrap())
            .sum()
    };
    let unknown = sum(&outcomes, "unknown");
    assert!(unknown > 100, "{outcomes:?}");
    assert_eq!(sum(&outcomes, "remembered"), unknown);
    let again = lines(&lake.ok(&["--json", "verify"]));
    assert_eq!(sum(&again, "unknown"), 0);
    let mut dice = Dice(23);
    for kind in [".parquet", ".avro", ".metadata.json"] {
        let files = files(&lake, kind);
        for _ in 0..12 {
            let path = &files[dice.below(files.len())];
            let _flipped = Flipped::new(path, &mut dice);
            assert_found(&lake, path);
        }
    }
    // A moved lake knows them too.
    let moved = Lake::new();
    std::fs::rename(lake.path(), moved.path()).unwrap();
    assert_eq!(faults(&moved), Vec::<Value>::new());
    let path = &files(&moved, ".parquet")[3];
    let flipped = Flipped::new(path, &mut dice);
    assert_found(&moved, path);
    drop(flipped);
    // And what a relocation wrote has them in its names.
    moved.ok(&["relocate"]);
    assert_eq!(faults(&moved), Vec::<Value>::new());
}

/// The one damaged file of a table, and its fault.
fn damage(lake: &Lake, table: &str, dice: &mut Dice) -> (PathBuf, Value) {
    let folder = format!("/{}/data/", table.replace('.', "/"));
    let path = files(lake, ".parquet")
        .into_iter()
        .rfind(|path| path.to_str().unwrap().contains(&folder))
        .unwrap();
    std::mem::forget(Flipped::new(&path, dice));
    let key = path.strip_prefix(lake.path()).unwrap().to_str().unwrap();
    let found = faults(lake).into_iter().find(|fault| fault["key"] == key);
    let found = found.unwrap();
    (path, found)
}

/// Maintenance that keeps one version of each table.
const FORGET: [&str; 7] = [
    "maintain",
    "--keep-days",
    "0",
    "--keep-versions",
    "1",
    "--orphan-days",
    "1",
];

#[test]
fn damaged_rows_of_added_objects_come_back_by_a_replay_and_marts_by_a_rebuild() {
    let lake = small_lake();
    let sum = || lake.value("SELECT SUM(bytes) AS bytes FROM web_requests");
    let events = || lake.value("SELECT SUM(cost) AS cost FROM ad_events");
    let (before, events_before) = (sum(), events());
    let mut dice = Dice(24);
    for (table, read) in [
        ("curated.web_requests", "SELECT * FROM web_requests"),
        ("curated.ad_events", "SELECT * FROM ad_events"),
    ] {
        let (_, fault) = damage(&lake, table, &mut dice);
        let source = fault["source"].as_str().unwrap();
        let remedy = fault["remedy"].as_str().unwrap();
        assert!(
            remedy.ends_with(&format!("tarn replay {source}")),
            "{remedy}"
        );
        assert!(!lake.run(&["query", read]).status.success());
        // Neither does a mart compute from it.
        if table.ends_with("ad_events") {
            let refused = lake.run(&["marts", "--rebuild"]);
            assert!(!refused.status.success());
            let error = String::from_utf8_lossy(&refused.stderr);
            assert!(error.contains(source) && error.contains(table), "{error}");
            // Nor does an ingest look for repetitions in it.
            let event = crate::events::event("new", "1T0", "click");
            let file = lake.file("ads/events/new.ndjson", event);
            let record = &lake.ingest(&[&file])[0];
            assert_eq!(record["error_kind"], "damaged", "{record}");
            let reason = record["reason"].as_str().unwrap();
            assert!(
                reason.contains(source) && reason.contains(table),
                "{reason}"
            );
        }
        lake.ok(&["replay", source]);
        lake.ok(&["query", read]);
    }
    assert_eq!((sum(), events()), (before, events_before));
    // The damaged files are those of former versions now, which maintenance forgets.
    for fault in faults(&lake) {
        assert_eq!(fault["current"], false, "{fault}");
    }
    lake.ok(&FORGET);
    assert_eq!(faults(&lake), Vec::<Value>::new());
    a_damaged_mart_is_rebuilt(&lake, &mut dice);
    lake.ok(&FORGET);
    an_upsert_refuses_a_damaged_file_and_changes_nothing(&lake, &mut dice);
}

fn a_damaged_mart_is_rebuilt(lake: &Lake, dice: &mut Dice) {
    let (_, fault) = damage(lake, "analytics.daily_sales", dice);
    assert!(
        fault["remedy"]
            .as_str()
            .unwrap()
            .contains("tarn marts --rebuild")
    );
    lake.ok(&["marts"]);
    assert!(
        !lake
            .run(&["query", "SELECT * FROM daily_sales"])
            .status
            .success()
    );
    lake.ok(&["marts", "--rebuild"]);
    lake.ok(&["query", "SELECT * FROM daily_sales"]);
}

fn an_upsert_refuses_a_damaged_file_and_changes_nothing(lake: &Lake, dice: &mut Dice) {
    let versions = lines(&lake.ok(&["--json", "versions", "customers"])).len();
    let (path, fault) = damage(lake, "curated.customers", dice);
    assert!(
        fault["remedy"].as_str().unwrap().contains("restore"),
        "{fault}"
    );
    let out = lake.scratch().join("next");
    lake.ok(&[
        "generate",
        "--out",
        out.to_str().unwrap(),
        "--days",
        "3",
        "--scale",
        "0.05",
    ]);
    let record = &lake.ingest(&[&out.join("shop/database/shop-2026-01-03.sqlite")])[0];
    assert_eq!(
        (record["status"].as_str(), record["error_kind"].as_str()),
        (Some("failed"), Some("damaged"))
    );
    let reason = record["reason"].as_str().unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(
        reason.contains("curated.customers") && reason.contains(name),
        "{reason}"
    );
    assert_eq!(
        lines(&lake.ok(&["--json", "versions", "customers"])).len(),
        versions
    );
}

#[test]
fn a_file_is_digested_once_and_again_after_it_was_touched() {
    let lake = small_lake();
    // Files that were written just now are looked at each time.
    std::thread::sleep(Duration::from_millis(2_100));
    let sql = "SELECT SUM(bytes) AS bytes FROM web_requests";
    lake.value(sql);
    let state = rusqlite::Connection::open(lake.path().join(".tarn/lake.sqlite")).unwrap();
    let checked = || -> i64 {
        state
            .query_row(
                "SELECT count(*) FROM checked WHERE key LIKE 'curated/web_requests/data/%' AND size IS NOT NULL",
                [],
                |row| row.get(0),
            )
            .unwrap()
    };
    let files = files(&lake, ".parquet");
    let files: Vec<_> = files
        .iter()
        .filter(|path| path.to_str().unwrap().contains("/web_requests/data/"))
        .filter(|path| !path.to_str().unwrap().contains("quarantine"))
        .collect();
    assert_eq!(checked(), i64::try_from(files.len()).unwrap());
    // Touched, the file is read again and found right.
    std::fs::File::options()
        .write(true)
        .open(files[0])
        .unwrap()
        .set_modified(SystemTime::now() - Duration::from_secs(60))
        .unwrap();
    lake.value(sql);
    // A flipped bit is found although size and modification time are as before: writing changes a time
    // that no program can set. Only a disk can flip a bit without changing that time.
    let flipped = Flipped::new(files[0], &mut Dice(25));
    assert!(!lake.run(&["query", sql]).status.success());
    drop(flipped);
    lake.value(sql);
}

#[test]
fn no_row_is_made_with_a_key_that_is_damaged_or_another_lakes() {
    let lake = small_lake();
    let keys = lake.path().join(".tarn/keys/pseudonym.json");
    let sound = std::fs::read_to_string(&keys).unwrap();
    let log = lake.file(
        "new.log",
        "203.0.113.9 - anna [01/Jan/2026:12:00:00 +0000] \"GET /new HTTP/1.1\" 200 7 \"-\" \"curl/8.5.0\"\n",
    );
    let mut key: Value = serde_json::from_str(&sound).unwrap();
    let digits = key["keys"][0]["key"].as_str().unwrap().to_owned();
    let flipped = match digits.strip_prefix('0') {
        Some(rest) => format!("1{rest}"),
        None => format!("0{}", &digits[1..]),
    };
    key["keys"][0]["key"] = flipped.into();
    let other = small_lake();
    let others = std::fs::read_to_string(other.path().join(".tarn/keys/pseudonym.json")).unwrap();
    let rows = || lake.value("SELECT COUNT(*) AS n FROM web_requests");
    let before = rows();
    for wrong in [key.to_string(), others] {
        std::fs::write(&keys, wrong).unwrap();
        let record = &lake.ingest(&[&log])[0];
        assert_eq!(record["error_kind"], "damaged", "{record}");
        assert_eq!(rows(), before);
    }
    std::fs::write(&keys, sound).unwrap();
    let record = &lake.ingest(&[&log])[0];
    assert_eq!(record["status"], "succeeded", "{record}");
}

#[test]
fn a_missing_file_is_a_fault_and_not_a_shorter_answer() {
    let lake = small_lake();
    let sql = "SELECT COUNT(*) AS n FROM web_requests";
    let before = lake.value(sql);
    for (kind, part) in [
        ("/curated/web_requests/data/", "data"),
        ("-m0.b3_", "manifest"),
        ("/web_requests/metadata/snap-", "manifest_list"),
        (".metadata.json", "metadata"),
    ] {
        let gone = files(&lake, "")
            .into_iter()
            .filter(|path| path.to_str().unwrap().contains("/curated/web_requests/"))
            .rfind(|path| path.to_str().unwrap().contains(kind))
            .unwrap();
        let kept = lake.scratch().join("kept");
        std::fs::rename(&gone, &kept).unwrap();
        let found = faults(&lake);
        let key = gone.strip_prefix(lake.path()).unwrap().to_str().unwrap();
        assert!(
            found
                .iter()
                .any(|fault| fault["key"] == key && fault["part"] == part),
            "{key}: {found:?}"
        );
        let answer = lake.run(&["query", sql]);
        // A former version alone may have needed it.
        assert!(
            !answer.status.success() || found.iter().all(|fault| fault["current"] == false),
            "{key}: {found:?}"
        );
        std::fs::rename(&kept, &gone).unwrap();
    }
    assert_eq!(lake.value(sql), before);
    assert_eq!(faults(&lake), Vec::<Value>::new());
}

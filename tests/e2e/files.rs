//! The files of a lake as other engines read them. `cargo xtask test` makes their Python environment.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value, json};

use crate::lake::{Lake, lines, root};
use crate::older::{counts, older_lake};

/// What a program of `tests/readers` prints.
pub fn python(script: &str, args: &[&str]) -> String {
    let python = std::env::var("TARN_PYTHON")
        .expect("run cargo xtask test: it names a Python with the readers");
    let output = Command::new(python)
        .arg(root().join("tests/readers").join(script))
        .args(args)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{script}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn parquet_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            parquet_files(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "parquet") {
            found.push(path);
        }
    }
}

/// A log of one day, so that a row group has several pages.
fn long_log(lines: usize) -> String {
    let mut log = String::new();
    for line in 0..lines {
        writeln!(
            log,
            "10.{}.{}.7 - {} [05/Jan/2026:{:02}:{:02}:{:02} +0000] \"{} /p/{} HTTP/1.1\" {} {} \"https://shop.example/{}\" \"Agent/{}\"",
            line % 256,
            line / 97 % 256,
            if line % 5 == 0 { "anna" } else { "-" },
            line * 24 / lines,
            line / 60 % 60,
            line % 60,
            if line % 11 == 0 { "POST" } else { "GET" },
            line * 7919 % 3000,
            [200, 200, 200, 304, 404, 500][line % 6],
            line * 31 % 90_000,
            line % 40,
            line / 1000
        )
        .unwrap();
    }
    log
}

#[test]
#[ignore = "needs pyarrow: cargo xtask test runs it"]
fn every_file_of_a_lake_is_of_pages_encodings_and_indexes_that_every_engine_reads() {
    let lake = Lake::new();
    lake.ok(&["demo", "--scale", "0.3"]);
    let log = lake.file("access.log", long_log(150_000));
    lake.ok(&["ingest", log.to_str().unwrap()]);
    lake.ok(&["marts"]);
    lake.ok(&["maintain"]);
    let mut files = Vec::new();
    parquet_files(&lake.path(), &mut files);
    for part in [
        "curated/orders/",
        "curated/web_requests/",
        "quality/quarantine_",
        "quality/results/",
        "analytics/",
    ] {
        let known = |file: &PathBuf| file.to_str().unwrap().contains(part);
        assert!(files.iter().any(known), "no file of {part}");
    }
    let answer = lake.scratch().join("answer.parquet");
    lake.ok(&[
        "query",
        "--format",
        "parquet",
        "--out",
        answer.to_str().unwrap(),
        "SELECT event_time, client_ip, status, bytes, path, is_bot, remote_user FROM web_requests",
    ]);
    let mut args: Vec<&str> = files.iter().map(|file| file.to_str().unwrap()).collect();
    args.extend(["--answers", answer.to_str().unwrap()]);
    let found = lines(&python("parquet_pages.py", &args));
    assert_eq!(found.len(), files.len() + 1);
    for file in &found {
        assert_eq!(file["faults"], json!([]), "{}", file["file"]);
        for (column, encodings) in file["encodings"].as_object().unwrap() {
            for encoding in encodings.as_array().unwrap() {
                let encoding = encoding.as_str().unwrap();
                assert!(
                    ["PLAIN", "RLE_DICTIONARY", "RLE"].contains(&encoding),
                    "{column}: {encoding}"
                );
            }
        }
    }
    // There are chunks of several pages with a dictionary among them.
    let widest = |file: &&Value| file["pages"].as_u64();
    let widest = found.iter().max_by_key(widest).unwrap();
    let columns = widest["encodings"].as_object().unwrap();
    assert!(
        widest["pages"].as_u64().unwrap() > 2 * columns.len() as u64,
        "{widest}"
    );
    let numbered = |encodings: &&Value| {
        encodings
            .as_array()
            .unwrap()
            .contains(&json!("RLE_DICTIONARY"))
    };
    assert!(columns.values().filter(numbered).count() > 5, "{widest}");
}

#[test]
#[ignore = "needs chdb, duckdb, polars, pyarrow and pyiceberg: cargo xtask test runs it"]
fn every_type_at_its_edges_in_every_encoding_is_the_same_to_every_engine() {
    let mut lake = Lake::new();
    let folder = lake.scratch().join("engines");
    let place = folder.to_str().unwrap();
    python("engines.py", &["make", place]);
    lake.contracts = Some(folder.join("contracts"));
    let mut cases: Vec<PathBuf> = folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "ndjson"))
        .collect();
    cases.sort();
    assert!(cases.len() >= 15);
    for path in &cases {
        let to = format!("engines/{}", path.file_stem().unwrap().to_str().unwrap());
        let records = lines(&lake.ok(&["--json", "ingest", "--to", &to, path.to_str().unwrap()]));
        assert_eq!(records[0]["datasets"][0]["rejected"], 0, "{}", records[0]);
    }
    let tables: Map<String, Value> = lake
        .tables()
        .into_iter()
        .filter_map(|table| {
            let name = table["table"]
                .as_str()?
                .strip_prefix("curated.")?
                .to_owned();
            Some((name, table["metadata_location"].clone()))
        })
        .collect();
    assert_eq!(tables.len(), cases.len());
    let files = json!(tables).to_string();
    let differences: Value =
        serde_json::from_str(&python("engines.py", &["judge", place, &files])).unwrap();
    assert_eq!(differences, json!([]));
    let mut files = Vec::new();
    parquet_files(&lake.path().join("curated"), &mut files);
    let args: Vec<&str> = files.iter().map(|file| file.to_str().unwrap()).collect();
    for file in lines(&python("parquet_pages.py", &args)) {
        assert_eq!(file["faults"], json!([]), "{}", file["file"]);
    }
}

#[test]
#[ignore = "needs pyarrow and pyiceberg: cargo xtask test runs it"]
fn an_older_lake_gets_rid_of_the_files_that_not_every_engine_reads() {
    let lake = older_lake();
    lake.ok(&["relocate"]);
    let live = || -> Vec<String> {
        let locations: Vec<String> = lake
            .tables()
            .iter()
            // Rows of `quality.results` are added, and never written again.
            .filter(|table| table["rows"].as_u64() > Some(0) && table["table"] != "quality.results")
            .map(|table| table["metadata_location"].as_str().unwrap().to_owned())
            .collect();
        let args: Vec<&str> = locations.iter().map(String::as_str).collect();
        let found: Value = serde_json::from_str(&python("pyiceberg_places.py", &args)).unwrap();
        let files = found
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|table| table["files"].as_array().unwrap());
        files
            .map(|file| file.as_str().unwrap().replace("file://", ""))
            .collect()
    };
    let checked = |files: &[String]| {
        let args: Vec<&str> = files.iter().map(String::as_str).collect();
        lines(&python("parquet_pages.py", &args))
    };
    let (before, counted) = (live(), counts(&lake));
    assert!(
        checked(&before)
            .iter()
            .all(|file| file["created_by"] == "Polars")
    );
    let keys = raw_keys(&lake.path());
    assert!(keys.len() > 5);
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    lake.ok(&[&["replay"][..], &keys].concat());
    lake.ok(&["marts", "--rebuild"]);
    let after = live();
    for file in checked(&after) {
        assert_eq!(file["faults"], json!([]), "{}", file["file"]);
        assert_eq!(
            file["created_by"],
            concat!("tarn version ", env!("CARGO_PKG_VERSION"))
        );
    }
    for (table, (rows, _)) in counts(&lake) {
        // The first database is older than what the tables have: its rejected row leaves.
        let left = u64::from(table == "quality.quarantine_customers");
        if table != "quality.results" {
            assert_eq!(rows, counted[&table].0 - left, "{table}");
        }
    }
    // The same files again do not change the databases' tables.
    let of_databases = |files: Vec<String>| -> Vec<String> {
        files
            .into_iter()
            .filter(|file| file.contains("/curated/orders/"))
            .collect()
    };
    lake.ok(&[&["replay"][..], &keys].concat());
    assert_eq!(of_databases(live()), of_databases(after));
}

/// The keys of all raw objects, in order.
fn raw_keys(lake: &Path) -> Vec<String> {
    fn walk(lake: &Path, folder: &Path, found: &mut Vec<String>) {
        for entry in folder.read_dir().unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(lake, &path, found)
            } else {
                found.push(
                    path.strip_prefix(lake)
                        .unwrap()
                        .to_str()
                        .unwrap()
                        .to_owned(),
                )
            }
        }
    }
    let mut found = Vec::new();
    walk(lake, &lake.join("raw"), &mut found);
    found.sort();
    found
}

#[test]
#[ignore = "needs pyiceberg: cargo xtask test runs it"]
fn a_lake_below_any_path_works_and_opens_in_pyiceberg() {
    for name in [
        "plain",
        "a b",
        "a#b",
        "a?b",
        "100%",
        "a%20b",
        "%23",
        "a+b",
        "ünïcode",
        "データ",
        "a;b&c=d",
        "a[1]*{x,y}",
        "a'b\"c",
        "tab\there",
        "line\nbreak",
        "file:",
        "a:b",
        "~",
        "#?% +",
    ] {
        let lake = Lake::below(name);
        let log = lake.file("access.log", long_log(50));
        let more = lake.file("more.log", long_log(60));
        let first = lake.ingest(&[&log]);
        lake.ok(&["ingest", more.to_str().unwrap()]);
        // Its rows replace those of its former version.
        lake.ok(&["replay", first[0]["key"].as_str().unwrap()]);
        assert_eq!(
            lake.value("SELECT COUNT(*) AS n FROM web_requests"),
            110,
            "{name:?}"
        );
        lake.ok(&["verify"]);
        let locations: Vec<String> = lake
            .tables()
            .iter()
            .filter(|table| table["versions"].as_u64() > Some(0))
            .map(|table| table["metadata_location"].as_str().unwrap().to_owned())
            .collect();
        let args: Vec<&str> = locations.iter().map(String::as_str).collect();
        let found: Value = serde_json::from_str(&python("pyiceberg_places.py", &args)).unwrap();
        for (location, found) in locations.iter().zip(found.as_array().unwrap()) {
            assert_eq!(found["pyarrow"], found["fsspec"], "{location}");
            if location.contains("/curated/web_requests/") {
                assert_eq!(found["pyarrow"], 110, "{location}");
            }
        }
    }
}

//! Logs: each request counts once, whatever its file is called and however it arrives.

use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::lake::{Lake, lines};

/// A line of an access log; `id` is its path.
pub fn line(id: usize) -> String {
    let (minute, second) = (id / 60 % 60, id % 60);
    format!(
        "203.0.113.7 - - [14/Nov/2025:12:{minute:02}:{second:02} +0000] \"GET /{id} HTTP/1.1\" 200 {id} \"-\" \"x\"\n"
    )
}

/// Lines with these ids.
pub fn log(ids: std::ops::Range<usize>) -> String {
    ids.map(line).collect()
}

pub fn gzip(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes.as_ref()).unwrap();
    encoder.finish().unwrap()
}

/// How often each request is in the table: the ids that are in it more or less than once are named.
pub fn odd(lake: &Lake, ids: impl Iterator<Item = usize>) -> Vec<(usize, u64)> {
    let rows = lake.query("SELECT path, COUNT(*) AS n FROM web_requests GROUP BY path");
    let mut counts: std::collections::BTreeMap<usize, u64> = ids.map(|id| (id, 0)).collect();
    for row in rows {
        let id = row["path"].as_str().unwrap()[1..].parse().unwrap();
        *counts.entry(id).or_default() += row["n"].as_u64().unwrap();
    }
    counts
        .into_iter()
        .filter(|(_, count)| *count != 1)
        .collect()
}

fn outcome(record: &Value) -> &Value {
    &record["datasets"][0]
}

/// Received, accepted and rejected rows of the only outcome.
fn numbers(record: &Value) -> [u64; 3] {
    ["received", "accepted", "rejected"].map(|name| outcome(record)[name].as_u64().unwrap())
}

fn requests(lake: &Lake) -> Value {
    lake.value("SELECT COUNT(*) AS n FROM web_requests")
}

/// The parts of a key after its day.
fn name(record: &Value) -> String {
    let key = record["key"].as_str().unwrap();
    let (_, rest) = key.split_once("ingest_date=").unwrap();
    rest.split_once('/').unwrap().1.to_owned()
}

#[test]
fn folders_distinguish_files_of_one_name() {
    let lake = Lake::new();
    let a = lake.file("a/access.log", log(0..100));
    let b = lake.file("b/access.log", log(0..150));
    let records = lake.ingest(&[&a, &b]);
    assert_eq!(
        records.iter().map(name).collect::<Vec<_>>(),
        ["a/access.log", "b/access.log"]
    );
    assert_eq!(requests(&lake), 250);
    // Lines that both logged count for both, and the run warns about them.
    assert!(
        records[1]["warnings"][0]
            .as_str()
            .unwrap()
            .contains("a/access.log"),
        "{}",
        records[1]
    );
    // One of them alone does not distinguish servers: it is still the same log.
    let grown = lake.file("b/access.log", log(0..160));
    let records = lake.ingest(&[&grown]);
    assert_eq!(
        (name(&records[0]), numbers(&records[0])),
        ("access.log".to_owned(), [10, 10, 0])
    );
    assert_eq!(requests(&lake), 260);
}

#[test]
fn folders_of_two_servers_and_the_same_file_twice() {
    let lake = Lake::new();
    for server in ["one", "two"] {
        lake.file(&format!("{server}/access.log"), log(0..5));
        lake.file(&format!("{server}/{server}.log"), log(10..15));
    }
    let folder = lake.scratch().join("files");
    let (one, two) = (folder.join("one"), folder.join("two"));
    let records = lake.ingest(&[&one, &two, &one.join("one.log")]);
    let mut names: Vec<String> = records.iter().map(name).collect();
    names.sort();
    assert_eq!(
        names,
        ["one.log", "one/access.log", "two.log", "two/access.log"]
    );
    // Names that nothing distinguishes belong to one folder: the second is a copy.
    assert_eq!(requests(&lake), 15);
    let again = lake.ingest(&[&one, &two]);
    assert!(
        again.iter().all(|record| record["status"] == "skipped"),
        "{again:?}"
    );
    assert_eq!(requests(&lake), 15);
}

#[test]
fn a_log_that_is_renamed_copied_linked_or_compressed_counts_once() {
    let lake = Lake::new();
    let first = lake.file("access.log", log(0..250));
    let run = lake.ingest(&[&first])[0]["run_id"].clone();
    let linked = first.with_file_name("linked.log");
    std::fs::hard_link(&first, &linked).unwrap();
    let members: Vec<u8> = log(0..250)
        .as_bytes()
        .chunks(1_000)
        .flat_map(gzip)
        .collect();
    let others = [
        lake.file("access.log.1", log(0..250)),
        lake.file("access.log.2.gz", gzip(log(0..250))),
        lake.file("members.log.gz", members),
        lake.file("shorter.log", log(0..100)),
        lake.file("cut.log", &log(0..100)[..5_000]),
        linked,
    ];
    for other in &others {
        let record = &lake.ingest(&[other])[0];
        assert_eq!(numbers(record), [0, 0, 0], "{record}");
        let before = &outcome(record)["taken_before"];
        assert_eq!(before["run_id"], run, "{record}");
        assert!(
            before["key"].as_str().unwrap().ends_with("/access.log"),
            "{record}"
        );
    }
    assert_eq!(requests(&lake), 250);
    let shown = lake.run(&["ingest", others[0].to_str().unwrap()]);
    assert!(shown.status.success());
    // All of it is new on demand.
    let output = lake
        .command()
        .args(["--json", "ingest", "--as-new"])
        .arg(&others[0])
        .output()
        .unwrap();
    assert!(output.status.success());
    let record = &lines(&String::from_utf8(output.stdout).unwrap())[0];
    assert_eq!(numbers(record), [250, 250, 0], "{record}");
    assert_eq!(requests(&lake), 500);
}

#[test]
fn a_log_that_grows_adds_only_its_new_lines() {
    let lake = Lake::new();
    let grow = |name: &str, content: &[u8]| lake.ingest(&[&lake.file(name, content)])[0].clone();
    assert_eq!(
        numbers(&grow("access.log", log(0..250).as_bytes())),
        [250, 250, 0]
    );
    let second = grow("access.log", log(0..300).as_bytes());
    assert_eq!(numbers(&second), [50, 50, 0]);
    assert_eq!(outcome(&second)["taken_before"]["lines"], 250, "{second}");
    let bytes = log(0..250).len();
    assert_eq!(outcome(&second)["taken_before"]["bytes"], bytes, "{second}");
    // Renamed and grown since, then compressed and grown again.
    assert_eq!(
        numbers(&grow("access.log.1", log(0..310).as_bytes())),
        [10, 10, 0]
    );
    assert_eq!(
        numbers(&grow("access.log.2.gz", &gzip(log(0..320)))),
        [10, 10, 0]
    );
    // Blank lines at the end do not count.
    let blank = grow("blank.log", (log(0..320) + "\n\n").as_bytes());
    assert_eq!(numbers(&blank), [0, 0, 0], "{blank}");
    assert_eq!(odd(&lake, 0..320), []);
    // Rows know their place in the whole object.
    let place = lake.query("SELECT _source_offset FROM web_requests WHERE path = '/305'");
    assert_eq!(place[0]["_source_offset"], log(0..305).len());
    assert_eq!(
        lake.value("SELECT COUNT(DISTINCT _source_uri) AS n FROM web_requests"),
        3
    );
}

#[test]
fn every_form_of_rotation_counts_each_request_once() {
    // goaccess #334 and #608, matomo-log-analytics #144: a log grows, is renamed, and compressed.
    let lake = Lake::new();
    lake.ingest(&[&lake.file("day1/access.log", log(1..3))]);
    lake.file("day2/access.log.1", log(1..4));
    lake.file("day2/access.log.2.gz", gzip(log(1..4)));
    lake.ingest(&[&lake.scratch().join("files/day2")]);
    assert_eq!(odd(&lake, 1..4), []);

    // Copied and cut off: the live file begins again under its old name, and the copy comes late and has
    // lines that no run has seen.
    let lake = Lake::new();
    let path = lake.file("access.log", log(0..40));
    lake.ingest(&[&path]);
    lake.ingest(&[&lake.file("access.log", log(60..80))]);
    lake.ingest(&[&lake.file("access.log.1", log(0..60))]);
    lake.ingest(&[&lake.file("access.log.1", log(0..60))]);
    lake.ingest(&[&lake.file("access.log", log(60..90))]);
    assert_eq!(odd(&lake, 0..90), []);
}

#[test]
fn a_line_that_was_cut_off_is_ingested_whole_when_the_rest_comes() {
    let whole = |end: usize| log(0..end).replace(" \"-\" \"x\"", "");
    for (missing, first) in [
        // In the middle of the number of bytes: it would be a row that looks right and is wrong.
        (2, [11, 10, 1]),
        // In the middle of the request: no row.
        (20, [11, 10, 1]),
        // Only the end of the line is missing, which cannot be seen.
        (1, [11, 10, 1]),
    ] {
        let text = whole(20);
        let cut = whole(11).len() - missing;
        let lake = Lake::new();
        let record = &lake.ingest(&[&lake.file("access.log", &text[..cut])])[0];
        assert_eq!(numbers(record), first, "{record}");
        let grown = &lake.ingest(&[&lake.file("access.log.1", &text)])[0];
        assert_eq!(numbers(grown), [10, 10, 0], "{grown}");
        let completed = &outcome(grown)["completed"];
        assert_eq!(completed["offset"], whole(10).len(), "{grown}");
        assert_eq!(
            [&completed["accepted"], &completed["rejected"]],
            [&json!(1 - first[2]), &json!(first[2])],
            "{grown}"
        );
        assert_eq!(odd(&lake, 0..20), [], "cut at {cut}");
        assert_eq!(
            lake.value("SELECT SUM(bytes) AS n FROM web_requests"),
            (0..20).sum::<usize>()
        );
        assert_eq!(
            lake.value("SELECT COUNT(*) AS n FROM quarantine_web_requests"),
            0
        );
        // The part that was cut off comes again.
        for end in [cut, whole(1).len(), text.len() - 5] {
            lake.ingest(&[&lake.file(&format!("{end}.log"), &text[..end])]);
            assert_eq!(requests(&lake), 20, "cut at {end}");
        }
        // A replay of the first reads only its own part.
        for _ in 0..2 {
            lake.ok(&["backfill", "--from", "2020-01-01", "--to", "2100-01-01"]);
            lake.ok(&["replay", record["key"].as_str().unwrap()]);
            lake.ok(&["replay", grown["key"].as_str().unwrap()]);
            assert_eq!(odd(&lake, 0..20), [], "cut at {cut}");
        }
    }
}

#[test]
fn a_log_that_begins_in_the_middle_of_its_first_line_goes_on() {
    let lake = Lake::new();
    let text = log(0..3);
    for end in [30, 50, line(0).len() - 1, line(0).len(), text.len()] {
        lake.ingest(&[&lake.file("access.log", &text[..end])]);
    }
    assert_eq!(odd(&lake, 0..3), []);
    assert_eq!(
        lake.value("SELECT COUNT(*) AS n FROM quarantine_web_requests"),
        0
    );
}

#[test]
fn equal_lines_of_one_file_are_requests_of_their_own() {
    let lake = Lake::new();
    let text = line(1).repeat(5);
    lake.ingest(&[&lake.file("access.log", &text)]);
    assert_eq!(requests(&lake), 5);
    lake.ingest(&[&lake.file("access.log", text.clone() + &line(1))]);
    assert_eq!(requests(&lake), 6);
    // Fewer of them are part of what was ingested.
    lake.ingest(&[&lake.file("other.log", line(1).repeat(2))]);
    assert_eq!(requests(&lake), 6);
}

#[test]
fn other_content_under_an_old_name_adds_rows_and_replaces_them_only_on_demand() {
    let lake = Lake::new();
    let first = lake.ingest(&[&lake.file("access.log", log(0..10) + "broken\n")])[0].clone();
    let second = lake.ingest(&[&lake.file("access.log", log(20..30) + "other\n")])[0].clone();
    assert_eq!(second["key"], first["key"]);
    let warning = second["warnings"][0].as_str().unwrap();
    assert!(
        warning.contains("does not continue it") && warning.contains("--replace"),
        "{warning}"
    );
    assert_eq!(requests(&lake), 20);
    // A replay reads both versions again, each as it was.
    let records = lines(&lake.ok(&["--json", "replay", "--dataset", "web_requests"]));
    let versions: Vec<&Value> = records.iter().map(|record| &record["version"]).collect();
    assert_eq!(versions, [&first["version"], &second["version"]]);
    assert_eq!(requests(&lake), 20);
    assert_eq!(
        lake.value("SELECT COUNT(*) AS n FROM quarantine_web_requests"),
        2
    );

    let key = first["key"].as_str().unwrap();
    let would = lines(&lake.ok(&["--json", "replay", "--dry-run", "--replace", key]));
    assert_eq!(would[0]["rows_change"], -10, "{would:?}");
    assert_eq!(requests(&lake), 20);
    lake.ok(&["replay", "--replace", key]);
    let paths = lake.query("SELECT path FROM web_requests ORDER BY _source_offset");
    assert_eq!((paths.len(), &paths[0]["path"]), (10, &json!("/20")));
    assert_eq!(
        lake.value("SELECT COUNT(*) AS n FROM quarantine_web_requests"),
        1
    );
    // Replaced lines are no longer remembered: they are new when they come again.
    lake.ingest(&[&lake.file("other.log", log(0..10))]);
    assert_eq!(requests(&lake), 20);
    // This does not exist for objects that are not logs.
    let output = lake.run(&["replay", "--replace", "raw/shop/database/x.sqlite"]);
    assert!(!output.status.success());
}

/// A lake with a contract of JSON lines that have no identifier.
fn visits(mode: &str, id: &str) -> Lake {
    let text = format!(
        r#"apiVersion: v3.1.0
kind: DataContract
id: visits
name: visits
version: 1.0.0
status: active
description: {{ purpose: Visits. }}
customProperties:
  - {{ property: sourceFormat, value: jsonLines }}
  - {{ property: keyPattern, value: "raw/shop/visits/**" }}
  - {{ property: schemaDrift, value: {mode} }}
schema:
  - name: visits
    properties:
      - {{ name: id, description: Number., required: true, {id} }}
"#
    );
    Lake::with_contract("visits.odcs.yaml", &text)
}

#[test]
fn json_lines_grow_too_and_a_new_column_comes_with_the_new_lines() {
    let lake = visits("evolve", "logicalType: integer, physicalType: bigint");
    let rows = |ids: std::ops::Range<usize>, more: &str| -> String {
        ids.map(|id| format!("{{\"id\":{id}{more}}}\n")).collect()
    };
    let first = rows(0..10, "") + "broken\n";
    lake.ingest(&[&lake.file("visits.jsonl", &first)]);
    let grown = first.clone() + &rows(10..15, ",\"page\":\"/a\"") + "{\"id\":\"x\"}\n";
    let record = &lake.ingest(&[&lake.file("visits.jsonl", &grown)])[0];
    assert_eq!(numbers(record), [6, 5, 1], "{record}");
    let place = |rule: &str| {
        let sql =
            format!("SELECT _line, _source_offset FROM quarantine_visits WHERE _rule = '{rule}'");
        lake.query(&sql)[0].clone()
    };
    assert_eq!(place("id.type")["_line"], 17);
    assert_eq!(place("id.type")["_source_offset"], grown.len() - 11);
    // The payload is found in the version that added it; a payload that was cut off is not.
    let listed = lines(&lake.ok(&["--json", "quarantine"]));
    for (row, payload) in listed.iter().zip(["broken", "{\"id\":\"x\"}"]) {
        let number = row["number"].to_string();
        let shown = lines(&lake.ok(&["--json", "quarantine", &number, "--payload"]));
        assert_eq!(shown[0]["payload"], payload, "{row}");
    }
    let would = lines(&lake.ok(&["--json", "replay", "--dry-run"]));
    assert_eq!(
        (&would[0]["in_quarantine"], &would[0]["rows_change"]),
        (&json!(2), &json!(0))
    );
    let records = lines(&lake.ok(&["--json", "replay"]));
    assert_eq!(
        records.iter().map(numbers).collect::<Vec<_>>(),
        [[11, 10, 1], [6, 5, 1]]
    );
    assert_eq!(lake.value("SELECT COUNT(*) AS n FROM visits"), 15);
    assert_eq!(lake.value("SELECT COUNT(page) AS n FROM visits"), 5);
    assert_eq!(lake.value("SELECT COUNT(*) AS n FROM quarantine_visits"), 2);
}

#[test]
fn a_replay_under_a_corrected_contract_reads_only_what_each_version_added() {
    // All of it is rejected, the last line of the first was cut off, and a copy comes as well.
    let id = |longest: u32| {
        format!(
            "logicalType: string, physicalType: string, logicalTypeOptions: {{ maxLength: {longest} }}"
        )
    };
    let mut lake = visits("warn", &id(1));
    let rows = |ids: std::ops::Range<usize>| -> String {
        ids.map(|id| format!("{{\"id\":\"n{id}\"}}\n")).collect()
    };
    let text = rows(0..20);
    let cut = rows(0..10).len() + 5;
    lake.ingest(&[&lake.file("visits.jsonl", &text[..cut])]);
    lake.ingest(&[&lake.file("visits.jsonl", &text)]);
    lake.ingest(&[&lake.file("copy.jsonl.gz", gzip(&text))]);
    assert_eq!(
        lake.value("SELECT COUNT(*) AS n FROM quarantine_visits"),
        20
    );
    let contracts = lake.contracts.clone().unwrap().join("visits.odcs.yaml");
    let strict = std::fs::read_to_string(&contracts).unwrap();
    let corrected = strict
        .replace(&id(1), &id(10))
        .replace("version: 1.0.0", "version: 1.1.0");
    let other = lake.scratch().join("corrected");
    std::fs::create_dir_all(&other).unwrap();
    std::fs::write(other.join("visits.odcs.yaml"), corrected).unwrap();
    lake.contracts = Some(other);
    let would = lines(&lake.ok(&["--json", "replay", "--dry-run"]));
    assert_eq!(
        (&would[0]["would_pass"], &would[0]["rows_change"]),
        (&json!(20), &json!(20)),
        "{would:?}"
    );
    lake.ok(&["replay"]);
    assert_eq!(lake.value("SELECT COUNT(*) AS n FROM quarantine_visits"), 0);
    assert_eq!(lake.value("SELECT COUNT(*) AS n FROM visits"), 20);
    assert_eq!(lake.value("SELECT COUNT(DISTINCT id) AS n FROM visits"), 20);
}

#[test]
fn a_large_copy_of_another_folder_counts_once() {
    let lake = Lake::new();
    let text = log(0..2_000);
    assert!(text.len() > 100 << 10);
    let (a, b) = (
        lake.file("a/access.log", &text),
        lake.file("b/access.log", &text),
    );
    let records = lake.ingest(&[&a, &b]);
    assert_eq!(numbers(&records[1]), [0, 0, 0], "{}", records[1]);
    assert_eq!(requests(&lake), 2_000);
    // The logs differ after many lines: the lines that both have were ingested.
    let other = text.clone() + &log(3_000..3_010);
    lake.ingest(&[&lake.file("access.log", text + &log(2_000..2_100))]);
    let record = &lake.ingest(&[&lake.file("access.log.1", other)])[0];
    assert_eq!(numbers(record), [10, 10, 0], "{record}");
    assert_eq!(requests(&lake), 2_110);
}

#[test]
fn every_path_has_an_outcome_of_its_own() {
    let lake = Lake::new();
    lake.file("in/good.log", log(0..3));
    lake.file("in/deep/also.log", log(10..13));
    let folder = lake.scratch().join("files/in");
    std::os::unix::fs::symlink("nowhere", folder.join("dangling.log")).unwrap();
    std::os::unix::fs::symlink("..", folder.join("deep/up")).unwrap();
    let pipe = folder.join("pipe.log");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let odd: PathBuf = {
        use std::os::unix::ffi::OsStrExt;
        folder.join(std::ffi::OsStr::from_bytes(b"odd-\xff.log"))
    };
    std::fs::write(&odd, line(0)).unwrap();
    let output = lake
        .command()
        .args(["--json", "ingest"])
        .args([
            &folder,
            Path::new("/no/such/file.log"),
            Path::new("/dev/null"),
        ])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let records = lines(&String::from_utf8(output.stdout).unwrap());
    let failed: Vec<&Value> = records
        .iter()
        .filter(|record| record["status"] == "failed")
        .collect();
    assert_eq!((records.len(), failed.len()), (7, 5), "{records:#?}");
    for part in [
        "not UTF-8",
        "a pipe",
        "a link to a file that is not there",
        "cannot be read",
        "a device",
    ] {
        let named = failed
            .iter()
            .filter(|record| record["reason"].as_str().unwrap().contains(part));
        assert_eq!(named.count(), 1, "{part}: {failed:#?}");
    }
    assert_eq!(requests(&lake), 6);
    let shown = lake.command().arg("ingest").arg(&pipe).output().unwrap();
    assert_eq!(shown.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&shown.stderr).contains("save what it gives to a file"));
}

#[test]
fn two_files_that_would_be_one_object_are_refused_by_themselves() {
    let lake = Lake::new();
    let (one, two) = (
        lake.file("_as-new/x.log", log(0..3)),
        lake.file("as-new/x.log", log(10..13)),
    );
    let output = lake
        .command()
        .args(["--json", "ingest"])
        .args([&one, &two])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let records = lines(&String::from_utf8(output.stdout).unwrap());
    assert!(
        records[1]["reason"]
            .as_str()
            .unwrap()
            .contains("would both be"),
        "{records:?}"
    );
    assert_eq!(requests(&lake), 3);
}

#[test]
fn a_log_of_a_lake_from_before_contents_were_recognised_goes_on_where_that_left_it() {
    let lake = Lake::new();
    let half = log(10..13) + &line(13)[..40];
    let first = lake.ingest(&[&lake.file("access.log", log(0..10) + "broken\n")])[0].clone();
    lake.ingest(&[&lake.file("half.log", &half)]);
    let state = Connection::open(lake.path().join(".tarn/lake.sqlite")).unwrap();
    let forgotten = state.execute("DELETE FROM ledger_state WHERE name LIKE 'content/%'", []);
    assert_eq!(forgotten.unwrap(), 3);
    let would = lines(&lake.ok(&["--json", "replay", "--dry-run"]));
    assert_eq!(would[0]["rows_change"], 0, "{would:?}");
    // A copy, the same log grown, and one whose last line was cut off.
    let copy = lake.ingest(&[&lake.file("copy.log.gz", gzip(log(0..10)))])[0].clone();
    assert_eq!(numbers(&copy), [0, 0, 0], "{copy}");
    assert_eq!(outcome(&copy)["taken_before"]["run_id"], first["run_id"]);
    let grown = log(0..10) + "broken\n" + &log(20..25);
    let record = &lake.ingest(&[&lake.file("access.log", grown)])[0];
    assert_eq!(numbers(record), [5, 5, 0], "{record}");
    let record = &lake.ingest(&[&lake.file("half.log", log(10..20))])[0];
    assert_eq!(numbers(record), [7, 7, 0], "{record}");
    assert_eq!(odd(&lake, 0..25), []);
    lake.ok(&["replay"]);
    assert_eq!(odd(&lake, 0..25), []);
    assert_eq!(
        lake.value("SELECT COUNT(*) AS n FROM quarantine_web_requests"),
        1
    );
}

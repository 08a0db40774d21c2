//! Ten thousand damaged files of every kind: each row of each of them is accepted or rejected, or the run
//! fails and names its cause. Nothing panics, and no failure is Tarn's own fault.

use std::collections::BTreeSet;
use std::path::Path;

use crate::dice::Dice;
use crate::lake::{Lake, assert_accounted, lines, root};

/// Files in one lake: a longer history makes each commit slower and shows nothing more.
const PER_LAKE: usize = 100;

/// Bytes that parsers often get wrong.
const STRAY: [&[u8]; 24] = [
    b"\0",
    b"\n",
    b"\r\n",
    b"\"",
    b"\\",
    b"\\\"",
    b"\\u0000",
    b"\\ud800",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"-",
    b"\xff\xfe",
    b"\xc3\x28",
    b"\xef\xbb\xbf",
    b"1e999999",
    b"-9223372036854775809",
    b"99999999999999999999999999999999999999999",
    b"0000-00-00T25:61:61Z",
    b"null",
    "\u{202e}\u{1f4a9}".as_bytes(),
];

/// A file with one to eight faults; parts of another file are one kind of fault.
fn damaged(sound: &[u8], other: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = sound.to_vec();
    for _ in 0..=dice.below(8) {
        let range = dice.range(bytes.len(), 64);
        match dice.below(9) {
            0 => {
                let at = dice.below(bytes.len());
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << dice.below(8);
                }
            }
            1 => bytes[range]
                .iter_mut()
                .for_each(|byte| *byte = dice.next() as u8),
            2 => drop(bytes.drain(range)),
            3 => {
                let again = bytes[range.clone()].to_vec();
                bytes.splice(range.end..range.end, again);
            }
            4 => bytes.truncate(range.start),
            5 => bytes[range].fill(0),
            6 => {
                let stray = STRAY[dice.below(STRAY.len())];
                bytes.splice(range.start..range.start, stray.iter().copied());
            }
            7 => {
                let part = other[dice.range(other.len(), 4096)].to_vec();
                bytes.splice(range, part);
            }
            _ => {
                let stray = STRAY[dice.below(STRAY.len())];
                bytes.splice(range, stray.iter().copied());
            }
        }
    }
    bytes
}

fn fixtures(folder: &str) -> Vec<Vec<u8>> {
    let mut files: Vec<_> = std::fs::read_dir(root().join("events").join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

/// The result of ingesting the files of a folder into one lake.
fn judge(
    lake: &Lake,
    folder: &Path,
    files: usize,
    to: &str,
    rows_are_lines: bool,
) -> BTreeSet<String> {
    let output = lake
        .command()
        .args(["--json", "ingest", "--to", to])
        .arg(folder)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!errors.contains("panicked"), "{errors}");
    assert!(matches!(output.status.code(), Some(0 | 1 | 4)), "{errors}");
    let records = lines(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(records.len(), files, "{errors}");
    let mut sums = std::collections::BTreeMap::<String, (u64, u64)>::new();
    let (mut causes, mut replaced) = (BTreeSet::new(), 0);
    for record in &records {
        assert_accounted(record);
        match record["status"].as_str().unwrap() {
            "succeeded" => {}
            "failed" => {
                let cause = record["error_kind"].as_str().unwrap();
                assert_ne!(cause, "internal", "{record}");
                causes.insert(cause.to_owned());
                continue;
            }
            other => panic!("{other}: {record}"),
        }
        for outcome in record["datasets"].as_array().unwrap() {
            let number = |name: &str| outcome[name].as_u64().unwrap_or_default();
            let sums = sums
                .entry(outcome["dataset"].as_str().unwrap().to_owned())
                .or_default();
            sums.0 += number("accepted");
            // Posts that came again have replaced the earlier ones.
            replaced += crate::lake::replaced(outcome);
            sums.1 += number("rejected");
            // A log that is cut off and one that goes on have lines in common, which count once.
            let before = outcome["taken_before"]["lines"]
                .as_u64()
                .unwrap_or_default();
            let completed = &outcome["completed"];
            sums.0 -= completed["accepted"].as_u64().unwrap_or_default();
            sums.1 -= completed["rejected"].as_u64().unwrap_or_default();
            if rows_are_lines {
                let name = record["key"].as_str().unwrap().rsplit_once('/').unwrap().1;
                let content = std::fs::read(folder.join(name)).unwrap();
                let read = number("received") + number("blank") + before;
                let lines = count_lines(&content);
                // Two events that came to be on one line are two rows.
                let is_more = to == "ads/events" && (read > lines || !is_read_by_lines(&content));
                assert!(read == lines || is_more, "{read} of {lines}: {record}");
            }
            if let Some(found) = outcome["reconciliation"].as_object() {
                assert_eq!(found["source_rows"], found["read_rows"], "{record}");
                assert_eq!(found["source_rows"], number("received"), "{record}");
            }
        }
    }
    // The tables hold what the runs say. A database replaces the rows of the one before.
    if to != "shop/database" {
        for (dataset, (accepted, rejected)) in sums {
            let count = |table: &str| lake.value(&format!("SELECT COUNT(*) AS n FROM {table}"));
            assert_eq!(count(&dataset), accepted - replaced, "{dataset}");
            assert_eq!(
                count(&format!("quarantine_{dataset}")),
                rejected,
                "{dataset}"
            );
        }
    }
    causes
}

/// Whether events are read line by line: not where they are in an array, or one is spread over lines.
fn is_read_by_lines(content: &[u8]) -> bool {
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    let first = content
        .trim_ascii_start()
        .split(|&byte| byte == b'\n')
        .next();
    let first = first.unwrap_or_default().trim_ascii_end();
    !first.starts_with(b"[") && first != b"{"
}

fn count_lines(content: &[u8]) -> u64 {
    // A byte order mark is not part of the text.
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    let ended = content.iter().filter(|&&byte| byte == b'\n').count() as u64;
    ended + u64::from(content.last().is_some_and(|&last| last != b'\n'))
}

/// Damages the sound files in turn, `total` times.
fn ingest_damaged(sound: &[Vec<u8>], total: usize, to: &str, rows_are_lines: bool) {
    let mut dice = Dice(to.bytes().map(u64::from).sum());
    let (mut causes, mut made) = (BTreeSet::new(), 0);
    while made < total {
        let lake = Lake::new();
        let folder = lake.scratch().join("damaged");
        std::fs::create_dir(&folder).unwrap();
        let files = PER_LAKE.min(total - made);
        for number in made..made + files {
            let other = &sound[dice.below(sound.len())];
            let content = damaged(&sound[number % sound.len()], other, &mut dice);
            std::fs::write(folder.join(format!("{number:05}")), content).unwrap();
        }
        causes.extend(judge(&lake, &folder, files, to, rows_are_lines));
        made += files;
    }
    eprintln!("{to}: {total} files, failed runs of the kinds {causes:?}");
}

fn is_gzip(content: &[u8]) -> bool {
    content.starts_with(&[0x1f, 0x8b])
}

#[test]
fn of_4000_damaged_access_logs_every_line_is_accounted_for() {
    let mut plain = fixtures("access_log");
    plain.retain(|content| !is_gzip(content));
    ingest_damaged(&plain, 4_000, "web/access_logs", true);
}

#[test]
fn of_2500_damaged_event_files_every_line_is_accounted_for() {
    let mut plain = fixtures("ads");
    plain.retain(|content| !is_gzip(content));
    ingest_damaged(&plain, 2_500, "ads/events", true);
}

#[test]
fn of_2400_damaged_files_of_posts_every_post_is_accounted_for() {
    ingest_damaged(&fixtures("social"), 2_400, "social/posts", false);
}

#[test]
fn of_500_damaged_gzip_files_every_row_is_accounted_for() {
    for (folder, to) in [("access_log", "web/access_logs"), ("ads", "ads/events")] {
        let mut packed = fixtures(folder);
        packed.retain(|content| is_gzip(content));
        ingest_damaged(&packed, 250, to, false);
    }
}

#[test]
fn of_600_damaged_databases_every_row_is_accounted_for() {
    let lake = Lake::new();
    let out = lake.scratch().join("sound");
    let arguments = ["--seed", "3", "--days", "8", "--scale", "0.002"];
    lake.ok(&[
        &["generate", "--out", out.to_str().unwrap()][..],
        &arguments,
    ]
    .concat());
    let databases: Vec<Vec<u8>> = std::fs::read_dir(out.join("shop/database"))
        .unwrap()
        .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
        .collect();
    assert!(!databases.is_empty());
    ingest_damaged(&databases, 600, "shop/database", false);
}

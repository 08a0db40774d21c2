//! The folder of a lake: what killed processes leave in it, who may read it, and a state that is lost.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::lake::{Lake, binary, lines};
use crate::older::{counts, older_lake};

fn start(lake: &Lake, args: &[&str]) -> Child {
    lake.command()
        .args(args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in entries(folder) {
        if path.is_dir() {
            found.extend(files_below(&path))
        } else {
            found.push(path)
        }
    }
    found
}

/// A log that takes a while to ingest.
fn big_log(lake: &Lake, name: &str) -> PathBuf {
    let line = |number: u32| {
        format!(
            "203.0.113.{} - - [01/Jan/2026:12:{:02}:{:02} +0000] \"GET /p/{number} HTTP/1.1\" 200 7 \"-\" \"curl/8.{name}\"\n",
            number % 250,
            number / 60 % 60,
            number % 60,
        )
    };
    lake.file(
        &format!("{name}.log"),
        (0..400_000).map(line).collect::<String>(),
    )
}

/// Waits until something is in staging besides what was there.
fn wait_for_staging(staging: &Path, before: usize) {
    let begin = Instant::now();
    while files_below(staging).len() <= before {
        assert!(
            begin.elapsed() < Duration::from_secs(60),
            "nothing is staged"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn the_next_command_removes_what_a_killed_ingest_left_and_keeps_what_a_running_one_holds() {
    let lake = Lake::new();
    lake.ok(&["keys", "rotate"]);
    let staging = lake.path().join(".tarn/staging");
    let logs = ["killed", "living"].map(|name| big_log(&lake, name));
    let arguments = |log: &Path| {
        ["ingest", "--to", "web/access_logs", log.to_str().unwrap()].map(str::to_owned)
    };
    let spawn = |log: &Path| {
        let args = arguments(log);
        start(&lake, &args.iter().map(String::as_str).collect::<Vec<_>>())
    };
    for kill in 0..4 {
        let mut killed = spawn(&logs[0]);
        wait_for_staging(&staging, 0);
        std::thread::sleep(Duration::from_millis(15 * kill));
        killed.kill().unwrap();
        killed.wait().unwrap();
        let left = files_below(&staging).len();
        // Another process works at the same time, and maintenance runs beside it.
        let mut living = spawn(&logs[1]);
        for _ in 0..5 {
            lake.ok(&["maintain"]);
        }
        assert!(living.wait().unwrap().success());
        eprintln!("{left} files were left and are gone");
        lake.ok(&["tables"]);
        assert_eq!(entries(&staging), Vec::<PathBuf>::new());
    }
    let args = arguments(&logs[0]);
    lake.ok(&args.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(
        lake.value("SELECT COUNT(*) AS n FROM web_requests"),
        800_000
    );
    let locks = lake.path().join(".tarn/locks");
    lake.ok(&["maintain"]);
    assert_eq!(entries(&locks), Vec::<PathBuf>::new());
}

#[test]
fn maintenance_of_an_older_lake_leaves_nothing_of_stopped_processes_and_tightens_it() {
    let lake = older_lake();
    let at = |path: &str| lake.path().join(path);
    let left = at(".tarn/staging/put-5997558b4092434ab8269ca8f35d713f");
    std::fs::write(&left, "a raw object").unwrap();
    let report = at(".tarn/versions/results/reports/x.html");
    std::fs::create_dir_all(&report).unwrap();
    std::fs::write(report.join("17-18ec"), "a report").unwrap();
    lake.ok(&["maintain"]);
    assert!(!left.exists() && !report.exists());
    for (folder, names) in [("raw", 2), (".tarn", 1)] {
        let mut paths = files_below(&at(folder));
        assert!(paths.len() > names);
        paths.push(at(folder));
        for path in paths {
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{}", path.display());
        }
    }
    for table in lake.tables() {
        let location = table["metadata_location"].as_str().unwrap();
        let path = location.strip_prefix("file://").unwrap();
        let mode = std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644, "{location}");
    }
    let json = lines(&lake.ok(&["--json", "maintain"]));
    let folder = &json.last().unwrap()["folder"];
    assert_eq!(folder["staging"]["entries"], 0, "{folder}");
    assert_eq!(folder["tightened"], 0, "{folder}");
}

/// The name of a loss, and what it does to the state file.
type Loss = (&'static str, fn(&Path));

/// Ways in which the state file is lost.
fn losses() -> [Loss; 6] {
    [
        ("empty", |state| std::fs::write(state, "").unwrap()),
        ("missing", |state| std::fs::remove_file(state).unwrap()),
        ("no database", |state| {
            std::fs::write(
                state,
                "this is a text, and a long one at that, which SQLite refuses",
            )
            .unwrap();
        }),
        ("cut", |state| {
            let content = std::fs::read(state).unwrap();
            std::fs::write(state, &content[..8192]).unwrap();
        }),
        ("a new one", |state| {
            std::fs::remove_file(state).unwrap();
            let other = Lake::new();
            other.ok(&["keys", "rotate"]);
            std::fs::copy(other.path().join(".tarn/lake.sqlite"), state).unwrap();
        }),
        ("zeros", |state| {
            let size = std::fs::metadata(state).unwrap().len() as usize;
            std::fs::write(state, vec![0; size]).unwrap();
        }),
    ]
}

#[test]
fn a_folder_with_data_and_a_lost_state_is_not_an_empty_lake() {
    for (how, lose) in losses() {
        let lake = older_lake();
        lake.ok(&["tables"]);
        let state = lake.path().join(".tarn/lake.sqlite");
        lose(&state);
        let before = state.exists().then(|| std::fs::read(&state).unwrap());
        let log = lake.file("new.log", "");
        for args in [
            &["tables"][..],
            &["query", "SELECT COUNT(*) AS n FROM orders"],
            &["status"],
            &["marts"],
            &["maintain"],
            &["verify"],
            &["relocate"],
            &["ingest", "--to", "web/access_logs", log.to_str().unwrap()],
        ] {
            let output = lake.run(args);
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success(), "{how} {args:?}");
            assert!(
                error.contains("make the lake again from its raw zone"),
                "{how} {args:?}: {error}"
            );
        }
        let after = state.exists().then(|| std::fs::read(&state).unwrap());
        assert_eq!(after, before, "{how}: nothing is made in its place");
    }
}

#[test]
fn a_state_of_a_newer_program_is_refused_and_left() {
    let lake = older_lake();
    let state = lake.path().join(".tarn/lake.sqlite");
    rusqlite::Connection::open(&state)
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    for args in [&["tables"][..], &["verify"], &["maintain"]] {
        let output = lake.run(args);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && error.contains("newer Tarn"),
            "{error}"
        );
    }
}

#[test]
fn a_raw_zone_that_was_prepared_by_hand_becomes_a_lake() {
    let lake = Lake::new();
    let raw = lake
        .path()
        .join("raw/web/access_logs/ingest_date=2026-01-01");
    std::fs::create_dir_all(&raw).unwrap();
    let line = "203.0.113.9 - - [01/Jan/2026:12:00:00 +0000] \"GET / HTTP/1.1\" 200 7 \"-\" \"curl/8.5.0\"\n";
    std::fs::write(raw.join("access.log"), line).unwrap();
    lake.ok(&["ingest", lake.path().join("raw").to_str().unwrap()]);
    assert_eq!(lake.value("SELECT COUNT(*) AS n FROM web_requests"), 1);
}

fn shell(script: &str, folder: &Path) {
    let path = std::env::var("PATH").unwrap();
    let programs = tempfile::tempdir().unwrap();
    let tarn = programs.path().join("tarn");
    std::os::unix::fs::symlink(crate::lake::binary(), tarn).unwrap();
    let output = Command::new("sh")
        .args(["-e", "-c", script])
        .current_dir(folder)
        .env("PATH", format!("{}:{path}", programs.path().display()))
        .env_remove("TARN_LAKE")
        .env_remove("TARN_CONTRACTS")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{script}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_lake_is_made_again_from_its_raw_zone_as_the_runbook_says() {
    let lake = older_lake();
    let sums = |lake: &Lake| -> Vec<Value> {
        [
            "SELECT currency, SUM(net_sales) AS net FROM daily_sales GROUP BY currency ORDER BY currency",
            "SELECT SUM(bytes) AS bytes FROM web_requests",
            "SELECT SUM(cost) AS cost FROM ad_events",
            // The same people have the same pseudonyms.
            "SELECT COUNT(DISTINCT session_id) AS n, MIN(session_id) AS one FROM ad_events",
        ]
        .iter()
        .flat_map(|sql| lake.query(sql))
        .collect()
    };
    let rows = |lake: &Lake| -> BTreeMap<String, u64> {
        let counts = counts(lake).into_iter();
        counts
            .map(|(table, (rows, _))| (table, rows))
            .filter(|(table, _)| table != "quality.results")
            .collect()
    };
    let (rows_before, sums_before) = (rows(&lake), sums(&lake));
    std::fs::write(lake.path().join(".tarn/lake.sqlite"), "").unwrap();
    let page =
        std::fs::read_to_string(crate::lake::root().join("docs/runbooks/lost-state.md")).unwrap();
    let script = page
        .split("```sh\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .find(|script| script.contains("mv lake lake.lost"))
        .unwrap();
    shell(script, lake.scratch());
    assert_eq!(rows(&lake), rows_before);
    assert_eq!(sums(&lake), sums_before);
    lake.ok(&["verify"]);
}

#[test]
fn a_lake_may_be_named_by_a_name_alone() {
    let lake = Lake::new();
    let log = lake.file(
        "access.log",
        "203.0.113.9 - - [01/Jan/2026:12:00:00 +0000] \"GET / HTTP/1.1\" 200 7 \"-\" \"curl/8.5.0\"\n",
    );
    for name in ["plain", "./dotted", "deep/er"] {
        let output = Command::new(binary())
            .current_dir(lake.scratch())
            .env_remove("TARN_CONTRACTS")
            .args(["--lake", name, "ingest"])
            .arg(&log)
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {errors}");
        assert!(lake.scratch().join(name).join("curated").is_dir());
    }
}

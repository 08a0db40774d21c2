//! Quality end to end: seeded faults are found and named, reports are reproducible, anomalies are judged,
//! and a browser shows the page without errors.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::lake::{Lake, lines, root};

/// The first of 28 days, a Monday.
const FIRST: u32 = 2;

fn day(number: u32) -> String {
    format!("2026-03-{:02}", FIRST + number)
}

/// The lake of `tarn demo --faults`, with these faults, and what the demo printed.
fn demo(faults: &str) -> (Lake, Value) {
    let mut lake = Lake::new();
    let text = lake.ok(&["--json", "demo", &format!("--faults={faults}")]);
    lake.contracts = Some(lake.path().join("contracts"));
    (lake, serde_json::from_str(&text).unwrap())
}

/// A lake of 28 days with the seeded faults, or with none.
fn seeded(faulty: bool) -> Lake {
    demo(if faulty { "all" } else { "none" }).0
}

/// Runs the demo again on its lake; returns its exit code and what it printed.
fn again(lake: &Lake, faults: &str) -> (Option<i32>, Value) {
    let output = Command::new(crate::lake::binary())
        .env_remove("TARN_CONTRACTS")
        .arg("--lake")
        .arg(lake.path())
        .args(["--json", "demo", &format!("--faults={faults}")])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    (
        output.status.code(),
        serde_json::from_str(&text).unwrap_or(Value::Null),
    )
}

/// The sales of a day after the demo's last one.
fn one_day_more(lake: &Lake) -> String {
    let key = format!("raw/shop/sales/ingest_date={}/sales.jsonl", day(27));
    let text = std::fs::read_to_string(lake.path().join(key)).unwrap();
    text.replace(&day(27), &day(28)).replace("\"27-", "\"28-")
}

fn report(lake: &Lake, number: u32) -> Value {
    let text = lake.ok(&["--json", "quality", "report", "--day", &day(number)]);
    serde_json::from_str(&text).unwrap()
}

fn found(report: &Value) -> BTreeSet<String> {
    report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["name"].as_str().unwrap().to_owned())
        .collect()
}

/// What the report of each day with a seeded fault has to name: that and nothing else.
const FINDINGS: [(u32, &str, &[&str]); 8] = [
    (12, "nulls", &["sales/completeness:channel/DAY"]),
    (14, "duplicates", &["duplicate"]),
    (16, "out-of-range", &["price.minimum"]),
    (18, "orphans", &["customer_id.reference"]),
    (20, "dropped-day", &["rows_per_day", "sales/row_count/DAY"]),
    (22, "volume-spike", &["sales/row_count/DAY"]),
    (
        24,
        "drifted-type",
        &["price.drift", "price.type", "sales/rejected_share/DAY"],
    ),
    (26, "new-column", &["coupon.drift"]),
];

#[test]
fn each_seeded_fault_is_named_in_the_report_of_its_day_and_nothing_else_is() {
    let (lake, outcome) = demo("all");
    assert_eq!(outcome["passed"], true, "{outcome:#}");
    assert_eq!(outcome["unexpected"], json!([]));
    let faults = outcome["faults"].as_array().unwrap();
    assert_eq!(faults.len(), FINDINGS.len());
    for (fault, (number, name, _)) in faults.iter().zip(FINDINGS) {
        assert_eq!(fault["fault"], name);
        assert_eq!(fault["day"], day(number).as_str());
        assert_eq!(fault["missed"], json!([]), "{fault}");
    }
    // What the demo says is what the reports say.
    for number in 0..28 {
        let expected: BTreeSet<String> = FINDINGS
            .iter()
            .filter(|(day, ..)| *day == number)
            .flat_map(|(.., names)| names.iter())
            .map(|name| name.replace("DAY", &day(number)))
            .collect();
        let report = report(&lake, number);
        assert_eq!(
            found(&report),
            expected,
            "{}: {:#}",
            day(number),
            report["findings"]
        );
    }
    let (quiet, outcome) = demo("none");
    assert_eq!(
        (&outcome["passed"], &outcome["faults"]),
        (&json!(true), &json!([]))
    );
    for number in 0..28 {
        assert_eq!(
            found(&report(&quiet, number)),
            BTreeSet::new(),
            "{}",
            day(number)
        );
    }
}

#[test]
fn the_demo_of_faults_fails_where_a_fault_is_missed_or_something_else_is_flagged() {
    let (lake, _) = demo("volume-spike,orphans");
    assert_eq!(again(&lake, "volume-spike,orphans").0, Some(0));
    // An anomaly that somebody dismissed is no longer a finding.
    let spike = format!("sales/row_count/{}", day(22));
    lake.ok(&["quality", "dismiss", &spike]);
    let (code, outcome) = again(&lake, "orphans,volume-spike");
    assert_eq!((code, &outcome["passed"]), (Some(1), &json!(false)));
    assert_eq!(outcome["faults"][1]["missed"], json!([spike]));
    assert_eq!(outcome["unexpected"], json!([]));
    lake.ok(&["quality", "confirm", &spike]);
    assert_eq!(again(&lake, "volume-spike,orphans").0, Some(0));
    // A fault that the demo did not seed.
    let sale = json!({
        "sale_id": "another", "sale_time": format!("{}T00:00:00Z", day(5)), "channel": "web",
        "customer_id": 1, "price": -1,
    });
    let key = format!("raw/shop/sales/ingest_date={}/more.jsonl", day(5));
    let path = lake.path().join(key);
    std::fs::write(&path, format!("{sale}\n")).unwrap();
    lake.ingest(&[&path]);
    let (code, outcome) = again(&lake, "volume-spike,orphans");
    assert_eq!(code, Some(1));
    let names: Vec<&str> = outcome["unexpected"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["name"].as_str().unwrap())
        .collect();
    assert!(names.contains(&"price.minimum"), "{outcome:#}");
    // Another choice of faults needs another lake.
    assert_eq!(again(&lake, "none"), (Some(1), Value::Null));
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    ["report.json", "report.html"]
        .into_iter()
        .map(|name| (name.to_owned(), std::fs::read(folder.join(name)).unwrap()))
        .collect()
}

#[test]
fn a_report_is_made_again_bit_for_bit_from_the_table_of_results_alone() {
    let lake = seeded(true);
    let reports = lake.path().join("results/reports");
    let runs = lines(&lake.ok(&["--json", "runs"]));
    // The files that were written for every run and every day.
    let mut first: BTreeMap<String, BTreeMap<String, Vec<u8>>> = BTreeMap::new();
    for entry in std::fs::read_dir(&reports).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        first.insert(name, files(&path));
    }
    for run in &runs {
        let name = format!("run={}", run["run_id"].as_str().unwrap());
        assert!(first.contains_key(&name), "{name}");
    }
    for number in (0..28).filter(|number| *number != 20) {
        assert!(first.contains_key(&format!("day={}", day(number))));
    }
    // Without the ledger's records of the runs.
    let state = rusqlite::Connection::open(lake.path().join(".tarn/lake.sqlite")).unwrap();
    state.execute("DELETE FROM ledger_run", []).unwrap();
    drop(state);
    let out = lake.scratch().join("again");
    let mut compared = 0;
    for (name, files_then) in &first {
        let then: Value = serde_json::from_slice(&files_then["report.json"]).unwrap();
        let (scope, subject) = name.split_once('=').unwrap();
        // A run's report needs the ledger's record, which was deleted.
        if scope == "day" {
            let as_of = then["as_of"].as_str().unwrap();
            lake.ok(&[
                "quality",
                "report",
                "--day",
                subject,
                "--as-of",
                as_of,
                "--out",
                out.to_str().unwrap(),
            ]);
            assert_eq!(&files(&out), files_then, "{name}");
            compared += 1;
        }
    }
    assert!(compared >= 27, "{compared}");
    let versions = lake.query(
        "SELECT DISTINCT contract_version, program_version, snapshot_id IS NULL AS unpinned \
         FROM quality.results WHERE dataset = 'sales'",
    );
    assert_eq!(versions.len(), 1, "{versions:?}");
    assert_eq!(versions[0]["contract_version"], "1.4.0");
    assert_eq!(versions[0]["unpinned"], false);
}

#[test]
fn results_are_recorded_once_and_a_new_run_adds_its_own() {
    let lake = seeded(false);
    let count = "SELECT COUNT(*) AS n FROM quality.results";
    let runs = "SELECT COUNT(DISTINCT run_id) AS n FROM quality.results";
    let before = (lake.value(count), lake.value(runs));
    assert_eq!(before.1, 29);
    lake.ok(&["quality"]);
    assert_eq!((lake.value(count), lake.value(runs)), before);
    let more = lake.file("more.jsonl", one_day_more(&lake));
    lake.ok(&["ingest", "--to", "shop/sales", more.to_str().unwrap()]);
    lake.ok(&["quality"]);
    assert_eq!(lake.value(runs), 30);
}

#[test]
fn a_judged_anomaly_is_no_longer_open() {
    let lake = seeded(true);
    let list = |more: &[&str]| -> Vec<Value> {
        let until = day(27);
        let args = [
            &["--json", "quality", "anomalies", "--until", &until][..],
            more,
        ]
        .concat();
        lines(&lake.ok(&args))
    };
    let spike = format!("sales/row_count/{}", day(22));
    let open = list(&[]);
    assert!(open.iter().any(|one| one["id"] == spike.as_str()));
    for one in &open {
        let (low, high) = (&one["expected"]["low"], &one["expected"]["high"]);
        assert!(low.as_f64() <= high.as_f64(), "{one}");
        assert!(one["missed_by"].as_f64().unwrap() > 0.0, "{one}");
    }
    lake.ok(&["quality", "dismiss", &spike, "--note", "spring sale"]);
    assert!(list(&[]).iter().all(|one| one["id"] != spike.as_str()));
    let all = list(&["--all"]);
    let judged = all.iter().find(|one| one["id"] == spike.as_str()).unwrap();
    assert_eq!(
        (&judged["status"], &judged["note"]),
        (&json!("dismissed"), &json!("spring sale"))
    );
    assert!(!found(&report(&lake, 22)).contains(&spike));
    // The last judgement counts.
    lake.ok(&["quality", "confirm", &spike]);
    assert!(found(&report(&lake, 22)).contains(&spike));
    let unknown = lake.run(&["quality", "confirm", "sales/row_count/2026-03-03"]);
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("there is no anomaly"));
}

#[test]
fn the_status_names_what_waits_and_what_failed() {
    let lake = seeded(false);
    let status =
        |lake: &Lake| -> Value { serde_json::from_str(&lake.ok(&["--json", "status"])).unwrap() };
    let well = status(&lake);
    assert_eq!(well["backlog"]["committed"], 29);
    assert_eq!(well["backlog"]["oldest"], Value::Null);
    // A file that was put there by hand, and one that is cut off.
    let unseen = lake
        .path()
        .join("raw/shop/sales/ingest_date=2026-03-30/late.jsonl");
    std::fs::create_dir_all(unseen.parent().unwrap()).unwrap();
    std::fs::write(&unseen, "{}\n").unwrap();
    let broken = lake.file("cut.jsonl.gz", [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1]);
    let run = lake.run(&["ingest", "--to", "shop/sales", broken.to_str().unwrap()]);
    assert!(!run.status.success());
    let ill = status(&lake);
    assert_eq!(ill["backlog"]["failed"], 1);
    assert_eq!(ill["backlog"]["unseen"], 1);
    assert_eq!(ill["backlog"]["oldest"]["state"], "unseen");
    assert_eq!(lake.run(&["status", "--check"]).status.code(), Some(1));
    let sales = &ill["datasets"][1];
    assert_eq!(sales["dataset"], "sales");
    assert!(sales["age_seconds"].as_f64().unwrap() < 3_600.0);
    // A failed run is in the report of its day, today.
    let text = lake.ok(&["--json", "quality", "report"]);
    let today: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(today["failed_runs"][0]["dataset"], "sales", "{today:#}");
    assert_eq!(today["findings"][0]["kind"], "failed_run");
}

#[test]
fn a_run_says_how_long_it_took_and_what_it_held() {
    let lake = Lake::new();
    let log = lake.file(
        "access.log",
        "127.0.0.1 - - [01/Jan/2026:00:00:00 +0000] \"GET / HTTP/1.1\" 200 5\n",
    );
    let run = &lake.ingest(&[&log])[0];
    assert!(run["seconds"].as_f64().unwrap() > 0.0);
    assert!(run["peak_memory_bytes"].as_u64().unwrap() > 1 << 20);
    assert_eq!(run["program_version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(run["datasets"][0]["contract_version"], "3.0.0");
    let text = lake.ok(&["runs", run["run_id"].as_str().unwrap()]);
    assert!(
        text.contains("memory ") && text.contains("seconds "),
        "{text}"
    );
}

/// The browser that the tests look with.
fn chromium() -> PathBuf {
    if let Some(path) = std::env::var_os("TARN_CHROMIUM") {
        return path.into();
    }
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|path| path.is_file())
        .expect("no Chromium: install the package chromium, or name one by TARN_CHROMIUM")
}

#[test]
#[ignore = "needs Chromium; run by cargo xtask test"]
fn the_page_needs_nothing_else_and_reads_well_on_every_screen() {
    let python = std::env::var("TARN_BROWSER_PYTHON")
        .expect("run cargo xtask test: it names a Python with playwright");
    let lake = seeded(true);
    // A missed service level, a failed run and a day without rows are on pages of their own.
    lake.ok(&[
        "quality",
        "confirm",
        &format!("sales/row_count/{}", day(22)),
        "--note",
        "<b>twice</b>",
    ]);
    for number in [12, 20, 22, 24] {
        let out = lake.scratch().join(day(number));
        lake.ok(&[
            "quality",
            "report",
            "--day",
            &day(number),
            "--out",
            out.to_str().unwrap(),
        ]);
        let shots = std::env::var_os("TARN_SCREENSHOTS")
            .map_or_else(|| lake.scratch().join("shots"), PathBuf::from)
            .join(day(number));
        let output = Command::new(&python)
            .arg(root().join("tests/readers/report_page.py"))
            .args([
                chromium(),
                out.join("report.html"),
                root().join("docs/reference/quality-report.schema.json"),
                shots.clone(),
            ])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        for nothing in ["requests", "console", "schema", "duplicateIds", "deadLinks"] {
            assert_eq!(found[nothing], json!([]), "{nothing} of {}", day(number));
        }
        assert_eq!(found["contrast"], json!({ "light": [], "dark": [] }));
        for (width, overflow) in found["overflow"].as_object().unwrap() {
            assert!(
                overflow.as_i64().unwrap() <= 0,
                "{width} pixels: {overflow} too wide"
            );
        }
        for zero in ["scripts", "headersWithoutScope", "chartsWithoutWords"] {
            assert_eq!(found[zero], 0, "{zero}");
        }
        let headings: Vec<i64> = found["headings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|level| level.as_i64().unwrap())
            .collect();
        assert_eq!(headings[0], 1);
        assert!(
            headings.windows(2).all(|two| two[1] <= two[0] + 1),
            "{headings:?}"
        );
        assert!(found["text"].as_str().unwrap().contains("Needs attention"));
        assert!(found["charts"].as_u64().unwrap() > 0);
        for name in [
            "wide-light.png",
            "wide-dark.png",
            "narrow-light.png",
            "printed.pdf",
        ] {
            let bytes = std::fs::metadata(shots.join(name)).unwrap().len();
            assert!(bytes > 10_000, "{name} has {bytes} bytes");
        }
        if number == 22 {
            assert!(found["text"].as_str().unwrap().contains("<b>twice</b>"));
        }
    }
}

//! Memory does not grow with the size of a file.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use crate::contracts::shop;
use crate::lake::Lake;

/// The most memory of its own that a command held, in KiB (`RssAnon` of proc(5), looked at until the process ends).
/// Pages of the program's file are not counted: the system takes them back where memory is short, and a build with
/// its checks has many.
fn peak(lake: &Lake, args: &[&str], path: &Path) -> u64 {
    let mut child = lake
        .command()
        .args(args)
        .arg(path)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let found = text.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        if let Some(kib) = found.and_then(|text| text.split_whitespace().next()) {
            peak = peak.max(kib.parse().unwrap());
        }
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success());
            return peak;
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

fn big_file(
    lake: &Lake,
    name: &str,
    megabytes: usize,
    line: impl Fn(usize) -> String,
) -> std::path::PathBuf {
    let path = lake.file(name, "");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
    let (mut written, mut number) = (0, 0);
    while written < megabytes << 20 {
        let line = line(number);
        file.write_all(line.as_bytes()).unwrap();
        written += line.len();
        number += 1;
    }
    file.flush().unwrap();
    path
}

fn grows_by_at_most_64_mib(name: &str, line: impl Fn(usize) -> String) {
    grows_by_at_most(64, &Lake::new(), name, line);
}

fn grows_by_at_most(mib: u64, lake: &Lake, name: &str, line: impl Fn(usize) -> String) {
    let small = lake.file(
        &format!("small-{name}"),
        (0..10).map(&line).collect::<String>(),
    );
    let idle = peak(lake, &["ingest"], &small);
    let big = big_file(lake, name, 256, line);
    let busy = peak(lake, &["ingest"], &big);
    eprintln!("{name}: {idle} KiB for ten lines, {busy} KiB for 256 MiB");
    assert!(
        busy < idle + mib * 1024,
        "{name}: {busy} KiB, {idle} KiB when there is nearly nothing to do"
    );
}

#[test]
fn an_access_log_of_any_size_takes_at_most_64_mib_more_than_a_small_one() {
    grows_by_at_most_64_mib("access.log", |line| {
        format!(
            "10.{}.{}.{} - - [{:02}/Jan/2026:{:02}:{:02}:{:02} +0000] \"GET /product/{}?utm={} HTTP/1.1\" 200 {} \"https://example.com/{}\" \"Mozilla/5.0 ({})\"\n",
            line % 200,
            line / 7 % 256,
            line / 3 % 256,
            1 + line / 200_000 % 28,
            line / 8000 % 24,
            line / 130 % 60,
            line / 2 % 60,
            line % 20_000,
            line % 300,
            line % 90_000,
            line % 500,
            line % 900
        )
    });
}

/// Rules of each kind that needs more than one row: samples, counts of distinct values, the identities of
/// all rows, and a first pass over the object.
fn with_rules_that_remember(name: &str, text: String) -> String {
    if name != "web_requests.odcs.yaml" {
        return text;
    }
    let rules = [
        (
            "bytes",
            "{ kind: quantile, p: 0.95 }, mustBeLessThan: 1",
            "",
        ),
        (
            "bytes",
            "{ kind: outlier, method: mad, limit: 3.5 }, mustBe: 0",
            "",
        ),
        ("referer", "{ kind: distinctCount }, mustBe: 1", ""),
        ("referer", "{ kind: entropy }, mustBe: 0", ""),
        (
            "vhost",
            "{ kind: distinctCount }, mustBe: 1",
            "        unique: true\n",
        ),
    ];
    let mut text = text;
    for column in ["bytes", "referer", "vhost"] {
        let own = rules.iter().filter(|(name, ..)| *name == column);
        let list: String = own
            .clone()
            .map(|(_, rule, _)| {
                format!(
                    "          - {{ type: custom, engine: tarn, implementation: {rule}, severity: warn }}\n"
                )
            })
            .collect();
        let keys: String = own.map(|(.., keys)| *keys).collect();
        let head = format!("      - name: {column}\n");
        assert_eq!(text.matches(&head).count(), 1, "{column}");
        text = text.replace(&head, &format!("{head}{keys}        quality:\n{list}"));
    }
    text
}

#[test]
fn an_access_log_with_six_rules_that_remember_rows_takes_at_most_96_mib_more_than_a_small_one() {
    let mut lake = Lake::new();
    lake.contracts = Some(shop(&lake, with_rules_that_remember));
    grows_by_at_most(96, &lake, "ruled.log", |line| {
        // Every host is different, except that one in fifty repeats a much earlier one.
        let number = if line % 50 == 49 { line / 2 } else { line };
        format!(
            "v{number}.example:443 10.0.{}.{} - - [{:02}/Jan/2026:{:02}:{:02}:{:02} +0000] \"GET /product/{} HTTP/1.1\" 200 {} \"https://example.com/{}\" \"Mozilla/5.0 ({})\"\n",
            line / 7 % 256,
            line / 3 % 256,
            1 + line / 200_000 % 28,
            line / 8000 % 24,
            line / 130 % 60,
            line / 2 % 60,
            line % 400_000,
            line * 7919 % 900_000,
            line % 500_000,
            line % 900
        )
    });
    let runs = crate::lake::lines(&lake.ok(&["--json", "runs"]));
    let outcome = &runs[0]["datasets"][0];
    let ids: Vec<&str> = outcome["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| check["id"].as_str().unwrap())
        .collect();
    for rule in [
        "bytes.quantile",
        "bytes.outlier",
        "referer.distinctCount",
        "referer.entropy",
        "vhost.distinctCount",
        "vhost.duplicateValues",
    ] {
        assert!(ids.contains(&rule), "{rule} is not among {ids:?}");
    }
    assert!(
        outcome["rejected_by"]["vhost.duplicateValues"]
            .as_u64()
            .unwrap()
            > 10_000
    );
    assert!(outcome["accepted"].as_u64().unwrap() > 1_000_000);
}

#[test]
fn events_of_any_number_take_at_most_64_mib_more_than_a_few() {
    grows_by_at_most_64_mib("events.ndjson", |line| {
        // One in fifty repeats a much earlier event.
        let id = if line % 50 == 49 { line / 2 } else { line };
        format!(
            "{{\"event_id\":\"{id:036x}\",\"event_ts\":{},\"event_type\":\"impression\",\"platform\":\"meta\",\"campaign_id\":{},\"ad_id\":{},\"user_id\":{},\"device\":\"mobile\",\"placement\":\"feed\",\"country\":\"US\",\"cost_micros\":{},\"bid\":1.25,\"order_id\":null,\"session_id\":\"s{:x}\"}}\n",
            1_767_225_600_000u64 + line as u64 * 700,
            line % 200,
            line % 9000,
            line % 100_000,
            line % 9000,
            line * 7919
        )
    });
}

#[test]
fn a_single_line_of_100_mb_is_rejected_in_little_memory() {
    let lake = Lake::new();
    let good = "127.0.0.1 - - [01/Jan/2026:00:00:00 +0000] \"GET / HTTP/1.1\" 200 5\n";
    let other = good.replace("GET /", "GET /small");
    let idle = peak(&lake, &["ingest"], &lake.file("small.log", other));
    let path = lake.file("long.log", "");
    let mut file = std::fs::File::create(&path).unwrap();
    file.write_all(good.as_bytes()).unwrap();
    for _ in 0..100 {
        file.write_all(&vec![b'x'; 1_000_000]).unwrap();
    }
    file.write_all(b"\n").unwrap();
    file.write_all(good.as_bytes()).unwrap();
    drop(file);
    let busy = peak(&lake, &["ingest"], &path);
    assert!(busy < idle + 64 * 1024, "{busy} KiB after {idle} KiB");
    assert_eq!(lake.value("SELECT COUNT(*) AS n FROM web_requests"), 3);
    let row =
        &lake.query("SELECT _line, _payload_bytes, _source_offset FROM quarantine_web_requests")[0];
    assert_eq!(row["_line"], 2);
    assert_eq!(row["_payload_bytes"], 100_000_000);
    assert_eq!(row["_source_offset"], good.len());
}

#[test]
fn csv_of_any_size_takes_at_most_64_mib_more_than_a_small_file() {
    let lake = Lake::with_contract("stock.odcs.yaml", crate::csv::STOCK);
    grows_by_at_most(64, &lake, "stock.csv", |line| match line {
        0 => "Artikel;Preis;Datum;Ort\n".to_owned(),
        _ => format!(
            "\"Article {line}; \"\"of {}\"\"\";{}.{:03},5;{:02}/01/2026;{}\n",
            line % 700,
            line % 90,
            line % 1000,
            1 + line / 150_000 % 28,
            line % 5000
        ),
    });
}

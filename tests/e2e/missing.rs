//! Missing values by partition, against DuckDB over the tables' own files.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Command;

use serde_json::{Value, json};

use crate::lake::{Lake, root};

fn contract(dataset: &str, unit: &str) -> String {
    format!(
        "apiVersion: v3.1.0\nkind: DataContract\nid: {dataset}\nversion: 1.0.0\nstatus: active\n\
         description: {{ purpose: Rows. }}\ncustomProperties:\n  - {{ property: sourceFormat, value: jsonLines }}\n  \
         - {{ property: keyPattern, value: raw/test/{dataset}/** }}\nschema:\n  - name: {dataset}\n    properties:\n\
         \x20     - {{ name: at, logicalType: timestamp, physicalType: timestamptz, partitioned: true, \
         customProperties: [{{ property: partitionUnit, value: {unit} }}] }}\n\
         \x20     - {{ name: channel, logicalType: string, physicalType: string }}\n\
         \x20     - {{ name: note, logicalType: string, physicalType: string }}\n\
         \x20     - {{ name: price, logicalType: integer, physicalType: bigint }}\n\
         \x20     - {{ name: paid, logicalType: boolean, physicalType: boolean }}\n"
    )
}

/// Numbers that look random and are the same each time (Knuth's multiplicative generator).
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

fn rows(dice: &mut Dice, count: u64, days: u64) -> String {
    let mut text = String::new();
    for row in 0..count {
        let day = dice.throw(days);
        let (month, day) = (1 + day / 28, 1 + day % 28);
        let texts = [
            "web",
            "app",
            "",
            " ",
            "N/A",
            "unknown",
            "-",
            "none of these",
        ];
        let pick = |dice: &mut Dice, sides| texts[dice.throw(sides) as usize];
        let mut one = json!({
            "at": format!("2026-{month:02}-{day:02}T{:02}:00:00Z", dice.throw(24)),
            "channel": pick(dice, 4),
            // Mostly distinct texts are stored differently from repeated ones.
            "note": if dice.throw(3) == 0 { pick(dice, 8).to_owned() } else { format!("note {row}") },
            "price": dice.throw(100),
            "paid": dice.throw(2) == 0,
        });
        for (name, one_in) in [
            ("at", 40),
            ("channel", 7),
            ("note", 9),
            ("price", 3),
            ("paid", 100),
        ] {
            match dice.throw(one_in) {
                0 => one[name] = Value::Null,
                1 if name == "price" => drop(one.as_object_mut().unwrap().remove(name)),
                _ => {}
            }
        }
        writeln!(text, "{one}").unwrap();
    }
    text
}

/// Per partition its rows and the missing values of its columns.
type Found = BTreeMap<String, (u64, BTreeMap<String, u64>)>;

fn by_duckdb(lake: &Lake, dataset: &str, unit: &str) -> Found {
    let python =
        std::env::var("TARN_PYTHON").expect("run cargo xtask test: it names a Python with duckdb");
    let output = Command::new(python)
        .arg(root().join("tests/readers/missing_duckdb.py"))
        .arg(lake.path().join("curated").join(dataset).join("data"))
        .args(["at", unit])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let found: BTreeMap<String, Value> = serde_json::from_slice(&output.stdout).unwrap();
    found
        .into_iter()
        .map(|(partition, part)| {
            let missing = serde_json::from_value(part["missing"].clone()).unwrap();
            (partition, (part["rows"].as_u64().unwrap(), missing))
        })
        .collect()
}

/// As the table of results has them, summed over the runs.
fn by_results(lake: &Lake, dataset: &str) -> Found {
    let mut found = Found::new();
    for row in lake.query(&format!(
        "SELECT segment, column_name, CAST(SUM(checked) AS BIGINT) AS checked, CAST(SUM(failed) AS BIGINT) AS failed \
         FROM quality.results WHERE dataset = '{dataset}' AND kind = 'metric' AND segment IS NOT NULL \
         GROUP BY segment, column_name"
    )) {
        let segment = row["segment"].as_str().unwrap();
        let partition = segment.strip_prefix("at=").unwrap().to_owned();
        let part = found.entry(partition).or_default();
        match row["column_name"].as_str() {
            None => part.0 = row["checked"].as_u64().unwrap(),
            Some(column) => {
                part.1.insert(column.to_owned(), row["failed"].as_u64().unwrap());
            }
        }
    }
    found
}

#[test]
#[ignore = "needs duckdb: cargo xtask test runs it"]
fn missing_values_by_partition_are_those_that_duckdb_finds_in_the_tables() {
    let mut lake = Lake::new();
    let contracts = lake.scratch().join("contracts");
    std::fs::create_dir_all(&contracts).unwrap();
    for unit in ["day", "month"] {
        let file = contracts.join(format!("by_{unit}.odcs.yaml"));
        std::fs::write(file, contract(&format!("by_{unit}"), unit)).unwrap();
    }
    lake.contracts = Some(contracts);
    let mut dice = Dice(5);
    for unit in ["day", "month"] {
        for (name, days) in [
            ("many", 20),
            ("one", 1),
            ("year", if unit == "day" { 25 } else { 330 }),
        ] {
            let file = lake.file(
                &format!("{unit}-{name}.ndjson"),
                rows(&mut dice, 3000, days),
            );
            let to = format!("test/by_{unit}");
            lake.ok(&["ingest", "--to", &to, file.to_str().unwrap()]);
        }
    }
    lake.ok(&["quality"]);
    for (unit, partitions) in [("day", 26), ("month", 13)] {
        let dataset = format!("by_{unit}");
        let (own, other) = (
            by_results(&lake, &dataset),
            by_duckdb(&lake, &dataset, unit),
        );
        assert_eq!(own, other, "{dataset}");
        assert_eq!(own.len(), partitions, "{dataset}");
    }
}

#[test]
#[ignore = "needs duckdb: cargo xtask test runs it"]
fn the_largest_partitions_of_an_object_are_listed_and_the_rest_summed_up() {
    let mut lake = Lake::new();
    let contracts = lake.scratch().join("contracts");
    std::fs::create_dir_all(&contracts).unwrap();
    std::fs::write(
        contracts.join("by_day.odcs.yaml"),
        contract("by_day", "day"),
    )
    .unwrap();
    lake.contracts = Some(contracts);
    let file = lake.file("year.ndjson", rows(&mut Dice(7), 3000, 300));
    lake.ok(&["ingest", "--to", "test/by_day", file.to_str().unwrap()]);
    lake.ok(&["quality"]);
    let (own, other) = (
        by_results(&lake, "by_day"),
        by_duckdb(&lake, "by_day", "day"),
    );
    // 32 days, those without a day, and the rest.
    assert_eq!(own.len(), 34);
    let mut rest = (0, BTreeMap::<String, u64>::new());
    for (partition, found) in &other {
        match own.get(partition) {
            Some(own) => assert_eq!(own, found, "{partition}"),
            None => {
                rest.0 += found.0;
                for (column, missing) in &found.1 {
                    *rest.1.entry(column.clone()).or_default() += missing;
                }
            }
        }
    }
    assert_eq!(own["other"], rest);
    let smallest = own
        .iter()
        .filter(|(name, _)| name.starts_with("2026"))
        .map(|(_, part)| part.0)
        .min();
    let left_out = other.iter().filter(|(name, _)| !own.contains_key(*name));
    assert!(left_out.map(|(_, part)| part.0).max() <= smallest);
}

#[test]
fn the_report_names_the_partitions_with_the_most_missing_values() {
    let mut lake = Lake::new();
    let contracts = lake.scratch().join("contracts");
    std::fs::create_dir_all(&contracts).unwrap();
    std::fs::write(
        contracts.join("by_day.odcs.yaml"),
        contract("by_day", "day"),
    )
    .unwrap();
    lake.contracts = Some(contracts);
    let mut text = String::new();
    for row in 0..400 {
        let day = 1 + row % 4;
        // All of the third day, a tenth of the second, a quarter of the first; none of the fourth.
        let missing = match day {
            3 => true,
            2 => row % 40 == 1,
            1 => row % 16 == 0,
            _ => false,
        };
        let channel = if missing { Value::Null } else { json!("web") };
        let at = format!("2026-02-{day:02}T00:00:00Z");
        writeln!(
            text,
            "{}",
            json!({"at": at, "channel": channel, "note": "x", "price": 1, "paid": true})
        )
        .unwrap();
    }
    let object = lake
        .path()
        .join("raw/test/by_day/ingest_date=2026-02-05/a.ndjson");
    std::fs::create_dir_all(object.parent().unwrap()).unwrap();
    std::fs::write(&object, text).unwrap();
    lake.ok(&["ingest", object.to_str().unwrap()]);
    lake.ok(&["quality"]);
    let report = lake.ok(&["--json", "quality", "report", "--day", "2026-02-05"]);
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(
        report["datasets"][0]["missing"],
        json!([{
            "column": "channel",
            "rows": 400,
            "missing": 135,
            "partitions": [
                {"partition": "2026-02-03", "rows": 100, "missing": 100},
                {"partition": "2026-02-01", "rows": 100, "missing": 25},
                {"partition": "2026-02-02", "rows": 100, "missing": 10},
            ],
        }])
    );
    let page = lake
        .path()
        .join("results/reports/day=2026-02-05/report.html");
    let page = std::fs::read_to_string(page).unwrap();
    assert!(
        page.contains("2026-02-03 <small>100.0\u{a0}%</small>"),
        "{page}"
    );
}

//! What rules measure, against DuckDB and Python: over the tables of the demo and over random rows.

mod list;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Map, Value, json};

use self::list::{Column, Rule, column, custom, measured, rules_of};
use crate::lake::{Lake, lines, root};

/// A contract for rows of `<dataset>`, with these rules.
fn contract(dataset: &str, columns: &[Column], rules: &[Rule]) -> String {
    let of = |column: Option<&str>, spaces: usize| -> String {
        let list: String = rules
            .iter()
            .filter(|rule| rule.column.as_deref() == column)
            .map(|rule| format!("{}- {}\n", " ".repeat(spaces + 2), rule.yaml))
            .collect();
        if list.is_empty() {
            list
        } else {
            format!("{}quality:\n{list}", " ".repeat(spaces))
        }
    };
    let properties: String = columns
        .iter()
        .map(|(name, logical, physical, _)| {
            format!(
                "      - name: {name}\n        logicalType: {logical}\n        physicalType: {physical}\n{}",
                of(Some(name), 8)
            )
        })
        .collect();
    format!(
        "apiVersion: v3.1.0\nkind: DataContract\nid: {dataset}\nversion: 1.0.0\nstatus: active\n\
         description: {{ purpose: Rows. }}\ncustomProperties:\n  - {{ property: sourceFormat, value: jsonLines }}\n  \
         - {{ property: keyPattern, value: raw/test/{dataset}/** }}\nschema:\n  - name: {dataset}\n{}    properties:\n{properties}",
        of(None, 4)
    )
}

/// Rows, their columns and the rules over them.
struct Trial {
    dataset: &'static str,
    columns: Vec<Column>,
    rows: String,
    rules: Vec<Rule>,
    /// Rows of another dataset, which is ingested first.
    others: Option<(Vec<Column>, String)>,
}

fn judge(requests: &Value) -> Vec<Value> {
    let python =
        std::env::var("TARN_PYTHON").expect("run cargo xtask test: it names a Python with duckdb");
    let mut child = Command::new(python)
        .arg(root().join("tests/readers/rules_duckdb.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(requests.to_string().as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the script failed");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn types(columns: &[Column]) -> Value {
    columns
        .iter()
        .map(|(name, _, _, duck)| (name.clone(), json!(duck)))
        .collect::<Map<String, Value>>()
        .into()
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0)
}

/// Ingests a file by its key in the raw zone; returns the run record.
fn put(lake: &Lake, dataset: &str, path: &Path) -> Value {
    let object = lake.path().join(format!("raw/test/{dataset}/rows.ndjson"));
    std::fs::create_dir_all(object.parent().unwrap()).unwrap();
    std::fs::copy(path, &object).unwrap();
    let output = lake
        .command()
        .args(["--json", "ingest"])
        .arg(&object)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut records = lines(&text);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(records.len(), 1, "{errors}");
    records.remove(0)
}

/// Compares the measure of each rule; returns how many.
fn compare_measures(trial: &Trial, outcome: &Value, answer: &Value) -> usize {
    let found: Map<String, Value> = outcome["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| {
            (
                check["id"].as_str().unwrap().to_owned(),
                check["value"].clone(),
            )
        })
        .collect();
    for rule in &trial.rules {
        let id = rule.asked["id"].as_str().unwrap();
        let (own, other) = (&found[id], &answer["values"][id]);
        let same = match (own.as_f64(), other.as_f64()) {
            (Some(own), Some(other)) => close(own, other),
            (own, other) => own == other,
        };
        assert!(
            same,
            "{}: {}: {own}, and by DuckDB {other}",
            trial.dataset, rule.asked
        );
    }
    trial.rules.len()
}

/// Compares the numbers of each column's profile; returns how many.
fn compare_profiles(trial: &Trial, outcome: &Value, answer: &Value) -> usize {
    let mut compared = 0;
    for profile in outcome["profile"].as_array().unwrap() {
        let other = &answer["profile"][profile["column"].as_str().unwrap()];
        for (name, other) in other.as_object().unwrap() {
            let own = match &profile[name] {
                Value::String(text) => text.parse::<f64>().ok(),
                own => own.as_f64(),
            };
            let same = match (own, other.as_f64()) {
                (Some(own), Some(other)) => close(own, other),
                (own, other) => own == other,
            };
            assert!(
                same,
                "{}: {name} of {profile}, and by DuckDB {other}",
                trial.dataset
            );
            compared += 1;
        }
    }
    compared
}

/// Ingests each trial and compares every measure and the profile with the other side's.
fn compare(lake: &mut Lake, trials: &[Trial]) {
    let contracts = lake.scratch().join("contracts");
    std::fs::create_dir_all(&contracts).unwrap();
    let mut files: Vec<(PathBuf, Option<PathBuf>)> = Vec::new();
    for trial in trials {
        let write = |dataset: &str, text: &str| {
            std::fs::write(contracts.join(format!("{dataset}.odcs.yaml")), text).unwrap();
        };
        write(
            trial.dataset,
            &contract(trial.dataset, &trial.columns, &trial.rules),
        );
        let rows = lake.file(&format!("{}.ndjson", trial.dataset), &trial.rows);
        let others = trial.others.as_ref().map(|(columns, rows)| {
            let dataset = format!("{}_others", trial.dataset);
            write(&dataset, &contract(&dataset, columns, &[]));
            lake.file(&format!("{dataset}.ndjson"), rows)
        });
        files.push((rows, others));
    }
    lake.contracts = Some(contracts);
    let requests: Vec<Value> = trials
        .iter()
        .zip(&files)
        .map(|(trial, (rows, others))| {
            let checks: Vec<&Value> = trial.rules.iter().map(|rule| &rule.asked).collect();
            json!({
                "file": rows,
                "columns": types(&trial.columns),
                "others": others,
                "other_columns": trial.others.as_ref().map(|(columns, _)| types(columns)),
                "checks": checks,
            })
        })
        .collect();
    let answers = judge(&json!(requests));
    let mut compared = 0;
    for ((trial, (rows, others)), answer) in trials.iter().zip(&files).zip(&answers) {
        if let Some(others) = others {
            put(lake, &format!("{}_others", trial.dataset), others);
        }
        let record = put(lake, trial.dataset, rows);
        assert_eq!(record["status"], "succeeded", "{record}");
        let outcome = &record["datasets"][0];
        assert_eq!(outcome["rejected"], 0, "{outcome}");
        compared += compare_measures(trial, outcome, answer);
        compared += compare_profiles(trial, outcome, answer);
    }
    assert!(compared > 100, "{compared} numbers compared");
}

fn objects(rows: &str) -> Vec<Map<String, Value>> {
    lines(rows)
        .into_iter()
        .map(|row| row.as_object().unwrap().clone())
        .collect()
}

#[test]
#[ignore = "needs duckdb: cargo xtask test runs it"]
fn every_measure_over_the_tables_of_the_demo_is_what_duckdb_and_python_find() {
    let demo = Lake::new();
    demo.ok(&["demo", "--scale", "0.3"]);
    let mut trials = Vec::new();
    #[rustfmt::skip]
    let tables: [(&str, &[(&str, &str)]); 5] = [
        ("customers", &[("customer_id", "bigint"), ("email", "string"), ("country", "string"), ("segment", "string"), ("marketing_consent", "boolean"), ("created_at", "timestamptz")]),
        ("orders", &[("order_id", "bigint"), ("customer_id", "bigint"), ("status", "string"), ("channel", "string"), ("total", "decimal(12,2)"), ("discount", "decimal(12,2)"), ("coupon", "string")]),
        ("order_items", &[("item_id", "bigint"), ("order_id", "bigint"), ("quantity", "bigint"), ("unit_price", "decimal(12,2)")]),
        ("ad_events", &[("event_type", "string"), ("campaign_id", "bigint"), ("cost", "decimal(18,6)"), ("country", "string")]),
        ("web_requests", &[("client_ip", "string"), ("method", "string"), ("path", "string"), ("status", "bigint"), ("bytes", "bigint"), ("user_agent", "string")]),
    ];
    for (dataset, columns) in tables {
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        let rows = demo.ok(&[
            "query",
            "--format",
            "ndjson",
            &format!("SELECT {} FROM {dataset}", names.join(", ")),
        ]);
        let columns: Vec<Column> = columns.iter().map(|(name, ty)| column(name, ty)).collect();
        let rules = rules_of(&columns, &objects(&rows));
        trials.push(Trial {
            dataset,
            columns,
            rows,
            rules,
            others: None,
        });
    }
    compare(&mut Lake::new(), &trials);
}

/// SplitMix64: the same rows in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % sides
    }
}

const TEXTS: [&str; 14] = [
    "",
    " ",
    "a",
    "-",
    "N/A",
    "unknown",
    "été",
    "12",
    "-7",
    "ana@example.com",
    "from 203.0.113.9",
    "4111 1111 1111 1111",
    "Zebra",
    "b-c.d",
];

/// Rows as JSON lines; each value but the number is missing now and then.
fn random_rows(dice: &mut Dice, count: u64) -> String {
    let mut rows = String::new();
    for id in 0..count {
        let mut row = Map::new();
        row.insert("id".into(), json!(id));
        let mut put = |dice: &mut Dice, name: &str, value: Value| {
            if dice.roll(10) > 0 {
                row.insert(name.to_owned(), value);
            }
        };
        let text = TEXTS[dice.roll(14) as usize];
        put(dice, "s", json!(text));
        let whole = dice.roll(400) as i64 - 100;
        put(dice, "n", json!(whole));
        let spread = dice.roll(1_000_000) as i64;
        put(dice, "k", json!(spread));
        let cents = dice.roll(100_000);
        put(
            dice,
            "m",
            json!(format!("{}.{:02}", cents / 100, cents % 100)),
        );
        let double = dice.roll(1 << 40) as f64 / 1e6 - 1000.0;
        put(dice, "d", json!(double));
        rows += &format!("{}\n", Value::Object(row));
    }
    rows
}

/// Rules of the random rows that name another dataset.
fn rules_between_datasets(rules: &mut Vec<Rule>, other: &str) {
    measured(
        rules,
        Some("n"),
        custom(&format!("kind: reference, to: {other}.key")),
        "reference",
        json!({"to": "key"}),
    );
    measured(
        rules,
        Some("m"),
        custom(&format!(
            "kind: groupSum, of: {other}.amount, by: parent, key: id"
        )),
        "groupSum",
        json!({"of": "amount", "by": "parent", "key": "id"}),
    );
    measured(
        rules,
        None,
        custom(&format!("kind: rowCountMatch, dataset: {other}")),
        "rowCountMatch",
        json!({}),
    );
}

#[test]
#[ignore = "needs duckdb: cargo xtask test runs it"]
fn every_measure_over_random_rows_is_what_duckdb_and_python_find() {
    const NAMES: [&str; 4] = ["random_a", "random_b", "random_c", "random_d"];
    let mut dice = Dice(7);
    let mut trials = Vec::new();
    for dataset in NAMES {
        let count = [0, 7, 500, 20_000][trials.len()];
        let rows = random_rows(&mut dice, count);
        let others: String = (0..300)
            .map(|_| {
                let cents = dice.roll(10_000);
                let row = json!({"key": dice.roll(300), "parent": dice.roll(600), "amount": format!("{}.{:02}", cents / 100, cents % 100)});
                format!("{row}\n")
            })
            .collect();
        let columns: Vec<Column> = [
            ("id", "bigint"),
            ("s", "string"),
            ("n", "bigint"),
            ("k", "bigint"),
            ("m", "decimal(12,2)"),
            ("d", "double"),
        ]
        .iter()
        .map(|(name, ty)| column(name, ty))
        .collect();
        let mut rules = rules_of(&columns, &objects(&rows));
        rules_between_datasets(&mut rules, &format!("{dataset}_others"));
        let other_columns = [
            ("key", "bigint"),
            ("parent", "bigint"),
            ("amount", "decimal(12,2)"),
        ]
        .iter()
        .map(|(name, ty)| column(name, ty))
        .collect();
        trials.push(Trial {
            dataset,
            columns,
            rows,
            rules,
            others: Some((other_columns, others)),
        });
    }
    compare(&mut Lake::new(), &trials);
}

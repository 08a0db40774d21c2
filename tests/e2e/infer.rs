//! Drafts of contracts say what the data says: keys, references, kinds and personal columns, with the
//! evidence for each and without a personal value.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::lake::{Lake, shared};

fn python() -> String {
    std::env::var("TARN_PYTHON").expect("run cargo xtask test: it names a Python with datacontract")
}

/// The drafts of a file: their folder, their texts, and what another YAML parser reads from them.
fn infer(lake: &Lake, file: &Path) -> (PathBuf, Vec<String>, Vec<Value>) {
    let folder = lake.scratch().join(format!(
        "drafts-{}",
        file.file_stem().unwrap().to_str().unwrap()
    ));
    let args = ["contract", "infer", "--source", "new", "--out"];
    lake.ok(&[
        &args[..],
        &[folder.to_str().unwrap(), file.to_str().unwrap()],
    ]
    .concat());
    lake.ok(&["contract", "lint", folder.to_str().unwrap()]);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let script = "import sys, json, yaml; print(json.dumps([yaml.safe_load(open(f)) for f in sys.argv[1:]]))";
    let output = Command::new(python())
        .args(["-c", script])
        .args(&files)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let drafts = serde_json::from_slice(&output.stdout).unwrap();
    let texts = files
        .iter()
        .map(|file| std::fs::read_to_string(file).unwrap())
        .collect();
    (folder, texts, drafts)
}

/// The first file of a folder of a generated shop.
fn sample(lake: &Lake, folder: &str) -> PathBuf {
    let shop = lake.scratch().join("sample");
    if !shop.exists() {
        let out = shop.to_str().unwrap();
        lake.ok(&["generate", "--days", "10", "--scale", "0.6", "--out", out]);
    }
    let mut files: Vec<PathBuf> = std::fs::read_dir(shop.join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files.pop().unwrap()
}

fn columns(draft: &Value) -> &Vec<Value> {
    draft["schema"][0]["properties"].as_array().unwrap()
}

fn name(value: &Value) -> &str {
    value["name"].as_str().unwrap()
}

/// `table.column` of each column for which `is` holds.
fn those(drafts: &[Value], is: impl Fn(&Value) -> bool) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for draft in drafts {
        for column in columns(draft).iter().filter(|column| is(column)) {
            found.insert(format!("{}.{}", name(draft), name(column)));
        }
    }
    found
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// The argument of a column's metric.
fn argument<'a>(column: &'a Value, metric: &str, argument: &str) -> Option<&'a Value> {
    let rules = column["quality"].as_array()?;
    rules
        .iter()
        .filter(|rule| rule["metric"] == metric)
        .find_map(|rule| rule["arguments"].get(argument))
}

fn custom<'a>(column: &'a Value, property: &str) -> Option<&'a str> {
    let all = column["customProperties"].as_array()?;
    let found = all.iter().find(|one| one["property"] == property)?;
    found["value"].as_str()
}

fn values(drafts: &[Value], dataset: &str, column: &str) -> BTreeSet<String> {
    let draft = drafts.iter().find(|draft| name(draft) == dataset).unwrap();
    let column = columns(draft)
        .iter()
        .find(|one| name(one) == column)
        .unwrap();
    argument(column, "invalidValues", "validValues")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|value| value.as_str().unwrap().to_owned())
        .collect()
}

#[test]
#[ignore = "needs datacontract-cli: cargo xtask test runs it"]
fn the_drafts_of_the_shop_find_its_keys_references_kinds_and_people() {
    let lake = Lake::new();
    let file = sample(&lake, "shop/database");
    let (_, texts, drafts) = infer(&lake, &file);
    has_its_keys_and_references(&drafts);
    has_its_values_and_patterns(&drafts);
    has_its_people_money_and_times(&drafts);
    rejects_nothing_by_a_guess(&texts);
    names_no_customer(&texts, &file);
}

// The expectations are by hand, from the shop's contracts.

fn has_its_keys_and_references(drafts: &[Value]) {
    assert_eq!(
        those(drafts, |column| column["primaryKey"] == true),
        set(&[
            "customers.customer_id",
            "orders.order_id",
            "order_items.item_id",
            "payments.payment_id",
            "products.product_id",
            "refunds.refund_id",
        ])
    );
    let mut references = BTreeSet::new();
    for draft in drafts {
        for column in columns(draft) {
            for to in column["relationships"].as_array().into_iter().flatten() {
                references.insert(format!(
                    "{}.{} {}",
                    name(draft),
                    name(column),
                    to["to"].as_str().unwrap()
                ));
            }
        }
    }
    assert_eq!(
        references,
        set(&[
            "orders.customer_id customers.customer_id",
            "order_items.order_id orders.order_id",
            "order_items.product_id products.product_id",
            "payments.order_id orders.order_id",
            "refunds.order_id orders.order_id",
        ])
    );
}

fn has_its_values_and_patterns(drafts: &[Value]) {
    for (dataset, column, expected) in [
        (
            "orders",
            "channel",
            &["web", "app", "marketplace", "store"][..],
        ),
        ("customers", "segment", &["new", "regular", "vip"]),
        (
            "payments",
            "method",
            &["card", "paypal", "apple_pay", "klarna"],
        ),
        ("payments", "status", &["authorized", "captured", "failed"]),
    ] {
        assert_eq!(values(drafts, dataset, column), set(expected), "{column}");
    }
    // Two orders are in a state that the shop does not know: the draft says how rare the last one is.
    let status = values(drafts, "orders", "status");
    assert!(status.is_superset(&set(&["paid", "shipped", "delivered"])));
    let pattern = |text: &'static str| {
        those(drafts, move |column| {
            argument(column, "invalidValues", "pattern") == Some(&json!(text))
        })
    };
    assert_eq!(
        pattern("^[A-Z]{2}$"),
        set(&["customers.country", "orders.country"])
    );
    assert_eq!(
        pattern("^[A-Z]{3}$"),
        set(&[
            "orders.currency",
            "order_items.currency",
            "payments.currency",
            "products.currency",
            "refunds.currency",
        ])
    );
}

fn has_its_people_money_and_times(drafts: &[Value]) {
    let protected = those(drafts, |column| custom(column, "protection").is_some());
    assert!(
        protected.is_superset(&set(&["customers.email", "customers.name"])),
        "{protected:?}"
    );
    let harmless = set(&["customers.email", "customers.name", "refunds.reason"]);
    assert!(protected.is_subset(&harmless), "{protected:?}");
    let money = those(drafts, |column| {
        let ty = column["physicalType"].as_str().unwrap_or_default();
        ty.starts_with("decimal")
    });
    assert_eq!(
        money,
        set(&[
            "orders.total",
            "orders.discount",
            "orders.shipping",
            "order_items.unit_price",
            "payments.amount",
            "products.price",
            "products.cost",
            "refunds.amount",
        ])
    );
    let times = those(drafts, |column| column["logicalType"] == "timestamp");
    assert_eq!(
        times,
        set(&[
            "customers.created_at",
            "orders.order_ts",
            "payments.paid_at",
            "refunds.refunded_at",
        ])
    );
    // The database declares this for two columns besides its keys, and for no others.
    assert_eq!(
        those(drafts, |column| column["required"] == true
            && column["primaryKey"] != true),
        set(&["customers.email", "customers.name"])
    );
}

fn rejects_nothing_by_a_guess(texts: &[String]) {
    for text in texts {
        // A rule that is only a guess does not reject rows.
        let rules = text.split("properties:").nth(1).unwrap();
        assert!(!rules.contains("severity: reject"), "{text}");
        assert!(text.contains("# By all "), "{text}");
    }
    assert!(texts.iter().any(|text| text.contains("amount.type")));
}

fn names_no_customer(texts: &[String], file: &Path) {
    let shop = Connection::open(file).unwrap();
    let mut statement = shop.prepare("SELECT email, name FROM customers").unwrap();
    let people: Vec<String> = statement
        .query_map([], |row| Ok([row.get(0)?, row.get(1)?]))
        .unwrap()
        .flat_map(|row: rusqlite::Result<[String; 2]>| row.unwrap())
        .collect();
    assert!(people.len() > 100);
    for text in texts {
        for value in &people {
            assert!(!text.contains(value.as_str()), "{value} in {text}");
        }
    }
}

#[test]
#[ignore = "needs datacontract-cli: cargo xtask test runs it"]
fn the_drafts_of_events_logs_and_posts_find_people_and_kinds() {
    let lake = Lake::new();
    let (_, _, drafts) = infer(&lake, &sample(&lake, "ads/events"));
    let protected = those(&drafts, |column| custom(column, "protection").is_some());
    assert_eq!(
        protected,
        set(&["new_events.user_id", "new_events.session_id"])
    );
    assert_eq!(
        values(&drafts, "new_events", "event_type"),
        set(&["impression", "click", "conversion", "spend"])
    );
    assert!(those(&drafts, |column| column["required"] == true).is_empty());
    for (folder, expected) in [
        (
            "web/access_logs",
            &["client_ip", "remote_user", "referer", "user_agent"][..],
        ),
        (
            "social/posts",
            &["author_handle", "author_name", "text", "mentions"],
        ),
    ] {
        let (_, _, drafts) = infer(&lake, &sample(&lake, folder));
        let protected = those(&drafts, |column| custom(column, "protection").is_some());
        for column in expected {
            let column = format!("{}.{column}", name(&drafts[0]));
            assert!(protected.contains(&column), "{column} of {protected:?}");
        }
    }
}

/// A database whose column names suggest nothing, with few values over many rows.
fn people(lake: &Lake) -> (PathBuf, Vec<String>) {
    let path = lake.scratch().join("crm.sqlite");
    let database = Connection::open(&path).unwrap();
    database
        .execute_batch(
            "PRAGMA foreign_keys = OFF;
             CREATE TABLE members(
                 id INTEGER PRIMARY KEY, code TEXT NOT NULL UNIQUE, label VARCHAR(12), grade TEXT,
                 reachable_by TEXT, talk TEXT, origin TEXT, account TEXT, name TEXT
             );
             CREATE TABLE visits(
                 member_id INTEGER REFERENCES members(id), room TEXT, seats INTEGER, sponsor INTEGER,
                 FOREIGN KEY(sponsor) REFERENCES members(id)
             );
             BEGIN",
        )
        .unwrap();
    let mut secret = Vec::new();
    for row in 0..400_u32 {
        let person = row % 5;
        let mail = format!("canary{person}@mail.example");
        let address = format!("203.0.113.{}", 10 + person);
        let account = "DE89370400440532013000".to_owned();
        let name = format!("Canary{person} Bird");
        let grade = ["gold", "silver", "N/A", ""][row as usize % 4];
        let talk = if row % 50 == 0 {
            format!("call +49 30 1234567{person}")
        } else {
            "fine".to_owned()
        };
        database
            .execute(
                "INSERT INTO members VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                rusqlite::params![
                    row,
                    format!("M-{row:04}"),
                    "short",
                    grade,
                    mail,
                    talk,
                    address,
                    account,
                    name
                ],
            )
            .unwrap();
        database
            .execute(
                "INSERT INTO visits VALUES (?, ?, ?, ?)",
                rusqlite::params![row, format!("R{}", row % 3), row % 7, 1000 + row],
            )
            .unwrap();
        secret.extend([mail, address, account, name]);
    }
    secret.extend([
        "1234567".to_owned(),
        "Canary".to_owned(),
        "canary".to_owned(),
    ]);
    database.execute_batch("COMMIT").unwrap();
    (path, secret)
}

#[test]
#[ignore = "needs datacontract-cli: cargo xtask test runs it"]
fn no_personal_value_is_in_a_draft_whatever_its_column_is_called() {
    let lake = Lake::new();
    let (path, secret) = people(&lake);
    let (folder, texts, drafts) = infer(&lake, &path);
    for text in &texts {
        for value in &secret {
            assert!(!text.contains(value.as_str()), "{value} in {text}");
        }
    }
    let protections: Vec<(&str, Option<&str>)> = columns(&drafts[0])
        .iter()
        .map(|column| (name(column), custom(column, "protection")))
        .collect();
    assert_eq!(
        protections,
        [
            ("id", None),
            ("code", None),
            ("label", None),
            ("grade", None),
            ("reachable_by", Some("pseudonymise")),
            ("talk", Some("redact")),
            ("origin", Some("generalise")),
            ("account", Some("pseudonymise")),
            ("name", Some("pseudonymise")),
        ]
    );
    let members = &texts[0];
    for evidence in [
        "# Personal: 100 per cent of the values hold an email address.",
        "# Personal: 2.0 per cent of the values hold a telephone number.",
        "# Declared unique by the source.",
        "maxLength: 12",
        "missingValues: [null, \"\", \"N/A\"]",
        "# Without a value: 200 of 400 rows (50.0 per cent).",
        "pattern: \"^M-[0-9]{4}$\"",
    ] {
        assert!(members.contains(evidence), "{evidence} in {members}");
    }
    // Rules that the database declares reject if they hold, and warn if they do not.
    let visits = &drafts[1];
    let rule = |column: usize| {
        let rules = columns(visits)[column]["quality"].as_array().unwrap();
        let rule = rules
            .iter()
            .find(|rule| rule["implementation"]["kind"] == "reference");
        rule.unwrap()["severity"].as_str().unwrap().to_owned()
    };
    assert_eq!((rule(0), rule(3)), ("reject".to_owned(), "warn".to_owned()));
    assert!(texts[1].contains("400 of 400 distinct values are not in members.id."));
    // A table without a declared key gets one that its rows support.
    assert!(
        texts[1].contains(
            "# Decide: no primary key is declared; this column distinguishes all 400 rows."
        )
    );
    assert_eq!(columns(visits)[0]["primaryKey"], true);
    // The drafts accept all rows.
    let mut lake = lake;
    lake.contracts = Some(folder);
    let records = lake.ingest(&[&path]);
    for outcome in records[0]["datasets"].as_array().unwrap() {
        assert_eq!(outcome["accepted"], 400, "{outcome}");
        for check in outcome["checks"].as_array().unwrap() {
            let declared = check["id"] == "sponsor.reference";
            assert_eq!(check["passed"], !declared, "{check}");
        }
    }
}

#[test]
#[ignore = "needs datacontract-cli: cargo xtask test runs it"]
fn drafts_of_a_database_with_declared_references_are_sound_by_other_tools_too() {
    let mut lake = Lake::new();
    let mut files = vec![
        sample(&lake, "shop/database"),
        sample(&lake, "ads/events"),
        sample(&lake, "web/access_logs"),
    ];
    files.extend(shared("sqlite/chinook.sqlite"));
    for file in &files {
        let (folder, texts, drafts) = infer(&lake, file);
        for draft in std::fs::read_dir(&folder).unwrap() {
            let draft = draft.unwrap().path();
            let lint = Path::new(&python()).with_file_name("datacontract");
            let output = Command::new(lint).arg("lint").arg(&draft).output().unwrap();
            let shown = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{}: {shown}", draft.display());
        }
        if !file.ends_with("chinook.sqlite") {
            continue;
        }
        let mut references = String::new();
        for draft in &drafts {
            for column in columns(draft) {
                for to in column["relationships"].as_array().into_iter().flatten() {
                    let to = to["to"].as_str().unwrap();
                    writeln!(references, "{}.{} {to}", name(draft), name(column)).unwrap();
                }
            }
        }
        // As its CREATE statements declare them.
        assert_eq!(
            references,
            "album.artist_id artist.artist_id\n\
             customer.support_rep_id employee.employee_id\n\
             employee.reports_to employee.employee_id\n\
             invoice.customer_id customer.customer_id\n\
             invoice_line.invoice_id invoice.invoice_id\n\
             invoice_line.track_id track.track_id\n\
             playlist_track.playlist_id playlist.playlist_id\n\
             playlist_track.track_id track.track_id\n\
             track.album_id album.album_id\n\
             track.media_type_id media_type.media_type_id\n\
             track.genre_id genre.genre_id\n"
        );
        assert!(
            texts
                .iter()
                .any(|text| text.contains("would go in a circle"))
        );
        lake.contracts = Some(folder);
        let copy = lake.file("music.sqlite", std::fs::read(file).unwrap());
        let records = lake.ingest(&[&copy]);
        assert_eq!(records[0]["status"], "succeeded", "{}", records[0]);
        for outcome in records[0]["datasets"].as_array().unwrap() {
            assert_eq!(outcome["rejected"], 0, "{outcome}");
        }
        lake.contracts = None;
    }
}

#[test]
fn a_draft_of_any_sample_file_accepts_nearly_all_of_its_rows() {
    let events = crate::lake::root().join("events");
    let (mut drafted, mut refused) = (0, Vec::new());
    for folder in ["access_log", "ads", "social"] {
        let mut files: Vec<_> = std::fs::read_dir(events.join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        for path in files {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            // Each of its posts was made to be rejected.
            if name == "rejected.ndjson" {
                continue;
            }
            let mut lake = Lake::new();
            let drafts = lake.scratch().join("drafts");
            let (file, out) = (path.to_str().unwrap(), drafts.to_str().unwrap());
            let args = [
                "contract", "infer", file, "--source", "sample", "--out", out,
            ];
            let output = lake.run(&args);
            if !output.status.success() {
                let errors = String::from_utf8_lossy(&output.stderr);
                assert!(errors.contains("error: "), "{name}: {errors}");
                refused.push(name);
                continue;
            }
            drafted += 1;
            lake.contracts = Some(drafts.clone());
            let records = lake.ingest(&[&path]);
            if records[0]["status"] == "failed" {
                // Damaged beyond the rows that a draft was made from.
                refused.push(name);
                continue;
            }
            let outcome = &records[0]["datasets"][0];
            let number = |key: &str| outcome[key].as_u64().unwrap();
            let unreadable = outcome["rejected_by"]["parse"].as_u64().unwrap_or(0);
            let readable = number("received") - unreadable;
            // Of a few rows, one has a number that no column holds.
            let rejected = readable - number("accepted");
            assert!(
                rejected <= 1 || 100 * rejected <= 5 * readable,
                "{folder}/{name}: {} of {readable} rows: {}",
                number("accepted"),
                outcome["rejected_by"]
            );
        }
    }
    println!(
        "{drafted} drafts; refused or failed: {}",
        refused.join(", ")
    );
    assert!(drafted >= 40, "{drafted}: {refused:?}");
}

#[test]
fn a_draft_has_the_name_that_was_asked_for_and_replaces_another_only_by_force() {
    let lake = Lake::new();
    let file = lake.file(
        "export.ndjson",
        "{\"no\":1,\"at_micros\":1767225600000000,\"extra\":{\"a\":1}}\n",
    );
    let folder = lake.scratch().join("drafts");
    let (file, out) = (file.to_str().unwrap(), folder.to_str().unwrap());
    let infer = |more: &[&str]| {
        let args = [
            "contract", "infer", file, "--source", "shop", "--name", "scans", "--out", out,
        ];
        lake.run(&[&args[..], more].concat())
    };
    assert!(infer(&[]).status.success());
    let path = folder.join("scans.odcs.yaml");
    let draft = std::fs::read_to_string(&path).unwrap();
    for expected in ["name: scans", "raw/shop/scans/**", "Left out: extra"] {
        assert!(draft.contains(expected), "{expected}: {draft}");
    }
    std::fs::write(&path, "mine").unwrap();
    let kept = infer(&[]);
    assert_eq!(kept.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&kept.stderr).contains("--force"));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    assert!(infer(&["--force"]).status.success());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), draft);
}

//! Snapshots of databases: keys after conversion to their types, rows that are rejected and not deleted,
//! deletions that need confirmation, and the order of snapshots.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::lake::Lake;

/// A database.
fn database(lake: &Lake, name: &str, sql: &str) -> PathBuf {
    let path = lake.file(name, "");
    std::fs::remove_file(&path).unwrap();
    Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    path
}

/// A contract over a table of the same name. `custom` is more customProperties, `columns` the properties.
fn contract(folder: &Path, dataset: &str, custom: &[&str], columns: &[&str]) {
    let mut text = format!(
        "apiVersion: v3.1.0\nkind: DataContract\nid: {dataset}\nname: {dataset}\nversion: 1.0.0\nstatus: active\n\
         description: {{ purpose: Rows. }}\ncustomProperties:\n  - {{ property: sourceFormat, value: sqlite }}\n  \
         - {{ property: keyPattern, value: \"raw/shop/database/**\" }}\n"
    );
    for property in custom {
        text += &format!("  - {{ {property} }}\n");
    }
    text += &format!("schema:\n  - name: {dataset}\n    properties:\n");
    for column in columns {
        text += &format!("      - {{ {column} }}\n");
    }
    std::fs::write(folder.join(format!("{dataset}.odcs.yaml")), text).unwrap();
}

const KEEP: &str = "property: deletedRows, value: keep";
const SOFT: &str = "property: deletedRows, value: soft";
const REMOVE: &str = "property: deletedRows, value: remove";

fn key(name: &str, position: u8, types: &str) -> String {
    format!(
        "name: {name}, {types}, required: true, primaryKey: true, primaryKeyPosition: {position}"
    )
}

const TEXT: &str = "logicalType: string, physicalType: string";
const NUMBER: &str = "logicalType: integer, physicalType: bigint";

/// A lake with contracts of its own.
fn lake() -> Lake {
    let mut lake = Lake::new();
    let folder = lake.scratch().join("contracts");
    std::fs::create_dir_all(&folder).unwrap();
    lake.contracts = Some(folder);
    lake
}

fn contracts(lake: &Lake) -> &Path {
    lake.contracts.as_deref().unwrap()
}

fn outcome<'a>(record: &'a Value, dataset: &str) -> &'a Value {
    let mut datasets = record["datasets"].as_array().unwrap().iter();
    datasets
        .find(|outcome| outcome["dataset"] == dataset)
        .unwrap_or_else(|| panic!("{record}"))
}

fn counts(record: &Value, dataset: &str, names: &[&str]) -> Vec<u64> {
    let outcome = outcome(record, dataset);
    names
        .iter()
        .map(|name| outcome[*name].as_u64().unwrap())
        .collect()
}

#[test]
fn keys_that_are_equal_once_they_are_typed_are_one_row() {
    let lake = lake();
    let pieces = format!("name: pieces, {NUMBER}");
    contract(
        contracts(&lake),
        "stock",
        &[KEEP],
        &[
            &key("sku", 1, TEXT),
            &key("day", 2, "logicalType: date, physicalType: date"),
            &pieces,
        ],
    );
    contract(
        contracts(&lake),
        "rates",
        &[REMOVE],
        &[
            &key("code", 1, TEXT),
            &key(
                "valid_from",
                2,
                "logicalType: timestamp, physicalType: timestamptz",
            ),
            &format!("name: rate, {NUMBER}"),
        ],
    );
    for (day, pieces) in [(5, 5), (6, 6), (7, 7), (8, 8)] {
        let shop = database(
            &lake,
            &format!("shop-2026-01-{day:02}.sqlite"),
            &format!(
                "CREATE TABLE stock(sku TEXT, day TEXT, pieces INTEGER, PRIMARY KEY(sku, day));
                 INSERT INTO stock VALUES ('A','2026-01-05',10),('A','2026-01-05 00:00:00',11),('A','2026-01-06',{pieces});
                 CREATE TABLE rates(code TEXT, valid_from TEXT, rate INTEGER, PRIMARY KEY(code, valid_from));
                 INSERT INTO rates VALUES ('EUR','2026-01-05 10:00:00',1),('EUR','2026-01-05T11:00:00+01:00',2),('EUR','2026-01-06T00:00:00Z',{pieces});"
            ),
        );
        let record = &lake.ingest(&[&shop])[0];
        for dataset in ["stock", "rates"] {
            let found = counts(record, dataset, &["received", "accepted", "rejected"]);
            assert_eq!(found, [3, 2, 1], "{record}");
            assert_eq!(
                outcome(record, dataset)["rejected_by"],
                json!({"duplicate": 1})
            );
            assert_eq!(outcome(record, dataset)["reconciliation"]["matches"], true);
        }
        assert_eq!(lake.value("SELECT COUNT(*) AS n FROM stock"), 2);
        assert_eq!(
            lake.value("SELECT SUM(pieces) AS n FROM stock"),
            10 + pieces
        );
        assert_eq!(lake.value("SELECT SUM(rate) AS n FROM rates"), 1 + pieces);
    }
}

/// Two tables whose rows must follow rules; items refer to customers.
fn lake_with_rules() -> Lake {
    let lake = lake();
    let country = format!(
        "name: country, {TEXT}, required: true, logicalTypeOptions: {{ pattern: \"^[A-Z]{{2}}$\" }}"
    );
    let quantity =
        format!("name: quantity, {NUMBER}, required: true, logicalTypeOptions: {{ minimum: 1 }}");
    let customer = format!(
        "name: customer_id, {NUMBER}, required: true, quality: [{{ type: custom, engine: tarn, \
         implementation: {{ kind: reference, to: customers.customer_id }}, mustBe: 0, severity: error }}]"
    );
    contract(
        contracts(&lake),
        "customers",
        &[SOFT],
        &[&key("customer_id", 1, NUMBER), &country],
    );
    contract(
        contracts(&lake),
        "order_items",
        &[REMOVE],
        &[&key("item_id", 1, NUMBER), &customer, &quantity],
    );
    lake
}

#[test]
fn a_row_that_breaks_a_rule_is_held_at_its_last_good_version_and_not_deleted() {
    let lake = lake_with_rules();
    let shop = |name: &str, customers: &str, items: &str| {
        let sql = format!(
            "CREATE TABLE customers(customer_id INTEGER PRIMARY KEY, country TEXT);
             CREATE TABLE order_items(item_id INTEGER PRIMARY KEY, customer_id INTEGER, quantity INTEGER);
             INSERT INTO customers VALUES {customers};
             INSERT INTO order_items VALUES {items};"
        );
        lake.ingest(&[&database(&lake, name, &sql)]).remove(0)
    };
    shop(
        "shop-2026-01-05.db",
        "(1,'DE'),(2,'FR'),(3,'PL'),(4,'SE')",
        "(1,1,1),(2,2,2),(3,3,4),(4,4,1)",
    );
    // A pattern, a type and a minimum are broken; customer 4 and item 4 are really deleted. Item 5 is new
    // and refers to a customer who is held.
    let record = shop(
        "shop-2026-01-06.db",
        "(1,'DE'),(2,'France'),(3,x'00')",
        "(1,1,1),(2,2,-2),(3,3,'four'),(5,2,7)",
    );
    let names = [
        "accepted",
        "rejected",
        "held",
        "deleted",
        "deletions_withheld",
    ];
    assert_eq!(counts(&record, "customers", &names), [1, 2, 2, 1, 0]);
    assert_eq!(counts(&record, "order_items", &names), [2, 2, 2, 1, 0]);
    for dataset in ["customers", "order_items"] {
        let found = &outcome(&record, dataset)["reconciliation"];
        assert_eq!(found["matches"], true, "{record}");
        assert_eq!(found["expected_rows"], found["table_rows"]);
    }
    assert_eq!(
        lake.query("SELECT customer_id AS id, country, _deleted_at IS NOT NULL AS gone FROM customers ORDER BY id"),
        [
            json!({"id": 1, "country": "DE", "gone": false}),
            json!({"id": 2, "country": "FR", "gone": false}),
            json!({"id": 3, "country": "PL", "gone": false}),
            json!({"id": 4, "country": "SE", "gone": true}),
        ]
    );
    assert_eq!(
        lake.query("SELECT item_id AS id, quantity FROM order_items ORDER BY id"),
        [
            json!({"id": 1, "quantity": 1}),
            json!({"id": 2, "quantity": 2}),
            json!({"id": 3, "quantity": 4}),
            json!({"id": 5, "quantity": 7}),
        ]
    );
    // The quarantine names the keys, also of rows that could not be read.
    assert_eq!(
        lake.query("SELECT item_id, _rule FROM quarantine_order_items ORDER BY item_id"),
        [
            json!({"item_id": 2, "_rule": "quantity.minimum"}),
            json!({"item_id": 3, "_rule": "quantity.type"}),
        ]
    );

    // A dry run says the same as the run did.
    let object = record["key"].as_str().unwrap();
    let dry = lake.ok(&["--json", "replay", object, "--dry-run"]);
    let dry = crate::lake::lines(&dry);
    assert!(dry.iter().all(|one| one["rows_change"] == 0), "{dry:?}");

    // Rows that are corrected at the source are accepted, and the held rows are no longer held.
    let record = shop(
        "shop-2026-01-07.db",
        "(1,'DE'),(2,'BE'),(3,'PL')",
        "(1,1,1),(2,2,3),(5,2,7)",
    );
    assert_eq!(counts(&record, "customers", &names), [3, 0, 0, 0, 0]);
    assert_eq!(counts(&record, "order_items", &names), [3, 0, 0, 1, 0]);
    assert_eq!(lake.value("SELECT SUM(quantity) AS n FROM order_items"), 11);
}

#[test]
fn a_row_without_a_key_that_can_be_read_may_be_any_and_nothing_is_deleted() {
    for (bad, deleted) in [
        ("'seven'", SOFT),
        ("'seven'", REMOVE),
        ("NULL", SOFT),
        ("x'07'", REMOVE),
    ] {
        let lake = lake();
        contract(
            contracts(&lake),
            "items",
            &[deleted],
            &[&key("id", 1, NUMBER), &format!("name: v, {TEXT}")],
        );
        let shop = |day: u8, rows: &str| {
            let sql =
                format!("CREATE TABLE items(id INTEGER, v TEXT); INSERT INTO items VALUES {rows};");
            let path = database(&lake, &format!("shop-2026-01-{day:02}.db"), &sql);
            lake.ingest(&[&path]).remove(0)
        };
        shop(5, "(1,'a'),(2,'b'),(3,'c')");
        let record = shop(6, &format!("(1,'a'),(2,'z'),({bad},'c')"));
        let names = [
            "accepted",
            "rejected",
            "held",
            "deleted",
            "deletions_withheld",
            "updated",
        ];
        assert_eq!(
            counts(&record, "items", &names),
            [2, 1, 0, 0, 1, 1],
            "{bad}"
        );
        assert_eq!(outcome(&record, "items")["reconciliation"]["matches"], true);
        assert_eq!(lake.value("SELECT COUNT(*) AS n FROM items"), 3);
        let record = shop(7, "(1,'a'),(2,'z')");
        assert_eq!(
            counts(&record, "items", &["deleted", "deletions_withheld"]),
            [1, 0]
        );
    }
}

#[test]
fn a_new_column_that_rejects_every_row_empties_no_table() {
    let lake = lake();
    let quarantine = "property: schemaDrift, value: quarantine";
    contract(
        contracts(&lake),
        "items",
        &[REMOVE, quarantine],
        &[&key("id", 1, NUMBER), &format!("name: v, {TEXT}")],
    );
    let rows: Vec<String> = (1..=20).map(|id| format!("({id}, 'v{id}')")).collect();
    let sql = format!(
        "CREATE TABLE items(id INTEGER PRIMARY KEY, v TEXT); INSERT INTO items VALUES {};",
        rows.join(",")
    );
    lake.ingest(&[&database(&lake, "shop-2026-01-05.db", &sql)]);
    let sql =
        format!("{sql} ALTER TABLE items ADD COLUMN news TEXT; DELETE FROM items WHERE id = 1;");
    let record = lake
        .ingest(&[&database(&lake, "shop-2026-01-06.db", &sql)])
        .remove(0);
    let names = ["accepted", "rejected", "held", "deleted"];
    assert_eq!(counts(&record, "items", &names), [0, 19, 19, 1]);
    assert_eq!(lake.value("SELECT COUNT(*) AS n FROM items"), 19);
}

#[test]
fn a_snapshot_that_deletes_too_much_changes_nothing_until_it_is_confirmed() {
    let lake = lake();
    let column = format!("name: v, {TEXT}");
    contract(
        contracts(&lake),
        "aaa",
        &[SOFT],
        &[&key("id", 1, NUMBER), &column],
    );
    contract(
        contracts(&lake),
        "bbb",
        &[REMOVE, "property: maximumDeletedShare, value: 0.25"],
        &[&key("id", 1, NUMBER), &column],
    );
    let shop = |name: &str, aaa: u32, bbb: u32| {
        let sql = format!(
            "CREATE TABLE aaa(id INTEGER PRIMARY KEY, v TEXT); CREATE TABLE bbb(id INTEGER PRIMARY KEY, v TEXT);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {aaa}) INSERT INTO aaa SELECT i, '{name}' FROM n;
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {bbb}) INSERT INTO bbb SELECT i, '{name}' FROM n;"
        );
        database(&lake, name, &sql)
    };
    lake.ingest(&[&shop("shop-2026-01-05.db", 20, 20)]);
    // Half of aaa may be deleted, and a quarter of bbb.
    let record = lake
        .ingest(&[&shop("shop-2026-01-06.db", 10, 15)])
        .remove(0);
    assert_eq!(record["status"], "succeeded", "{record}");
    let before = lake.tables();

    let record = lake.ingest(&[&shop("shop-2026-01-07.db", 9, 11)]).remove(0);
    assert_eq!(record["status"], "failed");
    assert_eq!(record["error_kind"], "quality");
    assert_eq!(record["datasets"], json!([]));
    let reason = record["reason"].as_str().unwrap();
    for part in [
        "bbb would lose 4 of its 15 rows",
        "0.25",
        "maximumDeletedShare",
        "--confirm-deletions",
    ] {
        assert!(reason.contains(part), "{reason}");
    }
    assert!(!reason.contains("aaa would"), "{reason}");
    assert_eq!(lake.tables(), before, "not even the quarantine has changed");
    let object = record["key"].as_str().unwrap();

    // A replay without confirmation fails as well, a dry run says so, and the confirmation needs the
    // object's name.
    assert!(!lake.run(&["replay", object]).status.success());
    let dry = lake.run(&["replay", object, "--dry-run"]);
    let said =
        String::from_utf8_lossy(&dry.stderr).into_owned() + &String::from_utf8_lossy(&dry.stdout);
    assert!(said.contains("--confirm-deletions"), "{said}");
    assert_eq!(
        lake.run(&["replay", "--confirm-deletions"]).status.code(),
        Some(2)
    );
    assert_eq!(lake.tables(), before);

    let records =
        crate::lake::lines(&lake.ok(&["--json", "replay", object, "--confirm-deletions"]));
    assert_eq!(records[0]["deletions_confirmed"], true);
    assert_eq!(counts(&records[0], "aaa", &["deleted"]), [1]);
    assert_eq!(counts(&records[0], "bbb", &["deleted"]), [4]);
    assert_eq!(lake.value("SELECT COUNT(*) AS n FROM bbb"), 11);
    // Tables of fewer than ten rows have no limit.
    let record = lake.ingest(&[&shop("shop-2026-01-08.db", 9, 9)]).remove(0);
    assert_eq!(record["status"], "succeeded", "{record}");
    let record = lake.ingest(&[&shop("shop-2026-01-09.db", 9, 1)]).remove(0);
    assert_eq!(counts(&record, "bbb", &["deleted"]), [8]);
}

#[test]
fn an_older_snapshot_that_comes_late_is_skipped_and_names_the_newer_one() {
    let orders = |status: &str, more: &str| {
        format!(
            "CREATE TABLE orders(order_id INTEGER PRIMARY KEY, status TEXT, updated_at TEXT);
             INSERT INTO orders VALUES (1, '{status}', '2026-01-0{} 10:00:00'); {more}",
            if status == "placed" { 5 } else { 6 }
        )
    };
    let newer = orders(
        "paid",
        "INSERT INTO orders VALUES (2, 'paid', '2026-01-06 11:00:00');",
    );
    let older = orders("placed", "");
    // (snapshotTime, name of the newer, name of the older)
    for (time, first, second) in [
        (None, "2026-01-06.sqlite", "2026-01-05.sqlite"),
        (Some("name"), "shop_20260106T2200.db", "shop_2026-01-06.db"),
        (Some("key:%d.%m.%y"), "", ""),
        (Some("key:%d.%m.%Y"), "06.01.2026.db", "05.02.2025.db"),
        (Some("column:updated_at"), "a.db", "b-2026-01-07.db"),
    ] {
        let lake = lake();
        let property = time.map(|time| format!("property: snapshotTime, value: \"{time}\""));
        let mut custom = vec![REMOVE];
        custom.extend(property.as_deref());
        contract(
            contracts(&lake),
            "orders",
            &custom,
            &[
                &key("order_id", 1, NUMBER),
                &format!("name: status, {TEXT}"),
                "name: updated_at, logicalType: timestamp, physicalType: timestamptz",
            ],
        );
        if first.is_empty() {
            let output = lake.run(&["contract", "lint"]);
            assert!(!output.status.success());
            let said = String::from_utf8_lossy(&output.stderr).into_owned()
                + &String::from_utf8_lossy(&output.stdout);
            assert!(
                said.contains("snapshotTime cannot be") && said.contains("%Y"),
                "{said}"
            );
            continue;
        }
        lake.ingest(&[&database(&lake, first, &newer)]);
        let before = lake.tables();
        let record = lake.ingest(&[&database(&lake, second, &older)]).remove(0);
        assert_eq!(record["status"], "skipped", "{time:?}: {record}");
        assert_eq!(record["skipped"], "newer_snapshot");
        assert!(
            record["reason"].as_str().unwrap().contains(first),
            "{record}"
        );
        let strip = |tables: Vec<Value>| -> Vec<Value> {
            tables
                .into_iter()
                .map(|table| table["versions"].clone())
                .collect()
        };
        assert_eq!(strip(lake.tables()), strip(before));
        assert_eq!(lake.value("SELECT COUNT(*) AS n FROM orders"), 2);
        // A replay and a backfill follow the same order, and the run is kept.
        let object = record["key"].as_str().unwrap();
        let again = crate::lake::lines(&lake.ok(&["--json", "replay", object]));
        assert_eq!(again[0]["skipped"], "newer_snapshot");
        let today = record["started_at"].as_str().unwrap()[..10].to_owned();
        lake.ok(&["backfill", "--from", &today, "--to", &today]);
        assert_eq!(lake.value("SELECT MAX(status) AS s FROM orders"), "paid");
        let runs = lake.ok(&["--json", "runs"]);
        assert!(runs.contains("newer_snapshot"), "{runs}");
        let status = lake.ok(&["--json", "status"]);
        let status: Value = serde_json::from_str(status.lines().next().unwrap()).unwrap();
        assert_eq!(status["backlog"]["superseded"], 1, "{status}");
        // The newest may be read again.
        lake.ok(&["replay", "--rule", "nothing"]);
    }
}

#[test]
fn one_database_has_one_time() {
    let lake = lake();
    let time = |value: &str| format!("property: snapshotTime, value: \"{value}\"");
    let columns = [
        key("id", 1, NUMBER),
        "name: at, logicalType: timestamp, physicalType: timestamptz".to_owned(),
    ];
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let lint = |a: Option<&str>, b: Option<&str>| {
        for (name, value) in [("aaa", a), ("bbb", b)] {
            let property = value.map(time);
            contract(
                contracts(&lake),
                name,
                &property.iter().map(String::as_str).collect::<Vec<_>>(),
                &columns,
            );
        }
        lake.run(&["contract", "lint"]).status.success()
    };
    assert!(lint(None, None));
    assert!(lint(Some("column:at"), None));
    assert!(lint(Some("put"), Some("put")));
    assert!(!lint(Some("put"), Some("name")));
    assert!(!lint(Some("column:at"), Some("column:at")));
    assert!(!lint(Some("column:id"), None), "a number is not a time");
    assert!(!lint(Some("column:nothing"), None));
}

#[test]
fn a_bad_row_does_not_hide_its_sound_twin() {
    for bad in ["-1", "'many'", "NULL", "''"] {
        let lake = lake();
        let quantity = format!(
            "name: quantity, {NUMBER}, required: true, logicalTypeOptions: {{ minimum: 1 }}"
        );
        contract(
            contracts(&lake),
            "orders",
            &[KEEP],
            &[&key("ref", 1, TEXT), &quantity],
        );
        let sql = format!(
            "CREATE TABLE orders(ref TEXT, quantity INTEGER);
             INSERT INTO orders VALUES ('7',{bad}),('7',3),('7',4),('8',1),('9','');"
        );
        let record = lake
            .ingest(&[&database(&lake, "shop.sqlite", &sql)])
            .remove(0);
        let names = ["received", "accepted", "rejected"];
        assert_eq!(counts(&record, "orders", &names), [5, 2, 3], "{bad}");
        assert_eq!(outcome(&record, "orders")["rejected_by"]["duplicate"], 1);
        assert_eq!(
            lake.query("SELECT ref, quantity FROM orders ORDER BY ref"),
            [
                json!({"ref": "7", "quantity": 3}),
                json!({"ref": "8", "quantity": 1})
            ]
        );
    }
}

#[test]
fn a_decimal_is_a_key_like_any_other() {
    let lake = lake();
    let label = format!("name: label, {TEXT}");
    contract(
        contracts(&lake),
        "aaa",
        &[KEEP],
        &[&key("id", 1, NUMBER), &label],
    );
    contract(
        contracts(&lake),
        "taxes",
        &[REMOVE],
        &[
            &key(
                "rate",
                1,
                "logicalType: number, physicalType: \"decimal(5,2)\"",
            ),
            &label,
        ],
    );
    for (day, label, taxes) in [(1, "standard", 2), (2, "normal", 2), (3, "usual", 1)] {
        let sql = format!(
            "CREATE TABLE taxes(rate TEXT PRIMARY KEY, label TEXT);
             INSERT INTO taxes VALUES ('7.00','reduced'),('19.00','{label}'),('19','twin');
             CREATE TABLE aaa(id INTEGER PRIMARY KEY, label TEXT);
             INSERT INTO aaa VALUES (1,'{label}');
             DELETE FROM taxes WHERE rate = '7.00' AND {taxes} = 1;"
        );
        let record = lake
            .ingest(&[&database(&lake, &format!("shop-2026-01-0{day}.db"), &sql)])
            .remove(0);
        assert_eq!(record["status"], "succeeded", "{record}");
        let names = ["accepted", "rejected"];
        assert_eq!(counts(&record, "taxes", &names), [taxes, 1]);
        assert_eq!(
            lake.query("SELECT rate, COUNT(*) AS n FROM taxes GROUP BY rate ORDER BY rate DESC")[0],
            json!({"rate": "19.00", "n": 1})
        );
        assert_eq!(lake.value("SELECT label FROM taxes WHERE rate = 19"), label);
        assert_eq!(lake.value("SELECT label FROM aaa"), label);
    }
}

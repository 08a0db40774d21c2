//! Databases: typed tables by upsert from full snapshots.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde_json::json;

use crate::lake::{Lake, root};

const SCHEMA: &str = "
    CREATE TABLE customers(customer_id INTEGER PRIMARY KEY, email TEXT NOT NULL, name TEXT NOT NULL, country TEXT, created_at TEXT, segment TEXT, marketing_consent INTEGER);
    CREATE TABLE products(product_id INTEGER PRIMARY KEY, sku TEXT, name TEXT, category TEXT, price_cents INTEGER, cost_cents INTEGER, currency TEXT, active INTEGER);
    CREATE TABLE orders(order_id INTEGER PRIMARY KEY, customer_id INTEGER, order_ts TEXT, status TEXT, channel TEXT, country TEXT, currency TEXT, total_cents INTEGER, discount_cents INTEGER, shipping_cents INTEGER, coupon TEXT, campaign_id INTEGER);
    CREATE TABLE order_items(item_id INTEGER PRIMARY KEY, order_id INTEGER, product_id INTEGER, quantity INTEGER, unit_price_cents INTEGER, currency TEXT);
    CREATE TABLE payments(payment_id INTEGER PRIMARY KEY, order_id INTEGER, paid_at TEXT, method TEXT, status TEXT, amount TEXT, currency TEXT);
    CREATE TABLE refunds(refund_id INTEGER PRIMARY KEY, order_id INTEGER, refunded_at TEXT, amount REAL, currency TEXT, reason TEXT);
    INSERT INTO customers VALUES (1, 'ann@example.com', 'Ann', 'DE', '2025-12-01 10:00:00', 'vip', 1), (2, 'bob@example.com', 'Bob', 'FR', '2025-12-02 10:00:00', NULL, 0);
    INSERT INTO products VALUES (1, 'SKU-1', 'Shoe', 'shoes', 1999, 1000, 'EUR', 1);
    INSERT INTO orders VALUES (1, 1, '2026-01-05 08:00:00', 'paid', 'web', 'DE', 'EUR', 1999, 0, 0, NULL, NULL), (2, 2, '2026-02-05 08:00:00', 'placed', 'app', 'FR', 'EUR', 3998, 0, 0, NULL, NULL);
    INSERT INTO order_items VALUES (1, 1, 1, 1, 1999, 'EUR'), (2, 2, 1, 2, 1999, 'EUR');
    INSERT INTO payments VALUES (1, 1, '2026-01-05 08:01:00', 'card', 'captured', '19.99', 'EUR');
    INSERT INTO refunds VALUES (1, 1, '2026-01-09 08:00:00', 4.1, 'EUR', NULL);
";

pub fn database(lake: &Lake, name: &str, change: &str) -> PathBuf {
    let path = lake.file(name, "");
    std::fs::remove_file(&path).unwrap();
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch(SCHEMA).unwrap();
    connection.execute_batch(change).unwrap();
    path
}

fn outcome(record: &serde_json::Value, dataset: &str) -> serde_json::Value {
    assert_eq!(record["status"], "succeeded", "{record}");
    let datasets = record["datasets"].as_array().unwrap();
    datasets
        .iter()
        .find(|outcome| outcome["dataset"] == dataset)
        .unwrap()
        .clone()
}

#[test]
fn values_are_mapped_as_the_contract_says() {
    let lake = Lake::new();
    let records = lake.ingest(&[&database(&lake, "shop.sqlite", "")]);
    for dataset in [
        "customers",
        "products",
        "orders",
        "order_items",
        "payments",
        "refunds",
    ] {
        assert_eq!(
            outcome(&records[0], dataset)["reconciliation"]["matches"],
            true
        );
    }
    assert_eq!(
        lake.query("SELECT order_id, order_time, total FROM orders ORDER BY order_id"),
        [
            json!({"order_id": 1, "order_time": "2026-01-05T08:00:00Z", "total": "19.99"}),
            json!({"order_id": 2, "order_time": "2026-02-05T08:00:00Z", "total": "39.98"}),
        ]
    );
    assert_eq!(lake.value("SELECT amount FROM payments"), "19.99");
    assert_eq!(lake.value("SELECT amount FROM refunds"), "4.10");
    assert_eq!(
        lake.query("SELECT segment, marketing_consent FROM customers ORDER BY customer_id"),
        [
            json!({"segment": "vip", "marketing_consent": true}),
            json!({"segment": null, "marketing_consent": false})
        ]
    );
}

/// The tables as they are listed, without their metadata, which name the newest snapshot of the database
/// even if it changed nothing.
fn versions(lake: &Lake) -> Vec<serde_json::Value> {
    let mut tables = lake.tables();
    for table in &mut tables {
        table.as_object_mut().unwrap().remove("metadata_location");
    }
    tables
}

#[test]
fn an_unchanged_snapshot_makes_no_version_and_a_changed_one_only_where_it_changed() {
    let lake = Lake::new();
    lake.ingest(&[&database(&lake, "monday.sqlite", "")]);
    let before = versions(&lake);
    let files_of_orders =
        |lake: &Lake| lake.query("SELECT _run_id, order_id FROM orders ORDER BY order_id");
    let first = files_of_orders(&lake);

    let records = lake.ingest(&[&database(&lake, "tuesday.sqlite", "")]);
    assert_eq!(outcome(&records[0], "orders")["unchanged"], 2);
    assert_eq!(
        outcome(&records[0], "orders")["snapshot_id"],
        serde_json::Value::Null
    );
    assert_eq!(versions(&lake), before);

    let records = lake.ingest(&[&database(&lake, "wednesday.sqlite", "
        UPDATE orders SET status = 'paid' WHERE order_id = 2;
        INSERT INTO orders VALUES (3, 1, '2026-02-06 08:00:00', 'paid', 'web', 'DE', 'EUR', 100, 0, 0, NULL, NULL);
    ")]);
    let orders = outcome(&records[0], "orders");
    assert_eq!(
        [
            &orders["inserted"],
            &orders["updated"],
            &orders["unchanged"]
        ],
        [1, 1, 1]
    );
    let after = files_of_orders(&lake);
    assert_eq!(after.len(), 3);
    assert_eq!(
        after[0], first[0],
        "a row that did not change keeps the run that wrote it"
    );
    assert_ne!(after[1]["_run_id"], first[1]["_run_id"]);
    // Versions stay readable.
    let old = lake.ok(&[
        "query",
        "--as-of",
        "1",
        "--format",
        "csv",
        "SELECT COUNT(*) AS n FROM orders",
    ]);
    assert_eq!(old, "n\n2\n");
}

#[test]
fn deleted_rows_are_kept_marked_or_removed_by_the_contracts_choice() {
    let lake = Lake::new();
    lake.ingest(&[&database(&lake, "monday.sqlite", "")]);
    let records = lake.ingest(&[&database(
        &lake,
        "tuesday.sqlite",
        "
        DELETE FROM customers WHERE customer_id = 2;
        DELETE FROM order_items WHERE item_id = 2;
        DELETE FROM orders WHERE order_id = 2;
    ",
    )]);
    assert_eq!(outcome(&records[0], "customers")["deleted"], 1);
    assert_eq!(outcome(&records[0], "order_items")["deleted"], 1);
    assert_eq!(outcome(&records[0], "orders")["deleted"], 0);
    assert_eq!(lake.value("SELECT COUNT(*) AS n FROM orders"), 2, "keep");
    assert_eq!(
        lake.value("SELECT COUNT(*) AS n FROM order_items"),
        1,
        "remove"
    );
    assert_eq!(
        lake.value("SELECT customer_id FROM customers WHERE _deleted_at IS NOT NULL"),
        2,
        "soft"
    );
    let before = versions(&lake);
    lake.ingest(&[&database(
        &lake,
        "wednesday.sqlite",
        "
        DELETE FROM customers WHERE customer_id = 2;
        DELETE FROM order_items WHERE item_id = 2;
        DELETE FROM orders WHERE order_id = 2;
    ",
    )]);
    assert_eq!(
        versions(&lake),
        before,
        "rows that were deleted before are not a change"
    );
    lake.ingest(&[&database(&lake, "thursday.sqlite", "")]);
    assert_eq!(
        lake.value("SELECT COUNT(*) AS n FROM customers WHERE _deleted_at IS NULL"),
        2,
        "back again"
    );
}

#[test]
fn a_row_that_moves_to_another_month_is_in_one_partition_only() {
    let lake = Lake::new();
    lake.ingest(&[&database(&lake, "monday.sqlite", "")]);
    lake.ingest(&[&database(
        &lake,
        "tuesday.sqlite",
        "UPDATE orders SET order_ts = '2026-03-01 00:00:00' WHERE order_id = 1",
    )]);
    assert_eq!(
        lake.query("SELECT order_id, order_time FROM orders ORDER BY order_id"),
        [
            json!({"order_id": 1, "order_time": "2026-03-01T00:00:00Z"}),
            json!({"order_id": 2, "order_time": "2026-02-05T08:00:00Z"}),
        ]
    );
}

#[test]
fn rows_that_break_a_rule_go_to_quarantine_with_the_row_as_json() {
    let lake = Lake::new();
    let records = lake.ingest(&[&database(&lake, "shop.sqlite", "
        INSERT INTO orders VALUES (8, 1, '2026-01-05 08:00:00', 'lost', 'web', 'DE', 'EUR', 1, 0, 0, NULL, NULL);
        INSERT INTO orders VALUES (9, 1, '2026-02-31 08:00:00', 'paid', 'web', 'DE', 'EUR', 1, 0, 0, NULL, NULL);
        INSERT INTO orders VALUES (10, NULL, '2026-01-05 08:00:00', 'paid', 'web', 'DE', 'EUR', 1, 0, 0, NULL, NULL);
        INSERT INTO orders VALUES (11, 1, '2026-01-05 08:00:00', 'paid', 'web', 'DE', 'EUR', 'much', 0, 0, NULL, NULL);
        INSERT INTO orders VALUES (12, 1, '2026-01-05 08:00:00', 'paid', 'web', 'DE', 'EUR', 9223372036854775807, 0, 0, NULL, NULL);
    ")]);
    assert_eq!(outcome(&records[0], "orders")["rejected"], 5);
    let rows = lake.query(
        "SELECT _column, _payload, _source_offset, channel FROM quarantine_orders ORDER BY _source_offset",
    );
    let columns: Vec<&str> = rows
        .iter()
        .map(|row| row["_column"].as_str().unwrap())
        .collect();
    assert_eq!(
        columns,
        ["status", "order_time", "customer_id", "total", "total"]
    );
    let payload: serde_json::Value =
        serde_json::from_str(rows[0]["_payload"].as_str().unwrap()).unwrap();
    assert_eq!(payload["status"], "lost");
    assert_eq!(rows[0]["_source_offset"], 8);
    // A row that was read has its columns in the quarantine table; a row that could not be read has none.
    assert_eq!(rows[0]["channel"], "web");
    assert_eq!(rows[1]["channel"], serde_json::Value::Null);
}

fn failure(lake: &Lake, path: &Path, expected: &str) {
    let records = lake.ingest(&[path]);
    assert_eq!(records[0]["status"], "failed", "{}", records[0]);
    let reason = records[0]["reason"].as_str().unwrap();
    assert!(reason.contains(expected), "{reason}");
}

#[test]
fn a_database_that_cannot_be_trusted_fails_with_its_cause_and_changes_nothing() {
    let lake = Lake::new();
    lake.ingest(&[&database(&lake, "sound.sqlite", "")]);
    let before = lake.tables();
    let to = |path: &Path| {
        let output = lake
            .command()
            .args(["--json", "ingest", "--to", "shop/database"])
            .arg(path)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        let record: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(record["status"], "failed", "{record}");
        record["reason"].as_str().unwrap().to_owned()
    };
    let sound = database(
        &lake,
        "big.sqlite",
        "
        WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
        INSERT INTO order_items SELECT i, 1, 1, 1, 100, 'EUR' FROM n;
    ",
    );
    let bytes = std::fs::read(&sound).unwrap();
    failure(
        &lake,
        &lake.file("cut.sqlite", &bytes[..bytes.len() / 2]),
        "cut off",
    );
    let mut damaged = bytes.clone();
    // Every page after the first few: some of them hold the table's tree.
    damaged[3 * 4096..]
        .iter_mut()
        .step_by(7)
        .for_each(|byte| *byte ^= 0x55);
    failure(&lake, &lake.file("damaged.sqlite", &damaged), "damaged");
    assert!(to(&lake.file("text.sqlite", "no database")).contains("is not a SQLite database"));
    assert!(to(&lake.file("empty.sqlite", "")).contains("empty"));

    let wal = database(&lake, "wal.sqlite", "PRAGMA journal_mode = WAL");
    failure(&lake, &wal, "WAL mode");

    let locked = database(&lake, "locked.sqlite", "");
    let writer = Connection::open(&locked).unwrap();
    writer.execute_batch("BEGIN EXCLUSIVE").unwrap();
    failure(&lake, &locked, "locked");
    drop(writer);

    let missing = database(&lake, "missing.sqlite", "DROP TABLE refunds");
    failure(&lake, &missing, "no table refunds");
    let renamed = database(
        &lake,
        "renamed.sqlite",
        "ALTER TABLE refunds RENAME COLUMN amount TO sum",
    );
    failure(&lake, &renamed, "no column amount");

    assert_eq!(lake.tables(), before);
    let kept = lake.path().join("raw/shop/database");
    assert!(
        kept.read_dir()
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path()
            .join("cut.sqlite")
            .exists()
    );
    // The cause is fixed: the same command works.
    let records = lake.ingest(&[&locked]);
    assert_eq!(records[0]["status"], "succeeded");
}

#[test]
fn a_table_without_a_contract_is_named_in_the_run() {
    let lake = Lake::new();
    let records = lake.ingest(&[&database(
        &lake,
        "shop.sqlite",
        "CREATE TABLE notes(a); INSERT INTO notes VALUES (1), (2)",
    )]);
    assert_eq!(records[0]["unclaimed_tables"], json!({"notes": 2}));
}

#[test]
fn contracts_of_another_shop_need_no_change_of_code() {
    let mut lake = Lake::new();
    lake.contracts = Some(root().join("tests/contracts/chinook"));
    let path = lake.file("other.sqlite", "");
    std::fs::remove_file(&path).unwrap();
    Connection::open(&path).unwrap().execute_batch("
        CREATE TABLE Customer(CustomerId INTEGER NOT NULL PRIMARY KEY, FirstName NVARCHAR(40) NOT NULL, LastName NVARCHAR(20) NOT NULL, Country NVARCHAR(40), Email NVARCHAR(60) NOT NULL);
        CREATE TABLE Invoice(InvoiceId INTEGER NOT NULL PRIMARY KEY, CustomerId INTEGER NOT NULL, InvoiceDate DATETIME NOT NULL, BillingCountry NVARCHAR(40), Total NUMERIC(10,2) NOT NULL);
        CREATE TABLE InvoiceLine(InvoiceLineId INTEGER NOT NULL PRIMARY KEY, InvoiceId INTEGER NOT NULL, TrackId INTEGER NOT NULL, UnitPrice NUMERIC(10,2) NOT NULL, Quantity INTEGER NOT NULL);
        CREATE TABLE Track(TrackId INTEGER NOT NULL PRIMARY KEY, Name NVARCHAR(200) NOT NULL, Composer NVARCHAR(220), Milliseconds INTEGER NOT NULL, Bytes INTEGER, UnitPrice NUMERIC(10,2) NOT NULL);
        INSERT INTO Customer VALUES (1, 'Luís', 'Gonçalves', 'Brazil', 'luis@example.com');
        INSERT INTO Invoice VALUES (1, 1, '2009-01-01 00:00:00', 'Brazil', 1.98);
        INSERT INTO InvoiceLine VALUES (1, 1, 1, 0.99, 2);
        INSERT INTO Track VALUES (1, 'Princess of the Dawn', NULL, 375418, 6290521, 0.99);
    ").unwrap();
    let records = lake.ingest(&[&path]);
    assert_eq!(records[0]["status"], "succeeded", "{}", records[0]);
    assert_eq!(lake.value("SELECT total FROM invoices"), "1.98");
    assert_eq!(lake.value("SELECT first_name FROM customers"), "Luís");
}

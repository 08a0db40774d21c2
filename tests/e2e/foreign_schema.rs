//! Databases whose schemas name things that only their own application has. Tarn reads the tables that do
//! not need them, and drafts contracts.

use std::path::PathBuf;

use rusqlite::Connection;
use serde_json::json;

use crate::lake::Lake;

/// A database made by these statements, with one word of its schema replaced afterwards: SQLite does not
/// create a schema that needs the application.
fn database(lake: &Lake, name: &str, sql: &str, words: &[(&str, &str)]) -> PathBuf {
    let path = lake.file(name, "");
    std::fs::remove_file(&path).unwrap();
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch(sql).unwrap();
    for (from, to) in words {
        connection
            .execute_batch(&format!(
                "PRAGMA writable_schema = ON;
                 UPDATE sqlite_schema SET sql = replace(sql, '{from}', '{to}');
                 PRAGMA writable_schema = OFF;"
            ))
            .unwrap();
    }
    path
}

/// A lake whose contracts are the drafts of a database.
fn drafted(mut lake: Lake, path: &std::path::Path) -> Lake {
    let folder = lake.scratch().join("contracts");
    let args = ["contract", "infer", "--source", "shop", "--out"];
    lake.ok(&[
        &args[..],
        &[folder.to_str().unwrap(), path.to_str().unwrap()],
    ]
    .concat());
    lake.ok(&["contract", "lint", folder.to_str().unwrap()]);
    lake.contracts = Some(folder);
    lake
}

fn drafts(lake: &Lake) -> Vec<String> {
    let folder = lake.contracts.as_ref().unwrap().read_dir().unwrap();
    let mut names: Vec<String> = folder
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn what_nobody_reads_stops_no_database() {
    let lake = Lake::new();
    let path = database(
        &lake,
        "shop.sqlite",
        "CREATE TABLE channels(channel_id INTEGER PRIMARY KEY, name TEXT COLLATE BINARY, UNIQUE(name));
         CREATE TABLE tags(tag TEXT COLLATE BINARY PRIMARY KEY, uses INTEGER) WITHOUT ROWID;
         CREATE TABLE lines(line_id INTEGER PRIMARY KEY, qty INTEGER CHECK(abs(qty) < 1000), price_cents INTEGER,
           line_cents INTEGER GENERATED ALWAYS AS (qty * price_cents) STORED,
           label TEXT GENERATED ALWAYS AS ('L-' || line_id) VIRTUAL,
           digest TEXT GENERATED ALWAYS AS (hex(label)) VIRTUAL);
         CREATE INDEX by_digest ON lines(hex(label));
         CREATE VIEW latest AS SELECT * FROM lines;
         CREATE VIRTUAL TABLE search USING fts5(body);
         CREATE VIRTUAL TABLE places USING rtree(id, x0, x1);
         INSERT INTO channels VALUES (1, 'Zeta'), (2, 'alpha'), (3, 'Beta');
         INSERT INTO tags VALUES ('b', 1), ('a', 2), ('C', 3);
         INSERT INTO lines(line_id, qty, price_cents) VALUES (1, 2, 1999), (2, 1, 250);
         INSERT INTO search VALUES ('a word');
         INSERT INTO places VALUES (1, 0, 1);",
        &[("COLLATE BINARY", "COLLATE LOCALIZED"), ("hex(", "app_digest("), ("abs(", "app_abs(")],
    );
    let lake = drafted(lake, &path);
    assert_eq!(
        drafts(&lake),
        ["channels.odcs.yaml", "lines.odcs.yaml", "tags.odcs.yaml"]
    );
    let of_lines = lake.contracts.as_ref().unwrap().join("lines.odcs.yaml");
    let text = std::fs::read_to_string(of_lines).unwrap();
    assert!(
        text.contains("# Left out: digest: a column is computed by a function"),
        "{text}"
    );
    let records = lake.ingest(&[&path]);
    assert_eq!(records[0]["status"], "succeeded", "{}", records[0]);
    assert_eq!(records[0]["unclaimed_tables"], json!({}));
    assert_eq!(
        lake.query("SELECT line_id, price, line, label FROM lines ORDER BY line_id"),
        [
            json!({"line_id": 1, "price": "19.99", "line": "39.98", "label": "L-1"}),
            json!({"line_id": 2, "price": "2.50", "line": "2.50", "label": "L-2"}),
        ]
    );
    assert_eq!(
        lake.query("SELECT name FROM channels ORDER BY channel_id"),
        ["Zeta", "alpha", "Beta"].map(|name| json!({ "name": name }))
    );
    assert_eq!(
        lake.query("SELECT tag, uses FROM tags ORDER BY uses"),
        [("b", 1), ("a", 2), ("C", 3)].map(|(tag, uses)| json!({"tag": tag, "uses": uses}))
    );
    // A later snapshot is an update like any other.
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("DROP VIEW latest").unwrap();
    drop(connection);
    let records = lake.ingest(&[&path]);
    for outcome in records[0]["datasets"].as_array().unwrap() {
        assert_eq!(outcome["unchanged"], outcome["received"], "{outcome}");
    }
}

#[test]
fn a_contract_that_names_a_view_or_a_virtual_table_is_told_so() {
    let lake = Lake::new();
    let path = database(
        &lake,
        "shop.sqlite",
        "CREATE TABLE a(id INTEGER PRIMARY KEY, body TEXT); CREATE TABLE b(id INTEGER PRIMARY KEY);
         INSERT INTO a VALUES (1, 'x');",
        &[],
    );
    let lake = drafted(lake, &path);
    assert_eq!(lake.ingest(&[&path])[0]["status"], "succeeded");
    for (change, expected) in [
        (
            "DROP TABLE a; CREATE VIEW a AS SELECT 1 AS id, 'x' AS body",
            "a, which contract a reads, is a view",
        ),
        (
            "DROP VIEW a; CREATE VIRTUAL TABLE a USING fts5(id, body)",
            "is a virtual table of the module fts5",
        ),
    ] {
        Connection::open(&path)
            .unwrap()
            .execute_batch(change)
            .unwrap();
        let record = &lake.ingest(&[&path])[0];
        assert_eq!(record["status"], "failed");
        let reason = record["reason"].as_str().unwrap();
        assert!(reason.contains(expected), "{reason}");
        assert_eq!(lake.value("SELECT COUNT(*) AS n FROM a"), 1);
    }
}

#[test]
fn tables_and_columns_of_any_name_are_drafted_under_names_of_their_own() {
    let lake = Lake::new();
    let path = database(
        &lake,
        "shop.sqlite",
        r#"CREATE TABLE "Order Details"("Order ID" INTEGER, "select" INTEGER, "Größe" TEXT, "GRÖSSE" TEXT, "order_id" INTEGER,
             "it""s" TEXT, PRIMARY KEY("Order ID", "select"));
           CREATE TABLE "order_details"(id INTEGER PRIMARY KEY, x TEXT);
           CREATE TABLE "OrderDetails "(id INTEGER PRIMARY KEY, y TEXT);
           CREATE TABLE "../../evil"(id INTEGER PRIMARY KEY, z TEXT);
           CREATE TABLE "注文"(id INTEGER PRIMARY KEY, "値段" INTEGER);
           CREATE TABLE "Заказы"(id INTEGER PRIMARY KEY, "Цена" INTEGER);
           CREATE TABLE "🍎"(id INTEGER PRIMARY KEY);
           CREATE TABLE "∴"(id INTEGER PRIMARY KEY, "∵" TEXT, "" TEXT);
           INSERT INTO "Order Details" VALUES (1, 1, 'a', 'b', 7, 'q');
           INSERT INTO "order_details" VALUES (1, 'one');
           INSERT INTO "OrderDetails " VALUES (1, 'two');
           INSERT INTO "../../evil" VALUES (1, 'z');
           INSERT INTO "注文" VALUES (1, 5);
           INSERT INTO "Заказы" VALUES (1, 6);
           INSERT INTO "🍎" VALUES (1);
           INSERT INTO "∴" VALUES (1, 'because', 'nothing');"#,
        &[],
    );
    let lake = drafted(lake, &path);
    let mut names = drafts(&lake);
    for name in [
        "apple",
        "evil",
        "order_details",
        "order_details_2",
        "order_details_3",
        "zakazy",
        "zhu_wen",
    ] {
        let place = names
            .iter()
            .position(|file| *file == format!("{name}.odcs.yaml"));
        names.remove(place.unwrap_or_else(|| panic!("{name} is not among {names:?}")));
    }
    // A name without any letters is replaced by one.
    assert_eq!(names.len(), 1);
    let records = lake.ingest(&[&path]);
    assert_eq!(records[0]["status"], "succeeded", "{}", records[0]);
    assert_eq!(records[0]["datasets"].as_array().unwrap().len(), 8);
    assert_eq!(records[0]["unclaimed_tables"], json!({}));
    assert_eq!(
        lake.query("SELECT order_id, grosse, grosse_2, order_id_2, it_s FROM order_details_2"),
        [json!({"order_id": 1, "grosse": "a", "grosse_2": "b", "order_id_2": 7, "it_s": "q"})]
    );
    assert_eq!(lake.value("SELECT zhi_duan FROM zhu_wen"), 5);
    assert_eq!(lake.value("SELECT tsena FROM zakazy"), 6);
    // Existing files stay; the others are written.
    let folder = lake.contracts.as_ref().unwrap();
    std::fs::remove_file(folder.join("zakazy.odcs.yaml")).unwrap();
    std::fs::write(folder.join("evil.odcs.yaml"), "mine").unwrap();
    let (out, file) = (folder.to_str().unwrap(), path.to_str().unwrap());
    let output = lake.run(&["contract", "infer", "--source", "shop", "--out", out, file]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("evil.odcs.yaml is there already"), "{said}");
    assert!(folder.join("zakazy.odcs.yaml").exists());
    assert_eq!(
        std::fs::read_to_string(folder.join("evil.odcs.yaml")).unwrap(),
        "mine"
    );
}

#[test]
fn an_encrypted_database_is_named_as_such() {
    let lake = Lake::new();
    // SplitMix64: every byte is as frequent as any other.
    let mut state = 7_u64;
    let noise: Vec<u8> = (0..40_960)
        .map(|_| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            (z ^ z >> 31) as u8
        })
        .collect();
    let plain = std::fs::read(database(&lake, "plain.sqlite", "CREATE TABLE t(a)", &[])).unwrap();
    let with_header = [&plain[..32], &noise[32..]].concat();
    for (name, content) in [
        ("a.sqlite", &noise),
        ("b.db", &noise),
        ("c.sqlite3", &with_header),
    ] {
        let path = lake.file(name, content);
        let record = &lake.ingest(&[&path])[0];
        assert_eq!(record["status"], "failed");
        let reason = record["reason"].as_str().unwrap();
        assert!(reason.contains("it looks encrypted"), "{name}: {reason}");
        let output = lake.run(&["contract", "infer", path.to_str().unwrap()]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("it looks encrypted"), "{name}: {said}");
    }
}

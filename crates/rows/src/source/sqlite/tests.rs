#![allow(clippy::unwrap_used)]

use crate::drift::Added;
use std::path::PathBuf;

use tarn_contract::{Contract, parse_str};

use super::*;
use crate::batch::Reader;
use crate::display;

/// A database of these statements, whose schema then says one word for another: what only an application
/// knows cannot be made without it.
fn database(sql: &str, words: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.sqlite");
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
    (folder, path)
}

/// A contract over columns of a table; the first is the key.
fn contract(table: &str, columns: &[(&str, &str)]) -> Contract {
    let mut text = format!(
        "apiVersion: v3.1.0\nkind: DataContract\nid: t\nname: things\nversion: 1.0.0\nstatus: active\n\
         description: {{ purpose: Things. }}\ncustomProperties:\n  - {{ property: sourceFormat, value: sqlite }}\n  \
         - {{ property: keyPattern, value: raw/t/things/** }}\nschema:\n  - name: things\n    physicalName: '{table}'\n    \
         properties:\n"
    );
    for (number, (name, ty)) in columns.iter().enumerate() {
        text += &format!("      - name: c{number}\n        logicalType: {ty}\n");
        if number == 0 {
            text +=
                "        required: true\n        primaryKey: true\n        primaryKeyPosition: 1\n";
        }
        text +=
            &format!("        customProperties: [ {{ property: sourceName, value: '{name}' }} ]\n");
    }
    parse_str("things", &text).unwrap_or_else(|faults| panic!("{text}{faults:?}"))
}

/// The rows of a table by a contract: the offset of each, and its values.
fn rows(path: &Path, contract: &Contract) -> tarn_core::Result<Vec<String>> {
    let database = Database::open(path)?;
    let (count, mut reader) = database.table(contract)?;
    let mut rows = Vec::new();
    while let Some(batch) = reader.next_batch()? {
        assert!(batch.rejected.is_empty(), "{:?}", batch.rejected);
        for row in 0..batch.rows() {
            let values: Vec<String> = contract
                .columns
                .iter()
                .zip(&batch.columns)
                .map(|(column, data)| display::value(data, row, &column.ty))
                .collect();
            rows.push(format!("{}: {}", batch.offsets[row], values.join(" ")));
        }
    }
    assert_eq!(count, rows.len() as u64);
    Ok(rows)
}

fn fault(path: &Path, contract: &Contract) -> String {
    rows(path, contract).unwrap_err().to_string()
}

#[test]
fn collations_of_an_application_are_not_needed_where_nothing_is_compared() {
    let insert = "INSERT INTO t VALUES (3, 'Zeta'), (1, 'alpha'), (2, 'Beta')";
    let by_id = ["1: 1 alpha", "2: 2 Beta", "3: 3 Zeta"];
    let by_name = ["1: 2 Beta", "2: 3 Zeta", "3: 1 alpha"];
    for (create, expected) in [
        (
            "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT COLLATE BINARY, UNIQUE(name))",
            by_id,
        ),
        (
            "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT); CREATE INDEX i ON t(name COLLATE BINARY)",
            by_id,
        ),
        (
            "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT); CREATE INDEX i ON t(name COLLATE BINARY, id)",
            by_id,
        ),
        (
            "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT); CREATE INDEX i ON t(id) WHERE name > 'a' COLLATE BINARY",
            by_id,
        ),
        (
            "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT CHECK(name <> '' COLLATE BINARY))",
            by_id,
        ),
        // Stored in the order of its key.
        (
            "CREATE TABLE t(id INTEGER, name TEXT COLLATE BINARY PRIMARY KEY) WITHOUT ROWID",
            by_name,
        ),
        (
            "CREATE TABLE t(id INTEGER, name TEXT, PRIMARY KEY(name COLLATE BINARY, id)) WITHOUT ROWID",
            by_name,
        ),
        (
            "PRAGMA encoding = 'UTF-16'; CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT COLLATE BINARY UNIQUE)",
            by_id,
        ),
    ] {
        let sql = format!("{create}; {insert}");
        let (_folder, path) = database(&sql, &[("COLLATE BINARY", "COLLATE LOCALIZED")]);
        let contract = contract("t", &[("id", "integer"), ("name", "string")]);
        assert_eq!(rows(&path, &contract).unwrap(), expected, "{create}");
        let database = Database::open(&path).unwrap();
        assert_eq!(
            database.unclaimed_tables(&[]).unwrap(),
            BTreeMap::from([("t".to_owned(), 3)])
        );
        assert!(crate::infer::drafts(&path, "shop", 1000).is_ok());
    }
}

#[test]
fn a_comparison_by_a_collation_that_nobody_knows_is_refused() {
    let (_folder, path) = database(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT COLLATE BINARY, early AS (name < 'M'));
         INSERT INTO t(id, name) VALUES (1, 'Zeta'), (2, 'alpha'), (3, 'Beta')",
        &[("COLLATE BINARY", "COLLATE LOCALIZED")],
    );
    let whole = contract("t", &[("id", "integer"), ("early", "integer")]);
    let fault = fault(&path, &whole);
    assert!(fault.contains("comparing texts by a collation"), "{fault}");
    let part = contract("t", &[("id", "integer"), ("name", "string")]);
    assert_eq!(rows(&path, &part).unwrap().len(), 3);
    let drafts = crate::infer::drafts(&path, "shop", 1000).unwrap();
    assert!(
        drafts[0]
            .notes
            .iter()
            .any(|note| note.starts_with("Left out: early: "))
    );
}

#[test]
fn functions_of_an_application_are_needed_where_a_column_is_computed_by_one() {
    let insert = "INSERT INTO t(id, name) VALUES (1, 'Zeta'), (2, 'alpha')";
    let expected = ["1: 1 Zeta", "2: 2 alpha"];
    for create in [
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT CHECK(length(name) > 0))",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT); CREATE INDEX i ON t(length(name))",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT); CREATE UNIQUE INDEX i ON t(id, name, length(name))",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT); CREATE INDEX i ON t(name) WHERE length(name) > 1",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, l AS (length(name)))",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, l AS (length(name)) STORED)",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, l TEXT DEFAULT (length('x')))",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT);
         CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT length(new.name); END;
         CREATE VIEW v AS SELECT length(name) FROM t",
    ] {
        let (_folder, path) = database(
            &format!("{create}; {insert}"),
            &[("length(", "app_length(")],
        );
        let contract = contract("t", &[("id", "integer"), ("name", "string")]);
        assert_eq!(rows(&path, &contract).unwrap(), expected, "{create}");
        assert!(
            crate::infer::drafts(&path, "shop", 1000).is_ok(),
            "{create}"
        );
    }
    let create =
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, l INTEGER AS (length(name)) KIND)";
    let with_length = contract("t", &[("id", "integer"), ("l", "integer")]);
    for (kind, readable) in [("STORED", true), ("VIRTUAL", false)] {
        let sql = format!("{}; {insert}", create.replace("KIND", kind));
        let (_folder, path) = database(&sql, &[("length(", "app_length(")]);
        if readable {
            assert_eq!(rows(&path, &with_length).unwrap(), ["1: 1 4", "2: 2 5"]);
        } else {
            let fault = fault(&path, &with_length);
            assert!(fault.contains("computed by a function"), "{fault}");
            assert!(fault.contains("app_length"), "{fault}");
        }
    }
}

#[test]
fn generated_columns_are_read_like_any_other() {
    let (_folder, path) = database(
        "CREATE TABLE t(line_id INTEGER PRIMARY KEY, qty INTEGER, cents INTEGER GENERATED ALWAYS AS (qty * 199) STORED,
           label TEXT GENERATED ALWAYS AS ('L-' || line_id) VIRTUAL, price INTEGER, n INTEGER AS (qty + price));
         INSERT INTO t(line_id, qty, price) VALUES (1, 2, 5), (7, 1, 6);
         ALTER TABLE t ADD COLUMN later TEXT DEFAULT 'd';
         ALTER TABLE t ADD COLUMN upper TEXT AS (upper(later));
         INSERT INTO t(line_id, qty, price, later) VALUES (9, 0, 0, 'e');",
        &[],
    );
    let all = contract(
        "t",
        &[
            ("line_id", "integer"),
            ("upper", "string"),
            ("n", "integer"),
            ("cents", "integer"),
            ("label", "string"),
            ("price", "integer"),
            ("later", "string"),
            ("qty", "integer"),
        ],
    );
    assert_eq!(
        rows(&path, &all).unwrap(),
        [
            "1: 1 D 7 398 L-1 5 d 2",
            "7: 7 D 7 199 L-7 6 d 1",
            "9: 9 E 0 0 L-9 0 e 0"
        ]
    );
    let database = Database::open(&path).unwrap();
    let columns = database.columns("t").unwrap();
    let computed: Vec<(&str, bool)> = columns
        .iter()
        .map(|column| (column.name.as_str(), column.computed))
        .collect();
    assert_eq!(
        computed,
        [
            ("line_id", false),
            ("qty", false),
            ("cents", false),
            ("label", true),
            ("price", false),
            ("n", true),
            ("later", false),
            ("upper", true),
        ]
    );
    let draft = &crate::infer::drafts(&path, "shop", 1000).unwrap()[0];
    assert_eq!(draft.columns.len(), columns.len());
    // A contract of a part of them is notified of the others.
    let part = contract("t", &[("line_id", "integer")]);
    let (_, reader) = database.table(&part).unwrap();
    let new: Vec<(String, Option<String>)> = reader
        .new_columns()
        .into_iter()
        .map(|new| Added::new(&new).drift)
        .map(|drift| (drift.column, drift.sample))
        .collect();
    let of = |name: &str, sample: &str| (name.to_owned(), Some(sample.to_owned()));
    assert_eq!(
        new,
        [
            of("qty", "2"),
            of("cents", "398"),
            of("label", "'L-1'"),
            of("price", "5"),
            of("n", "7"),
            of("later", "'d'"),
            of("upper", "'D'"),
        ]
    );
}

#[test]
fn a_value_that_cannot_be_computed_stops_nobody_who_does_not_ask_for_it() {
    let (_folder, path) = database(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, doc TEXT);
         INSERT INTO t VALUES (1, '{\"kind\":\"a\"}'), (2, 'no json');
         ALTER TABLE t ADD COLUMN kind TEXT AS (json_extract(doc, '$.kind'))",
        &[],
    );
    let part = contract("t", &[("id", "integer"), ("doc", "string")]);
    assert_eq!(rows(&path, &part).unwrap().len(), 2);
    let database = Database::open(&path).unwrap();
    let (_, reader) = database.table(&part).unwrap();
    let new: Vec<_> = reader.new_columns().iter().map(Added::new).collect();
    assert!(new[0].column.is_none());
    assert!(
        new[0]
            .drift
            .found
            .as_ref()
            .unwrap()
            .contains("malformed JSON")
    );
    let whole = contract("t", &[("id", "integer"), ("kind", "string")]);
    assert!(fault(&path, &whole).contains("malformed JSON"));
    let draft = &crate::infer::drafts(&path, "shop", 1000).unwrap()[0];
    assert_eq!(draft.columns.len(), 2);
}

#[test]
fn a_new_column_beside_texts_that_are_not_utf8_is_told() {
    let (_folder, path) = database(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, b TEXT);
         INSERT INTO t VALUES (1, CAST(x'ff41' AS TEXT), CAST(x'42fe' AS TEXT))",
        &[],
    );
    let database = Database::open(&path).unwrap();
    let part = contract("t", &[("id", "integer"), ("a", "string")]);
    let (_, reader) = database.table(&part).unwrap();
    assert_eq!(
        Added::new(&reader.new_columns()[0]).drift.sample.as_deref(),
        Some("'B\u{fffd}'")
    );
}

#[test]
fn views_virtual_tables_and_what_these_keep_are_no_tables_of_users() {
    let (_folder, path) = database(
        "CREATE TABLE docs(id INTEGER PRIMARY KEY, body TEXT);
         INSERT INTO docs VALUES (1, 'a');
         CREATE VIEW latest AS SELECT * FROM docs;
         CREATE VIRTUAL TABLE \"full text\" USING fts5(body);
         CREATE VIRTUAL TABLE four USING /* old */ FTS4(body);
         CREATE VIRTUAL TABLE [three] USING fts3(body);
         CREATE VIRTUAL TABLE places USING rtree(id, x0, x1);
         INSERT INTO \"full text\" VALUES ('hello');
         INSERT INTO places VALUES (1, 0, 1);
         CREATE TABLE places_archive(id INTEGER PRIMARY KEY, name TEXT);
         CREATE TABLE four_config(id INTEGER PRIMARY KEY, name TEXT);
         CREATE TABLE docs_content(id INTEGER PRIMARY KEY, name TEXT);
         CREATE TABLE counted(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT);
         CREATE TABLE gone_chunks(id INTEGER PRIMARY KEY, name TEXT);
         CREATE TABLE gone_vector_chunks00(id INTEGER PRIMARY KEY, name TEXT);
         CREATE INDEX i ON counted(name);
         INSERT INTO counted(name) VALUES ('x');
         ANALYZE;
         PRAGMA writable_schema = ON;
         INSERT INTO sqlite_schema VALUES ('table', 'gone', 'gone', 0, 'CREATE VIRTUAL TABLE gone USING vec0(e float[4])');
         INSERT INTO sqlite_schema VALUES ('table', 'gone2', 'gone2', 0, 'CREATE VIRTUAL TABLE gone2 USING \"of an app\" (x)');",
        &[],
    );
    let database = Database::open(&path).unwrap();
    let users = [
        "counted",
        "docs",
        "docs_content",
        "four_config",
        "places_archive",
    ];
    assert_eq!(database.tables().unwrap(), users);
    let unclaimed = database.unclaimed_tables(&[]).unwrap();
    assert_eq!(unclaimed.keys().collect::<Vec<_>>(), users);
    let drafts = crate::infer::drafts(&path, "shop", 1000).unwrap();
    assert_eq!(drafts.len(), users.len());
    // With the one that is named by a contract.
    assert!(
        database
            .table(&contract("docs", &[("id", "integer")]))
            .is_ok()
    );
    for (table, expected) in [
        ("latest", "latest, which contract things reads, is a view"),
        ("LATEST", "latest, which contract things reads, is a view"),
        ("full text", "is a virtual table of the module fts5"),
        ("gone2", "is a virtual table of the module of an app"),
        (
            "nowhere",
            "has no table nowhere, which contract things reads; it has counted, docs",
        ),
    ] {
        let contract = contract(table, &[("id", "integer")]);
        let error = database.table(&contract).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_database_without_tables_is_named_as_such() {
    let (_folder, path) = database(
        "CREATE TABLE t(a); DROP TABLE t; CREATE VIEW v AS SELECT 1 AS a",
        &[],
    );
    let database = Database::open(&path).unwrap();
    assert_eq!(database.tables().unwrap(), Vec::<String>::new());
    let contract = contract("t", &[("id", "integer")]);
    let error = database.table(&contract).err().unwrap().to_string();
    assert!(error.ends_with("it has none"), "{error}");
    let error = crate::infer::drafts(&path, "shop", 10)
        .unwrap_err()
        .to_string();
    assert!(error.contains("no tables"), "{error}");
}

#[test]
fn the_place_of_a_row_is_its_rowid_whatever_its_columns_are_called() {
    let insert = "INSERT INTO t(a, b) VALUES (70, 'x'), (80, 'y')";
    for (create, a, b, expected) in [
        (
            "CREATE TABLE t(a INTEGER PRIMARY KEY, b)",
            "a",
            "b",
            ["70: 70 x", "80: 80 y"],
        ),
        (
            "CREATE TABLE t(a INTEGER, b)",
            "a",
            "b",
            ["1: 70 x", "2: 80 y"],
        ),
        (
            "CREATE TABLE t(rowid INTEGER, b)",
            "rowid",
            "b",
            ["1: 70 x", "2: 80 y"],
        ),
        (
            "CREATE TABLE t(_rowid_ INTEGER, b)",
            "_rowid_",
            "b",
            ["1: 70 x", "2: 80 y"],
        ),
        (
            "CREATE TABLE t(_ROWID_ INTEGER, \"ROWID\")",
            "_rowid_",
            "rowid",
            ["1: 70 x", "2: 80 y"],
        ),
        (
            "CREATE TABLE t(_rowid_ INTEGER, rowid, oid)",
            "_rowid_",
            "rowid",
            ["1: 70 x", "2: 80 y"],
        ),
        (
            "CREATE TABLE t(oid INTEGER PRIMARY KEY, b)",
            "oid",
            "b",
            ["70: 70 x", "80: 80 y"],
        ),
        (
            "CREATE TABLE t(rowid INTEGER PRIMARY KEY DESC, b)",
            "rowid",
            "b",
            ["1: 70 x", "2: 80 y"],
        ),
        (
            "CREATE TABLE t(a INTEGER PRIMARY KEY, b) WITHOUT ROWID",
            "a",
            "b",
            ["1: 70 x", "2: 80 y"],
        ),
        (
            "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT) STRICT",
            "a",
            "b",
            ["70: 70 x", "80: 80 y"],
        ),
        (
            "PRAGMA encoding = 'UTF-16be'; CREATE TABLE t(\"a\"\"b\" INTEGER, [c]]d])",
            "a\"b",
            "c]d",
            ["1: 70 x", "2: 80 y"],
        ),
    ] {
        // A name in brackets ends at the first one that closes.
        let create = create.replace("[c]]d]", "\"c]d\"");
        let of = |name: &str| quoted(name);
        let insert = insert.replace("(a, b)", &format!("({}, {})", of(a), of(b)));
        let (_folder, path) = database(&format!("{create}; {insert}"), &[]);
        let contract = contract("t", &[(a, "integer"), (b, "string")]);
        assert_eq!(rows(&path, &contract).unwrap(), expected, "{create}");
    }
}

#[test]
fn tables_of_any_name_are_found_and_read() {
    let names = [
        "Order Details",
        "order_details",
        "it\"s",
        "a.b",
        "temp",
        "main.t",
        "sqlite",
        "select",
        "../../evil",
        "注文",
        "Заказы",
        "🍎",
        "",
        "1st",
        "per%cent",
        "a'b",
        "[b]",
        "`t`",
        "-- x",
        "a\nb",
    ];
    let create: String = names
        .iter()
        .enumerate()
        .map(|(number, name)| {
            let name = quoted(name);
            format!("CREATE TABLE {name}(id INTEGER PRIMARY KEY, x TEXT); INSERT INTO {name} VALUES ({number}, 'v{number}');")
        })
        .collect();
    let (_folder, path) = database(&create, &[]);
    let database = Database::open(&path).unwrap();
    let mut found = database.tables().unwrap();
    let mut expected: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    for (number, name) in names.iter().enumerate() {
        let mut contract = contract("t", &[("id", "integer"), ("x", "string")]);
        contract.source_table = Some((*name).to_owned());
        let expected = format!("{number}: {number} v{number}");
        assert_eq!(rows(&path, &contract).unwrap(), [expected], "{name}");
    }
    let drafts = crate::infer::drafts(&path, "shop", 1000).unwrap();
    let mut datasets: Vec<&str> = drafts.iter().map(|draft| draft.dataset.as_str()).collect();
    datasets.sort_unstable();
    assert_eq!(
        datasets,
        [
            "a_b",
            "a_b_2",
            "a_b_3",
            "apple",
            "b",
            "c_1st",
            "evil",
            "it_s",
            "main_t",
            "order_details",
            "order_details_2",
            "per_cent",
            "select",
            "sqlite",
            "t",
            "temp",
            "unnamed",
            "x",
            "zakazy",
            "zhu_wen",
        ]
    );
}

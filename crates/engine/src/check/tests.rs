//! Each kind of rule: rows in, verdict, measured value and rejected rows out.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};
use tarn_core::ErrorKind;
use tarn_core::contract::kinds::KINDS;
use tarn_core::contract::{ColumnRef, Contract, DeletedRows, load_texts};
use tarn_core::run::{CheckResult, DatasetOutcome};
use tarn_core::schema::TableField;

use super::tables::{self, Arrival, TableState, Tables};
use super::{KeySet, References, Survey};
use crate::ingest::{Job, Staged, run};
use crate::source::json_lines::JsonLinesReader;
use crate::stamp::Stamp;

const COLUMNS: [(&str, &str, &str); 9] = [
    ("id", "integer", "bigint"),
    ("s", "string", "string"),
    ("n", "integer", "bigint"),
    ("m", "number", "decimal(12,2)"),
    ("u", "number", "decimal(12,2)"),
    ("w", "number", "decimal(12,3)"),
    ("d", "number", "double"),
    ("t", "timestamp", "timestamptz"),
    ("b", "boolean", "boolean"),
];

/// A contract whose column, or whose table where that is empty, has these keys.
fn contract_text(column: &str, keys: &str) -> String {
    let mut text = format!(
        "apiVersion: v3.1.0\nkind: DataContract\nid: t\nversion: 1.0.0\nstatus: active\n\
         description: {{ purpose: Things. }}\nteam: {{ name: ops }}\ncustomProperties:\n  \
         - {{ property: sourceFormat, value: jsonLines }}\n  - {{ property: keyPattern, value: raw/t/things/** }}\n\
         schema:\n  - name: things\n{}    properties:\n",
        if column.is_empty() {
            format!("    {keys}\n")
        } else {
            String::new()
        }
    );
    for (name, logical, physical) in COLUMNS {
        text += &format!(
            "      - name: {name}\n        logicalType: {logical}\n        physicalType: {physical}\n"
        );
        if name == column {
            text += &format!("        {keys}\n");
        }
    }
    text
}

const OTHERS: &str = "apiVersion: v3.1.0\nkind: DataContract\nid: o\nversion: 1.0.0\nstatus: active\n\
    description: { purpose: Others. }\ncustomProperties:\n  - { property: sourceFormat, value: jsonLines }\n  \
    - { property: keyPattern, value: raw/t/others/** }\nschema:\n  - name: others\n    properties:\n      \
    - { name: id, logicalType: integer }\n      - { name: parent, logicalType: integer }\n      \
    - { name: name, logicalType: string }\n      - { name: amount, logicalType: number, physicalType: \"decimal(12,2)\" }\n";

fn contracts(column: &str, keys: &str) -> (Contract, Contract) {
    let text = contract_text(column, keys);
    let all = load_texts(&[("things", &text), ("others", OTHERS)])
        .unwrap_or_else(|faults| panic!("{keys}: {faults:?}"));
    (
        all.get("things").unwrap().clone(),
        all.get("others").unwrap().clone(),
    )
}

fn fields(spec: &tarn_core::schema::TableSpec) -> Vec<TableField> {
    (1..)
        .zip(&spec.fields)
        .map(|(id, field)| TableField {
            field: field.clone(),
            id,
            element_id: (field.ty == tarn_core::schema::ColumnType::StringList)
                .then_some(1000 + id),
        })
        .collect()
}

/// 2026-01-31T12:00:00Z.
const NOW: i64 = 1_769_860_800_000_000;

fn ingest(
    contract: &Contract,
    rows: &str,
    references: References,
    folder: &Path,
) -> tarn_core::Result<Staged> {
    std::fs::create_dir_all(folder).unwrap();
    let path = folder.join("input.ndjson");
    std::fs::write(&path, rows).unwrap();
    let open =
        || JsonLinesReader::new(crate::source::bytes::open(&path).unwrap(), contract).unwrap();
    let staging = folder.join("staging");
    std::fs::create_dir_all(&staging).unwrap();
    let quarantine = tarn_core::quarantine::table_spec(contract);
    let job = Job {
        contract,
        fields: fields(&contract.table_spec()),
        quarantine: (fields(&quarantine), quarantine.partitioning),
        stamp: Stamp {
            run_id: "run".to_owned(),
            source_uri: "uri".to_owned(),
            source_version: "v@1".to_owned(),
            ingested_at: NOW,
            contract_version: "1.0.0".to_owned(),
        },
        key: None,
        staging,
        existing: Vec::new(),
        bytes: rows.len() as u64,
        put_at: NOW - 7200 * 1_000_000,
        references,
        survey: contract
            .has_outlier_rule()
            .then(|| Survey::of(&mut open(), contract).unwrap()),
    };
    run(&mut open(), &job)
}

fn state(contract: &Contract, staged: Option<&Staged>, folder: &Path, current: &str) -> TableState {
    let before = match current {
        "" => Vec::new(),
        rows => {
            let staged = ingest(contract, rows, References::new(), folder).unwrap();
            staged
                .accepted
                .iter()
                .map(|file| file.path.clone())
                .collect()
        }
    };
    TableState {
        dataset: contract.dataset.clone(),
        fields: fields(&contract.table_spec()),
        current: before,
        staged: staged.map(|staged| {
            let paths = staged
                .accepted
                .iter()
                .map(|file| file.path.clone())
                .collect();
            (paths, Arrival::Append("other uri".to_owned()))
        }),
    }
}

/// Ingests rows into `things` with one rule while `others` holds rows: every verdict, and rejected rows.
fn judged(column: &str, keys: &str, rows: &str, others: &str) -> DatasetOutcome {
    let (things, other) = contracts(column, keys);
    let folder = tempfile::tempdir().unwrap();
    let others = state(&other, None, &folder.path().join("others"), others);
    let references: References = things
        .references()
        .map(|to: &ColumnRef| (to.clone(), KeySet::load(&others, &to.column).unwrap()))
        .collect();
    let mut staged = ingest(&things, rows, references, &folder.path().join("things")).unwrap();
    let own = state(&things, Some(&staged), &folder.path().join("before"), "");
    let tables: Tables =
        BTreeMap::from([("things".to_owned(), own), ("others".to_owned(), others)]);
    staged
        .outcome
        .checks
        .extend(tables::evaluate(&things, &tables).unwrap());
    staged.outcome
}

fn custom(arguments: &str, rest: &str) -> String {
    let rest = match rest {
        "" => String::new(),
        rest => format!(", {rest}"),
    };
    format!(
        "quality: [ {{ type: custom, engine: tarn, implementation: {{ {arguments} }}{rest} }} ]"
    )
}

/// Rows that hold these values in one column.
fn lines(column: &str, values: &str) -> String {
    let values: Vec<Value> = serde_json::from_str(&format!("[{values}]")).unwrap();
    values
        .iter()
        .enumerate()
        .map(|(id, value)| format!("{}\n", json!({"id": id, column: value})))
        .collect()
}

/// What a case expects: whether the rule holds, its value, and how many rows it rejects.
type Expected = (bool, Option<f64>, u64);

fn check(kind: &str, column: &str, keys: &str, rows: &str, others: &str, expected: Expected) {
    let outcome = judged(column, keys, rows, others);
    let found: Vec<&CheckResult> = outcome
        .checks
        .iter()
        .filter(|check| check.kind == kind)
        .collect();
    let [found] = found.as_slice() else {
        panic!("{kind}: {keys}: {:?}", outcome.checks)
    };
    assert_eq!(outcome.received, rows.lines().count() as u64, "{kind}");
    assert_eq!(
        outcome.accepted + outcome.rejected,
        outcome.received,
        "{kind}"
    );
    let (passed, value, rejected) = expected;
    assert_eq!(found.passed, passed, "{keys}: {found:?}");
    match (found.value, value) {
        (Some(found), Some(value)) => {
            assert!((found - value).abs() < 1e-9, "{keys}: {found}, not {value}")
        }
        (found, value) => assert_eq!(found, value, "{keys}"),
    }
    assert_eq!(
        outcome.rejected, rejected,
        "{keys}: {:?}",
        outcome.rejected_by
    );
    assert_eq!(found.owner.as_deref(), Some("ops"));
    assert!(found.expected.is_some());
}

/// (kind, column, its keys, values of the column as JSON, expected)
#[rustfmt::skip]
fn cases_of_one_column() -> Vec<(&'static str, &'static str, String, &'static str, Expected)> {
    let metric = |text: &str| format!("quality: [ {{ {text} }} ]");
    let option = |text: &str| format!("logicalTypeOptions: {{ {text} }}");
    vec![
        ("required", "s", "required: true".into(), r#""a", null, """#, (false, Some(1.0), 1)),
        ("required", "s", "required: true".into(), r#""a", "b""#, (true, Some(0.0), 0)),
        ("missing", "s", "customProperties: [ { property: missing, value: reject } ]".into(), r#""a", null, "", " ", "N/A", "-", "unknown", "x""#, (false, Some(6.0), 6)),
        ("missing", "s", "customProperties: [ { property: missing, value: reject }, { property: missingValues, value: [zz] } ]".into(), r#""a", null, "", "zz", "N/A""#, (false, Some(2.0), 2)),
        ("nullValues", "s", metric("metric: nullValues, mustBe: 0"), r#""a", null, null"#, (false, Some(2.0), 2)),
        ("nullValues", "s", metric("metric: nullValues, mustBe: 0, severity: warn"), r#""a", null, null"#, (false, Some(2.0), 0)),
        ("nullValues", "s", metric("metric: nullValues, mustBeLessOrEqualTo: 50, unit: percent"), r#""a", null"#, (true, Some(50.0), 0)),
        ("nullValues", "n", metric("metric: nullValues, mustBeLessThan: 50, unit: percent"), "1, null", (false, Some(50.0), 0)),
        ("missingValues", "s", metric("metric: missingValues, arguments: { missingValues: [null, \"\", n/a] }, mustBeLessThan: 3"), r#""a", null, "", "n/a", "N/A""#, (false, Some(3.0), 0)),
        ("missingValues", "s", metric("metric: missingValues, mustBe: 0"), r#""a", "none", "", "b""#, (false, Some(2.0), 2)),
        ("blankValues", "s", custom("kind: blankValues", "severity: warn"), r#""a", "", "  ", "\u00a0", "-""#, (false, Some(3.0), 0)),
        ("completeness", "s", custom("kind: completeness", "mustBeGreaterOrEqualTo: 60"), r#""a", null, "-", "b", "c""#, (true, Some(60.0), 0)),
        ("completeness", "s", custom("kind: completeness, missingValues: [c]", "mustBeGreaterOrEqualTo: 70"), r#""a", null, "-", "b", "c""#, (false, Some(60.0), 0)),
        ("completeness", "n", custom("kind: completeness", "mustBe: 100"), "", (true, None, 0)),
        ("validValues", "s", metric("metric: invalidValues, arguments: { validValues: [a, b] }, mustBe: 0"), r#""a", "b", "A", null, """#, (false, Some(2.0), 2)),
        ("validValues", "n", metric("metric: invalidValues, arguments: { validValues: [1, 2] }, mustBeLessThan: 50, unit: percent"), "1, 2, 3", (true, Some(100.0 / 3.0), 0)),
        ("validValues", "m", metric("metric: invalidValues, arguments: { validValues: [1.5] }, mustBe: 0"), r#""1.50", "2.00""#, (false, Some(1.0), 1)),
        ("forbiddenValues", "s", custom("kind: forbiddenValues, values: [test]", "mustBe: 0"), r#""a", "test", null"#, (false, Some(1.0), 1)),
        ("forbiddenValues", "n", custom("kind: forbiddenValues, values: [0, 99]", "mustBe: 0"), "0, 1, 99", (false, Some(2.0), 2)),
        ("pattern", "s", option("pattern: \"^[A-Z]{2}$\""), r#""DE", "de", "DEU", null"#, (false, Some(2.0), 2)),
        ("pattern", "s", metric("metric: invalidValues, arguments: { pattern: \"é+\" }, mustBe: 0, severity: warn"), r#""né", "ne""#, (false, Some(1.0), 0)),
        ("format", "s", option("format: uuid"), r#""0190a5f0-0000-7000-8000-000000000000", "0190a5f0", "", null"#, (false, Some(2.0), 2)),
        ("format", "s", option("format: email"), r#""a@b.c", "a@@b", "a b@c", "@b""#, (false, Some(3.0), 3)),
        ("format", "s", option("format: uri"), r#""https://a/b", "mailto:x", "a/b", "1:b""#, (false, Some(2.0), 2)),
        ("minLength", "s", option("minLength: 2"), r#""é", "éé", "", "abc""#, (false, Some(2.0), 2)),
        ("maxLength", "s", option("maxLength: 2"), r#""éé", "ééé", "abc""#, (false, Some(2.0), 2)),
        ("minimum", "n", option("minimum: 0"), "-1, 0, 1, null", (false, Some(1.0), 1)),
        ("minimum", "m", option("minimum: 0.01"), r#""0.00", "0.01""#, (false, Some(1.0), 1)),
        ("minimum", "t", option("minimum: \"2026-01-01T00:00:00Z\""), r#""2025-12-31T23:59:59Z", "2026-01-01T00:00:00Z""#, (false, Some(1.0), 1)),
        ("maximum", "n", option("maximum: 5"), "5, 6, null", (false, Some(1.0), 1)),
        ("exclusiveMinimum", "d", option("exclusiveMinimum: 0"), "0, 0.1, null", (false, Some(1.0), 1)),
        ("exclusiveMaximum", "m", option("exclusiveMaximum: 10"), r#""9.99", "10.00""#, (false, Some(1.0), 1)),
        ("multipleOf", "n", option("multipleOf: 5"), "0, 5, -10, 7", (false, Some(1.0), 1)),
        ("multipleOf", "m", option("multipleOf: 0.05"), r#""0.05", "0.07""#, (false, Some(1.0), 1)),
        ("dataType", "n", custom("kind: dataType", "mustBe: 0"), r#"1, "x", 2.5, null"#, (false, Some(2.0), 2)),
        ("dataType", "s", custom("kind: dataType, type: integer", "mustBe: 0"), r#""1", "-20", "1.5", "x", null"#, (false, Some(2.0), 2)),
        ("dataType", "s", custom("kind: dataType, type: date", "severity: warn"), r#""2026-02-28", "2026-02-30", "x""#, (false, Some(2.0), 0)),
        ("duplicateValues", "s", "unique: true".into(), r#""a", "b", "a", null, null, "a""#, (false, Some(2.0), 2)),
        ("duplicateValues", "s", metric("metric: duplicateValues, mustBeLessThan: 2"), r#""a", "b", "a", null, null, "a""#, (false, Some(2.0), 0)),
        ("duplicateValues", "n", metric("metric: duplicateValues, mustBe: 0, severity: warn"), "1, 2, 1", (false, Some(1.0), 0)),
        ("uniquenessRatio", "s", custom("kind: uniquenessRatio", "mustBeGreaterThan: 0.5"), r#""a", "b", "a", "c", null"#, (true, Some(0.75), 0)),
        ("distinctCount", "s", custom("kind: distinctCount", "mustBe: 3"), r#""a", "b", "a", "c", null"#, (true, Some(3.0), 0)),
        ("distinctCount", "d", custom("kind: distinctCount", "mustBe: 2"), "0.5, 0, -0.0, null", (true, Some(2.0), 0)),
        ("min", "m", custom("kind: min", "mustBeGreaterOrEqualTo: 1.25"), r#""3.00", "1.25", null"#, (true, Some(1.25), 0)),
        ("max", "n", custom("kind: max", "mustBeLessThan: 3"), "-5, 3, null", (false, Some(3.0), 0)),
        ("max", "n", custom("kind: max", "mustBeLessThan: 0"), "-5, -3, null", (true, Some(-3.0), 0)),
        ("mean", "m", custom("kind: mean", "mustBeBetween: [1, 2]"), r#""1.00", "2.50", null"#, (true, Some(1.75), 0)),
        ("mean", "m", custom("kind: mean", "mustBeBetween: [1, 2]"), "null, null", (false, None, 0)),
        ("standardDeviation", "n", custom("kind: standardDeviation", "mustBeLessThan: 2"), "2, 4, 4, 4, 5, 5, 7, 9, null", (false, Some(2.138_089_935_299_395), 0)),
        ("sum", "m", custom("kind: sum", "mustBe: 0.3"), r#""0.10", "0.20", null"#, (true, Some(0.3), 0)),
        ("sum", "d", custom("kind: sum", "mustNotBeBetween: [1, 2]"), "0.1, 0.2, 1e16, -1e16", (true, Some(0.3), 0)),
        ("quantile", "n", custom("kind: quantile, p: 0.9", "mustBeLessThan: 10"), "1, 2, 3, 4, null", (true, Some(3.7), 0)),
        ("median", "n", custom("kind: median", "mustBe: 2.5"), "4, 1, 3, 2", (true, Some(2.5), 0)),
        ("entropy", "s", custom("kind: entropy", "mustBeGreaterThan: 1"), r#""a", "b", "a", "c", null"#, (true, Some(1.5), 0)),
        ("distribution", "s", custom("kind: distribution, shares: { a: 0.5, b: 0.5 }", "mustBeLessThan: 0.3"), r#""a", "a", "b", "c", null"#, (true, Some(0.25), 0)),
        ("distribution", "n", custom("kind: distribution, shares: { 1: 0.25 }", "mustBe: 0"), "1, 2, 3, 4", (true, Some(0.0), 0)),
        ("freshness", "t", custom("kind: freshness", "mustBeLessThan: 24"), r#""2026-01-31T06:00:00Z", "2026-01-30T12:00:00Z", null"#, (true, Some(6.0), 0)),
        ("freshness", "t", custom("kind: freshness", "mustBeLessThan: 1, unit: days"), r#""2026-01-29T12:00:00Z""#, (false, Some(2.0), 0)),
        ("outlier", "n", custom("kind: outlier, method: mad, limit: 3.5", ""), "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 40000", (false, Some(1.0), 1)),
        ("outlier", "n", custom("kind: outlier, method: mad, limit: 3.5", ""), "5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 6, 90", (false, Some(1.0), 1)),
        ("outlier", "n", custom("kind: outlier, method: mad, limit: 3.5", ""), "1, 2, 40000", (true, Some(0.0), 0)),
        ("outlier", "m", custom("kind: outlier, method: iqr, limit: 1.5", "severity: warn"), r#""1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "17.5", "99""#, (false, Some(1.0), 0)),
        ("outlier", "n", custom("kind: outlier, method: medianMultiple, limit: 100", ""), "1, 1, 1, 2, 2, 2, 2, 3, 3, 200, 201", (false, Some(1.0), 1)),
        ("personalData", "s", custom("kind: personalData", ""), r#""a", "mail ana@example.com", "203.0.113.9", "4111 1111 1111 1111", null"#, (false, Some(3.0), 3)),
        ("personalData", "s", custom("kind: personalData, find: [iban]", "severity: warn"), r#""ana@example.com", "DE89 3704 0044 0532 0130 00""#, (false, Some(1.0), 0)),
        ("personalData", "", custom("kind: personalData", "severity: warn"), r#""a", "ana@example.com""#, (false, Some(1.0), 0)),
        ("duplicateValues", "", metric("metric: duplicateValues, arguments: { properties: [s, n] }, mustBe: 0"), r#""a", "b""#, (true, Some(0.0), 0)),
        ("rowCount", "", metric("metric: rowCount, mustBeBetween: [1, 2]"), r#""a", "b", "c""#, (false, Some(3.0), 0)),
        ("columnCount", "", custom("kind: columnCount", "mustBe: 2"), r#""a", "b""#, (true, Some(2.0), 0)),
        ("columnExists", "", custom("kind: columnExists, columns: [id, s, zz]", "mustBe: 0"), r#""a""#, (false, Some(1.0), 0)),
        ("schemaMatch", "", custom("kind: schemaMatch", "mustBe: 0"), r#""a""#, (false, Some(7.0), 0)),
        ("schemaMatch", "", custom("kind: schemaMatch, columns: [s, id]", "mustBe: 0"), r#""a""#, (true, Some(0.0), 0)),
        ("fileFreshness", "", custom("kind: fileFreshness", "mustBeLessThan: 90, unit: minutes"), r#""a""#, (false, Some(120.0), 0)),
        ("sql", "s", "quality: [ { type: sql, query: \"SELECT COUNT(*) FROM ${object} WHERE ${property} = 'a'\", mustBe: 2 } ]".into(), r#""a", "b", "a""#, (true, Some(2.0), 0)),
        ("sql", "", "quality: [ { type: sql, query: \"SELECT MAX(n) FROM ${object}\", mustBe: 2 } ]".into(), r#""a""#, (false, None, 0)),
    ]
}

/// (kind, column, its keys, rows of things, rows of others, expected)
#[rustfmt::skip]
fn cases_of_several_columns() -> Vec<(&'static str, &'static str, String, &'static str, &'static str, Expected)> {
    vec![
        ("duplicateValues", "", "quality: [ { metric: duplicateValues, arguments: { properties: [s, n] }, mustBe: 0 } ]".into(),
            "{\"s\":\"a\",\"n\":1}\n{\"s\":\"a\",\"n\":2}\n{\"s\":\"a\",\"n\":1}\n{\"s\":\"a\"}\n{\"s\":\"a\"}\n", "", (false, Some(1.0), 1)),
        ("duplicateValues", "", "quality: [ { metric: duplicateValues, arguments: { properties: [s, n] }, mustBeLessOrEqualTo: 20, unit: percent } ]".into(),
            "{\"s\":\"a\",\"n\":1}\n{\"s\":\"a\",\"n\":2}\n{\"s\":\"a\",\"n\":1}\n{\"s\":\"a\"}\n{\"s\":\"a\"}\n", "", (true, Some(20.0), 0)),
        ("comparison", "m", custom("kind: comparison, operator: \">=\", column: w", "mustBe: 0"),
            "{\"m\":\"1.00\",\"w\":\"1.000\"}\n{\"m\":\"1.00\",\"w\":\"1.001\"}\n{\"m\":\"1.00\"}\n", "", (false, Some(1.0), 1)),
        ("comparison", "n", custom("kind: comparison, operator: \"!=\", column: d", "severity: warn"),
            "{\"n\":1,\"d\":1.0}\n{\"n\":1,\"d\":1.5}\n", "", (false, Some(1.0), 0)),
        ("comparison", "s", custom("kind: comparison, operator: \"<\", column: s", ""),
            "{\"s\":\"a\"}\n{}\n", "", (false, Some(1.0), 1)),
        ("rowSum", "m", custom("kind: rowSum, plus: [u, w], minus: [n]", "mustBe: 0"),
            "{\"m\":\"3.50\",\"u\":\"2.25\",\"w\":\"2.250\",\"n\":1}\n{\"m\":\"3.51\",\"u\":\"2.25\",\"w\":\"2.250\",\"n\":1}\n{\"m\":\"9\",\"u\":\"1\"}\n", "", (false, Some(1.0), 1)),
        ("rowSum", "m", custom("kind: rowSum, plus: [u, w], tolerance: 0.01", "mustBe: 0"),
            "{\"m\":\"3.51\",\"u\":\"1.25\",\"w\":\"2.250\"}\n{\"m\":\"3.52\",\"u\":\"1.25\",\"w\":\"2.250\"}\n", "", (false, Some(1.0), 1)),
        ("rowSum", "d", custom("kind: rowSum, plus: [u, w], tolerance: 0.000001", "mustBe: 0"),
            "{\"d\":0.3,\"u\":\"0.10\",\"w\":\"0.200\"}\n{\"d\":0.31,\"u\":\"0.10\",\"w\":\"0.200\"}\n", "", (false, Some(1.0), 1)),
        ("reference", "n", custom("kind: reference, to: others.id", "mustBe: 0"),
            "{\"n\":1}\n{\"n\":3}\n{}\n", "{\"id\":1}\n{\"id\":2}\n{}\n", (false, Some(1.0), 1)),
        ("reference", "m", custom("kind: reference, to: others.id", "severity: warn"),
            "{\"m\":\"1.00\"}\n{\"m\":\"1.50\"}\n", "{\"id\":1}\n", (false, Some(1.0), 0)),
        ("reference", "s", custom("kind: reference, to: others.name", "mustBeLessThan: 50, unit: percent"),
            "{\"s\":\"a\"}\n{\"s\":\"b\"}\n{\"s\":\"c\"}\n", "{\"name\":\"a\"}\n{\"name\":\"b\"}\n", (true, Some(100.0 / 3.0), 0)),
        ("reference", "n", custom("kind: reference, to: others.id", "mustBe: 0"), "{\"n\":1}\n", "", (false, Some(1.0), 1)),
        ("groupSum", "m", custom("kind: groupSum, of: others.amount, by: parent, key: id", ""),
            "{\"id\":1,\"m\":\"3.00\"}\n{\"id\":2,\"m\":\"0.00\"}\n{\"id\":3,\"m\":\"1.00\"}\n{\"id\":4}\n",
            "{\"parent\":1,\"amount\":\"1.25\"}\n{\"parent\":1,\"amount\":\"1.75\"}\n{\"parent\":3,\"amount\":\"1.01\"}\n", (false, Some(1.0), 0)),
        ("groupSum", "m", custom("kind: groupSum, of: others.amount, by: parent, key: id, tolerance: 0.01", ""),
            "{\"id\":3,\"m\":\"1.00\"}\n", "{\"parent\":3,\"amount\":\"1.01\"}\n", (true, Some(0.0), 0)),
        ("rowCountMatch", "", custom("kind: rowCountMatch, dataset: others", "mustBe: 0"), "{}\n{}\n{}\n", "{}\n{}\n", (false, Some(1.0), 0)),
        ("rowCountMatch", "", custom("kind: rowCountMatch, dataset: others", "mustBeBetween: [-60, 60], unit: percent"), "{}\n{}\n{}\n", "{}\n{}\n", (true, Some(50.0), 0)),
        ("sql", "", "quality: [ { type: sql, query: \"SELECT COUNT(*) FROM ${object} t LEFT JOIN others o ON t.n = o.id WHERE o.id IS NULL\", mustBe: 0 } ]".into(),
            "{\"n\":1}\n{\"n\":3}\n", "{\"id\":1}\n", (false, Some(1.0), 0)),
    ]
}

#[test]
fn every_kind_gives_the_verdict_the_value_and_the_rejected_rows_of_its_cases() {
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for (kind, column, keys, values, expected) in cases_of_one_column() {
        let of = if column.is_empty() { "s" } else { column };
        check(kind, column, &keys, &lines(of, values), "", expected);
        seen.insert(kind);
    }
    for (kind, column, keys, rows, others, expected) in cases_of_several_columns() {
        check(kind, column, &keys, rows, others, expected);
        seen.insert(kind);
    }
    // Of the test below.
    seen.insert("primaryKey");
    let missing: Vec<&str> = KINDS
        .iter()
        .map(|kind| kind.name)
        .filter(|kind| !seen.contains(kind))
        .collect();
    assert_eq!(missing, [""; 0], "kinds without a case");
}

#[test]
fn a_repeated_primary_key_is_rejected_as_a_duplicate_whatever_the_severity() {
    let text = contract_text(
        "id",
        "required: true\n        primaryKey: true\n        quality: [ { metric: duplicateValues, mustBe: 0, severity: warn } ]",
    );
    let things = load_texts(&[("things", &text)])
        .unwrap()
        .get("things")
        .unwrap()
        .clone();
    let folder = tempfile::tempdir().unwrap();
    let rows = "{\"id\":1}\n{\"id\":2}\n{\"id\":1}\n{}\n";
    let outcome = ingest(&things, rows, References::new(), folder.path())
        .unwrap()
        .outcome;
    assert_eq!(
        outcome.rejected_by,
        BTreeMap::from([("duplicate".to_owned(), 1), ("id.required".to_owned(), 1)])
    );
    let found = outcome
        .checks
        .iter()
        .find(|check| check.kind == "primaryKey")
        .unwrap();
    assert_eq!(
        (found.failed, found.passed, found.id.as_str()),
        (1, false, "duplicate")
    );
}

#[test]
fn the_first_broken_rule_in_the_contract_rejects_a_row_and_every_broken_one_counts_it() {
    let keys = "required: true\n        logicalTypeOptions: { minLength: 2, pattern: \"^x\" }";
    let outcome = judged("s", keys, &lines("s", r#""a", "xx", null"#), "");
    assert_eq!(
        outcome.rejected_by,
        BTreeMap::from([("s.minLength".to_owned(), 1), ("s.required".to_owned(), 1)])
    );
    let failed: Vec<u64> = outcome.checks.iter().map(|check| check.failed).collect();
    assert_eq!(failed, [1, 1, 1]);
}

#[test]
fn a_default_takes_the_place_of_what_is_missing_and_the_row_says_so() {
    let keys = "required: true\n        customProperties: [ { property: missing, value: default }, { property: default, value: zz } ]";
    let (things, _) = contracts("s", keys);
    let folder = tempfile::tempdir().unwrap();
    let rows = lines("s", r#""a", null, "N/A", "", "b""#);
    let staged = ingest(&things, &rows, References::new(), folder.path()).unwrap();
    assert_eq!((staged.outcome.accepted, staged.outcome.rejected), (5, 0));
    let state = state(&things, Some(&staged), folder.path(), "");
    let table = state.rows().unwrap().collect().unwrap();
    let shown = |column: &str| -> Vec<String> {
        let fields: Vec<TableField> = state
            .fields
            .iter()
            .filter(|field| field.field.name == column)
            .cloned()
            .collect();
        let data = crate::frame::columns(&table.select([column]).unwrap(), &fields)
            .unwrap()
            .remove(0);
        (0..5)
            .map(|row| crate::render::value(&data, row, &fields[0].field.ty))
            .collect()
    };
    assert_eq!(shown("s"), ["a", "zz", "zz", "zz", "b"]);
    assert_eq!(shown("_imputed"), ["", "[\"s\"]", "[\"s\"]", "[\"s\"]", ""]);
    // The profile tells what the source had.
    let profile = staged
        .outcome
        .profile
        .iter()
        .find(|profile| profile.column == "s")
        .unwrap();
    assert_eq!(
        (profile.nulls, profile.blanks, profile.sentinels),
        (1, 1, 1)
    );
}

#[test]
fn a_broken_rule_of_severity_abort_stops_the_run_with_its_figures() {
    for (keys, text) in [
        (
            "quality: [ { metric: nullValues, mustBe: 0, severity: abort } ]".to_owned(),
            "found 2, expected 0",
        ),
        (
            custom("kind: mean", "mustBeLessThan: 2, severity: abort"),
            "found 4, expected less than 2",
        ),
    ] {
        let outcome = judged("n", &keys, &lines("n", "4, null, null"), "");
        // Nothing is committed: no row needs to be rejected.
        assert_eq!(outcome.rejected, 0);
        let error = tables::aborted("things", &outcome.checks).unwrap();
        assert_eq!(
            (error.kind(), error.is_retryable()),
            (ErrorKind::Quality, false)
        );
        assert!(error.to_string().contains(text), "{error}");
    }
    let outcome = judged(
        "n",
        "quality: [ { metric: nullValues, mustBe: 0 } ]",
        &lines("n", "null"),
        "",
    );
    assert!(tables::aborted("things", &outcome.checks).is_none());
}

#[test]
fn a_query_that_fails_or_gives_no_number_is_an_error_and_no_pass() {
    for query in [
        "SELECT MAX(s) FROM ${object}",
        "SELECT COUNT(nothing) FROM ${object}",
    ] {
        let keys = format!("quality: [ {{ type: sql, query: \"{query}\", mustBe: 0 }} ]");
        let (things, _) = contracts("", &keys);
        let folder = tempfile::tempdir().unwrap();
        let staged = ingest(&things, "{\"s\":\"a\"}\n", References::new(), folder.path()).unwrap();
        let own = state(&things, Some(&staged), folder.path(), "");
        let error =
            tables::evaluate(&things, &Tables::from([("things".to_owned(), own)])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadContract, "{error}");
        assert!(error.to_string().contains("rule sql"), "{error}");
    }
}

#[test]
fn what_a_rule_needs_and_was_not_given_is_an_error_and_no_pass() {
    let (things, _) = contracts("n", &custom("kind: reference, to: others.id", ""));
    let folder = tempfile::tempdir().unwrap();
    let error = ingest(&things, "{}\n", References::new(), folder.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
}

#[test]
fn a_table_as_it_will_be_has_the_staged_rows_in_their_places() {
    let (things, _) = contracts("s", "description: x");
    let folder = tempfile::tempdir().unwrap();
    let before = "{\"id\":1,\"s\":\"old\"}\n{\"id\":2,\"s\":\"gone\"}\n";
    let after = "{\"id\":1,\"s\":\"new\"}\n{\"id\":3,\"s\":\"added\"}\n";
    let staged = ingest(
        &things,
        after,
        References::new(),
        &folder.path().join("after"),
    )
    .unwrap();
    let mut state = state(
        &things,
        Some(&staged),
        &folder.path().join("before"),
        before,
    );
    for (arrival, expected) in [
        (Arrival::Append("uri".to_owned()), vec!["added", "new"]),
        (
            Arrival::Append("elsewhere".to_owned()),
            vec!["added", "gone", "new", "old"],
        ),
        (
            Arrival::Upsert {
                keys: vec!["id".to_owned()],
                deleted: DeletedRows::Keep,
            },
            vec!["added", "gone", "new"],
        ),
        (
            Arrival::Upsert {
                keys: vec!["id".to_owned()],
                deleted: DeletedRows::Remove,
            },
            vec!["added", "new"],
        ),
    ] {
        state.staged.as_mut().unwrap().1 = arrival.clone();
        let set = KeySet::load(&state, "s").unwrap();
        let rows = state.rows().unwrap().collect().unwrap().height();
        assert_eq!(rows, expected.len(), "{arrival:?}");
        let mut column = crate::column::TextColumn::new(true);
        expected
            .iter()
            .for_each(|text| column.push(text.as_bytes()));
        let data = crate::column::ColumnData::Text(column);
        assert!(
            set.strange_rows(&data, &tarn_core::schema::ColumnType::String)
                .is_empty(),
            "{arrival:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn accepted_and_rejected_are_received_and_every_count_is_that_of_a_plain_loop(
        values in prop::collection::vec(prop::option::of(prop_oneof![-3i64..8, Just(1_000_000)]), 0..120),
    ) {
        let keys = format!(
            "logicalTypeOptions: {{ minimum: 0 }}\n        quality:\n          - {{ metric: duplicateValues, mustBe: 0 }}\n          \
             - {{ metric: nullValues, mustBe: 0, severity: warn }}\n          {}",
            ["mean", "sum", "median", "distinctCount"].map(|kind| format!(
                "- {{ type: custom, engine: tarn, implementation: {{ kind: {kind} }}, mustBe: 0, severity: warn }}\n          "
            )).concat()
        );
        let rows: String = values.iter().map(|value| format!("{}\n", json!({"n": value}))).collect();
        let outcome = judged("n", &keys, &rows, "");
        prop_assert_eq!(outcome.accepted + outcome.rejected, outcome.received);
        let value = |kind: &str| outcome.checks.iter().find(|check| check.kind == kind).unwrap().value;
        let present: Vec<i64> = values.iter().copied().flatten().collect();
        let kept: Vec<i64> = present.iter().copied().filter(|&value| value >= 0).collect();
        let distinct = |values: &[i64]| values.iter().collect::<BTreeSet<_>>().len();
        prop_assert_eq!(value("minimum"), Some((present.len() - kept.len()) as f64));
        // Rows that another rule rejected repeat nothing.
        prop_assert_eq!(value("duplicateValues"), Some((kept.len() - distinct(&kept)) as f64));
        prop_assert_eq!(value("nullValues"), Some((values.len() - present.len()) as f64));
        prop_assert_eq!(value("distinctCount"), Some(distinct(&present) as f64));
        prop_assert_eq!(outcome.rejected as usize, present.len() - distinct(&kept));
        if present.is_empty() {
            prop_assert_eq!(value("mean"), None);
        } else {
            let sum: i64 = present.iter().sum();
            prop_assert_eq!(value("sum"), Some(sum as f64));
            prop_assert_eq!(value("mean"), Some(sum as f64 / present.len() as f64));
            let mut sorted = present.clone();
            sorted.sort_unstable();
            let middle = sorted.len() / 2;
            let median = if sorted.len() % 2 == 1 { sorted[middle] as f64 } else { (sorted[middle - 1] + sorted[middle]) as f64 / 2.0 };
            prop_assert_eq!(value("median"), Some(median));
        }
    }
}

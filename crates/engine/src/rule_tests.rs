//! Each kind of rule: rows in, verdict, measured value and rejected rows out.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cases;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};
use tarn_contract::kinds::KINDS;
use tarn_contract::sql::Query;
use tarn_contract::{ColumnRef, Contract, DeletedRows, TableMeasure, load_texts};
use tarn_core::ErrorKind;
use tarn_core::run::{CheckResult, DatasetOutcome};
use tarn_core::schema::{TableField, TableName, Zone};

use crate::ingest::{Job, Staged, run};
use crate::table_rules::load_keys;
use crate::table_rules::{self, Answers, Tables};
use tarn_query::{Engine, Limits, Part, Source};
use tarn_rows::check::{References, Survey};
use tarn_rows::planned::{Arrival, RowsOf, TableState, Upsert};
use tarn_rows::system_columns::SystemColumns;

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
    let open = || tarn_rows::source::open(contract, &path).unwrap();
    let staging = folder.join("staging");
    std::fs::create_dir_all(&staging).unwrap();
    let quarantine = tarn_contract::quarantine::table_spec(contract);
    let job = Job {
        contract,
        fields: fields(&contract.table_spec()),
        quarantine: (fields(&quarantine), quarantine.partitioning),
        system_columns: SystemColumns {
            run_id: "run".to_owned(),
            source_uri: "uri".to_owned(),
            source_version: "v@1".to_owned(),
            ingested_at: NOW,
            contract_version: "1.0.0".to_owned(),
        },
        key: contract
            .is_personal()
            .then(|| tarn_core::privacy::PseudonymKey::new(1, &[7; 32])),
        staging,
        earlier: std::sync::Arc::new(crate::ingest::Nothing),
        bytes: rows.len() as u64,
        put_at: NOW - 7200 * 1_000_000,
        references,
        survey: contract
            .has_outlier_rule()
            .then(|| Survey::of(open().as_mut(), contract).unwrap()),
        later: Default::default(),
    };
    run(open().as_mut(), &job)
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
            (
                paths,
                Arrival::Append(vec![RowsOf::object(&["other uri".to_owned()])]),
            )
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
        .map(|to: &ColumnRef| {
            (
                to.clone(),
                Arc::new(load_keys(&others, &to.column).unwrap()),
            )
        })
        .collect();
    let mut staged = ingest(&things, rows, references, &folder.path().join("things")).unwrap();
    let own = state(&things, Some(&staged), &folder.path().join("before"), "");
    let tables: Tables =
        BTreeMap::from([("things".to_owned(), own), ("others".to_owned(), others)]);
    staged
        .outcome
        .checks
        .extend(table_rules::evaluate(&things, &tables, &answers(&things, &tables)).unwrap());
    staged.outcome
}

/// The one column that a query answers over tables as they will be, as texts in order.
fn texts(query: &Query, tables: &Tables) -> Vec<Option<String>> {
    let folder = tempfile::tempdir().unwrap();
    let local = tarn_local::LocalLake::create(folder.path()).unwrap();
    let engine = Engine::new(local.objects(), local.scratch(), Limits::default());
    let sources: Vec<Source> = query
        .tables()
        .iter()
        .map(|name| Source {
            name: name.clone(),
            fields: tables[&name.name].fields.clone(),
            part: Part::Planned(tables[&name.name].clone(), Vec::new()),
        })
        .collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let rows = runtime.block_on(async {
        let answer = engine.run(query, &sources, None, None).await.unwrap();
        answer.collect().await.unwrap()
    });
    rows.objects()
        .map(|row| match row.values().next().unwrap() {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        })
        .collect()
}

/// What queries answer for the contract's rules.
fn answers(contract: &Contract, tables: &Tables) -> Answers {
    let values = contract
        .table_rules()
        .filter_map(|(rule, measure)| match measure {
            TableMeasure::Sql(query) => {
                let answer = texts(query, tables).pop().unwrap();
                Some((rule.id.clone(), answer.map(|text| text.parse().unwrap())))
            }
            _ => None,
        })
        .collect();
    let rows = tables.keys().map(|dataset| {
        let name = TableName::new(Zone::Curated, dataset);
        let query = Query::parse("SELECT COUNT(*) FROM counted", &|_| Ok(name.clone())).unwrap();
        let rows = texts(&query, tables).pop().unwrap().unwrap();
        (dataset.clone(), rows.parse().unwrap())
    });
    Answers {
        rows: rows.collect(),
        values,
    }
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
    let table = table_rules::rows(&state).unwrap().collect().unwrap();
    let shown = |column: &str| -> Vec<String> {
        let fields: Vec<TableField> = state
            .fields
            .iter()
            .filter(|field| field.field.name == column)
            .cloned()
            .collect();
        let data = crate::columns::from_frame::columns(&table.select([column]).unwrap(), &fields)
            .unwrap()
            .remove(0);
        (0..5)
            .map(|row| tarn_rows::display::value(&data, row, &fields[0].field.ty))
            .collect()
    };
    assert_eq!(shown("s"), ["a", "zz", "zz", "zz", "b"]);
    assert_eq!(shown("_imputed"), ["", "[\"s\"]", "[\"s\"]", "[\"s\"]", ""]);
    // The profile shows what the source had.
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
fn a_number_made_of_personal_values_is_judged_and_not_shown() {
    const PERSON: f64 = 771_234_567_800.0;
    let personal = |rule: &str| {
        format!("customProperties: [ {{ property: protection, value: drop }} ]\n        {rule}")
    };
    for kind in ["min", "max", "mean", "sum", "median", "quantile, p: 0.5"] {
        for (bound, holds) in [("mustBeGreaterThan: 5", true), ("mustBeLessThan: 5", false)] {
            let rule = custom(
                &format!("kind: {kind}"),
                &format!("{bound}, severity: warn"),
            );
            let rows = lines("n", "771234567800");
            let plain = &judged("n", &rule, &rows, "").checks[0];
            assert_eq!((plain.passed, plain.value), (holds, Some(PERSON)), "{kind}");
            let outcome = judged("n", &personal(&rule), &rows, "");
            let found = &outcome.checks[0];
            assert_eq!((found.passed, found.value), (holds, None), "{kind}");
            assert!(!format!("{outcome:?}").contains("771"), "{outcome:?}");
        }
    }
    let spread = custom("kind: standardDeviation", "mustBe: 1");
    let found = &judged("n", &personal(&spread), &lines("n", "1, 5"), "").checks[0];
    assert_eq!((found.passed, found.value), (false, None));
    let newest = custom("kind: freshness", "mustBeLessThan: 24");
    let rows = lines("t", r#""2026-01-31T06:00:00Z""#);
    let found = &judged("t", &personal(&newest), &rows, "").checks[0];
    assert_eq!((found.passed, found.value), (true, None));
    // Counts show no value.
    let distinct = custom("kind: distinctCount", "mustBe: 2");
    let found = &judged("n", &personal(&distinct), &lines("n", "1, 5"), "").checks[0];
    assert_eq!((found.passed, found.value), (true, Some(2.0)));
    let stop = custom("kind: max", "mustBe: 1, severity: abort");
    let outcome = judged("n", &personal(&stop), &lines("n", "771234567800"), "");
    let error = table_rules::aborted("things", &outcome.checks).unwrap();
    assert!(!error.to_string().contains("771"), "{error}");
}

#[test]
fn repeated_values_are_counted_exactly_beyond_what_memory_holds() {
    let rows = |repeats: &[(usize, usize)]| -> String {
        (0..300_000)
            .map(|row| {
                let value = repeats
                    .iter()
                    .find(|(at, _)| *at == row)
                    .map_or(row, |(_, of)| *of);
                format!("{{\"id\":{row},\"s\":\"key {value}\",\"n\":{value}}}\n")
            })
            .collect()
    };
    let unique = rows(&[]);
    let repeating = rows(&[(299_999, 3), (200_000, 199_999)]);
    let metric = "metric: duplicateValues, mustBe: 0, severity: warn";
    for (column, keys) in [
        ("n", format!("quality: [ {{ {metric} }} ]")),
        ("s", format!("quality: [ {{ {metric} }} ]")),
        (
            "",
            format!("quality: [ {{ {metric}, arguments: {{ properties: [s, n] }} }} ]"),
        ),
    ] {
        for (rows, expected) in [(&unique, 0), (&repeating, 2)] {
            let found = &judged(column, &keys, rows, "").checks[0];
            assert_eq!(
                (found.passed, found.failed, found.value, found.estimated),
                (expected == 0, expected, Some(expected as f64), false),
                "{column}"
            );
        }
    }
    for (kind, expected) in [("uniquenessRatio", 1.0), ("distinctCount", 300_000.0)] {
        let keys = custom(&format!("kind: {kind}"), &format!("mustBe: {expected}"));
        let found = &judged("n", &keys, &unique, "").checks[0];
        assert_eq!(
            (found.passed, found.value),
            (true, Some(expected)),
            "{kind}"
        );
    }
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
        let error = table_rules::aborted("things", &outcome.checks).unwrap();
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
    assert!(table_rules::aborted("things", &outcome.checks).is_none());
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
    let (things, _) = contracts("s", "logicalTypeOptions: { maxLength: 5 }");
    let folder = tempfile::tempdir().unwrap();
    let before =
        "{\"id\":1,\"s\":\"old\"}\n{\"id\":2,\"s\":\"gone\"}\n{\"id\":4,\"s\":\"stays\"}\n";
    let after =
        "{\"id\":1,\"s\":\"new\"}\n{\"id\":3,\"s\":\"added\"}\n{\"id\":4,\"s\":\"too long\"}\n";
    let stage = |rows: &str, name: &str| {
        ingest(&things, rows, References::new(), &folder.path().join(name)).unwrap()
    };
    let staged = stage(after, "after");
    // One more row is rejected, whose key is not known.
    let keyless = stage(&format!("{after}{{\"s\":\"too long\"}}\n"), "keyless");
    assert_eq!((staged.outcome.rejected, keyless.outcome.rejected), (1, 2));
    let mut state = state(
        &things,
        Some(&staged),
        &folder.path().join("before"),
        before,
    );
    let upsert = |deleted, staged: &Staged| {
        Arrival::Upsert(Upsert {
            keys: vec!["id".to_owned()],
            deleted,
            rejected: staged
                .rejected
                .iter()
                .map(|file| file.path.clone())
                .collect(),
            rejected_fields: fields(&tarn_contract::quarantine::table_spec(&things)),
        })
    };
    let append = |uris: &[&str]| {
        let uris: Vec<String> = uris.iter().map(|&uri| uri.to_owned()).collect();
        Arrival::Append(vec![RowsOf::object(&uris)])
    };
    for (arrival, expected) in [
        (append(&["before", "uri"]), vec!["added", "new"]),
        (
            append(&["elsewhere"]),
            vec!["added", "gone", "new", "old", "stays"],
        ),
        (
            upsert(DeletedRows::Keep, &staged),
            vec!["added", "gone", "new", "stays"],
        ),
        (
            upsert(DeletedRows::Remove, &staged),
            vec!["added", "new", "stays"],
        ),
        (
            upsert(DeletedRows::Remove, &keyless),
            vec!["added", "gone", "new", "stays"],
        ),
    ] {
        state.staged.as_mut().unwrap().1 = arrival.clone();
        let tables = Tables::from([("things".to_owned(), state.clone())]);
        let name = TableName::new(Zone::Curated, "things");
        let query = Query::parse("SELECT s FROM things ORDER BY s", &|_| Ok(name.clone()));
        let found: Vec<String> = texts(&query.unwrap(), &tables)
            .into_iter()
            .flatten()
            .collect();
        assert_eq!(found, expected, "{arrival:?}");
        let set = load_keys(&state, "s").unwrap();
        let rows = table_rules::rows(&state)
            .unwrap()
            .collect()
            .unwrap()
            .height();
        assert_eq!(rows, expected.len(), "{arrival:?}");
        let mut column = tarn_rows::column::TextColumn::new(true);
        expected
            .iter()
            .for_each(|text| column.push(text.as_bytes()));
        let data = tarn_rows::column::ColumnData::Text(column);
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

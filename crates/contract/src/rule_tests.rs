//! Every kind of rule as the reference page shows it, and what is wrong with rules.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;

use super::kinds::{KINDS, Place, Scope};
use super::*;

/// A contract whose column `v` is of a type and has the example; `s` is a text, `id` the key.
fn contract(ty: &str, example: &str, place: Place, format: &str) -> String {
    let logical = match ty {
        "string" => "string",
        "timestamptz" => "timestamp",
        "bigint" => "integer",
        _ => "number",
    };
    let indented = |spaces: usize| {
        example
            .lines()
            .map(|line| format!("{}{line}\n", " ".repeat(spaces)))
            .collect::<String>()
    };
    let (in_table, in_column) = match place {
        Place::Table => (indented(4), String::new()),
        _ => (String::new(), indented(8)),
    };
    format!(
        "apiVersion: v3.1.0\nkind: DataContract\nid: t\nversion: 1.0.0\nstatus: active\n\
         description: {{ purpose: Things. }}\nteam: {{ name: ops }}\ncustomProperties:\n  \
         - {{ property: sourceFormat, value: {format} }}\n  - {{ property: keyPattern, value: raw/t/things/** }}\n\
         schema:\n  - name: things\n{in_table}    properties:\n      - name: id\n        logicalType: integer\n        \
         required: true\n        primaryKey: true\n      - name: net\n        logicalType: number\n        physicalType: \
         decimal(12,2)\n      - name: tax\n        logicalType: number\n        physicalType: decimal(12,2)\n      \
         - name: discount\n        logicalType: number\n        physicalType: decimal(12,2)\n      - name: other\n        \
         logicalType: {logical}\n        physicalType: {ty}\n      - name: v\n        logicalType: {logical}\n        \
         physicalType: {ty}\n{in_column}"
    )
}

const OTHERS: &str = "apiVersion: v3.1.0\nkind: DataContract\nid: o\nversion: 1.0.0\nstatus: active\n\
    description: { purpose: Others. }\ncustomProperties:\n  - { property: sourceFormat, value: jsonLines }\n  \
    - { property: keyPattern, value: raw/t/others/** }\nschema:\n  - name: others\n    properties:\n      \
    - { name: id, logicalType: integer, required: true, primaryKey: true }\n      - { name: parent_id, logicalType: integer }\n      \
    - { name: amount, logicalType: number, physicalType: \"decimal(12,2)\" }\n";

/// A type of column that the kind goes with.
fn type_for(kind: &str) -> &'static str {
    match kind {
        "freshness" => "timestamptz",
        "reference" | "multipleOf" => "bigint",
        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "min" | "max"
        | "mean" | "standardDeviation" | "sum" | "quantile" | "median" | "comparison"
        | "rowSum" | "outlier" | "groupSum" => "decimal(12,2)",
        _ => "string",
    }
}

fn loaded(text: &str) -> Result<Contracts, String> {
    load_texts(&[("things.odcs.yaml", text), ("others.odcs.yaml", OTHERS)]).map_err(|faults| {
        faults
            .iter()
            .map(|fault| format!("{fault}\n"))
            .collect::<String>()
    })
}

#[test]
fn the_example_of_every_kind_is_a_rule_of_that_kind() {
    let names: BTreeSet<&str> = KINDS.iter().map(|kind| kind.name()).collect();
    assert_eq!(names.len(), KINDS.len(), "a name is given twice");
    assert!(KINDS.len() >= 30);
    for kind in KINDS {
        let text = contract(type_for(kind.name()), kind.example, kind.place, "jsonLines");
        let contracts =
            loaded(&text).unwrap_or_else(|faults| panic!("{}: {faults}\n{text}", kind.name()));
        let things = contracts.get("things").unwrap();
        let rule = things
            .rules
            .iter()
            .find(|rule| rule.kind.name() == kind.name())
            .unwrap_or_else(|| panic!("{}: no such rule in {:?}", kind.name(), things.rules));
        assert_eq!(rule.owner.as_deref(), Some("ops"), "{}", kind.name());
        assert_eq!(rule.dimension, kind.dimension, "{}", kind.name());
        let scope = match &rule.check {
            Check::Rows(_) => Scope::Row,
            Check::Column(_) | Check::Object(_) => Scope::Object,
            Check::Table(_) => Scope::Table,
        };
        assert_eq!(scope, kind.scope, "{}", kind.name());
    }
}

/// The rule of a custom kind with these arguments and comparison.
fn custom(arguments: &str, rest: &str) -> String {
    format!(
        "quality:\n  - {{ type: custom, engine: tarn, implementation: {{ {arguments} }}, {rest} }}"
    )
}

fn sql(query: &str) -> String {
    format!("quality:\n  - type: sql\n    query: \"{query}\"\n    mustBe: 0")
}

#[test]
fn a_rule_that_cannot_be_run_is_refused_with_its_line_and_how_to_fix_it() {
    let number = "decimal(12,2)";
    #[rustfmt::skip]
    let cases: Vec<(&str, String, &str, &str)> = vec![
        (number, custom("kind: meen", "mustBe: 1"), "unknown kind of rule 'meen'", "did you mean 'mean'?"),
        (number, custom("kind: rowCount", "mustBe: 1"), "unknown kind of rule 'rowCount'", "metric: rowCount"),
        (number, custom("kind: mean, of: v", "mustBe: 1"), "mean has no argument 'of'", "no arguments"),
        (number, custom("kind: mean", "name: x"), "nothing to compare with", "mustBe"),
        (number, custom("kind: mean", "mustBe: 1, unit: percent"), "not measured in this unit", "remove the unit"),
        ("string", custom("kind: mean", "mustBe: 1"), "mean on a string column", "column of numbers"),
        (number, custom("kind: blankValues", "mustBe: 0"), "blankValues on a decimal(12,2) column", "column of text"),
        (number, custom("kind: quantile, p: 95", "mustBe: 1"), "p cannot be '95'", "from 0 to 1"),
        (number, custom("kind: quantile", "mustBe: 1"), "lacks its argument 'p'", "add p"),
        ("string", custom("kind: completeness", "mustBeGreaterThan: 101"), "threshold 101 of completeness is out of range", "from 0 to 100"),
        ("string", custom("kind: uniquenessRatio", "mustBeBetween: [0.5, 1.5]"), "threshold 1.5", "from 0 to 1"),
        ("string", custom("kind: uniquenessRatio", "mustBeBetween: [0.9, 0.5]"), "the smaller first", "mustBeBetween: [0, 10]"),
        ("string", "quality:\n  - { metric: nullValues, mustBeLessThan: 105, unit: percent }".into(), "threshold 105", "from 0 to 100"),
        ("string", custom("kind: distribution, shares: { a: 0.7, b: 0.6 }", "mustBe: 0"), "add up to 1.29", "at most 1"),
        (number, custom("kind: comparison, operator: \">\", column: ids", "mustBe: 0"), "a column 'ids' that does not exist", "did you mean 'id'?"),
        (number, custom("kind: comparison, operator: \"=>\", column: id", "mustBe: 0"), "unknown operator", "use one of"),
        ("string", custom("kind: comparison, operator: \">\", column: id", "mustBe: 0"), "cannot be compared", "same type"),
        (number, custom("kind: rowSum, plus: [net, taxs]", "mustBe: 0"), "'taxs' that does not exist", "did you mean 'tax'?"),
        (number, custom("kind: rowSum, plus: [net], tolerance: 0.005", "mustBe: 0"), "tolerance cannot be '0.005'", "after the decimal point"),
        (number, custom("kind: outlier, method: mat, limit: 3", "mustBe: 0"), "unknown method 'mat'", "did you mean 'mad'?"),
        (number, custom("kind: outlier, method: mad, limit: 0", "mustBe: 0"), "must be greater than 0", "3.5"),
        ("bigint", custom("kind: reference", "mustBe: 0"), "does not say what it refers to", "to: dataset.column"),
        ("bigint", custom("kind: reference, to: others", "mustBe: 0"), "not of the form dataset.column", "orders.order_id"),
        ("bigint", custom("kind: reference, to: othrs.id", "mustBe: 0"), "a dataset 'othrs' that has no contract", "did you mean 'others'?"),
        ("bigint", custom("kind: reference, to: others.idd", "mustBe: 0"), "others has no column 'idd'", "did you mean 'id'?"),
        ("string", custom("kind: reference, to: others.id", "mustBe: 0"), "cannot be compared with string", "same type"),
        ("bigint", custom("kind: reference, to: things.id", "mustBe: 0"), "in a circle: things → things", "remove one"),
        (number, custom("kind: groupSum, of: others.amounts, by: parent_id", "mustBe: 0"), "no column 'amounts'", "did you mean 'amount'?"),
        (number, custom("kind: freshness", "mustBeLessThan: 1"), "freshness of a decimal(12,2) column", "timestamp"),
        ("string", custom("kind: personalData, find: [ssn]", "mustBe: 0"), "'ssn' is not a pattern", "iban"),
        ("string", "quality:\n  - { type: custom, engine: soda, implementation: { kind: mean }, mustBe: 0 }".into(), "engine 'soda'", "engine: tarn"),
        ("string", "quality:\n  - { type: sql, mustBe: 0 }".into(), "lacks 'query'", "SELECT COUNT(*)"),
        ("string", sql("DELETE FROM ${object}"), "cannot be a rule", "one SELECT"),
        ("string", sql("SELECT id FROM ${object}"), "several rows", "one SELECT"),
        ("string", sql("SELECT COUNT(*), SUM(id) FROM ${object}"), "2 columns instead of one number", "one SELECT"),
        ("string", sql("SELECT COUNT(*) FROM ${object} GROUP BY id"), "several rows", "one SELECT"),
        ("string", sql("SELECT * FROM ${object}"), "every column", "one SELECT"),
        ("string", sql("SELECT 'a'"), "is not a number", "one SELECT"),
        ("string", sql("SELECT COUNT(*) FROM ${object}; DROP TABLE things"), "one query at a time", "one SELECT"),
        ("string", sql("SELECT COUNT(*) FROM read_csv('/etc/passwd')"), "cannot be a rule", "one SELECT"),
        ("string", sql("SELECT COUNT(*) FROM quality.quarantine"), "quality.quarantine is not one", "one SELECT"),
        ("string", sql("SELECT COUNT(*) FROM othrs"), "a dataset 'othrs' that has no contract", "did you mean 'others'?"),
        ("string", "quality:\n  - { id: a, metric: nullValues, mustBe: 0 }\n  - { id: a, metric: missingValues, mustBe: 0 }".into(), "another rule has the id 'a'", "of its own"),
        ("string", "customProperties:\n  - { property: missing, value: drop }".into(), "unknown missing 'drop'", "keep, default or reject"),
        ("string", "customProperties:\n  - { property: missing, value: default }".into(), "without a default", "property: default"),
        ("string", "customProperties:\n  - { property: missing, value: reject }\n  - { property: default, value: x }".into(), "never be used", "missing: default"),
        ("string", "customProperties:\n  - { property: missingValues, value: [x] }".into(), "missingValues without missing", "reject"),
        (number, "customProperties:\n  - { property: missing, value: reject }\n  - { property: missingValues, value: [x] }".into(), "missingValues on a decimal(12,2) column", "only a text"),
    ];
    let mut wrong = String::new();
    for (ty, example, message, help) in cases {
        let text = contract(ty, &example, Place::Column, "jsonLines");
        let faults = load_texts(&[("things.odcs.yaml", &text), ("others.odcs.yaml", OTHERS)])
            .err()
            .unwrap_or_default();
        let line = text
            .lines()
            .position(|line| line == "      - name: v")
            .unwrap()
            + 1;
        if !faults.iter().any(|fault| {
            fault.message.contains(message) && fault.help.contains(help) && fault.line > line
        }) {
            wrong.push_str(&format!(
                "{example}: no {message:?} with {help:?} in {faults:?}\n"
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn references_in_a_circle_are_refused_in_both_files() {
    let things = contract(
        "bigint",
        &custom("kind: reference, to: others.id", "mustBe: 0"),
        Place::Column,
        "jsonLines",
    );
    let others = OTHERS.replace(
        "- { name: parent_id, logicalType: integer }",
        "- { name: parent_id, logicalType: integer, quality: [{ type: custom, engine: tarn, implementation: { kind: reference, to: things.id } }] }",
    );
    let faults = load_texts(&[("things", &things), ("others", &others)]).unwrap_err();
    let messages: Vec<(&str, &str)> = faults
        .iter()
        .map(|fault| (fault.file.as_str(), fault.message.as_str()))
        .collect();
    assert_eq!(
        messages,
        [
            (
                "others",
                "the references go in a circle: others → things → others"
            ),
            (
                "things",
                "the references go in a circle: things → others → things"
            ),
        ]
    );
}

#[test]
fn rules_about_columns_are_refused_for_formats_with_fixed_columns() {
    let text = "apiVersion: v3.1.0\nkind: DataContract\nid: t\nversion: 1.0.0\nstatus: active\n\
         description: { purpose: Things. }\ncustomProperties:\n  - { property: sourceFormat, value: accessLog }\n  \
         - { property: keyPattern, value: raw/t/things/** }\nschema:\n  - name: things\n    quality:\n      \
         - { type: custom, engine: tarn, implementation: { kind: columnCount }, mustBe: 3 }\n    properties:\n      \
         - { name: path, logicalType: string }\n";
    let faults = parse_str("x", text).unwrap_err();
    assert!(
        faults
            .iter()
            .any(|fault| fault.line == 13 && fault.message.contains("always the same")),
        "{faults:?}"
    );
}

#[test]
fn anomaly_monitors_are_read_and_wrong_ones_refused() {
    let text = std::fs::read_to_string("../../contracts/orders.odcs.yaml").unwrap();
    let with = |entries: &str| {
        let text = text.replacen("    quality:\n", &format!("    quality:\n{entries}"), 1);
        super::parse_str("orders.odcs.yaml", &text)
    };
    let monitor = |anomaly: &str| {
        with(&format!(
            "      - {{ type: custom, engine: tarn, implementation: {{ anomaly: {anomaly} }} }}\n"
        ))
    };
    let read =
        monitor("{ metric: \"share:channel=web\", method: iqr, minimumHistory: 14 }").unwrap();
    assert_eq!(read.monitors.len(), 1);
    assert_eq!(read.monitors[0].metric.to_string(), "share:channel=web");
    let channel = read
        .columns
        .iter()
        .position(|column| column.name == "channel");
    assert!(read.measures()[channel.unwrap()].frequencies);
    assert!(monitor("{ metric: row_count, segmentBy: country, method: seasonalMad }").is_ok());
    for (anomaly, fault) in [
        ("{ metric: rows }", "unknown metric"),
        ("{ method: mad }", "the metric is missing"),
        ("{ metric: \"mean:chanel\" }", "does not exist"),
        ("{ metric: \"mean:channel\" }", "has no mean"),
        ("{ metric: row_count, segmentBy: land }", "does not exist"),
        ("{ metric: row_count, deviations: -1 }", "must be a number"),
    ] {
        let faults = monitor(anomaly).unwrap_err();
        assert!(faults[0].message.contains(fault), "{anomaly}: {faults:?}");
        assert!(faults[0].line > 0 && !faults[0].help.is_empty());
    }
    let twice = "      - { type: custom, engine: tarn, implementation: { anomaly: { metric: row_count } } }\n";
    assert!(
        with(&twice.repeat(2)).unwrap_err()[0]
            .message
            .contains("twice")
    );
    let odd = "      - { type: custom, engine: soda, implementation: { anomaly: { metric: row_count } } }\n";
    assert!(with(odd).unwrap_err()[0].message.contains("engine tarn"));
    let bounded = "      - { type: custom, engine: tarn, mustBe: 0, implementation: { anomaly: { metric: row_count } } }\n";
    assert!(
        with(bounded).unwrap_err()[0]
            .message
            .contains("no threshold")
    );
}

#[test]
fn the_contracts_of_the_benchmark_have_no_rule_and_thirty() {
    let count = |name: &str| {
        let folder = std::path::Path::new("../../xtask/bench/rules").join(name);
        let contracts = load_dir(&folder).unwrap_or_else(|faults| panic!("{faults:?}"));
        let rules = &contracts.get("web_requests").unwrap().rules;
        // The time is required in both: no access log lacks it.
        rules
            .iter()
            .filter(|rule| rule.kind.name() != "required")
            .count()
    };
    assert_eq!((count("none"), count("thirty")), (0, 30));
}

#[test]
fn protected_values_are_neither_unique_nor_referred_to() {
    let protected = |keys: &str| {
        contract(
            "string",
            &format!("customProperties:\n  - {{ property: protection, value: mask }}\n{keys}"),
            Place::Column,
            "jsonLines",
        )
    };
    for (keys, message) in [
        ("unique: true", "makes different values equal"),
        (
            custom("kind: reference, to: others.id", "mustBe: 0").as_str(),
            "is personal",
        ),
    ] {
        let faults = loaded(&protected(keys)).unwrap_err();
        assert!(faults.contains(message), "{faults}");
    }
    let counted = "quality:\n  - { metric: duplicateValues, mustBe: 0, severity: warn }";
    assert!(loaded(&protected(counted)).is_ok());
}

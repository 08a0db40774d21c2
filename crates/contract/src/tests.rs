//! The contracts of the shop, every kind of mistake, and damage.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod folder;

use std::path::Path;

use proptest::prelude::*;

use super::*;
use tarn_core::schema::{ColumnType, system};

const GOOD: &str = r#"apiVersion: v3.1.0
kind: DataContract
id: test-sales
version: 1.0.0
status: active
description:
  purpose: Sales.
team:
  members:
    - { username: ana, role: data owner }
customProperties:
  - { property: sourceFormat, value: jsonLines }
  - { property: keyPattern, value: "raw/test/sales/**" }
  - { property: deduplicateBy, value: sale_id }
  - { property: deduplicationWindowDays, value: 7 }
  - { property: lateAfterSeconds, value: 3600 }
  - { property: acme.costCentre, value: 12 }
schema:
  - name: sales
    quality:
      - { metric: rowCount, mustBeBetween: [1, 1000], severity: warning }
      - { metric: duplicateValues, mustBe: 0 }
      - { type: text, description: Sales of the day are complete by six. }
    properties:
      - name: sale_id
        logicalType: string
        required: true
        primaryKey: true
        unique: true
        logicalTypeOptions: { pattern: "^S", minLength: 2, maxLength: 9 }
      - name: sold_at
        logicalType: timestamp
        physicalType: timestamptz
        required: true
        partitioned: true
        customProperties:
          - { property: sourceName, value: ts }
          - { property: encoding, value: epochMillis }
      - name: amount
        description: Money.
        logicalType: number
        physicalType: decimal(12,2)
        classification: internal
        logicalTypeOptions: { minimum: 0, exclusiveMaximum: 1000.5 }
        customProperties:
          - { property: encoding, value: "minorUnits:2" }
          - { property: default, value: 0.00 }
      - name: kind
        logicalType: string
        quality:
          - { metric: invalidValues, arguments: { validValues: [a, b, NO] }, mustBe: 0, severity: warning }
          - { metric: missingValues, arguments: { missingValues: [null, "", n/a] }, mustBeLessThan: 5, unit: percent }
      - name: late
        logicalType: integer
        customProperties:
          - { property: sourceName, value: $latenessSeconds }
"#;

/// The good contract with its first `from` exchanged for `to`.
fn changed(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "the good contract lacks {from:?}");
    GOOD.replacen(from, to, 1)
}

/// The line, from 1, that holds the part first; last, where the part begins with `…`.
fn line_of(text: &str, part: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let index = match part.strip_prefix('…') {
        Some(part) => lines.iter().rposition(|line| line.contains(part)),
        None => lines.iter().position(|line| line.contains(part)),
    };
    index.unwrap_or_else(|| panic!("no line holds {part:?}")) + 1
}

fn shown(diagnostics: &[Diagnostic]) -> String {
    diagnostics
        .iter()
        .map(|diagnostic| format!("{diagnostic}\n"))
        .collect()
}

#[test]
fn a_protected_column_is_kept_in_a_type_that_holds_it() {
    let text = changed(
        "logicalType: integer\n        customProperties:\n          - { property: sourceName, value: $latenessSeconds }",
        "logicalType: integer\n        tags: [\"pii:direct\"]\n        customProperties:\n          - { property: protection, value: pseudonymise }",
    );
    let contract = parse_str("contracts/sales.odcs.yaml", &text).unwrap();
    assert!(contract.is_personal() && contract.pseudonymises());
    let spec = contract.table_spec();
    let field = |name: &str| spec.fields.iter().find(|field| field.name == name).cloned();
    assert_eq!(contract.column("late").unwrap().ty, ColumnType::Long);
    assert_eq!(field("late").unwrap().ty, ColumnType::String);
    assert_eq!(field(system::KEY_VERSION).unwrap().ty, ColumnType::Int);
    let plain = parse_str("contracts/sales.odcs.yaml", GOOD).unwrap();
    assert!(!plain.is_personal());
    assert!(
        plain
            .table_spec()
            .fields
            .iter()
            .all(|field| field.name != system::KEY_VERSION)
    );
}

/// The good contract, of whose rows the newest by these columns stays.
fn newest_by(columns: &str) -> String {
    changed(
        "deduplicateBy, value: sale_id }\n  - { property: deduplicationWindowDays, value: 7 }",
        &format!("newestBy, value: {columns} }}"),
    )
}

#[test]
fn the_newest_of_rows_with_equal_values_stays() {
    let contract = parse_str("sales.odcs.yaml", &newest_by("[kind, sale_id]")).unwrap();
    assert_eq!(contract.newest_by, [3, 0]);
    assert_eq!(contract.deduplication, None);
    assert!(!contract.is_log());
    let rule = "duplicateValues, arguments: { properties: [sale_id, kind] }, mustBe";
    let unique = newest_by("[kind, sale_id]")
        .replace("        unique: true\n", "")
        .replace("duplicateValues, mustBe", rule);
    let contract = parse_str("sales.odcs.yaml", &unique).unwrap();
    assert!(contract.rules.iter().any(|rule| matches!(
        &rule.check,
        Check::Rows(RowCheck::Unique { columns, key: true }) if columns == &[0, 3]
    )));
    let plain = parse_str("sales.odcs.yaml", GOOD).unwrap();
    assert_eq!(plain.newest_by, [0; 0]);
    let page = pages(&Contracts::new([contract]), &[])
        .into_iter()
        .map(|(_, text)| text)
        .collect::<String>();
    assert!(
        page.contains("only the row of the object that was put last stays: same `kind`, `sale_id`"),
        "{page}"
    );
}

#[test]
fn newest_by_is_refused_for_protected_columns_and_without_days() {
    for (from, to, message, help) in [
        (
            "      - name: kind\n        logicalType: string\n",
            "      - name: kind\n        logicalType: string\n        customProperties: [{ property: protection, value: mask }]\n",
            "newestBy names 'kind', whose protection mask would make different rows equal",
            "without protection",
        ),
        (
            "      - name: kind\n        logicalType: string\n",
            "      - name: kind\n        logicalType: string\n        customProperties: [{ property: protection, value: pseudonymise }]\n",
            "newestBy names 'kind', whose protection pseudonymise gives equal values different pseudonyms",
            "without protection",
        ),
        (
            "        partitioned: true\n",
            "",
            "newestBy needs the time of the event",
            "partitioned: true",
        ),
        (
            "property: sourceName, value: ts",
            "property: partitionUnit, value: month",
            "newestBy needs partitions by day",
            "partitionUnit to day",
        ),
    ] {
        let text = newest_by("[sale_id, kind]").replacen(from, to, 1);
        let faults = parse_str("sales.odcs.yaml", &text).unwrap_err();
        assert!(
            faults
                .iter()
                .any(|fault| fault.message.contains(message) && fault.help.contains(help)),
            "{message}: {}",
            shown(&faults)
        );
    }
}

#[test]
fn a_contract_without_mistakes_says_what_was_written() {
    let contract = parse_str("sales.odcs.yaml", GOOD)
        .map_err(|faults| shown(&faults))
        .unwrap();
    assert_eq!(
        (contract.file.as_str(), contract.dataset.as_str()),
        ("sales.odcs.yaml", "sales")
    );
    assert_eq!(
        (contract.version.as_str(), contract.description.as_str()),
        ("1.0.0", "Sales.")
    );
    assert_eq!(contract.owner.as_deref(), Some("ana"));
    assert_eq!(contract.format, Format::JsonLines);
    assert_eq!(contract.primary_key, [0]);
    assert_eq!(contract.late_after_seconds, Some(3600));
    assert_eq!(
        contract.deduplication,
        Some(Deduplication {
            column: "sale_id".to_owned(),
            window_days: 7
        })
    );
    let partitioning = contract.partitioning.as_ref().unwrap();
    assert_eq!(
        (partitioning.column.as_str(), partitioning.unit),
        ("sold_at", tarn_core::schema::PartitionUnit::Day)
    );
    let types: Vec<String> = contract
        .columns
        .iter()
        .map(|column| column.ty.to_string())
        .collect();
    assert_eq!(
        types,
        ["string", "timestamptz", "decimal(12,2)", "string", "bigint"]
    );
    assert_eq!(contract.column("sold_at").unwrap().source_name, "ts");
    assert_eq!(
        contract.column("sold_at").unwrap().encoding,
        Encoding::EpochMillis
    );
    let amount = contract.column("amount").unwrap();
    assert_eq!(
        (amount.encoding, amount.default.as_deref()),
        (Encoding::MinorUnits(2), Some("0.00"))
    );
    assert_eq!(amount.missing.action, MissingAction::Default);
}

#[test]
fn the_rules_of_a_contract_say_what_was_written() {
    let contract = parse_str("sales.odcs.yaml", GOOD)
        .map_err(|faults| shown(&faults))
        .unwrap();
    let rule = |id: &str| {
        let found = contract.rules.iter().find(|rule| rule.id == id);
        found.unwrap_or_else(|| panic!("no rule {id}"))
    };
    assert!(matches!(
        rule("amount.minimum").check,
        Check::Rows(RowCheck::Value(ValueCheck::Minimum(Bound::Integer(0))))
    ));
    let less = rule("amount.exclusiveMaximum");
    assert!(matches!(
        less.check,
        Check::Rows(RowCheck::Value(ValueCheck::ExclusiveMaximum(
            Bound::Integer(100_050)
        )))
    ));
    assert_eq!(less.text, "amount is less than 1000.5");
    assert!(less.rejects_rows() && less.owner.as_deref() == Some("ana"));
    let kinds = rule("kind.validValues");
    assert!(
        matches!(&kinds.check, Check::Rows(RowCheck::Value(ValueCheck::OneOf(values))) if values == &["a", "b", "NO"])
    );
    assert_eq!(kinds.severity, Severity::Warn);
    let missing = rule("kind.missingValues");
    assert!(
        matches!(&missing.check, Check::Rows(RowCheck::Present(values)) if values.texts == ["", "n/a"])
    );
    assert_eq!(
        missing.threshold,
        Threshold {
            comparison: Comparison::Less(5.0),
            unit: Unit::Percent
        }
    );
    assert_eq!(missing.expected(), "less than 5 per cent");
    assert_eq!(
        rule("rowCount").threshold.comparison,
        Comparison::Between(1.0, 1000.0)
    );
    // The key is said to be unique twice, and checked once.
    let keys: Vec<&Rule> = contract
        .rules
        .iter()
        .filter(|rule| rule.kind.name() == "primaryKey")
        .collect();
    assert_eq!(keys.len(), 1);
    assert_eq!(keys[0].id, "duplicate");
}

#[test]
fn every_mistake_is_reported_with_its_line_and_how_to_fix_it() {
    // (what is exchanged, for what, the text on the line to be named, message, help)
    #[rustfmt::skip]
    let cases: &[(&str, &str, &str, &str, &str)] = &[
        // YAML
        ("kind: DataContract", "kind: 'DataContract", "kind: 'Data", "this is not YAML", "quotes and brackets"),
        ("\nid: test", "\n\tid: test", "\tid: test", "this is not YAML", "spaces, no tabs"),
        ("status: active", "status: active\nstatus: draft", "status: draft", "'status' is given twice", "remove one"),
        ("status: active", "status: *nobody", "status: *nobody", "this is not YAML", "check"),
        ("team:\n", "...\n---\nteam:\n", "---", "more than one YAML document", "one contract per file"),
        // Header
        ("v3.1.0", "v2.2.2", "v2.2.2", "unknown apiVersion 'v2.2.2'", "apiVersion: v3.1.0"),
        ("kind: DataContract", "kind: Table", "kind: Table", "kind 'Table'", "kind: DataContract"),
        ("version: 1.0.0", "version: 1.0", "version: 1.0", "'version' must be a text", "quotes"),
        ("version: 1.0.0\n", "", "apiVersion", "lacks 'version'", "add version: 1.0.0"),
        ("id: test-sales\n", "", "apiVersion", "lacks 'id'", "add an id"),
        ("status: active", "status:", "status:", "lacks 'status'", "add status"),
        ("  purpose: Sales.", "  usage: all", "usage: all", "does not say what the table holds", "description.purpose"),
        ("status: active", "stauts: active", "stauts", "unknown key 'stauts'", "did you mean 'status'?"),
        // Source
        ("jsonLines", "jsonlines", "jsonlines", "unknown sourceFormat 'jsonlines'", "did you mean 'jsonLines'?"),
        ("sourceFormat, value: jsonLines", "sourceFormat, value: 7", "sourceFormat", "must be a text", "quotes"),
        ("property: keyPattern", "property: keyPatern", "keyPatern", "unknown customProperty 'keyPatern'", "did you mean 'keyPattern'?"),
        ("  - { property: keyPattern, value: \"raw/test/sales/**\" }\n", "", "customProperties:", "lacks the customProperty 'keyPattern'", "raw/<source>/<dataset>/**"),
        ("raw/test/sales/**", "raw/test/**", "keyPattern", "must begin with raw/<source>/<dataset>/", "raw/shop/orders/**"),
        ("acme.costCentre", "costCentre", "costCentre", "unknown customProperty 'costCentre'", "a name with a dot"),
        ("acme.costCentre", "encoding", "property: encoding", "unknown customProperty 'encoding'", "of a column"),
        ("acme.costCentre, value: 12", "delimiter, value: \";\"", "delimiter", "only CSV has a delimiter and a charset", "sourceFormat csv"),
        ("acme.costCentre, value: 12", "delimiter, value: \";;\"", "delimiter", "the delimiter ';;' is not one character", "or tab"),
        ("acme.costCentre, value: 12", "charset, value: latin", "charset", "unknown charset 'latin'", "windows-1252"),
        ("acme.costCentre, value: 12", "deletedRows, value: soft", "deletedRows", "only a database shows", "sourceFormat sqlite"),
        ("acme.costCentre, value: 12", "deletedRows, value: hard", "deletedRows", "unknown deletedRows 'hard'", "keep, soft or remove"),
        // Schema
        ("  - name: sales\n", "  - name: Sales\n", "name: Sales", "dataset name 'Sales' is not lower_snake_case", "write 'sales'"),
        ("  - name: sales\n", "  - physicalName: sales\n", "physicalName", "lacks 'name'", "name the dataset"),
        ("schema:\n", "schema:\n  - name: other\n", "- name: sales", "more than one schema object", "one contract file per dataset"),
        ("      - name: late\n", "      - name: Late Seconds\n", "Late Seconds", "is not lower_snake_case", "write 'late_seconds'"),
        ("      - name: late\n", "      - name: _run_id\n", "_run_id", "begins with '_'", "begins with a letter"),
        ("      - name: late\n", "      - name: kind\n", "…name: kind", "column 'kind' is given twice", "rename or remove"),
        ("      - name: kind\n        logicalType: string", "      - name: kind\n        logicalType: strng", "strng", "unknown logicalType 'strng'", "use one of string, integer, number"),
        ("logicalType: integer", "logicalType: object", "object", "unknown logicalType 'object'", "use one of string"),
        ("      - name: kind\n        logicalType: string\n", "      - name: kind\n", "- name: kind", "column 'kind' lacks 'logicalType'", "use one of string"),
        ("decimal(12,2)", "decimal", "physicalType: decimal", "lacks its precision and scale", "decimal(12,2)"),
        ("decimal(12,2)", "decimal(38,2)", "decimal(38,2)", "out of range", "1 to 18 digits"),
        ("decimal(12,2)", "decimal(2,3)", "decimal(2,3)", "out of range", "after the decimal point"),
        ("        physicalType: decimal(12,2)\n", "", "logicalType: number", "needs a physicalType", "decimal(12,2) for money"),
        ("decimal(12,2)", "varchar(20)", "varchar", "unknown physicalType 'varchar(20)'", "did you mean string?"),
        ("decimal(12,2)", "bigint", "logicalType: number", "'number' does not go with physicalType 'bigint'", "logicalType: integer"),
        ("required: true\n        primaryKey", "requird: true\n        primaryKey", "requird", "unknown key 'requird'", "did you mean 'required'?"),
        ("required: true\n        primaryKey", "required: yes\n        primaryKey", "required: yes", "must be true or false", "true or false"),
        ("classification: internal", "classification: secret", "secret", "unknown classification 'secret'", "public, internal"),
        // Personal data
        ("classification: internal", "tags: [\"pii:direct\"]", "pii:direct", "tagged pii:direct and has no protection", "value: pseudonymise"),
        ("encoding, value: \"minorUnits:2\"", "protection, value: hash", "value: hash", "unknown protection 'hash'", "pseudonymise, mask, generalise, drop, redact"),
        ("encoding, value: \"minorUnits:2\"", "protection, value: mask", "value: mask", "protection mask does not apply to a decimal(12,2) column", "strings"),
        ("sourceName, value: ts", "protection, value: generalise", "value: generalise", "generalise does not apply to a timestamptz column", "dates"),
        ("sourceName, value: ts", "protection, value: drop", "value: drop", "a required column cannot be dropped", "required: true"),
        ("sourceName, value: ts", "protection, value: drop", "value: drop", "a partition column cannot be protected", "another column"),
        ("primaryKey: true", "primaryKey: true\n        customProperties: [{ property: protection, value: mask }]", "value: mask", "the same primary key", "pseudonymise"),
        ("primaryKey: true", "primaryKey: true\n        customProperties: [{ property: protection, value: mask }]", "deduplicateBy", "make different events equal", "pseudonymise"),
        // Keys, partitions
        ("required: true\n        primaryKey", "primaryKey", "primaryKey: true", "a primary key column must be required", "required: true"),
        ("primaryKey: true", "primaryKey: true\n        primaryKeyPosition: 0", "primaryKeyPosition: 0", "must be a number from 1", "number the key"),
        ("physicalType: timestamptz\n        required: true\n", "physicalType: timestamptz\n        required: true\n        primaryKey: true\n", "…primaryKey: true", "two columns have position 1", "primaryKeyPosition"),
        ("classification: internal", "partitioned: true", "…partitioned: true", "a decimal(12,2) column cannot be a partition column", "date or timestamp"),
        ("property: sourceName, value: ts", "property: partitionUnit, value: month", "partitioned: true", "deduplicateBy needs partitions by day", "partitionUnit to day"),
        ("property: sourceName, value: ts", "property: partitionUnit, value: hour", "hour", "unknown partitionUnit 'hour'", "day or month"),
        ("        partitioned: true\n", "", "deduplicateBy", "deduplicateBy needs the time of the event", "partitioned: true"),
        // Encodings, defaults
        ("minorUnits:2", "minorUnits", "minorUnits", "unknown encoding 'minorUnits'", "did you mean 'minorUnits:2'?"),
        ("minorUnits:2", "minorUnits:cents", "minorUnits:cents", "does not say which unit", "minorUnits:2 for cents"),
        ("minorUnits:2", "minorUnits:6", "minorUnits:6", "more digits after the decimal point", "scale of at least 6"),
        ("epochMillis", "real", "value: real", "encoding 'real' does not go with the column's type timestamptz", "decimal(p,s)"),
        ("epochMillis", "minorUnits:2", "value: minorUnits:2", "does not go with the column's type timestamptz", "decimal(p,s)"),
        ("minorUnits:2", "dayMonthYear", "dayMonthYear", "does not go with the column's type decimal(12,2)", "date or timestamptz"),
        ("epochMillis", "decimalComma", "value: decimalComma", "does not go with the column's type timestamptz", "double, int or bigint"),
        ("epochMillis", "booleanText", "value: booleanText", "does not go with the column's type timestamptz", "physicalType boolean"),
        ("epochMillis", "epochMicro", "value: epochMicro", "unknown encoding 'epochMicro'", "did you mean 'epochMicros'?"),
        ("value: 0.00", "value: 0.005", "0.005", "not a value of the column's type decimal(12,2)", "at most 2 of them after the decimal point"),
        ("$latenessSeconds", "$lateness", "$lateness", "supplies no value '$lateness'", "$latenessSeconds"),
        ("logicalType: integer", "logicalType: string", "$latenessSeconds", "is of type bigint", "physicalType: bigint"),
        // Deduplication
        ("deduplicateBy, value: sale_id", "deduplicateBy, value: sales_id", "sales_id", "'sales_id' that does not exist", "did you mean 'sale_id'?"),
        ("deduplicateBy, value: sale_id", "deduplicateBy, value: kind", "value: kind", "'kind', which is not required", "required: true"),
        ("  - { property: deduplicationWindowDays, value: 7 }\n", "", "deduplicateBy", "without a window", "deduplicationWindowDays"),
        ("  - { property: deduplicateBy, value: sale_id }\n", "", "deduplicationWindowDays", "without deduplicateBy", "deduplicateBy"),
        ("value: 7 }", "value: 0 }", "deduplicationWindowDays", "cannot be '0'", "from 1 to 366"),
        ("value: 3600", "value: soon", "soon", "cannot be 'soon'", "whole number"),
        // The newest of equal rows
        ("deduplicateBy, value: sale_id }\n  - { property: deduplicationWindowDays, value: 7 }", "newestBy, value: [sales_id] }", "sales_id", "newestBy names a column 'sales_id' that does not exist", "did you mean 'sale_id'?"),
        ("deduplicateBy, value: sale_id }\n  - { property: deduplicationWindowDays, value: 7 }", "newestBy, value: [kind, late] }", "[kind, late]", "newestBy names no required column", "at least one"),
        ("deduplicateBy, value: sale_id }\n  - { property: deduplicationWindowDays, value: 7 }", "newestBy, value: [] }", "newestBy", "newestBy names no column", "list the columns"),
        ("deduplicateBy, value: sale_id }\n  - { property: deduplicationWindowDays, value: 7 }", "newestBy, value: sale_id }", "newestBy", "newestBy must be a list", "[a, b, c]"),
        ("deduplicateBy, value: sale_id }\n  - { property: deduplicationWindowDays, value: 7 }", "newestBy, value: [sale_id, kind, sale_id] }", "newestBy", "names 'sale_id' twice", "remove one"),
        ("deduplicateBy, value: sale_id }\n  - { property: deduplicationWindowDays, value: 7 }", "newestBy, value: [sale_id, sold_at] }", "newestBy", "names a timestamptz column", "string and integer"),
        ("deduplicateBy, value: sale_id }", "deduplicateBy, value: sale_id }\n  - { property: newestBy, value: [sale_id] }", "newestBy", "newestBy and deduplicateBy exclude each other", "remove one of the two"),
        ("value: jsonLines }", "value: sqlite }\n  - { property: newestBy, value: [sale_id] }", "newestBy", "the primary key identifies the rows", "remove newestBy"),
        ("value: jsonLines }", "value: accessLog }\n  - { property: newestBy, value: [sale_id] }", "newestBy", "the lines of a log are taken once each", "remove newestBy"),
        // Rules
        ("\"^S\"", "\"^S(\"", "^S(", "is not a regular expression", "fix it"),
        ("minLength: 2", "minLength: 20", "minLength: 20", "maxLength is less than minLength", "exchange"),
        ("minimum: 0", "minimum: 0.001", "0.001", "minimum '0.001' does not go", "at most 2 of them"),
        ("minimum: 0", "minimum: 1, maximum: 0", "maximum: 0", "maximum is less than minimum", "exchange"),
        ("minimum: 0", "pattern: x", "pattern: x", "a pattern on a decimal(12,2) column", "only text"),
        ("minimum: 0", "multipleOf: 0", "multipleOf", "multipleOf cannot be '0'", "greater than 0"),
        ("minimum: 0", "multiplOf: 5", "multiplOf", "does not check the logicalTypeOption 'multiplOf'", "did you mean 'multipleOf'?"),
        ("pattern: \"^S\"", "format: guid", "format: guid", "unknown format 'guid'", "did you mean 'uuid'?"),
        ("\"^S\"", "\"(a{1000}){1000}\"", "a{1000}", "is too large", "repeat less"),
        ("mustBe: 0, severity: warning", "mustBe: 0, severity: blocker", "blocker", "unknown severity 'blocker'", "reject (it goes to quarantine)"),
        ("mustBe: 0, severity: warning", "mustBeLessThan: -3", "mustBeLessThan: -3", "threshold -3 of validValues is out of range", "from 0 on"),
        ("validValues: [a, b, NO]", "validValue: [a]", "validValue: [a]", "no argument 'validValue'", "did you mean 'validValues'?"),
        ("validValues: [a, b, NO]", "validValues: []", "validValues: []", "names no value", "at least one value"),
        ("metric: missingValues", "metric: misingValues", "misingValues", "unknown metric 'misingValues'", "did you mean 'missingValues'?"),
        ("metric: missingValues, arguments", "type: soda, arguments", "type: soda", "unknown type of rule 'soda'", "sql, custom"),
        ("metric: missingValues", "metric: rowCount", "metric: rowCount, arguments", "rowCount is a metric of the table", "schema object"),
        ("metric: rowCount", "metric: nullValues", "metric: nullValues", "nullValues is a metric of a column", "the column"),
        ("metric: missingValues", "metric: median", "metric: median", "unknown metric 'median'", "implementation: { kind: median }"),
        ("mustBeLessThan: 5", "mustBeLessThan: few", "few", "needs a number", "mustBeLessThan: 0"),
        ("mustBeLessThan: 5, ", "", "missingValues", "nothing to compare with", "mustBe"),
        ("[1, 1000]", "[1000, 1]", "[1000, 1]", "the smaller first", "[0, 10]"),
        ("duplicateValues, mustBe", "duplicateValues, arguments: { properties: [kinds] }, mustBe", "properties: [kinds]", "a column 'kinds' that does not exist", "did you mean 'kind'?"),
        ("unit: percent", "unit: promille", "promille", "unknown unit 'promille'", "rows or percent"),
        ("mustBe: 0 }\n      - { type", "mustBe: 0, dimension: speed }\n      - { type", "speed", "unknown dimension 'speed'", "uniqueness"),
        // Formats
        ("value: jsonLines", "value: sqlite", "deduplicateBy", "the primary key identifies the rows", "remove deduplicateBy"),
        ("value: jsonLines", "value: sqlite", "$latenessSeconds", "only known for events", "jsonLines"),
        ("value: jsonLines", "value: accessLog", "name: sale_id", "format accessLog has no column 'sale_id'", "event_time"),
        ("value: jsonLines", "value: socialPosts", "value: ts", "'sourceName' has no effect", "remove it"),
        ("value: jsonLines", "value: socialPosts", "lateAfterSeconds", "only for events", "remove it"),
    ];
    let mut wrong = String::new();
    for (from, to, place, message, help) in cases {
        let text = changed(from, to);
        let faults = parse_str("contracts/sales.odcs.yaml", &text)
            .err()
            .unwrap_or_default();
        let expected = |fault: &Diagnostic| {
            fault.message.contains(message)
                && fault.help.contains(help)
                && fault.file == "contracts/sales.odcs.yaml"
                && fault.column > 0
                && fault.line > 0
                && fault.line == line_of(&text, place)
        };
        if !faults.iter().any(expected) {
            wrong.push_str(&format!(
                "{from:?} as {to:?}: no {message:?} with {help:?} in\n{}\n",
                shown(&faults)
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn a_diagnostic_reads_as_file_line_mistake_and_help() {
    let text = changed(
        "kind\n        logicalType: string",
        "kind\n        logicalType: strng",
    );
    let faults = parse_str("contracts/sales.odcs.yaml", &text).unwrap_err();
    let line = line_of(&text, "strng");
    assert_eq!(
        shown(&faults),
        format!(
            "contracts/sales.odcs.yaml:{line}: unknown logicalType 'strng'\n  help: did you mean 'string'? use one of string, integer, number, boolean, date, timestamp, array\n"
        )
    );
}

#[test]
fn all_mistakes_of_a_file_are_reported_at_once_in_their_order() {
    let text = changed("v3.1.0", "v1")
        .replace("minorUnits:2", "cents")
        .replace("jsonLines", "json")
        .replace("^S", "^(");
    let faults = parse_str("x", &text).unwrap_err();
    let messages: Vec<&str> = faults.iter().map(|fault| fault.message.as_str()).collect();
    assert_eq!(messages.len(), 4, "{messages:?}");
    assert!(faults.is_sorted_by_key(|fault| fault.line));
}

#[test]
fn an_empty_file_and_an_alias_inside_itself_are_faults_not_panics() {
    for (text, message) in [
        ("", "empty"),
        ("# nothing\n", "empty"),
        ("- a\n", "must be a mapping"),
        ("a: &x [*x]\n", "alias is inside"),
        ("[a]: b\n", "a key must be a name"),
    ] {
        let faults = parse_str("x", text).unwrap_err();
        assert!(
            shown(&faults).contains(message),
            "{text:?}: {}",
            shown(&faults)
        );
    }
    let deep = "[".repeat(10_000);
    assert!(parse_str("x", &deep).is_err());
}

#[test]
fn an_alias_stands_for_the_value_of_its_anchor() {
    let text = changed(
        "logicalTypeOptions: { pattern: \"^S\", minLength: 2, maxLength: 9 }",
        "logicalTypeOptions: &o { minLength: 2 }",
    )
    .replace(
        "- name: kind\n        logicalType: string\n",
        "- name: kind\n        logicalType: string\n        logicalTypeOptions: *o\n",
    );
    let contract = parse_str("x", &text)
        .map_err(|faults| shown(&faults))
        .unwrap();
    assert!(contract.rules.iter().any(|rule| rule.id == "kind.minLength"
        && matches!(
            rule.check,
            Check::Rows(RowCheck::Value(ValueCheck::MinLength(2)))
        )));
}

proptest! {
    #[test]
    fn any_text_is_a_contract_or_has_faults(text in "(\\PC|[\\n:\\-{}\\[\\] &*#'\"]){0,60}") {
        if let Err(faults) = parse_str("x", &text) {
            prop_assert!(!faults.is_empty());
        }
    }

    #[test]
    fn any_damage_to_a_contract_is_survived(at in 0..GOOD.len(), length in 0_usize..40, junk in "\\PC{0,5}") {
        let end = (at + length).min(GOOD.len());
        let damaged = format!("{}{junk}{}", &GOOD[..at], &GOOD[end..]);
        if let Err(faults) = parse_str("x", &damaged) {
            prop_assert!(!faults.is_empty());
            prop_assert!(faults.iter().all(|fault| fault.line > 0 && fault.line <= damaged.lines().count() + 1));
        }
    }
}

#[test]
fn service_levels_are_read_and_wrong_ones_refused() {
    use crate::service_level::ServiceLevel;
    let own = std::fs::read_to_string("../../contracts/orders.odcs.yaml").unwrap();
    let (head, rest) = own.split_once("slaProperties:\n").unwrap();
    let text = format!("{head}{}", &rest[rest.find("customProperties:").unwrap()..]);
    let with = |more: &str| {
        let text = text.replace(
            "customProperties:\n  - { property: sourceFormat",
            &format!("{more}customProperties:\n  - {{ property: rowsPerDay, value: [10, 900] }}\n  - {{ property: sourceFormat"),
        );
        parse_str("orders.odcs.yaml", &text)
    };
    let sla = |entry: &str| with(&format!("slaProperties:\n  - {entry}\n"));
    let read = sla("{ property: freshness, value: 1.5, unit: h }").unwrap();
    assert_eq!(
        read.service_levels,
        [
            ServiceLevel::Freshness { seconds: 5_400.0 },
            ServiceLevel::RowsPerDay {
                low: Some(10),
                high: Some(900)
            }
        ]
    );
    assert_eq!(
        sla("{ property: retention, value: 3, unit: y }")
            .unwrap()
            .service_levels
            .len(),
        1
    );
    for (entry, fault) in [
        (
            "{ property: freshnes, value: 1, unit: h }",
            "unknown service level",
        ),
        ("{ property: latency, value: 1 }", "lacks 'unit'"),
        ("{ property: latency, unit: h }", "no value"),
        ("{ property: latency, value: 0, unit: h }", "above 0"),
        ("{ property: latency, value: 1, unit: eon }", "unknown unit"),
        (
            "{ property: latency, value: 1, unit: h, urgent: yes }",
            "unknown key",
        ),
        (
            "{ property: latency, value: 1, unit: h }\n  - { property: latency, value: 2, unit: h }",
            "twice",
        ),
    ] {
        let faults = sla(entry).unwrap_err();
        assert!(faults[0].message.contains(fault), "{entry}: {faults:?}");
        assert!(!faults[0].help.is_empty());
    }
}

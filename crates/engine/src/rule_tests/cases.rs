//! Cases of each kind of rule.

use super::*;

/// What a case expects: whether the rule holds, its value, and how many rows it rejects.
type Expected = (bool, Option<f64>, u64);

/// Rows of the dataset under test and of another one, as JSON lines.
type Datasets<'a> = (&'a str, &'a str);

fn check(kind: &str, column: &str, keys: &str, (rows, others): Datasets<'_>, expected: Expected) {
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
        check(kind, column, &keys, (&lines(of, values), ""), expected);
        seen.insert(kind);
    }
    for (kind, column, keys, rows, others, expected) in cases_of_several_columns() {
        check(kind, column, &keys, (rows, others), expected);
        seen.insert(kind);
    }
    // The test below has its case.
    seen.insert("primaryKey");
    let missing: Vec<&str> = KINDS
        .iter()
        .map(|kind| kind.name())
        .filter(|kind| !seen.contains(kind))
        .collect();
    assert_eq!(missing, [""; 0], "kinds without a case");
}

//! The list of kinds.

use super::{Kind, Place, Scope, Spelling};
use crate::threshold::Unit;

const ROWS: &[Unit] = &[Unit::Rows, Unit::Percent];
const NUMBER: &[Unit] = &[Unit::Number];
const TIME: &[Unit] = &[Unit::Hours, Unit::Seconds, Unit::Minutes, Unit::Days];
const COUNT: (f64, f64) = (0.0, f64::INFINITY);
const ANY: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);

const fn rows(
    name: &'static str,
    spelling: Spelling,
    place: Place,
    dimension: &'static str,
    measures: &'static str,
    arguments: &'static [(&'static str, &'static str)],
    example: &'static str,
) -> Kind {
    Kind {
        name,
        spelling,
        place,
        scope: Scope::Row,
        dimension,
        measures,
        arguments,
        units: ROWS,
        range: COUNT,
        example,
    }
}

const fn option(name: &'static str, measures: &'static str, example: &'static str) -> Kind {
    rows(
        name,
        Spelling::Option,
        Place::Column,
        "conformity",
        measures,
        &[],
        example,
    )
}

const fn number(
    name: &'static str,
    dimension: &'static str,
    measures: &'static str,
    arguments: &'static [(&'static str, &'static str)],
    range: (f64, f64),
    example: &'static str,
) -> Kind {
    Kind {
        name,
        spelling: Spelling::Custom,
        place: Place::Column,
        scope: Scope::Object,
        dimension,
        measures,
        arguments,
        units: NUMBER,
        range,
        example,
    }
}

const fn object(
    name: &'static str,
    dimension: &'static str,
    measures: &'static str,
    arguments: &'static [(&'static str, &'static str)],
    units: &'static [Unit],
    range: (f64, f64),
    example: &'static str,
) -> Kind {
    Kind {
        name,
        spelling: Spelling::Custom,
        place: Place::Table,
        scope: Scope::Object,
        dimension,
        measures,
        arguments,
        units,
        range,
        example,
    }
}

/// Every kind, in the order of the reference page.
pub const KINDS: &[Kind] = &[
    rows(
        "required",
        Spelling::Key,
        Place::Column,
        "completeness",
        "rows without a value",
        &[],
        "required: true",
    ),
    rows(
        "missing",
        Spelling::Key,
        Place::Column,
        "completeness",
        "rows whose value is missing, as the customProperty `missing: reject` and `missingValues` say",
        &[],
        "customProperties:\n  - { property: missing, value: reject }\n  - { property: missingValues, value: [\"\", n/a] }",
    ),
    rows(
        "nullValues",
        Spelling::Metric,
        Place::Column,
        "completeness",
        "rows without a value",
        &[],
        "quality:\n  - { metric: nullValues, mustBeLessOrEqualTo: 5, unit: percent, severity: warn }",
    ),
    rows(
        "missingValues",
        Spelling::Metric,
        Place::Column,
        "completeness",
        "rows without a value or with one of these texts",
        &[(
            "missingValues",
            "texts that stand for no value; without the list, those of [missing values](../concepts/quality-rules.md#missing-values)",
        )],
        "quality:\n  - metric: missingValues\n    arguments: { missingValues: [null, \"\", n/a] }\n    mustBeLessThan: 5\n    unit: percent\n    severity: warn",
    ),
    rows(
        "blankValues",
        Spelling::Custom,
        Place::Column,
        "completeness",
        "rows whose text is empty or white space alone",
        &[],
        "quality:\n  - { type: custom, engine: tarn, implementation: { kind: blankValues }, mustBe: 0 }",
    ),
    number(
        "completeness",
        "completeness",
        "per cent of the rows that have a value: no null, no blank, no sentinel",
        &[(
            "missingValues",
            "texts that stand for no value instead of the usual list",
        )],
        (0.0, 100.0),
        "quality:\n  - type: custom\n    engine: tarn\n    implementation: { kind: completeness }\n    mustBeGreaterOrEqualTo: 95\n    severity: warn",
    ),
    rows(
        "validValues",
        Spelling::Metric,
        Place::Column,
        "conformity",
        "rows whose value is none of these",
        &[(
            "validValues",
            "the values that are allowed; the metric is `invalidValues`",
        )],
        "quality:\n  - { metric: invalidValues, arguments: { validValues: [a, b] }, mustBe: 0 }",
    ),
    rows(
        "forbiddenValues",
        Spelling::Custom,
        Place::Column,
        "conformity",
        "rows whose value is one of these",
        &[("values", "the values that are not allowed")],
        "quality:\n  - { type: custom, engine: tarn, implementation: { kind: forbiddenValues, values: [test] }, mustBe: 0 }",
    ),
    rows(
        "pattern",
        Spelling::Option,
        Place::Column,
        "conformity",
        "rows whose text does not match the regular expression; also the argument `pattern` of `invalidValues`",
        &[],
        "logicalTypeOptions: { pattern: \"^[A-Z]{2}$\" }",
    ),
    option(
        "format",
        "rows whose text has not the form: uuid, email, uri, ipv4 or ipv6",
        "logicalTypeOptions: { format: uuid }",
    ),
    option(
        "minLength",
        "rows whose text has fewer characters",
        "logicalTypeOptions: { minLength: 2 }",
    ),
    option(
        "maxLength",
        "rows whose text has more characters",
        "logicalTypeOptions: { maxLength: 20 }",
    ),
    option(
        "minimum",
        "rows whose value is less",
        "logicalTypeOptions: { minimum: 0 }",
    ),
    option(
        "maximum",
        "rows whose value is greater",
        "logicalTypeOptions: { maximum: 100 }",
    ),
    option(
        "exclusiveMinimum",
        "rows whose value is less or equal",
        "logicalTypeOptions: { exclusiveMinimum: 0 }",
    ),
    option(
        "exclusiveMaximum",
        "rows whose value is greater or equal",
        "logicalTypeOptions: { exclusiveMaximum: 100 }",
    ),
    option(
        "multipleOf",
        "rows whose value is no whole multiple",
        "logicalTypeOptions: { multipleOf: 5 }",
    ),
    rows(
        "dataType",
        Spelling::Custom,
        Place::Column,
        "conformity",
        "rows whose value could not be read as the column's type, which are rejected in any case; with `type`, rows whose text is none of that type",
        &[(
            "type",
            "for a text column: integer, decimal, boolean, date, timestamp, uuid, email, uri, ipv4 or ipv6",
        )],
        "quality:\n  - { type: custom, engine: tarn, implementation: { kind: dataType, type: integer }, mustBe: 0, severity: warn }",
    ),
    rows(
        "duplicateValues",
        Spelling::Metric,
        Place::Both,
        "uniqueness",
        "rows whose value, or values in `properties`, an earlier row of the object has; also the key `unique: true`",
        &[(
            "properties",
            "in the schema object: the columns that are unique together",
        )],
        "quality:\n  - { metric: duplicateValues, mustBe: 0 }",
    ),
    rows(
        "primaryKey",
        Spelling::Key,
        Place::Table,
        "uniqueness",
        "rows whose primary key an earlier row of the object has, or whose event was accepted before; as `duplicateValues` of just these columns, they are rejected as `duplicate` whatever the severity",
        &[],
        "quality:\n  - { metric: duplicateValues, arguments: { properties: [id] }, mustBe: 0 }",
    ),
    number(
        "uniquenessRatio",
        "uniqueness",
        "distinct values per value, from 0 to 1",
        &[],
        (0.0, 1.0),
        "quality:\n  - { type: custom, engine: tarn, implementation: { kind: uniquenessRatio }, mustBeGreaterThan: 0.9, severity: warn }",
    ),
    number(
        "distinctCount",
        "uniqueness",
        "distinct values",
        &[],
        COUNT,
        "quality:\n  - { type: custom, engine: tarn, implementation: { kind: distinctCount }, mustBeBetween: [2, 50], severity: warn }",
    ),
    number(
        "min",
        "accuracy",
        "the least value",
        &[],
        ANY,
        "quality:\n  - { type: custom, engine: tarn, implementation: { kind: min }, mustBeGreaterOrEqualTo: 0, severity: warn }",
    ),
    number(
        "max",
        "accuracy",
        "the greatest value",
        &[],
        ANY,
        "quality:\n  - { type: custom, engine: tarn, implementation: { kind: max }, mustBeLessThan: 10000, severity: warn }",
    ),
    number(
        "mean",
        "accuracy",
        "the arithmetic mean",
        &[],
        ANY,
        "quality:\n  - { type: custom, engine: tarn, implementation: { kind: mean }, mustBeBetween: [10, 200], severity: warn }",
    ),
    number(
        "standardDeviation",
        "accuracy",
        "the standard deviation of the sample (divided by n − 1)",
        &[],
        COUNT,
        "quality:\n  - { type: custom, engine: tarn, implementation: { kind: standardDeviation }, mustBeLessThan: 500, severity: warn }",
    ),
    number(
        "sum",
        "accuracy",
        "the sum",
        &[],
        ANY,
        "quality:\n  - { type: custom, engine: tarn, implementation: { kind: sum }, mustBeGreaterThan: 0, severity: warn }",
    ),
    number(
        "quantile",
        "accuracy",
        "a quantile, interpolated linearly",
        &[("p", "which one, from 0 to 1")],
        ANY,
        "quality:\n  - { type: custom, engine: tarn, implementation: { kind: quantile, p: 0.95 }, mustBeLessThan: 800, severity: warn }",
    ),
    number(
        "median",
        "accuracy",
        "the median",
        &[],
        ANY,
        "quality:\n  - { type: custom, engine: tarn, implementation: { kind: median }, mustBeBetween: [20, 100], severity: warn }",
    ),
    number(
        "entropy",
        "accuracy",
        "Shannon's entropy of the values in bits: 0 where all are equal, log2(n) where n values are equally frequent",
        &[],
        COUNT,
        "quality:\n  - { type: custom, engine: tarn, implementation: { kind: entropy }, mustBeGreaterThan: 0.5, severity: warn }",
    ),
    number(
        "distribution",
        "accuracy",
        "the total variation distance of the values' shares from the stated ones, from 0 (equal) to 1: half the sum of the absolute differences; values that are not named count together",
        &[(
            "shares",
            "value: share, each from 0 to 1, at most 1 together",
        )],
        (0.0, 1.0),
        "quality:\n  - type: custom\n    engine: tarn\n    implementation: { kind: distribution, shares: { web: 0.6, app: 0.4 } }\n    mustBeLessThan: 0.1\n    severity: warn",
    ),
    rows(
        "comparison",
        Spelling::Custom,
        Place::Column,
        "consistency",
        "rows whose value does not compare so with that of another column",
        &[
            ("operator", "one of = != < <= > >=, in quotes"),
            ("column", "the other column"),
        ],
        "quality:\n  - { type: custom, engine: tarn, implementation: { kind: comparison, operator: \">=\", column: other }, mustBe: 0 }",
    ),
    rows(
        "rowSum",
        Spelling::Custom,
        Place::Column,
        "consistency",
        "rows whose value is not the sum of the columns `plus` less those of `minus`",
        &[
            ("plus", "columns that are added"),
            ("minus", "columns that are subtracted; none where unsaid"),
            ("tolerance", "how far it may be off; 0 where unsaid"),
        ],
        "quality:\n  - { type: custom, engine: tarn, implementation: { kind: rowSum, plus: [net, tax], minus: [discount] }, mustBe: 0 }",
    ),
    rows(
        "reference",
        Spelling::Custom,
        Place::Column,
        "consistency",
        "rows whose value the other dataset's column does not have; tables of the same database count as they will be after the run",
        &[(
            "to",
            "dataset.column; the column's one `relationships` where unsaid",
        )],
        "quality:\n  - { type: custom, engine: tarn, implementation: { kind: reference, to: others.id }, mustBe: 0 }",
    ),
    rows(
        "outlier",
        Spelling::Custom,
        Place::Column,
        "accuracy",
        "rows whose value is far from the others of the object, which is read twice for it",
        &[
            (
                "method",
                "mad (robust z-score), iqr (fences) or medianMultiple",
            ),
            (
                "limit",
                "greater than 0: of the z-score (3.5 is usual), of the interquartile range (1.5 is usual), of the median",
            ),
        ],
        "quality:\n  - { type: custom, engine: tarn, implementation: { kind: outlier, method: mad, limit: 6 }, mustBe: 0, severity: warn }",
    ),
    Kind {
        place: Place::Both,
        ..rows(
            "personalData",
            Spelling::Custom,
            Place::Both,
            "conformity",
            "rows in which a text looks like personal data; in the schema object, of every text column that is not declared personal",
            &[(
                "find",
                "some of email, ip, phone, card, iban; all where unsaid",
            )],
            "quality:\n  - { type: custom, engine: tarn, implementation: { kind: personalData, find: [email, iban] }, mustBe: 0, severity: warn }",
        )
    },
    Kind {
        units: TIME,
        ..number(
            "freshness",
            "timeliness",
            "the age of the newest value when the run began",
            &[],
            ANY,
            "quality:\n  - { type: custom, engine: tarn, implementation: { kind: freshness }, mustBeLessThan: 26, unit: hours, severity: warn }",
        )
    },
    Kind {
        scope: Scope::Table,
        ..number(
            "groupSum",
            "consistency",
            "rows of the table whose value is not the sum of another dataset's column over the rows that name them",
            &[
                ("of", "dataset.column that is summed"),
                ("by", "the other dataset's column that names a row"),
                (
                    "key",
                    "the column here that is named; the primary key where unsaid",
                ),
                ("tolerance", "how far it may be off; 0 where unsaid"),
            ],
            COUNT,
            "quality:\n  - { type: custom, engine: tarn, implementation: { kind: groupSum, of: others.amount, by: parent_id }, mustBe: 0, severity: warn }",
        )
    },
    Kind {
        spelling: Spelling::Metric,
        ..object(
            "rowCount",
            "completeness",
            "rows received",
            &[],
            &[Unit::Rows],
            COUNT,
            "quality:\n  - { metric: rowCount, mustBeGreaterThan: 0, severity: warn }",
        )
    },
    Kind {
        scope: Scope::Table,
        ..object(
            "rowCountMatch",
            "consistency",
            "the table's rows less those of another dataset's; in per cent of the latter's with `unit: percent`",
            &[("dataset", "the other dataset")],
            &[Unit::Number, Unit::Percent],
            ANY,
            "quality:\n  - { type: custom, engine: tarn, implementation: { kind: rowCountMatch, dataset: others }, mustBe: 0, severity: warn }",
        )
    },
    object(
        "columnCount",
        "conformity",
        "columns that the source provides (formats sqlite and jsonLines)",
        &[],
        NUMBER,
        COUNT,
        "quality:\n  - { type: custom, engine: tarn, implementation: { kind: columnCount }, mustBe: 12, severity: warn }",
    ),
    object(
        "columnExists",
        "conformity",
        "how many of these columns the source does not provide (formats sqlite and jsonLines)",
        &[("columns", "names at the source")],
        NUMBER,
        COUNT,
        "quality:\n  - { type: custom, engine: tarn, implementation: { kind: columnExists, columns: [id] }, mustBe: 0 }",
    ),
    object(
        "schemaMatch",
        "conformity",
        "columns that the source lacks, has beyond the list, or has in another place (formats sqlite and jsonLines)",
        &[
            (
                "columns",
                "names at the source; those of the contract where unsaid",
            ),
            (
                "ordered",
                "whether the order counts (format sqlite alone); false where unsaid",
            ),
        ],
        NUMBER,
        COUNT,
        "quality:\n  - { type: custom, engine: tarn, implementation: { kind: schemaMatch }, mustBe: 0, severity: warn }",
    ),
    object(
        "fileFreshness",
        "timeliness",
        "the age of the object when the run began",
        &[],
        TIME,
        COUNT,
        "quality:\n  - { type: custom, engine: tarn, implementation: { kind: fileFreshness }, mustBeLessThan: 26, unit: hours, severity: warn }",
    ),
    Kind {
        place: Place::Both,
        spelling: Spelling::Sql,
        scope: Scope::Table,
        ..object(
            "sql",
            "consistency",
            "the one number that the query gives; `${object}` stands for the table as it will be, `${property}` for the column",
            &[(
                "query",
                "a key of the rule: one SELECT of one number over the lake's tables",
            )],
            NUMBER,
            ANY,
            "quality:\n  - type: sql\n    query: \"SELECT COUNT(*) FROM ${object} WHERE id < 0\"\n    mustBe: 0\n    severity: warn",
        )
    },
];

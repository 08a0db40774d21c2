//! The list of kinds.

use super::{Kind, Place, RuleKind, Scope, Spelling};
use crate::threshold::Unit;

const TIME: &[Unit] = &[Unit::Hours, Unit::Seconds, Unit::Minutes, Unit::Days];
const COUNT: (f64, f64) = (0.0, f64::INFINITY);
const ANY: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);

/// A kind that counts the rows of a column that break it.
const fn of_rows(
    id: RuleKind,
    dimension: &'static str,
    measures: &'static str,
    example: &'static str,
) -> Kind {
    Kind {
        id,
        spelling: Spelling::Custom,
        place: Place::Column,
        scope: Scope::Row,
        dimension,
        measures,
        arguments: &[],
        units: &[Unit::Rows, Unit::Percent],
        range: COUNT,
        example,
    }
}

/// A kind that compares one number of an object.
const fn of_object(
    id: RuleKind,
    dimension: &'static str,
    measures: &'static str,
    example: &'static str,
) -> Kind {
    Kind {
        scope: Scope::Object,
        units: &[Unit::Number],
        range: ANY,
        ..of_rows(id, dimension, measures, example)
    }
}

/// Every kind, in the order of [`RuleKind`] and of the reference page.
pub const KINDS: [Kind; RuleKind::ALL.len()] = [
    Kind {
        spelling: Spelling::Key,
        ..of_rows(
            RuleKind::Required,
            "completeness",
            "rows without a value",
            "required: true",
        )
    },
    Kind {
        spelling: Spelling::Key,
        ..of_rows(
            RuleKind::Missing,
            "completeness",
            "rows whose value is missing, as the customProperty `missing: reject` and `missingValues` say",
            "customProperties:\n  - { property: missing, value: reject }\n  - { property: missingValues, value: [\"\", n/a] }",
        )
    },
    Kind {
        spelling: Spelling::Metric,
        ..of_rows(
            RuleKind::NullValues,
            "completeness",
            "rows without a value",
            "quality:\n  - { metric: nullValues, mustBeLessOrEqualTo: 5, unit: percent, severity: warn }",
        )
    },
    Kind {
        spelling: Spelling::Metric,
        arguments: &[(
            "missingValues",
            "texts that stand for no value; without the list, those of [missing values](../concepts/quality-rules.md#missing-values)",
        )],
        ..of_rows(
            RuleKind::MissingValues,
            "completeness",
            "rows without a value or with one of these texts",
            "quality:\n  - metric: missingValues\n    arguments: { missingValues: [null, \"\", n/a] }\n    mustBeLessThan: 5\n    unit: percent\n    severity: warn",
        )
    },
    of_rows(
        RuleKind::BlankValues,
        "completeness",
        "rows whose text is empty or only white space",
        "quality:\n  - { type: custom, engine: tarn, implementation: { kind: blankValues }, mustBe: 0 }",
    ),
    Kind {
        arguments: &[(
            "missingValues",
            "texts that stand for no value instead of the usual list",
        )],
        range: (0.0, 100.0),
        ..of_object(
            RuleKind::Completeness,
            "completeness",
            "per cent of the rows that have a value: no null, no blank, no sentinel",
            "quality:\n  - type: custom\n    engine: tarn\n    implementation: { kind: completeness }\n    mustBeGreaterOrEqualTo: 95\n    severity: warn",
        )
    },
    Kind {
        spelling: Spelling::Metric,
        arguments: &[(
            "validValues",
            "the values that are allowed; the metric is `invalidValues`",
        )],
        ..of_rows(
            RuleKind::ValidValues,
            "conformity",
            "rows whose value is none of these",
            "quality:\n  - { metric: invalidValues, arguments: { validValues: [a, b] }, mustBe: 0 }",
        )
    },
    Kind {
        arguments: &[("values", "the values that are not allowed")],
        ..of_rows(
            RuleKind::ForbiddenValues,
            "conformity",
            "rows whose value is one of these",
            "quality:\n  - { type: custom, engine: tarn, implementation: { kind: forbiddenValues, values: [test] }, mustBe: 0 }",
        )
    },
    Kind {
        spelling: Spelling::Option,
        ..of_rows(
            RuleKind::Pattern,
            "conformity",
            "rows whose text does not match the regular expression; also the argument `pattern` of `invalidValues`",
            "logicalTypeOptions: { pattern: \"^[A-Z]{2}$\" }",
        )
    },
    Kind {
        spelling: Spelling::Option,
        ..of_rows(
            RuleKind::Format,
            "conformity",
            "rows whose text does not have the form: uuid, email, uri, ipv4 or ipv6",
            "logicalTypeOptions: { format: uuid }",
        )
    },
    Kind {
        spelling: Spelling::Option,
        ..of_rows(
            RuleKind::MinLength,
            "conformity",
            "rows whose text has fewer characters",
            "logicalTypeOptions: { minLength: 2 }",
        )
    },
    Kind {
        spelling: Spelling::Option,
        ..of_rows(
            RuleKind::MaxLength,
            "conformity",
            "rows whose text has more characters",
            "logicalTypeOptions: { maxLength: 20 }",
        )
    },
    Kind {
        spelling: Spelling::Option,
        ..of_rows(
            RuleKind::Minimum,
            "conformity",
            "rows whose value is less",
            "logicalTypeOptions: { minimum: 0 }",
        )
    },
    Kind {
        spelling: Spelling::Option,
        ..of_rows(
            RuleKind::Maximum,
            "conformity",
            "rows whose value is greater",
            "logicalTypeOptions: { maximum: 100 }",
        )
    },
    Kind {
        spelling: Spelling::Option,
        ..of_rows(
            RuleKind::ExclusiveMinimum,
            "conformity",
            "rows whose value is less or equal",
            "logicalTypeOptions: { exclusiveMinimum: 0 }",
        )
    },
    Kind {
        spelling: Spelling::Option,
        ..of_rows(
            RuleKind::ExclusiveMaximum,
            "conformity",
            "rows whose value is greater or equal",
            "logicalTypeOptions: { exclusiveMaximum: 100 }",
        )
    },
    Kind {
        spelling: Spelling::Option,
        ..of_rows(
            RuleKind::MultipleOf,
            "conformity",
            "rows whose value is not a whole multiple",
            "logicalTypeOptions: { multipleOf: 5 }",
        )
    },
    Kind {
        arguments: &[(
            "type",
            "for a text column: integer, decimal, boolean, date, timestamp, uuid, email, uri, ipv4 or ipv6",
        )],
        ..of_rows(
            RuleKind::DataType,
            "conformity",
            "rows whose value could not be read as the column's type, which are rejected in any case; with `type`, rows whose text is not of that type",
            "quality:\n  - { type: custom, engine: tarn, implementation: { kind: dataType, type: integer }, mustBe: 0, severity: warn }",
        )
    },
    Kind {
        spelling: Spelling::Metric,
        place: Place::Both,
        arguments: &[(
            "properties",
            "in the schema object: the columns that must be unique together",
        )],
        ..of_rows(
            RuleKind::DuplicateValues,
            "uniqueness",
            "rows whose value, or values in `properties`, an earlier row of the object has; also the key `unique: true`",
            "quality:\n  - { metric: duplicateValues, mustBe: 0 }",
        )
    },
    Kind {
        spelling: Spelling::Key,
        place: Place::Table,
        ..of_rows(
            RuleKind::PrimaryKey,
            "uniqueness",
            "rows whose primary key an earlier row of the object has, or whose event was accepted before. `duplicateValues` of the same columns is this rule too. Such rows are rejected as `duplicate`, whatever the severity",
            "quality:\n  - { metric: duplicateValues, arguments: { properties: [id] }, mustBe: 0 }",
        )
    },
    Kind {
        range: (0.0, 1.0),
        ..of_object(
            RuleKind::UniquenessRatio,
            "uniqueness",
            "distinct values per value, from 0 to 1",
            "quality:\n  - { type: custom, engine: tarn, implementation: { kind: uniquenessRatio }, mustBeGreaterThan: 0.9, severity: warn }",
        )
    },
    Kind {
        range: COUNT,
        ..of_object(
            RuleKind::DistinctCount,
            "uniqueness",
            "distinct values",
            "quality:\n  - { type: custom, engine: tarn, implementation: { kind: distinctCount }, mustBeBetween: [2, 50], severity: warn }",
        )
    },
    of_object(
        RuleKind::Min,
        "accuracy",
        "the least value",
        "quality:\n  - { type: custom, engine: tarn, implementation: { kind: min }, mustBeGreaterOrEqualTo: 0, severity: warn }",
    ),
    of_object(
        RuleKind::Max,
        "accuracy",
        "the greatest value",
        "quality:\n  - { type: custom, engine: tarn, implementation: { kind: max }, mustBeLessThan: 10000, severity: warn }",
    ),
    of_object(
        RuleKind::Mean,
        "accuracy",
        "the arithmetic mean",
        "quality:\n  - { type: custom, engine: tarn, implementation: { kind: mean }, mustBeBetween: [10, 200], severity: warn }",
    ),
    Kind {
        range: COUNT,
        ..of_object(
            RuleKind::StandardDeviation,
            "accuracy",
            "the standard deviation of the sample (divided by n − 1)",
            "quality:\n  - { type: custom, engine: tarn, implementation: { kind: standardDeviation }, mustBeLessThan: 500, severity: warn }",
        )
    },
    of_object(
        RuleKind::Sum,
        "accuracy",
        "the sum",
        "quality:\n  - { type: custom, engine: tarn, implementation: { kind: sum }, mustBeGreaterThan: 0, severity: warn }",
    ),
    Kind {
        arguments: &[("p", "which one, from 0 to 1")],
        ..of_object(
            RuleKind::Quantile,
            "accuracy",
            "a quantile, interpolated linearly",
            "quality:\n  - { type: custom, engine: tarn, implementation: { kind: quantile, p: 0.95 }, mustBeLessThan: 800, severity: warn }",
        )
    },
    of_object(
        RuleKind::Median,
        "accuracy",
        "the median",
        "quality:\n  - { type: custom, engine: tarn, implementation: { kind: median }, mustBeBetween: [20, 100], severity: warn }",
    ),
    Kind {
        range: COUNT,
        ..of_object(
            RuleKind::Entropy,
            "accuracy",
            "Shannon's entropy of the values in bits: 0 if all are equal, log2(n) if n values are equally frequent",
            "quality:\n  - { type: custom, engine: tarn, implementation: { kind: entropy }, mustBeGreaterThan: 0.5, severity: warn }",
        )
    },
    Kind {
        arguments: &[(
            "shares",
            "value: share, each from 0 to 1, at most 1 together",
        )],
        range: (0.0, 1.0),
        ..of_object(
            RuleKind::Distribution,
            "accuracy",
            "the total variation distance between the values' shares and the stated ones, from 0 (equal) to 1: half the sum of the absolute differences; values that are not named count together",
            "quality:\n  - type: custom\n    engine: tarn\n    implementation: { kind: distribution, shares: { web: 0.6, app: 0.4 } }\n    mustBeLessThan: 0.1\n    severity: warn",
        )
    },
    Kind {
        arguments: &[
            ("operator", "one of = != < <= > >=, in quotes"),
            ("column", "the other column"),
        ],
        ..of_rows(
            RuleKind::Comparison,
            "consistency",
            "rows whose value does not compare with that of another column as the operator says",
            "quality:\n  - { type: custom, engine: tarn, implementation: { kind: comparison, operator: \">=\", column: other }, mustBe: 0 }",
        )
    },
    Kind {
        arguments: &[
            ("plus", "columns that are added"),
            ("minus", "columns that are subtracted; none by default"),
            (
                "tolerance",
                "the largest difference that is allowed; 0 by default",
            ),
        ],
        ..of_rows(
            RuleKind::RowSum,
            "consistency",
            "rows whose value is not the sum of the columns `plus` minus those of `minus`",
            "quality:\n  - { type: custom, engine: tarn, implementation: { kind: rowSum, plus: [net, tax], minus: [discount] }, mustBe: 0 }",
        )
    },
    Kind {
        arguments: &[(
            "to",
            "dataset.column; by default the column's one `relationships`",
        )],
        ..of_rows(
            RuleKind::Reference,
            "consistency",
            "rows whose value the other dataset's column does not have; for tables of the same database, their state after the run counts",
            "quality:\n  - { type: custom, engine: tarn, implementation: { kind: reference, to: others.id }, mustBe: 0 }",
        )
    },
    Kind {
        arguments: &[
            (
                "method",
                "mad (robust z-score), iqr (fences) or medianMultiple",
            ),
            (
                "limit",
                "greater than 0: of the z-score (3.5 is usual), of the interquartile range (1.5 is usual), of the median",
            ),
        ],
        ..of_rows(
            RuleKind::Outlier,
            "accuracy",
            "rows whose value is far from the others of the object, which is read twice",
            "quality:\n  - { type: custom, engine: tarn, implementation: { kind: outlier, method: mad, limit: 6 }, mustBe: 0, severity: warn }",
        )
    },
    Kind {
        place: Place::Both,
        arguments: &[(
            "find",
            "some of email, ip, phone, card, iban; all by default",
        )],
        ..of_rows(
            RuleKind::PersonalData,
            "conformity",
            "rows in which a text looks like personal data; in the schema object, every text column that is not declared personal is searched",
            "quality:\n  - { type: custom, engine: tarn, implementation: { kind: personalData, find: [email, iban] }, mustBe: 0, severity: warn }",
        )
    },
    Kind {
        units: TIME,
        ..of_object(
            RuleKind::Freshness,
            "timeliness",
            "the age of the newest value when the run began",
            "quality:\n  - { type: custom, engine: tarn, implementation: { kind: freshness }, mustBeLessThan: 26, unit: hours, severity: warn }",
        )
    },
    Kind {
        scope: Scope::Table,
        arguments: &[
            ("of", "dataset.column that is summed"),
            ("by", "the other dataset's column that refers to a row"),
            (
                "key",
                "the column here that `by` refers to; the primary key by default",
            ),
            (
                "tolerance",
                "the largest difference that is allowed; 0 by default",
            ),
        ],
        range: COUNT,
        ..of_object(
            RuleKind::GroupSum,
            "consistency",
            "rows of the table whose value is not the sum of another dataset's column over the rows that refer to them",
            "quality:\n  - { type: custom, engine: tarn, implementation: { kind: groupSum, of: others.amount, by: parent_id }, mustBe: 0, severity: warn }",
        )
    },
    Kind {
        spelling: Spelling::Metric,
        place: Place::Table,
        units: &[Unit::Rows],
        range: COUNT,
        ..of_object(
            RuleKind::RowCount,
            "completeness",
            "rows received",
            "quality:\n  - { metric: rowCount, mustBeGreaterThan: 0, severity: warn }",
        )
    },
    Kind {
        place: Place::Table,
        scope: Scope::Table,
        arguments: &[("dataset", "the other dataset")],
        units: &[Unit::Number, Unit::Percent],
        ..of_object(
            RuleKind::RowCountMatch,
            "consistency",
            "the table's number of rows minus that of another dataset's table; with `unit: percent`, in per cent of the other's",
            "quality:\n  - { type: custom, engine: tarn, implementation: { kind: rowCountMatch, dataset: others }, mustBe: 0, severity: warn }",
        )
    },
    Kind {
        place: Place::Table,
        range: COUNT,
        ..of_object(
            RuleKind::ColumnCount,
            "conformity",
            "columns that the source provides (formats sqlite and jsonLines)",
            "quality:\n  - { type: custom, engine: tarn, implementation: { kind: columnCount }, mustBe: 12, severity: warn }",
        )
    },
    Kind {
        place: Place::Table,
        arguments: &[("columns", "names at the source")],
        range: COUNT,
        ..of_object(
            RuleKind::ColumnExists,
            "conformity",
            "how many of these columns the source does not provide (formats sqlite and jsonLines)",
            "quality:\n  - { type: custom, engine: tarn, implementation: { kind: columnExists, columns: [id] }, mustBe: 0 }",
        )
    },
    Kind {
        place: Place::Table,
        arguments: &[
            (
                "columns",
                "names at the source; by default those of the contract",
            ),
            (
                "ordered",
                "whether the order counts (only for format sqlite); false by default",
            ),
        ],
        range: COUNT,
        ..of_object(
            RuleKind::SchemaMatch,
            "conformity",
            "columns that the source lacks, has beyond the list, or has in another place (formats sqlite and jsonLines)",
            "quality:\n  - { type: custom, engine: tarn, implementation: { kind: schemaMatch }, mustBe: 0, severity: warn }",
        )
    },
    Kind {
        place: Place::Table,
        units: TIME,
        range: COUNT,
        ..of_object(
            RuleKind::FileFreshness,
            "timeliness",
            "the age of the object when the run began",
            "quality:\n  - { type: custom, engine: tarn, implementation: { kind: fileFreshness }, mustBeLessThan: 26, unit: hours, severity: warn }",
        )
    },
    Kind {
        spelling: Spelling::Sql,
        place: Place::Both,
        scope: Scope::Table,
        arguments: &[(
            "query",
            "a key of the rule: one SELECT of one number over the lake's tables",
        )],
        ..of_object(
            RuleKind::Sql,
            "consistency",
            "the one number that the query gives; `${object}` stands for the table as it will be, `${property}` for the column",
            "quality:\n  - type: sql\n    query: \"SELECT COUNT(*) FROM ${object} WHERE id < 0\"\n    mustBe: 0\n    severity: warn",
        )
    },
];

// A kind is found by its number.
const _: () = {
    let mut number = 0;
    while number < KINDS.len() {
        assert!(KINDS[number].id as usize == number);
        number += 1;
    }
};

#![allow(clippy::unwrap_used)]
use super::*;

const ORDERS: &str = r#"apiVersion: v3.1.0
kind: DataContract
id: orders
name: orders
version: 1.2.0
status: active
description: { purpose: Orders. }
customProperties:
  - { property: sourceFormat, value: jsonLines }
  - { property: keyPattern, value: "raw/shop/orders/**" }
slaProperties:
  - { property: retention, value: 90, unit: d }
schema:
  - name: orders
    physicalName: orders
    physicalType: table
    logicalType: object
    quality:
      - { name: some rows, metric: rowCount, mustBeGreaterThan: 0, severity: error }
    properties:
      - name: id
        description: Number.
        logicalType: integer
        physicalType: bigint
        required: true
        logicalTypeOptions: { minimum: 1 }
      - name: status
        description: Where it stands.
        logicalType: string
        physicalType: string
        quality:
          - metric: invalidValues
            arguments: { validValues: [placed, paid] }
            mustBe: 0
            severity: error
      - name: note
        description: A note.
        logicalType: string
        physicalType: string
        logicalTypeOptions: { maxLength: 10, pattern: "^a" }
"#;

/// The change from `ORDERS` to itself with the replacements made, as `direction path` lines.
fn edited(replacements: &[(&str, &str)]) -> Vec<String> {
    let mut text = ORDERS.to_owned();
    for (from, to) in replacements {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    let found = diff(("old", ORDERS), ("new", &text)).unwrap_or_else(|faults| panic!("{faults:?}"));
    found
        .changes
        .iter()
        .map(|change| format!("{:?} {}", change.direction, change.path))
        .collect()
}

#[test]
fn each_change_says_whether_it_permits_more_rows_or_fewer() {
    /// What is replaced, and what is found.
    type Case = (
        &'static [(&'static str, &'static str)],
        &'static [&'static str],
    );
    let cases: &[Case] = &[
        (&[], &[]),
        (
            &[("purpose: Orders.", "purpose: All orders.")],
            &["Neither description.purpose"],
        ),
        (&[("version: 1.2.0", "version: 1.2.1")], &[]),
        (
            &[("required: true", "required: false")],
            &["Loosens schema.orders.properties.id.required"],
        ),
        (
            &[("minimum: 1", "minimum: 0")],
            &["Loosens schema.orders.properties.id.logicalTypeOptions.minimum"],
        ),
        (
            &[("minimum: 1", "minimum: 2")],
            &["Tightens schema.orders.properties.id.logicalTypeOptions.minimum"],
        ),
        (
            &[("minimum: 1", "exclusiveMinimum: 1")],
            &[
                "Tightens schema.orders.properties.id.logicalTypeOptions.exclusiveMinimum",
                "Tightens schema.orders.properties.id.logicalTypeOptions.minimum",
            ],
        ),
        (
            &[("maxLength: 10", "maxLength: 9")],
            &["Tightens schema.orders.properties.note.logicalTypeOptions.maxLength"],
        ),
        (
            &[("\"^a\"", "\"^b\"")],
            &["Undetermined schema.orders.properties.note.logicalTypeOptions.pattern"],
        ),
        (&[("[placed, paid]", "[paid, placed]")], &[]),
        (
            &[("[placed, paid]", "[placed, paid, shipped]")],
            &[
                "Loosens schema.orders.properties.status.quality.invalidValues.arguments.validValues.shipped",
            ],
        ),
        (
            &[("[placed, paid]", "[placed]")],
            &[
                "Tightens schema.orders.properties.status.quality.invalidValues.arguments.validValues.paid",
            ],
        ),
        (
            &[("mustBeGreaterThan: 0", "mustBeGreaterThan: 5")],
            &["Tightens schema.orders.quality.some rows.mustBeGreaterThan"],
        ),
        (
            &[(
                "mustBeGreaterThan: 0, severity: error",
                "mustBeGreaterThan: 0, severity: warning",
            )],
            &["Loosens schema.orders.quality.some rows.severity"],
        ),
        (
            &[("physicalType: bigint", "physicalType: int")],
            &["Both schema.orders.properties.id.physicalType"],
        ),
        (
            &[("      - name: note", "      - name: comment")],
            &[
                "Neither schema.orders.properties.comment",
                "Loosens schema.orders.properties.note",
            ],
        ),
        (
            &[("value: 90", "value: 30")],
            &["Loosens slaProperties.retention.value"],
        ),
        (
            &[("raw/shop/orders/**", "raw/store/orders/**")],
            &["Both customProperties.keyPattern.value"],
        ),
        (
            &[
                (
                    "  - { property: keyPattern",
                    "  - { property: newestBy, value: [id, status] }\n  - { property: keyPattern",
                ),
                (
                    "      - name: note",
                    "      - { name: on, logicalType: date, physicalType: date, partitioned: true }\n      - name: note",
                ),
            ],
            &[
                "Both customProperties.newestBy",
                "Neither schema.orders.properties.on",
            ],
        ),
    ];
    for (replacements, expected) in cases {
        assert_eq!(&edited(replacements), expected, "{replacements:?}");
    }
}

#[test]
fn a_breaking_change_needs_a_new_major_version() {
    let loosened = ORDERS.replace("required: true", "required: false");
    let found = diff(("old", ORDERS), ("new", &loosened)).unwrap();
    assert!(found.lacks_major(Party::Consumers));
    assert!(!found.lacks_major(Party::Producers));
    assert_eq!(found.next_major(), "2.0.0");
    let raised = loosened.replace("version: 1.2.0", "version: 2.0.0");
    let found = diff(("old", ORDERS), ("new", &raised)).unwrap();
    assert_eq!(found.impact(Party::Consumers), Impact::Breaking);
    assert!(!found.lacks_major(Party::Consumers));
    let lowered = loosened.replace("version: 1.2.0", "version: 0.9.0");
    assert!(
        diff(("old", ORDERS), ("new", &lowered))
            .unwrap()
            .lacks_major(Party::Consumers)
    );
}

#[test]
fn faults_of_the_new_contract_are_reported_instead_and_the_old_one_may_have_some() {
    let wrong = ORDERS.replace("physicalType: bigint", "physicalType: long");
    let faults = diff(("old", ORDERS), ("new", &wrong)).unwrap_err();
    assert!(faults.iter().all(|fault| fault.file == "new"), "{faults:?}");
    let found = diff(("old", &wrong), ("new", ORDERS)).unwrap();
    assert_eq!(found.impact(Party::Consumers), Impact::Breaking);
    for text in ["", "version: 1.0.0", "a: [", "schema:\n  - name: orders"] {
        let faults = diff(("old", text), ("new", ORDERS)).unwrap_err();
        assert!(faults.iter().all(|fault| fault.file == "old"), "{faults:?}");
        assert!(!faults.is_empty(), "{text}");
    }
}

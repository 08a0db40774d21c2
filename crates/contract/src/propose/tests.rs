#![allow(clippy::unwrap_used)]

use super::*;
use crate::{Draft, Format};
use crate::{Encoding, parse_str};
use proptest::prelude::*;
use tarn_core::profile::Category;

fn profile(rows: u64, nulls: u64, distinct: u64) -> ColumnProfile {
    ColumnProfile {
        rows,
        nulls,
        distinct: Some(distinct),
        ..ColumnProfile::default()
    }
}

fn text(name: &str) -> DraftColumn {
    DraftColumn::new(name, ColumnType::String, Encoding::Natural)
}

fn long(name: &str) -> DraftColumn {
    DraftColumn::new(name, ColumnType::Long, Encoding::Natural)
}

fn of(rows: u64, nulls: u64, distinct: u64) -> Evidence {
    Evidence {
        profile: profile(rows, nulls, distinct),
        ..Evidence::default()
    }
}

fn asked(proposals: &Proposals) -> Vec<(&Asks, Severity)> {
    proposals
        .rules
        .iter()
        .map(|rule| (&rule.asks, rule.severity))
        .collect()
}

#[test]
fn a_column_of_few_values_gets_a_list_of_them() {
    let mut evidence = of(1000, 0, 2);
    evidence.texts.longest = 5;
    evidence.profile.categories = vec![
        Category {
            value: "web".to_owned(),
            rows: 990,
        },
        Category {
            value: "no".to_owned(),
            rows: 10,
        },
    ];
    let found = propose(&text("channel"), "orders", &evidence);
    let listed = Asks::OneOf(vec!["web".to_owned(), "no".to_owned()]);
    assert_eq!(
        asked(&found),
        [(&Asks::NoNulls, Severity::Warn), (&listed, Severity::Warn)]
    );
    assert_eq!(
        found.notes,
        ["1,000 of 1,000 rows have a value, 2 distinct values."]
    );
    assert_eq!(
        found.rules[1].evidence,
        "1,000 rows have one of 2 values; the last one in 10 rows."
    );
    // Few rows say nothing.
    evidence.profile.rows = 30;
    assert!(
        asked(&propose(&text("channel"), "orders", &evidence))
            .iter()
            .all(|(asks, _)| **asks != listed)
    );
}

#[test]
fn what_is_missing_is_bounded_with_three_standard_errors_to_spare() {
    // 10 per cent of 900: the standard error is 1 per cent.
    let found = propose(&text("note"), "orders", &of(900, 90, 500));
    assert_eq!(asked(&found), [(&Asks::Complete(87), Severity::Warn)]);
    assert_eq!(
        found.rules[0].evidence,
        "Without a value: 90 of 900 rows (10.0 per cent)."
    );
    let mut evidence = of(900, 45, 500);
    evidence.profile.sentinels = 45;
    evidence.texts.missing = vec!["N/A".to_owned()];
    let found = propose(&text("note"), "orders", &evidence);
    assert_eq!(
        asked(&found),
        [(&Asks::Missing(vec!["N/A".to_owned()], 13), Severity::Warn)]
    );
    let found = propose(&text("note"), "orders", &of(900, 900, 0));
    assert!(found.rules.is_empty() && found.notes == ["0 of 900 rows have a value."]);
}

#[test]
fn declared_rules_reject_and_observed_ones_warn() {
    let mut evidence = of(100, 0, 100);
    evidence.declared.unique = true;
    evidence.declared.required = true;
    let found = propose(&text("code"), "coupons", &evidence);
    assert!(
        found.unique.is_some() && found.rules.is_empty(),
        "{found:?}"
    );
    let found = propose(&text("code"), "coupons", &of(100, 0, 100));
    assert_eq!(
        asked(&found),
        [
            (&Asks::NoNulls, Severity::Warn),
            (&Asks::Unique, Severity::Warn)
        ]
    );
    let mut evidence = of(100, 0, 40);
    for (declared, found, severity) in [
        (true, 40, Severity::Reject),
        (true, 39, Severity::Warn),
        (false, 40, Severity::Warn),
    ] {
        evidence.reference = Some(Reference {
            to: "a.b".to_owned(),
            declared,
            looked_for: 40,
            found,
            without_rule: None,
        });
        let found = propose(&long("b_id"), "c", &evidence);
        assert!(
            asked(&found).contains(&(&Asks::Reference, severity)),
            "{found:?}"
        );
        assert_eq!(found.relationship.unwrap().0, "a.b");
    }
}

#[test]
fn personal_columns_are_found_by_name_and_by_value_and_their_values_are_not_shown() {
    let seen = |pattern, rows| {
        let mut evidence = of(1000, 0, 2);
        evidence.profile.categories = vec![Category {
            value: "SECRET".to_owned(),
            rows: 1000,
        }];
        evidence.texts.personal = vec![(pattern, rows)];
        evidence.texts.shape = Some("^SECRET$".to_owned());
        evidence.texts.longest = 6;
        evidence
    };
    use PersonalPattern::{Card, Email, Ip};
    for (name, table, evidence, expected) in [
        (
            "Email",
            "x",
            seen(Email, 0),
            Some((Identifies::Directly, Some(Protection::Pseudonymise))),
        ),
        (
            "contact",
            "x",
            seen(Email, 990),
            Some((Identifies::Directly, Some(Protection::Pseudonymise))),
        ),
        (
            "note",
            "x",
            seen(Email, 3),
            Some((Identifies::Directly, Some(Protection::Redact))),
        ),
        (
            "origin",
            "x",
            seen(Ip, 1000),
            Some((Identifies::Directly, Some(Protection::Generalise))),
        ),
        ("reference_number", "x", seen(Card, 100), None),
        (
            "card",
            "x",
            seen(Card, 1000),
            Some((Identifies::Directly, Some(Protection::Pseudonymise))),
        ),
        (
            "name",
            "Customers",
            seen(Email, 0),
            Some((Identifies::Directly, Some(Protection::Pseudonymise))),
        ),
        ("name", "products", seen(Email, 0), None),
        (
            "user_id",
            "events",
            seen(Email, 0),
            Some((Identifies::Indirectly, Some(Protection::Pseudonymise))),
        ),
    ] {
        let found = propose(&text(name), table, &evidence);
        let personal = found
            .personal
            .as_ref()
            .map(|personal| (personal.identifies, personal.protection));
        assert_eq!(personal, expected, "{name}");
        if personal.is_some() {
            assert!(!format!("{found:?}").contains("SECRET"), "{found:?}");
        }
    }
    let found = propose(&text("note"), "x", &seen(Email, 3));
    assert_eq!(
        found.personal.unwrap().evidence,
        "Personal: 0.3 per cent of the values hold an email address."
    );
}

#[test]
fn a_key_that_others_refer_to_is_not_protected() {
    let mut evidence = of(100, 0, 100);
    evidence.referred = true;
    let mut key = long("customer_id");
    key.primary_key = true;
    let personal = propose(&key, "customers", &evidence).personal.unwrap();
    assert_eq!(
        (personal.identifies, personal.protection),
        (Identifies::Indirectly, None)
    );
    assert_eq!(propose(&key, "orders", &evidence).personal, None);
}

#[test]
fn names_tell_references_and_keys() {
    for (name, table, key, expected) in [
        ("customer_id", "customers", "id", true),
        ("customer_id", "customer", "customer_id", true),
        ("billing_customer_id", "customers", "id", true),
        ("category_id", "categories", "id", true),
        ("id", "customers", "id", false),
        ("order_id", "customers", "id", false),
        ("customer", "customers", "id", false),
        ("address_id", "addresses", "id", true),
        ("quantity", "quantities", "quantity", false),
    ] {
        assert_eq!(
            names::refers(name, table, key),
            expected,
            "{name} {table}.{key}"
        );
    }
    assert!(names::is_key("invoice_no") && !names::is_key("casino"));
}

#[test]
fn a_reference_that_closes_a_circle_is_left_out() {
    assert_eq!(
        without_circles([("a", "b"), ("b", "c"), ("c", "a"), ("d", "d"), ("c", "d")]),
        [true, true, false, false, true]
    );
}

fn any_asks() -> impl Strategy<Value = Asks> {
    let texts = || prop::collection::vec(any::<String>(), 1..4);
    prop_oneof![
        Just(Asks::NoNulls),
        (texts(), 0_u64..100).prop_map(|(texts, most)| Asks::Missing(texts, most)),
        (1_u64..100).prop_map(Asks::Complete),
        Just(Asks::Unique),
        texts().prop_map(Asks::OneOf),
        Just(Asks::Pattern("^[A-Z]{2}\\.\"$".to_owned())),
    ]
}

proptest! {
    #[test]
    fn whatever_is_proposed_can_be_read(
        asks in prop::collection::vec(any_asks(), 0..4),
        evidence in any::<String>(),
        protection in prop::sample::select(&Protection::ALL[..]),
        length in proptest::option::of(0_u64..10),
        unique in any::<bool>(),
    ) {
        let unique = unique && asks.iter().all(|asks| *asks != Asks::Unique) && protection.keeps_identity();
        let asks: Vec<Asks> = asks.into_iter().filter(|asks| *asks != Asks::Unique || protection.keeps_identity()).collect();
        let rules = asks.len();
        let mut column = text("a");
        column.proposals = Proposals {
            notes: vec![evidence.clone()],
            personal: Some(Personal { identifies: Identifies::Directly, protection: Some(protection), evidence: evidence.clone() }),
            unique: unique.then(|| evidence.clone()),
            max_length: length.map(|length| (length, evidence.clone())),
            relationship: Some(("b.c".to_owned(), evidence.clone())),
            rules: asks.into_iter().map(|asks| ProposedRule { evidence: evidence.clone(), asks, severity: Severity::Warn }).collect(),
        };
        let draft = Draft {
            dataset: "x".to_owned(),
            format: Format::JsonLines,
            source_table: None,
            key_folder: "raw/a/b".to_owned(),
            notes: vec![evidence],
            columns: vec![column],
        };
        let yaml = draft.to_yaml();
        match parse_str("x", &yaml) {
            Ok(contract) => {
                prop_assert!(contract.rules.len() >= rules, "{yaml}");
                prop_assert_eq!(contract.columns[0].protection, Some(protection));
            }
            Err(faults) => prop_assert!(false, "{yaml}{}", faults[0]),
        }
    }
}

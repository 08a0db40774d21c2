//! Every protection on every type of column that it applies to.
#![allow(clippy::unwrap_used)]

use tarn_contract::parse_str;

use super::*;
use crate::batch::{Rejected, RowPlace, Violation};
use crate::reason::Reason;

fn contract(columns: &[(&str, &str, &str)]) -> Contract {
    let columns: Vec<String> = columns
        .iter()
        .map(|(name, ty, protection)| {
            let items = if ty.starts_with("array") { "\n        items: { logicalType: string }" } else { "" };
            format!(
                "      - name: {name}\n        {}{items}\n        customProperties: [{{ property: protection, value: {protection} }}]\n",
                ty.replace('|', "\n        physicalType: ").replacen("", "logicalType: ", 1),
            )
        })
        .collect();
    let text = format!(
        "apiVersion: v3.1.0\nkind: DataContract\nid: t\nversion: 1.0.0\nstatus: active\n\
         description: {{ purpose: Tests. }}\nteam: {{ name: tests }}\ncustomProperties:\n\
         \x20 - {{ property: sourceFormat, value: jsonLines }}\n\
         \x20 - {{ property: keyPattern, value: \"raw/test/people/**\" }}\n\
         schema:\n  - name: people\n    properties:\n\
         \x20     - {{ name: id, logicalType: integer, required: true, primaryKey: true }}\n{}",
        columns.concat()
    );
    parse_str("people.odcs.yaml", &text).unwrap()
}

fn key() -> PseudonymKey {
    PseudonymKey::new(3, &[7; 32])
}

fn text(rows: &[Option<&str>], intern: bool) -> ColumnData {
    let mut column = TextColumn::new(intern);
    for row in rows {
        match row {
            Some(text) => column.push(text.as_bytes()),
            None => column.push_null(),
        }
    }
    ColumnData::Text(column)
}

fn longs(rows: &[Option<i64>]) -> ColumnData {
    let mut column = Plain::new();
    for row in rows {
        match row {
            Some(value) => column.push(*value),
            None => column.push_null(),
        }
    }
    ColumnData::Long(column)
}

fn shown(data: &ColumnData) -> Vec<Option<String>> {
    let text = |text: &[u8]| String::from_utf8(text.to_vec()).unwrap();
    (0..data.len())
        .map(|row| match data {
            ColumnData::Text(column) => column.get(row).map(text),
            ColumnData::Int(column) => column.get(row).map(|value| value.to_string()),
            ColumnData::Double(column) => column.get(row).map(|value| value.to_string()),
            ColumnData::List(column) => column.validity.get(row).then(|| {
                let begin = row
                    .checked_sub(1)
                    .map_or(0, |before| column.ends[before] as usize);
                let items = (begin..column.ends[row] as usize)
                    .map(|item| text(column.items.get(item).unwrap()));
                items.collect::<Vec<_>>().join("|")
            }),
            _ => panic!("not asked for"),
        })
        .collect()
}

fn pseudonym(value: &str) -> Option<String> {
    Some(String::from_utf8(key().pseudonym(value.as_bytes()).to_vec()).unwrap())
}

/// A type as the contract writes it, a protection, values as received, and what is kept of them.
type Case = (&'static str, &'static str, ColumnData, Vec<Option<String>>);

/// Every protection on every type that it applies to.
fn cases(intern: bool) -> Vec<Case> {
    let mut all = cases_of_texts(intern);
    all.extend(cases_of_numbers());
    all
}

fn cases_of_texts(intern: bool) -> Vec<Case> {
    let some = |text: &str| Some(text.to_owned());
    let mut list = ListColumn::new();
    list.items = TextColumn::new(intern);
    list.push_item(b"ann");
    list.push_item(b"bob");
    list.finish_row();
    list.push_null();
    list.finish_row();
    vec![
        (
            "string",
            "pseudonymise",
            text(&[Some("ann"), None, Some("ann")], intern),
            vec![pseudonym("ann"), None, pseudonym("ann")],
        ),
        (
            "array|array<string>",
            "pseudonymise",
            ColumnData::List(list),
            vec![
                Some(format!(
                    "{}|{}",
                    pseudonym("ann").unwrap(),
                    pseudonym("bob").unwrap()
                )),
                None,
                some(""),
            ],
        ),
        (
            "string",
            "mask",
            text(&[Some("ann"), None, Some("bob")], intern),
            vec![some("***"), None, some("***")],
        ),
        (
            "string",
            "generalise",
            text(
                &[Some("203.0.113.9"), Some("host"), Some("203.0.113.8")],
                intern,
            ),
            vec![some("203.0.113.0/24"), some("***"), some("203.0.113.0/24")],
        ),
        (
            "string",
            "redact",
            text(&[Some("a@b.example"), None, Some("ok")], intern),
            vec![some("[email]"), None, some("ok")],
        ),
    ]
}

fn cases_of_numbers() -> Vec<Case> {
    let some = |text: &str| Some(text.to_owned());
    let mut dates = Plain::new();
    dates.push(400);
    dates.push_null();
    dates.push(-1);
    let mut places = Plain::new();
    places.push(52.5);
    places.push_null();
    places.push(1.5);
    vec![
        (
            "integer|bigint",
            "pseudonymise",
            longs(&[Some(42), None, Some(-1)]),
            vec![pseudonym("42"), None, pseudonym("-1")],
        ),
        (
            "date|date",
            "generalise",
            ColumnData::Int(dates),
            vec![some("365"), None, some("-365")],
        ),
        (
            "number|double",
            "drop",
            ColumnData::Double(places),
            vec![None, None, None],
        ),
    ]
}

#[test]
fn a_column_is_kept_as_its_contract_says() {
    for intern in [true, false] {
        for (ty, protection, received, expected) in cases(intern) {
            let contract = contract(&[("value", ty, protection)]);
            let protector = Protector::new(&contract, Some(key())).unwrap();
            let mut batch = Batch {
                columns: vec![longs(&[Some(1), Some(2), Some(3)]), received],
                offsets: vec![0, 1, 2],
                ..Batch::default()
            };
            let turned = batch.reject_row(0, Violation::new("rule", None, "it is wrong"));
            assert_eq!(turned.row, Some(0));
            batch.rejected.push(turned);
            batch.keep_rows(&[1, 2]);
            protector.apply(&mut batch).unwrap();
            assert_eq!(shown(&batch.columns[1]), expected[1..], "{ty} {protection}");
            assert_eq!(
                shown(&batch.rejected_columns[1]),
                expected[..1],
                "{ty} {protection}"
            );
            let versions = protector
                .key_versions(&batch.columns, |_| false, 2)
                .unwrap();
            let used = |row: usize| protection == "pseudonymise" && expected[row].is_some();
            let expected: Vec<_> = (1..3)
                .map(|row| used(row).then(|| "3".to_owned()))
                .collect();
            assert_eq!(shown(&versions), expected, "{ty} {protection}");
        }
    }
}

#[test]
fn a_reason_loses_what_it_quotes_where_a_row_could_not_be_read() {
    let contract = contract(&[("name", "string", "mask")]);
    let protector = Protector::new(&contract, Some(key())).unwrap();
    let mut batch = Batch::new(&contract);
    let reason = Reason::mismatch("a text", "the text \"ann, found here\"");
    let place = RowPlace {
        line: Some(1),
        offset: 0,
    };
    let violation = Violation::new("parse", None, reason);
    batch.rejected.push(Rejected::new(violation, place, b"ann"));
    protector.apply(&mut batch).unwrap();
    assert_eq!(
        batch.rejected[0].reason.to_string(),
        "expected a text, found something else, which is withheld"
    );
}

#[test]
fn personal_columns_need_a_key_and_others_do_not() {
    assert!(Protector::new(&contract(&[("name", "string", "mask")]), None).is_err());
    let plain = contract(&[]);
    assert!(Protector::new(&plain, None).unwrap().key().is_none());
    assert!(Protector::new(&plain, Some(key())).unwrap().key().is_none());
}

#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;

use super::super::{Diagnostic, parse_str};
use super::*;

fn shown(faults: &[Diagnostic]) -> String {
    faults.iter().map(|fault| format!("{fault}\n")).collect()
}

fn any_type() -> impl Strategy<Value = ColumnType> {
    prop_oneof![
        Just(ColumnType::String),
        Just(ColumnType::Int),
        Just(ColumnType::Long),
        Just(ColumnType::Double),
        Just(ColumnType::Boolean),
        Just(ColumnType::Date),
        Just(ColumnType::Timestamp),
        Just(ColumnType::StringList),
        (1_u8..=18)
            .prop_flat_map(|precision| (Just(precision), 0..=precision))
            .prop_map(|(precision, scale)| ColumnType::Decimal { precision, scale }),
    ]
}

fn any_encoding() -> impl Strategy<Value = Encoding> {
    prop_oneof![
        Just(Encoding::Natural),
        (0_u8..20).prop_map(Encoding::MinorUnits),
        Just(Encoding::Real),
        Just(Encoding::EpochSeconds),
        Just(Encoding::EpochMillis),
        Just(Encoding::ZeroOne),
    ]
}

fn any_column() -> impl Strategy<Value = DraftColumn> {
    let name = prop_oneof![
        "[a-zA-Z0-9_ ]{0,8}",
        ".{0,8}",
        "(no|on|null|true|y|1e3|0x1|~)",
        any::<String>()
    ];
    let comment = proptest::option::of(any::<String>());
    (
        name.clone(),
        name,
        any_type(),
        any::<bool>(),
        any::<bool>(),
        any_encoding(),
        comment,
    )
        .prop_map(
            |(name, source_name, ty, required, primary_key, encoding, comment)| DraftColumn {
                source_name,
                required,
                primary_key,
                comment,
                ..DraftColumn::new(&name, ty, encoding)
            },
        )
}

proptest! {
    #[test]
    fn a_draft_is_a_contract_that_is_read_at_once(
        dataset in any::<String>(),
        table in proptest::option::of(any::<String>()),
        sqlite in any::<bool>(),
        columns in prop::collection::vec(any_column(), 1..8),
    ) {
        let format = if sqlite { Format::Sqlite } else { Format::JsonLines };
        let draft = Draft { dataset, format, source_table: table, key_folder: "raw/a b+é/c".to_owned(), notes: Vec::new(), columns };
        let yaml = draft.to_yaml();
        let kept: Vec<&DraftColumn> = draft.columns.iter().filter(|column| !column.source_name.starts_with('$')).collect();
        let has_key = !sqlite || kept.iter().any(|column| !matches!(column.ty, ColumnType::Double | ColumnType::StringList));
        prop_assume!(!kept.is_empty() && has_key);
        let contract = match parse_str("draft", &yaml) {
            Ok(contract) => contract,
            Err(faults) => return Err(TestCaseError::fail(format!("{}\n{yaml}", shown(&faults)))),
        };
        prop_assert_eq!(contract.dataset, snake_case(&draft.dataset));
        prop_assert_eq!(contract.columns.len(), kept.len());
        for (column, drafted) in contract.columns.iter().zip(kept) {
            prop_assert_eq!(&column.source_name, &drafted.source_name);
            prop_assert!(column.ty == drafted.ty || sqlite);
            prop_assert!(column.required || !drafted.required);
        }
        if let (true, Some(table)) = (sqlite, &draft.source_table) {
            prop_assert_eq!(contract.source_table.as_ref(), Some(table));
        }
    }
}

#[test]
fn a_natural_draft_holds_every_column_of_its_format_and_leaves_out_others() {
    for format in [Format::AccessLog, Format::SocialPosts] {
        let mut draft = Draft::natural("My Logs", format, "raw/web/logs/").unwrap();
        let columns = draft.columns.len();
        draft.columns.push(DraftColumn::new(
            "colour",
            ColumnType::String,
            Encoding::Natural,
        ));
        let contract = parse_str("x", &draft.to_yaml())
            .map_err(|faults| shown(&faults))
            .unwrap();
        assert_eq!(
            (contract.dataset.as_str(), contract.columns.len()),
            ("my_logs", columns)
        );
        assert!(draft.to_yaml().contains("# Left out: 'colour'"));
    }
    assert!(Draft::natural("x", Format::Sqlite, "raw/a/b").is_none());
}

#[test]
fn a_table_without_a_primary_key_gets_one_to_decide_on() {
    let column = |name: &str, ty| DraftColumn {
        comment: Some("Decide:\nis this money?".to_owned()),
        ..DraftColumn::new(name, ty, Encoding::Natural)
    };
    let draft = Draft {
        dataset: "PlaylistTrack".to_owned(),
        format: Format::Sqlite,
        source_table: Some("PlaylistTrack".to_owned()),
        key_folder: "raw/music/database".to_owned(),
        notes: vec!["A profile.".to_owned()],
        columns: vec![
            column("Price", ColumnType::Double),
            column("TrackId", ColumnType::Long),
            column("track_id", ColumnType::Long),
        ],
    };
    let yaml = draft.to_yaml();
    assert!(yaml.contains("# Decide: the table has no primary key"));
    assert!(yaml.contains("# Decide: is this money?"));
    let contract = parse_str("x", &yaml)
        .map_err(|faults| shown(&faults))
        .unwrap();
    assert_eq!(contract.primary_key, [1]);
    let names: Vec<&str> = contract
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    assert_eq!(names, ["price", "track_id", "track_id_2"]);
}

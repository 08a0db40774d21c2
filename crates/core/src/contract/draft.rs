//! Draft contracts: what a file shows of itself, written so that people can finish it.

use std::collections::HashSet;
use std::fmt::Write as _;

use super::{Encoding, Format, natural_columns};
use crate::schema::ColumnType;

/// A contract to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The dataset's name; it is turned to lower_snake_case.
    pub dataset: String,
    /// The format of the file.
    pub format: Format,
    /// The table of the database (format `sqlite`).
    pub source_table: Option<String>,
    /// `raw/<source>/<dataset>`: the folder whose files the contract claims, all of them.
    pub key_folder: String,
    /// At least one. For the formats with columns of their own, others are left out.
    pub columns: Vec<DraftColumn>,
}

/// A column of a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftColumn {
    /// The name wished for; it is turned to lower_snake_case and made unique.
    pub name: String,
    /// The name at the source.
    pub source_name: String,
    /// The type.
    pub ty: ColumnType,
    /// Whether every row has a value.
    pub required: bool,
    /// Whether it is part of the primary key, in the order of the columns.
    pub primary_key: bool,
    /// How the source writes it; one that does not fit the type is left out.
    pub encoding: Encoding,
    /// What the user has to decide, written as a comment above the column.
    pub comment: Option<String>,
}

impl Draft {
    /// A draft with every column that the format provides; None for formats whose columns the
    /// contract names freely.
    pub fn natural(dataset: &str, format: Format, key_folder: &str) -> Option<Self> {
        let columns = natural_columns(format)?
            .iter()
            .map(|column| DraftColumn {
                name: column.name.to_owned(),
                source_name: column.name.to_owned(),
                ty: column.ty.clone(),
                required: column.required,
                primary_key: false,
                encoding: Encoding::Natural,
                comment: None,
            })
            .collect();
        Some(Draft {
            dataset: dataset.to_owned(),
            format,
            source_table: None,
            key_folder: key_folder.to_owned(),
            columns,
        })
    }

    /// The draft as a contract that can be read at once. Comments name what is to be decided.
    pub fn to_yaml(&self) -> String {
        let dataset = snake_case(&self.dataset);
        let mut lines = Lines::default();
        lines.comment(
            0,
            "A draft. Look at the comments, the types and the descriptions before you use it.",
        );
        for (key, value) in [
            ("apiVersion", "v3.1.0"),
            ("kind", "DataContract"),
            ("id", &dataset),
            ("name", &dataset),
            ("version", "1.0.0"),
            ("status", "draft"),
        ] {
            lines.line(0, format_args!("{key}: {}", scalar(value)));
        }
        lines.line(0, format_args!("description:"));
        lines.comment(1, "Say what one row is, and what the table is for.");
        lines.line(
            1,
            format_args!(
                "purpose: {}",
                scalar(&format!("One row per record of {dataset}."))
            ),
        );
        lines.line(0, format_args!("customProperties:"));
        lines.custom(1, "sourceFormat", self.format.as_str());
        lines.custom(
            1,
            "keyPattern",
            &format!("{}/**", self.key_folder.trim_end_matches('/')),
        );
        if self.format == Format::Sqlite {
            lines.comment(
                1,
                "What happens to a row that is gone from the database: keep, soft or remove.",
            );
            lines.custom(1, "deletedRows", "keep");
        }
        lines.line(0, format_args!("schema:"));
        lines.line(1, format_args!("- name: {}", scalar(&dataset)));
        if let (Format::Sqlite, Some(table)) = (self.format, &self.source_table) {
            lines.line(2, format_args!("physicalName: {}", scalar(table)));
        }
        lines.line(2, format_args!("logicalType: object"));
        lines.line(2, format_args!("physicalType: table"));
        let columns = self.usable_columns(&mut lines);
        if columns.iter().any(|column| column.key) {
            lines.line(2, format_args!("quality:"));
            lines.line(3, format_args!("- metric: duplicateValues"));
            lines.line(4, format_args!("mustBe: 0"));
            lines.line(4, format_args!("severity: reject"));
        }
        lines.line(2, format_args!("properties:"));
        let mut position = 0;
        for column in &columns {
            if column.key {
                position += 1;
            }
            column.write(position, self.format, &mut lines);
        }
        lines.text
    }

    /// The columns that a contract of the format can have, under their final names; comments say
    /// which are left out.
    fn usable_columns<'a>(&'a self, lines: &mut Lines) -> Vec<Named<'a>> {
        let natural = natural_columns(self.format);
        let mut taken = HashSet::new();
        let mut columns = Vec::new();
        for column in &self.columns {
            if let Some(natural) = natural {
                if natural
                    .iter()
                    .any(|known| known.name == column.name && known.ty == column.ty)
                    && taken.insert(column.name.clone())
                {
                    columns.push(Named {
                        column,
                        name: column.name.clone(),
                        key: can_be_key(column),
                        notes: Vec::new(),
                    });
                } else {
                    lines.comment(
                        2,
                        &format!(
                            "Left out: '{}' is no {} column of the format.",
                            column.name, column.ty
                        ),
                    );
                }
                continue;
            }
            if column.source_name.starts_with('$') {
                lines.comment(
                    2,
                    &format!(
                        "Left out: '{}', for names with '$' stand for values that Tarn supplies.",
                        column.source_name
                    ),
                );
                continue;
            }
            let mut notes = Vec::new();
            let wished = snake_case(&column.name);
            let mut name = wished.clone();
            let mut number = 2;
            while !taken.insert(name.clone()) {
                name = format!("{wished}_{number}");
                number += 1;
            }
            if name != wished {
                notes.push(format!("Decide: another column is named {wished} already."));
            } else if !column.name.is_ascii() {
                notes.push("Decide: choose a name in ASCII letters.".to_owned());
            }
            if column.primary_key && !can_be_key(column) {
                notes.push(format!(
                    "Decide: a {} column cannot be part of the primary key.",
                    column.ty
                ));
            }
            columns.push(Named {
                column,
                name,
                key: can_be_key(column),
                notes,
            });
        }
        if self.format == Format::Sqlite && !columns.iter().any(|column| column.key) {
            let candidate = columns.iter_mut().find(|column| {
                !matches!(
                    column.column.ty,
                    ColumnType::Double | ColumnType::StringList
                )
            });
            if let Some(column) = candidate {
                column.key = true;
                column.notes.push(
                    "Decide: the table has no primary key; mark the columns that identify a row."
                        .to_owned(),
                );
            }
        }
        columns
    }
}

fn can_be_key(column: &DraftColumn) -> bool {
    column.primary_key && !matches!(column.ty, ColumnType::Double | ColumnType::StringList)
}

/// A column under its final name.
struct Named<'a> {
    column: &'a DraftColumn,
    name: String,
    key: bool,
    notes: Vec<String>,
}

impl Named<'_> {
    fn write(&self, position: usize, format: Format, lines: &mut Lines) {
        let column = self.column;
        for note in self.notes.iter().chain(&column.comment) {
            lines.comment(3, note);
        }
        // A database has no lists: whatever was taken for one is text there.
        let ty = match &column.ty {
            ColumnType::StringList if format == Format::Sqlite => &ColumnType::String,
            ty => ty,
        };
        let logical = match ty {
            ColumnType::String => "string",
            ColumnType::Int | ColumnType::Long => "integer",
            ColumnType::Double | ColumnType::Decimal { .. } => "number",
            ColumnType::Boolean => "boolean",
            ColumnType::Date => "date",
            ColumnType::Timestamp => "timestamp",
            ColumnType::StringList => "array",
        };
        lines.line(3, format_args!("- name: {}", scalar(&self.name)));
        lines.line(4, format_args!("logicalType: {logical}"));
        lines.line(4, format_args!("physicalType: {}", scalar(&ty.to_string())));
        if *ty == ColumnType::StringList {
            lines.line(4, format_args!("items:"));
            lines.line(5, format_args!("logicalType: string"));
        }
        lines.line(4, format_args!("required: {}", column.required || self.key));
        if self.key {
            lines.line(4, format_args!("primaryKey: true"));
            lines.line(4, format_args!("primaryKeyPosition: {position}"));
        }
        if natural_columns(format).is_some() {
            return;
        }
        let encoding = encoding(ty, column.encoding);
        let renamed = column.source_name != self.name;
        if renamed || encoding.is_some() {
            lines.line(4, format_args!("customProperties:"));
            if renamed {
                lines.custom(5, "sourceName", &column.source_name);
            }
            if let Some(encoding) = encoding {
                lines.custom(5, "encoding", &encoding);
            }
        }
    }
}

/// The encoding as contracts write it; None where it goes without saying or does not fit.
fn encoding(ty: &ColumnType, encoding: Encoding) -> Option<String> {
    match (encoding, ty) {
        (Encoding::MinorUnits(exponent), ColumnType::Decimal { scale, .. })
            if exponent <= *scale =>
        {
            Some(format!("minorUnits:{exponent}"))
        }
        (Encoding::Real, ColumnType::Decimal { .. }) => Some("real".to_owned()),
        (Encoding::EpochSeconds, ColumnType::Timestamp) => Some("epochSeconds".to_owned()),
        (Encoding::EpochMillis, ColumnType::Timestamp) => Some("epochMillis".to_owned()),
        (Encoding::ZeroOne, ColumnType::Boolean) => Some("zeroOne".to_owned()),
        _ => None,
    }
}

/// The YAML under construction, two spaces a level.
#[derive(Default)]
struct Lines {
    text: String,
}

impl Lines {
    fn line(&mut self, level: usize, line: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        if writeln!(self.text, "{:width$}{line}", "", width = level * 2).is_err() {
            debug_assert!(false, "a String refused text");
        }
    }

    fn comment(&mut self, level: usize, comment: &str) {
        let printable: String = comment
            .chars()
            .map(|c| if is_printable(c) { c } else { ' ' })
            .collect();
        self.line(level, format_args!("# {}", printable.trim()));
    }

    fn custom(&mut self, level: usize, property: &str, value: &str) {
        self.line(level, format_args!("- property: {property}"));
        self.line(level + 1, format_args!("value: {}", scalar(value)));
    }
}

/// A name in lower_snake_case that begins with a letter: words are split at capitals and at
/// whatever is no letter or digit of ASCII.
///
/// ```
/// use tarn_core::contract::snake_case;
/// assert_eq!(snake_case("InvoiceLineId"), "invoice_line_id");
/// assert_eq!(snake_case("HTTPStatus (%)"), "http_status");
/// assert_eq!(snake_case("2nd name"), "c_2nd_name");
/// ```
pub fn snake_case(name: &str) -> String {
    let characters: Vec<char> = name.chars().collect();
    let mut snake = String::new();
    for (index, &c) in characters.iter().enumerate() {
        if !c.is_ascii_alphanumeric() {
            if !snake.ends_with('_') && !snake.is_empty() {
                snake.push('_');
            }
            continue;
        }
        let before = index.checked_sub(1).and_then(|at| characters.get(at));
        let starts_word = c.is_ascii_uppercase()
            && (before.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
                || (before.is_some_and(char::is_ascii_uppercase)
                    && characters
                        .get(index + 1)
                        .is_some_and(char::is_ascii_lowercase)));
        if starts_word && !snake.ends_with('_') {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    let snake = snake.trim_end_matches('_');
    match snake.chars().next() {
        None => "unnamed".to_owned(),
        Some(first) if first.is_ascii_digit() => format!("c_{snake}"),
        Some(_) => snake.to_owned(),
    }
}

/// A text as a YAML scalar that both YAML 1.1 and 1.2 read as that text.
fn scalar(text: &str) -> String {
    // `no`, `on` and the like are booleans in YAML 1.1.
    const WORDS: [&str; 9] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    let is_word = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if is_word {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            c if is_printable(c) => quoted.push(c),
            c => {
                let code = u32::from(c);
                let escape = match code {
                    0..=0xff => format!("\\x{code:02x}"),
                    0x100..=0xffff => format!("\\u{code:04x}"),
                    _ => format!("\\U{code:08x}"),
                };
                quoted.push_str(&escape);
            }
        }
    }
    quoted.push('"');
    quoted
}

/// Whether every YAML reader takes the character as it is and on one line.
fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a0}'..='\u{2027}' | '\u{202a}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
}

#[cfg(test)]
mod tests {
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
                    name,
                    source_name,
                    ty,
                    required,
                    primary_key,
                    encoding,
                    comment,
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
            let draft = Draft { dataset, format, source_table: table, key_folder: "raw/a b+é/c".to_owned(), columns };
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
            draft.columns.push(DraftColumn {
                name: "colour".to_owned(),
                source_name: "colour".to_owned(),
                ty: ColumnType::String,
                required: false,
                primary_key: false,
                encoding: Encoding::Natural,
                comment: None,
            });
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
            name: name.to_owned(),
            source_name: name.to_owned(),
            ty,
            required: false,
            primary_key: false,
            encoding: Encoding::Natural,
            comment: Some("Decide:\nis this money?".to_owned()),
        };
        let draft = Draft {
            dataset: "PlaylistTrack".to_owned(),
            format: Format::Sqlite,
            source_table: Some("PlaylistTrack".to_owned()),
            key_folder: "raw/music/database".to_owned(),
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
}

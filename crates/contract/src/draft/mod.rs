//! Draft contracts: what a file shows about itself, written so that people can finish it.

mod yaml;

use super::name::{Names, snake_case};
use super::natural::personal as natural_personal;
use super::parse::encoding_name;
use super::propose::names::Identifies;
use super::propose::{Asks, Proposals, ProposedRule};
use super::{Encoding, Format, natural_columns};
use tarn_core::privacy::Protection;
use tarn_core::schema::ColumnType;
use yaml::{Lines, list, scalar};

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
    /// What was read, and what the rows are as a whole: comments at the top.
    pub notes: Vec<String>,
    /// At least one. For the formats with columns of their own, others are left out.
    pub columns: Vec<DraftColumn>,
}

/// A column of a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftColumn {
    /// The wanted name; it is turned to lower_snake_case and made unique.
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
    /// Whom its values point to and how they are to be protected, where the format says so.
    pub personal: Option<(Identifies, Protection)>,
    /// What its values suggest.
    pub proposals: Proposals,
}

impl DraftColumn {
    /// An optional column of this name, at the source too.
    pub fn new(name: &str, ty: ColumnType, encoding: Encoding) -> Self {
        DraftColumn {
            name: name.to_owned(),
            source_name: name.to_owned(),
            ty,
            required: false,
            primary_key: false,
            encoding,
            comment: None,
            personal: None,
            proposals: Proposals::default(),
        }
    }
}

impl Draft {
    /// A draft with every column that the format provides; None for formats whose columns the
    /// contract names freely.
    pub fn natural(dataset: &str, format: Format, key_folder: &str) -> Option<Self> {
        let columns = natural_columns(format)?
            .iter()
            .map(|column| DraftColumn {
                required: column.required,
                personal: natural_personal(column.name),
                ..DraftColumn::new(column.name, column.ty.clone(), Encoding::Natural)
            })
            .collect();
        Some(Draft {
            dataset: dataset.to_owned(),
            format,
            source_table: None,
            key_folder: key_folder.to_owned(),
            notes: Vec::new(),
            columns,
        })
    }

    /// The draft as a contract that can be read at once. Comments say what has to be decided.
    pub fn to_yaml(&self) -> String {
        let dataset = snake_case(&self.dataset);
        let mut lines = Lines::default();
        lines.comment(
            0,
            "A draft. Check the comments, the types and the descriptions before you use it.",
        );
        for note in &self.notes {
            lines.comment(0, note);
        }
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
                "What happens to a row that the database no longer has: keep, soft or remove.",
            );
            lines.custom(1, "deletedRows", "keep");
            lines.comment(
                1,
                "With soft or remove: a snapshot that deletes more than this share of the rows fails until it is \
                 confirmed.",
            );
            lines.comment(1, "- { property: maximumDeletedShare, value: 0.5 }");
            lines.comment(
                1,
                "How snapshots are put in order: name (a date in the file's name, else the time of the put), put, \
                 key:%Y%m%d, or column:updated_at.",
            );
            lines.comment(1, "- { property: snapshotTime, value: name }");
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
        let mut names = Names::default();
        let mut columns = Vec::new();
        for column in &self.columns {
            if let Some(natural) = natural {
                if natural
                    .iter()
                    .any(|known| known.name == column.name && known.ty == column.ty)
                    && names.take(&column.name) == column.name
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
                            "Left out: '{}' is not a {} column of the format.",
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
                        "Left out: '{}', because names with '$' are values that Tarn supplies.",
                        column.source_name
                    ),
                );
                continue;
            }
            let mut notes = Vec::new();
            let wished = snake_case(&column.name);
            let name = names.take(&wished);
            if name != wished {
                notes.push(format!("Decide: another column is named {wished} already."));
            } else if !column.name.is_ascii() {
                notes.push(format!(
                    "Decide: named after '{}', in ASCII letters.",
                    column.name
                ));
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
        let found = &column.proposals.notes;
        for note in self.notes.iter().chain(&column.comment).chain(found) {
            lines.comment(3, note);
        }
        // A database has no lists: what looked like one is text.
        let ty = match &column.ty {
            ColumnType::StringList if matches!(format, Format::Sqlite | Format::Csv) => {
                &ColumnType::String
            }
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
        let proposals = &column.proposals;
        if let Some(evidence) = &proposals.unique {
            lines.comment(4, evidence);
            lines.line(4, format_args!("unique: true"));
        }
        if let Some(personal) = &proposals.personal {
            lines.comment(4, &personal.evidence);
            let (class, tag) = match personal.identifies {
                Identifies::Directly => ("restricted", "pii:direct"),
                Identifies::Indirectly => ("confidential", "pii:indirect"),
            };
            lines.line(4, format_args!("classification: {class}"));
            // A column that identifies a person by itself is refused without a protection.
            if personal.identifies == Identifies::Indirectly || personal.protection.is_some() {
                lines.line(4, format_args!("tags: [{}]", scalar(tag)));
            }
        }
        if let Some((length, evidence)) = &proposals.max_length {
            lines.comment(4, evidence);
            lines.line(4, format_args!("logicalTypeOptions:"));
            lines.line(5, format_args!("maxLength: {length}"));
        }
        if let Some((to, evidence)) = &proposals.relationship {
            lines.comment(4, evidence);
            lines.line(4, format_args!("relationships:"));
            lines.line(5, format_args!("- to: {to}"));
        }
        if !proposals.rules.is_empty() {
            lines.line(4, format_args!("quality:"));
            for rule in &proposals.rules {
                write_rule(rule, lines);
            }
        }
        self.write_custom(ty, format, lines);
    }

    fn write_custom(&self, ty: &ColumnType, format: Format, lines: &mut Lines) {
        let column = self.column;
        let own = natural_columns(format).is_none();
        let encoding = encoding_name(column.encoding, ty).filter(|_| own);
        let renamed = own && column.source_name != self.name;
        let protection = column
            .proposals
            .personal
            .as_ref()
            .and_then(|personal| personal.protection);
        if !renamed && encoding.is_none() && protection.is_none() {
            return;
        }
        lines.line(4, format_args!("customProperties:"));
        if renamed {
            lines.custom(5, "sourceName", &column.source_name);
        }
        if let Some(encoding) = encoding {
            lines.custom(5, "encoding", &encoding);
        }
        if let Some(protection) = protection {
            lines.custom(5, "protection", protection.as_str());
        }
    }
}

fn write_rule(rule: &ProposedRule, lines: &mut Lines) {
    if !rule.evidence.is_empty() {
        lines.comment(5, &rule.evidence);
    }
    let custom = |lines: &mut Lines, kind: &str| {
        lines.line(5, format_args!("- type: custom"));
        lines.line(6, format_args!("engine: tarn"));
        lines.line(6, format_args!("implementation: {{ kind: {kind} }}"));
    };
    let none = |lines: &mut Lines| lines.line(6, format_args!("mustBe: 0"));
    match &rule.asks {
        Asks::NoNulls => {
            lines.line(5, format_args!("- metric: nullValues"));
            none(lines);
        }
        Asks::Missing(texts, most) => {
            lines.line(5, format_args!("- metric: missingValues"));
            if !texts.is_empty() {
                let texts = list(texts);
                lines.line(6, format_args!("arguments:"));
                lines.line(7, format_args!("missingValues: [null, {texts}]"));
            }
            lines.line(6, format_args!("mustBeLessOrEqualTo: {most}"));
            lines.line(6, format_args!("unit: percent"));
        }
        Asks::Complete(least) => {
            custom(lines, "completeness");
            lines.line(6, format_args!("mustBeGreaterOrEqualTo: {least}"));
        }
        Asks::Unique => {
            lines.line(5, format_args!("- metric: duplicateValues"));
            none(lines);
        }
        Asks::OneOf(values) => {
            lines.line(5, format_args!("- metric: invalidValues"));
            lines.line(6, format_args!("arguments:"));
            lines.line(7, format_args!("validValues: [{}]", list(values)));
            none(lines);
        }
        Asks::Pattern(pattern) => {
            lines.line(5, format_args!("- metric: invalidValues"));
            lines.line(6, format_args!("arguments:"));
            lines.line(7, format_args!("pattern: {}", scalar(pattern)));
            none(lines);
        }
        Asks::NotNegative => {
            custom(lines, "min");
            lines.line(6, format_args!("mustBeGreaterOrEqualTo: 0"));
        }
        Asks::Reference => {
            custom(lines, "reference");
            none(lines);
        }
    }
    lines.line(6, format_args!("severity: {}", rule.severity.as_str()));
}

#[cfg(test)]
mod tests;

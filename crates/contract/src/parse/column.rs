//! A property of the schema as a column.

use std::rc::Rc;

use super::custom::{self, Custom};
use super::protection;
use super::types::{column_type, encoding};
use super::value;
use super::yaml::{Faults, Map, Node, Place, Spanned, Value};
use crate::diagnostic::nearest;
use crate::{
    Bounded, Column, Encoding, Format, Missing, MissingAction, MissingPolicy, natural_columns,
};
use tarn_core::schema::{ColumnType, PartitionUnit};

/// The keys that ODCS gives a property.
const KEYS: &[&str] = &[
    "id",
    "name",
    "physicalType",
    "description",
    "businessName",
    "authoritativeDefinitions",
    "tags",
    "customProperties",
    "primaryKey",
    "primaryKeyPosition",
    "logicalType",
    "logicalTypeOptions",
    "physicalName",
    "required",
    "unique",
    "partitioned",
    "partitionKeyPosition",
    "classification",
    "encryptedName",
    "transformSourceObjects",
    "transformLogic",
    "transformDescription",
    "examples",
    "criticalDataElement",
    "relationships",
    "quality",
    "properties",
    "items",
];

const CLASSIFICATIONS: [&str; 4] = ["public", "internal", "confidential", "restricted"];

/// A column and what it says about the table.
pub(super) struct Property {
    pub name: Spanned<String>,
    pub required: bool,
    /// None if the type is faulty.
    pub column: Option<Column>,
    /// Position in the primary key, from 1.
    pub key: Option<Spanned<u64>>,
    pub partition: Option<Spanned<PartitionUnit>>,
    /// Place of `unique: true`.
    pub unique: Option<Place>,
    /// Who answers for the column.
    pub owner: Option<String>,
    /// Where its rules are.
    pub node: Rc<Node>,
    /// The value that Tarn supplies for it.
    pub supplied: Option<Spanned<String>>,
}

/// Reads a property; None where it has no usable name.
pub(super) fn read(
    node: &Rc<Node>,
    format: Option<Format>,
    faults: &mut Faults,
) -> Option<Property> {
    let map = Map::of(node, "the column", faults)?;
    let name = map.needed("name", "name the column in lower_snake_case", faults)?;
    name_fault(name.value, "column", name.at, faults);
    let what = format!("column '{}'", name.value);
    let map = Map::of(node, &what, faults)?;
    map.only(KEYS, faults);

    let ty = column_type(&map, faults);
    let custom = Custom::read(&map, custom::COLUMN, faults);
    let required = map.flag("required", faults);
    let source = custom.text("sourceName", faults);
    let supplied = source
        .clone()
        .filter(|source| source.value.starts_with('$'))
        .map(|source| Spanned {
            value: source.value.to_owned(),
            at: source.at,
        });
    if let (Some(supplied), Some(ty)) = (&supplied, &ty) {
        supplied_fault(supplied, ty, format, faults);
    }
    physical_name_fault(&map, name.value, faults);
    let encoding = ty.as_ref().map(|ty| encoding(&custom, ty, faults));
    let default = default(&custom, ty.as_ref(), faults);
    if let (Some(format), Some(ty)) = (format, &ty) {
        format_faults(&name, ty, format, &custom, faults);
    }
    let key = key_position(&map, required, ty.as_ref(), default.is_some(), faults);
    let partition = partition(&map, &custom, ty.as_ref(), faults);
    let unique = map
        .flag("unique", faults)
        .then(|| map.get("unique").map_or(map.at, |node| node.at));
    let classification = classification(&map, faults);
    let protection = protection::read(&map, &custom, ty.as_ref(), required, faults);
    let description = map
        .text("description", faults)
        .map(|text| text.value.trim().to_owned())
        .unwrap_or_default();

    let missing = ty
        .as_ref()
        .map(|ty| missing(&custom, ty, format, faults))
        .unwrap_or_default();
    let owner = custom
        .text("owner", faults)
        .map(|owner| owner.value.to_owned());
    let column = ty.map(|ty| Column {
        bounded: Bounded::default(),
        name: name.value.to_owned(),
        source_name: source.map_or(name.value, |source| source.value).to_owned(),
        ty,
        required,
        description,
        classification: classification.map(|class| class.value.to_owned()),
        protection,
        encoding: encoding.unwrap_or(Encoding::Natural),
        default: default.map(|default| default.value.to_owned()),
        missing,
    });
    let name = Spanned {
        value: name.value.to_owned(),
        at: name.at,
    };
    Some(Property {
        name,
        required,
        column,
        key,
        partition,
        unique,
        owner,
        node: Rc::clone(node),
        supplied,
    })
}

fn physical_name_fault(map: &Map<'_>, name: &str, faults: &mut Faults) {
    if let Some(physical) = map
        .text("physicalName", faults)
        .filter(|physical| physical.value != name)
    {
        faults.add(
            physical.at,
            format!(
                "physicalName '{}' differs from the column's name",
                physical.value
            ),
            "remove it; a name at the source belongs in the customProperty sourceName",
        );
    }
}

/// The text that replaces a missing value, which must fit the type.
fn default<'a>(
    custom: &Custom<'a>,
    ty: Option<&ColumnType>,
    faults: &mut Faults,
) -> Option<Spanned<&'a str>> {
    let default = custom.scalar("default", faults)?;
    if let Some(ty) = ty
        && let Err(help) = value::check(ty, default.value)
    {
        faults.add(
            default.at,
            format!(
                "default '{}' is not a value of the column's type {ty}",
                default.value
            ),
            help,
        );
    }
    Some(default)
}

fn classification<'a>(map: &Map<'a>, faults: &mut Faults) -> Option<Spanned<&'a str>> {
    let classification = map.text("classification", faults)?;
    if !CLASSIFICATIONS.contains(&classification.value) {
        faults.add(
            classification.at,
            format!("unknown classification '{}'", classification.value),
            format!("use one of {}", CLASSIFICATIONS.join(", ")),
        );
    }
    Some(classification)
}

/// Refuses names that SQL would need quotes for, and those of the system columns.
pub(super) fn name_fault(name: &str, what: &str, at: Place, faults: &mut Faults) {
    if name.starts_with('_') {
        faults.add(
            at,
            format!("{what} name '{name}' begins with '_'"),
            "such names are Tarn's own; choose one that begins with a letter",
        );
    } else if !is_name(name) {
        faults.add(
            at,
            format!("{what} name '{name}' is not lower_snake_case"),
            format!(
                "write '{}'; the name at the source can differ",
                crate::name::snake_case(name)
            ),
        );
    }
}

/// Lower-case letters, digits and underscores, beginning with a letter.
fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// Values that Tarn supplies: their type, and the format that has them.
fn supplied_fault(
    name: &Spanned<String>,
    ty: &ColumnType,
    format: Option<Format>,
    faults: &mut Faults,
) {
    let expected = match name.value.as_str() {
        "$arrivalTime" => ColumnType::Timestamp,
        "$latenessSeconds" => ColumnType::Long,
        other => {
            faults.add(
                name.at,
                format!("Tarn supplies no value '{other}'"),
                "use $arrivalTime or $latenessSeconds; other names at the source must not begin with '$'",
            );
            return;
        }
    };
    if *ty != expected {
        faults.add(
            name.at,
            format!("{} is of type {expected}, not {ty}", name.value),
            format!("write physicalType: {expected}"),
        );
    }
    if format.is_some_and(|format| format != Format::JsonLines) {
        faults.add(
            name.at,
            format!("{} is only known for events", name.value),
            "use it with sourceFormat jsonLines, or remove the column",
        );
    }
}

/// What a format does not allow in a column.
fn format_faults(
    name: &Spanned<&str>,
    ty: &ColumnType,
    format: Format,
    custom: &Custom<'_>,
    faults: &mut Faults,
) {
    if matches!(format, Format::Sqlite | Format::Csv) && *ty == ColumnType::StringList {
        faults.add(
            name.at,
            format!(
                "column '{}': format {} has no lists",
                name.value,
                format.as_str()
            ),
            "write physicalType: string",
        );
    }
    let Some(columns) = natural_columns(format) else {
        return;
    };
    match columns.iter().find(|column| column.name == name.value) {
        None => {
            let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
            let help = match nearest(name.value, names.iter().copied()) {
                Some(meant) => format!(
                    "did you mean '{meant}'? the columns are {}",
                    names.join(", ")
                ),
                None => format!("the columns are {}", names.join(", ")),
            };
            faults.add(
                name.at,
                format!("format {} has no column '{}'", format.as_str(), name.value),
                help,
            );
        }
        Some(column) if column.ty != *ty => faults.add(
            name.at,
            format!(
                "column '{}' of format {} is of type {}, not {ty}",
                name.value,
                format.as_str(),
                column.ty
            ),
            format!("write physicalType: {}", column.ty),
        ),
        Some(_) => {}
    }
    for property in ["sourceName", "encoding", "default"] {
        if let Some(at) = custom.place(property) {
            faults.add(
                at,
                format!("'{property}' has no effect on format {}, which names and types its columns itself", format.as_str()),
                "remove it",
            );
        }
    }
}

/// What happens to rows without a value.
fn missing(
    custom: &Custom<'_>,
    ty: &ColumnType,
    format: Option<Format>,
    faults: &mut Faults,
) -> MissingPolicy {
    let has_default = custom.place("default").is_some();
    let action = match custom.text("missing", faults) {
        None if has_default => MissingAction::Default,
        None => MissingAction::Keep,
        Some(text) => match text.value {
            "keep" => MissingAction::Keep,
            "default" => MissingAction::Default,
            "reject" => MissingAction::Reject,
            other => {
                faults.add(
                    text.at,
                    format!("unknown missing '{other}'"),
                    "use keep, default or reject",
                );
                MissingAction::Keep
            }
        },
    };
    if let Some(at) = custom.place("missing") {
        if action == MissingAction::Default && !has_default {
            faults.add(
                at,
                "missing: default without a default",
                "add { property: default, value: … }",
            );
        }
        if action != MissingAction::Default && has_default {
            faults.add(
                at,
                "the default would never be used",
                "write missing: default, or remove the customProperty default",
            );
        }
        if action == MissingAction::Default
            && let Some(format) = format.filter(|format| natural_columns(*format).is_some())
        {
            faults.add(
                at,
                format!("missing: default on format {}", format.as_str()),
                "use keep or reject",
            );
        }
    }
    let listed = custom.node("missingValues", faults);
    if let Some(node) = listed
        && *ty != ColumnType::String
    {
        faults.add(
            node.at,
            format!("missingValues on a {ty} column"),
            "remove it: only a text stands for a missing value",
        );
    }
    let values = match listed {
        Some(node) => Missing {
            texts: texts(node, "missingValues", faults)
                .into_iter()
                .map(|text| text.value)
                .collect(),
            ..Missing::default()
        },
        // A default without a list of texts is for nulls only.
        None if custom.place("missing").is_some() && *ty == ColumnType::String => Missing {
            blanks: true,
            usual: true,
            texts: Vec::new(),
        },
        None => Missing::nulls(),
    };
    if action == MissingAction::Keep
        && let Some(node) = listed
    {
        faults.add(
            node.at,
            "missingValues without missing",
            "add { property: missing, value: reject } or default",
        );
    }
    MissingPolicy { action, values }
}

/// Position in the primary key, whose columns must be there in every row.
fn key_position(
    map: &Map<'_>,
    required: bool,
    ty: Option<&ColumnType>,
    has_default: bool,
    faults: &mut Faults,
) -> Option<Spanned<u64>> {
    let position = match map.get("primaryKeyPosition") {
        Some(node) if node.number() == Some("-1") => None,
        Some(node) => match node
            .number()
            .and_then(|text| text.parse::<u64>().ok())
            .filter(|&value| value > 0)
        {
            Some(value) => Some(Spanned { value, at: node.at }),
            None => {
                faults.add(
                    node.at,
                    format!(
                        "primaryKeyPosition must be a number from 1, not {}",
                        node.shown()
                    ),
                    "number the key's columns 1, 2, …",
                );
                None
            }
        },
        None => None,
    };
    if !map.flag("primaryKey", faults) {
        if let Some(position) = position {
            faults.add(
                position.at,
                "primaryKeyPosition without primaryKey",
                "add primaryKey: true, or remove it",
            );
        }
        return None;
    }
    let at = map.get("primaryKey").map_or(map.at, |node| node.at);
    if !required {
        faults.add(
            at,
            "a primary key column must be required",
            "add required: true to the column",
        );
    }
    if let Some(ty @ (ColumnType::Double | ColumnType::StringList)) = ty {
        faults.add(
            at,
            format!("a {ty} column cannot be a primary key"),
            "use a string, integer, decimal, date or timestamp column",
        );
    }
    if has_default {
        faults.add(
            at,
            "a primary key column cannot have a default",
            "remove the customProperty default: rows would share one key",
        );
    }
    Some(position.unwrap_or(Spanned { value: 1, at }))
}

/// The partition unit where the column decides the partition.
fn partition(
    map: &Map<'_>,
    custom: &Custom<'_>,
    ty: Option<&ColumnType>,
    faults: &mut Faults,
) -> Option<Spanned<PartitionUnit>> {
    let unit = custom.text("partitionUnit", faults);
    if !map.flag("partitioned", faults) {
        if let Some(unit) = unit {
            faults.add(
                unit.at,
                "partitionUnit on a column that is not partitioned",
                "add partitioned: true to the column, or remove it",
            );
        }
        return None;
    }
    let at = map.get("partitioned").map_or(map.at, |node| node.at);
    if let Some(ty) = ty
        && !matches!(ty, ColumnType::Date | ColumnType::Timestamp)
    {
        faults.add(
            at,
            format!("a {ty} column cannot be a partition column"),
            "tables are partitioned by day or month: use a date or timestamp column",
        );
    }
    let value = match unit {
        None => PartitionUnit::Day,
        Some(unit) => match unit.value {
            "day" => PartitionUnit::Day,
            "month" => PartitionUnit::Month,
            other => {
                faults.add(
                    unit.at,
                    format!("unknown partitionUnit '{other}'"),
                    "use day or month",
                );
                PartitionUnit::Day
            }
        },
    };
    Some(Spanned { value, at })
}

/// The texts of a list of scalars; nulls are skipped.
pub(super) fn texts(node: &Node, what: &str, faults: &mut Faults) -> Vec<Spanned<String>> {
    let Value::List(items) = &node.value else {
        faults.add(
            node.at,
            format!("{what} must be a list, not {}", node.shown()),
            "write [a, b, c]",
        );
        return Vec::new();
    };
    let mut texts = Vec::new();
    for item in items.iter().filter(|item| !item.is_null()) {
        match item.scalar() {
            Some(text) => texts.push(Spanned {
                value: text.to_owned(),
                at: item.at,
            }),
            None => faults.add(
                item.at,
                format!("{what} must hold single values, not {}", item.shown()),
                "write [a, b, c]",
            ),
        }
    }
    texts
}

//! The `customProperties` of ODCS: what Tarn needs and the standard does not cover.

use super::yaml::{Faults, Map, Node, Place, Spanned};
use crate::diagnostic::nearest;

/// Those of a contract.
pub(super) const CONTRACT: &[&str] = &[
    "sourceFormat",
    "keyPattern",
    "deletedRows",
    "maximumDeletedShare",
    "snapshotTime",
    "logFormat",
    "delimiter",
    "charset",
    "schemaDrift",
    "deduplicateBy",
    "deduplicationWindowDays",
    "newestBy",
    "lateAfterSeconds",
    "rowsPerDay",
];

/// Those of a column.
pub(super) const COLUMN: &[&str] = &[
    "sourceName",
    "encoding",
    "default",
    "partitionUnit",
    "missing",
    "missingValues",
    "owner",
    "protection",
];

/// Those of a rule.
pub(super) const RULE: &[&str] = &["owner"];

/// Those of the table.
pub(super) const NONE: &[&str] = &[];

/// The properties of one element by name.
pub(super) struct Custom<'a> {
    values: Vec<(&'a str, Place, Option<&'a Node>)>,
}

impl<'a> Custom<'a> {
    /// Reads the list. Names with a dot belong to other tools and are left alone; any other name that
    /// Tarn does not know here is a fault, because it would silently do nothing.
    pub fn read(map: &Map<'a>, known: &[&str], faults: &mut Faults) -> Self {
        let mut values: Vec<(&str, Place, Option<&Node>)> = Vec::new();
        for node in map.list("customProperties", faults) {
            let Some(entry) = Map::of(node, "the custom property", faults) else {
                continue;
            };
            entry.only(&["id", "property", "value", "description"], faults);
            let Some(name) = entry.needed(
                "property",
                "name it, for example `property: keyPattern`",
                faults,
            ) else {
                continue;
            };
            if name.value.contains('.') {
                continue;
            }
            if !known.contains(&name.value) {
                faults.add(
                    name.at,
                    format!("unknown customProperty '{}'", name.value),
                    help(name.value, known),
                );
            } else if values.iter().any(|(other, ..)| *other == name.value) {
                faults.add(
                    name.at,
                    format!("customProperty '{}' is given twice", name.value),
                    "remove one of the two",
                );
            } else {
                values.push((name.value, entry.at, entry.get("value")));
            }
        }
        Custom { values }
    }

    /// Where the property is given.
    pub fn place(&self, name: &str) -> Option<Place> {
        self.values
            .iter()
            .find(|(other, ..)| *other == name)
            .map(|(_, at, _)| *at)
    }

    /// The node of a property; a fault where it is given without a value.
    pub fn node(&self, name: &str, faults: &mut Faults) -> Option<&'a Node> {
        let (_, at, value) = self.values.iter().find(|(other, ..)| *other == name)?;
        if value.is_none() {
            faults.add(
                *at,
                format!("customProperty '{name}' has no value"),
                "give it a value, or remove it",
            );
        }
        *value
    }

    /// The text of a property.
    pub fn text(&self, name: &str, faults: &mut Faults) -> Option<Spanned<&'a str>> {
        let node = self.node(name, faults)?;
        match node.string() {
            Some(value) => Some(Spanned { value, at: node.at }),
            None => {
                faults.add(
                    node.at,
                    format!("{name} must be a text, not {}", node.shown()),
                    "put it in quotes",
                );
                None
            }
        }
    }

    /// The spelling of a property that is a text, a number or a boolean.
    pub fn scalar(&self, name: &str, faults: &mut Faults) -> Option<Spanned<&'a str>> {
        let node = self.node(name, faults)?;
        match node.scalar() {
            Some(value) => Some(Spanned { value, at: node.at }),
            None => {
                faults.add(
                    node.at,
                    format!("{name} must be one value, not {}", node.shown()),
                    "write a single value",
                );
                None
            }
        }
    }

    /// A whole number within bounds.
    pub fn whole(
        &self,
        name: &str,
        least: u64,
        most: u64,
        faults: &mut Faults,
    ) -> Option<Spanned<u64>> {
        let node = self.node(name, faults)?;
        match node
            .number()
            .and_then(|text| text.parse().ok())
            .filter(|value| (least..=most).contains(value))
        {
            Some(value) => Some(Spanned { value, at: node.at }),
            None => {
                faults.add(
                    node.at,
                    format!("{name} cannot be {}", node.shown()),
                    format!("write a whole number from {least} to {most}"),
                );
                None
            }
        }
    }

    /// A share, from 0 to 1.
    pub fn share(&self, name: &str, faults: &mut Faults) -> Option<Spanned<f64>> {
        let node = self.node(name, faults)?;
        match node
            .number()
            .and_then(|text| text.parse().ok())
            .filter(|value| (0.0..=1.0).contains(value))
        {
            Some(value) => Some(Spanned { value, at: node.at }),
            None => {
                faults.add(
                    node.at,
                    format!("{name} cannot be {}", node.shown()),
                    "write a share from 0 to 1, for example 0.5",
                );
                None
            }
        }
    }
}

/// What was probably meant, also where it belongs elsewhere.
fn help(name: &str, known: &[&str]) -> String {
    let other_tools = "a property of another tool needs a name with a dot, for example acme.owner";
    if let Some(meant) = nearest(name, known.iter().copied()) {
        return format!("did you mean '{meant}'?");
    }
    if CONTRACT.contains(&name) {
        return "it belongs into the customProperties of the contract itself".to_owned();
    }
    if COLUMN.contains(&name) {
        return "it belongs into the customProperties of a column".to_owned();
    }
    if known.is_empty() {
        return format!("Tarn has none here; {other_tools}");
    }
    format!("Tarn knows {}; {other_tools}", known.join(", "))
}

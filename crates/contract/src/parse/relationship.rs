//! Relationships: which columns name rows of other datasets. ODCS has more spellings than are read here;
//! a relationship in another one is for people, as is everything that no rule asks for.

use super::column::Property;
use super::yaml::{Map, Node, Value};
use crate::{ColumnRef, Relationship};

/// The relationships of the columns in their order, then those of the table.
pub(super) fn of_contract(object: &Map<'_>, properties: &[Property]) -> Vec<Relationship> {
    let mut found = Vec::new();
    for property in properties {
        for entry in entries(property.node.get("relationships")) {
            let to = entry.get("to").and_then(column_ref);
            found.extend(to.map(|to| Relationship {
                column: property.name.value.clone(),
                to,
            }));
        }
    }
    for entry in entries(object.get("relationships")) {
        let (from, to) = (names(entry.get("from")), names(entry.get("to")));
        for (from, to) in from.into_iter().zip(to) {
            // The dataset before its own column adds nothing.
            let column = from.rsplit('.').next().unwrap_or(from).to_owned();
            found.extend(parsed(to).map(|to| Relationship { column, to }));
        }
    }
    found
}

fn entries(list: Option<&Node>) -> impl Iterator<Item = &Node> {
    let items = match list.map(|node| &node.value) {
        Some(Value::List(items)) => items.as_slice(),
        _ => &[],
    };
    items.iter().map(|item| &**item)
}

/// One name, or a list of them.
fn names(node: Option<&Node>) -> Vec<&str> {
    match node {
        Some(node) if node.string().is_some() => node.string().into_iter().collect(),
        node => entries(node).filter_map(Node::string).collect(),
    }
}

fn column_ref(node: &Node) -> Option<ColumnRef> {
    parsed(node.string()?)
}

/// `dataset.column`.
fn parsed(text: &str) -> Option<ColumnRef> {
    let (dataset, column) = text.split_once('.')?;
    let is_name = |part: &str| !part.is_empty() && !part.contains(['.', '/']);
    (is_name(dataset) && is_name(column)).then(|| ColumnRef {
        dataset: dataset.to_owned(),
        column: column.to_owned(),
    })
}

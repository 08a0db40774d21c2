//! A contract as a tree in which every part has a name, so that parts that only moved are the same.

use std::collections::{BTreeMap, BTreeSet};

use crate::parse::{Node, Value};

/// A part of a contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tree {
    Leaf(String),
    Map(BTreeMap<String, Tree>),
}

impl Tree {
    pub fn empty() -> Self {
        Tree::Map(BTreeMap::new())
    }

    pub fn of(node: &Node) -> Self {
        Self::named(node, "")
    }

    /// `key` is the node's own key: it decides what identifies the parts of a list.
    fn named(node: &Node, key: &str) -> Self {
        match &node.value {
            Value::Scalar { .. } => Tree::Leaf(node.scalar().unwrap_or_default().to_owned()),
            Value::Map(entries) => Tree::Map(
                entries
                    .iter()
                    // An absent list and an empty one mean the same.
                    .filter(|entry| !entry.value.is_null())
                    .map(|entry| (entry.key.clone(), Self::named(&entry.value, &entry.key)))
                    .collect(),
            ),
            Value::List(items) if key.ends_with("Between") => {
                let bounds: Vec<&str> = items.iter().filter_map(|item| item.scalar()).collect();
                Tree::Leaf(format!("[{}]", bounds.join(", ")))
            }
            Value::List(items) => {
                let mut parts = BTreeMap::new();
                for item in items {
                    let part = Self::named(item, "");
                    let (name, part) = match part {
                        Tree::Leaf(text) => (text, Tree::Leaf(String::new())),
                        part => (part.name(key), part),
                    };
                    let mut unique = name.clone();
                    let mut number = 1;
                    while parts.contains_key(&unique) {
                        number += 1;
                        unique = format!("{name}#{number}");
                    }
                    parts.insert(unique, part);
                }
                Tree::Map(parts)
            }
        }
    }

    /// What distinguishes an item of the list `key`.
    fn name(&self, key: &str) -> String {
        let names: &[&str] = match key {
            "customProperties" | "slaProperties" => &["property"],
            "relationships" => &["to", "id"],
            "quality" => &["id", "name", "metric", "type"],
            _ => &["id", "name", "property", "url"],
        };
        // A column may get an id later, so its name identifies it.
        let names: &[&str] = match key {
            "schema" | "properties" => &["name"],
            _ => names,
        };
        names
            .iter()
            .find_map(|name| self.text(name))
            .unwrap_or("unnamed")
            .to_owned()
    }

    pub fn leaf(&self) -> Option<&str> {
        match self {
            Tree::Leaf(text) => Some(text),
            Tree::Map(_) => None,
        }
    }

    /// The text of a part.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.at(&[name])?.leaf()
    }

    /// The part at a path.
    pub fn at(&self, path: &[&str]) -> Option<&Tree> {
        path.iter().try_fold(self, |tree, name| match tree {
            Tree::Map(parts) => parts.get(*name),
            Tree::Leaf(_) => None,
        })
    }
}

/// A part that was added, removed or, where it has no parts of its own, changed.
#[derive(Debug)]
pub(super) struct Edit<'a> {
    pub path: Vec<String>,
    pub old: Option<&'a Tree>,
    pub new: Option<&'a Tree>,
}

impl Edit<'_> {
    pub fn is_addition(&self) -> bool {
        self.old.is_none()
    }

    pub fn is_removal(&self) -> bool {
        self.new.is_none()
    }
}

/// The edits that lead from one tree to another, in the order of their paths. A part that was added or
/// removed is one edit, whatever it holds.
pub(super) fn edits<'a>(old: &'a Tree, new: &'a Tree) -> Vec<Edit<'a>> {
    let mut found = Vec::new();
    compare(&mut Vec::new(), Some(old), Some(new), &mut found);
    found
}

fn compare<'a>(
    path: &mut Vec<String>,
    old: Option<&'a Tree>,
    new: Option<&'a Tree>,
    found: &mut Vec<Edit<'a>>,
) {
    if old == new {
        return;
    }
    // A new list of rules or columns counts as one addition per part.
    let empty = |tree: Option<&'a Tree>| match tree {
        Some(Tree::Map(parts)) => Some(parts),
        _ => None,
    };
    let is_list = path.last().is_some_and(|key| LISTS.contains(&key.as_str()));
    let (names, split): (BTreeSet<&String>, bool) = match (empty(old), empty(new)) {
        (Some(old), Some(new)) => (old.keys().chain(new.keys()).collect(), true),
        (Some(parts), None) if new.is_none() && is_list => (parts.keys().collect(), true),
        (None, Some(parts)) if old.is_none() && is_list => (parts.keys().collect(), true),
        _ => (BTreeSet::new(), false),
    };
    if !split {
        found.push(Edit {
            path: path.clone(),
            old,
            new,
        });
        return;
    }
    for name in names {
        path.push(name.clone());
        let part = |tree: Option<&'a Tree>| tree.and_then(|tree| tree.at(&[name.as_str()]));
        compare(path, part(old), part(new), found);
        path.pop();
    }
}

/// Keys of lists whose items have names.
const LISTS: [&str; 8] = [
    "schema",
    "properties",
    "quality",
    "relationships",
    "customProperties",
    "slaProperties",
    "logicalTypeOptions",
    "validValues",
];

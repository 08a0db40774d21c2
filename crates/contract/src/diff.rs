//! What changed between two versions of a contract, and what it breaks.
//!
//! A contract permits a set of rows. A change that permits fewer of them tightens it: what a source sends
//! may be rejected now. A change that permits more loosens it: readers of the table may find values that
//! were ruled out before. The model is that of `datacontract breaking`, against which it is tested; in
//! addition this one knows Tarn's custom properties.

mod tree;

use std::cmp::Ordering;
use std::fmt;

use serde::Serialize;

use self::tree::{Edit, Tree};
use super::Diagnostic;
use super::parse::{COMPARISONS, document, parse_str};

/// How a change moves the set of rows that a contract permits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Fewer rows are permitted.
    Tightens,
    /// More rows are permitted.
    Loosens,
    /// Some rows are no longer permitted, and some are newly permitted.
    Both,
    /// The contracts alone do not show it.
    Undetermined,
    /// The same rows are permitted.
    Neither,
}

/// Who relies on a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Party {
    /// People and programs that read the table and rely on its guarantees.
    Consumers,
    /// People and programs that send the data and rely on its being accepted.
    Producers,
}

/// What a change means for a party.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Impact {
    /// There is nothing to do.
    Compatible,
    /// Someone should check it.
    Review,
    /// It breaks what the party relies on.
    Breaking,
}

impl Impact {
    /// The name as printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Impact::Compatible => "compatible",
            Impact::Review => "review",
            Impact::Breaking => "breaking",
        }
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Where, for example `schema.orders.properties.total.required`.
    pub path: String,
    /// What it said before; None where it is new or has parts.
    pub old: Option<String>,
    /// What it says now; None if it was removed or has parts.
    pub new: Option<String>,
    /// How it moves what is permitted.
    pub direction: Direction,
    /// For people.
    pub message: String,
}

impl Change {
    /// What the change means for a party.
    pub fn impact(&self, party: Party) -> Impact {
        match (self.direction, party) {
            (Direction::Both, _)
            | (Direction::Tightens, Party::Producers)
            | (Direction::Loosens, Party::Consumers) => Impact::Breaking,
            (Direction::Undetermined, _) => Impact::Review,
            _ => Impact::Compatible,
        }
    }
}

/// The changes from one version of a contract to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// The dataset, by its new name.
    pub dataset: String,
    /// The version before.
    pub old_version: String,
    /// The version now.
    pub new_version: String,
    /// In the order of their paths.
    pub changes: Vec<Change>,
}

impl Diff {
    /// The gravest impact on a party.
    pub fn impact(&self, party: Party) -> Impact {
        self.changes
            .iter()
            .map(|change| change.impact(party))
            .max()
            .unwrap_or(Impact::Compatible)
    }

    /// Whether the first number of the version was raised.
    pub fn is_major(&self) -> bool {
        match (major(&self.old_version), major(&self.new_version)) {
            (Some(old), Some(new)) => new > old,
            _ => false,
        }
    }

    /// Whether a breaking change for the party comes without a new major version.
    pub fn lacks_major(&self, party: Party) -> bool {
        self.impact(party) == Impact::Breaking && !self.is_major()
    }

    /// The version that a breaking change needs.
    pub fn next_major(&self) -> String {
        match major(&self.old_version) {
            Some(number) => format!("{}.0.0", number.saturating_add(1)),
            None => "2.0.0".to_owned(),
        }
    }
}

fn major(version: &str) -> Option<u64> {
    version
        .trim_start_matches('v')
        .split('.')
        .next()
        .and_then(|number| number.parse().ok())
}

/// The dataset of a contract, and its version. The rest of it may have faults: a contract that an earlier
/// version of Tarn accepted may be wrong for this one.
///
/// # Errors Where it is not YAML, or names neither.
pub fn outline(file: &str, text: &str) -> Result<(String, String), Vec<Diagnostic>> {
    outline_of(file, &Tree::of(&*document(file, text)?))
}

fn outline_of(file: &str, tree: &Tree) -> Result<(String, String), Vec<Diagnostic>> {
    let dataset = match tree.at(&["schema"]) {
        Some(Tree::Map(objects)) => objects.keys().next().cloned(),
        _ => None,
    };
    match (dataset, tree.text("version")) {
        (Some(dataset), Some(version)) => Ok((dataset, version.to_owned())),
        (dataset, _) => {
            let (what, help) = match dataset {
                None => ("a schema", "name its dataset under schema"),
                Some(_) => ("a version", "write version: 1.0.0"),
            };
            Err(vec![Diagnostic {
                file: file.to_owned(),
                line: 0,
                column: 0,
                message: format!("the contract lacks {what}"),
                help: help.to_owned(),
            }])
        }
    }
}

/// Compares two contracts, each given by the name of its file and its text.
///
/// # Errors
/// The faults of the new one; of the old one those that [`outline`] finds.
pub fn diff(old: (&str, &str), new: (&str, &str)) -> Result<Diff, Vec<Diagnostic>> {
    let (old_tree, new_tree) = (
        Tree::of(&*document(old.0, old.1)?),
        Tree::of(&*document(new.0, new.1)?),
    );
    let (_, old_version) = outline_of(old.0, &old_tree)?;
    let after = parse_str(new.0, new.1)?;
    let changes = tree::edits(&old_tree, &new_tree)
        .into_iter()
        .filter(|edit| edit.path != ["version"])
        .map(|edit| change(&edit, &old_tree, &new_tree))
        .collect();
    Ok(Diff {
        dataset: after.dataset,
        old_version,
        new_version: after.version,
        changes,
    })
}

fn change(edit: &Edit<'_>, old: &Tree, new: &Tree) -> Change {
    let path = edit.path.join(".");
    let (before, after) = (edit.old.and_then(Tree::leaf), edit.new.and_then(Tree::leaf));
    let message = match (edit.old, edit.new) {
        (None, _) => match after {
            Some(after) if !after.is_empty() => format!("{path} added: {after}"),
            _ => format!("{path} added"),
        },
        (_, None) => match before {
            Some(before) if !before.is_empty() => format!("{path} removed, was {before}"),
            _ => format!("{path} removed"),
        },
        _ => format!(
            "{path} changed from {} to {}",
            before.unwrap_or("a list"),
            after.unwrap_or("a list")
        ),
    };
    Change {
        direction: direction(edit, old, new),
        old: before.map(str::to_owned),
        new: after.map(str::to_owned),
        path,
        message,
    }
}

fn direction(edit: &Edit<'_>, old: &Tree, new: &Tree) -> Direction {
    let path: Vec<&str> = edit.path.iter().map(String::as_str).collect();
    let added_or_removed = if edit.is_addition() {
        Direction::Tightens
    } else if edit.is_removal() {
        Direction::Loosens
    } else {
        Direction::Both
    };
    match path.as_slice() {
        ["schema", _] => added_or_removed,
        ["schema", _, "physicalName"] => Direction::Both,
        ["schema", _, "relationships", ..]
        | ["schema", _, "properties", _, "relationships", _]
        | [
            "schema",
            _,
            "properties",
            _,
            "relationships",
            _,
            "to" | "from",
        ] => added_or_removed,
        ["schema", _, "quality", name, field @ ..] => {
            let rules = (
                old.at(&path[..3])
                    .and_then(|rules| rules.at(std::slice::from_ref(name))),
                new.at(&path[..3])
                    .and_then(|rules| rules.at(std::slice::from_ref(name))),
            );
            of_rule(edit, field, rules)
        }
        ["schema", _, "properties", _, "quality", name, field @ ..] => {
            let rules = (
                old.at(&path[..5])
                    .and_then(|rules| rules.at(std::slice::from_ref(name))),
                new.at(&path[..5])
                    .and_then(|rules| rules.at(std::slice::from_ref(name))),
            );
            of_rule(edit, field, rules)
        }
        // A new optional column takes nothing from anybody: rows without it are accepted.
        ["schema", _, "properties", _] if edit.is_addition() => {
            if edit
                .new
                .and_then(|column| column.text("required"))
                .is_some_and(is_true)
            {
                Direction::Tightens
            } else {
                Direction::Neither
            }
        }
        ["schema", _, "properties", _] => added_or_removed,
        ["schema", _, "properties", _, field @ ..] => {
            let column = (old.at(&path[..4]), new.at(&path[..4]));
            of_column(edit, field, column)
        }
        ["slaProperties", _, ..] => of_service_level(edit, &path, old, new),
        ["name"] => Direction::Both,
        ["customProperties", name, ..] => of_custom(name),
        _ => Direction::Neither,
    }
}

fn of_column(
    edit: &Edit<'_>,
    field: &[&str],
    (old, new): (Option<&Tree>, Option<&Tree>),
) -> Direction {
    match field {
        ["logicalType" | "physicalType" | "physicalName"] => Direction::Both,
        ["required" | "unique"] => flag(edit),
        ["primaryKey"] => Direction::Both,
        ["primaryKeyPosition"] => Direction::Neither,
        // A table keeps the partitions that it was made with.
        ["partitioned"] => Direction::Undetermined,
        ["logicalTypeOptions", "pattern"] if !edit.is_addition() && !edit.is_removal() => {
            Direction::Undetermined
        }
        ["logicalTypeOptions", ..] => {
            let of = |column: Option<&Tree>| {
                column
                    .and_then(|column| column.at(&["logicalTypeOptions"]))
                    .cloned()
                    .unwrap_or_else(Tree::empty)
            };
            of_options(edit, field.get(1).copied(), &of(old), &of(new))
        }
        ["customProperties", name, ..] => of_custom(name),
        _ => Direction::Neither,
    }
}

fn flag(edit: &Edit<'_>) -> Direction {
    let of = |tree: Option<&Tree>| tree.and_then(Tree::leaf).is_some_and(is_true);
    match (of(edit.old), of(edit.new)) {
        (false, true) => Direction::Tightens,
        (true, false) => Direction::Loosens,
        _ => Direction::Neither,
    }
}

fn is_true(text: &str) -> bool {
    text.eq_ignore_ascii_case("true")
}

/// The options of a column as a whole were added or removed, or one of them changed.
fn of_options(edit: &Edit<'_>, option: Option<&str>, old: &Tree, new: &Tree) -> Direction {
    const LOW: [&str; 2] = ["minimum", "exclusiveMinimum"];
    const HIGH: [&str; 2] = ["maximum", "exclusiveMaximum"];
    let Some(option) = option else {
        return if edit.is_addition() {
            Direction::Tightens
        } else {
            Direction::Loosens
        };
    };
    let pair = match option {
        "minimum" | "exclusiveMinimum" => Some((LOW, false)),
        "maximum" | "exclusiveMaximum" => Some((HIGH, true)),
        _ => None,
    };
    if let Some((names, is_upper)) = pair {
        // An inclusive bound may replace an exclusive one: the comparison is of what they accept.
        let bound = |tree: &Tree| {
            names.iter().find_map(|name| {
                let text = tree.text(name)?.to_owned();
                Some((text, name.starts_with("exclusive")))
            })
        };
        return match (bound(old), bound(new)) {
            (None, _) => Direction::Tightens,
            (_, None) => Direction::Loosens,
            (Some((old, was_exclusive)), Some((new, is_exclusive))) => {
                let (Some(old), Some(new)) = (number(&old), number(&new)) else {
                    return Direction::Undetermined;
                };
                let sign = if is_upper { -1.0 } else { 1.0 };
                match (sign * new, is_exclusive).partial_cmp(&(sign * old, was_exclusive)) {
                    Some(Ordering::Greater) => Direction::Tightens,
                    Some(Ordering::Less) => Direction::Loosens,
                    _ => Direction::Neither,
                }
            }
        };
    }
    if edit.is_addition() {
        return Direction::Tightens;
    }
    if edit.is_removal() {
        return Direction::Loosens;
    }
    let numbers = (
        old.text(option).and_then(number),
        new.text(option).and_then(number),
    );
    match (option, numbers) {
        (_, (Some(old), Some(new))) if old == new => Direction::Neither,
        ("minLength" | "minItems", (Some(old), Some(new))) if new > old => Direction::Tightens,
        ("minLength" | "minItems", (Some(_), Some(_))) => Direction::Loosens,
        ("maxLength" | "maxItems", (Some(old), Some(new))) if new < old => Direction::Tightens,
        ("maxLength" | "maxItems", (Some(_), Some(_))) => Direction::Loosens,
        _ => Direction::Undetermined,
    }
}

/// Properties that only Tarn knows: they change what a table contains, which the standard does not cover.
fn of_custom(name: &str) -> Direction {
    match name {
        "protection" | "deletedRows" | "deduplicateBy" | "newestBy" | "sourceFormat"
        | "keyPattern" => Direction::Both,
        // Of the source alone: the table's values stay what they are.
        "sourceName" | "encoding" | "logFormat" | "delimiter" | "charset" => Direction::Tightens,
        // What a run does with a snapshot, not which rows there may be.
        "lateAfterSeconds" | "schemaDrift" | "maximumDeletedShare" | "snapshotTime" => {
            Direction::Neither
        }
        name if name.contains('.') => Direction::Neither,
        _ => Direction::Undetermined,
    }
}

/// A rule of a quality list.
fn of_rule(
    edit: &Edit<'_>,
    field: &[&str],
    (old, new): (Option<&Tree>, Option<&Tree>),
) -> Direction {
    let guarantees = |rule: Option<&Tree>| rule.is_some_and(is_guarantee);
    let (was, is) = (guarantees(old), guarantees(new));
    match (was, is) {
        (false, false) => return Direction::Neither,
        (false, true) => return Direction::Tightens,
        (true, false) => return Direction::Loosens,
        (true, true) => {}
    }
    let (Some(old), Some(new)) = (old, new) else {
        return Direction::Undetermined;
    };
    match field {
        [name] if COMPARISONS.contains(name) => between(&Threshold::of(old), &Threshold::of(new)),
        ["arguments", "validValues", _] => counted(new, !edit.is_addition()),
        ["arguments", "missingValues", _] => counted(new, edit.is_addition()),
        ["unit"] | ["arguments", ..] | ["metric" | "query" | "implementation" | "engine", ..] => {
            Direction::Undetermined
        }
        _ => Direction::Neither,
    }
}

/// A rule that is in words, or that only warns, guarantees nothing.
fn is_guarantee(rule: &Tree) -> bool {
    rule.text("type") != Some("text")
        && !matches!(rule.text("severity"), Some("warn" | "warning" | "info"))
}

/// The comparison of a rule, as far as its numbers could be read.
struct Threshold {
    name: &'static str,
    bounds: Vec<f64>,
}

impl Threshold {
    fn of(rule: &Tree) -> Option<Threshold> {
        COMPARISONS.iter().find_map(|&name| {
            let bounds = rule
                .text(name)?
                .trim_matches(['[', ']'])
                .split(',')
                .map(|part| number(part.trim()))
                .collect::<Option<Vec<f64>>>()?;
            let wanted = 1 + usize::from(name.ends_with("Between"));
            (bounds.len() == wanted).then_some(Threshold { name, bounds })
        })
    }

    fn holds(&self, value: f64) -> bool {
        let first = self.bounds.first().copied().unwrap_or_default();
        let last = self.bounds.last().copied().unwrap_or_default();
        match self.name {
            "mustBe" => value == first,
            "mustNotBe" => value != first,
            "mustBeGreaterThan" => value > first,
            "mustBeGreaterOrEqualTo" => value >= first,
            "mustBeLessThan" => value < first,
            "mustBeLessOrEqualTo" => value <= first,
            "mustBeBetween" => (first..=last).contains(&value),
            _ => !(first..=last).contains(&value),
        }
    }
}

/// Values at which comparisons with these bounds may change their answer: the bounds, what lies
/// between them and what lies beyond.
fn probes(bounds: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut bounds: Vec<f64> = bounds.collect();
    bounds.sort_by(f64::total_cmp);
    bounds.dedup();
    let between: Vec<f64> = bounds
        .windows(2)
        .map(|pair| f64::midpoint(pair[0], pair[1]))
        .collect();
    let ends = bounds.first().map(|low| low - 1.0);
    let ends = ends
        .into_iter()
        .chain(bounds.last().map(|high| high + 1.0))
        .collect::<Vec<f64>>();
    bounds.into_iter().chain(between).chain(ends).collect()
}

fn between(old: &Option<Threshold>, new: &Option<Threshold>) -> Direction {
    let (Some(old), Some(new)) = (old, new) else {
        return Direction::Undetermined;
    };
    let probes = probes(old.bounds.iter().chain(&new.bounds).copied());
    let loosens = probes
        .iter()
        .any(|&probe| new.holds(probe) && !old.holds(probe));
    let tightens = probes
        .iter()
        .any(|&probe| old.holds(probe) && !new.holds(probe));
    match (tightens, loosens) {
        (true, true) => Direction::Both,
        (true, false) => Direction::Tightens,
        (false, true) => Direction::Loosens,
        (false, false) => Direction::Neither,
    }
}

/// A rule counts more rows than before, or fewer.
fn counted(rule: &Tree, more: bool) -> Direction {
    let Some(threshold) = Threshold::of(rule) else {
        return Direction::Undetermined;
    };
    let probes = probes(std::iter::once(0.0).chain(threshold.bounds.iter().copied()));
    let mut probes: Vec<f64> = probes.into_iter().filter(|&probe| probe >= 0.0).collect();
    probes.sort_by(f64::total_cmp);
    let accepted: Vec<bool> = probes.iter().map(|&probe| threshold.holds(probe)).collect();
    let falls = accepted.windows(2).all(|pair| pair[0] >= pair[1]);
    let rises = accepted.windows(2).all(|pair| pair[0] <= pair[1]);
    match (falls, rises) {
        (true, true) => Direction::Neither,
        (true, false) if more => Direction::Tightens,
        (true, false) => Direction::Loosens,
        (false, true) if more => Direction::Loosens,
        (false, true) => Direction::Tightens,
        (false, false) => Direction::Both,
    }
}

/// Service levels: how fresh the data is, how long it is kept.
fn of_service_level(edit: &Edit<'_>, path: &[&str], old: &Tree, new: &Tree) -> Direction {
    let (Some(name), element) = (path.get(1), &path[..path.len().min(2)]) else {
        return Direction::Neither;
    };
    let longer_is_stronger = matches!(*name, "retention" | "availability" | "throughput");
    match (old.at(element), new.at(element), path.get(2)) {
        _ if path.len() == 2 && edit.is_addition() => Direction::Tightens,
        _ if path.len() == 2 && edit.is_removal() => Direction::Loosens,
        (Some(old), Some(new), Some(&"value")) if old.text("unit") == new.text("unit") => {
            let of = |level: &Tree| level.text("value").and_then(number);
            match (of(old), of(new)) {
                (Some(old), Some(new)) if (new < old) == longer_is_stronger => Direction::Loosens,
                (Some(_), Some(_)) => Direction::Tightens,
                _ => Direction::Undetermined,
            }
        }
        (_, _, Some(&("value" | "unit" | "element"))) => Direction::Undetermined,
        _ => Direction::Neither,
    }
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

#[cfg(test)]
mod tests;

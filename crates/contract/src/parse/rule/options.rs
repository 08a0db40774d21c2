//! `logicalTypeOptions`: rules of severity reject.

use super::super::value as values;
use super::super::yaml::{Entry, Faults, Map, Node, Place};
use super::{Rules, Subject, value};
use crate::diagnostic::nearest;
use crate::kinds::{RuleKind, Spelling};
use crate::{Bound, RowCheck, TextFormat, ValueCheck};
use tarn_core::schema::ColumnType;

const OPTIONS: [&str; 9] = [
    "pattern",
    "format",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
];

/// Limits of a column that are compared with one another.
#[derive(Default)]
struct Limits {
    minimum: Option<Bound>,
    maximum: Option<(Bound, Place)>,
    shortest: Option<u64>,
    longest: Option<(u64, Place)>,
}

impl Rules<'_, '_> {
    pub(super) fn options(&mut self, node: &Node, subject: Subject<'_>) {
        let Some(map) = Map::of(node, "logicalTypeOptions", self.faults) else {
            return;
        };
        let mut limits = Limits::default();
        for entry in map.entries {
            let option = RuleKind::parse(&entry.key)
                .filter(|kind| kind.definition().spelling == Spelling::Option);
            let Some(kind) = option else {
                other_option(entry, subject.ty, self.faults);
                continue;
            };
            if let Some((check, text)) = limits.check(kind, &entry.value, subject.ty, self.faults) {
                self.strict(kind, subject, RowCheck::Value(check), &text);
            }
        }
        limits.compare(self.faults);
    }
}

impl Limits {
    /// What an option asks, and for people.
    fn check(
        &mut self,
        kind: RuleKind,
        node: &Node,
        ty: &ColumnType,
        faults: &mut Faults,
    ) -> Option<Checked> {
        match kind {
            RuleKind::Pattern => {
                let text = node.text(kind.name(), faults)?;
                let regex = value::regex(&text, ty, faults)?;
                let shown = format!("matches {}", text.value);
                Some((ValueCheck::Pattern(regex), shown))
            }
            RuleKind::Format => format(node, ty, faults),
            RuleKind::MinLength => {
                let length = length(kind, node, ty, faults)?;
                self.shortest = Some(length);
                let text = format!("has at least {length} characters");
                Some((ValueCheck::MinLength(length), text))
            }
            RuleKind::MaxLength => {
                let length = length(kind, node, ty, faults)?;
                self.longest = Some((length, node.at));
                let text = format!("has at most {length} characters");
                Some((ValueCheck::MaxLength(length), text))
            }
            _ => {
                let (bound, text) = bound(kind, node, ty, faults)?;
                match kind {
                    RuleKind::Minimum => self.minimum = Some(bound),
                    RuleKind::Maximum => self.maximum = Some((bound, node.at)),
                    _ => {}
                }
                of_bound(kind, bound, text).or_else(|| {
                    faults.add(
                        node.at,
                        format!("multipleOf cannot be '{text}'"),
                        "write a number greater than 0, of a column of whole numbers or decimals",
                    );
                    None
                })
            }
        }
    }

    fn compare(self, faults: &mut Faults) {
        if let (Some(least), Some((most, at))) = (self.minimum, self.maximum)
            && exceeds(least, most)
        {
            faults.add(at, "maximum is less than minimum", "exchange the two");
        }
        if let (Some(shortest), Some((longest, at))) = (self.shortest, self.longest)
            && shortest > longest
        {
            faults.add(at, "maxLength is less than minLength", "exchange the two");
        }
    }
}

/// Options that describe a type and state no rule, and those that Tarn does not know.
fn other_option(entry: &Entry, ty: &ColumnType, faults: &mut Faults) {
    let node = &entry.value;
    match entry.key.as_str() {
        "timezone" if *ty == ColumnType::Timestamp => {
            if node.boolean() != Some(true) {
                faults.add(
                    node.at,
                    "timestamps without a time zone are not supported",
                    "write timezone: true; values without an offset are read as UTC",
                );
            }
        }
        "defaultTimezone" if *ty == ColumnType::Timestamp => {
            let zone = node.scalar().unwrap_or_default();
            if !matches!(zone, "UTC" | "Etc/UTC" | "Z") {
                faults.add(
                    node.at,
                    format!("the default time zone cannot be {}", node.shown()),
                    "write defaultTimezone: UTC",
                );
            }
        }
        other => {
            let help = match nearest(other, OPTIONS) {
                Some(name) => format!("did you mean '{name}'?"),
                None => format!("remove it; Tarn checks {}", OPTIONS.join(", ")),
            };
            faults.add(
                entry.at,
                format!("Tarn does not check the logicalTypeOption '{other}'"),
                help,
            );
        }
    }
}

type Checked = (ValueCheck, String);

fn format(node: &Node, ty: &ColumnType, faults: &mut Faults) -> Option<Checked> {
    // Dates and times have a type of their own, and ODCS gives them another kind of format.
    let known = ["uuid", "email", "uri", "ipv4", "ipv6"];
    if *ty != ColumnType::String {
        faults.add(
            node.at,
            format!("a format on a {ty} column"),
            "remove it: only text has a format",
        );
        return None;
    }
    let name = node.scalar().unwrap_or_default();
    let found = TextFormat::ALL
        .into_iter()
        .find(|(known_name, _)| *known_name == name && known.contains(known_name));
    let Some((_, format)) = found else {
        let help = match nearest(name, known) {
            Some(meant) => format!("did you mean '{meant}'?"),
            None => format!("use one of {}", known.join(", ")),
        };
        faults.add(node.at, format!("unknown format {}", node.shown()), help);
        return None;
    };
    Some((
        ValueCheck::Format(format),
        format!("has the form of {name}"),
    ))
}

fn length(kind: RuleKind, node: &Node, ty: &ColumnType, faults: &mut Faults) -> Option<u64> {
    if *ty != ColumnType::String {
        faults.add(
            node.at,
            format!("{} on a {ty} column", kind.name()),
            "remove it: only text has a length",
        );
        return None;
    }
    let length = node.number().and_then(|text| text.parse::<u64>().ok());
    if length.is_none() {
        faults.add(
            node.at,
            format!("{} cannot be {}", kind.name(), node.shown()),
            "write a whole number from 0",
        );
    }
    length
}

fn bound<'a>(
    kind: RuleKind,
    node: &'a Node,
    ty: &ColumnType,
    faults: &mut Faults,
) -> Option<(Bound, &'a str)> {
    let Some(text) = node.scalar() else {
        faults.add(
            node.at,
            format!("{} cannot be {}", kind.name(), node.shown()),
            "write a number",
        );
        return None;
    };
    match values::bound(ty, text) {
        Ok(bound) => Some((bound, text)),
        Err(help) => {
            faults.add(
                node.at,
                format!(
                    "{} '{text}' does not go with the column's type {ty}",
                    kind.name()
                ),
                help,
            );
            None
        }
    }
}

/// None where the bound is not a number that has multiples.
fn of_bound(kind: RuleKind, bound: Bound, text: &str) -> Option<Checked> {
    Some(match kind {
        RuleKind::Minimum => (ValueCheck::Minimum(bound), format!("is at least {text}")),
        RuleKind::Maximum => (ValueCheck::Maximum(bound), format!("is at most {text}")),
        RuleKind::ExclusiveMinimum => (
            ValueCheck::ExclusiveMinimum(bound),
            format!("is greater than {text}"),
        ),
        RuleKind::ExclusiveMaximum => (
            ValueCheck::ExclusiveMaximum(bound),
            format!("is less than {text}"),
        ),
        _ => match bound {
            Bound::Integer(unit) if unit > 0 => (
                ValueCheck::MultipleOf(unit),
                format!("is a multiple of {text}"),
            ),
            _ => return None,
        },
    })
}

fn exceeds(least: Bound, most: Bound) -> bool {
    match (least, most) {
        (Bound::Integer(least), Bound::Integer(most)) => least > most,
        (Bound::Double(least), Bound::Double(most)) => least > most,
        _ => false,
    }
}

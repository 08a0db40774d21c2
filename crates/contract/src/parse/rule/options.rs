//! `logicalTypeOptions`: rules of severity reject.

use super::super::value as values;
use super::super::yaml::{Faults, Map, Node};
use super::{Rules, Subject, value};
use crate::diagnostic::nearest;
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

impl Rules<'_> {
    pub(super) fn options(&mut self, node: &Node, subject: Subject<'_>, faults: &mut Faults) {
        let Some(map) = Map::of(node, "logicalTypeOptions", faults) else {
            return;
        };
        let (mut least, mut most, mut shortest, mut longest) = (None, None, None, None);
        for entry in map.entries {
            let (key, node) = (entry.key.as_str(), &*entry.value);
            let Some((kind, check, text)) = (match key {
                "pattern" => map.text(key, faults).and_then(|text| {
                    let regex = value::regex(&text, subject.ty, faults)?;
                    Some((
                        "pattern",
                        ValueCheck::Pattern(regex),
                        format!("matches {}", text.value),
                    ))
                }),
                "format" => format(node, subject.ty, faults),
                "minLength" | "maxLength" => {
                    let Some(length) = length(key, node, subject.ty, faults) else {
                        continue;
                    };
                    if key == "minLength" {
                        shortest = Some(length);
                        Some((
                            "minLength",
                            ValueCheck::MinLength(length),
                            format!("has at least {length} characters"),
                        ))
                    } else {
                        longest = Some((length, node.at));
                        Some((
                            "maxLength",
                            ValueCheck::MaxLength(length),
                            format!("has at most {length} characters"),
                        ))
                    }
                }
                "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" => {
                    let Some((bound, text)) = bound(key, node, subject.ty, faults) else {
                        continue;
                    };
                    match key {
                        "minimum" => least = Some(bound),
                        "maximum" => most = Some((bound, node.at)),
                        _ => {}
                    }
                    of_bound(key, bound, text, node, faults)
                }
                "timezone" if *subject.ty == ColumnType::Timestamp => {
                    if node.boolean() != Some(true) {
                        faults.add(
                            node.at,
                            "timestamps without a time zone are not supported",
                            "write timezone: true; values without an offset are read as UTC",
                        );
                    }
                    None
                }
                "defaultTimezone" if *subject.ty == ColumnType::Timestamp => {
                    if !node
                        .scalar()
                        .is_some_and(|zone| matches!(zone, "UTC" | "Etc/UTC" | "Z"))
                    {
                        faults.add(
                            node.at,
                            format!("the default time zone cannot be {}", node.shown()),
                            "write defaultTimezone: UTC",
                        );
                    }
                    None
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
                    None
                }
            }) else {
                continue;
            };
            self.strict(kind, subject, RowCheck::Value(check), &text, faults);
        }
        if let (Some(least), Some((most, at))) = (least, most)
            && exceeds(least, most)
        {
            faults.add(at, "maximum is less than minimum", "exchange the two");
        }
        if let (Some(shortest), Some((longest, at))) = (shortest, longest)
            && shortest > longest
        {
            faults.add(at, "maxLength is less than minLength", "exchange the two");
        }
    }
}

type Checked = (&'static str, ValueCheck, String);

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
        "format",
        ValueCheck::Format(format),
        format!("has the form of {name}"),
    ))
}

fn length(key: &str, node: &Node, ty: &ColumnType, faults: &mut Faults) -> Option<u64> {
    if *ty != ColumnType::String {
        faults.add(
            node.at,
            format!("{key} on a {ty} column"),
            "remove it: only text has a length",
        );
        return None;
    }
    let length = node.number().and_then(|text| text.parse::<u64>().ok());
    if length.is_none() {
        faults.add(
            node.at,
            format!("{key} cannot be {}", node.shown()),
            "write a whole number from 0",
        );
    }
    length
}

fn bound<'a>(
    key: &str,
    node: &'a Node,
    ty: &ColumnType,
    faults: &mut Faults,
) -> Option<(Bound, &'a str)> {
    let Some(text) = node.scalar() else {
        faults.add(
            node.at,
            format!("{key} cannot be {}", node.shown()),
            "write a number",
        );
        return None;
    };
    match values::bound(ty, text) {
        Ok(bound) => Some((bound, text)),
        Err(help) => {
            faults.add(
                node.at,
                format!("{key} '{text}' does not go with the column's type {ty}"),
                help,
            );
            None
        }
    }
}

fn of_bound(
    key: &str,
    bound: Bound,
    text: &str,
    node: &Node,
    faults: &mut Faults,
) -> Option<Checked> {
    Some(match key {
        "minimum" => (
            "minimum",
            ValueCheck::Minimum(bound),
            format!("is at least {text}"),
        ),
        "maximum" => (
            "maximum",
            ValueCheck::Maximum(bound),
            format!("is at most {text}"),
        ),
        "exclusiveMinimum" => (
            "exclusiveMinimum",
            ValueCheck::ExclusiveMinimum(bound),
            format!("is greater than {text}"),
        ),
        "exclusiveMaximum" => (
            "exclusiveMaximum",
            ValueCheck::ExclusiveMaximum(bound),
            format!("is less than {text}"),
        ),
        _ => match bound {
            Bound::Integer(unit) if unit > 0 => (
                "multipleOf",
                ValueCheck::MultipleOf(unit),
                format!("is a multiple of {text}"),
            ),
            _ => {
                faults.add(
                    node.at,
                    format!("multipleOf cannot be '{text}'"),
                    "write a number greater than 0, of a column of whole numbers or decimals",
                );
                return None;
            }
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

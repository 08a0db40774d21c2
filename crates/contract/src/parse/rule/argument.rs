//! Arguments of rules.

use super::super::quality::{Ask, Quality, number};
use super::super::value as values;
use super::super::yaml::{Faults, Map, Node, Place, Spanned, Value};
use super::{Subject, texts, value};
use crate::diagnostic::nearest;
use crate::kinds::RuleKind;
use crate::{Bound, ColumnRef};
use tarn_core::privacy::PersonalPattern;
use tarn_core::schema::ColumnType;

/// Columns of these types can be added and averaged.
pub(super) fn is_number(ty: &ColumnType) -> bool {
    matches!(
        ty,
        ColumnType::Int | ColumnType::Long | ColumnType::Double | ColumnType::Decimal { .. }
    )
}

/// Whether values of two columns can be compared: both numbers, or both of one type.
pub(in super::super) fn comparable(a: &ColumnType, b: &ColumnType) -> bool {
    a == b || (is_number(a) && is_number(b))
}

pub(super) fn name_of(node: &Node) -> Option<Spanned<&str>> {
    Some(Spanned {
        value: node.string()?,
        at: node.at,
    })
}
pub(super) fn node_text<'q>(quality: &'q Quality<'_>, name: &str) -> &'q str {
    quality
        .argument(name)
        .and_then(Node::scalar)
        .unwrap_or_default()
}

pub(super) fn of_text(
    quality: &Quality<'_>,
    subject: Subject<'_>,
    faults: &mut Faults,
) -> Option<()> {
    if matches!(subject.ty, ColumnType::String)
        || (quality.name.value == Ask::Kind(RuleKind::PersonalData)
            && *subject.ty == ColumnType::StringList)
    {
        return Some(());
    }
    faults.add(
        quality.name.at,
        format!("{} on a {} column", quality.name.value.name(), subject.ty),
        "use it on a column of text",
    );
    None
}

pub(super) fn of_numbers(
    quality: &Quality<'_>,
    subject: Subject<'_>,
    faults: &mut Faults,
) -> Option<()> {
    if is_number(subject.ty) {
        return Some(());
    }
    faults.add(
        quality.name.at,
        format!("{} on a {} column", quality.name.value.name(), subject.ty),
        "use it on a column of numbers",
    );
    None
}

/// One of the words that an argument accepts.
pub(super) fn one_of<T: Copy, const N: usize>(
    node: &Node,
    what: &str,
    choices: &[(&'static str, T); N],
    names: &[&'static str; N],
    faults: &mut Faults,
) -> Option<T> {
    let word = node.scalar().unwrap_or_default();
    let signs = |word: &str| !word.starts_with(|c: char| c.is_alphabetic());
    let found = choices.iter().find(|(name, _)| *name == word);
    if found.is_none() {
        let help = match nearest(word, names.iter().copied()) {
            Some(meant) if !signs(meant) => format!("did you mean '{meant}'?"),
            _ => format!("use one of {}", names.join(", ")),
        };
        faults.add(node.at, format!("unknown {what} {}", node.shown()), help);
    }
    found.map(|(_, value)| *value)
}

pub(super) fn argument_number(
    quality: &Quality<'_>,
    name: &str,
    least: f64,
    greatest: f64,
    faults: &mut Faults,
) -> Option<f64> {
    let help = format!("add {name}: 0.5");
    let node = quality.needed(name, &help, faults)?;
    let value = number(node).filter(|value| (least..=greatest).contains(value));
    if value.is_none() {
        let help = match greatest {
            f64::MAX => format!("write a number greater than {least}"),
            _ => format!("write a number from {least} to {greatest}"),
        };
        faults.add(node.at, format!("{name} cannot be {}", node.shown()), help);
    }
    value
}

pub(super) fn patterns(quality: &Quality<'_>, faults: &mut Faults) -> Option<Vec<PersonalPattern>> {
    let Some(node) = quality.argument("find") else {
        return Some(PersonalPattern::ALL.map(|(_, pattern)| pattern).to_vec());
    };
    let mut found = Vec::new();
    for text in texts(node, "find", faults) {
        let pattern = PersonalPattern::ALL
            .iter()
            .find(|(name, _)| *name == text.value);
        match pattern {
            Some((_, pattern)) => found.push(*pattern),
            None => faults.add(
                text.at,
                format!("'{}' is not a pattern of personal data", text.value),
                "use email, ip, phone, card or iban",
            ),
        }
    }
    if found.is_empty() {
        faults.add(
            node.at,
            "find names no pattern",
            "use some of email, ip, phone, card and iban",
        );
        return None;
    }
    Some(found)
}

pub(super) fn shares(
    quality: &Quality<'_>,
    subject: Subject<'_>,
    faults: &mut Faults,
) -> Option<Vec<(String, f64)>> {
    let node = quality.needed("shares", "add shares: { a: 0.6, b: 0.4 }", faults)?;
    let Value::Map(entries) = &node.value else {
        faults.add(
            node.at,
            format!("shares must be a mapping, not {}", node.shown()),
            "write shares: { a: 0.6, b: 0.4 }",
        );
        return None;
    };
    let mut shares = Vec::new();
    for entry in entries {
        let name = Spanned {
            value: entry.key.clone(),
            at: entry.at,
        };
        let name = value::canonical(name, subject.ty, faults)?;
        match number(&entry.value).filter(|share| (0.0..=1.0).contains(share)) {
            Some(share) => shares.push((name, share)),
            None => faults.add(
                entry.value.at,
                format!("a share cannot be {}", entry.value.shown()),
                "write a number from 0 to 1",
            ),
        }
    }
    let sum: f64 = shares.iter().map(|(_, share)| share).sum();
    if shares.is_empty() || sum > 1.0 + 1e-9 {
        faults.add(
            node.at,
            format!("the shares add up to {sum}"),
            "write shares that add up to at most 1; the rest is that of all other values",
        );
    }
    Some(shares)
}

pub(super) fn tolerance(
    quality: &Quality<'_>,
    subject: Subject<'_>,
    faults: &mut Faults,
) -> Option<Bound> {
    let text = quality
        .argument("tolerance")
        .map_or(Some("0"), Node::scalar)
        .unwrap_or_default();
    let bound = values::bound(subject.ty, text).and_then(|bound| match bound {
        Bound::Integer(number) if number < 0 => Err("write a number from 0 on".to_owned()),
        Bound::Double(number) if number < 0.0 => Err("write a number from 0 on".to_owned()),
        bound => Ok(bound),
    });
    match bound {
        Ok(bound) => Some(bound),
        Err(help) => {
            let at = quality
                .argument("tolerance")
                .map_or(quality.name.at, |node| node.at);
            faults.add(at, format!("the tolerance cannot be '{text}'"), help);
            None
        }
    }
}

/// `dataset.column`.
pub(super) fn column_ref(node: &Node, faults: &mut Faults) -> Option<ColumnRef> {
    let parts = node
        .string()
        .and_then(|text| text.split_once('.'))
        .filter(|(dataset, column)| !dataset.is_empty() && !column.is_empty());
    if parts.is_none() {
        faults.add(
            node.at,
            format!("{} is not of the form dataset.column", node.shown()),
            "write for example orders.order_id",
        );
    }
    let (dataset, column) = parts?;
    Some(ColumnRef {
        dataset: dataset.to_owned(),
        column: column.to_owned(),
    })
}

/// What a reference refers to: by the rule, or by the column's one relationship.
pub(super) fn target(
    quality: &Quality<'_>,
    property: &Map<'_>,
    faults: &mut Faults,
) -> Option<(ColumnRef, Place)> {
    if let Some(node) = quality.argument("to") {
        return Some((column_ref(node, faults)?, node.at));
    }
    let [relationship] = property.list("relationships", faults) else {
        faults.add(
            quality.name.at,
            "the reference does not say what it refers to",
            "add to: dataset.column, or one relationship to the column",
        );
        return None;
    };
    let node = Map::of(relationship, "the relationship", faults)?.get("to")?;
    Some((column_ref(node, faults)?, node.at))
}

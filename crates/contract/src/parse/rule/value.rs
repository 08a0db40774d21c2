//! Values and regular expressions that rules name.

use regex::{Regex, RegexBuilder};

use super::super::column::texts;
use super::super::value;
use super::super::yaml::{Faults, Node, Spanned};
use crate::Bound;
use tarn_core::schema::ColumnType;

/// The most bytes that a compiled regular expression may take. Matching takes time linear in the text for
/// every expression, because the library never backtracks.
const REGEX_BYTES: usize = 4 << 20;

/// A regular expression for a column's texts.
pub(super) fn regex(text: &Spanned<&str>, ty: &ColumnType, faults: &mut Faults) -> Option<Regex> {
    if *ty != ColumnType::String && *ty != ColumnType::StringList {
        faults.add(
            text.at,
            format!("a pattern on a {ty} column"),
            "remove it: only text has a pattern",
        );
        return None;
    }
    match RegexBuilder::new(text.value)
        .size_limit(REGEX_BYTES)
        .build()
    {
        Ok(regex) => Some(regex),
        Err(regex::Error::CompiledTooBig(_)) => {
            faults.add(
                text.at,
                format!(
                    "'{}' is too large: it compiles to more than {} MiB",
                    text.value,
                    REGEX_BYTES >> 20
                ),
                "repeat less: {1,1000} is a thousand copies of what it repeats; maxLength bounds a length",
            );
            None
        }
        Err(error) => {
            // The library's text has several lines; the last one says what is wrong.
            let shown = error.to_string();
            let reason = shown
                .lines()
                .last()
                .unwrap_or_default()
                .trim_start_matches("error: ")
                .to_owned();
            faults.add(
                text.at,
                format!("'{}' is not a regular expression: {reason}", text.value),
                "fix it; look-around and back-references are not supported",
            );
            None
        }
    }
}

/// A list of values of a column, each as the column's values are written as text.
pub(super) fn list(node: &Node, what: &str, ty: &ColumnType, faults: &mut Faults) -> Vec<String> {
    let values = texts(node, what, faults);
    if values.is_empty() {
        faults.add(
            node.at,
            format!("{what} names no value"),
            "list at least one value",
        );
    }
    values
        .into_iter()
        .filter_map(|value| canonical(value, ty, faults))
        .collect()
}

/// A value as the column's values are written as text.
pub(super) fn canonical(
    value: Spanned<String>,
    ty: &ColumnType,
    faults: &mut Faults,
) -> Option<String> {
    let shown = |bound: Bound| match (bound, ty) {
        (Bound::Integer(number), ColumnType::Decimal { scale, .. }) => {
            value::decimal_text(number, *scale)
        }
        (Bound::Integer(number), _) => number.to_string(),
        (Bound::Double(number), _) => number.to_string(),
    };
    let text = match ty {
        ColumnType::Double | ColumnType::Timestamp => {
            Err("use text, whole numbers, decimals, dates or booleans".to_owned())
        }
        // The rule holds for each item.
        ColumnType::StringList => Ok(value.value.clone()),
        ColumnType::Int | ColumnType::Long | ColumnType::Decimal { .. } => {
            value::bound(ty, &value.value).map(shown)
        }
        _ => value::check(ty, &value.value).map(|()| value.value.clone()),
    };
    match text {
        Ok(text) => Some(text),
        Err(help) => {
            faults.add(
                value.at,
                format!("'{}' is not a valid value of a {ty} column", value.value),
                help,
            );
            None
        }
    }
}

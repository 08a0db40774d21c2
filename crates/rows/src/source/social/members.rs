//! Members of a post's document, as the fields of a post need them.

use std::borrow::Cow;

use tarn_core::calendar;

use super::html;
use super::post::{Field, PostFault, Text};
use crate::reason::Reason;
use crate::source::json::document::Node;
use crate::source::number::Number;
use crate::source::time;
use crate::source::value::shortened;

pub(super) type Result<T, E = PostFault> = std::result::Result<T, E>;

/// How times are written, for messages.
pub(super) const ISO: &str = "2026-01-31T10:00:00Z";

fn shown(node: &Node<'_>) -> String {
    match node {
        Node::Null => "null".to_owned(),
        Node::Boolean(value) => value.to_string(),
        Node::Number(number) => shortened(number.text),
        Node::Text(text) => format!("the text \"{}\"", shortened(text.as_bytes())),
        Node::List(_) => "a list".to_owned(),
        Node::Object(_) => "an object".to_owned(),
    }
}

#[cold]
pub(super) fn refused(
    field: Field,
    expected: impl Into<Cow<'static, str>>,
    found: &Node<'_>,
) -> PostFault {
    PostFault::Value(field, Reason::mismatch(expected, shown(found)))
}

pub(super) fn text_of<'a>(node: &Node<'a>, key: &str, field: Field) -> Result<Option<Text<'a>>> {
    match node.value(key) {
        None => Ok(None),
        Some(Node::Text(text)) => Ok(Some(text.clone().into())),
        Some(other) => Err(refused(field, "a text", other)),
    }
}

/// The first of these members that is there, a text or a whole number.
pub(super) fn first_id<'a>(
    node: &Node<'a>,
    keys: &[&str],
    field: Field,
) -> Result<Option<Text<'a>>> {
    match keys.iter().find_map(|key| node.value(key)) {
        None => Ok(None),
        Some(Node::Text(text)) => Ok(Some(text.clone().into())),
        Some(Node::Number(number)) if number.is_digits() => Ok(Some(Text::plain(number.text))),
        Some(other) => Err(refused(field, "an id", other)),
    }
}

/// A whole number, also in quotes: X's archive writes its numbers so.
pub(super) fn count(node: &Node<'_>, key: &str, field: Field) -> Result<Option<i64>> {
    let Some(found) = node.value(key) else {
        return Ok(None);
    };
    let number = match found {
        Node::Number(number) => *number,
        Node::Text(text) => match quoted_number(text) {
            Some(number) => number,
            None => return Err(refused(field, "a whole number", found)),
        },
        other => return Err(refused(field, "a whole number", other)),
    };
    number
        .scaled(0)
        .map(Some)
        .ok_or_else(|| refused(field, "a whole number of at most 64 bits", found))
}

fn quoted_number(text: &str) -> Option<Number<'_>> {
    Number::read(text.as_bytes())
        .ok()
        .filter(|number| number.text.len() == text.len())
}

/// As [`count`]; −1 stands for a number that a server of Mastodon does not show.
pub(super) fn shown_count(node: &Node<'_>, key: &str, field: Field) -> Result<Option<i64>> {
    Ok(count(node, key, field)?.filter(|count| *count != -1))
}

pub(super) fn flag(node: &Node<'_>, key: &str, field: Field) -> Result<Option<bool>> {
    match node.value(key) {
        None => Ok(None),
        Some(Node::Boolean(value)) => Ok(Some(*value)),
        Some(other) => Err(refused(field, "true or false", other)),
    }
}

pub(super) fn time_of(
    node: &Node<'_>,
    key: &str,
    parse: fn(&[u8]) -> Result<i64, time::Fault>,
    example: &str,
) -> Result<Option<i64>> {
    let expected = format!("a time such as {example}");
    match node.value(key) {
        None => Ok(None),
        Some(found @ Node::Text(text)) => match parse(text.as_bytes()) {
            Ok(micros) => Ok(Some(micros)),
            Err(time::Fault::Form) => Err(refused(Field::CreatedAt, expected, found)),
            Err(_) => Err(refused(
                Field::CreatedAt,
                "a day and time of the calendar",
                found,
            )),
        },
        Some(other) => Err(refused(Field::CreatedAt, expected, other)),
    }
}

pub(super) fn epoch_seconds(node: &Node<'_>, key: &str) -> Result<Option<i64>> {
    match node.value(key) {
        None => Ok(None),
        Some(found) => {
            let seconds = match found {
                Node::Number(number) => Some(*number),
                Node::Text(text) => quoted_number(text),
                _ => None,
            };
            let micros = seconds
                .and_then(|seconds| seconds.scaled(6))
                .and_then(calendar::in_range);
            micros
                .map(Some)
                .ok_or_else(|| refused(Field::CreatedAt, "seconds since 1970", found))
        }
    }
}

pub(super) fn list<'n, 'a>(node: &'n Node<'a>, key: &str) -> &'n [Node<'a>] {
    node.get(key).map(Node::elements).unwrap_or_default()
}

pub(super) fn texts<'n, 'a: 'n>(
    nodes: impl IntoIterator<Item = &'n Node<'a>>,
    key: &str,
    field: Field,
) -> Result<Vec<Text<'a>>> {
    nodes
        .into_iter()
        .filter_map(|node| text_of(node, key, field).transpose())
        .collect()
}

pub(super) fn ids<'n, 'a: 'n>(
    nodes: impl IntoIterator<Item = &'n Node<'a>>,
    keys: &[&str],
    field: Field,
) -> Result<Vec<Text<'a>>> {
    nodes
        .into_iter()
        .filter_map(|node| first_id(node, keys, field).transpose())
        .collect()
}

/// An identifier: a text, or the digits of a number.
pub(super) fn id_of<'n>(node: &'n Node<'_>) -> Option<&'n str> {
    match node {
        Node::Text(text) => Some(text.as_ref()),
        Node::Number(number) => std::str::from_utf8(number.text).ok(),
        _ => None,
    }
}

/// A text of X or Reddit without its character references.
pub(super) fn decoded(text: Text<'_>) -> Text<'_> {
    let mut buffer = Vec::new();
    let found = std::str::from_utf8(text.bytes(&mut buffer))
        .ok()
        .and_then(html::decoded);
    match found {
        Some(decoded) => Text::Made(decoded),
        None => text,
    }
}

/// The text, unless it is empty.
pub(super) fn not_empty(text: Text<'_>) -> Option<Text<'_>> {
    let empty = match &text {
        Text::Raw(string) => string.raw.is_empty(),
        Text::Made(text) => text.is_empty(),
    };
    (!empty).then_some(text)
}

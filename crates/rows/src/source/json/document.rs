//! A small document tree, for JSON whose shape is too varied to be pulled.

use std::borrow::Cow;
use std::collections::HashSet;

use super::cursor::Cursor;
use super::error::{JsonError, Result as JsonResult};
use super::keys::KeyError;
use super::string::Str;
use crate::source::number::Number;

/// A value, as far as possible borrowed from the text it was read from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean(bool),
    /// A number, with all its digits.
    Number(Number<'a>),
    /// A string.
    Text(Cow<'a, str>),
    /// An array.
    List(Vec<Node<'a>>),
    /// An object, its members in order and their keys different.
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
}

/// Objects with more members are compared with the help of a table.
const FEW_MEMBERS: usize = 16;

impl<'a> Node<'a> {
    /// Reads a text that is one value and nothing else. It must be UTF-8. Half of a surrogate pair becomes U+FFFD.
    ///
    /// # Errors
    /// What is wrong with it: no JSON, too deep, or a key that an object has twice.
    pub(crate) fn read(text: &'a [u8]) -> Result<Node<'a>, KeyError> {
        // This checks everything and bounds the depth of the recursion below.
        let mut cursor = Cursor::replacing(text);
        cursor.skip_value()?;
        cursor.finish()?;
        build(&mut Cursor::replacing(text))
    }

    /// The member of an object with this key; None also where this is not an object.
    pub(crate) fn get(&self, key: &str) -> Option<&Node<'a>> {
        match self {
            Node::Object(members) => members
                .iter()
                .find(|(name, _)| name == key)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    /// The member with this key, unless it is null.
    pub(crate) fn value(&self, key: &str) -> Option<&Node<'a>> {
        self.get(key).filter(|value| !matches!(value, Node::Null))
    }

    /// The text of a string.
    pub(crate) fn as_text(&self) -> Option<&Cow<'a, str>> {
        match self {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The elements of an array; none where this is not an array.
    pub(crate) fn elements(&self) -> &[Node<'a>] {
        match self {
            Node::List(elements) => elements,
            _ => &[],
        }
    }
}

fn text<'a>(string: Str<'a>) -> Cow<'a, str> {
    if string.escaped {
        let mut text = Vec::with_capacity(string.raw.len());
        string.unescape_into(&mut text);
        Cow::Owned(String::from_utf8_lossy(&text).into_owned())
    } else {
        String::from_utf8_lossy(string.raw)
    }
}

fn build<'a>(cursor: &mut Cursor<'a>) -> Result<Node<'a>, KeyError> {
    Ok(match cursor.peek() {
        b'{' => {
            cursor.enter_object()?;
            let mut members: Vec<(Cow<'a, str>, Node<'a>)> = Vec::new();
            while cursor.next_member(members.is_empty())? {
                let key = text(cursor.key()?);
                members.push((key, build(cursor)?));
            }
            check_keys(&members)?;
            Node::Object(members)
        }
        b'[' => {
            cursor.enter_array()?;
            let mut elements = Vec::new();
            while cursor.next_element(elements.is_empty())? {
                elements.push(build(cursor)?);
            }
            Node::List(elements)
        }
        _ => scalar(cursor)?,
    })
}

fn scalar<'a>(cursor: &mut Cursor<'a>) -> JsonResult<Node<'a>, JsonError> {
    Ok(match cursor.peek() {
        b'"' => Node::Text(text(cursor.string()?)),
        b't' | b'f' => Node::Boolean(cursor.boolean()?),
        b'n' => cursor.null().map(|()| Node::Null)?,
        _ => Node::Number(cursor.number()?),
    })
}

fn check_keys(members: &[(Cow<'_, str>, Node<'_>)]) -> Result<(), KeyError> {
    let twice = if members.len() <= FEW_MEMBERS {
        members
            .iter()
            .enumerate()
            .find(|(at, (key, _))| members.iter().take(*at).any(|(other, _)| other == key))
    } else {
        let mut seen = HashSet::with_capacity(members.len());
        members
            .iter()
            .enumerate()
            .find(|(_, (key, _))| !seen.insert(key))
    };
    match twice {
        Some((_, (key, _))) => Err(KeyError::Duplicate(key.to_string())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn members_are_found_and_numbers_keep_their_digits() {
        let node =
            Node::read(br#"{"a":{"b":[1,"x\n"]},"n":null,"big":18446744073709551616}"#).unwrap();
        assert_eq!(
            node.get("a")
                .and_then(|a| a.get("b"))
                .map(|b| b.elements().len()),
            Some(2)
        );
        assert!(
            node.get("n").is_some()
                && node.value("n").is_none()
                && node.get("a").unwrap().as_text().is_none()
        );
        assert!(
            matches!(node.get("big"), Some(Node::Number(number)) if number.text == b"18446744073709551616")
        );
    }

    #[test]
    fn repeated_keys_and_deep_nesting_are_refused_at_any_place() {
        assert_eq!(
            Node::read(br#"[{"a":1,"\u0061":2}]"#),
            Err(KeyError::Duplicate("a".to_owned()))
        );
        let many: Vec<String> = (0..100)
            .map(|index| format!("\"k{}\":0", index % 99))
            .collect();
        let text = format!("{{{}}}", many.join(","));
        assert_eq!(
            Node::read(text.as_bytes()),
            Err(KeyError::Duplicate("k0".to_owned()))
        );
        assert!(matches!(
            Node::read("[".repeat(10_000).as_bytes()),
            Err(KeyError::Json(_))
        ));
    }

    proptest! {
        #[test]
        fn any_text_is_accepted_or_refused_as_by_serde_json(text in "[\\[\\]{}\":,a-c0-9 .\\\\]{0,20}") {
            let judge: Result<serde_json::Value, _> = serde_json::from_str(&text);
            match Node::read(text.as_bytes()) {
                Ok(_) => prop_assert!(judge.is_ok_and(|_| true) || text.contains('e')),
                Err(KeyError::Json(_)) => prop_assert!(judge.is_err()),
                Err(KeyError::Duplicate(_)) => prop_assert!(judge.is_ok()),
            }
        }
    }
}

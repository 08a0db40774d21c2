//! The keys of objects that come again and again in nearly the same order.

use hashbrown::HashMap;

use super::cursor::Cursor;
use super::error::{JsonError, Result};

/// How many keys that no column is filled from are remembered by name; the rest are only compared with
/// their neighbours.
const UNKNOWN_LIMIT: usize = 256;

/// What the next member of an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Member {
    /// The key with this index: below the number of known keys for a known one.
    Key(usize),
    /// A key beyond those that are remembered.
    Other,
    /// The object has ended.
    End,
}

/// Why the next member could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyError {
    /// Not JSON.
    Json(JsonError),
    /// The object has this key twice.
    Duplicate(String),
}

impl From<JsonError> for KeyError {
    fn from(error: JsonError) -> Self {
        KeyError::Json(error)
    }
}

#[derive(Debug, Clone)]
struct Key {
    /// The key as it is usually written: `"name":`.
    literal: Literal,
    name: Box<str>,
    /// The object in which it was last seen.
    seen: u32,
    /// The key that followed it last time.
    next: usize,
}

/// A text that is compared with what comes next, without a call where it is short.
#[derive(Debug, Clone)]
struct Literal {
    bytes: Box<[u8]>,
    /// The first 16 bytes, and which of them count.
    head: u128,
    mask: u128,
    /// The last 16 bytes of a longer text.
    tail: u128,
}

impl Literal {
    const WORD: usize = size_of::<u128>();

    fn new(bytes: Box<[u8]>) -> Self {
        let mut head = [0; Self::WORD];
        let mut mask = [0; Self::WORD];
        for (at, &byte) in bytes.iter().take(Self::WORD).enumerate() {
            (head[at], mask[at]) = (byte, 0xff);
        }
        Literal {
            head: u128::from_le_bytes(head),
            mask: u128::from_le_bytes(mask),
            tail: bytes
                .last_chunk()
                .map_or(0, |tail| u128::from_le_bytes(*tail)),
            bytes,
        }
    }

    /// Whether `rest` begins with the literal.
    #[inline(always)]
    fn begins(&self, rest: &[u8]) -> bool {
        let length = self.bytes.len();
        match rest.first_chunk() {
            Some(head) if u128::from_le_bytes(*head) & self.mask != self.head => false,
            Some(_) if length <= Self::WORD => true,
            Some(_) if length <= 2 * Self::WORD => rest
                .get(length - Self::WORD..)
                .and_then(|tail| tail.first_chunk())
                .is_some_and(|tail| u128::from_le_bytes(*tail) == self.tail),
            _ => rest.starts_with(&self.bytes),
        }
    }

    /// Takes the literal if it is what comes next, after a comma where it is not the `first` key of its
    /// object and perhaps a space. Each step is a branch, which the processor foresees, and no sum of
    /// what was found: it would have to wait for that.
    #[inline(always)]
    fn take(&self, cursor: &mut Cursor<'_>, first: bool) -> bool {
        let Some(rest) = cursor.after_comma(first) else {
            return false;
        };
        let comma = usize::from(!first);
        if self.begins(rest) {
            cursor.advance(comma + self.bytes.len());
            return true;
        }
        let spaced = rest
            .strip_prefix(b" ")
            .is_some_and(|rest| self.begins(rest));
        if spaced {
            cursor.advance(comma + 1 + self.bytes.len());
        }
        spaced
    }
}

/// The keys of one kind of object. It foretells each key from the one before it and compares the
/// whole `"key":` at once; where that fails it looks the key up. It also finds keys that come twice
/// in one object.
#[derive(Debug, Clone)]
pub(crate) struct KeyTable {
    keys: Vec<Key>,
    known: usize,
    by_name: HashMap<Box<[u8]>, usize>,
    object: u32,
    previous: usize,
    /// The key that was first in the last object.
    first: usize,
    others: HashMap<Box<[u8]>, ()>,
    scratch: Vec<u8>,
}

/// Stands for "no key before".
const NONE: usize = usize::MAX;

impl KeyTable {
    /// A table of known keys, in their most likely order.
    pub(crate) fn new<'k>(known: impl IntoIterator<Item = &'k str>) -> Self {
        let mut table = KeyTable {
            keys: Vec::new(),
            known: 0,
            by_name: HashMap::new(),
            object: 0,
            previous: NONE,
            first: 0,
            others: HashMap::new(),
            scratch: Vec::new(),
        };
        for name in known {
            table.add(name);
        }
        table.known = table.keys.len();
        table
    }

    fn add(&mut self, name: &str) -> usize {
        let index = self.keys.len();
        let literal = format!("{}:", serde_json::Value::from(name))
            .into_bytes()
            .into_boxed_slice();
        self.keys.push(Key {
            literal: Literal::new(literal),
            name: name.into(),
            seen: 0,
            next: index + 1,
        });
        self.by_name.insert(name.as_bytes().into(), index);
        index
    }

    /// Begins another object.
    #[inline]
    pub(crate) fn begin(&mut self) {
        self.previous = NONE;
        self.object = self.object.wrapping_add(1);
        if self.object == 0 {
            // After four billion objects the marks start again.
            self.keys.iter_mut().for_each(|key| key.seen = 0);
            self.object = 1;
        }
        if !self.others.is_empty() {
            self.others.clear();
        }
    }

    /// Takes the next key and its colon, or the object's end.
    #[inline(always)]
    pub(crate) fn next(&mut self, cursor: &mut Cursor<'_>) -> Result<Member, KeyError> {
        let guess = match self.keys.get(self.previous) {
            Some(key) => key.next,
            None => self.first,
        };
        let index = match self.keys.get(guess) {
            Some(key) if key.literal.take(cursor, self.previous == NONE) => guess,
            _ if cursor.take(b"}") => return Ok(Member::End),
            _ => match self.look_up(cursor)? {
                Member::Key(index) => index,
                member => return Ok(member),
            },
        };
        self.previous = index;
        if let Some(key) = self.keys.get_mut(index) {
            if key.seen == self.object {
                return Err(KeyError::Duplicate(key.name.to_string()));
            }
            key.seen = self.object;
        }
        Ok(Member::Key(index))
    }

    /// The key by its name, remembered as the one that follows the key before.
    #[inline(never)]
    fn look_up(&mut self, cursor: &mut Cursor<'_>) -> Result<Member, KeyError> {
        if !cursor.next_member(self.previous == NONE)? {
            return Ok(Member::End);
        }
        let key = cursor.key_or_unread()?;
        let mut scratch = std::mem::take(&mut self.scratch);
        let text = key.text(&mut scratch);
        let found = match self.by_name.get(text) {
            Some(&index) => Ok(Member::Key(index)),
            None if self.keys.len() < self.known + UNKNOWN_LIMIT => {
                Ok(Member::Key(self.add(&String::from_utf8_lossy(text))))
            }
            None if self.others.insert(text.into(), ()).is_some() => Err(KeyError::Duplicate(
                String::from_utf8_lossy(text).into_owned(),
            )),
            None => Ok(Member::Other),
        };
        self.scratch = scratch;
        match found {
            Ok(Member::Key(index)) => match self.keys.get_mut(self.previous) {
                Some(previous) => previous.next = index,
                None if self.previous == NONE => self.first = index,
                None => {}
            },
            Ok(Member::Other) => self.previous = self.keys.len(),
            Ok(Member::End) | Err(_) => {}
        }
        found
    }

    /// Whether the key with this index was in the object that was read last.
    #[inline]
    pub(crate) fn seen(&self, index: usize) -> bool {
        self.keys
            .get(index)
            .is_some_and(|key| key.seen == self.object)
    }

    /// Number of keys that were asked for; indexes from here on are of unknown ones.
    pub(crate) fn known(&self) -> usize {
        self.known
    }

    /// The key with this index.
    pub(crate) fn name(&self, index: usize) -> &str {
        self.keys.get(index).map_or("", |key| &key.name)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn read(table: &mut KeyTable, text: &str) -> Result<Vec<String>, KeyError> {
        let mut cursor = Cursor::new(text.as_bytes());
        cursor.enter_object()?;
        table.begin();
        let mut names = Vec::new();
        loop {
            match table.next(&mut cursor)? {
                Member::Key(index) => names.push(table.name(index).to_owned()),
                Member::Other => names.push("(other)".to_owned()),
                Member::End => return Ok(names),
            }
            cursor.skip_value()?;
        }
    }

    #[test]
    fn keys_are_found_in_any_order_and_spacing() {
        let mut table = KeyTable::new(["a", "b", "c"]);
        for _ in 0..3 {
            assert_eq!(
                read(&mut table, r#"{"a":1,"b":2,"c":3}"#).unwrap(),
                ["a", "b", "c"]
            );
            assert_eq!(
                read(&mut table, r#"{ "c" : 1 , "x" : [] , "a" : 2 }"#).unwrap(),
                ["c", "x", "a"]
            );
            assert_eq!(read(&mut table, r#"{"\u0062":1}"#).unwrap(), ["b"]);
            assert_eq!(read(&mut table, "{}").unwrap(), Vec::<String>::new());
            assert!(!table.seen(0) && table.known() == 3);
        }
    }

    #[test]
    fn a_key_that_comes_twice_is_refused_however_it_is_written() {
        let mut table = KeyTable::new(["a", "b"]);
        for text in [
            r#"{"a":1,"a":2}"#,
            r#"{"a":1,"b":1,"\u0061":2}"#,
            r#"{"x":1,"x":2}"#,
        ] {
            assert!(
                matches!(read(&mut table, text), Err(KeyError::Duplicate(_))),
                "{text}"
            );
        }
        assert!(read(&mut table, r#"{"a":1,"b":{"a":1}}"#).is_ok());
    }

    #[test]
    fn many_unknown_keys_are_still_distinguished() {
        let mut table = KeyTable::new(["a"]);
        let members: Vec<String> = (0..2000)
            .map(|index| format!("\"k{index}\":{index}"))
            .collect();
        let names = read(&mut table, &format!("{{{}}}", members.join(","))).unwrap();
        assert_eq!(names.len(), 2000);
        assert_eq!(
            names.iter().filter(|name| *name == "(other)").count(),
            2000 - UNKNOWN_LIMIT
        );
        let text = format!("{{{},\"k1999\":0}}", members.join(","));
        assert_eq!(
            read(&mut table, &text),
            Err(KeyError::Duplicate("k1999".to_owned()))
        );
    }
}

//! A strict JSON pull parser over bytes (RFC 8259): no allocation, no recursion, no panic.
//!
//! The caller asks for what it expects next. What it does not want it skips, and what is skipped is
//! checked as strictly as what is read. Three things are left to the caller: that the bytes are
//! UTF-8 (checked once for a whole chunk, which is cheaper than once per text), that the keys of an
//! object differ ([`KeyTable`](super::keys::KeyTable) does that), and whether a number fits its
//! column: `1e999` is a number.

use crate::column::ShortText;

use super::error::{DEPTH_LIMIT, Fault, JsonError, Result};
use super::string::{Str, marks, unicode_escape};
use crate::source::number::{Number, SmallDecimal, small_decimal, small_whole};

/// Bytes of `\uXXXX`.
const SURROGATE_BYTES: usize = 6;

/// A place in a JSON text.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Whether half of a surrogate pair is a character, U+FFFD.
    replaces: bool,
}

impl<'a> Cursor<'a> {
    /// A cursor at the start of `bytes`, which the caller has found to be UTF-8.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Cursor {
            bytes,
            at: 0,
            replaces: false,
        }
    }

    /// As [`Cursor::new`]; half of a surrogate pair in a string becomes U+FFFD.
    pub(crate) fn replacing(bytes: &'a [u8]) -> Self {
        Cursor {
            replaces: true,
            ..Cursor::new(bytes)
        }
    }

    /// The place of the next byte, counted from 0.
    #[inline]
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// The bytes that are left.
    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// An error at the next byte.
    #[cold]
    pub(crate) fn error(&self, fault: Fault) -> JsonError {
        let fault = if self.at >= self.bytes.len() {
            Fault::UnexpectedEnd
        } else {
            fault
        };
        JsonError { fault, at: self.at }
    }

    /// Skips space, tab, line feed and carriage return, and returns the byte after them without
    /// taking it: 0 at the end, which begins no value.
    #[inline]
    pub(crate) fn peek(&mut self) -> u8 {
        loop {
            match self.bytes.get(self.at) {
                Some(&byte) if byte > b' ' => return byte,
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                Some(_) | None => return 0,
            }
        }
    }

    /// Takes `expected` if it is what comes next, with no white space skipped.
    #[inline]
    pub(crate) fn take(&mut self, expected: &[u8]) -> bool {
        let found = self.rest().starts_with(expected);
        if found {
            self.at += expected.len();
        }
        found
    }

    /// The bytes after what comes before a key: the comma where `first` is false. None where there is no
    /// comma.
    #[inline(always)]
    pub(super) fn after_comma(&self, first: bool) -> Option<&'a [u8]> {
        let rest = self.rest();
        if first {
            return Some(rest);
        }
        rest.strip_prefix(b",")
    }

    /// Moves back to a place where the cursor was before.
    #[inline]
    pub(super) fn go_back(&mut self, position: usize) {
        self.at = position;
    }

    /// Moves over bytes that the caller has compared.
    #[inline]
    pub(super) fn advance(&mut self, length: usize) {
        self.at += length;
    }

    #[inline]
    fn expect(&mut self, byte: u8, what: &'static str) -> Result<()> {
        if self.peek() != byte {
            return Err(self.error(Fault::Expected(what)));
        }
        self.at += 1;
        Ok(())
    }

    /// Takes the `{` of an object.
    #[inline]
    pub(crate) fn enter_object(&mut self) -> Result<()> {
        self.expect(b'{', "an object")
    }

    /// Takes the `[` of an array.
    #[inline]
    pub(crate) fn enter_array(&mut self) -> Result<()> {
        self.expect(b'[', "an array")
    }

    /// Moves to the next key of an object, over the comma where `first` is false. False, with the
    /// `}` taken, at the object's end.
    #[inline]
    pub(crate) fn next_member(&mut self, first: bool) -> Result<bool> {
        let byte = self.peek();
        if byte == b'}' {
            self.at += 1;
            return Ok(false);
        }
        if first {
            return if byte == b'"' {
                Ok(true)
            } else {
                Err(self.error(Fault::Expected("a key or '}'")))
            };
        }
        if byte != b',' {
            return Err(self.error(Fault::Expected("',' or '}'")));
        }
        self.at += 1;
        if self.peek() == b'"' {
            Ok(true)
        } else {
            Err(self.error(Fault::Expected("a key")))
        }
    }

    /// Moves to the next element of an array, over the comma where `first` is false. False, with
    /// the `]` taken, at the array's end.
    #[inline]
    pub(crate) fn next_element(&mut self, first: bool) -> Result<bool> {
        let byte = self.peek();
        if byte == b']' {
            self.at += 1;
            return Ok(false);
        }
        if !first {
            if byte != b',' {
                return Err(self.error(Fault::Expected("',' or ']'")));
            }
            self.at += 1;
            if self.peek() == b']' {
                return Err(self.error(Fault::Expected("a value")));
            }
        }
        Ok(true)
    }

    /// Takes a key and its colon.
    #[inline]
    pub(crate) fn key(&mut self) -> Result<Str<'a>> {
        let key = self.string()?;
        self.expect(b':', "':'")?;
        Ok(key)
    }

    /// Takes a string without escapes if one comes next, with no white space before it; takes nothing
    /// otherwise. Most strings are such, and two words are returned in registers.
    #[inline(always)]
    pub(crate) fn plain_string(&mut self) -> Option<&'a [u8]> {
        let text = self.rest().strip_prefix(b"\"")?;
        self.plain_string_from(text, 0)
    }

    /// As [`Cursor::plain_string`], and the text as a number where it has less than 16 bytes and 16 are
    /// left: those are looked at together, since most texts are short and differ in length.
    #[inline(always)]
    pub(crate) fn plain_text(&mut self) -> Option<(&'a [u8], Option<ShortText>)> {
        let text = self.rest().strip_prefix(b"\"")?;
        let Some(head) = text.first_chunk::<16>() else {
            return Some((self.plain_string_from(text, 0)?, None));
        };
        let word = u128::from_le_bytes(*head);
        let marks = u128::from(marks((word >> 64) as u64)) << 64 | u128::from(marks(word as u64));
        if marks == 0 {
            return Some((self.plain_string_from(text, 16)?, None));
        }
        let length = (marks.trailing_zeros() / 8) as usize;
        if text.get(length) != Some(&b'"') {
            return None;
        }
        self.at += length + 2;
        Some((text.get(..length)?, ShortText::first(head, length)))
    }

    /// Takes the string whose bytes begin with `text`; the first `length` of them are plain.
    #[inline(always)]
    fn plain_string_from(&mut self, text: &'a [u8], mut length: usize) -> Option<&'a [u8]> {
        let mut rest = text.get(length..)?;
        while let Some((chunk, after)) = rest.split_first_chunk::<8>() {
            let marks = marks(u64::from_le_bytes(*chunk));
            if marks != 0 {
                length += (marks.trailing_zeros() / 8) as usize;
                break;
            }
            length += 8;
            rest = after;
        }
        // The mark that was found, or one of fewer than eight bytes that are left.
        loop {
            match text.get(length)? {
                b'"' => break,
                b'\\' | 0..0x20 => return None,
                _ => length += 1,
            }
        }
        self.at += length + 2;
        text.get(..length)
    }

    /// Takes a string.
    #[inline]
    pub(crate) fn string(&mut self) -> Result<Str<'a>> {
        match self.plain_string() {
            Some(raw) => Ok(Str {
                raw,
                escaped: false,
            }),
            None => self.any_string(),
        }
    }

    /// Takes a string that [`Cursor::plain_string`] did not take.
    #[inline(never)]
    pub(super) fn any_string(&mut self) -> Result<Str<'a>> {
        self.expect(b'"', "a string")?;
        let begin = self.at;
        let mut escaped = false;
        loop {
            while let Some(chunk) = self
                .bytes
                .get(self.at..)
                .and_then(|rest| rest.first_chunk::<8>())
            {
                let marks = marks(u64::from_le_bytes(*chunk));
                if marks != 0 {
                    self.at += (marks.trailing_zeros() / 8) as usize;
                    break;
                }
                self.at += 8;
            }
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    let raw = self.bytes.get(begin..self.at).unwrap_or_default();
                    self.at += 1;
                    return Ok(Str { raw, escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(0..0x20) | None => return Err(self.error(Fault::ControlCharacter)),
                // Fewer than eight bytes are left.
                Some(_) => self.at += 1,
            }
        }
    }

    #[inline]
    fn escape(&mut self) -> Result<()> {
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => match unicode_escape(self.rest()) {
                Ok((_, used)) => self.at += used,
                Err(fault) => {
                    let error = self.cut_escape(fault);
                    if error.fault != Fault::LoneSurrogate || !self.replaces {
                        return Err(error);
                    }
                    self.at += SURROGATE_BYTES;
                }
            },
            Some(_) => return Err(self.error(Fault::BadEscape)),
            None => {
                return Err(JsonError {
                    fault: Fault::UnexpectedEnd,
                    at: self.bytes.len(),
                });
            }
        }
        Ok(())
    }

    /// The error of a bad escape: where the text ends inside it, more text could make it good.
    #[cold]
    fn cut_escape(&self, fault: Fault) -> JsonError {
        let rest = self.rest();
        let cut = rest.len() < 12
            && rest.iter().enumerate().all(|(at, byte)| match at % 6 {
                0 => *byte == b'\\',
                1 => *byte == b'u',
                _ => byte.is_ascii_hexdigit(),
            })
            && (rest.len() < 6 || fault == Fault::LoneSurrogate);
        if cut {
            JsonError {
                fault: Fault::UnexpectedEnd,
                at: self.bytes.len(),
            }
        } else {
            self.error(fault)
        }
    }

    /// As [`Cursor::key`]; half of a surrogate pair in it does not matter, since nobody reads such a key.
    pub(crate) fn key_or_unread(&mut self) -> Result<Str<'a>> {
        self.unread(Cursor::key)
    }

    /// As [`Cursor::skip_value`] of a value that nobody reads: half of a surrogate pair in it does not matter.
    #[inline]
    pub(crate) fn skip_unread(&mut self) -> Result<&'a [u8]> {
        self.unread(Cursor::skip_value)
    }

    /// Takes something in which half of a surrogate pair does not matter.
    #[inline]
    fn unread<T>(&mut self, take: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let replaces = std::mem::replace(&mut self.replaces, true);
        let taken = take(self);
        self.replaces = replaces;
        taken
    }

    /// Takes a number.
    #[inline]
    pub(crate) fn number(&mut self) -> Result<Number<'a>> {
        self.peek();
        match Number::read(self.rest()) {
            Ok(number) => {
                self.at += number.text.len();
                Ok(number)
            }
            Err(at) => {
                self.at += at;
                Err(self.error(Fault::BadNumber))
            }
        }
    }

    /// Takes a whole number of at most 18 digits if one comes next; takes nothing otherwise.
    #[inline(always)]
    pub(crate) fn small_whole(&mut self) -> Option<(i64, &'a [u8])> {
        self.peek();
        let rest = self.rest();
        let (value, length) = small_whole(rest)?;
        self.at += length;
        Some((value, rest.get(..length)?))
    }

    /// Takes a number without exponent of at most 18 digits if one comes next, with no white space
    /// before it; takes nothing otherwise.
    #[inline(always)]
    pub(crate) fn small_decimal(&mut self) -> Option<SmallDecimal> {
        let (value, length) = small_decimal(self.rest())?;
        self.at += length;
        Some(value)
    }

    /// Takes `true` or `false`.
    #[inline]
    pub(crate) fn boolean(&mut self) -> Result<bool> {
        if self.peek() == b't' {
            self.literal(b"true").map(|()| true)
        } else {
            self.literal(b"false").map(|()| false)
        }
    }

    /// Takes `null`.
    #[inline]
    pub(crate) fn null(&mut self) -> Result<()> {
        self.peek();
        self.literal(b"null")
    }

    #[inline]
    fn literal(&mut self, literal: &'static [u8]) -> Result<()> {
        if self.take(literal) {
            return Ok(());
        }
        let same = self
            .rest()
            .iter()
            .zip(literal)
            .take_while(|(left, right)| left == right)
            .count();
        self.at += same;
        Err(self.error(Fault::Expected("a value")))
    }

    /// Takes any value, checks it, and returns its bytes. Levels are kept in the bits of a number:
    /// depth costs no stack.
    pub(crate) fn skip_value(&mut self) -> Result<&'a [u8]> {
        self.peek();
        let begin = self.at;
        let mut depth = 0;
        // One bit per level, the innermost lowest: 1 for an object.
        let mut objects = 0u128;
        loop {
            let byte = self.peek();
            match byte {
                b'{' | b'[' => {
                    if depth == DEPTH_LIMIT {
                        return Err(self.error(Fault::TooDeep));
                    }
                    self.at += 1;
                    depth += 1;
                    objects = objects << 1 | u128::from(byte == b'{');
                    let more = if byte == b'{' {
                        self.next_member(true)?
                    } else {
                        self.next_element(true)?
                    };
                    if more {
                        if byte == b'{' {
                            self.key()?;
                        }
                        continue;
                    }
                    depth -= 1;
                    objects >>= 1;
                }
                b'"' => {
                    self.string()?;
                }
                b'-' | b'0'..=b'9' => {
                    self.number()?;
                }
                b't' | b'f' => {
                    self.boolean()?;
                }
                b'n' => self.null()?,
                _ => return Err(self.error(Fault::Expected("a value"))),
            }
            // A value has ended, and with it perhaps those around it.
            loop {
                if depth == 0 {
                    return Ok(self.bytes.get(begin..self.at).unwrap_or_default());
                }
                let object = objects & 1 == 1;
                if object && self.next_member(false)? {
                    self.key()?;
                    break;
                }
                if !object && self.next_element(false)? {
                    break;
                }
                depth -= 1;
                objects >>= 1;
            }
        }
    }

    /// Checks that only white space is left.
    #[inline]
    pub(crate) fn finish(&mut self) -> Result<()> {
        self.peek();
        if self.at < self.bytes.len() {
            Err(self.error(Fault::Expected("nothing more")))
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
#[path = "cursor_tests.rs"]
mod tests;

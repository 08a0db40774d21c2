//! The values of an object that is not a list of lines: the elements of arrays of any length, and documents one after
//! another. What is not JSON among them is a value of its own, so that the others are read.

use std::ops::Range;
use std::sync::Arc;

use tarn_core::content::Measure;
use tarn_core::{Error, ErrorKind, Result};

use crate::source::bytes::Input;
use crate::source::json::cursor::Cursor;
use crate::source::json::error::{Fault, JsonError};

/// A longer element of an array, or a longer document, is not read: it would have to be held whole.
pub(crate) const ELEMENT_LIMIT: usize = 16 << 20;

/// The byte-order mark of UTF-8.
pub(crate) const BOM: &[u8] = b"\xef\xbb\xbf";

/// Text with the places of the values in it.
pub(crate) struct Elements {
    /// The text.
    pub text: Arc<Vec<u8>>,
    /// Where it begins in the decompressed object.
    pub offset: u64,
    /// The values.
    pub ranges: Vec<Range<usize>>,
}

/// Reads arrays and documents, a part of their values at a time.
pub(crate) struct ValueReader {
    input: Input,
    chunk_bytes: usize,
    buffer: Vec<u8>,
    offset: u64,
    ended: bool,
    state: State,
    keeps_cut: bool,
    /// Values that were given out and came back.
    returned: Option<Elements>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first value.
    Start,
    /// Between values that are in no array.
    Top,
    /// After a `[` or a comma of an array.
    Next,
    /// After an element.
    After,
}

/// What X's archive writes before its array: `window.YTD.tweets.part0 = `.
const SCRIPT: &[u8] = b"window.";

/// The longest such text.
const SCRIPT_BYTES: usize = 200;

impl ValueReader {
    /// A reader of about `chunk_bytes` at a time.
    pub(crate) fn new(input: Input, chunk_bytes: usize) -> Self {
        ValueReader {
            input,
            chunk_bytes,
            buffer: Vec::new(),
            offset: 0,
            ended: false,
            state: State::Start,
            keeps_cut: false,
            returned: None,
        }
    }

    /// What is cut off at the end of the object, outside arrays, is a value too.
    #[must_use]
    pub(crate) fn keeping_cut(mut self) -> Self {
        self.keeps_cut = true;
        self
    }

    /// What was measured of the object, which was read to its end.
    pub(crate) fn measured(&mut self) -> Option<Measure> {
        self.input.measured()
    }

    /// Takes back what a batch had no room for: the values after the first `read` ones, which come next.
    pub(crate) fn put_back(&mut self, mut elements: Elements, read: usize) {
        elements.ranges.drain(..read);
        self.returned = Some(elements).filter(|elements| !elements.ranges.is_empty());
    }

    /// The next values; None after the last.
    ///
    /// # Errors
    /// `BadSource` where the object ends within a value or an array, and for a value beyond [`ELEMENT_LIMIT`]; also
    /// those of [`Input::fill`].
    pub(crate) fn next(&mut self) -> Result<Option<Elements>> {
        if let Some(returned) = self.returned.take() {
            return Ok(Some(returned));
        }
        let mut wanted = self.chunk_bytes.max(BOM.len());
        loop {
            if !self.ended {
                self.ended = !self.input.fill(&mut self.buffer, wanted)?;
            }
            let mut ranges = Vec::new();
            let used = self.scan(&mut ranges)?;
            if ranges.is_empty() {
                self.buffer.drain(..used);
                self.offset += used as u64;
                if self.ended {
                    return Ok(None);
                }
                if self.buffer.len() > ELEMENT_LIMIT {
                    return Err(self.too_long(0));
                }
                let larger = (self.buffer.len() * 2).min(ELEMENT_LIMIT + 1);
                wanted = larger.max(self.chunk_bytes).max(BOM.len());
                continue;
            }
            let rest = self.buffer.split_off(used);
            let text = Arc::new(std::mem::replace(&mut self.buffer, rest));
            let offset = self.offset;
            self.offset += used as u64;
            return Ok(Some(Elements {
                text,
                offset,
                ranges,
            }));
        }
    }

    /// Finds the values that are whole; says how many bytes they take.
    fn scan(&mut self, ranges: &mut Vec<Range<usize>>) -> Result<usize> {
        let mut used = 0;
        if self.state == State::Start {
            match self.begin() {
                Some(begin) => used = begin,
                None => return Ok(0),
            }
            self.state = State::Top;
        }
        loop {
            let mut cursor = Cursor::replacing(self.buffer.get(used..).unwrap_or_default());
            let byte = cursor.peek();
            let begin = used + cursor.position();
            if begin == self.buffer.len() {
                if self.ended && self.state != State::Top {
                    return Err(self.bad(begin, Fault::UnexpectedEnd));
                }
                return Ok(used);
            }
            match (self.state, byte) {
                (State::Top, b'[') => (self.state, used) = (State::Next, begin + 1),
                (State::Next | State::After, b']') => {
                    (self.state, used) = (State::Top, begin + 1);
                }
                (State::After, b',') => (self.state, used) = (State::Next, begin + 1),
                (_, b',') => used = begin + 1,
                _ => match self.value(begin)? {
                    Some(end) => {
                        used = end;
                        ranges.push(begin..end);
                        if self.state == State::Next {
                            self.state = State::After;
                        }
                    }
                    None => return Ok(used),
                },
            }
        }
    }

    /// Where the first value may begin; None where more of the object is needed to see it.
    fn begin(&self) -> Option<usize> {
        let begin = if self.buffer.starts_with(BOM) {
            BOM.len()
        } else {
            0
        };
        let text = self.buffer.get(begin..).unwrap_or_default();
        let trimmed = text.trim_ascii_start();
        let Some(rest) = trimmed.strip_prefix(SCRIPT) else {
            let may_follow = !self.ended && SCRIPT.starts_with(trimmed);
            return (!may_follow).then_some(begin);
        };
        let head = rest.get(..SCRIPT_BYTES.min(rest.len()))?;
        match head.iter().position(|byte| *byte == b'=') {
            Some(equals) => Some(self.buffer.len() - rest.len() + equals + 1),
            None if self.ended || rest.len() >= SCRIPT_BYTES => Some(begin),
            None => None,
        }
    }

    /// Where the value ends that begins here, whether it is JSON or not; None where more of the object is needed to
    /// see it.
    fn value(&self, begin: usize) -> Result<Option<usize>> {
        let text = self.buffer.get(begin..).unwrap_or_default();
        let mut cursor = Cursor::replacing(text);
        let length = match cursor.skip_value() {
            // A number that touches the end may continue after it.
            Ok(_) if cursor.position() == text.len() && !self.ended => return Ok(None),
            Ok(_) => cursor.position(),
            Err(JsonError {
                fault: Fault::UnexpectedEnd,
                at,
            }) if self.ended => {
                if self.keeps_cut && self.state == State::Top {
                    return Ok(Some(self.buffer.len()));
                }
                return Err(self.bad(begin + at, Fault::UnexpectedEnd));
            }
            Err(JsonError {
                fault: Fault::UnexpectedEnd,
                ..
            }) => return Ok(None),
            Err(_) => match broken_end(text) {
                Some(length) => length,
                None if self.ended => text.len(),
                None => return Ok(None),
            },
        };
        if length > ELEMENT_LIMIT {
            return Err(self.too_long(begin));
        }
        Ok(Some(begin + length))
    }

    #[cold]
    fn too_long(&self, at: usize) -> Error {
        let at = self.offset + at as u64;
        Error::new(
            ErrorKind::BadSource,
            format!(
                "the value at byte {at} is longer than {ELEMENT_LIMIT} bytes: write what it holds as JSON lines or as an array"
            ),
        )
    }

    #[cold]
    fn bad(&self, at: usize, fault: Fault) -> Error {
        bad_json(JsonError {
            fault,
            at: at + self.offset as usize,
        })
    }
}

fn bad_json(error: JsonError) -> Error {
    Error::new(
        ErrorKind::BadSource,
        format!(
            "not a whole JSON array or document: {error}; nothing of it was taken: fix it and upload it again"
        ),
    )
}

/// The values of a text that is whole: those of its arrays, and those one after another, perhaps with commas or
/// record separators (RFC 7464) between them. What is not JSON is a value of its own.
pub(crate) fn values_in(text: &[u8]) -> Vec<Range<usize>> {
    let is_between = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b',' | 0x1e);
    let mut ranges = Vec::new();
    let (mut at, mut in_array) = (0, false);
    while let Some(skipped) = text[at..].iter().position(|byte| !is_between(byte)) {
        let begin = at + skipped;
        let rest = &text[begin..];
        match rest[0] {
            b'[' if !in_array => (in_array, at) = (true, begin + 1),
            b']' if in_array => (in_array, at) = (false, begin + 1),
            _ => {
                let mut cursor = Cursor::replacing(rest);
                let length = match cursor.skip_value() {
                    Ok(_) => cursor.position(),
                    Err(_) => broken_end(rest).unwrap_or(rest.len()),
                };
                at = begin + length;
                ranges.push(begin..at);
            }
        }
    }
    ranges
}

/// How long something is that is not JSON: up to where its brackets are closed, strings left out; of anything that
/// begins with no bracket, up to a comma, a closing bracket or the end of its line. None where it has no end yet.
fn broken_end(text: &[u8]) -> Option<usize> {
    if !matches!(text.first(), Some(b'{' | b'[')) {
        let ends = |byte: &u8| matches!(byte, b',' | b']' | b'}' | b'\n');
        let rest = text.get(1..)?;
        return rest.iter().position(ends).map(|at| at + 1);
    }
    let (mut depth, mut in_string, mut at) = (0_usize, false, 0);
    while let Some(&byte) = text.get(at) {
        match byte {
            b'\\' if in_string => at += 1,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

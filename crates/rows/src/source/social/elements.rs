//! The elements of a JSON array of any length, and whole documents of a bounded one.

use std::ops::Range;
use std::sync::Arc;

use tarn_core::{Error, ErrorKind, Result};

use crate::source::bytes::Input;
use crate::source::json::cursor::Cursor;
use crate::source::json::error::{Fault, JsonError};

/// A longer element of an array, or a longer document, is not read: it would have to be held whole.
pub(crate) const ELEMENT_LIMIT: usize = 16 << 20;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// Text with the places of the values in it.
pub(super) struct Elements {
    /// The text.
    pub text: Arc<Vec<u8>>,
    /// Where it begins in the decompressed object.
    pub offset: u64,
    /// The values.
    pub ranges: Vec<Range<usize>>,
}

/// Reads an object that is one array, a part of its elements at a time.
pub(super) struct ArrayReader {
    input: Input,
    chunk_bytes: usize,
    buffer: Vec<u8>,
    offset: u64,
    ended: bool,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the `[`.
    Start,
    /// After the `[`.
    First,
    /// After an element.
    Behind,
    /// After a comma.
    Next,
    /// After the `]`.
    Closed,
}

impl ArrayReader {
    /// A reader of about `chunk_bytes` at a time.
    pub(super) fn new(input: Input, chunk_bytes: usize) -> Self {
        ArrayReader {
            input,
            chunk_bytes,
            buffer: Vec::new(),
            offset: 0,
            ended: false,
            state: State::Start,
        }
    }

    /// The next elements; None after the last.
    ///
    /// # Errors
    /// `BadSource` for a syntax error, with its byte, for something after the array, and for an
    /// element beyond [`ELEMENT_LIMIT`]; also those of [`Input::fill`].
    pub(super) fn next(&mut self) -> Result<Option<Elements>> {
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

    /// Finds the elements that are whole; says how many bytes they take.
    fn scan(&mut self, ranges: &mut Vec<Range<usize>>) -> Result<usize> {
        let mut used = 0;
        if self.state == State::Start && self.offset == 0 && self.buffer.starts_with(BOM) {
            used = BOM.len();
        }
        loop {
            let mut cursor = Cursor::new(self.buffer.get(used..).unwrap_or_default());
            let byte = cursor.peek();
            let begin = used + cursor.position();
            if begin == self.buffer.len() {
                if self.ended && self.state != State::Closed {
                    return Err(self.bad(begin, Fault::UnexpectedEnd));
                }
                return Ok(used);
            }
            match (self.state, byte) {
                (State::Start, b'[') => (self.state, used) = (State::First, begin + 1),
                (State::First | State::Behind, b']') => {
                    (self.state, used) = (State::Closed, begin + 1)
                }
                (State::Behind, b',') => (self.state, used) = (State::Next, begin + 1),
                (State::First | State::Next, _) => {
                    let before = cursor.position();
                    let result = cursor
                        .skip_value()
                        .map(|_| used + before..used + cursor.position());
                    match result {
                        // A number that touches the end may continue after it.
                        Ok(range) if range.end == self.buffer.len() && !self.ended => {
                            return Ok(used);
                        }
                        Ok(range) if range.len() > ELEMENT_LIMIT => {
                            return Err(self.too_long(range.start));
                        }
                        Ok(range) => {
                            used = range.end;
                            ranges.push(range);
                            self.state = State::Behind;
                        }
                        Err(JsonError {
                            fault: Fault::UnexpectedEnd,
                            ..
                        }) if !self.ended => return Ok(used),
                        Err(error) => return Err(self.bad(used + error.at, error.fault)),
                    }
                }
                (State::Start, _) => return Err(self.bad(begin, Fault::Expected("'['"))),
                (State::Behind, _) => return Err(self.bad(begin, Fault::Expected("',' or ']'"))),
                (State::Closed, _) => {
                    return Err(self.bad(begin, Fault::Expected("nothing after the array")));
                }
            }
        }
    }

    #[cold]
    fn too_long(&self, at: usize) -> Error {
        let at = self.offset + at as u64;
        Error::new(
            ErrorKind::BadSource,
            format!(
                "the array's element at byte {at} is longer than {ELEMENT_LIMIT} bytes: write one post per element"
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
            "not a JSON array or document: {error}; nothing of it was taken: fix it and upload it again"
        ),
    )
}

/// Reads an object that is one document.
///
/// # Errors
/// `BadSource` for a syntax error, with its byte, and for a document beyond [`ELEMENT_LIMIT`].
pub(crate) fn read_document(mut input: Input) -> Result<Elements> {
    let mut text = Vec::new();
    if input.fill(&mut text, ELEMENT_LIMIT + 1)? {
        return Err(Error::new(
            ErrorKind::BadSource,
            format!(
                "the document is longer than {ELEMENT_LIMIT} bytes: write its posts as JSON lines or as an array"
            ),
        ));
    }
    let begin = if text.starts_with(BOM) { BOM.len() } else { 0 };
    let at = |error: JsonError| {
        bad_json(JsonError {
            at: error.at + begin,
            ..error
        })
    };
    let mut cursor = Cursor::new(text.get(begin..).unwrap_or_default());
    let length = cursor.skip_value().map_err(at)?.len();
    let end = begin + cursor.position();
    cursor.finish().map_err(at)?;
    Ok(Elements {
        text: Arc::new(text),
        offset: 0,
        ranges: std::iter::once(end - length..end).collect(),
    })
}

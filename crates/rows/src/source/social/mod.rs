//! Social posts: JSON lines, one array, or one document, plain or gzip, told apart by content.
//!
//! - **Lines** are read one by one; a line that is no post is rejected and the others are read.
//! - **An array** is read element by element, however long it is. A syntax error in it fails the
//!   run and names the byte, and nothing of the object is taken: behind such an error nobody knows
//!   where the next element begins. An element that is JSON and no post is rejected alone.
//! - **A document** over several lines, such as an API's answer, is treated as an array of one.
//!
//! The shape of each post is told by its content: the plain shape ([`plain`]), X/Twitter v1.1 and v2,
//! Mastodon, Reddit ([`network`]). Answers of their APIs are taken apart into their posts, each of
//! which is a row ([`shape::answer`]); comments inside a comment's `replies` stay in its raw JSON.
//! Where a shape has more than the columns hold, which every network's has, `raw_json` is the post as
//! received. Repeated keys, wrong types and dates that do not exist reject the post.
//!
//! Sentiment is the post's own where it has one from -1 to 1, otherwise VADER's ([`sentiment`]).
//! Texts are as received, except Mastodon's, whose HTML becomes text.

mod elements;
mod html;
mod network;
mod plain;
mod post;
mod sentiment;
mod shape;

use std::path::Path;
use std::sync::Arc;
use tarn_core::rule_id;

use tarn_contract::{Column, Contract};
use tarn_core::Result;

use self::elements::{ArrayReader, Elements, read_document};
use self::network::Includes;
use self::plain::PlainReader;
use self::post::{Columns, Post, PostFault};
use self::shape::{Shape, shape_of};
use crate::batch::{Batch, EmptyColumns, Reader, Rejected};
use crate::source::bytes::{self, Input};
use crate::source::json::cursor::Cursor;
use crate::source::json::document::Node;
use crate::source::json::error::Fault;
use crate::source::json_lines::{check_utf8, too_long};
use crate::source::lines::{CHUNK_BYTES, Chunk, Chunks, LINE_LIMIT, Line, Piece};

/// A batch ends at so many rejected posts, or at so many bytes of them: each has its own memory.
const BATCH_REJECTED: usize = 8192;
const BATCH_REJECTED_BYTES: usize = 4 << 20;

/// Answers may hold answers (a Reddit thread is a list of listings), so many levels deep.
const ANSWER_LEVELS: u32 = 4;

/// Reads social posts.
pub struct SocialReader {
    source: Source,
    columns: Vec<Column>,
    empty: EmptyColumns,
    fields: Columns,
    plain: PlainReader,
}

/// How the object is laid out.
enum Source {
    Lines(Chunks, Option<Place>),
    Array(ArrayReader, Option<(Elements, usize)>),
    Document(Option<Input>),
}

/// How far a chunk is read.
struct Place {
    chunk: Chunk,
    utf8: bool,
    at: usize,
    line: u64,
}

impl SocialReader {
    /// A reader of a local file that fills the columns of `contract`. The file is opened twice: once
    /// to see how it is laid out.
    ///
    /// # Errors
    /// `BadContract` for a column that posts do not have; those of [`bytes::open`].
    pub fn open(path: &Path, contract: &Contract) -> Result<Self> {
        Self::of_columns(|| bytes::open(path), &contract.columns, CHUNK_BYTES)
    }

    fn of_columns(
        open: impl Fn() -> Result<Input>,
        columns: &[Column],
        chunk_bytes: usize,
    ) -> Result<Self> {
        let fields = Columns::new(columns)?;
        let mut head = Vec::new();
        let ended = !open()?.fill(&mut head, 2 * LINE_LIMIT)?;
        let source = match layout(&head, ended) {
            Layout::Lines => Source::Lines(Chunks::new(open()?, chunk_bytes), None),
            Layout::Array => Source::Array(ArrayReader::new(open()?, chunk_bytes), None),
            Layout::Document => Source::Document(Some(open()?)),
        };
        Ok(SocialReader {
            source,
            columns: columns.to_vec(),
            empty: EmptyColumns::new(columns),
            fields,
            plain: PlainReader::new(),
        })
    }

    /// The object that is being read, for its counters; None once a document was read.
    pub fn input(&self) -> Option<&Input> {
        match &self.source {
            Source::Lines(chunks, _) => Some(chunks.input()),
            Source::Array(array, _) => Some(array.input()),
            Source::Document(input) => input.as_ref(),
        }
    }
}

/// How an object is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    Lines,
    Array,
    Document,
}

/// How an object that begins with `head` is laid out; `ended` says that there is no more of it.
///
/// An object is a document, and not lines, where its first line is the beginning of a JSON value and
/// its second is no value of its own.
fn layout(head: &[u8], ended: bool) -> Layout {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let mut cursor = Cursor::new(head);
    match cursor.peek() {
        b'[' => return Layout::Array,
        b'{' => {}
        _ => return Layout::Lines,
    }
    let text = cursor.rest();
    let mut lines = text
        .split(|byte| *byte == b'\n')
        .map(|line| line.trim_ascii())
        .filter(|line| !line.is_empty());
    let is_object = |line: &[u8]| {
        let mut cursor = Cursor::new(line);
        line.starts_with(b"{") && cursor.skip_value().and_then(|_| cursor.finish()).is_ok()
    };
    let first = lines.next().unwrap_or_default();
    let first_fault = Cursor::new(first)
        .skip_value()
        .err()
        .map(|error| error.fault);
    if is_object(first) || first_fault != Some(Fault::UnexpectedEnd) {
        return Layout::Lines;
    }
    match Cursor::new(text).skip_value() {
        // A string that the line's end interrupts: a line that was cut off.
        Err(error)
            if error.fault == Fault::ControlCharacter
                && error.at < text.len()
                && error.at <= first.len() + 1 =>
        {
            Layout::Lines
        }
        Err(_) => match lines.next() {
            Some(second) if is_object(second) => Layout::Lines,
            None if ended => Layout::Lines,
            _ => Layout::Document,
        },
        Ok(_) => Layout::Document,
    }
}

/// Where a post comes from.
#[derive(Clone, Copy)]
struct From {
    line: Option<u64>,
    /// Where the batch's text begins in the object.
    offset: u64,
}

/// A batch while it is being filled.
struct Filling<'a> {
    batch: Batch,
    columns: &'a [Column],
    fields: &'a mut Columns,
    plain: &'a mut PlainReader,
    rejected_bytes: usize,
}

impl Filling<'_> {
    /// Reads the value at `begin..end` of `text`, of which every post is a row.
    #[inline]
    fn read<'t>(
        &mut self,
        text: &'t [u8],
        (begin, end): (usize, usize),
        utf8: bool,
        from: From,
        post: &mut Post<'t>,
    ) {
        let json = &text[begin..end];
        if let Err(reason) = check_utf8(json, utf8) {
            return self.refuse(PostFault::Parse(reason), (begin, end), json, from);
        }
        match self.plain.read(json, false, post) {
            Ok(()) => self.accept(post, (begin, end), json, from),
            Err(PostFault::Parse(_)) if json.trim_ascii().is_empty() => self.batch.blank += 1,
            Err(_) => self.read_slowly(
                text,
                (begin, end),
                from,
                &Includes::default(),
                ANSWER_LEVELS,
            ),
        }
    }

    /// Reads a value that is not simply a plain post.
    fn read_slowly<'a>(
        &mut self,
        text: &'a [u8],
        (begin, end): (usize, usize),
        from: From,
        includes: &Includes<'_, 'a>,
        levels: u32,
    ) {
        let json = &text[begin..end];
        let answer = match shape::answer(json) {
            Ok(Some(answer)) if levels > 0 => answer,
            Ok(_) => {
                let result = self.read_post(json, includes);
                return match result {
                    Ok(post) => self.accept(&post, (begin, end), json, from),
                    Err(fault) => self.refuse(fault, (begin, end), json, from),
                };
            }
            Err(error) => return self.refuse(error.into(), (begin, end), json, from),
        };
        let node = match Node::read(answer.includes.map_or(b"null", |range| &json[range])) {
            Ok(node) => node,
            Err(fault) => return self.refuse(fault.into(), (begin, end), json, from),
        };
        let includes = Includes::new(&node);
        for range in answer.posts {
            self.read_slowly(
                text,
                (begin + range.start, begin + range.end),
                from,
                &includes,
                levels - 1,
            );
        }
    }

    fn read_post<'a>(
        &mut self,
        json: &'a [u8],
        includes: &Includes<'_, 'a>,
    ) -> Result<Post<'a>, PostFault> {
        let node = Node::read(json)?;
        match shape_of(&node)? {
            Shape::Plain => {
                let mut post = Post::default();
                self.plain.read(json, true, &mut post)?;
                Ok(post)
            }
            shape => network::read(shape, &node, includes),
        }
    }

    #[inline]
    fn accept(&mut self, post: &Post<'_>, span: (usize, usize), json: &[u8], from: From) {
        self.fields.push(post, json, &mut self.batch.columns);
        self.batch
            .offsets
            .push((from.offset + span.0 as u64) as i64);
        self.batch.lines.extend(from.line);
        self.batch.spans.push(span);
    }

    #[cold]
    fn refuse(&mut self, fault: PostFault, span: (usize, usize), json: &[u8], from: From) {
        let offset = (from.offset + span.0 as u64) as i64;
        let (field, reason) = match fault {
            PostFault::Parse(reason) => (None, reason),
            PostFault::Value(field, reason) => (self.fields.index_of(field), reason.into_owned()),
            PostFault::OtherShape => (None, "not a post of a known shape".to_owned()),
        };
        let column = field
            .and_then(|index| self.columns.get(index))
            .map(|column| column.name.as_str());
        let rule = column.map_or_else(|| rule_id::PARSE.to_owned(), rule_id::type_of);
        self.reject(Rejected::new(rule, column, reason, from.line, offset, json));
    }

    #[cold]
    fn reject(&mut self, rejected: Rejected) {
        self.rejected_bytes += rejected.payload.len();
        self.batch.rejected.push(rejected);
    }

    #[inline]
    fn is_full(&self) -> bool {
        self.batch.rejected.len() >= BATCH_REJECTED || self.rejected_bytes >= BATCH_REJECTED_BYTES
    }

    /// Reads lines until the batch is full or the chunk ends; true says that the chunk ended.
    fn read_lines(&mut self, place: &mut Place) -> bool {
        let text = Arc::clone(&place.chunk.text);
        let mut post = Post::default();
        let mut ended = true;
        while let Some(line) = Line::at(&text, place.at) {
            if self.is_full() {
                ended = false;
                break;
            }
            let from = From {
                line: Some(place.line),
                offset: place.chunk.offset,
            };
            self.read(&text, (line.begin, line.end), place.utf8, from, &mut post);
            place.at = line.next;
            place.line += 1;
        }
        drop(post);
        self.batch.text = text;
        ended
    }

    /// Reads values from the one with this number on; says at which to go on.
    fn read_elements(&mut self, elements: &Elements, first: usize) -> usize {
        let text = Arc::clone(&elements.text);
        let utf8 = simdutf8::basic::from_utf8(&text).is_ok();
        let from = From {
            line: None,
            offset: elements.offset,
        };
        let mut post = Post::default();
        let mut number = first;
        for range in elements.ranges.iter().skip(first) {
            if self.is_full() {
                break;
            }
            self.read(&text, (range.start, range.end), utf8, from, &mut post);
            number += 1;
        }
        drop(post);
        self.batch.text = text;
        number
    }
}

impl Reader for SocialReader {
    fn next_batch(&mut self) -> Result<Option<Batch>> {
        let mut filling = Filling {
            batch: self.empty.next(&self.columns),
            columns: &self.columns,
            fields: &mut self.fields,
            plain: &mut self.plain,
            rejected_bytes: 0,
        };
        match &mut self.source {
            Source::Lines(chunks, current) => loop {
                let mut place = match current.take() {
                    Some(place) => place,
                    None => match chunks.next_piece()? {
                        Some(Piece::Lines(chunk)) => {
                            let utf8 = simdutf8::basic::from_utf8(&chunk.text).is_ok();
                            Place {
                                at: 0,
                                line: chunk.first_line,
                                utf8,
                                chunk,
                            }
                        }
                        Some(Piece::Long(long)) => {
                            filling.reject(too_long(long));
                            if filling.is_full() {
                                break;
                            }
                            continue;
                        }
                        None if filling.batch.rejected.is_empty() => return Ok(None),
                        None => break,
                    },
                };
                let ended = filling.read_lines(&mut place);
                chunks.go_on_at(place.line);
                *current = (!ended).then_some(place);
                break;
            },
            Source::Array(array, current) => {
                let (elements, first) = match current.take() {
                    Some(current) => current,
                    None => match array.next()? {
                        Some(elements) => (elements, 0),
                        None => return Ok(None),
                    },
                };
                let next = filling.read_elements(&elements, first);
                *current = (next < elements.ranges.len()).then_some((elements, next));
            }
            Source::Document(input) => {
                let Some(input) = input.take() else {
                    return Ok(None);
                };
                filling.read_elements(&read_document(input)?, 0);
            }
        }
        let batch = filling.batch;
        self.empty.learn(&batch);
        Ok(Some(batch))
    }
}

#[cfg(test)]
mod tests;

//! Social posts: JSON lines, one array, or one document, plain or gzip, recognised by content.
//!
//! - **Lines** are read one by one; a line that is not a post is rejected and the others are read.
//! - **An array** is read element by element, however long it is. A syntax error in it fails the
//!   run and names the byte, and nothing of the object is taken: after such an error it is not known
//!   where the next element begins. An element that is JSON but not a post is rejected alone.
//! - **A document** over several lines, such as an API's answer, is treated as an array of one.
//!
//! The shape of each post is recognised by its content: the plain shape ([`plain`]), X/Twitter v1.1 and v2,
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

use tarn_contract::{Column, Contract};
use tarn_core::{Result, rule_id};

use self::elements::{ArrayReader, Elements, read_document};
use self::network::Includes;
use self::plain::PlainReader;
use self::post::{Columns, Post, PostFault};
use self::shape::{Shape, shape_of};
use crate::batch::{Batch, EmptyColumns, Reader, Rejected, RowPlace, Violation};
use crate::source::batch_builder::BatchBuilder;
use crate::source::bytes::{self, Input};
use crate::source::json::cursor::Cursor;
use crate::source::json::document::Node;
use crate::source::json::error::Fault;
use crate::source::line_reader::{LineReader, Lines, check_utf8};
use crate::source::lines::{CHUNK_BYTES, LINE_LIMIT};

/// How many levels deep answers may hold answers (a Reddit thread is a list of listings).
const ANSWER_LEVELS: u32 = 4;

/// Reads social posts.
pub(super) struct SocialReader {
    source: Source,
    empty: EmptyColumns,
    posts: PostReader,
}

/// How the object is laid out.
enum Source {
    Lines(LineReader),
    Array(ArrayReader, Option<(Elements, usize)>),
    Document(Option<Input>),
}

impl SocialReader {
    /// A reader of a local file that fills the columns of `contract`. The file is opened twice: once
    /// to see how it is laid out.
    ///
    /// # Errors
    /// `BadContract` for a column that posts do not have; those of [`bytes::open`].
    pub(super) fn open(path: &Path, contract: &Contract) -> Result<Self> {
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
            Layout::Lines => Source::Lines(LineReader::new(open()?, chunk_bytes)),
            Layout::Array => Source::Array(ArrayReader::new(open()?, chunk_bytes), None),
            Layout::Document => Source::Document(Some(open()?)),
        };
        Ok(SocialReader {
            source,
            empty: EmptyColumns::new(columns),
            posts: PostReader {
                columns: columns.to_vec(),
                fields,
                plain: PlainReader::new(),
            },
        })
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
/// its second is not a value of its own.
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

/// A JSON value with posts, and where it is.
#[derive(Clone, Copy)]
struct Value<'t> {
    /// The text of the batch.
    text: &'t [u8],
    begin: usize,
    end: usize,
    /// Its line, where the object has lines.
    line: Option<u64>,
    /// Where the batch's text begins in the object.
    offset: u64,
}

impl<'t> Value<'t> {
    fn json(&self) -> &'t [u8] {
        &self.text[self.begin..self.end]
    }

    fn place(&self) -> RowPlace {
        RowPlace {
            line: self.line,
            offset: (self.offset + self.begin as u64) as i64,
        }
    }
}

/// Reads posts into batches.
struct PostReader {
    columns: Vec<Column>,
    fields: Columns,
    plain: PlainReader,
}

impl PostReader {
    /// Reads a value; each of its posts is a row. `post` is memory that is used again.
    #[inline]
    fn read<'t>(
        &mut self,
        value: Value<'t>,
        utf8: bool,
        post: &mut Post<'t>,
        builder: &mut BatchBuilder,
    ) {
        let json = value.json();
        if let Err(reason) = check_utf8(json, utf8) {
            return self.reject(PostFault::Parse(reason), value, builder);
        }
        match self.plain.read(json, false, post) {
            Ok(()) => self.accept(post, value, builder),
            Err(PostFault::Parse(_)) if json.trim_ascii().is_empty() => {
                builder.batch.blank += 1;
            }
            Err(_) => self.read_slowly(value, &Includes::default(), ANSWER_LEVELS, builder),
        }
    }

    /// Reads a value that is not simply a plain post.
    fn read_slowly<'t>(
        &mut self,
        value: Value<'t>,
        includes: &Includes<'_, 't>,
        levels: u32,
        builder: &mut BatchBuilder,
    ) {
        let json = value.json();
        let answer = match shape::answer(json) {
            Ok(Some(answer)) if levels > 0 => answer,
            Ok(_) => {
                return match self.read_post(json, includes) {
                    Ok(post) => self.accept(&post, value, builder),
                    Err(fault) => self.reject(fault, value, builder),
                };
            }
            Err(error) => return self.reject(error.into(), value, builder),
        };
        let node = match Node::read(answer.includes.map_or(b"null", |range| &json[range])) {
            Ok(node) => node,
            Err(fault) => return self.reject(fault.into(), value, builder),
        };
        let includes = Includes::new(&node);
        for range in answer.posts {
            let part = Value {
                begin: value.begin + range.start,
                end: value.begin + range.end,
                ..value
            };
            self.read_slowly(part, &includes, levels - 1, builder);
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
    fn accept(&mut self, post: &Post<'_>, value: Value<'_>, builder: &mut BatchBuilder) {
        self.fields
            .push(post, value.json(), &mut builder.batch.columns);
        builder.accept(value.place(), (value.begin, value.end));
    }

    #[cold]
    fn reject(&self, fault: PostFault, value: Value<'_>, builder: &mut BatchBuilder) {
        let (field, reason) = match fault {
            PostFault::Parse(reason) => (None, reason),
            PostFault::Value(field, reason) => (self.fields.index_of(field), reason),
            PostFault::OtherShape => (None, "not a post of a known shape".into()),
        };
        let column = field
            .and_then(|index| self.columns.get(index))
            .map(|column| column.name.as_str());
        let rule = column.map_or_else(|| rule_id::PARSE.to_owned(), rule_id::type_of);
        let violation = Violation::new(rule, column, reason);
        builder.reject(Rejected::new(violation, value.place(), value.json()));
    }

    /// Reads lines until the batch is full or the lines end.
    fn read_lines(&mut self, lines: &mut Lines<'_>, builder: &mut BatchBuilder) {
        let (text, offset) = (lines.text(), lines.offset());
        let mut post = Post::default();
        while let Some(line) = lines.next(builder) {
            let (begin, end) = line.span();
            let value = Value {
                text,
                begin,
                end,
                line: line.place.line,
                offset,
            };
            self.read(value, line.utf8, &mut post, builder);
        }
    }

    /// Reads values from the one with this number on until the batch is full; returns the number of the
    /// value to continue with.
    fn read_elements(
        &mut self,
        elements: &Elements,
        first: usize,
        builder: &mut BatchBuilder,
    ) -> usize {
        let text = Arc::clone(&elements.text);
        let utf8 = simdutf8::basic::from_utf8(&text).is_ok();
        let mut post = Post::default();
        let mut number = first;
        for range in elements.ranges.iter().skip(first) {
            if builder.is_full() {
                break;
            }
            let value = Value {
                text: &text,
                begin: range.start,
                end: range.end,
                line: None,
                offset: elements.offset,
            };
            self.read(value, utf8, &mut post, builder);
            number += 1;
        }
        drop(post);
        builder.batch.text = text;
        number
    }
}

impl Reader for SocialReader {
    fn next_batch(&mut self) -> Result<Option<Batch>> {
        let posts = &mut self.posts;
        let mut builder = BatchBuilder::new(self.empty.next(&posts.columns), usize::MAX);
        match &mut self.source {
            Source::Lines(lines) => {
                let has_rows = lines.fill(&mut builder, |lines, builder| {
                    posts.read_lines(lines, builder);
                    Ok(())
                })?;
                if !has_rows {
                    return Ok(None);
                }
            }
            Source::Array(array, current) => {
                let (elements, first) = match current.take() {
                    Some(current) => current,
                    None => match array.next()? {
                        Some(elements) => (elements, 0),
                        None => return Ok(None),
                    },
                };
                let next = posts.read_elements(&elements, first, &mut builder);
                *current = (next < elements.ranges.len()).then_some((elements, next));
            }
            Source::Document(input) => {
                let Some(input) = input.take() else {
                    return Ok(None);
                };
                posts.read_elements(&read_document(input)?, 0, &mut builder);
            }
        }
        let batch = builder.batch;
        self.empty.learn(&batch);
        Ok(Some(batch))
    }
}

#[cfg(test)]
mod tests;

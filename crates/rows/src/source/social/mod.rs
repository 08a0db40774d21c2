//! Social posts: JSON lines, arrays, documents, or the scripts of X's archive, plain or gzip, recognised by content.
//!
//! - **Lines** are read one by one; a line that is not a post is rejected and the others are read.
//! - **Arrays and documents**, one or several one after another, are read value by value, however many there are. What
//!   is not JSON among them is rejected up to where its brackets are closed, and the others are read. An object that ends
//!   within one was cut: the run fails, and nothing of it is taken.
//!
//! The shape of each post is recognised by its content: the plain shape ([`plain`]), X/Twitter v1.1 and v2,
//! Mastodon, Reddit ([`network`]). Answers of their APIs are taken apart into their posts, each of
//! which is a row ([`shape::answer`]), the answers inside a comment of Reddit included. Messages of X's streams
//! about themselves, Reddit's signs of more comments and answers without posts count as blank.
//! Where a shape has more than the columns hold, which every network's has, `raw_json` is the post as
//! received. Repeated keys, wrong types and dates that do not exist reject the post.
//!
//! Sentiment is the post's own where it has one from -1 to 1, otherwise VADER's ([`sentiment`]).
//! Texts are as received, but Mastodon's HTML becomes text, character references of X and Reddit are decoded, and a
//! retweet or boost has the whole text and the tags of the post that it repeats. `[deleted]`, `[removed]`, and −1
//! where Mastodon hides a number, are null. Half of a surrogate pair becomes U+FFFD.

mod html;
mod language;
mod members;
mod network;
mod plain;
mod post;
mod sentiment;
mod shape;
mod vader;
mod x;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use tarn_contract::{Column, Contract};
use tarn_core::{Result, rule_id};

use self::plain::PlainReader;
use self::post::{Columns, Post, PostFault};
use self::shape::{Shape, shape_of};
use self::x::Includes;
use crate::batch::{Batch, EmptyColumns, Reader, Rejected, RowPlace, Violation};
use crate::source::batch_builder::BatchBuilder;
use crate::source::bytes::{self, Input};
use crate::source::json::cursor::Cursor;
use crate::source::json::document::Node;
use crate::source::json::elements::{ELEMENT_LIMIT, Elements, ValueReader};
use crate::source::json::error::Fault;
use crate::source::line_reader::{LineReader, Lines, check_utf8};
use crate::source::lines::{CHUNK_BYTES, LINE_LIMIT};

/// How many levels deep answers may hold answers (a Reddit thread is a list of listings).
///
/// Comments of Reddit hold listings of their answers, and these of theirs.
const ANSWER_LEVELS: u32 = 64;

/// Reads social posts.
pub(super) struct SocialReader {
    source: Source,
    empty: EmptyColumns,
    posts: PostReader,
}

/// How the object is laid out.
enum Source {
    Lines(LineReader),
    Values(ValueReader),
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
            Layout::Lines => {
                // An API's answer of many posts is one line.
                let lines = LineReader::new(open()?, chunk_bytes);
                Source::Lines(lines.with_limit(ELEMENT_LIMIT))
            }
            Layout::Values => Source::Values(ValueReader::new(open()?, chunk_bytes)),
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
    /// Arrays and documents.
    Values,
}

/// How an object that begins with `head` is laid out; `ended` says that there is no more of it.
///
/// An object is a document, and not lines, where its first line is the beginning of a JSON value and
/// its second is not a value of its own.
fn layout(head: &[u8], ended: bool) -> Layout {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let mut cursor = Cursor::replacing(head);
    match cursor.peek() {
        b'[' => return Layout::Values,
        b'w' if cursor.rest().starts_with(b"window.") => return Layout::Values,
        b'{' => {}
        _ => return Layout::Lines,
    }
    let text = cursor.rest();
    let mut lines = text
        .split(|byte| *byte == b'\n')
        .map(|line| line.trim_ascii())
        .filter(|line| !line.is_empty());
    let is_object = |line: &[u8]| {
        let mut cursor = Cursor::replacing(line);
        line.starts_with(b"{") && cursor.skip_value().and_then(|_| cursor.finish()).is_ok()
    };
    let first = lines.next().unwrap_or_default();
    let first_fault = Cursor::replacing(first)
        .skip_value()
        .err()
        .map(|error| error.fault);
    if is_object(first) || first_fault != Some(Fault::UnexpectedEnd) {
        return Layout::Lines;
    }
    match Cursor::replacing(text).skip_value() {
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
            _ => Layout::Values,
        },
        Ok(_) => Layout::Values,
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

    /// Without a comma after it: some tools make a list of lines by putting one after each.
    fn without_comma(self) -> Self {
        let json = self.json().trim_ascii_end();
        match json.strip_suffix(b",") {
            Some(json) => self.part(0..json.len()),
            None => self,
        }
    }

    /// A part of it.
    fn part(self, range: Range<usize>) -> Self {
        Value {
            begin: self.begin + range.start,
            end: self.begin + range.end,
            ..self
        }
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
        if let Err(reason) = check_utf8(value.json(), utf8) {
            return self.reject(PostFault::Parse(reason), value, builder);
        }
        let value = value.without_comma();
        let json = value.json();
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
            Ok(_) => return self.read_one(value, includes, levels, builder),
            Err(error) => return self.reject(error.into(), value, builder),
        };
        let node = match Node::read(answer.includes.map_or(b"null", |range| &json[range])) {
            Ok(node) => node,
            Err(fault) => return self.reject(fault.into(), value, builder),
        };
        let includes = Includes::new(&node);
        if answer.posts.is_empty() {
            builder.batch.blank += 1;
        }
        for range in answer.posts {
            self.read_slowly(value.part(range), &includes, levels - 1, builder);
        }
    }

    /// Reads a value that is one post, and the answers that a comment of Reddit holds.
    fn read_one<'t>(
        &mut self,
        value: Value<'t>,
        includes: &Includes<'_, 't>,
        levels: u32,
        builder: &mut BatchBuilder,
    ) {
        let json = value.json();
        let node = match Node::read(json) {
            Ok(node) => node,
            Err(fault) => return self.reject(fault.into(), value, builder),
        };
        if shape::is_message(&node) {
            builder.batch.blank += 1;
            return;
        }
        let shape = match shape_of(&node) {
            Ok(shape) => shape,
            Err(fault) => return self.reject(fault, value, builder),
        };
        match self.post(shape, json, &node, includes) {
            Ok(post) => self.accept(&post, value, builder),
            Err(fault) => self.reject(fault, value, builder),
        }
        // The answers to a comment are posts of their own, even where it is rejected.
        if shape != Shape::Reddit || levels == 0 {
            return;
        }
        match shape::replies(json) {
            Ok(Some(range)) => self.read_slowly(value.part(range), includes, levels, builder),
            Ok(None) => {}
            Err(error) => self.reject(error.into(), value, builder),
        }
    }

    fn post<'a>(
        &mut self,
        shape: Shape,
        json: &'a [u8],
        node: &Node<'a>,
        includes: &Includes<'_, 'a>,
    ) -> Result<Post<'a>, PostFault> {
        match shape {
            Shape::Plain => {
                let mut post = Post::default();
                self.plain.read(json, true, &mut post)?;
                Ok(post)
            }
            shape => network::read(shape, node, includes),
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

    /// Reads values until the batch is full; returns how many.
    fn read_elements(&mut self, elements: &Elements, builder: &mut BatchBuilder) -> usize {
        let text = Arc::clone(&elements.text);
        let utf8 = simdutf8::basic::from_utf8(&text).is_ok();
        let mut post = Post::default();
        let mut number = 0;
        for range in &elements.ranges {
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
            Source::Values(values) => {
                let Some(elements) = values.next()? else {
                    return Ok(None);
                };
                let read = posts.read_elements(&elements, &mut builder);
                values.put_back(elements, read);
            }
        }
        let batch = builder.batch;
        self.empty.learn(&batch);
        Ok(Some(batch))
    }
}

#[cfg(test)]
mod tests;

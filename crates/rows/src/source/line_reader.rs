//! Reads an object line by line into batches: the loop that all readers of lines share.

use std::sync::Arc;

use memchr::memrchr;
use tarn_core::content::Measure;
use tarn_core::{Result, rule_id};

use crate::batch::{Rejected, RowPlace, Violation};
use crate::reason::Reason;
use crate::source::batch_builder::BatchBuilder;
use crate::source::bytes::Input;
use crate::source::lines::{Chunk, Chunks, Line, LongLine, Piece};

/// Text is checked for valid UTF-8 in pieces that stay in the processor's cache until they are parsed.
const UTF8_BYTES: usize = 64 * 1024;

/// Reads the lines of an object.
pub(crate) struct LineReader {
    chunks: Chunks,
    /// The chunk that the last batch has not read to its end.
    current: Option<(Chunk, Position)>,
}

/// How far a chunk is read.
#[derive(Clone, Copy)]
struct Position {
    at: usize,
    line: u64,
    /// Up to here it is known whether the text is valid UTF-8.
    checked: usize,
    utf8: bool,
}

/// The lines of a chunk that belong to one batch.
pub(crate) struct Lines<'t> {
    text: &'t [u8],
    /// Where the text begins in the object.
    offset: u64,
    position: Position,
}

/// A line.
#[derive(Clone, Copy)]
pub(crate) struct TextLine<'t> {
    /// Its bytes without the line end.
    pub(crate) bytes: &'t [u8],
    /// Where it begins in the text of the batch.
    pub(crate) begin: usize,
    /// Where it is in the object.
    pub(crate) place: RowPlace,
    /// Whether it is known to be valid UTF-8.
    pub(crate) utf8: bool,
    /// Whether a line end follows: the last line of an object that is being written may be cut.
    pub(crate) is_ended: bool,
}

impl LineReader {
    /// A reader that takes about `chunk_bytes` at once.
    pub(crate) fn new(input: Input, chunk_bytes: usize) -> Self {
        LineReader {
            chunks: Chunks::new(input, chunk_bytes),
            current: None,
        }
    }

    /// Reads lines of up to this many bytes instead of one MiB.
    pub(crate) fn with_limit(mut self, bytes: usize) -> Self {
        self.chunks.set_line_limit(bytes);
        self
    }

    /// What was measured of the object, which was read to its end.
    pub(crate) fn measured(&mut self) -> Option<Measure> {
        self.chunks.measured()
    }

    /// Fills a batch from the next lines, which `read` takes until there are no more. False at the end of the
    /// object, where nothing was added.
    ///
    /// # Errors
    /// Those of the object and of `read`; the reader is then of no more use.
    #[inline]
    pub(crate) fn fill(
        &mut self,
        builder: &mut BatchBuilder,
        read: impl FnOnce(&mut Lines<'_>, &mut BatchBuilder) -> Result<()>,
    ) -> Result<bool> {
        let Some((chunk, position)) = self.next_lines(builder)? else {
            return Ok(!builder.batch.rejected.is_empty());
        };
        let text = Arc::clone(&chunk.text);
        let mut lines = Lines {
            text: &text,
            offset: chunk.offset,
            position,
        };
        read(&mut lines, builder)?;
        let position = lines.position;
        self.chunks.go_on_at(position.line);
        self.current = (position.at < text.len()).then_some((chunk, position));
        builder.batch.text = text;
        Ok(true)
    }

    /// The next chunk of lines; lines that are too long are rejected on the way. None at the end, or where
    /// the batch is full of these.
    fn next_lines(&mut self, builder: &mut BatchBuilder) -> Result<Option<(Chunk, Position)>> {
        if let Some(current) = self.current.take() {
            return Ok(Some(current));
        }
        while !builder.is_full() {
            match self.chunks.next_piece()? {
                Some(Piece::Lines(chunk)) => {
                    let position = Position {
                        at: 0,
                        line: chunk.first_line,
                        checked: 0,
                        utf8: false,
                    };
                    return Ok(Some((chunk, position)));
                }
                Some(Piece::Long(long)) => {
                    builder.reject(too_long(long, self.chunks.line_limit()));
                }
                None => break,
            }
        }
        Ok(None)
    }
}

impl<'t> Lines<'t> {
    /// The next line; None where the batch is full or the chunk ends.
    #[inline(always)]
    pub(crate) fn next(&mut self, builder: &BatchBuilder) -> Option<TextLine<'t>> {
        let line = Line::at(self.text, self.position.at)?;
        if builder.is_full() {
            return None;
        }
        self.check_utf8(line);
        let place = RowPlace {
            line: Some(self.position.line),
            offset: (self.offset + line.begin as u64) as i64,
        };
        self.position.at = line.next;
        self.position.line += 1;
        Some(TextLine {
            bytes: &self.text[line.begin..line.end],
            begin: line.begin,
            place,
            utf8: self.position.utf8,
            is_ended: line.next > line.end,
        })
    }

    /// The text of the batch.
    pub(crate) fn text(&self) -> &'t [u8] {
        self.text
    }

    /// Where the text begins in the object.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The first line of the object, where it is the next one. It can then be left out.
    pub(crate) fn first_of_object(&self) -> Option<Line> {
        Line::at(self.text, self.position.at).filter(|_| self.position.line == 1)
    }

    /// The bytes of a line of these.
    pub(crate) fn bytes(&self, line: Line) -> &'t [u8] {
        &self.text[line.begin..line.end]
    }

    /// Leaves out the next line.
    pub(crate) fn skip(&mut self, line: Line) {
        self.position.at = line.next;
        self.position.line += 1;
    }

    /// Checks the lines from `line` on, as many as fit into a piece.
    #[inline]
    fn check_utf8(&mut self, line: Line) {
        if line.begin < self.position.checked {
            return;
        }
        let limit = self.text.len().min(line.begin + UTF8_BYTES);
        let checked = match memrchr(b'\n', &self.text[line.begin..limit]) {
            Some(newline) => line.begin + newline + 1,
            None => line.next,
        };
        self.position.checked = checked;
        self.position.utf8 = simdutf8::basic::from_utf8(&self.text[line.begin..checked]).is_ok();
    }
}

impl TextLine<'_> {
    /// Where it is in the text of the batch.
    #[inline]
    pub(crate) fn span(&self) -> (usize, usize) {
        (self.begin, self.begin + self.bytes.len())
    }

    #[cold]
    pub(crate) fn is_blank(&self) -> bool {
        self.bytes.trim_ascii().is_empty()
    }
}

/// Says where a text is not UTF-8, unless it is known to be.
#[inline]
pub(crate) fn check_utf8(text: &[u8], known: bool) -> Result<(), Reason> {
    if known {
        return Ok(());
    }
    std::str::from_utf8(text)
        .map(|_| ())
        .map_err(|error| format!("not UTF-8 at byte {}", error.valid_up_to()).into())
}

/// A line that was too long to be kept, as a rejected row.
fn too_long(long: LongLine, limit: usize) -> Rejected {
    let reason = format!(
        "the line has {} bytes; at most {limit} are read",
        long.bytes
    );
    let place = RowPlace {
        line: Some(long.line),
        offset: long.offset as i64,
    };
    Rejected {
        payload_bytes: long.bytes,
        ..Rejected::new(
            Violation::new(rule_id::PARSE, None, reason),
            place,
            &long.head,
        )
    }
}

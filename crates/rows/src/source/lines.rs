//! An object's bytes as chunks of whole lines, in memory that depends neither on the size of the
//! object nor on the length of its lines.

use std::sync::Arc;

use memchr::{memchr, memrchr};
use tarn_core::Result;
use tarn_core::content::Measure;

use crate::batch::PAYLOAD_LIMIT;
use crate::source::bytes::Input;

/// The size of a chunk where nothing else is asked for.
pub(crate) const CHUNK_BYTES: usize = 6 << 20;

/// A longer line (its `\n` not counted) is not kept in memory; it comes as a [`LongLine`].
pub(crate) const LINE_LIMIT: usize = 1 << 20;

/// How many chunks that were given out are kept, to be used again once they are no longer held: one is
/// filled while the other is read.
const KEPT_BUFFERS: usize = 1;

/// UTF-8 byte-order mark; skipped at the very start of an object.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// Whole lines as they are in the object. Only the last line of the object may lack its newline.
#[derive(Debug, Clone)]
pub(crate) struct Chunk {
    /// The lines with their ends.
    pub text: Arc<Vec<u8>>,
    /// Where `text` begins in the decompressed object, in bytes.
    pub offset: u64,
    /// The number of the first line, counted from 1.
    pub first_line: u64,
}

/// A line of more than [`LINE_LIMIT`] bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LongLine {
    /// Where it begins in the decompressed object, in bytes.
    pub offset: u64,
    /// Its number, counted from 1.
    pub line: u64,
    /// Its bytes without the line end.
    pub bytes: u64,
    /// Its first [`PAYLOAD_LIMIT`] bytes.
    pub head: Vec<u8>,
}

/// What an object's lines come in.
#[derive(Debug, Clone)]
pub(crate) enum Piece {
    /// Lines of a bearable length.
    Lines(Chunk),
    /// One line that is too long.
    Long(LongLine),
}

/// A line of a chunk: `text[begin..end]` without its end (`\n` or `\r\n`); the next one begins at `next`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line {
    /// First byte.
    pub begin: usize,
    /// After its last byte.
    pub end: usize,
    /// After its line end.
    pub next: usize,
}

impl Line {
    /// The line of `text` that begins at `begin`; None at the end. A `\r` that no `\n` follows is data.
    #[inline]
    pub(crate) fn at(text: &[u8], begin: usize) -> Option<Line> {
        let rest = text.get(begin..).filter(|rest| !rest.is_empty())?;
        Some(match memchr(b'\n', rest) {
            Some(length) => {
                let carriage_return = length > 0 && rest[length - 1] == b'\r';
                let end = begin + length - usize::from(carriage_return);
                Line {
                    begin,
                    end,
                    next: begin + length + 1,
                }
            }
            None => Line {
                begin,
                end: text.len(),
                next: text.len(),
            },
        })
    }
}

/// Reads an [`Input`] as chunks of whole lines.
pub(crate) struct Chunks {
    input: Input,
    chunk_bytes: usize,
    line_limit: usize,
    /// Bytes that were read and not given out; begins with a line, or inside `long`.
    buffer: Vec<u8>,
    /// Where `buffer` begins in the decompressed object.
    offset: u64,
    /// The number of the line at the beginning of `buffer`.
    line: u64,
    started: bool,
    ended: bool,
    long: Option<Skipped>,
    given: Vec<Arc<Vec<u8>>>,
}

/// A long line that is being skipped.
struct Skipped {
    line: LongLine,
    last: Option<u8>,
}

/// What the bytes read so far begin with.
enum Next {
    /// How many bytes of whole lines.
    Lines(usize),
    /// A line that is too long.
    Long,
    /// A line that has not ended yet.
    More,
}

impl Chunks {
    /// Chunks of about `chunk_bytes`; a smaller one ends the object or precedes a long line, and a
    /// larger one holds one line that is larger than that. The first begins where `input` is.
    pub(crate) fn new(input: Input, chunk_bytes: usize) -> Self {
        let offset = input.text_bytes();
        Chunks {
            chunk_bytes: chunk_bytes.max(BOM.len()),
            line_limit: LINE_LIMIT,
            buffer: Vec::new(),
            offset,
            line: 1 + input.whole_lines().0,
            started: offset > 0,
            input,
            ended: false,
            long: None,
            given: Vec::new(),
        }
    }

    /// How many bytes a line may have.
    pub(crate) fn line_limit(&self) -> usize {
        self.line_limit
    }

    /// Sets how many bytes a line may have.
    pub(crate) fn set_line_limit(&mut self, bytes: usize) {
        self.line_limit = bytes;
    }

    /// What was measured of the object, which was read to its end.
    pub(crate) fn measured(&mut self) -> Option<Measure> {
        self.input.measured()
    }

    /// Sets the number of the line after the last chunk: whoever read its lines has counted them, so that no
    /// byte is read for that alone.
    pub(crate) fn go_on_at(&mut self, line: u64) {
        self.line = line;
    }

    /// The next lines; None at the end. After a chunk, call [`Chunks::go_on_at`] first.
    ///
    /// # Errors
    /// Those of [`Input::fill`]. What was given out before an error must not be kept.
    pub(crate) fn next_piece(&mut self) -> Result<Option<Piece>> {
        let mut wanted = self.chunk_bytes;
        loop {
            if self.long.is_some() {
                if let Some(long) = self.skip_long()? {
                    return Ok(Some(Piece::Long(long)));
                }
                continue;
            }
            self.fill(wanted)?;
            if self.buffer.is_empty() && self.ended {
                return Ok(None);
            }
            match self.look() {
                Next::Lines(length) => return Ok(Some(Piece::Lines(self.give(length)))),
                Next::Long => {
                    let head = self.buffer[..PAYLOAD_LIMIT].to_vec();
                    let line = LongLine {
                        offset: self.offset,
                        line: self.line,
                        bytes: 0,
                        head,
                    };
                    self.long = Some(Skipped { line, last: None });
                }
                // Bounded, and more than the buffer holds: beyond the limit it is a long line.
                Next::More => wanted = (wanted * 2).min(self.line_limit + 1),
            }
        }
    }

    fn fill(&mut self, wanted: usize) -> Result<()> {
        if !self.ended {
            self.ended = !self.input.fill(&mut self.buffer, wanted)?;
        }
        if !self.started {
            self.started = true;
            if self.buffer.starts_with(BOM) {
                self.buffer.drain(..BOM.len());
                self.offset = BOM.len() as u64;
            }
        }
        Ok(())
    }

    fn look(&self) -> Next {
        let mut begin = 0;
        loop {
            let rest = &self.buffer[begin..];
            if rest.len() <= self.line_limit {
                // No line in here is too long.
                let length = if self.ended {
                    self.buffer.len()
                } else {
                    begin + memrchr(b'\n', rest).map_or(0, |newline| newline + 1)
                };
                return if length > 0 {
                    Next::Lines(length)
                } else {
                    Next::More
                };
            }
            match memrchr(b'\n', &rest[..=self.line_limit]) {
                Some(newline) => begin += newline + 1,
                None if begin > 0 => return Next::Lines(begin),
                None => return Next::Long,
            }
        }
    }

    /// Gives out the first `length` bytes; what is behind them begins the next buffer.
    fn give(&mut self, length: usize) -> Chunk {
        let mut next = self.spare_buffer();
        next.extend_from_slice(&self.buffer[length..]);
        let mut text = std::mem::replace(&mut self.buffer, next);
        text.truncate(length);
        let chunk = Chunk {
            text: Arc::new(text),
            offset: self.offset,
            first_line: self.line,
        };
        self.offset += length as u64;
        if self.given.len() == KEPT_BUFFERS {
            self.given.remove(0);
        }
        self.given.push(Arc::clone(&chunk.text));
        chunk
    }

    /// A buffer that was given out and came back: fresh memory costs a page fault every 4 KiB.
    fn spare_buffer(&mut self) -> Vec<u8> {
        let free = self
            .given
            .iter()
            .position(|given| Arc::strong_count(given) == 1);
        let mut buffer = free
            .and_then(|index| Arc::try_unwrap(self.given.swap_remove(index)).ok())
            .unwrap_or_default();
        buffer.clear();
        buffer
    }

    /// Skips what is in the buffer of a long line; Some once it ended.
    fn skip_long(&mut self) -> Result<Option<LongLine>> {
        let newline = memchr(b'\n', &self.buffer);
        let length = newline.unwrap_or(self.buffer.len());
        let taken = newline.map_or(length, |newline| newline + 1);
        if let Some(long) = &mut self.long {
            long.line.bytes += length as u64;
            long.last = self.buffer[..length].last().copied().or(long.last);
        }
        self.buffer.drain(..taken);
        self.offset += taken as u64;
        if newline.is_none() && !self.ended {
            self.fill(self.chunk_bytes)?;
            return Ok(None);
        }
        Ok(self.long.take().map(|mut long| {
            if newline.is_some() {
                self.line += 1;
                long.line.bytes -= u64::from(long.last == Some(b'\r'));
            }
            long.line
        }))
    }
}

#[cfg(test)]
pub mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use std::io::{Cursor, Read, Write};

    use super::*;
    use proptest::prelude::*;

    /// One gzip member.
    pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// Every line: number, offset, length, and at most its first bytes.
    fn lines(bytes: &[u8], chunk_bytes: usize) -> Vec<(u64, u64, u64, Vec<u8>)> {
        let input = Input::new(Box::new(Cursor::new(bytes.to_vec()))).unwrap();
        let mut chunks = Chunks::new(input, chunk_bytes);
        let mut seen = Vec::new();
        while let Some(piece) = chunks.next_piece().unwrap() {
            match piece {
                Piece::Lines(chunk) => {
                    let (mut at, mut number) = (0, chunk.first_line);
                    while let Some(line) = Line::at(&chunk.text, at) {
                        let text = &chunk.text[line.begin..line.end];
                        let head = text[..text.len().min(PAYLOAD_LIMIT)].to_vec();
                        seen.push((number, chunk.offset + at as u64, text.len() as u64, head));
                        at = line.next;
                        number += 1;
                    }
                    chunks.go_on_at(number);
                }
                Piece::Long(long) => seen.push((long.line, long.offset, long.bytes, long.head)),
            }
        }
        seen
    }

    fn texts(bytes: &[u8], chunk_bytes: usize) -> Vec<String> {
        lines(bytes, chunk_bytes)
            .into_iter()
            .map(|(_, _, _, text)| String::from_utf8_lossy(&text).into_owned())
            .collect()
    }

    #[test]
    fn lines_end_with_newline_or_carriage_return_newline_and_the_last_with_nothing() {
        let cases: [(&[u8], &[&str]); 8] = [
            (b"", &[]),
            (b"\n", &[""]),
            (b"a", &["a"]),
            (b"a\nb\n", &["a", "b"]),
            (b"a\r\nb", &["a", "b"]),
            (b"a\rb\n\r\n", &["a\rb", ""]),
            (b"a\n\nb\r", &["a", "", "b\r"]),
            (b"\xef\xbb\xbfa\n\xef\xbb\xbfb", &["a", "\u{feff}b"]),
        ];
        for (bytes, expected) in cases {
            for chunk_bytes in [1, 4, 100] {
                assert_eq!(
                    texts(bytes, chunk_bytes),
                    expected,
                    "{bytes:?} by {chunk_bytes}"
                );
            }
        }
    }

    #[test]
    fn a_byte_order_mark_counts_in_the_offset() {
        assert_eq!(
            lines(b"\xef\xbb\xbfa\nb\n", 100)
                .iter()
                .map(|line| line.1)
                .collect::<Vec<_>>(),
            [3, 5]
        );
    }

    #[test]
    fn a_line_at_the_limit_is_whole_and_a_longer_one_is_cut_at_any_chunk_size() {
        for line_end in ["\n", "\r\n", ""] {
            for extra in [0, 1, 2, 1_500_000] {
                let length = LINE_LIMIT - (line_end.len().max(1) - 1) + extra;
                let text = [
                    b"x\n".as_slice(),
                    &vec![b'a'; length],
                    line_end.as_bytes(),
                    b"y\n",
                ]
                .concat();
                let expected = lines(&text, CHUNK_BYTES);
                assert_eq!(expected.len(), if line_end.is_empty() { 2 } else { 3 });
                let length = if line_end.is_empty() {
                    length + 1
                } else {
                    length
                } as u64;
                assert_eq!((expected[1].1, expected[1].2), (2, length));
                for chunk_bytes in [10, 1000, LINE_LIMIT, 2 * LINE_LIMIT] {
                    assert!(
                        lines(&text, chunk_bytes) == expected,
                        "{line_end:?} {extra} by {chunk_bytes}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_line_of_a_hundred_megabytes_is_skipped_in_flat_memory() {
        let source = std::io::repeat(b'a')
            .take(100 << 20)
            .chain(Cursor::new(b"\nshort\n"));
        let mut chunks = Chunks::new(Input::new(Box::new(source)).unwrap(), CHUNK_BYTES);
        let Some(Piece::Long(long)) = chunks.next_piece().unwrap() else {
            panic!("a long line")
        };
        assert_eq!(
            (long.offset, long.line, long.bytes, long.head.len()),
            (0, 1, 100 << 20, PAYLOAD_LIMIT)
        );
        let Some(Piece::Lines(chunk)) = chunks.next_piece().unwrap() else {
            panic!("a short line")
        };
        assert_eq!(
            (chunk.text.as_slice(), chunk.first_line),
            (b"short\n".as_slice(), 2)
        );
        assert!(chunks.next_piece().unwrap().is_none());
        assert!(chunks.buffer.capacity() <= 2 * CHUNK_BYTES);
    }

    #[test]
    fn buffers_that_came_back_are_used_again_and_others_are_left_alone() {
        let text = b"0123456789\n".repeat(1000);
        let mut chunks = Chunks::new(
            Input::new(Box::new(Cursor::new(text.clone()))).unwrap(),
            110,
        );
        let mut seen = Vec::new();
        let mut kept = None;
        while let Some(Piece::Lines(chunk)) = chunks.next_piece().unwrap() {
            seen.extend_from_slice(&chunk.text);
            if kept.is_none() {
                kept = Some(chunk);
            }
            assert!(chunks.given.len() <= KEPT_BUFFERS);
        }
        assert!(seen == text);
        assert_eq!(kept.unwrap().text.as_slice(), &text[..110]);
    }

    proptest! {
        #[test]
        fn the_chunk_size_and_compression_change_no_line(
            bytes in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'a'), any::<u8>()], 0..300),
            chunk_bytes in 1usize..64,
        ) {
            // What is not taken for text has its own tests.
            prop_assume!(Input::new(Box::new(Cursor::new(bytes.clone()))).is_ok());
            prop_assume!(!bytes.starts_with(&[0x1f, 0x8b]));
            let expected = lines(&bytes, CHUNK_BYTES);
            prop_assert_eq!(&lines(&bytes, chunk_bytes), &expected);
            prop_assert_eq!(&lines(&gzip(&bytes), chunk_bytes), &expected);
            for (number, line) in expected.iter().enumerate() {
                prop_assert_eq!(line.0, number as u64 + 1);
                prop_assert!(bytes[line.1 as usize..].starts_with(&line.3));
            }
        }
    }
}

//! The bytes of a source object: plain or gzip, recognised by content and never by name.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use flate2::{Decompress, FlushDecompress, Status};
use memchr::{memchr_iter, memrchr};
use tarn_core::content::Measure;
use tarn_core::{Error, ErrorKind, Result};

use super::measuring::Measuring;

/// Compressed bytes are read in blocks of this size.
const BLOCK_BYTES: usize = 256 * 1024;

/// Decompressed bytes that are read over at once.
const SKIPPED_BYTES: u64 = 1 << 20;

/// What text of two bytes a character is called.
const UTF_16: &str = "UTF-16 text";

/// How many decompressed bytes are read to recognise the content.
const HEAD_BYTES: usize = 4096;

/// The two bytes that begin every gzip member (RFC 1952, section 2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// `inflateInit2` window bits: the largest window that deflate knows.
const GZIP_WINDOW_BITS: u8 = 15;

/// An open source object that yields its decompressed bytes, with memory that does not depend on
/// its size.
pub struct Input {
    source: Box<dyn Read + Send>,
    /// Stored bytes that were read and not used yet: `block[block_at..]`.
    block: Vec<u8>,
    block_at: usize,
    /// Where `block` begins in the object.
    block_offset: u64,
    /// Decompressed bytes that were read to recognise the content, and not given out yet.
    head: Vec<u8>,
    head_at: usize,
    gzip: Option<Gzip>,
    stored: u64,
    produced: u64,
    /// Lines that were skipped, and where the last of them ends.
    skipped: (u64, u64),
    measuring: Option<Measuring>,
}

/// Where a gzip stream stands.
enum Gzip {
    /// A member may begin, or the object may end.
    Between,
    /// Inside a member.
    Member(Box<Decompress>),
}

/// Opens a local file. Gzip, also of several members, is decompressed as it is read.
///
/// # Errors
/// `NotFound` or `Storage` where the file cannot be opened or read; `BadSource` where its first bytes
/// show that it holds no text: an archive, a database, another compression, UTF-16, or broken gzip.
pub fn open(path: &Path) -> Result<Input> {
    Input::new(Box::new(file(path)?))
}

/// As [`open`], of text in any character set, UTF-16 too.
///
/// # Errors
/// As of [`open`].
pub(crate) fn open_in_any_charset(path: &Path) -> Result<Input> {
    Input::in_any_charset(Box::new(file(path)?))
}

fn file(path: &Path) -> Result<File> {
    File::open(path).map_err(|error| {
        let kind = if error.kind() == io::ErrorKind::NotFound {
            ErrorKind::NotFound
        } else {
            ErrorKind::Storage
        };
        Error::new(kind, "the source file cannot be opened").with_source(error)
    })
}

impl Input {
    /// Takes the stored bytes of an object from any reader; as [`open`] otherwise.
    pub fn new(source: Box<dyn Read + Send>) -> Result<Self> {
        Self::of_text(source, false)
    }

    /// As [`Input::new`], of text in any character set, UTF-16 too.
    ///
    /// # Errors
    /// As of [`Input::new`].
    pub fn in_any_charset(source: Box<dyn Read + Send>) -> Result<Self> {
        Self::of_text(source, true)
    }

    fn of_text(source: Box<dyn Read + Send>, in_any_charset: bool) -> Result<Self> {
        let mut input = Input {
            source,
            block: Vec::new(),
            block_at: 0,
            block_offset: 0,
            head: Vec::new(),
            head_at: 0,
            gzip: None,
            stored: 0,
            produced: 0,
            skipped: (0, 0),
            measuring: None,
        };
        let mut first = vec![0; HEAD_BYTES];
        let length = read_full(&mut input.source, &mut first).map_err(storage)?;
        first.truncate(length);
        input.stored = length as u64;
        if first.starts_with(&GZIP_MAGIC) {
            input.block = first;
            input.gzip = Some(Gzip::Between);
            let mut head = vec![0; HEAD_BYTES];
            let mut length = 0;
            while length < head.len() {
                match input.read_gzip(&mut head[length..])? {
                    0 => break,
                    read => length += read,
                }
            }
            head.truncate(length);
            input.head = head;
        } else {
            input.head = first;
        }
        match not_text(&input.head) {
            Some((what, remedy)) if !(in_any_charset && what == UTF_16) => {
                let inside = if input.gzip.is_some() {
                    "the gzip file holds"
                } else {
                    "the file is"
                };
                Err(Error::new(
                    ErrorKind::BadSource,
                    format!("{inside} {what}, not lines of text: {remedy}"),
                ))
            }
            _ => Ok(input),
        }
    }

    /// How the whole decompressed object begins, as far as it was read to recognise it.
    pub(crate) fn beginning(&self) -> &[u8] {
        &self.head
    }

    /// Whether the object is compressed.
    #[cfg(test)]
    pub(crate) fn is_gzip(&self) -> bool {
        self.gzip.is_some()
    }

    /// Bytes of the object read so far, as it is stored.
    #[cfg(test)]
    pub(crate) fn stored_bytes(&self) -> u64 {
        self.stored
    }

    /// Decompressed bytes given out so far.
    pub(crate) fn text_bytes(&self) -> u64 {
        self.produced
    }

    /// From here on digests of the content are made as it is read, at the usual lengths and at these. Nothing of the
    /// object may have been read yet.
    pub fn measure(&mut self, lengths: &BTreeSet<u64>) {
        self.measuring = Some(Measuring::new(lengths));
    }

    /// What was measured of the content, which was read to its end.
    pub fn measured(&mut self) -> Option<Measure> {
        self.measuring.take().map(Measuring::finish)
    }

    /// Skips this many bytes of an object. Nothing of it may have been read yet.
    ///
    /// # Errors
    /// `BadSource` where the object ends before, and those of [`Input::fill`].
    pub fn skip(&mut self, bytes: u64) -> Result<()> {
        let mut buffer = Vec::new();
        while self.produced < bytes {
            buffer.clear();
            let begin = self.produced;
            let wanted = (bytes - begin).min(SKIPPED_BYTES);
            if !self.fill(&mut buffer, wanted as usize)? {
                return Err(Error::new(
                    ErrorKind::BadSource,
                    format!(
                        "the object ends at byte {}, and {bytes} of it are known",
                        self.produced
                    ),
                ));
            }
            self.skipped.0 += memchr_iter(b'\n', &buffer).count() as u64;
            if let Some(newline) = memrchr(b'\n', &buffer) {
                self.skipped.1 = begin + newline as u64 + 1;
            }
        }
        Ok(())
    }

    /// Lines that were read over, and where the last of them ends.
    pub(crate) fn whole_lines(&self) -> (u64, u64) {
        self.skipped
    }

    /// Appends to `buffer` until it holds `length` bytes or the object ends; false says that it ended.
    /// The room for `length` bytes is made at once.
    ///
    /// # Errors
    /// `BadSource` for gzip that is truncated, corrupt or followed by something else, with the byte
    /// where it happened; `Storage` where reading fails.
    pub(crate) fn fill(&mut self, buffer: &mut Vec<u8>, length: usize) -> Result<bool> {
        let before = buffer.len();
        buffer.reserve(length.saturating_sub(before));
        if buffer.len() < length && self.head_at < self.head.len() {
            let taken = (length - buffer.len()).min(self.head.len() - self.head_at);
            buffer.extend_from_slice(&self.head[self.head_at..self.head_at + taken]);
            self.head_at += taken;
        }
        if self.gzip.is_none() {
            if buffer.len() < length {
                // `read_to_end` writes into the spare capacity without filling it with zeros first.
                let wanted = (length - buffer.len()) as u64;
                let read = (&mut self.source)
                    .take(wanted)
                    .read_to_end(buffer)
                    .map_err(storage)?;
                self.stored += read as u64;
            }
        } else {
            let mut filled = buffer.len();
            buffer.resize(length.max(filled), 0);
            while filled < length {
                match self.read_gzip(&mut buffer[filled..])? {
                    0 => break,
                    read => filled += read,
                }
            }
            buffer.truncate(filled);
        }
        self.produced += (buffer.len() - before) as u64;
        if let Some(measuring) = &mut self.measuring {
            measuring.update(&buffer[before..]);
        }
        Ok(buffer.len() >= length)
    }

    /// Decompresses into `out`; 0 says that the object ended where a gzip file may end.
    fn read_gzip(&mut self, out: &mut [u8]) -> Result<usize> {
        loop {
            if self.block_at == self.block.len() {
                self.next_block()?;
            }
            let rest = &self.block[self.block_at..];
            let at = self.block_offset + self.block_at as u64;
            match &mut self.gzip {
                None => return Ok(0),
                Some(Gzip::Between) => match rest.first() {
                    None => return Ok(0),
                    // Tapes and block devices pad with zeros; gzip(1) skips them too.
                    Some(0) => self.block_at += rest.iter().take_while(|&&byte| byte == 0).count(),
                    Some(0x1f) => {
                        let member = Decompress::new_gzip(GZIP_WINDOW_BITS);
                        self.gzip = Some(Gzip::Member(Box::new(member)));
                    }
                    Some(_) => {
                        return Err(Error::new(
                            ErrorKind::BadSource,
                            format!(
                                "the gzip data is followed by something else at byte {at} of the compressed \
                                 object: upload one gzip file, or several joined end to end"
                            ),
                        ));
                    }
                },
                Some(Gzip::Member(member)) => {
                    if rest.is_empty() {
                        return Err(Error::new(
                            ErrorKind::BadSource,
                            format!(
                                "the gzip data is truncated: it ends at byte {at} of the compressed object in the \
                                 middle of a member: upload the whole file again"
                            ),
                        ));
                    }
                    let (taken, given) = (member.total_in(), member.total_out());
                    let status = member.decompress(rest, out, FlushDecompress::None);
                    let taken = (member.total_in() - taken) as usize;
                    let given = (member.total_out() - given) as usize;
                    self.block_at += taken;
                    match status {
                        Ok(Status::StreamEnd) => self.gzip = Some(Gzip::Between),
                        Ok(_) if taken > 0 || given > 0 => {}
                        Ok(_) => return Err(corrupt(at, None)),
                        Err(error) => return Err(corrupt(at + taken as u64, Some(error))),
                    }
                    if given > 0 {
                        return Ok(given);
                    }
                }
            }
        }
    }

    /// Reads the next stored bytes; an empty block is the end of the object.
    fn next_block(&mut self) -> Result<()> {
        self.block_offset += self.block.len() as u64;
        self.block_at = 0;
        self.block.resize(BLOCK_BYTES, 0);
        let length = read_full(&mut self.source, &mut self.block).map_err(storage)?;
        self.block.truncate(length);
        self.stored += length as u64;
        Ok(())
    }
}

impl Read for Input {
    /// As [`Input::fill`]; an error of the lake is the inner error of the `io::Error` and comes back
    /// out of it by a downcast.
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = if self.head_at < self.head.len() {
            (&self.head[self.head_at..]).read(out)?
        } else if self.gzip.is_some() {
            if out.is_empty() {
                0
            } else {
                self.read_gzip(out).map_err(io::Error::other)?
            }
        } else {
            let read = self.source.read(out)?;
            self.stored += read as u64;
            read
        };
        self.head_at = (self.head_at + read).min(self.head.len());
        self.produced += read as u64;
        if let Some(measuring) = &mut self.measuring {
            measuring.update(&out[..read]);
        }
        Ok(read)
    }
}

/// The lake's error inside an `io::Error` that [`Input`] gave as a reader.
#[cfg(test)]
fn read_error(error: io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => error,
        Err(error) => storage(error),
    }
}

fn storage(error: io::Error) -> Error {
    Error::new(ErrorKind::Storage, "the source object cannot be read")
        .with_source(error)
        .retryable(true)
}

fn corrupt(at: u64, source: Option<flate2::DecompressError>) -> Error {
    let error = Error::new(
        ErrorKind::BadSource,
        format!(
            "the gzip data is corrupt at byte {at} of the compressed object: upload the file again"
        ),
    );
    match source {
        Some(source) => error.with_source(source),
        None => error,
    }
}

/// Reads until `out` is full or the source ends.
fn read_full(source: &mut dyn Read, out: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < out.len() {
        match source.read(&mut out[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

/// What the first bytes of a file that is not text show, and what to do about it.
fn not_text(head: &[u8]) -> Option<(&'static str, &'static str)> {
    const UNPACK: &str = "unpack it and upload the files inside";
    const GZIP: &str = "decompress it, or compress it with gzip, and upload it again";
    const KNOWN: [(&[u8], &str, &str); 15] = [
        (b"PK\x03\x04", "a zip archive", UNPACK),
        (b"PK\x05\x06", "an empty zip archive", UNPACK),
        (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", UNPACK),
        (b"Rar!\x1a\x07", "a RAR archive", UNPACK),
        (
            b"SQLite format 3\0",
            "a SQLite database",
            "upload it under the keys of a contract with format sqlite",
        ),
        (
            b"PAR1\x15",
            "a Parquet file",
            "upload the text it was made from",
        ),
        (
            b"ARROW1\0\0",
            "an Arrow file",
            "upload the text it was made from",
        ),
        (
            b"Obj\x01",
            "an Avro file",
            "upload the text it was made from",
        ),
        (
            b"%PDF-",
            "a PDF document",
            "upload the text it was made from",
        ),
        (b"BZh91AY&SY", "compressed with bzip2", GZIP),
        (b"\x28\xb5\x2f\xfd", "compressed with Zstandard", GZIP),
        (b"\xfd7zXZ\0", "compressed with xz", GZIP),
        (b"\x04\x22\x4d\x18", "compressed with LZ4", GZIP),
        (b"\xff\xfe", UTF_16, "convert it to UTF-8"),
        (b"\xfe\xff", UTF_16, "convert it to UTF-8"),
    ];
    if head.starts_with(&GZIP_MAGIC) {
        // Only what comes out of gzip is looked at for this: the object was compressed twice.
        return Some(("gzip data again", "compress it once only"));
    }
    // POSIX tar (ustar) has its mark after the first file's name and attributes.
    if head.get(257..262) == Some(b"ustar") {
        return Some(("a tar archive", UNPACK));
    }
    KNOWN
        .iter()
        .find(|(magic, _, _)| head.starts_with(magic))
        .map(|&(_, what, remedy)| (what, remedy))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use std::io::Cursor;

    use super::*;
    use crate::source::lines::tests::gzip;

    fn input(bytes: &[u8]) -> Result<Input> {
        Input::new(Box::new(Cursor::new(bytes.to_vec())))
    }

    fn all(bytes: &[u8]) -> Result<Vec<u8>> {
        let mut input = input(bytes)?;
        let mut out = Vec::new();
        let mut wanted = 100_000;
        while input.fill(&mut out, wanted)? {
            wanted += 100_000;
        }
        assert_eq!(input.text_bytes(), out.len() as u64);
        assert_eq!(input.stored_bytes(), bytes.len() as u64);
        let mut read = Vec::new();
        let mut input = Input::new(Box::new(Cursor::new(bytes.to_vec())))?;
        input.read_to_end(&mut read).map_err(read_error)?;
        assert_eq!(read, out, "reading and filling give the same bytes");
        Ok(out)
    }

    /// Text that does not compress to nothing.
    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1u32;
        let mut byte = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            b'a' + (state >> 24) as u8 % 26
        };
        (0..length).map(|_| byte()).collect()
    }

    #[test]
    fn plain_and_gzip_of_one_and_of_many_members_give_the_same_bytes() {
        for length in [0, 1, 100, HEAD_BYTES, HEAD_BYTES + 1, 3 * BLOCK_BYTES + 7] {
            let text = noise(length);
            assert_eq!(all(&text).unwrap(), text);
            assert_eq!(all(&gzip(&text)).unwrap(), text);
            let mut members: Vec<u8> = text.chunks(1000).flat_map(gzip).collect();
            members.extend(gzip(b""));
            assert_eq!(all(&members).unwrap(), text);
            members.extend([0; 600]);
            assert_eq!(all(&members).unwrap(), text, "zero padding is skipped");
        }
    }

    #[test]
    fn gzip_cut_anywhere_is_an_error_that_names_the_byte() {
        let packed = gzip(&noise(5000));
        for cut in [
            2,
            5,
            9,
            10,
            11,
            1000,
            packed.len() - 9,
            packed.len() - 8,
            packed.len() - 1,
        ] {
            let error = all(&packed[..cut]).expect_err("truncated");
            assert_eq!(error.kind(), ErrorKind::BadSource, "{cut}");
            assert!(error.to_string().contains("truncated"), "{error}");
            assert!(
                error.to_string().contains(&format!("byte {cut} ")),
                "{error}"
            );
        }
    }

    #[test]
    fn gzip_with_a_flipped_bit_or_a_tail_is_an_error() {
        let packed = gzip(&noise(5000));
        let mut flipped = packed.clone();
        let checksum = packed.len() - 8;
        flipped[checksum] ^= 1;
        let error = all(&flipped).expect_err("checksum");
        assert!(error.to_string().contains("corrupt at byte"), "{error}");
        assert_eq!(error.kind(), ErrorKind::BadSource);
        let mut tail = packed.clone();
        tail.extend_from_slice(b"garbage");
        let error = all(&tail).expect_err("tail");
        assert!(
            error
                .to_string()
                .contains(&format!("something else at byte {}", packed.len())),
            "{error}"
        );
    }

    #[test]
    fn what_is_no_text_is_refused_with_its_name() {
        let mut tar = vec![b'a'; 257];
        tar.extend_from_slice(b"ustar\x0000");
        let cases: [(&[u8], &str); 8] = [
            (b"PK\x03\x04\x14\0", "a zip archive"),
            (b"SQLite format 3\0\x10\0", "a SQLite database"),
            (b"\x28\xb5\x2f\xfd..", "Zstandard"),
            (b"BZh91AY&SY..", "bzip2"),
            (b"\xff\xfeh\0", "UTF-16"),
            (b"PAR1\x15\x04", "Parquet"),
            (b"%PDF-1.7", "PDF"),
            (&tar, "a tar archive"),
        ];
        for (bytes, expected) in cases {
            for stored in [bytes.to_vec(), gzip(bytes)] {
                let error = all(&stored).expect_err(expected);
                assert_eq!(error.kind(), ErrorKind::BadSource);
                assert!(error.to_string().contains(expected), "{error}");
            }
        }
        let error = all(&gzip(&gzip(b"x"))).expect_err("compressed twice");
        assert!(error.to_string().contains("once only"), "{error}");
    }

    #[test]
    fn a_file_that_is_not_there_is_not_found() {
        let folder = tempfile::tempdir().unwrap();
        let error = open(&folder.path().join("none.log")).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_name_that_says_gzip_does_not_make_it_gzip() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plain.log.gz");
        std::fs::write(&path, b"plain\n").unwrap();
        let mut input = open(&path).unwrap();
        let mut out = Vec::new();
        assert!(!input.fill(&mut out, 100).unwrap());
        assert!(!input.is_gzip());
        assert_eq!(out, b"plain\n");
    }
}

//! Contents of logs: digests of an object and of its beginnings, made as it is read, and where two objects
//! begin to differ.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use memchr::{memchr_iter, memrchr};
use tarn_core::content::{BEGINNING_BYTES, Beginning, Measure};
use tarn_core::digest::Digest;
use tarn_core::{ErrorKind, Result};

use super::archive;
use super::bytes::{self, Input};
use super::measuring::Measuring;

/// Bytes that are looked at together.
const BUFFER_BYTES: usize = 1 << 20;

/// What an object begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// What its content is found by.
    pub beginning: Beginning,
    /// Whether the archive step wrote it: its records have numbers of their own.
    pub is_archive: bool,
    /// Its first bytes: all of it, or [`BEGINNING_BYTES`].
    pub text: Vec<u8>,
}

/// Looks at the beginning of an object.
///
/// # Errors
/// Those of [`bytes::open`].
pub fn head(path: &Path) -> Result<Head> {
    head_of(bytes::open_in_any_charset(path)?)
}

/// Looks at the beginning of an object; `input` has enough of it.
///
/// # Errors
/// Those of [`Input::fill`].
pub fn head_of(mut input: Input) -> Result<Head> {
    let mut text = Vec::new();
    input.fill(&mut text, BEGINNING_BYTES)?;
    Ok(Head {
        beginning: beginning(&text),
        is_archive: archive::begins(&text),
        text,
    })
}

fn beginning(head: &[u8]) -> Beginning {
    let text = head.iter().position(|byte| !byte.is_ascii_whitespace());
    let end = text.and_then(|text| memchr_iter(b'\n', head).find(|&newline| newline > text));
    match end {
        Some(newline) => Beginning::Whole(Digest::of(&head[..=newline])),
        None if head.is_empty() => Beginning::Empty,
        None if head.len() >= BEGINNING_BYTES => Beginning::Whole(Digest::of(head)),
        None => Beginning::Part(Digest::of(head)),
    }
}

/// An object that was read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// Its content.
    pub measure: Measure,
    /// Its lines; the last one may lack its end.
    pub lines: u64,
    /// The line ends in its beginnings, by the lengths that were asked for.
    pub lines_at: BTreeMap<u64, u64>,
}

/// Measures an object, at the usual lengths and at these, and counts its lines.
///
/// # Errors
/// Those of reading it.
pub fn measure(path: &Path, lengths: &BTreeSet<u64>) -> Result<Measured> {
    let mut input = bytes::open_in_any_charset(path)?;
    let mut measuring = Measuring::new(lengths);
    let mut asked: Vec<u64> = lengths.iter().rev().copied().collect();
    let (mut buffer, mut lines, mut lines_at) = (Vec::new(), 0, BTreeMap::new());
    let count = |bytes: &[u8]| memchr_iter(b'\n', bytes).count() as u64;
    loop {
        buffer.clear();
        let begin = input.text_bytes();
        let more = input.fill(&mut buffer, BUFFER_BYTES)?;
        while let Some(length) = asked.pop_if(|length| *length <= begin + buffer.len() as u64) {
            lines_at.insert(length, lines + count(&buffer[..(length - begin) as usize]));
        }
        lines += count(&buffer);
        measuring.update(&buffer);
        if !more {
            break;
        }
    }
    let measure = measuring.finish();
    Ok(Measured {
        lines: lines + u64::from(measure.is_open()),
        lines_at,
        measure,
    })
}

/// What two objects have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Common {
    /// How many bytes from the beginning.
    pub bytes: u64,
    /// How many of them are whole lines, with their ends.
    pub whole: u64,
    /// These lines.
    pub lines: u64,
}

/// Compares two objects whose first `equal` bytes are known to be the same.
///
/// # Errors
/// Those of reading them.
pub fn common(one: &Path, other: &Path, equal: u64) -> Result<Common> {
    let (mut one, mut other) = (
        bytes::open_in_any_charset(one)?,
        bytes::open_in_any_charset(other)?,
    );
    one.skip(equal)?;
    other.skip(equal)?;
    let mut common = Common {
        bytes: equal,
        whole: one.whole_lines().1,
        lines: one.whole_lines().0,
    };
    let (mut left, mut right) = (Vec::new(), Vec::new());
    loop {
        left.clear();
        right.clear();
        let more = one.fill(&mut left, BUFFER_BYTES)? & other.fill(&mut right, BUFFER_BYTES)?;
        let pairs = left.iter().zip(&right);
        let length = pairs.take_while(|(a, b)| a == b).count();
        let same = &left[..length];
        if let Some(newline) = memrchr(b'\n', same) {
            common.whole = common.bytes + newline as u64 + 1;
            common.lines += memchr_iter(b'\n', same).count() as u64;
        }
        common.bytes += length as u64;
        if !more || length < BUFFER_BYTES {
            return Ok(common);
        }
    }
}

/// Whether an object continues where a former one ends: that one's last brackets, where an array was closed,
/// and white space may be missing.
///
/// # Errors
/// Those of reading them, except for a former one that cannot be read: nothing continues from it.
pub fn goes_on(former: &Path, object: &Path) -> Result<bool> {
    let mut rest = Vec::new();
    let end = common(former, object, 0).and_then(|common| {
        let mut former = bytes::open_in_any_charset(former)?;
        former.skip(common.bytes)?;
        let more = former.fill(&mut rest, 1 << 10)?;
        Ok(!more
            && rest
                .iter()
                .all(|byte| byte.is_ascii_whitespace() || b"]}".contains(byte)))
    });
    match end {
        Err(error) if error.kind() == ErrorKind::BadSource => Ok(false),
        end => end,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::PathBuf;

    use proptest::prelude::*;

    use super::*;
    use crate::source::lines::tests::gzip;

    fn file(folder: &tempfile::TempDir, name: &str, bytes: &[u8]) -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    #[test]
    fn a_beginning_stays_the_same_when_lines_are_added() {
        let long = vec![b'x'; 5_000];
        for text in [
            b"a\nb\n".as_slice(),
            b"\n \na\n",
            b"\xef\xbb\xbfa\r\n",
            &long,
        ] {
            let Beginning::Whole(first) = beginning(&text[..text.len().min(BEGINNING_BYTES)])
            else {
                panic!("{text:?} has a whole beginning");
            };
            let more = [text, b"more\n"].concat();
            let head = &more[..more.len().min(BEGINNING_BYTES)];
            assert_eq!(beginning(head), Beginning::Whole(first));
        }
        for text in [b"a".as_slice(), b"\n\n", b" a "] {
            assert!(matches!(beginning(text), Beginning::Part(_)), "{text:?}");
        }
        assert_eq!(beginning(b""), Beginning::Empty);
        assert_ne!(beginning(b"a\nb\n"), beginning(b"b\nb\n"));
    }

    #[test]
    fn an_archive_is_known_by_its_header() {
        let folder = tempfile::tempdir().unwrap();
        let archive = archive::encode("events", "0", &[]).unwrap();
        assert!(head(&file(&folder, "a.gz", &archive)).unwrap().is_archive);
        assert!(
            !head(&file(&folder, "b.log", b"{\"a\":1}\n"))
                .unwrap()
                .is_archive
        );
    }

    /// Bytes that are made at once: one strategy per byte takes longer than the test.
    fn text(letters: &'static [u8], longest: usize) -> impl Strategy<Value = Vec<u8>> {
        (1..longest, any::<u64>()).prop_map(move |(length, seed)| {
            let mut state = seed;
            let mut next = || {
                // Knuth's MMIX generator, by its high bits.
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                letters[(state >> 33) as usize % letters.len()]
            };
            (0..length).map(|_| next()).collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_same_is_measured_whatever_the_pieces_and_the_compression(
            bytes in text(b"\nab", 6_000),
            lengths in prop::collection::btree_set(1_u64..6_000, 0..4),
            pieces in prop::collection::vec(1_usize..2_000, 1..5),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let plain = file(&folder, "plain", &bytes);
            let measured = measure(&plain, &lengths).unwrap();
            prop_assert_eq!(&super::measure(&file(&folder, "gz", &gzip(&bytes)), &lengths).unwrap(), &measured);
            let measure = measured.measure;
            let mut measuring = Measuring::new(&lengths);
            let mut rest = bytes.as_slice();
            for piece in pieces.iter().cycle() {
                let (before, after) = rest.split_at(rest.len().min(*piece));
                measuring.update(before);
                rest = after;
                if rest.is_empty() { break; }
            }
            prop_assert_eq!(&measuring.finish(), &measure);
            prop_assert_eq!(measure.bytes, bytes.len() as u64);
            let lines = |bytes: &[u8]| bytes.split_inclusive(|&byte| byte == b'\n').count() as u64;
            prop_assert_eq!(measured.lines, lines(&bytes));
            for length in lengths.iter().filter(|&&length| length <= measure.bytes) {
                let part = &bytes[..*length as usize];
                prop_assert_eq!(measure.at(*length), Some(Digest::of(part)));
                let ends = part.iter().filter(|&&byte| byte == b'\n').count() as u64;
                prop_assert_eq!(measured.lines_at[length], ends);
            }
        }

        #[test]
        fn the_common_part_of_two_objects_ends_where_they_differ(
            common in text(b"\na", 3_000),
            rests in [prop::collection::vec(Just(b'b'), 0..10), prop::collection::vec(Just(b'c'), 0..10)],
            known in 0_usize..3_000,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let one = file(&folder, "one", &[&common[..], &rests[0]].concat());
            let other = file(&folder, "other", &gzip(&[&common[..], &rests[1]].concat()));
            let found = super::common(&one, &other, known.min(common.len()) as u64).unwrap();
            prop_assert_eq!(found.bytes, common.len() as u64);
            let whole = common.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
            prop_assert_eq!(found.whole, whole as u64);
            prop_assert_eq!(found.lines, common.iter().filter(|&&byte| byte == b'\n').count() as u64);
        }
    }
}

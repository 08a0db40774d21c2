//! What the first bytes of a database say about it
//! (<https://www.sqlite.org/fileformat.html#the_database_header>).

use std::fs::File;
use std::io::Read;
use std::path::Path;

use tarn_core::{Error, ErrorKind, Result};

use super::bad;

/// How every database begins.
pub(crate) const MAGIC: &[u8] = b"SQLite format 3\0";
const HEADER_BYTES: usize = 100;

/// How many bytes are read to judge content that is not a database's.
const HEAD_BYTES: usize = 4096;

const ENCRYPTED: &str =
    "it looks encrypted (by SQLCipher or the like); decrypt it before the upload";

/// Checks what the header says about the file.
pub(super) fn check(path: &Path) -> Result<()> {
    let unreadable = |error| {
        Error::new(
            ErrorKind::Storage,
            format!("{} cannot be read", path.display()),
        )
        .with_source(error)
    };
    let mut file = File::open(path).map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    let mut header = Vec::with_capacity(HEAD_BYTES);
    file.by_ref()
        .take(HEAD_BYTES as u64)
        .read_to_end(&mut header)
        .map_err(unreadable)?;
    if header.is_empty() {
        return Err(bad("the file is empty: no database"));
    }
    if header.starts_with(&[0x1f, 0x8b]) {
        return Err(bad(
            "the file is compressed with gzip; decompress the database before the upload",
        ));
    }
    if !header.starts_with(&MAGIC[..MAGIC.len().min(header.len())]) {
        let begin = "the file is not a SQLite database: it does not begin with 'SQLite format 3'";
        return Err(bad(if is_encrypted(&header, size) {
            format!("{begin}; {ENCRYPTED}")
        } else {
            begin.to_owned()
        }));
    }
    if header.len() < HEADER_BYTES {
        return Err(bad(format!(
            "the database is cut off after {size} bytes, within its header"
        )));
    }
    // Some ciphers leave the begin of the header as it is, up to byte 24 or 32.
    if is_noise(&header[32..HEADER_BYTES]) {
        return Err(bad(format!(
            "the file begins like a SQLite database, but its header is not valid; {ENCRYPTED}"
        )));
    }
    if header[18] == 2 || header[19] == 2 {
        return Err(bad(
            "the database is in WAL mode, so its newest transactions may be in a -wal file that is not \
             part of it; run PRAGMA journal_mode=DELETE, or VACUUM INTO a new file, and upload that",
        ));
    }
    let number = |at: usize| {
        header[at..at + 4]
            .iter()
            .fold(0u64, |number, &byte| number << 8 | u64::from(byte))
    };
    let page_bytes = match u64::from(header[16]) << 8 | u64::from(header[17]) {
        1 => 65_536,
        bytes => bytes,
    };
    let (changes, pages, valid_for) = (number(24), number(28), number(92));
    // The page count is only to be trusted when it was written by the last change.
    if changes == valid_for && pages > 0 && size < pages * page_bytes {
        return Err(bad(format!(
            "the database is cut off: it has {size} of {} bytes; upload it again",
            pages * page_bytes
        )));
    }
    Ok(())
}

/// Whether a file that is not a database is an encrypted one, judged by its content alone.
///
/// # Errors
/// Those of reading it.
pub(crate) fn looks_encrypted(path: &Path) -> std::io::Result<bool> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut head = Vec::with_capacity(HEAD_BYTES);
    file.take(HEAD_BYTES as u64).read_to_end(&mut head)?;
    Ok(is_encrypted(&head, size))
}

/// Whole pages in which each byte is as frequent as any other. Compressed content looks the same, but its
/// beginning says what it is.
fn is_encrypted(head: &[u8], size: u64) -> bool {
    const OTHERS: [&[u8]; 8] = [
        b"\x1f\x8b",
        b"PK\x03\x04",
        b"BZh",
        b"7z\xbc\xaf\x27\x1c",
        b"\xfd7zXZ",
        b"\x28\xb5\x2f\xfd",
        b"\x89PNG",
        b"PAR1",
    ];
    // The smallest page.
    let whole_pages = size > 0 && size.is_multiple_of(512);
    whole_pages && !OTHERS.iter().any(|begin| head.starts_with(begin)) && entropy(head) > 7.0
}

/// Shannon's entropy in bits per byte: of 512 random bytes about 7.6, of texts and tables less than 6.5.
fn entropy(bytes: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for &byte in bytes {
        counts[usize::from(byte)] += 1;
    }
    let total = bytes.len() as f64;
    let shares = counts.iter().filter(|count| **count > 0);
    shares
        .map(|&count| f64::from(count) / total)
        .map(|share| -share * share.log2())
        .sum()
}

/// Whether the bytes of a header after the first 32 cannot have been written by SQLite: it knows four
/// formats of the schema and three encodings, and writes zeros where nothing is said yet.
fn is_noise(behind: &[u8]) -> bool {
    let at = |begin: usize| behind.get(begin - 32..begin - 28).unwrap_or_default();
    let number = |begin: usize| {
        at(begin)
            .iter()
            .fold(0, |n, &byte| n << 8 | u32::from(byte))
    };
    let reserved = behind.get(72 - 32..92 - 32).unwrap_or_default();
    number(44) > 4 && number(56) > 3 && reserved.iter().filter(|byte| **byte != 0).count() > 10
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Bytes, each as frequent as any other (SplitMix64).
    fn noise(seed: u64, length: usize) -> Vec<u8> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            (z ^ z >> 31) as u8
        };
        (0..length).map(|_| next()).collect()
    }

    #[test]
    fn encrypted_files_are_distinguished_from_other_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sqlite");
        rusqlite::Connection::open(&path)
            .unwrap()
            .execute_batch("CREATE TABLE t (a); INSERT INTO t VALUES ('x')")
            .unwrap();
        let sound = std::fs::read(&path).unwrap();
        assert!(check(&path).is_ok());
        assert!(!looks_encrypted(&path).unwrap());
        for seed in 0..300 {
            for size in [512, 4096, 65_536] {
                std::fs::write(&path, noise(seed, size)).unwrap();
                let error = check(&path).unwrap_err().to_string();
                assert!(error.contains("looks encrypted"), "{error}");
                assert!(looks_encrypted(&path).unwrap(), "{seed} {size}");
            }
            for plain in [24, 32] {
                let mut bytes = noise(seed, sound.len());
                bytes[..plain].copy_from_slice(&sound[..plain]);
                std::fs::write(&path, bytes).unwrap();
                let error = check(&path).unwrap_err().to_string();
                assert!(error.contains("looks encrypted"), "{error}");
            }
        }
        for (content, what) in [
            (noise(1, 4095), "no pages"),
            (
                [b"PK\x03\x04".to_vec(), noise(1, 508)].concat(),
                "an archive",
            ),
            (b"GET / HTTP/1.1 200\n".repeat(1024), "text"),
            (vec![0; 4096], "zeros"),
            ((0..=127).cycle().take(4096).collect(), "half of all bytes"),
        ] {
            std::fs::write(&path, content).unwrap();
            let error = check(&path).unwrap_err().to_string();
            assert!(!error.contains("encrypted"), "{what}: {error}");
        }
    }
}

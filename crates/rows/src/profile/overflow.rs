//! Values on disk: of a column with more distinct values than fit into memory.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use tarn_core::{Error, ErrorKind, Result};

use super::spectrum::Spectrum;

/// Equal values meet in one part; a part fits into memory when it is read back: 16 MiB of a hundred
/// million values.
const PARTS: usize = 128;

/// The hash of a value and how often it occurred, in bytes.
const ENTRY: usize = 20;

/// Entries of a part that are written together, a little less than 4 KiB.
const BLOCK_ENTRIES: usize = 204;
const BLOCK: usize = BLOCK_ENTRIES * ENTRY;

/// Hashes of values with their counts, in one nameless file that disappears with its process.
#[derive(Debug)]
pub(super) struct Overflow {
    file: File,
    parts: Vec<Part>,
    blocks: u64,
}

#[derive(Debug, Default)]
struct Part {
    /// Entries that are not written yet.
    pending: Vec<u8>,
    /// The numbers of its blocks in the file.
    blocks: Vec<u64>,
}

fn storage(error: std::io::Error) -> Error {
    Error::new(
        ErrorKind::Storage,
        "the file of distinct values failed; is there room on the disk?",
    )
    .with_source(error)
}

impl Overflow {
    /// An empty one, in a folder.
    pub(super) fn new(folder: &Path) -> Result<Self> {
        Ok(Overflow {
            file: tempfile::tempfile_in(folder).map_err(storage)?,
            parts: (0..PARTS).map(|_| Part::default()).collect(),
            blocks: 0,
        })
    }

    /// Takes this many occurrences of a value into account.
    pub(super) fn push(&mut self, hash: u128, mut count: u64) -> Result<()> {
        while count > 0 {
            let some = u32::try_from(count).unwrap_or(u32::MAX);
            count -= u64::from(some);
            let part = &mut self.parts[hash as usize % PARTS];
            part.pending.extend_from_slice(&hash.to_le_bytes());
            part.pending.extend_from_slice(&some.to_le_bytes());
            if part.pending.len() == BLOCK {
                self.file.write_all(&part.pending).map_err(storage)?;
                part.pending.clear();
                part.blocks.push(self.blocks);
                self.blocks += 1;
            }
        }
        Ok(())
    }

    /// Adds each distinct value to a spectrum.
    pub(super) fn read(mut self, spectrum: &mut Spectrum) -> Result<()> {
        let mut block = [0; BLOCK];
        let mut entries: Vec<([u64; 2], u64)> = Vec::new();
        for part in std::mem::take(&mut self.parts) {
            entries.clear();
            entries.reserve((part.blocks.len() + 1) * BLOCK_ENTRIES);
            for number in part.blocks {
                self.file
                    .seek(SeekFrom::Start(number * BLOCK as u64))
                    .and_then(|_| self.file.read_exact(&mut block))
                    .map_err(storage)?;
                entries.extend(entries_of(&block));
            }
            entries.extend(entries_of(&part.pending));
            entries.sort_unstable_by_key(|(hash, _)| *hash);
            for equal in entries.chunk_by(|a, b| a.0 == b.0) {
                spectrum.add(equal.iter().map(|(_, count)| count).sum());
            }
        }
        Ok(())
    }
}

fn entries_of(bytes: &[u8]) -> impl Iterator<Item = ([u64; 2], u64)> {
    let (entries, _) = bytes.as_chunks::<ENTRY>();
    entries.iter().map(|entry| {
        let (mut high, mut low, mut count) = ([0; 8], [0; 8], [0; 4]);
        low.copy_from_slice(&entry[..8]);
        high.copy_from_slice(&entry[8..16]);
        count.copy_from_slice(&entry[16..]);
        let hash = [u64::from_le_bytes(high), u64::from_le_bytes(low)];
        (hash, u64::from(u32::from_le_bytes(count)))
    })
}

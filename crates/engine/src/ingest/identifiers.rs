//! The identifiers of one data file, as an index in memory of about four bytes each.
//!
//! An identifier's 64-bit hash is split: its first bits choose a bucket of 32 to 64 entries on average, and the
//! next 32 bits are the entry. An identifier whose entry is not in its bucket is certainly not in the file; one
//! that is not in the file is found by chance about once in a hundred million times.

use std::path::Path;

use tarn_core::Result;
use xxhash_rust::xxh3::xxh3_64;

use crate::scan;

/// How an encoded index begins: its format and the format's version.
const MAGIC: [u8; 8] = *b"tarnids1";

/// Magic, column, bits, entries, checksum.
const HEADER: usize = 8 + 4 + 4 + 8 + 8;

/// Entries of a bucket are at most twice this, on average.
const ENTRIES_PER_BUCKET: usize = 32;

/// The hash that an index knows an identifier by, in every run.
#[inline]
pub(crate) fn hash_of(identifier: &[u8]) -> u64 {
    xxh3_64(identifier)
}

/// Which identifiers a data file has.
#[derive(Debug, PartialEq, Eq)]
pub struct IdentifierIndex {
    /// The first bits of a hash, which choose its bucket.
    bits: u32,
    /// Where each bucket begins in the entries, and their end.
    buckets: Vec<u32>,
    /// The 32 bits of each hash after those of its bucket, in ascending order within a bucket.
    entries: Vec<u32>,
}

impl IdentifierIndex {
    /// Indexes the values of a column of a local data file. The hashes are held in memory (8 bytes each) meanwhile.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn of_file(path: &Path, column: &str) -> Result<Self> {
        let mut hashes = Vec::new();
        scan::texts_of_file(path, column, &[], &mut |id| hashes.push(hash_of(id)))?;
        Ok(Self::of_hashes(hashes))
    }

    fn of_hashes(mut hashes: Vec<u64>) -> Self {
        hashes.sort_unstable();
        hashes.dedup();
        let bits = (hashes.len() / ENTRIES_PER_BUCKET).max(1).ilog2();
        let mut buckets = Vec::with_capacity((1 << bits) + 1);
        let mut entries = Vec::with_capacity(hashes.len());
        buckets.push(0);
        for hash in hashes {
            let (bucket, entry) = split(hash, bits);
            // A bucket ends where the next one begins.
            buckets.resize(bucket + 1, entries.len() as u32);
            entries.push(entry);
        }
        buckets.resize((1 << bits) + 1, entries.len() as u32);
        IdentifierIndex {
            bits,
            buckets,
            entries,
        }
    }

    /// Whether the file may have an identifier with this hash.
    #[inline]
    pub(crate) fn may_hold(&self, hash: u64) -> bool {
        let (bucket, entry) = split(hash, self.bits);
        match self.buckets[bucket..] {
            [begin, end, ..] => self.entries[begin as usize..end as usize]
                .binary_search(&entry)
                .is_ok(),
            _ => false,
        }
    }

    /// Bytes of memory that it takes.
    pub fn bytes(&self) -> u64 {
        4 * (self.buckets.len() + self.entries.len()) as u64
    }

    /// The index as a file. It names the column by its field id.
    pub fn encode(&self, column: i32) -> Vec<u8> {
        let words = self.buckets.iter().chain(&self.entries);
        let body: Vec<u8> = words.flat_map(|word| word.to_le_bytes()).collect();
        let mut file = Vec::with_capacity(HEADER + body.len());
        file.extend(MAGIC);
        file.extend(column.to_le_bytes());
        file.extend(self.bits.to_le_bytes());
        file.extend((self.entries.len() as u64).to_le_bytes());
        file.extend(xxh3_64(&body).to_le_bytes());
        file.extend(body);
        file
    }

    /// Reads a file that [`IdentifierIndex::encode`] made for this column; None where it is of another column or
    /// format, or damaged.
    pub fn decode(file: &[u8], column: i32) -> Option<Self> {
        let (magic, file) = file.split_first_chunk::<8>()?;
        let (of, file) = file.split_first_chunk::<4>()?;
        let (bits, file) = file.split_first_chunk::<4>()?;
        let (entries, file) = file.split_first_chunk::<8>()?;
        let (checksum, body) = file.split_first_chunk::<8>()?;
        let bits = u32::from_le_bytes(*bits);
        let entries = usize::try_from(u64::from_le_bytes(*entries)).ok()?;
        let is_it = *magic == MAGIC
            && i32::from_le_bytes(*of) == column
            && bits < 32
            && u64::from_le_bytes(*checksum) == xxh3_64(body);
        if !is_it {
            return None;
        }
        let (words, []) = body.as_chunks::<4>() else {
            return None;
        };
        let mut buckets: Vec<u32> = words.iter().map(|word| u32::from_le_bytes(*word)).collect();
        let count = (1 << bits) + 1;
        if buckets.len().checked_sub(count) != Some(entries) {
            return None;
        }
        let entries = buckets.split_off(count);
        let in_order = buckets.is_sorted() && buckets.last() == Some(&(entries.len() as u32));
        in_order.then_some(IdentifierIndex {
            bits,
            buckets,
            entries,
        })
    }
}

/// The bucket of a hash, and its entry there.
#[inline]
fn split(hash: u64, bits: u32) -> (usize, u32) {
    let bucket = hash.checked_shr(64 - bits).unwrap_or(0);
    (bucket as usize, (hash >> (32 - bits)) as u32)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn index(numbers: std::ops::Range<u64>) -> IdentifierIndex {
        let hashes = numbers.map(|number| hash_of(&number.to_le_bytes()));
        IdentifierIndex::of_hashes(hashes.collect())
    }

    fn holds(index: &IdentifierIndex, number: u64) -> bool {
        index.may_hold(hash_of(&number.to_le_bytes()))
    }

    #[test]
    fn every_identifier_is_found_and_others_are_not() {
        for count in [0, 1, 2, 31, 64, 65, 1_000, 100_000, 1_000_000] {
            let index = index(0..count);
            assert!((0..count).all(|number| holds(&index, number)), "{count}");
            let others = (count..count + 100_000).filter(|&number| holds(&index, number));
            assert_eq!(others.count(), 0, "{count}");
            assert!(index.bytes() <= 4 * count + count / 8 + 8, "{count}");
        }
    }

    proptest! {
        #[test]
        fn hashes_of_any_distribution_are_found(hashes in prop::collection::vec(
            prop_oneof![any::<u64>(), 0..3_u64, (u64::MAX - 3)..=u64::MAX], 0..500,
        )) {
            let index = IdentifierIndex::of_hashes(hashes.clone());
            prop_assert!(hashes.iter().all(|&hash| index.may_hold(hash)));
            prop_assert_eq!(IdentifierIndex::decode(&index.encode(7), 7), Some(index));
        }

        #[test]
        fn a_file_of_other_bytes_is_no_index(file in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(IdentifierIndex::decode(&file, 7), None);
        }
    }

    #[test]
    fn an_index_of_another_column_or_a_changed_one_is_not_read() {
        let index = index(0..1_000);
        let file = index.encode(7);
        assert_eq!(IdentifierIndex::decode(&file, 8), None);
        assert_eq!(IdentifierIndex::decode(&file[..file.len() - 4], 7), None);
        for place in 0..file.len() {
            let mut changed = file.clone();
            changed[place] ^= 1;
            assert_eq!(IdentifierIndex::decode(&changed, 7), None, "{place}");
        }
        assert_eq!(IdentifierIndex::decode(&file, 7), Some(index));
    }
}

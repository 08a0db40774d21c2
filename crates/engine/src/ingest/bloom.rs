//! Finds repeated events with bounded memory.
//!
//! For nearly every event a Bloom filter shows that it is certainly new. The few others are set aside
//! and looked up exactly: in the table's files around their day, and in a log on disk of what this
//! run has accepted. Identifiers are compared by a 128-bit hash.

use std::collections::BTreeSet;
use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use hashbrown::HashMap;
use tarn_core::{Error, ErrorKind, Result};
use xxhash_rust::xxh3::xxh3_128_with_seed;

use crate::scan;

/// A file of the table in which duplicates may be, and the day of its rows.
#[derive(Debug, Clone)]
pub struct ExistingFile {
    /// A local path.
    pub path: PathBuf,
    /// Days since 1970-01-01.
    pub day: i32,
    /// Its rows.
    pub rows: u64,
    /// The URIs of the object under ingest, where rows of it may be in the file: they are about to be
    /// replaced, and nothing repeats them.
    pub own: Vec<String>,
}

/// A set of hashes that answers "certainly new" or "perhaps seen" in one cache line.
struct Bloom {
    blocks: Vec<Block>,
}

/// A cache line of bits. Where it lay across two lines, its end would be fetched when it is used.
#[derive(Clone)]
#[repr(align(64))]
struct Block([u64; 8]);

const SMALLEST_BLOOM: u64 = 64 << 10;
const LARGEST_BLOOM: u64 = 16 << 20;
/// Where the number of keys is known and not guessed from bytes.
const LARGEST_EXACT_BLOOM: u64 = 64 << 20;

/// How many keys are coming.
#[derive(Debug, Clone, Copy)]
pub enum Expected {
    /// A guess.
    About(u64),
    /// How many.
    Exactly(u64),
}

impl Bloom {
    fn for_keys(existing: u64, expected: Expected) -> Self {
        let (keys, largest) = match expected {
            Expected::About(keys) => (keys, LARGEST_BLOOM),
            Expected::Exactly(keys) => (keys, LARGEST_EXACT_BLOOM),
        };
        // Two bytes a key keep false alarms below one in a thousand.
        let bytes = ((existing + keys) * 2).clamp(SMALLEST_BLOOM, largest);
        Bloom {
            blocks: vec![Block([0; 8]); (bytes / 64) as usize],
        }
    }

    /// The place of a key's block.
    #[inline]
    fn place(&self, hash: u128) -> usize {
        (((hash >> 64) * self.blocks.len() as u128) >> 64) as usize
    }

    /// Reads a key's block and does nothing with it. The filter is larger than the processor's caches:
    /// a loop of nothing but such reads has many of them under way at once, and the block is near when
    /// the key is inserted.
    #[inline]
    fn touch(&self, hash: u128) {
        std::hint::black_box(self.blocks[self.place(hash)].0[0]);
    }

    /// Inserts a key and returns whether it may have been there.
    #[inline]
    fn insert(&mut self, hash: u128) -> bool {
        let place = self.place(hash);
        let mut bits = hash as u64;
        let mut seen = true;
        for word in &mut self.blocks[place].0 {
            let bit = 1u64 << (bits & 63);
            bits >>= 6;
            seen &= *word & bit != 0;
            *word |= bit;
        }
        seen
    }
}

/// What stands for an event's identifier, and its day (days since 1970-01-01).
#[derive(Debug, Clone, Copy)]
pub struct Identity {
    /// A 128-bit hash, the same for equal identifiers within one run.
    hash: u128,
    day: i32,
}

/// The days of known events, by what stands for their identifiers.
pub struct Known(HashMap<u128, Vec<i32>>);

/// Remembers the identifiers of a run and of the table around them.
pub struct Deduplicator {
    /// Nobody can choose identifiers that share a hash without knowing it.
    seed: u64,
    bloom: Bloom,
    window: i32,
    column: String,
    existing: Vec<ExistingFile>,
    loaded: BTreeSet<i32>,
    log: BufWriter<File>,
    log_path: PathBuf,
}

fn storage(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Storage, "the log of accepted identifiers failed").with_source(error)
}

const LOG_ENTRY: usize = 20;

/// For this many events the filter's blocks are read before they are changed.
const EVENTS_TOUCHED: usize = 64;

impl Deduplicator {
    /// Looks for duplicates of `column` within `window_days` of an event's day among `existing`
    /// files and the events of this run.
    pub fn new(
        column: &str,
        window_days: u32,
        existing: Vec<ExistingFile>,
        expected: Expected,
        staging: &Path,
    ) -> Result<Self> {
        let rows: u64 = existing.iter().map(|file| file.rows).sum();
        let log_path = staging.join("accepted-identifiers");
        let log = File::options()
            .create(true)
            .truncate(true)
            .read(true)
            .write(true)
            .open(&log_path)
            .map_err(storage)?;
        Ok(Deduplicator {
            seed: RandomState::new().build_hasher().finish(),
            bloom: Bloom::for_keys(rows, expected),
            window: i32::try_from(window_days).unwrap_or(i32::MAX),
            column: column.to_owned(),
            existing,
            loaded: BTreeSet::new(),
            log: BufWriter::new(log),
            log_path,
        })
    }

    fn near(&self, a: i32, b: i32) -> bool {
        a.abs_diff(b) <= self.window.unsigned_abs()
    }

    /// The identity of an event.
    #[inline]
    pub fn identity(&self, id: &[u8], day: i32) -> Identity {
        Identity {
            hash: xxh3_128_with_seed(id, self.seed),
            day,
        }
    }

    /// Takes note of events, in order, and clears the marks of those that may have been seen before. An
    /// event without an identity has nothing to compare. Only those that are remembered, or accepted, count
    /// when others are decided.
    pub fn mark(&mut self, events: &[Option<Identity>], new: &mut [bool]) -> Result<()> {
        let mut last = None;
        for event in events.iter().flatten() {
            // Neighbouring events are mostly of one day.
            if last.replace(event.day) != Some(event.day) && self.loaded.insert(event.day) {
                self.load_around(event.day)?;
            }
        }
        let bloom = &mut self.bloom;
        let chunks = events
            .chunks(EVENTS_TOUCHED)
            .zip(new.chunks_mut(EVENTS_TOUCHED));
        for (events, new) in chunks {
            for event in events.iter().flatten() {
                bloom.touch(event.hash);
            }
            for (event, new) in events.iter().zip(new) {
                if let Some(event) = event {
                    *new &= !bloom.insert(event.hash);
                }
            }
        }
        Ok(())
    }

    /// What is known of these events, which may be duplicates: the days of those with their identifiers in
    /// the table and among the accepted ones.
    pub fn known<'e>(&mut self, suspects: impl Iterator<Item = &'e Identity>) -> Result<Known> {
        let mut known: HashMap<u128, Vec<i32>> = HashMap::new();
        let mut days: BTreeSet<i32> = BTreeSet::new();
        for suspect in suspects {
            known.entry(suspect.hash).or_default();
            days.insert(suspect.day);
        }
        for file in &self.existing {
            if days.iter().any(|&day| self.near(day, file.day)) {
                scan::texts_of_file(&file.path, &self.column, &file.own, &mut |id| {
                    if let Some(days) = known.get_mut(&xxh3_128_with_seed(id, self.seed)) {
                        days.push(file.day);
                    }
                })?;
            }
        }
        self.read_log(|hash, day| {
            if let Some(days) = known.get_mut(&hash) {
                days.push(day);
            }
        })?;
        Ok(Known(known))
    }

    /// The day of the known event that this one repeats, if it does.
    pub fn repeated(&self, known: &Known, event: Identity) -> Option<i32> {
        let days = known.0.get(&event.hash)?;
        days.iter().copied().find(|&day| self.near(day, event.day))
    }

    /// Remembers an event that was decided to be new, also for those that are decided with it.
    pub fn accept(&mut self, known: &mut Known, event: Option<Identity>) -> Result<()> {
        if let Some(event) = event {
            known.0.entry(event.hash).or_default().push(event.day);
        }
        self.remember(event)
    }

    fn load_around(&mut self, day: i32) -> Result<()> {
        let near: Vec<usize> = (0..self.existing.len())
            .filter(|&index| self.near(day, self.existing[index].day))
            // A file near an earlier day is in the filter already.
            .filter(|&index| {
                !self
                    .loaded
                    .iter()
                    .any(|&other| other != day && self.near(other, self.existing[index].day))
            })
            .collect();
        for index in near {
            let (seed, bloom) = (self.seed, &mut self.bloom);
            let file = &self.existing[index];
            scan::texts_of_file(&file.path, &self.column, &file.own, &mut |id| {
                bloom.insert(xxh3_128_with_seed(id, seed));
            })?;
        }
        Ok(())
    }

    /// Remembers an accepted event.
    pub fn remember(&mut self, event: Option<Identity>) -> Result<()> {
        let Some(identity) = event else {
            return Ok(());
        };
        let mut entry = [0; LOG_ENTRY];
        entry[..16].copy_from_slice(&identity.hash.to_le_bytes());
        entry[16..].copy_from_slice(&identity.day.to_le_bytes());
        self.log.write_all(&entry).map_err(storage)
    }

    fn read_log(&mut self, mut each: impl FnMut(u128, i32)) -> Result<()> {
        self.log.flush().map_err(storage)?;
        let mut reader =
            BufReader::with_capacity(1 << 16, File::open(&self.log_path).map_err(storage)?);
        let mut entry = [0; LOG_ENTRY];
        let length = reader.seek(SeekFrom::End(0)).map_err(storage)?;
        reader.seek(SeekFrom::Start(0)).map_err(storage)?;
        for _ in 0..length / LOG_ENTRY as u64 {
            reader.read_exact(&mut entry).map_err(storage)?;
            let (hash, day) = entry.split_at(16);
            if let (Ok(hash), Ok(day)) = (hash.try_into(), day.try_into()) {
                each(u128::from_le_bytes(hash), i32::from_le_bytes(day));
            }
        }
        Ok(())
    }
}

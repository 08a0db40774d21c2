//! Finds repeated events with bounded memory.
//!
//! For nearly every event a Bloom filter, and the indexes of large files of the table, show that it is certainly
//! new. The few others are set aside and looked up exactly: in the table's files around their day, and in a log on
//! disk of what this run has accepted. Identifiers are compared by a 128-bit hash.

use std::collections::BTreeSet;
use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hashbrown::HashMap;
use tarn_core::{Error, ErrorKind, Result};
use xxhash_rust::xxh3::xxh3_128_with_seed;

use crate::ingest::identifiers::{self, IdentifierIndex};
use crate::scan;

/// A file of the table in which duplicates may be, and the day of its rows.
#[derive(Debug, Clone)]
pub struct ExistingFile {
    /// Where it is in the lake.
    pub uri: String,
    /// Its identifiers, where they are known without reading it.
    pub index: Option<Arc<IdentifierIndex>>,
    /// Days since 1970-01-01.
    pub day: i32,
    /// Its rows.
    pub rows: u64,
    /// The URIs of the object under ingest, where rows of it may be in the file: they are about to be
    /// replaced, and nothing repeats them.
    pub own: Vec<String>,
}

/// The files of a table in which a row may be that an event repeats.
pub trait Earlier: Send + Sync {
    /// Those with rows of these days, counted from 1970-01-01.
    ///
    /// # Errors
    /// Where a file cannot be read.
    fn of_days(&self, days: RangeInclusive<i32>) -> Result<Vec<ExistingFile>>;

    /// A local copy of one of them, with its identifiers and its rows' source objects; it is readable while this
    /// value lives.
    ///
    /// # Errors
    /// Where it cannot be read.
    fn fetch(&self, file: &ExistingFile) -> Result<PathBuf>;
}

/// No files.
#[derive(Debug, Clone, Copy)]
pub struct Nothing;

impl Earlier for Nothing {
    fn of_days(&self, _: RangeInclusive<i32>) -> Result<Vec<ExistingFile>> {
        Ok(Vec::new())
    }

    fn fetch(&self, file: &ExistingFile) -> Result<PathBuf> {
        Err(Error::internal(format!("there is no file {}", file.uri)))
    }
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
    /// Two bytes a key keep false alarms below one in a thousand.
    fn for_keys(keys: u64, largest: u64) -> Self {
        let bytes = (keys * 2).clamp(SMALLEST_BLOOM, largest);
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

    /// Whether a key may have been inserted.
    #[inline]
    fn may_hold(&self, hash: u128) -> bool {
        let mut bits = hash as u64;
        self.blocks[self.place(hash)].0.iter().all(|word| {
            let bit = 1u64 << (bits & 63);
            bits >>= 6;
            word & bit != 0
        })
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

/// A set of hashes that grows: how many keys a table has around the days of an object shows as it is read.
struct Blooms {
    /// The last one takes new keys.
    layers: Vec<Bloom>,
    /// The keys of this run, and those of the table so far.
    keys: u64,
    /// How many more keys of the table there is room for.
    room: u64,
    /// The most bytes of all layers.
    largest: u64,
}

impl Blooms {
    fn new(expected: Expected) -> Self {
        let (keys, largest) = match expected {
            Expected::About(keys) => (keys, LARGEST_BLOOM),
            Expected::Exactly(keys) => (keys, LARGEST_EXACT_BLOOM),
        };
        Blooms {
            layers: Vec::new(),
            keys,
            room: 0,
            largest,
        }
    }

    /// Makes room for more keys of the table. Each new layer is as large as those
    /// before it. Once they may not grow, the last one takes all keys, and more events than need be are looked up.
    fn make_room(&mut self, keys: u64) {
        if self.layers.is_empty() {
            let wanted = self.keys + keys;
            self.layers.push(Bloom::for_keys(wanted, self.largest));
        } else if keys > self.room {
            let bytes = self
                .layers
                .iter()
                .map(|layer| size_of_val(layer.blocks.as_slice()));
            let left = self.largest.saturating_sub(bytes.sum::<usize>() as u64);
            if left >= SMALLEST_BLOOM {
                let wanted = keys.max(self.keys);
                self.layers.push(Bloom::for_keys(wanted, left));
                self.room = wanted;
            }
        }
        self.room = self.room.saturating_sub(keys);
        self.keys += keys;
    }

    #[inline]
    fn touch(&self, hash: u128) {
        for layer in &self.layers {
            layer.touch(hash);
        }
    }

    /// Inserts a key and returns whether it may have been there.
    #[inline]
    fn insert(&mut self, hash: u128) -> bool {
        let Some((last, former)) = self.layers.split_last_mut() else {
            return true;
        };
        let seen = former.iter().any(|layer| layer.may_hold(hash));
        last.insert(hash) || seen
    }
}

/// What stands for an event's identifier, and its day (days since 1970-01-01).
#[derive(Debug, Clone, Copy)]
pub struct Identity {
    /// A 128-bit hash, the same for equal identifiers within one run.
    hash: u128,
    /// The hash that indexes of files know the identifier by.
    indexed: u64,
    day: i32,
}

/// The days of known events, by what stands for their identifiers.
pub struct Known(HashMap<u128, Vec<i32>>);

/// A file that is read only where its index has a suspect.
struct Indexed {
    file: ExistingFile,
    index: Arc<IdentifierIndex>,
}

/// Remembers the identifiers of a run and of the table around them.
pub struct Deduplicator {
    /// Nobody can choose identifiers that share a hash without knowing it.
    seed: u64,
    blooms: Blooms,
    window: i32,
    column: String,
    earlier: Arc<dyn Earlier>,
    /// Files of the table around the events so far whose identifiers are in the filter.
    existing: Vec<ExistingFile>,
    /// Files of the table around the events so far that have indexes.
    indexed: Vec<Indexed>,
    /// Days of events so far.
    met: BTreeSet<i32>,
    /// Days of the table whose files are among the existing ones.
    loaded: Days,
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
    /// Looks for duplicates of `column` within `window_days` of an event's day among `earlier` files and the
    /// events of this run.
    pub fn new(
        column: &str,
        window_days: u32,
        earlier: Arc<dyn Earlier>,
        expected: Expected,
        staging: &Path,
    ) -> Result<Self> {
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
            blooms: Blooms::new(expected),
            window: i32::try_from(window_days).unwrap_or(i32::MAX),
            column: column.to_owned(),
            earlier,
            existing: Vec::new(),
            indexed: Vec::new(),
            met: BTreeSet::new(),
            loaded: Days::default(),
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
            indexed: identifiers::hash_of(id),
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
            if last.replace(event.day) != Some(event.day) && self.met.insert(event.day) {
                self.load_around(event.day)?;
            }
        }
        let blooms = &mut self.blooms;
        let chunks = events
            .chunks(EVENTS_TOUCHED)
            .zip(new.chunks_mut(EVENTS_TOUCHED));
        for (events, new) in chunks {
            for event in events.iter().flatten() {
                blooms.touch(event.hash);
            }
            for (event, new) in events.iter().zip(new) {
                if let Some(event) = event {
                    *new &= !blooms.insert(event.hash);
                }
            }
        }
        if !self.indexed.is_empty() {
            for (event, new) in events.iter().zip(new) {
                *new &= event.is_none_or(|event| !self.may_be_indexed(&event));
            }
        }
        Ok(())
    }

    /// What is known of these events, which may be duplicates: the days of those with their identifiers in
    /// the table and among the accepted ones.
    pub fn known<'e>(&mut self, suspects: impl Iterator<Item = &'e Identity>) -> Result<Known> {
        let mut known: HashMap<u128, Vec<i32>> = HashMap::new();
        let mut days: BTreeSet<i32> = BTreeSet::new();
        let mut in_index = vec![false; self.indexed.len()];
        for suspect in suspects {
            known.entry(suspect.hash).or_default();
            days.insert(suspect.day);
            for (found, Indexed { file, index }) in in_index.iter_mut().zip(&self.indexed) {
                *found |= self.near(suspect.day, file.day) && index.may_hold(suspect.indexed);
            }
        }
        let near = |file: &&ExistingFile| days.iter().any(|&day| self.near(day, file.day));
        let in_index = self.indexed.iter().zip(in_index);
        let indexed = in_index.filter_map(|(indexed, found)| found.then_some(&indexed.file));
        for file in self.existing.iter().filter(near).chain(indexed) {
            let path = self.earlier.fetch(file)?;
            scan::texts_of_file(&path, &self.column, &file.own, &mut |id| {
                if let Some(days) = known.get_mut(&xxh3_128_with_seed(id, self.seed)) {
                    days.push(file.day);
                }
            })?;
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

    /// Whether an index of a file around an event's day may hold its identifier.
    fn may_be_indexed(&self, event: &Identity) -> bool {
        self.indexed.iter().any(|Indexed { file, index }| {
            self.near(event.day, file.day) && index.may_hold(event.indexed)
        })
    }

    /// Finds the files of the table around a day, and reads the identifiers of those without an index.
    fn load_around(&mut self, day: i32) -> Result<()> {
        let around = day.saturating_sub(self.window)..=day.saturating_add(self.window);
        let mut files = Vec::new();
        for days in self.loaded.add(around) {
            for mut file in self.earlier.of_days(days)? {
                match file.index.take() {
                    Some(index) => self.indexed.push(Indexed { file, index }),
                    None => files.push(file),
                }
            }
        }
        self.blooms
            .make_room(files.iter().map(|file| file.rows).sum());
        for file in &files {
            let (seed, blooms) = (self.seed, &mut self.blooms);
            let path = self.earlier.fetch(file)?;
            scan::texts_of_file(&path, &self.column, &file.own, &mut |id| {
                blooms.insert(xxh3_128_with_seed(id, seed));
            })?;
        }
        self.existing.append(&mut files);
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

/// Days, as ranges that do not overlap.
#[derive(Debug, Default)]
struct Days(Vec<RangeInclusive<i32>>);

impl Days {
    /// Adds days; returns those that are new.
    fn add(&mut self, days: RangeInclusive<i32>) -> Vec<RangeInclusive<i32>> {
        let mut new = vec![days];
        for known in &self.0 {
            new = new
                .into_iter()
                .flat_map(|days| without(&days, known))
                .collect();
        }
        self.0.extend(new.iter().cloned());
        new
    }
}

/// What is left of some days without others: up to two ranges.
fn without(
    days: &RangeInclusive<i32>,
    others: &RangeInclusive<i32>,
) -> impl Iterator<Item = RangeInclusive<i32>> + use<> {
    let before = others
        .start()
        .checked_sub(1)
        .map(|end| *days.start()..=end.min(*days.end()));
    let after = others
        .end()
        .checked_add(1)
        .map(|start| start.max(*days.start())..=*days.end());
    [before, after]
        .into_iter()
        .flatten()
        .filter(|range| !range.is_empty())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Mutex;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_day_is_new_once(ranges in prop::collection::vec((-30..30_i32, 0..12_i32), 0..12)) {
            let (mut days, mut seen) = (Days::default(), BTreeSet::new());
            for (begin, length) in ranges {
                let asked: BTreeSet<i32> = (begin..=begin + length).collect();
                let new: Vec<i32> = days.add(begin..=begin + length).into_iter().flatten().collect();
                let expected: Vec<i32> = asked.difference(&seen).copied().collect();
                let mut sorted = new.clone();
                sorted.sort_unstable();
                prop_assert_eq!(sorted, expected);
                seen.extend(asked);
            }
        }
    }

    #[test]
    fn the_ends_of_time_are_days_too() {
        let mut days = Days::default();
        assert_eq!(days.add(i32::MIN..=0).len(), 1);
        assert_eq!(days.add(i32::MIN..=i32::MAX), [1..=i32::MAX]);
        assert!(days.add(i32::MIN..=i32::MAX).is_empty());
    }

    /// Says what it was asked for.
    #[derive(Default)]
    struct Asked(Mutex<Vec<RangeInclusive<i32>>>);

    impl Earlier for Asked {
        fn of_days(&self, days: RangeInclusive<i32>) -> Result<Vec<ExistingFile>> {
            self.0.lock().unwrap().push(days);
            Ok(Vec::new())
        }

        fn fetch(&self, file: &ExistingFile) -> Result<PathBuf> {
            Nothing.fetch(file)
        }
    }

    #[test]
    fn only_days_around_events_are_asked_for_and_each_once() {
        let folder = tempfile::tempdir().unwrap();
        let asked = Arc::new(Asked::default());
        let mut deduplicator =
            Deduplicator::new("id", 7, asked.clone(), Expected::About(10), folder.path()).unwrap();
        assert_eq!(asked.0.lock().unwrap().len(), 0);
        let events: Vec<_> = [100, 101, 100, 300, 95]
            .iter()
            .zip(0..)
            .map(|(day, id)| Some(deduplicator.identity(&[id], *day)))
            .collect();
        let mut new = vec![true; events.len()];
        deduplicator.mark(&events, &mut new).unwrap();
        assert_eq!(new, [true; 5]);
        assert_eq!(
            *asked.0.lock().unwrap(),
            [93..=107, 108..=108, 293..=307, 88..=92]
        );
    }

    #[test]
    fn a_filter_that_grows_forgets_nothing() {
        let mut blooms = Blooms::new(Expected::About(100));
        let hash = |number: u64| xxh3_128_with_seed(&number.to_le_bytes(), 1);
        let mut inserted = 0;
        for keys in [0, 50_000, 300_000, 0, 2_000] {
            blooms.make_room(keys);
            for _ in 0..keys {
                blooms.insert(hash(inserted));
                inserted += 1;
            }
        }
        assert_eq!(blooms.layers.len(), 4);
        assert!((0..inserted).all(|number| blooms.insert(hash(number))));
        let false_alarms = (1_000_000..1_010_000).filter(|&number| blooms.insert(hash(number)));
        assert!(false_alarms.count() < 100);
    }
}

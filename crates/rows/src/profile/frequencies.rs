//! How many distinct values a column has, and how often each occurs.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use hashbrown::HashMap;
use tarn_core::Result;
use xxhash_rust::xxh3::{Xxh3, xxh3_128_with_seed};

use super::overflow::Overflow;
use super::spectrum::Spectrum;
use crate::column::{ColumnData, ListColumn, Rows, TextColumn};

/// How many distinct values are held in memory (about 7 MiB); the others are on disk, 20 bytes each time one
/// occurs. Those in memory are a sample: their hashes begin with enough zero bits (adaptive sampling,
/// Flajolet 1990).
pub(crate) const DISTINCT_LIMIT: usize = 1 << 17;

/// Values are known by name while there are at most this many.
const NAMED: usize = 128;

/// Nobody can choose values that share a hash without knowing it. The same for all columns, whose values
/// are looked for among one another's.
static SEED: LazyLock<u64> = LazyLock::new(|| RandomState::new().build_hasher().finish());

/// What stands for a value: 128 bits, so that two of a thousand million different values share them with
/// a chance below 10^-20 (n²/2 in 2^128), and no number that is counted here can be off by it.
fn hash_of(bytes: &[u8]) -> u128 {
    xxh3_128_with_seed(bytes, *SEED)
}

/// The hash of a value that is composed of parts.
pub struct Joined(Xxh3);

impl Default for Joined {
    fn default() -> Self {
        Joined(Xxh3::with_seed(*SEED))
    }
}

impl Joined {
    /// Adds a part that says by itself where it ends.
    pub fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
}

/// The frequencies of a column's values while it is read; nulls are left out.
#[derive(Debug)]
pub struct Frequencies {
    folder: PathBuf,
    /// Distinct values in memory, at most.
    limit: usize,
    counts: HashMap<[u64; 2], u64>,
    spilled: Option<Spilled>,
    total: u64,
    /// The values themselves, and their hashes.
    named: Vec<[u64; 2]>,
    names: Option<ColumnData>,
}

/// The values that are not in memory: all but those whose hashes have `level` leading zeros, which is
/// one in 2^level.
#[derive(Debug)]
struct Spilled {
    level: u32,
    values: Overflow,
}

impl Frequencies {
    /// The frequencies of no values yet. What memory does not hold goes to a file in `folder`.
    pub fn new(folder: &Path) -> Self {
        Frequencies {
            folder: folder.to_owned(),
            limit: DISTINCT_LIMIT,
            counts: HashMap::new(),
            spilled: None,
            total: 0,
            named: Vec::new(),
            names: None,
        }
    }

    /// Takes the values of a column into account. Lists are not counted.
    ///
    /// # Errors
    /// `Storage` where the disk takes no more.
    pub fn add(&mut self, data: &ColumnData) -> Result<()> {
        if self.names.is_none() {
            self.names = Some(data.empty_like());
        }
        let mut rows = (0..data.len()).filter(|&row| data.validity().get(row));
        match data {
            ColumnData::Text(column) if column.interned => self.add_interned(data, column),
            ColumnData::Text(column) => {
                rows.try_for_each(|row| self.insert(hash_of(column.texts.get(row)), 1, data, row))
            }
            ColumnData::Int(column) => rows.try_for_each(|row| {
                let bytes = i64::from(column.values[row]).to_le_bytes();
                self.insert(hash_of(&bytes), 1, data, row)
            }),
            ColumnData::Long(column) => rows.try_for_each(|row| {
                self.insert(hash_of(&column.values[row].to_le_bytes()), 1, data, row)
            }),
            ColumnData::Double(column) => rows.try_for_each(|row| {
                // Zero and minus zero are one value.
                let bits = (column.values[row] + 0.0).to_bits();
                self.insert(hash_of(&bits.to_le_bytes()), 1, data, row)
            }),
            ColumnData::Boolean(column) => rows.try_for_each(|row| {
                let bits = u64::from(column.values[row]);
                self.insert(hash_of(&bits.to_le_bytes()), 1, data, row)
            }),
            ColumnData::List(_) => Ok(()),
        }
    }

    fn add_interned(&mut self, data: &ColumnData, column: &TextColumn) -> Result<()> {
        let mut counts = vec![0_u64; column.texts.len()];
        let mut first = vec![0_usize; column.texts.len()];
        for (row, &key) in column.keys.iter().enumerate() {
            if column.validity.get(row) {
                counts[key as usize] += 1;
                first[key as usize] = row;
            }
        }
        let mut counts = counts
            .into_iter()
            .enumerate()
            .filter(|(_, count)| *count > 0);
        counts.try_for_each(|(key, count)| {
            self.insert(hash_of(column.texts.get(key)), count, data, first[key])
        })
    }

    /// Takes one value into account that is composed of several columns.
    ///
    /// # Errors
    /// `Storage` where the disk takes no more.
    pub(crate) fn add_joined(&mut self, value: &Joined) -> Result<()> {
        let none = ColumnData::List(ListColumn::new());
        self.insert(value.0.digest128(), 1, &none, 0)
    }

    fn insert(&mut self, hash: u128, count: u64, data: &ColumnData, row: usize) -> Result<()> {
        self.total += count;
        if let Some(spilled) = &mut self.spilled
            && hash.leading_zeros() < spilled.level
        {
            return spilled.values.push(hash, count);
        }
        let before = self.counts.len();
        *self.counts.entry(halves(hash)).or_default() += count;
        if self.counts.len() == before {
            return Ok(());
        }
        if before < NAMED
            && let Some(names) = &mut self.names
        {
            names.append(data, &Rows::one(row));
            self.named.push(halves(hash));
        }
        while self.counts.len() > self.limit {
            self.spill()?;
        }
        Ok(())
    }

    /// Moves half of the values from memory to disk.
    #[cold]
    fn spill(&mut self) -> Result<()> {
        let spilled = match &mut self.spilled {
            Some(spilled) => spilled,
            none => none.insert(Spilled {
                level: 0,
                values: Overflow::new(&self.folder)?,
            }),
        };
        spilled.level += 1;
        let level = spilled.level;
        let leaving = self
            .counts
            .extract_if(|hash, _| whole(*hash).leading_zeros() < level);
        for (hash, count) in leaving {
            spilled.values.push(whole(hash), count)?;
        }
        Ok(())
    }

    /// Counts what was put on disk.
    ///
    /// # Errors
    /// `Storage` where it cannot be read.
    pub fn finish(self) -> Result<Counted> {
        let mut spectrum = Spectrum::default();
        for &count in self.counts.values() {
            spectrum.add(count);
        }
        let level = match self.spilled {
            Some(spilled) => {
                spilled.values.read(&mut spectrum)?;
                spilled.level
            }
            None => 0,
        };
        Ok(Counted {
            total: self.total,
            spectrum,
            level,
            sample: self.counts,
            named: self.named,
            names: self.names,
        })
    }
}

fn halves(hash: u128) -> [u64; 2] {
    [(hash >> 64) as u64, hash as u64]
}

fn whole([high, low]: [u64; 2]) -> u128 {
    u128::from(high) << 64 | u128::from(low)
}

/// The frequencies of a column's values, all of them counted.
#[derive(Debug)]
pub struct Counted {
    total: u64,
    spectrum: Spectrum,
    /// The values whose hashes have `level` leading zeros: all of them at level 0.
    sample: HashMap<[u64; 2], u64>,
    level: u32,
    named: Vec<[u64; 2]>,
    names: Option<ColumnData>,
}

impl Counted {
    /// Values, repeated ones counted each time.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Distinct values.
    pub fn distinct(&self) -> u64 {
        self.spectrum.0.values().sum()
    }

    /// Values beyond the first of each kind.
    pub fn repeated(&self) -> u64 {
        self.total - self.distinct()
    }

    /// How many of the distinct values another column has, and of how many: of all, or where either
    /// has more than are in memory, of a sample of those.
    pub(crate) fn found_in(&self, other: &Counted) -> (u64, u64) {
        let level = self.level.max(other.level);
        let looked_for = self
            .sample
            .keys()
            .filter(|hash| whole(**hash).leading_zeros() >= level);
        let (mut all, mut found) = (0, 0);
        for hash in looked_for {
            all += 1;
            found += u64::from(other.sample.contains_key(hash));
        }
        (found, all)
    }

    /// Shannon's entropy in bits: 0 where all values are equal, log2(n) where n values are equally
    /// frequent.
    pub fn entropy(&self) -> f64 {
        let total = self.total as f64;
        let of_each = self.spectrum.0.iter().map(|(&count, &values)| {
            let share = count as f64 / total;
            -(values as f64) * share * share.log2()
        });
        // With a single value it would be minus zero.
        of_each.sum::<f64>() + 0.0
    }

    /// The distinct values and their rows, as a column to render from; complete where there are at most
    /// 128.
    pub fn values(&self) -> impl Iterator<Item = (&ColumnData, usize, u64)> {
        self.named
            .iter()
            .enumerate()
            .filter_map(|(row, hash)| Some((self.names.as_ref()?, row, *self.sample.get(hash)?)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;
    use crate::column::Plain;

    /// Far less than what is in memory otherwise, so that little is a lot.
    const LIMIT: usize = 4000;

    fn longs(values: impl Iterator<Item = i64>) -> ColumnData {
        let mut column = Plain::new();
        values.for_each(|value| column.push(value));
        ColumnData::Long(column)
    }

    fn counted(batches: impl IntoIterator<Item = ColumnData>) -> Counted {
        let folder = tempfile::tempdir().unwrap();
        let mut found = Frequencies::new(folder.path());
        found.limit = LIMIT;
        for batch in batches {
            found.add(&batch).unwrap();
        }
        found.finish().unwrap()
    }

    /// The numbers below `end`, each through the function, in batches.
    fn batches(end: i64, value: impl Fn(i64) -> i64) -> impl Iterator<Item = ColumnData> {
        let size = 2048;
        (0..end)
            .step_by(size)
            .map(move |begin| longs((begin..end.min(begin + size as i64)).map(&value)))
    }

    #[test]
    fn few_values_are_counted() {
        let found = counted([longs([1, 2, 2, 3, 3, 3, 3, 1].into_iter())]);
        assert_eq!(
            (found.distinct(), found.total(), found.repeated()),
            (3, 8, 5)
        );
        // Shares 1/4, 1/4, 1/2.
        assert!((found.entropy() - 1.5).abs() < 1e-12);
        assert_eq!(counted([longs([7, 7].into_iter())]).entropy(), 0.0);
        assert_eq!(counted([]).entropy(), 0.0);
    }

    #[test]
    fn values_are_looked_for_among_those_of_another_column() {
        let parent = counted([longs(0..1000)]);
        let child = counted([longs((0..500).chain(0..500))]);
        assert_eq!(child.found_in(&parent), (500, 500));
        assert_eq!(parent.found_in(&child), (500, 1000));
        let many = counted([longs(0..4 * LIMIT as i64)]);
        let (found, looked_for) = parent.found_in(&many);
        assert_eq!(found, looked_for);
        assert!(looked_for > 50, "{looked_for}");
    }

    #[test]
    fn a_unique_column_of_any_size_repeats_nothing() {
        let limit = LIMIT as i64;
        for end in [
            0,
            1,
            limit - 1,
            limit,
            limit + 1,
            2 * limit,
            2 * limit + 1,
            3 * limit,
            20 * limit + 7,
        ] {
            let found = counted(batches(end, |n| n));
            let end = end as u64;
            assert_eq!((found.distinct(), found.repeated()), (end, 0), "{end}");
            let entropy = (end.max(1) as f64).log2();
            assert!((found.entropy() - entropy).abs() < 1e-9, "{end}");
        }
    }

    #[test]
    fn a_single_repeated_value_among_many_is_counted_wherever_it_is() {
        let many = 12 * LIMIT as i64;
        for (at, of) in [
            (many - 1, 0),
            (many - 1, many - 2),
            (1, 0),
            (many / 2, 77),
            (many - 3, many / 2),
        ] {
            let found = counted(batches(many, |n| if n == at { of } else { n }));
            assert_eq!(found.repeated(), 1, "{at} is {of}");
        }
    }

    #[test]
    fn frequent_values_among_many_are_counted() {
        // Every other row has one of ten values, the others have their own.
        let rows = 9 * LIMIT as i64;
        let found = counted(batches(rows, |n| if n % 2 == 0 { n % 20 } else { n + 100 }));
        let own = rows / 2;
        assert_eq!(found.distinct() as i64, own + 10);
        assert_eq!(found.repeated() as i64, rows - own - 10);
        let (rows, own) = (rows as f64, own as f64);
        let share = (rows - own) / 10.0 / rows;
        let expected = -10.0 * share * share.log2() + own / rows * rows.log2();
        assert!((found.entropy() - expected).abs() < 1e-4);
    }

    #[test]
    fn as_many_values_as_memory_holds_and_more_are_counted() {
        for end in [DISTINCT_LIMIT, DISTINCT_LIMIT + 1] {
            let folder = tempfile::tempdir().unwrap();
            let mut found = Frequencies::new(folder.path());
            found.add(&longs(0..end as i64)).unwrap();
            assert_eq!(found.spilled.is_some(), end > DISTINCT_LIMIT);
            assert_eq!(found.finish().unwrap().distinct(), end as u64);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        /// Against a map, with sizes around the limit and far above it, and with seeds of all kinds: the
        /// hashes are seeded by the process, the values by the case.
        #[test]
        fn what_is_counted_is_what_a_map_counts(
            seed in any::<u64>(),
            rows in prop_oneof![
                0..2000_usize,
                LIMIT - 500..LIMIT + 500,
                LIMIT..5 * LIMIT,
            ],
            kinds in prop_oneof![Just(u64::MAX), 1..4 * LIMIT as u64],
        ) {
            let mut state = seed;
            let values: Vec<i64> = (0..rows)
                .map(|_| {
                    // SplitMix64.
                    state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                    let mut z = state;
                    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
                    ((z ^ z >> 31) % kinds) as i64
                })
                .collect();
            let mut model: HashMap<i64, u64> = HashMap::new();
            for value in &values {
                *model.entry(*value).or_default() += 1;
            }
            let found = counted(values.chunks(1000).map(|some| longs(some.iter().copied())));
            prop_assert_eq!(found.total(), rows as u64);
            prop_assert_eq!(found.distinct(), model.len() as u64);
            prop_assert_eq!(found.repeated(), (rows - model.len()) as u64);
            let entropy: f64 = model
                .values()
                .map(|&count| count as f64 / rows as f64)
                .map(|share| -share * share.log2())
                .sum();
            prop_assert!((found.entropy() - entropy).abs() < 1e-6);
        }
    }
}

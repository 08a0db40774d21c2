//! How many distinct values a column has, and how often each occurs.

use hashbrown::HashMap;
use xxhash_rust::xxh3::xxh3_64;

use crate::column::{ColumnData, ListColumn, Rows, TextColumn};

/// Distinct values are counted exactly up to so many (about 9 MiB), told apart by hashes of 64 bits.
/// Of more, only values whose hash begins with enough zero bits are kept, each with its exact count
/// (adaptive sampling, Flajolet 1990); the number of distinct values is then off by 0.25 per cent (one
/// standard deviation).
pub const DISTINCT_LIMIT: usize = 1 << 18;

/// Values are known by name while there are at most so many.
const NAMED: usize = 128;

/// The frequencies of a column's values; nulls are left out.
#[derive(Debug, Clone, Default)]
pub struct Frequencies {
    counts: HashMap<u64, u64>,
    /// Only hashes with so many leading zeros are kept: one in 2^level.
    level: u32,
    total: u64,
    /// The values themselves, and their hashes.
    named: Vec<u64>,
    names: Option<ColumnData>,
}

impl Frequencies {
    /// Takes the values of a column into account. Lists are not counted.
    pub fn add(&mut self, data: &ColumnData) {
        if self.names.is_none() {
            self.names = Some(data.empty_like());
        }
        let rows = (0..data.len()).filter(|&row| data.validity().get(row));
        match data {
            ColumnData::Text(column) if column.interned => self.add_interned(data, column),
            ColumnData::Text(column) => {
                for row in rows {
                    self.insert(xxh3_64(column.texts.get(row)), 1, data, row);
                }
            }
            ColumnData::Int(column) => {
                for row in rows {
                    let bytes = i64::from(column.values[row]).to_le_bytes();
                    self.insert(xxh3_64(&bytes), 1, data, row);
                }
            }
            ColumnData::Long(column) => {
                for row in rows {
                    self.insert(xxh3_64(&column.values[row].to_le_bytes()), 1, data, row);
                }
            }
            ColumnData::Double(column) => {
                for row in rows {
                    // Zero and minus zero are one value.
                    let bits = (column.values[row] + 0.0).to_bits();
                    self.insert(xxh3_64(&bits.to_le_bytes()), 1, data, row);
                }
            }
            ColumnData::Boolean(column) => {
                for row in rows {
                    let bits = u64::from(column.values[row]);
                    self.insert(xxh3_64(&bits.to_le_bytes()), 1, data, row);
                }
            }
            ColumnData::List(_) => {}
        }
    }

    fn add_interned(&mut self, data: &ColumnData, column: &TextColumn) {
        let mut counts = vec![0_u64; column.texts.len()];
        let mut first = vec![0_usize; column.texts.len()];
        for (row, &key) in column.keys.iter().enumerate() {
            if column.validity.get(row) {
                counts[key as usize] += 1;
                first[key as usize] = row;
            }
        }
        for (key, count) in counts
            .into_iter()
            .enumerate()
            .filter(|(_, count)| *count > 0)
        {
            self.insert(xxh3_64(column.texts.get(key)), count, data, first[key]);
        }
    }

    /// Takes one value into account that is known by its hash alone.
    pub fn add_hash(&mut self, hash: u64) {
        let none = ColumnData::List(ListColumn::new());
        self.insert(hash, 1, &none, 0);
    }

    fn insert(&mut self, hash: u64, count: u64, data: &ColumnData, row: usize) {
        self.total += count;
        if hash.leading_zeros() < self.level {
            return;
        }
        let before = self.counts.len();
        *self.counts.entry(hash).or_default() += count;
        if self.counts.len() == before {
            return;
        }
        if before < NAMED
            && let Some(names) = &mut self.names
        {
            names.append(data, &Rows::one(row));
            self.named.push(hash);
        }
        while self.counts.len() > DISTINCT_LIMIT {
            self.level += 1;
            let level = self.level;
            self.counts.retain(|hash, _| hash.leading_zeros() >= level);
        }
    }

    /// Values, repeated ones counted each time.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Distinct values.
    pub fn distinct(&self) -> u64 {
        (self.counts.len() as u64) << self.level
    }

    /// How many of the distinct values another column has, and of how many: of all, or where either
    /// is sampled, of those that both keep.
    pub fn found_in(&self, other: &Frequencies) -> (u64, u64) {
        let level = self.level.max(other.level);
        let looked_for = self
            .counts
            .keys()
            .filter(|hash| hash.leading_zeros() >= level);
        let (mut all, mut found) = (0, 0);
        for hash in looked_for {
            all += 1;
            found += u64::from(other.counts.contains_key(hash));
        }
        (found, all)
    }

    /// Values beyond the first of each kind.
    pub fn repeated(&self) -> u64 {
        self.total.saturating_sub(self.distinct())
    }

    /// Whether there were more distinct values than are counted exactly.
    pub fn estimated(&self) -> bool {
        self.level > 0
    }

    /// Shannon's entropy in bits: 0 where all values are equal, log2(n) where n values are equally
    /// frequent.
    pub fn entropy(&self) -> f64 {
        if self.total == 0 {
            return 0.0;
        }
        let total = self.total as f64;
        let sampled: f64 = self
            .counts
            .values()
            .map(|&count| {
                let share = count as f64 / total;
                -share * share.log2()
            })
            .sum();
        // Each kept value stands for 2^level of its kind.
        sampled * (1_u64 << self.level) as f64
    }

    /// The distinct values and their rows, as a column to render from; complete where there are at most
    /// 128.
    pub fn values(&self) -> impl Iterator<Item = (&ColumnData, usize, u64)> {
        self.named
            .iter()
            .enumerate()
            .filter_map(|(row, hash)| Some((self.names.as_ref()?, row, *self.counts.get(hash)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::Plain;

    fn longs(values: impl Iterator<Item = i64>) -> ColumnData {
        let mut column = Plain::new();
        values.for_each(|value| column.push(value));
        ColumnData::Long(column)
    }

    #[test]
    fn few_values_are_counted_exactly() {
        let mut found = Frequencies::default();
        found.add(&longs([1, 2, 2, 3, 3, 3, 3, 1].into_iter()));
        assert_eq!(
            (found.distinct(), found.total(), found.repeated()),
            (3, 8, 5)
        );
        // Shares 1/4, 1/4, 1/2.
        assert!((found.entropy() - 1.5).abs() < 1e-12);
        assert!(!found.estimated());
    }

    #[test]
    fn values_are_looked_for_among_those_of_another_column() {
        let mut parent = Frequencies::default();
        parent.add(&longs(0..1000));
        let mut child = Frequencies::default();
        child.add(&longs((0..500).chain(0..500)));
        assert_eq!(child.found_in(&parent), (500, 500));
        assert_eq!(parent.found_in(&child), (500, 1000));
        let mut many = Frequencies::default();
        many.add(&longs(0..2 * DISTINCT_LIMIT as i64));
        let (found, looked_for) = parent.found_in(&many);
        assert_eq!(found, looked_for);
        assert!(looked_for > 100, "{looked_for}");
    }

    #[test]
    fn many_values_are_estimated_within_a_few_standard_deviations_and_marked() {
        let mut found = Frequencies::default();
        let many = 5 * DISTINCT_LIMIT as i64;
        for begin in (0..many).step_by(65_536) {
            found.add(&longs(begin..many.min(begin + 65_536)));
        }
        assert!(found.estimated());
        let off = found.distinct() as f64 / many as f64 - 1.0;
        assert!(off.abs() < 0.02, "{off}");
        let off = found.entropy() - (many as f64).log2();
        assert!(off.abs() < 0.5, "{off}");
    }
}

//! Missing values by the partitions that rows belong to.

use chrono::{Datelike, NaiveDate, TimeDelta};
use hashbrown::HashMap;
use tarn_contract::Contract;
use tarn_core::calendar::{MICROS_PER_DAY, partition_of_day};
use tarn_core::profile::{MOST_PARTITIONS, MissingCounts, PartitionProfile, PartitionProfiles};
use tarn_core::schema::{ColumnType, PartitionUnit};

use crate::column::{ColumnData, Plain};

/// How many partitions are counted separately while rows are read; later ones are counted together.
const HELD: usize = 1024;

/// The counts of a column.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub nulls: u64,
    pub blanks: u64,
    pub sentinels: u64,
}

impl Counts {
    pub(super) fn add(&mut self, other: Counts) {
        self.nulls += other.nulls;
        self.blanks += other.blanks;
        self.sentinels += other.sentinels;
    }
}

/// Which partitions the rows of a batch belong to, as places among those that are known.
pub(super) enum Split {
    /// All to one.
    One(usize),
    /// Each to its own.
    Each(Vec<u32>),
}

/// What is known of the partitions so far.
pub(super) struct Partitions {
    column: usize,
    unit: PartitionUnit,
    is_date: bool,
    /// By day or month; None for rows without one.
    places: HashMap<Option<i32>, usize>,
    /// Rows, and the counts of each column; the first is of the partitions left out.
    found: Vec<(u64, Vec<Counts>)>,
    left_out: bool,
}

impl Partitions {
    /// None where the contract's table has no partitions.
    pub(super) fn new(contract: &Contract) -> Option<Self> {
        let partitioning = contract.partitioning.as_ref()?;
        let column = contract
            .columns
            .iter()
            .position(|column| column.name == partitioning.column)?;
        Some(Partitions {
            column,
            unit: partitioning.unit,
            is_date: contract.columns[column].ty == ColumnType::Date,
            places: HashMap::new(),
            found: vec![(0, vec![Counts::default(); contract.columns.len()])],
            left_out: false,
        })
    }

    fn partition(&self, value: i64) -> i32 {
        let day = if self.is_date {
            value
        } else {
            value.div_euclid(MICROS_PER_DAY)
        };
        // Readers accept no day that is not in the calendar.
        partition_of_day(i32::try_from(day).unwrap_or(i32::MAX), self.unit)
    }

    fn place(&mut self, partition: Option<i32>) -> usize {
        if let Some(&place) = self.places.get(&partition) {
            return place;
        }
        if self.places.len() >= HELD {
            self.left_out = true;
            return 0;
        }
        let columns = self.found[0].1.len();
        self.found.push((0, vec![Counts::default(); columns]));
        let place = self.found.len() - 1;
        self.places.insert(partition, place);
        place
    }

    /// Counts the rows of a batch, and says where they belong.
    pub(super) fn split(&mut self, columns: &[ColumnData]) -> Split {
        match &columns[self.column] {
            ColumnData::Int(column) => self.split_by(column, i64::from),
            ColumnData::Long(column) => self.split_by(column, |value| value),
            _ => Split::One(0),
        }
    }

    fn split_by<T: Copy + Default + Ord>(
        &mut self,
        column: &Plain<T>,
        widened: impl Fn(T) -> i64,
    ) -> Split {
        let values = &column.values;
        // Rows mostly come in the order of time: then a batch is of one partition.
        if column.validity.nulls() == 0
            && let (Some(&least), Some(&greatest)) = (values.iter().min(), values.iter().max())
        {
            let first = self.partition(widened(least));
            if first == self.partition(widened(greatest)) {
                let place = self.place(Some(first));
                self.found[place].0 += values.len() as u64;
                return Split::One(place);
            }
        }
        let mut last: Option<(Option<i32>, usize)> = None;
        let mut places = Vec::with_capacity(values.len());
        for row in 0..values.len() {
            let partition = column.get(row).map(|value| self.partition(widened(value)));
            let place = match last {
                Some((known, place)) if known == partition => place,
                _ => self.place(partition),
            };
            last = Some((partition, place));
            self.found[place].0 += 1;
            places.push(place as u32);
        }
        Split::Each(places)
    }

    /// The counts of a column in the partition at a place.
    pub(super) fn counts(&mut self, place: usize, column: usize) -> &mut Counts {
        &mut self.found[place].1[column]
    }

    fn name(&self, partition: i32) -> String {
        match self.unit {
            PartitionUnit::Day => NaiveDate::default()
                .checked_add_signed(TimeDelta::days(i64::from(partition)))
                .map(|day| day.to_string()),
            PartitionUnit::Month => Some(format!(
                "{:04}-{:02}",
                NaiveDate::default().year() + partition.div_euclid(12),
                partition.rem_euclid(12) + 1
            )),
        }
        .unwrap_or_else(|| partition.to_string())
    }

    /// The partitions with the most rows, and the others together.
    pub(super) fn finish(&self, contract: &Contract) -> PartitionProfiles {
        let mut kept: Vec<(Option<i32>, usize)> = self
            .places
            .iter()
            .map(|(partition, place)| (*partition, *place))
            .filter(|(partition, _)| partition.is_some())
            .collect();
        // The most rows first; of equals the latest.
        kept.sort_by_key(|&(partition, place)| std::cmp::Reverse((self.found[place].0, partition)));
        let rest = kept.split_off(kept.len().min(MOST_PARTITIONS));
        kept.sort();
        let profile = |name: String, rows: u64, counts: &[Counts]| PartitionProfile {
            partition: name,
            rows,
            missing: contract
                .columns
                .iter()
                .zip(counts)
                .filter(|(_, counts)| **counts != Counts::default())
                .map(|(column, counts)| MissingCounts {
                    column: column.name.clone(),
                    nulls: counts.nulls,
                    blanks: counts.blanks,
                    sentinels: counts.sentinels,
                })
                .collect(),
        };
        let mut partitions: Vec<PartitionProfile> = kept
            .iter()
            .map(|&(partition, place)| {
                let (rows, counts) = &self.found[place];
                let name = partition.map_or_else(String::new, |partition| self.name(partition));
                profile(name, *rows, counts)
            })
            .collect();
        if let Some(&place) = self.places.get(&None) {
            let (rows, counts) = &self.found[place];
            partitions.push(profile("null".to_owned(), *rows, counts));
        }
        let (mut rows, mut sums) = self.found[0].clone();
        for &(_, place) in &rest {
            let (more, counts) = &self.found[place];
            rows += more;
            for (sum, counts) in sums.iter_mut().zip(counts) {
                sum.add(*counts);
            }
        }
        if rows > 0 {
            partitions.push(profile("other".to_owned(), rows, &sums));
        }
        PartitionProfiles {
            column: contract.columns[self.column].name.clone(),
            partitions,
            left_out: rest.len() as u64 + u64::from(self.left_out),
        }
    }
}

#[cfg(test)]
mod tests;

//! What the values of each column look like, measured batch by batch with bounded memory.

mod frequencies;
mod numbers;
mod overflow;
mod partitions;
mod sample;
mod spectrum;

use std::path::Path;

use tarn_contract::{Column, Contract};
use tarn_core::Result;
use tarn_core::profile::{
    Category, ColumnProfile, Measures, PartitionProfiles, Quantile, is_blank, is_sentinel,
};
use tarn_core::schema::ColumnType;

use crate::batch::Batch;
use crate::column::ColumnData;
use crate::display;

pub use frequencies::Joined;
pub use frequencies::{Counted, Frequencies};
pub use numbers::Numbers;
use partitions::{Counts, Partitions, Split};
pub use sample::Sample;

/// Measures every column of a contract over the rows it is shown.
pub struct Profiler<'a> {
    contract: &'a Contract,
    columns: Vec<ColumnProfiler<Frequencies>>,
    partitions: Option<Partitions>,
}

/// What was measured of every column of a contract.
pub struct Profiled<'a> {
    contract: &'a Contract,
    columns: Vec<ColumnProfiler<Counted>>,
    partitions: Option<Partitions>,
}

/// The measures of one column.
pub struct ColumnProfiler<F> {
    measures: Measures,
    rows: u64,
    missing: Counts,
    pub numbers: Numbers,
    pub frequencies: F,
    pub sample: Sample,
}

/// Categories are listed where a column has at most this many values.
const CATEGORIES: usize = 100;

impl<'a> Profiler<'a> {
    /// A profiler that measures of each column what is cheap, and what `measures` asks for, which has
    /// one entry per column. What memory does not hold goes to files in `folder`.
    pub fn new(contract: &'a Contract, measures: Vec<Measures>, folder: &Path) -> Self {
        Profiler {
            contract,
            partitions: Partitions::new(contract),
            columns: measures
                .into_iter()
                .map(|measures| ColumnProfiler {
                    measures,
                    rows: 0,
                    missing: Counts::default(),
                    numbers: Numbers::default(),
                    frequencies: Frequencies::new(folder),
                    sample: Sample::default(),
                })
                .collect(),
        }
    }

    /// Takes the rows of a batch into account.
    ///
    /// # Errors
    /// `Storage` where the disk takes no more.
    pub fn add(&mut self, batch: &Batch) -> Result<()> {
        let mut partitions = self.partitions.as_mut();
        let split = partitions
            .as_mut()
            .map(|partitions| partitions.split(&batch.columns));
        let columns = self.contract.columns.iter().zip(&mut self.columns);
        for (index, ((column, profiler), data)) in columns.zip(&batch.columns).enumerate() {
            profiler.add(&column.ty, data)?;
            match (&split, &mut partitions) {
                (Some(Split::One(place)), Some(partitions)) => {
                    let found = missing_of(data, NOBODY);
                    partitions.counts(*place, index).add(found);
                    profiler.missing.add(found);
                }
                (Some(Split::Each(places)), Some(partitions)) => {
                    let each = |row: usize, one| {
                        partitions.counts(places[row] as usize, index).add(one);
                    };
                    let found = missing_of(data, Some(each));
                    profiler.missing.add(found);
                }
                _ => profiler.missing.add(missing_of(data, NOBODY)),
            }
        }
        Ok(())
    }

    /// Ends the measures.
    ///
    /// # Errors
    /// `Storage` where what was put on disk cannot be read.
    pub fn finish(self) -> Result<Profiled<'a>> {
        let columns = self.columns.into_iter().map(|column| {
            Ok(ColumnProfiler {
                measures: column.measures,
                rows: column.rows,
                missing: column.missing,
                numbers: column.numbers,
                frequencies: column.frequencies.finish()?,
                sample: column.sample,
            })
        });
        Ok(Profiled {
            contract: self.contract,
            columns: columns.collect::<Result<_>>()?,
            partitions: self.partitions,
        })
    }
}

impl Profiled<'_> {
    /// What is missing by partition; None where the contract's table has none.
    pub fn partitions(&self) -> Option<PartitionProfiles> {
        let partitions = self.partitions.as_ref()?;
        Some(partitions.finish(self.contract))
    }

    /// The measures of a column.
    pub fn column(&self, index: usize) -> &ColumnProfiler<Counted> {
        &self.columns[index]
    }

    /// How often each value of each column occurs, where it was asked for.
    pub(crate) fn into_frequencies(self) -> Vec<Counted> {
        self.columns
            .into_iter()
            .map(|column| column.frequencies)
            .collect()
    }

    /// The profile of each column.
    pub fn columns(&self) -> Vec<ColumnProfile> {
        self.contract
            .columns
            .iter()
            .zip(&self.columns)
            .map(|(column, measured)| measured.profile(column))
            .collect()
    }
}

impl ColumnProfiler<Frequencies> {
    fn add(&mut self, ty: &ColumnType, data: &ColumnData) -> Result<()> {
        self.rows += data.len() as u64;
        self.numbers.add(ty, data, self.measures.spread);
        if !self.measures.quantiles.is_empty() {
            self.sample.add(ty, data);
        }
        if self.measures.distinct || self.measures.frequencies {
            self.frequencies.add(data)?;
        }
        Ok(())
    }
}

impl ColumnProfiler<Counted> {
    fn profile(&self, column: &Column) -> ColumnProfile {
        let counted = self.measures.distinct || self.measures.frequencies;
        let quantiles: Vec<Quantile> = self
            .measures
            .quantiles
            .iter()
            .filter_map(|&p| {
                let value = self.sample.quantile(p)?;
                Some(Quantile { p, value })
            })
            .collect();
        let personal = column.is_personal();
        ColumnProfile {
            column: column.name.clone(),
            rows: self.rows,
            nulls: self.missing.nulls,
            blanks: self.missing.blanks,
            sentinels: self.missing.sentinels,
            distinct: counted.then(|| self.frequencies.distinct()),
            min: self.numbers.min().filter(|_| !personal),
            max: self.numbers.max().filter(|_| !personal),
            // For a single row these are its value.
            sum: self.numbers.sum_text().filter(|_| !personal),
            mean: self.numbers.mean().filter(|_| !personal),
            standard_deviation: (self.measures.spread && !personal)
                .then(|| self.numbers.standard_deviation())
                .flatten(),
            categories: if self.measures.frequencies && !personal {
                self.categories(&column.ty)
            } else {
                Vec::new()
            },
            estimated: !quantiles.is_empty() && self.sample.estimated(),
            quantiles: if personal { Vec::new() } else { quantiles },
        }
    }

    fn categories(&self, ty: &ColumnType) -> Vec<Category> {
        if self.frequencies.distinct() > CATEGORIES as u64 {
            return Vec::new();
        }
        let mut categories: Vec<Category> = self
            .frequencies
            .values()
            .map(|(data, row, rows)| Category {
                value: display::value(data, row, ty),
                rows,
            })
            .collect();
        categories.sort_by(|a, b| b.rows.cmp(&a.rows).then_with(|| a.value.cmp(&b.value)));
        categories
    }
}

const NOBODY: Option<fn(usize, Counts)> = None;

/// Counts the missing values of a column, and shows each with its row where somebody looks.
fn missing_of(data: &ColumnData, mut each: Option<impl FnMut(usize, Counts)>) -> Counts {
    let mut found = Counts::default();
    let validity = data.validity();
    if validity.nulls() > 0 {
        found.nulls = validity.nulls() as u64;
        let null = Counts {
            nulls: 1,
            ..Counts::default()
        };
        if let Some(each) = &mut each {
            (0..data.len())
                .filter(|&row| !validity.get(row))
                .for_each(|row| each(row, null));
        }
    }
    let ColumnData::Text(column) = data else {
        return found;
    };
    let kind = |text: &[u8]| Counts {
        nulls: 0,
        blanks: u64::from(is_blank(text)),
        sentinels: u64::from(is_sentinel(text)),
    };
    let mut add = |row, kind: Counts| {
        if kind != Counts::default() && column.validity.get(row) {
            found.add(kind);
            if let Some(each) = &mut each {
                each(row, kind);
            }
        }
    };
    let texts = 0..column.texts.len();
    if !column.interned {
        texts.for_each(|row| add(row, kind(column.texts.get(row))));
        return found;
    }
    let kinds: Vec<Counts> = texts.map(|text| kind(column.texts.get(text))).collect();
    if kinds.iter().any(|kind| *kind != Counts::default()) {
        for (row, &key) in column.keys.iter().enumerate() {
            if let Some(&kind) = kinds.get(key as usize) {
                add(row, kind);
            }
        }
    }
    found
}

//! What the values of each column look like, measured batch by batch with bounded memory.

mod frequencies;
mod numbers;
mod sample;

use tarn_core::contract::{Column, Contract};
use tarn_core::profile::{Category, ColumnProfile, Measures, Quantile, is_blank, is_sentinel};
use tarn_core::schema::ColumnType;

use crate::batch::Batch;
use crate::column::{ColumnData, TextColumn};
use crate::render;

pub use frequencies::{DISTINCT_LIMIT, Frequencies};
pub use numbers::Numbers;
pub use sample::{SAMPLE_LIMIT, Sample};

/// Measures every column of a contract over the rows it is shown.
pub struct Profiler<'a> {
    contract: &'a Contract,
    columns: Vec<ColumnProfiler>,
}

/// The measures of one column so far.
#[derive(Default)]
pub(crate) struct ColumnProfiler {
    measures: Measures,
    rows: u64,
    nulls: u64,
    blanks: u64,
    sentinels: u64,
    pub numbers: Numbers,
    pub frequencies: Frequencies,
    pub sample: Sample,
}

/// Categories are told where a column has at most so many values.
const CATEGORIES: usize = 100;

impl<'a> Profiler<'a> {
    /// A profiler that measures of each column what is cheap, and what `measures` asks for, which has
    /// one entry per column.
    pub fn new(contract: &'a Contract, measures: Vec<Measures>) -> Self {
        Profiler {
            contract,
            columns: measures
                .into_iter()
                .map(|measures| ColumnProfiler {
                    measures,
                    ..ColumnProfiler::default()
                })
                .collect(),
        }
    }

    /// Takes the rows of a batch into account.
    pub fn add(&mut self, batch: &Batch) {
        for ((column, profiler), data) in self
            .contract
            .columns
            .iter()
            .zip(&mut self.columns)
            .zip(&batch.columns)
        {
            profiler.add(&column.ty, data);
        }
    }

    /// The measures of a column so far.
    pub(crate) fn column(&self, index: usize) -> &ColumnProfiler {
        &self.columns[index]
    }

    /// How often each value of each column occurs, where it was asked for.
    pub(crate) fn into_frequencies(self) -> Vec<Frequencies> {
        self.columns
            .into_iter()
            .map(|column| column.frequencies)
            .collect()
    }

    /// The profile of each column.
    pub fn finish(&self) -> Vec<ColumnProfile> {
        self.contract
            .columns
            .iter()
            .zip(&self.columns)
            .map(|(column, profiler)| profiler.finish(column))
            .collect()
    }
}

impl ColumnProfiler {
    fn add(&mut self, ty: &ColumnType, data: &ColumnData) {
        self.rows += data.len() as u64;
        self.nulls += data.validity().nulls() as u64;
        if let ColumnData::Text(text) = data {
            self.count_missing(text);
        }
        self.numbers.add(ty, data, self.measures.spread);
        if self.measures.distinct || self.measures.frequencies {
            self.frequencies.add(data);
        }
        if !self.measures.quantiles.is_empty() {
            self.sample.add(ty, data);
        }
    }

    fn count_missing(&mut self, column: &TextColumn) {
        let texts = 0..column.texts.len();
        let kind = |text: &[u8]| (is_blank(text), is_sentinel(text));
        if column.interned {
            let kinds: Vec<(bool, bool)> = texts.map(|text| kind(column.texts.get(text))).collect();
            if !kinds.iter().any(|&(blank, sentinel)| blank || sentinel) {
                return;
            }
            for (row, &key) in column.keys.iter().enumerate() {
                if let Some(&(blank, sentinel)) = kinds.get(key as usize)
                    && column.validity.get(row)
                {
                    self.blanks += u64::from(blank);
                    self.sentinels += u64::from(sentinel);
                }
            }
            return;
        }
        for row in texts {
            let (blank, sentinel) = kind(column.texts.get(row));
            if (blank || sentinel) && column.validity.get(row) {
                self.blanks += u64::from(blank);
                self.sentinels += u64::from(sentinel);
            }
        }
    }

    fn finish(&self, column: &Column) -> ColumnProfile {
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
            nulls: self.nulls,
            blanks: self.blanks,
            sentinels: self.sentinels,
            distinct: counted.then(|| self.frequencies.distinct()),
            min: self.numbers.min().filter(|_| !personal),
            max: self.numbers.max().filter(|_| !personal),
            // Of a single row these are its value.
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
            estimated: (counted && self.frequencies.estimated())
                || (!quantiles.is_empty() && self.sample.estimated()),
            quantiles: if personal { Vec::new() } else { quantiles },
        }
    }

    fn categories(&self, ty: &ColumnType) -> Vec<Category> {
        if self.frequencies.estimated() || self.frequencies.distinct() > CATEGORIES as u64 {
            return Vec::new();
        }
        let mut categories: Vec<Category> = self
            .frequencies
            .values()
            .map(|(data, row, rows)| Category {
                value: render::value(data, row, ty),
                rows,
            })
            .collect();
        categories.sort_by(|a, b| b.rows.cmp(&a.rows).then_with(|| a.value.cmp(&b.value)));
        categories
    }
}

//! Values that are far from the others of their object: a first pass over the object surveys each
//! column, the second judges its rows.

use std::collections::BTreeMap;

use tarn_contract::check::OUTLIER_LEAST;
use tarn_contract::{Check, Contract, Outlier, RowCheck};
use tarn_core::Result;
use tarn_core::schema::ColumnType;

use crate::batch::Reader;
use crate::column::ColumnData;
use crate::profile::{Numbers, Sample};

/// What a column's values are like over a whole object.
#[derive(Debug, Clone, Default)]
pub struct Survey {
    columns: BTreeMap<usize, Sample>,
}

/// The values within these bounds are not outliers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Fence {
    pub low: f64,
    pub high: f64,
}

impl Survey {
    /// Reads an object to its end for the columns whose outliers the contract asks for.
    ///
    /// # Errors
    /// As of the reader.
    pub fn of(reader: &mut dyn Reader, contract: &Contract) -> Result<Self> {
        let mut columns: BTreeMap<usize, Sample> = contract
            .rules
            .iter()
            .filter(|rule| matches!(rule.check, Check::Rows(RowCheck::Outlier(_))))
            .filter_map(|rule| Some((rule.column?, Sample::default())))
            .collect();
        while let Some(batch) = reader.next_batch()? {
            for (&index, sample) in &mut columns {
                sample.add(&contract.columns[index].ty, &batch.columns[index]);
            }
        }
        Ok(Survey { columns })
    }

    /// The bounds by a method; None where the column has too few values, or all of them are equal.
    pub(crate) fn fence(&self, column: usize, method: Outlier) -> Option<Fence> {
        let sample = self.columns.get(&column)?;
        if sample.seen() < OUTLIER_LEAST {
            return None;
        }
        let median = sample.quantile(0.5)?;
        match method {
            Outlier::Mad(limit) => {
                let mad = sample.median_distance(median)?;
                let reach = if mad > 0.0 {
                    limit * mad / 0.6745
                } else {
                    limit * 1.253_314 * sample.mean_distance(median)?
                };
                (reach > 0.0).then_some(Fence {
                    low: median - reach,
                    high: median + reach,
                })
            }
            Outlier::Iqr(limit) => {
                let (first, third) = (sample.quantile(0.25)?, sample.quantile(0.75)?);
                let reach = limit * (third - first);
                (reach > 0.0).then_some(Fence {
                    low: first - reach,
                    high: third + reach,
                })
            }
            Outlier::MedianMultiple(limit) => (median > 0.0).then_some(Fence {
                low: f64::NEG_INFINITY,
                high: limit * median,
            }),
        }
    }

    /// Whether a column has more values than were kept.
    pub fn estimated(&self, column: usize) -> bool {
        self.columns.get(&column).is_some_and(Sample::estimated)
    }
}

/// Rows whose value is beyond the fence.
pub(crate) fn outlying_rows(fence: Fence, data: &ColumnData, ty: &ColumnType) -> Vec<usize> {
    let unit = Numbers::unit_of(ty);
    let beyond = |value: f64| value < fence.low || value > fence.high;
    (0..data.len())
        .filter(|&row| match data {
            ColumnData::Int(column) => column
                .get(row)
                .is_some_and(|value| beyond(f64::from(value))),
            ColumnData::Long(column) => column
                .get(row)
                .is_some_and(|value| beyond(value as f64 / unit)),
            ColumnData::Double(column) => column.get(row).is_some_and(beyond),
            ColumnData::Text(_) | ColumnData::Boolean(_) | ColumnData::List(_) => false,
        })
        .collect()
}

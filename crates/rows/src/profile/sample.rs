//! Quantiles: of all values while there are few, of a uniform sample beyond that.

use tarn_core::schema::ColumnType;

use super::numbers::Numbers;
use crate::column::ColumnData;

/// Quantiles are exact up to this many values (2 MiB). From more, a uniform sample of this size is kept
/// (reservoir sampling, Vitter 1985): the share of values below an estimated quantile is off by
/// 0.1 per cent (one standard deviation).
pub(crate) const SAMPLE_LIMIT: usize = 1 << 18;

/// A bounded set of a column's values.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    values: Vec<f64>,
    seen: u64,
    random: u64,
}

impl Sample {
    /// Takes the numbers of a column; days of dates and microseconds of timestamps.
    pub fn add(&mut self, ty: &ColumnType, data: &ColumnData) {
        let unit = Numbers::unit_of(ty);
        for row in (0..data.len()).filter(|&row| data.validity().get(row)) {
            match data {
                ColumnData::Int(column) => self.push(f64::from(column.values[row])),
                ColumnData::Long(column) => self.push(column.values[row] as f64 / unit),
                ColumnData::Double(column) => self.push(column.values[row]),
                ColumnData::Text(_) | ColumnData::Boolean(_) | ColumnData::List(_) => return,
            }
        }
    }

    /// Takes one value.
    pub fn push(&mut self, value: f64) {
        self.seen += 1;
        if self.values.len() < SAMPLE_LIMIT {
            self.values.push(value);
            return;
        }
        // The n-th value replaces another with probability limit / n. The same values in the
        // same order give the same sample: a report can be made again.
        let place = (u128::from(self.next_random()) * u128::from(self.seen)) >> 64;
        if let Some(slot) = usize::try_from(place)
            .ok()
            .and_then(|place| self.values.get_mut(place))
        {
            *slot = value;
        }
    }

    /// SplitMix64 (Steele, Lea, Flood 2014).
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Whether there were more values than are kept.
    pub fn estimated(&self) -> bool {
        self.seen > self.values.len() as u64
    }

    /// Values seen.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// The quantile `p` from 0 to 1, interpolated linearly between its neighbours (type 7 of Hyndman
    /// and Fan 1996); None without values.
    pub fn quantile(&self, p: f64) -> Option<f64> {
        quantile(&mut self.values.clone(), p)
    }

    /// The median of the values' distances from `centre`.
    pub(crate) fn median_distance(&self, centre: f64) -> Option<f64> {
        let mut distances: Vec<f64> = self
            .values
            .iter()
            .map(|value| (value - centre).abs())
            .collect();
        quantile(&mut distances, 0.5)
    }

    /// The mean of the values' distances from `centre`.
    pub(crate) fn mean_distance(&self, centre: f64) -> Option<f64> {
        let sum: f64 = self.values.iter().map(|value| (value - centre).abs()).sum();
        (!self.values.is_empty()).then(|| sum / self.values.len() as f64)
    }
}

fn quantile(values: &mut [f64], p: f64) -> Option<f64> {
    let last = values.len().checked_sub(1)?;
    let place = p.clamp(0.0, 1.0) * last as f64;
    let below = place.floor() as usize;
    let (_, low, above) = values.select_nth_unstable_by(below, f64::total_cmp);
    let low = *low;
    let high = above.iter().copied().min_by(f64::total_cmp).unwrap_or(low);
    Some(low + (high - low) * (place - below as f64))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn quantiles_lie_between_their_neighbours() {
        let mut sample = Sample::default();
        assert_eq!(sample.quantile(0.5), None);
        for value in [4.0, 1.0, 3.0, 2.0] {
            sample.push(value);
        }
        for (p, expected) in [(0.0, 1.0), (0.25, 1.75), (0.5, 2.5), (0.9, 3.7), (1.0, 4.0)] {
            assert!(
                (sample.quantile(p).unwrap() - expected).abs() < 1e-12,
                "{p}"
            );
        }
        assert_eq!(sample.median_distance(2.5), Some(1.0));
    }

    #[test]
    fn quantiles_of_a_sample_are_near_the_true_ones_and_marked() {
        let mut sample = Sample::default();
        let many = 3 * SAMPLE_LIMIT as u64;
        for value in 0..many {
            sample.push(value as f64);
        }
        assert!(sample.estimated());
        for p in [0.01, 0.5, 0.99] {
            let found = sample.quantile(p).unwrap() / many as f64;
            assert!((found - p).abs() < 0.005, "{p}: {found}");
        }
    }
}

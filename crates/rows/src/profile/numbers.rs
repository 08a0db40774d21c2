//! Count, sum, least and greatest value and spread of numbers, in one pass.

use tarn_core::schema::ColumnType;

use crate::column::{ColumnData, Plain};
use crate::display;

/// The moments of a column's numbers. Whole numbers and decimals are summed exactly.
#[derive(Debug, Clone, Default)]
pub struct Numbers {
    count: u64,
    /// In units of the scale.
    sum: i128,
    least: Option<i64>,
    greatest: Option<i64>,
    doubles: Doubles,
    scale: u8,
    /// Whether the values are numbers that can be added, and not days or instants.
    adds: bool,
    fractional: bool,
    spread: Spread,
}

#[derive(Debug, Clone, Default)]
struct Doubles {
    sum: f64,
    /// What the additions have lost (Neumaier 1974).
    lost: f64,
    least: Option<f64>,
    greatest: Option<f64>,
}

/// Mean and sum of squared differences, joined batch by batch (Chan, Golub, LeVeque 1979).
#[derive(Debug, Clone, Default)]
struct Spread {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Spread {
    fn add(&mut self, values: impl Iterator<Item = f64> + Clone) {
        let (mut count, mut sum) = (0.0, 0.0);
        for value in values.clone() {
            count += 1.0;
            sum += value;
        }
        if count == 0.0 {
            return;
        }
        let mean = sum / count;
        let squares: f64 = values.map(|value| (value - mean).powi(2)).sum();
        let apart = mean - self.mean;
        let total = self.count + count;
        self.squares += squares + apart * apart * self.count * count / total;
        self.mean += apart * count / total;
        self.count = total;
    }
}

impl Doubles {
    fn add(&mut self, value: f64) {
        let sum = self.sum + value;
        self.lost += if self.sum.abs() >= value.abs() {
            (self.sum - sum) + value
        } else {
            (value - sum) + self.sum
        };
        self.sum = sum;
        self.least = Some(self.least.map_or(value, |least| least.min(value)));
        self.greatest = Some(self.greatest.map_or(value, |greatest| greatest.max(value)));
    }
}

fn present<T: Copy + Default>(column: &Plain<T>) -> impl Iterator<Item = T> + Clone + '_ {
    (0..column.values.len())
        .filter(|&row| column.validity.get(row))
        .map(|row| column.values[row])
}

impl Numbers {
    /// Takes the values of a column into account; the spread only where it is asked for. Columns that
    /// hold no numbers are left alone.
    pub fn add(&mut self, ty: &ColumnType, data: &ColumnData, spread: bool) {
        self.adds = !matches!(ty, ColumnType::Date | ColumnType::Timestamp);
        if let ColumnType::Decimal { scale, .. } = ty {
            self.scale = *scale;
        }
        match data {
            ColumnData::Int(column) => {
                self.add_integers(column, i64::from);
                if spread {
                    self.spread.add(present(column).map(f64::from));
                }
            }
            ColumnData::Long(column) => {
                self.add_integers(column, |value| value);
                if spread {
                    let unit = unit(self.scale);
                    self.spread
                        .add(present(column).map(|value| value as f64 / unit));
                }
            }
            ColumnData::Double(column) => {
                self.fractional = true;
                self.count += (column.values.len() - column.validity.nulls()) as u64;
                for value in present(column) {
                    self.doubles.add(value);
                }
                if spread {
                    self.spread.add(present(column));
                }
            }
            ColumnData::Text(_) | ColumnData::Boolean(_) | ColumnData::List(_) => {}
        }
    }

    fn add_integers<T: Copy + Default + Ord>(
        &mut self,
        column: &Plain<T>,
        widened: impl Fn(T) -> i64,
    ) {
        let values = &column.values;
        let nulls = column.validity.nulls();
        if values.len() == nulls {
            return;
        }
        self.count += (values.len() - nulls) as u64;
        // A null is stored as zero and adds nothing.
        self.sum += values
            .iter()
            .map(|&value| i128::from(widened(value)))
            .sum::<i128>();
        let (least, greatest) = if nulls == 0 {
            (values.iter().copied().min(), values.iter().copied().max())
        } else {
            (present(column).min(), present(column).max())
        };
        let wider = |a: Option<i64>, b: Option<T>, pick: fn(i64, i64) -> i64| match (a, b) {
            (Some(a), Some(b)) => Some(pick(a, widened(b))),
            (None, Some(b)) => Some(widened(b)),
            (a, None) => a,
        };
        self.least = wider(self.least, least, i64::min);
        self.greatest = wider(self.greatest, greatest, i64::max);
    }

    /// The least value, in the column's units as people write them.
    pub fn min(&self) -> Option<f64> {
        self.shown(self.least, self.doubles.least)
    }

    /// The greatest value.
    pub fn max(&self) -> Option<f64> {
        self.shown(self.greatest, self.doubles.greatest)
    }

    fn shown(&self, whole: Option<i64>, double: Option<f64>) -> Option<f64> {
        if self.fractional {
            double
        } else {
            whole.map(|value| value as f64 / unit(self.scale))
        }
    }

    /// What a value of the type is divided by to be as people write it.
    pub(crate) fn unit_of(ty: &ColumnType) -> f64 {
        match ty {
            ColumnType::Decimal { scale, .. } => unit(*scale),
            _ => 1.0,
        }
    }

    /// Values.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The sum; 0 where there is no value.
    pub fn sum(&self) -> f64 {
        if self.fractional {
            self.doubles.sum + self.doubles.lost
        } else {
            self.sum as f64 / unit(self.scale)
        }
    }

    /// The sum as plain decimal text; None for columns that hold no numbers and where there is no value.
    pub(crate) fn sum_text(&self) -> Option<String> {
        if self.count == 0 || !self.adds {
            return None;
        }
        Some(if self.fractional {
            self.sum().to_string()
        } else {
            display::decimal(self.sum, self.scale)
        })
    }

    /// The arithmetic mean.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0 && self.adds).then(|| self.sum() / self.count as f64)
    }

    /// The standard deviation of the sample, from two values on.
    pub(crate) fn standard_deviation(&self) -> Option<f64> {
        (self.spread.count > 1.0 && self.adds)
            .then(|| (self.spread.squares / (self.spread.count - 1.0)).sqrt())
    }
}

/// What a scaled integer is divided by.
pub(super) fn unit(scale: u8) -> f64 {
    10_f64.powi(i32::from(scale))
}

//! Whether a value is expected after its history.

use chrono::{Datelike, NaiveDate};
use serde::{Deserialize, Serialize};

use tarn_contract::detector::{Detector, Direction, LEAST_OF_A_WEEKDAY, Method};

use super::holt_winters;
use super::statistics::{mean_deviation, quantile, robust_deviation};

/// What values a metric can have, and how far they vary by chance alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// Any number.
    Number,
    /// Counts: never below 0; they vary at least as those of independent events do.
    Count,
    /// A measure of time or size: never below 0.
    Size,
    /// A share from 0 to 1 of some rows.
    Share,
}

/// A value of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observation {
    /// Its day.
    pub day: NaiveDate,
    /// The value.
    pub value: f64,
    /// Rows that it was measured over.
    pub rows: u64,
}

/// The values that are expected, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// The least.
    pub low: f64,
    /// The greatest.
    pub high: f64,
}

/// The verdict on a value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    /// There is not enough history to judge; the value has not passed.
    NotEnoughHistory {
        /// Values that the history has.
        have: usize,
        /// Values that are needed.
        need: usize,
    },
    /// It is expected, or differs in a direction that does not matter.
    Expected(Range),
    /// It is an anomaly.
    Anomaly {
        /// What was expected.
        range: Range,
        /// The distance from the nearer end of the range; above 0.
        missed_by: f64,
        /// Whether it is above the range.
        above: bool,
    },
}

impl Verdict {
    /// Whether the value is an anomaly.
    pub fn is_anomaly(&self) -> bool {
        matches!(self, Verdict::Anomaly { .. })
    }
}

/// The standard errors of chance that a range allows at least.
const CHANCE: f64 = 4.0;

impl Nature {
    /// The least half width that chance alone asks for around `middle`.
    fn chance(self, middle: f64, rows: u64) -> f64 {
        match self {
            Nature::Number | Nature::Size => 0.0,
            // The standard deviation of a Poisson count is the root of its mean.
            Nature::Count => CHANCE * middle.max(0.0).sqrt(),
            Nature::Share => {
                // The standard error of a share of n rows, after Agresti and Coull, "Approximate Is
                // Better than 'Exact'", The American Statistician 52 (1998), which has no width 0.
                let n = rows as f64 + 4.0;
                let p = (middle.clamp(0.0, 1.0) * rows as f64 + 2.0) / n;
                CHANCE * (p * (1.0 - p) / n).sqrt()
            }
        }
    }

    fn clamp(self, range: Range) -> Range {
        let (least, greatest) = match self {
            Nature::Number => return range,
            Nature::Count | Nature::Size => (0.0, f64::INFINITY),
            Nature::Share => (0.0, 1.0),
        };
        Range {
            low: range.low.clamp(least, greatest),
            high: range.high.clamp(least, greatest),
        }
    }
}

/// Judges a value by those before it, which are in order of time; values that people confirmed to
/// be anomalies are not among them.
pub fn judge(
    detector: &Detector,
    nature: Nature,
    history: &[Observation],
    now: Observation,
) -> Verdict {
    let need = detector
        .minimum_history
        .max(detector.method.least_history());
    let not_enough = |have, need| Verdict::NotEnoughHistory { have, need };
    if history.len() < need {
        return not_enough(history.len(), need);
    }
    let Some((middle, range)) = range(detector, history, now.day) else {
        // Of the same weekday, or without two full weeks.
        return not_enough(history.len(), need.max(history.len() + 1));
    };
    let least = detector
        .least_width
        .absolute
        .max(detector.least_width.relative * middle.abs())
        .max(nature.chance(middle, now.rows));
    let mut wide = Range {
        low: range.low.min(middle - least),
        high: range.high.max(middle + least),
    };
    if detector.weekday_too {
        for seen in history
            .iter()
            .filter(|seen| seen.day.weekday() == now.day.weekday())
        {
            let least = detector
                .least_width
                .absolute
                .max(detector.least_width.relative * seen.value.abs());
            wide.low = wide.low.min(seen.value - least);
            wide.high = wide.high.max(seen.value + least);
        }
    }
    let mut range = nature.clamp(wide);
    // If every day had rows, a day without any is missing, however much the counts vary.
    let always = history.iter().all(|seen| seen.value >= 1.0);
    if nature == Nature::Count && always && range.high >= 1.0 {
        range.low = range.low.max(1.0);
    }
    let below = now.value < range.low && detector.direction != Direction::Up;
    let above = now.value > range.high && detector.direction != Direction::Down;
    if !(below || above) {
        return Verdict::Expected(range);
    }
    Verdict::Anomaly {
        range,
        missed_by: if above {
            now.value - range.high
        } else {
            range.low - now.value
        },
        above,
    }
}

/// The middle of the range and the range; None if the history is not enough for the method.
fn range(detector: &Detector, history: &[Observation], day: NaiveDate) -> Option<(f64, Range)> {
    let around = |middle: f64, half: f64| {
        (
            middle,
            Range {
                low: middle - half,
                high: middle + half,
            },
        )
    };
    let values: Vec<f64> = history.iter().map(|seen| seen.value).collect();
    let last = *values.last()?;
    Some(match detector.method {
        Method::AbsoluteChange { most } => around(last, most),
        Method::RelativeChange { most } => around(last, most * last.abs()),
        Method::OnlineNormal { deviations } => {
            let (mean, deviation) = mean_deviation(values)?;
            around(mean, deviations * deviation)
        }
        Method::Mad { deviations } => {
            let (median, deviation) = robust_deviation(&values)?;
            around(median, deviations * deviation)
        }
        Method::Iqr { factor } => {
            let (first, third) = (quantile(&values, 0.25)?, quantile(&values, 0.75)?);
            let reach = factor * (third - first);
            (
                quantile(&values, 0.5)?,
                Range {
                    low: first - reach,
                    high: third + reach,
                },
            )
        }
        Method::SeasonalMad { deviations } => {
            let same: Vec<f64> = history
                .iter()
                .filter(|seen| seen.day.weekday() == day.weekday())
                .map(|seen| seen.value)
                .collect();
            if same.len() < LEAST_OF_A_WEEKDAY {
                return None;
            }
            let (median, deviation) = robust_deviation(&same)?;
            around(median, deviations * deviation)
        }
        Method::HoltWinters {
            deviations,
            smoothing,
        } => {
            let first = history.first()?.day;
            let place = |day: NaiveDate| usize::try_from((day - first).num_days()).ok();
            let mut days = vec![None; place(history.last()?.day)? + 1];
            for seen in history {
                *days.get_mut(place(seen.day)?)? = Some(seen.value);
            }
            let ahead = (place(day)? + 1).saturating_sub(days.len()).max(1);
            let (expected, deviation) = holt_winters::forecast(&days, ahead, smoothing)?;
            around(expected, deviations * deviation)
        }
    })
}

#[cfg(test)]
mod tests;

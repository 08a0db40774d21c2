//! How a value is compared with its history.

use serde::{Deserialize, Serialize};

/// How the expected range is found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Method {
    /// The value before, and at most this much to either side.
    AbsoluteChange {
        /// In the metric's unit.
        most: f64,
    },
    /// The value before, and at most this part of it to either side.
    RelativeChange {
        /// 0.2 is 20 per cent.
        most: f64,
    },
    /// The mean, and this many standard deviations to either side.
    OnlineNormal {
        /// Standard deviations.
        deviations: f64,
    },
    /// The median, and this many median absolute deviations to either side, scaled to be standard
    /// deviations and corrected for small samples. With 3.5 it is the modified z-score of Iglewicz and
    /// Hoaglin, "How to Detect and Handle Outliers" (1993).
    Mad {
        /// Scaled deviations.
        deviations: f64,
    },
    /// From the first quartile minus this many interquartile ranges to the third quartile plus as many:
    /// Tukey's fences, "Exploratory Data Analysis" (1977), with 1.5.
    Iqr {
        /// Interquartile ranges.
        factor: f64,
    },
    /// As [`Method::Mad`], over the values of the same weekday.
    SeasonalMad {
        /// Scaled deviations.
        deviations: f64,
    },
    /// A forecast with trend and weekday, and this many standard deviations of its errors.
    HoltWinters {
        /// Standard deviations.
        deviations: f64,
        /// How fast it follows.
        smoothing: Smoothing,
    },
}

/// The values of the same weekday that a seasonal method needs.
pub const LEAST_OF_A_WEEKDAY: usize = 3;

impl Method {
    /// The name in contracts and reports.
    pub fn name(&self) -> &'static str {
        match self {
            Method::AbsoluteChange { .. } => "absoluteChange",
            Method::RelativeChange { .. } => "relativeChange",
            Method::OnlineNormal { .. } => "onlineNormal",
            Method::Mad { .. } => "mad",
            Method::Iqr { .. } => "iqr",
            Method::SeasonalMad { .. } => "seasonalMad",
            Method::HoltWinters { .. } => "holtWinters",
        }
    }

    /// The least history with which the method is meaningful.
    pub fn least_history(&self) -> usize {
        match self {
            Method::AbsoluteChange { .. } | Method::RelativeChange { .. } => 1,
            Method::OnlineNormal { .. } | Method::Mad { .. } => 3,
            Method::Iqr { .. } => 4,
            Method::SeasonalMad { .. } => LEAST_OF_A_WEEKDAY,
            Method::HoltWinters { .. } => 2 * SEASON,
        }
    }

    /// The default of the least history.
    pub fn usual_history(&self) -> usize {
        match self {
            Method::AbsoluteChange { .. } | Method::RelativeChange { .. } => 1,
            Method::OnlineNormal { .. } | Method::Mad { .. } | Method::Iqr { .. } => 7,
            Method::SeasonalMad { .. } => 28,
            Method::HoltWinters { .. } => 3 * SEASON,
        }
    }
}

/// Which way a value must go to be an anomaly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Above the expected range.
    Up,
    /// Below it.
    Down,
    /// Either.
    Both,
}

/// The least width of the expected range to either side. A history without variation does not mean that
/// the next value will not vary.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LeastWidth {
    /// In the metric's unit.
    pub absolute: f64,
    /// As a part of the range's middle.
    pub relative: f64,
}

/// How values are judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Detector {
    /// How the range is found.
    pub method: Method,
    /// Which way matters.
    pub direction: Direction,
    /// With fewer values there is no verdict.
    pub minimum_history: usize,
    /// How wide the range is at least.
    pub least_width: LeastWidth,
    /// Earlier values of the same weekday, plus or minus the least width, are expected too: a week has a
    /// rhythm before there are enough weeks to measure it.
    pub weekday_too: bool,
}

/// How fast level, trend and season follow the data, each from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Smoothing {
    /// α, of the level.
    pub level: f64,
    /// β*, of the trend.
    pub trend: f64,
    /// γ, of the season.
    pub season: f64,
}

impl Default for Smoothing {
    fn default() -> Self {
        Smoothing {
            level: 0.3,
            trend: 0.05,
            season: 0.2,
        }
    }
}

/// The length of a season: a week of days.
pub const SEASON: usize = 7;

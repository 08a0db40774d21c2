//! Service levels of a contract, of time and volume. Nothing coming at all can break them.

use tarn_core::text::{count, duration};

/// What is promised.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ServiceLevel {
    /// The newest accepted rows are at most so many seconds old.
    Freshness {
        /// Seconds.
        seconds: f64,
    },
    /// From the put of an object to its rows in the table, at most so many seconds.
    Latency {
        /// Seconds.
        seconds: f64,
    },
    /// Rows come at least every so many seconds.
    Frequency {
        /// Seconds.
        seconds: f64,
    },
    /// Rows received per UTC day.
    RowsPerDay {
        /// At least.
        low: Option<u64>,
        /// At most.
        high: Option<u64>,
    },
}

impl ServiceLevel {
    /// The name in reports.
    pub fn name(&self) -> &'static str {
        match self {
            ServiceLevel::Freshness { .. } => "freshness",
            ServiceLevel::Latency { .. } => "latency",
            ServiceLevel::Frequency { .. } => "frequency",
            ServiceLevel::RowsPerDay { .. } => "rows_per_day",
        }
    }

    /// The promise for people.
    pub fn words(&self) -> String {
        match self {
            ServiceLevel::Freshness { seconds } => {
                format!("newest rows at most {} old", duration(*seconds))
            }
            ServiceLevel::Latency { seconds } => {
                format!("in the table at most {} after arrival", duration(*seconds))
            }
            ServiceLevel::Frequency { seconds } => {
                format!("new rows at least every {}", duration(*seconds))
            }
            ServiceLevel::RowsPerDay { low, high } => match (low, high) {
                (Some(low), Some(high)) => {
                    format!("{} to {} rows a day", count(*low), count(*high))
                }
                (Some(low), None) => format!("at least {} rows a day", count(*low)),
                (None, Some(high)) => format!("at most {} rows a day", count(*high)),
                (None, None) => "any number of rows a day".to_owned(),
            },
        }
    }
}

//! Service levels that a contract asks for: times and volumes. They are missed even if no data arrives
//! at all.

use serde::{Deserialize, Serialize};

use tarn_core::text::{count, duration};

/// What a service level is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceLevelKind {
    /// The age of the newest accepted rows.
    Freshness,
    /// The time from the put of an object to its rows in the table.
    Latency,
    /// The time between arrivals of rows.
    Frequency,
    /// The rows that are received per UTC day.
    RowsPerDay,
}

impl ServiceLevelKind {
    /// The name in reports, `rows_per_day` for example.
    pub fn as_str(self) -> &'static str {
        match self {
            ServiceLevelKind::Freshness => "freshness",
            ServiceLevelKind::Latency => "latency",
            ServiceLevelKind::Frequency => "frequency",
            ServiceLevelKind::RowsPerDay => "rows_per_day",
        }
    }
}

/// What a contract asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ServiceLevel {
    /// The newest accepted rows are at most this old.
    Freshness {
        /// Seconds.
        seconds: f64,
    },
    /// From the put of an object to its rows in the table, at most this long.
    Latency {
        /// Seconds.
        seconds: f64,
    },
    /// Rows arrive at least this often.
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
    /// What it is about.
    pub fn kind(&self) -> ServiceLevelKind {
        match self {
            ServiceLevel::Freshness { .. } => ServiceLevelKind::Freshness,
            ServiceLevel::Latency { .. } => ServiceLevelKind::Latency,
            ServiceLevel::Frequency { .. } => ServiceLevelKind::Frequency,
            ServiceLevel::RowsPerDay { .. } => ServiceLevelKind::RowsPerDay,
        }
    }

    /// The service level for people.
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

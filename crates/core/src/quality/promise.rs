//! Promises of a contract about time and volume, which can be broken by nothing coming at all.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::metric::Metric;
use super::result::{Kind, ResultRow, effective};
use super::text::{count, number};

/// What is promised.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Promise {
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

impl Promise {
    /// The name in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Promise::Freshness { .. } => "freshness",
            Promise::Latency { .. } => "latency",
            Promise::Frequency { .. } => "frequency",
            Promise::RowsPerDay { .. } => "rows_per_day",
        }
    }

    /// The promise for people.
    pub fn words(&self) -> String {
        match self {
            Promise::Freshness { seconds } => {
                format!("newest rows at most {} old", duration(*seconds))
            }
            Promise::Latency { seconds } => {
                format!("in the table at most {} after arrival", duration(*seconds))
            }
            Promise::Frequency { seconds } => {
                format!("new rows at least every {}", duration(*seconds))
            }
            Promise::RowsPerDay { low, high } => match (low, high) {
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

/// Seconds for people: `45 s`, `3 h 20 min`, `2 d 4 h`; two units at most.
pub fn duration(seconds: f64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    if seconds < 10.0 && seconds.fract() != 0.0 {
        return format!("{seconds:.1} s");
    }
    let mut left = seconds.max(0.0).round() as u64;
    let mut parts: Vec<String> = Vec::new();
    for (index, (size, unit)) in UNITS.iter().enumerate() {
        let number = left / size;
        left %= size;
        if number > 0 {
            parts.push(format!("{number} {unit}"));
        }
        // The unit behind the first shown one is the last that matters.
        let first = UNITS.iter().position(|(size, _)| seconds >= *size as f64);
        if first.is_some_and(|first| index > first) {
            break;
        }
    }
    if parts.is_empty() {
        "0 s".to_owned()
    } else {
        parts.join(" ")
    }
}

/// How a promise stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PromiseState {
    /// The dataset.
    pub dataset: String,
    /// `freshness`, `latency`, `frequency` or `rows_per_day`.
    pub promise: String,
    /// For people.
    pub text: String,
    /// The least that was promised, in seconds or rows.
    pub low: Option<f64>,
    /// The most.
    pub high: Option<f64>,
    /// What was found, in seconds or rows; None where there is nothing to measure yet.
    pub measured: Option<f64>,
    /// Whether it is kept; None where there is nothing to measure yet.
    pub kept: Option<bool>,
    /// For a volume: the day that was looked at (UTC).
    pub day: Option<NaiveDate>,
}

impl PromiseState {
    /// What was found, for people.
    pub fn found(&self) -> String {
        match self.measured {
            None => "nothing to measure yet".to_owned(),
            Some(rows) if self.promise == "rows_per_day" => match self.day {
                Some(day) => format!("{} rows on {day}", number(rows)),
                None => format!("{} rows", number(rows)),
            },
            Some(seconds) => duration(seconds),
        }
    }
}

/// When accepted rows of a dataset last came.
pub fn last_success(rows: &[&ResultRow], dataset: &str) -> Option<DateTime<Utc>> {
    rows.iter()
        .filter(|row| {
            row.kind == Kind::Run
                && row.passed
                && row.dataset == dataset
                && row.checked > row.failed
        })
        .map(|row| row.ended_at)
        .max()
}

/// What the ledger knows of a dataset's age, beyond result rows, which go back some weeks only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// When accepted rows last came.
    pub committed: Option<DateTime<Utc>>,
    /// From when on the age of a dataset without any is counted.
    pub watched: Option<DateTime<Utc>>,
}

impl Seen {
    /// What was known at a time.
    fn at(self, time: DateTime<Utc>) -> Seen {
        let known = |at: Option<DateTime<Utc>>| at.filter(|at| *at <= time);
        Seen {
            committed: known(self.committed),
            watched: known(self.watched),
        }
    }

    /// When accepted rows last came as of a time, as the ledger and result rows know.
    pub fn last_success(
        self,
        rows: &[&ResultRow],
        dataset: &str,
        as_of: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        last_success(rows, dataset).max(self.at(as_of).committed)
    }
}

/// How the promises of a dataset stand at a time. A volume is that of `day` where it has ended, else
/// that of the day before. Before a dataset's first rows its age is counted from when it was first
/// watched, or, where the ledger does not know that, from `since`: when the first thing was known at all.
pub fn states(
    dataset: &str,
    promises: &[Promise],
    rows: &[&ResultRow],
    (seen, since): (Seen, Option<DateTime<Utc>>),
    day: NaiveDate,
    as_of: DateTime<Utc>,
) -> Vec<PromiseState> {
    let age = seen
        .last_success(rows, dataset, as_of)
        .or(seen.at(as_of).watched)
        .or(since)
        .map(|at| (as_of - at).as_seconds_f64().max(0.0));
    let latest = rows
        .iter()
        .filter(|row| {
            row.kind == Kind::Metric
                && row.dataset == dataset
                && row.name == Metric::LatencySeconds.to_string()
                && row.day == day
        })
        .filter_map(|row| row.value)
        .fold(None, |most: Option<f64>, value| {
            Some(most.map_or(value, |most| most.max(value)))
        });
    let ended = if day < as_of.date_naive() {
        day
    } else {
        as_of.date_naive() - TimeDelta::days(1)
    };
    promises
        .iter()
        .map(|promise| {
            let (low, high, measured, day) = match promise {
                Promise::Freshness { seconds } | Promise::Frequency { seconds } => {
                    (None, Some(*seconds), age, None)
                }
                Promise::Latency { seconds } => (None, Some(*seconds), latest, None),
                Promise::RowsPerDay { low, high } => (
                    low.map(|low| low as f64),
                    high.map(|high| high as f64),
                    volume(rows, dataset, ended),
                    Some(ended),
                ),
            };
            PromiseState {
                dataset: dataset.to_owned(),
                promise: promise.name().to_owned(),
                text: promise.words(),
                low,
                high,
                measured,
                kept: measured.map(|measured| {
                    low.is_none_or(|low| measured >= low)
                        && high.is_none_or(|high| measured <= high)
                }),
                day,
            }
        })
        .collect()
}

/// The rows received on a day; None before the dataset's first.
fn volume(rows: &[&ResultRow], dataset: &str, day: NaiveDate) -> Option<f64> {
    let runs: Vec<&ResultRow> = effective(rows)
        .into_iter()
        .filter(|row| row.kind == Kind::Run && row.dataset == dataset)
        .collect();
    let first = runs.iter().map(|row| row.day).min()?;
    let sum: u64 = runs
        .iter()
        .filter(|row| row.day == day)
        .map(|row| row.checked)
        .sum();
    (first <= day).then_some(sum as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_in_two_units_at_most() {
        for (seconds, text) in [
            (0.0, "0 s"),
            (0.25, "0.2 s"),
            (45.0, "45 s"),
            (60.0, "1 min"),
            (12_000.0, "3 h 20 min"),
            (12_059.0, "3 h 20 min"),
            (86_400.0, "1 d"),
            (187_300.0, "2 d 4 h"),
            (86_460.0, "1 d"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }

    fn run(day: &str, minute: i64, received: u64, rejected: u64) -> ResultRow {
        let contracts = crate::contract::Contracts::default();
        let at = DateTime::UNIX_EPOCH + TimeDelta::minutes(minute);
        let key = format!("raw/a/b/ingest_date={day}/{minute}");
        let run = crate::run::RunRecord {
            status: crate::run::RunStatus::Succeeded,
            ended_at: Some(at),
            datasets: vec![crate::run::DatasetOutcome {
                dataset: "events".to_owned(),
                received,
                accepted: received - rejected,
                rejected,
                ..crate::run::DatasetOutcome::default()
            }],
            ..crate::run::RunRecord::begin(minute.to_string(), &key, at)
        };
        super::super::result::rows_of(&run, &contracts).swap_remove(0)
    }

    #[test]
    fn promises_are_broken_by_nothing_coming_at_all() {
        let hour = 3_600.0;
        let promises = [
            Promise::Freshness {
                seconds: 2.0 * hour,
            },
            Promise::Frequency {
                seconds: 24.0 * hour,
            },
            Promise::RowsPerDay {
                low: Some(100),
                high: Some(200),
            },
        ];
        // The last rows that were accepted came at 01:00; what came later was rejected as a whole.
        let rows = [
            run("1970-01-01", 60, 120, 0),
            run("1970-01-01", 600, 50, 50),
        ];
        let rows: Vec<&ResultRow> = rows.iter().collect();
        let kept = |hours: i64| -> Vec<Option<bool>> {
            let as_of = DateTime::UNIX_EPOCH + TimeDelta::hours(hours);
            let nothing = (Seen::default(), None);
            states(
                "events",
                &promises,
                &rows,
                nothing,
                as_of.date_naive(),
                as_of,
            )
            .into_iter()
            .map(|state| state.kept)
            .collect()
        };
        // On the first day there is no day before.
        assert_eq!(kept(2), [Some(true), Some(true), None]);
        assert_eq!(kept(4), [Some(false), Some(true), None]);
        assert_eq!(kept(26), [Some(false), Some(false), Some(true)]);
        // A day without rows.
        assert_eq!(kept(50), [Some(false), Some(false), Some(false)]);
        let nothing = states(
            "events",
            &promises,
            &[],
            (Seen::default(), None),
            NaiveDate::MIN,
            DateTime::UNIX_EPOCH,
        );
        assert!(nothing.iter().all(|state| state.kept.is_none()));
    }

    #[test]
    fn a_dataset_without_rows_breaks_its_promise_once_it_was_watched_for_so_long() {
        let at = |hours: i64| DateTime::UNIX_EPOCH + TimeDelta::hours(hours);
        let promises = [Promise::Freshness { seconds: 7_200.0 }];
        let kept = |seen: Seen, since: Option<DateTime<Utc>>, hours: i64| {
            let as_of = at(hours);
            let day = as_of.date_naive();
            states("events", &promises, &[], (seen, since), day, as_of)[0].kept
        };
        let watched = Seen {
            watched: Some(at(10)),
            ..Seen::default()
        };
        assert_eq!(kept(watched, None, 12), Some(true));
        assert_eq!(kept(watched, None, 13), Some(false));
        // The lake is older than the dataset's contract.
        assert_eq!(kept(watched, Some(at(0)), 12), Some(true));
        // A report of a day before knows nothing of it.
        assert_eq!(kept(watched, None, 9), None);
        // Rows came, and the result rows of that time are gone.
        let committed = Seen {
            committed: Some(at(20)),
            ..watched
        };
        assert_eq!(kept(committed, None, 22), Some(true));
        assert_eq!(kept(committed, None, 23), Some(false));
    }
}

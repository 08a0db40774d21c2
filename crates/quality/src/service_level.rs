//! Promises of a contract about time and volume, which can be broken by nothing coming at all.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use tarn_contract::metric::Metric;
use tarn_contract::service_level::ServiceLevel;
use tarn_core::text::{duration, number};

use super::result::{Kind, ResultRow, effective};

/// How a promise stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceLevelState {
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

impl ServiceLevelState {
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
    promises: &[ServiceLevel],
    rows: &[&ResultRow],
    (seen, since): (Seen, Option<DateTime<Utc>>),
    day: NaiveDate,
    as_of: DateTime<Utc>,
) -> Vec<ServiceLevelState> {
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
                ServiceLevel::Freshness { seconds } | ServiceLevel::Frequency { seconds } => {
                    (None, Some(*seconds), age, None)
                }
                ServiceLevel::Latency { seconds } => (None, Some(*seconds), latest, None),
                ServiceLevel::RowsPerDay { low, high } => (
                    low.map(|low| low as f64),
                    high.map(|high| high as f64),
                    volume(rows, dataset, ended),
                    Some(ended),
                ),
            };
            ServiceLevelState {
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

    fn run(day: &str, minute: i64, received: u64, rejected: u64) -> ResultRow {
        let contracts = tarn_contract::Contracts::default();
        let at = DateTime::UNIX_EPOCH + TimeDelta::minutes(minute);
        let key = format!("raw/a/b/ingest_date={day}/{minute}");
        let run = tarn_core::run::RunRecord {
            status: tarn_core::run::RunStatus::Succeeded,
            ended_at: Some(at),
            datasets: vec![tarn_core::run::DatasetOutcome {
                dataset: "events".to_owned(),
                received,
                accepted: received - rejected,
                rejected,
                ..tarn_core::run::DatasetOutcome::default()
            }],
            ..tarn_core::run::RunRecord::begin(minute.to_string(), &key, at)
        };
        super::super::result::rows_of(&run, &contracts).swap_remove(0)
    }

    #[test]
    fn promises_are_broken_by_nothing_coming_at_all() {
        let hour = 3_600.0;
        let promises = [
            ServiceLevel::Freshness {
                seconds: 2.0 * hour,
            },
            ServiceLevel::Frequency {
                seconds: 24.0 * hour,
            },
            ServiceLevel::RowsPerDay {
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
        let promises = [ServiceLevel::Freshness { seconds: 7_200.0 }];
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

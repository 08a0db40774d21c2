//! The state of the service levels that contracts ask for. They are missed even if no data arrives at all.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use tarn_contract::metric::Metric;
use tarn_contract::service_level::{ServiceLevel, ServiceLevelKind};
use tarn_core::text::{duration, number};

use super::result::{Kind, ResultRow, effective};

/// The state of a service level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceLevelState {
    /// The dataset.
    pub dataset: String,
    /// What it is about.
    #[serde(rename = "promise")]
    pub kind: ServiceLevelKind,
    /// For people.
    pub text: String,
    /// The least that the contract asks for, in seconds or rows.
    pub low: Option<f64>,
    /// The most.
    pub high: Option<f64>,
    /// What was found, in seconds or rows; None where there is nothing to measure yet.
    pub measured: Option<f64>,
    /// Whether it is met; None where there is nothing to measure yet.
    #[serde(rename = "kept")]
    pub met: Option<bool>,
    /// For a volume: the day that was looked at (UTC).
    pub day: Option<NaiveDate>,
}

impl ServiceLevelState {
    /// What was found, for people.
    pub fn found(&self) -> String {
        match self.measured {
            None => "nothing to measure yet".to_owned(),
            Some(rows) if self.kind == ServiceLevelKind::RowsPerDay => match self.day {
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

/// What the lake knows about a dataset when its service levels are measured.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The dataset.
    pub dataset: &'a str,
    /// Result rows, also of other datasets.
    pub rows: &'a [&'a ResultRow],
    /// What the ledger knows.
    pub seen: Seen,
    /// When the lake first knew anything (UTC): the age of a dataset without rows counts from here if the
    /// ledger does not know since when the dataset is watched.
    pub since: Option<DateTime<Utc>>,
}

impl Known<'_> {
    /// The state of each service level at `as_of` (UTC). A volume is that of `day` (UTC) if the day has
    /// ended, otherwise that of the day before `as_of`.
    pub fn states(
        &self,
        levels: &[ServiceLevel],
        day: NaiveDate,
        as_of: DateTime<Utc>,
    ) -> Vec<ServiceLevelState> {
        let age = self.age(as_of);
        let latency = self.latency(day);
        let ended = if day < as_of.date_naive() {
            day
        } else {
            as_of.date_naive() - TimeDelta::days(1)
        };
        levels
            .iter()
            .map(|level| {
                let (low, high, measured, day) = match level {
                    ServiceLevel::Freshness { seconds } | ServiceLevel::Frequency { seconds } => {
                        (None, Some(*seconds), age, None)
                    }
                    ServiceLevel::Latency { seconds } => (None, Some(*seconds), latency, None),
                    ServiceLevel::RowsPerDay { low, high } => (
                        low.map(|low| low as f64),
                        high.map(|high| high as f64),
                        volume(self.rows, self.dataset, ended),
                        Some(ended),
                    ),
                };
                ServiceLevelState {
                    dataset: self.dataset.to_owned(),
                    kind: level.kind(),
                    text: level.words(),
                    low,
                    high,
                    measured,
                    met: measured.map(|measured| {
                        low.is_none_or(|low| measured >= low)
                            && high.is_none_or(|high| measured <= high)
                    }),
                    day,
                }
            })
            .collect()
    }

    /// Seconds since accepted rows last came, or since the dataset is watched.
    fn age(&self, as_of: DateTime<Utc>) -> Option<f64> {
        self.seen
            .last_success(self.rows, self.dataset, as_of)
            .or(self.seen.at(as_of).watched)
            .or(self.since)
            .map(|at| (as_of - at).as_seconds_f64().max(0.0))
    }

    /// The longest latency of a run of the day, in seconds.
    fn latency(&self, day: NaiveDate) -> Option<f64> {
        let metric = Metric::LatencySeconds.to_string();
        self.rows
            .iter()
            .filter(|row| {
                row.kind == Kind::Metric
                    && row.dataset == self.dataset
                    && row.name == metric
                    && row.day == day
            })
            .filter_map(|row| row.value)
            .reduce(f64::max)
    }
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
    #![allow(clippy::unwrap_used)]
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

    fn known<'a>(rows: &'a [&'a ResultRow], seen: Seen, since: Option<DateTime<Utc>>) -> Known<'a> {
        Known {
            dataset: "events",
            rows,
            seen,
            since,
        }
    }

    #[test]
    fn service_levels_are_missed_if_no_data_arrives_at_all() {
        let hour = 3_600.0;
        let levels = [
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
        let met = |hours: i64| -> Vec<Option<bool>> {
            let as_of = DateTime::UNIX_EPOCH + TimeDelta::hours(hours);
            let known = known(&rows, Seen::default(), None);
            let states = known.states(&levels, as_of.date_naive(), as_of);
            states.into_iter().map(|state| state.met).collect()
        };
        // On the first day there is no day before.
        assert_eq!(met(2), [Some(true), Some(true), None]);
        assert_eq!(met(4), [Some(false), Some(true), None]);
        assert_eq!(met(26), [Some(false), Some(false), Some(true)]);
        // A day without rows.
        assert_eq!(met(50), [Some(false), Some(false), Some(false)]);
        let known = known(&[], Seen::default(), None);
        let nothing = known.states(&levels, NaiveDate::MIN, DateTime::UNIX_EPOCH);
        assert!(nothing.iter().all(|state| state.met.is_none()));
    }

    #[test]
    fn reports_of_earlier_versions_are_read_and_written_in_their_form() {
        let text = r#"{"dataset":"events","promise":"rows_per_day","text":"at least 100 rows a day","low":100.0,"high":null,"measured":50.0,"kept":false,"day":"1970-01-01"}"#;
        let state: ServiceLevelState = serde_json::from_str(text).unwrap();
        assert_eq!(
            (state.kind, state.met),
            (ServiceLevelKind::RowsPerDay, Some(false))
        );
        assert_eq!(state.found(), "50 rows on 1970-01-01");
        assert_eq!(serde_json::to_string(&state).unwrap(), text);
    }

    #[test]
    fn a_dataset_without_rows_misses_its_service_level_after_that_time() {
        let at = |hours: i64| DateTime::UNIX_EPOCH + TimeDelta::hours(hours);
        let levels = [ServiceLevel::Freshness { seconds: 7_200.0 }];
        let met = |seen: Seen, since: Option<DateTime<Utc>>, hours: i64| {
            let as_of = at(hours);
            let day = as_of.date_naive();
            known(&[], seen, since).states(&levels, day, as_of)[0].met
        };
        let watched = Seen {
            watched: Some(at(10)),
            ..Seen::default()
        };
        assert_eq!(met(watched, None, 12), Some(true));
        assert_eq!(met(watched, None, 13), Some(false));
        // The lake is older than the dataset's contract.
        assert_eq!(met(watched, Some(at(0)), 12), Some(true));
        // A report of a day before knows nothing of it.
        assert_eq!(met(watched, None, 9), None);
        // Rows came, and the result rows of that time are gone.
        let committed = Seen {
            committed: Some(at(20)),
            ..watched
        };
        assert_eq!(met(committed, None, 22), Some(true));
        assert_eq!(met(committed, None, 23), Some(false));
    }
}

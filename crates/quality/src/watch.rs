//! What is watched for anomalies, and what was found.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use tarn_contract::detector::{Detector, Method};
use tarn_contract::metric::Metric;
use tarn_contract::monitor::{Monitor, Per};
use tarn_core::feedback::{Feedback, Judgement};

use super::anomaly::{Nature, Observation, Range, Verdict, judge as judge_value};
use super::history::{Histories, Point, SeriesKey};

/// What people made of an anomaly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// No one has judged it yet.
    Open,
    /// Something was wrong.
    Confirmed,
    /// Nothing was wrong.
    Dismissed,
}

impl Status {
    fn of(feedback: Option<&Feedback>) -> Self {
        match feedback.map(|feedback| feedback.judgement) {
            None => Status::Open,
            Some(Judgement::Confirmed) => Status::Confirmed,
            Some(Judgement::Dismissed) => Status::Dismissed,
        }
    }

    /// `open`, `confirmed` or `dismissed`.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Open => "open",
            Status::Confirmed => "confirmed",
            Status::Dismissed => "dismissed",
        }
    }
}

/// A value of a history, for charts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HistoryPoint {
    /// The day.
    pub day: NaiveDate,
    /// The value.
    pub value: f64,
}

/// A value that is not expected after its history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Anomaly {
    /// `<dataset>/<metric>/<day or run>`, with the segment in brackets after the metric.
    pub id: String,
    /// The dataset.
    pub dataset: String,
    /// The metric's name.
    pub metric: String,
    /// `column=value`; None for all rows.
    pub segment: Option<String>,
    /// Whether the value belongs to a day or to a run.
    pub per: Per,
    /// Its day (UTC).
    pub day: NaiveDate,
    /// Its run, the last of the day; None for a day without rows.
    pub run_id: Option<String>,
    /// The value.
    pub value: f64,
    /// What was expected.
    pub expected: Range,
    /// The distance from the nearer end of the range.
    pub missed_by: f64,
    /// Whether it is above the range.
    pub above: bool,
    /// How the range was found.
    pub method: String,
    /// Values that it was found from.
    pub history_size: u64,
    /// What people made of it.
    pub status: Status,
    /// What people said about it.
    pub note: Option<String>,
    /// The last values before it.
    pub history: Vec<HistoryPoint>,
}

/// What was looked at.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Watched {
    /// What was found, in order of dataset, metric and time.
    pub anomalies: Vec<Anomaly>,
    /// Values that are as expected.
    pub expected: u64,
    /// Values that cannot be judged, because there is not enough history.
    pub not_enough_history: u64,
}

impl Watched {
    /// Adds what was found elsewhere.
    pub(crate) fn add(&mut self, other: Watched) {
        self.anomalies.extend(other.anomalies);
        self.expected += other.expected;
        self.not_enough_history += other.not_enough_history;
    }
}

/// Values of the history that an anomaly shows.
const SHOWN: usize = 28;

/// A dataset comes daily if at least this share of its days had rows.
const DAILY: f64 = 0.8;

/// What is known when values are judged.
pub struct Evidence<'a> {
    /// The histories per day.
    pub by_day: &'a Histories,
    /// The histories per run.
    pub by_run: &'a Histories,
    /// What people said, by anomaly.
    pub feedback: &'a BTreeMap<&'a str, &'a Feedback>,
    /// Now (UTC). The row count of a day that has not ended is judged only for being too high.
    pub as_of: DateTime<Utc>,
}

/// Judges the values of the days from `first` to `last` of one dataset.
pub fn watch(
    dataset: &str,
    monitors: &[Monitor],
    evidence: &Evidence<'_>,
    (first, last): (NaiveDate, NaiveDate),
) -> Watched {
    let mut watched = Watched::default();
    for monitor in monitors {
        let histories = match monitor.per {
            Per::Day => evidence.by_day,
            Per::Run => evidence.by_run,
        };
        for (key, points) in histories {
            if watches(monitor, dataset, key) {
                let filled = filled(monitor, key, points, last.min(evidence.as_of.date_naive()));
                watched.add(judge(monitor, key, &filled, evidence, (first, last)));
            }
        }
    }
    watched.anomalies.sort_by(|a, b| a.id.cmp(&b.id));
    // A contract may watch one value by two methods.
    watched.anomalies.dedup_by(|a, b| a.id == b.id);
    watched
}

/// A point, and whether its day had no rows at all.
type Filled = (Point, bool);

/// The points, with a 0 for each day without rows of a dataset that comes daily.
fn filled(monitor: &Monitor, key: &SeriesKey, points: &[Point], last: NaiveDate) -> Vec<Filled> {
    let present = points.iter().cloned().map(|point| (point, false));
    let whole = monitor.per == Per::Day && monitor.metric == Metric::RowCount;
    let Some(begin) = points.first().map(|point| point.day) else {
        return Vec::new();
    };
    if !whole || key.segment.is_some() {
        return present.collect();
    }
    let by_day: BTreeMap<NaiveDate, &Point> =
        points.iter().map(|point| (point.day, point)).collect();
    let mut all: Vec<Filled> = Vec::new();
    let (mut days, mut with_rows) = (0_u32, 0_u32);
    for day in begin.iter_days().take_while(|day| *day <= last) {
        match by_day.get(&day) {
            Some(point) => {
                with_rows += 1;
                all.push(((*point).clone(), false));
            }
            None if f64::from(with_rows) >= DAILY * f64::from(days) => all.push((
                Point {
                    day,
                    at: (day + TimeDelta::days(1))
                        .and_time(chrono::NaiveTime::MIN)
                        .and_utc(),
                    run_id: String::new(),
                    value: 0.0,
                    rows: 0,
                },
                true,
            )),
            None => {}
        }
        days += 1;
    }
    all
}

fn watches(monitor: &Monitor, dataset: &str, key: &SeriesKey) -> bool {
    key.dataset == dataset
        && key.metric == monitor.metric.to_string()
        && match (&monitor.segment_by, &key.segment) {
            (None, None) => true,
            (Some(column), Some(segment)) => segment
                .strip_prefix(column)
                .is_some_and(|rest| rest.starts_with('=')),
            _ => false,
        }
}

fn nature(monitor: &Monitor) -> Nature {
    match &monitor.metric {
        Metric::RowCount | Metric::Distinct(_) => Nature::Count,
        metric if metric.is_share() => Nature::Share,
        metric if metric.is_never_negative() => Nature::Size,
        _ => Nature::Number,
    }
}

/// Judges the points of one series on the days from `first` to `last`.
fn judge(
    monitor: &Monitor,
    key: &SeriesKey,
    points: &[Filled],
    evidence: &Evidence<'_>,
    (first, last): (NaiveDate, NaiveDate),
) -> Watched {
    let mut watched = Watched::default();
    let today = evidence.as_of.date_naive();
    let mut history: Vec<Observation> = Vec::new();
    for (point, missing) in points {
        let id = id(monitor, key, point);
        let feedback = evidence.feedback.get(id.as_str()).copied();
        let now = point.observation();
        let unfinished = monitor.per == Per::Day && point.day >= today;
        if (first..=last).contains(&point.day) && !(unfinished && *missing) {
            let detector = detector(monitor, &history, now.day);
            match judge_value(&detector, nature(monitor), &history, now) {
                Verdict::NotEnoughHistory { .. } => watched.not_enough_history += 1,
                Verdict::Anomaly {
                    range,
                    missed_by,
                    above,
                } if above || !unfinished || monitor.metric != Metric::RowCount => {
                    watched.anomalies.push(Anomaly {
                        id,
                        dataset: key.dataset.clone(),
                        metric: key.metric.clone(),
                        segment: key.segment.clone(),
                        per: monitor.per,
                        day: point.day,
                        run_id: (!missing).then(|| point.run_id.clone()),
                        value: point.value,
                        expected: range,
                        missed_by,
                        above,
                        method: detector.method.name().to_owned(),
                        history_size: history.len() as u64,
                        status: Status::of(feedback),
                        note: feedback.and_then(|feedback| feedback.note.clone()),
                        history: shown(&history),
                    });
                }
                Verdict::Expected(_) | Verdict::Anomaly { .. } => watched.expected += 1,
            }
        }
        if feedback.is_none_or(|feedback| feedback.judgement != Judgement::Confirmed) {
            history.push(now);
        }
    }
    watched
}

/// The identifier of an anomaly at a point.
fn id(monitor: &Monitor, key: &SeriesKey, point: &Point) -> String {
    let segment = key
        .segment
        .as_ref()
        .map_or_else(String::new, |segment| format!("[{segment}]"));
    let at = match monitor.per {
        Per::Day => point.day.to_string(),
        Per::Run => point.run_id.clone(),
    };
    format!("{}/{}{segment}/{at}", key.dataset, key.metric)
}

/// The end of a history, which an anomaly shows.
fn shown(history: &[Observation]) -> Vec<HistoryPoint> {
    history[history.len().saturating_sub(SHOWN)..]
        .iter()
        .map(|seen| HistoryPoint {
            day: seen.day,
            value: seen.value,
        })
        .collect()
}

/// The monitor's detector for a value of that day.
fn detector(monitor: &Monitor, history: &[Observation], day: NaiveDate) -> Detector {
    use chrono::Datelike;
    const WEEKS: usize = 4;
    let same = history
        .iter()
        .filter(|seen| seen.day.weekday() == day.weekday())
        .count();
    match monitor.detector.method {
        Method::Mad { deviations } if monitor.by_weekday && same >= WEEKS => Detector {
            method: Method::SeasonalMad { deviations },
            ..monitor.detector
        },
        Method::Mad { .. } if monitor.by_weekday => Detector {
            weekday_too: true,
            ..monitor.detector
        },
        _ => monitor.detector,
    }
}

#[cfg(test)]
mod tests;

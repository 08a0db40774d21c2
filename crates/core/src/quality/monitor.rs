//! What is watched for anomalies, and what was found.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::anomaly::{
    Detector, Direction, LeastWidth, Method, Nature, Observation, Range, Smoothing, Verdict,
};
use super::feedback::{Feedback, Judgement};
use super::history::{Histories, Point, SeriesKey};
use super::metric::Metric;

/// Of what a monitor looks at one value each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// A UTC day.
    Day,
    /// A run.
    Run,
}

/// A metric that is watched.
#[derive(Debug, Clone, PartialEq)]
pub struct Monitor {
    /// The metric.
    pub metric: Metric,
    /// Watch the rows of each value of this column by themselves.
    pub segment_by: Option<String>,
    /// One value per day or per run.
    pub per: Per,
    /// How values are judged.
    pub detector: Detector,
    /// By [`Method::Mad`]: expect also what the same weekday had, and compare with the same weekday
    /// alone once it has four values.
    pub by_weekday: bool,
}

/// The usual reach: see [`Method::Mad`].
const DEVIATIONS: f64 = 3.5;

/// The usual reach of the methods by standard deviations.
const STANDARD_DEVIATIONS: f64 = 3.0;

impl Monitor {
    fn usual(metric: Metric, direction: Direction, least_width: LeastWidth) -> Self {
        let method = Method::Mad {
            deviations: DEVIATIONS,
        };
        Monitor {
            metric,
            segment_by: None,
            per: Per::Day,
            detector: Detector {
                method,
                direction,
                minimum_history: method.usual_history(),
                least_width,
                weekday_too: false,
            },
            by_weekday: false,
        }
    }

    /// What is watched of every dataset: rows per day, the share of rejected rows, the completeness of
    /// each of `columns`. Rows per day are compared with those of the same weekday once there are
    /// enough weeks.
    pub fn defaults<'a>(columns: impl IntoIterator<Item = &'a str>) -> Vec<Monitor> {
        let share = LeastWidth {
            absolute: 0.02,
            relative: 0.0,
        };
        let rows = LeastWidth {
            absolute: 0.0,
            relative: 0.25,
        };
        let mut monitors = vec![
            Monitor {
                by_weekday: true,
                ..Monitor::usual(Metric::RowCount, Direction::Both, rows)
            },
            Monitor::usual(Metric::RejectedShare, Direction::Up, share),
        ];
        monitors.extend(columns.into_iter().map(|column| {
            Monitor::usual(
                Metric::Completeness(column.to_owned()),
                Direction::Down,
                share,
            )
        }));
        monitors
    }

    /// Reads the `anomaly` mapping of a contract's rule:
    /// `{ metric, method, direction, minimumHistory, per, segmentBy, most, deviations, factor, level,
    /// trend, season, leastAbsolute, leastRelative }`. Only `metric` is needed.
    ///
    /// # Errors
    /// The name of the wrong entry, what is wrong with it, and what to write.
    pub fn parse(mapping: &Map<String, Value>) -> Result<Self, Fault> {
        let known = |name: &str| KEYS.contains(&name);
        if let Some(name) = mapping.keys().find(|name| !known(name)) {
            return Err(Fault::new(
                name,
                format!("unknown entry '{name}'"),
                format!("the entries are {}", KEYS.join(", ")),
            ));
        }
        let text = |name: &str| match mapping.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(other) => Err(Fault::new(
                name,
                format!("{name} must be a text, not {other}"),
                "put it in quotes",
            )),
        };
        let number = |name: &str, default: f64, least: f64, most: f64| match mapping.get(name) {
            None => Ok(default),
            Some(value) => value
                .as_f64()
                .filter(|value| (least..=most).contains(value))
                .ok_or_else(|| {
                    Fault::new(
                        name,
                        format!("{name} must be a number from {least} to {most}, not {value}"),
                        format!("write for example {name}: {default}"),
                    )
                }),
        };
        let name = text("metric")?.ok_or_else(|| {
            Fault::new("metric", "the metric is missing", "write metric: row_count")
        })?;
        let metric = Metric::parse(name).ok_or_else(|| {
            Fault::new(
                "metric",
                format!("unknown metric '{name}'"),
                "use row_count, rejected_share, arrival_seconds_of_day, latency_seconds, \
                 completeness:<column>, distinct:<column>, mean:<column>, sum:<column>, \
                 quantile:<p>:<column> or share:<column>=<value>",
            )
        })?;
        const EVER: f64 = f64::MAX;
        let reach = |default| number("deviations", default, 0.1, 100.0);
        let most = || {
            number("most", f64::NAN, 0.0, EVER).and_then(|most| {
                if most.is_nan() {
                    return Err(Fault::new(
                        "most",
                        "the method needs to know the greatest change",
                        "write most: 0.2",
                    ));
                }
                Ok(most)
            })
        };
        let method = match text("method")?.unwrap_or("mad") {
            "absoluteChange" => Method::AbsoluteChange { most: most()? },
            "relativeChange" => Method::RelativeChange { most: most()? },
            "onlineNormal" => Method::OnlineNormal {
                deviations: reach(STANDARD_DEVIATIONS)?,
            },
            "mad" => Method::Mad {
                deviations: reach(DEVIATIONS)?,
            },
            "iqr" => Method::Iqr {
                factor: number("factor", 1.5, 0.1, 100.0)?,
            },
            "seasonalMad" => Method::SeasonalMad {
                deviations: reach(DEVIATIONS)?,
            },
            "holtWinters" => {
                let usual = Smoothing::default();
                Method::HoltWinters {
                    deviations: reach(STANDARD_DEVIATIONS)?,
                    smoothing: Smoothing {
                        level: number("level", usual.level, 0.0, 1.0)?,
                        trend: number("trend", usual.trend, 0.0, 1.0)?,
                        season: number("season", usual.season, 0.0, 1.0)?,
                    },
                }
            }
            other => {
                return Err(Fault::new(
                    "method",
                    format!("unknown method '{other}'"),
                    "use absoluteChange, relativeChange, onlineNormal, mad, iqr, seasonalMad or holtWinters",
                ));
            }
        };
        let direction = match text("direction")?.unwrap_or("both") {
            "up" => Direction::Up,
            "down" => Direction::Down,
            "both" => Direction::Both,
            other => {
                return Err(Fault::new(
                    "direction",
                    format!("unknown direction '{other}'"),
                    "use up, down or both",
                ));
            }
        };
        let per = match text("per")?.unwrap_or("day") {
            "day" => Per::Day,
            "run" => Per::Run,
            other => {
                return Err(Fault::new(
                    "per",
                    format!("unknown per '{other}'"),
                    "use day or run",
                ));
            }
        };
        let seasonal = matches!(
            method,
            Method::SeasonalMad { .. } | Method::HoltWinters { .. }
        );
        if seasonal && per == Per::Run {
            return Err(Fault::new(
                "per",
                format!("{} compares days", method.name()),
                "write per: day",
            ));
        }
        let segment_by = text("segmentBy")?;
        if segment_by.is_some() && metric != Metric::RowCount {
            return Err(Fault::new(
                "segmentBy",
                "only row_count is measured by segment",
                "remove segmentBy, or write metric: row_count",
            ));
        }
        let least = method.least_history() as f64;
        let history = number(
            "minimumHistory",
            method.usual_history() as f64,
            least,
            1000.0,
        )?;
        if history.fract() != 0.0 {
            return Err(Fault::new(
                "minimumHistory",
                "minimumHistory must be a whole number",
                format!("write minimumHistory: {}", method.usual_history()),
            ));
        }
        Ok(Monitor {
            metric,
            segment_by: segment_by.map(str::to_owned),
            per,
            detector: Detector {
                method,
                direction,
                minimum_history: history as usize,
                least_width: LeastWidth {
                    absolute: number("leastAbsolute", 0.0, 0.0, EVER)?,
                    relative: number("leastRelative", 0.0, 0.0, EVER)?,
                },
                weekday_too: false,
            },
            by_weekday: false,
        })
    }

    fn watches(&self, dataset: &str, key: &SeriesKey) -> bool {
        key.dataset == dataset
            && key.metric == self.metric.to_string()
            && match (&self.segment_by, &key.segment) {
                (None, None) => true,
                (Some(column), Some(segment)) => segment
                    .strip_prefix(column)
                    .is_some_and(|rest| rest.starts_with('=')),
                _ => false,
            }
    }

    fn nature(&self) -> Nature {
        match &self.metric {
            Metric::RowCount | Metric::Distinct(_) => Nature::Count,
            metric if metric.is_share() => Nature::Share,
            metric if metric.is_never_negative() => Nature::Size,
            _ => Nature::Number,
        }
    }
}

const KEYS: [&str; 14] = [
    "metric",
    "method",
    "direction",
    "minimumHistory",
    "per",
    "segmentBy",
    "most",
    "deviations",
    "factor",
    "level",
    "trend",
    "season",
    "leastAbsolute",
    "leastRelative",
];

/// What is wrong with a monitor of a contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The entry.
    pub entry: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

impl Fault {
    fn new(entry: &str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Fault {
            entry: entry.to_owned(),
            message: message.into(),
            help: help.into(),
        }
    }
}

/// Where an anomaly stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Nobody has judged it.
    Open,
    /// Something was wrong.
    Confirmed,
    /// Nothing was.
    Dismissed,
}

impl Status {
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

/// A value that its history does not let one expect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Anomaly {
    /// `<dataset>/<metric>/<day or run>`, with the segment in brackets behind the metric.
    pub id: String,
    /// The dataset.
    pub dataset: String,
    /// The metric's name.
    pub metric: String,
    /// `column=value`; None for all rows.
    pub segment: Option<String>,
    /// Whether the value is of a day or of a run.
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
    /// Where it stands.
    pub status: Status,
    /// What people said of it.
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
    /// Values of which nothing can be said for want of history.
    pub not_enough_history: u64,
}

/// Values of the history that an anomaly shows.
const SHOWN: usize = 28;

/// A dataset comes daily where so many of its days had rows.
const DAILY: f64 = 0.8;

/// What is known when values are judged.
pub struct Evidence<'a> {
    /// The histories per day.
    pub by_day: &'a Histories,
    /// The histories per run.
    pub by_run: &'a Histories,
    /// What people said, by anomaly.
    pub feedback: &'a BTreeMap<&'a str, &'a Feedback>,
    /// Now: a day that has not ended is judged upwards alone.
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
            if monitor.watches(dataset, key) {
                let filled = filled(monitor, key, points, last.min(evidence.as_of.date_naive()));
                judge(monitor, key, &filled, evidence, (first, last), &mut watched);
            }
        }
    }
    watched.anomalies.sort_by(|a, b| a.id.cmp(&b.id));
    // A contract may watch by two methods what is one value.
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

fn judge(
    monitor: &Monitor,
    key: &SeriesKey,
    points: &[Filled],
    evidence: &Evidence<'_>,
    (first, last): (NaiveDate, NaiveDate),
    watched: &mut Watched,
) {
    let today = evidence.as_of.date_naive();
    let id_of = |point: &Point| {
        let segment = key
            .segment
            .as_ref()
            .map_or_else(String::new, |segment| format!("[{segment}]"));
        let at = match monitor.per {
            Per::Day => point.day.to_string(),
            Per::Run => point.run_id.clone(),
        };
        format!("{}/{}{segment}/{at}", key.dataset, key.metric)
    };
    let mut history: Vec<Observation> = Vec::new();
    for (point, missing) in points {
        let id = id_of(point);
        let said = evidence.feedback.get(id.as_str());
        let now = point.observation();
        let unfinished = monitor.per == Per::Day && point.day >= today;
        if (first..=last).contains(&point.day) && !(unfinished && *missing) {
            let detector = detector(monitor, &history, now.day);
            match detector.judge(monitor.nature(), &history, now) {
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
                        status: match said.map(|said| said.judgement) {
                            None => Status::Open,
                            Some(Judgement::Confirmed) => Status::Confirmed,
                            Some(Judgement::Dismissed) => Status::Dismissed,
                        },
                        note: said.and_then(|said| said.note.clone()),
                        history: history[history.len().saturating_sub(SHOWN)..]
                            .iter()
                            .map(|seen| HistoryPoint {
                                day: seen.day,
                                value: seen.value,
                            })
                            .collect(),
                    });
                }
                Verdict::Expected(_) | Verdict::Anomaly { .. } => watched.expected += 1,
            }
        }
        if said.is_none_or(|said| said.judgement != Judgement::Confirmed) {
            history.push(now);
        }
    }
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

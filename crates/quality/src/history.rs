//! The history of metrics: their values per UTC day and per run.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};

use super::anomaly::Observation;
use super::result::{Kind, ResultRow};
use tarn_contract::metric::{Combine, Metric};

/// A metric, and the rows that it is measured over.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeriesKey {
    /// The dataset.
    pub dataset: String,
    /// The metric's name.
    pub metric: String,
    /// `column=value`; None for all rows.
    pub segment: Option<String>,
}

/// A value of a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Its day.
    pub day: NaiveDate,
    /// The end of its (last) run.
    pub at: DateTime<Utc>,
    /// That run.
    pub run_id: String,
    /// The value.
    pub value: f64,
    /// Rows that it was measured over.
    pub rows: u64,
}

impl Point {
    /// The point as methods see it.
    pub fn observation(&self) -> Observation {
        Observation {
            day: self.day,
            value: self.value,
            rows: self.rows,
        }
    }
}

/// The values of each metric in order of time.
pub type Histories = BTreeMap<SeriesKey, Vec<Point>>;

fn key(row: &ResultRow) -> SeriesKey {
    SeriesKey {
        dataset: row.dataset.clone(),
        metric: row.name.clone(),
        segment: row.segment.clone(),
    }
}

/// One value per run. `rows` are those that count: see [`super::result::effective`].
pub fn by_run(rows: &[&ResultRow]) -> Histories {
    let mut found = Histories::new();
    for row in rows.iter().filter(|row| row.kind == Kind::Metric) {
        let Some(value) = row.value else { continue };
        found.entry(key(row)).or_default().push(Point {
            day: row.day,
            at: row.ended_at,
            run_id: row.run_id.clone(),
            value,
            rows: row.checked,
        });
    }
    for points in found.values_mut() {
        points.sort_by(|a, b| (a.at, &a.run_id).cmp(&(b.at, &b.run_id)));
    }
    found
}

/// One value per day: the values of its runs taken together, as [`Metric::combine`] says.
pub fn by_day(rows: &[&ResultRow]) -> Histories {
    let mut days: BTreeMap<SeriesKey, BTreeMap<NaiveDate, Vec<&ResultRow>>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.kind == Kind::Metric) {
        days.entry(key(row))
            .or_default()
            .entry(row.day)
            .or_default()
            .push(row);
    }
    days.into_iter()
        .filter_map(|(key, days)| {
            let metric = Metric::parse(&key.metric)?;
            let points = days
                .into_values()
                .filter_map(|rows| day_of(&metric, &rows))
                .collect();
            Some((key, points))
        })
        .collect()
}

fn day_of(metric: &Metric, rows: &[&ResultRow]) -> Option<Point> {
    let last = rows
        .iter()
        .max_by_key(|row| (row.ended_at, row.run_id.as_str()))?;
    let values = || {
        rows.iter()
            .filter_map(|row| Some((row.value?, row.checked)))
    };
    let checked: u64 = rows.iter().map(|row| row.checked).sum();
    let counted: u64 = rows.iter().map(|row| row.failed).sum();
    let value = match metric.combine() {
        Combine::Sum => values().map(|(value, _)| value).sum(),
        Combine::Greatest => values()
            .map(|(value, _)| value)
            .fold(f64::NEG_INFINITY, f64::max),
        Combine::Mean => {
            let weight: f64 = values().map(|(_, rows)| rows as f64).sum();
            let sum: f64 = values().map(|(value, rows)| value * rows as f64).sum();
            sum / weight
        }
        Combine::Share => {
            let counted = counted as f64 / checked as f64;
            match metric {
                // The count is of rows without a value.
                Metric::Completeness(_) => 1.0 - counted,
                _ => counted,
            }
        }
    };
    value.is_finite().then(|| Point {
        day: last.day,
        at: last.ended_at,
        run_id: last.run_id.clone(),
        value,
        rows: checked,
    })
}

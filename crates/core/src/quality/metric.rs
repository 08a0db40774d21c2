//! What is measured of the rows of a dataset, by name.

use std::fmt;

use crate::run::{DatasetOutcome, RunKind, RunRecord};

/// A metric of a dataset.
#[derive(Debug, Clone, PartialEq)]
pub enum Metric {
    /// `row_count`: rows received.
    RowCount,
    /// `rejected_share`: rejected rows as a share of those received, from 0 to 1.
    RejectedShare,
    /// `arrival_seconds_of_day`: when the last object of a day arrived, in seconds since the day's
    /// begin (UTC).
    ArrivalSecondsOfDay,
    /// `latency_seconds`: from the put of the object to the end of its run.
    LatencySeconds,
    /// `completeness:<column>`: the share of rows with a value that is neither blank nor a sentinel.
    Completeness(String),
    /// `distinct:<column>`: distinct values in an object.
    Distinct(String),
    /// `mean:<column>`
    Mean(String),
    /// `sum:<column>`
    Sum(String),
    /// `quantile:<p>:<column>`, p from 0 to 1.
    Quantile(f64, String),
    /// `share:<column>=<category>`: the share of rows that have this value.
    Share(String, String),
}

/// How the values of several objects of a day become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Combine {
    /// They are added.
    Sum,
    /// What was counted is added, and the share is of the sums.
    Share,
    /// The mean, weighted by rows. Exact for a mean; for a quantile an approximation.
    Mean,
    /// The greatest.
    Greatest,
}

impl Metric {
    /// The metric of that name; None where there is none.
    pub fn parse(name: &str) -> Option<Self> {
        let (kind, rest) = name.split_once(':').unwrap_or((name, ""));
        let column = || (!rest.is_empty()).then(|| rest.to_owned());
        match kind {
            "row_count" if rest.is_empty() => Some(Metric::RowCount),
            "rejected_share" if rest.is_empty() => Some(Metric::RejectedShare),
            "arrival_seconds_of_day" if rest.is_empty() => Some(Metric::ArrivalSecondsOfDay),
            "latency_seconds" if rest.is_empty() => Some(Metric::LatencySeconds),
            "completeness" => column().map(Metric::Completeness),
            "distinct" => column().map(Metric::Distinct),
            "mean" => column().map(Metric::Mean),
            "sum" => column().map(Metric::Sum),
            "quantile" => {
                let (p, column) = rest.split_once(':')?;
                let p: f64 = p.parse().ok()?;
                ((0.0..=1.0).contains(&p) && !column.is_empty())
                    .then(|| Metric::Quantile(p, column.to_owned()))
            }
            "share" => {
                let (column, category) = rest.split_once('=')?;
                (!column.is_empty()).then(|| Metric::Share(column.to_owned(), category.to_owned()))
            }
            _ => None,
        }
    }

    /// The column that it looks at.
    pub fn column(&self) -> Option<&str> {
        match self {
            Metric::RowCount
            | Metric::RejectedShare
            | Metric::ArrivalSecondsOfDay
            | Metric::LatencySeconds => None,
            Metric::Completeness(column)
            | Metric::Distinct(column)
            | Metric::Mean(column)
            | Metric::Sum(column)
            | Metric::Quantile(_, column)
            | Metric::Share(column, _) => Some(column),
        }
    }

    /// How the values of a day's objects become one.
    pub fn combine(&self) -> Combine {
        match self {
            Metric::RowCount | Metric::Sum(_) => Combine::Sum,
            Metric::RejectedShare | Metric::Completeness(_) | Metric::Share(..) => Combine::Share,
            Metric::Mean(_) | Metric::Quantile(..) => Combine::Mean,
            Metric::ArrivalSecondsOfDay | Metric::LatencySeconds | Metric::Distinct(_) => {
                Combine::Greatest
            }
        }
    }

    /// Whether its values are shares, from 0 to 1.
    pub fn is_share(&self) -> bool {
        self.combine() == Combine::Share
    }

    /// Whether its values count things or time, and so are never below 0.
    pub fn is_never_negative(&self) -> bool {
        !matches!(
            self,
            Metric::Mean(_) | Metric::Sum(_) | Metric::Quantile(..)
        )
    }

    /// The metric for people: `rows`, `completeness of channel`.
    pub fn words(&self) -> String {
        match self {
            Metric::RowCount => "rows".to_owned(),
            Metric::RejectedShare => "share of rejected rows".to_owned(),
            Metric::ArrivalSecondsOfDay => "time of arrival".to_owned(),
            Metric::LatencySeconds => "latency".to_owned(),
            Metric::Completeness(column) => format!("completeness of {column}"),
            Metric::Distinct(column) => format!("distinct values of {column}"),
            Metric::Mean(column) => format!("mean of {column}"),
            Metric::Sum(column) => format!("sum of {column}"),
            Metric::Quantile(p, column) if *p == 0.5 => format!("median of {column}"),
            Metric::Quantile(p, column) => format!("{p} quantile of {column}"),
            Metric::Share(column, category) => format!("share of {column} = {category}"),
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Metric::RowCount => f.write_str("row_count"),
            Metric::RejectedShare => f.write_str("rejected_share"),
            Metric::ArrivalSecondsOfDay => f.write_str("arrival_seconds_of_day"),
            Metric::LatencySeconds => f.write_str("latency_seconds"),
            Metric::Completeness(column) => write!(f, "completeness:{column}"),
            Metric::Distinct(column) => write!(f, "distinct:{column}"),
            Metric::Mean(column) => write!(f, "mean:{column}"),
            Metric::Sum(column) => write!(f, "sum:{column}"),
            Metric::Quantile(p, column) => write!(f, "quantile:{p}:{column}"),
            Metric::Share(column, category) => write!(f, "share:{column}={category}"),
        }
    }
}

/// What one run measured of one dataset.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// What.
    pub metric: Metric,
    /// Of which rows: `column=value`; None for all.
    pub segment: Option<String>,
    /// Rows (or values) that were looked at.
    pub rows: u64,
    /// Of a share: those counted against it (missing, rejected) or, for a category, those that have it.
    pub counted: u64,
    /// The value.
    pub value: f64,
}

fn share(part: u64, all: u64) -> f64 {
    if all == 0 {
        return 0.0;
    }
    part as f64 / all as f64
}

/// Everything that a run measured of a dataset.
pub fn measured(run: &RunRecord, outcome: &DatasetOutcome) -> Vec<Measured> {
    let all = |metric, rows, counted, value| Measured {
        metric,
        segment: None,
        rows,
        counted,
        value,
    };
    let received = outcome.received;
    let mut found = vec![
        all(Metric::RowCount, received, 0, received as f64),
        all(
            Metric::RejectedShare,
            received,
            outcome.rejected,
            share(outcome.rejected, received),
        ),
    ];
    let begin_of_day = run.day().and_time(chrono::NaiveTime::MIN).and_utc();
    // An object that was put into the folder of another day says nothing of the hour.
    let arrived = run.put_at.unwrap_or(run.started_at);
    if arrived.date_naive() == run.day() {
        let seconds = (arrived - begin_of_day).num_seconds() as f64;
        found.push(all(Metric::ArrivalSecondsOfDay, received, 0, seconds));
    }
    // What is read again was in the table before: it says nothing of how soon it came.
    if let (RunKind::Ingest, Some(put), Some(ended)) = (run.kind, run.put_at, run.ended_at) {
        let seconds = (ended - put).num_milliseconds() as f64 / 1000.0;
        found.push(all(Metric::LatencySeconds, received, 0, seconds.max(0.0)));
    }
    for profile in &outcome.profile {
        let column = || profile.column.clone();
        let missing = profile.nulls + profile.blanks + profile.sentinels;
        let values = profile.rows.saturating_sub(profile.nulls);
        if profile.rows > 0 {
            found.push(all(
                Metric::Completeness(column()),
                profile.rows,
                missing,
                1.0 - share(missing, profile.rows),
            ));
        }
        if let Some(distinct) = profile.distinct {
            found.push(all(Metric::Distinct(column()), values, 0, distinct as f64));
        }
        if let Some(mean) = profile.mean {
            found.push(all(Metric::Mean(column()), values, 0, mean));
        }
        // The text is exact; a history of sums is compared with a tolerance far above a rounding.
        if let Some(sum) = profile.sum.as_deref().and_then(|sum| sum.parse().ok()) {
            found.push(all(Metric::Sum(column()), values, 0, sum));
        }
        for quantile in &profile.quantiles {
            let metric = Metric::Quantile(quantile.p, column());
            found.push(all(metric, values, 0, quantile.value));
        }
        for category in &profile.categories {
            let value = share(category.rows, profile.rows);
            found.push(all(
                Metric::Share(column(), category.value.clone()),
                profile.rows,
                category.rows,
                value,
            ));
            found.push(Measured {
                metric: Metric::RowCount,
                segment: Some(format!("{}={}", profile.column, category.value)),
                rows: category.rows,
                counted: 0,
                value: category.rows as f64,
            });
        }
    }
    found.extend(of_partitions(outcome));
    found.retain(|measured| measured.value.is_finite());
    found
}

/// Rows per partition, and the completeness of the columns of which values are missing there: of the
/// other columns it is 1.
fn of_partitions(outcome: &DatasetOutcome) -> Vec<Measured> {
    let Some(found) = &outcome.partitions else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for part in &found.partitions {
        let mut add = |metric, counted, value| {
            all.push(Measured {
                metric,
                segment: Some(format!("{}={}", found.column, part.partition)),
                rows: part.rows,
                counted,
                value,
            });
        };
        add(Metric::RowCount, 0, part.rows as f64);
        for one in &part.missing {
            let missing = one.nulls + one.blanks + one.sentinels;
            add(
                Metric::Completeness(one.column.clone()),
                missing,
                1.0 - share(missing, part.rows),
            );
        }
    }
    all
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::profile::{
        Category, ColumnProfile, MissingCounts, PartitionProfile, PartitionProfiles,
    };

    #[test]
    fn a_metric_is_read_from_the_name_that_it_writes() {
        for name in [
            "row_count",
            "rejected_share",
            "arrival_seconds_of_day",
            "latency_seconds",
            "completeness:channel",
            "distinct:channel",
            "mean:total",
            "sum:total",
            "quantile:0.95:total",
            "share:channel=web",
            "share:channel=a=b:c",
            "share:channel=",
        ] {
            let metric = Metric::parse(name).unwrap();
            assert_eq!(metric.to_string(), name);
        }
        for name in [
            "",
            "rows",
            "row_count:x",
            "mean",
            "mean:",
            "quantile:2:total",
            "quantile:total",
            "share:channel",
        ] {
            assert_eq!(Metric::parse(name), None, "{name}");
        }
    }

    #[test]
    fn blanks_and_sentinels_count_as_missing_and_categories_as_segments() {
        let outcome = DatasetOutcome {
            dataset: "orders".to_owned(),
            received: 10,
            accepted: 8,
            rejected: 2,
            profile: vec![ColumnProfile {
                column: "channel".to_owned(),
                rows: 10,
                nulls: 1,
                blanks: 2,
                sentinels: 1,
                sum: Some("12.50".to_owned()),
                categories: vec![Category {
                    value: "web".to_owned(),
                    rows: 5,
                }],
                ..ColumnProfile::default()
            }],
            ..DatasetOutcome::default()
        };
        let run = RunRecord::begin("1".to_owned(), "raw/a/b/x", chrono::Utc::now());
        let outcome = DatasetOutcome {
            partitions: Some(PartitionProfiles {
                column: "order_time".to_owned(),
                partitions: vec![PartitionProfile {
                    partition: "2026-01".to_owned(),
                    rows: 8,
                    missing: vec![MissingCounts {
                        column: "channel".to_owned(),
                        nulls: 1,
                        blanks: 0,
                        sentinels: 1,
                    }],
                }],
                left_out: 0,
            }),
            ..outcome
        };
        let found = measured(&run, &outcome);
        let value = |name: &str, segment: Option<&str>| {
            found
                .iter()
                .find(|one| one.metric.to_string() == name && one.segment.as_deref() == segment)
                .map(|one| (one.rows, one.counted, one.value))
        };
        assert_eq!(value("row_count", None), Some((10, 0, 10.0)));
        assert_eq!(value("rejected_share", None), Some((10, 2, 0.2)));
        assert_eq!(value("completeness:channel", None), Some((10, 4, 0.6)));
        let month = Some("order_time=2026-01");
        assert_eq!(value("row_count", month), Some((8, 0, 8.0)));
        assert_eq!(value("completeness:channel", month), Some((8, 2, 0.75)));
        assert_eq!(value("sum:channel", None), Some((9, 0, 12.5)));
        assert_eq!(value("share:channel=web", None), Some((10, 5, 0.5)));
        assert_eq!(value("row_count", Some("channel=web")), Some((5, 0, 5.0)));
    }
}

//! What a run measured in a dataset.

use tarn_contract::metric::Metric;
use tarn_core::run::{DatasetOutcome, RunKind, RunRecord};

/// A value that a run measured in a dataset.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// What.
    pub metric: Metric,
    /// The rows that were measured, as `column=value`; None for all.
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

/// Everything that a run measured in a dataset.
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
    // An object that was put into the folder of another day says nothing about the hour.
    let arrived = run.put_at.unwrap_or(run.started_at);
    if arrived.date_naive() == run.day() {
        let seconds = (arrived - begin_of_day).num_seconds() as f64;
        found.push(all(Metric::ArrivalSecondsOfDay, received, 0, seconds));
    }
    // Rows that are read again were in the table before, so they say nothing about latency.
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

/// Rows per partition, and the completeness of the columns with missing values there. The completeness of
/// other columns is 1.
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
    use tarn_core::profile::{
        Category, ColumnProfile, MissingCounts, PartitionProfile, PartitionProfiles,
    };

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

//! Metrics in CloudWatch's embedded metric format: a line of the log from which CloudWatch takes
//! values, without a call to its API.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>
//!
//! Each line is of the level INFO and has a time, as Lambda wants it of lines that its level filter is
//! to judge; it takes a line without them for INFO too. `TARN_LOG` does not apply, and Terraform never
//! sets Lambda's filter stricter than INFO: metrics are written whatever is logged.
//! <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html>

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};
use tarn_contract::Contracts;
use tarn_core::run::RunStatus;
use tarn_ingest::Ingested;
use tarn_quality_function::{Freshness, Measures};

use crate::log::write_line;

/// Writes metrics of one namespace.
#[derive(Debug, Clone)]
pub struct Metrics {
    namespace: String,
}

/// A value with its unit as CloudWatch names it.
type Measured = (&'static str, &'static str, f64);

impl Metrics {
    /// Metrics of that namespace.
    pub fn new(namespace: String) -> Self {
        Metrics { namespace }
    }

    /// What a run did, per dataset.
    pub fn run(&self, ingested: &Ingested, contracts: &Contracts) {
        for line in self.lines_of_run(ingested, contracts, Utc::now()) {
            write_line(&line);
        }
    }

    /// How old the newest rows of each dataset are.
    pub fn freshness(&self, found: &[Freshness]) {
        let now = Utc::now();
        for dataset in found {
            let measured = [("FreshnessSeconds", "Seconds", dataset.seconds as f64)];
            write_line(&self.line(&dataset.dataset, &measured, &[], now));
        }
    }

    /// How good each dataset is: its score, missed service levels, anomalies that are not judged.
    pub fn quality(&self, found: &[Measures]) {
        for line in self.lines_of_quality(found, Utc::now()) {
            write_line(&line);
        }
    }

    fn lines_of_quality(&self, found: &[Measures], now: DateTime<Utc>) -> Vec<Map<String, Value>> {
        found
            .iter()
            .map(|dataset| {
                // Zeros too: an alarm needs to see that nothing is broken.
                let mut measured = vec![
                    (
                        "PromiseBroken",
                        "Count",
                        dataset.missed_service_levels as f64,
                    ),
                    ("AnomaliesFound", "Count", dataset.open_anomalies as f64),
                ];
                if let Some(score) = dataset.score {
                    measured.push(("QualityScore", "Percent", 100.0 * score));
                }
                self.line(&dataset.dataset, &measured, &[], now)
            })
            .collect()
    }

    fn lines_of_run(
        &self,
        ingested: &Ingested,
        contracts: &Contracts,
        now: DateTime<Utc>,
    ) -> Vec<Map<String, Value>> {
        let run = &ingested.run;
        let more = [
            ("runId", Value::from(run.run_id.clone())),
            ("key", Value::from(run.key.clone())),
        ];
        match run.status {
            RunStatus::Failed => contracts
                .claiming(&run.key)
                .into_iter()
                .map(|contract| {
                    let failed = [("RunsFailed", "Count", 1.0)];
                    self.line(&contract.dataset, &failed, &more, now)
                })
                .collect(),
            RunStatus::Succeeded => run
                .datasets
                .iter()
                .map(|outcome| {
                    let mut measured = vec![
                        ("RowsReceived", "Count", outcome.received as f64),
                        ("RowsAccepted", "Count", outcome.accepted as f64),
                        ("RowsRejected", "Count", outcome.rejected as f64),
                        // An alarm needs to see that nothing failed.
                        ("RunsFailed", "Count", 0.0),
                    ];
                    if let (Some(put), Some(ended)) = (ingested.put_at, run.ended_at) {
                        let seconds = (ended - put).num_milliseconds() as f64 / 1000.0;
                        measured.push(("IngestLatencySeconds", "Seconds", seconds.max(0.0)));
                    }
                    self.line(&outcome.dataset, &measured, &more, now)
                })
                .collect(),
            RunStatus::Running | RunStatus::Skipped => Vec::new(),
        }
    }

    fn line(
        &self,
        dataset: &str,
        measured: &[Measured],
        more: &[(&str, Value)],
        now: DateTime<Utc>,
    ) -> Map<String, Value> {
        let names: Vec<Value> = measured
            .iter()
            .map(|(name, unit, _)| json!({ "Name": name, "Unit": unit }))
            .collect();
        let mut line = Map::new();
        let time = now.to_rfc3339_opts(SecondsFormat::Millis, true);
        line.insert("timestamp".to_owned(), time.into());
        line.insert("level".to_owned(), "INFO".into());
        line.insert(
            "_aws".to_owned(),
            json!({
                "Timestamp": now.timestamp_millis(),
                "CloudWatchMetrics": [{
                    "Namespace": self.namespace,
                    "Dimensions": [["Dataset"]],
                    "Metrics": names,
                }],
            }),
        );
        line.insert("Dataset".to_owned(), dataset.into());
        for (name, value) in more {
            line.insert((*name).to_owned(), value.clone());
        }
        for (name, _, value) in measured {
            line.insert((*name).to_owned(), (*value).into());
        }
        line
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeMap;

    use tarn_core::run::{DatasetOutcome, RunRecord};

    use super::*;

    fn ingested(status: RunStatus) -> Ingested {
        let put: DateTime<Utc> = "2026-01-31T10:00:00Z".parse().unwrap();
        Ingested {
            run: RunRecord {
                run_id: "0197".to_owned(),
                key: "raw/web/access_logs/a.log".to_owned(),
                version: String::new(),
                bytes: 1,
                status,
                reason: None,
                error_kind: None,
                retryable: false,
                started_at: put,
                ended_at: Some(put + chrono::TimeDelta::milliseconds(2500)),
                datasets: vec![DatasetOutcome {
                    dataset: "web_requests".to_owned(),
                    received: 10,
                    accepted: 9,
                    rejected: 1,
                    ..DatasetOutcome::default()
                }],
                kind: tarn_core::run::RunKind::Ingest,
                unclaimed_tables: BTreeMap::new(),
                put_at: None,
                seconds: None,
                peak_memory_bytes: None,
                program_version: None,
                skipped: None,
                deletions_confirmed: false,
                warnings: Vec::new(),
            },
            put_at: Some(put),
        }
    }

    fn lines(status: RunStatus) -> Vec<Map<String, Value>> {
        let metrics = Metrics::new("Tarn".to_owned());
        let contracts = tarn_contract::load_dir(std::path::Path::new("../../contracts")).unwrap();
        let now = "2026-01-31T10:00:03Z".parse().unwrap();
        metrics.lines_of_run(&ingested(status), &contracts, now)
    }

    #[test]
    fn a_run_that_succeeded_counts_rows_and_latency() {
        let found = lines(RunStatus::Succeeded);
        assert_eq!(
            Value::from(found[0].clone()),
            json!({
                "timestamp": "2026-01-31T10:00:03.000Z",
                "level": "INFO",
                "_aws": {
                    "Timestamp": 1_769_853_603_000_i64,
                    "CloudWatchMetrics": [{
                        "Namespace": "Tarn",
                        "Dimensions": [["Dataset"]],
                        "Metrics": [
                            { "Name": "RowsReceived", "Unit": "Count" },
                            { "Name": "RowsAccepted", "Unit": "Count" },
                            { "Name": "RowsRejected", "Unit": "Count" },
                            { "Name": "RunsFailed", "Unit": "Count" },
                            { "Name": "IngestLatencySeconds", "Unit": "Seconds" },
                        ],
                    }],
                },
                "Dataset": "web_requests",
                "runId": "0197",
                "key": "raw/web/access_logs/a.log",
                "RowsReceived": 10.0, "RowsAccepted": 9.0, "RowsRejected": 1.0, "RunsFailed": 0.0,
                "IngestLatencySeconds": 2.5,
            })
        );
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn a_dataset_without_a_score_still_says_that_nothing_is_broken() {
        let metrics = Metrics::new("Tarn".to_owned());
        let of = |score| Measures {
            dataset: "orders".to_owned(),
            score,
            missed_service_levels: 0,
            open_anomalies: 2,
        };
        let now = "2026-01-31T10:00:03Z".parse().unwrap();
        let lines = metrics.lines_of_quality(&[of(Some(0.995)), of(None)], now);
        assert_eq!(lines[0]["QualityScore"], 99.5);
        for line in &lines {
            assert_eq!(line["PromiseBroken"], 0.0);
            assert_eq!(line["AnomaliesFound"], 2.0);
            assert_eq!(line["Dataset"], "orders");
        }
        assert!(!lines[1].contains_key("QualityScore"));
    }

    #[test]
    fn a_run_that_failed_counts_for_the_dataset_of_its_key_and_a_skipped_one_for_none() {
        let found = lines(RunStatus::Failed);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0]["Dataset"], "web_requests");
        assert_eq!(found[0]["RunsFailed"], 1.0);
        assert_eq!(lines(RunStatus::Skipped), []);
    }
}

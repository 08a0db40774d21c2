//! What the runs found about the quality of each dataset.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use tarn_core::run::{CheckResult, RunRecord, RunStatus};

/// The quality of a dataset over some runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DatasetQuality {
    /// The dataset.
    pub dataset: String,
    /// Runs that added rows to it.
    pub runs: u64,
    /// Rows received in those runs.
    pub received: u64,
    /// Rows accepted.
    pub accepted: u64,
    /// Rows rejected.
    pub rejected: u64,
    /// Rejected rows per rule.
    pub rejected_by: BTreeMap<String, u64>,
    /// Rules whose verdict was a failure in some run, with the sums of what was looked at and broken.
    pub failed_checks: Vec<CheckResult>,
    /// Rules that held in every run.
    pub passed_checks: u64,
    /// Runs whose row counts did not agree with the source's own.
    pub mismatched: u64,
}

impl DatasetQuality {
    /// Whether no rule but warnings was broken and every count agreed with its source.
    pub fn passed(&self) -> bool {
        self.mismatched == 0
            && self.rejected == 0
            && self
                .failed_checks
                .iter()
                .all(|check| check.severity == "warn")
    }
}

/// A rule by its text and column.
type ChecksByRule<'a> = BTreeMap<(&'a str, Option<&'a str>), CheckResult>;

/// Sums up the runs that succeeded, per dataset in name order.
pub fn summary(runs: &[RunRecord]) -> Vec<DatasetQuality> {
    let mut datasets: BTreeMap<&str, (DatasetQuality, ChecksByRule<'_>)> = BTreeMap::new();
    let succeeded = runs.iter().filter(|run| run.status == RunStatus::Succeeded);
    for outcome in succeeded.flat_map(|run| &run.datasets) {
        let (quality, checks) = datasets.entry(&outcome.dataset).or_default();
        quality.runs += 1;
        quality.received += outcome.received;
        quality.accepted += outcome.accepted;
        quality.rejected += outcome.rejected;
        for (rule, count) in &outcome.rejected_by {
            *quality.rejected_by.entry(rule.clone()).or_default() += count;
        }
        if outcome
            .reconciliation
            .as_ref()
            .is_some_and(|found| !found.matches)
        {
            quality.mismatched += 1;
        }
        for check in &outcome.checks {
            checks
                .entry((&check.rule, check.column.as_deref()))
                .and_modify(|sum| {
                    sum.checked += check.checked;
                    sum.failed += check.failed;
                    sum.passed &= check.passed;
                })
                .or_insert_with(|| check.clone());
        }
    }
    datasets
        .into_iter()
        .map(|(dataset, (quality, checks))| {
            let (passed, failed): (Vec<_>, Vec<_>) =
                checks.into_values().partition(|check| check.passed);
            DatasetQuality {
                dataset: dataset.to_owned(),
                passed_checks: passed.len() as u64,
                failed_checks: failed,
                ..quality
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use chrono::Utc;
    use tarn_core::run::DatasetOutcome;

    fn run(status: RunStatus, outcome: DatasetOutcome) -> RunRecord {
        RunRecord {
            run_id: "1".to_owned(),
            key: "k".to_owned(),
            version: "v".to_owned(),
            bytes: 0,
            status,
            reason: None,
            error_kind: None,
            retryable: false,
            started_at: Utc::now(),
            ended_at: None,
            datasets: vec![outcome],
            kind: tarn_core::run::RunKind::Ingest,
            unclaimed_tables: BTreeMap::new(),
            put_at: None,
            seconds: None,
            peak_memory_bytes: None,
            program_version: None,
            skipped: None,
            deletions_confirmed: false,
            warnings: Vec::new(),
        }
    }

    fn check(failed: u64, passed: bool) -> CheckResult {
        CheckResult {
            rule: "a is required".to_owned(),
            column: Some("a".to_owned()),
            dimension: "completeness".to_owned(),
            severity: "reject".to_owned(),
            checked: 10,
            failed,
            passed,
            ..CheckResult::default()
        }
    }

    #[test]
    fn runs_of_a_dataset_are_summed_and_failed_runs_left_out() {
        let outcome = |accepted, rejected, check| DatasetOutcome {
            dataset: "orders".to_owned(),
            received: accepted + rejected,
            accepted,
            rejected,
            rejected_by: BTreeMap::from([("a.required".to_owned(), rejected)]),
            checks: vec![check],
            ..DatasetOutcome::default()
        };
        let found = summary(&[
            run(RunStatus::Succeeded, outcome(9, 1, check(1, false))),
            run(RunStatus::Succeeded, outcome(10, 0, check(0, true))),
            run(RunStatus::Failed, outcome(5, 5, check(5, false))),
        ]);
        let [orders] = found.as_slice() else {
            panic!("{found:?}")
        };
        assert_eq!(
            (
                orders.runs,
                orders.received,
                orders.accepted,
                orders.rejected
            ),
            (2, 20, 19, 1)
        );
        assert_eq!(orders.failed_checks.len(), 1);
        assert_eq!(
            (
                orders.failed_checks[0].checked,
                orders.failed_checks[0].failed
            ),
            (20, 1)
        );
        assert!(!orders.passed());
    }
}

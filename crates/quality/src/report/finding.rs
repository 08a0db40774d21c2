//! What needs attention, in sentences.

use super::input::Input;
use super::{DatasetReport, FailedRun, Finding, Gravity, RuleReport};
use crate::result::DRIFT;
use crate::score::{is_about_rows, is_of_a_number, percent};
use crate::service_level::ServiceLevelState;
use crate::watch::{Anomaly, Status};
use tarn_contract::metric::Metric;
use tarn_core::text::duration;
use tarn_core::text::{count, number};

/// A number of a metric, for people.
pub(super) fn shown(metric: &str, value: f64) -> String {
    match Metric::parse(metric) {
        Some(metric) if metric.is_share() => percent(value),
        Some(Metric::LatencySeconds) => duration(value),
        Some(Metric::ArrivalSecondsOfDay) => {
            let minutes = (value / 60.0).floor();
            format!("{:02.0}:{:02.0}", (minutes / 60.0).floor(), minutes % 60.0)
        }
        Some(Metric::RowCount | Metric::Distinct(_)) => number(value.round()),
        _ => number(value),
    }
}

/// A distance between two values of a metric, for people.
fn distance(metric: &str, value: f64) -> String {
    match Metric::parse(metric) {
        Some(metric) if metric.is_share() => format!("{:.1} points", 100.0 * value),
        Some(Metric::ArrivalSecondsOfDay) => duration(value),
        _ => shown(metric, value),
    }
}

/// An anomaly in a sentence.
pub fn sentence(anomaly: &Anomaly) -> String {
    let metric = Metric::parse(&anomaly.metric);
    let segment = anomaly
        .segment
        .as_ref()
        .map_or_else(String::new, |segment| format!(" of {segment}"));
    let show = |value| shown(&anomaly.metric, value);
    if metric == Some(Metric::RowCount) && anomaly.run_id.is_none() {
        return format!(
            "no rows on {}, expected {} to {}",
            anomaly.day,
            show(anomaly.expected.low),
            show(anomaly.expected.high)
        );
    }
    let words = metric.map_or(anomaly.metric.clone(), |metric| metric.words());
    format!(
        "{words}{segment}: {}, expected {} to {}; {} by {}",
        show(anomaly.value),
        show(anomaly.expected.low),
        show(anomaly.expected.high),
        if anomaly.above { "above" } else { "below" },
        distance(&anomaly.metric, anomaly.missed_by)
    )
}

/// What needs attention, the gravest first.
pub(super) fn findings(
    datasets: &[DatasetReport],
    anomalies: &[Anomaly],
    service_levels: &[ServiceLevelState],
    failed_runs: &[FailedRun],
    input: &Input<'_>,
) -> Vec<Finding> {
    let owner = |dataset: &str| {
        input
            .contracts
            .get(dataset)
            .and_then(|contract| contract.owner.clone())
    };
    let mut found: Vec<Finding> = Vec::new();
    found.extend(
        failed_runs
            .iter()
            .filter(|run| !run.repaired)
            .map(|run| Finding {
                gravity: Gravity::Failure,
                kind: "failed_run".to_owned(),
                dataset: run.dataset.clone(),
                name: run.run_id.clone(),
                text: format!("a run failed: {}", run.reason),
                owner: owner(&run.dataset),
            }),
    );
    found.extend(
        service_levels
            .iter()
            .filter(|state| state.met == Some(false))
            .map(|state| Finding {
                gravity: Gravity::Failure,
                kind: "promise".to_owned(),
                dataset: state.dataset.clone(),
                name: state.kind.as_str().to_owned(),
                text: format!("service level: {}; found {}", state.text, state.found()),
                owner: owner(&state.dataset),
            }),
    );
    found.extend(
        anomalies
            .iter()
            .filter(|one| one.status != Status::Dismissed)
            .map(|one| Finding {
                gravity: if one.run_id.is_none() {
                    Gravity::Failure
                } else {
                    Gravity::Problem
                },
                kind: "anomaly".to_owned(),
                dataset: one.dataset.clone(),
                name: one.id.clone(),
                text: sentence(one),
                owner: owner(&one.dataset),
            }),
    );
    for dataset in datasets {
        found.extend(dataset.broken.iter().map(|rule| Finding {
            gravity: if is_warning(&rule.severity) {
                Gravity::Warning
            } else {
                Gravity::Problem
            },
            kind: "rule".to_owned(),
            dataset: dataset.dataset.clone(),
            name: rule.name.clone(),
            text: rule_sentence(rule),
            owner: rule.owner.clone(),
        }));
    }
    found.sort_by_key(|finding| finding.gravity);
    found
}

fn rule_sentence(rule: &RuleReport) -> String {
    if rule.kind.as_deref() == Some(DRIFT) {
        return rule.text.clone();
    }
    match (rule.value, &rule.expected) {
        (Some(value), Some(expected)) if !is_about_rows(rule.kind.as_deref()) => {
            format!("{}: {}, expected {expected}", rule.text, number(value))
        }
        // There was no value to measure, or it is made of personal ones.
        (None, Some(expected)) if is_of_a_number(rule.kind.as_deref()) => {
            format!("{}: not as expected, which is {expected}", rule.text)
        }
        _ => format!(
            "{}: broken by {} of {} rows",
            rule.text,
            count(rule.failed),
            count(rule.checked)
        ),
    }
}

/// Whether rules of the severity warn.
pub(super) fn is_warning(severity: &str) -> bool {
    severity.starts_with("warn")
}

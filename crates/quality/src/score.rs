//! Scores: how much of what the rules ask for the data fulfils.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::result::{Kind, ResultRow};
use tarn_contract::kinds::{RuleKind, Scope};

/// Passed weight out of total weight.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Score {
    passed: f64,
    total: f64,
}

impl Score {
    /// Adds what a rule found. A rule about rows weighs as much as the rows that it looked at, and passes
    /// with those that did not break it. A rule about a number (a count, a share, a sum) passes with all
    /// rows or with none; it weighs at least 1, so that a rule that found no rows is not forgotten.
    pub fn add(&mut self, row: &ResultRow) {
        let weight = row.checked.max(1) as f64;
        self.total += weight;
        self.passed += if row.passed {
            weight
        } else if row.checked == 0 || is_about_a_number(row) {
            0.0
        } else {
            weight - row.failed.min(row.checked) as f64
        };
    }

    /// From 0 to 1; None where nothing was asked.
    pub fn value(self) -> Option<f64> {
        (self.total > 0.0).then(|| self.passed / self.total)
    }
}

fn is_about_a_number(row: &ResultRow) -> bool {
    let kind = row.rule_kind.as_deref();
    is_of_a_number(kind) || (row.value.is_some() && !is_about_rows(kind))
}

/// Whether a rule of that kind compares a number, even if there was no number or it is not shown because
/// its column is personal.
pub(super) fn is_of_a_number(kind: Option<&str>) -> bool {
    kind.and_then(RuleKind::parse)
        .is_some_and(|kind| kind.definition().scope != Scope::Row)
}

/// Whether a rule of that kind is kept or broken by each row.
pub(super) fn is_about_rows(kind: Option<&str>) -> bool {
    kind.and_then(RuleKind::parse)
        .is_some_and(|kind| kind.definition().scope == Scope::Row)
}

/// The score of the rules of one quality dimension.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DimensionScore {
    /// The dimension.
    pub dimension: String,
    /// From 0 to 1.
    pub score: f64,
    /// Rules of it.
    pub rules: u64,
    /// Those that were broken.
    pub broken: u64,
}

/// The score over all rules among the rows, and that of each dimension in name order.
pub fn scores<'a>(
    rows: impl IntoIterator<Item = &'a ResultRow>,
) -> (Option<f64>, Vec<DimensionScore>) {
    let mut all = Score::default();
    let mut dimensions: BTreeMap<&str, (Score, BTreeMap<&str, bool>)> = BTreeMap::new();
    for row in rows.into_iter().filter(|row| row.kind == Kind::Rule) {
        all.add(row);
        let dimension = row.dimension.as_deref().unwrap_or("other");
        let (score, rules) = dimensions.entry(dimension).or_default();
        score.add(row);
        *rules.entry(&row.name).or_default() |= !row.passed;
    }
    let dimensions = dimensions
        .into_iter()
        .filter_map(|(dimension, (score, rules))| {
            Some(DimensionScore {
                dimension: dimension.to_owned(),
                score: score.value()?,
                rules: rules.len() as u64,
                broken: rules.values().filter(|broken| **broken).count() as u64,
            })
        })
        .collect();
    (all.value(), dimensions)
}

/// A score in per cent with one digit after the decimal point, rounded down: only a perfect score is
/// 100.0 %.
pub fn percent(score: f64) -> String {
    // Thousandths of one; the small addend undoes binary fractions such as 0.29 * 1000 = 289.99….
    let thousandths = (score.clamp(0.0, 1.0) * 1000.0 + 1e-9).floor();
    format!("{:.1} %", thousandths / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_about_rows_is_broken_by_some_and_one_about_a_number_by_all() {
        let of = |kind: &str| {
            let run = tarn_core::run::RunRecord {
                status: tarn_core::run::RunStatus::Succeeded,
                datasets: vec![tarn_core::run::DatasetOutcome {
                    received: 100,
                    accepted: 100,
                    checks: vec![tarn_core::run::CheckResult {
                        id: "a".to_owned(),
                        kind: kind.to_owned(),
                        dimension: "consistency".to_owned(),
                        checked: 100,
                        failed: 3,
                        value: Some(3.0),
                        ..tarn_core::run::CheckResult::default()
                    }],
                    ..tarn_core::run::DatasetOutcome::default()
                }],
                ..tarn_core::run::RunRecord::begin(String::new(), "raw/a/b/c", chrono::Utc::now())
            };
            let rows = super::super::result::rows_of(&run, &tarn_contract::Contracts::default());
            let (_, dimensions) = scores(&rows);
            let found = dimensions
                .into_iter()
                .find(|one| one.dimension == "consistency");
            found.map(|one| one.score)
        };
        assert_eq!(of("reference"), Some(0.97));
        assert_eq!(of("rowCount"), Some(0.0));
    }

    #[test]
    fn only_a_perfect_score_is_shown_as_one_hundred() {
        for (score, shown) in [
            (1.0, "100.0 %"),
            (0.999_999, "99.9 %"),
            (0.29, "29.0 %"),
            (0.0, "0.0 %"),
        ] {
            assert_eq!(percent(score), shown);
        }
    }
}

#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;

use chrono::{NaiveTime, TimeDelta};

use super::*;
use crate::result::{ResultRow, rows_of};
use tarn_contract::Contracts;
use tarn_core::profile::ColumnProfile;
use tarn_core::run::{CheckResult, DatasetOutcome, RunRecord, RunStatus};

fn date(number: i64) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 1, 5).unwrap() + TimeDelta::days(number)
}

/// The run of a day: rows, how many of them repeat others, how many have no channel.
fn run(number: i64, rows: u64, repeated: u64, nulls: u64) -> RunRecord {
    let at = date(number).and_hms_opt(3, 0, 0).unwrap().and_utc();
    RunRecord {
        status: RunStatus::Succeeded,
        ended_at: Some(at + TimeDelta::seconds(2)),
        put_at: Some(at),
        seconds: Some(2.0),
        datasets: vec![DatasetOutcome {
            dataset: "ad_events".to_owned(),
            contract_version: "1.2.0".to_owned(),
            snapshot_id: Some(7_000 + number),
            received: rows,
            accepted: rows - repeated,
            rejected: repeated,
            rejected_by: [("duplicate".to_owned(), repeated)].into(),
            checks: vec![CheckResult {
                id: "channel.nullValues".to_owned(),
                rule: "few rows lack <channel>".to_owned(),
                dimension: "completeness".to_owned(),
                severity: "warn".to_owned(),
                checked: rows,
                failed: nulls,
                passed: nulls * 10 < rows,
                value: Some(100.0 * nulls as f64 / rows as f64),
                expected: Some("less than 10 per cent".to_owned()),
                ..CheckResult::default()
            }],
            profile: vec![ColumnProfile {
                column: "channel".to_owned(),
                rows,
                nulls,
                ..ColumnProfile::default()
            }],
            ..DatasetOutcome::default()
        }],
        ..RunRecord::begin(
            format!("run-{number:02}"),
            &format!("raw/ads/events/ingest_date={}/a.json", date(number)),
            at,
        )
    }
}

/// Twenty days like one another, but for those that `fault` changes.
fn rows(fault: impl Fn(i64) -> Option<(u64, u64, u64)>) -> Vec<ResultRow> {
    (0..20)
        .filter_map(|number| {
            let (rows, repeated, nulls) = fault(number)?;
            Some(run(number, rows + number as u64 % 7, repeated, nulls))
        })
        .flat_map(|run| rows_of(&run, &Contracts::default()))
        .collect()
}

fn of_day(rows: &[ResultRow], number: i64) -> Report {
    let input = Input {
        rows,
        contracts: &Contracts::default(),
        feedback: &[],
        seen: &BTreeMap::new(),
        as_of: date(number + 1).and_time(NaiveTime::MIN).and_utc(),
    };
    day(&input, date(number))
}

fn found(report: &Report) -> Vec<&str> {
    report
        .findings
        .iter()
        .map(|finding| finding.name.as_str())
        .collect()
}

#[test]
fn each_seeded_fault_is_found_and_named_and_nothing_else_is() {
    let usual = (1_000, 0, 20);
    type Fault = Option<(u64, u64, u64)>;
    let cases: [(&str, Fault, &[&str]); 5] = [
        ("a usual day", Some(usual), &[]),
        ("a dropped day", None, &["ad_events/row_count/2026-01-23"]),
        (
            "a volume spike",
            Some((4_000, 0, 80)),
            &["ad_events/row_count/2026-01-23"],
        ),
        (
            "a fall of completeness",
            Some((1_000, 0, 400)),
            &[
                "ad_events/completeness:channel/2026-01-23",
                "channel.nullValues",
            ],
        ),
        (
            "repeated rows",
            Some((1_000, 300, 20)),
            &["ad_events/rejected_share/2026-01-23", "duplicate"],
        ),
    ];
    for (what, fault, names) in cases {
        let rows = rows(|number| if number == 18 { fault } else { Some(usual) });
        let report = of_day(&rows, 18);
        assert_eq!(found(&report), names, "{what}: {:#?}", report.findings);
        // The days before are quiet.
        for number in 0..18 {
            assert_eq!(
                found(&of_day(&rows, number)),
                [""; 0],
                "{what}, day {number}"
            );
        }
    }
}

#[test]
fn a_report_is_reproducible_and_knows_nothing_of_later_days() {
    let all = rows(|_| Some((1_000, 3, 20)));
    let before: Vec<ResultRow> = all
        .iter()
        .filter(|row| row.day <= date(9))
        .cloned()
        .collect();
    let (now, then) = (of_day(&all, 9), of_day(&before, 9));
    assert_eq!(now, then);
    let text = serde_json::to_string(&now).unwrap();
    assert_eq!(html(&now), html(&serde_json::from_str(&text).unwrap()));
    let mut shuffled = all.clone();
    shuffled.reverse();
    assert_eq!(of_day(&shuffled, 9), now);
}

#[test]
fn scores_weigh_rules_by_the_rows_they_looked_at() {
    let rows = rows(|_| Some((993, 0, 500)));
    // Day 7 has 993 rows: the rule about a number is lost as a whole, that rows can be read holds.
    let report = of_day(&rows, 7);
    let score = |name: &str| {
        let dimensions = &report.datasets[0].dimensions;
        dimensions
            .iter()
            .find(|one| one.dimension == name)
            .unwrap()
            .score
    };
    assert_eq!((score("completeness"), score("conformity")), (0.0, 1.0));
    // Completeness 0, conformity 1, uniqueness 1, each of 993 rows.
    assert!((report.score.unwrap() - 2.0 / 3.0).abs() < 1e-12);
    assert_eq!(report.datasets[0].snapshot_id, Some(7_007));
    assert_eq!(
        report.datasets[0].contract_version.as_deref(),
        Some("1.2.0")
    );
}

#[test]
fn a_run_is_reported_as_of_its_end() {
    let rows = rows(|number| (number != 12).then_some((1_000, 1, 20)));
    let input = Input {
        rows: &rows,
        contracts: &Contracts::default(),
        feedback: &[],
        seen: &BTreeMap::new(),
        as_of: date(300).and_time(NaiveTime::MIN).and_utc(),
    };
    let report = super::run(&input, "run-11").unwrap();
    assert_eq!(
        report.as_of,
        date(11).and_hms_opt(3, 0, 2).unwrap().and_utc()
    );
    assert_eq!(report.totals.received, 1_004);
    assert_eq!(found(&report), ["duplicate"]);
    assert!(super::run(&input, "run-12").is_none());
}

#[test]
fn text_of_the_data_is_escaped_and_nothing_is_fetched() {
    let page = html(&of_day(&rows(|_| Some((100, 0, 60))), 9));
    assert!(page.contains("few rows lack &lt;channel&gt;"));
    for fetched in ["<script", "http://", "https://", "<img", "@import", "url("] {
        assert!(!page.contains(fetched), "{fetched}");
    }
    assert!(page.contains("default-src 'none'"));
}

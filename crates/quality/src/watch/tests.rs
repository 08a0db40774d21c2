#![allow(clippy::unwrap_used)]

use super::*;

fn date(number: i64) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 1, 5).unwrap() + TimeDelta::days(number)
}

fn histories(values: &[Option<f64>]) -> Histories {
    let key = SeriesKey {
        dataset: "events".to_owned(),
        metric: "row_count".to_owned(),
        segment: None,
    };
    let points = values
        .iter()
        .enumerate()
        .filter_map(|(index, value)| {
            let day = date(index as i64);
            Some(Point {
                day,
                at: day.and_hms_opt(12, 0, 0)?.and_utc(),
                run_id: format!("run-{index}"),
                value: (*value)?,
                rows: 1_000,
            })
        })
        .collect();
    Histories::from([(key, points)])
}

fn found(values: &[Option<f64>], feedback: &[Feedback], as_of: i64) -> Vec<(String, Status)> {
    let by_day = histories(values);
    let said = tarn_core::feedback::current(feedback, DateTime::<Utc>::MAX_UTC);
    let evidence = Evidence {
        by_day: &by_day,
        by_run: &Histories::new(),
        feedback: &said,
        as_of: date(as_of).and_hms_opt(6, 0, 0).unwrap().and_utc(),
    };
    let watched = watch(
        "events",
        &Monitor::defaults([]),
        &evidence,
        (date(0), date(365)),
    );
    watched
        .anomalies
        .into_iter()
        .map(|one| (one.id, one.status))
        .collect()
}

#[test]
fn a_day_without_rows_is_an_anomaly_once_it_has_ended() {
    let mut values: Vec<Option<f64>> = (0..12).map(|n| Some(1_000.0 + f64::from(n))).collect();
    values[9] = None;
    let missing = ("events/row_count/2026-01-14".to_owned(), Status::Open);
    assert_eq!(found(&values, &[], 12), std::slice::from_ref(&missing));
    // The dataset stops: each further day is missing, today is not over.
    let stopped = found(&values, &[], 14);
    assert_eq!(
        stopped,
        [
            missing,
            ("events/row_count/2026-01-17".to_owned(), Status::Open),
            ("events/row_count/2026-01-18".to_owned(), Status::Open),
        ]
    );
}

#[test]
fn a_dataset_that_comes_now_and_then_misses_no_day() {
    let values: Vec<Option<f64>> = (0..40).map(|n| (n % 4 == 0).then_some(1_000.0)).collect();
    assert_eq!(found(&values, &[], 40), []);
}

#[test]
fn a_weekly_rhythm_is_learned_after_four_weeks() {
    let of_day = |n: i64| match date(n).format("%u").to_string().as_str() {
        "6" => 300.0,
        "7" => 100.0,
        _ => 1_000.0 + (n % 3) as f64 * 10.0,
    };
    let mut values: Vec<Option<f64>> = (0..42).map(|n| Some(of_day(n))).collect();
    // A Sunday that is like a Monday.
    values[41] = Some(1_000.0);
    let found = found(&values, &[], 42);
    let late: Vec<&str> = found
        .iter()
        .map(|(id, _)| id.as_str())
        .filter(|id| *id > "events/row_count/2026-02-02")
        .collect();
    assert_eq!(late, ["events/row_count/2026-02-15"]);
}

#[test]
fn what_people_confirm_leaves_the_history_and_what_they_dismiss_stays() {
    // From the ninth day on the shop is five times as big.
    let values: Vec<Option<f64>> = (0..28)
        .map(|n| Some(if n < 8 { 100.0 } else { 500.0 + f64::from(n) }))
        .collect();
    let say = |judgement, days: std::ops::Range<i64>| -> Vec<Feedback> {
        days.map(|n| Feedback {
            anomaly: format!("events/row_count/{}", date(n)),
            judgement,
            note: None,
            at: DateTime::UNIX_EPOCH,
        })
        .collect()
    };
    let statuses = |feedback: &[Feedback]| -> Vec<Status> {
        found(&values, feedback, 28)
            .into_iter()
            .map(|(_, status)| status)
            .collect()
    };
    let open = statuses(&[]);
    let confirmed = statuses(&say(Judgement::Confirmed, 8..28));
    let dismissed = statuses(&say(Judgement::Dismissed, 8..28));
    // Left out, the history goes on as it was, and every later day is unusual.
    assert_eq!(confirmed, vec![Status::Confirmed; 20]);
    // Kept, it gets used to the new size, after as many days as it had of the old one.
    assert!(open.len() < 12 && dismissed.len() == open.len(), "{open:?}");
}

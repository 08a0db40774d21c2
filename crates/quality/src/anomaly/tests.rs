#![allow(clippy::unwrap_used)]
use chrono::TimeDelta;
use proptest::prelude::*;

use super::*;
use Direction::{Both, Down, Up};
use tarn_contract::detector::{LeastWidth, Smoothing};

fn day(number: i64) -> NaiveDate {
    // A Monday.
    NaiveDate::from_ymd_opt(2026, 1, 5).unwrap() + TimeDelta::days(number)
}

fn observations(values: &[f64]) -> Vec<Observation> {
    values
        .iter()
        .enumerate()
        .map(|(index, value)| Observation {
            day: day(index as i64),
            value: *value,
            rows: 1_000,
        })
        .collect()
}

fn detector(method: Method, direction: Direction) -> Detector {
    Detector {
        method,
        direction,
        minimum_history: method.least_history(),
        least_width: LeastWidth::default(),
        weekday_too: false,
    }
}

fn judge(method: Method, direction: Direction, history: &[f64], value: f64) -> Verdict {
    let now = Observation {
        day: day(history.len() as i64),
        value,
        rows: 1_000,
    };
    super::judge(
        &detector(method, direction),
        Nature::Number,
        &observations(history),
        now,
    )
}

const WEEKS: [f64; 28] = [
    100., 110., 120., 110., 130., 40., 30., 102., 108., 121., 112., 128., 42., 31., 99., 111.,
    119., 109., 131., 39., 29., 101., 109., 122., 111., 129., 41., 30.,
];

const HISTORY: [f64; 8] = [10., 12., 11., 9., 10., 13., 11., 10.];

const HOLT_WINTERS: Method = Method::HoltWinters {
    deviations: 3.0,
    smoothing: Smoothing {
        level: 0.3,
        trend: 0.05,
        season: 0.2,
    },
};

/// Method, direction, history, value, expected range, and by how much it is missed (None: expected).
type Case = (
    Method,
    Direction,
    &'static [f64],
    f64,
    Option<(f64, f64)>,
    Option<f64>,
);

/// The ranges are NumPy's for the same history.
const CASES: [Case; 12] = [
    (
        Method::AbsoluteChange { most: 3.0 },
        Both,
        &[5., 10.],
        13.0,
        Some((7., 13.)),
        None,
    ),
    (
        Method::AbsoluteChange { most: 3.0 },
        Both,
        &[5., 10.],
        13.5,
        Some((7., 13.)),
        Some(0.5),
    ),
    (
        Method::RelativeChange { most: 0.2 },
        Both,
        &[5., 10.],
        7.0,
        Some((8., 12.)),
        Some(1.0),
    ),
    (
        Method::RelativeChange { most: 0.2 },
        Up,
        &[5., 10.],
        7.0,
        Some((8., 12.)),
        None,
    ),
    (
        Method::RelativeChange { most: 0.2 },
        Down,
        &[5., -10.],
        -13.0,
        Some((-12., -8.)),
        Some(1.0),
    ),
    (
        Method::OnlineNormal { deviations: 3.0 },
        Both,
        &HISTORY,
        15.0,
        Some((6.904_780_3, 14.595_219_7)),
        Some(0.404_780_3),
    ),
    (
        Method::OnlineNormal { deviations: 3.0 },
        Both,
        &HISTORY,
        14.0,
        Some((6.904_780_3, 14.595_219_7)),
        None,
    ),
    (
        Method::Mad { deviations: 3.5 },
        Both,
        &HISTORY,
        16.0,
        Some((7.5707487, 13.4292513)),
        Some(2.5707487),
    ),
    (
        Method::Iqr { factor: 1.5 },
        Both,
        &HISTORY,
        8.0,
        Some((8.125, 13.125)),
        Some(0.125),
    ),
    (
        Method::SeasonalMad { deviations: 3.5 },
        Both,
        &WEEKS,
        45.0,
        Some((93.4272461, 107.5727539)),
        Some(48.4272461),
    ),
    (
        Method::SeasonalMad { deviations: 3.5 },
        Both,
        &WEEKS,
        100.0,
        Some((93.4272461, 107.5727539)),
        None,
    ),
    (HOLT_WINTERS, Both, &WEEKS, 100.0, None, None),
];

#[test]
fn every_method_finds_its_range_and_says_by_how_much_it_was_missed() {
    for (method, direction, history, value, range, missed) in CASES {
        let verdict = judge(method, direction, history, value);
        let (found, missed_by) = match verdict {
            Verdict::Expected(range) => (range, None),
            Verdict::Anomaly {
                range, missed_by, ..
            } => (range, Some(missed_by)),
            Verdict::NotEnoughHistory { .. } => panic!("{method:?}: {verdict:?}"),
        };
        let close = |a: f64, b: f64| (a - b).abs() < 1e-6;
        if let Some((low, high)) = range {
            assert!(
                close(found.low, low) && close(found.high, high),
                "{method:?}: {found:?}"
            );
        }
        match (missed_by, missed) {
            (None, None) => {}
            (Some(a), Some(b)) if close(a, b) => {}
            _ => panic!("{method:?} of {value}: {verdict:?}, not {missed:?}"),
        }
    }
    assert!(judge(HOLT_WINTERS, Direction::Both, &WEEKS, 40.0).is_anomaly());
}

#[test]
fn too_little_history_is_no_pass() {
    for (method, history) in [
        (Method::AbsoluteChange { most: 1.0 }, 0),
        (Method::OnlineNormal { deviations: 3.0 }, 2),
        (Method::Mad { deviations: 3.5 }, 2),
        (Method::Iqr { factor: 1.5 }, 3),
        // Fourteen days have two values of the same weekday.
        (Method::SeasonalMad { deviations: 3.5 }, 14),
        (
            Method::HoltWinters {
                deviations: 3.0,
                smoothing: Smoothing::default(),
            },
            13,
        ),
    ] {
        let values = vec![1.0; history];
        assert!(
            matches!(
                judge(method, Direction::Both, &values, 1e9),
                Verdict::NotEnoughHistory { .. }
            ),
            "{method:?}"
        );
    }
    let asked = Detector {
        minimum_history: 20,
        ..detector(Method::Mad { deviations: 3.5 }, Direction::Both)
    };
    let now = observations(&[1.0])[0];
    assert_eq!(
        super::judge(&asked, Nature::Number, &observations(&[1.0; 19]), now),
        Verdict::NotEnoughHistory { have: 19, need: 20 }
    );
}

#[test]
fn a_count_that_never_was_zero_may_not_become_zero() {
    let mad = detector(Method::Mad { deviations: 3.5 }, Direction::Both);
    // So spread that the range would reach below 0.
    let history = observations(&[5., 50., 500., 3., 80., 9., 200.]);
    let none = Observation {
        value: 0.0,
        ..history[0]
    };
    assert!(super::judge(&mad, Nature::Count, &history, none).is_anomaly());
    let mut with_zero = history.clone();
    with_zero[2].value = 0.0;
    assert!(!super::judge(&mad, Nature::Count, &with_zero, none).is_anomaly());
}

#[test]
fn a_share_may_vary_as_chance_lets_it() {
    let mad = detector(Method::Mad { deviations: 3.5 }, Direction::Both);
    let of = |rows, value| Observation {
        rows,
        value,
        day: day(9),
    };
    let history: Vec<Observation> = observations(&[0.5; 9]);
    // Of ten rows 0.7 is chance, of ten thousand it is not.
    assert!(!super::judge(&mad, Nature::Share, &history, of(10, 0.7)).is_anomaly());
    assert!(super::judge(&mad, Nature::Share, &history, of(10_000, 0.7)).is_anomaly());
}

fn methods() -> impl Strategy<Value = Method> {
    prop_oneof![
        (0.0f64..100.0).prop_map(|most| Method::AbsoluteChange { most }),
        (0.0f64..2.0).prop_map(|most| Method::RelativeChange { most }),
        (0.5f64..5.0).prop_map(|deviations| Method::OnlineNormal { deviations }),
        (0.5f64..5.0).prop_map(|deviations| Method::Mad { deviations }),
        (0.5f64..5.0).prop_map(|factor| Method::Iqr { factor }),
        (0.5f64..5.0).prop_map(|deviations| Method::SeasonalMad { deviations }),
        (0.5f64..5.0).prop_map(|deviations| Method::HoltWinters {
            deviations,
            smoothing: Smoothing::default()
        }),
    ]
}

proptest! {
    /// Whatever the history: the range is a range, a value is an anomaly exactly where it lies outside
    /// of it, and one direction finds a part of what both find.
    #[test]
    fn a_verdict_agrees_with_its_range(
        method in methods(),
        history in prop::collection::vec(-1e6f64..1e6, 0..60),
        value in -1e7f64..1e7,
    ) {
        let both = judge(method, Direction::Both, &history, value);
        let up = judge(method, Direction::Up, &history, value);
        let down = judge(method, Direction::Down, &history, value);
        match both {
            Verdict::NotEnoughHistory { have, need } => {
                prop_assert!(have < need);
                prop_assert_eq!(up, both);
            }
            Verdict::Expected(range) => {
                prop_assert!(range.low <= value && value <= range.high);
                prop_assert!(!up.is_anomaly() && !down.is_anomaly());
            }
            Verdict::Anomaly { range, missed_by, above } => {
                prop_assert!(range.low <= range.high && missed_by > 0.0);
                let end = if above { range.high } else { range.low };
                prop_assert!(((value - end).abs() - missed_by).abs() < 1e-6);
                prop_assert_eq!(up.is_anomaly(), above);
                prop_assert_eq!(down.is_anomaly(), !above);
            }
        }
    }

    /// A history and a value that are moved together are judged alike by the methods about places.
    #[test]
    fn moving_everything_changes_no_verdict(
        method in methods(),
        history in prop::collection::vec(-1000i32..1000, 3..40),
        value in -3000i32..3000,
    ) {
        prop_assume!(!matches!(method, Method::RelativeChange { .. }));
        let moved = |by: f64| {
            let history: Vec<f64> = history.iter().map(|value| f64::from(*value) + by).collect();
            judge(method, Direction::Both, &history, f64::from(value) + by)
        };
        let (here, there) = (moved(0.0), moved(4096.0));
        // A value at the very end of a range may fall on either side by rounding.
        if let Verdict::Anomaly { missed_by, .. } = here && missed_by > 1e-6 {
            prop_assert!(there.is_anomaly());
        }
    }
}

//! Precision and recall of the anomaly methods on seeded series: `cargo xtask bench --only anomalies`.
//!
//! Each series is 140 days of a daily row count. From the 36th day on one day in 25 is changed: it has no
//! rows, half of them, twice or three times as many. Every day from the 36th on is judged by those before
//! it; days that were changed are left out of the history, as confirmed anomalies are. The numbers are
//! the same on every machine.

use std::error::Error;

use chrono::{Days, NaiveDate};
use tarn_contract::detector::{Detector, Direction, LeastWidth, Method, Smoothing};
use tarn_contract::monitor::Monitor;
use tarn_quality::anomaly::{Nature, Observation};

const SERIES: u64 = 200;
const DAYS: u64 = 140;
const JUDGED_FROM: u64 = 35;
/// As far back as reports look.
const HISTORY: usize = 60;

/// SplitMix64: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to 1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Standard normal, by Box and Muller.
    fn normal(&mut self) -> f64 {
        let (a, b) = (1.0 - self.unit(), self.unit());
        (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
    }
}

#[derive(Clone, Copy)]
enum Shape {
    /// The same level every day, 8 per cent of noise.
    Level,
    /// Weekends at 40 and 25 per cent of the level.
    Weekly,
    /// Like weekly, and growing by half over the series.
    Growing,
    /// About ten rows a day, at random.
    Small,
}

impl Shape {
    const ALL: [(&'static str, Shape); 4] = [
        ("level", Shape::Level),
        ("weekly", Shape::Weekly),
        ("weekly, growing", Shape::Growing),
        ("small", Shape::Small),
    ];

    fn value(self, day: u64, dice: &mut Dice) -> f64 {
        let noise = 1.0 + 0.08 * dice.normal();
        let weekly = match day % 7 {
            5 => 0.4,
            6 => 0.25,
            weekday => 1.0 + 0.03 * weekday as f64,
        };
        let value = match self {
            Shape::Level => 5_000.0 * noise,
            Shape::Weekly => 5_000.0 * weekly * noise,
            Shape::Growing => {
                let growth = 1.0 + 0.5 * day as f64 / DAYS as f64;
                5_000.0 * growth * weekly * noise
            }
            Shape::Small => 10.0 + 10.0_f64.sqrt() * dice.normal(),
        };
        value.round().max(1.0)
    }
}

/// The rows of a day that is changed.
fn fault(value: f64, dice: &mut Dice) -> f64 {
    match dice.next() % 4 {
        0 => 0.0,
        1 => (value * 0.5).floor(),
        2 => value * 2.0,
        _ => value * 3.0,
    }
}

#[derive(Default)]
struct Tally {
    found: u64,
    missed: u64,
    false_alarms: u64,
    right: u64,
}

fn judge(detector: &Detector, shape: Shape, tally: &mut Tally) -> Option<()> {
    for series in 0..SERIES {
        let mut dice = Dice(series);
        let mut history: Vec<Observation> = Vec::new();
        for number in 0..DAYS {
            let usual = shape.value(number, &mut dice);
            let changed = dice.next().is_multiple_of(25) && number >= JUDGED_FROM;
            let value = if changed {
                fault(usual, &mut dice)
            } else {
                usual
            };
            let now = Observation {
                day: NaiveDate::from_ymd_opt(2026, 1, 5)?.checked_add_days(Days::new(number))?,
                value,
                rows: value as u64,
            };
            if number >= JUDGED_FROM {
                let known = &history[history.len().saturating_sub(HISTORY)..];
                let verdict = tarn_quality::anomaly::judge(detector, Nature::Count, known, now);
                let count = match (verdict.is_anomaly(), changed) {
                    (true, true) => &mut tally.found,
                    (false, true) => &mut tally.missed,
                    (true, false) => &mut tally.false_alarms,
                    (false, false) => &mut tally.right,
                };
                *count += 1;
            }
            if !changed {
                history.push(now);
            }
        }
    }
    Some(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let plain = |method: Method| Detector {
        method,
        direction: Direction::Both,
        minimum_history: method.usual_history(),
        least_width: LeastWidth::default(),
        weekday_too: false,
    };
    let usual = Monitor::defaults([])
        .into_iter()
        .next()
        .ok_or("there is no usual monitor")?
        .detector;
    let seasonal = Detector {
        method: Method::SeasonalMad { deviations: 3.5 },
        ..usual
    };
    let cases = [
        (
            "absoluteChange, 2,000",
            plain(Method::AbsoluteChange { most: 2_000.0 }),
        ),
        (
            "relativeChange, 0.4",
            plain(Method::RelativeChange { most: 0.4 }),
        ),
        (
            "onlineNormal, 3",
            plain(Method::OnlineNormal { deviations: 3.0 }),
        ),
        ("mad, 3.5", plain(Method::Mad { deviations: 3.5 })),
        ("iqr, 1.5", plain(Method::Iqr { factor: 1.5 })),
        (
            "seasonalMad, 3.5",
            plain(Method::SeasonalMad { deviations: 3.5 }),
        ),
        (
            "holtWinters, 3",
            plain(Method::HoltWinters {
                deviations: 3.0,
                smoothing: Smoothing::default(),
            }),
        ),
        ("the usual monitor", seasonal),
    ];
    println!("| method | series | precision | recall | false alarms per series and year |");
    println!("|---|---|---:|---:|---:|");
    for (name, detector) in cases {
        for (shape_name, shape) in Shape::ALL {
            let mut tally = Tally::default();
            judge(&detector, shape, &mut tally).ok_or("no such day")?;
            let alarms = (tally.found + tally.false_alarms).max(1) as f64;
            let faults = (tally.found + tally.missed).max(1) as f64;
            let usual_days = (tally.right + tally.false_alarms).max(1) as f64;
            println!(
                "| {name} | {shape_name} | {:.2} | {:.2} | {:.1} |",
                tally.found as f64 / alarms,
                tally.found as f64 / faults,
                365.0 * tally.false_alarms as f64 / usual_days,
            );
        }
    }
    Ok(())
}

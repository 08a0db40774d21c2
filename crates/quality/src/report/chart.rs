//! Small charts as inline SVG. Colours come from the page's style, so that they follow its light and dark
//! form; each chart has a text that says what it shows.

use maud::{Markup, html};

use super::TrendDay;
use super::finding::shown;
use crate::score::percent;
use crate::watch::Anomaly;
use tarn_core::text::count;

/// Coordinates have one digit after the decimal point, so the page stays small and is the same on every
/// machine.
fn at(value: f64) -> String {
    format!("{value:.1}")
}

/// The position of a value between two others, from 0 to 1; 0.5 if they are equal.
fn place(value: f64, low: f64, high: f64) -> f64 {
    if high > low {
        ((value - low) / (high - low)).clamp(0.0, 1.0)
    } else {
        0.5
    }
}

/// The values before an anomaly as a line, the expected range as a band, the value as a marked point.
pub(super) fn history(anomaly: &Anomaly) -> Markup {
    const WIDTH: f64 = 320.0;
    const HEIGHT: f64 = 96.0;
    const MARGIN: f64 = 10.0;
    let values = || anomaly.history.iter().map(|point| point.value);
    let every = || values().chain([anomaly.value, anomaly.expected.low, anomaly.expected.high]);
    let low = every().fold(f64::INFINITY, f64::min);
    let high = every().fold(f64::NEG_INFINITY, f64::max);
    let steps = anomaly.history.len() as f64;
    let x =
        |step: f64| MARGIN + (WIDTH - 2.0 * MARGIN) * if steps > 0.0 { step / steps } else { 1.0 };
    let y = |value: f64| HEIGHT - MARGIN - (HEIGHT - 2.0 * MARGIN) * place(value, low, high);
    let line: Vec<String> = values()
        .enumerate()
        .map(|(step, value)| format!("{},{}", at(x(step as f64)), at(y(value))))
        .collect();
    let band = (y(anomaly.expected.high), y(anomaly.expected.low));
    let label = format!(
        "{} values before, then {}; expected {} to {}",
        anomaly.history.len(),
        shown(&anomaly.metric, anomaly.value),
        shown(&anomaly.metric, anomaly.expected.low),
        shown(&anomaly.metric, anomaly.expected.high),
    );
    html! {
        svg.chart viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(label) {
            rect.band x=(at(MARGIN)) y=(at(band.0)) width=(at(WIDTH - 2.0 * MARGIN))
                height=(at((band.1 - band.0).max(1.0))) {}
            polyline.line points=(line.join(" ")) {}
            line.stem x1=(at(x(steps))) x2=(at(x(steps))) y1=(at(y(anomaly.value)))
                y2=(at(if anomaly.above { band.0 } else { band.1 })) {}
            circle.point cx=(at(x(steps))) cy=(at(y(anomaly.value))) r="4.5" {}
        }
    }
}

/// Rows per day as bars, the rejected part of each in front.
pub(super) fn days(trend: &[TrendDay]) -> Markup {
    const WIDTH: f64 = 560.0;
    const HEIGHT: f64 = 120.0;
    const BASE: f64 = 100.0;
    let most = trend
        .iter()
        .map(|day| day.received)
        .max()
        .unwrap_or(0)
        .max(1) as f64;
    let step = WIDTH / trend.len().max(1) as f64;
    let bar = (step * 0.68).min(48.0);
    let label: Vec<String> = trend
        .iter()
        .map(|day| {
            format!(
                "{}: {} received, {} rejected",
                day.day,
                count(day.received),
                count(day.rejected)
            )
        })
        .collect();
    html! {
        svg.days viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img"
            aria-label=(format!("Rows per day. {}", label.join("; "))) {
            line.base x1="0" x2=(at(WIDTH)) y1=(at(BASE)) y2=(at(BASE)) {}
            @for (index, day) in trend.iter().enumerate() {
                @let left = step * index as f64 + (step - bar) / 2.0;
                @let height = (BASE - 8.0) * day.received as f64 / most;
                @let rejected = (BASE - 8.0) * day.rejected as f64 / most;
                // Even a small rejected part is visible.
                @let rejected = if day.rejected > 0 { rejected.max(2.0) } else { 0.0 };
                g {
                    title { (label[index]) }
                    rect.received x=(at(left)) y=(at(BASE - height)) width=(at(bar)) height=(at(height)) rx="2" {}
                    rect.rejected x=(at(left)) y=(at(BASE - rejected)) width=(at(bar)) height=(at(rejected)) {}
                    @if trend.len() <= 7 || index % 2 == (trend.len() - 1) % 2 {
                        text x=(at(left + bar / 2.0)) y="115" { (day.day.format("%-d %b")) }
                    }
                }
            }
        }
    }
}

/// Scores per day as a line of dots; the lowest shown score is the lower edge.
pub(super) fn scores(trend: &[TrendDay]) -> Markup {
    const WIDTH: f64 = 120.0;
    const HEIGHT: f64 = 28.0;
    let known: Vec<(usize, f64)> = trend
        .iter()
        .enumerate()
        .filter_map(|(index, day)| Some((index, day.score?)))
        .collect();
    let low = known.iter().map(|(_, score)| *score).fold(0.99, f64::min);
    let last = trend.len().saturating_sub(1).max(1) as f64;
    let points: Vec<(f64, f64)> = known
        .iter()
        .map(|(index, score)| {
            (
                4.0 + (WIDTH - 8.0) * *index as f64 / last,
                HEIGHT - 4.0 - (HEIGHT - 8.0) * place(*score, low, 1.0),
            )
        })
        .collect();
    let line: Vec<String> = points
        .iter()
        .map(|(x, y)| format!("{},{}", at(*x), at(*y)))
        .collect();
    let label: Vec<String> = known
        .iter()
        .map(|(index, score)| format!("{}: {}", trend[*index].day, percent(*score)))
        .collect();
    html! {
        svg.spark viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img"
            aria-label=(format!("Score per day. {}", label.join("; "))) {
            polyline.line points=(line.join(" ")) {}
            @if let Some((x, y)) = points.last() {
                circle.point cx=(at(*x)) cy=(at(*y)) r="2.5" {}
            }
        }
    }
}

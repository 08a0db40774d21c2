//! Exponential smoothing with trend and season.

use tarn_contract::detector::{SEASON, Smoothing};

/// The forecast for the day that is `ahead` days after the last, and the standard deviation of the
/// one-day forecasts from the third week on. Days without a value are filled by their forecast. None
/// of less than two full weeks.
///
/// The additive method: Hyndman and Athanasopoulos, "Forecasting: Principles and Practice", 3rd
/// edition, section 8.3: ℓ(t) = α(y(t) − s(t−m)) + (1 − α)(ℓ(t−1) + b(t−1));
/// b(t) = β*(ℓ(t) − ℓ(t−1)) + (1 − β*)b(t−1); s(t) = γ(y(t) − ℓ(t−1) − b(t−1)) + (1 − γ)s(t−m).
/// It starts from the first two weeks: level and trend from their means, the season from the mean
/// distance of each weekday from its week's mean.
pub(super) fn forecast(days: &[Option<f64>], ahead: usize, by: Smoothing) -> Option<(f64, f64)> {
    let week = |number: usize| -> Option<Vec<f64>> {
        let days = days.get(number * SEASON..(number + 1) * SEASON)?;
        let known: Vec<f64> = days.iter().flatten().copied().collect();
        let mean = known.iter().sum::<f64>() / known.len() as f64;
        // A hole in the first weeks takes the mean of its week.
        (!known.is_empty()).then(|| days.iter().map(|day| day.unwrap_or(mean)).collect())
    };
    let (first, second) = (week(0)?, week(1)?);
    let mean = |week: &[f64]| week.iter().sum::<f64>() / SEASON as f64;
    let mut trend = (mean(&second) - mean(&first)) / SEASON as f64;
    let mut season: Vec<f64> = first
        .iter()
        .zip(&second)
        .map(|(a, b)| ((a - mean(&first)) + (b - mean(&second))) / 2.0)
        .collect();
    // The second mean is that of the middle of its week, three days before its end.
    let mut level = mean(&second) + trend * (SEASON / 2) as f64;
    let mut squares = 0.0;
    let mut errors = 0_u32;
    for (day, value) in days.iter().enumerate().skip(2 * SEASON) {
        let of_day = season[day % SEASON];
        let expected = level + trend + of_day;
        let value = value.unwrap_or(expected);
        if days[day].is_some() {
            squares += (value - expected).powi(2);
            errors += 1;
        }
        let before = level;
        level = by.level * (value - of_day) + (1.0 - by.level) * (level + trend);
        season[day % SEASON] = by.season * (value - before - trend) + (1.0 - by.season) * of_day;
        trend = by.trend * (level - before) + (1.0 - by.trend) * trend;
    }
    let deviation = if errors == 0 {
        // Nothing was forecast yet: how far the two weeks lie from the pattern that they gave.
        let spread: f64 = first
            .iter()
            .zip(&second)
            .map(|(a, b)| (((b - mean(&second)) - (a - mean(&first))) / 2.0).powi(2))
            .sum();
        (spread / SEASON as f64).sqrt()
    } else {
        (squares / f64::from(errors)).sqrt()
    };
    let place = (days.len() + ahead - 1) % SEASON;
    Some((level + trend * ahead as f64 + season[place], deviation))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const WEEK: [f64; 7] = [0.0, 5.0, 10.0, 0.0, -5.0, -5.0, -5.0];

    fn series(days: usize, trend: f64) -> Vec<Option<f64>> {
        (0..days)
            .map(|day| Some(100.0 + trend * day as f64 + WEEK[day % 7]))
            .collect()
    }

    #[test]
    fn a_pattern_without_noise_is_forecast_exactly() {
        for (days, trend, ahead) in [(14, 0.0, 1), (30, 0.0, 1), (45, 0.0, 3), (33, 0.0, 9)] {
            let (found, deviation) =
                forecast(&series(days, trend), ahead, Smoothing::default()).unwrap();
            let expected = 100.0 + WEEK[(days + ahead - 1) % 7];
            assert!(
                (found - expected).abs() < 1e-9,
                "{days} {ahead}: {found} != {expected}"
            );
            assert!(deviation < 1e-9);
        }
    }

    #[test]
    fn a_trend_is_followed() {
        let (found, _) = forecast(&series(60, 2.0), 1, Smoothing::default()).unwrap();
        let expected = 100.0 + 120.0 + WEEK[60 % 7];
        assert!((found - expected).abs() < 1.0, "{found} != {expected}");
    }

    #[test]
    fn a_hole_is_filled_by_its_forecast() {
        let mut days = series(35, 0.0);
        days[20] = None;
        days[3] = None;
        let (found, _) = forecast(&days, 1, Smoothing::default()).unwrap();
        assert!((found - 100.0).abs() < 3.0, "{found}");
    }

    #[test]
    fn less_than_two_weeks_are_not_enough() {
        assert_eq!(forecast(&series(13, 0.0), 1, Smoothing::default()), None);
    }
}

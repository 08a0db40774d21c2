//! Statistics of small samples.

/// What makes the median absolute deviation of a normal distribution its standard deviation:
/// 1 / Φ⁻¹(3/4). Rousseeuw and Croux, "Alternatives to the Median Absolute Deviation", JASA 88 (1993).
const MAD_TO_DEVIATION: f64 = 1.482_602_218_505_602;

/// How much the median absolute deviation of n normal values falls short of that of many: Croux and
/// Rousseeuw, "Time-Efficient Algorithms for Two Highly Robust Estimators of Scale", COMPSTAT 1992.
fn small_sample(n: usize) -> f64 {
    const FACTORS: [f64; 10] = [
        1.0, 1.0, 1.196, 1.495, 1.363, 1.206, 1.200, 1.140, 1.129, 1.107,
    ];
    let of_many = n as f64 / (n as f64 - 0.8);
    FACTORS.get(n).copied().unwrap_or(of_many)
}

/// The median, and the standard deviation as the median absolute deviation estimates it. None without
/// values.
pub(super) fn robust_deviation(values: &[f64]) -> Option<(f64, f64)> {
    let (middle, deviation) = median_deviation(values)?;
    Some((
        middle,
        MAD_TO_DEVIATION * small_sample(values.len()) * deviation,
    ))
}

/// The p-quantile, interpolated between neighbours: type 7 of Hyndman and Fan, "Sample Quantiles in
/// Statistical Packages", The American Statistician 50 (1996); NumPy's default. None of no values.
pub(super) fn quantile(values: &[f64], p: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let place = p * last as f64;
    let below = place.floor();
    let low = *sorted.get(below as usize)?;
    let high = *sorted.get(place.ceil() as usize)?;
    Some(low + (high - low) * (place - below))
}

/// The median. None of no values.
fn median(values: &[f64]) -> Option<f64> {
    quantile(values, 0.5)
}

/// Median and median absolute deviation, the latter not scaled. None of no values.
fn median_deviation(values: &[f64]) -> Option<(f64, f64)> {
    let middle = median(values)?;
    let distances: Vec<f64> = values.iter().map(|value| (value - middle).abs()).collect();
    Some((middle, median(&distances)?))
}

/// Mean and standard deviation of the sample (divided by n − 1) in one pass: Welford, "Note on a
/// Method for Calculating Corrected Sums of Squares and Products", Technometrics 4 (1962). None of
/// fewer than two values.
pub(super) fn mean_deviation(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
    for value in values {
        count += 1.0;
        let before = value - mean;
        mean += before / count;
        squares += before * (value - mean);
    }
    (count >= 2.0).then(|| (mean, (squares / (count - 1.0)).sqrt()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const VALUES: [f64; 12] = [
        100.018, 104.481, 95.888, 86.641, 93.18, 85.125, 100.902, 120.103, 92.617, 90.693, 107.348,
        105.353,
    ];

    /// Made with NumPy 2.4: `np.random.default_rng(7).normal(100, 15, 12).round(3)`, `np.quantile`,
    /// `np.median`, `np.median(abs(x - np.median(x)))`, `np.mean`, `np.std(ddof=1)`.
    #[test]
    fn statistics_are_those_of_numpy() {
        let close = |found: f64, expected: f64| {
            assert!((found - expected).abs() < 1e-9, "{found} != {expected}");
        };
        for (p, expected) in [
            (0.0, 85.125),
            (0.1, 87.0462),
            (0.25, 92.136),
            (0.5, 97.953),
            (0.9, 107.1485),
            (1.0, 120.103),
        ] {
            close(quantile(&VALUES, p).unwrap(), expected);
        }
        let (middle, deviation) = median_deviation(&VALUES).unwrap();
        close(middle, 97.953);
        close(deviation, 6.893_999_999_999_998);
        let (mean, deviation) = mean_deviation(VALUES).unwrap();
        close(mean, 98.529_083_333_333_33);
        close(deviation, 9.936_099_696_271_288);
    }

    #[test]
    fn there_is_no_statistic_of_nothing() {
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(median_deviation(&[]), None);
        assert_eq!(mean_deviation([1.0]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
    }

    proptest! {
        #[test]
        fn welford_agrees_with_two_passes(values in prop::collection::vec(-1e6f64..1e6, 2..60)) {
            let n = values.len() as f64;
            let mean = values.iter().sum::<f64>() / n;
            let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
            let (found, deviation) = mean_deviation(values.iter().copied()).unwrap();
            prop_assert!((found - mean).abs() < 1e-6);
            prop_assert!((deviation - variance.sqrt()).abs() < 1e-5);
        }

        #[test]
        fn a_quantile_lies_within_the_values(values in prop::collection::vec(-1e9f64..1e9, 1..50), p in 0.0f64..=1.0) {
            let found = quantile(&values, p).unwrap();
            let least = values.iter().copied().fold(f64::INFINITY, f64::min);
            let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            prop_assert!((least..=greatest).contains(&found));
        }
    }
}

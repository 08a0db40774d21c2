//! How long to wait before something is tried again.

use std::time::Duration;

/// Exponential back-off with equal jitter: before repetition `n` (1 for the first) the pause is between
/// half of and all of `first * 2^(n - 1)`, but never more than `longest`. The random half keeps callers
/// that failed together from coming back together. The method is "equal jitter" of
/// <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
}

impl Backoff {
    /// A back-off whose first pause is at most `first`, and none of whose pauses is above `longest`.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Backoff { first, longest }
    }

    /// The pause before a repetition, counted from 1. `random` is drawn by the caller, uniformly over all
    /// values of its type.
    pub fn pause(self, repetition: u32, random: u32) -> Duration {
        let doublings = repetition.saturating_sub(1).min(31);
        let most = self.first.saturating_mul(1 << doublings).min(self.longest);
        let part = f64::from(random) / f64::from(u32::MAX);
        let half = most / 2;
        half + half.mul_f64(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));

    #[test]
    fn pauses_double_up_to_the_longest_and_are_at_least_half_of_that() {
        for (repetition, least, most) in [
            (0, 25, 50),
            (1, 25, 50),
            (2, 50, 100),
            (3, 100, 200),
            (5, 400, 800),
            (6, 500, 1_000),
            (u32::MAX, 500, 1_000),
        ] {
            let pause = |random| BACKOFF.pause(repetition, random).as_millis();
            assert_eq!((pause(0), pause(u32::MAX)), (least, most), "{repetition}");
            assert!(
                (least..=most).contains(&pause(u32::MAX / 3)),
                "{repetition}"
            );
        }
    }
}

//! Random numbers that are the same on every machine: only ChaCha8 and whole-number arithmetic.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use uuid::Uuid;

/// What a sequence of random numbers is for. Each has a sequence of its own, so that a change of
/// one part of the generator leaves the others' data as they are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    Products,
    Customers,
    Orders,
    AccessLog,
    Social,
    Ads,
}

/// A sequence of random numbers.
#[derive(Debug)]
pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    pub(super) fn new(seed: u64, purpose: Purpose) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(purpose as u64);
        Dice(rng)
    }

    /// A number from 0 up to, but not including, `limit`; 0 where the limit is 0.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.0.next_u64()) * u128::from(limit)) >> 64) as u64
    }

    /// A number from `low` to `high`, both included.
    pub(super) fn between(&mut self, low: i64, high: i64) -> i64 {
        low.saturating_add_unsigned(self.below(high.abs_diff(low) + 1))
    }

    /// True this many times in a thousand.
    pub(super) fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1_000) < per_mille
    }

    /// An index of a list of `length` elements, which must not be 0.
    pub(super) fn index(&mut self, length: usize) -> usize {
        self.below(length as u64) as usize
    }

    /// An index of a list of `length` elements, the first ones much more often than the last.
    pub(super) fn skewed_index(&mut self, length: usize) -> usize {
        let unit = u128::from(self.below(1 << 20));
        ((length as u128 * unit * unit * unit) >> 60) as usize
    }

    /// One element of a list that is not empty.
    pub(super) fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.index(list.len())]
    }

    /// An index, each as often as its weight says. The sum of the weights must not be 0.
    pub(super) fn weighted(&mut self, weights: &[u64]) -> usize {
        let mut left = self.below(weights.iter().sum());
        for (index, weight) in weights.iter().enumerate() {
            if left < *weight {
                return index;
            }
            left -= weight;
        }
        0
    }

    pub(super) fn uuid(&mut self) -> Uuid {
        let mut bytes = [0; 16];
        self.0.fill_bytes(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }
}

/// Splits `total` in proportion to the weights; the parts add up to it.
pub(super) fn split(total: u64, weights: &[u64]) -> Vec<u64> {
    let sum: u128 = weights
        .iter()
        .map(|weight| u128::from(*weight))
        .sum::<u128>()
        .max(1);
    let (mut seen, mut given) = (0_u128, 0_u64);
    weights
        .iter()
        .map(|weight| {
            seen += u128::from(*weight);
            let until = (u128::from(total) * seen / sum) as u64;
            let part = until - given;
            given = until;
            part
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_every_machine() {
        let mut dice = Dice::new(42, Purpose::Orders);
        let numbers: Vec<u64> = (0..6).map(|_| dice.below(1_000)).collect();
        assert_eq!(numbers, [183, 294, 514, 120, 274, 470]);
        assert_eq!(dice.uuid().get_version_num(), 4);
    }

    #[test]
    fn parts_add_up_to_the_total_and_follow_the_weights() {
        assert_eq!(split(10, &[1, 1, 2, 0]), [2, 3, 5, 0]);
        assert_eq!(split(7, &[3, 3, 3]).iter().sum::<u64>(), 7);
        assert_eq!(split(5, &[]), [0; 0]);
    }

    #[test]
    fn limits_are_kept() {
        let mut dice = Dice::new(1, Purpose::Ads);
        for _ in 0..1_000 {
            assert!((-3..=3).contains(&dice.between(-3, 3)));
            assert!(dice.skewed_index(7) < 7);
            assert!(dice.weighted(&[0, 1, 0, 2]) % 2 == 1);
        }
        assert_eq!(dice.below(0), 0);
    }
}

//! How often values occur.

use std::collections::BTreeMap;

/// How many values occur once, twice and so on.
#[derive(Debug, Default)]
pub(super) struct Spectrum(pub(super) BTreeMap<u64, u64>);

impl Spectrum {
    /// Adds a value that occurs this many times.
    pub(super) fn add(&mut self, count: u64) {
        *self.0.entry(count).or_default() += 1;
    }
}

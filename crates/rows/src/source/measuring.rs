//! Digests of a content and of its beginnings while it is read.

use std::collections::BTreeSet;

use memchr::memrchr;
use tarn_core::content::{Measure, marks};
use tarn_core::digest::Hasher;

/// Digests of a content while it is read.
pub(super) struct Measuring {
    hasher: Hasher,
    /// The lengths that are still to come, the next one last.
    lengths: Vec<u64>,
    measure: Measure,
}

impl Measuring {
    /// Digests are kept at the usual lengths and at these.
    pub(super) fn new(lengths: &BTreeSet<u64>) -> Self {
        // More than a file can have, in the usual lengths alone.
        let all: BTreeSet<u64> = marks().chain(lengths.iter().copied()).collect();
        let hasher = Hasher::default();
        Measuring {
            lengths: all.into_iter().filter(|&length| length > 0).rev().collect(),
            measure: Measure {
                bytes: 0,
                whole: 0,
                digest: hasher.finish(),
                marks: [].into(),
            },
            hasher,
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        if let Some(newline) = memrchr(b'\n', bytes) {
            self.measure.whole = self.measure.bytes + newline as u64 + 1;
        }
        let mut rest = bytes;
        while let Some(&next) = self.lengths.last()
            && next - self.measure.bytes <= rest.len() as u64
        {
            let (before, behind) = rest.split_at((next - self.measure.bytes) as usize);
            self.hasher.update(before);
            self.measure.marks.insert(next, self.hasher.finish());
            self.measure.bytes = next;
            self.lengths.pop();
            rest = behind;
        }
        self.hasher.update(rest);
        self.measure.bytes += rest.len() as u64;
    }

    pub(super) fn finish(self) -> Measure {
        Measure {
            digest: self.hasher.finish(),
            ..self.measure
        }
    }
}

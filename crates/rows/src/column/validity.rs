//! Which rows of a column have a value.

use std::ops::Range;

/// Which rows have a value. Costs nothing while every row has one.
#[derive(Debug, Clone, Default)]
pub struct Validity {
    bits: Vec<u8>,
    len: usize,
    nulls: usize,
}

impl Validity {
    /// Rows that all have a value.
    pub(crate) fn all_valid(len: usize) -> Self {
        Validity {
            len,
            ..Validity::default()
        }
    }

    /// Appends a row.
    #[inline]
    pub fn push(&mut self, valid: bool) {
        self.push_bits(u8::from(valid), 1);
    }

    /// Whether row `index` has a value.
    #[inline]
    pub fn get(&self, index: usize) -> bool {
        self.nulls == 0 || self.bits[index / 8] >> (index % 8) & 1 == 1
    }

    /// Rows without a value.
    pub fn nulls(&self) -> usize {
        self.nulls
    }

    /// Rows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends some rows of another.
    pub(super) fn extend(&mut self, other: &Validity, rows: Range<usize>) {
        if other.nulls == 0 {
            self.extend_valid(rows.len());
        } else if other.nulls == other.len {
            self.extend_null(rows.len());
        } else {
            self.extend_bits(other, rows);
        }
    }

    /// Appends some rows of another, eight at a time.
    fn extend_bits(&mut self, other: &Validity, rows: Range<usize>) {
        let mut row = rows.start;
        while row < rows.end {
            let count = (rows.end - row).min(8);
            let byte = |index: usize| u16::from(other.bits.get(index).copied().unwrap_or_default());
            let pair = byte(row / 8) | byte(row / 8 + 1) << 8;
            let bits = (pair >> (row % 8)) as u8 & (0xff >> (8 - count));
            self.push_bits(bits, count);
            row += count;
        }
    }

    /// Appends at most eight rows by their bits.
    #[inline]
    fn push_bits(&mut self, bits: u8, count: usize) {
        let nulls = count - bits.count_ones() as usize;
        if nulls > 0 {
            if self.nulls == 0 {
                self.hold_bits();
            }
            self.nulls += nulls;
        }
        if self.nulls > 0 {
            let used = self.len % 8;
            if let (Some(last), 1..) = (self.bits.last_mut(), used) {
                *last |= bits << used;
            }
            if used == 0 || used + count > 8 {
                self.bits
                    .push(if used == 0 { bits } else { bits >> (8 - used) });
            }
        }
        self.len += count;
    }

    /// Makes bits before the first null: every row so far has a value.
    #[cold]
    fn hold_bits(&mut self) {
        self.bits = vec![0xff; self.len.div_ceil(8)];
        if let (Some(last), used @ 1..) = (self.bits.last_mut(), self.len % 8) {
            *last &= (1 << used) - 1;
        }
    }

    /// Appends rows with a value.
    pub(super) fn extend_valid(&mut self, rows: usize) {
        if self.nulls == 0 {
            self.len += rows;
        } else {
            for row in (0..rows).step_by(8) {
                let count = (rows - row).min(8);
                self.push_bits(0xff >> (8 - count), count);
            }
        }
    }

    /// Appends rows without a value.
    pub(super) fn extend_null(&mut self, rows: usize) {
        if rows > 0 {
            self.push(false);
            self.nulls += rows - 1;
            self.len += rows - 1;
            self.bits.resize(self.len.div_ceil(8), 0);
        }
    }

    /// Cuts to `len` rows.
    pub fn truncate(&mut self, len: usize) {
        if len >= self.len {
            return;
        }
        if self.nulls > 0 {
            self.nulls -= (len..self.len).filter(|&index| !self.get(index)).count();
            self.bits.truncate(len.div_ceil(8));
            if let (Some(last), used @ 1..) = (self.bits.last_mut(), len % 8) {
                *last &= (1 << used) - 1;
            }
            if self.nulls == 0 {
                self.bits.clear();
            }
        }
        self.len = len;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(rows: &[bool]) -> Validity {
        let mut validity = Validity::default();
        rows.iter().for_each(|&row| validity.push(row));
        validity
    }

    fn rows_of(validity: &Validity) -> Vec<bool> {
        (0..validity.len()).map(|row| validity.get(row)).collect()
    }

    fn rows() -> impl Strategy<Value = Vec<bool>> {
        let few = prop::bool::weighted(0.9);
        prop_oneof![
            prop::collection::vec(any::<bool>(), 0..200),
            prop::collection::vec(few, 0..200),
            (any::<bool>(), 0usize..200).prop_map(|(row, rows)| vec![row; rows]),
        ]
    }

    proptest! {
        #[test]
        fn validity_remembers_every_row(rows in rows(), cut in 0usize..200) {
            let mut validity = of(&rows);
            validity.truncate(cut);
            let expected = &rows[..cut.min(rows.len())];
            prop_assert_eq!(&rows_of(&validity), expected);
            prop_assert_eq!(validity.nulls(), expected.iter().filter(|valid| !**valid).count());
            validity.push(false);
            validity.push(true);
            prop_assert!(!validity.get(expected.len()) && validity.get(expected.len() + 1));
        }

        #[test]
        fn rows_of_another_are_appended_as_they_are(
            before in rows(), other in rows(), begin in 0usize..200, length in 0usize..200, valid in 0usize..20,
        ) {
            let begin = begin.min(other.len());
            let range = begin..(begin + length).min(other.len());
            let mut validity = of(&before);
            validity.extend(&of(&other), range.clone());
            validity.extend_valid(valid);
            validity.push(false);
            let mut expected = before;
            expected.extend(&other[range]);
            expected.extend(vec![true; valid]);
            expected.push(false);
            prop_assert_eq!(&rows_of(&validity), &expected);
            prop_assert_eq!(validity.nulls(), expected.iter().filter(|valid| !**valid).count());
            prop_assert_eq!(validity.bits.len(), expected.len().div_ceil(8));
        }
    }
}

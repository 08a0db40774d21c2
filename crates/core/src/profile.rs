//! What the values of a column look like over the rows of one object.

use serde::{Deserialize, Serialize};

/// The values of one column over all rows of an object that could be read, those that a rule then
/// rejected among them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ColumnProfile {
    /// The column.
    pub column: String,
    /// Rows.
    pub rows: u64,
    /// Rows without a value.
    pub nulls: u64,
    /// Texts that are empty or hold white space alone.
    pub blanks: u64,
    /// Texts that stand for a missing value, such as `N/A`; blanks are not among them.
    pub sentinels: u64,
    /// Distinct values, where a rule or a monitor asks.
    #[serde(default)]
    pub distinct: Option<u64>,
    /// The least value: numbers, days since 1970 for dates, microseconds since 1970 for timestamps. None
    /// for a personal column, like every field below.
    #[serde(default)]
    pub min: Option<f64>,
    /// The greatest value.
    #[serde(default)]
    pub max: Option<f64>,
    /// The sum of a numeric column, as plain decimal text; exact but for doubles.
    #[serde(default)]
    pub sum: Option<String>,
    /// The arithmetic mean of a numeric column.
    #[serde(default)]
    pub mean: Option<f64>,
    /// The standard deviation of the sample (divided by n − 1), where a rule or a monitor asks.
    #[serde(default)]
    pub standard_deviation: Option<f64>,
    /// Quantiles, where a rule or a monitor asks.
    #[serde(default)]
    pub quantiles: Vec<Quantile>,
    /// How often each value occurs, most frequent first; only of columns with few values that are not
    /// personal, where a rule or a monitor asks.
    #[serde(default)]
    pub categories: Vec<Category>,
    /// Whether a quantile is an estimate, because the object has more values than are held in memory.
    /// In records of earlier versions `distinct` is one too.
    #[serde(default)]
    pub estimated: bool,
}

/// How many values are missing in each partition that the rows of an object belong to. All rows are in
/// one of them: the counts add up to those of the profile.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionProfiles {
    /// The column that the table is partitioned by.
    pub column: String,
    /// The partitions with the most rows, at most [`MOST_PARTITIONS`], in order; after them the rows
    /// without a partition, and the sum of the partitions that are left out.
    pub partitions: Vec<PartitionProfile>,
    /// Partitions that the last entry sums up.
    #[serde(default)]
    pub left_out: u64,
}

/// The most partitions of an object that are counted one by one.
pub const MOST_PARTITIONS: usize = 32;

/// What is missing in a partition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionProfile {
    /// The day or month, `2026-01-31` or `2026-01`; `null` for rows without a time, and `other` for the
    /// partitions left out.
    pub partition: String,
    /// Rows.
    pub rows: u64,
    /// Columns with missing values.
    pub missing: Vec<MissingCounts>,
}

/// Missing values of a column.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingCounts {
    /// The column.
    pub column: String,
    /// Rows without a value.
    pub nulls: u64,
    /// Texts that are empty or hold white space alone.
    pub blanks: u64,
    /// Texts that stand for a missing value.
    pub sentinels: u64,
}

/// A quantile of a column.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Quantile {
    /// Which one, from 0 (the minimum) to 1 (the maximum); 0.5 is the median.
    pub p: f64,
    /// Its value, interpolated between the two neighbouring values.
    pub value: f64,
}

/// A value and how often it occurs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Category {
    /// The value as text.
    pub value: String,
    /// Its rows.
    pub rows: u64,
}

/// What to measure of a column in addition to what is always cheap.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Measures {
    /// How many distinct values there are.
    pub distinct: bool,
    /// How often each value occurs; implies `distinct`.
    pub frequencies: bool,
    /// The standard deviation.
    pub spread: bool,
    /// These quantiles, from 0 to 1.
    pub quantiles: Vec<f64>,
}

impl Measures {
    /// Adds what another asks for.
    pub fn add(&mut self, other: &Measures) {
        self.distinct |= other.distinct;
        self.frequencies |= other.frequencies;
        self.spread |= other.spread;
        for &p in &other.quantiles {
            if !self.quantiles.contains(&p) {
                self.quantiles.push(p);
            }
        }
        self.quantiles.sort_by(f64::total_cmp);
    }
}

/// Texts that stand for a missing value in many sources, in lower case: they are compared without
/// regard to case and surrounding white space.
pub const SENTINELS: [&str; 12] = [
    "-", "--", ".", "?", "n/a", "n.a.", "na", "nan", "nil", "none", "null", "unknown",
];

/// The longest of [`SENTINELS`], in bytes.
pub const LONGEST_SENTINEL: usize = 7;

/// Whether a text stands for a missing value by the usual list.
#[inline]
pub fn is_sentinel(text: &[u8]) -> bool {
    // Most texts are longer, and no white space can be trimmed off them.
    if text.len() > LONGEST_SENTINEL
        && let [first, .., last] = text
        && first.is_ascii_graphic()
        && last.is_ascii_graphic()
    {
        return false;
    }
    let text = text.trim_ascii();
    text.len() <= LONGEST_SENTINEL
        && SENTINELS
            .iter()
            .any(|sentinel| sentinel.as_bytes().eq_ignore_ascii_case(text))
}

/// Whether a text is empty or white space alone (Unicode's `White_Space`).
#[inline]
pub fn is_blank(text: &[u8]) -> bool {
    match text.first() {
        None => true,
        // Most texts begin with a letter or a digit.
        Some(first) if first.is_ascii_graphic() => false,
        Some(_) => std::str::from_utf8(text).is_ok_and(|text| text.trim().is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_and_sentinels_are_distinguished_from_values() {
        for (text, blank, sentinel) in [
            ("", true, false),
            (" \t", true, false),
            ("\u{a0}\u{2003}", true, false),
            ("N/A", false, true),
            (" null ", false, true),
            ("Unknown", false, true),
            ("-", false, true),
            ("-1", false, false),
            ("unknowns", false, false),
            ("é", false, false),
        ] {
            assert_eq!(is_blank(text.as_bytes()), blank, "{text:?}");
            assert_eq!(is_sentinel(text.as_bytes()), sentinel, "{text:?}");
        }
        assert!(SENTINELS.iter().all(|text| text.len() <= LONGEST_SENTINEL));
    }
}

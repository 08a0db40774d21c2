//! The least and the greatest value of a page, as its statistics and those of its file say them
//! (parquet-format, `parquet.thrift`, `Statistics`).

use polars_parquet::parquet::statistics::ParquetStatistics;

use super::page::Number;

/// Bounds of texts are cut to this many bytes.
const LONGEST_BOUND: usize = 64;

/// The least and the greatest of some values, as far as they have an order.
pub(super) struct Bounds<T>(Option<(T, T)>);

impl<T: PartialOrd + Copy> Bounds<T> {
    pub fn of(mut values: impl Iterator<Item = T>) -> Self {
        // NaN has no order: it cannot be a bound, and changes none.
        let first = values.find(|value| value.partial_cmp(value).is_some());
        let mut bounds = Bounds(first.map(|first| (first, first)));
        values.for_each(|value| bounds.add(value));
        bounds
    }

    #[inline]
    pub fn add(&mut self, value: T) {
        match &mut self.0 {
            Some((least, greatest)) => {
                if value < *least {
                    *least = value;
                } else if value > *greatest {
                    *greatest = value;
                }
            }
            none => *none = Some((value, value)),
        }
    }
}

/// The statistics of a page of numbers with this many nulls; `present` says whether it has other values.
pub(super) fn of_numbers<N: Number>(
    bounds: Bounds<N>,
    present: bool,
    nulls: usize,
) -> ParquetStatistics {
    let bounds = match bounds.0 {
        // A page without bounds is one of nulls alone to its readers: of values without an order, bounds
        // that hold for all.
        None if present => N::LIMITS,
        bounds => bounds,
    };
    let bytes = |value: N| value.bytes().as_ref().to_vec();
    statistics(
        bounds.map(|(least, greatest)| (bytes(least.as_least()), bytes(greatest.as_greatest()))),
        nulls,
    )
}

/// The statistics of a page of booleans.
pub(super) fn of_booleans(bounds: Bounds<bool>, nulls: usize) -> ParquetStatistics {
    let byte = |value: bool| vec![u8::from(value)];
    statistics(
        bounds
            .0
            .map(|(least, greatest)| (byte(least), byte(greatest))),
        nulls,
    )
}

/// The statistics of a page of texts; long bounds are cut, unless they are asked for as they are.
pub(super) fn of_texts(bounds: Bounds<&[u8]>, exact: bool, nulls: usize) -> ParquetStatistics {
    let bounds = bounds.0.map(|(least, greatest)| {
        if exact {
            (least.to_vec(), greatest.to_vec())
        } else {
            (lower_bound(least), upper_bound(greatest))
        }
    });
    statistics(bounds, nulls)
}

fn statistics(bounds: Option<(Vec<u8>, Vec<u8>)>, nulls: usize) -> ParquetStatistics {
    let (min_value, max_value) = bounds.unzip();
    ParquetStatistics {
        // Replaced by the fields below, whose order is that of the type.
        max: None,
        min: None,
        null_count: Some(nulls as i64),
        distinct_count: None,
        max_value,
        min_value,
        is_max_value_exact: None,
        is_min_value_exact: None,
    }
}

/// The first characters of a text: no text that is not less than it is less than them.
fn lower_bound(text: &[u8]) -> Vec<u8> {
    cut(text).to_vec()
}

/// The first characters of a text with the last one raised, so that the text is less.
fn upper_bound(text: &[u8]) -> Vec<u8> {
    let begin = cut(text);
    if begin.len() == text.len() {
        return text.to_vec();
    }
    // Bytes that are not UTF-8 have no characters to raise.
    let mut characters: Vec<char> = match str::from_utf8(begin) {
        Ok(begin) => begin.chars().collect(),
        Err(_) => return text.to_vec(),
    };
    while let Some(last) = characters.pop() {
        // There is none after the last of all.
        if let Some(next) = (last..=char::MAX).nth(1) {
            characters.push(next);
            return characters.into_iter().collect::<String>().into_bytes();
        }
    }
    text.to_vec()
}

fn cut(text: &[u8]) -> &[u8] {
    if text.len() <= LONGEST_BOUND {
        return text;
    }
    let mut end = LONGEST_BOUND;
    // Not within a character.
    while end > 0 && text[end] & 0xc0 == 0x80 {
        end -= 1;
    }
    &text[..end]
}

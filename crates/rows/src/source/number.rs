//! Numbers as JSON writes them, taken apart while they are checked.

/// The most digits that a `u64` mantissa always holds.
const MANTISSA_DIGITS: usize = 19;

/// Powers of ten that a `u64` holds.
pub(crate) const POWERS_OF_TEN: [u64; 20] = {
    let mut powers = [1u64; 20];
    let mut exponent = 1;
    while exponent < 20 {
        powers[exponent] = powers[exponent - 1] * 10;
        exponent += 1;
    }
    powers
};

/// A number by the grammar of RFC 8259, section 6, with nothing lost: its text, and where it has
/// 19 significant digits or fewer also its exact value `±mantissa × 10^exponent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Number<'a> {
    /// The number as it is written.
    pub text: &'a [u8],
    /// Whether it begins with a minus sign.
    pub negative: bool,
    /// The significant digits as a whole number; meaningless unless `exact`.
    pub mantissa: u64,
    /// The power of ten of the mantissa's last digit.
    pub exponent: i32,
    /// Whether mantissa and exponent are the exact value.
    pub exact: bool,
}

/// The value of eight bytes that are digits or, for leading zeros, zero: pairs, then fours, then all
/// eight, each with one multiplication.
#[inline]
fn eight_digits(word: u64) -> u64 {
    let word = (word & 0x0F0F_0F0F_0F0F_0F0F).wrapping_mul(2561) >> 8;
    let word = (word & 0x00FF_00FF_00FF_00FF).wrapping_mul(6_553_601) >> 16;
    (word & 0x0000_FFFF_0000_FFFF).wrapping_mul(42_949_672_960_001) >> 32
}

/// Reads digits from `at`; returns where they end and the value so far, which wraps around where
/// there are too many. Eight bytes at a time, without a branch per digit: numbers differ in length.
#[inline(always)]
fn digits(bytes: &[u8], mut at: usize, mut value: u64) -> (usize, u64) {
    const THREES: u64 = 0x3030_3030_3030_3030;
    const HIGH: u64 = 0xF0F0_F0F0_F0F0_F0F0;
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        // Bytes that are not digits, the lowest of them surely: a carry only disturbs those above.
        let others =
            ((word & HIGH) ^ THREES) | ((word.wrapping_add(0x0606_0606_0606_0606) & HIGH) ^ THREES);
        if others == 0 {
            value = value
                .wrapping_mul(100_000_000)
                .wrapping_add(eight_digits(word));
            at += 8;
            continue;
        }
        let count = (others.trailing_zeros() / 8) as usize;
        if count > 0 {
            let digits = eight_digits(word << (64 - 8 * count));
            value = value
                .wrapping_mul(POWERS_OF_TEN[count])
                .wrapping_add(digits);
        }
        return (at + count, value);
    }
    while let Some(digit @ b'0'..=b'9') = bytes.get(at) {
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        at += 1;
    }
    (at, value)
}

impl<'a> Number<'a> {
    /// Reads the number at the start of `bytes`. The error is the place of the first byte that
    /// does not fit the grammar.
    #[inline(always)]
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Number<'a>, usize> {
        let negative = bytes.first() == Some(&b'-');
        let begin = usize::from(negative);
        let (whole_end, mut mantissa) = digits(bytes, begin, 0);
        if whole_end == begin {
            return Err(begin);
        }
        if whole_end > begin + 1 && bytes.get(begin) == Some(&b'0') {
            return Err(begin + 1);
        }
        let mut count = whole_end - begin;
        let mut end = whole_end;
        let mut exponent = 0;
        if let Some(b'.' | b'e' | b'E') = bytes.get(end) {
            if bytes.get(end) == Some(&b'.') {
                let (fraction_end, value) = digits(bytes, end + 1, mantissa);
                if fraction_end == end + 1 {
                    return Err(fraction_end);
                }
                mantissa = value;
                count += fraction_end - end - 1;
                exponent = -i32::try_from(fraction_end - end - 1).unwrap_or(i32::MAX);
                end = fraction_end;
            }
            if let Some(b'e' | b'E') = bytes.get(end) {
                let (exponent_end, written) = read_exponent(bytes, end + 1)?;
                exponent = exponent.saturating_add(written);
                end = exponent_end;
            }
        }
        let text = bytes.get(..end).unwrap_or_default();
        let number = Number {
            text,
            negative,
            mantissa,
            exponent,
            exact: true,
        };
        Ok(if count > MANTISSA_DIGITS {
            number.without_zeros()
        } else {
            number
        })
    }

    /// A text that is one number from its first byte to its last.
    pub(crate) fn parse(text: &'a [u8]) -> Option<Number<'a>> {
        Number::read(text)
            .ok()
            .filter(|number| number.text.len() == text.len())
    }

    /// Mantissa and exponent of a number with many digits: exact where leading and trailing zeros
    /// are what makes it long.
    #[cold]
    fn without_zeros(mut self) -> Self {
        let digits = self
            .text
            .iter()
            .take_while(|byte| !matches!(byte, b'e' | b'E'));
        let digits: Vec<u8> = digits.copied().filter(u8::is_ascii_digit).collect();
        let significant = digits
            .iter()
            .position(|&digit| digit != b'0')
            .unwrap_or(digits.len());
        let trailing = digits
            .iter()
            .rev()
            .take_while(|&&digit| digit == b'0')
            .count();
        let kept = digits
            .get(significant..digits.len() - trailing)
            .unwrap_or_default();
        self.exact = kept.len() <= MANTISSA_DIGITS;
        self.mantissa = kept.iter().fold(0u64, |value, digit| {
            value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'))
        });
        self.exponent = self
            .exponent
            .saturating_add(i32::try_from(trailing).unwrap_or(i32::MAX));
        self
    }

    /// The number times `10^scale` as a whole number; None where digits would be lost or it is
    /// more than an `i64` holds.
    #[inline]
    pub(crate) fn scaled(&self, scale: u8) -> Option<i64> {
        if !self.exact {
            return None;
        }
        let shift = self.exponent.saturating_add(i32::from(scale));
        let power = POWERS_OF_TEN.get(shift.unsigned_abs() as usize).copied();
        let magnitude = match (shift, power) {
            (0, _) => self.mantissa,
            _ if self.mantissa == 0 => 0,
            (1.., Some(power)) => self.mantissa.checked_mul(power)?,
            (_, Some(power)) if self.mantissa.is_multiple_of(power) => self.mantissa / power,
            _ => return None,
        };
        self.with_sign(magnitude)
    }

    /// The number times `10^scale`, rounded to a whole number, ties to even; None where it is more
    /// than an `i64` holds or has too many digits to be exact.
    pub(crate) fn rounded(&self, scale: u8) -> Option<i64> {
        if !self.exact {
            return None;
        }
        let shift = self.exponent.saturating_add(i32::from(scale));
        if shift >= 0 {
            return self.scaled(scale);
        }
        let Some(&power) = POWERS_OF_TEN.get(shift.unsigned_abs() as usize) else {
            // Below 10^19 / 10^20: nothing that rounds up to one.
            return Some(0);
        };
        let (whole, rest) = (self.mantissa / power, self.mantissa % power);
        let up = match rest.cmp(&(power - rest)) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Greater => true,
            std::cmp::Ordering::Equal => whole % 2 == 1,
        };
        self.with_sign(whole + u64::from(up))
    }

    /// The nearest 64-bit floating point number; infinite where the number is out of range.
    #[inline]
    pub(crate) fn as_f64(&self) -> f64 {
        // Both parts and the quotient of two exact numbers are rounded once: exact by IEEE 754.
        const EXACT: [f64; 23] = [
            1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
            1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
        ];
        if self.exact
            && self.mantissa <= 1 << 53
            && let Some(power) = EXACT.get(self.exponent.unsigned_abs() as usize)
        {
            let mantissa = self.mantissa as f64;
            let value = if self.exponent < 0 {
                mantissa / power
            } else {
                mantissa * power
            };
            return if self.negative { -value } else { value };
        }
        self.as_f64_slowly()
    }

    #[cold]
    fn as_f64_slowly(&self) -> f64 {
        std::str::from_utf8(self.text)
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(f64::NAN)
    }

    /// Whether it is written as a whole number: no point, no exponent.
    pub(crate) fn is_digits(&self) -> bool {
        self.text
            .iter()
            .skip(usize::from(self.negative))
            .all(u8::is_ascii_digit)
    }

    #[inline]
    fn with_sign(&self, magnitude: u64) -> Option<i64> {
        if self.negative {
            0i64.checked_sub_unsigned(magnitude)
        } else {
            i64::try_from(magnitude).ok()
        }
    }
}

/// The whole number at the start of `bytes` and its length, where it has at most 18 digits, no
/// fraction and no exponent: what most numbers are. None for anything else.
#[inline(always)]
pub(crate) fn small_whole(bytes: &[u8]) -> Option<(i64, usize)> {
    let (number, length) = small_decimal(bytes)?;
    (number.fraction == 0).then_some((number.mantissa, length))
}

/// A number of few digits: `mantissa / 10^fraction`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SmallDecimal {
    /// All digits as a whole number.
    pub mantissa: i64,
    /// How many of them are after the point; 0 where there is none.
    pub fraction: u8,
}

/// The number at the start of `bytes` and its length, where it has at most 18 digits and no exponent.
/// None for anything else.
#[inline(always)]
pub(crate) fn small_decimal(bytes: &[u8]) -> Option<(SmallDecimal, usize)> {
    let negative = bytes.first() == Some(&b'-');
    let begin = usize::from(negative);
    let (mut end, mut value) = digits(bytes, begin, 0);
    let mut count = end - begin;
    if count == 0 || count > 1 && bytes.get(begin) == Some(&b'0') {
        return None;
    }
    let mut fraction = 0;
    if bytes.get(end) == Some(&b'.') {
        let begin = end + 1;
        (end, value) = digits(bytes, begin, value);
        fraction = end - begin;
        if fraction == 0 {
            return None;
        }
        count += fraction;
    }
    if count > 18 || matches!(bytes.get(end), Some(b'e' | b'E')) {
        return None;
    }
    let value = value as i64;
    let number = SmallDecimal {
        mantissa: if negative { -value } else { value },
        fraction: fraction as u8,
    };
    Some((number, end))
}

/// The exponent after `e`, saturated far outside any range, and where it ends.
#[cold]
fn read_exponent(bytes: &[u8], mut at: usize) -> Result<(usize, i32), usize> {
    let negative = bytes.get(at) == Some(&b'-');
    if let Some(b'+' | b'-') = bytes.get(at) {
        at += 1;
    }
    let begin = at;
    let mut value = 0i32;
    while let Some(digit @ b'0'..=b'9') = bytes.get(at) {
        value = value
            .saturating_mul(10)
            .saturating_add(i32::from(digit - b'0'));
        at += 1;
    }
    if at == begin {
        return Err(at);
    }
    Ok((at, if negative { -value } else { value }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use proptest::prelude::*;

    fn scaled(text: &str, scale: u8) -> Option<i64> {
        Number::parse(text.as_bytes()).unwrap().scaled(scale)
    }

    fn rounded(text: &str, scale: u8) -> Option<i64> {
        Number::parse(text.as_bytes()).unwrap().rounded(scale)
    }

    #[test]
    fn the_grammar_is_that_of_json() {
        for good in [
            "0",
            "-0",
            "10",
            "1.5",
            "1e5",
            "1E+5",
            "1.25e-3",
            "123456789012345678901234567890",
        ] {
            assert!(Number::parse(good.as_bytes()).is_some(), "{good}");
        }
        for bad in [
            "", "-", "01", "-01", ".5", "1.", "1.e5", "1e", "1e+", "+1", "0x10", "1 ", "NaN",
            "Infinity", "--1",
        ] {
            assert!(Number::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn digits_after_the_point_are_kept_or_refused() {
        assert_eq!(scaled("12.34", 2), Some(1234));
        assert_eq!(scaled("12.3400", 2), Some(1234));
        assert_eq!(scaled("12.345", 2), None);
        assert_eq!(scaled("1.2e1", 0), Some(12));
        assert_eq!(scaled("-9223372036854775808", 0), Some(i64::MIN));
        assert_eq!(scaled("9223372036854775808", 0), None);
        assert_eq!(scaled("1.00000000000000000000000000", 2), Some(100));
        assert_eq!(scaled("0.00000000000000000000000001", 2), None);
        assert_eq!(scaled("0e999999999999999", 2), Some(0));
        assert_eq!(scaled("1e999999999999999", 2), None);
        assert_eq!(scaled("1e-999999999999999", 2), None);
        assert_eq!(scaled("-0.0", 2), Some(0));
    }

    #[test]
    fn ties_go_to_the_even_neighbour() {
        assert_eq!(rounded("0.125", 2), Some(12));
        assert_eq!(rounded("0.135", 2), Some(14));
        assert_eq!(rounded("-0.125", 2), Some(-12));
        assert_eq!(rounded("0.1250001", 2), Some(13));
        assert_eq!(rounded("9999999999999999999", 0), None);
        assert_eq!(rounded("1e-40", 2), Some(0));
        assert_eq!(rounded("0.5", 0), Some(0));
        assert_eq!(rounded("1.5", 0), Some(2));
    }

    proptest! {
        #[test]
        fn any_text_is_judged_as_serde_json_judges_it(text in "[-+0-9.eE]{0,30}") {
            let judge: Result<serde_json::Value, _> = serde_json::from_str(&text);
            let seen = Number::parse(text.as_bytes());
            // serde_json refuses numbers beyond the range of a double; here the column decides.
            match judge {
                Ok(_) => prop_assert!(seen.is_some()),
                // It stops there and says nothing of what follows: the grammar of RFC 8259 does.
                Err(error) if error.to_string().contains("out of range") => {
                    let grammar = "^-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][-+]?[0-9]+)?$";
                    let valid = regex::Regex::new(grammar).unwrap().is_match(&text);
                    prop_assert_eq!(seen.is_some(), valid);
                }
                Err(_) => prop_assert!(seen.is_none()),
            }
        }

        #[test]
        fn doubles_are_those_of_the_standard_library(text in "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,25})?([eE][-+]?[0-9]{1,3})?") {
            let number = Number::parse(text.as_bytes()).unwrap();
            prop_assert_eq!(number.as_f64().to_bits(), text.parse::<f64>().unwrap().to_bits());
        }

        #[test]
        fn whole_numbers_survive(value in any::<i64>(), cut in 0u32..19, after in "[,}. e0]{0,9}") {
            prop_assert_eq!(scaled(&value.to_string(), 0), Some(value));
            let value = value / 10i64.pow(cut);
            let text = format!("{value}{after}");
            if let Some((seen, length)) = small_whole(text.as_bytes()) {
                let number = Number::read(text.as_bytes()).unwrap();
                prop_assert_eq!((number.scaled(0), number.text.len()), (Some(seen), length));
            } else {
                prop_assert!(value.abs() >= 10i64.pow(18) || after.starts_with(['.', 'e', '0']));
            }
        }

        #[test]
        fn small_decimals_are_the_numbers_that_they_stand_for(
            text in "-?[0-9]{1,20}(\\.[0-9]{0,20})?([eE][0-9]{1,2})?", after in "[,}\\] a]{0,9}",
        ) {
            let written = format!("{text}{after}");
            let number = Number::parse(text.as_bytes());
            let digits = text.bytes().filter(u8::is_ascii_digit).count();
            match (small_decimal(written.as_bytes()), number) {
                (Some((small, length)), Some(number)) => {
                    prop_assert_eq!(length, text.len());
                    prop_assert_eq!(small.mantissa.unsigned_abs(), number.mantissa);
                    prop_assert!(small.mantissa == 0 || (small.mantissa < 0) == number.negative);
                    prop_assert_eq!(-i32::from(small.fraction), number.exponent);
                }
                (Some(_), None) => prop_assert!(false, "{} is not a number", text),
                (None, Some(_)) => prop_assert!(digits > 18 || text.contains(['e', 'E'])),
                (None, None) => {}
            }
        }

        #[test]
        fn rounding_agrees_with_wide_arithmetic(mantissa in 0u64..10_000_000_000, point in 0usize..10, scale in 0u8..6) {
            let digits = format!("{mantissa:0>width$}", width = point + 1);
            let (whole, fraction) = digits.split_at(digits.len() - point);
            let text = if point == 0 { whole.to_owned() } else { format!("{whole}.{fraction}") };
            let (value, power) = (u128::from(mantissa) * 10u128.pow(u32::from(scale)), 10u128.pow(point as u32));
            let mut expected = value / power;
            let rest = value % power * 2;
            if rest > power || rest == power && expected % 2 == 1 {
                expected += 1;
            }
            prop_assert_eq!(rounded(&text, scale), Some(expected as i64));
        }
    }
}

//! Values that contracts write as text: bounds and defaults.

use chrono::{DateTime, NaiveDate, NaiveDateTime};

use crate::Bound;
use tarn_core::schema::ColumnType;

/// A number, date or timestamp as a bound of a column of the type; the error is what to write.
pub(super) fn bound(ty: &ColumnType, text: &str) -> Result<Bound, String> {
    match ty {
        ColumnType::Int => text
            .parse::<i32>()
            .map(|value| Bound::Integer(value.into()))
            .map_err(|_| "write a whole number between -2147483648 and 2147483647".to_owned()),
        ColumnType::Long => text
            .parse::<i64>()
            .map(|value| Bound::Integer(value.into()))
            .map_err(|_| "write a whole number of at most 64 bits".to_owned()),
        ColumnType::Double => text
            .parse::<f64>()
            .ok()
            .filter(|value| value.is_finite())
            .map(Bound::Double)
            .ok_or_else(|| "write a number".to_owned()),
        ColumnType::Decimal { precision, scale } => {
            decimal(text, *precision, *scale).map(Bound::Integer)
        }
        ColumnType::Date => NaiveDate::parse_from_str(text, "%Y-%m-%d")
            .map(|day| {
                Bound::Integer(
                    day.signed_duration_since(NaiveDate::default())
                        .num_days()
                        .into(),
                )
            })
            .map_err(|_| "write a day as in 2026-01-31".to_owned()),
        ColumnType::Timestamp => instant(text)
            .map(Bound::Integer)
            .ok_or_else(|| "write an instant as in 2026-01-31T10:00:00Z".to_owned()),
        ColumnType::String | ColumnType::Boolean | ColumnType::StringList => Err(format!(
            "a {ty} column has no order; use validValues or pattern"
        )),
    }
}

/// Whether the text is a value of the type, in the column's own units; the error is what to write.
pub(super) fn check(ty: &ColumnType, text: &str) -> Result<(), String> {
    match ty {
        ColumnType::String => Ok(()),
        ColumnType::Boolean if matches!(text, "true" | "false") => Ok(()),
        ColumnType::Boolean => Err("write true or false".to_owned()),
        ColumnType::StringList => Err("leave it out: an array column has no default".to_owned()),
        _ => bound(ty, text).map(|_| ()),
    }
}

/// Plain decimal text as a whole number of the scale's units, never rounded.
fn decimal(text: &str, precision: u8, scale: u8) -> Result<i128, String> {
    let help = || {
        format!(
            "write a number of at most {precision} digits, at most {scale} of them after the decimal point"
        )
    };
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = fraction.trim_end_matches('0');
    let scale_digits = usize::from(scale);
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty()
        || !all_digits(whole)
        || !all_digits(fraction)
        || fraction.len() > scale_digits
    {
        return Err(help());
    }
    let unscaled = format!("{whole}{fraction:0<scale_digits$}");
    let value = unscaled.parse::<i128>().map_err(|_| help())?;
    if value >= 10_i128.pow(u32::from(precision)) {
        return Err(help());
    }
    Ok(if negative { -value } else { value })
}

/// A whole number of the scale's units as plain decimal text with all digits of the scale.
pub(super) fn decimal_text(value: i128, scale: u8) -> String {
    let scale = usize::from(scale);
    let sign = if value < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = scale + 1);
    match digits.split_at_checked(digits.len().saturating_sub(scale)) {
        Some((whole, fraction)) if !fraction.is_empty() => format!("{sign}{whole}.{fraction}"),
        _ => format!("{sign}{digits}"),
    }
}

/// ISO 8601 text as microseconds since 1970; without an offset it is UTC.
fn instant(text: &str) -> Option<i128> {
    if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
        return Some(instant.timestamp_micros().into());
    }
    ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"]
        .into_iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .map(|time| time.and_utc().timestamp_micros().into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn bounds_of_decimals_are_exact_and_never_rounded() {
        let money = ColumnType::Decimal {
            precision: 5,
            scale: 2,
        };
        for (text, expected) in [
            ("1.5", 150),
            ("0", 0),
            ("-0.01", -1),
            ("+3.10", 310),
            ("999.99", 99999),
            ("2.5000", 250),
        ] {
            assert_eq!(bound(&money, text), Ok(Bound::Integer(expected)), "{text}");
        }
        for text in [
            "",
            ".",
            "0.005",
            "1000",
            "1e3",
            "1,5",
            "--1",
            "x",
            "99999999999999999999999999999999999999999",
        ] {
            assert!(bound(&money, text).is_err(), "{text}");
        }
    }

    #[test]
    fn bounds_of_times_are_days_and_microseconds() {
        assert_eq!(
            bound(&ColumnType::Date, "1970-01-02"),
            Ok(Bound::Integer(1))
        );
        let second = Ok(Bound::Integer(1_000_000));
        for text in [
            "1970-01-01T00:00:01Z",
            "1970-01-01 00:00:01",
            "1970-01-01T01:00:01+01:00",
        ] {
            assert_eq!(bound(&ColumnType::Timestamp, text), second, "{text}");
        }
        assert!(bound(&ColumnType::Date, "2026-02-31").is_err());
    }
}
